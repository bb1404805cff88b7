"""Long stories: bills about bills about bills, by chance and by malice. Whatever happened, undoing all of it leaves what was given by hand."""

import random
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from integrations import amending, inbox
from integrations.models import Bill, Delivery, ReturnedPart, Source
from loyalty import customers, identity, operations
from loyalty.models import Customer, Entry, Hold, Lot, ProgrammeVersion
from tenants.actors import SYSTEM
from tenants.models import Tenant
from tests import builders
from tests.builders import MEERA, balance, bill, deliver, discounted, paid_with_points, raw
from tests.integrations.test_returns import cancelled, exchange, meera_of, returned, states

OTHER = "+919840054321"
THIRD = "+919840099999"
Document = dict[str, Any]


def other_of(tenant: Tenant) -> Customer:
    found: Customer = Customer.objects.get(tenant=tenant, mobile=OTHER)
    return found


def again(document: Document, **changes: Any) -> Document:
    """The next version, identical but for what changes; the till tells the bodies apart."""
    return document | {"version": document.get("version", 1) + 1, "till_code": f"T{document.get('version', 1)}"} | changes


def undone_by_hand(tenant: Tenant, number: str) -> None:
    """An agent reverses what the bill did."""
    booked = Bill.objects.filter(bill_no=number).latest("id")
    first = Entry.objects.filter(bill_id=booked.pk).earliest("id").operation
    operations.reverse(tenant, first, reason="an agent's mistake", actor=SYSTEM, now=timezone.now())


# Undone, and the undoing undone


@pytest.mark.case(21)
def test_points_given_back_to_two_lots_are_taken_from_both(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=10)
    builders.issue(kulfi, meera, 90)
    sale = paid_with_points("A1", 20, net="20.00")
    deliver(kulfi, sale, returned("R1", "A1", "20.00", kind="FULL"), cancelled("C1", "R1"))
    assert sorted(Lot.objects.values_list("available", flat=True)) == [0, 80]
    deliver(kulfi, again(sale), cancelled("C2", "A1"))
    assert sorted(Lot.objects.values_list("available", flat=True)) == [10, 90]


@pytest.mark.parametrize("net", ["40.00", "2040.00"])
def test_what_an_agent_undid_is_not_undone_again_by_a_correction(kulfi: Tenant, net: str) -> None:
    meera = builders.customer(kulfi, points=100)
    sale = paid_with_points("A1", 40, net="40.00")
    deliver(kulfi, sale)
    undone_by_hand(kulfi, "A1")
    assert balance(meera) == (0, 100, 0, 0)
    deliver(kulfi, bill("A1", net=net, version=2, bill_date=sale["bill_date"]))
    assert balance(meera) == (0, 100 + int(Decimal(net) // 100), 0, 0)


def test_a_return_that_an_agent_undid_and_its_correction(kulfi: Tenant) -> None:
    back = returned("R1", "A1", "500.00")
    deliver(kulfi, bill("A1"), back)
    undone_by_hand(kulfi, "R1")
    assert balance(meera_of(kulfi)) == (0, 10, 0, 0)
    deliver(kulfi, again(back))
    assert balance(meera_of(kulfi)) == (0, 5, 0, 0)


@pytest.mark.parametrize("points", [0, 5])
def test_a_debt_that_a_return_lifted_stands_again_and_is_the_same_one(lenient_kulfi: Tenant, points: int) -> None:
    meera = builders.customer(lenient_kulfi)
    if points:
        builders.issue(lenient_kulfi, meera, points)
    sale, back = paid_with_points("A1", 22, net="22.00"), returned("R1", "A1", "22.00", kind="FULL")
    deliver(lenient_kulfi, sale, back)
    assert balance(meera) == (0, points, 0, 0)
    deliver(lenient_kulfi, again(back), again(sale))
    assert balance(meera) == (0, points, 0, 0)
    deliver(lenient_kulfi, cancelled("C1", "R1"))
    assert balance(meera) == (0, 0, 0, 22 - points)
    deliver(lenient_kulfi, cancelled("C2", "A1"))
    assert balance(meera) == (0, points, 0, 0)


@pytest.mark.case(21, 27)
@pytest.mark.parametrize("child", [returned("R1", "A1", "400.00"), exchange("R1", "400.00", "0.00")])
def test_bill_return_and_both_cancellations_are_nothing_in_any_order(kulfi: Tenant, child: Document) -> None:
    deliver(kulfi, bill("A1"), child, cancelled("C1", "A1"), cancelled("C2", "R1"))
    assert balance(meera_of(kulfi)) == (0, 0, 0, 0)


# Whose it is


def test_a_bill_that_moved_to_another_customer_goes_on_there(kulfi: Tenant) -> None:
    sale = bill("A1")
    deliver(kulfi, sale, returned("R1", "A1", "200.00"), again(sale, customer={"mobile": OTHER}))
    assert (balance(meera_of(kulfi)), balance(other_of(kulfi))) == ((0, 0, 0, 0), (0, 8, 0, 0))
    deliver(kulfi, returned("R2", "A1", "300.00"), again(again(sale, customer={"mobile": MEERA})))
    assert (balance(meera_of(kulfi)), balance(other_of(kulfi))) == ((0, 5, 0, 0), (0, 0, 0, 0))


def test_a_correction_that_moves_two_other_customers(kulfi: Tenant) -> None:
    walk_in = bill("A1", mobile=None)
    deliver(
        kulfi, walk_in, exchange("E1", "100.00", "700.00"), exchange("E2", "100.00", "700.00") | {"customer": {"mobile": OTHER}}
    )
    assert states(kulfi, again(walk_in)) == ["applied"]
    assert (balance(meera_of(kulfi)), balance(other_of(kulfi))) == ((0, 7, 0, 0), (0, 7, 0, 0))


@pytest.mark.case(96)
def test_a_merge_between_look_and_lock_doubles_no_part(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(kulfi, bill("A1"))
    meera, other = meera_of(kulfi), builders.customer(kulfi, OTHER)
    real = amending.Amendment._customer
    merged: list[Any] = []

    def merged_meanwhile(self: Any, legs: Any) -> Any:
        found = real(self, legs)
        if not merged:
            merged.append(identity.merge(kulfi, meera.pk, other.pk, reason="the same person", actor=SYSTEM, now=timezone.now()))
        return found

    monkeypatch.setattr(amending.Amendment, "_customer", merged_meanwhile)
    assert states(kulfi, returned("R1", "A1", "400.00")) == ["applied"]
    # The merge went back with the attempt that it broke off.
    assert (len(merged), ReturnedPart.objects.count(), balance(meera)) == (1, 1, (0, 6, 0, 0))


@pytest.mark.case(25)
def test_a_number_of_two_stores_holds_up_everybody_it_may_mean(kulfi: Tenant) -> None:
    builders.customer(kulfi, points=40)
    got = states(
        kulfi, paid_with_points("A1", 40, net="40.00"), returned("R1", "A1", "40.00", kind="FULL"), paid_with_points("A2", 40, net="40.00"),
        bill("A1", store="K2", mobile=OTHER, net="77.00"),
    )  # fmt: skip
    assert got == ["applied"] * 4


# What it is about


@pytest.mark.case(29)
def test_one_original_named_in_two_ways_is_one_original(kulfi: Tenant) -> None:
    lines = [
        {"line_no": 1, "line_type": "RETURN", "item_code": "A1", "amount": "600.00", "original": {"bill_no": "A1"}},
        {
            "line_no": 2,
            "line_type": "RETURN",
            "item_code": "A1",
            "amount": "600.00",
            "original": {"bill_no": "A1", "store_code": "K1"},
        },
        {"line_no": 3, "line_type": "SALE", "item_code": "N", "amount": "1000.00"},
    ]
    assert states(kulfi, bill("A1"), bill("E1", net="-200.00", bill_type="EXCHANGE", items=lines)) == ["applied", "over_return"]
    lines[1]["amount"] = "400.00"
    assert states(kulfi, bill("E2", net="0.00", bill_type="EXCHANGE", items=lines)) == ["applied"]
    assert balance(meera_of(kulfi)) == (0, 10, 0, 0)


def test_a_return_of_two_bills_is_refused_and_sent_as_two(kulfi: Tenant) -> None:
    lines = [{"item_code": "A1", "amount": "200.00", "original": {"bill_no": number}} for number in ("A1", "B1")]
    got = states(kulfi, bill("A1"), bill("B1"), returned("R1", "A1", "400.00", items=lines))
    assert got == ["applied", "applied", "bad_value"]


def test_an_identical_correction_leaves_a_new_redemption_alone(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    sale = paid_with_points("A1", 20, net="20.00")
    deliver(kulfi, sale)
    held = builders.hold(kulfi, meera, 20)
    deliver(kulfi, again(sale))
    held.refresh_from_db()
    assert (balance(meera), held.state) == ((0, 60, 20, 0), "active")


@pytest.mark.case(2)
def test_a_correction_upwards_honours_the_lots_of_its_own_hold(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=50)
    held = builders.hold(kulfi, meera, 50)
    builders.expire_on(timezone.now().date())
    sale = paid_with_points("A1", 30, net="50.00", reference=held.reference)
    deliver(kulfi, sale)
    assert states(
        kulfi, again(paid_with_points("A1", 50, net="50.00", reference=held.reference, bill_date=sale["bill_date"]))
    ) == ["applied"]
    assert (balance(meera), Hold.objects.get().state) == ((0, 0, 0, 0), "partly_captured")


def test_returns_are_booked_anew_in_the_order_in_which_they_first_came(kulfi: Tenant) -> None:
    sale, first = bill("A1"), returned("R1", "A1", "400.00")
    deliver(kulfi, sale, first, returned("R2", "A1", "600.00", kind="FULL"), again(first), again(sale))
    assert (balance(meera_of(kulfi)), Delivery.objects.filter(state="quarantined").count()) == ((0, 0, 0, 0), 0)


def test_a_number_of_several_tills_is_the_returns_own_or_a_persons(kulfi: Tenant) -> None:
    kulfi.bill_scope = "till"
    kulfi.save()
    deliver(kulfi, bill("A1", till_code="T1"), bill("A1", till_code="T2", mobile=OTHER))
    assert states(kulfi, returned("R1", "A1", "500.00", till_code="T1")) == ["applied"]
    assert (balance(meera_of(kulfi)), balance(other_of(kulfi))) == ((0, 5, 0, 0), (0, 10, 0, 0))
    assert states(kulfi, returned("R2", "A1", "500.00", till_code="T9")) == ["parent_unnamed"]


def test_goods_that_points_had_paid_whole_come_back_for_nothing(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=700)
    deliver(kulfi, discounted("A1", 600, 100))
    assert states(kulfi, returned("R1", "A1", "0.00", kind="LINE_ITEM", items=[{"item_code": "I1", "amount": "0.00"}])) == [
        "applied"
    ]
    assert balance(meera) == (0, 605, 0, 0)


@pytest.mark.case(23)
def test_the_same_return_with_its_date_in_another_zone_is_a_duplicate(kulfi: Tenant) -> None:
    first = returned("R1", "A1", "500.00", original={"bill_no": "A1", "bill_date": "2026-11-20T10:00:00+05:30"})
    second = first | {"bill_uid": "x", "original": {"bill_no": "A1", "bill_date": "2026-11-20T04:30:00+00:00"}}
    deliver(kulfi, bill("A1", bill_date="2026-11-20T10:00:00+05:30"))
    assert states(kulfi, first, second) == ["applied", "duplicate"]


def test_a_tender_of_no_points_gives_none_back(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=40)
    tenders = [{"mode": "LOYALTY_POINTS", "amount": "0.00"}, {"mode": "CASH", "amount": "40.00"}]
    deliver(kulfi, paid_with_points("A1", 40, net="40.00"), returned("R1", "A1", "40.00", kind="FULL", tenders=tenders))
    assert balance(meera) == (0, 0, 0, 0)


# Visits


@pytest.fixture
def visits(kulfi: Tenant) -> Tenant:
    ProgrammeVersion.objects.update(kind="visit_count")
    return kulfi


FULL = {"kind": "FULL"}
SALE_OF_A2 = bill("A2", net="300.00")


@pytest.mark.parametrize(
    ("story", "points"),
    [
        ([bill("A1"), returned("R1", "A1", "1000.00", kind="FULL"), bill("A2")], 1),
        ([bill("A1"), exchange("E1", "1000.00", "500.00")], 1),
        ([bill("A1"), SALE_OF_A2, again(bill("A1"), customer={"mobile": OTHER})], 1),
        ([bill("A1"), SALE_OF_A2, returned("R1", "A1", "1000.00", kind="FULL"), again(SALE_OF_A2, customer={"mobile": OTHER})], 0),
        (
            [
                bill("A1"), SALE_OF_A2, returned("R1", "A1", "1000.00", kind="FULL"), returned("R2", "A2", "300.00", kind="FULL"),
                cancelled("C1", "R1"),
            ],
            1,
        ),
    ],
)  # fmt: skip
def test_a_visit_counts_while_one_of_its_bills_stands(visits: Tenant, story: list[Document], points: int) -> None:
    now = timezone.now().isoformat()
    for document in story:
        deliver(visits, document | {"bill_date": now})
    assert balance(meera_of(visits)) == (0, points, 0, 0)


# By chance


class Story:
    """Random bills about random bills of three people, with merges; the sender's own book beside it."""

    def __init__(self, tenant: Tenant, seed: int) -> None:
        self.tenant, self.chance, self.count = tenant, random.Random(seed), 0
        self.sent: list[Document] = []
        self.people = [builders.customer(tenant, mobile, points=100) for mobile in (MEERA, OTHER, THIRD)]

    def number(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def total(self) -> int:
        return sum(pending + available + held - owed for pending, available, held, owed in map(balance, self.people))

    def send(self, document: Document) -> None:
        self.sent.append(document)
        deliver(self.tenant, document)

    def sale(self) -> None:
        mobile, net = self.chance.choice((MEERA, OTHER, THIRD)), f"{self.chance.randint(50, 900)}.00"
        points = self.chance.randint(1, 40)
        make = self.chance.choice(("plain", "paid", "discount"))
        if make == "plain":
            self.send(bill(self.number("S"), net=net, mobile=mobile))
        elif make == "paid":
            self.send(paid_with_points(self.number("S"), points, net=net, mobile=mobile))
        else:
            self.send(discounted(self.number("S"), points, self.chance.randint(0, 9), mobile=mobile))

    def about_something(self) -> None:
        live = [row for row in Bill.objects.filter(superseded_at=None, cancelled_by=None, bill_class="sale")]
        if not live:
            return self.sale()
        row = self.chance.choice(live)
        sold = [line for line in row.lines.all() if line.line_type == "SALE"]
        line = self.chance.choice(sold)
        amount = str((line.amount / self.chance.choice((1, 2, 3))).quantize(Decimal("0.01")))
        item = {"item_code": line.item_code, "amount": amount}
        match self.chance.choice(("back", "back", "exchange", "cancel")):
            case "back":
                self.send(returned(self.number("R"), row.bill_no, amount, kind="LINE_ITEM", items=[item]))
            case "exchange":
                document = exchange(self.number("E"), amount, "250.00", of=row.bill_no, code=line.item_code)
                mobile = row.customer.mobile if row.customer else MEERA
                self.send(document | {"customer": {"mobile": mobile}})
            case "cancel":
                self.send(cancelled(self.number("C"), row.bill_no))
        return None

    def same_again(self) -> None:
        """The very same content, as it was or as the next version, changes nobody's points."""
        rows = Bill.objects.filter(superseded_at=None).exclude(bill_class="cancel")
        booked = {row.bill_no: row for row in rows}
        fitting = [document for document in self.sent if document["bill_no"] in booked and document["bill_type"] != "CANCEL"]
        if not fitting:
            return
        document = self.chance.choice(fitting)
        row = booked[document["bill_no"]]
        before = [balance(person) for person in self.people]
        deliver(self.tenant, document | {"bill_uid": self.number("u")})
        assert [balance(person) for person in self.people] == before
        if self.chance.random() < 0.5 and row.version == document.get("version", 1):
            self.send(document | {"version": row.version + 1, "cashier": self.number("e"), "till_code": self.number("T")})
            assert [balance(person) for person in self.people] == before, document

    def undo_everything(self) -> None:
        """Newest first; what was cancelled stays so."""
        for row in list(Bill.objects.filter(superseded_at=None, cancelled_by=None).exclude(bill_class="cancel").order_by("-id")):
            deliver(self.tenant, cancelled(self.number("Z"), row.bill_no, store=row.store.code))


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happened_undoing_all_of_it_leaves_what_was_given(lenient_kulfi: Tenant, seed: int) -> None:
    story = Story(lenient_kulfi, seed)
    for _ in range(14):
        story.chance.choice((story.sale, story.about_something, story.about_something, story.same_again))()
    stuck = set(Delivery.objects.filter(check_name="processing_error").values_list("bill_no", flat=True))
    assert not stuck
    story.undo_everything()
    assert story.total() == 300
    assert [balance(person) for person in story.people] == [(0, 100, 0, 0)] * 3


def test_the_sender_may_repeat_everything_and_nothing_changes(kulfi: Tenant) -> None:
    story = Story(kulfi, 99)
    for _ in range(12):
        story.chance.choice((story.sale, story.about_something))()
    before = [balance(person) for person in story.people]
    for document in story.sent:
        inbox.receive(kulfi, raw(document), source=Source.API, sender=SYSTEM, now=timezone.now())
    inbox.drain(kulfi, now=timezone.now())
    assert [balance(person) for person in story.people] == before
    assert customers.find(kulfi, [MEERA, OTHER, THIRD]).keys() == {MEERA, OTHER, THIRD}
