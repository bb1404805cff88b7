"""One act on many customers: what each type does, whom it skips, what is frozen, and who may."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from loyalty import identity, operations
from loyalty.ledger import KeyReused
from loyalty.models import Cohort, CohortMember, Customer, CustomerStatus, Entry, Lot
from support.bulk import jobs, running
from support.bulk.jobs import Select
from support.bulk.models import BulkJob, BulkSettings, JobState
from support.bulk.progress import progress
from tenants import access as gate
from tenants import staff
from tenants.access import Access
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import ApiKey, AuditEvent, Tenant, User
from tests import builders
from tests.builders import balance
from tests.bulk.conftest import Preview, access_of, available, confirmed, finished, run, told
from tests.conftest import _person


def test_a_preview_counts_and_changes_nothing(crowd: list[Customer], preview: Preview) -> None:
    job = preview(points=-150)
    assert (job.state, job.chosen, job.count, job.sum) == (JobState.PREVIEW, 5, 3, -450)
    assert job.preview["skips"] == {"would_go_negative": 2}
    assert [row["delta"] for row in job.preview["largest"]] == [-150] * 3
    assert available(*crowd) == [0, 100, 200, 300, 400]


def test_points_are_added_to_everybody(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = run(preview(points=50), alice_may)
    assert job.state == JobState.DONE
    assert available(*crowd) == [50, 150, 250, 350, 450]
    found = progress(job)
    assert (found.done, found.skipped, found.failed, found.left, found.points) == (5, 0, 0, 0, 250)
    entry = Entry.objects.filter(job_id=job.pk).first()
    assert (entry.kind, entry.reason, entry.actor_name) == ("adjust", "for a test", "Alice")


@pytest.mark.case(85)
def test_a_row_that_would_go_negative_is_skipped_and_the_others_go_on(
    crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    job = run(preview(points=-150), alice_may)
    assert available(*crowd) == [0, 100, 50, 150, 250]
    assert told(job) == {"skipped: would_go_negative": 2}


@pytest.mark.case(85)
def test_debt_is_made_only_where_it_is_asked_for_and_allowed(
    lenient_kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    job = run(preview(points=-150, allow_debt=True), alice_may)
    assert [balance(row)[3] for row in crowd] == [150, 50, 0, 0, 0]
    assert told(job) == {}


@pytest.mark.case(85)
def test_merged_blocked_and_erased_customers_are_skipped(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    ids = [row.pk for row in crowd]
    job = confirmed(preview(points=10, select=Select(ids=ids)), alice_may)
    identity.merge(kulfi, ids[0], ids[1], reason="one person", actor=SYSTEM, now=timezone.now())
    Customer.objects.filter(pk=ids[2]).update(status=CustomerStatus.BLOCKED)
    finished(job)
    assert told(job) == {"skipped: customer_merged": 1, "skipped: customer_blocked": 1}
    assert available(*crowd) == [0, 110, 200, 310, 410]
    again = preview(points=10, select=Select(ids=ids))
    assert again.preview["skips"] == {"customer_merged": 1, "customer_blocked": 1}


@pytest.mark.case(88)
def test_to_set_is_not_to_add(kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = run(preview("set", points=200), alice_may)
    assert available(*crowd) == [200] * 5
    assert told(job) == {"skipped: nothing_to_do": 1}
    assert progress(job).points == 200 + 100 - 100 - 200


def test_a_set_balance_is_exact_where_something_was_owed(lenient_kulfi: Tenant, preview: Preview, alice_may: Access) -> None:
    raj = builders.customer(lenient_kulfi, points=10)
    operations.adjust(
        lenient_kulfi, raj.pk, points=-40, reason="a mistake", actor=SYSTEM, key="d", now=timezone.now(), allow_debt=True
    )
    run(preview("set", points=100), alice_may)
    assert balance(raj) == (0, 100, 0, 0)


def test_a_reset_takes_what_is_available(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = preview("reset")
    assert (job.count, job.sum, job.preview["skips"]) == (4, -1000, {"nothing_to_do": 1})
    run(job, alice_may)
    assert available(*crowd) == [0] * 5


def test_a_bonus_is_awarded_as_one(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = run(preview("award", points=25), alice_may)
    entry = Entry.objects.filter(job_id=job.pk).first()
    assert (entry.kind, entry.available, entry.snapshot["job"]) == ("bonus", 25, job.pk)


def test_blocked_points_of_a_time_and_store_are_freed(kulfi: Tenant, preview: Preview, alice_may: Access) -> None:
    meera, now = builders.customer(kulfi, points=100), timezone.now()
    builders.hold(kulfi, meera, 10, at=now - timedelta(days=9))
    builders.hold(kulfi, meera, 20, at=now - timedelta(days=1))
    builders.hold(kulfi, meera, 30, at=now - timedelta(days=9), store="K2")
    job = preview("release_holds", select=Select(filter={"holds_older_than": 7, "store": "K1"}))
    assert (job.count, job.sum) == (1, 10)
    run(job, alice_may)
    assert balance(meera) == (0, 50, 50, 0)
    with pytest.raises(DomainError, match="never blocked again"):
        jobs.undo(job.pk, access=alice_may, key="u", now=now)


def test_points_expire_now_that_would_expire_soon(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    soon = timezone.now().date() + timedelta(days=20)
    Lot.objects.filter(customer=crowd[4]).update(expires_on=soon, granted_until=soon)
    job = preview("expire", until=soon)
    assert (job.count, job.sum, job.preview["skips"]) == (1, -400, {"nothing_to_expire": 4})
    run(job, alice_may)
    assert available(*crowd) == [0, 100, 200, 300, 0]


def test_an_expiry_is_extended(kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    far = timezone.now().date() + timedelta(days=900)
    job = preview("extend", until=far)
    assert (job.count, job.sum, job.preview["skips"]) == (4, 1000, {"nothing_to_extend": 1})
    run(job, alice_may)
    assert set(Lot.objects.values_list("expires_on", flat=True)) == {far}
    assert progress(job).points == 1000


# Frozen


@pytest.mark.case(84)
def test_who_is_chosen_is_frozen_and_what_changed_since_is_marked(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    job = preview(points=5, select=Select(filter={"available_min": 300}))
    builders.issue(kulfi, crowd[0], 900)  # fits now, and was not chosen
    operations.adjust(kulfi, crowd[4].pk, points=-300, reason="meanwhile", actor=SYSTEM, key="m", now=timezone.now())
    run(job, alice_may)
    assert available(*crowd) == [900, 100, 200, 305, 105]
    assert told(job) == {"changed: changed_since": 1}
    assert progress(job).changed == 1


def test_a_preview_can_be_worked_out_anew(kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = preview(points=5, select=Select(filter={"available_min": 300}))
    builders.issue(kulfi, crowd[0], 900)
    job = jobs.refresh(job.pk, access=alice_may, now=timezone.now())
    assert job.count == 3
    run(job, alice_may)
    assert available(*crowd) == [905, 100, 200, 305, 405]
    assert told(job) == {}


def test_a_choice_by_hand_is_worked_out_anew_from_its_customers(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    job = preview(points=-50, select=Select(ids=[crowd[0].pk, crowd[1].pk]))
    assert job.count == 1
    builders.issue(kulfi, crowd[0], 900)
    assert jobs.refresh(job.pk, access=alice_may, now=timezone.now()).count == 2


# Whom


def test_numbers_in_any_spelling_and_those_that_lead_to_nobody(crowd: list[Customer], preview: Preview) -> None:
    job = preview(points=5, select=Select(mobiles=["98400 00001", "+919840000001", "9840099999", "nonsense"]))
    assert (job.chosen, job.lines_refused) == (1, 3)
    assert told(job) == {"refused: duplicate": 1, "refused: unknown_customer": 1, "refused: mobile_invalid": 1}


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({"tier": "gold"}, [3, 4]), ({"tier": ["gold", "silver"]}, [2, 3, 4]), ({"available_min": 100, "available_max": 200}, [1, 2]),
        ({"joined_from": "2026-01-03"}, [2, 3, 4]), ({"tier_changed_from": "2026-01-01"}, [2, 3, 4]), ({"tier_changed_until": "2026-01-01"}, []),
        ({"closing_min": 300}, [3, 4]), ({"active_until": "2026-01-01"}, []), ({"cohort": "VIPs"}, [3]), ({"cohort": "Golden"}, [3, 4]),
    ],
)  # fmt: skip
def test_each_filter_finds_its_customers(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, wanted: dict[str, Any], fits: list[int]
) -> None:
    for place, row in enumerate(crowd):
        row.tier = ["", "", "silver", "gold", "gold"][place]
        row.joined_on = builders.DAY0 + timedelta(days=place)
        row.save()
    listed = Cohort.objects.create(tenant=kulfi, name="VIPs")
    CohortMember.objects.create(tenant=kulfi, cohort=listed, customer=crowd[3])
    Cohort.objects.create(tenant=kulfi, name="Golden", tiers=["gold"])
    if not fits:
        with pytest.raises(DomainError, match="No customer fits"):
            preview(points=1, select=Select(filter=wanted))
        return
    job = preview(points=1, select=Select(filter=wanted))
    assert sorted(job.blocks.get().customers) == [crowd[place].pk for place in fits]


def test_customers_of_a_store_are_those_with_a_bill_there(kulfi: Tenant, crowd: list[Customer], preview: Preview) -> None:
    builders.deliver(kulfi, builders.bill("A1", mobile=crowd[2].mobile), builders.bill("A2", mobile=crowd[3].mobile, store="K2"))
    job = preview(points=1, select=Select(filter={"store": "K1"}))
    assert job.blocks.get().customers == [crowd[2].pk]


@pytest.mark.parametrize(
    "wanted",
    [{}, {"colour": "red"}, {"available_min": "many"}, {"joined_from": "tomorrow"}, {"store": "NOWHERE"}, {"cohort": "Nobody"}],
)
def test_a_filter_that_cannot_be_read_is_refused(crowd: list[Customer], preview: Preview, wanted: dict[str, Any]) -> None:
    with pytest.raises(DomainError) as refusal:
        preview(points=1, select=Select(filter=wanted))
    assert refusal.value.code in ("bad_value", "store_unknown")
    assert not BulkJob.objects.exists()


@pytest.mark.parametrize(
    ("type", "wanted", "code"),
    [
        ("adjust", {}, "required_field"), ("adjust", {"points": 0}, "points_invalid"), ("set", {"points": -1}, "points_invalid"),
        ("award", {"points": -1}, "points_invalid"), ("extend", {}, "required_field"), ("undo", {}, "bad_value"), ("x", {}, "bad_value"),
        ("adjust", {"points": 2**70}, "points_invalid"), ("adjust", {"points": 5, "reason": "no"}, "reason_length"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(
    crowd: list[Customer], preview: Preview, type: str, wanted: dict[str, Any], code: str
) -> None:
    with pytest.raises(DomainError) as refusal:
        preview(type, **wanted)
    assert refusal.value.code == code


# Once


def test_one_key_makes_one_job(crowd: list[Customer], preview: Preview) -> None:
    first = preview(points=5, key="same")
    assert preview(points=5, key="same").pk == first.pk
    with pytest.raises(KeyReused):
        preview(points=6, key="same")
    assert BulkJob.objects.count() == 1


def test_confirming_twice_runs_it_once(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = run(preview(points=5), alice_may)
    assert confirmed(job, alice_may).state == JobState.DONE
    finished(job)
    assert available(*crowd) == [5, 105, 205, 305, 405]


def test_pause_resume_and_cancel(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = confirmed(preview(points=5), alice_may)
    now = timezone.now()
    assert jobs.pause(job.pk, access=alice_may, now=now).state == JobState.PAUSED
    finished(job)
    assert available(*crowd) == [0, 100, 200, 300, 400]
    assert jobs.resume(job.pk, access=alice_may, now=now).state == JobState.RUNNING
    job = jobs.cancel(job.pk, access=alice_may, now=now)
    assert finished(job).state == JobState.CANCELLED
    assert available(*crowd) == [0, 100, 200, 300, 400]
    with pytest.raises(DomainError, match="cancelled"):
        jobs.resume(job.pk, access=alice_may, now=now)


def test_a_dry_run_works_everything_out_and_writes_nothing(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    entries = Entry.objects.count()
    job = run(preview(points=-150, dry_run=True), alice_may)
    found = progress(job)
    assert (job.state, found.done, found.skipped, found.points) == (JobState.DONE, 3, 2, -450)
    assert Entry.objects.count() == entries
    assert available(*crowd) == [0, 100, 200, 300, 400]
    with pytest.raises(DomainError, match="without effect"):
        jobs.undo(job.pk, access=alice_may, key="u", now=timezone.now())


# Who may


@pytest.mark.case(89)
def test_for_all_customers_the_brands_name_is_typed(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = preview(points=5)
    for phrase in ("", "all customers", "all customers of Liberty Deli"):
        with pytest.raises(DomainError, match="all customers of Kulfi House"):
            jobs.confirm(job.pk, access=alice_may, phrase=phrase, now=timezone.now())
    assert (
        jobs.confirm(job.pk, access=alice_may, phrase=" All customers of  kulfi house", now=timezone.now()).state
        == JobState.RUNNING
    )


@pytest.mark.case(89)
@pytest.mark.parametrize("limit", [{"customers_alone": 4}, {"points_alone": 24}])
def test_above_the_brands_limit_a_second_person_lets_it_run(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access, limit: dict[str, int]
) -> None:
    BulkSettings.objects.create(tenant=kulfi, **limit)
    job = confirmed(preview(points=5), alice_may)
    assert (job.state, finished(job).state) == (JobState.WAITING, JobState.WAITING)
    with pytest.raises(DomainError, match="yourself"):
        jobs.approve(job.pk, access=alice_may, now=timezone.now())
    mary = access_of(_person(kulfi, "Mary", "admin"), kulfi)
    assert finished(jobs.approve(job.pk, access=mary, now=timezone.now())).state == JobState.DONE
    assert available(*crowd) == [5, 105, 205, 305, 405]
    assert Entry.objects.filter(job_id=job.pk).first().actor_name == "Alice"


def test_a_second_person_may_refuse(kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    BulkSettings.objects.create(tenant=kulfi, customers_alone=0)
    job = confirmed(preview(points=5), alice_may)
    mary = access_of(_person(kulfi, "Mary", "admin"), kulfi)
    assert finished(jobs.refuse(job.pk, access=mary, note="not this month", now=timezone.now())).state == JobState.REFUSED
    assert available(*crowd) == [0, 100, 200, 300, 400]


def test_a_merchant_asks_for_a_reset_and_an_admin_lets_it_run(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    merchant = access_of(_person(kulfi, "Moe", "merchant"), kulfi)
    job = jobs.confirm(
        preview("reset", access=merchant).pk, access=merchant, phrase="all customers of Kulfi House", now=timezone.now()
    )
    assert job.state == JobState.WAITING
    finished(jobs.approve(job.pk, access=alice_may, now=timezone.now()))
    assert available(*crowd) == [0] * 5


def test_an_agent_runs_no_jobs(kulfi: Tenant, crowd: list[Customer], bob: User, preview: Preview) -> None:
    with pytest.raises(DomainError) as refusal:
        preview(points=5, access=access_of(bob, kulfi))
    assert refusal.value.code == "forbidden"


@pytest.mark.case(90)
@pytest.mark.parametrize("how", ["role", "person", "brand"])
def test_a_job_stops_before_the_next_customer_when_its_persons_rights_go(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access, alice: User, how: str
) -> None:
    job = confirmed(preview(points=5), alice_may)
    if how == "role":
        alice.memberships.update(role="agent")
    elif how == "person":
        User.objects.filter(pk=alice.pk).update(is_active=False)
    else:
        Tenant.objects.filter(pk=kulfi.pk).update(is_active=False)
    finished(job)
    assert (job.state, available(*crowd)) == (JobState.PAUSED, [0, 100, 200, 300, 400])
    assert job.message.startswith("Stopped: ")
    assert AuditEvent.objects.filter(action="stop_job").count() == 1
    Tenant.objects.filter(pk=kulfi.pk).update(is_active=True)
    mary = access_of(_person(kulfi, "Mary", "admin"), kulfi)
    resumed = finished(jobs.resume(job.pk, access=mary, now=timezone.now()))
    assert (resumed.state, available(*crowd)) == (JobState.DONE, [5, 105, 205, 305, 405])
    assert {entry.actor_name for entry in Entry.objects.filter(job_id=job.pk)} == {"Mary"}


@pytest.mark.case(80)
def test_nobody_changes_their_own_points_by_a_job(
    kulfi: Tenant, crowd: list[Customer], preview: Preview, alice_may: Access, alice: User, bob: User
) -> None:
    alice.memberships.update(mobile=crowd[3].mobile)
    bob.memberships.update(mobile=crowd[4].mobile)
    job = preview(points=5)
    assert job.preview["skips"] == {"own_number": 1, "colleague_number": 1}
    run(job, alice_may)
    assert available(*crowd) == [5, 105, 205, 300, 400]
    assert told(job) == {"skipped: own_number": 1, "skipped: colleague_number": 1}


def test_every_step_leaves_its_trace(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = confirmed(preview(points=5), alice_may)
    jobs.pause(job.pk, access=alice_may, now=timezone.now())
    jobs.resume(job.pk, access=alice_may, now=timezone.now())
    finished(job)
    trail = AuditEvent.objects.filter(object_type="support.bulkjob", object_id=str(job.pk)).order_by("pk")
    assert list(trail.values_list("action", flat=True)) == ["preview_job", "confirm_job", "pause_job", "resume_job", "run_job"]


def test_one_customer_that_fails_stops_no_other(
    crowd: list[Customer], preview: Preview, alice_may: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = confirmed(preview(points=5), alice_may)
    key = f"job:{job.pk}:{crowd[2].pk}"
    real = running._operation

    def doubled(turn: Any, customer: int, **about: Any) -> Any:
        made = real(turn, customer, **about)
        if made.key == key:
            raise RuntimeError("nobody foresaw this")
        return made

    monkeypatch.setattr(running, "_operation", doubled)
    finished(job)
    assert (job.state, told(job)) == (JobState.DONE, {"failed: failed": 1})
    assert available(*crowd) == [5, 105, 200, 305, 405]


def test_a_key_of_the_api_goes_on_only_while_it_is_valid(kulfi: Tenant, crowd: list[Customer], preview: Preview) -> None:
    made = staff.create_api_key(kulfi, scopes=["support"], actor=SYSTEM)
    access = gate.of_key(made.key, now=timezone.now())
    assert access is not None
    job = confirmed(preview(points=5, access=access), access)
    ApiKey.objects.update(revoked_at=timezone.now())
    finished(job)
    assert (job.state, available(*crowd)) == (JobState.PAUSED, [0, 100, 200, 300, 400])


def test_previews_that_nobody_confirms_are_forgotten(crowd: list[Customer], preview: Preview) -> None:
    job = preview(points=5)
    assert jobs.forget_previews(now=timezone.now() + timedelta(days=6)) == 0
    assert jobs.forget_previews(now=timezone.now() + timedelta(days=8)) == 1
    job.refresh_from_db()
    assert (job.state, job.blocks.count()) == (JobState.CANCELLED, 0)


def test_a_reset_has_no_points_of_its_own(crowd: list[Customer], preview: Preview) -> None:
    assert preview("reset", points=5).points is None
