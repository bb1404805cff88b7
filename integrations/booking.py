"""From documents to the ledger: resolve, check, book. A batch is one transaction with one statement a table.

One bad delivery is refused alone; its neighbours post.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from django.db import connection

from integrations import wondersoft
from integrations.documents import UNWRITABLE, CheckFailed, Document, Spend, check_sums, read_json
from integrations.models import BillClass, DeliveryState, DiscrepancyKind
from loyalty import customers, ledger
from loyalty.account import Account
from loyalty.campaigns import CampaignBook, Evaluated, History, keep
from loyalty.earning import Purchase, PurchaseLine, Rule, earned
from loyalty.holds import check_date_window
from loyalty.ledger import Book, CustomerMerged, Operation
from loyalty.money import minor_digits, worth
from loyalty.programmes import RuleBook, latest
from loyalty.state import Hold, HoldState, Kind
from tenants import crash, staff, stores
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import BillPeriod, BillScope, RedemptionMode, Store, StoreMode, Tenant
from tenants.setwise import columns_of, insert, insert_sql, take_ids

FIND_BILLS = """
    SELECT k.place, b.id, b.fingerprint, b.net_amount, b.payable_amount, b.redeemed_points, b.billed_at,
           (SELECT min(d.id) FROM integrations_delivery d WHERE d.tenant_id = b.tenant_id AND d.bill_id = b.id)
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[]) WITH ORDINALITY
         AS k (store_id, bill_no, bill_class, period, till, place)
    JOIN integrations_bill b ON b.tenant_id = %s AND b.store_id = k.store_id AND b.bill_no = k.bill_no
         AND b.bill_class = k.bill_class AND b.period = k.period AND b.till = k.till
"""
FIND_HOLDS = """
    SELECT h.id, h.reference, h.customer_id, h.store_id, h.bill_no, h.state FROM loyalty_hold h
    WHERE h.tenant_id = %s AND h.reference = ANY(%s)
    UNION
    SELECT h.id, h.reference, h.customer_id, h.store_id, h.bill_no, h.state FROM loyalty_hold h
    JOIN unnest(%s::bigint[], %s::text[]) AS k (store_id, bill_no) ON h.store_id = k.store_id AND h.bill_no = k.bill_no
    WHERE h.tenant_id = %s AND h.bill_no <> ''
"""
HAS_BILL = "SELECT 1 FROM integrations_bill WHERE tenant_id = %s AND bill_no = %s AND bill_class = 'sale' LIMIT 1"
INSERT_BILLS = insert_sql(
    "integrations_bill",
    {
        "id": "bigint", "tenant_id": "bigint", "store_id": "bigint", "customer_id": "bigint", "bill_class": "text",
        "bill_type": "text", "bill_no": "text", "till": "text", "period": "text", "version": "integer", "bill_uid": "text",
        "till_code": "text", "cashier": "text", "billed_at": "timestamptz", "business_date": "date", "gross_amount": "numeric",
        "discount_amount": "numeric", "net_amount": "numeric", "tax_amount": "numeric", "payable_amount": "numeric",
        "mode": "text", "redeemed_points": "bigint", "redeemed_amount": "numeric", "earned_points": "bigint",
        "hold_id": "bigint", "fingerprint": "bigint",
    },
).replace("fingerprint) SELECT *", "fingerprint, flags) SELECT rows.*, '{}'::varchar[]")  # fmt: skip
#: Flags are rare: only the bills that have some are touched again.
SET_FLAGS = "UPDATE integrations_bill SET flags = string_to_array(new.flags, ',') FROM unnest(%s::bigint[], %s::text[]) AS new (id, flags) WHERE tenant_id = %s AND integrations_bill.id = new.id"  # noqa: E501
INSERT_LINES = insert_sql(
    "integrations_billline",
    {
        "tenant_id": "bigint", "bill_id": "bigint", "line_no": "integer", "line_type": "text", "item_code": "text",
        "department": "text", "qty": "numeric", "value": "numeric", "discount": "numeric", "amount": "numeric",
        "tax_amount": "numeric", "loyalty_discount": "numeric", "loyalty_points": "bigint",
    },
)  # fmt: skip
INSERT_DISCREPANCIES = insert_sql(
    "integrations_discrepancy",
    {
        "tenant_id": "bigint", "kind": "text", "store_id": "bigint", "customer_id": "bigint", "bill_id": "bigint",
        "hold_id": "bigint", "points": "bigint", "message": "text",
    },
)  # fmt: skip
RAISE_INCIDENTS = """
    INSERT INTO integrations_incident (tenant_id, kind, store_id, first_bill_id, bills, points, message, last_at)
    SELECT %s, rows.* FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::integer[], %s::bigint[], %s::text[], %s::timestamptz[])
        AS rows (kind, store_id, first_bill_id, bills, points, message, last_at)
    ON CONFLICT (tenant_id, kind, store_id) WHERE closed_at IS NULL
    DO UPDATE SET bills = integrations_incident.bills + excluded.bills, points = integrations_incident.points + excluded.points,
        last_at = excluded.last_at
"""

type NaturalKey = tuple[int, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery taken for processing."""

    id: int
    body: bytes


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

    def refuse(self, refusal: DomainError) -> None:
        self.state = DeliveryState.QUARANTINED
        self.check, self.message = refusal.code, refusal.sentence[:500]
        self.details = _plain(refusal.details)


@dataclass(slots=True)
class Case:
    """One bill on its way through the batch."""

    outcome: Outcome
    document: Document
    store: Store
    billed_at: datetime
    business_date: date
    key: NaturalKey
    fingerprint: int
    mobile: str
    flags: list[str]
    bill_id: int = 0
    customer_id: int | None = None
    hold: Hold | None = None
    points: int = 0
    earned: int = 0


def book_batch(tenant: Tenant, taken: Sequence[Taken], *, now: datetime) -> list[Outcome]:
    """Book what can be booked of these deliveries, in their order. Needs an open transaction; -> one outcome each."""
    return Batch(tenant, now=now).run(taken)


class Batch:
    def __init__(self, tenant: Tenant, *, now: datetime) -> None:
        self.tenant = tenant
        self.now = now
        self.digits = minor_digits(tenant.currency)
        self.rules = RuleBook(tenant)
        self.campaigns: CampaignBook | None = None
        self.evaluated: list[Evaluated] = []
        self.stores = stores.by_code(tenant)
        self.modes = _modes(tenant)
        self._discrepancies: list[tuple[Any, ...]] = []
        self._drifts: dict[int, list[Case]] = defaultdict(list)
        self._mobiles: dict[str, str] = {}
        self._others: list[tuple[Document, Outcome]] = []

    def run(self, taken: Sequence[Taken]) -> list[Outcome]:
        outcomes = [Outcome(delivery.id) for delivery in taken]
        cases = [
            case for delivery, outcome in zip(taken, outcomes, strict=True) if (case := self._read(delivery, outcome)) is not None
        ]
        cases = self._without_repeats(cases)
        if cases:
            self._book_routed(cases)
        for document, outcome in self._others:
            try:
                self._park(document, outcome)
            except DomainError as refusal:
                outcome.refuse(refusal)
        return outcomes

    # Read and check one document

    def _read(self, delivery: Taken, outcome: Outcome) -> Case | None:
        try:
            raw = read_json(delivery.body)
            outcome.bill_no, outcome.store_code = _glimpse(raw, "bill_no", 120), _glimpse(raw, "store_code", 64)
            document = wondersoft.document(raw, minor_digits=self.digits, lenient=self.tenant.lenient_numbers)
            outcome.mobile = mobile = self._mobile(document.mobile)
            return self._case(document, outcome, mobile)
        except DomainError as refusal:
            outcome.refuse(refusal)
        return None

    def _mobile(self, text: str) -> str:
        if not text.strip():
            return ""
        if text not in self._mobiles:
            self._mobiles[text] = customers.normalised_mobile(text, region=self.tenant.region)
        return self._mobiles[text]

    def _case(self, document: Document, outcome: Outcome, mobile: str) -> Case | None:
        store = self._store(document.store_code)
        billed_at = document.billed_at
        flags = list(document.flags)
        if billed_at.tzinfo is None:
            billed_at = billed_at.replace(tzinfo=store.timezone_or(self.tenant))
            flags.append("tz_assumed")
        check_date_window(billed_at, tenant=self.tenant, now=self.now)
        if document.bill_type != "SALE":
            self._others.append((document, outcome))
            return None
        business_date = billed_at.astimezone(store.timezone_or(self.tenant)).date()
        fingerprint = document.content(billed_at=billed_at, mobile=mobile)
        summed = check_sums(document, minor_digits=self.digits)
        if summed.spend and not mobile:
            raise CheckFailed(
                "required_field", "The bill redeems points but names no customer. Send customer.mobile.", path="customer.mobile"
            )
        return Case(
            outcome, summed, store, billed_at, business_date, self._natural_key(document, store, business_date), fingerprint, mobile,
            [*flags, *(flag for flag in summed.flags if flag not in flags)],
        )  # fmt: skip

    def _store(self, code: str) -> Store:
        store = self.stores.get(code)
        if store is None and self.tenant.auto_stores:
            store = staff.create_store(self.tenant, code=code, mode=RedemptionMode(self.tenant.default_mode), actor=SYSTEM)
            self.stores[code] = store
        if store is None:
            raise CheckFailed(
                "store_unknown",
                f"No store has the code {code!r}. Add the store or an alias, then retry.",
                path="store_code",
                found=code,
            )
        return store

    def _natural_key(self, document: Document, store: Store, business_date: date) -> NaturalKey:
        by_till = self.tenant.bill_scope == BillScope.TILL
        if by_till and not document.till_code:
            raise CheckFailed(
                "required_field", "Bill numbers of this tenant are unique at a till: send till_code.", path="till_code"
            )
        period = natural_period(business_date, rule=self.tenant.bill_period)
        return (store.pk, document.bill_no, BillClass.SALE.value, period, document.till_code if by_till else "")

    def _park(self, document: Document, outcome: Outcome) -> None:
        """Returns, exchanges and cancellations are kept, in order, until their booking exists."""
        kind = document.bill_type.lower()
        original = document.original
        if original is None and document.bill_type != "EXCHANGE":
            raise CheckFailed(
                "parent_unnamed", f"This {kind} names no original bill. A person has to say which.", path="original"
            )
        if original is not None and not self._is_booked(original.bill_no):
            outcome.state = DeliveryState.WAITING_PARENT
            outcome.check = "waiting_parent"
            outcome.message = f"This {kind} waits for its sale {original.bill_no}, which has not arrived yet."
            return
        raise CheckFailed(
            "not_bookable_yet", f"A {kind} is kept here, but this version of Pointdesk does not book it yet.", path="bill_type"
        )

    def _is_booked(self, bill_no: str) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(HAS_BILL, [self.tenant.pk, bill_no])
            return cursor.fetchone() is not None

    # The same bill again, or another under its number

    def _without_repeats(self, cases: list[Case]) -> list[Case]:
        """Cases that are new. A repeat is a duplicate; other content under a booked number is a conflict (CASES 22-25)."""
        if not cases:
            return []
        with connection.cursor() as cursor:
            cursor.execute(FIND_BILLS, [*columns_of([case.key for case in cases]), self.tenant.pk])
            booked = {row[0] - 1: row[1:] for row in cursor.fetchall()}
            ids = take_ids(cursor, "integrations_bill_id_seq", len(cases))
        fresh: list[Case] = []
        first_here: dict[NaturalKey, Case] = {}
        for place, case in enumerate(cases):
            case.bill_id = ids[place]
            if row := booked.get(place):
                bill_id, fingerprint, net, payable, points, billed_at, first_id = row
                self._repeat(
                    case, bill_id=bill_id, same=fingerprint == case.fingerprint, first_id=first_id,
                    before={"net_amount": net, "payable_amount": payable, "redeemed_points": points, "bill_date": billed_at},
                )  # fmt: skip
            elif earlier := first_here.get(case.key):
                # Nothing is known of the earlier one yet: it may still be refused. This one follows in the next batch.
                case.outcome.details = {"after": earlier.outcome.id}
            else:
                first_here[case.key] = case
                fresh.append(case)
        return fresh

    def _repeat(self, case: Case, *, bill_id: int, same: bool, first_id: int | None, before: dict[str, Any]) -> None:
        outcome = case.outcome
        outcome.bill_id, outcome.first_id = bill_id, first_id
        if same:
            outcome.state = DeliveryState.DUPLICATE
            outcome.message = f"Bill {case.document.bill_no} is booked already, with the same content. Nothing was added."
            return
        sent = {
            "net_amount": case.document.net, "payable_amount": case.document.payable,
            "redeemed_points": case.document.spend.points if case.document.spend else 0, "bill_date": case.billed_at,
        }  # fmt: skip
        differences = [
            {"field": name, "booked": _text(value), "sent": _text(sent[name])}
            for name, value in before.items()
            if value != sent[name]
        ]
        outcome.state = DeliveryState.CONFLICT
        outcome.check = "conflict"
        outcome.message = (
            f"Bill {case.document.bill_no} is booked already, with other content. The booked one stands; a person decides."
        )
        outcome.details = {"differences": differences or [{"field": "items", "booked": "other lines", "sent": "these lines"}]}

    # Book

    def _book_routed(self, cases: list[Case]) -> None:
        """A customer may be merged away between the look at the number and the lock: then the number leads elsewhere (CASES 96)."""
        for left in (2, 1, 0):
            self._find_customers(cases)
            try:
                return self._book(cases)
            except CustomerMerged:
                if not left:
                    raise
        return None

    def _find_customers(self, cases: list[Case]) -> None:
        stubs = {
            case.mobile: customers.Stub(case.mobile, case.business_date, case.document.name, case.document.email)
            for case in reversed(cases)
            if case.mobile
        }
        ids = customers.find_or_create(self.tenant, stubs) if stubs else {}
        for case in cases:
            case.customer_id = ids.get(case.mobile)

    def _book(self, cases: list[Case]) -> None:
        hold_rows = self._find_holds(cases)
        ids = {case.customer_id for case in cases if case.customer_id is not None}
        days = [case.business_date for case in cases]
        self.campaigns = CampaignBook(self.tenant, days=(min(days), max(days)))
        booked: list[Case] = []
        own = [row.id for row in hold_rows if row.customer_id in ids]
        spending = {case.customer_id for case in cases if case.customer_id is not None and case.document.spend}
        with ledger.open(self.tenant, ids, now=self.now, holds=own, spending=spending) as book:
            desk = Desk(self, book, hold_rows, ids, self.campaigns)
            for case in cases:
                try:
                    desk.post(case)
                except DomainError as refusal:
                    case.outcome.refuse(refusal)
                    continue
                case.outcome.state, case.outcome.bill_id = DeliveryState.APPLIED, case.bill_id
                booked.append(case)
            if booked:
                self._write(book, booked)
            crash.point("inbox_before_flush")

    def _find_holds(self, cases: list[Case]) -> list["HoldRow"]:
        references = [case.document.spend.reference for case in cases if case.document.spend and case.document.spend.reference]
        numbers = [(case.store.pk, case.document.bill_no) for case in cases]
        with connection.cursor() as cursor:
            cursor.execute(FIND_HOLDS, [self.tenant.pk, references, *columns_of(numbers), self.tenant.pk])
            return [HoldRow(*row) for row in cursor.fetchall()]

    def _write(self, book: Book, booked: list[Case]) -> None:
        tenant_id = self.tenant.pk
        # Holds placed in this very batch get their ids when the book is written; bills come from holds that exist.
        bills = [_bill_row(tenant_id, case) for case in booked]
        lines = [
            (tenant_id, case.bill_id, line.line_no, line.line_type, line.item_code, line.department, line.qty, line.value, line.discount,
             line.amount, line.tax_amount, line.loyalty_discount, line.loyalty_points)
            for case in booked
            for line in case.document.lines
        ]  # fmt: skip
        flagged = [(case.bill_id, ",".join(case.flags)) for case in booked if case.flags]
        with connection.cursor() as cursor:
            insert(cursor, INSERT_BILLS, bills)
            insert(cursor, INSERT_LINES, lines)
            if flagged:
                cursor.execute(SET_FLAGS, [*columns_of(flagged), tenant_id])
            insert(cursor, INSERT_DISCREPANCIES, self._discrepancies)
            keep(self.tenant, self.evaluated)
            incidents = [_incident_row(cases, self.now) for cases in self._drifts.values()]
            if incidents:
                cursor.execute(RAISE_INCIDENTS, [tenant_id, *columns_of(incidents)])

    def discrepancy(self, case: Case, kind: DiscrepancyKind, *, points: int, message: str, hold: Hold | None = None) -> None:
        self._discrepancies.append(
            (
                self.tenant.pk,
                kind.value,
                case.store.pk,
                case.customer_id,
                case.bill_id,
                hold.id if hold else None,
                points,
                message[:500],
            )
        )
        case.flags.append(kind.value)
        if kind is DiscrepancyKind.MODE_DRIFT:
            self._drifts[case.store.pk].append(case)

    def mark(self) -> tuple[int, dict[int, int], int]:
        return len(self._discrepancies), {store: len(cases) for store, cases in self._drifts.items()}, len(self.evaluated)

    def back_to(self, mark: tuple[int, dict[int, int], int]) -> None:
        del self._discrepancies[mark[0] :]
        for each in self.evaluated[mark[2] :]:
            if each.judgement.awarded and self.campaigns:
                self.campaigns.not_awarded(each.customer_id, each.judgement.campaign.id)
        del self.evaluated[mark[2] :]
        for store in list(self._drifts):
            del self._drifts[store][mark[1].get(store, 0) :]
            if not self._drifts[store]:
                del self._drifts[store]

    def mode_of(self, store: Store, on: date) -> RedemptionMode | None:
        mode = latest(self.modes.get(store.pk, []), on)
        return RedemptionMode(mode) if mode else None


@dataclass(frozen=True, slots=True)
class HoldRow:
    """What is known of a hold before its customer is locked."""

    id: int
    reference: str
    customer_id: int
    store_id: int | None
    bill_no: str
    state: str


class Desk:
    """Posts bills to the accounts of one book: finds the hold, redeems, earns."""

    def __init__(
        self, batch: Batch, book: Book, hold_rows: list[HoldRow], customer_ids: Collection[int], campaigns: CampaignBook
    ) -> None:
        self.batch = batch
        self.book = book
        self.campaigns = campaigns
        campaigns.about(customer_ids)
        self.history = History(batch.tenant, customer_ids if batch.rules.looks_back or campaigns.campaigns else ())
        self.by_reference = {row.reference: row for row in hold_rows}
        self.by_bill: dict[tuple[int | None, str], list[HoldRow]] = defaultdict(list)
        for row in hold_rows:
            if row.bill_no:
                self.by_bill[row.store_id, row.bill_no].append(row)

    def post(self, case: Case) -> None:
        """Raises: DomainError, when the bill cannot be booked; then nothing of it was."""
        mark = self.batch.mark()
        try:
            self._post(case)
        except DomainError:
            self.batch.back_to(mark)
            raise
        if case.customer_id is not None and case.earned:
            self.history.add(case.customer_id, on=case.business_date, store_id=case.store.pk, points=case.earned)

    def _post(self, case: Case) -> None:
        document, spend = case.document, case.document.spend
        if spend is None:
            self._refuse_missing_split(case)
        if case.customer_id is None:
            return
        rule = self.batch.rules.rule(store_id=case.store.pk, on=case.business_date)
        operation = Operation(
            SYSTEM, f"Bill {document.bill_no}"[: ledger.REASON_MAX], f"bill:{case.bill_id}:{document.version}", case.fingerprint,
            case.billed_at, case.business_date, case.store.pk, case.bill_id,
        )  # fmt: skip
        today = self.batch.now.astimezone(case.store.timezone_or(self.batch.tenant)).date()
        with self.book.operation(case.customer_id, operation) as account:
            if spend is not None:
                self._redeem(case, account, spend, rule, today=today)
            self._earn(case, account, rule, today=today)

    def _earn(self, case: Case, account: Account, rule: Rule, *, today: date) -> None:
        """The programme's points, then the bonuses on top, each with its own entry and every one judged in writing."""
        customer_id, on, store_id = account.customer_id, case.business_date, case.store.pk
        purchase = purchase_of(case.document, store=case.store, at=case.billed_at, tenant=self.batch.tenant)
        so_far = self.history.so_far(customer_id, on=on, store_id=store_id)
        result = earned(rule, purchase, so_far)
        terms = rule.terms(on)
        if result.points:
            account.earn(result.points, terms=terms, today=today, snapshot=result.snapshot)
        case.earned = result.points
        for judgement in self.campaigns.judge(purchase, customer_id=customer_id, so_far=so_far, earns=result.points):
            if judgement.awarded:
                account.grant(
                    judgement.points, kind=Kind.BONUS, terms=terms, today=today,
                    snapshot={"bonus": judgement.campaign.name, "bonus_id": judgement.campaign.id, "points": judgement.points},
                )  # fmt: skip
                self.campaigns.awarded(customer_id, judgement.campaign.id)
            key = account.operation.key
            self.batch.evaluated.append(Evaluated(customer_id, case.bill_id, key, on, judgement))

    def _redeem(self, case: Case, account: Account, spend: Spend, rule: Rule, *, today: date) -> None:
        hold = self._hold(case, account, spend)
        points = self._points(spend, rate=hold.rate if hold else rule.point_value)
        case.hold, case.points = hold, points
        self._compare_mode(case, spend)
        on = case.business_date
        if hold is None:
            entries = account.redeem(points, on=on, today=today)
            self._tell(
                case, DiscrepancyKind.NO_HOLD, points=points, message=f"{points} points were spent without being blocked first."
            )
        elif hold.state is HoldState.ACTIVE:
            entries = account.capture(hold, points, on=on, today=today, bill_id=case.bill_id)
            if points > hold.points:
                more = f"{points} points were spent, {hold.points} had been blocked."
                self._tell(case, DiscrepancyKind.MORE_THAN_HELD, points=points - hold.points, message=more)
        elif hold.state in (HoldState.RELEASED, HoldState.EXPIRED):
            entries = account.complete_late(hold, points, on=on, today=today, bill_id=case.bill_id)
            late = f"The bill came after its {hold.points} blocked points had been freed ({hold.state})."
            self._tell(case, DiscrepancyKind.LATE_COMPLETION, points=points, message=late)
        else:
            entries = account.redeem(points, on=on, today=today, hold=hold)
            taken = f"Another bill had completed the redemption {hold.reference}; {points} points were spent again."
            self._tell(case, DiscrepancyKind.HOLD_TAKEN, points=points, message=taken)
        debt = sum(entry.owed for entry in entries if entry.kind is Kind.DEBT)
        if debt:
            self._tell(
                case,
                DiscrepancyKind.DEBT,
                points=debt,
                message=f"{debt} of {points} points spent were not there; they are owed now.",
            )

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
                    f"The redemption {spend.reference} belongs to another customer.",
                    path="redemption.reference",
                )
            if self.batch.tenant.require_hold:
                raise CheckFailed(
                    "redemption_unknown", f"No redemption {spend.reference} was started here. Check the reference at the till.",
                    path="redemption.reference", found=spend.reference,
                )  # fmt: skip
        named = [hold for hold in account.holds if hold.bill_no == case.document.bill_no and self._same_bill(hold, case)]
        if named:
            return next((hold for hold in named if hold.state is HoldState.ACTIVE), named[-1])
        equal = [
            hold
            for hold in active
            if hold.store_id == case.store.pk and not hold.bill_no and hold.points == self._wanted(spend, rate=hold.rate)
        ]
        return equal[0] if len(equal) == 1 else None

    def _same_bill(self, hold: Hold, case: Case) -> bool:
        """A hold names the number of a bill of its own store and year; next year's number is another bill (CASES 25)."""
        day = hold.at.astimezone(case.store.timezone_or(self.batch.tenant)).date()
        return hold.store_id == case.store.pk and natural_period(day, rule=self.batch.tenant.bill_period) == case.key[3]

    @staticmethod
    def _wanted(spend: Spend, *, rate: Decimal) -> int:
        """The points named, else the fewest that are worth the amount: what points are worth is rounded down."""
        return spend.points if spend.points is not None else int((spend.amount / rate).to_integral_value(ROUND_CEILING))

    def _points(self, spend: Spend, *, rate: Decimal) -> int:
        """The points spent; they must be worth what the bill says, at the rate of the till (CASES 19, 55)."""
        points = self._wanted(spend, rate=rate)
        expected = worth(points, rate=rate, minor_digits=self.batch.digits)
        if expected != spend.amount:
            raise CheckFailed(
                "points_rate", f"{points} points are worth {expected} at the rate of this redemption, the bill says {spend.amount}.",
                path="redemption.amount", expected=str(expected), found=str(spend.amount),
            )  # fmt: skip
        return points

    def _refuse_missing_split(self, case: Case) -> None:
        rows = self.by_bill.get((case.store.pk, case.document.bill_no), [])
        ids = {row.id for row in rows}
        here = [hold for hold in self.book.holds.values() if hold.id in ids and self._same_bill(hold, case)]
        open_elsewhere = [row for row in rows if row.id not in self.book.holds and row.state == HoldState.ACTIVE]
        held = next((hold for hold in here if hold.state is HoldState.ACTIVE), None) or next(iter(open_elsewhere), None)
        if held is not None:
            points = held.points if isinstance(held, Hold) else 0
            raise CheckFailed(
                "split_missing",
                f"Points were blocked for this very bill (redemption {held.reference}), but it shows none. Send the split on its items.",
                path="items", expected=str(points), found="0", reference=held.reference,
            )  # fmt: skip

    def _compare_mode(self, case: Case, spend: Spend) -> None:
        """A bill in the other shape than its store's setting is booked, and raises mode drift (CASES 53)."""
        setting = self.batch.mode_of(case.store, case.business_date)
        if setting is not None and setting != spend.mode:
            words = {RedemptionMode.PAYMENT: "a payment", RedemptionMode.DISCOUNT: "a discount on items"}
            message = f"{case.store} shows points as {words[spend.mode]}, but is set to {words[setting]}. The bills are booked."
            self._tell(case, DiscrepancyKind.MODE_DRIFT, points=case.points, message=message)

    def _tell(self, case: Case, kind: DiscrepancyKind, *, points: int, message: str) -> None:
        self.batch.discrepancy(case, kind, points=points, message=message, hold=case.hold)


def purchase_of(document: Document, *, store: Store, at: datetime, tenant: Tenant) -> Purchase:
    """A sale as the earning rules see it: in payment mode the tender of points is told apart, in discount mode it is out of the amounts."""
    spend = document.spend
    return Purchase(
        at=at.astimezone(store.timezone_or(tenant)),
        store_code=store.code,
        net=document.net,
        paid_by_points=spend.amount if spend and spend.mode == RedemptionMode.PAYMENT else Decimal(0),
        lines=tuple(
            PurchaseLine(line.item_code, line.department, line.qty, line.amount)
            for line in document.lines
            if line.line_type == "SALE"
        ),
    )


def natural_period(business_date: date, *, rule: str) -> str:
    """The year within which a bill number is unique: the Indian financial year begins in April (CASES 25)."""
    if rule == BillPeriod.NONE:
        return ""
    if rule == BillPeriod.CALENDAR_YEAR:
        return str(business_date.year)
    start = business_date.year - (business_date.month < 4)
    return f"{start}-{(start + 1) % 100:02d}"


def _modes(tenant: Tenant) -> dict[int, list[tuple[date, str]]]:
    modes: dict[int, list[tuple[date, str]]] = defaultdict(list)
    for mode in StoreMode.objects.filter(tenant=tenant).order_by("effective_from"):
        modes[mode.store_id].append((mode.effective_from, mode.mode))
    return modes


def _glimpse(raw: dict[str, Any], name: str, longest: int) -> str:
    """A field for the list of deliveries, whatever is wrong with the rest."""
    value = raw.get(name)
    if not isinstance(value, (str, int)):
        return ""
    return UNWRITABLE.sub("", str(value))[:longest]


def _bill_row(tenant_id: int, case: Case) -> tuple[Any, ...]:
    document, spend = case.document, case.document.spend
    store_id, bill_no, bill_class, period, till = case.key
    return (
        case.bill_id, tenant_id, store_id, case.customer_id, bill_class, document.bill_type, bill_no, till, period, document.version,
        document.bill_uid, document.till_code, document.cashier, case.billed_at, case.business_date, document.gross,
        document.discount, document.net, document.tax, document.payable, spend.mode.value if spend else "", case.points,
        spend.amount if spend else Decimal(0), case.earned, case.hold.id if case.hold else None, case.fingerprint,
    )  # fmt: skip


def _incident_row(cases: list[Case], now: datetime) -> tuple[Any, ...]:
    first = cases[0]
    kind = DiscrepancyKind.MODE_DRIFT
    message = f"{first.store} shows points in another way than its setting, first on bill {first.document.bill_no}."
    return (kind.value, first.store.pk, first.bill_id, len(cases), sum(case.points for case in cases), message[:500], now)


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _plain(details: dict[str, Any]) -> dict[str, Any]:
    """Details as JSON holds them."""
    result: dict[str, Any] = json.loads(json.dumps(details, default=str).replace("\\u0000", ""))
    return result
