"""The door: a password, a second factor that is set up on the spot, recovery codes, a passkey; looked at by axe in both themes."""

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tenants import staff
from tenants.actors import SYSTEM
from tenants.models import Role, Tenant
from tests.browser.desk import CHROMIUM, FLAGS, NEEDS_CHROMIUM, problems
from tests.conftest import PASSWORD
from tests.served import web_process
from tests.tenants.test_sign_in import code_of

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.timeout(240)]
SHOTS = os.environ.get("SHOTS", "")


@pytest.fixture
def page(committed: Tenant, settings: Any) -> Iterator[Page]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]  # what the web process knows
    staff.create_staff(
        committed, email=f"mia@{committed.slug}.example", role=Role.MERCHANT, name="Mia", password=PASSWORD, actor=SYSTEM
    )
    with web_process(SECOND_FACTOR="1") as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, base_url=address.replace("127.0.0.1", "localhost"))
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.mia = f"mia@{committed.slug}.example"  # type: ignore[attr-defined]
        yield page
        browser.close()
        assert errors == []


def looked_at(page: Page, name: str) -> None:
    """Nothing that axe minds, in both themes."""
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        assert problems(page) == [], name
        if SHOTS:
            page.screenshot(path=f"{SHOTS}/{name}-{theme}.png", full_page=True)
    page.emulate_media(color_scheme="light")


def sign_in(page: Page) -> None:
    page.goto("/admin/")
    page.fill("input[name=login]", page.mia)  # type: ignore[attr-defined]
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")


def set_an_app_up(page: Page) -> str:
    expect(page.locator("body")).to_contain_text("Your role signs in with a second factor")
    looked_at(page, "set-up")
    page.click("a[href$='totp/activate/']")
    secret = page.input_value("#authenticator_secret")
    looked_at(page, "app")
    page.fill("input[name=code]", code_of(secret))
    page.press("input[name=code]", "Enter")
    return secret


def test_a_merchant_sets_an_app_up_keeps_codes_and_comes_in_again(page: Page) -> None:
    page.goto("/admin/")
    looked_at(page, "sign-in")
    page.fill("input[name=login]", page.mia)  # type: ignore[attr-defined]
    page.fill("input[name=password]", "not it")
    page.press("input[name=password]", "Enter")
    expect(page.locator("[role=alert]")).to_contain_text("not correct")
    looked_at(page, "wrong")
    sign_in(page)
    set_an_app_up(page)
    codes = page.input_value("#recovery_codes").split()
    assert len(codes) == 10
    looked_at(page, "codes")
    page.goto("/admin/")
    expect(page.locator("input[type=search]").first).to_be_visible()
    page.goto("/accounts/2fa/")
    looked_at(page, "mine")
    page.goto("/accounts/logout/")
    looked_at(page, "out")
    page.click("button[type=submit]")
    sign_in(page)
    expect(page.locator("h1")).to_contain_text("Two-Factor")
    looked_at(page, "code")
    page.fill("input[name=code]", "000000")
    page.press("input[name=code]", "Enter")
    expect(page.locator("[role=alert]")).to_contain_text("Incorrect code")
    page.fill("input[name=code]", codes[0])
    page.press("input[name=code]", "Enter")
    page.wait_for_url("**/admin/")


def test_a_passkey_opens_the_door_without_a_password(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }})  # fmt: skip
    sign_in(page)
    expect(page.locator("body")).to_contain_text("Your role signs in with a second factor")
    page.click("a[href$='webauthn/add/']")
    page.fill("input[name=name]", "Laptop")
    page.check("input[name=passwordless]")
    looked_at(page, "passkey")
    page.click("#mfa_webauthn_add")
    page.wait_for_url(re.compile(r"/accounts/2fa/(webauthn|recovery-codes)/(?!add)"))
    page.goto("/accounts/2fa/webauthn/")
    expect(page.locator("table")).to_contain_text("Laptop")
    looked_at(page, "passkeys")
    page.goto("/admin/")
    expect(page.locator("input[type=search]").first).to_be_visible()
    page.context.clear_cookies()
    page.goto("/admin/")
    page.click("#passkey_login")
    page.wait_for_url("**/admin/")
    expect(page.locator("input[type=search]").first).to_be_visible()
