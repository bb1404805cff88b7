"""A machine whose clock is wrong: what the worker does by itself goes by the database's."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from loyalty import tasks as ledger
from loyalty.models import Entry, Hold, Lot
from support import monitoring
from support.bulk import jobs
from support.bulk.jobs import Select, Wanted
from support.models import Alarm, BulkSettings
from support.tasks import watch_the_house, work_on_job
from tenants import access as gate
from tenants import clock
from tenants.models import Tenant, User
from tests import builders
from tests.builders import balance

YEAR = timedelta(days=400)


@pytest.fixture(params=[YEAR, -YEAR], ids=["ahead", "behind"])
def wrong(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[timedelta]:
    """By so much the machine's clock is ahead."""
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() + request.param)
    yield request.param


def test_the_two_clocks(db: None, wrong: timedelta) -> None:
    assert abs(clock.ahead() - wrong) < timedelta(seconds=5)
    assert abs(clock.now() - (timezone.now() - wrong)) < timedelta(seconds=5)


def test_the_timetable_expires_and_frees_nothing_before_its_time(kulfi: Tenant, request: pytest.FixtureRequest) -> None:
    meera = builders.customer(kulfi, points=100)
    builders.hold(kulfi, meera, 40)
    before = balance(meera)
    request.getfixturevalue("wrong_ahead")
    ledger.expire_lots()
    ledger.release_expired_holds()
    ledger.activate_pending()
    assert (balance(meera), Hold.objects.get().state) == (before, "active")


@pytest.fixture
def wrong_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() + YEAR)


def test_a_bulk_job_books_by_the_right_day(
    kulfi: Tenant, alice: User, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    meera = builders.customer(kulfi, points=1000)
    BulkSettings.objects.update_or_create(tenant=kulfi, defaults={"customers_alone": 100_000})
    access = gate.of_person(alice, wanted_tenant_id=kulfi.pk)
    assert access is not None
    right = timezone.now
    for away in (YEAR, -YEAR):
        wanted, select = Wanted("adjust", points=5, reason="for a test"), Select(mobiles=[meera.mobile])
        job, _ = jobs.create(access, wanted, select, key=f"k{away.days}", now=right())
        jobs.confirm(job.pk, access=access, now=right())
        with monkeypatch.context() as patched:
            patched.setattr(timezone, "now", lambda away=away: right() + away)
            work_on_job(job.pk)
    entries = Entry.objects.filter(job_id__isnull=False)
    today = right().astimezone(kulfi.zone).date()
    assert [entry.business_date for entry in entries] == [today, today]
    assert set(Lot.objects.filter(entry__in=entries).values_list("granted_on", flat=True)) == {today}


def test_that_it_is_wrong_is_told(kulfi: Tenant, wrong: timedelta) -> None:
    watch_the_house()
    row = monitoring.measure(now=clock.now())
    assert abs(row.figures["clock_ahead_seconds"] - wrong.total_seconds()) < 5
    assert Alarm.objects.get(tenant=kulfi, code="clock").since <= _right(wrong)
    told = [each.text for each in monitoring.sentences(now=clock.now(), engines={}) if not each.ok]
    assert any(("ahead of" if wrong > timedelta(0) else "behind") in text for text in told)


def _right(wrong: timedelta) -> datetime:
    return timezone.now() - wrong + timedelta(seconds=5)
