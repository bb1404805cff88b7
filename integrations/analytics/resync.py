"""Rows in ClickHouse built anew from the ledger, while writes go on: into a shadow table, swapped month by month.

The feed rests while a month is built: what it has sent until then is what the month holds, and it goes on from there. Whoever reads
sees the month as it was or as it is, never half of it. ClickHouse pulls the rows itself where it reaches PostgreSQL, else we carry them.
"""

import contextlib
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone
from django_scopes import scope

from integrations.analytics import clickhouse, day_sums, feed
from integrations.analytics.streams import BILLS, CUSTOMERS, DELIVERIES, ENTRIES, HOLDS, Stream
from integrations.models import FeedEpoch, Resync, RunState
from loyalty.models import Customer
from tenants import audit, crash
from tenants.actors import Actor
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.runs import alone
from tenants.saying import said

log = structlog.get_logger("pointdesk.resync")
OPEN = (RunState.WAITING, RunState.RUNNING)
#: The places, among the months, of the streams that are built anew whole.
WHOLE = {0: CUSTOMERS, -1: BILLS, -2: HOLDS, -3: DELIVERIES}
#: Small blocks, so that ClickHouse writes one while the next is on its way. A shadow holds no row twice, so a block need not be searched for it.
PULLING = {"min_insert_block_size_rows": 65_536, "min_insert_block_size_bytes": 0, "optimize_on_insert": 0}
#: Bytes that we carry at a time.
CARRIED = 16 << 20
#: So long a month waits for the feed to come to rest.
REST_SECONDS = 300
#: All there are, from the index alone, less what the feed has not sent.
OUR_COUNTS = """
    WITH chosen AS NOT MATERIALIZED (SELECT id, xid, business_date FROM loyalty_entry
        WHERE tenant_id = %(tenant)s AND business_date BETWEEN %(first)s AND %(last)s {of_customer}),
    there AS (SELECT business_date, count(*) AS n FROM chosen GROUP BY 1),
    unsent AS (SELECT business_date, count(*) AS n FROM chosen
        WHERE id > %(resynced)s AND (xid, id) > (%(xid)s::text::xid8, %(row_id)s) GROUP BY 1)
    SELECT business_date, there.n - coalesce(unsent.n, 0) FROM there LEFT JOIN unsent USING (business_date)
"""
OF_CUSTOMER = "AND customer_id = %(customer)s"
LOST = "Nothing was changed. Look for errors of either engine, and ask again."
THEIR_MONTHS = "SELECT DISTINCT toYYYYMM(business_date) FROM entries WHERE "
#: Which rows are built anew, and up to where: the same words in both engines.
CHOSEN = "tenant_id = {tenant} AND business_date >= '{first}' AND business_date <= '{last}' AND ({customer} = 0 OR customer_id = {customer})"
#: What the feed had sent at the watermark, with the version it gave it.
VALUES_OF = """
    SELECT id, tenant_id, '{business_id}' AS business_id, {values}, xid_no AS xid,
           {base} + CASE WHEN id <= {resynced} THEN 0 ELSE xid_no % {step} END AS version
    FROM (SELECT id, tenant_id, {columns}, {xid_of} AS xid_no FROM {source} WHERE {chosen}) e
    WHERE id <= {resynced} OR xid_no < {xid} OR (xid_no = {xid} AND id <= {row_id})
"""
#: Without a watermark, where rows are replaced: what is newer than the feed comes again with the same version. `ahead`: a transaction that
#: has not begun; rows that name a later one are of an earlier life of the database (a restored dump).
PRESENT_VALUES_OF = """
    SELECT id, tenant_id, '{business_id}' AS business_id, {values}, xid_no AS xid,
           {base} + CASE WHEN xid_no >= {ahead} THEN 0 ELSE xid_no % {step} END AS version
    FROM (SELECT id, tenant_id, {columns}, {xid_of} AS xid_no FROM {source} WHERE {chosen}) e
"""
#: What passes: it is tried again. Whatever else happens ends the resync, with the reason.
PASSING = (*clickhouse.Away, OperationalError, InterfaceError)
#: What ClickHouse says when it cannot reach PostgreSQL, or cannot read a table's columns there.
UNREACHABLE = (
    "cannot infer dimensions",
    "POSTGRESQL_CONNECTION_FAILURE",
    "pqxx::broken_connection",
    "Connection refused",
    "UNKNOWN_FUNCTION",
)


def ask(
    tenant: Tenant,
    *,
    reason: str,
    actor: Actor,
    since: date | None = None,
    until: date | None = None,
    customer: Customer | None = None,
    streams: Sequence[str] = (),
) -> Resync:
    """A resync that the worker takes up; the same one answers instead, where it is open.

    Raises: DomainError `bad_value`.
    """
    if since and until and until < since:
        raise DomainError("bad_value", said("The last day is before the first."), path="until")
    which = {"since": since, "until": until, "customer": customer, "streams": sorted(streams)}
    same = Resync.objects.filter(tenant=tenant, state__in=OPEN, **which).first()
    if same is not None:
        return same  # type: ignore[no-any-return]
    with transaction.atomic():
        row: Resync = Resync.objects.create(tenant=tenant, reason=reason[:500], asked_by=actor.name, **which)
        audit.record(
            tenant, actor=actor, action="resync_analytics", target=row, reason=row.reason,
            after={"since": since and str(since), "until": until and str(until), "customer": customer and customer.pk,
                   "streams": which["streams"]},
        )  # fmt: skip
    return row


def repair(tenant: Tenant, days: list[date], differences: Sequence[dict[str, Any]], *, reason: str, actor: Actor) -> list[Resync]:
    """What a comparison found different: the entries of the days, the tables of which groups differ; where it was customers alone, everything.
    Kept sums of days were summed up anew by the comparison itself."""
    streams = {each["measure"] for each in differences if "group" in each}
    if not days and any("customer" in each for each in differences):
        return [ask(tenant, reason=reason, actor=actor)]
    asked = [ask(tenant, since=min(days), until=max(days), reason=reason, actor=actor)] if days else []
    return asked + ([ask(tenant, streams=sorted(streams), reason=reason, actor=actor)] if streams else [])


def work_on(row: Resync) -> bool:
    """Go on with it to its end; -> whether it was ours to do. What cannot be done fails it, with the reason.

    Raises: one of `PASSING`: it goes on later.
    """
    with scope(tenant=row.tenant), alone(f"resync {row.pk}") as ours:
        if not ours:
            return False
        row.refresh_from_db()
        if row.state not in OPEN:
            return False
        try:
            _work_on(row)
        except PASSING:
            raise
        except Exception as problem:
            log.error("resync failed", resync=row.pk, error=str(problem)[:200])
            told = f"{type(problem).__name__}: {problem}"
            row.state, row.note, row.ended_at = RunState.FAILED, told[:500], timezone.now()
            row.save(update_fields=["state", "note", "ended_at"])
        return True


def _work_on(row: Resync) -> None:
    with clickhouse.connected(timeout_seconds=3600) as client:
        clickhouse.make_tables(client)
        expected = _expected(row)
        if row.months is None:
            row.months, row.state = _places(client, row, expected), RunState.RUNNING
            row.save(update_fields=["months", "state"])
        while row.months:
            began = time.monotonic()
            with feed_at_rest() as check:
                written, row.way = _build(client, row, row.months[0], check=check, at_least=expected.get(row.months[0], 0))
            row.rows, row.months, row.months_done = row.rows + written, row.months[1:], row.months_done + 1
            row.seconds += round(time.monotonic() - began, 3)
            row.save(update_fields=["rows", "months", "months_done", "way", "seconds"])
        if not row.streams:
            day_sums.build_again(client, row.tenant)
    row.state, row.ended_at = RunState.DONE, timezone.now()
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
    return _one("SELECT pg_backend_pid()")


def _one(statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.fetchone()[0])


def _span(row: Resync) -> tuple[date, date]:
    return row.since or date(1970, 1, 1), row.until or date(2199, 12, 31)


def _expected(row: Resync) -> dict[int, int]:
    """By place how many rows there must be at least, entries by month. Rows only ever become more, so whatever comes short of it was lost on
    the way."""
    first, last = _span(row)
    epoch: FeedEpoch = feed.current_epoch(ENTRIES)
    with transaction.atomic(), connection.cursor() as cursor:
        counts: dict[int, int] = defaultdict(int)
        if not row.streams:
            asked: dict[str, Any] = {"tenant": row.tenant_id, "first": first, "last": last, "customer": row.customer_id}
            sent = {"resynced": epoch.resynced_id, "xid": epoch.xid, "row_id": epoch.row_id}
            cursor.execute(OUR_COUNTS.format(of_customer=OF_CUSTOMER if row.customer_id else ""), asked | sent)
            for day, count in cursor.fetchall():
                counts[day.year * 100 + day.month] += count
        everything = not row.streams and row.since is None and row.until is None and row.customer_id is None
        for place, stream in WHOLE.items():
            if everything or stream.name in row.streams:
                cursor.execute(f"SELECT count(*) FROM {stream.source} WHERE tenant_id = %s", [row.tenant_id])  # noqa: S608 - our own name
                counts[place] = int(cursor.fetchone()[0])
    return counts


def _places(client: Client, row: Resync, expected: dict[int, int]) -> list[int]:
    """What the ledger has, and what ClickHouse has without it: what changes first, then month by month."""
    first, last = _span(row)
    chosen = CHOSEN.format(tenant=row.tenant_id, first=first, last=last, customer=row.customer_id or 0)
    theirs = set() if row.streams else {found for (found,) in client.query(THEIR_MONTHS + chosen).result_rows}
    months = sorted(theirs | {place for place in expected if place not in WHOLE})
    return [*(place for place in WHOLE if place in expected), *months]


@dataclass(frozen=True, slots=True)
class _Part:
    """A partition of a stream's table. `others`: which of its rows stay as they are, as a condition, none where all are ours."""

    stream: Stream
    partition: str
    others: str
    chosen: str
    values: str
    marks: dict[str, Any]

    def keep_others(self, client: Client, shadow: str) -> None:
        if self.others:
            client.command(f"INSERT INTO {shadow} SELECT * FROM {self.stream.name} FINAL WHERE {self.others}")  # noqa: S608

    def rows_of(self, source: str, *, xid_of: str) -> str:
        names = [column.name for column in self.stream.columns]
        values = [f"{column.value()} AS {column.name}" if column.nothing else column.name for column in self.stream.columns]
        return self.values.format(
            source=source, xid_of=xid_of, chosen=self.chosen, columns=", ".join(names), values=", ".join(values), **self.marks
        )


def _build(client: Client, row: Resync, place: int, *, check: Callable[[], None], at_least: int) -> tuple[int, str]:
    """One partition anew; -> (rows written, by which way). Raises: clickhouse.RowsLost, before anything is swapped."""
    part = _whole_part(row, WHOLE[place]) if place in WHOLE else _month_part(row, place)
    table = part.stream.name
    shadow = f"{table}_anew"
    client.command(f"DROP TABLE IF EXISTS {shadow}")
    client.command(f"CREATE TABLE {shadow} AS {table}")
    part.keep_others(client, shadow)
    before = _count(client, shadow)
    way = _fill(client, shadow, part)
    filled = _count(client, shadow)
    if filled - before < at_least:
        raise clickhouse.RowsLost(
            f"{table} {part.partition}: the ledger has {at_least:,} rows, and {filled - before:,} came. {LOST}"
        )
    crash.point("resync_before_swap")
    check()
    if filled:
        client.command(f"ALTER TABLE {table} REPLACE PARTITION {part.partition} FROM {shadow}")
    else:
        client.command(f"ALTER TABLE {table} DROP PARTITION {part.partition}")
    client.command(f"DROP TABLE {shadow}")
    return filled - before, way


def _count(client: Client, table: str) -> int:
    return int(client.query(f"SELECT count() FROM {table}").result_rows[0][0])  # noqa: S608 - our own name


def _marks(row: Resync, stream: Stream) -> dict[str, Any]:
    """Up to where the feed has sent: the shadow holds that and no more."""
    epoch: FeedEpoch = feed.current_epoch(stream)
    return {
        "business_id": row.tenant.business_id.replace("\\", "\\\\").replace("'", "\\'"), "resynced": epoch.resynced_id,
        "xid": int(epoch.xid), "row_id": epoch.row_id, "base": epoch.pk * feed.EPOCH_STEP, "step": feed.EPOCH_STEP,
        "ahead": _one("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"),
    }  # fmt: skip


def _month_part(row: Resync, month: int) -> _Part:
    first, last = _span(row)
    starts = date(month // 100, month % 100, 1)
    ends = (starts + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    chosen = CHOSEN.format(tenant=row.tenant_id, first=max(first, starts), last=min(last, ends), customer=row.customer_id or 0)
    others = f"toYYYYMM(business_date) = {month} AND NOT ({chosen})"
    return _Part(ENTRIES, str(month), others, chosen, VALUES_OF, _marks(row, ENTRIES))


def _whole_part(row: Resync, stream: Stream) -> _Part:
    """All of a brand's rows of a stream whose rows change: a partition of its own, or all there is but the others' rows."""
    chosen = f"tenant_id = {row.tenant_id}"
    if stream.partition:
        return _Part(stream, str(row.tenant_id), "", chosen, PRESENT_VALUES_OF, _marks(row, stream))
    return _Part(stream, "tuple()", f"NOT ({chosen})", chosen, PRESENT_VALUES_OF, _marks(row, stream))


def _fill(client: Client, shadow: str, part: _Part) -> str:
    """-> `pull` or `copy`."""
    columns = part.stream.column_names
    if settings.CLICKHOUSE_PULL_URL:
        rows = part.rows_of(f"postgresql({pulled(part.stream.source)})", xid_of="toUInt64(xid)")
        try:
            client.command(f"INSERT INTO {shadow} ({', '.join(columns)}) {rows}", settings=PULLING)
        except DatabaseError as problem:
            if not any(word in str(problem) for word in UNREACHABLE):
                raise
            log.warning("ClickHouse does not pull from PostgreSQL, so we carry the rows", error=str(problem)[:160])
            client.command(f"TRUNCATE TABLE {shadow}")
            part.keep_others(client, shadow)
        else:
            return "pull"
    _carry(client, shadow, columns, part.rows_of(part.stream.source, xid_of="xid::text::bigint"))
    return "copy"


def pulled(table: str) -> str:
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
