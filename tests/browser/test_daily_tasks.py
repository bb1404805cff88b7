"""The daily five tasks of an agent, by keyboard, counted: the search, then at most three presses or clicks each."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from loyalty.bonus import Condition, Operator, Subject
from loyalty.models import Customer, Entry
from loyalty.programmes import create_bonus
from tenants.models import Tenant
from tests import builders
from tests.browser.desk import NEEDS_CHROMIUM, signed_in

pytestmark = NEEDS_CHROMIUM
CLICKS_MAX = 3


@dataclass(slots=True)
class Agent:
    """Somebody at the keyboard. What they type is the customer's number and the reason; all else is counted."""

    page: Page
    presses: int = 0
    pages: int = 0

    def __post_init__(self) -> None:
        self.page.on("framenavigated", lambda frame: self._seen(frame))

    def _seen(self, frame: Any) -> None:
        self.pages += frame == self.page.main_frame

    def find(self, text: str) -> None:
        """`/`, the number, Enter; from here on it counts."""
        self.page.keyboard.press("/")
        self.page.keyboard.type(text)
        self.page.wait_for_selector("#pd-hits .pd-hit")
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("**/customers/*/")
        self.presses = self.pages = 0

    def click(self, what: str) -> None:
        self.page.click(what)
        self.presses += 1

    def done(self, *, pages: int) -> None:
        assert self.presses <= CLICKS_MAX
        assert self.pages == pages


@pytest.fixture
def meera(committed: Tenant) -> Customer:
    found = builders.customer(committed, points=412)
    builders.hold(committed, found, 412, bill_no="IB/26-27/004512", at=timezone.now() - timedelta(days=3))
    return found


@pytest.fixture
def bob(committed: Tenant, meera: Customer, settings: Any) -> Iterator[Agent]:
    with signed_in(committed, settings, name="Bob", role="agent") as page:
        yield Agent(page)


def test_find_by_the_last_four_digits_and_explain_zero_points(bob: Agent) -> None:
    bob.find("2345")
    expect(bob.page.locator(".pd-finding").first).to_contain_text("412 points are blocked")
    expect(bob.page.locator(".pd-finding").first).to_contain_text("That is why 0 are available")
    expect(bob.page.locator(".pd-finding").first).to_contain_text("Your points are safe")
    bob.done(pages=0)


def test_unblock(bob: Agent, meera: Customer) -> None:
    bob.find("2345")
    bob.click("text=Unblock 412")
    bob.page.wait_for_selector("textarea:focus")
    bob.page.keyboard.type("The sale was called off")
    bob.click("button:has-text('Unblock 412 points')")
    expect(bob.page.locator(".pd-line-new")).to_contain_text("Unblocked")
    bob.done(pages=2)
    assert Entry.objects.filter(customer=meera, kind="release").count() == 1


def test_issue_500_with_a_reason(bob: Agent, meera: Customer) -> None:
    bob.find("2345")
    bob.click("a:has-text('Issue points')")
    bob.page.wait_for_selector("input[name=points]:focus")
    bob.page.keyboard.type("500")
    bob.page.keyboard.press("Tab")
    bob.page.keyboard.type("Apology for a delayed cake")
    bob.click("button:has-text('Issue 500 points')")
    expect(bob.page.locator(".pd-line-new")).to_contain_text("+500")
    bob.done(pages=2)
    assert Entry.objects.filter(customer=meera, kind="issue", available=500).count() == 1


def test_explain_a_missing_bonus(bob: Agent, committed: Tenant, meera: Customer) -> None:
    today = timezone.localdate(timezone=committed.zone)
    create_bonus(
        committed, name="Cake week", starts_on=today - timedelta(days=7), ends_on=today + timedelta(days=7), points=50,
        conditions=[Condition(Subject.QUANTITY_OF, Operator.AT_LEAST, "2", ("CAKE",))],
    )  # fmt: skip
    builders.deliver(committed, builders.bill("A1"))
    bob.find("2345")
    note = bob.page.locator(".pd-finding", has_text="Cake week")
    expect(note).to_contain_text("was not awarded for bill A1. It asks: the quantity of CAKE is at least 2")
    expect(note).to_contain_text("Found: 0")
    bob.done(pages=0)


def test_explain_a_bill_that_never_came(bob: Agent) -> None:
    bob.find("2345")
    bob.page.fill("#pd-ask-bill", "IB/26-27/009999")
    bob.presses += 1
    bob.page.keyboard.press("Enter")
    expect(bob.page.locator(".pd-finding").first).to_contain_text("Bill IB/26-27/009999 never arrived here")
    bob.done(pages=1)
