"""The shell on a real database: what is written is what the core said; one key is one set of entries."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from django_scopes import ScopeError, scope

from loyalty import holds, ledger, operations, sweeps
from loyalty.ledger import Operation, content_hash
from loyalty.models import Customer, Entry, EntryLot, Hold, Lot, ProgrammeVersion
from loyalty.programmes import RuleBook
from loyalty.state import Kind
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import Tenant
from tests import builders
from tests.builders import balance, hold, issue, release


def test_issued_points_are_an_entry_a_lot_and_a_balance(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=50)
    entry = Entry.objects.get(customer=meera)
    assert (entry.kind, entry.available, entry.actor_name) == ("issue", 50, "Pointdesk")
    assert Lot.objects.get(customer=meera).pk == entry.pk
    assert balance(meera) == (0, 50, 0, 0)


def test_issued_points_last_as_long_as_the_programme_says(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=50)
    lot = Lot.objects.get(customer=meera)
    assert lot.expires_on == lot.granted_on + timedelta(days=365)


@pytest.mark.case(78)
def test_the_same_key_again_gives_the_first_result(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    first = issue(kulfi, meera, 50, key="once")
    again = issue(kulfi, meera, 50, key="once")
    assert (again.operation, again.repeated) == (first.operation, True)
    assert balance(meera) == (0, 50, 0, 0)


def test_the_same_key_with_other_content_is_a_conflict(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    issue(kulfi, meera, 50, key="once")
    with pytest.raises(ledger.KeyReused, match="used before for a different request"):
        issue(kulfi, meera, 60, key="once")
    assert balance(meera) == (0, 50, 0, 0)


def test_keys_of_two_tenants_do_not_meet(kulfi: Tenant, liberty: Tenant) -> None:
    issue(kulfi, builders.customer(kulfi), 50, key="once")
    with scope(tenant=liberty):
        assert not issue(liberty, builders.customer(liberty, "+15005550100"), 70, key="once").repeated


@pytest.mark.case(82)
@pytest.mark.parametrize("reason", ["", "  ", "ab", " a ", "x" * 501])
def test_a_reason_has_3_to_500_characters_after_trimming(kulfi: Tenant, reason: str) -> None:
    meera = builders.customer(kulfi)
    with pytest.raises(DomainError, match="3 to 500 characters"):
        operations.issue(kulfi, meera.pk, points=5, reason=reason, actor=SYSTEM, key="k", now=timezone.now())


@pytest.mark.parametrize("table", ["loyalty_entry", "loyalty_entrylot"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_history_cannot_be_changed_even_in_sql(kulfi: Tenant, table: str, statement: str) -> None:
    builders.customer(kulfi, points=50)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(statement.format(table))


def test_balances_below_zero_are_refused_by_the_database_too(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    with pytest.raises(DatabaseError, match="balance_buckets_not_negative"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE loyalty_balance SET available = -1 WHERE customer_id = %s", [meera.pk])


def test_a_query_without_a_scope_raises(liberty: Tenant) -> None:
    with pytest.raises(ScopeError):
        Customer.objects.count()


def test_an_unknown_customer_is_named(kulfi: Tenant) -> None:
    with pytest.raises(DomainError, match="no such customer"), ledger.open(kulfi, [999_999_999], now=timezone.now()):
        pass


def test_another_tenants_customer_is_unknown_here(kulfi: Tenant, liberty: Tenant) -> None:
    with scope(tenant=liberty):
        theirs = builders.customer(liberty, "+15005550100")
    with pytest.raises(DomainError, match="no such customer"):
        issue(kulfi, theirs, 5)


def test_a_book_of_many_writes_each_table_once(kulfi: Tenant, django_assert_max_num_queries: object) -> None:
    people = [builders.customer(kulfi, f"+9198400{number:05d}") for number in range(30)]
    now = timezone.now()
    today = now.date()
    terms = RuleBook(kulfi).rule(store_id=None, on=today).terms(today)
    with django_assert_max_num_queries(12), ledger.open(kulfi, [person.pk for person in people], now=now) as book:  # type: ignore[operator]
        for person in people:
            operation = Operation(
                SYSTEM, "a gift", f"gift:{person.pk}", content_hash(person.pk), now, now.astimezone(kulfi.zone).date()
            )
            with book.operation(person.pk, operation) as account:
                account.issue(7, terms=terms, today=today)
    assert {balance(person) for person in people} == {(0, 7, 0, 0)}


def test_a_book_that_raises_writes_nothing(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=50)
    now = timezone.now()
    with pytest.raises(RuntimeError), ledger.open(kulfi, [meera.pk], now=now) as book:
        operation = Operation(SYSTEM, "a gift", "gift", 1, now, now.date())
        with book.operation(meera.pk, operation) as account:
            account.issue(7, terms=RuleBook(kulfi).rule(store_id=None, on=now.date()).terms(now.date()), today=now.date())
        raise RuntimeError
    assert balance(meera) == (0, 50, 0, 0)


def test_debts_are_paid_oldest_first_across_books(lenient_kulfi: Tenant) -> None:
    tenant = lenient_kulfi
    meera = builders.customer(tenant)
    builders.deliver(tenant, builders.paid_with_points("A1", 30, net="50.00"), builders.paid_with_points("A2", 20, net="50.00"))
    issue(tenant, meera, 35)
    debts = {entry.pk: entry.owed for entry in Entry.objects.filter(customer=meera, kind="debt").order_by("id")}
    paid = {move.debt_id: -move.delta for move in EntryLot.objects.filter(debt__isnull=False)}
    first, second = debts
    assert (debts[first] - paid[first], debts[second] - paid[second]) == (0, 15)


@pytest.mark.case(8)
def test_the_same_hold_again_is_the_same_hold(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    first = hold(kulfi, meera, 40, reference="SB-1")
    assert hold(kulfi, meera, 40, reference="SB-1").pk == first.pk
    assert balance(meera) == (0, 60, 40, 0)


@pytest.mark.case(10)
def test_a_second_release_changes_nothing_and_says_who_was_first(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    row = hold(kulfi, meera, 40)
    release(kulfi, row)
    again, released = holds.release_hold(kulfi, row.pk, reason="me too", actor=SYSTEM, now=timezone.now())
    assert (released, again.ended_by, again.end_reason) == (False, "Pointdesk", "for a test")
    assert Entry.objects.filter(hold=row, kind=Kind.RELEASE).count() == 1


def test_expired_holds_are_released_by_the_sweep_and_only_those(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    old = hold(kulfi, meera, 40, at=timezone.now() - timedelta(days=101))
    fresh = hold(kulfi, meera, 30)
    result = sweeps.release_expired_holds(kulfi, now=timezone.now())
    assert (result.done, result.points, result.failed) == (1, 40, {})
    assert [Hold.objects.get(pk=row.pk).state for row in (old, fresh)] == ["expired", "active"]
    assert balance(meera) == (0, 70, 30, 0)


def test_the_sweep_run_twice_does_nothing_the_second_time(kulfi: Tenant) -> None:
    hold(kulfi, builders.customer(kulfi, points=100), 40, at=timezone.now() - timedelta(days=101))
    sweeps.release_expired_holds(kulfi, now=timezone.now())
    assert sweeps.release_expired_holds(kulfi, now=timezone.now()).done == 0


@pytest.mark.case(15)
def test_one_customers_failing_release_does_not_stop_the_others(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        hold(kulfi, builders.customer(kulfi, f"+91984000000{n}", points=50), 40, at=timezone.now() - timedelta(days=101))
        for n in range(3)
    ]

    def break_one(tenant: Tenant, ids: list[int], *args: object, **kwargs: object) -> object:
        if rows[1].customer_id in ids:
            raise RuntimeError("this one only")
        return real_open(tenant, ids, *args, **kwargs)  # type: ignore[arg-type]

    real_open = ledger.open
    monkeypatch.setattr(ledger, "open", break_one)
    result = sweeps.release_expired_holds(kulfi, now=timezone.now())
    assert (result.done, list(result.failed)) == (2, [rows[1].reference])
    monkeypatch.setattr(ledger, "open", real_open)
    assert sweeps.release_expired_holds(kulfi, now=timezone.now()).done == 1


def test_a_hold_expires_hold_days_after_it_was_placed(kulfi: Tenant) -> None:
    row = hold(kulfi, builders.customer(kulfi, points=50), 40)
    assert row.expires_at == row.at + timedelta(days=100)


@pytest.mark.case(19)
def test_a_hold_keeps_the_point_value_of_its_day(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    row = hold(kulfi, meera, 40, reference="SB-1")
    first = ProgrammeVersion.objects.get()
    ProgrammeVersion.objects.create(
        tenant=kulfi,
        programme=first.programme,
        version=2,
        effective_from=timezone.now().date(),
        earn_per=100,
        point_value=Decimal(2),
    )
    (delivery,) = builders.deliver(kulfi, builders.paid_with_points("A1", 40, reference="SB-1"))
    assert (row.rate, delivery.state) == (Decimal(1), "applied")
    assert balance(meera) == (0, 69, 0, 0)
