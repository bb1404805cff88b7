"""Ina, the integrator, in a real browser: a liability report that knows that it differs, the comparison behind it, a repair by one button,
and two sides held against each other."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from integrations.analytics import parity, resync
from integrations.models import ReconciliationPolicy, ReconciliationRun, Resync, Side
from integrations.reconciling import runs
from tenants.models import Tenant
from tests import builders
from tests.analytics import damage, feed_all
from tests.browser.desk import NEEDS_CHROMIUM, problems, signed_in

pytestmark = NEEDS_CHROMIUM


@pytest.fixture
def ina(committed: Tenant, settings: Any) -> Iterator[Page]:
    with signed_in(committed, settings, name="Ina", role="integrator") as page:
        yield page


@pytest.mark.timeout(240)
def test_a_report_that_differs_says_so_and_is_mended_by_one_button(ina: Page, committed: Tenant) -> None:
    """What the report says before, while it differs, and after: never a wrong figure under a good verdict."""
    page, start, meera = ina, ina.url, builders.customer(committed, points=500)
    builders.hold(committed, meera, 20)
    feed_all()
    page.goto(f"{start}liability/")
    expect(page.locator("body")).to_contain_text("not verified yet")
    page.click("text=Compare now")
    parity.compare(now=timezone.now(), tenant=committed)
    page.goto(f"{start}liability/")
    expect(page.locator("body")).to_contain_text("agrees with the ledger")
    expect(page.locator(".pd-strip .pd-figure").first).to_have_text("500")
    damage(committed, "ALTER TABLE entries UPDATE available = 400 WHERE tenant_id = {tenant:UInt64} AND available = 500")
    parity.compare(now=timezone.now(), tenant=committed)
    page.reload()
    expect(page.locator("body")).to_contain_text("differs from the ledger")
    expect(page.locator(".pd-strip .pd-figure").first).to_have_text("400")
    page.click("text=The same from the ledger")
    expect(page.locator(".pd-strip .pd-figure").first).to_have_text("500")
    page.goto(f"{start}liability/")
    page.click("text=Comparisons")
    page.locator("#result_list tbody a").first.click()
    expect(page.locator("body")).to_contain_text("1 of the days differ")
    expect(page.locator("body")).to_contain_text("Changed in ClickHouse after it was sent: available")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.reload()  # a page keeps the theme that it was loaded with
        assert problems(page) == []
    page.click("text=Build what differs anew")
    expect(page.locator("body")).to_contain_text("being built anew")
    assert resync.work_on(Resync.objects.get())
    assert parity.compare(now=timezone.now(), tenant=committed).ok
    page.goto(f"{start}liability/")
    expect(page.locator("body")).to_contain_text("agrees with the ledger")
    expect(page.locator(".pd-strip .pd-figure").first).to_have_text("500")


@pytest.mark.timeout(240)
def test_two_sides_are_held_against_each_other_by_hand(ina: Page, committed: Tenant) -> None:
    """A policy is made, run, and the page looks again by itself until the verdict is there."""
    page, start = ina, ina.url
    builders.customer(committed)
    sold = timezone.now() - timedelta(days=1)
    builders.deliver(committed, builders.bill("A1", bill_date=sold.isoformat()))
    page.goto(f"{start}integrations/reconciliationpolicy/add/")
    page.fill("[name=name]", "ERP and bills")
    page.select_option("[name=left]", "pos")
    page.select_option("[name=right]", "crm")
    page.click("button[name=_save]")
    expect(page.locator("body")).to_contain_text("say nothing of the same")
    page.select_option("[name=left]", "erp")
    page.select_option("[name=right]", "ledger")
    page.click("button[name=_save]")
    policy = ReconciliationPolicy.objects.get()
    assert (policy.left, policy.right) == (Side.ERP, Side.LEDGER)
    page.click("#result_list a:has-text('ERP and bills')")
    expect(page.locator("body")).to_contain_text("It has not run yet")
    page.click("text=Run now")
    expect(page.locator("body")).to_contain_text("under way")
    assert runs.work_on(ReconciliationRun.objects.select_related("policy__tenant", "tenant").get())
    expect(page.locator("#reconciliation")).to_contain_text("They do not agree on 1 row", timeout=15_000)
    expect(page.locator("#reconciliation")).to_contain_text("store → ERP")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for address in (
            page.url,
            f"{start}liability/",
            f"{start}points/",
            f"{start}house/",
            f"{start}integrations/reconciliationpolicy/",
        ):
            page.goto(address)
            page.wait_for_load_state("networkidle")
            assert problems(page) == [], address
