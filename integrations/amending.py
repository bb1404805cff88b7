"""Bills about an earlier bill: returns, exchanges, cancellations, and corrections of a bill itself.

Each is one netted operation on the customer of the earlier bill, on what still stands of it. A correction books a row of its own; the old
row stays, superseded, and the bills about it are booked anew after it, those that no longer fit being quarantined.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

from django.db import transaction
from django.db.models import Q

from integrations import visits
from integrations.documents import CheckFailed, Line, Original
from integrations.models import Bill, BillClaim, BillClass, BillIssue, Delivery, DeliveryState, ReturnedPart, Source
from integrations.parents import Parents
from integrations.posting import Case, Desk, HoldRow, Plan, Shop, Taken
from integrations.returns import WHOLE, Part, Sold, SoldLine, target, target_by_lines, understand
from integrations.visits import Visit
from loyalty import bonus, customers, ledger
from loyalty.account import Account, Effect
from loyalty.campaigns import CampaignBook
from loyalty.earning import Purchase, PurchaseLine
from loyalty.ledger import Book, Operation, content_hash
from loyalty.models import Balance, Bonus, Entry
from loyalty.programmes import campaign_of
from loyalty.state import Kind
from tenants import crash
from tenants.errors import DomainError
from tenants.models import RedemptionMode, Tenant
from tenants.saying import said

DEBITS = (Kind.REDEEM, Kind.CAPTURE)


@dataclass(slots=True)
class Leg:
    """What one document returns of one earlier bill, or that it cancels it."""

    bill: Bill
    lines: Sequence[Line] = ()
    sold: Sold | None = None
    effects: list[Effect] = field(default_factory=list)
    #: What an agent had issued for the bill before it came.
    issued: list[Effect] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tools:
    """What the batch does for an amendment: find a bill's holds, write a booked case, find a booked bill's delivery and book it again."""

    holds_of: Callable[[Sequence[Case]], list[HoldRow]]
    write: Callable[[Sequence[Case]], None]
    delivery_of: Callable[[Bill], Taken | None]
    again: Callable[[Taken, Bill], int]


class Amendment:
    """One document that amends, from the look-up of its parents to what is written. Needs the tenant's inbox lock."""

    def __init__(self, shop: Shop, case: Case, tools: Tools) -> None:
        self.shop, self.case, self.tools = shop, case, tools
        self.tenant = shop.tenant
        self.parents = Parents(shop, case)
        self.old: Bill | None = Bill.objects.get(tenant=self.tenant, pk=case.supersedes) if case.supersedes else None
        self._cancelling: set[int] = set()
        self.children: list[Bill] = self._descendants(self.old) if self.old else []

    def book(self) -> None:
        """Raises: DomainError, when it cannot be booked, or waits (WaitingForParent); then nothing was."""
        if self.old is not None and self.old.bill_class == BillClass.CANCEL:
            raise CheckFailed(
                "bad_value",
                said("A cancellation is not corrected: what it undid stays undone. Send the bill itself with a higher version."),
                path="version",
            )  # fmt: skip
        with transaction.atomic():
            legs = self._legs()
            self.case.customer_id = self._customer(legs)
            owners = self._owners(legs)
            owed = self._owed(owners)
            if owners:
                self._post(legs, owners)
            self._mark(legs)
            self.tools.write([self.case])
            crash.point("amend_before_following")
            self._again()
            if self.children and not self.tenant.negative_allowed and self._owed(owners) > owed:
                raise DomainError(
                    "late_shortfall",
                    said(
                        "Booked anew with all that follows it, this bill leaves points owed, and this tenant allows no negative balance."
                        " Issue the missing points or allow negative balances, then retry."
                    ),
                )

    # Which bills it is about

    def _legs(self) -> list[Leg]:
        document = self.case.document
        if document.bill_type == "SALE":
            return []
        if document.bill_type == "CANCEL":
            leg = Leg(self.parents.find(document.original))
            self._cancelling = {leg.bill.pk}
            return [leg]
        by_original: dict[str, list[Line]] = defaultdict(list)
        originals: dict[str, Original | None] = {}
        for line in document.returned:
            original = line.original or document.original
            named = original.model_dump_json() if original else ""
            originals[named] = original
            by_original[named].append(line)
        by_bill: dict[int, Leg] = {}
        for named, lines in by_original.items():
            bill = self.parents.find(originals[named])
            leg = by_bill.setdefault(bill.pk, Leg(bill))
            leg.lines = [*leg.lines, *lines]
        legs = list(by_bill.values())
        if document.bill_type == "RETURN" and len(legs) > 1:
            raise CheckFailed(
                "bad_value",
                said("A RETURN is about one bill; this one's lines name several. Send one for each of them."),
                path="items",
            )
        for leg in legs:
            leg.sold = self._sold(leg.bill)
            self._understand(leg)
        return legs

    # Whose it is

    def _customer(self, legs: Sequence[Leg]) -> int | None:
        """The customer of the earlier bills; a sale's own. Raises: CheckFailed `parent_of_other_customer`."""
        case = self.case
        if not legs and case.decided.get("customer"):
            return customers.survivor(self.tenant, int(case.decided["customer"]))
        if not legs:
            return self._own_customer() or self._claimant()
        owners = {customers.survivor(self.tenant, leg.bill.customer_id) for leg in legs if leg.bill.customer_id}
        named = self.parents.named_customer()
        stranger = bool(owners and case.mobile) and named not in owners and not self._sold_under(case.mobile, legs)
        if len(owners) == 1 and stranger and customers.is_erased(self.tenant, owners):
            stranger = False  # the number that the earlier bill came with is forgotten; its points are still theirs
        if len(owners) > 1 or stranger:
            raise CheckFailed(
                "parent_of_other_customer",
                said(
                    "Bill {bill_no} belongs to another customer than this {kind}. Check the number at the till.",
                    bill_no=legs[0].bill.bill_no,
                    kind=case.kind,
                ),
                path="customer.mobile",
            )
        if owners:
            return owners.pop()
        return self._own_customer() if case.document.bill_type == "EXCHANGE" else None

    def _sold_under(self, mobile: str, legs: Sequence[Leg]) -> bool:
        """Whether the earlier bill itself came with this number, which leads to somebody else by now: after an unmerge, or when the number was
        given to a stranger. The points are where the bill put them."""
        bills = [leg.bill.pk for leg in legs]
        return bool(Delivery.objects.filter(tenant=self.tenant, bill__in=bills, mobile=mobile).exists())

    def _own_customer(self) -> int | None:
        case = self.case
        if not case.mobile:
            return None
        stub = customers.Stub(case.mobile, case.business_date, case.document.name, case.document.email)
        return customers.find_or_create(self.tenant, {case.mobile: stub})[case.mobile]

    def _claimant(self) -> int | None:
        """A walk-in bill that somebody has claimed stays theirs, when a correction of it names nobody."""
        old = self.old
        if old is None or old.customer_id is None:
            return None
        claims = BillClaim.objects.filter(
            tenant=self.tenant, approved=True, bill__store=old.store_id, bill__bill_no=old.bill_no, bill__bill_class=old.bill_class,
            bill__period=old.period, bill__till=old.till,
        )  # fmt: skip
        return customers.survivor(self.tenant, old.customer_id) if claims.exists() else None

    def _owners(self, legs: Sequence[Leg]) -> set[int]:
        """Everybody whose points it moves."""
        bills = [bill for bill in (self.old, *self.children, *(leg.bill for leg in legs)) if bill is not None]
        owners = {customers.survivor(self.tenant, bill.customer_id) for bill in bills if bill.customer_id}
        return owners | ({self.case.customer_id} if self.case.customer_id else set())

    def _owed(self, owners: Collection[int]) -> int:
        return sum(Balance.objects.filter(tenant=self.tenant, customer__in=owners).values_list("owed", flat=True))

    # What was returned before

    def _sold(self, bill: Bill) -> Sold:
        lines = [
            SoldLine(line.line_no, line.item_code, line.department, line.qty, line.amount, line.earns, line.loyalty_points)
            for line in bill.lines.all()
            if line.line_type == "SALE"
        ]
        undone = {each.pk for each in (self.old, *self.children) if each is not None} | self._cancelling
        rows = ReturnedPart.objects.filter(tenant=self.tenant, original=bill, bill__superseded_at=None, bill__cancelled_by=None)
        parts = [Part(row.line_no, row.qty, row.amount) for row in rows.exclude(bill__in=undone)]
        return Sold(bill.bill_no, lines, self.shop.unit, parts)

    def _understand(self, leg: Leg) -> None:
        """Raises: CheckFailed `over_return`, `return_kinds_mixed`, `sum_of_amounts`."""
        assert leg.sold is not None
        self._check_not_cancelled(leg.bill)
        document = self.case.document
        amount = document.net if document.bill_type == "RETURN" else sum((line.amount for line in leg.lines), Decimal(0))
        parts = understand(leg.sold, leg.lines, return_type=document.return_type or "LINE_ITEM", amount=amount)
        leg.sold.parts += parts
        self.case.parts += [(leg.bill.pk, part.line_no, part.qty, part.amount) for part in parts]

    def _check_not_cancelled(self, bill: Bill) -> None:
        if bill.cancelled_by_id is not None:
            raise CheckFailed(
                "over_return",
                said("Bill {bill_no} was cancelled; nothing of it is left. Nothing was changed.", bill_no=bill.bill_no), path="original",
                expected="0", found=str(self.case.document.net),
            )  # fmt: skip

    # What it does to the points

    def _post(self, legs: Sequence[Leg], owners: Collection[int]) -> None:
        case = self.case
        before = [bill for bill in (*self.children, self.old) if bill is not None]
        undone = [bill for bill in before if bill.cancelled_by_id is None]
        seen = self._visits(legs)
        about = {leg.bill.pk for leg in legs} | {bill.pk for bill in before} | {pk for visit in seen for pk in visit.bills}
        about |= visits.returns_of(self.tenant, seen) if seen else set()
        operations = operations_of(self.tenant.pk, about)
        issued = dict(BillIssue.objects.filter(tenant=self.tenant, bill__in=about).values_list("operation", "bill_id"))
        ignoring = [each for bill in undone if bill.bill_class != BillClass.CANCEL for each in operations.get(bill.pk, [])]
        hold_rows = self.tools.holds_of([case])
        everything = [*(each for of_bill in operations.values() for each in of_bill), *issued]
        holds = [row.id for row in hold_rows if row.customer_id in owners]
        with ledger.open(
            self.tenant, owners, now=self.shop.now, holds=holds, undo=everything, ignoring=ignoring
        ) as book, self._owing_on_the_way(book):  # fmt: skip
            of_bill = {
                pk: [effect for each in ids if each in book.operations for effect in book.operations[each].effects]
                for pk, ids in operations.items()
            }
            self._leave_what_is_nothing(of_bill)
            campaigns = CampaignBook(self.tenant, days=(case.business_date, case.business_date))
            asked = [case.customer_id] if case.sells and case.customer_id else []
            desk = Desk(self.shop, book, hold_rows, asked, campaigns, without_bills=case.replaces)
            self._undo_for_others(book, undone, of_bill, seen)

            def begin(account: Account, plan: Plan) -> None:
                for bill in undone:
                    if self._is_of(bill, account):
                        plan.undo(account.undoing(self._without_points_of(seen, of_bill.get(bill.pk, []))))
                for leg in legs:
                    leg.effects = of_bill.get(leg.bill.pk, [])
                    leg.issued = [
                        effect for each, pk in issued.items() if pk == leg.bill.pk for effect in book.operations[each].effects
                    ]
                    if case.document.bill_type == "CANCEL":
                        self._cancel(leg, account, plan)
                    else:
                        self._take_back(leg, account, plan)
                        self._give_back(leg, account, plan)
                self._settle_visits(account, plan, seen, of_bill)

            desk.post(case, begin=begin)

    def _visits(self, legs: Sequence[Leg]) -> list[Visit]:
        """The visits that the bills it is about belong to."""
        if not self.shop.rules.has_visits:
            return []
        case = self.case
        here = {leg.bill.pk: leg.sold for leg in legs if leg.sold is not None}
        without = {each.pk for each in (self.old, *self.children) if each is not None}
        without |= {leg.bill.pk for leg in legs} if case.document.bill_type == "CANCEL" else set()
        touched = [*(leg.bill for leg in legs), *([self.old] if self.old else [])]
        parents = [leg.bill.parent for leg in legs if leg.bill.parent is not None]  # of a return that is cancelled
        sold = (case.customer_id, case.store.pk, case.business_date) if case.sells and case.customer_id else None
        return visits.around(
            self.tenant, [*touched, *parents], without=without, complete=lambda bill: (here.get(bill.pk) or self._sold(bill)).complete, sold=sold
        )  # fmt: skip

    @staticmethod
    def _without_points_of(seen: Sequence[Visit], effects: Sequence[Effect]) -> list[Effect]:
        """A visit's point is settled by its visit; but for the visit that the corrected bill itself is sold in, which earns it again."""
        kept = {pk for visit in seen if not visit.own for pk in visit.bills}
        return [effect for effect in effects if not (kept and visits.is_visit(effect))] if kept else list(effects)

    def _settle_visits(self, account: Account, plan: Plan, seen: Sequence[Visit], of_bill: dict[int, list[Effect]]) -> None:
        for visit in seen:
            if visit.customer_id != account.customer_id:
                continue
            for effect in visits.out_of_place(visit, of_bill):
                if effect.credit and self.case.document.bill_type in ("RETURN", "EXCHANGE"):
                    self._take_points(account, plan, effect, effect.standing)
                else:
                    plan.undo(account.undoing([effect]))

    def _leave_what_is_nothing(self, of_bill: dict[int, list[Effect]]) -> None:
        """A cancellation took what the returns had left: bill, returns and cancellation are nothing together, and stay so."""
        links = {effect.of_entry for effects in of_bill.values() for effect in effects if effect.of_entry}
        bills = dict(Entry.objects.filter(tenant=self.tenant, pk__in=links).values_list("pk", "bill_id"))
        cancelled = Bill.objects.filter(tenant=self.tenant, pk__in=set(bills.values()), cancelled_by__isnull=False)
        gone = set(cancelled.values_list("pk", flat=True))
        for pk, effects in of_bill.items():
            of_bill[pk] = [effect for effect in effects if bills.get(effect.of_entry or 0) not in gone]

    @contextmanager
    def _owing_on_the_way(self, book: Book) -> Iterator[None]:
        """Where bills about this one follow, what is owed is looked at when all of them are booked again."""
        accounts = [book[owner] for owner in book.customer_ids] if self.children else []
        before = [account.negative_allowed for account in accounts]
        for account in accounts:
            account.negative_allowed = True
        try:
            yield
        finally:
            for account, allowed in zip(accounts, before, strict=True):
                account.negative_allowed = allowed

    def _is_of(self, bill: Bill, account: Account) -> bool:
        return bool(bill.customer_id) and customers.survivor(self.tenant, int(bill.customer_id or 0)) == account.customer_id

    def _undo_for_others(
        self, book: Book, undone: Sequence[Bill], of_bill: dict[int, list[Effect]], seen: Sequence[Visit]
    ) -> None:  # fmt: skip
        """The corrected bill names another customer: the first one's part is undone in an operation of its own."""
        case = self.case
        for owner in book.customer_ids:
            effects = [
                effect for bill in undone if self._is_of(bill, book[owner]) for effect in of_bill.get(bill.pk, [])
            ]  # fmt: skip
            if owner == case.customer_id or not (effects or any(visit.customer_id == owner for visit in seen)):
                continue
            effects = self._without_points_of(seen, effects)
            operation = Operation(
                self.shop.actor,
                self.shop.reason or said("Bill {bill_no} is another customer's", bill_no=case.document.bill_no)[: ledger.REASON_MAX],
                f"bill-undone:{case.bill_id}:{owner}", content_hash("bill-undone", case.bill_id, owner), case.billed_at,
                case.business_date, case.store.pk, self.old.pk if self.old else None,
            )  # fmt: skip
            plan = Plan()
            with book.operation(owner, operation) as account:
                plan.undo(account.undoing(effects))
                self._settle_visits(account, plan, seen, of_bill)
                plan.settle(account, today=self.shop.today_at(case.store))

    def _take_back(self, leg: Leg, account: Account, plan: Plan) -> None:
        """Earned points, up to the target; bonuses that what is kept no longer deserves."""
        assert leg.sold is not None
        earned = [effect for effect in leg.effects if effect.kind is Kind.EARN and effect.credit]
        if not any(visits.is_visit(effect) for effect in earned):
            self._take(account, plan, [*earned, *leg.issued], leg.bill.earned_points, leg.sold.share(earning=True))
        kept = self._kept(leg)
        for effect in leg.effects:
            if effect.kind is Kind.BONUS and effect.credit and effect.snapshot:
                given = int(effect.snapshot["points"])
                still = 0 if kept is None else self._still(effect.snapshot, kept, given, leg.sold.share(earning=True), leg.bill)
                self._take_points(account, plan, effect, given - still - (given - effect.points) - _expired([effect]))

    def _take(self, account: Account, plan: Plan, effects: Sequence[Effect], earned: int, share: Fraction) -> None:
        """Of all that the bill earned, what its share says, less what is gone already."""
        left = target(earned, share) - sum(_given(effect) - effect.points for effect in effects) - _expired(effects)
        for effect in effects:
            left -= self._take_points(account, plan, effect, left)

    def _take_points(self, account: Account, plan: Plan, effect: Effect, points: int) -> int:
        """-> how many."""
        points = min(max(points, 0), effect.standing)
        if points:
            plan.takes += account.taking_back([(effect, points)])
            if effect.kind is not Kind.BONUS and not self.case.sells:
                self.case.earned -= points
        return points

    def _kept(self, leg: Leg) -> Purchase | None:
        """The purchase without what came back; None: nothing is left of it."""
        assert leg.sold is not None
        bill, lines = leg.bill, leg.sold.kept()
        if not lines:
            return None
        paid = bill.redeemed_amount if bill.mode == RedemptionMode.PAYMENT else Decimal(0)
        share = leg.sold.share()
        return Purchase(
            bill.billed_at.astimezone(bill.store.timezone_or(self.tenant)), bill.store.code,
            sum((line.amount for line in lines), Decimal(0)),
            paid - paid * share.numerator / share.denominator,
            tuple(PurchaseLine(line.item_code, line.department, line.qty, line.amount) for line in lines),
        )  # fmt: skip

    def _still(self, snapshot: dict[str, object], kept: Purchase, given: int, share: Fraction, bill: Bill) -> int:
        """Points of a bonus that what is kept still deserves (CASES 63)."""
        row = Bonus.objects.filter(tenant=self.tenant, pk=snapshot["bonus_id"]).prefetch_related("conditions").first()
        if row is None or not self.tenant.bonus_reevaluated:
            return given - target(given, share)
        earns = bill.earned_points - target(bill.earned_points, share)
        return min(bonus.deserved(campaign_of(row, row.conditions.all()), kept, earns=earns), given)

    def _give_back(self, leg: Leg, account: Account, plan: Plan) -> None:
        """Redeemed points, up to the target; a tender of points on the return says how many instead."""
        assert leg.sold is not None
        bill, document = leg.bill, self.case.document
        debits = [
            effect for effect in leg.effects
            if effect.kind in DEBITS or (effect.kind is Kind.DEBT and effect.of_kind is Kind.REDEEM)
        ]  # fmt: skip
        standing = sum(effect.standing for effect in debits)
        restored = bill.redeemed_points - sum(effect.points for effect in debits)
        if document.bill_type == "RETURN" and document.spend is not None:
            wanted = bill.redeemed_points * document.spend.amount / bill.redeemed_amount if bill.redeemed_amount else Decimal(0)
            points = int(wanted.to_integral_value(ROUND_CEILING))
        elif bill.mode == RedemptionMode.DISCOUNT and not leg.sold.by_amount:
            points = target_by_lines(leg.sold) - restored
        else:
            points = target(bill.redeemed_points, leg.sold.share()) - restored
        points = min(max(points, 0), standing)
        if points:
            plan.returns += account.giving_back(debits, points)
            self.case.points -= points if not self.case.sells else 0

    def _cancel(self, leg: Leg, account: Account, plan: Plan) -> None:
        """Everything that still stands, but for a visit's point, which its visit settles."""
        self._check_not_cancelled(leg.bill)
        effects = [effect for effect in leg.effects if not visits.is_visit(effect)]
        self.case.earned -= sum(effect.standing for effect in effects if effect.kind is Kind.EARN)
        self.case.points -= sum(effect.standing for effect in effects if effect.kind in DEBITS)
        plan.undo(account.undoing(effects))
        earned = sum(_given(effect) for effect in leg.effects if effect.kind is Kind.EARN)
        self._take(account, plan, leg.issued, leg.bill.earned_points - earned, WHOLE)

    # What is written

    def _mark(self, legs: Sequence[Leg]) -> None:
        now, case = self.shop.now, self.case
        superseded = [each.pk for each in (self.old, *self.children) if each is not None]
        if superseded:
            Bill.objects.filter(tenant=self.tenant, pk__in=superseded).update(superseded_at=now)
            Bill.objects.filter(tenant=self.tenant, cancelled_by__in=superseded).update(cancelled_by=None)
        if self.old is not None:
            reverse_deliveries(self.tenant, {self.old.pk}, but={case.outcome.id})
        parents = {leg.bill.pk for leg in legs}
        case.parent_id = parents.pop() if len(parents) == 1 else None
        if case.document.bill_type == "CANCEL":
            Bill.objects.filter(tenant=self.tenant, pk=case.parent_id).update(cancelled_by=case.bill_id)

    # What follows

    def _descendants(self, bill: Bill) -> list[Bill]:
        """Live bills about this one, and about those, newest first."""
        found: dict[int, Bill] = {}
        level = [bill.pk]
        while level:
            about = Q(parent__in=level) | Q(returned_parts__original__in=level)
            rows = Bill.objects.filter(about, tenant=self.tenant, superseded_at=None).exclude(pk__in=[*found, bill.pk]).distinct()
            fresh = {row.pk: row for row in rows}
            found |= fresh
            level = list(fresh)
        return sorted(found.values(), key=self._first_of, reverse=True)

    def _first_of(self, bill: Bill) -> int:
        """When the bill first came, however often it was corrected since."""
        rows = Bill.objects.filter(
            tenant=self.tenant,
            store=bill.store_id,
            bill_no=bill.bill_no,
            bill_class=bill.bill_class,
            period=bill.period,
            till=bill.till,
        )
        return int(rows.order_by("id").values_list("id", flat=True)[0])

    def _again(self) -> None:
        """Book the bills about this one anew, oldest first; each on its own, so that one that no longer fits stops nobody."""
        now = {self.old.pk: self.case.bill_id} if self.old else {}
        for child in reversed(self.children):
            delivery = self.tools.delivery_of(child)
            if delivery is None:
                raise DomainError(
                    "nothing_to_book_from",
                    said(
                        "{bill_no} follows this bill and has no delivery to be booked anew from. Cancel it first, then retry.",
                        bill_no=child.bill_no,
                    ),
                )
            if self._is_presumed(child, delivery):
                continue
            now[child.pk] = self.tools.again(self._about(now, child, delivery), child)

    def _about(self, now: dict[int, int], child: Bill, delivery: Taken) -> Taken:
        """A person had said which row it is about: that one has another id now, and perhaps another place."""
        row = now.get(child.parent_id or 0)
        if not row or "original" not in delivery.decided:
            return delivery
        decided = {**delivery.decided, "original": row}
        Delivery.objects.filter(tenant=self.tenant, pk=delivery.id).update(decided=decided)
        return replace(delivery, decided=decided)

    def _is_presumed(self, child: Bill, delivery: Taken) -> bool:
        """Whether the desk had written this cancellation, since the POS seemed to have no such bill: the POS has sent it anew, so it has."""
        of_this = self.old is not None and child.parent_id == self.old.pk
        if child.bill_class != BillClass.CANCEL or not of_this or self.case.decided.get("anew"):
            return False
        told = said("The POS has sent bill {bill_no} once more; it stands again.", bill_no=self.case.document.bill_no)
        rows = Delivery.objects.filter(tenant=self.tenant, pk=delivery.id, source=Source.DESK)
        return bool(rows.update(state=DeliveryState.REVERSED, message=told))


def operations_of(tenant_id: int, bill_ids: Collection[int]) -> dict[int, list[int]]:
    """-> the operations of each of these bills."""
    found: dict[int, list[int]] = defaultdict(list)
    rows = Entry.objects.filter(tenant=tenant_id, bill_id__in=bill_ids, seq=0).order_by("id")
    for bill_id, operation in rows.values_list("bill_id", "operation"):
        found[bill_id].append(operation)
    return found


def reverse_deliveries(tenant: Tenant, bill_ids: Collection[int], *, but: Collection[int]) -> None:
    """The deliveries of superseded rows say so; but for those that the bills are booked anew from."""
    rows = Delivery.objects.filter(tenant=tenant, bill__in=bill_ids, state=DeliveryState.APPLIED).exclude(pk__in=but)
    rows.update(state=DeliveryState.REVERSED)


def _given(effect: Effect) -> int:
    """What a credit gave at first."""
    return sum(points for _, _, points in effect.parts)


def _expired(effects: Iterable[Effect]) -> int:
    """What ran out unspent of the lots that these effects gave."""
    lots = dict.fromkeys(lot for effect in effects for lot, _, _ in effect.parts)
    return sum(lot.expired for lot in lots)
