"""Bills about earlier bills: returns, exchanges, cancellations, corrections, in every order in which they may come."""

from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from integrations import inbox
from integrations.documents import CheckFailed, Line
from integrations.issuing import issue_for_bill
from integrations.models import Bill, Delivery, Discrepancy, ReturnedPart, Source
from integrations.returns import Part, Sold, SoldLine, target, target_by_lines, understand
from loyalty import identity, programmes, sweeps
from loyalty.bonus import Operator, Subject
from loyalty.models import Bonus, BonusCondition, Customer, Entry, Hold, Programme, ProgrammeVersion
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import Store, Tenant
from tests import builders
from tests.builders import MEERA, balance, bill, deliver, discounted, paid_with_points

UNIT = Decimal("0.01")


def returned(number: str, of: str, net: str, *, kind: str = "AMOUNT", mobile: str | None = None, **fields: Any) -> dict[str, Any]:
    """A RETURN of one line of bill `of`, worth `net`."""
    fields = {"items": [{"amount": net, "item_code": "A1"}], "original": {"bill_no": of}} | fields
    return bill(number, net=net, mobile=mobile, bill_type="RETURN", return_type=kind, **fields)


def cancelled(number: str, of: str, **fields: Any) -> dict[str, Any]:
    document = bill(number, mobile=None, bill_type="CANCEL", original={"bill_no": of}, **fields)
    return {name: value for name, value in document.items() if name not in ("items", "net_amount")}


def items(*lines: tuple[str, str]) -> dict[str, Any]:
    """Lines (item, amount) with their sum."""
    net = sum(Decimal(amount) for _, amount in lines)
    return {
        "net_amount": str(net),
        "items": [{"line_no": place, "item_code": code, "amount": amount} for place, (code, amount) in enumerate(lines, 1)],
    }


def states(tenant: Tenant, *documents: dict[str, Any]) -> list[str]:
    return [delivery.check_name or delivery.state for delivery in deliver(tenant, *documents)]


def meera_of(tenant: Tenant) -> Customer:
    found: Customer = Customer.objects.get(tenant=tenant, mobile=MEERA)
    return found


def send_again(tenant: Tenant, delivery: Delivery) -> None:
    """The very same body: its quarantined delivery is tried again."""
    inbox.receive(tenant, bytes(delivery.body), source=Source.API, sender=SYSTEM, now=timezone.now())
    inbox.drain(tenant, now=timezone.now())


# How much comes back: the pure formulas


def sold(*amounts: str, points: int = 0) -> Sold:
    lines = [
        SoldLine(place, f"I{place}", "", Decimal(1), Decimal(amount), loyalty_points=points)
        for place, amount in enumerate(amounts, 1)
    ]
    return Sold("A1", lines, UNIT)


def line(number: int, amount: str, *, code: str = "", qty: str | None = None) -> Line:
    zero = Decimal(0)
    return Line(
        1, "RETURN", code, "", Decimal(qty or 1), Decimal(amount), zero, Decimal(amount), zero, zero, 0,
        original_line_no=number or None, qty_sent=qty is not None,
    )  # fmt: skip


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=8), st.integers(0, 10_000))
def test_parts_that_make_the_whole_take_the_whole(cents: list[int], points: int) -> None:
    whole = Decimal(sum(cents)) / 100
    bought, taken = sold(str(whole)), 0
    for cent in cents:
        bought.parts += understand(bought, [], return_type="AMOUNT", amount=Decimal(cent) / 100)
        aim = target(points, bought.share())
        assert aim >= taken
        taken = aim
    assert taken == points


def test_three_thirds_give_exactly_the_whole_though_each_is_rounded() -> None:
    bought, aims = sold("1000.00"), []
    for _ in range(3):
        bought.parts += understand(bought, [line(1, "333.33")], return_type="LINE_ITEM", amount=Decimal("333.33"))
        aims.append(target(10, bought.share()))
    assert aims == [3, 6, 10]


def test_lines_are_found_by_number_or_by_item_the_one_with_enough_left_first() -> None:
    bought = Sold("A1", [SoldLine(1, "X", "", Decimal(1), Decimal(5)), SoldLine(2, "X", "", Decimal(3), Decimal(30))], UNIT)
    parts = understand(bought, [line(0, "20", code="X", qty="2"), line(1, "5")], return_type="LINE_ITEM", amount=Decimal(25))
    assert parts == [Part(2, Decimal(2), Decimal(20)), Part(1, Decimal(1), Decimal(5))]


@pytest.mark.case(29)
@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([line(1, "600.02")], "are left"),
        ([line(1, "400.00"), line(1, "400.00")], "are left"),
        ([line(1, "10.00", qty="2")], "0 pieces|1 pieces"),
        ([line(7, "1.00")], "has no line 7"),
        ([line(0, "1.00", code="Z")], "has no item Z"),
        ([line(0, "1.00")], r"has no item \(no code\)"),
    ],
)
def test_more_than_was_bought_does_not_come_back(lines: list[Line], words: str) -> None:
    with pytest.raises(CheckFailed, match=words) as refusal:
        understand(sold("600.00", "300.00"), lines, return_type="LINE_ITEM", amount=Decimal(1))
    assert refusal.value.code == "over_return"
    assert {"path", "expected", "found"} <= refusal.value.details.keys()


def test_points_of_a_discount_come_back_by_the_quantity_of_their_line() -> None:
    bought = Sold("A1", [SoldLine(1, "X", "", Decimal(3), Decimal(300), loyalty_points=10)], UNIT)
    for aim in (3, 6, 10):
        bought.parts += understand(bought, [line(1, "100", qty="1")], return_type="LINE_ITEM", amount=Decimal(100))
        assert target_by_lines(bought) == aim


# Returns


@pytest.mark.case(1)
def test_vector_1_a_return_restores_and_takes_back_its_share(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    held = builders.hold(kulfi, meera, 60)
    deliver(kulfi, paid_with_points("A1", 40, net="540.00", reference=held.reference))
    assert balance(meera) == (0, 65, 0, 0)
    (delivery,) = deliver(kulfi, returned("R1", "A1", "270.00"))
    assert (delivery.state, balance(meera)) == ("applied", (0, 83, 0, 0))
    kinds = list(Entry.objects.filter(bill_id=delivery.bill_id).order_by("id").values_list("kind", "available"))
    assert kinds == [("restore", 20), ("rollback", -2)]
    row = Bill.objects.get(bill_no="R1")
    assert (row.parent and row.parent.bill_no, row.earned_points, row.redeemed_points, row.customer_id) == (
        "A1",
        -2,
        -20,
        meera.pk,
    )


@pytest.mark.case(59)
def test_vector_2_a_return_after_the_points_were_spent_is_owed(lenient_kulfi: Tenant) -> None:
    deliver(lenient_kulfi, bill("A1", net="5000.00"), paid_with_points("A2", 50, net="50.00"))
    (delivery,) = deliver(lenient_kulfi, returned("R1", "A1", "5000.00", kind="FULL"))
    assert balance(meera_of(lenient_kulfi)) == (0, 0, 0, 50)
    assert list(Entry.objects.filter(bill_id=delivery.bill_id).values_list("kind", "of_kind", "owed")) == [
        ("debt", "rollback", 50)
    ]
    assert Discrepancy.objects.get(bill=delivery.bill_id).kind == "debt"


@pytest.mark.case(59)
def test_where_nobody_may_owe_what_is_missing_is_a_discrepancy(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1", net="5000.00"), paid_with_points("A2", 30, net="30.00"))
    (delivery,) = deliver(kulfi, returned("R1", "A1", "5000.00", kind="FULL"))
    assert (delivery.state, balance(meera_of(kulfi))) == ("applied", (0, 0, 0, 0))
    told = Discrepancy.objects.get(bill=delivery.bill_id)
    assert (told.kind, told.points) == ("short", 30)


@pytest.mark.case(58)
def test_a_return_takes_pending_points_first(kulfi: Tenant) -> None:
    ProgrammeVersion.objects.update(pending_days=10)
    deliver(kulfi, bill("A1"), returned("R1", "A1", "500.00"))
    assert balance(meera_of(kulfi)) == (5, 0, 0, 0)


@pytest.mark.case(62)
def test_a_return_takes_back_by_the_rule_of_the_sale(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1", **items(("A1", "600.00"), ("GIFT", "400.00"))))
    programme = Programme.objects.get(tenant=kulfi)
    programmes.add_version(
        programme, effective_from=timezone.now().date() - timedelta(days=30), earn_per=Decimal(1), items=["GIFT"]
    )
    deliver(kulfi, returned("R1", "A1", "400.00", kind="LINE_ITEM", items=[{"amount": "400.00", "item_code": "GIFT"}]))
    assert balance(meera_of(kulfi)) == (0, 6, 0, 0)


def test_lines_that_earned_nothing_take_nothing_back(kulfi: Tenant) -> None:
    ProgrammeVersion.objects.update(excluded_items=["GIFT"])
    deliver(kulfi, bill("A1", **items(("A1", "600.00"), ("GIFT", "400.00"))))
    deliver(kulfi, returned("R1", "A1", "400.00", kind="LINE_ITEM", items=[{"amount": "400.00", "item_code": "GIFT"}]))
    assert balance(meera_of(kulfi)) == (0, 6, 0, 0)
    deliver(kulfi, returned("R2", "A1", "300.00", kind="LINE_ITEM"))
    assert balance(meera_of(kulfi)) == (0, 3, 0, 0)


def test_points_of_a_discount_come_back_with_their_lines(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    deliver(kulfi, discounted("A1", 60, 40))
    assert balance(meera) == (0, 11, 0, 0)
    deliver(kulfi, returned("R1", "A1", "560.00", kind="LINE_ITEM", items=[{"amount": "560.00", "item_code": "I2"}]))
    assert balance(meera) == (0, 46, 0, 0), "40 come back; of 11 earned, floor(11 x 560/1100) = 5 go"
    deliver(kulfi, returned("R2", "A1", "540.00", kind="FULL"))
    assert balance(meera) == (0, 100, 0, 0)


def test_a_tender_of_points_on_the_return_says_how_many_come_back_up_to_what_was_spent(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    deliver(kulfi, paid_with_points("A1", 40, net="540.00"))
    tender: dict[str, Any] = {"tenders": [{"mode": "LOYALTY_POINTS", "amount": "35.00"}, {"mode": "CASH", "amount": "235.00"}]}
    deliver(kulfi, returned("R1", "A1", "270.00", **tender))
    assert balance(meera) == (0, 60 + 5 + 35 - 2, 0, 0)
    deliver(kulfi, returned("R2", "A1", "270.00", kind="FULL", **tender))
    assert balance(meera) == (0, 100, 0, 0), "capped: 5 were left"


def test_what_ran_out_unspent_is_not_taken_again(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1"))
    meera = meera_of(kulfi)
    builders.expire_on(timezone.now().date())
    sweeps.expire_lots(kulfi, now=timezone.now())
    builders.issue(kulfi, meera, 50)
    deliver(kulfi, returned("R1", "A1", "1000.00", kind="FULL"))
    assert balance(meera) == (0, 50, 0, 0)


@pytest.mark.case(29)
def test_returns_beyond_the_sale_are_quarantined_whatever_their_number(kulfi: Tenant) -> None:
    assert states(
        kulfi, bill("A1"), returned("R1", "A1", "600.00"), returned("R2", "A1", "600.00"), returned("R3", "A1", "400.00", kind="FULL"),
        returned("R4", "A1", "1.00"),
    ) == ["applied", "applied", "over_return", "applied", "over_return"]  # fmt: skip
    assert balance(meera_of(kulfi)) == (0, 0, 0, 0)
    refused = Delivery.objects.get(bill_no="R2")
    assert refused.details == {"path": "net_amount", "expected": "400.0000", "found": "600.00"}


@pytest.mark.case(30)
def test_an_amount_and_then_lines_cannot_be_told_apart(kulfi: Tenant) -> None:
    assert states(kulfi, bill("A1"), returned("R1", "A1", "100.00"), returned("R2", "A1", "100.00", kind="LINE_ITEM")) == [
        "applied", "applied", "return_kinds_mixed",
    ]  # fmt: skip
    assert states(kulfi, bill("B1"), returned("R3", "B1", "100.00", kind="LINE_ITEM"), returned("R4", "B1", "100.00")) == [
        "applied", "applied", "return_kinds_mixed",
    ]  # fmt: skip


def test_a_full_return_of_another_amount_is_quarantined_with_both_figures(kulfi: Tenant) -> None:
    _, second = deliver(kulfi, bill("A1"), returned("R1", "A1", "900.00", kind="FULL"))
    assert (second.check_name, second.details["expected"], second.details["found"]) == ("sum_of_amounts", "1000.0000", "900.00")


def test_a_return_in_another_store_finds_its_sale(kulfi: Tenant) -> None:
    assert states(
        kulfi, bill("A1"), returned("R1", "A1", "400.00", store="K2", original={"bill_no": "A1", "store_code": "K1"}),
        returned("R2", "A1", "600.00", store="K2", mobile=MEERA, kind="FULL"),
    ) == ["applied", "applied", "applied"]  # fmt: skip
    assert balance(meera_of(kulfi)) == (0, 0, 0, 0)


def test_a_return_for_another_customer_is_refused(kulfi: Tenant) -> None:
    assert states(kulfi, bill("A1"), returned("R1", "A1", "10.00", mobile="+919840054321")) == [
        "applied",
        "parent_of_other_customer",
    ]


def test_a_return_of_a_walk_in_sale_is_kept_and_moves_nothing(kulfi: Tenant) -> None:
    assert states(kulfi, bill("A1", mobile=None), returned("R1", "A1", "10.00"), returned("R2", "A1", "2000.00")) == [
        "applied", "applied", "over_return",
    ]  # fmt: skip
    assert ReturnedPart.objects.count() == 1
    assert not Entry.objects.exists()


@pytest.mark.case(32)
def test_a_return_without_its_sale_suggests_which_it_may_be(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1", **items(("X", "10.00"), ("A1", "500.00"))), bill("A2", **items(("Y", "500.00"))))
    document = returned("R1", "", "400.00", kind="LINE_ITEM", mobile=MEERA, original=None)
    (delivery,) = deliver(kulfi, document)
    assert delivery.check_name == "parent_unnamed"
    assert [each["bill_no"] for each in delivery.details["suggestions"]] == ["A1"]


@pytest.mark.case(34)
def test_a_return_on_another_day_has_its_own_date_and_the_points_of_the_sale(kulfi: Tenant) -> None:
    before = (timezone.now() - timedelta(days=40)).isoformat()
    deliver(kulfi, bill("A1", bill_date=before), returned("R1", "A1", "500.00"))
    assert {entry.business_date for entry in Entry.objects.all()} == {bill.business_date for bill in Bill.objects.all()}


# Bonuses


def with_bonus(tenant: Tenant, *, spend: str) -> Bonus:
    today = timezone.now().date()
    row: Bonus = Bonus.objects.create(
        tenant=tenant, name="Summer", starts_on=today - timedelta(days=5), ends_on=today + timedelta(days=5), points=50
    )
    BonusCondition.objects.create(tenant=tenant, bonus=row, subject=Subject.NET, operator=Operator.AT_LEAST, wanted=spend)
    return row


@pytest.mark.case(63)
def test_a_threshold_bonus_goes_whole_when_what_is_kept_does_not_deserve_it(kulfi: Tenant) -> None:
    with_bonus(kulfi, spend="800")
    deliver(kulfi, bill("A1"), returned("R1", "A1", "200.00"))
    assert balance(meera_of(kulfi)) == (0, 8 + 50, 0, 0)
    deliver(kulfi, returned("R2", "A1", "100.00"))
    assert balance(meera_of(kulfi)) == (0, 7, 0, 0)


@pytest.mark.case(63)
def test_or_in_proportion_where_the_tenant_wants_that(kulfi: Tenant) -> None:
    kulfi.bonus_reevaluated = False
    kulfi.save()
    with_bonus(kulfi, spend="800")
    deliver(kulfi, bill("A1"), returned("R1", "A1", "300.00"))
    assert balance(meera_of(kulfi)) == (0, 7 + 35, 0, 0)


def test_a_bonus_without_conditions_goes_with_the_last_piece(kulfi: Tenant) -> None:
    row = with_bonus(kulfi, spend="1")
    row.conditions.all().delete()
    deliver(kulfi, bill("A1"), returned("R1", "A1", "999.00"))
    assert balance(meera_of(kulfi)) == (0, 1 + 50, 0, 0)
    deliver(kulfi, returned("R2", "A1", "1.00"))
    assert balance(meera_of(kulfi)) == (0, 0, 0, 0)


# Visits


@pytest.fixture
def visits(kulfi: Tenant) -> Tenant:
    ProgrammeVersion.objects.update(kind="visit_count")
    return kulfi


def test_a_visit_is_taken_back_when_every_bill_of_it_came_back_whole(visits: Tenant) -> None:
    deliver(visits, bill("A1"), bill("A2", net="300.00"))
    meera = meera_of(visits)
    assert balance(meera) == (0, 1, 0, 0)
    deliver(visits, returned("R1", "A1", "1000.00", kind="FULL"))
    assert balance(meera) == (0, 1, 0, 0), "A2 supports the visit"
    deliver(visits, returned("R2", "A2", "299.00"))
    assert balance(meera) == (0, 1, 0, 0)
    deliver(visits, returned("R3", "A2", "1.00"))
    assert balance(meera) == (0, 0, 0, 0)


def test_a_cancelled_bill_supports_no_visit(visits: Tenant) -> None:
    deliver(visits, bill("A1"), bill("A2", net="300.00"), cancelled("C1", "A1"))
    assert balance(meera_of(visits)) == (0, 1, 0, 0)
    deliver(visits, cancelled("C2", "A2"))
    assert balance(meera_of(visits)) == (0, 0, 0, 0)


# Exchanges


def exchange(number: str, back: str, bought: str, *, of: str = "A1", code: str = "A1", **fields: Any) -> dict[str, Any]:
    lines = [
        {"line_no": 1, "line_type": "RETURN", "item_code": code, "amount": back, "original": {"bill_no": of}},
        {"line_no": 2, "line_type": "SALE", "item_code": "NEW", "amount": bought},
    ]
    net = str(Decimal(bought) - Decimal(back))
    return bill(number, net=net, bill_type="EXCHANGE", **({"items": lines} | fields))


@pytest.mark.case(33)
@pytest.mark.parametrize(
    ("back", "bought", "after"), [("400.00", "700.00", 13), ("400.00", "400.00", 10), ("1000.00", "250.00", 2)]
)
def test_an_exchange_is_one_set_and_earns_on_what_is_sold(kulfi: Tenant, back: str, bought: str, after: int) -> None:
    _, second = deliver(kulfi, bill("A1"), exchange("E1", back, bought))
    assert (second.state, balance(meera_of(kulfi))) == ("applied", (0, after, 0, 0))
    assert Entry.objects.filter(bill_id=second.bill_id).values("operation").distinct().count() == 1


@pytest.mark.case(33)
def test_what_an_exchange_sold_can_be_returned(kulfi: Tenant) -> None:
    got = states(
        kulfi, bill("A1"), exchange("E1", "400.00", "700.00"),
        returned("R1", "E1", "700.00", kind="FULL", items=[{"amount": "700.00", "item_code": "NEW"}]),
        returned("R2", "A1", "700.00", kind="LINE_ITEM"), returned("R3", "A1", "600.00", kind="LINE_ITEM"),
    )  # fmt: skip
    assert got == ["applied", "applied", "applied", "over_return", "applied"]
    assert balance(meera_of(kulfi)) == (0, 0, 0, 0)


@pytest.mark.case(33)
def test_an_exchange_that_pays_with_points_spends_what_it_brings_back_first(kulfi: Tenant) -> None:
    """Law 11: the restored points cover the exchange's own redemption."""
    meera = builders.customer(kulfi, points=40)
    deliver(kulfi, paid_with_points("A1", 40, net="40.00"))
    tenders: dict[str, Any] = {"tenders": [{"mode": "LOYALTY_POINTS", "amount": "30.00"}]}
    (delivery,) = deliver(
        kulfi,
        exchange("E1", "40.00", "70.00", items=[
            {"line_no": 1, "line_type": "RETURN", "item_code": "A1", "amount": "40.00", "original": {"bill_no": "A1"}},
            {"line_no": 2, "line_type": "SALE", "item_code": "NEW", "amount": "70.00"},
        ], **tenders),
    )  # fmt: skip
    assert (delivery.state, balance(meera)) == ("applied", (0, 10, 0, 0))


def test_an_exchange_without_both_legs_or_with_other_sums_is_refused(kulfi: Tenant) -> None:
    one_leg = bill("E1", bill_type="EXCHANGE")
    wrong_sum = exchange("E2", "400.00", "700.00") | {"net_amount": "700.00", "payable_amount": "700.00"}
    nameless = exchange("E3", "400.00", "700.00")
    del nameless["items"][0]["original"]
    assert states(kulfi, bill("A1"), one_leg, wrong_sum, nameless) == ["applied", "bad_value", "sum_of_amounts", "parent_unnamed"]


# Cancellations


@pytest.mark.case(21)
def test_a_cancelled_bill_gives_everything_back_and_its_hold_stays_captured(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    held = builders.hold(kulfi, meera, 60)
    deliver(kulfi, paid_with_points("A1", 60, net="560.00", reference=held.reference), cancelled("C1", "A1"))
    assert (balance(meera), Hold.objects.get().state) == ((0, 100, 0, 0), "captured")
    assert states(kulfi, returned("R1", "A1", "10.00"), cancelled("C2", "A1")) == ["over_return", "over_return"]


def test_vector_5_a_cancelled_offline_bill_lifts_its_debt(lenient_kulfi: Tenant) -> None:
    meera = builders.customer(lenient_kulfi, points=20)
    deliver(lenient_kulfi, paid_with_points("A1", 30, net="430.00"))
    assert balance(meera) == (0, 0, 0, 6)
    deliver(lenient_kulfi, cancelled("C1", "A1"))
    assert balance(meera) == (0, 20, 0, 0)


def test_a_cancellation_takes_what_earlier_returns_left(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1"), returned("R1", "A1", "300.00"), cancelled("C1", "A1"))
    assert balance(meera_of(kulfi)) == (0, 0, 0, 0)


def test_a_cancelled_return_has_not_happened(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1"), returned("R1", "A1", "300.00"))
    assert balance(meera_of(kulfi)) == (0, 7, 0, 0)
    deliver(kulfi, cancelled("C1", "R1"))
    assert balance(meera_of(kulfi)) == (0, 10, 0, 0)
    deliver(kulfi, returned("R2", "A1", "1000.00", kind="FULL"))
    assert balance(meera_of(kulfi)) == (0, 0, 0, 0)


# Corrections


def test_vector_4_a_correction_is_one_netted_operation(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    held = builders.hold(kulfi, meera, 20)
    deliver(kulfi, paid_with_points("A1", 20, net="920.00", reference=held.reference))
    assert balance(meera) == (0, 89, 0, 0)
    (second,) = deliver(kulfi, paid_with_points("A1", 25, net="825.00", reference=held.reference, version=2))
    assert (second.state, balance(meera)) == ("applied", (0, 83, 0, 0))
    kinds = list(Entry.objects.filter(bill_id=second.bill_id).order_by("id").values_list("kind", "of_kind", "available"))
    assert kinds == [("reversal", "capture", 20), ("reversal", "earn", -9), ("redeem", None, -25), ("earn", None, 8)]
    held.refresh_from_db()
    assert (held.state, held.bill_id) == ("captured", second.bill_id)
    assert Delivery.objects.get(state="reversed").bill_no == "A1"
    assert not Discrepancy.objects.exists()


def test_vector_4c_the_same_after_the_points_were_spent(lenient_kulfi: Tenant) -> None:
    meera = builders.customer(lenient_kulfi, points=100)
    held = builders.hold(lenient_kulfi, meera, 20)
    deliver(lenient_kulfi, paid_with_points("A1", 20, net="920.00", reference=held.reference))
    deliver(lenient_kulfi, paid_with_points("A9", 89, net="89.00"))
    (second,) = deliver(lenient_kulfi, paid_with_points("A1", 25, net="825.00", reference=held.reference, version=2))
    assert balance(meera) == (0, 0, 0, 6)
    kinds = Entry.objects.filter(bill_id=second.bill_id).order_by("id").values_list("kind", "of_kind", "available", "owed")
    assert list(kinds) == [
        ("reversal", "capture", 20, 0), ("reversal", "earn", -8, 0), ("debt", "earn", 0, 1), ("redeem", None, -20, 0),
        ("debt", "redeem", 0, 5), ("earn", None, 8, 0),
    ]  # fmt: skip


def test_a_correction_books_its_returns_anew(kulfi: Tenant) -> None:
    document = bill("A1", net="1000.00")
    deliver(kulfi, document, returned("R1", "A1", "500.00"))
    assert balance(meera_of(kulfi)) == (0, 5, 0, 0)
    deliver(kulfi, bill("A1", net="2000.00", version=2, bill_date=document["bill_date"]))
    assert balance(meera_of(kulfi)) == (0, 15, 0, 0)
    assert Delivery.objects.get(bill_no="R1").state == "applied"
    assert Bill.objects.filter(bill_no="R1", superseded_at=None).get().parent == Bill.objects.get(bill_no="A1", version=2)


def test_a_return_that_no_longer_fits_the_corrected_bill_is_quarantined(kulfi: Tenant) -> None:
    document = bill("A1", net="1000.00")
    deliver(kulfi, document, returned("R1", "A1", "500.00"))
    deliver(kulfi, bill("A1", net="400.00", version=2, bill_date=document["bill_date"]))
    delivery = Delivery.objects.get(bill_no="R1")
    assert (delivery.state, delivery.check_name, balance(meera_of(kulfi))) == ("quarantined", "over_return", (0, 4, 0, 0))
    deliver(kulfi, bill("A1", net="600.00", version=3, bill_date=document["bill_date"]))
    send_again(kulfi, delivery)
    assert balance(meera_of(kulfi)) == (0, 1, 0, 0)


def test_a_correction_to_another_customer_moves_the_points(kulfi: Tenant) -> None:
    document = bill("A1")
    deliver(kulfi, document, bill("A1", version=2, mobile="+919840054321", bill_date=document["bill_date"]))
    other = Customer.objects.get(mobile="+919840054321")
    assert (balance(meera_of(kulfi)), balance(other)) == ((0, 0, 0, 0), (0, 10, 0, 0))


def test_a_corrected_return_and_a_corrected_exchange(kulfi: Tenant) -> None:
    first = returned("R1", "A1", "500.00")
    deliver(
        kulfi,
        bill("A1"),
        first,
        first | {"version": 2, "net_amount": "300.00", "items": [{"amount": "300.00", "item_code": "A1"}]},
    )
    assert balance(meera_of(kulfi)) == (0, 7, 0, 0)
    document = exchange("E1", "100.00", "900.00", code="B", of="B1")
    deliver(kulfi, bill("B1", **items(("B", "100.00"))), document)
    assert balance(meera_of(kulfi)) == (0, 7 + 9, 0, 0)
    deliver(kulfi, exchange("E1", "50.00", "800.00", code="B", of="B1", version=2, bill_date=document["bill_date"]))
    assert balance(meera_of(kulfi)) == (0, 7 + 1 + 8, 0, 0)


def test_a_correction_with_returns_owes_only_at_the_end_where_nobody_may_owe(kulfi: Tenant) -> None:
    """The return gave 20 back, and they were spent: undone and booked again, they cover themselves."""
    meera = builders.customer(kulfi, points=40)
    document = paid_with_points("A1", 40, net="80.00")
    deliver(kulfi, document, returned("R1", "A1", "40.00"), paid_with_points("A2", 20, net="20.00"))
    assert balance(meera) == (0, 0, 0, 0)
    corrected = paid_with_points("A1", 40, net="80.00", version=2, bill_date=document["bill_date"], till_code="T2")
    (second,) = deliver(kulfi, corrected)
    assert (second.state, balance(meera)) == ("applied", (0, 0, 0, 0))
    too_much = paid_with_points("A1", 70, net="80.00", version=3, bill_date=document["bill_date"])
    (third,) = deliver(kulfi, too_much)
    assert (third.state, third.check_name, balance(meera)) == ("quarantined", "late_shortfall", (0, 0, 0, 0))
    assert Delivery.objects.get(bill_no="R1").state == "applied"


def test_a_cancellation_is_not_corrected(kulfi: Tenant) -> None:
    assert states(kulfi, bill("A1"), cancelled("C1", "A1"), cancelled("C1", "A1", version=2, till_code="T9")) == [
        "applied", "applied", "bad_value",
    ]  # fmt: skip


# Order


@pytest.mark.case(27)
def test_a_return_waits_for_its_sale_and_goes_on_by_itself(kulfi: Tenant) -> None:
    (early,) = deliver(kulfi, returned("R1", "A1", "500.00"))
    assert (early.state, early.waits_for) == ("waiting_parent", "A1")
    deliver(kulfi, bill("A1"))
    early.refresh_from_db()
    assert (early.state, balance(meera_of(kulfi))) == ("applied", (0, 5, 0, 0))


@pytest.mark.case(27)
def test_what_waited_a_week_in_vain_is_a_persons(kulfi: Tenant) -> None:
    (early,) = deliver(kulfi, returned("R1", "A1", "500.00"))
    inbox.sweep(now=timezone.now() + timedelta(days=6))
    early.refresh_from_db()
    assert early.state == "waiting_parent"
    inbox.sweep(now=timezone.now() + timedelta(days=8))
    early.refresh_from_db()
    assert (early.state, early.check_name) == ("quarantined", "parent_missing")
    deliver(kulfi, bill("A1"))
    send_again(kulfi, early)
    assert balance(meera_of(kulfi)) == (0, 5, 0, 0)


STORY = [
    paid_with_points("S1", 40, net="540.00"),
    returned("S2", "S1", "135.00"),
    returned("S3", "S1", "135.00"),
    exchange("S4", "270.00", "700.00", of="S1"),
]
OTHER_STORY = [
    paid_with_points("S1", 40, net="540.00"),
    paid_with_points("S1", 60, net="1060.00", version=2, bill_date=""),
    returned("S3", "S1", "530.00"),
    cancelled("S4", "S1"),
]


@pytest.mark.case(27)
@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_the_four_documents_of_one_story_give_the_same_balances_in_every_order(
    kulfi: Tenant, order: tuple[int, ...], one_by_one: bool
) -> None:
    now = timezone.now().isoformat()
    first, second = builders.customer(kulfi, points=100), builders.customer(kulfi, "+919840054321", points=100)
    story = [{**document, "bill_date": now} for document in STORY[:3]] + [
        {**STORY[3], "bill_date": now, "items": [{**STORY[3]["items"][0], "original": {"bill_no": "S1"}}, STORY[3]["items"][1]]}
    ]
    for document in story[1:3]:
        document["return_type"] = "LINE_ITEM"
    other = [
        {
            **document,
            "bill_date": now,
            "store_code": "K2",
            **({"customer": {"mobile": second.mobile}} if "customer" in document else {}),
        }
        for document in OTHER_STORY
    ]
    documents = [document for place in order for document in (story[place], other[place])]
    for batch in [[each] for each in documents] if one_by_one else [documents]:
        deliver(kulfi, *batch)
    assert balance(first) == (0, 100 - 40 + 5 + 10 - 1 + 10 - 1 + 20 - 3 + 7, 0, 0)
    assert balance(second) == (0, 100, 0, 0)


def test_a_sale_after_a_return_in_the_same_batch_may_spend_what_came_back(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=40)
    got = states(
        kulfi, paid_with_points("A1", 40, net="40.00"), returned("R1", "A1", "40.00", kind="FULL"), paid_with_points("A2", 40, net="40.00"),
    )  # fmt: skip
    assert (got, balance(meera)) == (["applied", "applied", "applied"], (0, 0, 0, 0))


# Near duplicates


@pytest.mark.case(26)
def test_the_same_sale_under_another_number_is_booked_and_told(kulfi: Tenant) -> None:
    document = bill("A1", **items(("X", "600.00"), ("Y", "400.00")))
    first, second = deliver(kulfi, document, document | {"bill_no": "A2", "store_code": "K2"})
    third = deliver(kulfi, document | {"bill_no": "A3"})[0]
    other_goods = deliver(kulfi, document | {"bill_no": "A4"} | items(("X", "500.00"), ("Y", "500.00")))[0]
    later = deliver(kulfi, document | {"bill_no": "A5", "bill_date": (timezone.now() - timedelta(hours=2)).isoformat()})[0]
    assert {each.state for each in (first, second, third, other_goods, later)} == {"applied"}
    told = {row.bill_id: row for row in Discrepancy.objects.filter(kind="near_duplicate")}
    assert set(told) == {second.bill_id, third.bill_id}
    assert "as bill A1 of store K1" in told[second.bill_id].message
    assert Bill.objects.get(bill_no="A2").flags == ["near_duplicate"]


def test_a_correction_is_refused_where_a_return_would_be_lost(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1"))
    (back,) = deliver(kulfi, returned("R1", "A1", "400.00"))
    Delivery.objects.filter(pk=back.pk).update(state="reversed")
    (correction,) = deliver(kulfi, bill("A1", net="2000.00", version=2))
    assert (correction.state, correction.check_name) == ("quarantined", "nothing_to_book_from")
    assert balance(Customer.objects.get()) == (0, 6, 0, 0)
    assert Bill.objects.filter(superseded_at=None).count() == 2


def test_a_sale_that_was_cancelled_and_billed_again_is_no_near_duplicate(kulfi: Tenant) -> None:
    document = bill("A1")
    deliver(kulfi, document)
    deliver(kulfi, cancelled("C1", "A1"))
    deliver(kulfi, document | {"bill_no": "A2"})
    assert not Discrepancy.objects.filter(kind="near_duplicate").exists()


@pytest.mark.case(32, 96, 97)
def test_after_an_unmerge_a_return_goes_to_whom_its_bill_was_booked_for(kulfi: Tenant) -> None:
    other = "+919840054321"
    meera, asha = builders.customer(kulfi), builders.customer(kulfi, other, name="Asha")
    made = identity.merge(kulfi, asha.pk, meera.pk, reason="one person", actor=SYSTEM, now=timezone.now())
    deliver(kulfi, bill("A1", mobile=other))
    assert balance(meera) == (0, 10, 0, 0)
    identity.unmerge(kulfi, made.merge.pk, reason="two persons after all", actor=SYSTEM, now=timezone.now())
    (back,) = deliver(kulfi, returned("R1", "A1", "400.00", mobile=other))
    assert (back.state, balance(meera), balance(asha)) == ("applied", (0, 6, 0, 0), (0, 0, 0, 0))
    (strange,) = deliver(kulfi, returned("R2", "A1", "100.00", mobile="+919840099999"))
    assert strange.check_name == "parent_of_other_customer"


# Points issued for a bill before it came


@pytest.mark.case(79)
@pytest.mark.parametrize(("issued", "after"), [(4, 10), (10, 10), (15, 15)])
def test_a_bill_posts_what_it_earns_beyond_what_was_issued_for_it(kulfi: Tenant, issued: int, after: int) -> None:
    meera = builders.customer(kulfi)
    store = Store.objects.get(code="K1")
    given: dict[str, Any] = {
        "bill_no": "A1",
        "store": store,
        "reason": "the bill is late",
        "actor": SYSTEM,
        "now": timezone.now(),
    }
    issue_for_bill(kulfi, meera.pk, points=issued, key="k", **given)
    document = bill("A1")
    deliver(kulfi, document)
    assert (balance(meera), Bill.objects.get().earned_points) == ((0, after, 0, 0), 10)
    assert [row.points for row in Discrepancy.objects.all()] == ([issued - 10] if issued > 10 else [])
    with pytest.raises(DomainError, match="is booked: it earned 10 points"):
        issue_for_bill(kulfi, meera.pk, points=1, key="k2", **given)
    assert issue_for_bill(kulfi, meera.pk, points=issued, key="k", **given).repeated
    deliver(kulfi, bill("A1", net="1200.00", version=2, bill_date=document["bill_date"]))
    assert balance(meera) == (0, max(issued, 12), 0, 0)
    deliver(kulfi, returned("R1", "A1", "600.00"))
    assert balance(meera) == (0, max(issued, 12) - 6, 0, 0)
    deliver(kulfi, cancelled("C1", "A1"))
    assert balance(meera) == (0, max(issued - 12, 0), 0, 0)


@pytest.mark.case(37, 79)
def test_points_issued_for_an_exchange_count_once_when_its_sale_is_corrected(kulfi: Tenant) -> None:
    meera, store = builders.customer(kulfi), Store.objects.get(code="K1")
    document = bill("A1")
    deliver(kulfi, document)
    issue_for_bill(
        kulfi, meera.pk, points=15, bill_no="X1", store=store, reason="it is late", actor=SYSTEM, key="k", now=timezone.now()
    )
    back = {"line_no": 1, "line_type": "RETURN", "item_code": "A1", "amount": "1000.00", "original": {"bill_no": "A1"}}
    new = {"line_no": 2, "line_type": "SALE", "item_code": "B1", "amount": "1500.00"}
    deliver(kulfi, bill("X1", bill_type="EXCHANGE", net="500.00", items=[back, new]))
    assert balance(meera) == (0, 15, 0, 0)
    (corrected,) = deliver(
        kulfi, document | {"version": 2, "items": [{"line_no": 1, "item_code": "A1", "amount": "1000.00", "qty": "2"}]}
    )
    assert (corrected.state, balance(meera)) == ("applied", (0, 15, 0, 0))
    deliver(kulfi, cancelled("C1", "X1"))
    assert balance(meera) == (0, 10, 0, 0), "A1 stands again, what was issued for X1 is gone with it"


@pytest.mark.case(79)
def test_points_issued_for_last_years_bill_are_not_this_years(kulfi: Tenant) -> None:
    Tenant.objects.filter(pk=kulfi.pk).update(bill_period="calendar_year")
    kulfi.refresh_from_db()
    meera, now = builders.customer(kulfi), timezone.now()
    last_year = now - timedelta(days=370)
    store = Store.objects.get(code="K1")
    issue_for_bill(
        kulfi, meera.pk, points=10, bill_no="A1", store=store, reason="it is late", actor=SYSTEM, key="k", now=last_year
    )
    deliver(kulfi, bill("A1"))
    assert balance(meera) == (0, 20, 0, 0), "this year's A1 earns by itself"
    deliver(kulfi, bill("A1", bill_date=(last_year - timedelta(days=1)).isoformat()))
    assert balance(meera) == (0, 20, 0, 0), "and last year's was paid already"
