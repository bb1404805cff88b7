"""The feed, the resync and the comparison, each beside what the engines do by themselves with the same rows."""

import os
import statistics
import sys
import threading
import time
from datetime import timedelta
from urllib.parse import urlsplit

from clickhouse_connect.driver.client import Client
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from django_scopes import scope

from config.bench.books import ADJUST_CHAIN, ManyCustomers
from config.bench.seeding import seed
from config.bench.web import Visitor
from config.celery import app
from integrations.analytics import clickhouse, day_sums, feed, parity, resync
from integrations.analytics.streams import ENTRIES
from integrations.models import FeedEpoch, RunState
from loyalty.models import Entry
from tenants.actors import SYSTEM
from tenants.models import Store, Tenant

CLICKHOUSE_DATABASE = "pointdesk_bench"
PAGES = 40
#: Entries posted a second while the feed runs.
PACE = 2000
FEED_EVERY: timedelta = app.conf.beat_schedule["feed_analytics"]["schedule"]
COLUMNS = ", ".join(["id", "tenant_id", *(column.value() for column in ENTRIES.columns)])
PLAIN = f"""
    CREATE TABLE plain (id UInt64, tenant_id UInt64, {", ".join(f"{column.name} {column.type}" for column in ENTRIES.columns)})
    ENGINE = MergeTree PARTITION BY {ENTRIES.partition} ORDER BY ({ENTRIES.order})
"""
AGGREGATE = f"""
    SELECT business_date, kind, of_kind, count(*), sum(pending), sum(available), sum(held), sum(owed), sum({parity.OURS})
    FROM loyalty_entry WHERE tenant_id = %s GROUP BY 1, 2, 3
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
        os.environ["CLICKHOUSE_URL"] = settings.CLICKHOUSE_URL  # for a web process

    def prepare(self, *, round_number: int) -> None:
        with clickhouse.connected() as client:
            client.command("DROP TABLE IF EXISTS plain")
            client.command(PLAIN)

    def close(self) -> None:
        settings.CLICKHOUSE_URL = os.environ["CLICKHOUSE_URL"] = self._before
        with clickhouse.connected() as client:
            client.command(f"DROP DATABASE {CLICKHOUSE_DATABASE}")


def _pull(client: Client, tenant: Tenant, *, after: int = 0) -> int:
    """ClickHouse's own pull of the same columns into a plain table."""
    server = resync.pulled(ENTRIES.source)
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


class SteadyFeed(_Analytics, ManyCustomers):
    """Entries are posted at an even pace, in transactions of their own, while the feed runs as often as the timetable has it."""

    name = "feed_steady"
    target = 0.95
    limit_is = f"the pace at which they are posted, {PACE:,} a second"

    def __init__(self, tenant: Tenant, *, seconds: int) -> None:
        ManyCustomers.__init__(self, tenant, customers=PACE)
        _Analytics.__init__(self)
        self._seconds = seconds
        #: Seconds that the oldest entry had waited just before each run of the feed.
        self._lags: list[float] = []

    def prepare(self, *, round_number: int) -> None:
        super().prepare(round_number=round_number)
        self._lags.clear()
        feed.run(now=timezone.now())

    def ours(self) -> int:
        posting = threading.Thread(target=self._post)
        posting.start()
        sent = 0
        while posting.is_alive():
            posting.join(FEED_EVERY.total_seconds())
            since = feed.lag().since
            self._lags.append((timezone.now() - since).total_seconds() if since else 0.0)
            sent += feed.run(now=timezone.now())
        sent += feed.run(now=timezone.now())  # what was posted during the last one
        assert sent == PACE * self._seconds, sent
        return sent

    def limit(self) -> int:
        time.sleep(self._seconds)
        return PACE * self._seconds

    def _post(self) -> None:
        """A tenth of a second's entries every tenth of a second; what comes late is caught up with."""
        began, share = time.monotonic(), PACE // 10
        with scope(tenant=self._tenant):
            for turn in range(self._seconds * 10):
                time.sleep(max(0.0, began + turn / 10 - time.monotonic()))
                place = turn % 10 * share
                self._chain(ADJUST_CHAIN, self._mine[place : place + share], expires=self._today + timedelta(days=365))
        connection.close()

    def close(self) -> None:
        half = len(self._lags) // 2
        told = [
            f"{statistics.median(part):.1f} s, at most {max(part):.1f} s"
            for part in (self._lags[:half], self._lags[half:])
            if part
        ]
        print(f"feed_steady: the oldest entry waited {'; in the second half '.join(told)}", file=sys.stderr)
        ManyCustomers.close(self)
        _Analytics.close(self)


class _Big(_Analytics):
    """A tenant of many entries that ClickHouse knows."""

    def __init__(self, tenant: Tenant, *, entries: int) -> None:
        super().__init__()
        self._tenant = tenant
        if not Entry.objects.filter(tenant=tenant).exists():
            seed(tenant, customers=entries // 20, entries=entries)
        self._resync()
        FeedEpoch.objects.update(resynced_id=F("resync_below_id"))  # so that the feed does not send all of it again

    def _resync(self) -> int:
        row = resync.ask(self._tenant, reason="Bench", actor=SYSTEM)
        assert resync.work_on(row)
        row.refresh_from_db()
        assert row.state == RunState.DONE, row.note
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
    limit_is = "PostgreSQL's own GROUP BY day and kind of the same entries, sums and checksum alone"

    def __init__(self, tenant: Tenant, *, entries: int) -> None:
        super().__init__(tenant, entries=entries)
        with clickhouse.connected(timeout_seconds=3600) as client:
            client.command("OPTIMIZE TABLE entries FINAL")  # what ClickHouse does by itself in the hour after a resync

    def ours(self) -> int:
        verdict = parity.compare(now=timezone.now(), tenant=self._tenant)
        assert verdict.ok, verdict.differences[:5]
        return verdict.rows

    def limit(self) -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(parity.HASHED)
            cursor.execute(AGGREGATE, [self._tenant.pk])
            return sum(row[3] for row in cursor.fetchall())


class Liability(_Big):
    """The liability page of a year, from a real web process."""

    name = "liability"
    unit = "pages/s"
    target = 0.67
    limit_is = "the admin's change page of one store, same web process, same client"

    def __init__(self, tenant: Tenant, *, entries: int, database_url: str) -> None:
        super().__init__(tenant, entries=entries)
        day_sums.close(now=timezone.now())
        parity.compare(now=timezone.now(), tenant=tenant)
        self._store = Store.objects.get(tenant=tenant)
        self._visitor = Visitor(database_url, tenant)
        today = timezone.now().date()
        self._pages = [
            f"/admin/liability/?since={today - timedelta(days=365 + place % 30)}&until={today}&by={by}"
            for place in range(PAGES // 2)
            for by in ("day", "month")
        ]

    def ours(self) -> int:
        return self._visitor.look(self._pages, "ours")

    def limit(self) -> int:
        return self._visitor.look([f"/admin/tenants/store/{self._store.pk}/change/"] * PAGES, "limit")

    def close(self) -> None:
        print(f"liability: {self._visitor.times()}", file=sys.stderr)
        self._visitor.close()
        super().close()
