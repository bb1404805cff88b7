"""A row that is missing, changed, doubled or elsewhere in ClickHouse is found, named and mended, while writes go on."""

import json
import threading
import time
from datetime import date, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from django_scopes import scope

from integrations import tasks
from integrations.analytics import clickhouse, day_sums, feed, parity, resync
from integrations.models import FeedEpoch, ParityDay, ParityRun, Resync, RunState
from loyalty.models import Customer, Entry
from tenants import crash
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import Tenant
from tests import builders
from tests.analytics import damage, fed, feed_all, in_clickhouse
from tests.conftest import make_tenant

pytestmark = pytest.mark.xdist_group("feed")

HELD = "tenant_id = {tenant:UInt64} AND kind = 'hold'"
DAMAGES = {
    "missing": f"ALTER TABLE entries DELETE WHERE {HELD}",
    "changed": f"ALTER TABLE entries UPDATE available = available + 1 WHERE {HELD}",
    "extra": f"INSERT INTO entries SELECT * REPLACE (id + 1000000 AS id, 0 AS xid) FROM entries WHERE {HELD}",
    "elsewhere": f"INSERT INTO entries SELECT * REPLACE (business_date - 40 AS business_date) FROM entries WHERE {HELD}",
}


def compared(tenant: Tenant, **options: Any) -> parity.Verdict:
    return parity.compare(now=timezone.now(), tenant=tenant, **options)


def resynced(tenant: Tenant, **span: Any) -> Resync:
    row = resync.ask(tenant, reason="for a test", actor=SYSTEM, **span)
    assert resync.work_on(row)
    row.refresh_from_db()
    assert (row.state, row.note) == (RunState.DONE, "")
    return row


@pytest.fixture
def told(committed: Tenant) -> Tenant:
    """A tenant with two entries that ClickHouse knows."""
    builders.hold(committed, builders.customer(committed, points=50), 20)
    fed(committed)
    assert compared(committed).ok
    return committed


@pytest.fixture(params=["pull", "copy"])
def way(request: pytest.FixtureRequest, settings: Any) -> str:
    if request.param == "copy":
        settings.CLICKHOUSE_PULL_URL = ""
    elif not settings.CLICKHOUSE_PULL_URL:
        pytest.skip("ClickHouse has no address of PostgreSQL here: set CLICKHOUSE_PULL_URL")
    return str(request.param)


@pytest.mark.parametrize("fault", DAMAGES)
def test_whatever_differs_is_found_named_and_mended(told: Tenant, fault: str, way: str) -> None:
    damage(told, DAMAGES[fault])
    found = compared(told)
    assert not found.ok
    assert [(each["fault"], "hold" in each["kind"]) for each in found.wrong] == [(fault, True)]
    assert parity.cause(found.wrong[0])
    assert {each["tenant"] for each in found.differences} == {told.slug}
    run = ParityRun.objects.first()
    assert (run.ok, run.wrong_count, run.wrong[0]["fault"]) == (False, 1, fault)
    day = found.different_days[0]
    assert parity.standing(told, since=day, until=day).equal is False
    row = resynced(told, since=min(found.different_days), until=max(found.different_days))
    assert row.way == way
    assert compared(told).ok
    assert parity.standing(told, since=day, until=day).equal
    assert len(in_clickhouse(told, f"SELECT id FROM entries FINAL WHERE {HELD}")) == 1


def test_values_that_changed_places_are_noticed(committed: Tenant) -> None:
    """Counts and sums are the same: only the checksum tells."""
    for mobile, points in (("+919840000001", 11), ("+919840000002", 22)):
        builders.customer(committed, mobile, points=points)
    fed(committed)
    damage(committed, "ALTER TABLE entries UPDATE available = 33 - available WHERE tenant_id = {tenant:UInt64}")
    found = compared(committed)
    assert {each["measure"] for each in found.differences} == {"checksum", "available"}
    assert [each["measure"] for each in found.differences if "customer" not in each] == ["checksum"]
    assert sorted(each["postgresql"] for each in found.differences if "customer" in each) == [11, 22]
    assert [each["fault"] for each in found.wrong] == ["changed"] * 2
    assert "available" in parity.cause(found.wrong[0])


def test_a_verified_day_turns_stale_when_a_backdated_entry_lands(told: Tenant) -> None:
    today = timezone.now().astimezone(told.zone).date()
    past = today - timedelta(days=40)
    assert parity.standing(told, since=past, until=today).equal
    builders.deliver(told, builders.bill(bill_date=f"{past}T12:00:00+05:30"))
    feed_all()
    known = parity.standing(told, since=past, until=today)
    assert (known.equal, known.stale) == (False, [past])
    assert parity.standing(told, since=today, until=today).equal
    run = compared(told, whole=False)
    assert (run.ok, run.days) == (True, 1)
    assert parity.standing(told, since=past, until=today).equal
    assert set(ParityDay.objects.values_list("business_date", "entries")) == {(past, 1), (today, 2)}


def test_nothing_changed_so_nothing_is_compared_and_no_run_is_kept(told: Tenant) -> None:
    runs = ParityRun.objects.count()
    assert compared(told, whole=False).days == 0
    assert ParityRun.objects.count() == runs


def test_a_day_that_differed_is_compared_again_until_it_is_equal(told: Tenant) -> None:
    damage(told, DAMAGES["missing"])
    assert not compared(told).ok
    assert not compared(told, whole=False).ok


def test_after_a_restore_everything_is_compared_again(told: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(told, DAMAGES["extra"])
    monkeypatch.setattr(feed, "SYSTEM", f"SELECT 'again-{told.slug}'")
    feed_all()
    found = compared(told, whole=False)
    assert [each["fault"] for each in found.wrong] == ["extra"]


def test_the_timetable_mends_what_it_finds(told: Tenant) -> None:
    damage(told, DAMAGES["changed"])
    tasks.check_parity(whole=True)
    row = Resync.objects.get()
    assert (row.state, row.asked_by) == (RunState.WAITING, "Pointdesk")
    tasks.continue_resyncs()
    row.refresh_from_db()
    assert row.state == RunState.DONE
    assert compared(told, whole=False).ok


@pytest.mark.case(103)
def test_a_resync_during_writes_loses_and_doubles_nothing(committed: Tenant, way: str) -> None:
    meera = builders.customer(committed, points=50)
    fed(committed)
    stop = threading.Event()

    def write() -> None:
        with scope(tenant=committed):
            while not stop.is_set():
                builders.issue(committed, meera, 1)
        connection.close()

    def feed_on() -> None:
        while not stop.is_set():
            feed.run(now=timezone.now())
            time.sleep(0.02)
        connection.close()

    threads = [threading.Thread(target=act) for act in (write, write, feed_on)]
    for thread in threads:
        thread.start()
    try:
        rows = [resynced(committed) for _ in range(4)]
        during = compared(committed)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert during.ok, during.differences  # what was written since the watermark is in neither side's figures
    assert [row.rows for row in rows] == sorted(row.rows for row in rows)
    feed_all()
    after = compared(committed)
    assert (after.ok, after.rows) == (True, Entry.objects.count())
    assert in_clickhouse(committed, "SELECT count() FROM entries FINAL WHERE tenant_id = {tenant:UInt64}") == [(after.rows,)]


def test_others_rows_stay_as_they_are(told: Tenant, way: str) -> None:
    """The same month of another tenant, and another day of this one, with damage that nobody asked to mend."""
    other = make_tenant(f"{told.slug}-o")
    with scope(tenant=other):
        builders.customer(other, points=7)
    past = timezone.now().astimezone(told.zone).date() - timedelta(days=40)
    builders.deliver(told, builders.bill(bill_date=f"{past}T12:00:00+05:30"))
    feed_all()
    for tenant in (told, other):
        damage(tenant, "ALTER TABLE entries UPDATE reason = 'damaged' WHERE tenant_id = {tenant:UInt64}")
    resynced(told, since=past + timedelta(days=1))
    assert in_clickhouse(other, "SELECT reason, available FROM entries FINAL WHERE tenant_id = {tenant:UInt64}") == [
        ("damaged", 7)
    ]
    reasons = in_clickhouse(
        told, "SELECT DISTINCT business_date, reason FROM entries FINAL WHERE tenant_id = {tenant:UInt64} ORDER BY 1"
    )
    assert (reasons[0], len(reasons)) == ((past, "damaged"), 3)
    with scope(tenant=other):
        Tenant.objects.filter(pk=other.pk).update(is_active=False)


def test_a_customer_is_built_anew_alone(told: Tenant, way: str) -> None:
    raj = builders.customer(told, "+919840000077", points=9)
    feed_all()
    damage(told, "ALTER TABLE entries UPDATE reason = 'damaged' WHERE tenant_id = {tenant:UInt64}")
    resynced(told, customer=raj)
    found = in_clickhouse(
        told, "SELECT customer_id, reason FROM entries FINAL WHERE tenant_id = {tenant:UInt64} AND reason <> 'damaged'"
    )
    assert found == [(raj.pk, "for a test")]


def test_customers_are_built_anew_with_everything(told: Tenant, way: str) -> None:
    damage(told, "ALTER TABLE customers UPDATE name = 'damaged' WHERE tenant_id = {tenant:UInt64}")
    row = resynced(told)
    meera = Customer.objects.get()
    found = in_clickhouse(told, "SELECT mobile, name, business_id FROM customers FINAL WHERE tenant_id = {tenant:UInt64}")
    assert found == [(meera.mobile, "Meera S.", told.business_id)]
    assert row.rows == 4  # two entries, their customer, and the hold


@pytest.mark.parametrize(
    "text", ["it's", 'a "quoted" one, and more', "back\\slash", "line\nbreak", "\\N", "NULL", "", "हिंदी \U0001f36a", "tab\there"]
)
def test_texts_arrive_as_they_are(committed: Tenant, way: str, text: str) -> None:
    meera = builders.customer(committed, points=5)
    Customer.objects.filter(pk=meera.pk).update(name=text)
    fed(committed)
    damage(committed, "ALTER TABLE customers DELETE WHERE tenant_id = {tenant:UInt64}")
    resynced(committed)
    assert in_clickhouse(committed, "SELECT name FROM customers FINAL WHERE tenant_id = {tenant:UInt64}") == [(text,)]


def test_a_resync_whose_worker_dies_goes_on_where_it_was(told: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    past = timezone.now().astimezone(told.zone).date() - timedelta(days=80)
    builders.deliver(told, builders.bill(bill_date=f"{past}T12:00:00+05:30"))
    feed_all()
    row = resync.ask(told, reason="for a test", actor=SYSTEM)

    def die(name: str) -> None:
        if name == "resync_before_swap":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(crash, "point", die)
        with pytest.raises(KeyboardInterrupt):
            resync.work_on(row)
    assert compared(told).ok
    tasks.continue_resyncs()
    row.refresh_from_db()
    assert (row.state, row.months, row.months_done) == (RunState.DONE, [], 6)
    assert compared(told).ok


def test_the_same_resync_is_asked_for_once(told: Tenant) -> None:
    first, again = (resync.ask(told, reason="for a test", actor=SYSTEM) for _ in range(2))
    assert first.pk == again.pk
    with pytest.raises(DomainError) as refusal:
        resync.ask(
            told, reason="for a test", actor=SYSTEM, since=timezone.now().date(), until=timezone.now().date() - timedelta(days=1)
        )
    assert refusal.value.details["path"] == "until"


def test_with_clickhouse_away_a_resync_waits(told: Tenant, settings: Any) -> None:
    row = resync.ask(told, reason="for a test", actor=SYSTEM)
    real = settings.CLICKHOUSE_URL
    settings.CLICKHOUSE_URL = "http://x:y@127.0.0.1:9/none"
    with pytest.raises(clickhouse.Away):
        resync.work_on(row)
    settings.CLICKHOUSE_URL = real
    assert resync.work_on(row)


def test_where_clickhouse_does_not_reach_postgresql_we_carry_the_rows(told: Tenant, settings: Any) -> None:
    settings.CLICKHOUSE_PULL_URL = "postgresql://nobody:x@127.0.0.1:9/none"
    damage(told, DAMAGES["missing"])
    assert resynced(told).way == "copy"
    assert compared(told).ok


def test_by_command(told: Tenant) -> None:
    out = StringIO()
    call_command("resync_analytics", "--tenant", told.slug, "--json", stdout=out)
    assert json.loads(out.getvalue())["rows"] == 4
    damage(told, DAMAGES["missing"])
    with pytest.raises(SystemExit):
        call_command("parity", "--tenant", told.slug, "--json", stdout=(out := StringIO()))
    found = json.loads(out.getvalue())
    assert (found["ok"], found["wrong"][0]["fault"]) == (False, "missing")
    assert day_sums.closed_through(told) is None


def test_rows_that_hide_above_the_watermark_are_found(told: Tenant) -> None:
    damage(
        told,
        "INSERT INTO entries SELECT * REPLACE (id + 1000000 AS id, 18446744073709551615 AS xid) FROM entries WHERE tenant_id = {tenant:UInt64}",
    )
    found = compared(told)
    assert [each["fault"] for each in found.wrong] == ["extra", "extra"]
    resynced(told)
    assert compared(told).ok


def test_what_a_lost_life_of_the_ledger_left_is_found(told: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup was restored: rows that were written after it are in ClickHouse, with transactions that are still to come."""
    damage(
        told,
        "INSERT INTO entries SELECT * REPLACE (id + 50 AS id, xid + 100000 AS xid) FROM entries WHERE tenant_id = {tenant:UInt64}",
    )
    monkeypatch.setattr(feed, "SYSTEM", f"SELECT 'lost-{told.slug}'")
    assert [each["fault"] for each in compared(told).wrong] == ["extra", "extra"]


def test_a_tier_that_differs_is_found_and_mended(told: Tenant) -> None:
    Customer.objects.update(tier="Gold")
    feed_all()
    assert compared(told).ok
    damage(told, "ALTER TABLE customers UPDATE tier = 'Silver' WHERE tenant_id = {tenant:UInt64}")
    tasks.check_parity(whole=True)
    assert not parity.standing(told, since=date.min, until=date.max).equal
    assert compared(told, whole=False).days == 0  # what looks at days alone does not overrule it
    assert not parity.standing(told, since=date.min, until=date.max).equal
    tasks.continue_resyncs()
    assert compared(told).ok
    assert parity.standing(told, since=date.min, until=date.max).equal


def test_a_customer_who_changed_since_the_watermark_stays_through_a_resync(told: Tenant) -> None:
    written, go_on = threading.Event(), threading.Event()

    def late() -> None:
        with scope(tenant=told), transaction.atomic():
            builders.customer(told, "+919840000099")
            written.set()
            go_on.wait(60)
        connection.close()

    thread = threading.Thread(target=late)
    thread.start()
    written.wait(20)
    Customer.objects.filter(mobile=builders.MEERA).update(tier="Gold")
    resynced(told)
    assert in_clickhouse(told, "SELECT tier FROM customers FINAL WHERE tenant_id = {tenant:UInt64}") == [("Gold",)]
    assert compared(told).ok
    go_on.set()
    thread.join()
    feed_all()
    assert compared(told).ok


def test_a_month_is_not_swapped_when_the_feed_went_on(told: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session that keeps the feed at rest is ended by the server: the next statement would quietly open another one."""
    row = resync.ask(told, reason="for a test", actor=SYSTEM)

    def end(name: str) -> None:
        if name == "resync_before_swap":
            connection.close()
            builders.issue(told, Customer.objects.get(), 5)
            connection.close()
            feed_all()

    with monkeypatch.context() as patched:
        patched.setattr(crash, "point", end)
        with pytest.raises(clickhouse.Away):
            resync.work_on(row)
    assert compared(told).ok
    assert resync.work_on(row)
    assert compared(told).ok


def test_a_resync_that_lost_rows_on_the_way_changes_nothing_and_says_so(told: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever read too few of them: an index, a connection, the other engine."""
    monkeypatch.setattr(resync, "CHOSEN", resync.CHOSEN + " AND seq + operation % 1 = 0 AND available > 0")
    row = resync.ask(told, reason="for a test", actor=SYSTEM)
    assert resync.work_on(row)
    row.refresh_from_db()
    assert row.state == RunState.FAILED
    assert "the ledger has 2 rows, and 1 came" in row.note
    assert compared(told).ok


def test_a_restored_dump_is_compared_and_later_changes_win(told: Tenant) -> None:
    """Its rows name transactions of the other life, far ahead of this one."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE loyalty_customer DISABLE TRIGGER stamp_xid")
        cursor.execute("UPDATE loyalty_customer SET xid = '900000000000' WHERE tenant_id = %s", [told.pk])
        cursor.execute("ALTER TABLE loyalty_customer ENABLE TRIGGER stamp_xid")
        (last,) = cursor.execute("SELECT max(id) FROM loyalty_customer").fetchone()
    FeedEpoch.objects.filter(stream="customers").update(resynced_id=last, resync_below_id=last)
    resynced(told)
    damage(told, "ALTER TABLE customers UPDATE tier = 'Silver' WHERE tenant_id = {tenant:UInt64}")
    assert [each["measure"] for each in compared(told).differences] == ["customers", "customers"]
    resynced(told)
    Customer.objects.update(name="Meera T.")
    feed_all()
    assert in_clickhouse(told, "SELECT name FROM customers FINAL WHERE tenant_id = {tenant:UInt64}") == [("Meera T.",)]
    assert compared(told).ok
