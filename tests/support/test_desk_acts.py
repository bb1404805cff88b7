"""Merge, numbers, missed bonuses, unblock all, cases and notes, from the dialogs of the desk."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import Incident, IncidentKind
from loyalty.bonus import Condition, Operator, Subject
from loyalty.models import BonusEvaluation, Customer, CustomerMerge, Entry, Hold
from loyalty.programmes import create_bonus
from support.models import ApprovalRequest, Case, Note, SavedView, TopicContact
from tenants.models import AuditEvent, Store, Tenant
from tests import builders
from tests.builders import balance
from tests.conftest import _person, signed_in

TOKEN = "t" * 24
SECOND = "+919840012399"


@pytest.fixture
def raj(kulfi: Tenant) -> Customer:
    return builders.customer(kulfi, points=100, name="Raj K.")


@pytest.fixture
def twin(kulfi: Tenant) -> Customer:
    return builders.customer(kulfi, SECOND, points=30, name="R. Kumar")


def post(client: Client, name: str, pk: int, **fields: str) -> Any:
    return client.post(reverse(f"admin:{name}", args=[pk]), {"reason": "as they asked", "token": TOKEN} | fields)


def page(client: Client, customer: Customer, **parameters: str) -> str:
    return client.get(reverse("admin:customer360", args=[customer.pk]), parameters).content.decode()


# Merge


@pytest.mark.case(95)
def test_a_merge_shows_what_it_will_be_and_does_it_once(as_alice: Client, raj: Customer, twin: Customer) -> None:
    form = as_alice.get(reverse("admin:merge_customer", args=[raj.pk]), {"other": "R. Kumar"})
    assert form.context["after"].available == 130
    assert SECOND not in form.content.decode()
    pressed = [post(as_alice, "merge_customer", raj.pk, into=str(twin.pk)) for _ in range(2)]
    assert [answer["Location"] for answer in pressed] == [pressed[0]["Location"]] * 2
    assert "Already merged: everything stands here now." in as_alice.get(pressed[1]["Location"]).content.decode()
    assert balance(twin) == (0, 130, 0, 0)
    assert CustomerMerge.objects.count() == 1


@pytest.mark.case(97)
def test_a_merge_is_taken_back_from_the_audit_tab(as_alice: Client, raj: Customer, twin: Customer) -> None:
    post(as_alice, "merge_customer", raj.pk, into=str(twin.pk))
    merge = CustomerMerge.objects.get()
    assert reverse("admin:unmerge", args=[merge.pk]) in page(as_alice, twin, tab="audit")
    assert post(as_alice, "unmerge", merge.pk).status_code == 302
    assert (balance(raj), balance(twin)) == ((0, 100, 0, 0), (0, 30, 0, 0))
    assert post(as_alice, "unmerge", merge.pk).status_code == 422


def test_an_agent_asks_for_a_merge(as_bob: Client, raj: Customer, twin: Customer) -> None:
    assert (
        "Your role may ask for this"
        in as_bob.get(reverse("admin:merge_customer", args=[raj.pk]), {"into": twin.pk}).content.decode()
    )
    post(as_bob, "merge_customer", raj.pk, into=str(twin.pk))
    assert ApprovalRequest.objects.get().words == "Merge into R. Kumar"
    assert balance(twin) == (0, 30, 0, 0)


@pytest.mark.parametrize("words", ["", "nobody at all", "Raj K."])
def test_without_another_customer_there_is_nothing_to_merge(as_alice: Client, raj: Customer, words: str) -> None:
    assert as_alice.get(reverse("admin:merge_customer", args=[raj.pk]), {"other": words}).context["other"] is None
    assert post(as_alice, "merge_customer", raj.pk, into=str(raj.pk)).status_code in (302, 422)
    assert CustomerMerge.objects.count() == 0


# Numbers


@pytest.mark.case(93)
def test_a_new_number_is_found_and_the_old_one_still_leads_here(as_alice: Client, kulfi: Tenant, raj: Customer) -> None:
    assert post(as_alice, "change_mobile", raj.pk, mobile="98400 55555").status_code == 302
    assert post(as_alice, "change_mobile", raj.pk, mobile="98400 55555", token="u" * 24).status_code == 302
    raj.refresh_from_db()
    assert raj.mobile == "+919840055555"
    builders.deliver(kulfi, builders.bill("A1"))
    assert balance(raj) == (0, 110, 0, 0)
    assert AuditEvent.objects.filter(action="change_mobile").count() == 1


@pytest.mark.parametrize("mobile", ["", "12", "98400 12399"])
def test_a_number_that_is_none_or_taken_is_refused(as_alice: Client, raj: Customer, twin: Customer, mobile: str) -> None:
    assert post(as_alice, "change_mobile", raj.pk, mobile=mobile).status_code == 422
    raj.refresh_from_db()
    assert raj.mobile == builders.MEERA


# A missed bonus


@pytest.fixture
def missed(kulfi: Tenant, raj: Customer) -> BonusEvaluation:
    today = timezone.localdate(timezone=kulfi.zone)
    create_bonus(
        kulfi, name="Cake week", starts_on=today - timedelta(days=7), ends_on=today + timedelta(days=7), points=50,
        conditions=[Condition(Subject.QUANTITY_OF, Operator.AT_LEAST, "2", ("CAKE",))],
    )  # fmt: skip
    builders.deliver(kulfi, builders.bill("A1"))
    found: BonusEvaluation = BonusEvaluation.objects.get()
    return found


def test_a_missed_bonus_is_awarded_from_its_judgement_once(
    as_bob: Client, as_alice: Client, raj: Customer, missed: BonusEvaluation
) -> None:
    assert reverse("admin:award_bonus", args=[missed.pk]) in page(as_bob, raj, tab="bonuses")
    text = as_bob.get(reverse("admin:award_bonus", args=[missed.pk])).content.decode()
    assert "Award 50 points" in text
    assert "the quantity of CAKE" in text
    assert [post(as_bob, "award_bonus", missed.pk).status_code for _ in range(2)] == [302, 302]
    assert balance(raj) == (0, 160, 0, 0)
    assert Entry.objects.latest("id").reason == "Bonus Cake week for bill A1: as they asked"
    again = post(as_alice, "award_bonus", missed.pk, reason="another agent", token="u" * 24)
    assert "Bob has awarded this bonus already" in again.content.decode()
    assert balance(raj) == (0, 160, 0, 0)


def test_a_bonus_of_who_was_merged_away_is_the_survivor_s(
    as_bob: Client, as_alice: Client, kulfi: Tenant, raj: Customer, twin: Customer, missed: BonusEvaluation
) -> None:
    post(as_alice, "merge_customer", raj.pk, into=str(twin.pk))
    assert post(as_bob, "award_bonus", missed.pk).status_code == 302
    assert balance(twin) == (0, 190, 0, 0)


def test_a_bonus_that_was_given_or_whose_bill_was_corrected_is_not_awarded(
    as_bob: Client, kulfi: Tenant, raj: Customer, missed: BonusEvaluation
) -> None:
    builders.deliver(kulfi, builders.bill("A1", net="2000.00", version=2))
    before = balance(raj)
    assert post(as_bob, "award_bonus", missed.pk)["Location"].endswith("?tab=bonuses")
    assert balance(raj) == before


# Unblock all


def test_all_blocked_points_are_freed_by_one_press(as_bob: Client, kulfi: Tenant, raj: Customer) -> None:
    holds = [builders.hold(kulfi, raj, points) for points in (10, 20, 30)]
    text = as_bob.get(reverse("admin:unblock_all", args=[raj.pk])).content.decode()
    assert "Unblock 60 points of 3 redemptions" in text
    picked = [str(hold.pk) for hold in holds[:2]]
    body = {"reason": "the till was down", "token": TOKEN, "hold": picked}
    assert as_bob.post(reverse("admin:unblock_all", args=[raj.pk]), body).status_code == 302
    assert balance(raj) == (0, 70, 30, 0)
    assert as_bob.post(reverse("admin:unblock_all", args=[raj.pk]), body).status_code == 422, (
        "those are free; the third was not chosen"
    )
    assert balance(raj) == (0, 70, 30, 0)


def test_unblock_all_warns_of_the_store_whose_bills_came_after_all(
    as_bob: Client, kulfi: Tenant, raj: Customer, django_assert_max_num_queries: Any
) -> None:
    freed = builders.hold(kulfi, raj, 10, bill_no="A1")
    post(as_bob, "unblock", freed.pk)
    builders.deliver(kulfi, builders.paid_with_points("A1", 10, net="500.00"))
    for _ in range(12):
        builders.hold(kulfi, raj, 5)
    where = reverse("admin:unblock_all", args=[raj.pk])
    as_bob.get(where)
    with django_assert_max_num_queries(14):
        response = as_bob.get(where)
    assert [str(store) for store, _ in response.context["came_later"]] == ["Anna Nagar"]
    assert "At Anna Nagar, 1 of 1 redemptions" in response.content.decode()


def test_an_incident_s_blocked_points_are_freed_by_a_merchant(
    as_bob: Client, as_alice: Client, kulfi: Tenant, raj: Customer, twin: Customer
) -> None:
    for customer in (raj, twin):
        builders.hold(kulfi, customer, 10)
    incident = Incident.objects.create(
        tenant=kulfi, kind=IncidentKind.NO_COMPLETION, store=Store.objects.get(code="K1"), message="K1 sends no bills"
    )
    where = reverse("admin:unblock_incident", args=[incident.pk])
    body = {
        "reason": "the store is closed",
        "token": TOKEN,
        "hold": [str(pk) for pk in Hold.objects.values_list("pk", flat=True)],
    }
    assert as_bob.post(where, body).status_code == 403
    assert "Unblock 20 points of 2 redemptions of 2 customers" in as_alice.get(where).content.decode()
    assert as_alice.post(where, body).status_code == 302
    assert (balance(raj)[2], balance(twin)[2]) == (0, 0)
    assert as_alice.get(where)["Location"] == reverse("admin:incident", args=[incident.pk])


# Cases and notes


def test_a_case_from_the_first_call_to_its_outcome(as_bob: Client, raj: Customer) -> None:
    post(as_bob, "open_case", raj.pk, title="Points missing", topic="POS", reason="Says 50 points are missing")
    case = Case.objects.get()
    assert "Points missing" in page(as_bob, raj), "the next agent sees it on top"
    issued = post(as_bob, "issue_points", raj.pk, points="50", case=str(case.pk))
    assert issued.status_code == 302
    as_bob.post(reverse("admin:note_in_case", args=[case.pk]), {"text": "Called back, is happy"})
    assert post(as_bob, "close_case", case.pk, outcome="").status_code == 422
    assert post(as_bob, "close_case", case.pk, outcome="made_good").status_code == 302
    case.refresh_from_db()
    assert (case.outcome, case.closed_by) == ("made_good", "Bob")
    kinds = list(Note.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == ["opened", "linked", "note", "closed"]
    text = as_bob.get(reverse("admin:case", args=[case.pk])).content.decode()
    assert f"?entry={Entry.objects.latest('id').operation}" in text
    as_bob.post(reverse("admin:note_in_case", args=[case.pk]), {"text": "too late"})
    assert Note.objects.filter(text="too late").count() == 0
    assert post(as_bob, "reopen_case", case.pk).status_code == 302
    assert Case.objects.get().closed_at is None


def test_a_note_is_for_the_next_agent(as_bob: Client, raj: Customer) -> None:
    assert as_bob.post(reverse("admin:write_note", args=[raj.pk]), {"text": "Prefers e-mail <b>"}).status_code == 302
    text = page(as_bob, raj, tab="cases")
    assert "Prefers e-mail &lt;b&gt;" in text
    assert as_bob.post(reverse("admin:write_note", args=[raj.pk]), {"text": "  "}).status_code == 422


def test_an_auditor_reads_and_writes_no_notes(kulfi: Tenant, raj: Customer) -> None:
    auditor = signed_in(_person(kulfi, "Aud", "auditor"))
    assert auditor.post(reverse("admin:write_note", args=[raj.pk]), {"text": "hello"}).status_code == 403
    assert auditor.get(reverse("admin:customer360", args=[raj.pk]), {"tab": "cases"}).status_code == 200


def test_a_case_s_customer_is_the_only_one_whose_acts_it_takes(as_bob: Client, raj: Customer, twin: Customer) -> None:
    post(as_bob, "open_case", twin.pk, title="Another complaint", reason="Says it is late")
    case = Case.objects.get()
    post(as_bob, "issue_points", raj.pk, points="50", case=str(case.pk))
    assert Note.objects.filter(kind="linked").count() == 0


# What else the page shows


def test_the_audit_tab_tells_who_did_and_looked(as_alice: Client, raj: Customer) -> None:
    as_alice.post(reverse("admin:reveal_mobile", args=[raj.pk]))
    text = page(as_alice, raj, tab="audit")
    assert "reveal mobile" in text
    assert "Alice" in text


def test_the_chart_of_the_balance_has_its_table(as_bob: Client, kulfi: Tenant, raj: Customer) -> None:
    builders.hold(kulfi, raj, 40)
    chart = as_bob.get(reverse("admin:balance_chart", args=[raj.pk]))
    assert [(day.change, day.closing) for day in chart.context["chart"].days] == [(100, 100)]
    assert "<svg" in chart.content.decode()
    nobody = builders.customer(kulfi, SECOND)
    assert "No points moved" in as_bob.get(reverse("admin:balance_chart", args=[nobody.pk])).content.decode()


def test_a_debt_reads_as_one_story(as_bob: Client, lenient_kulfi: Tenant) -> None:
    raj = builders.customer(lenient_kulfi, points=10)
    builders.deliver(lenient_kulfi, builders.paid_with_points("A1", 30, net="30.00"))
    assert balance(raj) == (0, 0, 0, 20)
    lines = as_bob.get(reverse("admin:customer360", args=[raj.pk])).context["page"].lines
    told = [(line.title, line.effect) for line in lines]
    assert told == [("Redeemed, more than there was", "-10, −20 owed now"), ("Issued", "+10")]


def test_whom_to_turn_to_stands_beside_what_nobody_here_can_mend(as_bob: Client, kulfi: Tenant) -> None:
    raj = builders.customer(kulfi)
    TopicContact.objects.create(tenant=kulfi, topic="POS", name="Wondersoft desk", email="pos@vendor.example")
    builders.deliver(kulfi, builders.bill("A1"), builders.bill("A2"))
    text = page(as_bob, raj, bill="A9999")
    assert "Wondersoft desk, pos@vendor.example" in text


def test_a_filter_is_kept_under_a_name(as_bob: Client, as_alice: Client, raj: Customer) -> None:
    body = {"name": "Issues of K1", "query": "action=issue&store=K1&nonsense=1&before=5", "for_all": "on"}
    as_bob.post(reverse("admin:save_view"), body)
    assert SavedView.objects.get().query == "action=issue&store=K1"
    assert not SavedView.objects.get().for_all, "only who may export shares"
    assert "Issues of K1" not in as_alice.get(reverse("admin:activity")).content.decode()
    as_alice.post(reverse("admin:save_view"), body)
    assert as_bob.get(reverse("admin:activity")).content.decode().count("Issues of K1") >= 2
    theirs = SavedView.objects.get(for_all=True)
    assert as_bob.post(reverse("admin:forget_view", args=[theirs.pk])).status_code == 404
    assert as_alice.post(reverse("admin:forget_view", args=[theirs.pk])).status_code == 302


@pytest.mark.parametrize("role", ["agent", "merchant", "integrator", "auditor", "admin"])
def test_everybody_has_a_start_page(kulfi: Tenant, raj: Customer, role: str) -> None:
    builders.hold(kulfi, raj, 40, at=timezone.now() - timedelta(days=3))
    somebody = _person(kulfi, "Sam", role)
    client = signed_in(somebody)
    if role in ("agent", "merchant", "admin"):
        post(client, "issue_points", raj.pk, points="50")
    response = client.get(reverse("admin:index"))
    assert response.status_code == 200
    text = response.content.decode()
    if role in ("merchant", "admin"):
        assert "Issued by hand" in text
        assert [(each.name, each.points) for each in response.context["by_hand"]] == [("Sam", 50)]
    if "stores_by_age" in response.context:
        assert [(each.store, each.counts, each.points) for each in response.context["stores_by_age"]] == [
            ("Anna Nagar", (0, 0, 1, 0, 0), 40)
        ]
