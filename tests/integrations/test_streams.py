"""Bills, holds and deliveries in ClickHouse: as they are now, compared, mended, and none holds up another."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from django.utils import timezone
from django_scopes import scope

from integrations import tasks
from integrations.analytics import clickhouse, feed, parity, resync
from integrations.analytics.streams import BILLS, CUSTOMERS, DELIVERIES, HOLDS, STREAMS
from integrations.models import Delivery, ParityRun, Resync, RunState
from loyalty.models import Customer
from tenants.actors import SYSTEM
from tenants.models import Tenant
from tests import builders
from tests.analytics import damage, fed, feed_all, in_clickhouse
from tests.conftest import make_tenant
from tests.integrations.test_parity import compared, resynced

pytestmark = pytest.mark.xdist_group("feed")

DAMAGES = {
    "missing bill": (BILLS, "DELETE FROM bills WHERE tenant_id = {tenant:UInt64}"),
    "other points": (BILLS, "ALTER TABLE bills UPDATE earned_points = earned_points + 1 WHERE tenant_id = {tenant:UInt64}"),
    "bill too many": (
        BILLS,
        "INSERT INTO bills SELECT * REPLACE (id + 1000000000 AS id) FROM bills FINAL WHERE tenant_id = {tenant:UInt64}",
    ),
    "hold still active": (HOLDS, "ALTER TABLE holds UPDATE state = 'active' WHERE tenant_id = {tenant:UInt64}"),
    "missing delivery": (DELIVERIES, "DELETE FROM deliveries WHERE tenant_id = {tenant:UInt64}"),
    "delivery of another bill": (
        DELIVERIES,
        "ALTER TABLE deliveries UPDATE bill_id = bill_id + 1 WHERE tenant_id = {tenant:UInt64}",
    ),
    "missing customer": (CUSTOMERS, "DELETE FROM customers WHERE tenant_id = {tenant:UInt64}"),
}


@pytest.fixture
def traded(committed: Tenant) -> Tenant:
    """A customer who redeemed at the till, and ClickHouse knows of it."""
    meera = builders.customer(committed, points=500)
    held = builders.hold(committed, meera, 20)
    feed_all()
    builders.deliver(committed, builders.paid_with_points("INV-1", 20, reference=held.reference))
    fed(committed)
    assert compared(committed).ok
    return committed


def test_they_arrive_as_they_are_now_and_name_their_business(traded: Tenant) -> None:
    """The hold was sent while it was active, and again when its bill had come."""
    bills = in_clickhouse(
        traded, "SELECT bill_no, bill_class, redeemed_points, business_id FROM bills FINAL WHERE tenant_id = {tenant:UInt64}"
    )
    assert bills == [("INV-1", "sale", 20, traded.business_id)]
    holds = in_clickhouse(
        traded, "SELECT points, state, bill_id > 0, business_id FROM holds FINAL WHERE tenant_id = {tenant:UInt64}"
    )
    assert holds == [(20, "captured", 1, traded.business_id)]
    states = in_clickhouse(traded, "SELECT state, bill_no, business_id FROM deliveries FINAL WHERE tenant_id = {tenant:UInt64}")
    assert states == [("applied", "INV-1", traded.business_id)]


def test_neither_bodies_nor_numbers_of_people_leave_with_deliveries() -> None:
    assert not {"body", "mobile", "details", "message", "sender"} & set(DELIVERIES.column_names)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_row_without_a_business_is_refused(traded: Tenant, stream: str) -> None:
    with pytest.raises(DatabaseError, match="business_named"):
        damage(
            traded,
            f"INSERT INTO {stream} SELECT * REPLACE ('' AS business_id) FROM {stream} FINAL WHERE tenant_id = {{tenant:UInt64}}",
        )


@pytest.mark.parametrize("fault", DAMAGES)
@pytest.mark.parametrize("way", ["pull", "copy"])
def test_whatever_differs_is_found_and_mended(traded: Tenant, fault: str, way: str, settings: Any) -> None:
    if way == "copy":
        settings.CLICKHOUSE_PULL_URL = ""
    stream, statement = DAMAGES[fault]
    damage(traded, statement)
    assert {each["measure"] for each in compared(traded).differences} == {stream.name}
    day = timezone.now().astimezone(traded.zone).date()
    assert bool(parity.standing(traded, since=day, until=day).equal) is (stream is not CUSTOMERS), "what the report reads"
    assert resynced(traded).way == (way if settings.CLICKHOUSE_PULL_URL else "copy")
    assert compared(traded).ok


def test_the_timetable_builds_only_the_tables_that_differ_and_compares_again(traded: Tenant) -> None:
    damage(traded, DAMAGES["hold still active"][1])
    damage(traded, DAMAGES["missing delivery"][1])
    tasks.check_parity(whole=True)
    row = Resync.objects.get()
    assert (row.streams, str(row), row.since) == (["deliveries", "holds"], "deliveries, holds", None)
    tasks.continue_resyncs()
    row.refresh_from_db()
    assert (row.state, row.months_done) == (RunState.DONE, 2)
    assert ParityRun.objects.filter(tenant=traded).latest("pk").ok


def test_days_and_tables_that_differ_are_built_anew_each(traded: Tenant) -> None:
    day = timezone.now().date()
    found = [{"business_date": str(day), "measure": "available"}, {"group": "K1", "measure": "bills"}]
    asked = resync.repair(traded, [day], found, reason="Test", actor=SYSTEM)
    assert [(row.since, row.streams) for row in asked] == [(day, []), (None, ["bills"])]
    assert [
        row.since for row in resync.repair(traded, [], [{"customer": 1, "measure": "held"}], reason="Test", actor=SYSTEM)
    ] == [None]
    assert resync.repair(traded, [], [{"posting_date": str(day), "measure": "day_sums"}], reason="Test", actor=SYSTEM) == []


def test_a_resync_writes_what_the_feed_wrote(traded: Tenant) -> None:
    """Column by column, amounts and times too."""
    asked = {name: f"SELECT * FROM {name} FINAL WHERE tenant_id = {{tenant:UInt64}} ORDER BY id" for name in STREAMS}
    before = {name: in_clickhouse(traded, statement) for name, statement in asked.items()}
    resynced(traded)
    assert {name: in_clickhouse(traded, statement) for name, statement in asked.items()} == before


def test_one_brand_is_built_anew_and_the_others_stay(traded: Tenant) -> None:
    other = make_tenant(f"{traded.slug}-b")
    with scope(tenant=other):
        builders.deliver(other, builders.bill("INV-9"))
    feed_all()
    resynced(traded)
    assert in_clickhouse(other, "SELECT bill_no FROM bills FINAL WHERE tenant_id = {tenant:UInt64}") == [("INV-9",)]
    assert compared(other).ok


def test_a_stream_that_is_refused_holds_up_no_other(committed: Tenant) -> None:
    """Customers cannot be written: their entries and bills go on, and afterwards they come, too."""
    feed_all()
    with clickhouse.connected() as client:
        client.command("RENAME TABLE customers TO customers_aside")
        client.command("CREATE TABLE customers (id UInt64, business_id String) ENGINE = MergeTree ORDER BY id")
        try:
            meera = builders.customer(committed, points=50)
            builders.deliver(committed, builders.bill("INV-2"))
            deadline = time.monotonic() + 30
            while feed.lag().entries or feed.rows_behind()["bills"]:  # an open write of another test holds the feed back
                assert time.monotonic() < deadline
                with pytest.raises(DatabaseError):
                    feed.run(now=timezone.now())
        finally:
            client.command("DROP TABLE customers")
            client.command("RENAME TABLE customers_aside TO customers")
    assert in_clickhouse(committed, "SELECT bill_no FROM bills FINAL WHERE tenant_id = {tenant:UInt64}") == [("INV-2",)]
    assert feed.rows_behind()["customers"] >= 1
    feed_all()
    assert in_clickhouse(committed, "SELECT mobile FROM customers FINAL WHERE tenant_id = {tenant:UInt64}") == [(meera.mobile,)]
    assert compared(committed).ok


def test_an_upload_of_customers_and_points_are_separate_events(traded: Tenant) -> None:
    """A changed customer writes no entry, and points send no customer again."""
    count = "(SELECT count() FROM {} WHERE tenant_id = {{tenant:UInt64}})"
    asked = f"SELECT {count.format('customers')}, {count.format('entries')}"
    with clickhouse.connected() as client:
        for table in ("customers", "entries"):
            client.command(f"OPTIMIZE TABLE {table} FINAL")
            client.command(f"SYSTEM STOP MERGES {table}")
        try:
            [(people, entries)] = in_clickhouse(traded, asked)
            Customer.objects.update(name="Meera T.")
            feed_all()
            assert in_clickhouse(traded, asked) == [(people + 1, entries)]
            builders.issue(traded, Customer.objects.get(), 5)
            feed_all()
            assert in_clickhouse(traded, asked) == [(people + 1, entries + 1)]
        finally:
            for table in ("customers", "entries"):
                client.command(f"SYSTEM START MERGES {table}")


def test_balances_by_day_are_what_the_entries_add_up_to(committed: Tenant) -> None:
    """500 on one day; the next day 20 held and 3 given: by hand 500, then 483 to spend and 20 blocked."""
    meera = builders.customer(committed, points=500)
    held = builders.hold(committed, meera, 20)
    builders.issue(committed, meera, 3)
    feed_all()
    today = timezone.now().astimezone(committed.zone).date()
    damage(
        committed,
        f"INSERT INTO entries SELECT * REPLACE (toDate32('{today - timedelta(days=1)}') AS business_date) FROM entries FINAL"
        " WHERE tenant_id = {tenant:UInt64} AND available = 500",
    )
    damage(
        committed, f"DELETE FROM entries WHERE tenant_id = {{tenant:UInt64}} AND available = 500 AND business_date = '{today}'"
    )
    found = in_clickhouse(
        committed,
        "SELECT customer_id, business_date, available, held, closing FROM balances_by_day WHERE tenant_id = {tenant:UInt64} ORDER BY 2",
    )
    assert found == [(meera.pk, today - timedelta(days=1), 500, 0, 500), (meera.pk, today, 483, 20, 503)]
    assert held.points == 20
    resynced(committed)


def test_a_delivery_that_changes_its_state_is_sent_again(committed: Tenant) -> None:
    builders.deliver(committed, builders.bill("INV-3", net="-1.00"))
    feed_all()
    states = "SELECT state FROM deliveries FINAL WHERE tenant_id = {tenant:UInt64}"
    assert in_clickhouse(committed, states) == [("quarantined",)]
    Delivery.objects.update(state="discarded")
    feed_all()
    assert in_clickhouse(committed, states) == [("discarded",)]


def test_a_parity_run_keeps_which_group_differs(traded: Tenant) -> None:
    damage(traded, DAMAGES["other points"][1])
    (found,) = compared(traded).differences
    assert (found["sum_of"], found["postgresql"]) == ("earned_points", str(int(found["clickhouse"]) - 1))
    assert json.dumps(found)
    assert "sale" in found["group"]
    resynced(traded)
