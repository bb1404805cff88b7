"""Troubles that many customers share: raised once, counted anew, closed when nothing of them is left."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations import gathering, incidents
from integrations.models import Incident, IncidentKind
from integrations.tasks import gather_incidents
from loyalty.models import Customer, Hold
from support import facts, picture, walk
from support.diagnosis import Reporter
from tenants.actors import SYSTEM
from tenants.models import ScheduledRun, Store, StoreAlias, Tenant
from tests import builders
from tests.builders import bill, deliver


def blocked(tenant: Tenant, count: int, *, hours: float = 5) -> list[Customer]:
    """So many customers whose redemption at K1 waits for its bill."""
    found = []
    for number in range(count):
        person = builders.customer(tenant, f"+9198400{number:05d}", points=100, name=f"Person {number}")
        builders.hold(tenant, person, 40, bill_no=f"A{number}", at=timezone.now() - timedelta(hours=hours, minutes=number))
        found.append(person)
    return found


def gather(tenant: Tenant) -> list[Incident]:
    gathering.gather(tenant, now=timezone.now())
    return list(Incident.objects.filter(tenant=tenant, closed_at=None))


def test_a_store_that_sends_no_bills_for_blocked_points_is_one_incident(kulfi: Tenant) -> None:
    blocked(kulfi, 2)
    assert gather(kulfi) == [], "two customers are two customers"
    people = blocked(kulfi, 5)
    (incident,) = gather(kulfi)
    assert (incident.kind, incident.store.code) == ("no_completion", "K1")
    assert (incident.customers, incident.bills, incident.points) == (5, 7, 280)
    assert incident.message.startswith("Anna Nagar sends no bills for blocked points since ")
    (again,) = gather(kulfi)
    assert (again.pk, again.customers) == (incident.pk, 5), "counted anew, not added up"
    for hold in Hold.objects.filter(customer__in=people[:3]):
        builders.release(kulfi, hold)
    assert [each.customers for each in gather(kulfi)] == [2], "it goes on until nothing of it is left"
    for hold in Hold.objects.filter(customer__in=people[3:], state="active"):
        builders.release(kulfi, hold)
    assert gather(kulfi) == []
    incident.refresh_from_db()
    assert incident.closed_by.startswith("Pointdesk: nothing of it is left")
    blocked(kulfi, 8)
    (new,) = gather(kulfi)
    assert new.pk != incident.pk


def test_what_somebody_closed_is_raised_again_by_something_new_only(kulfi: Tenant) -> None:
    blocked(kulfi, 4)
    (incident,) = gather(kulfi)
    incidents.close(kulfi, incident.pk, reason="the vendor knows", actor=SYSTEM, now=timezone.now())
    assert gather(kulfi) == [], "the same four raise no other"
    Incident.objects.update(closed_at=timezone.now() - timedelta(hours=6))
    assert len(gather(kulfi)) == 1


def test_a_set_aside_bill_that_came_right_counts_no_more(kulfi: Tenant) -> None:
    deliver(kulfi, *(bill(f"Q{number}", net_amount="950.00") for number in range(6)))
    (incident,) = gather(kulfi)
    deliver(kulfi, *(bill(f"Q{number}") for number in range(4)))
    (again,) = gather(kulfi)
    assert (again.pk, again.bills, gathering.deliveries_of(again, codes=["K1"]).count()) == (incident.pk, 2, 2)
    deliver(kulfi, bill("Q4"), bill("Q5"))
    assert gather(kulfi) == []


def test_what_is_young_or_long_ago_is_no_incident(kulfi: Tenant) -> None:
    blocked(kulfi, 5, hours=1)
    assert gather(kulfi) == []
    Hold.objects.update(at=timezone.now() - timedelta(days=20))
    assert gather(kulfi) == []


def test_bills_set_aside_by_one_check_are_one_incident_under_every_code_of_their_store(kulfi: Tenant) -> None:
    StoreAlias.objects.create(tenant=kulfi, store=Store.objects.get(tenant=kulfi, code="K1"), code="K-ONE")
    deliver(kulfi, *(bill(f"Q{number}", net_amount="950.00") for number in range(5)))
    deliver(kulfi, *(bill(f"P{number}", net_amount="950.00", store="K-ONE") for number in range(6)))
    deliver(kulfi, *(bill(f"U{number}", store="K9") for number in range(9)))
    (incident,) = gather(kulfi)
    assert (incident.kind, incident.cause, incident.bills, incident.store.code) == ("refused", "sum_of_amounts", 11, "K1")
    codes = gathering.codes_of(incident.store)
    assert gathering.deliveries_of(incident, codes=codes).count() == 11
    days = gathering.trend(
        gathering.deliveries_of(incident, codes=codes),
        "received_at",
        zone=kulfi.zone,
        until=timezone.now().astimezone(kulfi.zone).date(),
    )
    assert (len(days), days[-1][1], sum(count for _, count in days)) == (14, 11, 11)


def test_a_mode_drift_stays_open_until_a_person_closes_it(kulfi: Tenant) -> None:
    builders.customer(kulfi, points=100)
    deliver(kulfi, builders.discounted("D1", 10))
    assert [each.kind for each in gather(kulfi)] == [IncidentKind.MODE_DRIFT]


def test_the_page_shows_who_and_when_and_the_way_out(kulfi: Tenant, as_alice: Client, as_bob: Client) -> None:
    people = blocked(kulfi, 4)
    deliver(kulfi, *(bill(f"Q{number}", net_amount="950.00") for number in range(5)))
    by_kind = {each.kind: each for each in gather(kulfi)}
    page = as_alice.get(reverse("admin:incident", args=[by_kind["no_completion"].pk])).content.decode()
    for words in ("4 customers, 4 redemptions, 160 points", "Ask for the bills", "Person 3", "Unblock", "The same as a table"):
        assert words in page
    page = as_bob.get(reverse("admin:incident", args=[by_kind["refused"].pk])).content.decode()
    assert ("5 bills" in page, "Try its bills again" in page, "its parts sum to" in page) == (True, False, True)
    assert "4 customers, 160 points" in as_bob.get(reverse("admin:index")).content.decode()
    seen = picture.load(kulfi, people[0], now=timezone.now())
    (found,) = walk.findings(facts.gather(seen), reported_by=Reporter.CUSTOMER)
    assert [(each.kind, each.note) for each in found.evidence][-1] == ("incident", "4 customers of this store")


@pytest.mark.parametrize("runs", [1, 2])
def test_the_timetable_gathers_for_every_tenant(kulfi: Tenant, runs: int) -> None:
    blocked(kulfi, 3)
    for _ in range(runs):
        gather_incidents()
    assert Incident.objects.count() == 1
    assert ScheduledRun.objects.filter(job="gather_incidents", error="").exists()
