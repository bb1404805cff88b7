"""A merchant makes a bonus rule in a real browser, is told of a contradiction, and tries a bill against it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from loyalty.models import Bonus
from support.bulk import running
from support.bulk.models import BulkJob
from tenants.models import Tenant
from tests import builders
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


@pytest.mark.case(87, 89)
@pytest.mark.timeout(240)
def test_a_merchant_gives_points_to_everybody_watches_and_takes_them_back(merchant: Page, committed: Tenant) -> None:
    """A worker goes on with the job beside the browser, some customers at a time, so that there is something to watch."""
    people = [builders.customer(committed, f"+91984001{place:04d}", points=100) for place in range(40)]
    raj = people[0]
    page, start = merchant, merchant.url
    page.goto(f"{start}jobs/new/")
    page.check("[name=whom][value=all]")
    expect(page.locator("[name=available_min]")).to_be_hidden()
    page.fill("[name=points]", "50")
    page.click("button:has-text('Preview')")
    expect(page.locator("#job")).to_contain_text("+2,000")
    page.fill("[name=reason]", "Diwali gift")
    page.fill("[name=phrase]", f"all customers of {committed.name}")
    page.click("button:has-text('Apply to 40 customers')")
    job = _of(BulkJob.objects.filter(tenant=committed))
    expect(page.locator("progress")).to_have_attribute("value", "0")
    _settle(job, 10)
    expect(page.locator("progress")).to_have_attribute("value", "10", timeout=10_000)
    page.click("button:has-text('Pause')")
    expect(page.locator("#job")).to_contain_text("paused")
    page.click("button:has-text('Go on')")
    _settle(job, 1000)
    expect(page.locator("#job")).to_contain_text("Undo this job", timeout=10_000)
    assert (builders.balance(raj)[1], builders.balance(people[-1])[1]) == (150, 150)
    page.click("button:has-text('Undo for 40 customers')")
    _settle(_of(BulkJob.objects.filter(tenant=committed, type="undo")), 1000)
    expect(page.locator("#job")).to_contain_text("40 of 40 customers", timeout=10_000)
    assert builders.balance(raj)[1] == 100


def _of(rows: Any) -> BulkJob:
    found: BulkJob = rows.select_related("tenant", "bonus", "of_job").get()
    return found


def _settle(job: BulkJob, rows: int) -> None:
    """So many customers, as a worker does."""
    job.refresh_from_db()
    turn = running.Turn(job, now=timezone.now())
    turn.rows = rows
    while running._step(turn, now=timezone.now()):
        if rows < job.chosen:
            return
    running._finish(job, now=timezone.now())
