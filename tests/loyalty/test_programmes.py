"""Which rule ruled: by store, and by the bill's own date."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from loyalty import operations
from loyalty.models import Entry, Programme, ProgrammeVersion, StoreProgramme
from loyalty.programmes import RuleBook, add_version, create_programme
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import Store, Tenant
from tests import builders
from tests.builders import bill, deliver, state


def test_a_store_follows_its_own_programme_from_a_date_on(kulfi: Tenant) -> None:
    today = timezone.now().astimezone(kulfi.zone).date()
    other = create_programme(
        kulfi, name="Gold", earn_per=Decimal(10), point_value=Decimal(1), hold_days=1, validity_days=0, default=False
    )
    store = Store.objects.get(code="K1")
    StoreProgramme.objects.create(tenant=kulfi, store=store, programme=other, effective_from=today)
    book = RuleBook(kulfi)
    assert book.rule(store_id=store.pk, on=today).programme == "Gold"
    assert book.rule(store_id=store.pk, on=today - timedelta(days=1)).programme == "kulfi-house points"
    assert book.rule(store_id=Store.objects.get(code="K2").pk, on=today).programme == "kulfi-house points"
    builders.deliver(kulfi, builders.bill("A1", store="K1"), builders.bill("A2", store="K2"))
    assert sorted(entry.available for entry in Entry.objects.all()) == [10, 100]


def test_a_late_bill_earns_by_the_rule_of_its_own_day(kulfi: Tenant) -> None:
    now = timezone.now()
    ProgrammeVersion.objects.create(
        tenant=kulfi, programme=Programme.objects.get(), version=2, effective_from=now.date(), earn_per=50, point_value=1
    )
    builders.deliver(kulfi, builders.bill("A1", bill_date=(now - timedelta(days=3)).isoformat()), builders.bill("A2"))
    snapshots = {entry.snapshot["version"]: entry.available for entry in Entry.objects.all()}
    assert snapshots == {1: 10, 2: 20}


def test_a_day_before_every_version_has_no_rule(kulfi: Tenant) -> None:
    ProgrammeVersion.objects.update(effective_from=date(2026, 1, 1))
    with pytest.raises(DomainError, match="No programme rules on 31 Dec 2025"):
        RuleBook(kulfi).rule(store_id=None, on=date(2025, 12, 31))


def visits(tenant: Tenant) -> None:
    ProgrammeVersion.objects.update(kind="visit_count")


def test_a_visit_earns_once_a_customer_store_and_day_also_within_a_batch(kulfi: Tenant) -> None:
    visits(kulfi)
    yesterday = (timezone.now() - timedelta(days=1)).isoformat()
    deliver(kulfi, bill("A1"), bill("A2"), bill("A3", store="K2"), bill("A4", bill_date=yesterday))
    deliver(kulfi, bill("A5"))
    assert state(builders.customer(kulfi)).available == 3


def test_a_days_cap_holds_over_bills_batches_and_a_cancelled_one_gives_room(kulfi: Tenant) -> None:
    ProgrammeVersion.objects.update(cap_bill=8, cap_day=15)
    deliver(kulfi, bill("A1"), bill("A2"))
    deliver(kulfi, bill("A3"))
    meera = builders.customer(kulfi)
    assert state(meera).available == 15
    first = Entry.objects.earliest("id").operation
    operations.reverse(kulfi, first, reason="cancelled", actor=SYSTEM, now=timezone.now())
    deliver(kulfi, bill("A4"))
    assert state(meera).available == 15


def test_the_next_version_takes_over_the_last_one_from_its_day_on(kulfi: Tenant) -> None:
    programme = Programme.objects.get()
    day = timezone.now().astimezone(kulfi.zone).date()
    weekend = {"name": "Weekend", "factor": 2, "starts_on": day, "ends_on": day}
    version = add_version(programme, effective_from=day, multipliers=[weekend], minimum_spend=Decimal(50))
    assert [version.version, version.earn_per, version.hold_days] == [2, Decimal(100), 100]
    deliver(kulfi, bill("A1"), bill("A2", net="49.00"), bill("A3", bill_date=(timezone.now() - timedelta(days=2)).isoformat()))
    assert state(builders.customer(kulfi)).available == 30


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"earn_per": Decimal(0)}, "bad_value"),
        ({"earn_per": Decimal("NaN")}, "bad_value"),
        ({"validity_days": 99_999}, "bad_value"),
        ({"validity_months": 5_000}, "bad_value"),
        ({"pending_days": 99_999}, "bad_value"),
        ({"rounding": "sideways"}, "bad_value"),
        ({"cap_bill": 0}, "bad_value"),
        ({"cap_bill": 10, "cap_day": 5}, "rule_contradicts"),
        ({"cap_day": 10, "cap_month": 5}, "rule_contradicts"),
        ({"departments": ["ICE"], "excluded_departments": ["ICE"]}, "rule_contradicts"),
        ({"multipliers": [{"name": "x", "factor": 0, "starts_on": date(2026, 1, 1), "ends_on": date(2026, 1, 2)}]}, "bad_value"),
        (
            {"multipliers": [{"name": "x", "factor": 2, "starts_on": date(2026, 1, 2), "ends_on": date(2026, 1, 1)}]},
            "rule_ends_before_it_begins",
        ),
        (
            {"multipliers": [{"name": "x", "factor": 2, "starts_on": date(2026, 1, 2), "ends_on": date(2046, 1, 1)}]},
            "rule_never_ends",
        ),
    ],
)
def test_versions_that_cannot_be_are_refused_and_nothing_is_made(kulfi: Tenant, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        add_version(Programme.objects.get(), effective_from=date(2026, 1, 1), **changes)
    assert refusal.value.code == code
    assert ProgrammeVersion.objects.count() == 1
