"""What a hostile look at bulk jobs had found."""

from datetime import date
from typing import Any

import pytest
from django.utils import timezone

from loyalty import operations
from loyalty.models import Customer, ProgrammeVersion
from support.bulk import files, jobs
from support.bulk.jobs import File, Select
from support.bulk.models import BulkJob, BulkSettings, JobState
from support.bulk.progress import progress
from support.models import PointsLimit
from tenants import access as gate
from tenants import staff
from tenants.access import Access
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import ApiKey, Tenant
from tests import builders
from tests.bulk.conftest import Preview, access_of, available, confirmed, finished, run, told
from tests.client import ApiClient
from tests.conftest import _person, key_of


def take(raj: Customer, points: int) -> None:
    operations.adjust(raj.tenant, raj.pk, points=-points, reason="spent", actor=SYSTEM, key=f"t{points}", now=timezone.now())


@pytest.fixture
def mona(kulfi: Tenant) -> Access:
    """A merchant who may move 500 points a day alone."""
    PointsLimit.objects.create(tenant=kulfi, role="merchant", an_act=500, a_day=500)
    return access_of(_person(kulfi, "Mona", "merchant"), kulfi)


# Limits hold for what is there, not for what was there


def test_a_limit_is_judged_by_todays_balances(kulfi: Tenant, crowd: list[Customer], preview: Preview, mona: Access) -> None:
    job = preview("set", access=mona, points=400, select=Select(ids=[crowd[3].pk]))
    assert job.preview["turnover"] == 100
    builders.issue(kulfi, crowd[3], 900_000)
    assert confirmed(job, mona).state == JobState.WAITING


def test_what_has_grown_since_it_was_asked_is_not_approved(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, mona: Access, alice_may: Access
) -> None:
    job = confirmed(preview("set", access=mona, points=1000, select=Select(ids=[crowd[3].pk])), mona)
    assert job.state == JobState.WAITING
    builders.issue(kulfi, crowd[3], 900_000)
    with pytest.raises(DomainError) as refusal:
        jobs.approve(job.pk, access=alice_may, now=timezone.now())
    assert refusal.value.code == "more_than_asked"


def test_an_old_preview_of_an_undo_is_worked_out_anew(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, mona: Access
) -> None:
    job = run(preview(points=400, access=mona, select=Select(ids=[crowd[0].pk])), mona)
    take(crowd[0], 400)
    undo = jobs.undo(job.pk, access=mona, spent="take", key="u", now=timezone.now(), preview_only=True)
    assert undo.count == 0
    builders.issue(kulfi, crowd[0], 9_000)
    assert confirmed(undo, mona).state == JobState.WAITING


def test_somebody_elses_job_goes_on_within_ones_own_limit(
    crowd: list[Customer], preview: Preview, mona: Access, alice_may: Access
) -> None:
    job = confirmed(preview(points=5000), alice_may)
    jobs.pause(job.pk, access=alice_may, now=timezone.now())
    with pytest.raises(DomainError) as refusal:
        jobs.resume(job.pk, access=mona, now=timezone.now())
    assert refusal.value.code == "above_own_limit"


@pytest.mark.parametrize(("type", "wanted"), [("set", {"points": 0}), ("expire", {})])
def test_who_may_not_reset_may_not_empty_under_another_name(
    crowd: list[Customer], preview: Preview, kulfi: Tenant, type: str, wanted: dict[str, Any]
) -> None:
    moe = access_of(_person(kulfi, "Moe", "merchant"), kulfi)
    assert confirmed(preview(type, access=moe, **wanted), moe).state == JobState.WAITING


def test_a_key_that_may_forgive_debts_no_more_stops(kulfi: Tenant, crowd: list[Customer], preview: Preview) -> None:
    made = staff.create_api_key(kulfi, scopes=["support", "support:debt"], actor=SYSTEM)
    key = gate.of_key(made.key, now=timezone.now())
    assert key is not None
    job = confirmed(preview("reset", access=key, clear_debt=True), key)
    ApiKey.objects.update(scopes=["support"])
    assert finished(job).state == JobState.PAUSED
    assert available(*crowd) == [0, 100, 200, 300, 400]


# Two people are two people


def test_a_key_does_not_approve_what_a_person_asks_for(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    BulkSettings.objects.create(tenant=kulfi, customers_alone=1)
    job = confirmed(preview(points=5), alice_may)
    answer = ApiClient(key_of(kulfi, "support")).post(f"/bulk-jobs/{job.pk}/approve", {})
    assert (answer.status, answer.code) == (403, "own_request")


def test_who_chose_it_is_no_second_person(kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    BulkSettings.objects.create(tenant=kulfi, customers_alone=1)
    key = gate.of_key(staff.create_api_key(kulfi, scopes=["support"], actor=SYSTEM).key, now=timezone.now())
    assert key is not None
    job = confirmed(preview(points=5), key)
    assert job.state == JobState.WAITING
    with pytest.raises(DomainError, match="chosen this yourself"):
        jobs.approve(job.pk, access=alice_may, now=timezone.now())


# Lists


@pytest.mark.parametrize(
    ("text", "points"),
    [("1,000", 1000), ("1,00,000", 100_000), ("5.0", 5), ("5.00", 5), ("+5", 5), ("-5", -5), ("1,5", None), ("12,50", None), ("0,5", None),
     (",5", None), ("1,,2", None), ("1.5", None), ("1.000,00", None), ("٣", None)],
)  # fmt: skip
def test_a_decimal_comma_is_no_thousand(crowd: list[Customer], preview: Preview, text: str, points: int | None) -> None:
    job = preview(select=Select(file=File("x.csv", f'mobile,points\n9840000004,"{text}"\n'.encode())))
    assert (job.count, job.sum) == ((1, points) if points else (0, 0))


def test_the_error_file_keeps_signs(crowd: list[Customer], preview: Preview) -> None:
    job = preview(select=Select(file=File("x.csv", b"mobile,points,reason\n98,-5,=x\n")))
    text = "".join(files.error_lines(job))
    assert ",-5,'=x,2," in text
    again = preview(select=Select(file=File("x.csv", text.replace("98,", "9840000004,", 1).encode())))
    assert (again.count, again.sum, again.blocks.get().reasons) == (1, -5, ["=x"])


def test_a_job_cancelled_while_its_file_is_read_stays_cancelled(
    crowd: list[Customer], preview: Preview, alice_may: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "AT_ONCE", 0)
    job = preview(select=Select(file=File("x.csv", b"mobile,points\n9840000004,5\n")))
    real = files._take

    def cancelled(*about: Any) -> None:
        real(*about)
        jobs.cancel(job.pk, access=alice_may, now=timezone.now())

    monkeypatch.setattr(files, "_take", cancelled)
    assert finished(job).state == JobState.CANCELLED


# Undoing


def test_a_part_that_an_agent_undid_is_skipped_and_not_failed(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    job = run(preview(points=100, select=Select(ids=[crowd[0].pk])), alice_may)
    take(crowd[0], 60)
    operation = job.blocks.get().operations[0]
    operations.reverse(kulfi, operation, reason="by hand", actor=SYSTEM, now=timezone.now())
    builders.issue(kulfi, crowd[0], 500)
    undo = jobs.undo(job.pk, access=alice_may, spent="take", key="u", now=timezone.now(), preview_only=True)
    assert undo.preview["skips"] == {"nothing_to_undo": 1}


def test_an_undo_that_did_nothing_is_not_the_one_undo(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    first = run(preview("extend", until=date(2031, 1, 1)), alice_may)
    second = run(preview("extend", until=date(2032, 1, 1)), alice_may)
    undo = finished(jobs.undo(first.pk, access=alice_may, key="u1", now=timezone.now()))
    assert (undo.state, told(undo)) == (JobState.CANCELLED, {"skipped: not_reversible": 4})
    finished(jobs.undo(second.pk, access=alice_may, key="u2", now=timezone.now()))
    assert finished(jobs.undo(first.pk, access=alice_may, key="u3", now=timezone.now())).state == JobState.DONE


def test_forgiven_debt_is_owed_again(lenient_kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    operations.adjust(
        lenient_kulfi, crowd[0].pk, points=-40, reason="late", actor=SYSTEM, key="d", now=timezone.now(), allow_debt=True
    )
    job = run(preview("reset", clear_debt=True, select=Select(ids=[crowd[0].pk])), alice_may)
    assert builders.balance(crowd[0])[3] == 0
    finished(jobs.undo(job.pk, access=alice_may, key="u", now=timezone.now()))
    assert builders.balance(crowd[0])[3] == 40


def test_an_undo_is_tried_as_often_as_wanted(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = run(preview(points=5), alice_may)
    undo = jobs.undo(job.pk, access=alice_may, key="u", now=timezone.now(), preview_only=True)
    for _ in range(2):
        tried = finished(jobs.try_it(undo.pk, access=alice_may, now=timezone.now()))
        assert progress(tried).points == -25
    assert available(*crowd) == [5, 105, 205, 305, 405]


# Odd things


def test_without_a_rule_a_job_stops_and_says_so(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    grants, frees = confirmed(preview(points=5), alice_may), confirmed(preview("reset"), alice_may)
    ProgrammeVersion.objects.filter(tenant=kulfi).update(effective_from=date(2090, 1, 1))
    finished(grants)
    assert (grants.state, "No programme rules" in grants.message) == (JobState.PAUSED, True)
    assert finished(frees).state == JobState.DONE


@pytest.mark.parametrize(
    "select",
    [[], {"filter": {"available_min": "--5"}}, {"filter": {"available_min": "0" * 30 + "9" * 5000}}, {"filter": {"\ud800": 1}},
     {"filter": {"tier": ["\ud800"]}}, {"filter": {"active_until": "9999-12-31"}}, {"mobiles": ["\0"]}, {"mobiles": ["\ud800"]}],
)  # fmt: skip
def test_what_no_database_can_hold_is_no_error_of_ours(kulfi: Tenant, crowd: list[Customer], select: Any) -> None:
    body = {"type": "adjust", "select": select, "points": 5, "reason": "for a test"}
    answer = ApiClient(key_of(kulfi, "support")).post("/bulk-jobs", body, HTTP_IDEMPOTENCY_KEY="k")
    assert answer.status in (201, 400, 422)


def test_a_key_that_only_reads_sees_no_number(kulfi: Tenant, crowd: list[Customer]) -> None:
    tool, reader = ApiClient(key_of(kulfi, "support")), ApiClient(key_of(kulfi, "read"))
    body = {"type": "adjust", "select": {"mobiles": [crowd[0].mobile, "9840099999"]}, "points": -5, "reason": "for a test"}
    made = tool.post("/bulk-jobs", body, HTTP_IDEMPOTENCY_KEY="k").body
    shown = reader.get(f"/bulk-jobs/{made['id']}").text
    assert crowd[0].mobile[-10:] in str(made)
    assert crowd[0].mobile[-10:] not in shown
    assert "9840099999" not in shown


def test_a_request_that_nobody_decides_is_forgotten(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    BulkSettings.objects.create(tenant=kulfi, customers_alone=0)
    job = confirmed(preview(points=5), alice_may)
    BulkJob.objects.update(created_at=timezone.now() - jobs.PREVIEW_KEPT * 2)
    jobs.forget_previews(now=timezone.now())
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
