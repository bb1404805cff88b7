"""Everything the desk shows of one customer, loaded in a fixed number of indexed queries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Prefetch, Q

from integrations import feed
from integrations.models import Bill, Delivery, DeliveryState, FeedEpoch, Message
from loyalty import customers
from loyalty.models import Balance, BonusEvaluation, Customer, CustomerAlias, CustomerMerge, Entry, EntryLot, Hold, Lot
from loyalty.money import written
from loyalty.state import HoldState, Kind
from support.models import ApprovalRequest, Case, Note
from tenants.models import AuditEvent, Tenant

ENTRIES_A_PAGE = 40
BILLS_SHOWN = 40
HOLDS_SHOWN = 50
EVALUATIONS_SHOWN = 60
LINES_SHOWN = 100

FED = """
    SELECT bill_id, bool_and((xid, id) <= (%s::text::xid8, %s)) FROM loyalty_entry
    WHERE tenant_id = %s AND bill_id = ANY(%s) GROUP BY bill_id
"""


@dataclass(frozen=True, slots=True)
class Stop:
    """One of the places a bill passes. `at` None: not there (yet); `note` says why or what."""

    name: str
    at: datetime | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Traced:
    """A bill with its stops: POS, received, posted, analytics, CRM."""

    bill: Bill
    stops: tuple[Stop, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """One customer as of now."""

    tenant: Tenant
    customer: Customer
    balance: Balance
    aliases: tuple[CustomerAlias, ...]
    #: Whose entries and bills are this customer's history: their own, and those of whom was merged into them.
    history: tuple[int, ...]
    active_holds: tuple[Hold, ...]
    unsettled: tuple[Delivery, ...]
    now: datetime


def load(tenant: Tenant, customer: Customer, *, now: datetime) -> Picture:
    holds = (
        Hold.objects.filter(tenant=tenant, customer=customer, state=HoldState.ACTIVE.value).select_related("store").order_by("at")
    )
    stuck = (DeliveryState.QUARANTINED, DeliveryState.CONFLICT, DeliveryState.WAITING_PARENT)
    aliases = tuple(CustomerAlias.objects.filter(tenant=tenant, customer=customer))
    numbers = [customer.mobile, *(alias.mobile for alias in aliases if alias.valid_until is None)]
    came_right = Bill.objects.filter(
        Q(store__code=OuterRef("store_code")) | Q(store__aliases__code=OuterRef("store_code")), tenant=tenant,
        bill_no=OuterRef("bill_no"), superseded_at=None, posted_at__gt=OuterRef("received_at"),
    )  # fmt: skip
    unsettled = Delivery.objects.filter(tenant=tenant, mobile__in=numbers, state__in=stuck).defer("body")
    unsettled = unsettled.exclude(Q(state=DeliveryState.QUARANTINED) & Exists(came_right))
    history = tuple(customers.families(tenant, [customer.pk]))
    return Picture(
        tenant=tenant,
        customer=customer,
        balance=Balance.objects.get(tenant=tenant, customer=customer),
        aliases=aliases,
        history=history,
        active_holds=tuple(holds),
        unsettled=tuple(unsettled.order_by("-id")[:10]),
        now=now,
    )


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline: an entry in the words of the desk."""

    entry: Entry
    title: str
    effect: str
    negative: bool
    about: str
    why: tuple[tuple[str, str], ...]
    #: Somebody did it by hand, so it can be undone at the desk.
    by_hand: bool
    #: It left points owed.
    owed: bool = False
    #: The other entry that this line tells of, too.
    also: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the timeline; `older` is the cursor of the next one."""

    lines: tuple[Line, ...]
    older: int | None


#: What happened, as an agent would say it.
TITLES = {
    Kind.EARN: "Earned",
    Kind.BONUS: "Bonus",
    Kind.ISSUE: "Issued",
    Kind.ACTIVATE: "Became available",
    Kind.HOLD: "Blocked",
    Kind.CAPTURE: "Redeemed",
    Kind.RELEASE: "Unblocked",
    Kind.REDEEM: "Redeemed",
    Kind.EXPIRE: "Expired",
    Kind.EXTEND: "Expiry moved",
    Kind.ADJUST: "Adjusted",
    Kind.RESET: "Reset",
    Kind.ROLLBACK: "Taken back",
    Kind.DEBT: "Negative",
    Kind.RESTORE: "Given back",
    Kind.REVERSAL: "Reversed",
    Kind.MERGE: "Merged",
}


def timeline(picture: Picture, *, kind: str = "", before: int | None = None) -> Page:
    """Newest first."""
    tenant = picture.tenant
    movements = EntryLot.objects.filter(tenant=tenant).select_related("lot").order_by("id")
    entries = Entry.objects.filter(tenant=tenant, customer__in=picture.history).select_related("store", "hold")
    if kind in set(Kind):
        entries = entries.filter(kind=kind)
    if before:
        entries = entries.filter(pk__lt=before)
    page = list(entries.prefetch_related(Prefetch("movements", movements)).order_by("-id")[: ENTRIES_A_PAGE + 1])
    more = len(page) > ENTRIES_A_PAGE
    page = page[:ENTRIES_A_PAGE]
    ids = {entry.bill_id for entry in page if entry.bill_id}
    bills = {bill.pk: bill for bill in Bill.objects.filter(tenant=tenant, pk__in=ids)}
    lines = [_line(entry, bills.get(entry.bill_id or 0), tenant) for entry in page]
    return Page(tuple(_as_stories(lines)), page[-1].pk if more else None)


def _as_stories(lines: Sequence[Line]) -> Iterable[Line]:
    """What made a balance negative, and the debt that it made, are one line: they are one act in two entries."""
    told: list[Line] = []
    for line in lines:
        other = told[-1] if told else None
        if other is not None and other.entry.operation == line.entry.operation and _is_debt_of(other.entry, line.entry):
            told[-1] = replace(
                line, title=f"{line.title}, more than there was", effect=f"{line.effect}, {other.effect}", negative=True,
                owed=True, why=(*line.why, *other.why), also=other.entry.pk,
            )  # fmt: skip
        else:
            told.append(line)
    return told


def _is_debt_of(debt: Entry, entry: Entry) -> bool:
    return debt.kind == Kind.DEBT and debt.owed > 0 and debt.of_kind == entry.kind and not entry.of_kind


def line_of(entry: Entry, tenant: Tenant) -> Line:
    """One entry by itself."""
    return _line(entry, Bill.objects.filter(tenant=tenant, pk=entry.bill_id).first() if entry.bill_id else None, tenant)


def _line(entry: Entry, bill: Bill | None, tenant: Tenant) -> Line:
    kind = Kind(entry.kind)
    title = TITLES[kind]
    if entry.of_kind:
        title = f"{title}: {TITLES[Kind(entry.of_kind)].lower()}"
    if kind is Kind.RELEASE and entry.actor_kind == "system":
        title = "Unblocked by time" if entry.bill_id is None else "Unblocked (rest)"
    negative = entry.owed > 0 or entry.available + entry.held + entry.pending < 0
    why = tuple(_why(entry, bill, tenant))
    return Line(entry, title, _effect(entry), negative, _about(entry, bill), why, is_by_hand(entry), owed=entry.owed > 0)


def is_by_hand(entry: Entry) -> bool:
    """Whether it is an entry of something that can be undone at the desk."""
    return entry.kind in (Kind.ISSUE, Kind.ADJUST, Kind.RESET) and not entry.of_kind and entry.bill_id is None


def _effect(entry: Entry) -> str:
    """The points that moved, signed, as people say it."""
    if entry.held and entry.available:
        return f"{entry.available:+,} available, {entry.held:+,} blocked"
    parts = []
    if entry.available:
        parts.append(f"{entry.available:+,}")
    if entry.held:
        parts.append(f"{entry.held:+,} blocked")
    if entry.pending:
        parts.append(f"{entry.pending:+,} pending")
    if entry.owed > 0:
        parts.append(f"−{entry.owed:,} owed now")
    elif entry.owed < 0:
        parts.append(f"{-entry.owed:,} paid what was owed")
    return ", ".join(parts) or "0"


def _about(entry: Entry, bill: Bill | None) -> str:
    parts = []
    if bill:
        parts.append(f"Bill {bill.bill_no}")
    elif entry.hold and entry.hold.bill_no and entry.kind == Kind.HOLD:
        parts.append(f"for bill {entry.hold.bill_no}")
    if entry.store:
        parts.append(str(entry.store))
    if entry.actor_kind == "person":
        parts.append(f"by {entry.actor_name}: “{entry.reason}”")
    elif bill is None and entry.kind != Kind.HOLD:
        parts.append(entry.reason)
    return " · ".join(parts)


def _why(entry: Entry, bill: Bill | None, tenant: Tenant) -> list[tuple[str, str]]:
    """The arithmetic behind an entry, row by row."""
    rows: list[tuple[str, str]] = []
    rows += _why_points(entry.snapshot or {}, tenant)
    if entry.hold:
        rows.append(
            ("Redemption", f"{entry.hold.reference}, {entry.hold.points:,} points at {entry.hold.rate.normalize():f} each")
        )
    for move in entry.movements.all():
        if move.lot is None:
            rows.append(("Negative balance", f"{move.delta:+,} owed, paid by no points"))
            continue
        until = f"expires {move.lot.expires_on:%d %b %Y}" if move.lot.expires_on else "never expires"
        paid = (" to pay what was owed" if move.delta < 0 else " that had paid what was owed") if move.debt_id else ""
        rows.append((f"Lot of {move.lot.granted_on:%d %b %Y}", f"{move.delta:+,} {word(move.bucket)}{paid} ({until})"))
    rows.append(("By", f"{entry.actor_name} ({entry.actor_kind}): {entry.reason}"))
    rows.append(("Posted", f"{entry.posted_at:%d %b %Y %H:%M:%S} UTC, entry {entry.pk}, operation {entry.operation}"))
    return rows


def _why_points(snapshot: dict[str, Any], tenant: Tenant) -> list[tuple[str, str]]:
    """An entry's snapshot in words: an earning, a bonus, a moved date."""
    if "bonus" in snapshot:
        return [("Bonus", f"{snapshot['bonus']}: {snapshot['points']} points")]
    if "lots" in snapshot:
        return [
            ("Expiry", f"{each.get('points', '')} points: {each['from'] or 'never'} → {each['to'] or 'never'}".strip())
            for each in snapshot["lots"]
        ]
    return why_earned(snapshot, tenant) if snapshot else []


def why_earned(snapshot: dict[str, Any], tenant: Tenant) -> list[tuple[str, str]]:
    """The arithmetic of an earning, from its snapshot."""
    rows = [("Rule", f"{snapshot['programme']}, version {snapshot['version']}")]
    base = f"{money(snapshot['net'], tenant)} net"
    if Decimal(snapshot["paid_by_points"]):
        base += f" − {money(snapshot['paid_by_points'], tenant)} paid with points"
    if base_differs := Decimal(snapshot["net"]) - Decimal(snapshot["paid_by_points"]) != Decimal(snapshot["base"]):
        base += ", less what earns nothing"
    rows.append(("Base", f"{base} = {money(snapshot['base'], tenant)}" if base_differs or "−" in base else base))
    rows += [("Earns nothing", f"{money(amount, tenant)}: {why}") for why, amount in snapshot.get("left_out", {}).items()]
    rows += [
        ("Multiplier", f"{name}: {money(each['amount'], tenant)} count {each['factor']} times")
        for name, each in snapshot.get("multipliers", {}).items()
    ]
    if minimum := snapshot.get("minimum_spend"):
        rows.append(("Minimum", f"{money(snapshot['base'], tenant)} is below {money(minimum, tenant)}: no points"))
    elif snapshot["kind"] == "visit_count":
        visited = "there was one before on this day" if snapshot["visited_before"] else "the first of this day"
        rows.append(("Points", f"one a visit; {visited} = {snapshot['points']}"))
    else:
        rows.append(("Points", _arithmetic(snapshot, tenant)))
    if issued := snapshot.get("issued"):
        rows.append(("Issued before", f"{issued} points had been given for this bill before it came: {snapshot['points']} more"))
    if (cap := snapshot.get("cap")) and cap["a"] != "issue":
        rows.append(
            (
                "Cap",
                f"at most {cap['limit']} a {cap['a']}, {cap['had']} had been earned: {snapshot['points']} of {cap['uncapped']}",
            )
        )
    return rows


def _arithmetic(snapshot: dict[str, Any], tenant: Tenant) -> str:
    uncapped = snapshot.get("cap", {}).get("uncapped", snapshot["points"])
    rounded = {"down": "rounded down", "nearest": "rounded to the nearest", "up": "rounded up"}[snapshot["rounding"]]
    top = money(snapshot["base"], tenant)
    if "weighted" in snapshot:
        top += f" × {snapshot['weighted']} ÷ {snapshot['lines']}"
    return f"{top} ÷ {snapshot['earn_per']}, {rounded} = {uncapped}"


def word(bucket: str) -> str:
    return "blocked" if bucket == "held" else bucket


def money(amount: Decimal | str, tenant: Tenant) -> str:
    return written(amount, currency=tenant.currency)


def holds_of(picture: Picture) -> Sequence[Hold]:
    rows = Hold.objects.filter(tenant=picture.tenant, customer=picture.customer).select_related("store").order_by("-id")
    return list(rows[:HOLDS_SHOWN])


def lots_of(picture: Picture) -> Sequence[Lot]:
    rows = Lot.objects.filter(tenant=picture.tenant, customer=picture.customer, spent=False).order_by("expires_on", "entry_id")
    return list(rows[:100])


def evaluations_of(picture: Picture) -> Sequence[BonusEvaluation]:
    """How bonus rules judged the newest bills, with the bill's number and the first condition that was not met."""
    rows = (
        BonusEvaluation.objects.filter(tenant=picture.tenant, customer__in=picture.history)
        .select_related("bonus")
        .order_by("-id")
    )
    found = list(rows[:EVALUATIONS_SHOWN])
    bills = Bill.objects.filter(tenant=picture.tenant, pk__in=[row.bill_id for row in found if row.bill_id])
    numbers = dict(bills.values_list("pk", "bill_no"))
    for row in found:
        row.bill_no = numbers.get(row.bill_id, "")
        row.first_unmet = next((f"{each['asked']} ({each['found']})" for each in row.conditions if not each["met"]), "")
    return found


def messages_of(picture: Picture) -> Sequence[Message]:
    """What the customer was told, newest first."""
    return list(Message.objects.filter(tenant=picture.tenant, customer__in=picture.history)[:LINES_SHOWN])


def cases_of(picture: Picture) -> Sequence[Case]:
    return list(Case.objects.filter(tenant=picture.tenant, customer__in=picture.history)[:LINES_SHOWN])


def notes_of(picture: Picture) -> Sequence[Note]:
    """What was written beside and in the cases, newest first."""
    return list(Note.objects.filter(tenant=picture.tenant, customer__in=picture.history).select_related("case")[:LINES_SHOWN])


def merges_of(picture: Picture) -> Sequence[CustomerMerge]:
    """Who was merged into them, and stands so."""
    rows = CustomerMerge.objects.filter(tenant=picture.tenant, into=picture.customer, undone_at=None).select_related("source")
    return list(rows[:LINES_SHOWN])


def events_of(picture: Picture) -> Sequence[AuditEvent]:
    """Who did and looked at what of this customer, newest first."""
    ids = [str(pk) for pk in picture.history]
    events = AuditEvent.objects.filter(tenant=picture.tenant, object_type="loyalty.customer", object_id__in=ids)
    holds = Hold.objects.filter(tenant=picture.tenant, customer=picture.customer).order_by("-id").values_list("pk", flat=True)
    asked = ApprovalRequest.objects.filter(tenant=picture.tenant, customer__in=picture.history).values_list("pk", flat=True)
    cases = Case.objects.filter(tenant=picture.tenant, customer__in=picture.history).values_list("pk", flat=True)
    for kind, rows in (("loyalty.hold", holds), ("support.approvalrequest", asked), ("support.case", cases)):
        same = AuditEvent.objects.filter(
            tenant=picture.tenant, object_type=kind, object_id__in=[str(pk) for pk in rows[:LINES_SHOWN]]
        )
        events = events | same
    return list(events.order_by("-id")[:LINES_SHOWN])


def bills_of(picture: Picture) -> list[Traced]:
    """The newest bills with their five stops; four queries, however many bills."""
    rows = Bill.objects.filter(tenant=picture.tenant, customer__in=picture.history).select_related("store").order_by("-billed_at")
    bills = list(rows[:BILLS_SHOWN])
    ids = [bill.pk for bill in bills]
    received: dict[int, Delivery] = {}
    for delivery in Delivery.objects.filter(tenant=picture.tenant, bill_id__in=ids).defer("body").order_by("-id"):
        if delivery.state in (DeliveryState.APPLIED, DeliveryState.REVERSED):
            received[delivery.bill_id or 0] = delivery
    epoch = feed.present_epoch()
    with connection.cursor() as cursor:
        cursor.execute(FED, [epoch.xid if epoch else "0", epoch.row_id if epoch else 0, picture.tenant.pk, ids])
        fed = dict(cursor.fetchall())
    return [Traced(bill, _stops(bill, received.get(bill.pk), fed.get(bill.pk), epoch)) for bill in bills]


def _stops(bill: Bill, delivery: Delivery | None, fed: bool | None, epoch: FeedEpoch | None) -> tuple[Stop, ...]:
    if fed is None:
        analytics = Stop("Analytics", None, "no points, nothing to send")
    elif fed and epoch:
        analytics = Stop("Analytics", epoch.moved_at, "sent")
    else:
        analytics = Stop("Analytics", None, "on its way")
    return (
        Stop("POS", bill.billed_at, str(bill.store)),
        Stop("Received", delivery.received_at if delivery else None, delivery.receipt if delivery else "no delivery"),
        Stop("Posted", bill.posted_at, f"{bill.earned_points:+,} earned"),
        analytics,
        Stop("CRM", None, "not connected"),
    )
