"""The demo's half year, sent through the API: each scene is diagnosed as its story tells it."""

import io
import json
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_scopes import scope

from config.demo import bonuses, scenes
from config.demo.campaigns import campaigns
from config.demo.journey import TenantStream, build
from config.demo.load import STAFF
from config.demo.stories import Story
from integrations import inbox
from integrations.models import Source
from loyalty import customers
from loyalty.models import Customer
from support import picture, walk
from support.diagnosis import Finding, Handoff, Reporter, all_right
from tenants.actors import SYSTEM
from tenants.models import Tenant
from tests.client import ApiClient

pytestmark = pytest.mark.timeout(240)

#: By the title of the story: the finding that explains it, asked about the story's bill or not, and words of its sentence.
SCENES: dict[str, tuple[str, bool, str]] = {
    "0 points, but 402 are blocked": ("blocked_points", False, "402 points are blocked .* The ERP has the bill"),
    "Points blocked by a bill that never came": ("blocked_points", False, "has not arrived"),
    "Redeemed, but the bill is in quarantine": ("bill_quarantined", False, "redeems .* but neither a LOYALTY_POINTS tender"),
    "One bill number, two amounts": ("bill_conflict", False, "came a second time with other content"),
    "The store changed its loyalty mode without a word": ("mode_drift", False, "shows points as a discount on items"),
    "Shopped, but no points came": ("bill_not_received", True, "never arrived here.* sent nothing at all.*The ERP has it"),
    "A bill that lacks a field": ("bill_quarantined", False, "The field .* is missing"),
    "Points that came days late": ("bill_booked", True, "is booked"),
    "Sent twice, booked once": ("bill_booked", True, "is booked"),
    "Expected a bonus and got none": ("bonus_not_awarded", True, "on the list"),
    "In the ERP, and never arrived": ("bill_missing", False, "is in the ERP and never arrived here"),
    "Points taken twice for one purchase": ("redeemed_twice", False, "made twice"),
    "A negative balance": ("negative_by_return", False, "a return took back points that had been spent"),
    "The app shows 0, the ledger does not": ("crm_overwritten", False, "nightly batch has written another figure"),
}


@pytest.fixture
def half_year(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Tenant, TenantStream, list[Story]]]:
    """Kulfi House as `make demo` loads it, without the wire for its weekly bills."""
    yesterday = (timezone.now() - timedelta(days=1)).date()
    stream = build(ends_on=yesterday)[0]
    targeted = campaigns(ends_on=yesterday)[stream.slug]
    plan = {
        "slug": stream.slug,
        "options": ["--name", stream.name, "--timezone", stream.timezone, "--currency", stream.currency, "--region", stream.region,
                    "--earn-per", stream.earn_per, "--point-value", stream.point_value, "--negative"],
        "stores": [(store.code, store.name, store.mode) for store in stream.stores], "staff": STAFF[stream.slug],
        "password": "pointdesk-demo", **bonuses.plan(stream, targeted),
    }  # fmt: skip
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps([plan])))
    out = io.StringIO()
    call_command("demo_tenants", stdout=out)
    tenant = Tenant.objects.get(slug=stream.slug)
    till = ApiClient(json.loads(out.getvalue())[stream.slug])

    def call(path: str, body: Any) -> tuple[int, Any]:
        answer = till.get(path) if body is None else till.post(path, body)
        inbox.drain(tenant, now=timezone.now())
        return answer.status, answer.body

    with scope(tenant=tenant):
        for wave in stream.waves:
            for hold in wave.holds:
                assert till.post("/holds", hold).status == 201
            for bill in wave.bills:
                inbox.receive(tenant, json.dumps(bill).encode(), source=Source.API, sender=SYSTEM, now=timezone.now())
            inbox.drain(tenant, now=timezone.now())
        told = [*stream.stories, *bonuses.missed_bonus(stream, targeted), *scenes.play(stream, call=call)]
        yield tenant, stream, told


def diagnosed(tenant: Tenant, mobile: str, *, bill_no: str = "") -> list[Finding]:
    customer = Customer.objects.get(pk=customers.the_one(tenant, mobile))
    return walk.diagnose(picture.load(tenant, customer, now=timezone.now()), reported_by=Reporter.CUSTOMER, bill_no=bill_no)


@pytest.mark.case(78, 82, 105)
def test_every_scene_of_the_demo_is_diagnosed_rightly(half_year: tuple[Tenant, TenantStream, list[Story]]) -> None:
    tenant, stream, told = half_year
    assert {story["title"] for story in told} == set(SCENES)
    wrong = []
    for story in told:
        code, asked, words = SCENES[story["title"]]
        found = diagnosed(tenant, story["mobile"], bill_no=story["bill_no"] if asked else "")
        fitting = [each for each in found if each.code == code and re.search(words, each.sentence)]
        if not fitting:
            wrong.append((story["title"], [(each.code, each.sentence) for each in found]))
        assert all(each.customer_sentence and (each.explains or each.handoff is Handoff.NONE or each.evidence) for each in found)
    assert wrong == []
    _nobody_else_is_troubled(tenant, stream, told)


def _nobody_else_is_troubled(tenant: Tenant, stream: TenantStream, told: list[Story]) -> None:
    """Somebody to whose bills nothing was done has nothing wrong."""
    bills: list[Any] = [*stream.withheld, *(bill for wave in stream.waves for bill in wave.bills)]
    touched = {story["mobile"] for story in told} | {str(hold["mobile"]) for wave in stream.waves for hold in wave.holds}
    for bill in bills:
        number = str(bill.get("bill_no"))
        if bill.get("customer") and (number in stream.faults or f"R-{number}" in stream.faults or bill["bill_type"] != "SALE"):
            touched.add(bill["customer"]["mobile"])
    fine = sorted({bill["customer"]["mobile"] for bill in bills if bill.get("customer")} - touched)[:30]
    assert len(fine) == 30
    for mobile in fine:
        found = diagnosed(tenant, mobile)
        assert [each for each in found if not each.explains] == [], mobile
        assert found[0] == all_right()
