"""The worker's part of a bulk job: some customers at a time, each chunk one transaction with their entries and outcomes.

A chunk locks its block and its customers for about a quarter of a second, so that a till that wants one of them waits no longer. What is
settled stands in the block, in the same transaction as the entries: whoever is killed leaves nothing half done, and nobody does it twice.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django_scopes import scope

from integrations import messages
from loyalty import ledger
from loyalty.account import Account
from loyalty.ledger import REASON_MAX, Book, Operation, OwnerChanged, content_hash, retried
from loyalty.models import CustomerStatus
from support import limits
from support.bulk import choice, files, jobs
from support.bulk.models import BulkJob, JobState, JobType, Outcome
from support.bulk.progress import progress
from support.bulk.rights import scopes_of
from support.bulk.types import KINDS, Plan, Told, needed_act, skip
from tenants import audit, crash, statistics
from tenants.access import Act
from tenants.actors import ActorKind
from tenants.errors import DomainError
from tenants.models import ApiKey, Tenant, User
from tenants.runs import alone
from tenants.setwise import insert, insert_sql

log = structlog.get_logger("pointdesk.bulk")
#: A chunk should take so long, and begins with so many customers.
CHUNK_SECONDS, CHUNK_FIRST, CHUNK_LEAST = 0.2, 250, 25
#: So long a worker stays with one job before it looks what else waits.
TURN_SECONDS = 3.0
#: Rows that a job's young tables have before their statistics are learnt.
TABLES = ("loyalty_entry", "loyalty_lot", "loyalty_entrylot", "loyalty_balance", "support_jobblock", "support_jobrow")

#: The next block with work left that no other worker holds, and the next part of it.
TAKE = """
    WITH free AS (
        SELECT id, settled, size FROM support_jobblock
        WHERE tenant_id = %(tenant)s AND job_id = %(job)s AND number >= 0 AND settled < size
        ORDER BY number LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    )
    SELECT b.id, free.settled, b.customers[free.settled + 1:free.settled + %(rows)s], b.versions[free.settled + 1:free.settled + %(rows)s],
        b.points[free.settled + 1:free.settled + %(rows)s], b.reasons[free.settled + 1:free.settled + %(rows)s],
        b.undoes[free.settled + 1:free.settled + %(rows)s]
    FROM support_jobblock b JOIN free ON free.id = b.id
"""
STATE = "SELECT state FROM support_bulkjob WHERE tenant_id = %s AND id = %s"
SETTLE = """
    UPDATE support_jobblock SET settled = settled + %s, operations = operations || %s::bigint[], moved = moved || %s::bigint[], done = done + %s,
        skipped = skipped + %s, failed = failed + %s, changed = changed + %s, sum = sum + %s WHERE tenant_id = %s AND id = %s
"""
LEFT = "SELECT count(*) FROM support_jobblock WHERE tenant_id = %s AND job_id = %s AND number >= 0 AND settled < size"
NOT_ACTIVE = "SELECT id, status FROM loyalty_customer WHERE tenant_id = %s AND id = ANY(%s) AND status <> 'active'"
UNDONE = "SELECT DISTINCT key FROM loyalty_entry WHERE tenant_id = %s AND key = ANY(%s)"
INSERT_ROWS = insert_sql(
    "support_jobrow",
    {
        "tenant_id": "bigint", "job_id": "bigint", "customer_id": "bigint", "outcome": "text", "code": "text", "sentence": "text",
        "points": "bigint", "line": "integer", "mobile": "text", "given": "jsonb",
    },
)  # fmt: skip


@dataclass(slots=True)
class Settled:
    """What became of the customers of a chunk, in their order."""

    operations: list[int | Operation] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    told: list[tuple[int, Outcome, str, str, int | None]] = field(default_factory=list)
    done: int = 0
    skipped: int = 0
    failed: int = 0
    changed: int = 0
    sum: int = 0


NOWHERE = (0, 0)
#: How many customers fitted into this process's last chunk, by type of job: the next turn need not begin from nothing.
_fitted: dict[str, int] = {}


class Turn:
    """A worker's stay with a job: what all its chunks share, and how large the next one is."""

    def __init__(self, job: BulkJob, *, now: datetime) -> None:
        self.job = job
        self.plan = Plan.of(job, now=now)
        self.kind = KINDS[job.type]
        self.actor = job.runner
        staff = choice.staff_customers(job.tenant)
        asker = job.asked_by_id if job.asked_by_kind == ActorKind.PERSON else None
        self.staff = {customer: "own_number" if user == asker else "colleague_number" for customer, user in staff.items()}
        self.rows = max(CHUNK_FIRST, _fitted.get(job.type, 0) // 2)
        #: So many are done one by one, after a chunk failed for a reason that nobody foresaw.
        self.careful = 0
        #: Block and place of the last chunk.
        self.at = NOWHERE

    def fits(self, took: float, rows: int) -> None:
        """The next chunk takes about a fifth of a second. It grows slowly: what it costs depends on who else wants its customers."""
        wanted = rows * min(1.3, max(0.3, CHUNK_SECONDS / max(took, 0.001)))
        _fitted[self.job.type] = self.rows = max(CHUNK_LEAST, min(choice.BLOCK, int(wanted)))


def work_on(job: BulkJob, *, clock: Callable[[], datetime] = timezone.now, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Do what the job's state asks for, for a turn. -> whether something of it is left for this worker."""
    with scope(tenant=job.tenant):
        if job.state == JobState.READING:
            _read(job, now=clock())
            return False
        if job.state != JobState.RUNNING:
            return False
        for slot in range(1 if job.rows_per_second else jobs.WORKERS):
            with alone(f"bulk job {job.pk}/{slot}") as ours:
                if ours:
                    return _turn(job, clock=clock, sleep=sleep)
    return False


def _turn(job: BulkJob, *, clock: Callable[[], datetime], sleep: Callable[[float], None]) -> bool:
    try:
        turn = Turn(job, now=clock())
    except DomainError as refusal:  # no rule is in force, for example
        _stop(job, refusal.sentence)
        return False
    ends = time.monotonic() + TURN_SECONDS
    while time.monotonic() < ends:
        began = time.monotonic()
        rows = _step(turn, now=clock())
        if rows is None:
            return False
        if not rows:
            _finish(job, now=clock())
            return False
        took = time.monotonic() - began
        turn.fits(took, rows)
        if job.rows_per_second:
            sleep(max(0.0, rows / job.rows_per_second - took))
    statistics.learn(TABLES)
    return True


def _step(turn: Turn, *, now: datetime) -> int | None:
    """One chunk. -> customers settled; 0: nothing is free; None: the job does not run any more."""
    rows = turn.rows if not turn.careful else 1
    if turn.job.rows_per_second:
        rows = max(1, min(rows, turn.job.rows_per_second))
    turn.at = NOWHERE
    try:
        settled = retried(lambda: _chunk(turn, rows=rows, now=now))
    except _Stopped as stopped:
        _stop(turn.job, str(stopped))
        return None
    except (OperationalError, InterfaceError):
        raise  # an engine is away, or a lock was not to be had: the same again later
    except Exception as problem:
        if turn.at == NOWHERE:
            raise  # nothing was taken yet: it is no customer's trouble
        # Its type only: what PostgreSQL says of a failing row holds the row.
        log.error("chunk failed", job=turn.job.pk, rows=rows, error=type(problem).__name__)
        if rows > 1:
            turn.careful = rows  # one by one, so that one customer stops no other
            return 1
        because = skip("customer_merged" if isinstance(problem, OwnerChanged) else "failed")
        settled = retried(partial(_chunk, turn, rows=1, now=now, give_up=turn.at, because=because))
    turn.careful = max(0, turn.careful - (settled or 0))
    return settled


class _Stopped(Exception):
    """It may not go on."""


def _chunk(
    turn: Turn, *, rows: int, now: datetime, give_up: tuple[int, int] | None = None, because: DomainError | None = None
) -> int | None:
    """`give_up`: the customer at this place of this block is left `because`; somebody else may have settled them meanwhile."""
    job, tenant = turn.job, turn.job.tenant
    with transaction.atomic(), connection.cursor() as cursor:
        jobs.lock_work(cursor, job.pk, shared=True)
        cursor.execute(STATE, [tenant.pk, job.pk])
        (state,) = cursor.fetchone()
        if state != JobState.RUNNING:
            return None
        if trouble := _not_allowed(job, now=now):
            raise _Stopped(trouble)
        cursor.execute(TAKE, {"tenant": tenant.pk, "job": job.pk, "rows": rows})
        row = cursor.fetchone()
        if row is None:
            return 0
        turn.at = row[:2]
        block_id, _place, customers, versions, points, reasons, undoes = row
        settled = Settled()
        if give_up and because:
            if turn.at != give_up:
                return 1
            _leave(settled, customers[0], because, job=job)
        else:
            _settle(turn, settled, customers, versions, points, reasons, undoes, cursor=cursor, now=now)
        _write(cursor, job, block_id, settled)
        crash.point("bulk_before_commit")
    crash.point("bulk_after_commit")
    return len(customers)


def _leave(settled: Settled, customer: int, because: DomainError, *, job: BulkJob) -> None:
    """One customer who stopped a whole chunk: of an undo, their points may be somebody else's since it was frozen."""
    failed = because.code == "failed"
    if failed:
        log.error("customer failed", job=job.pk, customer=customer)
    outcome = Outcome.FAILED if failed else Outcome.SKIPPED
    settled.told.append((customer, outcome, because.code, because.sentence, None))
    settled.operations, settled.moved, settled.failed, settled.skipped = [0], [0], int(failed), int(not failed)


def _settle(
    turn: Turn, settled: Settled, customers: list[int], versions: list[int], points: list[int], reasons: list[str], undoes: list[int], *,
    cursor: Any, now: datetime,
) -> None:  # fmt: skip
    """The verb on each customer, and what became of it."""
    job, plan = turn.job, turn.plan
    spending = None if turn.kind.spends(job) else ()
    fields: dict[str, Any] = {"now": now, "spending": spending, "undo": undoes, "those_here": True}
    opened: AbstractContextManager[Book] = (
        nullcontext(ledger.peek(job.tenant, customers, **fields)) if job.dry_run else ledger.open(job.tenant, customers, **fields)
    )
    credited: list[tuple[Operation, Account, int]] = []
    with opened as book:
        undone_alone = _undone(cursor, job, undoes)
        barred = _barred(turn, cursor, customers)
        for place, customer in enumerate(customers):
            wanted = points[place] if points else job.points or 0
            undone = undoes[place] if undoes else 0
            operation = _operation(turn, customer, undone=undone, reason=reasons[place] if reasons else "", now=now)
            try:
                if customer in book.gone:
                    raise book.gone[customer]
                if customer in barred:
                    raise skip(barred[customer])
                if undone in undone_alone:
                    raise skip("nothing_to_undo")
                account = book[customer]
                before = account.pending + account.available - account.owed
                with book.operation(customer, operation):
                    extra = turn.kind.do(account, wanted, plan, book.operations.get(undone)) or Told()
            except DomainError as refusal:
                settled.told.append((customer, Outcome.SKIPPED, refusal.code[:40], refusal.sentence[:500], wanted or None))
                settled.operations.append(0)
                settled.moved.append(0)
                settled.skipped += 1
                continue
            moved = account.pending + account.available - account.owed - before
            settled.operations.append(operation)
            settled.moved.append(moved)
            settled.done += 1
            settled.sum += moved if extra.points is None else extra.points
            if extra.short:
                told = _("{points:,} points were spent meanwhile; what was there was taken.").format(points=extra.short)
                settled.told.append((customer, Outcome.SHORT, "points_spent", told, extra.short))
            elif account.version != versions[place]:
                settled.changed += 1
                told = _("The balance had changed since the preview.")
                settled.told.append((customer, Outcome.CHANGED, "changed_since", told, moved))
            if job.notify and moved > 0:
                credited.append((operation, account, moved))
        if credited and not job.dry_run:
            book.flush()
            _tell_customers(job, credited, now=now)


def _barred(turn: Turn, cursor: Any, customers: list[int]) -> dict[int, str]:
    """Who is left alone whatever the account says, and by which code. Asked under the customers' locks."""
    cursor.execute(NOT_ACTIVE, [turn.job.tenant_id, customers])
    found = turn.staff | {customer: f"customer_{status}" for customer, status in cursor.fetchall()}
    if turn.kind.heeds_blocked:
        return found
    return {customer: code for customer, code in found.items() if code != f"customer_{CustomerStatus.BLOCKED}"}


def _undone(cursor: Any, job: BulkJob, undoes: list[int]) -> set[int]:
    """Operations that were undone before, also in part: each is undone once. Asked under the customers' locks."""
    if not undoes:
        return set()
    keys = {f"reverse:{operation}": operation for operation in undoes}
    cursor.execute(UNDONE, [job.tenant_id, list(keys)])
    return {keys[key] for (key,) in cursor.fetchall()}


def _operation(turn: Turn, customer: int, *, undone: int, reason: str, now: datetime) -> Operation:
    job = turn.job
    key = f"reverse:{undone}" if undone else f"job:{job.pk}:{customer}"
    content = content_hash("reverse", undone) if undone else (job.pk * 1_000_003 + customer) % 2**63  # the key says it all
    why = f"{job.reason}: {reason}"[:REASON_MAX] if reason else job.reason
    return Operation(turn.actor, why, key, content, now, turn.plan.today, job_id=job.pk)


def _tell_customers(job: BulkJob, credited: Sequence[tuple[Operation, Account, int]], *, now: datetime) -> None:
    given = [
        messages.Given(account.customer_id, operation.id, points, account.available, account.closing)
        for operation, account, points in credited
    ]
    messages.points_given(job.tenant, given, actor=job.runner, now=now)


def _write(cursor: Any, job: BulkJob, block_id: int, settled: Settled) -> None:
    operations = [each if isinstance(each, int) else each.id for each in settled.operations]
    cursor.execute(
        SETTLE,
        [
            len(operations), operations, settled.moved, settled.done, settled.skipped, settled.failed,
            settled.changed, settled.sum, job.tenant_id, block_id,
        ],
    )  # fmt: skip
    rows: list[tuple[Any, ...]] = [
        (job.tenant_id, job.pk, customer, outcome.value, code, sentence, points, None, "", "{}")
        for customer, outcome, code, sentence, points in settled.told
    ]
    insert(cursor, INSERT_ROWS, rows)


# Whether it may go on


def _not_allowed(job: BulkJob, *, now: datetime) -> str:
    """Why it has to stop before the next customer; empty: it may go on (CASES 90)."""
    if not Tenant.objects.filter(pk=job.tenant_id, is_active=True).exists():
        return _("The brand is not active any more.")
    if job.run_by_kind == ActorKind.KEY:
        key: ApiKey | None = ApiKey.objects.filter(pk=job.run_by_id or 0, tenant=job.tenant).first()
        fine = key is not None and key.usable(now) and scopes_of(job) <= set(key.scopes)
        return "" if fine else _("{who} is no longer valid.").format(who=job.run_by)
    user = User.objects.filter(pk=job.run_by_id or 0).first()
    access = limits.access_again(job.tenant, user) if user else None
    act = needed_act(job)
    if access is not None and access.may(Act.RUN_JOBS) and (access.may(act) or (job.decided_at and access.may_ask(act))):
        return ""
    return _("{who} may not do this any more.").format(who=job.run_by)


def _stop(job: BulkJob, trouble: str) -> None:
    """Somebody who may can resume it, in their own name."""
    told = _("Stopped: {why} Somebody who may can resume it.").format(why=trouble)[:500]
    with transaction.atomic():
        running = BulkJob.objects.filter(pk=job.pk, tenant=job.tenant, state=JobState.RUNNING)
        if running.update(state=JobState.PAUSED, message=told):
            audit.record(job.tenant, actor=job.runner, action="stop_job", target=job, reason=told)
    job.refresh_from_db(fields=["state", "message"])


def _finish(job: BulkJob, *, now: datetime) -> None:
    """Every customer is settled; or other workers hold the last ones, and one of them ends it."""
    with transaction.atomic(), connection.cursor() as cursor:
        locked: BulkJob = (
            BulkJob.objects.select_for_update(of=["self"], no_key=True).select_related("tenant").defer("body").get(pk=job.pk)
        )
        if locked.state != JobState.RUNNING:
            return
        cursor.execute(LEFT, [job.tenant_id, job.pk])
        (left,) = cursor.fetchone()
        if left:
            return
        found = progress(locked)
        locked.state, locked.finished_at = JobState.DONE, now
        if locked.type == JobType.UNDO and not (found.done or locked.dry_run):  # it does not count as the one undo
            locked.state, locked.message = JobState.CANCELLED, _("Nothing could be undone, so it can be tried again.")
        locked.save(update_fields=["state", "finished_at", "message"])
        audit.record(
            locked.tenant, actor=locked.runner, action="try_job" if locked.dry_run else "run_job", target=locked, reason=locked.reason,
            after={"done": found.done, "skipped": found.skipped, "failed": found.failed, "points": found.points},
        )  # fmt: skip
    job.refresh_from_db(fields=["state", "finished_at"])


def _read(job: BulkJob, *, now: datetime) -> None:
    """A long file, where its last worker left it; then its preview."""
    with alone(f"bulk job {job.pk}/read") as ours:
        if not ours:
            return
        job.refresh_from_db()
        if job.state != JobState.READING:
            return
        try:
            if job.body:
                files.read(job, now=now)
            with transaction.atomic():
                locked: BulkJob = (
                    BulkJob.objects.select_for_update(of=["self"], no_key=True).select_related("tenant", "bonus").get(pk=job.pk)
                )
                if locked.state == JobState.READING:  # else it was cancelled meanwhile
                    jobs.freeze(locked, choice.of_blocks(locked), now=now)
        except (OperationalError, InterfaceError):
            raise
        except Exception as problem:
            told = (
                problem.sentence
                if isinstance(problem, DomainError)
                else _("The file could not be read. Save it anew, as CSV UTF-8.")
            )
            log.error("list refused", job=job.pk, error=type(problem).__name__)
            job.blocks.all().delete()
            BulkJob.objects.filter(pk=job.pk, tenant=job.tenant, state=JobState.READING).update(
                state=JobState.REFUSED, message=told[:500], finished_at=now, body=b""
            )
