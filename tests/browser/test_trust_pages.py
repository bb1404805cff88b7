"""The pages of trust, as people use them: the audit trail, the brand's people and their days, its keys, its rules of security."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from loyalty import operations
from tenants import staff
from tenants.actors import SYSTEM
from tenants.models import ApiKey, AuditEvent, Membership, Role, Tenant, User
from tests import builders
from tests.browser.desk import NEEDS_CHROMIUM, problems, signed_in
from tests.browser.test_agent import _access
from tests.conftest import _person

pytestmark = NEEDS_CHROMIUM
#: So many steps from the top of a page to what somebody at the keyboard wants.
TABS_MAX = 40


@pytest.fixture
def alice(committed: Tenant, settings: Any) -> Iterator[Page]:
    with signed_in(committed, settings, name="Alice", role="admin") as page:
        yield page


@pytest.fixture
def bea(committed: Tenant) -> Membership:
    """An agent, until Nora made her an auditor; on the same day Nora gave points away."""
    nora, agent = _access(committed, "Nora", role="admin"), _person(committed, "Bea", "agent")
    found: Membership = Membership.objects.get(tenant=committed, user=agent)
    staff.change_role(found, Role.AUDITOR, actor=nora.actor)
    meera, now = builders.customer(committed), timezone.now()
    operations.issue(committed, meera.pk, points=1500, reason="Apology for a delayed cake", actor=nora.actor, key="k1", now=now)
    return found


def tab_to(page: Page, what: Locator) -> None:
    """With the keyboard alone."""
    for _ in range(TABS_MAX):
        if what.evaluate("it => it === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"not reached by {TABS_MAX} tabs: {what}")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_can_be_read_and_fits_a_phone(alice: Page, committed: Tenant, bea: Membership, theme: Any) -> None:
    """Each page is loaded anew in its theme: one that is open keeps the theme it has."""
    page, start = alice, alice.url
    key = staff.create_api_key(committed, scopes=["pos", "read"], name="Till 3, Anna Nagar", actor=SYSTEM).row
    event = AuditEvent.objects.get(tenant=committed, action="change_role")
    addresses = [
        "audit/", "audit/?who=nora&address=203.0.113.5", f"audit/{event.pk}/", "staff/", f"staff/{bea.pk}/",
        f"staff/days/{event.actor_id}/", "security/", "keys/", f"keys/{key.pk}/revoke/",
    ]  # fmt: skip
    errors: list[str] = []
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.emulate_media(color_scheme=theme)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for address in addresses:
            page.goto(start + address)
            assert page.locator("html.dark").count() == (theme == "dark"), address
            assert problems(page) == [], (address, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    assert errors == []


def test_an_auditor_asks_what_somebody_did_and_reads_old_and_new_values(
    committed: Tenant, bea: Membership, settings: Any
) -> None:
    with signed_in(committed, settings, name="Ira", role="auditor") as page:
        page.goto(f"{page.url}audit/")
        page.get_by_label("Who", exact=True).fill("nora")
        page.click("button:has-text('Show')")
        row = page.locator(".pd-sticky tbody tr", has_text="change role")
        expect(page.locator(".pd-sticky tbody td:nth-child(2)", has_not_text="Nora")).to_have_count(0)
        expect(row.locator(".pd-change")).to_have_text("role agent → auditor")
        row.locator("time").click()
        page.wait_for_url("**/audit/*/")
        expect(page.get_by_role("row", name="role agent auditor")).to_be_visible()
        expect(page.get_by_role("row", name="row changed")).to_contain_text("the database")
        page.get_by_role("link", name="Nora").click()
        expect(page.locator(".pd-strip .pd-figure").first).to_have_text("1,500")
        expect(page.get_by_role("row", name="Apology for a delayed cake")).to_contain_text("+1,500")


def test_a_person_is_added_with_a_password_shown_once_and_leaves_with_a_reason(alice: Page, committed: Tenant) -> None:
    page, start, email = alice, alice.url, f"nina@{committed.slug}.example"
    page.goto(f"{start}staff/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Name").fill("Nina")
    page.get_by_label("Role").select_option("agent")
    page.click("button:has-text('Add')")
    password = page.get_by_role("status").locator(".pd-mono").inner_text()
    assert User.objects.get(email=email).check_password(password)
    assert problems(page) == []
    page.goto(f"{start}staff/")
    expect(page.get_by_role("row", name="Nina")).to_contain_text("agent")
    expect(page.locator("body")).not_to_contain_text(password)
    page.click("a:has-text('Nina')")
    page.click("button:has-text('End their access')")
    assert Membership.objects.filter(tenant=committed, user__email=email).exists(), "a reason is asked for first"
    page.get_by_label("Why").fill("Left us")
    page.click("button:has-text('End their access')")
    expect(page.locator("body")).to_contain_text("Nina works here no more")
    expect(page.get_by_role("row", name="Nina")).to_have_count(0)
    assert AuditEvent.objects.get(tenant=committed, action="end_access").reason == "Left us"


def test_a_key_is_made_seen_once_and_revoked_by_keyboard_alone(alice: Page, committed: Tenant) -> None:
    page, start = alice, alice.url
    page.goto(f"{start}keys/")
    tab_to(page, page.get_by_label("Name"))
    page.keyboard.type("Till 3")
    tab_to(page, page.get_by_role("group", name="It may").get_by_label("send bills"))
    page.keyboard.press("Space")
    tab_to(page, page.get_by_role("button", name="Make it"))
    page.keyboard.press("Enter")
    key = page.get_by_role("status").locator(".pd-mono").inner_text()
    row = ApiKey.objects.get(tenant=committed)
    assert (key.startswith(f"pd_{row.prefix}_"), row.scopes) == (True, ["pos"])
    assert problems(page) == []
    page.goto(f"{start}keys/")
    expect(page.locator("body")).not_to_contain_text(key)
    tab_to(page, page.get_by_role("link", name="Revoke…"))
    page.keyboard.press("Enter")
    page.wait_for_selector("[name=reason]:focus")
    page.keyboard.type("The till was stolen")
    page.keyboard.press("Enter")
    expect(page.locator("body")).to_contain_text("Till 3 is good no more")
    expect(page.get_by_role("row", name="Till 3")).to_contain_text("revoked")
    row.refresh_from_db()
    assert row.revoked_at is not None
    assert AuditEvent.objects.get(tenant=committed, action="revoke_api_key").reason == "The till was stolen"


def test_an_address_that_no_mail_reaches_is_refused_beside_its_field(alice: Page, committed: Tenant) -> None:
    """What a screen reader says of the field is looked at, too."""
    page = alice
    page.goto(f"{page.url}security/")
    field = page.get_by_label("The heads of the chains go to")
    field.fill("audit@kulfi")
    page.click("button:has-text('Save')")
    expect(field).to_have_value("audit@kulfi")
    expect(field).to_have_accessible_description(re.compile("^Once a day.*Enter a valid email address"))
    assert problems(page) == []
    field.fill("audit@kulfi.example")
    page.get_by_label("Agents need a second factor").check()
    page.click("button:has-text('Save')")
    expect(page.locator("body")).to_contain_text("Saved. It holds from everybody's next page on.")
    committed.refresh_from_db()
    assert (committed.audit_email, committed.agents_need_second_factor) == ("audit@kulfi.example", True)
