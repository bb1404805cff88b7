"""The preview counts by one statement, the run by the ledger's verbs: where nothing moves in between, they say the same."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from django.utils import timezone

from loyalty import operations
from loyalty.models import Customer, Entry, Lot, ProgrammeVersion
from support.bulk import jobs
from support.bulk.models import BulkJob
from support.bulk.progress import progress
from tenants.access import Access
from tenants.actors import SYSTEM
from tenants.models import Tenant
from tests import builders
from tests.bulk.conftest import Preview, finished, run, told

SOON, FAR = 30, 900


def take(raj: Customer, points: int) -> None:
    """By hand, also what is not there."""
    key = f"t{Entry.objects.count()}"
    operations.adjust(
        raj.tenant, raj.pk, points=-points, reason="by hand", actor=SYSTEM, key=key, now=timezone.now(), allow_debt=True
    )


@pytest.fixture
def odd_crowd(lenient_kulfi: Tenant) -> list[Customer]:
    """Sixteen customers with several lots, some of them pending, blocked, lapsed and not swept yet, or negative."""
    tenant, dice, today = lenient_kulfi, Random(7), timezone.now().date()
    made = []
    for place in range(16):
        raj = builders.customer(tenant, f"+91984100{place:04d}")
        made.append(raj)
        for _ in range(dice.randrange(4)):
            builders.issue(tenant, raj, dice.randrange(1, 200))
        for lot in Lot.objects.filter(customer=raj):
            day = today + timedelta(days=dice.choice([-2, 5, 20, 200, 365]))
            Lot.objects.filter(pk=lot.pk).update(expires_on=day, granted_until=day, granted_on=today - timedelta(days=9))
        usable = sum(lot.available for lot in Lot.objects.filter(customer=raj, expires_on__gt=today))
        if usable and dice.random() < 0.5:
            store = dice.choice(["K1", "K2"])
            builders.hold(
                tenant, raj, dice.randrange(1, usable + 1), store=store, at=timezone.now() - timedelta(days=dice.randrange(20))
            )
        if dice.random() < 0.25:
            operations.adjust(
                tenant,
                raj.pk,
                points=-dice.randrange(1, 300),
                reason="by hand",
                actor=SYSTEM,
                key=f"a{place}",
                now=timezone.now(),
                allow_debt=True,
            )
    ProgrammeVersion.objects.filter(tenant=tenant).update(pending_days=3)
    builders.issue(tenant, made[0], 40)  # pending
    ProgrammeVersion.objects.filter(tenant=tenant).update(pending_days=0)
    return made


JOBS: list[tuple[str, dict[str, Any]]] = [
    ("adjust", {"points": 25}), ("adjust", {"points": -80}), ("adjust", {"points": -80, "allow_debt": True}), ("set", {"points": 60}),
    ("set", {"points": 0}), ("reset", {}), ("reset", {"clear_debt": True}), ("award", {"points": 9}), ("release_holds", {}),
    ("expire", {}), ("expire", {"until": SOON}), ("extend", {"until": FAR}), ("extend", {"until": SOON}),
]  # fmt: skip


@pytest.mark.parametrize(("type", "wanted"), JOBS, ids=lambda value: str(value))
def test_the_run_does_what_the_preview_says(
    odd_crowd: list[Customer], preview: Preview, alice_may: Access, type: str, wanted: dict[str, Any]
) -> None:
    if "until" in wanted:
        wanted = {"until": timezone.now().date() + timedelta(days=wanted["until"])}
    job = preview(type, **wanted)
    promised = (job.count, job.sum, sum(job.preview["skips"].values()))
    tried = finished(jobs.try_it(job.pk, access=alice_may, now=timezone.now()))
    assert _did(tried) == promised
    assert _did(run(job, alice_may)) == promised, told(job)


@pytest.mark.parametrize("spent", ["leave", "take", "debt"])
@pytest.mark.parametrize(("type", "wanted"), [JOBS[0], JOBS[1], JOBS[3], JOBS[5], JOBS[6], JOBS[9]], ids=lambda value: str(value))
def test_an_undo_does_what_its_preview_says(
    odd_crowd: list[Customer], preview: Preview, alice_may: Access, type: str, wanted: dict[str, Any], spent: str
) -> None:
    job = run(preview(type, **wanted), alice_may)
    for raj in odd_crowd[::3]:
        there = builders.balance(raj)[1]
        if there:
            take(raj, 1 + there * 2 // 3)
    undo = jobs.undo(job.pk, access=alice_may, spent=spent, key="u", now=timezone.now(), preview_only=True)
    promised = (undo.count, undo.sum, sum(undo.preview["skips"].values()))
    assert _did(run(undo, alice_may)) == promised, told(undo)


def _did(job: BulkJob) -> tuple[int, int, int]:
    found = progress(job)
    assert (found.failed, found.left) == (0, 0)
    return found.done, found.points, found.skipped
