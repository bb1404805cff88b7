"""ClickHouse holds exactly what the ledger holds, whatever happens between reading and remembering."""

import json
import socket
import threading
from contextlib import nullcontext
from io import StringIO
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.summary import QuerySummary
from django.core.management import call_command
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from integrations.analytics import clickhouse, feed, parity
from integrations.analytics.streams import ENTRIES as ENTRIES_STREAM
from integrations.analytics.streams import STREAMS, Stream
from integrations.models import FeedEpoch
from integrations.tasks import feed_analytics
from loyalty.models import Customer, Entry
from tenants import crash, staff
from tenants.actors import SYSTEM
from tenants.models import ScheduledRun, Tenant
from tests import builders
from tests.analytics import ENTRIES, fed, feed_all, in_clickhouse
from tests.conftest import signed_in

pytestmark = pytest.mark.xdist_group("feed")


def test_entries_and_customers_arrive_as_they_are(committed: Tenant) -> None:
    meera = builders.customer(committed, points=50)
    builders.hold(committed, meera, 20)
    assert fed(committed) == [("issue", 50, 0, 0), ("hold", -20, 20, 0)]
    rows = in_clickhouse(committed, "SELECT mobile, name, business_id FROM customers FINAL WHERE tenant_id = {tenant:UInt64}")
    assert rows == [(meera.mobile, "Meera S.", committed.business_id)]


def test_a_long_block_arrives_whole(committed: Tenant) -> None:
    """The client cuts a long block into several, each compressed by itself."""
    now = timezone.now()
    row = (committed.business_id, 1, 1, 0, "issue", "", 0, 1, 0, 0, "r", "system", "s", now, now.date(), now, 0, 0, 0, 0, 0, 1)
    with clickhouse.connected() as client:
        clickhouse.make_tables(client)
        clickhouse.insert(client, ENTRIES_STREAM, [(place, committed.pk, *row) for place in range(feed.ROWS_MAX * 2)])
    assert in_clickhouse(committed, "SELECT count() FROM entries WHERE tenant_id = {tenant:UInt64}") == [(feed.ROWS_MAX * 2,)]
    with clickhouse.connected() as client:
        client.command("DELETE FROM entries WHERE tenant_id = {tenant:UInt64}", parameters={"tenant": committed.pk})


@pytest.mark.parametrize(("said", "lost"), [({"written_rows": "1"}, True), ({"written_rows": "2"}, False), ({}, False)])
def test_a_block_of_which_rows_were_lost_is_not_taken_for_sent(said: dict[str, str], lost: bool) -> None:
    class Forgetful:
        def insert(self, *args: Any, **kwargs: Any) -> QuerySummary:
            return QuerySummary(said)

    with pytest.raises(clickhouse.RowsLost) if lost else nullcontext():
        clickhouse.insert(Forgetful(), ENTRIES_STREAM, [(), ()])  # type: ignore[arg-type]


def test_a_changed_customer_is_sent_again(committed: Tenant) -> None:
    meera = builders.customer(committed)
    fed(committed)
    Customer.objects.filter(pk=meera.pk).update(name="Meera T.")
    fed(committed)
    assert in_clickhouse(committed, "SELECT name FROM customers FINAL WHERE tenant_id = {tenant:UInt64}") == [("Meera T.",)]


def test_a_row_that_commits_late_is_not_skipped(committed: Tenant) -> None:
    """The earlier id commits after the later one was read: a cursor over ids would lose it."""
    meera, raj = builders.customer(committed, "+919840000001"), builders.customer(committed, "+919840000002")
    written, go_on = threading.Event(), threading.Event()

    def late() -> None:
        with scope(tenant=committed), transaction.atomic():
            builders.issue(committed, meera, 11)
            written.set()
            go_on.wait(20)
        connection.close()

    thread = threading.Thread(target=late)
    thread.start()
    written.wait(20)
    builders.issue(committed, raj, 22)
    feed.run(now=timezone.now())
    before = in_clickhouse(committed, ENTRIES)
    go_on.set()
    thread.join()
    assert ("issue", 11, 0, 0) not in before
    assert sorted(fed(committed)) == [("issue", 11, 0, 0), ("issue", 22, 0, 0)]


@pytest.mark.case(102)
def test_a_block_delivered_twice_is_counted_once(committed: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    builders.customer(committed, points=50)
    real = clickhouse.insert

    def twice(client: Client, stream: Stream, rows: Any) -> None:
        real(client, stream, rows)
        real(client, stream, rows)

    monkeypatch.setattr(clickhouse, "insert", twice)
    assert fed(committed) == [("issue", 50, 0, 0)]
    assert parity.compare(now=timezone.now(), tenant=committed).ok


def test_a_crash_after_the_insert_sends_again_and_doubles_nothing(committed: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    builders.customer(committed, points=50)

    def die(name: str) -> None:
        if name == "feed_after_insert":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(crash, "point", die)
        with pytest.raises(KeyboardInterrupt):
            feed_all()
    assert fed(committed) == [("issue", 50, 0, 0)]


def test_a_new_database_system_begins_an_epoch_and_loses_and_doubles_nothing(
    committed: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    meera = builders.customer(committed, points=50)
    fed(committed)
    monkeypatch.setattr(feed, "SYSTEM", f"SELECT 'restored-{committed.slug}'")
    builders.issue(committed, meera, 7)
    assert fed(committed) == [("issue", 50, 0, 0), ("issue", 7, 0, 0)]
    assert parity.compare(now=timezone.now(), tenant=committed).ok
    assert FeedEpoch.objects.filter(system__startswith=f"restored-{committed.slug}").count() == len(STREAMS)


def test_who_writes_while_an_epoch_begins_is_not_lost(committed: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer's transaction is older than the epoch, its row newer than the epoch's last id."""
    meera = builders.customer(committed)
    written, go_on = threading.Event(), threading.Event()

    def late() -> None:
        with scope(tenant=committed), transaction.atomic():
            builders.issue(committed, meera, 11)
            written.set()
            go_on.wait(20)
        connection.close()

    thread = threading.Thread(target=late)
    thread.start()
    written.wait(20)
    monkeypatch.setattr(feed, "SYSTEM", f"SELECT 'begun-{committed.slug}'")
    feed.run(now=timezone.now())
    go_on.set()
    thread.join()
    assert fed(committed) == [("issue", 11, 0, 0)]


def test_clickhouse_away_costs_nothing_but_lag(committed: Tenant, settings: Any) -> None:
    builders.customer(committed, points=50)
    real = settings.CLICKHOUSE_URL
    settings.CLICKHOUSE_URL = "http://x:y@127.0.0.1:9/none"
    with pytest.raises(clickhouse.Away):
        feed.run(now=timezone.now())
    assert feed.lag().entries >= 1
    settings.CLICKHOUSE_URL = real
    assert fed(committed) == [("issue", 50, 0, 0)]
    assert feed.lag().entries == 0


def test_with_a_frozen_clickhouse_pages_open_and_say_so_and_afterwards_all_is_equal(committed: Tenant, settings: Any) -> None:
    """It takes connections and never answers, as a stopped process does (fault 13)."""
    meera = builders.customer(committed, points=50)
    fed(committed)
    builders.issue(committed, meera, 7)
    bob, _ = staff.create_staff(committed, email=f"{committed.slug}@x.example", role="admin", name="Bob", actor=SYSTEM)
    client = signed_in(bob)
    real, settings.CLICKHOUSE_TIMEOUT_SECONDS = settings.CLICKHOUSE_URL, 3
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        settings.CLICKHOUSE_URL = f"http://x:y@127.0.0.1:{frozen.getsockname()[1]}/none"
        opened = [client.get(reverse("admin:index")), client.get(reverse("admin:customer360", args=[meera.pk]))]
        shown = client.get(reverse("admin:customer_dashboard", args=[meera.pk])).content.decode()
        feed_analytics()
    assert [page.status_code for page in opened] == [200, 200]
    assert "As of" in opened[0].content.decode()
    assert "ClickHouse is away; last equal" in " ".join(shown.split())
    with scopes_disabled():
        told = ScheduledRun.objects.filter(job="feed_analytics", failed=1).latest("started_at")
    assert "ClickHouse away" in told.error
    settings.CLICKHOUSE_URL = real
    assert fed(committed) == [("issue", 50, 0, 0), ("issue", 7, 0, 0)]
    assert parity.compare(now=timezone.now(), tenant=committed).ok


def test_parity_counts_what_it_compared(committed: Tenant) -> None:
    builders.customer(committed, points=50)
    fed(committed)
    assert parity.compare(now=timezone.now(), tenant=committed).rows == Entry.objects.count() == 1


def test_the_feed_runs_by_command_too(committed: Tenant) -> None:
    builders.issue(committed, builders.customer(committed), 5)
    out = StringIO()
    call_command("feed_analytics", "--json", stdout=out)
    assert json.loads(out.getvalue()).keys() == {"done"}
