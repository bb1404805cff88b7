"""Writers that commit late, workers that die, a database that is restored and begins a new life, in an order drawn by a seed: ClickHouse
holds what the ledger holds in the end, and no entry twice."""

import contextlib
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from django_scopes import scope

from integrations.analytics import feed, parity
from loyalty.models import Customer, Entry
from tenants import crash
from tenants.models import Tenant
from tests import builders
from tests.analytics import feed_all, in_clickhouse

pytestmark = pytest.mark.xdist_group("feed")
STEPS, WRITERS = 24, 3


class Died(BaseException):
    """A worker that is killed says nothing and cleans up nothing."""


class LateWriter:
    """A transaction that is open until it is told to commit."""

    def __init__(self, tenant: Tenant, customer: Customer, points: int) -> None:
        self._go, self._written = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._write, args=(tenant, customer, points))
        self._thread.start()
        assert self._written.wait(20)

    def _write(self, tenant: Tenant, customer: Customer, points: int) -> None:
        with scope(tenant=tenant), transaction.atomic():
            builders.issue(tenant, customer, points)
            self._written.set()
            self._go.wait(60)
        connection.close()

    def commit(self) -> None:
        self._go.set()
        self._thread.join()


@pytest.mark.parametrize("seed", range(6))
def test_no_entry_is_lost_or_doubled(committed: Tenant, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(seed)
    people = [builders.customer(committed, f"+91984000000{place}") for place in range(WRITERS)]
    free, late = list(people), []
    lives = 0

    def write_late() -> None:
        if free:
            customer = free.pop(draw.randrange(len(free)))
            late.append((customer, LateWriter(committed, customer, draw.randint(1, 50))))

    def commit_one() -> None:
        if late:
            customer, writer = late.pop(draw.randrange(len(late)))
            writer.commit()
            free.append(customer)

    def write_now() -> None:
        if free:
            builders.issue(committed, draw.choice(free), draw.randint(1, 50))

    def rename() -> None:
        if free:
            Customer.objects.filter(pk=draw.choice(free).pk).update(name=f"N{draw.randint(0, 99)}")

    def send() -> None:
        feed.run(now=timezone.now())

    def die_while_sending() -> None:
        def die(name: str) -> None:
            if name == "feed_after_insert":
                raise Died

        with monkeypatch.context() as patched:
            patched.setattr(crash, "point", die)
            with contextlib.suppress(Died):
                feed.run(now=timezone.now())

    def restore() -> None:
        nonlocal lives
        lives += 1
        monkeypatch.setattr(feed, "SYSTEM", f"SELECT 'life-{lives}-{committed.slug}'")

    acts: list[Callable[[], Any]] = [write_late, commit_one, write_now, rename, send, send, die_while_sending, restore]
    try:
        for _ in range(STEPS):
            draw.choice(acts)()
    finally:
        while late:
            commit_one()
    feed_all()
    ledger = sorted(Entry.objects.values_list("pk", "customer_id", "available"))
    assert (
        in_clickhouse(
            committed, "SELECT id, customer_id, available FROM entries FINAL WHERE tenant_id = {tenant:UInt64} ORDER BY id"
        )
        == ledger
    )
    names = sorted(Customer.objects.values_list("pk", "name"))
    asked = "SELECT id, name FROM customers FINAL WHERE tenant_id = {tenant:UInt64} ORDER BY id"
    assert in_clickhouse(committed, asked) == names
    assert parity.compare(now=timezone.now(), tenant=committed).ok
