"""What people decide about deliveries, and what comes of it."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations import inbox
from integrations.decisions import Decision, ask_claim, bill_type_of, decide, decide_claim, offered
from integrations.models import Bill, BillClaim, Delivery, Source
from loyalty.models import Customer, Entry
from tenants.actors import SYSTEM, Actor, ActorKind
from tenants.errors import DomainError
from tenants.models import AuditEvent, Store, StoreAlias, Tenant
from tests.builders import MEERA, balance, bill, deliver
from tests.integrations.test_returns import returned

INA = Actor(ActorKind.PERSON, 7, "ina@kulfi.example")
MIA = Actor(ActorKind.PERSON, 8, "mia@kulfi.example")


def decided(delivery: Delivery, decision: Decision, **more: Any) -> Delivery:
    """The decision, and the inbox's next round."""
    decide(delivery.tenant, delivery.pk, decision, reason="after a look", actor=INA, now=timezone.now(), **more)
    inbox.drain(delivery.tenant, now=timezone.now())
    delivery.refresh_from_db()
    return delivery


def meera_of(tenant: Tenant) -> Customer:
    found: Customer = Customer.objects.get(tenant=tenant, mobile=MEERA)
    return found


def refusal(code: str, attempt: Any) -> DomainError:
    with pytest.raises(DomainError) as found:
        attempt()
    assert found.value.code == code
    return found.value


@pytest.mark.case(24)
def test_a_conflict_is_accepted_as_a_correction(kulfi: Tenant) -> None:
    document = bill("A1")
    _, conflict = deliver(kulfi, document, document | {"net_amount": "1500.00", "items": [{"line_no": 1, "amount": "1500.00"}]})
    assert offered(conflict, "SALE") == [Decision.CORRECT, Decision.DISCARD]
    assert decided(conflict, Decision.CORRECT).state == "applied"
    assert balance(meera_of(kulfi)) == (0, 15, 0, 0)
    event = AuditEvent.objects.get(action="correct_delivery")
    assert (event.reason, event.before, event.after) == (
        "after a look", {"state": "conflict"}, {"state": "received", "correction": True},
    )  # fmt: skip


@pytest.mark.case(24)
def test_or_discarded_with_a_reason_for_ever(kulfi: Tenant) -> None:
    document = bill("A1")
    _, conflict = deliver(kulfi, document, document | {"net_amount": "1500.00", "items": [{"line_no": 1, "amount": "1500.00"}]})
    assert decided(conflict, Decision.DISCARD).message == "Discarded by ina@kulfi.example: after a look"
    again = inbox.receive(kulfi, bytes(conflict.body), source=Source.API, sender=SYSTEM, now=timezone.now())
    assert (again.state, again.duplicate) == ("discarded", True)
    refusal("decision_unfit", lambda: decided(conflict, Decision.CORRECT))
    assert balance(meera_of(kulfi)) == (0, 10, 0, 0)


@pytest.mark.case(26)
def test_a_mapping_is_fixed_and_the_same_body_tried_again(kulfi: Tenant) -> None:
    (stuck,) = deliver(kulfi, bill("A1", store="IB04"))
    body = bytes(stuck.body)
    StoreAlias.objects.create(tenant=kulfi, code="IB04", store=Store.objects.get(code="K1"))
    assert decided(stuck, Decision.RETRY).state == "applied"
    assert (bytes(stuck.body), Bill.objects.get().store.code) == (body, "K1")


@pytest.mark.case(37)
def test_a_date_outside_the_window_is_accepted_by_a_person(kulfi: Tenant) -> None:
    old = (timezone.now() - timedelta(days=500)).isoformat()
    (stuck,) = deliver(kulfi, bill("A1", bill_date=old))
    assert stuck.check_name == "date_window"
    assert decided(stuck, Decision.ACCEPT_DATE).state == "applied"
    assert Entry.objects.filter(kind="expire").exists(), "what has lapsed already is posted and expired together"


@pytest.mark.case(32)
def test_a_person_says_which_sale_a_return_is_about(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1"))
    (stuck,) = deliver(kulfi, returned("R1", "", "400.00", mobile=MEERA, original=None))
    (suggested,) = stuck.details["suggestions"]
    assert bill_type_of(stuck) == "RETURN"
    assert decided(stuck, Decision.LINK, original=suggested["bill"]).state == "applied"
    assert balance(meera_of(kulfi)) == (0, 6, 0, 0)


def test_a_bill_that_does_not_exist_is_not_linked(kulfi: Tenant) -> None:
    (stuck,) = deliver(kulfi, returned("R1", "", "400.00", mobile=MEERA, original=None))
    refusal("bill_unknown", lambda: decided(stuck, Decision.LINK, original=4711))
    deliver(kulfi, bill("A1"), returned("R2", "A1", "100.00"))
    of_return = Bill.objects.get(bill_no="R2").pk  # which can only be cancelled
    refusal("bill_unknown", lambda: decided(stuck, Decision.LINK, original=of_return))
    refusal("reason_length", lambda: decide(kulfi, stuck.pk, Decision.RETRY, reason="  ", actor=INA, now=timezone.now()))


# Walk-ins


def claim(tenant: Tenant, *, mobile: str = MEERA) -> BillClaim:
    walk_in = Bill.objects.filter(superseded_at=None).latest("id")
    return ask_claim(tenant, walk_in.pk, mobile, reason="has the paper bill", actor=INA, now=timezone.now())


@pytest.mark.case(41, 80)
def test_a_walk_in_is_claimed_once_and_another_person_agrees(kulfi: Tenant) -> None:
    (delivery,) = deliver(kulfi, bill("A1", mobile=None))
    asked = claim(kulfi)
    refusal("claim_asked", lambda: claim(kulfi))
    refusal("own_request", lambda: decide_claim(kulfi, asked.pk, approve=True, actor=INA, now=timezone.now()))
    renamed = Actor(INA.kind, INA.id, "another name")
    refusal("own_request", lambda: decide_claim(kulfi, asked.pk, approve=True, actor=renamed, now=timezone.now()))
    namesake = Actor(MIA.kind, MIA.id, INA.name)
    decide_claim(kulfi, asked.pk, approve=True, actor=namesake, now=timezone.now())
    assert balance(meera_of(kulfi)) == (0, 10, 0, 0)
    refusal("claim_owned", lambda: claim(kulfi, mobile="+919840054321"))
    refusal("claim_decided", lambda: decide_claim(kulfi, asked.pk, approve=False, actor=MIA, now=timezone.now()))
    delivery.refresh_from_db()
    assert (delivery.state, delivery.mobile, Bill.objects.get(superseded_at=None).customer) == ("applied", MEERA, meera_of(kulfi))
    assert Entry.objects.get().reason == "Claimed: has the paper bill"


@pytest.mark.case(41)
def test_returns_of_a_claimed_bill_follow_it(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1", mobile=None), returned("R1", "A1", "400.00"))
    walk_in = Bill.objects.get(bill_no="A1")
    asked = ask_claim(kulfi, walk_in.pk, MEERA, reason="has the paper bill", actor=INA, now=timezone.now())
    decide_claim(kulfi, asked.pk, approve=True, actor=MIA, now=timezone.now())
    assert balance(meera_of(kulfi)) == (0, 6, 0, 0)
    deliver(kulfi, returned("R2", "A1", "600.00", kind="FULL", mobile=MEERA))
    assert balance(meera_of(kulfi)) == (0, 0, 0, 0)


@pytest.mark.case(41)
def test_a_claimed_bill_stays_theirs_through_corrections_that_name_nobody(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1", mobile=None))
    decide_claim(kulfi, claim(kulfi).pk, approve=True, actor=MIA, now=timezone.now())
    for version, net, points in ((2, "500.00", 5), (3, "700.00", 7)):
        (row,) = deliver(kulfi, bill("A1", mobile=None, net=net, version=version))
        assert (row.state, balance(meera_of(kulfi))) == ("applied", (0, points, 0, 0))
    deliver(kulfi, bill("A1", mobile="+919840054321", version=4))  # the till knows better
    assert balance(meera_of(kulfi)) == (0, 0, 0, 0)


@pytest.mark.case(41)
def test_a_bill_that_has_no_delivery_is_not_claimed_and_nothing_is_half_done(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1", mobile=None))
    asked = claim(kulfi)
    Delivery.objects.update(state="reversed")
    refusal("claim_refused", lambda: decide_claim(kulfi, asked.pk, approve=True, actor=MIA, now=timezone.now()))
    asked.refresh_from_db()
    assert (asked.decided_at, Entry.objects.exists()) == (None, False)


@pytest.mark.case(41)
def test_a_claim_comes_in_time_or_is_refused(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1", mobile=None, bill_date=(timezone.now() - timedelta(days=31)).isoformat()))
    assert "30 days" in refusal("claim_late", lambda: claim(kulfi)).sentence
    deliver(kulfi, bill("A2", mobile=None))
    asked = claim(kulfi)
    decide_claim(kulfi, asked.pk, approve=False, actor=MIA, now=timezone.now())
    assert not Customer.objects.exists()
