"""The life of a bulk job: chosen and previewed, confirmed, perhaps approved by a second person, run, paused, cancelled, undone.

What a job does to points is the worker's part (`running`). Every step here is one transaction with its trace.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _
from django_scopes import scope, scopes_disabled

from integrations import bell
from loyalty import customers
from loyalty.ledger import UNWRITABLE, KeyReused, checked_reason, content_hash
from loyalty.models import Bonus
from loyalty.state import check_day, check_points
from support.bulk import choice, files
from support.bulk.choice import Choice
from support.bulk.models import (
    ENDED,
    TRANSITIONS,
    BulkJob,
    JobBlock,
    JobRow,
    JobState,
    JobType,
    Outcome,
    Spent,
)
from support.bulk.progress import progress
from support.bulk.rights import because_of_limits, count_in_own_day, require, require_second, settings_of
from support.bulk.types import TAKES_POINTS, needed_act, skip, words_of
from tenants import audit
from tenants.access import Access
from tenants.actors import SYSTEM, ActorKind
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.uploads import TooBusy, TooDear

WORK = "support.tasks.work_on_job"
#: So many workers go on with one job at once: while one waits for the database, the other works out its entries.
WORKERS = 2
#: Numbers that a request may name; more come as a file.
MOBILES_MAX = 100_000
IDS_MAX = 10_000
#: A preview that nobody confirms is of no use after a while.
PREVIEW_KEPT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks a job to do. `points`: for each customer; negative removes, for `set` it is the balance itself."""

    type: str
    points: int | None = None
    bonus_id: int | None = None
    until: date | None = None
    allow_debt: bool = False
    clear_debt: bool = False
    dry_run: bool = False
    notify: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A list that somebody uploaded."""

    name: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Select:
    """Whom a job is about: exactly one of these."""

    filter: dict[str, Any] | None = None
    mobiles: Sequence[str] | None = None
    ids: Sequence[int] | None = None
    file: File | None = None
    all: bool = False

    def given(self) -> list[str]:
        return [name for name in ("filter", "mobiles", "ids", "file") if getattr(self, name) is not None] + (
            ["all"] if self.all else []
        )


# Choosing


def create(access: Access, wanted: Wanted, select: Select, *, key: str, now: datetime) -> tuple[BulkJob, bool]:
    """A job with its preview; nothing is done. -> (it, whether the key had made it before).

    A long file is read by the worker: its job is `reading` until then.

    Raises: DomainError `forbidden`, `bad_value`, `points_invalid`, `required_field`, `reason_length`, `nothing_chosen`, `file_refused`,
    `column_mismatch` and as the filters; KeyReused.
    """
    tenant = access.tenant
    if len(select.given()) != 1:
        raise DomainError("bad_value", _("Say whom it is about in one way: filter, mobiles, a file, or all."), path="select")
    job = _checked(access, wanted)
    body = select.file.body if select.file else b""
    job.key, job.file_hash = key, files.hash_of(body) if body else ""
    job.fingerprint = content_hash(
        wanted.type, wanted.points, wanted.bonus_id, wanted.until, wanted.allow_debt, wanted.clear_debt, wanted.dry_run, wanted.notify,
        wanted.reason.strip(), select.filter, list(select.mobiles or ()), list(select.ids or ()), select.all, job.file_hash,
    )  # fmt: skip
    if earlier := BulkJob.objects.filter(tenant=tenant, key=key).first():
        if earlier.fingerprint != job.fingerprint:
            raise KeyReused(key)
        return earlier, True
    try:
        with transaction.atomic():
            job.save()
            _choose(job, access, select, now=now)
            audit.record(
                tenant, actor=access.actor, action="preview_job", target=job, reason=job.reason,
                after={"type": job.type, "customers": job.chosen, "dry_run": job.dry_run},
            )  # fmt: skip
    except IntegrityError:  # the same key twice at once: the other one was first
        made = BulkJob.objects.filter(tenant=tenant, key=key).first()
        if made is None:
            raise
        if made.fingerprint != job.fingerprint:
            raise KeyReused(key) from None
        return made, True
    return job, False


def _checked(access: Access, wanted: Wanted) -> BulkJob:
    """The job as it is asked for, not saved. Raises: DomainError."""
    tenant = access.tenant
    if wanted.type not in set(JobType.values) - {JobType.UNDO}:
        raise DomainError("bad_value", _("type is one of {names}.").format(names=", ".join(JobType.values[:-1])), path="type")
    job = BulkJob(
        tenant=tenant, type=wanted.type, points=wanted.points, until=wanted.until, allow_debt=wanted.allow_debt, select={},
        clear_debt=wanted.clear_debt and wanted.type == JobType.RESET, dry_run=wanted.dry_run, notify=wanted.notify,
        reason=checked_reason(wanted.reason) if wanted.reason.strip() else "", asked_by=access.actor.name,
        asked_by_kind=access.actor.kind.value, asked_by_id=access.actor.id, rows_per_second=settings_of(tenant).rows_per_second,
    )  # fmt: skip
    if wanted.bonus_id is not None:
        job.bonus = Bonus.objects.filter(tenant=tenant, pk=wanted.bonus_id).first()
        if job.bonus is None:
            raise DomainError("bad_value", _("There is no such bonus rule. Choose one from the list."), path="bonus")
        if wanted.type == JobType.AWARD and job.points is None:
            job.points = job.bonus.points or None
    require(access, job)
    _check_figures(job)
    return job


def _check_figures(job: BulkJob) -> None:
    """Points where the type wants them, unless a list brings its own."""
    if job.type not in TAKES_POINTS:
        job.points = None
    elif job.points is not None and not (job.type == JobType.SET and job.points == 0):
        check_points(-job.points if job.type == JobType.ADJUST and job.points < 0 else job.points)
    if job.type not in (JobType.EXPIRE, JobType.EXTEND):
        job.until = None
    if job.type == JobType.EXTEND and job.until is None:
        raise DomainError("required_field", _("Say the new expiry date."), path="until")
    if job.until is not None:
        check_day(job.until, path="until")


def _choose(job: BulkJob, access: Access, select: Select, *, now: datetime) -> None:
    if job.type in TAKES_POINTS and job.points is None and select.file is None:
        raise DomainError("required_field", _("Say how many points."), path="points")
    if select.file is not None:
        job.file_name, job.body = UNWRITABLE.sub("", select.file.name)[:200], select.file.body
        job.select = {"file": job.file_name}
        job.state = JobState.READING
        if files.is_short(job) and _is_read_now(job, now=now):
            freeze(job, choice.of_blocks(job), now=now)
        else:
            job.save()
            transaction.on_commit(lambda: bell.send(WORK, job.pk))
        return
    freeze(job, _choice_of(job, access, select, now=now), now=now)


def _is_read_now(job: BulkJob, *, now: datetime) -> bool:
    """Whether its list is read; else there was no time, and the worker goes on where this stopped. Raises: as `files.read`."""
    try:
        files.read(job, now=now, awaited=True)
    except (TooDear, TooBusy):
        return False
    return True


def _choice_of(job: BulkJob, access: Access, select: Select, *, now: datetime) -> Choice:
    if select.all:
        return choice.of_all(job.tenant)
    if select.filter is not None:
        return choice.of_filter(job.tenant, select.filter, type=job.type, now=now)
    if select.ids is not None:
        if len(select.ids) > IDS_MAX:
            raise DomainError(
                "bad_value", _("At most {most:,} customers by hand. Use a filter.").format(most=IDS_MAX), path="ids"
            )
        return choice.of_ids(list(select.ids), said={"by_hand": len(set(select.ids))})
    return _of_mobiles(job, list(select.mobiles or ()))


def _of_mobiles(job: BulkJob, mobiles: list[str]) -> Choice:
    """Numbers in any spelling; one that leads to nobody is told, and the others go on."""
    if len(mobiles) > MOBILES_MAX:
        raise DomainError(
            "bad_value", _("At most {most:,} numbers. Send a file.").format(most=MOBILES_MAX), path="select.mobiles"
        )
    rows: list[JobRow] = []
    wanted: dict[str, str] = {}
    for given in mobiles:
        try:
            number = customers.normalised_mobile(given, region=job.tenant.region)
        except DomainError as refusal:
            rows.append(_refused(job, refusal, given))
            continue
        if number in wanted:
            rows.append(_refused(job, skip("duplicate"), given, mobile=number))
        wanted.setdefault(number, given)
    known = customers.find(job.tenant, wanted)
    rows += [
        _refused(job, skip("unknown_customer"), given, mobile=number) for number, given in wanted.items() if number not in known
    ]
    JobRow.objects.bulk_create(rows, batch_size=1000)
    job.lines_refused = len(rows)
    return choice.of_ids(list(known.values()), said={"mobiles": len(mobiles)})


def _refused(job: BulkJob, refusal: DomainError, given: str, *, mobile: str = "") -> JobRow:
    return JobRow(
        tenant=job.tenant, job=job, outcome=Outcome.REFUSED, code=refusal.code, sentence=refusal.sentence[:500], mobile=mobile,
        given={"mobile": UNWRITABLE.sub("", given)[:60]},
    )  # fmt: skip


def freeze(job: BulkJob, chosen: Choice, *, now: datetime) -> None:
    """Work out the preview, anew where there was one. Raises: DomainError `nothing_chosen`."""
    before = list(job.blocks.values_list("pk", flat=True))
    job.select = chosen.said or job.select
    job.preview.setdefault("by", job.asker.ident)
    _lift_numbers(before)
    choice.freeze(job, chosen, now=now)
    JobBlock.objects.filter(tenant=job.tenant, pk__in=before).delete()
    if not job.chosen and not job.lines_refused:
        raise DomainError("nothing_chosen", _("No customer fits. Choose others."))
    job.state = JobState.PREVIEW
    job.phrase = _("all customers of {brand}").format(brand=job.tenant.name) if chosen.is_all else ""
    job.save()


def _lift_numbers(blocks: list[int]) -> None:
    """Blocks that are read while new ones are written must not have their numbers."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE support_jobblock SET number = -1 - abs(number) - 1000000 WHERE id = ANY(%s)", [blocks])


def refresh(job_id: int, *, access: Access, now: datetime) -> BulkJob:
    """The same choice once more, by today's balances. Raises: DomainError `job_unknown`, `job_state`."""
    with transaction.atomic():
        job = _locked(access.tenant, job_id)
        require(access, job)
        if job.state != JobState.PREVIEW:
            raise _wrong_state(job)
        if job.type == JobType.UNDO:
            chosen = choice.of_job(job)
        elif job.select.get("all"):
            chosen = choice.of_all(job.tenant)
        elif job.select.get("filter"):
            wanted = {name: value for name, value in job.select["filter"].items() if name in choice.FILTERS}
            chosen = choice.of_filter(job.tenant, wanted, type=job.type, now=now)
        else:
            chosen = choice.of_blocks(job)
        freeze(job, chosen, now=now)
    return job


def _work_undo_out(job: BulkJob, *, now: datetime) -> None:
    """Anew, when it is confirmed and approved: whose the points are, and how many are there, may have changed since its preview."""
    if job.type == JobType.UNDO and job.of_job is not None and job.preview.get("as_of") != now.isoformat():
        if not job.dry_run:
            _refuse_undone(job.of_job, but=job)
        freeze(job, choice.of_job(job), now=now)


def _figures(job: BulkJob, now: datetime, anew: bool) -> tuple[int, int]:
    """Customers it changes and points it gives and takes: as previewed, or by today's balances where that is more."""
    count, turnover = job.count, int(job.preview.get("turnover", 0))
    if anew and job.type != JobType.UNDO:
        count_now, turnover_now = choice.figures_now(job, now=now)
        count, turnover = max(count, count_now), max(turnover, turnover_now)
    job.preview["asked"] = [count, turnover]
    return count, turnover


# Its life


def confirm(
    job_id: int, *, access: Access, phrase: str = "", reason: str = "", notify: bool | None = None, now: datetime
) -> BulkJob:
    """Start it, or ask a second person where one is needed. Pressed again, it answers as it is.

    Raises: DomainError `job_unknown`, `job_state`, `reason_length`, `phrase_wrong`, `nothing_chosen`, `undone_already`, `forbidden`.
    """
    with transaction.atomic():
        job = _locked(access.tenant, job_id)
        require(access, job)
        if job.state in (JobState.WAITING, JobState.RUNNING, JobState.PAUSED, JobState.DONE):
            return job
        if job.state != JobState.PREVIEW:
            raise _wrong_state(job)
        job.reason = checked_reason(reason or job.reason)
        if job.phrase and " ".join(phrase.split()).casefold() != job.phrase.casefold():
            raise DomainError(
                "phrase_wrong", _("Type “{phrase}” to confirm. Nothing was changed.").format(phrase=job.phrase), phrase=job.phrase
            )
        _work_undo_out(job, now=now)
        if not job.count and not job.dry_run:
            raise DomainError("nothing_chosen", _("It would change nobody. Look at who is skipped, and why."))
        job.notify = job.notify if notify is None else notify
        job.confirmed_at, job.asked_by = now, access.actor.name
        job.asked_by_kind, job.asked_by_id = access.actor.kind.value, access.actor.id
        job.because = "" if job.dry_run else because_of_limits(job, access, figures=partial(_figures, job, now), now=now)[:300]
        _move(job, JobState.WAITING if job.because else JobState.RUNNING)
        if not job.because:
            _start(job, access, now=now)
        _save_once(job)
        audit.record(
            job.tenant, actor=access.actor, action="ask_job" if job.because else "confirm_job", target=job, reason=job.reason,
            after={"customers": job.count, "points": job.sum, "what": words_of(job)},
        )  # fmt: skip
    return job


def _save_once(job: BulkJob) -> None:
    """Raises: DomainError `undone_already`."""
    try:
        with transaction.atomic():
            job.save()
    except IntegrityError:
        raise DomainError(
            "undone_already", _("This job was undone before, and a job is undone once. Look at the undo.")
        ) from None


def approve(job_id: int, *, access: Access, note: str = "", now: datetime) -> BulkJob:
    """A second person lets it run. Raises: DomainError `forbidden`, `own_request`, `above_own_limit`, `job_unknown`, `job_state`."""
    with transaction.atomic():
        job = _locked(access.tenant, job_id)
        require_second(access, job)
        if job.state in (JobState.RUNNING, JobState.PAUSED, JobState.DONE) and job.decided_at is not None:
            return job
        if job.state != JobState.WAITING:
            raise _wrong_state(job)
        asked = list(job.preview.get("asked", (job.count, 0)))
        _work_undo_out(job, now=now)
        count, turnover = _figures(job, now, True)
        if count > asked[0] or turnover > asked[1]:
            more = _(
                "By now it would change {count:,} customers and move {points:,} points; {asked:,} were asked for. Let it be asked anew."
            )
            raise DomainError("more_than_asked", more.format(count=count, points=turnover, asked=asked[1]))
        count_in_own_day(job, access, turnover, now=now)
        _decide(job, access, now=now)
        _move(job, JobState.RUNNING)
        _start(job, access, now=now)
        job.run_by, job.run_by_kind, job.run_by_id = job.asked_by, job.asked_by_kind, job.asked_by_id  # as it was asked
        job.save()
        audit.record(
            job.tenant,
            actor=access.actor,
            action="approve_job",
            target=job,
            reason=UNWRITABLE.sub("", note).strip()[:500],
            after={"customers": job.count},
        )
    return job


def refuse(job_id: int, *, access: Access, note: str, now: datetime) -> BulkJob:
    """A second person does not let it run. Raises: DomainError `forbidden`, `own_request`, `reason_length`, `job_unknown`, `job_state`."""
    note = checked_reason(note)
    with transaction.atomic():
        job = _locked(access.tenant, job_id)
        require_second(access, job)
        _move(job, JobState.REFUSED)
        _decide(job, access, now=now)
        job.message, job.finished_at = note[:500], now
        job.save()
        audit.record(job.tenant, actor=access.actor, action="refuse_job", target=job, reason=note)
    return job


def _decide(job: BulkJob, access: Access, *, now: datetime) -> None:
    job.decided_by, job.decided_by_kind, job.decided_by_id = access.actor.name, access.actor.kind.value, access.actor.id
    job.decided_at = now


def pause(job_id: int, *, access: Access, now: datetime) -> BulkJob:
    """Nothing more is done once this has answered. Raises: DomainError `forbidden`, `job_unknown`, `job_state`."""
    return _step(
        job_id, JobState.PAUSED, "pause_job", access=access, now=now, message=_("Paused by {who}.").format(who=access.actor.name)
    )


def resume(job_id: int, *, access: Access, now: datetime) -> BulkJob:
    """It goes on where it was, in the name of whoever resumes it. Raises: DomainError `forbidden`, `job_unknown`, `job_state`."""
    with transaction.atomic():
        job = _locked(access.tenant, job_id)
        require(access, job)
        if access.actor.kind is not ActorKind.KEY and job.decided_at is None:
            access.require(needed_act(job))
        if job.state == JobState.RUNNING:
            return job
        if job.state != JobState.PAUSED:
            raise _wrong_state(job)
        another_s = access.actor.ident != job.runner.ident and job.decided_at is None
        if another_s and not job.dry_run:
            count_in_own_day(job, access, int(job.preview["asked"][1]), now=now)
        _move(job, JobState.RUNNING)
        _start(job, access, now=now)
        job.message = ""
        job.save()
        audit.record(job.tenant, actor=access.actor, action="resume_job", target=job, reason=job.reason)
    return job


def cancel(job_id: int, *, access: Access, now: datetime) -> BulkJob:
    """It ends; what is done stays, and can be undone. Raises: DomainError `forbidden`, `job_unknown`, `job_state`."""
    told = _("Cancelled by {who}.").format(who=access.actor.name)
    return _step(job_id, JobState.CANCELLED, "cancel_job", access=access, now=now, message=told)


def _step(job_id: int, into: JobState, action: str, *, access: Access, now: datetime, message: str) -> BulkJob:
    with transaction.atomic(), connection.cursor() as cursor:
        lock_work(cursor, job_id)
        job = _locked(access.tenant, job_id)
        require(access, job)
        if job.state == into:
            return job
        _move(job, into)
        job.message = message[:500]
        if into in ENDED:
            job.finished_at, job.body = now, b""
        job.save()
        audit.record(
            job.tenant, actor=access.actor, action=action, target=job, reason=job.reason, after={"settled": progress(job).settled}
        )
    return job


def undo(
    job_id: int,
    *,
    access: Access,
    spent: str = Spent.LEAVE,
    key: str,
    now: datetime,
    preview_only: bool = False,
    dry_run: bool = False,
) -> BulkJob:
    """A linked job that reverses what a job has posted, once (CASES 87). It starts at once, unless only its preview is wanted.

    Raises: DomainError `forbidden`, `job_unknown`, `job_state`, `not_reversible`, `nothing_to_undo`, `undone_already`, `bad_value`; KeyReused.
    """
    if spent not in Spent.values:
        raise DomainError("bad_value", _("spent is one of {names}.").format(names=", ".join(Spent.values)), path="spent")
    with transaction.atomic():
        of_job = _locked(access.tenant, job_id)
        job = _undo_of(of_job, access, spent=spent, key=key, dry_run=dry_run)
        earlier: BulkJob | None = BulkJob.objects.filter(tenant=access.tenant, key=key).first()
        if earlier is not None:
            if earlier.fingerprint != job.fingerprint:
                raise KeyReused(key)
            return earlier
        _refuse_undone(of_job)
        job.save()
        try:
            freeze(job, choice.of_job(job), now=now)
        except DomainError as refusal:
            if refusal.code == "nothing_chosen":
                raise DomainError("nothing_to_undo", _("This job has changed nothing, so there is nothing to undo.")) from None
            raise
        audit.record(
            access.tenant,
            actor=access.actor,
            action="preview_undo",
            target=job,
            reason=job.reason,
            after={"undoes": of_job.pk, "spent": spent},
        )
        return job if preview_only else confirm(job.pk, access=access, now=now)


COPY_BLOCKS = """
    INSERT INTO support_jobblock (tenant_id, job_id, number, customers, versions, available, owed, points, reasons, lines, undoes, size,
        settled, operations, moved, done, skipped, failed, changed, sum)
    SELECT tenant_id, %s, number, customers, versions, available, owed, points, reasons, lines, undoes, size, 0, '{}', '{}', 0, 0, 0, 0, 0
    FROM support_jobblock WHERE tenant_id = %s AND job_id = %s AND number >= 0
"""


def try_it(job_id: int, *, access: Access, now: datetime) -> BulkJob:
    """The same customers in a job of its own that works everything out and writes nothing to the ledger. It starts at once.

    Raises: DomainError `forbidden`, `job_unknown`, `job_state`.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        job = _locked(access.tenant, job_id)
        require(access, job)
        if job.state not in (JobState.PREVIEW, JobState.WAITING):
            raise _wrong_state(job)
        tried = BulkJob.objects.get(pk=job.pk)
        tried.pk, tried.dry_run, tried.body, tried.phrase, tried.state = None, True, b"", "", JobState.PREVIEW
        before = BulkJob.objects.filter(tenant=job.tenant, key__startswith=f"try:{job.pk}:").count()
        tried.key, tried.of_job = f"try:{job.pk}:{before}", job.of_job or job
        tried.reason = job.reason or _("Tried without effect")
        tried.save(force_insert=True)
        cursor.execute(COPY_BLOCKS, [tried.pk, job.tenant_id, job.pk])
    return confirm(tried.pk, access=access, now=now)


def _refuse_undone(of_job: BulkJob, *, but: BulkJob | None = None) -> None:
    """Raises: DomainError `undone_already`."""
    others = of_job.undone_by.filter(dry_run=False, type=JobType.UNDO).exclude(pk=but.pk if but else 0)
    other = others.exclude(state__in=[JobState.PREVIEW, JobState.CANCELLED, JobState.REFUSED]).first()
    if other is not None:
        told = _("This job was undone before: see job {number}. A job is undone once.")
        raise DomainError("undone_already", told.format(number=other.pk), job=other.pk)


def _undo_of(of_job: BulkJob, access: Access, *, spent: str, key: str, dry_run: bool) -> BulkJob:
    job = BulkJob(
        tenant=access.tenant, type=JobType.UNDO, of_job=of_job, spent=spent, select={"job": of_job.pk}, dry_run=dry_run, key=key,
        reason=_("Undo of job {number}: {reason}").format(number=of_job.pk, reason=of_job.reason)[:500], asked_by=access.actor.name,
        asked_by_kind=access.actor.kind.value, asked_by_id=access.actor.id, rows_per_second=settings_of(access.tenant).rows_per_second,
        fingerprint=content_hash("undo", of_job.pk, spent, dry_run),
    )  # fmt: skip
    require(access, job)
    if of_job.type in (JobType.RELEASE_HOLDS, JobType.UNDO) or of_job.dry_run:
        instead = {
            JobType.RELEASE_HOLDS: _("Freed points may be spent already, and a redemption is never blocked again."),
            JobType.UNDO: _("An undo is not undone. Run the job again."),
        }
        told = instead.get(JobType(of_job.type), _("It was tried without effect."))
        raise DomainError("not_reversible", told)
    if of_job.state not in (JobState.DONE, JobState.CANCELLED):
        told = _("This job is {state}. Cancel it first, then undo what it did.").format(state=of_job.get_state_display())
        raise DomainError("job_state", told)
    return job


def _start(job: BulkJob, access: Access, *, now: datetime) -> None:
    job.started_at, job.going_since = job.started_at or now, now
    job.done_before = progress(job).settled
    job.run_by, job.run_by_kind, job.run_by_id = access.actor.name, access.actor.kind.value, access.actor.id
    transaction.on_commit(lambda: ring(job))


def ring(job: BulkJob) -> None:
    """Tell the workers."""
    for _slot in range(1 if job.rows_per_second else WORKERS):
        bell.send(WORK, job.pk)


def lock_work(cursor: Any, job_id: int, *, shared: bool = False) -> None:
    """Until the transaction ends: chunks share it, and whoever stops the job waits for the chunks under way and lets no other begin.

    A row's lock would do, but that one is not fair: where several share it in turn, who wants it alone waits for ever.
    """
    how = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    cursor.execute(f"SELECT {how}(hashtextextended('bulk job ' || %s, 0))", [job_id])


def _locked(tenant: Tenant, job_id: int) -> BulkJob:
    """Raises: DomainError `job_unknown`."""
    rows = BulkJob.objects.select_for_update(of=["self"], no_key=True).select_related("tenant", "bonus", "of_job").defer("body")
    job: BulkJob | None = rows.filter(tenant=tenant, pk=job_id).first()
    if job is None:
        raise DomainError("job_unknown", _("There is no such job. Choose it from the list."))
    return job


def _move(job: BulkJob, into: JobState) -> None:
    if into not in TRANSITIONS[JobState(job.state)]:
        raise _wrong_state(job)
    job.state = into


def _wrong_state(job: BulkJob) -> DomainError:
    return DomainError(
        "job_state", _("This job is {state}. Nothing was changed.").format(state=job.get_state_display()), state=str(job.state)
    )


def forget_previews(*, now: datetime) -> int:
    """Cancel, of all tenants, what nobody has confirmed in a week, and free what it had frozen. -> how many."""
    old = [JobState.PREVIEW, JobState.READING, JobState.WAITING]
    with scopes_disabled():
        rows = list(
            BulkJob.objects.filter(state__in=old, created_at__lt=now - PREVIEW_KEPT).defer("body").select_related("tenant")
        )
    for row in rows:
        with scope(tenant=row.tenant), transaction.atomic():
            told = _("Nobody confirmed it.")
            if BulkJob.objects.filter(pk=row.pk, state__in=old).update(
                state=JobState.CANCELLED, message=told, finished_at=now, body=b""
            ):
                row.blocks.all().delete()
                row.rows.update(given={}, mobile="")
                audit.record(row.tenant, actor=SYSTEM, action="forget_job", target=row, reason=told)
    return len(rows)
