"""A merchant makes a bonus rule in a real browser, is told of a contradiction, and tries a bill against it."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from loyalty.models import Bonus
from tenants.models import Tenant
from tests.browser.desk import NEEDS_CHROMIUM, signed_in

pytestmark = NEEDS_CHROMIUM


@pytest.fixture
def merchant(committed: Tenant, settings: Any) -> Iterator[Page]:
    with signed_in(committed, settings, name="Mira", role="merchant") as page:
        yield page


def condition(page: Page, row: int, operator: str, wanted: str) -> None:
    page.select_option(f"[name=conditions-{row}-operator]", operator)
    page.fill(f"[name=conditions-{row}-wanted]", wanted)


def test_a_bonus_rule_is_made_and_a_bill_tried_against_it(merchant: Page, committed: Tenant) -> None:
    page = merchant
    start = page.url
    page.goto(f"{start}loyalty/bonus/add/")
    page.fill("[name=name]", "Big basket")
    page.fill("[name=starts_on]", "2026-01-01")
    page.fill("[name=ends_on]", "2028-12-31")
    page.fill("[name=points]", "75")
    condition(page, 0, "at_least", "500")
    condition(page, 1, "at_most", "100")
    page.click("button[name=_save]")
    expect(page.locator("body")).to_contain_text("No bill can meet both")
    condition(page, 1, "at_most", "5000")
    page.click("button[name=_save]")
    page.wait_for_url("**/loyalty/bonus/")
    assert Bonus.objects.get(tenant=committed).conditions.count() == 2
    page.goto(f"{start}simulator/")
    page.click("button:has-text('Simulate')")
    expect(page.locator("#result")).to_contain_text("84 points in all")
    expect(page.locator(".pd-conditions").first).to_contain_text("the bill's net amount is at least 500")
