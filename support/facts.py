"""What is known about one customer beyond the balance: loaded in one statement, however long the history, and read by pure checks."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from integrations import missing
from integrations.analytics import clickhouse, feed
from integrations.analytics.feed import Lag
from integrations.models import Bill, Delivery, DeliveryState
from loyalty.models import Customer
from loyalty.money import written
from loyalty.simulator import simulate
from support import simulation
from support.picture import Picture, period
from tenants.errors import DomainError
from tenants.models import Tenant

#: How far back a cause is looked for: beyond, an agent has no customer on the phone about it.
DAYS_BACK = 90
#: Whether everything of the sale `b` has come back.
CAME_BACK = """(
    SELECT coalesce(sum(p.amount), 0) FROM integrations_returnedpart p
    JOIN integrations_bill c ON c.id = p.bill_id AND c.superseded_at IS NULL AND c.cancelled_by_id IS NULL
    WHERE p.tenant_id = %(tenant)s AND p.original_id = b.id) >= greatest(b.net_amount, 0.0001)"""
GATHER = f"""
    WITH bills AS (
        SELECT b.id, b.bill_no, b.store_id, s.name AS store_name, s.code, b.bill_type, b.billed_at, b.net_amount, b.earned_points,
               b.redeemed_points, b.hold_id, b.cancelled_by_id,
               b.bill_class = 'sale' AND {CAME_BACK} AS came_back
        FROM (SELECT * FROM integrations_bill b
              WHERE b.tenant_id = %(tenant)s AND b.customer_id = ANY(%(history)s) AND b.superseded_at IS NULL
              ORDER BY b.billed_at DESC LIMIT 60) b JOIN tenants_store s ON s.id = b.store_id
    ), orders AS MATERIALIZED (
        SELECT o.*, s.code AS store_code, coalesce(nullif(s.name, ''), s.code) AS store
        FROM integrations_erporder o JOIN tenants_store s ON s.id = o.store_id
        WHERE o.tenant_id = %(tenant)s AND o.mobile = ANY(%(mobiles)s) AND o.bill_no <> '' AND o.at BETWEEN %(since)s AND %(now)s
        ORDER BY o.at DESC LIMIT 30
    ), recent AS (
        SELECT id, kind, available, held, pending, business_date FROM loyalty_entry
        WHERE tenant_id = %(tenant)s AND customer_id = ANY(%(history)s) ORDER BY id DESC LIMIT 200
    ), told AS (
        SELECT d.id, d.kind, d.message, d.points, d.raised_at, d.bill_id, b.bill_no, d.hold_id, d.incident_id, b.store_id,
               coalesce(nullif(b.store_name, ''), b.code) AS store, i.id IS NOT NULL AND i.closed_at IS NULL AS shared
        FROM bills b JOIN integrations_discrepancy d ON d.tenant_id = %(tenant)s AND d.bill_id = b.id
        LEFT JOIN integrations_incident i ON i.tenant_id = %(tenant)s AND i.id = d.incident_id
        WHERE b.cancelled_by_id IS NULL AND NOT b.came_back ORDER BY d.id DESC LIMIT 30
    ), asked_stores AS (
        SELECT unnest(%(stores)s::bigint[]) AS id UNION SELECT store_id FROM told
    )
    SELECT jsonb_build_object(
        'bills', (SELECT jsonb_agg(jsonb_build_object('id', id, 'bill_no', bill_no, 'store_id', store_id,
            'store', coalesce(nullif(store_name, ''), code), 'bill_type', bill_type, 'at', billed_at, 'net', net_amount::text,
            'earned', earned_points, 'redeemed', redeemed_points, 'hold_id', hold_id,
            'cancelled', cancelled_by_id IS NOT NULL, 'came_back', came_back) ORDER BY billed_at DESC) FROM bills),
        'debts', (SELECT jsonb_agg(to_jsonb(x)) FROM (
            SELECT e.id, e.of_kind, e.owed, e.unpaid, e.occurred_at AS at, e.reason, e.actor_kind, e.actor_name, e.bill_id, b.bill_no
            FROM (SELECT d.*, d.owed + coalesce((SELECT sum(m.delta) FROM loyalty_entrylot m WHERE m.debt_id = d.id), 0)::bigint AS unpaid
                  FROM loyalty_entry d WHERE %(owed)s > 0 AND d.tenant_id = %(tenant)s AND d.customer_id = ANY(%(history)s)
                      AND d.owed > 0 AND d.kind = 'debt') e
            LEFT JOIN integrations_bill b ON b.tenant_id = e.tenant_id AND b.id = e.bill_id
            WHERE e.unpaid > 0 ORDER BY e.unpaid DESC, e.id DESC LIMIT 5) x),
        'told', (SELECT jsonb_agg(jsonb_build_object('id', id, 'kind', kind, 'message', message, 'points', points, 'at', raised_at,
            'bill_id', bill_id, 'bill_no', bill_no, 'hold_id', hold_id, 'incident_id', incident_id, 'store_id', store_id,
            'store', store, 'shared', shared) ORDER BY id DESC) FROM told),
        'orders', (SELECT jsonb_agg(to_jsonb(x)) FROM (
            SELECT o.id, o.order_no, o.bill_no, o.store, o.store_code, o.amount::text AS amount, o.at, o.state,
                   CASE WHEN b.came_back THEN NULL ELSE b.id END AS bill_id, b.id IS NOT NULL OR d.id IS NOT NULL AS here,
                   EXISTS (SELECT FROM integrations_erporder c WHERE c.tenant_id = %(tenant)s AND c.store_id = o.store_id
                       AND c.bill_no = o.bill_no AND c.state = 'confirmed'
                       AND c.at BETWEEN o.at - interval '60 days' AND o.at + interval '60 days') AS confirmed
            FROM orders o
            LEFT JOIN LATERAL (
                SELECT b.id, {CAME_BACK}
                       OR b.cancelled_by_id IS NOT NULL AS came_back
                FROM integrations_bill b
                WHERE b.tenant_id = %(tenant)s AND b.bill_no = o.bill_no AND b.store_id = o.store_id AND b.bill_class = 'sale'
                  AND b.superseded_at IS NULL AND b.billed_at BETWEEN o.at - interval '60 days' AND o.at + interval '60 days'
                ORDER BY b.billed_at DESC LIMIT 1) b ON true
            LEFT JOIN LATERAL (
                SELECT d.id FROM integrations_delivery d
                WHERE d.tenant_id = %(tenant)s AND d.bill_no = o.bill_no AND d.state NOT IN ('discarded', 'rejected')
                  AND d.received_at > o.at - interval '60 days'
                  AND (d.store_code = o.store_code OR d.store_code IN (
                       SELECT a.code FROM tenants_storealias a WHERE a.tenant_id = %(tenant)s AND a.store_id = o.store_id))
                LIMIT 1) d ON true
            ORDER BY o.at DESC) x),
        'awaited', (SELECT jsonb_agg(to_jsonb(x)) FROM (
            SELECT h.id AS hold_id, o.id, o.order_no, o.state
            FROM unnest(%(hold_ids)s::bigint[], %(hold_stores)s::bigint[], %(hold_numbers)s::text[]) AS h (id, store_id, bill_no), LATERAL (
                SELECT o.id, o.order_no, o.state FROM integrations_erporder o
                WHERE o.tenant_id = %(tenant)s AND o.store_id = h.store_id AND o.bill_no = h.bill_no
                ORDER BY o.state = 'confirmed' DESC, o.at DESC LIMIT 1) o) x),
        'shown', (SELECT to_jsonb(x) FROM (
            SELECT c.points, c.as_of, c.written_by, sum(e.available + e.held - e.owed) AS closing_then,
                   coalesce(bool_or(c.points IN (e.closing, e.usable)), c.points = 0) AS was_ours
            FROM (SELECT points, as_of, written_by FROM integrations_crmbalance
                  WHERE tenant_id = %(tenant)s AND customer_id = %(customer)s AND as_of <= %(now)s ORDER BY as_of DESC LIMIT 1) c
            LEFT JOIN LATERAL (
                SELECT e.available, e.held, e.owed, sum(e.available + e.held - e.owed) OVER (ORDER BY e.id) AS closing,
                       sum(e.available) OVER (ORDER BY e.id) AS usable
                FROM loyalty_entry e
                WHERE e.tenant_id = %(tenant)s AND e.customer_id = %(customer)s AND e.posted_at <= c.as_of) e ON true
            GROUP BY 1, 2, 3) x),
        'habits', (SELECT jsonb_agg(to_jsonb(x)) FROM (
            SELECT s.id AS store_id, count(*) AS freed, count(h.late_bill_id) AS came
            FROM unnest(%(stores)s::bigint[]) AS s (id), LATERAL (
                SELECT late_bill_id FROM loyalty_hold WHERE tenant_id = %(tenant)s AND store_id = s.id AND bill_no <> ''
                    AND state IN ('released', 'expired') ORDER BY id DESC LIMIT 200) h GROUP BY s.id) x),
        'changes', (SELECT jsonb_agg(to_jsonb(x)) FROM (
            SELECT p.id, p.store_id, p.at, p.what FROM integrations_poschange p
            WHERE p.tenant_id = %(tenant)s AND p.at > %(since)s AND (p.store_id IS NULL OR p.store_id IN (SELECT id FROM asked_stores))
            ORDER BY p.at DESC LIMIT 20) x),
        'coming', (SELECT jsonb_agg(to_jsonb(x)) FROM (
            SELECT l.activates_on AS "on", sum(l.pending) AS points FROM loyalty_lot l
            WHERE l.tenant_id = %(tenant)s AND l.customer_id = %(customer)s AND NOT l.spent AND l.pending > 0
            GROUP BY 1 ORDER BY 1 LIMIT 3) x),
        'expired', (SELECT jsonb_agg(to_jsonb(x)) FROM (
            SELECT id, -available - held - pending AS points, business_date AS "on" FROM recent
            WHERE kind = 'expire' AND business_date > %(since)s::date ORDER BY id DESC LIMIT 3) x),
        'judged', (SELECT jsonb_agg(to_jsonb(x)) FROM (
            SELECT DISTINCT ON (v.bonus_id) v.id, n.name AS bonus, b.bill_no, v.business_date AS "on", n.points, unmet.one -> 'asked' AS asked,
                   unmet.one -> 'found' AS found
            FROM (SELECT * FROM bills ORDER BY billed_at DESC LIMIT 3) b
            JOIN loyalty_bonusevaluation v ON v.tenant_id = %(tenant)s AND v.bill_id = b.id AND NOT v.awarded
            JOIN loyalty_bonus n ON n.id = v.bonus_id AND (n.cohort_id IS NULL OR EXISTS (
                SELECT FROM loyalty_cohortmember m WHERE m.tenant_id = %(tenant)s AND m.cohort_id = n.cohort_id
                    AND m.customer_id = ANY(%(history)s))),
            LATERAL (SELECT jsonb_agg(c) -> 0 AS one, count(*) AS many FROM jsonb_array_elements(v.conditions) c
                     WHERE NOT (c ->> 'met')::boolean) unmet
            WHERE unmet.many = 1 AND b.billed_at > %(lately)s ORDER BY v.bonus_id, v.id DESC LIMIT 5) x),
        'merged', (SELECT jsonb_agg(to_jsonb(x)) FROM (
            SELECT c.name, m.merged_at AS at FROM loyalty_customermerge m JOIN loyalty_customer c ON c.id = m.source_id
            WHERE m.tenant_id = %(tenant)s AND m.into_id = %(customer)s AND m.undone_at IS NULL AND m.merged_at > %(since)s
            ORDER BY m.id DESC LIMIT 3) x),
        'incidents', (SELECT jsonb_agg(to_jsonb(x)) FROM (
            SELECT i.id, i.store_id, i.customers, i.message FROM integrations_incident i
            WHERE i.tenant_id = %(tenant)s AND i.closed_at IS NULL AND i.kind = 'no_completion'
              AND i.store_id = ANY(%(stores)s::bigint[])) x),
        'cases', (SELECT jsonb_agg(to_jsonb(x)) FROM (
            SELECT c.id, c.title, c.opened_by, c.opened_at AS at FROM support_case c
            WHERE c.tenant_id = %(tenant)s AND c.customer_id = ANY(%(history)s) AND c.closed_at IS NULL ORDER BY c.id DESC LIMIT 5) x),
        'requests', (SELECT jsonb_agg(to_jsonb(x)) FROM (
            SELECT r.id, r.words, r.asked_by, r.state, r.asked_at AS at FROM support_approvalrequest r
            WHERE r.tenant_id = %(tenant)s AND r.customer_id = ANY(%(history)s) AND r.state IN ('asked', 'approved')
            ORDER BY r.id DESC LIMIT 5) x),
        'contacts', (SELECT jsonb_agg(to_jsonb(x)) FROM (
            SELECT t.topic, concat_ws(', ', t.name, nullif(t.email, ''), nullif(t.phone, ''), nullif(t.hint, '')) AS whom
            FROM support_topiccontact t WHERE t.tenant_id = %(tenant)s) x),
        'erp_speaks', EXISTS (SELECT FROM integrations_erporder o WHERE o.tenant_id = %(tenant)s AND o.at > %(lately)s)
    )
"""  # noqa: S608 - our own text


@dataclass(frozen=True, slots=True)
class BillFact:
    """A booked bill. `net` in the tenant's currency; `redeemed`, `earned` in points."""

    id: int
    bill_no: str
    store_id: int
    store: str
    bill_type: str
    at: datetime
    net: Decimal
    earned: int
    redeemed: int
    hold_id: int | None
    cancelled: bool
    came_back: bool


@dataclass(frozen=True, slots=True)
class Debt:
    """An entry that made the balance negative, and is not paid; `of_kind`: by what."""

    id: int
    of_kind: str | None
    owed: int
    #: What is still owed of it.
    unpaid: int
    at: datetime
    reason: str
    actor_kind: str
    actor_name: str
    bill_id: int | None
    bill_no: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """A discrepancy of one of the bills."""

    id: int
    kind: str
    message: str
    points: int
    at: datetime
    bill_id: int
    bill_no: str
    hold_id: int | None
    incident_id: int | None
    store_id: int
    store: str
    #: Its incident is open.
    shared: bool


@dataclass(frozen=True, slots=True)
class OrderFact:
    """A sale as the ERP has it. `bill_id`: the booked bill that stands; `here`: a message of this store and number came; `confirmed`: the
    ERP has a confirmed order of them."""

    id: int
    order_no: str
    bill_no: str
    store: str
    store_code: str
    amount: Decimal
    at: datetime
    state: str
    bill_id: int | None
    here: bool
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Awaited:
    """The ERP's order of the bill that a hold waits for."""

    hold_id: int
    id: int
    order_no: str
    state: str


@dataclass(frozen=True, slots=True)
class ShownFact:
    """What the CRM showed last, and what the ledger had at that time; `was_ours`: it had the CRM's figure then or before."""

    points: int
    as_of: datetime
    written_by: str
    closing_then: int
    was_ours: bool


@dataclass(frozen=True, slots=True)
class Habit:
    """Of the last redemptions that a store left open and that were freed: for how many the bill came after all."""

    store_id: int
    freed: int
    came: int


@dataclass(frozen=True, slots=True)
class Change:
    """What an integrator logged about a POS; without a store: about all."""

    id: int
    store_id: int | None
    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Shared:
    """An open incident of a store that sends no bills for blocked points."""

    id: int
    store_id: int
    customers: int
    message: str


@dataclass(frozen=True, slots=True)
class Coming:
    on: date
    points: int


@dataclass(frozen=True, slots=True)
class Expired:
    id: int
    points: int
    on: date


@dataclass(frozen=True, slots=True)
class Judged:
    """A bonus that failed by one condition only, of rules that are for this customer, or of a bill that is asked about."""

    id: int
    bonus: str
    bill_no: str
    on: date
    points: int
    asked: str
    found: str


@dataclass(frozen=True, slots=True)
class Merged:
    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Unearned:
    """A bill that earned nothing. `why` as a clause: `its items earn nothing (department FUEL is excluded)`."""

    bill_id: int
    bill_no: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class OpenCase:
    """A complaint that somebody looks after."""

    id: int
    title: str
    opened_by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """An act that waits for a second person."""

    id: int
    words: str
    asked_by: str
    state: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to turn to about a topic."""

    topic: str
    whom: str


class Owned(StrEnum):
    THEIRS = "theirs"
    NOBODYS = "nobody's"
    ANOTHERS = "another's"


@dataclass(frozen=True, slots=True)
class Asked:
    """A bill number that somebody asks about: the booked bill, else the message that came, else its neighbours in the series."""

    bill_no: str
    bill: BillFact | None = None
    owner: Owned = Owned.THEIRS
    delivery_id: int | None = None
    delivery_state: str = ""
    message: str = ""
    order: OrderFact | None = None
    before: BillFact | None = None
    after: BillFact | None = None
    store_code: str = ""
    #: Days between its neighbours on which the store sold nothing, against its rhythm.
    silent: tuple[date, ...] = ()
    judged: tuple[Judged, ...] = ()


@dataclass(frozen=True, slots=True)
class Dashboard:
    """What ClickHouse says; `closing` None: it could not be asked."""

    closing: int | None
    entries: int
    lag: Lag


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the checks may read. `dashboard`, `unearned`, `asked`: None or empty unless they were asked for."""

    picture: Picture
    bills: tuple[BillFact, ...] = ()
    debts: tuple[Debt, ...] = ()
    told: tuple[Told, ...] = ()
    orders: tuple[OrderFact, ...] = ()
    awaited: tuple[Awaited, ...] = ()
    shown: ShownFact | None = None
    habits: tuple[Habit, ...] = ()
    changes: tuple[Change, ...] = ()
    coming: tuple[Coming, ...] = ()
    expired: tuple[Expired, ...] = ()
    judged: tuple[Judged, ...] = ()
    merged: tuple[Merged, ...] = ()
    incidents: tuple[Shared, ...] = ()
    cases: tuple[OpenCase, ...] = ()
    requests: tuple[Waiting, ...] = ()
    contacts: tuple[Contact, ...] = ()
    erp_speaks: bool = False
    dashboard: Dashboard | None = None
    unearned: tuple[Unearned, ...] = ()
    asked: Asked | None = None


def gather(picture: Picture) -> Facts:
    """One statement."""
    balance, customer, tenant = picture.balance, picture.customer, picture.tenant
    numbers = [customer.mobile, *(alias.mobile for alias in picture.aliases if alias.valid_until is None)]
    named = [hold for hold in picture.active_holds if hold.bill_no and hold.store_id]
    with connection.cursor() as cursor:
        cursor.execute(
            GATHER,
            {
                "tenant": tenant.pk, "customer": customer.pk, "history": list(picture.history), "mobiles": numbers, "owed": balance.owed,
                "hold_ids": [hold.pk for hold in named], "hold_stores": [hold.store_id for hold in named],
                "hold_numbers": [hold.bill_no for hold in named], "now": picture.now,
                "stores": sorted({hold.store_id for hold in picture.active_holds if hold.store_id}),
                "since": picture.now - timedelta(days=DAYS_BACK), "lately": picture.now - timedelta(days=30),
            },
        )  # fmt: skip
        found = cursor.fetchone()[0]
    said: dict[str, Any] = json.loads(found) if isinstance(found, str) else found
    return Facts(
        picture,
        bills=_rows(BillFact, said["bills"]),
        debts=_rows(Debt, said["debts"]),
        told=_rows(Told, said["told"]),
        orders=_rows(OrderFact, said["orders"]),
        awaited=_rows(Awaited, said["awaited"]),
        shown=next(iter(_rows(ShownFact, [said["shown"]] if said["shown"] else [])), None),
        habits=_rows(Habit, said["habits"]),
        changes=_rows(Change, said["changes"]),
        coming=_rows(Coming, said["coming"]),
        expired=_rows(Expired, said["expired"]),
        judged=_rows(Judged, said["judged"]),
        merged=_rows(Merged, said["merged"]),
        incidents=_rows(Shared, said["incidents"]),
        cases=_rows(OpenCase, said["cases"]),
        requests=_rows(Waiting, said["requests"]),
        contacts=_rows(Contact, said["contacts"]),
        erp_speaks=said["erp_speaks"],
    )


#: Columns that JSON holds as text.
_READ: dict[str, Any] = {
    "at": datetime.fromisoformat, "as_of": datetime.fromisoformat, "on": date.fromisoformat, "net": Decimal, "amount": Decimal,
    "closing_then": lambda value: int(value or 0),
}  # fmt: skip


def _rows[Fact](kind: type[Fact], rows: Iterable[dict[str, Any]] | None) -> tuple[Fact, ...]:
    return tuple(
        kind(**{name: _READ[name](value) if name in _READ else value for name, value in row.items()}) for row in rows or ()
    )


def ask_dashboard(customer: Customer) -> Dashboard:
    """What ClickHouse says of this customer; two seconds at most."""
    lag = feed.lag()  # first: what was on its way then may have arrived when we ask
    try:
        with clickhouse.connected(timeout_seconds=2) as client:
            closing, entries = clickhouse.customer_closing(client, tenant_id=customer.tenant_id, customer_id=customer.pk)
    except clickhouse.Away:
        return Dashboard(None, 0, lag)
    return Dashboard(closing, entries, lag)


#: Bills that earned nothing and are explained, and how old they may be.
UNEARNED_MAX, UNEARNED_WITHIN = 3, timedelta(days=30)


def unearned(facts: Facts) -> tuple[Unearned, ...]:
    """The newest bills that earned nothing, judged once more by the rule of their day."""
    picture = facts.picture
    found = []
    for bill in facts.bills:
        if bill.earned or bill.bill_type != "SALE" or bill.cancelled or bill.at < picture.now - UNEARNED_WITHIN:
            continue
        try:
            asked = simulation.of_bill(Bill.objects.select_related("store", "tenant").get(tenant=picture.tenant, pk=bill.id))
            judged = simulate(
                picture.tenant, asked.purchase, store_id=bill.store_id, customer_id=picture.customer.pk, without_bills=[bill.id]
            )
        except DomainError as problem:
            found.append(Unearned(bill.id, bill.bill_no, bill.at, problem.sentence.rstrip(".").lower()))
        else:
            if why := _why_nothing(judged.earned.snapshot, currency=picture.tenant.currency):
                found.append(Unearned(bill.id, bill.bill_no, bill.at, why))
        if len(found) == UNEARNED_MAX:
            break
    return tuple(found)


def _why_nothing(snapshot: dict[str, Any], *, currency: str) -> str:
    """The clause; empty, where by today's rules it would have earned."""
    if snapshot["points"]:
        return ""
    if snapshot["kind"] == "visit_count" and snapshot["visited_before"]:
        return _("points are given once a day and store, and there was a visit before on this day")
    base, paid = Decimal(snapshot["base"]), Decimal(snapshot["paid_by_points"])
    amount, left_out = written(base, currency=currency), "; ".join(snapshot.get("left_out") or ())
    if snapshot["kind"] == "visit_count":
        return _("its items are no visit ({why})").format(why=left_out) if left_out else _("it is no visit by the rule")
    if minimum := snapshot.get("minimum_spend"):
        below = _("{amount} is below the minimum of {minimum}")
        return below.format(amount=amount, minimum=written(minimum, currency=currency))
    if base <= 0 and paid > 0:
        return _("it was paid with points, which earn nothing")
    if base <= 0 and left_out:
        return _("its items earn nothing ({why})").format(why=left_out)
    if (cap := snapshot.get("cap")) and cap["a"] != "issue":
        capped = _("at most {limit} points a {period} are given, and {had} had been earned")
        return capped.format(limit=cap["limit"], period=period(cap), had=cap["had"])
    if base <= 0:
        return _("nothing was paid")
    less = _("{amount} is less than one point needs ({needed})")
    return less.format(amount=amount, needed=written(snapshot["earn_per"], currency=currency))


_BILL = f"""
    SELECT b.id, b.bill_no, b.store_id, coalesce(nullif(s.name, ''), s.code), b.bill_type, b.billed_at, b.net_amount, b.earned_points,
           b.redeemed_points, b.hold_id, b.cancelled_by_id IS NOT NULL,
           b.bill_class = 'sale' AND {CAME_BACK},
           b.customer_id, s.code
    FROM integrations_bill b JOIN tenants_store s ON s.id = b.store_id
    WHERE b.tenant_id = %(tenant)s AND b.superseded_at IS NULL
"""  # noqa: S608 - our own text
#: The bill itself, the customer's own first, a sale first; then its neighbours among the sales.
NEIGHBOURS = f"""
    ({_BILL} AND b.bill_no = %(number)s
     ORDER BY coalesce(b.customer_id = ANY(%(history)s), false) DESC, b.bill_class = 'sale' DESC, b.billed_at DESC LIMIT 1)
    UNION ALL ({_BILL} AND b.bill_class = 'sale' AND b.bill_no < %(number)s ORDER BY b.bill_no DESC, b.billed_at DESC LIMIT 1)
    UNION ALL ({_BILL} AND b.bill_class = 'sale' AND b.bill_no > %(number)s ORDER BY b.bill_no, b.billed_at DESC LIMIT 1)
"""
#: A message in one of these states is a bill that is here and not booked.
NOT_BOOKED = (DeliveryState.RECEIVED, DeliveryState.QUARANTINED, DeliveryState.CONFLICT, DeliveryState.WAITING_PARENT)


def ask_about(facts: Facts, bill_no: str) -> Asked:
    """What is known of a bill's number, wherever it stands: the customer's own first, and what the ERP has of them before another's."""
    picture, number = facts.picture, bill_no.strip()
    with connection.cursor() as cursor:
        cursor.execute(NEIGHBOURS, {"tenant": picture.tenant.pk, "number": number, "history": list(picture.history)})
        rows = [(BillFact(*row[:12]), row[12], row[13]) for row in cursor.fetchall()]
    order = next((each for each in facts.orders if each.bill_no == number and each.bill_id is None and not each.here), None)
    for bill, customer_id, code in rows:
        if bill.bill_no == number:
            if customer_id in picture.history:
                return Asked(number, bill, Owned.THEIRS, store_code=code, judged=_judged(picture.tenant.pk, bill))
            if order is None:
                return Asked(number, bill, Owned.NOBODYS if customer_id is None else Owned.ANOTHERS, store_code=code)
    delivery = (
        Delivery.objects.filter(tenant=picture.tenant, bill_no=number, state__in=NOT_BOOKED).defer("body").order_by("-id").first()
    )
    if delivery is not None:
        return Asked(
            number, delivery_id=delivery.pk, delivery_state=delivery.get_state_display(), message=delivery.message,
            store_code=delivery.store_code,
        )  # fmt: skip
    before = next((row for row in rows if row[0].bill_no < number and _same_series(row[0].bill_no, number)), None)
    after = next((row for row in rows if row[0].bill_no > number and _same_series(row[0].bill_no, number)), None)
    code = order.store_code if order else next((row[2] for row in (before, after) if row), "")
    silent = _silent(picture.tenant, before[0], after[0]) if before and after else ()
    return Asked(
        number,
        order=order,
        before=before[0] if before else None,
        after=after[0] if after else None,
        store_code=code,
        silent=silent,
    )


_JUDGED = """
    SELECT v.id, n.name, v.business_date, n.points, unmet.one ->> 'asked', unmet.one ->> 'found'
    FROM loyalty_bonusevaluation v JOIN loyalty_bonus n ON n.id = v.bonus_id,
    LATERAL (SELECT jsonb_agg(c) -> 0 AS one, count(*) AS many FROM jsonb_array_elements(v.conditions) c
             WHERE NOT (c ->> 'met')::boolean) unmet
    WHERE v.tenant_id = %s AND v.bill_id = %s AND NOT v.awarded AND unmet.many = 1 ORDER BY v.id LIMIT 5
"""


def _judged(tenant_id: int, bill: BillFact) -> tuple[Judged, ...]:
    with connection.cursor() as cursor:
        cursor.execute(_JUDGED, [tenant_id, bill.id])
        return tuple(Judged(row[0], row[1], bill.bill_no, *row[2:]) for row in cursor.fetchall())


def _silent(tenant: Tenant, before: BillFact, after: BillFact) -> tuple[date, ...]:
    """At most five days are looked at: beyond, the numbers say nothing about the time."""
    first, last = (each.at.astimezone(tenant.zone).date() for each in (before, after))
    days = [first + timedelta(days=count) for count in range(1, (last - first).days)][:5]
    return tuple(day for day in days if any(each.store_id == before.store_id for each in missing.silent(tenant, on=day)))


def _same_series(one: str, other: str) -> bool:
    """Numbers of one length that differ in their digits at the end only."""
    digits = "0123456789"
    return len(one) == len(other) and one.rstrip(digits) == other.rstrip(digits)
