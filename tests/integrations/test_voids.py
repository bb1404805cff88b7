"""Bills that stand here and were deleted at their POS: found, and reversed by a person."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from integrations import inbox, replay, voids
from integrations.decisions import Decision, ask_claim, decide
from integrations.models import Bill, Delivery, ErpOrder, Replay
from integrations.witnesses import DayTotals, settle_day
from loyalty.models import Customer, Entry
from tenants.actors import SYSTEM, Actor, ActorKind
from tenants.errors import DomainError
from tenants.models import AuditEvent, Store, StoreAlias, Tenant
from tests import builders
from tests.builders import MEERA, balance, bill, deliver
from tests.integrations.test_returns import cancelled, returned

INA = Actor(ActorKind.PERSON, 7, "ina@kulfi.example")
YESTERDAY = timedelta(days=1)


def sold(number: str, **fields: Any) -> dict[str, Any]:
    return bill(number, bill_date=(timezone.now() - YESTERDAY).isoformat(), **fields)


def day_end(tenant: Tenant, bills: int, net: str, *, first: str = "", last: str = "") -> None:
    day = (timezone.now() - YESTERDAY).astimezone(tenant.zone).date()
    settle_day(tenant, DayTotals("K1", day, bills, 0, Decimal(net), Decimal(0), first, last), now=timezone.now())


def order(tenant: Tenant, number: str, *, state: str = "confirmed") -> None:
    now = timezone.now()
    ErpOrder.objects.create(
        tenant=tenant, order_no=f"SO-{number}", store=Store.objects.get(code="K1"), bill_no=number, amount=1, state=state,
        at=now - YESTERDAY, seen_at=now,
    )  # fmt: skip


def choose(tenant: Tenant, **chosen: Any) -> Replay:
    return replay.choose(tenant, reason="once more", actor=SYSTEM, per_second=0, **chosen)


def run(row: Replay) -> Replay:
    return replay.run(replay.try_it(row, now=timezone.now()))


def proposed(tenant: Tenant) -> dict[str, str]:
    today = timezone.now().astimezone(tenant.zone).date()
    return {each.bill_no: each.why for each in voids.find(tenant, since=today - timedelta(days=9), until=today)}


@pytest.mark.case(50)
def test_a_day_that_adds_up_without_one_bill_proposes_it(kulfi: Tenant) -> None:
    deliver(kulfi, sold("A1"), sold("A2", net="500.00"), sold("A3"))
    assert proposed(kulfi) == {}
    day_end(kulfi, 2, "2000.00")
    assert proposed(kulfi) == {"A2": "The day-end counts 1 less, without this one the day adds up"}
    day_end(kulfi, 3, "2500.00")
    assert proposed(kulfi) == {}, "a later day-end replaces it"


@pytest.mark.case(50)
def test_a_number_outside_of_the_days_or_unknown_to_the_erp_is_proposed(kulfi: Tenant) -> None:
    deliver(kulfi, sold("A1"), sold("A2", net="500.00"), sold("A3"), sold("A4"))
    day_end(kulfi, 2, "1500.00", first="A1", last="A3")
    assert proposed(kulfi) == {"A4": "The day-end counts 2 less, its number is none of the day's"}
    for number in ("A1", "A2", "A4"):
        order(kulfi, number)
    assert set(proposed(kulfi)) == {"A3", "A4"}
    assert proposed(kulfi)["A3"] == "The day-end counts 2 less, the ERP does not know it"


@pytest.mark.case(50)
def test_an_order_that_the_erp_calls_void_is_reversed_by_a_person(kulfi: Tenant) -> None:
    builders.customer(kulfi, points=100)
    deliver(kulfi, builders.paid_with_points("A1", 40, bill_date=(timezone.now() - YESTERDAY).isoformat()), sold("A2"))
    order(kulfi, "A1", state="voided")
    assert proposed(kulfi) == {"A1": "The ERP has it as SO-A1, voided"}
    sale, meera = Bill.objects.get(bill_no="A1"), Customer.objects.get(mobile=MEERA)
    row = voids.reverse(kulfi, sale.pk, reason="deleted at till 3", actor=INA, now=timezone.now())
    sale.refresh_from_db()
    assert (row.state, row.source, row.sender, sale.cancelled_by_id) == ("applied", "desk", INA.name, row.bill_id)
    assert balance(meera) == (0, 110, 0, 0), "what it spent is back, what it earned is gone"
    assert {entry.actor_name for entry in Entry.objects.filter(bill_id=row.bill_id)} == {INA.name}
    assert AuditEvent.objects.get(action="reverse_bill").reason == "deleted at till 3"
    assert proposed(kulfi) == {}


@pytest.mark.case(50)
def test_the_poss_own_cancellation_afterwards_takes_nothing_twice(kulfi: Tenant) -> None:
    deliver(kulfi, sold("A1"), sold("A2"))
    meera, sale = Customer.objects.get(mobile=MEERA), Bill.objects.get(bill_no="A1")
    voids.reverse(kulfi, sale.pk, reason="deleted", actor=INA, now=timezone.now())
    same, other = deliver(kulfi, cancelled("A1", "A1"), cancelled("C7", "A1"))
    assert [(each.state, each.check_name) for each in (same, other)] == [("quarantined", "over_return")] * 2
    assert balance(meera) == (0, 10, 0, 0)
    with pytest.raises(DomainError, match="cancelled already"):
        voids.reverse(kulfi, sale.pk, reason="once more", actor=INA, now=timezone.now())


@pytest.mark.case(50)
def test_a_bill_that_its_pos_sends_anew_after_the_reversal_stands_again(kulfi: Tenant) -> None:
    document = sold("A1")
    deliver(kulfi, document)
    meera, sale = Customer.objects.get(mobile=MEERA), Bill.objects.get()
    row = voids.reverse(kulfi, sale.pk, reason="deleted", actor=INA, now=timezone.now())
    assert deliver(kulfi, document)[0].state == "applied", "the same message is the same message"
    assert balance(meera) == (0, 0, 0, 0)
    deliver(kulfi, sold("A1", net="1200.00", version=2))
    row.refresh_from_db()
    assert (balance(meera), row.state, row.message) == (
        (0, 12, 0, 0),
        "reversed",
        "The POS has sent bill A1 once more; it stands again.",
    )
    voids.reverse(
        kulfi, Bill.objects.get(version=2, superseded_at=None).pk, reason="deleted again", actor=INA, now=timezone.now()
    )
    assert balance(meera) == (0, 0, 0, 0)


@pytest.mark.case(37, 50)
def test_a_reversed_exchange_stays_reversed_when_the_sale_it_is_about_is_corrected(kulfi: Tenant) -> None:
    document = sold("A1")
    back = {"line_no": 1, "line_type": "RETURN", "item_code": "A1", "amount": "1000.00", "original": {"bill_no": "A1"}}
    new = {"line_no": 2, "line_type": "SALE", "item_code": "B1", "amount": "5000.00"}
    deliver(kulfi, document, bill("X1", bill_type="EXCHANGE", net="4000.00", items=[back, new]))
    meera = Customer.objects.get(mobile=MEERA)
    voids.reverse(kulfi, Bill.objects.get(bill_no="X1").pk, reason="deleted", actor=INA, now=timezone.now())
    assert balance(meera) == (0, 10, 0, 0)
    deliver(kulfi, sold("A1", net="1100.00", version=2))
    assert balance(meera) == (0, 11, 0, 0)
    assert Bill.objects.get(bill_no="X1", superseded_at=None).cancelled_by is not None


@pytest.mark.case(50)
def test_an_order_that_was_confirmed_anew_is_not_void(kulfi: Tenant) -> None:
    deliver(kulfi, sold("A1"))
    order(kulfi, "A1", state="voided")
    assert set(proposed(kulfi)) == {"A1"}
    ErpOrder.objects.filter(order_no="SO-A1").update(order_no="SO-A0")
    order(kulfi, "A1")
    assert proposed(kulfi) == {}


@pytest.mark.case(50)
def test_a_number_that_is_given_again_is_accepted_for_its_new_customer(kulfi: Tenant) -> None:
    deliver(kulfi, sold("A1"))
    voids.reverse(kulfi, Bill.objects.get().pk, reason="deleted", actor=INA, now=timezone.now())
    (other,) = deliver(kulfi, sold("A1", mobile="+919840054321", net="700.00"))
    decide(kulfi, other.pk, Decision.CORRECT, reason="the number was given again", actor=INA, now=timezone.now())
    inbox.drain(kulfi, now=timezone.now())
    assert balance(Customer.objects.get(mobile="+919840054321")) == (0, 7, 0, 0)
    assert balance(Customer.objects.get(mobile=MEERA)) == (0, 0, 0, 0)


@pytest.mark.case(26, 38, 50)
@pytest.mark.parametrize("moved", ["alias", "till", "year"])
def test_a_reversed_bill_stays_reversed_when_it_is_booked_anew_in_another_place(kulfi: Tenant, moved: str) -> None:
    alias = StoreAlias.objects.create(tenant=kulfi, code="IB04", store=Store.objects.get(code="K1"))
    deliver(kulfi, sold("A1", store="IB04", till_code="T1"))
    voids.reverse(kulfi, Bill.objects.get().pk, reason="deleted", actor=INA, now=timezone.now())
    match moved:
        case "alias":
            StoreAlias.objects.filter(pk=alias.pk).update(store=Store.objects.get(code="K2"))
        case "till":
            kulfi.bill_scope = "till"
        case _:
            kulfi.bill_period = "calendar_year"
    kulfi.save()
    for _ in range(2):
        assert run(choose(kulfi, filters={"all": True})).counts == {"applied": 1}
        assert balance(Customer.objects.get()) == (0, 0, 0, 0)
        assert Bill.objects.get(bill_class="sale", superseded_at=None).cancelled_by is not None


def test_a_walk_in_that_was_reversed_is_nobodys_any_more(kulfi: Tenant) -> None:
    deliver(kulfi, sold("A1", mobile=None))
    walk_in = Bill.objects.get()
    voids.reverse(kulfi, walk_in.pk, reason="deleted", actor=INA, now=timezone.now())
    with pytest.raises(DomainError, match="no such sale that stands"):
        ask_claim(kulfi, walk_in.pk, MEERA, reason="mine", actor=INA, now=timezone.now())


@pytest.mark.case(50)
def test_a_sale_cancelled_on_another_day_counts_and_is_not_proposed(kulfi: Tenant) -> None:
    deliver(kulfi, sold("A1"), sold("A2"), sold("A3"), cancelled("A3", "A3"))
    day_end(kulfi, 2, "2000.00")
    assert set(proposed(kulfi)) == {"A1", "A2"}


def test_what_cannot_be_reversed_says_why_and_leaves_no_trace(kulfi: Tenant, liberty: Tenant) -> None:
    deliver(kulfi, sold("A1"), returned("R1", "A1", "100.00"))
    sale, back = Bill.objects.get(bill_no="A1"), Bill.objects.get(bill_no="R1")
    for tenant, bill_id in ((kulfi, back.pk), (liberty, sale.pk), (kulfi, 0)):
        with pytest.raises(DomainError, match="no such booked sale"):
            voids.reverse(tenant, bill_id, reason="deleted", actor=INA, now=timezone.now())
    with pytest.raises(DomainError, match="3 to 500"):
        voids.reverse(kulfi, sale.pk, reason=" ", actor=INA, now=timezone.now())
    assert not Delivery.objects.filter(source="desk").exists()
