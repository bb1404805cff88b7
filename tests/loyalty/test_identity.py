"""Two customers that are one, numbers that change, numbers that go to somebody else."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_scopes import scope

from loyalty import campaigns, customers, holds, identity, operations
from loyalty.identity import Merged
from loyalty.ledger import CustomerMerged, KeyReused
from loyalty.models import Cohort, CohortMember, Customer, CustomerMerge, Entry, Hold, Lot, ProgrammeVersion
from tenants.actors import SYSTEM, Actor, ActorKind
from tenants.errors import DomainError
from tenants.models import Tenant
from tests import builders
from tests.builders import MEERA, balance, bill, deliver, paid_with_points

OTHER = "+919840054321"
FIRST_DAY = date(2026, 1, 1)
BOB = Actor(ActorKind.PERSON, 1, "bob@kulfi.example")
ALICE = Actor(ActorKind.PERSON, 2, "alice@kulfi.example")


def merge(source: Customer, into: Customer) -> Merged:
    return identity.merge(source.tenant, source.pk, into.pk, reason="the same person", actor=BOB, now=timezone.now())


def on_lists(customer: Customer) -> list[str]:
    return list(CohortMember.objects.filter(customer=customer, valid_until=None).values_list("cohort__name", flat=True))


def unmerge(row: CustomerMerge) -> CustomerMerge:
    return identity.unmerge(row.tenant, row.pk, reason="two people after all", actor=BOB, now=timezone.now())


@pytest.fixture
def two(lenient_kulfi: Tenant) -> tuple[Customer, Customer, Hold]:
    """Vector 6: A has 10 available and 20 blocked; B owes 15."""
    a = builders.customer(lenient_kulfi, OTHER, points=20, name="Meera Old")
    hold = builders.hold(lenient_kulfi, a, 20)
    builders.issue(lenient_kulfi, a, 10)
    b = builders.customer(lenient_kulfi)
    operations.adjust(
        lenient_kulfi, b.pk, points=-15, reason="for a test", actor=SYSTEM, key="b", now=timezone.now(), allow_debt=True
    )
    return a, b, hold


@pytest.mark.case(95)
def test_a_merge_moves_lots_holds_and_debt_and_pays_once(two: tuple[Customer, Customer, Hold]) -> None:
    a, b, hold = two
    merge(a, b)
    assert (balance(a), balance(b)) == ((0, 0, 0, 0), (0, 0, 20, 5))
    assert set(Lot.objects.values_list("customer", flat=True)) == {b.pk}
    holds.release_hold(a.tenant, hold.pk, reason="it never came", actor=SYSTEM, now=timezone.now())
    assert balance(b) == (0, 15, 0, 0)


@pytest.mark.case(95)
def test_merging_again_changes_nothing(two: tuple[Customer, Customer, Hold]) -> None:
    a, b, _ = two
    first, again = merge(a, b), merge(a, b)
    assert (again.merge, again.repeated) == (first.merge, True)
    with pytest.raises(CustomerMerged, match="merged into another one"):
        operations.issue(a.tenant, a.pk, points=5, reason="to the old one", actor=SYSTEM, key="k", now=timezone.now())
    with pytest.raises(DomainError, match="the same customer"):
        merge(b, b)


@pytest.mark.case(96)
def test_bills_for_the_merged_number_land_on_the_survivor(two: tuple[Customer, Customer, Hold]) -> None:
    a, b, hold = two
    merge(a, b)
    deliver(a.tenant, paid_with_points("A1", 20, mobile=OTHER, reference=hold.reference), bill("A2", mobile=OTHER))
    assert balance(b) == (0, 14, 0, 0)
    assert Hold.objects.get().state == "captured"
    assert customers.find(a.tenant, [OTHER, MEERA]) == {OTHER: b.pk, MEERA: b.pk}


@pytest.mark.case(96)
def test_a_bill_under_way_while_the_customer_is_merged_finds_the_survivor(
    two: tuple[Customer, Customer, Hold], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, _ = two
    real = customers.find_or_create
    calls: list[Merged] = []

    def merged_meanwhile(tenant: Tenant, stubs: dict[str, customers.Stub]) -> dict[str, int]:
        found = real(tenant, stubs)
        if not calls:
            calls.append(merge(a, b))
        return found

    monkeypatch.setattr("integrations.booking.customers.find_or_create", merged_meanwhile)
    (delivery,) = deliver(a.tenant, bill("A1", mobile=OTHER))
    assert delivery.state == "applied"
    assert balance(b) == (0, 5, 20, 0)


@pytest.mark.case(97)
def test_an_unmerge_puts_everything_back(two: tuple[Customer, Customer, Hold]) -> None:
    a, b, _ = two
    row = merge(a, b).merge
    unmerge(row)
    assert (balance(a), balance(b)) == ((0, 10, 20, 0), (0, 0, 0, 15))
    assert customers.find(a.tenant, [OTHER]) == {OTHER: a.pk}
    assert Hold.objects.get().customer_id == a.pk
    with pytest.raises(DomainError, match="taken back already"):
        unmerge(row)
    merge(a, b)
    assert balance(b) == (0, 0, 20, 5)


@pytest.mark.case(97)
def test_a_carried_debt_goes_back_too(lenient_kulfi: Tenant) -> None:
    a, b = builders.customer(lenient_kulfi, OTHER), builders.customer(lenient_kulfi, points=10)
    operations.adjust(
        lenient_kulfi, a.pk, points=-15, reason="for a test", actor=SYSTEM, key="b", now=timezone.now(), allow_debt=True
    )
    row = merge(a, b).merge
    assert balance(b) == (0, 0, 0, 5)
    unmerge(row)
    assert (balance(a), balance(b)) == ((0, 0, 0, 15), (0, 10, 0, 0))


@pytest.mark.case(97)
def test_an_unmerge_is_refused_once_the_moved_points_were_used(two: tuple[Customer, Customer, Hold]) -> None:
    a, b, hold = two
    row = merge(a, b).merge
    holds.release_hold(a.tenant, hold.pk, reason="it never came", actor=SYSTEM, now=timezone.now())
    with pytest.raises(DomainError, match="nobody can say whose they were"):
        unmerge(row)
    assert balance(b) == (0, 15, 0, 0)


@pytest.mark.case(97)
def test_what_the_survivor_did_alone_does_not_stand_in_the_way(two: tuple[Customer, Customer, Hold]) -> None:
    a, b, _ = two
    row = merge(a, b).merge
    assert row.operation is not None
    operations.adjust(a.tenant, b.pk, points=-7, reason="for a test", actor=SYSTEM, key="c", now=timezone.now(), allow_debt=True)
    unmerge(row)
    assert (balance(a), balance(b)) == ((0, 10, 20, 0), (0, 0, 0, 22))


@pytest.mark.case(97)
def test_a_further_merge_that_was_taken_back_does_not_stand_in_the_way(two: tuple[Customer, Customer, Hold]) -> None:
    a, b, _ = two
    c = builders.customer(a.tenant, "+919840099999")
    operations.adjust(a.tenant, c.pk, points=-4, reason="for a test", actor=SYSTEM, key="c", now=timezone.now(), allow_debt=True)
    first = merge(a, b).merge
    second = merge(b, c).merge
    assert balance(c) == (0, 0, 20, 9)
    unmerge(second)
    unmerge(first)
    assert (balance(a), balance(b), balance(c)) == ((0, 10, 20, 0), (0, 0, 0, 15), (0, 0, 0, 4))


@pytest.mark.case(97)
def test_after_an_unmerge_everybody_is_on_their_own_lists_again(two: tuple[Customer, Customer, Hold]) -> None:
    a, b, _ = two
    ours, both = (Cohort.objects.create(tenant=a.tenant, name=name) for name in ("ours", "both"))
    campaigns.put_on_list(a.tenant, ours.pk, {OTHER}, valid_from=FIRST_DAY)
    campaigns.put_on_list(a.tenant, both.pk, {OTHER, MEERA}, valid_from=FIRST_DAY)
    row = merge(a, b).merge
    assert set(on_lists(b)) == {"ours", "both"}
    unmerge(row)
    assert (set(on_lists(a)), on_lists(b)) == ({"ours", "both"}, ["both"])


@pytest.mark.case(78, 95)
def test_a_retry_after_the_merge_gets_the_first_answer(two: tuple[Customer, Customer, Hold]) -> None:
    a, b, _ = two

    def issue(customer: Customer, points: int) -> operations.Posted:
        return operations.issue(
            a.tenant, customer.pk, points=points, reason="a kind word", actor=SYSTEM, key="k", now=timezone.now()
        )

    first = issue(a, 5)
    merge(a, b)
    again = issue(b, 5)
    assert (again.operation, again.repeated, again.after) == (first.operation, True, first.after)
    assert balance(b) == (0, 0, 20, 0)
    with pytest.raises(KeyReused):
        issue(b, 6)


def test_what_nobody_knows_is_refused_by_name(kulfi: Tenant) -> None:
    act: dict[str, Any] = {"reason": "for a test", "actor": BOB, "now": timezone.now()}
    decide: dict[str, Any] = {"approve": True, "actor": BOB, "now": timezone.now()}
    attempts: dict[str, Callable[[], object]] = {
        "merge_unknown": lambda: identity.unmerge(kulfi, 7, **act),
        "unknown_customer": lambda: identity.change_mobile(kulfi, 7, OTHER, **act),
        "hold_unknown": lambda: holds.release_hold(kulfi, 7, **act),
        "move_unknown": lambda: identity.decide_number_move(kulfi, 7, **decide),
    }
    for code, attempt in attempts.items():
        with pytest.raises(DomainError) as refusal:
            attempt()
        assert refusal.value.code == code


def test_a_bill_of_the_merged_customer_is_undone_at_the_survivor(lenient_kulfi: Tenant) -> None:
    a, b = builders.customer(lenient_kulfi, OTHER), builders.customer(lenient_kulfi, points=50)
    deliver(lenient_kulfi, paid_with_points("A1", 30, net="1030.00", mobile=OTHER))
    booked = Entry.objects.filter(bill_id__isnull=False).earliest("id").operation
    assert balance(a) == (0, 0, 0, 20)
    merge(a, b)
    assert balance(b) == (0, 30, 0, 0)
    operations.reverse(lenient_kulfi, booked, reason="cancelled", actor=SYSTEM, now=timezone.now())
    assert balance(b) == (0, 50, 0, 0)


def test_merges_chain_and_numbers_follow(lenient_kulfi: Tenant) -> None:
    a, b = builders.customer(lenient_kulfi, OTHER, points=5), builders.customer(lenient_kulfi, points=7)
    c = builders.customer(lenient_kulfi, "+919840099999", points=1)
    merge(a, b)
    merge(b, c)
    assert balance(c) == (0, 13, 0, 0)
    assert set(customers.find(lenient_kulfi, [OTHER, MEERA]).values()) == {c.pk}
    assert sorted(customers.families(lenient_kulfi, [c.pk])) == sorted([a.pk, b.pk, c.pk])


@pytest.mark.case(92)
def test_customers_of_two_tenants_are_never_merged(kulfi: Tenant, liberty: Tenant) -> None:
    ours = builders.customer(kulfi)
    with scope(tenant=liberty):
        theirs = builders.customer(liberty, "+12125550123")
    with pytest.raises(DomainError, match="no such customer"):
        merge(ours, theirs)


# Numbers


@pytest.mark.case(93)
def test_bills_that_name_the_old_number_still_land_here(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    identity.change_mobile(kulfi, meera.pk, "98400 54321", reason="she called", actor=BOB, now=timezone.now())
    deliver(kulfi, bill("A1", mobile=MEERA), bill("A2", mobile=OTHER))
    assert balance(meera) == (0, 20, 0, 0)
    identity.change_mobile(kulfi, meera.pk, MEERA, reason="and back again", actor=BOB, now=timezone.now())
    assert set(customers.find(kulfi, [MEERA, OTHER]).values()) == {meera.pk}


@pytest.mark.case(93)
def test_somebody_elses_number_is_refused(kulfi: Tenant) -> None:
    meera, _ = builders.customer(kulfi), builders.customer(kulfi, OTHER)
    with pytest.raises(DomainError, match="Merge the two"):
        identity.change_mobile(kulfi, meera.pk, OTHER, reason="she called", actor=BOB, now=timezone.now())


@pytest.mark.case(80, 94)
def test_a_recycled_number_goes_to_a_new_customer_when_a_second_person_agrees(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=40)
    move = identity.ask_number_move(kulfi, MEERA, reason="a stranger calls", actor=BOB)
    with pytest.raises(DomainError, match="Somebody else has to decide"):
        identity.decide_number_move(kulfi, move.pk, approve=True, actor=BOB, now=timezone.now())
    move = identity.decide_number_move(kulfi, move.pk, approve=True, actor=ALICE, now=timezone.now())
    deliver(kulfi, bill("A1"))
    meera.refresh_from_db()
    assert (balance(meera), meera.has_number, meera.masked_mobile) == ((0, 40, 0, 0), False, "no number")
    assert move.new_owner is not None
    assert balance(move.new_owner) == (0, 10, 0, 0)
    with pytest.raises(DomainError, match="decided this already"):
        identity.decide_number_move(kulfi, move.pk, approve=False, actor=ALICE, now=timezone.now())


@pytest.mark.case(94)
def test_a_refused_move_changes_nothing_and_may_be_asked_again(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    move = identity.ask_number_move(kulfi, MEERA, reason="a stranger calls", actor=BOB)
    with pytest.raises(DomainError, match="asked already"):
        identity.ask_number_move(kulfi, MEERA, reason="a stranger calls", actor=BOB)
    identity.decide_number_move(kulfi, move.pk, approve=False, actor=ALICE, now=timezone.now() + timedelta(days=1))
    assert customers.find(kulfi, [MEERA]) == {MEERA: meera.pk}
    assert identity.ask_number_move(kulfi, MEERA, reason="again", actor=BOB).pk != move.pk


# What a hostile tester found: debts and payments that went through a merge and back


def adjusted(of: Customer, points: int, key: str) -> int:
    return operations.adjust(
        of.tenant, of.pk, points=points, reason="for a test", actor=SYSTEM, key=key, now=timezone.now(), allow_debt=True
    ).operation


def undo(of: Customer, operation: int) -> None:
    operations.reverse(of.tenant, operation, reason="undo it", actor=SYSTEM, now=timezone.now())


@pytest.fixture
def pair(lenient_kulfi: Tenant) -> tuple[Customer, Customer]:
    return builders.customer(lenient_kulfi, OTHER), builders.customer(lenient_kulfi)


@pytest.mark.parametrize("again", [False, True])
def test_a_debt_that_was_merged_and_came_back_is_lifted_where_it_is(pair: tuple[Customer, Customer], again: bool) -> None:
    a, c = pair
    builders.issue(a.tenant, a, 20)
    operation = adjusted(a, -50, "d")
    unmerge(merge(a, c).merge)
    if again:
        merge(a, c)
    undo(a, operation)
    assert (balance(a), balance(c)) == (((0, 0, 0, 0), (0, 20, 0, 0)) if again else ((0, 20, 0, 0), (0, 0, 0, 0)))


def test_a_payment_that_was_undone_with_its_merge_refills_nobody(pair: tuple[Customer, Customer]) -> None:
    a, c = pair
    builders.issue(a.tenant, a, 100)
    operation = adjusted(c, -30, "d")
    unmerge(merge(a, c).merge)
    builders.issue(c.tenant, c, 200)
    undo(c, operation)
    assert (balance(a), balance(c)) == ((0, 100, 0, 0), (0, 200, 0, 0))


def test_an_extension_of_merged_points_keeps_the_merge(pair: tuple[Customer, Customer]) -> None:
    a, c = pair
    builders.issue(a.tenant, a, 100)
    row = merge(a, c).merge
    until = timezone.now().date() + timedelta(days=900)
    operations.extend(c.tenant, c.pk, lots=row.lots, until=until, reason="a kind word", actor=SYSTEM, key="x", now=timezone.now())
    with pytest.raises(DomainError, match="nobody can say whose they were"):
        unmerge(row)


def test_what_changed_owner_between_look_and_lock_is_looked_up_again(
    pair: tuple[Customer, Customer], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, c = pair
    operation = adjusted(a, 100, "a")
    builders.issue(c.tenant, c, 500)
    row = merge(a, c).merge
    real, looks = customers.survivor, []

    def stale(tenant: Tenant, customer_id: int) -> int:
        looks.append(customer_id)
        if len(looks) == 1:
            unmerge(row)
            return c.pk
        return real(tenant, customer_id)

    monkeypatch.setattr("loyalty.operations.customers.survivor", stale)
    undo(a, operation)
    assert (balance(a), balance(c)) == ((0, 0, 0, 0), (0, 500, 0, 0))


def test_a_chain_of_merges_is_undone_at_its_end(pair: tuple[Customer, Customer]) -> None:
    a, b = pair
    c = builders.customer(a.tenant, "+919840099999")
    operation = adjusted(a, 100, "a")
    merge(a, b)
    merge(b, c)
    undo(a, operation)
    assert balance(c) == (0, 0, 0, 0)


def test_visits_caps_and_limits_go_on_with_the_survivor(pair: tuple[Customer, Customer]) -> None:
    a, c = pair
    ProgrammeVersion.objects.update(kind="visit_count")
    deliver(a.tenant, bill("A1", mobile=OTHER))
    merge(a, c)
    deliver(a.tenant, bill("A2"))
    assert balance(c) == (0, 1, 0, 0)


def test_a_reversed_earning_gives_room_on_its_own_day_only(pair: tuple[Customer, Customer]) -> None:
    a, _ = pair
    ProgrammeVersion.objects.update(cap_month=10)
    earlier = (timezone.now() - timedelta(days=40)).isoformat()
    deliver(a.tenant, bill("A1", mobile=OTHER, bill_date=earlier))
    undo(a, Entry.objects.get().operation)
    deliver(a.tenant, bill("A2", mobile=OTHER, net="5000.00"))
    assert balance(a) == (0, 10, 0, 0)
