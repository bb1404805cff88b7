"""The ledger summed up by day and kind, from ClickHouse or from the ledger itself: what the liability report is made of.

Entries of a posting day change no more once everything that could still be posted on it has been: such days are *closed*, and ClickHouse
keeps their sums. So a year is a few thousand rows to read, however many entries there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from clickhouse_connect.driver.client import Client
from django.db import connection
from django_scopes import scope

from integrations.analytics import clickhouse, feed
from integrations.models import ClosedDays
from tenants.models import Tenant
from tenants.runs import alone

#: So long a report waits for ClickHouse; then the ledger answers.
PATIENCE_SECONDS = 8
#: One build of sums at a time over the cluster; a resync waits so long for another one.
JOB, BUILD_WAITS_SECONDS = "sum up days", 300


class Basis(StrEnum):
    """The day of an entry: when it came into the books, which never changes afterwards; or the store's day on which it happened."""

    POSTING = "posting"
    BUSINESS = "business"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries: of these days, on this basis, as they were known at `as_of`; of a store (0: without one), of customers of a tier."""

    since: date
    until: date
    basis: Basis = Basis.POSTING
    as_of: datetime | None = None
    store_id: int | None = None
    tier: str | None = None
    by_store: bool = False


@dataclass(frozen=True, slots=True)
class DaySum:
    """What the entries of a day and kind add up to. `day` None: of all days before. `kind`: of the effect, so the debt of a redemption is
    a redemption. `earlier`: of a business day before the day. `owed_more`, `owed_less`: both counted up."""

    day: date | None
    kind: str
    earlier: bool
    entries: int
    pending: int
    available: int
    held: int
    owed_more: int
    owed_less: int
    #: Only where it was asked for by store; 0: without one.
    store_id: int = 0

    @property
    def owed(self) -> int:
        return self.owed_more - self.owed_less


LEDGER = """
    SELECT nullif(greatest(day, %(before)s), %(before)s), kind, earlier, count(*), sum(pending)::bigint, sum(available)::bigint,
           sum(held)::bigint, sum(greatest(owed, 0))::bigint, sum(greatest(-owed, 0))::bigint, store
    FROM (
        SELECT {day} AS day, coalesce(of_kind, kind) AS kind, business_date < {day} AS earlier, pending, available, held, owed,
               CASE WHEN %(by_store)s THEN coalesce(store_id, 0) ELSE 0 END AS store
        FROM loyalty_entry e
        WHERE tenant_id = %(tenant)s AND (%(as_of)s::timestamptz IS NULL OR posted_at <= %(as_of)s)
          AND (%(store)s::bigint IS NULL OR coalesce(store_id, 0) = %(store)s)
          AND (%(tier)s::text IS NULL OR EXISTS (
            SELECT FROM loyalty_customer c WHERE c.tenant_id = e.tenant_id AND c.id = e.customer_id AND c.tier = %(tier)s))
    ) each
    WHERE day <= %(until)s GROUP BY 1, 2, 3, store
"""
OUR_DAY = {Basis.POSTING: "(posted_at AT TIME ZONE %(zone)s)::date", Basis.BUSINESS: "business_date"}
_CLOSED = """
    SELECT {day} AS on, kind AS effect, business_date < {day} AS earlier, store_id, entries, pending, available, held, owed_more, owed_less
    FROM day_sums WHERE tenant_id = {{tenant:UInt64}} AND day <= {{closed:Date32}}
"""
_OPEN = """
    SELECT {day} AS on, if(of_kind = '', kind, of_kind) AS effect, business_date < {day} AS earlier, store_id, toInt64(1) AS entries, pending,
           available, held, greatest(owed, 0) AS owed_more, greatest(-owed, 0) AS owed_less
    FROM entries FINAL
    WHERE tenant_id = {{tenant:UInt64}} AND posted_at >= {{from:DateTime64(6, 'UTC')}} AND posted_at <= {{as_of:DateTime64(6, 'UTC')}}
      AND toDate32(posted_at, {{zone:String}}) > {{closed:Date32}}
"""
_OF_TIER = "AND customer_id IN (SELECT id FROM customers FINAL WHERE tenant_id = {tenant:UInt64} AND tier = {tier:String})"
THEIR_DAY = {Basis.POSTING: ("day", "toDate32(posted_at, {zone:String})"), Basis.BUSINESS: ("business_date", "business_date")}
CLICKHOUSE = """
    SELECT if(on < {since:Date32}, NULL, on) AS shown, effect, earlier, sum(entries), sum(pending), sum(available), sum(held), sum(owed_more),
           sum(owed_less), if({by_store:Bool}, store_id, 0) AS store
    FROM (%s) WHERE on <= {until:Date32} %s GROUP BY shown, effect, earlier, store
"""
_OF_STORE = "AND store_id = {store:UInt64}"
#: One month of closed days of a tenant, from its entries.
BUILD = """
    INSERT INTO day_sums_anew SELECT tenant_id, toDate32(posted_at, {zone:String}) AS day, business_date, store_id,
        if(of_kind = '', kind, of_kind) AS effect, count(), sum(pending), sum(available), sum(held), sum(greatest(owed, 0)),
        sum(greatest(-owed, 0))
    FROM entries FINAL
    WHERE tenant_id = {tenant:UInt64} AND posted_at >= {from:DateTime64(6, 'UTC')} AND posted_at < {to:DateTime64(6, 'UTC')}
      AND toDate32(posted_at, {zone:String}) BETWEEN {first:Date32} AND {last:Date32}
    GROUP BY tenant_id, day, business_date, store_id, effect
"""
FIRST_POSTED = "SELECT toDate32(min(posted_at), {zone:String}), count() FROM entries WHERE tenant_id = {tenant:UInt64}"
MONTHS_KNOWN = "SELECT DISTINCT toYYYYMM(day) FROM day_sums WHERE tenant_id = {tenant:UInt64}"
#: Both with their signs, so that what is equal comes to nothing; a checksum over the columns that are no sums.
DIFFERENT = """
    SELECT DISTINCT posted_on FROM (
        SELECT posted_on, business_date, store_id, effect FROM (
            SELECT day AS posted_on, business_date, store_id, kind AS effect, entries, pending, available, held, owed_more, owed_less
            FROM day_sums WHERE tenant_id = {tenant:UInt64}
            UNION ALL
            SELECT toDate32(posted_at, {zone:String}) AS posted_on, business_date, store_id, if(of_kind = '', kind, of_kind) AS effect,
                   toInt64(-1), -pending, -available, -held, -greatest(owed, 0), -greatest(-owed, 0)
            FROM entries FINAL WHERE tenant_id = {tenant:UInt64} AND toDate32(posted_at, {zone:String}) <= {closed:Date32})
        GROUP BY posted_on, business_date, store_id, effect
        HAVING sum(entries) <> 0 OR sum(pending) <> 0 OR sum(available) <> 0 OR sum(held) <> 0 OR sum(owed_more) <> 0 OR sum(owed_less) <> 0)
"""
#: Before this instant, by the clock that posts, nothing can be posted any more: an open transaction may still write from its beginning on.
SETTLED = """
    SELECT least(statement_timestamp(), min(xact_start)) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def of_ledger(tenant: Tenant, wanted: Wanted) -> list[DaySum]:
    """From PostgreSQL, entry by entry."""
    values: dict[str, Any] = {
        "tenant": tenant.pk, "zone": tenant.timezone, "before": wanted.since - timedelta(days=1), "until": wanted.until,
        "as_of": wanted.as_of, "store": wanted.store_id, "tier": wanted.tier, "by_store": wanted.by_store,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(LEDGER.format(day=OUR_DAY[wanted.basis]), values)
        return [DaySum(*row) for row in cursor.fetchall()]


def of_clickhouse(tenant: Tenant, wanted: Wanted) -> list[DaySum]:
    """From ClickHouse: closed days by their sums, the rest by the entries.

    Raises: one of `clickhouse.Away`; `DatabaseError`, whatever else ClickHouse has to say.
    """
    closed = closed_through(tenant) if wanted.tier is None else None
    if closed is not None and wanted.as_of is not None:
        closed = min(closed, wanted.as_of.astimezone(tenant.zone).date() - timedelta(days=1))
    starts = day_starts(tenant, closed - timedelta(days=1)) if closed else datetime(1900, 1, 1, tzinfo=UTC)
    of_closed, of_open = THEIR_DAY[wanted.basis]
    parts = [_OPEN.format(day=of_open) + (_OF_TIER if wanted.tier is not None else "")]
    if closed is not None:
        parts.append(_CLOSED.format(day=of_closed))
    statement = CLICKHOUSE % (" UNION ALL ".join(parts), _OF_STORE if wanted.store_id is not None else "")
    values: dict[str, Any] = {
        "tenant": tenant.pk, "zone": tenant.timezone, "since": wanted.since, "until": wanted.until, "closed": closed or date(1900, 1, 1),
        "from": starts, "as_of": wanted.as_of or datetime(2200, 1, 1, tzinfo=UTC), "store": wanted.store_id or 0,
        "tier": wanted.tier or "", "by_store": wanted.by_store,
    }  # fmt: skip
    with clickhouse.connected(timeout_seconds=PATIENCE_SECONDS) as client:
        rows = client.query(statement, parameters=values).result_rows
    return [DaySum(row[0], row[1], bool(row[2]), *row[3:]) for row in rows]


def closed_through(tenant: Tenant) -> date | None:
    row = ClosedDays.objects.filter(tenant=tenant).first()
    return row.through if row else None


def day_starts(tenant: Tenant, day: date) -> datetime:
    """The first instant of a day of the tenant's calendar."""
    return datetime.combine(day, time(), tzinfo=tenant.zone)


def close(*, now: datetime) -> int:
    """Close what can be closed of every tenant; -> tenants whose days moved on.

    Raises: one of `clickhouse.Away`.
    """
    with alone(JOB) as ours:
        if not ours:
            return 0
        with connection.cursor() as cursor:
            cursor.execute(SETTLED)
            (settled,) = cursor.fetchone()
        feed.run(now=now)
        moved = 0
        with clickhouse.connected(timeout_seconds=600) as client:
            clickhouse.make_tables(client)
            for tenant in Tenant.objects.filter(is_active=True):
                with scope(tenant=tenant):
                    moved += _close(client, tenant, through=settled.astimezone(tenant.zone).date() - timedelta(days=1), now=now)
    return moved


def _close(client: Client, tenant: Tenant, *, through: date, now: datetime) -> bool:
    known = closed_through(tenant)
    if known is not None and known >= through:
        return False
    lag = feed.lag()  # another feed may be at it, and not have come so far
    if lag.entries >= feed.LAG_COUNTED or (lag.since is not None and lag.since < day_starts(tenant, through + timedelta(days=1))):
        return False
    _build(client, tenant, since=known + timedelta(days=1) if known else None, through=through)
    ClosedDays.objects.update_or_create(tenant=tenant, defaults={"through": through, "closed_at": now})
    return True


def build_again(client: Client, tenant: Tenant) -> None:
    """The sums of all closed days, from what the entries are now.

    Raises: TimeoutError, which is one of `clickhouse.Away`, where another build does not end.
    """
    through = closed_through(tenant)
    if through is not None:
        with alone(JOB, wait_seconds=BUILD_WAITS_SECONDS) as ours:
            if not ours:
                raise TimeoutError("another build of the days' sums does not end")
            _build(client, tenant, since=None, through=through)


def _build(client: Client, tenant: Tenant, *, since: date | None, through: date) -> None:
    """Month by month of posting days; each is swapped whole. Without `since` all of them, and no other month stays."""
    known = (
        {month for (month,) in client.query(MONTHS_KNOWN, parameters={"tenant": tenant.pk}).result_rows}
        if since is None
        else set()
    )
    if since is None:
        values = {"tenant": tenant.pk, "zone": tenant.timezone}
        since, count = client.query(FIRST_POSTED, parameters=values).result_rows[0]
        since = since if count else through + timedelta(days=1)
    wanted = _months(since, through) if since <= through else []
    shadow = f"day_sums_anew_{tenant.pk}"
    for month in wanted:
        last = min((month + timedelta(days=31)).replace(day=1) - timedelta(days=1), through)
        client.command(f"DROP TABLE IF EXISTS {shadow}")
        client.command(f"CREATE TABLE {shadow} AS day_sums")
        bounds = {
            "tenant": tenant.pk, "zone": tenant.timezone, "first": month, "last": last, "from": day_starts(tenant, month - timedelta(days=1)),
            "to": day_starts(tenant, last + timedelta(days=2)),
        }  # fmt: skip
        client.command(BUILD.replace("day_sums_anew", shadow), parameters=bounds)
        partition = f"({tenant.pk}, {month:%Y%m})"
        if client.query(f"SELECT count() FROM {shadow}").result_rows[0][0]:  # noqa: S608 - our own name
            client.command(f"ALTER TABLE day_sums REPLACE PARTITION {partition} FROM {shadow}")
        else:
            client.command(f"ALTER TABLE day_sums DROP PARTITION {partition}")
        client.command(f"DROP TABLE {shadow}")
    for month in known - {int(f"{month:%Y%m}") for month in wanted}:
        client.command(f"ALTER TABLE day_sums DROP PARTITION ({tenant.pk}, {month})")


def different_days(client: Client, tenant: Tenant) -> list[date]:
    """Closed days whose kept sums are not those of ClickHouse's own entries."""
    through = closed_through(tenant)
    if through is None:
        return []
    bounds = {"tenant": tenant.pk, "zone": tenant.timezone, "closed": through}
    return [row[0] for row in client.query(DIFFERENT, parameters=bounds).result_rows]


def _months(since: date, through: date) -> Sequence[date]:
    found = [since.replace(day=1)]
    while (following := (found[-1] + timedelta(days=31)).replace(day=1)) <= through:
        found.append(following)
    return found
