"""What people do to points by hand, on the real database: reset, extend, undo; and what falls due by itself."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.utils import timezone

from loyalty import ledger, operations, sweeps
from loyalty.audit import audit_ledger
from loyalty.ledger import KeyReused
from loyalty.models import Customer, Entry, Lot, ProgrammeVersion
from loyalty.netting import Missing
from loyalty.operations import Posted
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import Tenant
from tests import builders
from tests.builders import balance, bill, deliver, paid_with_points


def reset(of: Customer, *, key: str = "r1", **asked: bool) -> Posted:
    return operations.reset(of.tenant, of.pk, reason="start anew", actor=SYSTEM, key=key, now=timezone.now(), **asked)


def reverse(tenant: Tenant, operation: int, *, missing: Missing = Missing.OWE) -> Posted:
    return operations.reverse(tenant, operation, reason="undo it", actor=SYSTEM, now=timezone.now(), missing=missing)


def adjust(of: Customer, points: int, *, key: str = "a1", allow_debt: bool = False) -> Posted:
    return operations.adjust(
        of.tenant, of.pk, points=points, reason="by hand", actor=SYSTEM, key=key, now=timezone.now(), allow_debt=allow_debt
    )


def kinds(operation: int) -> list[str]:
    found = Entry.objects.filter(operation=operation).order_by("seq")
    return [f"{entry.kind} of {entry.of_kind}" if entry.of_kind else entry.kind for entry in found]


def today(tenant: Tenant) -> date:
    return timezone.now().astimezone(tenant.zone).date()


@pytest.mark.case(71)
def test_a_reset_leaves_blocked_points_and_happens_once(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    builders.hold(kulfi, meera, 30)
    first, again = reset(meera), reset(meera)
    assert (again.operation, again.repeated) == (first.operation, True)
    assert balance(meera) == (0, 0, 30, 0)


@pytest.mark.case(71)
def test_a_reset_of_nothing_writes_nothing(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    assert (reset(meera).operation, Entry.objects.count()) == (0, 0)


@pytest.mark.case(71)
@pytest.mark.parametrize(("clear", "left"), [(False, 30), (True, 0)])
def test_a_reset_clears_debt_only_when_asked(lenient_kulfi: Tenant, clear: bool, left: int) -> None:
    meera = builders.customer(lenient_kulfi)
    adjust(meera, -30, allow_debt=True)
    reset(meera, clear_debt=clear)
    assert balance(meera) == (0, 0, 0, left)


def test_debts_that_were_cleared_are_not_paid_again(lenient_kulfi: Tenant) -> None:
    meera = builders.customer(lenient_kulfi)
    adjust(meera, -30, allow_debt=True)
    reset(meera, clear_debt=True)
    builders.issue(lenient_kulfi, meera, 50)
    assert balance(meera) == (0, 50, 0, 0)


@pytest.mark.case(87)
@pytest.mark.parametrize(("missing", "expected", "short"), [(Missing.OWE, (0, 0, 0, 60), 0), (Missing.LEAVE, (0, 0, 0, 0), 60)])
def test_an_undone_adjustment_owes_or_leaves_what_was_spent(
    lenient_kulfi: Tenant, missing: Missing, expected: tuple[int, int, int, int], short: int
) -> None:
    meera = builders.customer(lenient_kulfi)
    added = adjust(meera, 100)
    adjust(meera, -60, key="a2")
    assert reverse(lenient_kulfi, added.operation, missing=missing).short == short
    assert balance(meera) == expected


@pytest.mark.case(87)
def test_an_operation_is_undone_once(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    added = adjust(meera, 100)
    first, again = reverse(kulfi, added.operation), reverse(kulfi, added.operation)
    assert (again.operation, again.repeated, balance(meera)) == (first.operation, True, (0, 0, 0, 0))
    with pytest.raises(DomainError) as refusal:
        reverse(kulfi, first.operation)
    assert refusal.value.code == "not_reversible"


@pytest.mark.case(21)
@pytest.mark.parametrize("issued", [0, 200])
def test_an_undone_bill_gives_back_what_it_spent_and_takes_what_it_earned(lenient_kulfi: Tenant, issued: int) -> None:
    meera = builders.customer(lenient_kulfi, points=issued)
    deliver(lenient_kulfi, paid_with_points("A1", 30, net="1030.00"))
    booked = Entry.objects.filter(bill_id__isnull=False).earliest("id").operation
    undone = reverse(lenient_kulfi, booked)
    assert balance(meera) == (0, issued, 0, 0)
    assert kinds(undone.operation) == ["reversal of redeem" if issued else "reversal of debt", "reversal of earn"]


def test_a_debt_paid_meanwhile_refills_the_lots_that_paid_it(lenient_kulfi: Tenant) -> None:
    meera = builders.customer(lenient_kulfi)
    taken = adjust(meera, -30, allow_debt=True)
    builders.issue(lenient_kulfi, meera, 20)
    builders.issue(lenient_kulfi, meera, 20)
    assert balance(meera) == (0, 10, 0, 0)
    reverse(lenient_kulfi, taken.operation)
    assert balance(meera) == (0, 40, 0, 0)
    assert [lot.available for lot in Lot.objects.order_by("entry_id")] == [20, 20]


def test_an_undone_deduction_returns_to_its_lots_and_dates(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    lot = Lot.objects.get()
    taken = adjust(meera, -70)
    reverse(kulfi, taken.operation)
    lot.refresh_from_db()
    assert (lot.available, Lot.objects.count()) == (100, 1)


@pytest.mark.parametrize("what", ["hold", "nothing"])
def test_what_cannot_be_undone_says_what_to_do_instead(kulfi: Tenant, what: str) -> None:
    meera = builders.customer(kulfi, points=100)
    held = builders.hold(kulfi, meera, 30)
    operation = Entry.objects.get(kind="hold").operation
    if what == "nothing":
        builders.release(kulfi, held)
        operation = Entry.objects.get(kind="release").operation
    with pytest.raises(DomainError, match=r"release them instead|Nothing of this operation"):
        reverse(kulfi, operation)


def test_an_unknown_operation_is_refused(kulfi: Tenant, liberty: Tenant) -> None:
    added = adjust(builders.customer(kulfi), 5)
    for tenant, number in ((kulfi, 10**9), (liberty, added.operation)):
        with pytest.raises(DomainError, match="There is no such operation"):
            reverse(tenant, number)


# Dates


def expiring(tenant: Tenant, points: int, *, in_days: int) -> tuple[Customer, Lot]:
    meera = builders.customer(tenant, points=points)
    builders.expire_on(today(tenant) + timedelta(days=in_days))
    return meera, Lot.objects.get()


@pytest.mark.case(77)
def test_an_extension_keeps_points_beyond_their_day_and_can_be_undone(kulfi: Tenant) -> None:
    meera, lot = expiring(kulfi, 50, in_days=1)
    until = today(kulfi) + timedelta(days=30)
    extended = operations.extend(
        kulfi, meera.pk, lots=[lot.pk], until=until, reason="a kind word", actor=SYSTEM, key="x", now=timezone.now()
    )
    assert sweeps.expire_lots(kulfi, now=timezone.now() + timedelta(days=2)).done == 0
    assert Entry.objects.get(kind="extend").snapshot["lots"][0]["points"] == 50
    reverse(kulfi, extended.operation)
    assert sweeps.expire_lots(kulfi, now=timezone.now() + timedelta(days=2)).points == 50


@pytest.mark.parametrize("lots", [[], [10**9]])
def test_an_extension_of_no_lot_or_a_strange_one_is_refused(kulfi: Tenant, lots: list[int]) -> None:
    meera, lot = expiring(kulfi, 50, in_days=1)
    with pytest.raises(DomainError, match="Reload and choose again"):
        operations.extend(
            kulfi, meera.pk, lots=[*lots, *([lot.pk] if lots else [])], until=today(kulfi) + timedelta(days=9), reason="a kind word",
            actor=SYSTEM, key="x", now=timezone.now(),
        )  # fmt: skip


@pytest.mark.case(73)
def test_lots_expire_once_at_the_end_of_their_day(kulfi: Tenant) -> None:
    meera, _ = expiring(kulfi, 50, in_days=1)
    assert sweeps.expire_lots(kulfi, now=timezone.now()).done == 0
    tomorrow = timezone.now() + timedelta(days=1)
    assert (sweeps.expire_lots(kulfi, now=tomorrow).points, sweeps.expire_lots(kulfi, now=tomorrow).points) == (50, 0)
    assert balance(meera) == (0, 0, 0, 0)


@pytest.mark.case(12, 73)
def test_a_held_lot_waits_and_its_rest_expires(kulfi: Tenant) -> None:
    meera, _ = expiring(kulfi, 50, in_days=1)
    held = builders.hold(kulfi, meera, 20)
    sweeps.expire_lots(kulfi, now=timezone.now() + timedelta(days=1))
    assert balance(meera) == (0, 0, 20, 0)
    builders.release(kulfi, held)
    assert balance(meera) == (0, 20, 0, 0), "the release happens today, when they have not lapsed"


@pytest.mark.case(74)
def test_an_adjustment_expires_by_its_date_and_never_without_one(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    adjust(meera, 10)
    ProgrammeVersion.objects.update(validity_days=0)
    adjust(meera, 20, key="a2")
    sweeps.expire_lots(kulfi, now=timezone.now() + timedelta(days=366))
    assert balance(meera) == (0, 20, 0, 0)


@pytest.mark.case(75)
def test_what_was_spent_of_a_lot_does_not_expire_again(kulfi: Tenant) -> None:
    meera, _ = expiring(kulfi, 50, in_days=1)
    adjust(meera, -30)
    builders.issue(kulfi, meera, 7)
    sweeps.expire_lots(kulfi, now=timezone.now() + timedelta(days=1))
    assert balance(meera) == (0, 7, 0, 0)


@pytest.mark.case(58, 67)
def test_pending_points_activate_on_their_day_and_pay_the_debt(lenient_kulfi: Tenant) -> None:
    ProgrammeVersion.objects.update(pending_days=10)
    meera = builders.customer(lenient_kulfi)
    adjust(meera, -4, allow_debt=True)
    deliver(lenient_kulfi, bill("A1"))
    assert balance(meera) == (10, 0, 0, 4)
    assert sweeps.activate_pending(lenient_kulfi, now=timezone.now() + timedelta(days=9)).done == 0
    run = sweeps.activate_pending(lenient_kulfi, now=timezone.now() + timedelta(days=10))
    assert (run.done, run.points, balance(meera)) == (1, 10, (0, 6, 0, 0))


@pytest.mark.case(15)
def test_a_sweep_goes_on_past_a_customer_it_cannot_do(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = expiring(kulfi, 50, in_days=1)
    second = builders.customer(kulfi, "+919840054321", points=5)
    builders.expire_on(today(kulfi))
    real = ledger.open

    def broken(tenant: Tenant, ids: list[int], **options: Any) -> Any:
        if first.pk in ids:
            raise RuntimeError("a broken row")
        return real(tenant, ids, **options)

    monkeypatch.setattr("loyalty.sweeps.ledger.open", broken)
    run = sweeps.expire_lots(kulfi, now=timezone.now())
    assert (run.points, list(run.failed)) == (5, [f"customer {first.pk}"])
    assert balance(second) == (0, 0, 0, 0)


@pytest.mark.case(68)
def test_debts_outlive_the_setting_and_are_still_paid(lenient_kulfi: Tenant) -> None:
    meera = builders.customer(lenient_kulfi)
    adjust(meera, -30, allow_debt=True)
    lenient_kulfi.negative_allowed = False
    lenient_kulfi.save()
    meera = Customer.objects.get()
    with pytest.raises(DomainError, match="Only 0 points are available"):
        adjust(meera, -1, key="a2", allow_debt=True)
    builders.issue(lenient_kulfi, meera, 50)
    assert balance(meera) == (0, 20, 0, 0)


@pytest.mark.case(62)
def test_an_earning_is_taken_back_as_it_was_whatever_the_rule_says_now(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    deliver(kulfi, bill("A1"))
    booked = Entry.objects.get().operation
    ProgrammeVersion.objects.update(earn_per=1)
    reverse(kulfi, booked)
    assert balance(meera) == (0, 0, 0, 0)


def test_an_undone_bill_takes_nothing_for_points_that_ran_out_unspent(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    deliver(kulfi, bill("A1"))
    builders.expire_on(today(kulfi))
    sweeps.expire_lots(kulfi, now=timezone.now())
    builders.issue(kulfi, meera, 50)
    booked = Entry.objects.earliest("id").operation
    with pytest.raises(DomainError, match="Nothing of this operation is left"):
        reverse(kulfi, booked)
    assert balance(meera) == (0, 50, 0, 0)


def test_a_bill_that_lapsed_on_arrival_is_undone_without_a_trace_in_the_balance(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=50)
    ProgrammeVersion.objects.update(validity_days=1)
    kulfi.refresh_from_db()
    deliver(kulfi, paid_with_points("A1", 20, net="1020.00", bill_date=(timezone.now() - timedelta(days=3)).isoformat()))
    booked = Entry.objects.filter(bill_id__isnull=False).earliest("id").operation
    assert kinds(booked) == ["redeem", "earn", "expire"]
    undone = reverse(kulfi, booked)
    assert (kinds(undone.operation), balance(meera)) == (["reversal of redeem"], (0, 50, 0, 0))


@pytest.mark.case(2, 21)
def test_a_late_completion_is_undone_to_its_lots_and_what_lapsed_expires(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=50)
    held = builders.hold(kulfi, meera, 50)
    builders.expire_on(today(kulfi))
    builders.release(kulfi, held)
    assert balance(meera) == (0, 0, 0, 0)
    deliver(kulfi, paid_with_points("A1", 50, net="50.00", reference=held.reference))
    booked = Entry.objects.filter(bill_id__isnull=False).earliest("id").operation
    assert kinds(booked) == ["reversal of expire", "redeem"]
    assert kinds(reverse(kulfi, booked).operation) == ["reversal of redeem", "expire"]
    assert balance(meera) == (0, 0, 0, 0)


def test_an_undo_with_debt_cannot_be_undone_by_its_debt(lenient_kulfi: Tenant) -> None:
    meera = builders.customer(lenient_kulfi)
    added = adjust(meera, 100)
    adjust(meera, -60, key="a2")
    undone = reverse(lenient_kulfi, added.operation)
    with pytest.raises(DomainError, match="It undid something itself"):
        reverse(lenient_kulfi, undone.operation)
    assert balance(meera) == (0, 0, 0, 60)


# What a hostile tester found


def late_bill_setup(tenant: Tenant) -> tuple[Customer, Any]:
    meera = builders.customer(tenant, points=100)
    return meera, builders.hold(tenant, meera, 50)


def test_the_release_of_a_hold_cannot_be_undone_not_even_what_it_let_expire(kulfi: Tenant) -> None:
    meera, held = late_bill_setup(kulfi)
    builders.expire_on(today(kulfi))
    builders.release(kulfi, held)
    with pytest.raises(DomainError, match="Nothing of this operation"):
        reverse(kulfi, Entry.objects.get(kind="release").operation)
    assert balance(meera) == (0, 50, 0, 0), "the rest of the lot waits for the sweep"


@pytest.mark.case(78)
def test_a_reset_that_found_nothing_finds_nothing_again_whatever_came_since(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    assert reset(meera).operation == 0
    builders.issue(kulfi, meera, 500)
    again = reset(meera)
    assert (again.operation, again.repeated, again.available, balance(meera)) == (0, True, 0, (0, 500, 0, 0))
    with pytest.raises(KeyReused):
        reset(meera, pending=True)


def test_one_key_is_one_request_whatever_it_asks_for(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    adjust(meera, 5, key="same")
    with pytest.raises(KeyReused) as refusal:
        reset(meera, key="same")
    assert refusal.value.details == {"key": "same"}
    assert balance(meera) == (0, 5, 0, 0)


def test_extensions_are_undone_the_last_one_first(kulfi: Tenant) -> None:
    meera, lot = expiring(kulfi, 50, in_days=1)
    first, second = (
        operations.extend(
            kulfi, meera.pk, lots=[lot.pk], until=today(kulfi) + timedelta(days=days), reason="a kind word", actor=SYSTEM, key=f"x{days}",
            now=timezone.now(),
        )
        for days in (30, 60)
    )  # fmt: skip
    with pytest.raises(DomainError, match="Undo the later extension first"):
        reverse(kulfi, first.operation)
    reverse(kulfi, second.operation)
    reverse(kulfi, first.operation)
    lot.refresh_from_db()
    assert lot.expires_on == today(kulfi) + timedelta(days=1)


def test_the_largest_issue_leaves_the_auditor_able_to_read(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    for _ in range(12):
        builders.issue(kulfi, meera, 10**12)
    report = audit_ledger(kulfi)
    assert (report.ok, report.entries) == (True, 12)
