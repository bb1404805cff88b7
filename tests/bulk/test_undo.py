"""Undoing a job: what it gave is taken back and what it took comes back, with its dates; what was spent meanwhile is a choice (CASES 87)."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from loyalty import identity, operations, sweeps
from loyalty.models import Customer, CustomerStatus, Entry, Lot
from support.bulk import jobs, running
from support.bulk.jobs import Select
from support.bulk.models import BulkJob, JobState
from support.bulk.progress import progress
from tenants.access import Access
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import Tenant
from tests import builders
from tests.builders import balance
from tests.bulk.conftest import Preview, available, finished, run, told

pytestmark = pytest.mark.case(87)


def spend(customer: Customer, points: int) -> None:
    operations.adjust(
        customer.tenant,
        customer.pk,
        points=-points,
        reason="spent",
        actor=SYSTEM,
        key=f"s{Entry.objects.count()}",
        now=timezone.now(),
    )


def undone(job: BulkJob, access: Access, spent: str = "leave", **more: Any) -> BulkJob:
    return finished(jobs.undo(job.pk, access=access, spent=spent, key=f"u{BulkJob.objects.count()}", now=timezone.now(), **more))


def test_what_was_given_is_taken_back(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = run(preview(points=50), alice_may)
    undo = undone(job, alice_may)
    assert (undo.state, undo.of_job_id, undo.count, undo.sum) == (JobState.DONE, job.pk, 5, -250)
    assert available(*crowd) == [0, 100, 200, 300, 400]
    assert undo.reason == f"Undo of job {job.pk}: for a test"


def test_what_was_taken_comes_back_with_its_dates(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    early, late = timezone.now().date() + timedelta(days=30), timezone.now().date() + timedelta(days=90)
    Lot.objects.filter(customer=crowd[4]).update(expires_on=early, granted_until=early)
    builders.issue(kulfi, crowd[4], 70)
    Lot.objects.filter(customer=crowd[4], granted=70).update(expires_on=late, granted_until=late)
    job = run(preview(points=-450, select=Select(ids=[crowd[4].pk])), alice_may)
    assert balance(crowd[4])[1] == 20
    assert undone(job, alice_may).state == JobState.DONE
    lots = Lot.objects.filter(customer=crowd[4]).values_list("available", "expires_on")
    assert sorted(lots) == [(70, late), (400, early)]


@pytest.mark.parametrize("type", ["reset", "expire"])
def test_an_emptied_balance_is_filled_again(crowd: list[Customer], preview: Preview, alice_may: Access, type: str) -> None:
    job = run(preview(type), alice_may)
    assert available(*crowd) == [0] * 5
    undone(job, alice_may)
    assert available(*crowd) == [0, 100, 200, 300, 400]


def test_a_moved_expiry_goes_back(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    before = list(Lot.objects.order_by("pk").values_list("expires_on", flat=True))
    job = run(preview("extend", until=timezone.now().date() + timedelta(days=900)), alice_may)
    undone(job, alice_may)
    assert list(Lot.objects.order_by("pk").values_list("expires_on", flat=True)) == before


def test_a_set_balance_goes_back_both_ways(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = run(preview("set", points=150), alice_may)
    undone(job, alice_may)
    assert available(*crowd) == [0, 100, 200, 300, 400]


# Spent meanwhile (vectors 7a-7c)


@pytest.fixture
def spent_job(lenient_kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access) -> BulkJob:
    """100 for two customers; the first has spent 60 of them since."""
    job = run(preview(points=100, select=Select(ids=[crowd[0].pk, crowd[1].pk])), alice_may)
    spend(crowd[0], 60)
    return job


@pytest.mark.parametrize(
    ("spent", "expected", "told_of"),
    [
        ("leave", (0, 40, 0, 0), {"skipped: points_spent": 1}),
        ("take", (0, 0, 0, 0), {"short: points_spent": 1}),
        ("debt", (0, 0, 0, 60), {}),
    ],
)
def test_spent_points_are_left_taken_or_owed(
    spent_job: BulkJob, crowd: list[Customer], alice_may: Access, spent: str, expected: tuple[int, ...], told_of: dict[str, int]
) -> None:
    undo = undone(spent_job, alice_may, spent)
    assert balance(crowd[0]) == expected
    assert balance(crowd[1]) == (0, 100, 0, 0)
    assert told(undo) == told_of


@pytest.mark.parametrize(("spent", "count", "points"), [("leave", 1, -100), ("take", 2, -140), ("debt", 2, -200)])
def test_the_preview_of_an_undo_says_the_same(
    spent_job: BulkJob, crowd: list[Customer], alice_may: Access, spent: str, count: int, points: int
) -> None:
    undo = undone(spent_job, alice_may, spent, preview_only=True)
    assert (undo.state, undo.count, undo.sum) == (JobState.PREVIEW, count, points)
    assert balance(crowd[0]) == (0, 40, 0, 0)
    run(undo, alice_may)
    assert progress(undo).points == points


def test_without_negative_balances_a_spent_row_is_skipped(
    kulfi: Tenant, spent_job: BulkJob, crowd: list[Customer], alice_may: Access
) -> None:
    Tenant.objects.filter(pk=kulfi.pk).update(negative_allowed=False)
    alice_may.tenant.refresh_from_db()
    undo = undone(spent_job, alice_may, "debt")
    assert told(undo) == {"skipped: negative_off": 1}
    assert balance(crowd[0]) == (0, 40, 0, 0)


def test_what_lapsed_meanwhile_is_no_spending(kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = run(preview(points=100, select=Select(ids=[crowd[0].pk, crowd[1].pk])), alice_may)
    today = timezone.now().date()
    Lot.objects.filter(customer=crowd[0]).update(expires_on=today, granted_until=today)
    sweeps.expire_lots(kulfi, now=timezone.now() + timedelta(days=1))
    undo = undone(job, alice_may)
    assert (undo.sum, told(undo)) == (-100, {"skipped: nothing_to_undo": 1})
    assert available(crowd[0], crowd[1]) == [0, 100]


# Once


def test_a_job_is_undone_once(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = run(preview(points=50), alice_may)
    undone(job, alice_may)
    with pytest.raises(DomainError) as refusal:
        undone(job, alice_may)
    assert refusal.value.code == "undone_already"
    assert available(*crowd) == [0, 100, 200, 300, 400]


def test_of_two_previews_of_an_undo_one_is_run(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = run(preview(points=50), alice_may)
    first, second = (undone(job, alice_may, preview_only=True) for _ in range(2))
    run(first, alice_may)
    with pytest.raises(DomainError) as refusal:
        run(second, alice_may)
    assert refusal.value.code == "undone_already"


def test_the_same_key_undoes_once(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = run(preview(points=50), alice_may)
    first = jobs.undo(job.pk, access=alice_may, key="u", now=timezone.now())
    assert jobs.undo(job.pk, access=alice_may, key="u", now=timezone.now()).pk == first.pk


def test_what_an_agent_undid_alone_is_not_undone_again(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    job = run(preview(points=50), alice_may)
    entry = Entry.objects.get(job_id=job.pk, customer=crowd[1])
    operations.reverse(kulfi, entry.operation, reason="by hand", actor=SYSTEM, now=timezone.now())
    undo = undone(job, alice_may)
    assert undo.preview["skips"] == {"nothing_to_undo": 1}
    assert told(undo) == {"skipped: nothing_to_undo": 1}
    assert available(*crowd) == [0, 100, 200, 300, 400]


def test_an_undo_finds_who_was_merged_since(kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = run(preview(points=50), alice_may)
    identity.merge(kulfi, crowd[0].pk, crowd[1].pk, reason="one person", actor=SYSTEM, now=timezone.now())
    undone(job, alice_may)
    assert available(*crowd[1:]) == [100, 200, 300, 400]


def test_who_is_merged_while_an_undo_waits_is_listed_and_the_others_go_on(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    job = run(preview(points=50), alice_may)
    rajan = builders.customer(kulfi, "+919840009999")
    undo = jobs.undo(job.pk, access=alice_may, key="u", now=timezone.now())
    identity.merge(kulfi, crowd[0].pk, rajan.pk, reason="one person", actor=SYSTEM, now=timezone.now())
    finished(undo)
    assert told(undo) == {"skipped: customer_merged": 1}
    assert available(rajan, *crowd[1:]) == [50, 100, 200, 300, 400]


def test_who_was_merged_after_the_preview_of_an_undo_is_found(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    job = run(preview(points=50), alice_may)
    undo = undone(job, alice_may, preview_only=True)
    rajan = builders.customer(kulfi, "+919840009999")
    identity.merge(kulfi, crowd[0].pk, rajan.pk, reason="one person", actor=SYSTEM, now=timezone.now())
    run(undo, alice_may)
    assert available(rajan, *crowd[1:]) == [0, 100, 200, 300, 400]


def test_an_undo_leaves_who_was_erased_and_reaches_who_is_blocked(
    crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    job = run(preview(points=50), alice_may)
    undo = jobs.undo(job.pk, access=alice_may, key="u", now=timezone.now())
    Customer.objects.filter(pk=crowd[0].pk).update(status=CustomerStatus.ERASED)
    Customer.objects.filter(pk=crowd[1].pk).update(status=CustomerStatus.BLOCKED)
    finished(undo)
    assert told(undo) == {"skipped: customer_erased": 1}
    assert available(*crowd) == [50, 100, 200, 300, 400]


def test_a_cancelled_job_is_undone_as_far_as_it_came(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = jobs.confirm(preview(points=50).pk, access=alice_may, phrase="all customers of Kulfi House", now=timezone.now())
    turn = running.Turn(job, now=timezone.now())
    turn.rows = 2
    assert running._step(turn, now=timezone.now()) == 2
    jobs.cancel(job.pk, access=alice_may, now=timezone.now())
    assert sum(available(*crowd)) == 1100
    undo = undone(job, alice_may)
    assert undo.chosen == 2
    assert available(*crowd) == [0, 100, 200, 300, 400]


def test_a_job_that_changed_nothing_has_nothing_to_undo(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = jobs.cancel(preview(points=50).pk, access=alice_may, now=timezone.now())
    with pytest.raises(DomainError) as refusal:
        undone(job, alice_may)
    assert refusal.value.code == "nothing_to_undo"


def test_a_running_job_is_cancelled_before_it_is_undone(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = jobs.confirm(preview(points=50).pk, access=alice_may, phrase="all customers of Kulfi House", now=timezone.now())
    with pytest.raises(DomainError, match="Cancel it first"):
        undone(job, alice_may)
