"""Bonus rules: every condition judged on its own; contradictions refused; evaluations kept and explained."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from loyalty import campaigns, operations
from loyalty.account import Account, Effect
from loyalty.bonus import Campaign, Condition, Operator, Person, Subject, check_campaign, judge
from loyalty.earning import Purchase, PurchaseLine, SoFar
from loyalty.models import Bonus, BonusEvaluation, Cohort, Customer, Entry
from loyalty.programmes import create_bonus
from loyalty.simulator import simulate
from loyalty.state import Kind, Terms
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import Store, Tenant
from tests import builders
from tests.builders import MEERA, balance, bill, deliver

D = Decimal
TUESDAY = datetime(2026, 3, 10, 18, 30)
PURCHASE = Purchase(
    TUESDAY, "K1", D("800"), D("50"), (PurchaseLine("A1", "ICE", D(3), D("500")), PurchaseLine("B1", "CAKE", D(1), D("300")))
)
MARCH = (date(2026, 3, 1), date(2026, 3, 31))


def campaign(*conditions: Condition, **fields: Any) -> Campaign:
    fields = {"points": 0 if "factor" in fields else 100} | fields
    return Campaign(1, "March", *MARCH, conditions, **fields)


def condition(subject: str, operator: str, wanted: str, *of: str) -> Condition:
    return Condition(Subject(subject), Operator(operator), wanted, of)


@pytest.mark.parametrize(
    ("asked", "found", "met"),
    [
        (condition("net", "at_least", "800"), "800", True), (condition("net", "at_least", "800.01"), "800", False),
        (condition("net", "at_most", "800"), "800", True), (condition("net", "at_most", "799"), "800", False),
        (condition("spend_on", "at_least", "500", "ICE"), "500", True), (condition("spend_on", "at_least", "501", "A1"), "500", False),
        (condition("spend_on", "at_least", "1", "X"), "0", False), (condition("quantity_of", "at_least", "4", "A1", "CAKE"), "4", True),
        (condition("earns", "at_least", "7"), "7", True), (condition("earns", "at_least", "8"), "7", False),
        (condition("paid_by_points", "at_most", "0"), "50", False), (condition("weekday", "one_of", "tue, sat"), "tue", True),
        (condition("weekday", "none_of", "tue"), "tue", False), (condition("weekday", "none_of", "mon"), "tue", True),
        (condition("hour", "at_least", "18"), "18", True), (condition("hour", "at_most", "17"), "18", False),
        (condition("tier", "one_of", "Gold"), "gold", True), (condition("tier", "none_of", "silver, GOLD"), "gold", False),
        (condition("member_days", "at_most", "9"), "9", True), (condition("member_days", "at_most", "8"), "9", False),
        (condition("earlier_bills", "at_most", "0"), "2", False), (condition("earlier_bills", "at_least", "2"), "2", True),
    ],
)  # fmt: skip
def test_each_condition_says_what_it_found(asked: Condition, found: str, met: bool) -> None:
    person = Person("gold", date(2026, 3, 1))
    judged = judge(campaign(asked), PURCHASE, person=person, so_far=SoFar(earlier=2), earns=7).conditions[-1]
    assert (judged.asked, judged.found, judged.met) == (asked.asked, found, met)


def test_what_is_not_known_is_not_met() -> None:
    judged = judge(campaign(condition("member_days", "at_least", "0")), PURCHASE, person=Person(), so_far=SoFar(), earns=7)
    assert (judged.conditions[-1].found, judged.awarded) == ("not known", False)


def test_all_conditions_are_judged_also_after_one_that_is_not_met() -> None:
    asked = [condition("net", "at_least", "9000"), condition("hour", "at_least", "18"), condition("weekday", "one_of", "sat")]
    judgement = judge(campaign(*asked), PURCHASE, person=Person(), so_far=SoFar(), earns=7)
    assert ([each.met for each in judgement.conditions], judgement.points) == ([True, False, True, False], 0)


@pytest.mark.parametrize(("factor", "earns", "points"), [("2", 7, 14), ("0.5", 7, 3), ("0.5", 1, 0), ("1", 0, 0)])
def test_a_factor_gives_so_many_times_what_the_bill_earns(factor: str, earns: int, points: int) -> None:
    judgement = judge(campaign(factor=D(factor)), PURCHASE, person=Person(), so_far=SoFar(), earns=earns)
    assert (judgement.points, judgement.awarded) == (points, points > 0)
    assert all(each.met for each in judgement.conditions) is judgement.awarded


@pytest.mark.parametrize(
    ("fields", "person", "awarded"),
    [
        ({"stores": frozenset({"K1"})}, Person(), True), ({"stores": frozenset({"K2"})}, Person(), False),
        ({"cohort_id": 5, "cohort": "VIPs"}, Person(cohorts=frozenset({5})), True), ({"cohort_id": 5, "cohort": "VIPs"}, Person(), False),
        ({"limit_per_customer": 2}, Person(awards={1: 1}), True), ({"limit_per_customer": 2}, Person(awards={1: 2}), False),
    ],
)  # fmt: skip
def test_stores_cohorts_and_limits_are_conditions_too(fields: dict[str, Any], person: Person, awarded: bool) -> None:
    assert judge(campaign(**fields), PURCHASE, person=person, so_far=SoFar(), earns=7).awarded is awarded


@pytest.mark.parametrize(
    ("day", "concerned"), [("2026-02-28", False), ("2026-03-01", True), ("2026-03-31", True), ("2026-04-01", False)]
)
def test_bills_of_other_days_are_not_judged(day: str, concerned: bool) -> None:
    purchase = Purchase(datetime.fromisoformat(f"{day}T12:00"), "K1", D(1), D(0), ())
    assert campaign().concerns(purchase) is concerned
    assert judge(campaign(), purchase, person=Person(), so_far=SoFar(), earns=1).awarded is concerned
    assert campaign(stores=frozenset({"K2"})).concerns(PURCHASE) is False


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (Campaign(1, "x", date(2026, 3, 2), date(2026, 3, 1), points=1), "rule_ends_before_it_begins"),
        (Campaign(1, "x", date(2026, 3, 2), date(2036, 3, 1), points=1), "rule_never_ends"),
        (Campaign(1, "x", date(9998, 3, 2), date(9999, 3, 1), points=1), "date_far"),
        (Campaign(1, "x", date(1, 1, 1), date(1, 3, 1), points=1), "date_far"),
        (Campaign(1, "x", *MARCH), "rule_gives_nothing"),
        (Campaign(1, "x", *MARCH, points=5, factor=D(2)), "rule_gives_nothing"),
        (Campaign(1, "x", *MARCH, points=-5), "points_invalid"),
        (Campaign(1, "x", *MARCH, points=10**13), "points_invalid"),
        (campaign(condition("net", "at_least", "500"), condition("net", "at_most", "100")), "rule_contradicts"),
        (campaign(condition("tier", "one_of", "gold"), condition("tier", "one_of", "silver")), "rule_contradicts"),
        (campaign(condition("tier", "one_of", "gold"), condition("tier", "none_of", "Gold, silver")), "rule_contradicts"),
        (campaign(condition("net", "one_of", "500")), "bad_value"),
        (campaign(condition("tier", "at_least", "gold")), "bad_value"),
        (campaign(condition("net", "at_least", "much")), "bad_value"),
        (campaign(condition("net", "at_least", "NaN")), "bad_value"),
        (campaign(condition("net", "at_least", "1e99")), "bad_value"),
        (campaign(condition("tier", "one_of", " , ")), "bad_value"),
        (campaign(condition("weekday", "one_of", "tuesday")), "bad_value"),
        (campaign(condition("spend_on", "at_least", "5")), "bad_value"),
    ],
)
def test_rules_that_cannot_be_are_refused_by_name(wrong: Campaign, code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        check_campaign(wrong)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    "fine",
    [
        campaign(condition("net", "at_least", "500"), condition("net", "at_most", "500")),
        campaign(condition("spend_on", "at_least", "500", "A"), condition("spend_on", "at_most", "100", "B")),
        campaign(condition("tier", "one_of", "gold, silver"), condition("tier", "none_of", "gold")),
        campaign(condition("weekday", "one_of", "sat, sun"), condition("weekday", "one_of", "sun")),
        campaign(condition("net", "at_least", "5"), condition("net", "at_least", "9")),
    ],
)
def test_rules_that_some_bill_can_meet_are_taken(fine: Campaign) -> None:
    check_campaign(fine)


def test_a_condition_names_a_few_of_thousands_of_items() -> None:
    assert condition("quantity_of", "at_least", "1", *(f"I{n}" for n in range(5000))).asked == (
        "the quantity of I0, I1, I2 and 4,997 more is at least 1"
    )


# Against the database


def today(tenant: Tenant) -> date:
    return timezone.now().astimezone(tenant.zone).date()


def running(tenant: Tenant, *conditions: Condition, **fields: Any) -> Bonus:
    day = today(tenant)
    fields = {"points": 50} | fields
    return create_bonus(
        tenant, name="Spring", starts_on=day - timedelta(days=9), ends_on=day + timedelta(days=9), conditions=conditions, **fields
    )


def test_an_awarded_bonus_is_an_entry_of_the_bills_operation_and_is_explained(kulfi: Tenant) -> None:
    running(kulfi, condition("net", "at_least", "500"))
    deliver(kulfi, bill("A1"), bill("A2", net="499.00"))
    entries = list(Entry.objects.filter(kind="bonus"))
    assert [(entry.available, entry.seq) for entry in entries] == [(50, 1)]
    assert balance(entries[0].customer) == (0, 64, 0, 0)
    assert [(row.awarded, row.points) for row in BonusEvaluation.objects.order_by("id")] == [(True, 50), (False, 0)]
    asked = "the bill's net amount is at least 500"
    assert BonusEvaluation.objects.earliest("id").conditions[-1] == {"asked": asked, "found": "1000", "met": True}


def test_a_limit_counts_what_was_kept(kulfi: Tenant) -> None:
    running(kulfi, limit_per_customer=1)
    deliver(kulfi, bill("A1"), bill("A2"))
    assert Entry.objects.filter(kind="bonus").count() == 1
    booked = Entry.objects.get(kind="bonus").operation
    operations.reverse(kulfi, booked, reason="cancelled", actor=SYSTEM, now=timezone.now())
    deliver(kulfi, bill("A3"))
    assert Entry.objects.filter(kind="bonus").count() == 2


def test_a_cohort_is_a_list_by_day_or_a_filter(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    listed = Cohort.objects.create(tenant=kulfi, name="VIPs")
    assert campaigns.put_on_list(kulfi, listed.pk, [MEERA, "+919840099999"], valid_from=today(kulfi)) == (1, ["+919840099999"])
    assert campaigns.put_on_list(kulfi, listed.pk, [MEERA], valid_from=today(kulfi)) == (0, [])
    running(kulfi, cohort=listed)
    yesterday = (timezone.now() - timedelta(days=1)).isoformat()
    deliver(kulfi, bill("A1", bill_date=yesterday), bill("A2"))
    assert [row.awarded for row in BonusEvaluation.objects.order_by("business_date")] == [False, True]
    Bonus.objects.update(cohort=Cohort.objects.create(tenant=kulfi, name="Gold", tiers=["gold"]))
    Customer.objects.filter(pk=meera.pk).update(tier="gold")
    deliver(kulfi, bill("A3"))
    assert BonusEvaluation.objects.latest("id").awarded


def test_evaluations_are_never_edited(kulfi: Tenant) -> None:
    running(kulfi)
    deliver(kulfi, bill("A1"))
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        BonusEvaluation.objects.update(points=7)


def test_a_refused_bill_leaves_no_evaluation(kulfi: Tenant) -> None:
    running(kulfi, limit_per_customer=1)
    (first, second) = deliver(kulfi, builders.paid_with_points("A1", 500), bill("A2"))
    assert (first.state, second.state) == ("quarantined", "applied")
    assert [row.awarded for row in BonusEvaluation.objects.all()] == [True]


def test_a_bonus_pays_what_is_owed_first(lenient_kulfi: Tenant) -> None:
    running(lenient_kulfi)
    deliver(lenient_kulfi, builders.paid_with_points("A1", 30, net="100.00"))
    assert balance(Entry.objects.latest("id").customer) == (0, 20, 0, 0)


def purchase_of_today(tenant: Tenant) -> Purchase:
    return Purchase(timezone.now().astimezone(tenant.zone), "K1", D(1000), D(0), (PurchaseLine("A1", "", D(1), D(1000)),))


def test_the_simulator_says_what_the_booking_does_and_writes_nothing(kulfi: Tenant) -> None:
    running(kulfi, condition("earlier_bills", "at_most", "0"))
    meera = builders.customer(kulfi)
    store = Store.objects.get(code="K1")
    before = simulate(kulfi, purchase_of_today(kulfi), store_id=store.pk, customer_id=meera.pk)
    assert (before.earned.points, before.total, Entry.objects.count(), BonusEvaluation.objects.count()) == (10, 60, 0, 0)
    deliver(kulfi, bill("A1"))
    assert balance(meera) == (0, before.total, 0, 0)
    after = simulate(kulfi, purchase_of_today(kulfi), store_id=store.pk, customer_id=meera.pk)
    assert [each.met for each in after.bonuses[0].conditions] == [True, False]
    booked = Entry.objects.exclude(bill_id=None).earliest("id").bill_id
    again = simulate(kulfi, purchase_of_today(kulfi), store_id=store.pk, customer_id=meera.pk, without_bills=[booked or 0])
    assert again.total == before.total


@pytest.mark.case(63)
def test_a_threshold_bonus_that_what_is_kept_does_not_deserve_is_taken_back_whole() -> None:
    """The rules judge what is kept of the bill; the ledger takes the bonus back by its own lot."""
    threshold = campaign(condition("net", "at_least", "500"))
    account = Account(1)
    granted = account.grant(100, kind=Kind.BONUS, terms=Terms(TUESDAY.date(), None), today=TUESDAY.date())
    granted.id = 1
    kept = Purchase(TUESDAY, "K1", D("300"), D(0), (PURCHASE.lines[1],))
    assert judge(threshold, PURCHASE, person=Person(), so_far=SoFar(), earns=8).awarded
    assert not judge(threshold, kept, person=Person(), so_far=SoFar(), earns=3).awarded
    effect = Effect.of(granted, lots=account.lots)
    assert effect is not None
    account.rollback([(effect, effect.points)], today=TUESDAY.date())
    assert account.available == 0
