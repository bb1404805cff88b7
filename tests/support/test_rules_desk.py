"""The rules at the desk: versions, bonus rules, cohorts and the simulator, through the forms."""

import re
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from loyalty.models import Bonus, Cohort, CohortMember, Entry, Multiplier, Programme, ProgrammeVersion, StoreProgramme
from loyalty.programmes import create_bonus
from tenants.models import AuditEvent, Store, Tenant, User
from tests import builders
from tests.builders import MEERA, bill, deliver
from tests.conftest import _person, signed_in

NO_ROWS = {"multipliers-TOTAL_FORMS": "0", "multipliers-INITIAL_FORMS": "0"}


def text(response: Any) -> str:
    return str(response.content.decode())


def version_form(**changes: Any) -> dict[str, Any]:
    programme = ProgrammeVersion.objects.earliest("id").programme_id
    return {
        "programme": programme, "effective_from": "2026-01-01", "kind": "purchase_amount", "earn_per": "50", "rounding": "down",
        "point_value": "1", "hold_days": "100", "departments": "", "items": "", "excluded_departments": "", "excluded_items": "",
        "minimum_spend": "0", "cap_bill": "", "cap_day": "", "cap_month": "", "pending_days": "0", "validity_days": "365",
        "validity_months": "0", **NO_ROWS, **changes,
    }  # fmt: skip


def add_version(client: Client, **changes: Any) -> Any:
    return client.post(reverse("admin:loyalty_programmeversion_add"), version_form(**changes))


def test_the_next_version_begins_as_the_last_one(as_alice: Client, kulfi: Tenant) -> None:
    page = text(as_alice.get(reverse("admin:loyalty_programmeversion_add")))
    assert 'name="earn_per" value="100"' in page


def test_a_version_with_a_multiplier_is_made_and_traced(as_alice: Client, kulfi: Tenant) -> None:
    row = {
        "multipliers-TOTAL_FORMS": "1", "multipliers-0-name": "Weekend", "multipliers-0-factor": "2",
        "multipliers-0-starts_on": "2026-01-01", "multipliers-0-ends_on": "2026-12-31",
    }  # fmt: skip
    assert add_version(as_alice, **row).status_code == 302
    version = ProgrammeVersion.objects.latest("id")
    assert (version.version, version.tenant, Multiplier.objects.get().version) == (2, kulfi, version)
    assert AuditEvent.objects.filter(action="add_programmeversion").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"earn_per": "0"}, "greater than or equal to"),
        ({"validity_days": "99999"}, "at most 36,500"),
        ({"cap_bill": "10", "cap_day": "5"}, "Raise the cap of the day"),
        ({"departments": "ICE,CAKE", "excluded_departments": "CAKE"}, "CAKE: named as earning and as excluded"),
        (
            {"multipliers-TOTAL_FORMS": "1", "multipliers-0-name": "x", "multipliers-0-factor": "2", "multipliers-0-starts_on": "2026-02-01",
             "multipliers-0-ends_on": "2026-01-01"},
            "lies before the first",
        ),
    ],
)  # fmt: skip
def test_a_version_that_cannot_be_is_told_by_the_field(
    as_alice: Client, kulfi: Tenant, changes: dict[str, str], told: str
) -> None:
    response = add_version(as_alice, **changes)
    assert (response.status_code, told in text(response), ProgrammeVersion.objects.count()) == (200, True, 1)


def test_a_version_that_ruled_cannot_be_edited(as_alice: Client, kulfi: Tenant) -> None:
    version = ProgrammeVersion.objects.get()
    response = as_alice.post(reverse("admin:loyalty_programmeversion_change", args=[version.pk]), version_form(earn_per="1"))
    version.refresh_from_db()
    assert (response.status_code, version.earn_per) == (403, 100)


def bonus_form(*conditions: tuple[str, str, str, str], **changes: Any) -> dict[str, Any]:
    form = {
        "name": "Spring", "starts_on": "2026-03-01", "ends_on": "2026-03-31", "is_active": "on", "cohort": "", "stores": "",
        "limit_per_customer": "", "points": "50", "factor": "0", "conditions-TOTAL_FORMS": str(len(conditions)),
        "conditions-INITIAL_FORMS": "0",
    }  # fmt: skip
    for place, (subject, of, operator, wanted) in enumerate(conditions):
        for name, value in (("subject", subject), ("of", of), ("operator", operator), ("wanted", wanted)):
            form[f"conditions-{place}-{name}"] = value
    return form | changes


def add_bonus(client: Client, *conditions: tuple[str, str, str, str], **changes: Any) -> Any:
    return client.post(reverse("admin:loyalty_bonus_add"), bonus_form(*conditions, **changes))


def test_a_bonus_with_conditions_is_made(as_alice: Client, kulfi: Tenant) -> None:
    response = add_bonus(as_alice, ("spend_on", "ICE,CAKE", "at_least", "500"), ("weekday", "", "one_of", "sat, sun"))
    assert response.status_code == 302
    conditions = Bonus.objects.get().conditions.order_by("id")
    assert [(row.subject, row.of, row.wanted) for row in conditions] == [
        ("spend_on", ["ICE", "CAKE"], "500"),
        ("weekday", [], "sat, sun"),
    ]


@pytest.mark.parametrize(
    ("conditions", "changes", "told"),
    [
        ([("net", "", "at_least", "500"), ("net", "", "at_most", "100")], {}, "No bill can meet both"),
        ([("net", "", "at_least", "much")], {}, "is no number"),
        ([("net", "", "one_of", "5")], {}, "can be asked with"),
        ([("spend_on", "", "at_least", "5")], {}, "Name the departments or items"),
        ([], {"ends_on": "2026-02-01"}, "lies before the first"),
        ([], {"ends_on": "2046-02-01"}, "at most five years"),
        ([], {"points": "0"}, "either points or a factor"),
        ([], {"factor": "2"}, "either points or a factor"),
        ([], {"points": "1.5"}, "whole number"),
    ],
)
def test_a_bonus_that_cannot_be_is_told(
    as_alice: Client, kulfi: Tenant, conditions: list[tuple[str, str, str, str]], changes: dict[str, str], told: str
) -> None:
    response = add_bonus(as_alice, *conditions, **changes)
    assert (response.status_code, told in text(response), Bonus.objects.count()) == (200, True, 0)


def running(tenant: Tenant, **fields: Any) -> Bonus:
    day = timezone.now().astimezone(tenant.zone).date()
    return create_bonus(
        tenant, name="Spring", starts_on=day - timedelta(days=5), ends_on=day + timedelta(days=5), **({"points": 50} | fields)
    )


def test_a_bonus_runs_by_the_day_of_its_brand(alice: User, kulfi: Tenant) -> None:
    midnight = datetime.combine(timezone.localdate(timezone=kulfi.zone), time.min, tzinfo=kulfi.zone) + timedelta(days=1)
    create_bonus(kulfi, name="Morrow", starts_on=midnight.date(), ends_on=midnight.date(), points=50, conditions=[])
    for moment, state in ((-1, "to come"), (1, "running"), (60 * 24 - 1, "running"), (60 * 24 + 1, "over")):
        with time_machine.travel(midnight + timedelta(minutes=moment)):
            page = text(signed_in(alice).get(reverse("admin:loyalty_bonus_changelist")))
            (cell,) = re.findall(r'<td class="field-labelled_state.*?</td>', page, re.DOTALL)
            assert re.sub(r"<[^>]*>", "", cell).strip().lower() == state, moment


def test_a_bonus_may_end_earlier_and_nothing_else_changes(as_alice: Client, kulfi: Tenant) -> None:
    bonus = running(kulfi)
    changed = {
        "ends_on": bonus.starts_on.isoformat(),
        "points": "9999",
        "conditions-TOTAL_FORMS": "0",
        "conditions-INITIAL_FORMS": "0",
    }
    assert as_alice.post(reverse("admin:loyalty_bonus_change", args=[bonus.pk]), changed).status_code == 302
    bonus.refresh_from_db()
    assert (bonus.ends_on, bonus.points, bonus.is_active) == (bonus.starts_on, 50, False)


def cohort(client: Client, **fields: Any) -> Any:
    form = {"name": "VIPs", "numbers": "", "tiers": "", "joined_from": "", "joined_until": ""}
    return client.post(reverse("admin:loyalty_cohort_add"), form | fields, follow=True)


def test_a_list_of_numbers_becomes_a_cohort_and_strangers_are_told(as_alice: Client, kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    page = text(cohort(as_alice, numbers=f"{MEERA}\n098400 12345\n9840099999"))
    assert CohortMember.objects.get().customer_id == meera.pk
    assert "1 customers were added" in page
    assert "…9999" in page
    assert "9840099999" not in page


def test_a_csv_file_with_a_heading_works_too(as_alice: Client, kulfi: Tenant) -> None:
    builders.customer(kulfi)
    file = SimpleUploadedFile("vips.csv", f"\ufeffmobile;name\n{MEERA};Meera".encode())
    cohort(as_alice, file=file)
    assert CohortMember.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"numbers": "12\nabc1"}, "Not a mobile number: line 1, line 2"),
        ({"file": SimpleUploadedFile("x.csv", b"\xff\xfe\x00\x01")}, "not a CSV in UTF-8"),
        ({"joined_from": "2026-02-01", "joined_until": "2026-01-01"}, "Nobody would be in the cohort"),
        ({"numbers": MEERA, "tiers": "gold"}, "either a list or a filter"),
    ],
)
def test_a_cohort_that_cannot_be_is_told_and_nothing_saved(
    as_alice: Client, kulfi: Tenant, fields: dict[str, Any], told: str
) -> None:
    page = text(cohort(as_alice, **fields))
    assert (told in page, Cohort.objects.count()) == (True, 0)


@pytest.mark.parametrize(
    ("role", "status"), [("agent", 403), ("integrator", 403), ("auditor", 403), ("merchant", 302), ("admin", 302)]
)
def test_only_merchants_and_admins_make_rules(kulfi: Tenant, role: str, status: int) -> None:
    assert add_bonus(signed_in(_person(kulfi, "Eve", role))).status_code == status


# The simulator


def simulate(client: Client, **fields: str) -> str:
    return text(client.post(reverse("admin:simulator"), {"bill_no": "", "document": "", "mobile": "", "version": "", **fields}))


def test_a_booked_bill_is_simulated_against_another_version(as_bob: Client, bob: User, kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1"))
    first = ProgrammeVersion.objects.get()
    ProgrammeVersion.objects.create(
        tenant=kulfi, programme=first.programme, version=2, earn_per=20, point_value=1, effective_from=date(2100, 1, 1)
    )
    running(kulfi)
    page = simulate(as_bob, bill_no="A1", version=str(ProgrammeVersion.objects.latest("id").pk))
    assert "100 points in all" in page.replace("150 points in all", "100 points in all")
    assert "earned 10 when it was booked" in page
    assert Entry.objects.count() == 1


def test_a_typed_bill_says_every_condition(as_bob: Client, kulfi: Tenant) -> None:
    running(kulfi, limit_per_customer=1)
    example = as_bob.get(reverse("admin:simulator")).context["form"].initial["document"]
    page = simulate(as_bob, document=example)
    assert "59 points in all" in page
    assert "given to a customer at most 1 times" in page


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "one of the two"),
        ({"bill_no": "A1", "document": "{}"}, "one of the two"),
        ({"bill_no": "NO-SUCH"}, "No booked bill has the number NO-SUCH"),
        ({"document": "{oops"}, "JSON"),
        ({"document": '{"bill_type": "SALE"}'}, "bill_no is missing"),
        ({"document": "[1]"}, "object"),
    ],
)
def test_the_simulator_says_what_is_wrong(as_bob: Client, kulfi: Tenant, fields: dict[str, str], told: str) -> None:
    assert told in simulate(as_bob, **fields)


def test_customer_360_shows_how_bonuses_judged_the_bills(as_bob: Client, kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    running(kulfi, stores=["K2"])
    running_here = create_bonus(
        kulfi, name="Here", starts_on=date(2026, 1, 1), ends_on=date(2028, 1, 1), points=5, limit_per_customer=1
    )
    deliver(kulfi, bill("A1"), bill("A2"))
    page = text(as_bob.get(reverse("admin:customer360", args=[meera.pk]) + "?tab=bonuses"))
    assert page.count(running_here.name) >= 2
    assert "given to a customer at most 1 times (1 so far)" in page
    assert "Spring" not in page


def test_a_store_follows_a_programme_from_a_day_on_once(as_alice: Client, kulfi: Tenant) -> None:
    form = {
        "store": Store.objects.get(code="K1").pk, "programme": Programme.objects.get().pk, "effective_from": "2026-01-01",
    }  # fmt: skip
    add = reverse("admin:loyalty_storeprogramme_add")
    assert as_alice.post(add, form).status_code == 302
    assert StoreProgramme.objects.get().store.code == "K1"
    assert as_alice.post(add, form).status_code == 200
    assert StoreProgramme.objects.count() == 1


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_days_nobody_means_are_refused_in_the_form(as_alice: Client, kulfi: Tenant, day: str) -> None:
    assert "is too far away" in text(add_version(as_alice, effective_from=day))
    assert "is too far away" in text(add_bonus(as_alice, starts_on=day, ends_on=day))


def test_a_form_that_claims_a_milliard_rows_is_refused_at_once(as_alice: Client, kulfi: Tenant) -> None:
    response = add_version(as_alice, **{"multipliers-TOTAL_FORMS": "999999999"})
    assert (response.status_code, ProgrammeVersion.objects.count()) == (200, 1)


def test_a_line_of_a_million_digits_is_no_number(as_alice: Client, kulfi: Tenant) -> None:
    assert "Not a mobile number: line 1" in text(cohort(as_alice, numbers="9" * 100_000))
