"""The feed, the resync and the comparison, each beside what the engines do by themselves with the same rows."""

from datetime import timedelta
from urllib.parse import urlsplit

from clickhouse_connect.driver.client import Client
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from config.bench.books import ADJUST_CHAIN, ManyCustomers
from config.bench.seeding import seed
from integrations.analytics import clickhouse, feed, parity, resync
from integrations.models import FeedEpoch, ResyncState
from tenants.models import Tenant

CLICKHOUSE_DATABASE = "pointdesk_bench"
COLUMNS = """
    id, tenant_id, customer_id, operation, seq, kind, coalesce(of_kind, ''), pending, available, held, owed, reason, actor_kind, actor_name,
    occurred_at, business_date, posted_at, coalesce(store_id, 0), coalesce(bill_id, 0), coalesce(hold_id, 0), coalesce(job_id, 0)
"""
PLAIN = """
    CREATE TABLE plain (
        id UInt64, tenant_id UInt64, customer_id UInt64, operation UInt64, seq UInt16, kind LowCardinality(String),
        of_kind LowCardinality(String), pending Int64, available Int64, held Int64, owed Int64, reason String,
        actor_kind LowCardinality(String), actor_name String, occurred_at DateTime64(6, 'UTC'), business_date Date32,
        posted_at DateTime64(6, 'UTC'), store_id UInt64, bill_id UInt64, hold_id UInt64, job_id UInt64
    ) ENGINE = MergeTree PARTITION BY toYYYYMM(business_date) ORDER BY (tenant_id, business_date, id)
"""
AGGREGATE = """
    SELECT sum(n) FROM (SELECT business_date, kind, of_kind, count(*) AS n, sum(pending), sum(available), sum(held), sum(owed)
        FROM loyalty_entry WHERE tenant_id = %s GROUP BY 1, 2, 3) sums
"""


class _Analytics:
    """A database of ClickHouse's own, dropped at the end."""

    unit = "entries/s"

    def __init__(self) -> None:
        self._before = settings.CLICKHOUSE_URL
        with clickhouse.connected() as client:
            client.command(f"DROP DATABASE IF EXISTS {CLICKHOUSE_DATABASE}")
            client.command(f"CREATE DATABASE {CLICKHOUSE_DATABASE}")
        settings.CLICKHOUSE_URL = urlsplit(self._before)._replace(path=f"/{CLICKHOUSE_DATABASE}").geturl()

    def prepare(self, *, round_number: int) -> None:
        with clickhouse.connected() as client:
            client.command("DROP TABLE IF EXISTS plain")
            client.command(PLAIN)

    def close(self) -> None:
        settings.CLICKHOUSE_URL = self._before
        with clickhouse.connected() as client:
            client.command(f"DROP DATABASE {CLICKHOUSE_DATABASE}")


def _pull(client: Client, tenant: Tenant, *, after: int = 0) -> int:
    """ClickHouse's own pull of the same columns into a plain table."""
    server = resync._server("loyalty_entry")
    client.command(f"INSERT INTO plain SELECT {COLUMNS} FROM postgresql({server}) WHERE tenant_id = {tenant.pk} AND id > {after}")
    return int(client.query("SELECT count() FROM plain").result_rows[0][0])


class Feed(_Analytics, ManyCustomers):
    """What everybody was just granted, sent."""

    name = "feed"
    target = 0.1
    limit_is = "ClickHouse's own postgresql() pull of the same columns into a plain table"

    def __init__(self, tenant: Tenant, *, customers: int) -> None:
        ManyCustomers.__init__(self, tenant, customers=customers)
        _Analytics.__init__(self)

    def prepare(self, *, round_number: int) -> None:
        super().prepare(round_number=round_number)
        feed.run(now=timezone.now())
        with connection.cursor() as cursor:
            cursor.execute("SELECT coalesce(max(id), 0) FROM loyalty_entry")
            (self._after,) = cursor.fetchone()
        self._chain(ADJUST_CHAIN, self._mine, expires=self._today + timedelta(days=365))

    def ours(self) -> int:
        sent = feed.run(now=timezone.now())
        assert sent == len(self._mine), sent
        return sent

    def limit(self) -> int:
        with clickhouse.connected(timeout_seconds=3600) as client:
            return _pull(client, self._tenant, after=self._after)


class _Big(_Analytics):
    """A tenant of many entries that ClickHouse knows."""

    def __init__(self, tenant: Tenant, *, entries: int) -> None:
        super().__init__()
        self._tenant = tenant
        self._entries = seed(tenant, customers=entries // 20, entries=entries)
        self._resync()
        FeedEpoch.objects.update(resynced_id=F("resync_below_id"))  # so that the feed does not send all of it again

    def _resync(self) -> int:
        row = resync.ask(self._tenant, reason="Bench", asked_by="Bench")
        assert resync.work_on(row)
        row.refresh_from_db()
        assert row.state == ResyncState.DONE, row.note
        return row.rows


class ResyncAll(_Big):
    """Everything of a tenant built anew, into a shadow, month by month, swapped; the customers too."""

    name = "resync"
    target = 0.7
    limit_is = "ClickHouse's own postgresql() pull of the same columns into a plain table"

    def ours(self) -> int:
        return self._resync()

    def limit(self) -> int:
        with clickhouse.connected(timeout_seconds=3600) as client:
            return _pull(client, self._tenant)


class Parity(_Big):
    """Every day, kind and customer on both sides, with checksums."""

    name = "parity"
    target = 0.67
    limit_is = "PostgreSQL's own GROUP BY day and kind over the same entries, with the same memory"

    def ours(self) -> int:
        verdict = parity.compare(now=timezone.now(), tenant=self._tenant)
        assert verdict.ok, verdict.differences[:5]
        return verdict.rows

    def limit(self) -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(AGGREGATE, [self._tenant.pk])
            return int(cursor.fetchone()[0])
