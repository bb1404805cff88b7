"""The table of checks: each cause by itself, told with its evidence, its handoff and its way out."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations import witnesses
from integrations.analytics.feed import Lag
from integrations.models import CrmBalance, Delivery, ErpOrder, Incident, PosChange
from loyalty import identity, operations
from loyalty.models import Balance, Customer
from support import checks, facts, picture, walk
from support.diagnosis import Evidence, Finding, Handoff, Pattern, Reporter, all_right, ordered
from support.facts import BillFact, Coming, Dashboard, Expired, Facts, Habit, Judged, OrderFact, ShownFact
from tenants.actors import SYSTEM
from tenants.models import Store, Tenant
from tests import builders
from tests.builders import bill, deliver, paid_with_points
from tests.client import ApiClient
from tests.conftest import key_of
from tests.integrations.test_returns import cancelled, returned

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def diagnosed(
    tenant: Tenant, customer: Customer, *, reported_by: Reporter = Reporter.CUSTOMER, bill_no: str = ""
) -> list[Finding]:
    """What the API gives, without the slow part."""
    customer.refresh_from_db()
    known = walk.about(facts.gather(picture.load(tenant, customer, now=timezone.now())), bill_no)
    return walk.findings(known, reported_by=reported_by)


def codes(found: list[Finding]) -> list[str]:
    return [each.code for each in found]


def known(kulfi: Tenant, *, closing: int = 100, owed: int = 0, **changes: Any) -> Facts:
    """Facts of nobody in particular, from no database row."""
    customer = Customer(tenant=kulfi, mobile=builders.MEERA, name="Meera", pk=1)
    balance = Balance(customer=customer, tenant=kulfi, pending=0, available=closing, held=0, owed=owed, entries=3)
    seen = picture.Picture(kulfi, customer, balance, (), (1,), (), (), NOW)
    return replace(Facts(seen), **changes)


def only(check: checks.Check, facts_of: Facts) -> Finding:
    (found,) = check(facts_of)
    return found


# Pure checks


def a_bill(number: str = "A1", **changes: Any) -> BillFact:
    plain = BillFact(
        7, number, 3, "Anna Nagar", "SALE", NOW - timedelta(days=1), Decimal(900), 9, 0, None, cancelled=False, came_back=False
    )
    return replace(plain, **changes)


def test_without_anything_wrong_all_is_right_and_what_explains_follows() -> None:
    note = Finding("pending_points", "5 are pending.", "Soon.", explains=True)
    assert ordered([]) == [all_right()]
    assert ordered([note]) == [all_right(), note]
    wrong = Finding("bill_missing", "It never came.", "We ask.", Handoff.ERP_TO_CONNECTOR)
    assert ordered([note, wrong]) == [wrong, note]


def test_the_walk_starts_at_the_reporters_end_of_the_chain() -> None:
    found = [Finding(f"at_{each.value}", "x", "y", each) for each in Handoff]
    ways = {reporter: [each.handoff.value for each in ordered(found, reported_by=reporter)] for reporter in Reporter}
    assert ways == {Reporter.CUSTOMER: [0, 1, 2, 3, 4], Reporter.ERP: [2, 1, 3, 0, 4], Reporter.CRM: [4, 3, 0, 2, 1]}
    answer = Finding("bill_booked", "It is.", "It is.", explains=True, answers=True)
    assert codes(ordered([*found, answer], reported_by=Reporter.CRM))[0] == "bill_booked"


def test_the_crms_figure_is_old_or_never_was_ours(kulfi: Tenant) -> None:
    def shown(points: int, *, days: int = 3) -> Facts:
        return known(kulfi, shown=ShownFact(points, NOW - timedelta(days=days), "batch", 80, was_ours=points == 80))

    assert list(checks.crm_differs(shown(100))) == []
    stale = only(checks.crm_differs, shown(80))
    assert (stale.code, stale.explains, stale.pattern) == ("crm_stale", False, Pattern.CRM_ONLY)
    assert "an earlier figure of ours" in stale.sentence
    assert only(checks.crm_differs, shown(80, days=0)).explains, "a figure of today may still be on its way"
    wrong = only(checks.crm_differs, shown(0))
    assert (wrong.code, wrong.handoff) == ("crm_overwritten", Handoff.LOYALTY_TO_REPORTS)
    assert "the ledger had 80 at that time. batch has written another figure there" in wrong.sentence


def test_the_dashboards_are_equal_behind_different_or_away(kulfi: Tenant) -> None:
    def said(closing: int | None, entries: int, *, lag: int = 0) -> Facts:
        return known(kulfi, dashboard=Dashboard(closing, entries, Lag(lag, None, NOW)))

    assert list(checks.dashboard_differs(said(100, 3))) == []
    assert list(checks.dashboard_differs(known(kulfi))) == [], "where they were not asked"
    found = {facts_of: only(checks.dashboard_differs, facts_of) for facts_of in (said(90, 2, lag=4), said(90, 3), said(None, 0))}
    assert [(each.code, each.explains) for each in found.values()] == [
        ("dashboard_behind", True), ("dashboard_differs", False), ("dashboard_away", True),
    ]  # fmt: skip


def test_what_explains_a_lower_figure_is_no_fault(kulfi: Tenant) -> None:
    facts_of = known(
        kulfi,
        coming=(Coming(date(2026, 12, 1), 30),),
        expired=(Expired(5, 50, date(2026, 11, 1)),),
        judged=(Judged(9, "Diwali", "A1", date(2026, 11, 2), 50, "at least 2 cakes", "1"),),
    )
    found = checks.findings(facts_of)
    assert codes(found) == ["pending_points", "points_expired", "bonus_not_awarded"]
    assert all(each.explains for each in found)
    assert found[0].sentence.split(";")[-1] == " 30 of them become available on 1 Dec."
    assert "It asks: at least 2 cakes. Found: 1." in found[2].sentence


def test_an_order_is_missing_voided_or_all_right(kulfi: Tenant) -> None:
    fact = OrderFact(
        4, "SO-1", "A1", "Anna Nagar", "K1", Decimal(950), NOW - timedelta(days=2), "confirmed", None, here=False, confirmed=True
    )

    def of(**changes: Any) -> list[str]:
        return codes(list(checks.orders_without_bill(known(kulfi, orders=(replace(fact, **changes),)))))

    assert of() == ["bill_missing"]
    assert of(here=True) == [], "a message came: the inbox says what became of it"
    assert of(bill_id=7, here=True) == []
    assert of(at=NOW - timedelta(hours=3)) == [], "a bill may take a day"
    assert of(state="voided", confirmed=False) == []
    assert of(state="voided", bill_id=7, confirmed=False) == ["return_missing"]
    assert of(state="voided", bill_id=7) == [], "the ERP has another order of it that stands"


# Through real bookings


@pytest.mark.case(1, 5)
def test_blocked_points_say_whether_the_erp_has_the_bill_and_what_changed_at_the_pos(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=412)
    hold = builders.hold(kulfi, meera, 412, reference="SB-1", bill_no="A7", at=timezone.now() - timedelta(days=3))
    (found,) = diagnosed(kulfi, meera)
    assert (found.handoff, found.pattern, found.remedy and found.remedy.target) == (
        Handoff.ERP_TO_CONNECTOR,
        Pattern.LOWER,
        hold.pk,
    )
    store = Store.objects.get(tenant=kulfi, code="K1")
    PosChange.objects.create(tenant=kulfi, store=store, at=hold.at - timedelta(days=1), what="Update 4.2", logged_by="Ina")
    ErpOrder.objects.create(
        tenant=kulfi, order_no="SO-OTHER", store=store, bill_no="Z", amount=1, state="confirmed", at=hold.at, seen_at=hold.at
    )
    (found,) = diagnosed(kulfi, meera)
    assert found.handoff is Handoff.STORE_TO_ERP
    assert "The ERP has not got the bill either" in found.sentence
    assert [(each.kind, each.ref) for each in found.evidence] == [("hold", "SB-1"), ("pos_change", "Update 4.2")]
    ErpOrder.objects.create(
        tenant=kulfi, order_no="SO-7", store=store, bill_no="A7", mobile=meera.mobile, amount=1, state="confirmed", at=hold.at,
        seen_at=hold.at,
    )  # fmt: skip
    found, missing = diagnosed(kulfi, meera)
    assert "The ERP has the bill." in found.sentence
    assert (missing.code, missing.remedy and missing.remedy.bill_no) == ("bill_missing", "A7")


@pytest.mark.case(4)
def test_a_store_that_often_completes_later_is_said_to(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    builders.hold(kulfi, meera, 40, bill_no="A1", at=timezone.now() - timedelta(hours=5))
    facts_of = facts.gather(picture.load(kulfi, meera, now=timezone.now()))
    store_id = Store.objects.get(tenant=kulfi, code="K1").pk
    found = next(checks.blocked_points(replace(facts_of, habits=(Habit(store_id, 12, 3),))))
    assert "For 3 of the last 12 that this store left open, the bill came later." in found.sentence


@pytest.mark.case(8)
def test_points_blocked_and_spent_for_one_purchase_are_found(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=300)
    begun = timezone.now() - timedelta(hours=3)
    builders.hold(kulfi, meera, 60, reference="TW-1", at=begun)
    builders.hold(kulfi, meera, 60, reference="TW-2", at=begun + timedelta(minutes=1))
    first, second, twice = diagnosed(kulfi, meera)
    assert (first.code, second.code, twice.code) == ("redeemed_twice", "blocked_points", "blocked_points")
    assert "TW-1 blocks the same again" in first.sentence
    deliver(
        kulfi, paid_with_points("A1", 60, net="400.00", reference="TW-1", bill_date=(begun + timedelta(minutes=6)).isoformat())
    )
    found = diagnosed(kulfi, meera)
    assert codes(found) == ["redeemed_twice", "blocked_points"]
    assert "bill A1 spent 60 points without it" in found[0].sentence


@pytest.mark.case(64)
def test_a_negative_balance_names_its_cause(lenient_kulfi: Tenant) -> None:
    tenant = lenient_kulfi
    meera = builders.customer(tenant)
    deliver(tenant, bill("A1", net="5000.00"), paid_with_points("A2", 50, net="50.00"), returned("R1", "A1", "5000.00"))
    (found, *_) = diagnosed(tenant, meera)
    assert (found.code, "Bill R1" in found.sentence) == ("negative_by_return", True)
    raj = builders.customer(tenant, "+919840054321", points=10)
    operations.adjust(
        tenant, raj.pk, points=-30, reason="counted twice", actor=SYSTEM, key="adjust-1", now=timezone.now(), allow_debt=True
    )
    (found,) = diagnosed(tenant, raj)
    assert (found.code, "“counted twice”" in found.sentence) == ("negative_by_deduction", True)
    asha = builders.customer(tenant, "+919840077777")
    deliver(tenant, paid_with_points("A3", 30, net="30.00", customer={"mobile": asha.mobile}))
    assert "negative_by_redemption" in codes(diagnosed(tenant, asha))


@pytest.mark.case(3, 4)
def test_a_bill_that_came_after_the_unblock_says_so(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    builders.release(kulfi, builders.hold(kulfi, meera, 60, reference="SB-1"))
    deliver(kulfi, paid_with_points("A1", 60, net="400.00", reference="SB-1"))
    assert "completed_after_unblock" in codes(diagnosed(kulfi, meera))


@pytest.mark.case(51, 26)
def test_bills_that_are_set_aside_or_booked_twice_are_named(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    deliver(kulfi, bill("A1"), bill("A2"), bill("Q1", net_amount="950.00"))
    found = {each.code: each for each in diagnosed(kulfi, meera)}
    assert set(found) == {"bill_quarantined", "booked_twice"}
    assert found["booked_twice"].pattern is Pattern.HIGHER
    assert found["bill_quarantined"].remedy and found["bill_quarantined"].remedy.act == "open_delivery"


def test_a_bill_that_lacks_a_field_is_its_customers_all_the_same(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    document = bill("Q2")
    del document["net_amount"]
    (delivery,) = deliver(kulfi, document)
    assert delivery.mobile == meera.mobile
    assert codes(diagnosed(kulfi, meera)) == ["bill_quarantined"]
    odd = deliver(kulfi, bill("Q3", customer={"mobile": 5}, net_amount="x"), bill("Q4", customer="Meera", net_amount="x"))
    assert [each.mobile for each in odd] == ["", ""]


@pytest.mark.case(79)
def test_an_asked_bill_is_answered_wherever_it_stands(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    at = timezone.now() - timedelta(days=2)
    deliver(
        kulfi, bill("IB/0101", bill_date=at.isoformat()), bill("IB/0103", bill_date=at.isoformat(), net="500.00"),
        bill("IB/0104", mobile=None, net="70.00"), bill("IB/0105", mobile="+919840054321", net="80.00"),
        bill("IB/0106", net_amount="7.00"),
    )  # fmt: skip
    asked = {number: diagnosed(kulfi, meera, bill_no=number)[0] for number in
             ("IB/0101", " IB/0102 ", "IB/0104", "IB/0105", "IB/0106", "XX-9")}  # fmt: skip
    assert [each.code for each in asked.values()] == [
        "bill_booked", "bill_not_received", "bill_of_nobody", "bill_of_another", "bill_not_booked", "bill_not_received",
    ]  # fmt: skip
    assert "The numbers around it did: IB/0101 of" in asked[" IB/0102 "].sentence
    assert (asked[" IB/0102 "].remedy and asked[" IB/0102 "].remedy.store) == "K1"
    assert "No number near it is known" in asked["XX-9"].sentence
    assert asked["XX-9"].remedy is None


def test_a_bill_that_earned_nothing_says_why(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    deliver(kulfi, bill("A1", net="90.00"))
    seen = facts.gather(picture.load(kulfi, meera, now=timezone.now()))
    (why,) = facts.unearned(seen)
    assert (why.bill_no, why.why) == ("A1", "INR 90.00 is less than one point needs (INR 100.00)")
    assert "earned_nothing" in codes(checks.findings(replace(seen, unearned=(why,))))


@pytest.mark.case(93)
def test_a_merge_and_a_new_number_explain_themselves(kulfi: Tenant) -> None:
    meera, asha = builders.customer(kulfi, points=5), builders.customer(kulfi, "+919840054321", name="Asha")
    identity.merge(kulfi, asha.pk, meera.pk, reason="one person", actor=SYSTEM, now=timezone.now())
    assert codes(diagnosed(kulfi, meera)) == ["all_right", "merged"]


@pytest.mark.case(50)
def test_what_the_erp_voided_and_a_cancelled_bill(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    deliver(kulfi, bill("A1"))
    order = witnesses.Order("SO-1", "K1", "A1", meera.mobile, Decimal(1000), "voided", timezone.now())
    witnesses.take_orders(kulfi, [(0, order)], now=timezone.now())
    assert codes(diagnosed(kulfi, meera)) == ["return_missing"]
    deliver(kulfi, cancelled("C1", "A1"))
    assert codes(diagnosed(kulfi, meera)) == ["all_right"]


def test_the_crms_word_is_compared_with_the_ledger_of_its_time(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=50)
    CrmBalance.objects.create(
        tenant=kulfi, customer=meera, mobile=meera.mobile, points=0, as_of=timezone.now(), written_by="batch"
    )
    assert codes(diagnosed(kulfi, meera, reported_by=Reporter.CRM)) == ["crm_overwritten"]


# What an attack on the first version found


def test_a_young_redemption_is_a_payment_under_way(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=40)
    builders.hold(kulfi, meera, 40, bill_no="A1")
    (found,) = diagnosed(kulfi, meera)
    assert (found.handoff, "its bill is still expected" in found.sentence, "That is why 0 are" in found.sentence) == (
        0,
        True,
        True,
    )


def test_a_set_aside_bill_that_came_right_is_no_trouble_any_more(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    deliver(kulfi, bill("Q1", net_amount="950.00"))
    assert codes(diagnosed(kulfi, meera)) == ["bill_quarantined"]
    deliver(kulfi, bill("Q1"))
    assert codes(diagnosed(kulfi, meera)) == ["all_right"]
    deliver(kulfi, bill("Q1", net_amount="950.00", version=2))
    assert codes(diagnosed(kulfi, meera)) == ["bill_quarantined"], "a later correction of it may be set aside again"


def order(tenant: Tenant, number: str, *, store: str = "K1", bill_no: str, state: str = "confirmed", days: float = 2) -> None:
    told = witnesses.Order(number, store, bill_no, builders.MEERA, Decimal(1000), state, timezone.now() - timedelta(days=days))
    assert witnesses.take_orders(tenant, [(0, told)], now=timezone.now()) == []


@pytest.mark.case(50)
def test_a_voided_order_whose_goods_came_back_is_settled(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    deliver(kulfi, bill("A1"))
    order(kulfi, "SO-1", bill_no="A1", state="voided")
    assert codes(diagnosed(kulfi, meera)) == ["return_missing"]
    deliver(kulfi, returned("R1", "A1", "1000.00"))
    assert codes(diagnosed(kulfi, meera)) == ["all_right"]
    deliver(kulfi, bill("A2", net="500.00"))
    order(kulfi, "SO-2", bill_no="A2", state="voided")
    order(kulfi, "SO-3", bill_no="A2")
    assert codes(diagnosed(kulfi, meera)) == ["all_right"], "the ERP has it anew"


def test_the_same_number_of_another_store_hides_nothing(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    deliver(kulfi, bill("D3", store="K2", mobile="+919840054321"))
    order(kulfi, "SO-1", bill_no="D3")
    assert codes(diagnosed(kulfi, meera)) == ["bill_missing"]
    (answer, *_) = diagnosed(kulfi, meera, bill_no="D3")
    assert answer.code == "bill_not_received"
    deliver(kulfi, bill("D4"))
    deliver(kulfi, bill("D4", store="K2", mobile="+919840054321"))
    assert diagnosed(kulfi, meera, bill_no="D4")[0].code == "bill_booked", "one's own first"


def test_a_bill_that_is_gone_is_told_so(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    deliver(kulfi, bill("A1"), bill("A2", net="700.00"), bill("W1", mobile=None, net="80.00"))
    deliver(kulfi, cancelled("C1", "A1"), returned("R2", "A2", "700.00"), cancelled("C3", "W1"))
    told = {number: diagnosed(kulfi, meera, bill_no=number)[0] for number in ("A1", "A2", "W1", "R2")}
    assert [(each.code, each.remedy) for each in told.values()] == [("bill_gone", None)] * 3 + [("bill_booked", None)]
    assert "was cancelled" in told["A1"].sentence
    assert "came back whole" in told["A2"].sentence
    order(kulfi, "SO-9", bill_no="Z9", state="voided")
    assert "nothing is missing" in diagnosed(kulfi, meera, bill_no="Z9")[0].sentence


@pytest.mark.case(8)
def test_two_purchases_of_the_same_points_are_two(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=300)
    builders.hold(kulfi, meera, 60, reference="H1", bill_no="P1", at=timezone.now() - timedelta(hours=6))
    deliver(kulfi, paid_with_points("P1", 60, net="400.00", reference="H1"))
    builders.hold(kulfi, meera, 60, reference="H2", bill_no="P2", at=timezone.now() - timedelta(hours=5))
    builders.hold(kulfi, meera, 60, reference="H3", bill_no="P3", at=timezone.now() - timedelta(hours=5))
    assert codes(diagnosed(kulfi, meera)) == ["blocked_points", "blocked_points"]


@pytest.mark.case(64)
def test_the_debt_that_stands_is_named_and_not_the_newest(lenient_kulfi: Tenant) -> None:
    meera = builders.customer(lenient_kulfi, points=10)
    operations.adjust(
        lenient_kulfi,
        meera.pk,
        points=-60,
        reason="of +91 9840054321",
        actor=SYSTEM,
        key="a1",
        now=timezone.now(),
        allow_debt=True,
    )
    deliver(lenient_kulfi, paid_with_points("A3", 10, net="10.00"))
    deliver(lenient_kulfi, cancelled("C3", "A3"))
    (found, *_) = diagnosed(lenient_kulfi, meera)
    assert (found.code, "9840054321" in found.sentence, "50 points are owed" in found.sentence) == (
        "negative_by_deduction",
        False,
        True,
    )


def test_a_closed_incident_only_explains(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    deliver(kulfi, builders.discounted("D1", 10))
    assert "mode_drift" in [each.code for each in diagnosed(kulfi, meera) if not each.explains]
    Incident.objects.update(closed_at=timezone.now())
    found = next(each for each in diagnosed(kulfi, meera) if each.code == "mode_drift")
    assert (found.explains, found.remedy) == (True, None)


def test_an_earlier_figure_of_ours_is_stale_and_a_future_one_is_nothing(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    builders.issue(kulfi, meera, 50)
    now = timezone.now()
    CrmBalance.objects.create(tenant=kulfi, customer=meera, mobile=meera.mobile, points=100, as_of=now, written_by="CRM")
    CrmBalance.objects.create(
        tenant=kulfi, customer=meera, mobile=meera.mobile, points=1, as_of=now + timedelta(days=400), written_by="CRM"
    )
    assert codes(diagnosed(kulfi, meera)) == ["all_right", "crm_stale"]


# The page, the API, the command


def test_the_page_shows_evidence_and_the_way_out_by_role(as_bob: Client, as_alice: Client, kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    order = witnesses.Order("SO-1", "K1", "A9", meera.mobile, Decimal(1000), "confirmed", timezone.now() - timedelta(days=2))
    witnesses.take_orders(kulfi, [(0, order)], now=timezone.now())
    page = reverse("admin:customer360", args=[meera.pk])
    for client, words, not_words in (
        (as_bob, "Hand over to: POS", "Ask for the bill"),
        (as_alice, "Ask for the bill", "Hand over to"),
    ):
        text = client.get(page).content.decode()
        for each in (
            "is in the ERP and never arrived here",
            "ERP order SO-1",
            "Broke at ERP → connector (2)",
            "Issue points for it",
            words,
        ):
            assert each in text
        assert not_words not in text
    text = as_bob.get(page, {"bill": "A9", "reported_by": "erp"}).content.decode()
    assert "Bill A9 never arrived here" in text
    assert as_bob.get(page, {"bill": "\0'\"<b>", "reported_by": "nobody"}).status_code == 200
    later = as_bob.get(reverse("admin:customer_findings", args=[meera.pk]))
    assert later.status_code == 200
    assert "all is right" not in later.content.decode()


def test_the_api_and_the_command_say_the_same(kulfi: Tenant, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    from django.core.management import call_command

    meera = builders.customer(kulfi, points=40)
    builders.hold(kulfi, meera, 30, reference="SB-1", bill_no="A1", at=timezone.now() - timedelta(hours=5))
    reader = ApiClient(key_of(kulfi, "read"))
    answer = reader.get(f"/customers/{meera.mobile}/diagnosis")
    (found,) = [each for each in answer.body["findings"] if not each["explains"]]
    assert answer.body["all_right"] is None
    assert found.keys() == {
        "code", "sentence", "customer_sentence", "handoff", "pattern", "owner", "explains", "evidence", "remedy",
    }  # fmt: skip
    assert (found["code"], found["handoff"], found["pattern"], found["remedy"]["act"]) == (
        "blocked_points",
        2,
        "lower",
        "unblock",
    )
    assert found["evidence"] == [{"kind": "hold", "ref": "SB-1", "note": ""}]
    call_command("diagnose", kulfi.slug, "98400 12345", "--reported-by", "erp", "--json")
    said = json.loads(capsys.readouterr().out)
    assert [each for each in said["findings"] if not each["explains"]] == [found]
    call_command("diagnose", kulfi.slug, "98400 12345")
    assert "blocked_points: 30 points are blocked" in capsys.readouterr().out
    assert reader.get("/customers/+919999999999/diagnosis").status == 404
    assert reader.get(f"/customers/{meera.mobile}/diagnosis", reported_by="me").code == "bad_value"
    asked = reader.get(f"/customers/{meera.mobile}/diagnosis", bill_no="A1").body["findings"]
    assert asked[0]["code"] == "bill_not_received"


def test_somebody_with_nothing_wrong_gets_no_finding(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=40)
    body = ApiClient(key_of(kulfi, "support")).get(f"/customers/{meera.mobile}/diagnosis").body
    assert [each for each in body["findings"] if not each["explains"]] == []
    assert body["all_right"]["customer_sentence"].startswith("Everything is in order")


def test_a_diagnosis_costs_one_statement_however_long_the_history(kulfi: Tenant, django_assert_num_queries: Any) -> None:
    meera = builders.customer(kulfi, points=40)
    deliver(kulfi, *(bill(f"A{number}", net=f"{100 + number}.00") for number in range(80)))
    seen = picture.load(kulfi, meera, now=timezone.now())
    with django_assert_num_queries(1):
        found = facts.gather(seen)
    assert len(found.bills) == 60
    assert Delivery.objects.count() == 80


def test_evidence_without_a_row_of_ours_has_no_link() -> None:
    assert Evidence("crm", "0").id is None
