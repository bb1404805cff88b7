"""What bills, replays and files say goes through gettext: with a made-up translation each sentence comes back between « and »."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail as outbox
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations import gathering, inbox, missing, replay
from integrations.decisions import MOVES
from integrations.models import Discrepancy, Incident
from tenants.errors import DomainError
from tenants.models import Store, Tenant
from tests import builders
from tests.builders import bill, deliver, paid_with_points
from tests.client import ApiClient
from tests.integrations.test_files import ORDERS, done, kept
from tests.integrations.test_gathering import blocked
from tests.integrations.test_missing import INA, found
from tests.integrations.test_replay import chosen
from tests.integrations.test_returns import cancelled, returned
from tests.translations import bare

#: One bill for each family of checks, after a sale A1 of 1,000: what is said of it.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "bad_value": (
        bill("Q1", net="1,0"),
        "«net_amount: '1,0' «is not a plain number such as 1234.50 (no grouping, dot for decimals, at most 4 decimals)».»",
    ),
    "required_field": (bill("Q2", items=None), "«The field items is missing. Send the bill again with it.»"),
    "sum_of_amounts": (
        bill("Q3", net="950.00", items=[{"amount": "1000.00"}]),
        "«net_amount is 950.00, but its parts sum to 1000.00. Correct the bill at the till's system and send it again.»",
    ),
    "redemption_mismatch": (
        paid_with_points("Q4", 40, redemption={"points": 40, "amount": "41.00"}),
        "«The tender of points is 40.00, the redemption says 41.00.»",
    ),
    "store_unknown": (bill("Q5", store="K9"), "«No store has the code 'K9'. Add the store or an alias, then retry.»"),
    "conflict": (
        bill("A1", net="999.00"), "«Bill A1 is booked already, with other content. The booked one stands; a person decides.»",
    ),
    "points_rate": (
        paid_with_points("Q6", 40, redemption={"points": 41}),
        "«41 points are worth 41.00 at the rate of this redemption, the bill says 40.00.»",
    ),
    "over_return": (returned("Q7", "A1", "1200.00"), "«Of bill A1 1000.0000 is left; this return takes 1200.00.»"),
    "parent_unnamed": (
        returned("Q8", "", "10.00", original=None), "«This «return» names no original bill. A person has to say which.»",
    ),
    "waiting_parent": (cancelled("Q9", "A9"), "«This «cancellation» waits for bill A9, which has not arrived yet.»"),
}  # fmt: skip


@pytest.mark.parametrize("check", REFUSED)
def test_what_a_check_says_is_translated_and_then_filled(kulfi: Tenant, wrapped: None, check: str) -> None:
    document, sentence = REFUSED[check]
    _, delivery = deliver(kulfi, bill("A1", bill_date=(timezone.now() - timedelta(minutes=5)).isoformat()), document)
    assert (delivery.check_name, delivery.message) == (check, sentence)


def test_a_number_with_braces_is_a_number(kulfi: Tenant, wrapped: None) -> None:
    odd = "{bill_no} {0.__class__} {"
    (delivery,) = deliver(kulfi, cancelled("Q1", odd))
    assert delivery.message == f"«This «cancellation» waits for bill {odd}, which has not arrived yet.»"
    inbox.sweep(now=timezone.now() + timedelta(days=8))
    delivery.refresh_from_db()
    told = "has not arrived within 7 days. Ask the POS for it, or say which bill this is about.»"
    assert (delivery.check_name, delivery.message) == ("parent_missing", f"«Bill {odd} {told}")


def test_what_is_told_of_a_booked_bill_is_translated(kulfi: Tenant, wrapped: None) -> None:
    builders.customer(kulfi, points=100)
    deliver(kulfi, paid_with_points("A1", 40))
    told = Discrepancy.objects.get(kind="no_hold")
    assert told.message == "«40 points were spent without being blocked first.»"
    assert told.get_kind_display() == "«points spent without being blocked first»"


def test_a_refusal_of_a_replay_is_translated(kulfi: Tenant, wrapped: None) -> None:
    deliver(kulfi, bill("A1"))
    with pytest.raises(DomainError) as refused:
        replay.run(chosen(kulfi, all=True))
    assert refused.value.sentence == "«This replay is «chosen». Try it without effect first, then run it, once.»"
    with pytest.raises(DomainError) as refused:
        chosen(kulfi, check="nothing")
    assert refused.value.sentence == "«No delivery fits these filters. Choose others.»"


def test_the_title_of_an_incident_is_translated(kulfi: Tenant, wrapped: None) -> None:
    blocked(kulfi, 3)
    gathering.gather(kulfi, now=timezone.now())
    incident = Incident.objects.get()
    assert incident.message.startswith("«Anna Nagar sends no bills for blocked points since ")
    assert bare(incident.message) == ""


def test_an_error_of_a_row_is_translated(kulfi: Tenant, wrapped: None) -> None:
    lines = "SO-X,K9,A1,,1.00,confirmed,2026-11-20T10:00:00\nSO-Y,K1,A1,,-1,confirmed,2026-11-20T10:00:00\n"
    row = done(kept(kulfi, (ORDERS + lines).encode()))
    assert [each["message"] for each in row.refused_rows] == [
        "«No store has the code 'K9'. Add the store or an alias.»",
        "«amount «is negative; the direction is in the type».»",
    ]


def test_what_a_vendor_is_asked_is_translated(kulfi: Tenant, wrapped: None) -> None:
    deliver(kulfi, bill("A1"), bill("A3"))
    request = missing.ask(kulfi, Store.objects.get(code="K1"), found(kulfi), note="of Monday", actor=INA)
    assert bare(request.lines.get().why) == ""
    missing.mail(request, to="pos@vendor.example", actor=INA, now=timezone.now())
    (sent,) = outbox.outbox
    assert sent.subject == f"«Bills to send again: K1, 1 (request {request.pk})»"
    assert str(sent.body).startswith("«Please send these 1 bills of store K1 again, ")


def test_a_brand_begins_with_a_text_in_its_language(as_alice: Client, kulfi: Tenant, wrapped: None) -> None:
    page = as_alice.get(reverse("admin:message_settings"))
    assert str(page.context["form"]["subject"].value()) == "«{points} points for you»"
    assert page.context["example_subject"] == "«500 points for you»"


def test_lists_name_their_columns_and_states_in_the_language(as_alice: Client, kulfi: Tenant, wrapped: None) -> None:
    deliver(kulfi, bill("A1"), bill("Q1", store="K9"))
    bills = as_alice.get(reverse("admin:integrations_bill_changelist")).content.decode()
    assert {words for words in ("«Net amount»", "«Stands»", "«yes»", "«Bill number, whole»") if words not in bills} == set()
    deliveries = as_alice.get(reverse("admin:integrations_delivery_changelist")).content.decode()
    assert {words for words in ("«State»", "«quarantined»", "«applied»") if words not in deliveries} == set()


def test_the_api_answers_in_the_language(till: ApiClient, wrapped: None) -> None:
    answer = till.post("/bills/batch", {"bills": [[]]})
    assert answer.body["results"][0]["error"]["message"] == "«A bill must be one JSON object: { ... }.»"


def test_what_can_be_decided_is_said_in_the_language(wrapped: None) -> None:
    assert [bare(f"{move.label} {move.explains}") for move in MOVES.values()] == [""] * len(MOVES)
    assert next(iter(MOVES.values())).label == "«Try again»"
