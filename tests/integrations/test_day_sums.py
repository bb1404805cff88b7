"""The ledger summed up by day: ClickHouse, its closed days and the ledger itself say the same, for every way of asking."""

import itertools
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from django_scopes import scope

from integrations.analytics import clickhouse, day_sums
from integrations.analytics.day_sums import Basis, DaySum, Wanted
from integrations.models import ClosedDays
from loyalty.models import Customer, Entry
from tenants.models import Store, Tenant
from tests import builders
from tests.analytics import clock_of_the_books, damage, fed, feed_all, in_clickhouse
from tests.integrations.test_parity import compared, resynced

pytestmark = pytest.mark.xdist_group("feed")

INDIA = timedelta(hours=5, minutes=30)


def ordered(sums: list[DaySum]) -> list[DaySum]:
    return sorted(sums, key=lambda each: (each.day or date.min, each.kind, each.earlier, each.store_id))


def by_hand(tenant: Tenant, wanted: Wanted) -> list[DaySum]:
    """One by one in Python, with nothing of the statements under test."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for entry in Entry.objects.filter(tenant=tenant).select_related("customer"):
        if wanted.as_of and entry.posted_at > wanted.as_of:
            continue
        if wanted.store_id is not None and (entry.store_id or 0) != wanted.store_id:
            continue
        if wanted.tier is not None and entry.customer.tier != wanted.tier:
            continue
        posted = entry.posted_at.astimezone(tenant.zone).date()
        day = posted if wanted.basis == Basis.POSTING else entry.business_date
        if day > wanted.until:
            continue
        key = (
            None if day < wanted.since else day, entry.of_kind or entry.kind, entry.business_date < day,
            (entry.store_id or 0) if wanted.by_store else 0,
        )  # fmt: skip
        sums = found.setdefault(key, [0] * 6)
        values = (1, entry.pending, entry.available, entry.held, max(entry.owed, 0), max(-entry.owed, 0))
        for place, value in enumerate(values):
            sums[place] += value
    return [replace(DaySum(*key[:3], *sums), store_id=key[3]) for key, sums in found.items()]


@pytest.fixture(params=["Asia/Kolkata", "America/New_York"])
def days(committed: Tenant, request: pytest.FixtureRequest) -> Tenant:
    """Points that moved on both sides of midnight there and in UTC, on several days, late bills among them; New York's clocks change between."""
    Tenant.objects.filter(pk=committed.pk).update(negative_allowed=True, timezone=request.param)
    committed.refresh_from_db()
    meera, raj = builders.customer(committed, "+919840000001"), builders.customer(committed, "+919840000002")
    Customer.objects.filter(pk=raj.pk).update(tier="Gold")
    today = timezone.now().astimezone(committed.zone).date()
    midnight = datetime.combine(today - timedelta(days=40), datetime.min.time(), tzinfo=committed.zone)
    with clock_of_the_books() as post_at:
        for number, moment in enumerate([
            midnight - timedelta(seconds=1), midnight, midnight + timedelta(hours=3), midnight + INDIA, midnight + timedelta(days=1, seconds=-1),
            midnight + timedelta(days=9), midnight + timedelta(days=39, hours=23, minutes=59),
        ]):  # fmt: skip
            post_at(moment)
            builders.issue(committed, meera if number % 2 else raj, 50 + number)
            builders.hold(committed, raj if number else meera, 3) if number > 1 else None
            builders.deliver(
                committed, builders.bill(mobile=raj.mobile, net="700.00", store="K2", bill_date=(midnight - INDIA).isoformat())
            )
        post_at(timezone.now())
        builders.release(committed, builders.hold(committed, meera, 20))
    builders.deliver(committed, builders.bill(mobile=meera.mobile))
    feed_all()
    return committed


def questions(tenant: Tenant) -> list[Wanted]:
    today = timezone.now().astimezone(tenant.zone).date()
    spans = [
        (today - timedelta(days=days), today - timedelta(days=until)) for days, until in ((60, 0), (39, 1), (30, 30), (5, 0))
    ]
    moments = [
        None,
        datetime.combine(today - timedelta(days=40), datetime.min.time(), tzinfo=tenant.zone),
        timezone.now() - timedelta(days=31, hours=2),
    ]
    stores = [None, 0, Store.objects.get(tenant=tenant, code="K2").pk]
    return [
        Wanted(since, until, basis, as_of, store, tier, by_store)
        for (since, until), basis, as_of, (store, by_store), tier in itertools.product(
            spans, Basis, moments, [*((store, False) for store in stores), (None, True)], (None, "Gold")
        )
    ]


@pytest.mark.case(34, 39, 99)
def test_ledger_clickhouse_and_a_hand_computation_say_the_same(days: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = questions(days)
    hand = [ordered(by_hand(days, wanted)) for wanted in asked]
    assert sum(map(len, hand)) > 200
    assert [ordered(day_sums.of_ledger(days, wanted)) for wanted in asked] == hand
    assert [ordered(day_sums.of_clickhouse(days, wanted)) for wanted in asked] == hand
    monkeypatch.setattr(day_sums, "SETTLED", "SELECT now()")  # other tests' transactions
    day_sums.close(now=timezone.now())
    assert day_sums.closed_through(days) == timezone.now().astimezone(days.zone).date() - timedelta(days=1)
    assert in_clickhouse(days, "SELECT count() FROM day_sums WHERE tenant_id = {tenant:UInt64}")[0][0] > 5
    assert [ordered(day_sums.of_clickhouse(days, wanted)) for wanted in asked] == hand


def test_closed_days_are_read_from_their_sums_and_follow_a_resync(days: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_sums, "SETTLED", "SELECT now()")
    day_sums.close(now=timezone.now())
    today = timezone.now().astimezone(days.zone).date()
    wanted = Wanted(today - timedelta(days=60), today - timedelta(days=1))
    true = ordered(day_sums.of_ledger(days, wanted))
    damage(days, "ALTER TABLE entries DELETE WHERE tenant_id = {tenant:UInt64} AND business_date < today() - 10")
    assert ordered(day_sums.of_clickhouse(days, wanted)) == true
    found = compared(days)
    assert {each["fault"] for each in found.wrong} == {"missing"}
    resynced(days)
    assert ordered(day_sums.of_clickhouse(days, wanted)) == true
    assert compared(days).ok


def test_a_day_closes_when_nothing_can_be_posted_on_it_any_more(committed: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    builders.customer(committed, points=5)
    fed(committed)
    noon = datetime.combine(timezone.now().date(), datetime.min.time(), tzinfo=UTC) + timedelta(hours=12)
    for open_since, closed in ((noon - timedelta(days=2), 3), (noon - timedelta(hours=1), 1), (None, 1)):
        ClosedDays.objects.filter(tenant=committed).delete()
        monkeypatch.setattr(day_sums, "SETTLED", f"SELECT '{open_since or noon}'::timestamptz")
        day_sums.close(now=noon)
        assert day_sums.closed_through(committed) == noon.date() - timedelta(days=closed)


def test_the_oldest_open_transaction_is_seen(committed: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute(day_sums.SETTLED)
        (oldest,) = cursor.fetchone()
    assert oldest <= timezone.now()


def test_a_clock_that_is_ahead_closes_nothing(committed: Tenant) -> None:
    builders.customer(committed, points=5)
    fed(committed)
    day_sums.close(now=timezone.now() + timedelta(days=3))
    closed = day_sums.closed_through(committed)
    assert closed is None or closed < timezone.now().astimezone(committed.zone).date()


def closed_reports(tenant: Tenant) -> tuple[list[DaySum], list[DaySum]]:
    today = timezone.now().astimezone(tenant.zone).date()
    wanted = Wanted(today - timedelta(days=400), today)
    return ordered(day_sums.of_ledger(tenant, wanted)), ordered(day_sums.of_clickhouse(tenant, wanted))


def test_damaged_sums_are_found_and_built_anew(days: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_sums, "SETTLED", "SELECT now()")
    day_sums.close(now=timezone.now())
    damage(days, "ALTER TABLE day_sums UPDATE available = available + 900 WHERE tenant_id = {tenant:UInt64}")
    found = compared(days)
    assert {each["measure"] for each in found.differences} == {"day_sums"}
    assert compared(days).ok
    ledger, theirs = closed_reports(days)
    assert ledger == theirs


def test_months_that_no_entry_has_leave_the_sums(days: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_sums, "SETTLED", "SELECT now()")
    damage(
        days,
        "ALTER TABLE entries UPDATE posted_at = posted_at - INTERVAL 200 DAY WHERE tenant_id = {tenant:UInt64} AND kind = 'hold'",
    )
    day_sums.close(now=timezone.now())
    assert not compared(days).ok
    resynced(days)
    assert compared(days).ok
    ledger, theirs = closed_reports(days)
    assert ledger == theirs


def test_two_builds_at_once_spoil_nothing(days: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_sums, "SETTLED", "SELECT now()")
    day_sums.close(now=timezone.now())

    def build() -> None:
        with scope(tenant=days), clickhouse.connected() as client:
            for _ in range(4):
                day_sums.build_again(client, days)
        connection.close()

    threads = [threading.Thread(target=build) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger, theirs = closed_reports(days)
    assert ledger == theirs


def test_a_zone_that_the_engines_know_otherwise_loses_nothing(committed: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds are Python's, days are ClickHouse's: as if Python did not know the zone's offset."""
    builders.customer(committed, points=5)
    today = timezone.now().astimezone(committed.zone).date()
    edge = datetime.combine(today.replace(day=1), datetime.min.time(), tzinfo=committed.zone)
    with clock_of_the_books() as post_at:
        for minutes in (-90, -1, 0, 90):
            post_at(edge + timedelta(minutes=minutes))
            builders.issue(committed, Customer.objects.get(), 7)
    fed(committed)
    monkeypatch.setattr(day_sums, "SETTLED", "SELECT now()")
    monkeypatch.setattr(day_sums, "day_starts", lambda tenant, day: datetime.combine(day, datetime.min.time(), tzinfo=UTC))
    day_sums.close(now=timezone.now())
    ledger, theirs = closed_reports(committed)
    assert sum(each.available for each in ledger) == sum(each.available for each in theirs) == 33
    assert ledger == theirs
