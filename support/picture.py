"""Everything the desk shows of one customer, loaded in a fixed number of indexed queries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Prefetch, Q, Value
from django.utils.dateformat import format as formatted
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.analytics import feed
from integrations.models import Bill, Delivery, DeliveryState, FeedEpoch, Message
from loyalty import customers
from loyalty.models import Balance, BonusEvaluation, Customer, CustomerAlias, CustomerMerge, Entry, EntryLot, Hold, Lot
from loyalty.money import written
from loyalty.state import HoldState, Kind
from support.models import ApprovalRequest, Case, Note
from tenants.masking import hide_numbers
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
    Kind.EARN: gettext_lazy("Earned"),
    Kind.BONUS: gettext_lazy("Bonus"),
    Kind.ISSUE: gettext_lazy("Issued"),
    Kind.ACTIVATE: gettext_lazy("Became available"),
    Kind.HOLD: gettext_lazy("Blocked"),
    Kind.CAPTURE: gettext_lazy("Redeemed"),
    Kind.RELEASE: gettext_lazy("Unblocked"),
    Kind.REDEEM: gettext_lazy("Redeemed"),
    Kind.EXPIRE: gettext_lazy("Expired"),
    Kind.EXTEND: gettext_lazy("Expiry moved"),
    Kind.ADJUST: gettext_lazy("Adjusted"),
    Kind.RESET: gettext_lazy("Reset"),
    Kind.ROLLBACK: gettext_lazy("Taken back"),
    Kind.DEBT: gettext_lazy("Negative"),
    Kind.RESTORE: gettext_lazy("Given back"),
    Kind.REVERSAL: gettext_lazy("Reversed"),
    Kind.MERGE: gettext_lazy("Merged"),
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
            title = _("{title}, more than there was").format(title=line.title)
            told[-1] = replace(
                line, title=title, effect=f"{line.effect}, {other.effect}", negative=True, owed=True,
                why=(*line.why, *other.why), also=other.entry.pk,
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
    title = title_of(entry)
    if entry.kind == Kind.RELEASE and entry.actor_kind == "system":
        title = _("Unblocked by time") if entry.bill_id is None else _("Unblocked (rest)")
    negative = entry.owed > 0 or entry.available + entry.held + entry.pending < 0
    why = tuple(_why(entry, bill, tenant))
    return Line(entry, title, _effect(entry), negative, _about(entry, bill), why, is_by_hand(entry), owed=entry.owed > 0)


def title_of(entry: Entry) -> str:
    title = str(TITLES[Kind(entry.kind)])
    return f"{title}: {str(TITLES[Kind(entry.of_kind)]).lower()}" if entry.of_kind else title


def is_by_hand(entry: Entry) -> bool:
    """Whether it is an entry of something that can be undone at the desk."""
    return entry.kind in (Kind.ISSUE, Kind.ADJUST, Kind.RESET) and not entry.of_kind and entry.bill_id is None


def _effect(entry: Entry) -> str:
    """The points that moved, signed, as people say it."""
    if entry.held and entry.available:
        return _("{available:+,} available, {blocked:+,} blocked").format(available=entry.available, blocked=entry.held)
    parts = []
    if entry.available:
        parts.append(f"{entry.available:+,}")
    if entry.held:
        parts.append(_("{points:+,} blocked").format(points=entry.held))
    if entry.pending:
        parts.append(_("{points:+,} pending").format(points=entry.pending))
    if entry.owed > 0:
        parts.append(_("−{points:,} owed now").format(points=entry.owed))
    elif entry.owed < 0:
        parts.append(_("{points:,} paid what was owed").format(points=-entry.owed))
    return ", ".join(parts) or "0"


def _about(entry: Entry, bill: Bill | None) -> str:
    parts = []
    if bill:
        parts.append(_("Bill {bill_no}").format(bill_no=bill.bill_no))
    elif entry.hold and entry.hold.bill_no and entry.kind == Kind.HOLD:
        parts.append(_("for bill {bill_no}").format(bill_no=entry.hold.bill_no))
    if entry.store:
        parts.append(str(entry.store))
    if entry.actor_kind == "person":
        parts.append(_("by {who}: “{reason}”").format(who=entry.actor_name, reason=hide_numbers(entry.reason)))
    elif bill is None and entry.kind != Kind.HOLD:
        parts.append(hide_numbers(entry.reason))
    return " · ".join(parts)


def _why(entry: Entry, bill: Bill | None, tenant: Tenant) -> list[tuple[str, str]]:
    """The arithmetic behind an entry, row by row."""
    rows: list[tuple[str, str]] = []
    rows += _why_points(entry.snapshot or {}, tenant)
    if entry.hold:
        hold, told = entry.hold, _("{reference}, {points:,} points at {rate} each")
        rows.append(
            (_("Redemption"), told.format(reference=hold.reference, points=hold.points, rate=f"{hold.rate.normalize():f}"))
        )
    for move in entry.movements.all():
        if move.lot is None:
            rows.append((_("Negative balance"), _("{points:+,} owed, paid by no points").format(points=move.delta)))
            continue
        rows.append((_("Lot of {day}").format(day=_day(move.lot.granted_on)), _why_lot(move, move.lot)))
    rows.append((_("By"), f"{entry.actor_name} ({entry.actor_kind}): {hide_numbers(entry.reason)}"))
    if entry.job_id:
        rows.append((_("Bulk job"), str(entry.job_id)))
    posted = _("{at} UTC, entry {entry}, operation {operation}")
    at = formatted(entry.posted_at, "d M Y H:i:s")
    rows.append((_("Posted"), posted.format(at=at, entry=entry.pk, operation=entry.operation)))
    return rows


def _why_lot(move: EntryLot, lot: Lot) -> str:
    until = _("expires {day}").format(day=_day(lot.expires_on)) if lot.expires_on else _("never expires")
    paid = ""
    if move.debt_id:
        paid = " " + (_("to pay what was owed") if move.delta < 0 else _("that had paid what was owed"))
    return f"{move.delta:+,} {word(move.bucket)}{paid} ({until})"


def _day(day: date) -> str:
    return formatted(day, "d M Y")


def _why_points(snapshot: dict[str, Any], tenant: Tenant) -> list[tuple[str, str]]:
    """An entry's snapshot in words: an earning, a bonus, a moved date."""
    if "bonus" in snapshot:
        return [(_("Bonus"), _("{bonus}: {points} points").format(bonus=snapshot["bonus"], points=snapshot["points"]))]
    if "lots" in snapshot:
        moved, never = _("{points} points: {before} → {after}"), _("never")
        return [
            (
                _("Expiry"),
                moved.format(points=each.get("points", ""), before=each["from"] or never, after=each["to"] or never).strip(),
            )
            for each in snapshot["lots"]
        ]
    return why_earned(snapshot, tenant) if snapshot else []


def why_earned(snapshot: dict[str, Any], tenant: Tenant) -> list[tuple[str, str]]:
    """The arithmetic of an earning, from its snapshot."""
    rule = _("{programme}, version {version}").format(programme=snapshot["programme"], version=snapshot["version"])
    rows = [(_("Rule"), rule), (_("Base"), _base(snapshot, tenant))]
    rows += [(_("Earns nothing"), f"{money(amount, tenant)}: {why}") for why, amount in snapshot.get("left_out", {}).items()]
    multiplied = _("{department}: {amount} count {factor} times")
    rows += [
        (_("Multiplier"), multiplied.format(department=name, amount=money(each["amount"], tenant), factor=each["factor"]))
        for name, each in snapshot.get("multipliers", {}).items()
    ]
    if minimum := snapshot.get("minimum_spend"):
        below = _("{base} is below {minimum}: no points")
        rows.append((_("Minimum"), below.format(base=money(snapshot["base"], tenant), minimum=money(minimum, tenant))))
    elif snapshot["kind"] == "visit_count":
        visited = (
            _("one a visit; there was one before on this day = {points}")
            if snapshot["visited_before"]
            else _("one a visit; the first of this day = {points}")
        )
        rows.append((_("Points"), visited.format(points=snapshot["points"])))
    else:
        rows.append((_("Points"), _arithmetic(snapshot, tenant)))
    if issued := snapshot.get("issued"):
        told = _("{issued} points had been given for this bill before it came: {points} more")
        rows.append((_("Issued before"), told.format(issued=issued, points=snapshot["points"])))
    if (cap := snapshot.get("cap")) and cap["a"] != "issue":
        told = _("at most {limit} a {period}, {had} had been earned: {points} of {uncapped}")
        rows.append((_("Cap"), told.format(points=snapshot["points"], period=period(cap), **cap)))
    return rows


def _base(snapshot: dict[str, Any], tenant: Tenant) -> str:
    net, paid, base = (Decimal(snapshot[name]) for name in ("net", "paid_by_points", "base"))
    told = _("{net} net").format(net=money(net, tenant))
    if paid:
        told += " − " + _("{amount} paid with points").format(amount=money(paid, tenant))
    if net - paid != base:
        told += ", " + _("less what earns nothing")
    return f"{told} = {money(base, tenant)}" if paid or net - paid != base else told


def period(cap: dict[str, Any]) -> str:
    """What a cap is for: a bill, a day, a month."""
    return {"bill": _("bill"), "day": _("day"), "month": _("month")}[cap["a"]]


def _arithmetic(snapshot: dict[str, Any], tenant: Tenant) -> str:
    uncapped = snapshot.get("cap", {}).get("uncapped", snapshot["points"])
    words = {"down": _("rounded down"), "nearest": _("rounded to the nearest"), "up": _("rounded up")}
    rounded = words[snapshot["rounding"]]
    top = money(snapshot["base"], tenant)
    if "weighted" in snapshot:
        top += f" × {snapshot['weighted']} ÷ {snapshot['lines']}"
    return f"{top} ÷ {snapshot['earn_per']}, {rounded} = {uncapped}"


def word(bucket: str) -> str:
    return {"held": _("blocked"), "available": _("available"), "pending": _("pending")}.get(bucket, bucket)


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
    holds = Hold.objects.filter(tenant=picture.tenant, customer=picture.customer)
    asked = ApprovalRequest.objects.filter(tenant=picture.tenant, customer__in=picture.history)
    cases = Case.objects.filter(tenant=picture.tenant, customer__in=picture.history)
    theirs = [
        rows.annotate(kind_of=Value(rows.model._meta.label_lower)).order_by("-pk").values_list("kind_of", "pk")[:LINES_SHOWN]
        for rows in (holds, asked, cases)
    ]
    found: dict[str, list[str]] = {}
    for kind, pk in theirs[0].union(*theirs[1:], all=True):
        found.setdefault(kind, []).append(str(pk))
    for kind, pks in found.items():
        events = events | AuditEvent.objects.filter(tenant=picture.tenant, object_type=kind, object_id__in=pks)
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
        analytics = Stop(_("Analytics"), None, _("no points, nothing to send"))
    elif fed and epoch:
        analytics = Stop(_("Analytics"), epoch.moved_at, _("sent"))
    else:
        analytics = Stop(_("Analytics"), None, _("on its way"))
    return (
        Stop(_("POS"), bill.billed_at, str(bill.store)),
        Stop(_("Received"), delivery.received_at if delivery else None, delivery.receipt if delivery else _("no delivery")),
        Stop(_("Posted"), bill.posted_at, _("{points:+,} earned").format(points=bill.earned_points)),
        analytics,
        Stop(_("CRM"), None, _("not connected")),
    )
