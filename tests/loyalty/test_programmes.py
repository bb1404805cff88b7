"""Which rule ruled: by store, and by the bill's own date."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from loyalty.earning import Purchase, PurchaseLine, Rule, SoFar, earned, plain
from loyalty.models import Entry, Programme, ProgrammeVersion, StoreProgramme
from loyalty.programmes import RuleBook, create_programme
from tenants.errors import DomainError
from tenants.models import Store, Tenant
from tests import builders


def rule(earn_per: str) -> Rule:
    return Rule(1, "P", 1, Decimal(earn_per), Decimal(1), 100, 365)


def purchase(net: str, *lines: tuple[str, str, str], paid: str = "0", at: datetime = datetime(2026, 3, 10, 12)) -> Purchase:
    """Lines: (department, item, amount); none: one line of the whole amount."""
    sold = lines or (("", "A1", net),)
    made = tuple(PurchaseLine(item, department, Decimal(1), Decimal(amount)) for department, item, amount in sold)
    return Purchase(at, "K1", Decimal(net), Decimal(paid), made)


@pytest.mark.parametrize(
    ("net", "paid", "earn_per", "points"),
    [("99.99", "0", "100", 0), ("100", "0", "100", 1), ("1000", "100", "100", 9), ("10", "20", "1", 0), ("0.30", "0", "0.1", 3)],
)
def test_points_are_rounded_down_once(net: str, paid: str, earn_per: str, points: int) -> None:
    assert earned(rule(earn_per), purchase(net, paid=paid), SoFar()).points == points


@pytest.mark.parametrize(("rate", "written"), [("100.0000", "100"), ("0.5000", "0.5"), ("1", "1"), ("0.1250", "0.125")])
def test_rates_are_written_as_people_write_them(rate: str, written: str) -> None:
    assert plain(Decimal(rate)) == written


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
