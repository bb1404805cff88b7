"""ClickHouse against the ledger: per tenant, business day and kind the count, the sum of every delta and a checksum, below the
feed's watermark; what differs is followed down to the entries. A verdict is kept for each run and for each day.

A day whose verdict is older than one of its entries is stale: a run that is not whole compares those days alone.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import structlog
from clickhouse_connect.driver.client import Client
from django.db import connection, transaction
from django_scopes import scope

from integrations.analytics import clickhouse, day_sums, feed
from integrations.analytics.resync import feed_at_rest
from integrations.analytics.streams import ENTRIES, STREAMS, Stream
from integrations.models import FeedEpoch, ParityDay, ParityRun
from tenants.models import Tenant
from tenants.saying import said

log = structlog.get_logger("pointdesk.parity")
#: The same in both engines: whole numbers, `%` that keeps the sign, no term that could overflow: ids and points stay below 2^50, so the sum
#: below 2^60, and its remainder times the weight below 2^61. Each id has a weight of its own, so that values which changed places are noticed.
CHECKSUM = """(id % 2147483647 + 1) * ((customer_id * 31 + operation * 37 + seq * 41 + pending * 43 + available * 47 + held * 53 + owed * 59
    + {store} * 61 + {bill} * 67 + {hold} * 71 + {posted} * 73) % 1000000007)"""
OURS = CHECKSUM.replace("%", "%%").format(
    store="coalesce(store_id, 0)", bill="coalesce(bill_id, 0)", hold="coalesce(hold_id, 0)",
    posted="floor(date_part('epoch', posted_at))::bigint",
)  # fmt: skip
_SIGNED = {name: f"toInt64({name}_id)" for name in ("store", "bill", "hold")}
THEIRS = CHECKSUM.replace("(id %", "(toInt64(id) %").replace("customer_id *", "toInt64(customer_id) *")
THEIRS = THEIRS.replace("operation *", "toInt64(operation) *").format(**_SIGNED, posted="toUnixTimestamp(posted_at)")

_LEDGER = """
    FROM loyalty_entry WHERE tenant_id = %(tenant)s AND (id <= %(resynced)s OR (xid, id) <= (%(xid)s::text::xid8, %(row_id)s))
"""
#: All there is: the feed rests, so nothing may lie above the watermark.
_CLICKHOUSE = "FROM entries FINAL WHERE tenant_id = {tenant:UInt64}"
_OUR_SUMS = f"count(*), sum(pending)::bigint, sum(available)::bigint, sum(held)::bigint, sum(owed)::bigint, sum({OURS})::text"
_THEIR_SUMS = f"count(), sum(pending), sum(available), sum(held), sum(owed), toString(sum(toInt128({THEIRS})))"
LEDGER = f"SELECT business_date, kind, coalesce(of_kind, ''), {_OUR_SUMS} {_LEDGER} {{days}} GROUP BY 1, 2, 3"
CLICKHOUSE = f"SELECT business_date, kind, of_kind, {_THEIR_SUMS} {_CLICKHOUSE} {{days}} GROUP BY 1, 2, 3"
#: The planner takes the few groups of a day for thousands and would sort every row before it adds them up.
HASHED = "SET LOCAL enable_incremental_sort = off"
OUR_DAYS = "AND business_date = ANY(%(days)s)"
#: Down to the entries: by stretches of ids first, then row by row.
STRETCH = 4096
_ONE = "AND business_date = {0} AND kind = {1} AND {2} = {3}"
_OUR_ONE = _ONE.format("%(day)s", "%(kind)s", "coalesce(of_kind, '')", "%(of_kind)s")
_THEIR_ONE = _ONE.format("{day:Date32}", "{kind:String}", "of_kind", "{of_kind:String}")
OUR_STRETCHES = f"SELECT id / {STRETCH}, {_OUR_SUMS} {_LEDGER} {_OUR_ONE} GROUP BY 1"
THEIR_STRETCHES = f"SELECT intDiv(id, {STRETCH}), {_THEIR_SUMS} {_CLICKHOUSE} {_THEIR_ONE} GROUP BY 1"
COLUMNS = (
    "id", "customer_id", "operation", "seq", "pending", "available", "held", "owed", "store_id", "bill_id", "hold_id", "posted",
)  # fmt: skip
OUR_ROWS = f"""
    SELECT id, customer_id, operation, seq, pending, available, held, owed, coalesce(store_id, 0), coalesce(bill_id, 0), coalesce(hold_id, 0),
           floor(date_part('epoch', posted_at))::bigint {_LEDGER} {_OUR_ONE} AND id / {STRETCH} = ANY(%(stretches)s)
"""
THEIR_ROWS = f"""
    SELECT id, customer_id, operation, seq, pending, available, held, owed, store_id, bill_id, hold_id, toInt64(toUnixTimestamp(posted_at))
    {_CLICKHOUSE} {_THEIR_ONE} AND intDiv(id, {STRETCH}) IN {{stretches:Array(UInt64)}}
"""
#: Customer by customer, by the same way down: what Customer 360 shows, without what the feed has not sent yet.
_CUSTOMER = (
    "(customer_id % 9973 + 1) * (pending % 1000003 * 43 + available % 1000003 * 47 + held % 1000003 * 53 + owed % 1000003 * 59)"
)
_CUSTOMER_SUMS = "sum(pending) AS pending, sum(available) AS available, sum(held) AS held, sum(owed) AS owed"
_OUR_BALANCES = """
    SELECT b.customer_id, b.pending - coalesce(n.pending, 0) AS pending, b.available - coalesce(n.available, 0) AS available,
           b.held - coalesce(n.held, 0) AS held, b.owed - coalesce(n.owed, 0) AS owed
    FROM loyalty_balance b LEFT JOIN (
        SELECT customer_id, sum(pending)::bigint AS pending, sum(available)::bigint AS available, sum(held)::bigint AS held,
               sum(owed)::bigint AS owed
        FROM loyalty_entry
        WHERE tenant_id = %(tenant)s AND id > %(resynced)s AND (xid, id) > (%(xid)s::text::xid8, %(row_id)s) GROUP BY 1
    ) n ON n.customer_id = b.customer_id WHERE b.tenant_id = %(tenant)s
"""
OUR_CROWDS = f"""
    SELECT customer_id / {STRETCH}, sum({_CUSTOMER.replace("%", "%%")})::text FROM ({_OUR_BALANCES}) each GROUP BY 1
"""  # noqa: S608
THEIR_CROWDS = f"""
    SELECT intDiv(customer_id, {STRETCH}), toString(sum(toInt128({_CUSTOMER.replace("(customer_id", "(toInt64(customer_id)")}))) FROM (
        SELECT customer_id, {_CUSTOMER_SUMS} {_CLICKHOUSE} GROUP BY 1) GROUP BY 1
"""  # noqa: S608
OUR_BALANCES = f"{_OUR_BALANCES} AND b.customer_id / {STRETCH} = ANY(%(crowds)s)"
THEIR_BALANCES = f"""
    SELECT customer_id, sum(pending), sum(available), sum(held), sum(owed)
    {_CLICKHOUSE} AND intDiv(customer_id, {STRETCH}) IN {{crowds:Array(UInt64)}} GROUP BY 1
"""
#: Of a stream whose rows change: how many rows of each group, which, and their sums. What changed since the feed's watermark is left out.
_WHICH = "id % 1000003 * (id % 2147483647)"
#: A row of an earlier life of the database (a restored dump) has a transaction that this one has not come to: it was sent by its id.
OUR_ROWS_OF = """
    SELECT {groups}, count(*) FILTER (WHERE sent), (sum({which}) FILTER (WHERE sent))::text {sums}, array_agg(id) FILTER (WHERE NOT sent)
    FROM (SELECT *, (xid, id) <= (%(xid)s::text::xid8, %(row_id)s)
              OR (id <= %(resynced)s AND xid >= pg_snapshot_xmax(pg_current_snapshot())) AS sent
          FROM {source} WHERE tenant_id = %(tenant)s) r GROUP BY {groups}
"""
OUR_SUM_OF = ", coalesce(sum({name}) FILTER (WHERE sent), 0)::text"
THEIR_ROWS_OF = """
    SELECT {groups}, count(), toString(sum(toInt128({which}))) {sums} FROM {table} FINAL
    WHERE tenant_id = {{tenant:UInt64}} AND NOT has({{changed:Array(UInt64)}}, id) GROUP BY {groups}
"""
THEIR_SUM_OF = ", toString(sum(toInt128({name})))"
STALE = """
    SELECT DISTINCT business_date FROM loyalty_entry
    WHERE tenant_id = %(tenant)s AND (xid, id) > (%(xid)s::text::xid8, %(row_id)s)
"""
#: What the liability report does not read.
NOT_REPORTED = ("bills", "holds", "deliveries")
#: Streams whose rows change: compared whole, as they are now.
REPLACED = tuple(stream for stream in STREAMS.values() if stream.groups)
MEASURES = ("entries", "pending", "available", "held", "owed", "checksum")
BUCKETS = ("pending", "available", "held", "owed")
#: What is kept of a run that finds much: so many figures, groups looked into, entries, customers.
FIGURES_KEPT, GROUPS_LOOKED_INTO, WRONG_KEPT, CUSTOMERS_KEPT = 1000, 50, 200, 100

type Group = tuple[date, str, str]
type Bounds = dict[str, Any]


@dataclass(slots=True)
class Verdict:
    """`differences`: one dict per tenant, day, kind and measure with both figures (checksums as texts), per customer and bucket too.
    `rows`: entries that were compared. `wrong`: entries that are missing, extra, changed or elsewhere in ClickHouse."""

    ok: bool = True
    rows: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    wrong_count: int = 0
    days: int = 0
    different_days: list[date] = field(default_factory=list)


def compare(*, now: datetime, tenant: Tenant | None = None, whole: bool = True) -> Verdict:
    """Feed what is due, then compare what both should hold; a run is kept for each tenant.

    `whole`: every day and every customer; else the days that changed since the run before.

    Raises: one of `clickhouse.Away`.
    """
    found = Verdict()
    with clickhouse.connected(timeout_seconds=600) as client:
        clickhouse.make_tables(client)
        for each in [tenant] if tenant else Tenant.objects.filter(is_active=True).order_by("pk"):
            with scope(tenant=each):
                one = _compare_one(client, each, now=now, whole=whole)
            found.ok, found.rows = found.ok and one.ok, found.rows + one.rows
            found.days, found.wrong_count = found.days + one.days, found.wrong_count + one.wrong_count
            found.differences += one.differences
            found.wrong += one.wrong
            found.different_days += one.different_days
    return found


@contextmanager
def _all_sent(*, now: datetime) -> Iterator[FeedEpoch]:
    """The feed rests, and has sent what was there; -> how far. A new epoch sends everything by id first."""
    while True:
        refused: Exception | None = None
        try:
            feed.run(now=now)
        except clickhouse.Away:
            raise
        except Exception as problem:
            refused = problem
            log.warning("a stream is not sent", error=str(problem)[:200])
        with feed_at_rest():
            epoch = feed.current_epoch(ENTRIES)
            epoch.refresh_from_db()
            if epoch.resynced_id >= epoch.resync_below_id:
                yield epoch
                return
        if refused is not None:
            raise refused  # it is the entries


def _compare_one(client: Client, tenant: Tenant, *, now: datetime, whole: bool) -> Verdict:
    began = time.monotonic()
    last = ParityRun.objects.filter(tenant=tenant).first()
    with _all_sent(now=now) as epoch:
        days = (
            None
            if whole or last is None or last.epoch_id != epoch.pk
            else sorted({*stale_days(tenant, last), *_days_not_equal(tenant)})
        )
        bounds: Bounds = {
            "resynced": epoch.resynced_id, "xid": int(epoch.xid), "row_id": epoch.row_id, "tenant": tenant.pk,
            **({"days": days} if days is not None else {}),
        }  # fmt: skip
        if days == []:
            return Verdict()
        theirs = _their_groups(client, bounds)
        crowds = _their_crowds(client, bounds) if days is None else None
        replaced = [each for stream in REPLACED for each in _replaced_rows(client, tenant, stream)] if days is None else []
    # The ledger below the watermark does not change any more: the feed may go on while it is read.
    ours = _our_groups(bounds)
    others_differ = crowds is not None and crowds != _our_crowds(bounds)
    verdict = Verdict(rows=sum(sums[0] for sums in ours.values()), days=len({key[0] for key in ours.keys() | theirs.keys()}))
    different = [key for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key)]
    verdict.differences = replaced
    if different or others_differ:
        with _all_sent(now=now) as epoch:
            bounds |= {"resynced": epoch.resynced_id, "xid": int(epoch.xid), "row_id": epoch.row_id}
            for key in different[:GROUPS_LOOKED_INTO]:
                verdict.wrong += _entries(client, bounds, key)
            verdict.differences += _customers(client, tenant, bounds) if days is None else []
    verdict.differences[:0] = [figure for key in different for figure in _figures(tenant, key, ours.get(key), theirs.get(key))]
    verdict.different_days = sorted({key[0] for key in different})
    _say_where_else(verdict.wrong, tenant)
    verdict.wrong_count = max(len(verdict.wrong), sum(abs(_count(ours, key) - _count(theirs, key)) for key in different))
    if days is None:
        verdict.differences += _day_sums(client, tenant)
    verdict.ok = not verdict.differences
    _keep(tenant, epoch, verdict, ours=ours, theirs=theirs, days=days, now=now, seconds=time.monotonic() - began)
    return verdict


def _count(sums: dict[Group, tuple[Any, ...]], key: Group) -> int:
    return int(sums[key][0]) if key in sums else 0


def _day_sums(client: Client, tenant: Tenant) -> list[dict[str, Any]]:
    """Closed days whose kept sums are not those of their entries; they are summed up anew at once."""
    days = day_sums.different_days(client, tenant)
    if days:
        day_sums.build_again(client, tenant)
    return [
        {
            "tenant": tenant.slug,
            "posting_date": str(day),
            "measure": "day_sums",
            "postgresql": "as its entries",
            "clickhouse": "otherwise",
        }
        for day in days
    ]


def _replaced_rows(client: Client, tenant: Tenant, stream: Stream) -> list[dict[str, Any]]:
    """Groups of a stream's rows of which ClickHouse has others, or with other figures."""
    epoch = feed.current_epoch(stream)
    groups, width = ", ".join(stream.groups), len(stream.groups)
    ours_asked = OUR_ROWS_OF.format(
        groups=groups,
        which=_WHICH.replace("%", "%%"),
        sums="".join(OUR_SUM_OF.format(name=name) for name in stream.sums),
        source=stream.source,
    )
    theirs_asked = THEIR_ROWS_OF.format(
        groups=groups, which=_WHICH, sums="".join(THEIR_SUM_OF.format(name=name) for name in stream.sums), table=stream.name
    )
    rows = _ask(ours_asked, {"tenant": tenant.pk, "xid": epoch.xid, "row_id": epoch.row_id, "resynced": epoch.resynced_id})
    changed = [number for row in rows for number in row[-1] or ()]
    ours = {tuple(row[:width]): tuple(row[width:-1]) for row in rows if row[width]}
    asked = {"tenant": tenant.pk, "changed": changed}
    theirs = {tuple(row[:width]): tuple(row[width:]) for row in client.query(theirs_asked, parameters=asked).result_rows}
    nothing = (0, "0", *("0" for _ in stream.sums))
    return [
        {"tenant": tenant.slug, "group": ", ".join(str(value) or "–" for value in key), "measure": stream.name,
         **_first_difference((None, None, *stream.sums), ours.get(key, nothing), theirs.get(key, nothing))}
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key, nothing) != theirs.get(key, nothing)
    ]  # fmt: skip


def _first_difference(names: Sequence[str | None], ours: Sequence[Any], theirs: Sequence[Any]) -> dict[str, Any]:
    """The counts, where they differ or only the rows do; else the first sum that does."""
    if ours[:2] == theirs[:2]:
        for name, left, right in zip(names, ours, theirs, strict=True):
            if left != right:
                return {"sum_of": name, "postgresql": left, "clickhouse": right}
    return {"postgresql": ours[0], "clickhouse": theirs[0]}


def stale_days(tenant: Tenant, last: ParityRun | None) -> list[date]:
    """Business days that have entries newer than the last run, also days long past; none, where there was no run."""
    if last is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute(STALE, {"tenant": tenant.pk, "xid": last.xid, "row_id": last.row_id})
        return [row[0] for row in cursor.fetchall()]


def _days_not_equal(tenant: Tenant) -> list[date]:
    return list(ParityDay.objects.filter(tenant=tenant, ok=False).values_list("business_date", flat=True))


type Sums = dict[Group, tuple[Any, ...]]


def _their_groups(client: Client, bounds: Bounds) -> Sums:
    """Of ClickHouse: sums by business day and kind, in the order of MEASURES."""
    asked = CLICKHOUSE.replace("{days}", "AND business_date IN {days:Array(Date32)}" if "days" in bounds else "")
    rows = client.query(asked, parameters=bounds).result_rows
    return {(row[0], row[1], row[2]): tuple(row[3:]) for row in rows}


def _our_groups(bounds: Bounds) -> Sums:
    """Of the ledger: the same."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(HASHED)
        rows = _ask(LEDGER.format(days=OUR_DAYS if "days" in bounds else ""), bounds)
    return {(row[0], row[1], row[2]): tuple(row[3:]) for row in rows}


def _their_crowds(client: Client, bounds: Bounds) -> dict[int, str]:
    """Checksums of the balances of customers who stand beside each other; without those of nothing."""
    return {row[0]: row[1] for row in client.query(THEIR_CROWDS, parameters=bounds).result_rows if row[1] != "0"}


def _our_crowds(bounds: Bounds) -> dict[int, str]:
    return {row[0]: row[1] for row in _ask(OUR_CROWDS, bounds) if row[1] != "0"}


def _ask(statement: str, bounds: Bounds) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, bounds)
        return list(cursor.fetchall())


def _figures(tenant: Tenant, key: Group, ours: Sequence[Any] | None, theirs: Sequence[Any] | None) -> Iterable[dict[str, Any]]:
    nothing = (0,) * 5 + ("0",)
    for name, left, right in zip(MEASURES, ours or nothing, theirs or nothing, strict=True):
        if left != right:
            yield {
                "tenant": tenant.slug, "business_date": str(key[0]), "kind": "/".join(filter(None, key[1:])), "measure": name,
                "postgresql": left, "clickhouse": right,
            }  # fmt: skip


def _entries(client: Client, bounds: Bounds, key: Group) -> list[dict[str, Any]]:
    """The entries of a day and kind that differ, found by stretches of ids."""
    one = bounds | {"day": key[0], "kind": key[1], "of_kind": key[2]}
    ours = {row[0]: row[1:] for row in _ask(OUR_STRETCHES, one)}
    theirs = {row[0]: row[1:] for row in client.query(THEIR_STRETCHES, parameters=one).result_rows}
    one["stretches"] = sorted(place for place in ours.keys() | theirs.keys() if ours.get(place) != theirs.get(place))[:200]
    left = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in _ask(OUR_ROWS, one)}
    right = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in client.query(THEIR_ROWS, parameters=one).result_rows}
    found = []
    for number in sorted(left.keys() | right.keys()):
        of_ledger, of_clickhouse = left.get(number), right.get(number)
        if of_ledger != of_clickhouse:
            fault = "missing" if of_clickhouse is None else "extra" if of_ledger is None else "changed"
            found.append({
                "id": number, "business_date": str(key[0]), "kind": "/".join(filter(None, key[1:])), "fault": fault,
                "ledger": of_ledger, "clickhouse": of_clickhouse,
            })  # fmt: skip
    return found


def _say_where_else(wrong: list[dict[str, Any]], tenant: Tenant) -> None:
    """An entry that is too many on one day may be the ledger's, of another day."""
    extra = [each["id"] for each in wrong if each["fault"] == "extra"]
    if not extra:
        return
    rows = _ask(
        "SELECT id FROM loyalty_entry WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s)", {"tenant": tenant.pk, "ids": extra}
    )
    known = {row[0] for row in rows}
    for each in wrong:
        if each["fault"] == "extra" and each["id"] in known:
            each["fault"] = "elsewhere"


def cause(wrong: dict[str, Any]) -> str:
    """What most likely happened to an entry that differs, in words."""
    match wrong["fault"]:
        case "missing":
            return said("It was sent and is not there: ClickHouse lost it, or it was deleted there.")
        case "extra":
            return said(
                "The ledger has no such entry: it was written in ClickHouse by hand, or the ledger was restored from a backup."
            )
        case "elsewhere":
            return said(
                "It is an entry of another day or kind in the ledger: it was changed in ClickHouse, or stands there twice."
            )
    names = [name for name in COLUMNS if wrong["ledger"][name] != wrong["clickhouse"][name]]
    return said("Changed in ClickHouse after it was sent: {names}.", names=", ".join(names))


def _customers(client: Client, tenant: Tenant, bounds: Bounds) -> list[dict[str, Any]]:
    """Balance by balance: customers whose entries add up to something else in ClickHouse."""
    ours, theirs = _our_crowds(bounds), _their_crowds(client, bounds)
    crowds = [place for place in ours.keys() | theirs.keys() if ours.get(place) != theirs.get(place)]
    if not crowds:
        return []
    asked = bounds | {"crowds": sorted(crowds)}
    left: dict[int, tuple[int, ...]] = defaultdict(lambda: (0,) * 4, {row[0]: row[1:] for row in _ask(OUR_BALANCES, asked)})
    rows = client.query(THEIR_BALANCES, parameters=asked).result_rows
    right: dict[int, tuple[int, ...]] = defaultdict(lambda: (0,) * 4, {row[0]: tuple(row[1:]) for row in rows})
    found = [
        {"tenant": tenant.slug, "customer": number, "measure": name, "postgresql": ledger, "clickhouse": other}
        for number in sorted({*left, *right})
        for name, ledger, other in zip(BUCKETS, left[number], right[number], strict=True)
        if ledger != other
    ]
    return found[: CUSTOMERS_KEPT * len(BUCKETS)]


def _keep(
    tenant: Tenant, epoch: FeedEpoch, verdict: Verdict, *, ours: dict[Group, tuple[Any, ...]], theirs: dict[Group, tuple[Any, ...]],
    days: list[date] | None, now: datetime, seconds: float,
) -> None:  # fmt: skip
    counts = {key[0]: 0 for key in ours | theirs}
    for key, sums in ours.items():
        counts[key[0]] += sums[0]
    different = set(verdict.different_days)
    rows = [
        ParityDay(tenant=tenant, business_date=day, ok=day not in different, entries=count, at=now)
        for day, count in counts.items()
    ]
    known = ParityDay.objects.filter(tenant=tenant)
    with transaction.atomic():
        ParityRun.objects.create(
            tenant=tenant, ok=verdict.ok, whole=days is None, rows=verdict.rows, days=verdict.days, seconds=round(seconds, 3),
            differences=verdict.differences[:FIGURES_KEPT], wrong=verdict.wrong[:WRONG_KEPT], wrong_count=verdict.wrong_count,
            epoch=epoch, xid=epoch.xid, row_id=epoch.row_id,
        )  # fmt: skip
        (known if days is None else known.filter(business_date__in=days)).exclude(business_date__in=list(counts)).delete()
        ParityDay.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["tenant", "business_date"], update_fields=["ok", "entries", "at"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of some business days: `equal` None: not compared yet. `at`: of the oldest verdict among them."""

    equal: bool | None
    at: datetime | None
    stale: list[date]
    different: list[date]


def standing(tenant: Tenant, *, since: date, until: date) -> Standing:
    """The verdict of these business days, without asking ClickHouse."""
    last = ParityRun.objects.filter(tenant=tenant).first()
    if last is None:
        return Standing(None, None, [], [])
    whole = ParityRun.objects.filter(tenant=tenant, whole=True).first() or last
    stale = sorted(day for day in stale_days(tenant, last) if since <= day <= until)
    days = list(
        ParityDay.objects.filter(tenant=tenant, business_date__range=(since, until)).values_list("business_date", "ok", "at")
    )
    different = sorted(day for day, ok, _ in days if not ok)
    oldest = min((at for _, _, at in days), default=last.at)
    others = any(
        "business_date" not in each and each["measure"] not in NOT_REPORTED for each in whole.differences
    )  # of customers or of kept sums: only a whole run looks there, and the report reads them
    return Standing(not different and not stale and not others, oldest, stale, different)
