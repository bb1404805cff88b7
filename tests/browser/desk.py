"""A real browser at a real web process, signed in as somebody of a tenant."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from tenants import staff
from tenants.actors import SYSTEM
from tenants.models import Tenant
from tests.conftest import PASSWORD
from tests.served import web_process

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
#: WCAG 2.2 at level AA.
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # playwright's loop runs in this thread; our queries do not run in it
NEEDS_CHROMIUM = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"),
        reason="browser tests need Chromium: apt-get install chromium, then run again",
    ),
]


@contextmanager
def signed_in(tenant: Tenant, settings: Any, *, name: str, role: str) -> Iterator[Page]:
    """The start page, open. A script error on any page fails the test."""
    email = f"{name.lower()}@{tenant.slug}.example"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]  # what the web process knows
    staff.create_staff(tenant, email=email, role=role, name=name, password=PASSWORD, actor=SYSTEM)
    with web_process() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{address}/admin/")
        page.fill("input[name=login]", email)
        page.fill("input[name=password]", PASSWORD)
        page.press("input[name=password]", "Enter")
        page.wait_for_url("**/admin/")
        yield page
        browser.close()
        assert problems == [], problems


def problems(page: Page) -> list[str]:
    """What axe minds seriously on the page as it is."""
    found = Axe().run(page, options={"runOnly": WCAG}).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['target']}" for each in found if each["impact"] in ("serious", "critical")]
