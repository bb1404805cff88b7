"""From documents to the ledger: resolve, check, book. A batch is one transaction with one statement a table.

One bad delivery is refused alone; its neighbours post.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from integrations import retention
from integrations.ahead import Ahead, Understood
from integrations.amending import Amendment, Tools, operations_of, reverse_deliveries
from integrations.documents import UNWRITABLE, CheckFailed, Document
from integrations.models import Bill, BillClass, BillIssue, BillLine, Delivery, DeliveryState, Discrepancy, DiscrepancyKind
from integrations.posting import Case, Desk, HoldRow, NaturalKey, Outcome, Plan, Shop, Taken, WaitingForParent, natural_period
from loyalty import customers, ledger
from loyalty.account import Account
from loyalty.campaigns import CampaignBook, keep
from loyalty.holds import check_date_window
from loyalty.ledger import Book, CustomerMerged, OwnerChanged
from tenants import crash, staff
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import BillScope, RedemptionMode, Store, Tenant
from tenants.saying import said
from tenants.setwise import columns_of, insert, insert_sql, take_ids, without_waiting

FIND_BILLS = """
    SELECT k.place, b.id, b.fingerprint, b.version, b.net_amount, b.payable_amount, b.redeemed_points, b.billed_at,
           (SELECT min(d.id) FROM integrations_delivery d WHERE d.tenant_id = b.tenant_id AND d.bill_id = b.id)
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[]) WITH ORDINALITY
         AS k (store_id, bill_no, bill_class, period, till, place)
    JOIN integrations_bill b ON b.tenant_id = %s AND b.store_id = k.store_id AND b.bill_no = k.bill_no
         AND b.bill_class = k.bill_class AND b.period = k.period AND b.till = k.till AND b.superseded_at IS NULL
"""
FIND_HOLDS = """
    SELECT h.id, h.reference, h.customer_id, h.store_id, h.bill_no, h.state, h.at FROM loyalty_hold h
    WHERE h.tenant_id = %s AND h.reference = ANY(%s)
    UNION
    SELECT h.id, h.reference, h.customer_id, h.store_id, h.bill_no, h.state, h.at FROM loyalty_hold h
    JOIN unnest(%s::bigint[], %s::text[]) AS k (store_id, bill_no) ON h.store_id = k.store_id AND h.bill_no = k.bill_no
    WHERE h.tenant_id = %s AND h.bill_no <> ''
"""
INSERT_BILLS = insert_sql(
    "integrations_bill",
    {
        "id": "bigint", "tenant_id": "bigint", "store_id": "bigint", "customer_id": "bigint", "bill_class": "text",
        "bill_type": "text", "bill_no": "text", "till": "text", "period": "text", "version": "integer", "bill_uid": "text",
        "till_code": "text", "cashier": "text", "billed_at": "timestamptz", "business_date": "date", "gross_amount": "numeric",
        "discount_amount": "numeric", "net_amount": "numeric", "tax_amount": "numeric", "payable_amount": "numeric",
        "mode": "text", "redeemed_points": "bigint", "redeemed_amount": "numeric", "earned_points": "bigint",
        "hold_id": "bigint", "fingerprint": "bigint", "parent_id": "bigint", "return_type": "text",
    },
).replace("return_type) SELECT *", "return_type, flags) SELECT rows.*, '{}'::varchar[]")  # fmt: skip
#: Flags are rare: only the bills that have some are touched again.
SET_FLAGS = "UPDATE integrations_bill SET flags = string_to_array(new.flags, ',') FROM unnest(%s::bigint[], %s::text[]) AS new (id, flags) WHERE tenant_id = %s AND integrations_bill.id = new.id"  # noqa: E501
INSERT_LINES = insert_sql(
    "integrations_billline",
    {
        "tenant_id": "bigint", "bill_id": "bigint", "line_no": "integer", "line_type": "text", "item_code": "text",
        "department": "text", "qty": "numeric", "value": "numeric", "discount": "numeric", "amount": "numeric",
        "tax_amount": "numeric", "loyalty_discount": "numeric", "loyalty_points": "bigint", "earns": "boolean",
    },
)  # fmt: skip
INSERT_PARTS = insert_sql(
    "integrations_returnedpart",
    {
        "tenant_id": "bigint", "bill_id": "bigint", "original_id": "bigint", "line_no": "integer", "qty": "numeric", "amount": "numeric",
    },
)  # fmt: skip
INSERT_DISCREPANCIES = insert_sql(
    "integrations_discrepancy",
    {
        "tenant_id": "bigint", "kind": "text", "store_id": "bigint", "customer_id": "bigint", "bill_id": "bigint",
        "hold_id": "bigint", "points": "bigint", "message": "text", "incident_id": "bigint",
    },
)  # fmt: skip
RAISE_INCIDENTS = """
    INSERT INTO integrations_incident (tenant_id, kind, store_id, first_bill_id, bills, points, message, last_at)
    SELECT %s, rows.* FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::integer[], %s::bigint[], %s::text[], %s::timestamptz[])
        AS rows (kind, store_id, first_bill_id, bills, points, message, last_at)
    ON CONFLICT (tenant_id, kind, store_id, cause) WHERE closed_at IS NULL
    DO UPDATE SET bills = integrations_incident.bills + excluded.bills, points = integrations_incident.points + excluded.points,
        last_at = excluded.last_at
    RETURNING kind, store_id, id
"""

FIND_NEAR = """
    SELECT k.place, b.id, b.bill_no, b.code FROM unnest(%s::bigint[], %s::numeric[], %s::timestamptz[]) WITH ORDINALITY
         AS k (customer_id, net, at, place), LATERAL (
        SELECT b.id, b.bill_no, s.code FROM integrations_bill b JOIN tenants_store s ON s.id = b.store_id
        WHERE b.tenant_id = %s AND b.customer_id = k.customer_id
          AND b.billed_at BETWEEN k.at - interval '10 minutes' AND k.at + interval '10 minutes' AND b.net_amount = k.net
          AND b.bill_class = 'sale' AND b.superseded_at IS NULL AND b.cancelled_by_id IS NULL ORDER BY b.billed_at DESC LIMIT 3
    ) b ORDER BY k.place, b.id
"""
#: Superseded rows that stand alone: live, not cancelled, and nothing is about them. -> id, customer, store, day.
FIND_SIMPLE = """
    SELECT b.id, b.customer_id, b.store_id, b.business_date FROM integrations_bill b
    WHERE b.tenant_id = %(tenant)s AND b.id = ANY(%(bills)s) AND b.bill_type = 'SALE' AND b.cancelled_by_id IS NULL
      AND NOT EXISTS (SELECT FROM integrations_bill c WHERE c.tenant_id = %(tenant)s AND c.parent_id = b.id AND c.superseded_at IS NULL)
      AND NOT EXISTS (
          SELECT FROM integrations_returnedpart p JOIN integrations_bill c ON c.id = p.bill_id
          WHERE p.tenant_id = %(tenant)s AND p.original_id = b.id AND c.superseded_at IS NULL)
"""
SUPERSEDE = "UPDATE integrations_bill SET superseded_at = %s WHERE tenant_id = %s AND id = ANY(%s)"
FIND_OWNERS = """
    SELECT b.bill_no, b.customer_id FROM integrations_bill b WHERE b.tenant_id = %s AND b.bill_no = ANY(%s) AND b.superseded_at IS NULL
"""
#: Documents of one class share their numbers.
CLASSES = {"SALE": BillClass.SALE, "EXCHANGE": BillClass.SALE, "RETURN": BillClass.RETURN, "CANCEL": BillClass.CANCEL}
#: The same goods, amount and customer within so many minutes (also in FIND_NEAR) under another number: probably one sale twice.
NEAR = timedelta(minutes=10)


def book_batch(tenant: Tenant, taken: Sequence[Taken], *, now: datetime, ahead: Ahead | None = None) -> list[Outcome]:
    """Book what can be booked of these deliveries, each customer's in their order. Needs an open transaction and the inbox lock.

    `ahead`: knows some of them already, or none.
    -> one outcome each, and one for every delivery that was booked anew after a correction.
    """
    return Batch(Shop(tenant, now=now), ahead=ahead).run(taken)


class Batch:
    """Plain sales go together, with one statement a table; what is about an earlier bill goes alone, after the sales before it."""

    def __init__(self, shop: Shop, *, ahead: Ahead | None = None) -> None:
        self.shop = shop
        self.tenant = shop.tenant
        self._ahead = ahead or Ahead(shop.tenant)
        self.now = shop.now
        self._mobiles: dict[str, str] = {}
        self._again: dict[int, Outcome] = {}
        #: Booked in this batch; what became of their deliveries is not written yet.
        self._booked: dict[int, Taken] = {}

    @property
    def followed(self) -> set[int]:
        """Deliveries that were undone with the bill they are about; what became of them since is all there is of them."""
        return set(self._again)

    def run(self, taken: Sequence[Taken]) -> list[Outcome]:
        outcomes = [Outcome(delivery.id) for delivery in taken]
        cases = [
            case for delivery, outcome in zip(taken, outcomes, strict=True) if (case := self._read(delivery, outcome)) is not None
        ]
        rest = self._without_repeats(cases)
        owners = self._owners(rest)
        while rest:
            self._find_simple([case for case in rest if case.supersedes])
            together, rest = _next_together(rest, owners)
            if _is_plain(together[0]):
                self._book_routed(together)
            elif together[0].outcome.id not in self._again:  # else it was booked anew after the bill it is about
                self._amend(together[0])
        return [*(outcome for outcome in outcomes if outcome.id not in self._again), *self._again.values()]

    # Read and check one document

    def _read(self, delivery: Taken, outcome: Outcome) -> Case | None:
        try:
            known = self._ahead.of(delivery.id, delivery.body)
            raw = known.raw
            outcome.bill_no, outcome.store_code = _glimpse(raw, "bill_no", 120), _glimpse(raw, "store_code", 64)
            outcome.mobile = self._glimpsed_mobile(raw)
            outcome.mobile = mobile = self._mobile(known.document.mobile)
            return self._case(known, outcome, mobile, delivery)
        except DomainError as refusal:
            outcome.refuse(refusal)
        return None

    def _glimpsed_mobile(self, raw: dict[str, Any]) -> str:
        """Whose bill it is, whatever is wrong with the rest: the customer's page must show it. Empty: it cannot be read."""
        person = raw.get("customer")
        try:
            return self._mobile(_glimpse(person, "mobile", 60)) if isinstance(person, dict) else ""
        except DomainError:
            return ""

    def _mobile(self, text: str) -> str:
        if not text.strip():
            return ""
        if text not in self._mobiles:
            self._mobiles[text] = customers.normalised_mobile(text, region=self.tenant.region)
        return self._mobiles[text]

    def _case(self, known: Understood, outcome: Outcome, mobile: str, taken: Taken) -> Case:
        document = known.document
        store = self._store(document.store_code)
        billed_at = document.billed_at
        flags = list(document.flags)
        if billed_at.tzinfo is None:
            billed_at = billed_at.replace(tzinfo=store.timezone_or(self.tenant))
            flags.append("tz_assumed")
        if not taken.decided.get("any_date"):
            check_date_window(billed_at, tenant=self.tenant, now=self.now)
        business_date = billed_at.astimezone(store.timezone_or(self.tenant)).date()
        fingerprint = document.content(billed_at=billed_at, mobile=mobile, store_of=self._own_code, figures=known.figures)
        summed = known.summed
        if summed.spend and summed.bill_type in ("SALE", "EXCHANGE") and not (mobile or taken.decided.get("customer")):
            raise CheckFailed(
                "required_field",
                said("The bill redeems points but names no customer. Send customer.mobile."),
                path="customer.mobile",
            )
        outcome.store_id = store.pk
        return Case(
            outcome, summed, store, billed_at, business_date, self._natural_key(document, store, business_date), fingerprint, mobile,
            [*flags, *(flag for flag in summed.flags if flag not in flags)], taken,
        )  # fmt: skip

    def _store(self, code: str) -> Store:
        store = self.shop.stores.get(code)
        if store is None and self.tenant.auto_stores:
            store = staff.create_store(self.tenant, code=code, mode=RedemptionMode(self.tenant.default_mode), actor=SYSTEM)
            self.shop.stores[code] = store
        if store is None:
            raise CheckFailed(
                "store_unknown",
                said("No store has the code {code!r}. Add the store or an alias, then retry.", code=code),
                path="store_code",
                found=code,
            )
        return store

    def _own_code(self, code: str) -> str:
        """A store's own code, whatever alias names it."""
        store = self.shop.stores.get(code)
        return store.code if store else code

    def _natural_key(self, document: Document, store: Store, business_date: date) -> NaturalKey:
        by_till = self.tenant.bill_scope == BillScope.TILL
        if by_till and not document.till_code:
            raise CheckFailed(
                "required_field", said("Bill numbers of this tenant are unique at a till: send till_code."), path="till_code"
            )
        period = natural_period(business_date, rule=self.tenant.bill_period)
        return (store.pk, document.bill_no, CLASSES[document.bill_type].value, period, document.till_code if by_till else "")

    # The same bill again, or another under its number

    def _without_repeats(self, cases: list[Case]) -> list[Case]:
        """Cases that are new, or correct a booked bill. A repeat is a duplicate; other content under a booked number is a conflict
        (CASES 22-25)."""
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
            if earlier := first_here.get(case.key):
                # Nothing is known of the earlier one yet: it may still be refused. This one follows in the next batch.
                case.outcome.details = {"after": earlier.outcome.id}
                continue
            row = booked.get(place)
            if case.decided.get("anew") and case.taken.bill_id and (row is None or row[0] != case.taken.bill_id):
                # By the settings of now it has another place than the one where it was booked.
                if not self._moves_from(case.taken.bill_id, case, taken=row is not None):
                    continue
            elif row:
                bill_id, fingerprint, version, net, payable, points, billed_at, first_id = row
                before = {"net_amount": net, "payable_amount": payable, "redeemed_points": points, "bill_date": billed_at}
                if self._repeat(
                    case, bill_id=bill_id, same=fingerprint == case.fingerprint, version=version, first_id=first_id, before=before
                ):
                    continue
                case.supersedes, case.replaces, case.redeemed_before = bill_id, frozenset({bill_id}), points > 0
            first_here[case.key] = case
            fresh.append(case)
        return fresh

    def _moves_from(self, bill_id: int, case: Case, *, taken: bool) -> bool:
        """A booked bill whose store, year or till reads otherwise today: its own row is superseded, unless the new place is another's."""
        old = Bill.objects.filter(tenant=self.tenant, pk=bill_id, superseded_at=None).first()
        if old is None or taken:
            case.outcome.refuse(
                CheckFailed(
                    "place_taken",
                    said(
                        "By today's settings bill {bill_no} would take the place of another booked bill. Both stand as they are:"
                        " look at the store's aliases and the tenant's rule for bill numbers.",
                        bill_no=case.document.bill_no,
                    ),
                )
            )
            return False
        case.supersedes, case.replaces, case.redeemed_before = old.pk, frozenset({old.pk}), old.redeemed_points > 0
        return True

    def _find_simple(self, corrections: Sequence[Case]) -> None:
        """Corrections that can go together with sales, as things stand now."""
        if not corrections:
            return
        with connection.cursor() as cursor:
            cursor.execute(FIND_SIMPLE, {"tenant": self.tenant.pk, "bills": [case.supersedes for case in corrections]})
            alone = {row[0]: row[1:] for row in cursor.fetchall()}
        known = customers.find(self.tenant, {case.mobile for case in corrections if case.mobile})
        for case in corrections:
            owner, store_id, day = alone.get(case.supersedes, (None, None, None))
            same_visit = not self.shop.rules.has_visits or (store_id, day) == (case.store.pk, case.business_date)
            is_sale = case.document.bill_type == "SALE" and owner is not None
            case.simple = is_sale and known.get(case.mobile) == owner and same_visit

    def _repeat(
        self, case: Case, *, bill_id: int, same: bool, version: int, first_id: int | None, before: dict[str, Any]
    ) -> bool:  # fmt: skip
        """Whether nothing is to be booked: a duplicate, an older version, or a conflict. Else it is a correction."""
        outcome, document = case.outcome, case.document
        if case.decided.get("anew"):
            return False
        outcome.bill_id, outcome.first_id = bill_id, first_id
        if same or document.version < version:
            outcome.state = DeliveryState.DUPLICATE
            if same:
                told = said(
                    "Bill {bill_no} is booked already, with the same content. Nothing was added.", bill_no=document.bill_no
                )
            else:
                told = said(
                    "Version {version} of bill {bill_no} is booked already; this is version {sent}.",
                    version=version, bill_no=document.bill_no, sent=document.version,
                )  # fmt: skip
            outcome.message = told
            return True
        if document.version > version or case.decided.get("correction"):
            return False
        sent = {
            "net_amount": document.net, "payable_amount": document.payable,
            "redeemed_points": document.spend.points if document.spend else 0, "bill_date": case.billed_at,
        }  # fmt: skip
        differences = [
            {"field": name, "booked": _text(value), "sent": _text(sent[name])}
            for name, value in before.items()
            if value != sent[name]
        ]
        outcome.state = DeliveryState.CONFLICT
        outcome.check = "conflict"
        outcome.message = said(
            "Bill {bill_no} is booked already, with other content. The booked one stands; a person decides.",
            bill_no=document.bill_no,
        )
        lines = {"field": "items", "booked": said("other lines"), "sent": said("these lines")}
        outcome.details = {"differences": differences or [lines]}
        return True

    def _owners(self, cases: Sequence[Case]) -> dict[str, set[str]]:
        """Whose a bill about an earlier one may be, where it does not say: by the number of that bill. -> keys of customers, by the
        number of a bill or of a mobile."""
        unnamed = [case for case in cases if not _is_plain(case)]
        if not unnamed:
            return {}
        numbers = {number for case in unnamed for number in _originals(case)}
        with connection.cursor() as cursor:
            cursor.execute(FIND_OWNERS, [self.tenant.pk, list(numbers)])
            booked = cursor.fetchall()
        known = customers.find(self.tenant, {case.mobile for case in cases if case.mobile})
        owners: dict[str, set[str]] = defaultdict(set)
        for case in cases:
            if case.mobile:
                person = f"#{known[case.mobile]}" if case.mobile in known else case.mobile
                owners[case.mobile].add(person)
                owners[case.document.bill_no].add(person)
        for number, customer_id in booked:
            owners[number] |= {f"#{customer_id}"} if customer_id else set()
        return owners

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
        campaigns = CampaignBook(self.tenant, days=(min(days), max(days)))
        booked: list[Case] = []
        own = [row.id for row in hold_rows if row.customer_id in ids]
        superseded = [case.supersedes for case in cases if case.supersedes]
        operations = operations_of(self.tenant.pk, superseded) if superseded else {}
        undo = [each for of_bill in operations.values() for each in of_bill]
        spending = {
            case.customer_id for case in cases if case.customer_id is not None and (case.document.spend or case.supersedes)
        }
        with ledger.open(self.tenant, ids, now=self.now, holds=own, spending=spending, undo=undo) as book:
            desk = Desk(self.shop, book, hold_rows, ids, campaigns, without_bills=superseded)
            with without_waiting(), self._near([case for case in cases if not case.supersedes]) as near:
                for case in cases:
                    try:
                        desk.post(case, begin=_undoing(book, operations.get(case.supersedes or 0, [])))
                    except DomainError as refusal:
                        case.outcome.refuse(refusal)
                        continue
                    case.outcome.state, case.outcome.bill_id = DeliveryState.APPLIED, case.bill_id
                    booked.append(case)
                self._tell_near(booked, near())
            book.number()
            with without_waiting():
                if booked:
                    self._supersede(booked)
                    self._write(booked)
                crash.point("inbox_before_flush")
                book.flush()

    def _supersede(self, booked: Sequence[Case]) -> None:
        old = {case.supersedes for case in booked if case.supersedes and case.simple}
        if old:
            with connection.cursor() as cursor:
                cursor.execute(SUPERSEDE, [self.now, self.tenant.pk, list(old)])
            reverse_deliveries(self.tenant, old, but={case.outcome.id for case in booked})

    def _amend(self, case: Case) -> None:
        """Book a bill about an earlier one, alone."""
        tools = Tools(self._find_holds, self._write, self._delivery_of, self._book_again)
        mark, again = self.shop.mark(), set(self._again)
        for left in (2, 1, 0):
            try:
                case.begin()
                Amendment(self.shop, case, tools).book()
                case.outcome.state, case.outcome.bill_id = DeliveryState.APPLIED, case.bill_id
            except (CustomerMerged, OwnerChanged) as moved:
                self._forget(mark, again)
                if left:
                    continue
                case.outcome.refuse(moved)
            except WaitingForParent as waiting:
                case.outcome.wait(waiting)
            except DomainError as refusal:
                self._forget(mark, again)
                case.outcome.refuse(refusal)
            return

    def _forget(self, mark: Any, again: set[int]) -> None:
        """A refused amendment leaves nothing behind, nor do the bills that were booked anew after it."""
        self.shop.back_to(mark)
        self._again = {delivery_id: outcome for delivery_id, outcome in self._again.items() if delivery_id in again}

    def _delivery_of(self, bill: Bill) -> Taken | None:
        if bill.pk in self._booked:
            return self._booked[bill.pk]
        # Locked: until this ends nobody takes its message.
        rows = Delivery.objects.select_for_update(of=["self"]).filter(tenant=self.tenant, bill=bill, state=DeliveryState.APPLIED)
        row = rows.first()
        return Taken(row.pk, retention.body_of(row), row.decided, bill.pk) if row else None

    def _book_again(self, taken: Taken, before: Bill) -> int:
        """A bill about a corrected one, after the correction; `before`: the row that it was. -> the row that it is now, or 0."""
        outcome = self._again[taken.id] = Outcome(taken.id)
        case = self._read(taken, outcome)
        if case is None:
            return 0
        with connection.cursor() as cursor:
            (case.bill_id,) = take_ids(cursor, "integrations_bill_id_seq", 1)
        case.replaces, case.redeemed_before = frozenset({before.pk}), before.redeemed_points > 0
        self._amend(case)
        return case.bill_id if outcome.state is DeliveryState.APPLIED else 0

    def _find_holds(self, cases: Sequence[Case]) -> list[HoldRow]:
        references = [case.document.spend.reference for case in cases if case.document.spend and case.document.spend.reference]
        numbers = [(case.store.pk, case.document.bill_no) for case in cases if case.sells]
        if not (references or numbers):
            return []
        with connection.cursor() as cursor:
            cursor.execute(FIND_HOLDS, [self.tenant.pk, references, *(columns_of(numbers) or ([], [])), self.tenant.pk])
            return [HoldRow(*row) for row in cursor.fetchall()]

    @contextmanager
    def _near(self, cases: Sequence[Case]) -> Iterator[Callable[[], dict[int, tuple[str, str]]]]:
        """Sales that look like another one under another number, asked for here. -> what then gives (number, store) of that one, by bill
        id (CASES 26)."""
        asked = [case for case in cases if case.customer_id is not None]
        if not asked:
            yield dict
            return
        with connection.cursor() as cursor:
            rows = [(case.customer_id, case.document.net, case.billed_at) for case in asked]
            cursor.execute(FIND_NEAR, [*columns_of(rows), self.tenant.pk])
            yield lambda: self._same_goods(asked, cursor.fetchall())

    def _same_goods(self, asked: Sequence[Case], rows: Sequence[tuple[Any, ...]]) -> dict[int, tuple[str, str]]:
        found: dict[int, tuple[str, str]] = {}
        candidates = [(asked[row[0] - 1], *row[1:]) for row in rows]
        goods = _goods_of(self.tenant, [bill_id for _, bill_id, _, _ in candidates])
        for case, bill_id, number, store in candidates:
            if goods.get(bill_id) == _goods(case):
                found.setdefault(case.bill_id, (number, store))
        seen: dict[Any, list[Case]] = defaultdict(list)
        for case in asked:
            alike = seen[case.customer_id, case.document.net]
            for earlier in alike:
                if abs(earlier.billed_at - case.billed_at) <= NEAR and _goods(earlier) == _goods(case):
                    found.setdefault(case.bill_id, (earlier.document.bill_no, earlier.store.code))
            alike.append(case)
        return found

    def _tell_near(self, booked: Sequence[Case], near: Mapping[int, tuple[str, str]]) -> None:
        for case in booked if near else ():
            if case.bill_id not in near:
                continue
            bill_no, store = near[case.bill_id]
            message = said(
                "The same goods, amount and customer within {minutes} minutes as bill {bill_no} of store {store}.",
                minutes=NEAR.seconds // 60, bill_no=bill_no, store=store,
            )  # fmt: skip
            self.shop.tell(case, DiscrepancyKind.NEAR_DUPLICATE, points=case.earned, message=message)

    def _write(self, booked: Sequence[Case]) -> None:
        tenant_id = self.tenant.pk
        # Holds placed in this very batch get their ids when the book is written; bills come from holds that exist.
        bills = [_bill_row(tenant_id, case) for case in booked]
        lines = [
            (tenant_id, case.bill_id, line.line_no, line.line_type, line.item_code, line.department, line.qty, line.value, line.discount,
             line.amount, line.tax_amount, line.loyalty_discount, line.loyalty_points,
             case.earning_lines is None or line.line_no in case.earning_lines)
            for case in booked
            for line in case.document.lines
        ]  # fmt: skip
        parts = [(tenant_id, case.bill_id, *part) for case in booked for part in case.parts]
        for case in booked:
            if case.issues:
                BillIssue.objects.filter(tenant=self.tenant, pk__in=case.issues).update(bill=case.bill_id)
        flagged = [(case.bill_id, ",".join(dict.fromkeys(case.flags))) for case in booked if case.flags]
        with connection.cursor() as cursor:
            insert(cursor, INSERT_BILLS, bills)
            insert(cursor, INSERT_LINES, lines)
            if parts:
                insert(cursor, INSERT_PARTS, parts)
            if flagged:
                cursor.execute(SET_FLAGS, [*columns_of(flagged), tenant_id])
            incidents: dict[tuple[str, int | None], int] = {}
            if drifts := [_incident_row(cases, self._told_before(cases), self.now) for cases in self.shop.drifts.values()]:
                cursor.execute(RAISE_INCIDENTS, [tenant_id, *columns_of(drifts)])
                incidents = {(kind, store_id): incident_id for kind, store_id, incident_id in cursor.fetchall()}
            told = [(*row, incidents.get((row[1], row[2]))) for row in self.shop.discrepancies]
            insert(cursor, INSERT_DISCREPANCIES, told)
            keep(self.tenant, self.shop.evaluated)
        self._booked |= {case.bill_id: case.taken for case in booked}
        self.shop.written()

    def _told_before(self, cases: Sequence[Case]) -> set[int]:
        """Rows of these bills that the open incident of their store has counted: a bill booked anew is one bill."""
        before = {pk for case in cases for pk in case.replaces}
        if not before:
            return set()
        rows = Discrepancy.objects.filter(
            tenant=self.tenant,
            bill__in=before,
            kind=DiscrepancyKind.MODE_DRIFT,
            incident__closed_at=None,
            incident__store=cases[0].store,
        )
        return set(rows.values_list("bill_id", flat=True))


def _undoing(book: Book, operations: Sequence[int]) -> Callable[[Account, Plan], None] | None:
    """What a corrected sale undoes of itself before it is booked again."""
    if not operations:
        return None

    def begin(account: Account, plan: Plan) -> None:
        effects = [effect for each in operations if each in book.operations for effect in book.operations[each].effects]
        plan.undo(account.undoing(effects))

    return begin


def _is_plain(case: Case) -> bool:
    """Whether it can be booked together with other sales."""
    return case.document.bill_type == "SALE" and (case.supersedes is None or case.simple) and not case.decided.get("customer")


def _originals(case: Case) -> list[str]:
    named = [case.document.original, *(line.original for line in case.document.lines)]
    return [original.bill_no for original in named if original is not None]


def _next_together(cases: Sequence[Case], owners: dict[str, set[str]]) -> tuple[list[Case], list[Case]]:
    """The first case, and if it is a plain sale, all plain sales of customers for whom nothing else comes first. -> (these, the rest)."""
    if not _is_plain(cases[0]):
        return [cases[0]], list(cases[1:])
    together: list[Case] = []
    rest: list[Case] = []
    held_up: set[str] = set()
    for case in cases:
        people = owners.get(case.mobile, {case.mobile}) if case.mobile else set()
        if _is_plain(case) and not people & held_up:
            together.append(case)
            continue
        rest.append(case)
        held_up |= people.union(*(owners.get(number, set()) for number in _originals(case)))
    return together, rest


def _goods(case: Case) -> tuple[Any, ...]:
    return tuple(sorted((line.item_code, line.qty, line.amount) for line in case.document.lines))


def _goods_of(tenant: Tenant, bill_ids: Collection[int]) -> dict[int, tuple[Any, ...]]:
    found: dict[int, list[tuple[str, Decimal, Decimal]]] = defaultdict(list)
    if bill_ids:
        rows = BillLine.objects.filter(tenant=tenant, bill__in=bill_ids).values_list("bill_id", "item_code", "qty", "amount")
        for bill_id, *goods in rows:
            found[bill_id].append(tuple(goods))
    return {bill_id: tuple(sorted(goods)) for bill_id, goods in found.items()}


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
        (spend.amount if case.sells else -spend.amount) if spend else Decimal(0), case.earned,
        case.hold.id if case.hold else None, case.fingerprint, case.parent_id, document.return_type,
    )  # fmt: skip


def _incident_row(cases: list[Case], told: Collection[int], now: datetime) -> tuple[Any, ...]:
    """`told`: rows that the open incident has counted already."""
    first = cases[0]
    fresh = [case for case in cases if not case.replaces & set(told)]
    kind = DiscrepancyKind.MODE_DRIFT
    message = said(
        "{store} shows points in another way than its setting, first on bill {bill_no}.",
        store=first.store, bill_no=first.document.bill_no,
    )  # fmt: skip
    return (kind.value, first.store.pk, first.bill_id, len(fresh), sum(case.points for case in fresh), message[:500], now)


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.isoformat() if isinstance(value, datetime) else str(value)
