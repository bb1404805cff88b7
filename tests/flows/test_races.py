"""Races on real, committed rows, each with its control: with the lock switched off it goes wrong.

What must never happen: points counted twice, spent twice, or below zero; two entries for one press.
"""

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection
from django.utils import timezone
from django_scopes import scope

from integrations import inbox
from integrations.models import Delivery, Source
from loyalty import holds, ledger, operations
from loyalty.audit import audit_ledger
from loyalty.models import Customer, Entry, Hold
from tenants import crash
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import Store, Tenant
from tests import builders
from tests.builders import balance, bill, paid_with_points, raw
from tests.conftest import make_tenant


def at_once(tenant: Tenant, acts: list[Callable[[], Any]], *, threads: int = 8) -> list[Any]:
    """Run the acts from `threads` threads that start together; -> results, an exception where one was raised."""
    gate = threading.Barrier(threads)
    todo = list(enumerate(acts))
    results: list[Any] = [None] * len(acts)
    lock = threading.Lock()

    def work() -> None:
        gate.wait()
        with scope(tenant=tenant):
            while True:
                with lock:
                    if not todo:
                        break
                    place, act = todo.pop(0)
                try:
                    results[place] = act()
                except Exception as problem:
                    results[place] = problem
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return results


def holds_of_10(tenant: Tenant, meera: Customer, count: int) -> list[Any]:
    store = Store.objects.get(code="K1")

    def place(number: int) -> Callable[[], Any]:
        return lambda: holds.place_hold(
            tenant,
            meera.pk,
            points=10,
            reference=f"SB-{number}",
            store=store,
            bill_no="",
            at=None,
            actor=SYSTEM,
            now=timezone.now(),
        )

    return at_once(tenant, [place(number) for number in range(count)])


def test_of_50_holds_of_10_on_100_points_exactly_10_succeed(committed: Tenant) -> None:
    meera = builders.customer(committed, points=100)
    results = holds_of_10(committed, meera, 50)
    refused = [result for result in results if isinstance(result, DomainError)]
    assert (len(refused), {result.code for result in refused}) == (40, {"insufficient_points"})
    assert balance(meera) == (0, 0, 100, 0)


def slow_between_read_and_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window that the lock closes, made wide, with the lock switched off."""
    meeting = threading.Barrier(2, timeout=3)  # threads that open their connections on a busy machine come late

    def dawdle(name: str) -> None:
        if name == "ledger_after_lock":
            try:
                meeting.wait()
            except threading.BrokenBarrierError:
                meeting.reset()

    monkeypatch.setattr(ledger, "LOCK_BALANCES", ledger.PEEK_BALANCES)
    monkeypatch.setattr(ledger, "LOCK_KEY", "SELECT %s")
    monkeypatch.setattr(crash, "point", dawdle)


@pytest.fixture
def unlocked(monkeypatch: pytest.MonkeyPatch) -> None:
    slow_between_read_and_write(monkeypatch)


@pytest.fixture
def broken_tenant(django_db_setup: None, django_db_blocker: Any) -> Any:
    """As `committed`, but its books are expected to be wrong."""
    with django_db_blocker.unblock():
        tenant = make_tenant(f"control-{uuid.uuid4().hex[:12]}")
        with scope(tenant=tenant):
            yield tenant
        _sweep(tenant)
        connection.close()


def _sweep(tenant: Tenant) -> None:
    """Remove a control's rows: its books are wrong on purpose."""
    with connection.cursor() as cursor:
        for table in ("loyalty_entry", "loyalty_entrylot"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        for table in (
            "integrations_discrepancy", "loyalty_entrylot", "loyalty_lot", "loyalty_entry", "integrations_delivery",
            "integrations_billline", "integrations_bill", "loyalty_hold", "loyalty_balance", "loyalty_customer",
        ):  # fmt: skip
            cursor.execute(f"DELETE FROM {table} WHERE tenant_id = %s", [tenant.pk])
        for table in ("loyalty_entry", "loyalty_entrylot"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER append_only")


def test_control_without_the_lock_points_are_held_twice(broken_tenant: Tenant, unlocked: None) -> None:
    meera = builders.customer(broken_tenant)
    builders.issue(broken_tenant, meera, 100)
    results = holds_of_10(broken_tenant, meera, 20)
    placed = [result for result in results if not isinstance(result, Exception)]
    assert len(placed) > 10 or not audit_ledger(broken_tenant).ok


@pytest.mark.case(78)
def test_a_double_click_on_issue_is_one_entry(committed: Tenant) -> None:
    meera = builders.customer(committed)

    def press() -> Any:
        return operations.issue(
            committed, meera.pk, points=50, reason="once only", actor=SYSTEM, key="token-1", now=timezone.now()
        )

    results = at_once(committed, [press] * 16)
    assert sorted(result.repeated for result in results) == [False] + [True] * 15
    assert len({result.operation for result in results}) == 1
    assert balance(meera) == (0, 50, 0, 0)


def test_control_without_the_lock_a_double_click_meets_the_unique_key(broken_tenant: Tenant, unlocked: None) -> None:
    meera = builders.customer(broken_tenant)

    def press() -> Any:
        return operations.issue(
            broken_tenant, meera.pk, points=50, reason="once only", actor=SYSTEM, key="token-1", now=timezone.now()
        )

    results = at_once(broken_tenant, [press] * 8)
    assert [result for result in results if isinstance(result, IntegrityError)]
    assert Entry.objects.filter(customer=meera).count() == 1  # the constraint is the second lock


@pytest.mark.case(10)
def test_of_two_agents_on_one_hold_one_wins_and_the_other_sees_who(committed: Tenant) -> None:
    meera = builders.customer(committed, points=100)
    row = builders.hold(committed, meera, 60)

    def release() -> Any:
        return holds.release_hold(committed, row.pk, reason="free them", actor=SYSTEM, now=timezone.now())

    results = at_once(committed, [release] * 8)
    assert Counter(released for _, released in results) == {True: 1, False: 7}
    assert {ended.ended_by for ended, _ in results} == {"Pointdesk"}
    assert Entry.objects.filter(hold=row, kind="release").count() == 1


def test_control_without_the_lock_two_agents_meet_the_unique_key(broken_tenant: Tenant, unlocked: None) -> None:
    meera = builders.customer(broken_tenant, points=100)
    row = builders.hold(broken_tenant, meera, 60)

    def release() -> Any:
        return holds.release_hold(broken_tenant, row.pk, reason="free them", actor=SYSTEM, now=timezone.now())

    results = at_once(broken_tenant, [release] * 8)
    assert [result for result in results if isinstance(result, IntegrityError)]


@pytest.mark.case(11)
def test_an_agent_and_the_bill_on_one_hold_exactly_one_ends_it(committed: Tenant) -> None:
    committed.negative_allowed = True
    committed.save()
    for number in range(6):
        meera = builders.customer(committed, f"+91984000100{number}", points=60)
        row = builders.hold(committed, meera, 60, reference=f"SB-{number}")
        document = paid_with_points(f"A{number}", 60, net="60.00", reference=f"SB-{number}", mobile=meera.mobile)
        inbox.receive(committed, raw(document), source=Source.API, sender=SYSTEM, now=timezone.now())

        def unblock(row: Hold = row) -> Any:
            return holds.release_hold(committed, row.pk, reason="free them", actor=SYSTEM, now=timezone.now())

        at_once(committed, [unblock, lambda: inbox.drain(committed, now=timezone.now())], threads=2)
        inbox.drain(committed, now=timezone.now())
        row.refresh_from_db()
        assert row.state in ("captured", "released")
        assert (row.late_bill_id is not None) == (row.state == "released")
        assert balance(meera) == (0, 0, 0, 0)


def test_one_bill_50_times_from_8_clients_has_one_effect(committed: Tenant) -> None:
    body = raw(bill("A1"))
    results = at_once(
        committed,
        [lambda: inbox.receive(committed, body, source=Source.API, sender=SYSTEM, now=timezone.now()) for _ in range(50)],
    )
    assert Counter(result.duplicate for result in results) == {False: 1, True: 49}
    inbox.drain(committed, now=timezone.now())
    assert balance(Customer.objects.get()) == (0, 10, 0, 0)


def test_a_quarantined_body_sent_again_by_eight_is_retried_once(committed: Tenant) -> None:
    body = raw(bill("A1", store="K9"))
    inbox.receive(committed, body, source=Source.API, sender=SYSTEM, now=timezone.now())
    inbox.drain(committed, now=timezone.now())
    again = [lambda: inbox.receive(committed, body, source=Source.API, sender=SYSTEM, now=timezone.now())] * 16
    results = at_once(committed, again)
    assert {result.state for result in results} == {"received"}


def test_one_key_for_two_customers_at_once_is_a_conflict_and_no_crash(committed: Tenant) -> None:
    people = [builders.customer(committed, f"+91984000300{number}") for number in range(8)]

    def press(to: Customer) -> Callable[[], Any]:
        return lambda: operations.issue(committed, to.pk, points=5, reason="once", actor=SYSTEM, key="same", now=timezone.now())

    results = at_once(committed, [press(person) for person in people])
    assert Counter(type(result).__name__ for result in results) == {"Posted": 1, "KeyReused": 7}


def test_many_workers_on_one_inbox_book_each_bill_once(committed: Tenant) -> None:
    for number in range(60):
        document = bill(f"A{number}", mobile=f"+9198400020{number % 7:02d}")
        inbox.receive(committed, raw(document), source=Source.API, sender=SYSTEM, now=timezone.now())
    at_once(committed, [lambda: inbox.process(committed, now=timezone.now(), rows_max=7) for _ in range(40)], threads=4)
    inbox.drain(committed, now=timezone.now())
    assert Counter(Delivery.objects.values_list("state", flat=True)) == {"applied": 60}
    assert Entry.objects.filter(kind="earn").count() == 60


def test_holds_while_bills_flow_lose_nothing(committed: Tenant) -> None:
    meera = builders.customer(committed, points=1000)
    store = Store.objects.get(code="K1")
    for number in range(40):
        inbox.receive(committed, raw(bill(f"A{number}", net="100.00")), source=Source.API, sender=SYSTEM, now=timezone.now())

    def place(number: int) -> Callable[[], Any]:
        return lambda: holds.place_hold(
            committed,
            meera.pk,
            points=3,
            reference=f"SB-{number}",
            store=store,
            bill_no="",
            at=None,
            actor=SYSTEM,
            now=timezone.now(),
        )

    work: list[Callable[[], Any]] = [lambda: inbox.drain(committed, now=timezone.now())]
    results = at_once(committed, [*work, *(place(number) for number in range(60))], threads=6)
    inbox.drain(committed, now=timezone.now())
    assert not [result for result in results if isinstance(result, Exception)]
    assert balance(meera) == (0, 1000 + 40 - 180, 180, 0)


def test_a_lock_that_is_not_had_in_time_is_said_and_not_waited_for(committed: Tenant) -> None:
    meera = builders.customer(committed, points=100)
    held, done = threading.Event(), threading.Event()

    def sit_on_it() -> None:
        with scope(tenant=committed), ledger.open(committed, [meera.pk], now=timezone.now()):
            held.set()
            done.wait(10)
        connection.close()

    sitter = threading.Thread(target=sit_on_it)
    sitter.start()
    held.wait(5)
    try:
        with pytest.raises(OperationalError) as caught, connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
            builders.issue(committed, meera, 5)
        assert caught.value.__cause__.sqlstate == "55P03"  # type: ignore[union-attr]
    finally:
        done.set()
        sitter.join()
        connection.close()
