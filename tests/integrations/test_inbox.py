"""Bills through the inbox: kept, understood, booked once, in order."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from django_scopes import scope

from integrations import booking, inbox, posting
from integrations.documents import MalformedJSON
from integrations.models import Bill, Delivery, Discrepancy, Incident, Source
from loyalty.models import Customer, Entry, Hold, ProgrammeVersion
from tenants.actors import SYSTEM
from tenants.models import Store, StoreAlias, Tenant
from tests import builders
from tests.builders import MEERA, balance, bill, deliver, discounted, paid_with_points, raw


def one(tenant: Tenant, document: dict[str, Any]) -> Delivery:
    return deliver(tenant, document)[0]


def meera_of(tenant: Tenant) -> Customer:
    found: Customer = Customer.objects.get(tenant=tenant, mobile=MEERA)
    return found


@pytest.mark.case(40)
def test_a_bill_makes_its_customer_and_earns_by_the_rule(kulfi: Tenant) -> None:
    delivery = one(kulfi, bill("A1", net="1842.00", customer={"mobile": MEERA, "name": "Meera", "email": "m@example.com"}))
    meera = meera_of(kulfi)
    assert (delivery.state, meera.name, meera.email) == ("applied", "Meera", "m@example.com")
    assert balance(meera) == (0, 18, 0, 0)
    snapshot = Entry.objects.get(customer=meera).snapshot
    assert (snapshot["base"], snapshot["earn_per"], snapshot["version"], snapshot["points"]) == ("1842.00", "100", 1, 18)


def test_a_walk_in_is_kept_and_earns_nothing(kulfi: Tenant) -> None:
    delivery = one(kulfi, bill("A1", mobile=None))
    assert delivery.state == "applied"
    assert Bill.objects.get().customer is None
    assert not Entry.objects.exists()


@pytest.mark.case(40)
def test_a_look_alike_number_is_another_customer(kulfi: Tenant) -> None:
    deliver(kulfi, bill(mobile="9840012345"), bill(mobile="9840012346"))
    assert Customer.objects.count() == 2


@pytest.mark.case(42)
@pytest.mark.parametrize(
    "spelling", ["9840012345", "09840012345", "919840012345", "+91 98400-12345", "0091 98400 12345", 9840012345]
)
def test_a_number_in_any_spelling_is_one_customer(kulfi: Tenant, spelling: Any) -> None:
    one(kulfi, bill(mobile=spelling))
    assert Customer.objects.get().mobile == MEERA


@pytest.mark.case(42)
@pytest.mark.parametrize("spelling", ["9.19E+11", "984001234", "98400123456789012", "call me", "९८४००१२३४५"])
def test_a_number_that_is_none_is_quarantined_by_name(kulfi: Tenant, spelling: str) -> None:
    delivery = one(kulfi, bill(mobile=spelling))
    assert (delivery.state, delivery.check_name) == ("quarantined", "mobile_invalid")
    assert not Customer.objects.exists()


@pytest.mark.case(22)
def test_the_very_same_body_is_the_first_delivery(kulfi: Tenant) -> None:
    body = raw(bill("A1"))
    first = inbox.receive(kulfi, body, source=Source.API, sender=SYSTEM, now=timezone.now())
    again = inbox.receive(kulfi, body, source=Source.API, sender=SYSTEM, now=timezone.now())
    assert (again.receipt, again.duplicate) == (first.receipt, True)
    assert Delivery.objects.count() == 1


@pytest.mark.case(23)
def test_the_same_bill_under_another_event_id_is_a_duplicate(kulfi: Tenant) -> None:
    document = bill("A1", bill_uid="u1")
    first, second = deliver(kulfi, document, document | {"bill_uid": "u2", "cashier": "E9"})
    assert (second.state, second.bill_id, second.first_id) == ("duplicate", first.bill_id, first.pk)
    assert balance(meera_of(kulfi)) == (0, 10, 0, 0)


@pytest.mark.case(24)
def test_the_same_number_with_another_amount_is_a_conflict_with_both_figures(kulfi: Tenant) -> None:
    document = bill("A1", net="1000.00")
    _, second = deliver(kulfi, document, document | {"net_amount": "1500.00", "items": [{"line_no": 1, "amount": "1500.00"}]})
    assert second.state == "conflict"
    assert {"field": "net_amount", "booked": "1000", "sent": "1500"} in second.details["differences"]
    assert balance(meera_of(kulfi)) == (0, 10, 0, 0)


def test_a_higher_version_is_a_correction_and_a_lower_one_comes_too_late(kulfi: Tenant) -> None:
    document = bill("A1", net="1000.00")
    second = document | {"version": 2, "net_amount": "1500.00", "items": [{"line_no": 1, "amount": "1500.00"}]}
    states = [delivery.state for delivery in deliver(kulfi, document, second)]
    assert (states, balance(meera_of(kulfi))) == (["reversed", "applied"], (0, 15, 0, 0))
    late = one(kulfi, document | {"bill_uid": "again"})
    assert (late.state, late.message) == ("duplicate", "Version 2 of bill A1 is booked already; this is version 1.")


@pytest.mark.case(25)
def test_a_number_reused_in_another_store_or_year_is_another_bill(kulfi: Tenant) -> None:
    document = bill("A1")
    last_year = document | {"bill_date": (timezone.now() - timedelta(days=366)).isoformat()}
    states = [delivery.state for delivery in deliver(kulfi, document, document | {"store_code": "K2"}, last_year)]
    assert states == ["applied", "applied", "applied"]


@pytest.mark.case(25)
def test_where_numbers_are_a_tills_the_till_makes_the_bill(kulfi: Tenant) -> None:
    kulfi.bill_scope = "till"
    kulfi.save()
    document = bill("A1")
    states = [
        d.check_name or d.state for d in deliver(kulfi, document, document | {"till_code": "T1"}, document | {"till_code": "T2"})
    ]
    assert states == ["required_field", "applied", "applied"]


@pytest.mark.parametrize(
    ("day", "rule", "period"),
    [
        ("2026-03-31", "indian_year", "2025-26"),
        ("2026-04-01", "indian_year", "2026-27"),
        ("2026-03-31", "calendar_year", "2026"),
        ("2026-03-31", "none", ""),
    ],
)
def test_the_year_of_a_number(day: str, rule: str, period: str) -> None:
    from datetime import date

    assert posting.natural_period(date.fromisoformat(day), rule=rule) == period


def test_an_alias_leads_to_its_store(kulfi: Tenant) -> None:
    StoreAlias.objects.create(tenant=kulfi, code="OLD1", store=Store.objects.get(code="K1"))
    first, second = deliver(kulfi, bill("A1", store="OLD1"), bill("A1", store="K1"))
    assert (first.state, second.state) == ("applied", "conflict")  # the same store: the same number


def test_an_unknown_store_is_quarantined_and_books_after_it_was_added(kulfi: Tenant) -> None:
    from tenants import staff

    document = bill("A1", store="K9")
    delivery = one(kulfi, document)
    assert (delivery.state, delivery.check_name) == ("quarantined", "store_unknown")
    staff.create_store(kulfi, code="K9", actor=SYSTEM)
    retried = one(kulfi, document)
    assert (retried.receipt, retried.state, retried.attempts) == (delivery.receipt, "applied", 2)


def test_stores_are_made_where_the_tenant_wants_it(kulfi: Tenant) -> None:
    kulfi.auto_stores = True
    kulfi.save()
    assert one(kulfi, bill(store="K9")).state == "applied"
    assert Store.objects.filter(code="K9").exists()


@pytest.mark.parametrize(("days", "check"), [(3, "date_window"), (-401, "date_window"), (1, ""), (-399, "")])
def test_bills_of_the_far_future_or_past_are_quarantined(kulfi: Tenant, days: int, check: str) -> None:
    document = bill(bill_date=(timezone.now() + timedelta(days=days)).isoformat())
    assert one(kulfi, document).check_name == check


def test_a_time_without_zone_is_the_stores_and_flagged(kulfi: Tenant) -> None:
    one(kulfi, bill("A1", bill_date=timezone.now().astimezone(kulfi.zone).replace(tzinfo=None).isoformat()))
    row = Bill.objects.get()
    assert "tz_assumed" in row.flags
    assert abs(row.billed_at - timezone.now()) < timedelta(minutes=1)


@pytest.mark.case(34)
def test_the_business_date_is_the_stores(kulfi: Tenant) -> None:
    late = timezone.now().astimezone(kulfi.zone).replace(hour=23, minute=52) - timedelta(days=2)
    one(kulfi, bill("A1", bill_date=late.isoformat()))
    assert Bill.objects.get().business_date == late.date()


# Redemptions


@pytest.fixture
def meera(kulfi: Tenant) -> Customer:
    """Meera has 100 points."""
    return builders.customer(kulfi, points=100)


@pytest.mark.case(1)
def test_a_completion_bill_captures_its_hold(kulfi: Tenant, meera: Customer) -> None:
    row = builders.hold(kulfi, meera, 60, reference="SB-1")
    delivery = one(kulfi, paid_with_points("A1", 60, reference="SB-1"))
    row.refresh_from_db()
    assert (delivery.state, row.state, row.bill_id) == ("applied", "captured", delivery.bill_id)
    assert balance(meera) == (0, 49, 0, 0)  # 940 net of points earn 9


@pytest.mark.case(1)
def test_a_part_is_captured_and_the_rest_released(kulfi: Tenant, meera: Customer) -> None:
    row = builders.hold(kulfi, meera, 60, reference="SB-1")
    one(kulfi, paid_with_points("A1", 40, reference="SB-1", net="100.00"))
    row.refresh_from_db()
    assert (row.state, balance(meera)) == ("partly_captured", (0, 60, 0, 0))


@pytest.mark.parametrize("named", [{"reference": "SB-1"}, {"bill_no": "A1"}, {}])
def test_a_hold_is_found_by_reference_or_bill_number_or_equal_points(
    kulfi: Tenant, meera: Customer, named: dict[str, str]
) -> None:
    row = builders.hold(kulfi, meera, 60, reference="SB-1", bill_no=named.get("bill_no", ""))
    one(kulfi, paid_with_points("A1", 60, reference=named.get("reference", "")))
    row.refresh_from_db()
    assert row.state == "captured"


def test_two_equal_holds_are_not_guessed_between(kulfi: Tenant, meera: Customer) -> None:
    for reference in ("SB-1", "SB-2"):
        builders.hold(kulfi, meera, 30, reference=reference)
    one(kulfi, paid_with_points("A1", 30))
    assert set(Hold.objects.values_list("state", flat=True)) == {"active"}
    assert Discrepancy.objects.get().kind == "no_hold"


@pytest.mark.case(7)
def test_more_than_held_is_taken_from_available_and_flagged(kulfi: Tenant, meera: Customer) -> None:
    builders.hold(kulfi, meera, 60, reference="SB-1")
    one(kulfi, paid_with_points("A1", 80, net="80.00", reference="SB-1"))
    assert balance(meera) == (0, 20, 0, 0)
    assert Discrepancy.objects.get().kind == "more_than_held"


@pytest.mark.case(2)
def test_a_completion_after_the_hold_expired_is_booked_and_leaves_its_state(kulfi: Tenant, meera: Customer) -> None:
    from loyalty import sweeps

    row = builders.hold(kulfi, meera, 60, reference="SB-1", at=timezone.now() - timedelta(days=101))
    sweeps.release_expired_holds(kulfi, now=timezone.now())
    delivery = one(kulfi, paid_with_points("A1", 60, net="60.00", reference="SB-1"))
    row.refresh_from_db()
    assert (row.state, row.late_bill_id, row.late_points) == ("expired", delivery.bill_id, 60)
    assert balance(meera) == (0, 40, 0, 0)
    assert Discrepancy.objects.get().kind == "late_completion"


@pytest.mark.case(3, 4)
def test_an_unblocked_hold_completed_after_its_points_were_spent_becomes_debt(lenient_kulfi: Tenant, meera: Customer) -> None:
    row = builders.hold(lenient_kulfi, meera, 60, reference="SB-1")
    builders.release(lenient_kulfi, row)
    one(lenient_kulfi, paid_with_points("A1", 90, net="90.00"))
    one(lenient_kulfi, paid_with_points("A2", 60, net="60.00", reference="SB-1"))
    assert balance(meera) == (0, 0, 0, 50)
    debt = Entry.objects.get(kind="debt")
    assert (debt.of_kind, debt.owed, debt.hold_id) == ("redeem", 50, row.pk)


@pytest.mark.case(3, 4)
def test_without_negative_balances_the_whole_late_bill_waits_for_a_person(kulfi: Tenant, meera: Customer) -> None:
    row = builders.hold(kulfi, meera, 60, reference="SB-1")
    builders.release(kulfi, row)
    one(kulfi, paid_with_points("A1", 90, net="90.00"))
    late = one(kulfi, paid_with_points("A2", 60, reference="SB-1"))
    assert (late.state, late.check_name, late.details["needed"]) == ("quarantined", "late_shortfall", 60)
    assert balance(meera) == (0, 10, 0, 0)
    assert not Bill.objects.filter(bill_no="A2").exists()


@pytest.mark.case(18)
def test_an_offline_redemption_is_taken_from_available_and_counted(kulfi: Tenant, meera: Customer) -> None:
    one(kulfi, paid_with_points("A1", 60, net="60.00"))
    assert balance(meera) == (0, 40, 0, 0)
    found = Discrepancy.objects.get()
    assert (found.kind, found.store.code, found.points) == ("no_hold", "K1", 60)


@pytest.mark.case(18)
@pytest.mark.parametrize("negative", [True, False])
def test_an_offline_redemption_beyond_available_owes_or_waits(kulfi: Tenant, meera: Customer, negative: bool) -> None:
    kulfi.negative_allowed = negative
    kulfi.save()
    delivery = one(kulfi, paid_with_points("A1", 130, net="130.00"))
    expected = ("applied", (0, 0, 0, 30)) if negative else ("quarantined", (0, 100, 0, 0))
    assert (delivery.state, balance(meera)) == expected


def test_where_holds_are_required_an_unknown_reference_is_refused(kulfi: Tenant, meera: Customer) -> None:
    kulfi.require_hold = True
    kulfi.save()
    assert one(kulfi, paid_with_points("A1", 60, reference="SB-404")).check_name == "redemption_unknown"


def test_another_customers_redemption_is_a_mismatch(kulfi: Tenant, meera: Customer) -> None:
    other = builders.customer(kulfi, "+919840099999", points=100)
    builders.hold(kulfi, other, 60, reference="SB-1")
    assert one(kulfi, paid_with_points("A1", 60, reference="SB-1")).check_name == "redemption_mismatch"
    assert balance(other) == (0, 40, 60, 0)


def test_a_redemption_without_a_customer_is_refused_by_name(kulfi: Tenant) -> None:
    delivery = one(kulfi, paid_with_points("A1", 60, mobile=None))
    assert (delivery.check_name, delivery.details["path"]) == ("required_field", "customer.mobile")


def test_a_bill_without_points_whose_number_a_hold_names_lacks_its_split(kulfi: Tenant, meera: Customer) -> None:
    builders.hold(kulfi, meera, 60, bill_no="A1")
    delivery = one(kulfi, bill("A1"))
    assert (delivery.state, delivery.check_name) == ("quarantined", "split_missing")
    assert balance(meera) == (0, 40, 60, 0)


@pytest.mark.case(25)
@pytest.mark.parametrize(("days", "state"), [(0, "quarantined"), (380, "applied")])
def test_a_hold_of_somebody_else_names_this_bill_only_in_its_own_year(
    kulfi: Tenant, meera: Customer, days: int, state: str
) -> None:
    kulfi.bill_period = "calendar_year"
    kulfi.save()
    builders.hold(kulfi, meera, 60, bill_no="A1")
    Hold.objects.update(at=timezone.now() - timedelta(days=days))
    assert one(kulfi, bill("A1", mobile="+919840099999")).state == state


def test_points_that_are_not_worth_what_the_bill_says_are_quarantined(kulfi: Tenant, meera: Customer) -> None:
    document = discounted("A1", 60) | {"redemption": {"points": 60, "amount": "60.00"}}
    document["items"][0] |= {"loyalty_points": 50}
    document["redemption"]["points"] = 50
    found = one(kulfi, document)
    assert (found.check_name, found.details["expected"], found.details["found"]) == ("points_rate", "50.00", "60.00")


def test_a_second_bill_for_a_captured_hold_is_taken_from_available_and_flagged(kulfi: Tenant, meera: Customer) -> None:
    builders.hold(kulfi, meera, 60, reference="SB-1")
    deliver(
        kulfi,
        paid_with_points("A1", 60, net="60.00", reference="SB-1"),
        paid_with_points("A2", 40, net="40.00", reference="SB-1"),
    )
    assert balance(meera) == (0, 0, 0, 0)
    assert Discrepancy.objects.get().kind == "hold_taken"


def test_the_part_paid_with_points_earns_nothing_in_payment_mode(kulfi: Tenant, meera: Customer) -> None:
    one(kulfi, paid_with_points("A1", 100, net="1000.00"))
    assert Entry.objects.get(kind="earn").snapshot["base"] == "900.00"


def test_in_discount_mode_the_net_is_what_earns(kulfi: Tenant, meera: Customer) -> None:
    one(kulfi, discounted("A1", 60, 40, store="K2"))
    assert Entry.objects.get(kind="earn").snapshot["base"] == "1100.00"


@pytest.mark.case(53)
def test_a_bill_in_the_other_mode_is_booked_and_opens_one_incident_a_store(kulfi: Tenant, meera: Customer) -> None:
    first, second = deliver(kulfi, discounted("A1", 10, 5), discounted("A2", 20, 5))
    assert (first.state, second.state) == ("applied", "applied")
    incident = Incident.objects.get()
    assert (incident.kind, incident.store.code, incident.bills, incident.points) == ("mode_drift", "K1", 2, 40)
    assert incident.first_bill.bill_no == "A1"
    assert (
        Bill.objects.get(bill_no="A1").flags == ["no_hold", "mode_drift"] or "mode_drift" in Bill.objects.get(bill_no="A1").flags
    )


def test_a_refused_bill_leaves_no_incident(kulfi: Tenant) -> None:
    one(kulfi, discounted("A1", 500, 100))
    assert not Incident.objects.exists()
    assert not Discrepancy.objects.exists()


@pytest.mark.case(66)
def test_the_bill_that_made_a_debt_pays_on_it_with_its_own_earning(lenient_kulfi: Tenant) -> None:
    one(lenient_kulfi, paid_with_points("A1", 30, net="430.00"))
    assert balance(meera_of(lenient_kulfi)) == (0, 0, 0, 26)


# Documents of later days


@pytest.mark.case(27)
def test_a_return_waits_for_its_sale(kulfi: Tenant) -> None:
    document = bill("R1", bill_type="RETURN", return_type="FULL", original={"bill_no": "A1", "store_code": "K1"})
    assert one(kulfi, document).state == "waiting_parent"


@pytest.mark.case(32)
def test_a_return_that_names_no_sale_is_quarantined(kulfi: Tenant) -> None:
    assert one(kulfi, bill("R1", bill_type="RETURN")).check_name == "parent_unnamed"


# Order, poison, retries


def test_one_bad_bill_among_many_is_refused_alone(kulfi: Tenant) -> None:
    documents = [bill(f"A{n}") if n != 5 else bill("A5", net_amount="oops") for n in range(10)]
    states = [delivery.state for delivery in deliver(kulfi, *documents)]
    assert states.count("applied") == 9
    assert states[5] == "quarantined"


def test_the_same_number_twice_in_one_batch_is_settled_in_order(kulfi: Tenant) -> None:
    document = bill("A1")
    states = [delivery.state for delivery in deliver(kulfi, document, document | {"cashier": "E2"}, document | {"cashier": "E3"})]
    assert states == ["applied", "duplicate", "duplicate"]


def test_a_hold_and_two_bills_of_one_customer_in_one_batch_follow_each_other(kulfi: Tenant, meera: Customer) -> None:
    builders.hold(kulfi, meera, 100, reference="SB-1")
    deliver(
        kulfi,
        bill("A1", net="500.00"),
        paid_with_points("A2", 100, net="100.00", reference="SB-1"),
        paid_with_points("A3", 5, net="5.00"),
    )
    assert balance(meera) == (0, 0, 0, 0)


def test_a_poison_bill_is_parked_after_8_tries_and_its_neighbours_are_booked(
    kulfi: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = booking.Batch._case

    def poisoned(self: booking.Batch, known: Any, outcome: Any, mobile: str, taken: Any) -> Any:
        if known.document.bill_no == "POISON":
            raise ZeroDivisionError("a bug of ours")
        return real(self, known, outcome, mobile, taken)

    monkeypatch.setattr(booking.Batch, "_case", poisoned)
    now = timezone.now()
    for document in [*(bill(f"A{n}") for n in range(20)), bill("POISON"), *(bill(f"C{n}") for n in range(20))]:
        inbox.receive(kulfi, raw(document), source=Source.API, sender=SYSTEM, now=now)
    for minute in range(12):
        inbox.drain(kulfi, now=now + timedelta(minutes=minute))
    poison = Delivery.objects.get(state="quarantined")
    assert (poison.check_name, poison.attempts) == ("processing_error", 8)
    assert Delivery.objects.filter(state="applied").count() == 40


def test_malformed_json_is_kept_as_rejected_and_never_processed(kulfi: Tenant) -> None:
    with pytest.raises(MalformedJSON):
        inbox.receive(kulfi, b"{oops", source=Source.API, sender=SYSTEM, now=timezone.now())
    inbox.drain(kulfi, now=timezone.now())
    assert Delivery.objects.get().state == "rejected"


@pytest.mark.case(46)
def test_a_bill_that_names_another_business_is_refused_at_the_door_and_counted(kulfi: Tenant) -> None:
    from tenants.counters import counted

    with pytest.raises(inbox.BusinessMismatch):
        inbox.receive(kulfi, raw(bill(business_id="liberty-deli")), source=Source.API, sender=SYSTEM, now=timezone.now())
    assert not Delivery.objects.exists()
    assert counted("business_mismatch", tenant="kulfi-house", today=timezone.now().date()) == 1


@pytest.mark.case(46)
def test_a_bill_that_names_its_own_business_is_taken(kulfi: Tenant) -> None:
    assert one(kulfi, bill(business_id="kulfi-house")).state == "applied"


@pytest.mark.case(92)
def test_the_same_number_in_two_tenants_is_two_customers(kulfi: Tenant, liberty: Tenant) -> None:
    one(kulfi, bill("A1"))
    with scope(tenant=liberty):
        deliver(liberty, bill("A1", mobile=MEERA))
        assert balance(meera_of(liberty)) == (0, 10, 0, 0)
    assert meera_of(kulfi).pk != Customer.objects.filter(tenant=liberty).values_list("pk", flat=True).first()


def test_money_keeps_its_exact_cents(kulfi: Tenant) -> None:
    one(kulfi, bill("A1", net="123456.78"))
    assert Bill.objects.get().net_amount == Decimal("123456.78")


@pytest.mark.case(25)
def test_next_years_bill_under_a_held_number_is_another_bill(kulfi: Tenant, meera: Customer) -> None:
    last_year = timezone.now() - timedelta(days=366)
    row = builders.hold(kulfi, meera, 60, bill_no="A1", at=last_year)
    assert one(kulfi, bill("A1")).state == "applied"
    row.refresh_from_db()
    assert row.state == "active"


def test_one_tenants_broken_inbox_does_not_stop_the_others(
    kulfi: Tenant, liberty: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = inbox.drain

    def break_one(tenant: Tenant, *, now: Any) -> Any:
        if tenant == liberty:
            raise RuntimeError
        return real(tenant, now=now)

    monkeypatch.setattr(inbox, "drain", break_one)
    inbox.receive(kulfi, raw(bill("A1")), source=Source.API, sender=SYSTEM, now=timezone.now())
    assert inbox.sweep(now=timezone.now(), tenants=[liberty, kulfi]) == {"failed": 1, "applied": 1}


@pytest.mark.case(55)
def test_the_worth_that_a_hold_was_quoted_is_taken_back(kulfi: Tenant, meera: Customer) -> None:
    ProgrammeVersion.objects.update(point_value=Decimal("0.333"))
    builders.hold(kulfi, meera, 7, reference="SB-1")
    tenders = [{"mode": "LOYALTY_POINTS", "amount": "2.33", "reference": "SB-1"}, {"mode": "CASH", "amount": "97.67"}]
    assert one(kulfi, bill("A1", net="100.00", tenders=tenders)).state == "applied"
    assert Hold.objects.get().state == "captured"


@pytest.mark.case(22)
def test_nothing_and_minus_nothing_are_one_amount_whoever_sends_which_first(kulfi: Tenant) -> None:
    when = timezone.now().isoformat()
    line = {"line_no": 1, "item_code": "A1", "amount": "100.00", "value": "100.00"}
    for number, (first, second) in enumerate((("-0.00", "0.00"), ("0", "-0.0"))):
        documents = [
            bill(f"Z{number}", net="100.00", bill_date=when, items=[line | {"discount": each}]) for each in (first, second)
        ]
        assert [each.state for each in deliver(kulfi, *documents)] == ["applied", "duplicate"]
