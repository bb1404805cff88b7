"""An agent's day in a real browser: find the customer, understand, unblock, see it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib import admin
from django.urls import URLPattern, URLResolver, reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from integrations import gathering
from integrations.models import Incident
from loyalty.models import Customer, Entry
from support import approvals, cases
from support.bulk import jobs, running
from support.bulk.jobs import Select, Wanted
from support.bulk.models import BulkJob, BulkSettings
from support.models import ApprovalRequest
from support.verbs import Wish
from tenants import access as gate
from tenants import staff
from tenants.access import Access
from tenants.actors import SYSTEM
from tenants.models import Tenant
from tests import builders
from tests.browser.desk import NEEDS_CHROMIUM, WCAG, problems, signed_in
from tests.conftest import _person, make_tenant

pytestmark = NEEDS_CHROMIUM


@pytest.fixture
def meera(committed: Tenant) -> Customer:
    found = builders.customer(committed, points=412)
    builders.hold(committed, found, 412, bill_no="IB/26-27/004512", at=timezone.now() - timedelta(days=3))
    return found


@pytest.fixture
def browser_page(committed: Tenant, meera: Customer, settings: Any) -> Iterator[Page]:
    """Bob's browser, signed in."""
    with signed_in(committed, settings, name="Bob", role="agent") as page:
        yield page


def figures(page: Page) -> list[str]:
    return [text.strip() for text in page.locator(".pd-strip .pd-figure").all_inner_texts()[:4]]


def test_an_agent_finds_understands_unblocks_and_sees_it(browser_page: Page, meera: Customer) -> None:
    page = browser_page
    page.keyboard.press("/")
    page.keyboard.type("12345")
    page.wait_for_selector("#pd-hits .pd-hit")
    page.keyboard.press("Enter")
    page.wait_for_url("**/customers/*/")
    assert figures(page) == ["0", "412", "0", "412"]
    expect(page.locator(".pd-finding").first).to_contain_text("whose bill IB/26-27/004512 has not arrived")
    page.click("text=Unblock 412")
    page.wait_for_selector("textarea:focus")
    page.keyboard.type("Store confirmed that the sale was called off")
    page.dblclick("button:has-text('Unblock 412 points')", no_wait_after=True)
    page.wait_for_url("**/customers/*/?entry=*")
    assert figures(page) == ["412", "0", "0", "412"]
    expect(page.locator(".pd-line-new")).to_contain_text("Unblocked")
    expect(page.locator(".pd-line-new")).to_contain_text("Store confirmed that the sale was called off")
    assert Entry.objects.filter(customer=meera, kind="release").count() == 1


def test_issuing_shows_before_and_after_while_typing(browser_page: Page, meera: Customer) -> None:
    page = browser_page
    page.goto(f"{page.url}customers/{meera.pk}/issue/")
    page.fill("input[name=points]", "1500")
    expect(page.locator("[data-after=available]")).to_have_text("1,500")
    expect(page.locator("[data-after=closing]")).to_have_text("1,912")
    expect(page.locator("[data-act]")).to_have_text("Issue 1,500 points")
    page.fill("textarea", "x")
    page.click("button:has-text('Issue 1,500 points')")
    assert Entry.objects.filter(customer=meera, kind="issue", available=1500).count() == 0
    page.fill("textarea", "Apology for a delayed cake")
    page.click("button:has-text('Issue')")
    page.wait_for_url("**/customers/*/?entry=*")
    assert figures(page) == ["1,500", "412", "0", "1,912"]


@pytest.mark.timeout(420)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_can_be_read_and_reached_by_everybody(committed: Tenant, meera: Customer, settings: Any, theme: Any) -> None:
    builders.deliver(committed, builders.bill("A1"), *(builders.bill(f"Q{number}", net_amount="950.00") for number in range(5)))
    for number in range(3):
        other = builders.customer(committed, f"+9198400{number:05d}", points=50)
        builders.hold(committed, other, 40, at=timezone.now() - timedelta(days=1))
    gathering.gather(committed, now=timezone.now())
    incidents = list(Incident.objects.filter(tenant=committed).values_list("pk", flat=True))
    assert len(incidents) == 2
    bea = _access(committed, "Bea", role="agent")
    request = approvals.do_or_ask(Wish("adjust", meera, {"points": 5}, "counted twice", "k1", bea, timezone.now()))
    assert isinstance(request, ApprovalRequest)
    case = cases.open_case(meera, title="Points are missing", text="Says so", key="k1", access=bea)
    cases.write_note(meera, "Calls back on Friday", access=bea, case=case)
    addresses = [
        "", "activity/", "queue/", "missing/", "simulator/", "replays/new/", "find/?q=zzz",
        *(f"customers/{meera.pk}/{more}" for more in ("", "?bill=A9", "?tab=holds", "?tab=bills", "?tab=lots", "?tab=bonuses",
                                                      "?tab=messages", "?tab=cases", "?tab=audit", "issue/", "adjust/", "reset/", "merge/",
                                                      "number/", "number-moved/", "unblock/", "note/", "case/", "message/")),
        "approvals/", "messages/", f"approvals/{request.pk}/", f"cases/{case.pk}/", "jobs/new/", *_jobs(meera),
        *(f"incidents/{pk}/" for pk in incidents),
        *lists_and_forms(),
    ]  # fmt: skip
    serious: dict[str, list[str]] = {}
    with signed_in(committed, settings, name="Alice", role="admin") as page:
        page.emulate_media(color_scheme=theme)
        start = page.url
        for address in addresses:
            page.goto(start + address)
            page.wait_for_load_state("networkidle" if address.startswith("customers/") else "load")
            for problem in Axe().run(page, options={"runOnly": WCAG}).response["violations"]:
                if problem["impact"] in ("serious", "critical"):
                    serious.setdefault(problem["id"], []).append(f"{address}: {problem['nodes'][0]['target']}")
    assert serious == {}


def _jobs(meera: Customer) -> list[str]:
    """Pages of bulk jobs: a preview with lines that could not be read, one that waits, one that is done."""
    tenant = meera.tenant
    ada, now = _access(tenant, "Ada", role="admin"), timezone.now()

    def made(key: str, select: Select, points: int = 5) -> BulkJob:
        return jobs.create(ada, Wanted("adjust", points, reason="for a test"), select, key=key, now=now)[0]

    preview = made("j1", Select(mobiles=["nonsense", meera.mobile, "9840000000"]), points=-45)
    done = jobs.confirm(made("j2", Select(mobiles=[meera.mobile])).pk, access=ada, now=now)
    while running.work_on(done):
        pass
    BulkSettings.objects.create(tenant=tenant, customers_alone=0)
    waiting = jobs.confirm(made("j3", Select(mobiles=[meera.mobile])).pk, access=ada, now=now)
    return [f"jobs/{job.pk}/" for job in (preview, done, waiting)]


def lists_and_forms() -> list[str]:
    """Every address of the admin that needs no row: lists, forms to add, files to import."""
    patterns = list(admin.site.urls[0])
    patterns += [each for resolver in patterns if isinstance(resolver, URLResolver) for each in resolver.url_patterns]
    plain = [each for each in patterns if isinstance(each, URLPattern) and not each.pattern.converters]
    wanted = [str(each.name) for each in plain if str(each.name).endswith(("_changelist", "_add", "_import"))]
    return [
        reverse(f"admin:{name}").removeprefix("/admin/")
        for name in wanted
        if not name.startswith("auth_") and "process_" not in name
    ]


def _access(tenant: Tenant, name: str, *, role: str) -> Access:
    found = gate.of_person(_person(tenant, name, role), wanted_tenant_id=tenant.pk)
    assert found is not None
    return found


def test_the_keys_of_the_desk_and_their_sheet(browser_page: Page, meera: Customer) -> None:
    page = browser_page
    page.goto(f"{page.url}customers/{meera.pk}/")
    page.keyboard.press("?")
    expect(page.locator("#pd-keys")).to_be_visible()
    page.keyboard.press("i")
    expect(page.locator("#pd-keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#pd-keys")).to_be_hidden()
    page.keyboard.press("2")
    page.wait_for_url("**?tab=holds")
    page.keyboard.press("u")
    page.wait_for_url("**/unblock/")
    page.wait_for_selector("textarea:focus")
    page.keyboard.type("uisan?12")
    assert page.input_value("textarea") == "uisan?12", "in a field, keys are letters"
    page.go_back()
    page.keyboard.press("?")
    page.uncheck("[data-keys-on]")
    page.keyboard.press("Escape")
    expect(page.locator("#pd-keys")).to_be_hidden()
    page.keyboard.press("i")
    page.keyboard.press("s")
    page.wait_for_timeout(300)
    assert "tab=holds" in page.url, "switched off, they do nothing"


def test_the_balance_over_time_is_drawn_when_it_is_opened(browser_page: Page, meera: Customer) -> None:
    page = browser_page
    page.goto(f"{page.url}customers/{meera.pk}/")
    page.click("text=The balance over time")
    expect(page.locator(".pd-chart svg path")).to_be_attached()
    page.click("text=The same as a table")
    expect(page.locator(".pd-chart-room td").first).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_who_works_for_two_brands_goes_from_one_to_the_other(browser_page: Page, committed: Tenant, width: int) -> None:
    other = make_tenant(f"other-{committed.slug}")
    staff.create_staff(other, email=f"bob@{committed.slug}.example", role="agent", actor=SYSTEM)
    page = browser_page
    page.set_viewport_size({"width": width, "height": 844})
    page.reload()
    try:
        switch = page.get_by_role("button", name="Switch")
        expect(switch).to_be_visible(visible=width > 640)
        here = page.locator("#pd-tenant-box").input_value()
        there = next(str(each.pk) for each in (committed, other) if str(each.pk) != here)
        page.select_option("#pd-tenant-box", there)
        assert problems(page) == []
        with page.expect_navigation():
            switch.click(timeout=5000)
        expect(page.locator("#pd-tenant-box")).to_have_value(there)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    finally:
        Tenant.objects.filter(pk=other.pk).update(is_active=False)


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_its_window(browser_page: Page, meera: Customer, width: int) -> None:
    page = browser_page
    page.set_viewport_size({"width": width, "height": 844})
    start = page.url
    addresses: list[Any] = [
        "",
        f"customers/{meera.pk}/",
        f"customers/{meera.pk}/?tab=holds",
        f"customers/{meera.pk}/?tab=bonuses",
        f"customers/{meera.pk}/issue/",
        f"customers/{meera.pk}/?tab=cases",
        f"customers/{meera.pk}/?tab=audit",
        f"customers/{meera.pk}/unblock/",
        "approvals/",
        f"customers/{meera.pk}/?bill=A9",
        "activity/",
        "simulator/",
        "find/?q=zzz",
        "jobs/new/",
        *_jobs(meera),
    ]
    for address in addresses:
        page.goto(start + address)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, address
