"""What the desk says goes through gettext: with a made-up translation each sentence comes back between « and »."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.analytics.feed import Lag
from loyalty import operations
from loyalty.models import Customer, Hold
from loyalty.state import Kind
from support import checks, picture, walk
from support.diagnosis import Finding, Owner, Reporter
from support.facts import (
    Asked,
    Coming,
    Dashboard,
    Debt,
    Expired,
    Judged,
    Merged,
    OrderFact,
    Owned,
    ShownFact,
    Told,
    Unearned,
)
from support.verbs import VERBS
from tenants.actors import Actor, ActorKind
from tenants.models import Tenant
from tests import builders
from tests.support.test_diagnosis import NOW, a_bill, known
from tests.translations import bare

TOKEN = "t" * 24


@pytest.fixture
def meera(kulfi: Tenant) -> Customer:
    """0 available, 1,412 blocked by a redemption whose bill never came."""
    found = builders.customer(kulfi, points=1412)
    builders.hold(kulfi, found, 1412, reference="SB-7f3a", bill_no="IB/26-27/004512", at=timezone.now() - timedelta(days=3))
    return found


def bare_of(finding: Finding) -> list[str]:
    said = [finding.sentence, finding.customer_sentence, str(finding.handoff.label), *(each.note for each in finding.evidence)]
    said += [finding.remedy.label] if finding.remedy else []
    return [words for text in said if (words := bare(text))]


# The findings, each from facts of no database row

YESTERDAY = NOW - timedelta(days=1)
A_DAY = date(2026, 11, 1)


def an_order(state: str, **changes: Any) -> OrderFact:
    about: dict[str, Any] = {"bill_id": None, "here": False, "confirmed": False, **changes}
    return OrderFact(4, "SO-1", "A1", "Anna Nagar", "K1", Decimal(950), NOW - timedelta(days=2), state, **about)


def asked(owner: Owned, **of_bill: Any) -> dict[str, Any]:
    return {"asked": Asked("A1", a_bill(**of_bill), owner)}


def debt(kind: str, bill_no: str = "A1") -> dict[str, Any]:
    return {"owed": 30, "debts": (Debt(5, kind, 30, 20, YESTERDAY, "too much", "person", "Bob", 7, bill_no),)}


def lag(entries: int) -> Lag:
    return Lag(entries, YESTERDAY, NOW)


def shown(*, was_ours: bool, by: str = "") -> dict[str, Any]:
    return {"shown": ShownFact(80, YESTERDAY, by, 90, was_ours=was_ours)}


def missing(**about: Any) -> dict[str, Any]:
    return {"asked": Asked("A2", store_code="K1", **about)}


#: What each of them is about; together every sentence that needs no rows.
CASES: list[dict[str, Any]] = [
    {"coming": (Coming(A_DAY, 30),), "expired": (Expired(5, 1, A_DAY),), "merged": (Merged("", YESTERDAY),)},
    {"judged": (Judged(9, "Diwali", "A1", A_DAY, 50, "at least 2 cakes", "1"),), "unearned": (Unearned(7, "A1", YESTERDAY, "why"),)},
    {"orders": (an_order("confirmed"), an_order("voided", bill_id=7))},
    *(debt(kind) for kind in (Kind.ROLLBACK, Kind.ADJUST, Kind.REDEEM, Kind.EXPIRE)), {"owed": 30}, debt(Kind.ADJUST, ""),
    shown(was_ours=True), shown(was_ours=False), shown(was_ours=False, by="batch"),
    *({"dashboard": said} for said in (Dashboard(None, 0, lag(0)), Dashboard(90, 2, lag(4)), Dashboard(90, 2, lag(0)))),
    *({"told": (Told(3, kind, "It spent 5.", 5, YESTERDAY, 7, "A1", None, 2, 3, "K1", shared=True),)} for kind in checks.TOLD),
    asked(Owned.THEIRS), asked(Owned.THEIRS, cancelled=True), asked(Owned.THEIRS, came_back=True),
    asked(Owned.NOBODYS), asked(Owned.NOBODYS, cancelled=True), asked(Owned.ANOTHERS),
    missing(), missing(order=an_order("voided")), missing(order=an_order("confirmed")), missing(delivery_id=4, delivery_state="1"),
    missing(before=a_bill("A1"), after=a_bill("A3"), silent=(A_DAY, date(2026, 11, 2))),
]  # fmt: skip


def found_in(kulfi: Tenant) -> Iterator[Finding]:
    for changes in CASES:
        found = checks.findings(known(kulfi, **changes))
        assert found, f"nothing is found in {changes}"
        yield from found


def test_every_word_of_a_finding_is_of_a_message(kulfi: Tenant, wrapped: None) -> None:
    found = list(found_in(kulfi))
    assert {finding.code: words for finding in found if (words := bare_of(finding))} == {}
    assert {row[0] for row in checks.TOLD.values()} < {finding.code for finding in found}
    assert "«1 point» expired on" in next(each.sentence for each in found if each.code == "points_expired")


def test_a_sentence_is_translated_and_then_filled(meera: Customer, wrapped: None) -> None:
    found = walk.diagnose(picture.load(meera.tenant, meera, now=timezone.now()), bill_no="A9")
    assert {finding.code: words for finding in found if (words := bare_of(finding))} == {}
    blocked = next(each for each in found if each.code == "blocked_points")
    assert blocked.sentence.startswith("«1,412 points are blocked by a redemption at Anna Nagar on ")
    assert "(«3 days ago»)» «whose bill IB/26-27/004512 has not arrived.» «That is why 0 are available" in blocked.sentence
    assert blocked.remedy is not None
    assert blocked.remedy.label == "«Unblock 1,412»"


def test_that_all_is_right_is_translated(kulfi: Tenant, wrapped: None) -> None:
    (fine,) = walk.findings(known(kulfi), reported_by=Reporter.CUSTOMER)
    assert (fine.code, bare_of(fine)) == ("all_right", [])
    assert [bare(owner.label) for owner in Owner] == [""] * len(Owner)


# Pages


def test_the_customers_page_speaks_the_language(as_bob: Client, meera: Customer, wrapped: None) -> None:
    builders.deliver(meera.tenant, builders.bill("A1", net="1842.00"))
    response = as_bob.get(reverse("admin:customer360", args=[meera.pk]))
    text = response.content.decode()
    assert "«That is why 18 are available and the closing balance is 1,430.»" in text
    for words in ("«Unblock 1,412»", "«Timeline»", "«Blocked»", "«-1,412 available, +1,412 blocked»", "«Bill A1»", "«Approvals»"):
        assert words in text, words
    assert "«INR 1,842.00 net»" in text
    lines = response.context["page"].lines
    assert [bare(f"{line.title} {line.effect}") for line in lines] == [""] * len(lines)
    assert [name for line in lines for name, _ in line.why if bare(name)] == []
    assert [tab for tab, name in response.context["tabs"] if bare(str(name))] == []


def test_a_dialog_speaks_the_language(as_bob: Client, meera: Customer, wrapped: None) -> None:
    hold = Hold.objects.get()
    address = reverse("admin:unblock", args=[hold.pk])
    dialog = as_bob.get(address)
    assert dialog.context["title"] == "«Unblock 1,412 points»"
    assert "«Why? The customer&#x27;s next agent will read this.»" in dialog.content.decode()
    refused = as_bob.post(address, {"reason": "x", "token": TOKEN})
    assert "«Give a reason of 3 to 500 characters.»" in refused.content.decode()
    done = as_bob.post(address, {"reason": "It never came", "token": TOKEN}, follow=True)
    assert "«1,412 points are available again.»" in done.content.decode()


@pytest.mark.parametrize("page", ["issue_points", "adjust_points", "reset_points", "open_case"])
def test_a_form_asks_in_the_language(as_alice: Client, meera: Customer, wrapped: None, page: str) -> None:
    form = as_alice.get(reverse(f"admin:{page}", args=[meera.pk])).context["form"]
    said = {field.name: f"{field.label} {field.help_text}" for field in form.visible_fields()}
    assert {name: words for name, text in said.items() if (words := bare(text))} == {}


def test_what_is_asked_for_is_said_in_the_language(wrapped: None) -> None:
    content = {
        "points": 1500,
        "bonus": "Diwali",
        "clear_debt": True,
        "name": "Meera",
        "mobile": "+919840012345",
        "what": "Issued",
    }
    assert {name: words for name, verb in VERBS.items() if (words := bare(verb.words(content)))} == {}
    assert VERBS["issue"].words(content) == "«Issue 1,500 points»"


# What people are called and write is no template

ODD = "{points} {0.__class__} {"


def test_a_name_with_braces_is_a_name(as_bob: Client, kulfi: Tenant) -> None:
    raj = builders.customer(kulfi, points=40, name=ODD)
    builders.hold(kulfi, raj, 40, bill_no=ODD, at=timezone.now() - timedelta(days=3))
    response = as_bob.get(reverse("admin:customer360", args=[raj.pk]))
    assert response.context["title"] == ODD
    assert f"whose bill {ODD} has not arrived" in response.content.decode()


def test_a_reason_with_braces_is_a_reason(as_bob: Client, lenient_kulfi: Tenant) -> None:
    raj = builders.customer(lenient_kulfi, name=ODD)
    by = Actor(ActorKind.PERSON, 1, "Bob {who}")
    operations.adjust(lenient_kulfi, raj.pk, points=-15, reason=ODD, actor=by, key="k", now=timezone.now(), allow_debt=True)
    text = as_bob.get(reverse("admin:customer360", args=[raj.pk])).content.decode()
    assert f"because Bob {{who}} deducted more than there was: “{ODD}”." in text
    assert f"by Bob {{who}}: “{ODD}”" in text
