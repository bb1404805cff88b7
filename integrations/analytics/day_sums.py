"""The ledger summed up by day and kind, from ClickHouse or from the ledger itself: what the liability report is made of.

Entries of a posting day change no more once everything that could still be posted on it has been: such days are *closed*, and ClickHouse
keeps their sums. So a year is a few thousand rows to read, however many entries there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

import structlog
from clickhouse_connect.driver.client import Client
from django.db import connection
from django_scopes import scope

from integrations.analytics import clickhouse, feed
from integrations.models import ClosedDays
from tenants.models import Tenant
from tenants.runs import alone

log = structlog.get_logger("pointdesk.day_sums")


#: So long a report waits for ClickHouse; then the ledger answers.
PATIENCE_SECONDS = 8


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
    GROUP BY tenant_id, day, business_date, store_id, effect
"""
FIRST_POSTED = "SELECT min(posted_at), count() FROM entries WHERE tenant_id = {tenant:UInt64}"
#: When the oldest open transaction began: what it may still write was posted then.
OLDEST_OPEN = "SELECT min(xact_start) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


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
    starts = day_starts(tenant, closed + timedelta(days=1)) if closed else datetime(1970, 1, 1, tzinfo=UTC)
    of_closed, of_open = THEIR_DAY[wanted.basis]
    parts = [_OPEN.format(day=of_open) + (_OF_TIER if wanted.tier is not None else "")]
    if closed is not None:
        parts.append(_CLOSED.format(day=of_closed))
    statement = CLICKHOUSE % (" UNION ALL ".join(parts), _OF_STORE if wanted.store_id is not None else "")
    values: dict[str, Any] = {
        "tenant": tenant.pk, "zone": tenant.timezone, "since": wanted.since, "until": wanted.until, "closed": closed or date(1970, 1, 1),
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
    with alone("sum up days") as ours:
        if not ours:
            return 0
        with connection.cursor() as cursor:
            cursor.execute(OLDEST_OPEN)
            (oldest,) = cursor.fetchone()
        settled = min(
            filter(None, (now, oldest))
        )  # whatever was posted before has been committed: it is sent now, and nothing joins it
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
    """The sums of all closed days, from what the entries are now."""
    through = closed_through(tenant)
    if through is not None:
        _build(client, tenant, since=None, through=through)


def _build(client: Client, tenant: Tenant, *, since: date | None, through: date) -> None:
    """Month by month of posting days; each is swapped whole."""
    if since is None:
        first, count = client.query(FIRST_POSTED, parameters={"tenant": tenant.pk}).result_rows[0]
        if not count:
            return
        since = first.replace(tzinfo=UTC).astimezone(tenant.zone).date()
    for month in _months(since, through):
        after = (month + timedelta(days=31)).replace(day=1)
        partition = f"({tenant.pk}, {month:%Y%m})"
        client.command("DROP TABLE IF EXISTS day_sums_anew")
        client.command("CREATE TABLE day_sums_anew AS day_sums")
        bounds = {
            "tenant": tenant.pk, "zone": tenant.timezone, "from": day_starts(tenant, month),
            "to": day_starts(tenant, min(after, through + timedelta(days=1))),
        }  # fmt: skip
        client.command(BUILD, parameters=bounds)
        if client.query("SELECT count() FROM day_sums_anew").result_rows[0][0]:
            client.command(f"ALTER TABLE day_sums REPLACE PARTITION {partition} FROM day_sums_anew")
        else:
            client.command(f"ALTER TABLE day_sums DROP PARTITION {partition}")
        client.command("DROP TABLE day_sums_anew")


def _months(since: date, through: date) -> Sequence[date]:
    found = [since.replace(day=1)]
    while (following := (found[-1] + timedelta(days=31)).replace(day=1)) <= through:
        found.append(following)
    return found
