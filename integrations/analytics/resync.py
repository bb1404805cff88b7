"""Rows in ClickHouse built anew from the ledger, while writes go on: into a shadow table, swapped month by month.

The feed rests while a month is built: what it has sent until then is what the month holds, and it goes on from there. Whoever reads
sees the month as it was or as it is, never half of it. ClickHouse pulls the rows itself where it reaches PostgreSQL, else we carry them.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django_scopes import scope

from integrations.analytics import clickhouse, day_sums, feed
from integrations.models import FeedEpoch, Resync, ResyncState
from loyalty.models import Customer
from tenants import crash
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.runs import alone
from tenants.saying import said

log = structlog.get_logger("pointdesk.resync")
OPEN = (ResyncState.WAITING, ResyncState.RUNNING)
#: The place of the customers among the months.
CUSTOMERS = 0
#: Bytes that we carry at a time.
CARRIED = 16 << 20
#: So long a month waits for the feed to come to rest.
REST_SECONDS = 300
OUR_MONTHS = """
    SELECT DISTINCT extract(year FROM business_date)::int * 100 + extract(month FROM business_date)::int FROM loyalty_entry
    WHERE tenant_id = %s AND business_date BETWEEN %s AND %s AND (%s = 0 OR customer_id = %s)
"""
THEIR_MONTHS = "SELECT DISTINCT toYYYYMM(business_date) FROM entries WHERE "
#: Which rows are built anew, and up to where: the same words in both engines.
CHOSEN = "tenant_id = {tenant} AND business_date >= '{first}' AND business_date <= '{last}' AND ({customer} = 0 OR customer_id = {customer})"
ENTRIES_OF = """
    SELECT id, tenant_id, customer_id, operation, seq, kind, of_kind, pending, available, held, owed, reason, actor_kind, actor_name,
           occurred_at, business_date, posted_at, store_id, bill_id, hold_id, job_id, {xid_of} AS xid_no FROM {source} WHERE {chosen}
"""
VALUES_OF = """
    SELECT id, tenant_id, '{business_id}' AS business_id, customer_id, operation, seq, kind, coalesce(of_kind, '') AS of_kind, pending,
           available, held, owed, reason, actor_kind, actor_name, occurred_at, business_date, posted_at, coalesce(store_id, 0) AS store_id,
           coalesce(bill_id, 0) AS bill_id, coalesce(hold_id, 0) AS hold_id, coalesce(job_id, 0) AS job_id, xid_no AS xid,
           {base} + CASE WHEN id <= {resynced} THEN 0 ELSE xid_no % {step} END AS version
    FROM ({entries}) e WHERE id <= {resynced} OR xid_no < {xid} OR (xid_no = {xid} AND id <= {row_id})
"""
CUSTOMERS_OF = """
    SELECT id, tenant_id, '{business_id}' AS business_id, mobile, name, email, tier, status, joined_on, {xid_of} AS xid_no
    FROM {source} WHERE tenant_id = {tenant}
"""
#: Without a watermark: a customer's row is replaced, and what is newer than the feed comes again with the same version.
CUSTOMER_VALUES_OF = """
    SELECT id, tenant_id, business_id, mobile, name, email, tier, status, joined_on, xid_no AS xid, {base} + xid_no % {step} AS version
    FROM ({entries}) e
"""
#: What ClickHouse says when it cannot reach PostgreSQL.
UNREACHABLE = (
    "POSTGRESQL_CONNECTION_FAILURE",
    "pqxx::broken_connection",
    "STD_EXCEPTION",
    "Connection refused",
    "UNKNOWN_FUNCTION",
)


def ask(
    tenant: Tenant,
    *,
    reason: str,
    asked_by: str,
    since: date | None = None,
    until: date | None = None,
    customer: Customer | None = None,
) -> Resync:
    """A resync that the worker takes up; the same one answers instead, where it is open.

    Raises: DomainError `bad_value`.
    """
    if since and until and until < since:
        raise DomainError("bad_value", said("The last day is before the first."), path="until")
    same = Resync.objects.filter(tenant=tenant, state__in=OPEN, since=since, until=until, customer=customer).first()
    if same is not None:
        return same  # type: ignore[no-any-return]
    row: Resync = Resync.objects.create(
        tenant=tenant, since=since, until=until, customer=customer, reason=reason[:500], asked_by=asked_by
    )
    return row


def repair(tenant: Tenant, days: list[date], *, asked_by: str) -> Resync:
    """Days that a comparison found different; without any it was customers or kept sums, and everything is built anew."""
    return ask(
        tenant, since=min(days, default=None), until=max(days, default=None), asked_by=asked_by,
        reason=said("ClickHouse differed from the ledger on {count} days", count=len(days)),
    )  # fmt: skip


def work_on(row: Resync) -> bool:
    """Go on with it to its end; -> whether it was ours to do. What ClickHouse refuses fails it, with the reason.

    Raises: one of `clickhouse.Away`: it goes on later.
    """
    with scope(tenant=row.tenant), alone(f"resync {row.pk}") as ours:
        if not ours:
            return False
        row.refresh_from_db()
        if row.state not in OPEN:
            return False
        try:
            _work_on(row)
        except clickhouse.Away:
            raise
        except DatabaseError as problem:
            log.error("resync failed", resync=row.pk, error=str(problem)[:200])
            row.state, row.note, row.ended_at = ResyncState.FAILED, str(problem)[:500], timezone.now()
            row.save(update_fields=["state", "note", "ended_at"])
        return True


def _work_on(row: Resync) -> None:
    with clickhouse.connected(timeout_seconds=3600) as client:
        clickhouse.make_tables(client)
        if row.months is None:
            row.months, row.state = _months(client, row), ResyncState.RUNNING
            row.save(update_fields=["months", "state"])
        while row.months:
            began = time.monotonic()
            with feed_at_rest() as check:
                written, row.way = _build(client, row, row.months[0], check=check)
            row.rows, row.months, row.months_done = row.rows + written, row.months[1:], row.months_done + 1
            row.seconds += round(time.monotonic() - began, 3)
            row.save(update_fields=["rows", "months", "months_done", "way", "seconds"])
        day_sums.build_again(client, row.tenant)
    row.state, row.ended_at = ResyncState.DONE, timezone.now()
    row.save(update_fields=["state", "ended_at"])


@contextlib.contextmanager
def feed_at_rest() -> Iterator[Callable[[], None]]:
    """Nothing is sent meanwhile; -> a function that makes sure of it. Both raise TimeoutError, which is one of `clickhouse.Away`: it is tried
    again. A lock ends with its session, and the next statement would quietly open another one."""
    with alone(feed.JOB, wait_seconds=REST_SECONDS) as ours:
        if not ours:
            raise TimeoutError("the feed does not come to rest")
        session = _session()

        def check() -> None:
            if _session() != session:
                raise TimeoutError("the session that kept the feed at rest has ended")

        yield check


def _session() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def _span(row: Resync) -> tuple[date, date]:
    return row.since or date(1970, 1, 1), row.until or date(2199, 12, 31)


def _months(client: Client, row: Resync) -> list[int]:
    first, last = _span(row)
    with connection.cursor() as cursor:
        cursor.execute(OUR_MONTHS, [row.tenant_id, first, last, row.customer_id or 0, row.customer_id or 0])
        months = {found for (found,) in cursor.fetchall()}
    chosen = CHOSEN.format(tenant=row.tenant_id, first=first, last=last, customer=row.customer_id or 0)
    months |= {found for (found,) in client.query(THEIR_MONTHS + chosen).result_rows}
    whole = row.since is None and row.until is None and row.customer_id is None
    return [*([CUSTOMERS] if whole else []), *sorted(months)]


@dataclass(frozen=True, slots=True)
class _Part:
    """A partition of a table, and the statements that fill its shadow."""

    table: str
    partition: str
    others: str
    source: str
    entries: str
    values: str
    marks: dict[str, Any]


def _build(client: Client, row: Resync, month: int, *, check: Callable[[], None]) -> tuple[int, str]:
    """One partition anew; -> (rows written, by which way)."""
    part = _customers_part(row) if month == CUSTOMERS else _month_part(row, month)
    shadow = f"{part.table}_anew"
    client.command(f"DROP TABLE IF EXISTS {shadow}")
    client.command(f"CREATE TABLE {shadow} AS {part.table}")
    client.command(part.others.format(shadow=shadow))
    before = _count(client, shadow)
    way = _fill(client, shadow, part)
    filled = _count(client, shadow)
    crash.point("resync_before_swap")
    check()
    if filled:
        client.command(f"ALTER TABLE {part.table} REPLACE PARTITION {part.partition} FROM {shadow}")
    else:
        client.command(f"ALTER TABLE {part.table} DROP PARTITION {part.partition}")
    client.command(f"DROP TABLE {shadow}")
    return filled - before, way


def _count(client: Client, table: str) -> int:
    return int(client.query(f"SELECT count() FROM {table}").result_rows[0][0])  # noqa: S608 - our own name


def _marks(row: Resync, stream: str) -> dict[str, Any]:
    """Up to where the feed has sent: the shadow holds that and no more."""
    epoch: FeedEpoch = feed.current_epoch(stream)
    return {
        "tenant": row.tenant_id, "business_id": row.tenant.business_id.replace("\\", "\\\\").replace("'", "\\'"), "resynced": epoch.resynced_id,
        "xid": int(epoch.xid), "row_id": epoch.row_id, "base": epoch.pk * feed.EPOCH_STEP, "step": feed.EPOCH_STEP,
    }  # fmt: skip


def _month_part(row: Resync, month: int) -> _Part:
    first, last = _span(row)
    starts = date(month // 100, month % 100, 1)
    ends = (starts + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    chosen = CHOSEN.format(tenant=row.tenant_id, first=max(first, starts), last=min(last, ends), customer=row.customer_id or 0)
    others = f"INSERT INTO {{shadow}} SELECT * FROM entries FINAL WHERE toYYYYMM(business_date) = {month} AND NOT ({chosen})"  # noqa: S608
    return _Part(
        "entries", str(month), others, "loyalty_entry", ENTRIES_OF.replace("{chosen}", chosen), VALUES_OF, _marks(row, "entries")
    )


def _customers_part(row: Resync) -> _Part:
    others = f"INSERT INTO {{shadow}} SELECT * FROM customers FINAL WHERE tenant_id <> {row.tenant_id}"  # noqa: S608
    return _Part("customers", "tuple()", others, "loyalty_customer", CUSTOMERS_OF, CUSTOMER_VALUES_OF, _marks(row, "customers"))


def _fill(client: Client, shadow: str, part: _Part) -> str:
    """-> `pull` or `copy`."""
    columns = clickhouse.COLUMNS[part.table]
    if settings.CLICKHOUSE_PULL_URL:
        source = f"postgresql({_server(part.source)})"
        entries = part.entries.format(source=source, xid_of="toUInt64(xid)", **part.marks)
        try:
            client.command(f"INSERT INTO {shadow} ({', '.join(columns)}) {part.values.format(entries=entries, **part.marks)}")
        except DatabaseError as problem:
            if not any(word in str(problem) for word in UNREACHABLE):
                raise
            log.warning("ClickHouse does not reach PostgreSQL, so we carry the rows", error=str(problem)[:60])
            client.command(f"TRUNCATE TABLE {shadow}")
            client.command(part.others.format(shadow=shadow))
        else:
            return "pull"
    entries = part.entries.format(source=part.source, xid_of="xid::text::bigint", **part.marks)
    _carry(client, shadow, columns, part.values.format(entries=entries, **part.marks))
    return "copy"


def _server(table: str) -> str:
    """The arguments of ClickHouse's `postgresql()`: our own database, at the address where ClickHouse finds it."""
    parts = urlsplit(settings.CLICKHOUSE_PULL_URL)
    texts = (
        f"{parts.hostname}:{parts.port or 5432}", str(connection.settings_dict["NAME"]), table, unquote(parts.username or ""),
        unquote(parts.password or ""),
    )  # fmt: skip
    return ", ".join("'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'" for text in texts)


def _carry(client: Client, shadow: str, columns: tuple[str, ...], values: str) -> None:
    """As PostgreSQL's own CSV, which ClickHouse reads: no row becomes a Python object."""
    nothing = f"null-{secrets.token_hex(8)}"  # a word that no text of a row is
    reading = {
        "date_time_input_format": "best_effort",
        "input_format_csv_empty_as_default": 0,
        "input_format_csv_trim_whitespaces": 0,
        "format_csv_null_representation": nothing,
    }
    carried = bytearray()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'")
        with cursor.copy(f"COPY ({values}) TO STDOUT (FORMAT csv, NULL '{nothing}')") as rows:
            for line in rows:
                carried += line
                if len(carried) >= CARRIED:
                    client.raw_insert(shadow, columns, bytes(carried), reading, "CSV")
                    carried.clear()
    if carried:
        client.raw_insert(shadow, columns, bytes(carried), reading, "CSV")
