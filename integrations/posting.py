"""One bill onto the account of its customer: which hold it completes, what it redeems, what it earns.

Everything a bill does is worked out first, as a plan, and settled as one operation (docs/ledger.md, law 11).
"""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext_noop

from integrations.documents import CheckFailed, Document, Spend
from integrations.models import BillIssue, DeliveryState, DiscrepancyKind
from loyalty import customers, ledger, netting
from loyalty.account import Account
from loyalty.campaigns import CampaignBook, Evaluated, History
from loyalty.earning import Earned, Purchase, PurchaseLine, Rule, earned
from loyalty.ledger import Book, Operation
from loyalty.money import minor_digits, worth
from loyalty.netting import Grant, Return, Settled, Take
from loyalty.programmes import RuleBook, latest
from loyalty.state import Hold, HoldState, Kind
from tenants import stores
from tenants.actors import SYSTEM, Actor
from tenants.errors import DomainError
from tenants.models import BillPeriod, RedemptionMode, Store, StoreMode, Tenant
from tenants.saying import said

type NaturalKey = tuple[int, str, str, str, str]

#: An agent gives points for a bill that the customer holds in the hand: it is of the year before, but for a clock that is wrong.
ISSUED_WITHIN = timedelta(days=366)
FRESH = timedelta(days=45)
CLOCKS_DIFFER = timedelta(days=1)
KINDS = {
    "SALE": gettext_noop("sale"), "RETURN": gettext_noop("return"), "EXCHANGE": gettext_noop("exchange"), "CANCEL": gettext_noop("cancellation"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery taken for processing. `decided`: what a person decided about it (docs/bills.md); `bill_id`: what it is booked as."""

    id: int
    body: bytes
    decided: dict[str, Any] = field(default_factory=dict)
    bill_id: int | None = None


@dataclass(slots=True)
class Outcome:
    """What became of a delivery, and what was read of it."""

    id: int
    state: DeliveryState = DeliveryState.RECEIVED
    check: str = ""
    message: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    bill_id: int | None = None
    first_id: int | None = None
    bill_no: str = ""
    store_code: str = ""
    mobile: str = ""
    waits_for: str = ""
    store_id: int = 0

    def refuse(self, refusal: DomainError) -> None:
        self.state = DeliveryState.QUARANTINED
        self.check, self.message = refusal.code, refusal.sentence[:500]
        self.details = plain_details(refusal.details)

    def wait(self, waiting: "WaitingForParent") -> None:
        self.refuse(waiting)
        self.state, self.waits_for = DeliveryState.WAITING_PARENT, waiting.bill_no


class WaitingForParent(DomainError):
    """The bill that this one is about has not arrived."""

    def __init__(self, kind: str, bill_no: str) -> None:
        super().__init__(
            "waiting_parent", said("This {kind} waits for bill {bill_no}, which has not arrived yet.", kind=kind, bill_no=bill_no)
        )
        self.bill_no = bill_no


@dataclass(slots=True)
class Case:
    """One bill on its way through the batch.

    `supersedes`: the booked row that this one replaces. `parts`: what it returns, by original. `earned`, `points`: what it earns and
    redeems; of a return, below 0, what it takes and gives back.
    """

    outcome: Outcome
    document: Document
    store: Store
    billed_at: datetime
    business_date: date
    key: NaturalKey
    fingerprint: int
    mobile: str
    flags: list[str]
    taken: Taken
    bill_id: int = 0
    supersedes: int | None = None
    #: Rows that this one stands in for, and whether one of them had redeemed points.
    replaces: frozenset[int] = frozenset()
    redeemed_before: bool = False
    #: The superseded row stands alone: nothing is about it, and its customer is the same.
    simple: bool = False
    parent_id: int | None = None
    customer_id: int | None = None
    hold: Hold | None = None
    points: int = 0
    earned: int = 0
    earning_lines: frozenset[int] | None = None
    parts: list[tuple[int, int | None, Decimal, Decimal]] = field(default_factory=list)
    #: What an agent had issued for it.
    issues: list[int] = field(default_factory=list)

    @property
    def decided(self) -> dict[str, Any]:
        return self.taken.decided

    def begin(self) -> None:
        """Forget what an attempt that was broken off had worked out."""
        self.points = self.earned = 0
        self.hold, self.earning_lines, self.parent_id = None, None, None
        self.parts, self.issues = [], []
        self.flags = [flag for flag in self.flags if flag not in DiscrepancyKind.values]

    @property
    def sells(self) -> bool:
        return self.document.bill_type in ("SALE", "EXCHANGE")

    @property
    def kind(self) -> str:
        """In a sentence."""
        return said(KINDS[self.document.bill_type])


@dataclass(slots=True)
class Plan:
    """What a bill does to its customer's points."""

    returns: list[Return] = field(default_factory=list)
    takes: list[Take] = field(default_factory=list)
    spends: list[netting.Spend] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)

    def undo(self, undone: tuple[list[Return], list[Take]]) -> None:
        self.returns += undone[0]
        self.takes += undone[1]

    def settle(self, account: Account, *, today: date) -> Settled:
        if not (self.returns or self.takes or self.spends):
            entries = [
                account.grant(each.points, kind=each.kind, terms=each.terms, today=today, snapshot=each.snapshot)
                for each in self.grants
            ]
            return Settled(entries, 0, 0)
        return netting.settle(
            account, today=today, returns=self.returns, takes=self.takes, spends=self.spends, grants=self.grants
        )


class Shop:
    """What the bills of one batch have in common: the tenant's rules, modes and stores, and what is told about them on the way."""

    def __init__(self, tenant: Tenant, *, now: datetime, actor: Actor = SYSTEM, reason: str = "") -> None:
        self.tenant = tenant
        self.now = now
        #: Whose doing it is, and why, where it is not the bill's own arrival.
        self.actor, self.reason = actor, reason
        self.digits = minor_digits(tenant.currency)
        self.unit = Decimal(1).scaleb(-self.digits)
        self.rules = RuleBook(tenant)
        self.stores = stores.by_code(tenant)
        self.campaigns: CampaignBook | None = None
        self.evaluated: list[Evaluated] = []
        self.discrepancies: list[tuple[Any, ...]] = []
        self.drifts: dict[int, list[Case]] = defaultdict(list)
        self._modes: dict[int, list[tuple[date, str]]] = defaultdict(list)
        for mode in StoreMode.objects.filter(tenant=tenant).order_by("effective_from"):
            self._modes[mode.store_id].append((mode.effective_from, mode.mode))

    def mode_of(self, store: Store, on: date) -> RedemptionMode | None:
        mode = latest(self._modes.get(store.pk, []), on)
        return RedemptionMode(mode) if mode else None

    def today_at(self, store: Store) -> date:
        return self.now.astimezone(store.timezone_or(self.tenant)).date()

    def tell(self, case: Case, kind: DiscrepancyKind, *, points: int, message: str) -> None:
        """A fact about the bill that a person should see."""
        hold_id = case.hold.id if case.hold else None
        row = (self.tenant.pk, kind.value, case.store.pk, case.customer_id, case.bill_id, hold_id, points, message[:500])
        self.discrepancies.append(row)
        case.flags.append(kind.value)
        if kind is DiscrepancyKind.MODE_DRIFT:
            self.drifts[case.store.pk].append(case)

    def mark(self) -> tuple[int, dict[int, int], int]:
        return len(self.discrepancies), {store: len(cases) for store, cases in self.drifts.items()}, len(self.evaluated)

    def back_to(self, mark: tuple[int, dict[int, int], int]) -> None:
        """The bill was refused after all: nothing was told about it."""
        del self.discrepancies[mark[0] :]
        for each in self.evaluated[mark[2] :]:
            if each.judgement.awarded and self.campaigns:
                self.campaigns.not_awarded(each.customer_id, each.judgement.campaign.id)
        del self.evaluated[mark[2] :]
        for store in list(self.drifts):
            del self.drifts[store][mark[1].get(store, 0) :]
            if not self.drifts[store]:
                del self.drifts[store]

    def written(self) -> None:
        self.discrepancies.clear()
        self.evaluated.clear()
        self.drifts.clear()


@dataclass(frozen=True, slots=True)
class HoldRow:
    """What is known of a hold before its customer is locked."""

    id: int
    reference: str
    customer_id: int
    store_id: int | None
    bill_no: str
    state: str
    at: datetime


def may_be_issued_for(store: Store, billed_at: datetime, *, at: datetime, tenant: Tenant) -> bool:
    """Whether points issued at this time for a number can mean this bill: one of the weeks before, or of the same year of numbers."""
    if not at - ISSUED_WITHIN <= billed_at <= at + CLOCKS_DIFFER:
        return False
    zone = store.timezone_or(tenant)
    years = [natural_period(moment.astimezone(zone).date(), rule=tenant.bill_period) for moment in (billed_at, at)]
    return billed_at >= at - FRESH or years[0] == years[1]


def _issued_for(row: BillIssue, case: Case, tenant: Tenant) -> bool:
    """Numbers begin again each year: points issued for last year's bill are not this year's."""
    if row.bill_id is not None:
        return row.bill_id in case.replaces
    return may_be_issued_for(case.store, case.billed_at, at=row.issued_at, tenant=tenant)


class Desk:
    """Posts bills to the accounts of one book. `without_bills`: booked ones that are about to be undone."""

    def __init__(
        self,
        shop: Shop,
        book: Book,
        hold_rows: Iterable[HoldRow],
        customer_ids: Collection[int],
        campaigns: CampaignBook,
        *,
        without_bills: Collection[int] = (),
    ) -> None:
        self.shop = shop
        self.book = book
        self.campaigns = shop.campaigns = campaigns
        campaigns.about(customer_ids, without_bills=without_bills)
        looking_back = customer_ids if shop.rules.looks_back or campaigns.campaigns else ()
        self.history = History(shop.tenant, looking_back, without_bills=without_bills)
        self.issued: dict[tuple[int, str], list[BillIssue]] = defaultdict(list)
        if customer_ids:
            mine = Q(bill=None) | Q(bill__in=without_bills)
            for row in BillIssue.objects.filter(
                mine, tenant=shop.tenant, customer__in=customers.families(shop.tenant, customer_ids)
            ):
                self.issued[row.store_id, row.bill_no].append(row)
        self.by_reference = {row.reference: row for row in hold_rows}
        self.by_bill: dict[tuple[int | None, str], list[HoldRow]] = defaultdict(list)
        for row in self.by_reference.values():
            if row.bill_no:
                self.by_bill[row.store_id, row.bill_no].append(row)

    def post(self, case: Case, *, begin: Callable[[Account, Plan], None] | None = None) -> None:
        """`begin` plans what comes before the sale: what is undone and what is returned.

        Raises: DomainError, when the bill cannot be booked; then nothing of it was.
        """
        mark = self.shop.mark()
        try:
            self._post(case, begin)
        except DomainError:
            self.shop.back_to(mark)
            raise
        if case.customer_id is not None and case.earned > 0:
            self.history.add(case.customer_id, on=case.business_date, store_id=case.store.pk, points=case.earned)

    def _post(self, case: Case, begin: Callable[[Account, Plan], None] | None) -> None:
        if case.sells and case.document.spend is None:
            self._refuse_missing_split(case)
        if case.customer_id is None:
            return
        with self.book.operation(case.customer_id, self._operation(case)) as account:
            plan = Plan()
            if begin is not None:
                begin(account, plan)
            if case.sells:
                rule = self.shop.rules.rule(store_id=case.store.pk, on=case.business_date)
                if case.document.spend is not None:
                    self._redeem(case, account, case.document.spend, rule, plan)
                self._earn(case, account, rule, plan)
            settled = plan.settle(account, today=self.shop.today_at(case.store))
            self._note_hold(case, account)
        self._tell_what_is_missing(case, settled)

    def _operation(self, case: Case) -> Operation:
        reason = self.shop.reason or f"Bill {case.document.bill_no}"[: ledger.REASON_MAX]
        return Operation(
            self.shop.actor, reason, f"bill:{case.bill_id}:{case.document.version}", case.fingerprint, case.billed_at,
            case.business_date, case.store.pk, case.bill_id,
        )  # fmt: skip

    def _tell_what_is_missing(self, case: Case, settled: Settled) -> None:
        if settled.owed:
            if case.document.bill_type == "SALE" and not case.supersedes:
                told = said(
                    "{owed} of {points} points spent were not there; they are owed now.", owed=settled.owed, points=case.points
                )
            else:
                told = said("{owed} points were not there; they are owed now.", owed=settled.owed)
            self.shop.tell(case, DiscrepancyKind.DEBT, points=settled.owed, message=told)
        if settled.short:
            message = said(
                "{points} points could not be taken back: they were spent, and this tenant allows no negative balance.",
                points=settled.short,
            )
            self.shop.tell(case, DiscrepancyKind.SHORT, points=settled.short, message=message)

    # Earning

    def _earn(self, case: Case, account: Account, rule: Rule, plan: Plan) -> None:
        """The programme's points, then the bonuses on top, each with its own entry and every one judged in writing."""
        customer_id, on, store_id = account.customer_id, case.business_date, case.store.pk
        purchase = purchase_of(case.document, store=case.store, at=case.billed_at, tenant=self.shop.tenant)
        case.earning_lines = frozenset(
            line.line_no for line, bought in zip(case.document.sold, purchase.lines, strict=True) if not rule.left_out(bought)
        )
        so_far = self.history.so_far(customer_id, on=on, store_id=store_id)
        result = earned(rule, purchase, so_far)
        terms = rule.terms(on)
        case.earned = result.points
        points = self._beyond_what_was_issued(case, result)
        if points:
            plan.grants.append(Grant(Kind.EARN, points, terms, result.snapshot))
        for judgement in self.campaigns.judge(purchase, customer_id=customer_id, so_far=so_far, earns=result.points):
            if judgement.awarded:
                snapshot = {"bonus": judgement.campaign.name, "bonus_id": judgement.campaign.id, "points": judgement.points}
                plan.grants.append(Grant(Kind.BONUS, judgement.points, terms, snapshot))
                self.campaigns.awarded(customer_id, judgement.campaign.id)
            key = account.operation.key
            self.shop.evaluated.append(Evaluated(customer_id, case.bill_id, key, on, judgement))

    def _beyond_what_was_issued(self, case: Case, result: Earned) -> int:
        """An agent gave points for this bill before it came: only what it earns beyond them is posted; a surplus stays (CASES 79)."""
        rows = [
            row for row in self.issued.get((case.store.pk, case.document.bill_no), []) if _issued_for(row, case, self.shop.tenant)
        ]
        if not rows:
            return result.points
        case.issues = [row.pk for row in rows]
        issued = sum(row.points for row in rows)
        points = max(result.points - issued, 0)
        if issued > result.points:
            surplus = said(
                "{issued} points were issued for this bill before it came; it earned {earned}. The rest stays.",
                issued=issued, earned=result.points,
            )  # fmt: skip
            self.shop.tell(case, DiscrepancyKind.ISSUED_MORE, points=issued - result.points, message=surplus)
        result.snapshot.update(issued=issued, points=points)
        result.snapshot.setdefault("cap", {"a": "issue", "limit": points, "had": issued, "uncapped": result.points})
        return points

    # Redeeming

    def _redeem(self, case: Case, account: Account, spend: Spend, rule: Rule, plan: Plan) -> None:
        hold = self._hold(case, account, spend)
        points = self._points(spend, rate=hold.rate if hold else rule.point_value)
        case.hold, case.points = hold, points
        self._compare_mode(case, spend)
        on, tell = case.business_date, self.shop.tell
        spent = netting.Spend(points, on, hold, bill_id=case.bill_id)
        if hold is None:
            unblocked = said("{points} points were spent without being blocked first.", points=points)
            tell(case, DiscrepancyKind.NO_HOLD, points=points, message=unblocked)
        elif hold.state is HoldState.ACTIVE:
            if points > hold.points:
                more = said("{points} points were spent, {blocked} had been blocked.", points=points, blocked=hold.points)
                tell(case, DiscrepancyKind.MORE_THAN_HELD, points=points - hold.points, message=more)
        elif self._own(case, hold):
            # This very bill had completed it; now it redeems again, corrected. Law 8: the hold's own lots are honoured, lapsed or not.
            plan.returns += account.revived(hold)
            spent = netting.Spend(points, on, hold, own=list(hold.parts), bill_id=case.bill_id)
        elif hold.state in (HoldState.RELEASED, HoldState.EXPIRED):
            revived, spent = account.late(hold, points, on=on, bill_id=case.bill_id)
            plan.returns += revived
            late = said(
                "The bill came after its {points} blocked points had been freed ({how}).",
                points=hold.points, how=said("released") if hold.state is HoldState.RELEASED else said("expired"),
            )  # fmt: skip
            tell(case, DiscrepancyKind.LATE_COMPLETION, points=points, message=late)
        else:
            taken = said(
                "Another bill had completed the redemption {reference}; {points} points were spent again.",
                reference=hold.reference, points=points,
            )  # fmt: skip
            tell(case, DiscrepancyKind.HOLD_TAKEN, points=points, message=taken)
        plan.spends.append(spent)

    @staticmethod
    def _own(case: Case, hold: Hold) -> bool:
        return bool(case.replaces & {hold.bill_id, hold.late_bill_id})

    def _note_hold(self, case: Case, account: Account) -> None:
        """An ended hold names the bill that came late, or the row that replaced its bill."""
        hold = case.hold
        if hold is None:
            return
        if self._own(case, hold):
            if hold.late_bill_id in case.replaces:
                account.change(hold, late_bill_id=case.bill_id, late_points=case.points)
            else:
                account.change(hold, bill_id=case.bill_id)
        elif hold.state in (HoldState.RELEASED, HoldState.EXPIRED) and hold.late_bill_id is None:
            account.change(hold, late_bill_id=case.bill_id, late_points=case.points)

    def _hold(self, case: Case, account: Account, spend: Spend) -> Hold | None:
        """By reference; else by the hold's bill number and store; else the one active hold of that store with equal points."""
        active = [hold for hold in account.holds if hold.state is HoldState.ACTIVE]
        if spend.reference:
            for hold in account.holds:
                if hold.reference == spend.reference:
                    return hold
            row = self.by_reference.get(spend.reference)
            if row and row.customer_id != case.customer_id:
                raise CheckFailed(
                    "redemption_mismatch",
                    said("The redemption {reference} belongs to another customer.", reference=spend.reference),
                    path="redemption.reference",
                )
            if self.shop.tenant.require_hold:
                raise CheckFailed(
                    "redemption_unknown",
                    said("No redemption {reference} was started here. Check the reference at the till.", reference=spend.reference),
                    path="redemption.reference", found=spend.reference,
                )  # fmt: skip
        named = [hold for hold in account.holds if hold.bill_no == case.document.bill_no and self._same_bill(hold, case)]
        if named:
            return next((hold for hold in named if hold.state is HoldState.ACTIVE), named[-1])
        if own := [hold for hold in account.holds if self._own(case, hold)]:
            return own[0]
        if case.redeemed_before:
            return None  # it redeemed without one; a hold of today is another redemption's
        equal = [
            hold
            for hold in active
            if hold.store_id == case.store.pk and not hold.bill_no and hold.points == self._wanted(spend, rate=hold.rate)
        ]
        return equal[0] if len(equal) == 1 else None

    def _same_bill(self, hold: Hold | HoldRow, case: Case) -> bool:
        """A hold names the number of a bill of its own store and year; next year's number is another bill (CASES 25)."""
        day = hold.at.astimezone(case.store.timezone_or(self.shop.tenant)).date()
        return hold.store_id == case.store.pk and natural_period(day, rule=self.shop.tenant.bill_period) == case.key[3]

    @staticmethod
    def _wanted(spend: Spend, *, rate: Decimal) -> int:
        """The points named, else the fewest that are worth the amount: what points are worth is rounded down."""
        return spend.points if spend.points is not None else int((spend.amount / rate).to_integral_value(ROUND_CEILING))

    def _points(self, spend: Spend, *, rate: Decimal) -> int:
        """The points spent; they must be worth what the bill says, at the rate of the till (CASES 19, 55)."""
        points = self._wanted(spend, rate=rate)
        expected = worth(points, rate=rate, minor_digits=self.shop.digits)
        if expected != spend.amount:
            raise CheckFailed(
                "points_rate",
                said(
                    "{points} points are worth {worth} at the rate of this redemption, the bill says {amount}.",
                    points=points, worth=expected, amount=spend.amount,
                ),
                path="redemption.amount", expected=str(expected), found=str(spend.amount),
            )  # fmt: skip
        return points

    def _refuse_missing_split(self, case: Case) -> None:
        rows = self.by_bill.get((case.store.pk, case.document.bill_no), [])
        ids = {row.id for row in rows}
        here = [hold for hold in self.book.holds.values() if hold.id in ids and self._same_bill(hold, case)]
        open_elsewhere = [
            row for row in rows if row.id not in self.book.holds and row.state == HoldState.ACTIVE and self._same_bill(row, case)
        ]
        held = next((hold for hold in here if hold.state is HoldState.ACTIVE), None) or next(iter(open_elsewhere), None)
        if held is not None:
            points = held.points if isinstance(held, Hold) else 0
            raise CheckFailed(
                "split_missing",
                said(
                    "Points were blocked for this very bill (redemption {reference}), but it shows none. Send the split on its items.",
                    reference=held.reference,
                ),
                path="items", expected=str(points), found="0", reference=held.reference,
            )  # fmt: skip

    def _compare_mode(self, case: Case, spend: Spend) -> None:
        """A bill in the other shape than its store's setting is booked, and raises mode drift (CASES 53)."""
        setting = self.shop.mode_of(case.store, case.business_date)
        if setting is not None and setting != spend.mode:
            if spend.mode == RedemptionMode.PAYMENT:
                message = said(
                    "{store} shows points as a payment, but is set to a discount on items. The bills are booked.",
                    store=case.store,
                )
            else:
                message = said(
                    "{store} shows points as a discount on items, but is set to a payment. The bills are booked.",
                    store=case.store,
                )
            self.shop.tell(case, DiscrepancyKind.MODE_DRIFT, points=case.points, message=message)


def purchase_of(document: Document, *, store: Store, at: datetime, tenant: Tenant) -> Purchase:
    """A sale as the earning rules see it: in payment mode the tender of points is told apart, in discount mode it is out of the amounts."""
    spend = document.spend
    lines = tuple(PurchaseLine(line.item_code, line.department, line.qty, line.amount) for line in document.sold)
    return Purchase(
        at=at.astimezone(store.timezone_or(tenant)),
        store_code=store.code,
        net=document.net if document.bill_type == "SALE" else sum((line.amount for line in lines), Decimal(0)),
        paid_by_points=spend.amount if spend and spend.mode == RedemptionMode.PAYMENT else Decimal(0),
        lines=lines,
    )


def natural_period(business_date: date, *, rule: str) -> str:
    """The year within which a bill number is unique: the Indian financial year begins in April (CASES 25)."""
    if rule == BillPeriod.NONE:
        return ""
    if rule == BillPeriod.CALENDAR_YEAR:
        return str(business_date.year)
    start = business_date.year - (business_date.month < 4)
    return f"{start}-{(start + 1) % 100:02d}"


def plain_details(details: dict[str, Any]) -> dict[str, Any]:
    """Details as JSON holds them."""
    result: dict[str, Any] = json.loads(json.dumps(details, default=str).replace("\\u0000", ""))
    return result
