"""What the worker does for this app. Every task may run twice: the states in PostgreSQL make it harmless."""

from collections.abc import Callable
from typing import Any

import structlog
from celery import shared_task
from clickhouse_connect.driver.exceptions import DatabaseError
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from integrations import bell, files, gathering, inbox, messages, replay, retention
from integrations.analytics import clickhouse, day_sums, feed, parity, resync
from integrations.models import FileImport, FileState, ReconciliationRun, Replay, Resync, RunState
from integrations.reconciling import runs
from tenants import clock
from tenants.actors import SYSTEM
from tenants.models import Tenant
from tenants.runs import recorded
from tenants.saying import said

log = structlog.get_logger("pointdesk.tasks")
#: So many batches of one tenant at a time.
TURN_BATCHES = 20


@shared_task
def process_inbox(tenant_id: int) -> None:
    """The bell rang."""
    tenant = Tenant.objects.filter(pk=tenant_id, is_active=True).first()
    if tenant is None:
        return
    bell.heard(tenant_id)
    done = inbox.drain(tenant, now=clock.now(), batches_max=TURN_BATCHES)
    if done.total() >= TURN_BATCHES * inbox.BATCH_ROWS:
        bell.ring(tenant_id)  # the others' bills have their turn before the rest


@shared_task
def sweep_inbox() -> None:
    with recorded("sweep_inbox") as tally:
        if not tally.busy:
            counts = inbox.sweep(now=clock.now())
            tally.done, tally.failed = counts.total() - counts["failed"], counts["failed"]


@shared_task
def work_on_replay(replay_id: int) -> None:
    """The dry run or the run that somebody asked for."""
    for row in _replays(pk=replay_id):
        replay.work_on(row, now=clock.now())


@shared_task
def read_file(file_id: int) -> None:
    """A long file that somebody has just uploaded."""
    for row in _files(pk=file_id):
        if files.work_on(row) and row.state == FileState.RUNNING:
            bell.send(read_file.name, file_id)  # behind what waits


@shared_task
def continue_replays() -> None:
    """Replays whose worker was killed go on."""
    _go_on("replay", _replays(state__in=replay.AT_WORK), lambda row: replay.work_on(row, now=clock.now()))


@shared_task
def continue_files() -> None:
    """Files whose worker was killed go on."""
    _go_on("file", _files(state__in=[FileState.WAITING, FileState.RUNNING]), files.work_on)


def _go_on[R: (Replay, FileImport, Resync, ReconciliationRun)](what: str, rows: list[R], work: Callable[[R], bool]) -> None:
    with recorded(f"continue_{what}s") as tally:
        for row in rows if not tally.busy else ():
            try:
                work(row)
                tally.done += 1
            except Exception as problem:  # one that cannot go on stops no other
                log.error("stopped", what=what, row=row.pk, error=type(problem).__name__)
                tally.failed, tally.note = tally.failed + 1, f"{what} {row.pk}: {type(problem).__name__}"


def _replays(**wanted: Any) -> list[Replay]:
    """Of all tenants: the worker does what any of them asked for."""
    with scopes_disabled():
        return list(Replay.objects.filter(tenant__is_active=True, **wanted).select_related("tenant"))


def _files(**wanted: Any) -> list[FileImport]:
    """Without their bodies, which may be 20 MB each."""
    with scopes_disabled():
        return list(FileImport.objects.filter(tenant__is_active=True, **wanted).select_related("tenant").defer("body"))


@shared_task
def gather_incidents() -> None:
    """Troubles that many customers of a store share."""
    with recorded("gather_incidents") as tally:
        for tenant in Tenant.objects.filter(is_active=True) if not tally.busy else ():
            try:
                with scope(tenant=tenant):
                    tally.done += gathering.gather(tenant, now=clock.now())
            except Exception as problem:  # one tenant's trouble stops no other's
                log.error("not gathered", tenant=tenant.slug, error=type(problem).__name__)
                tally.failed, tally.note = tally.failed + 1, f"{tenant.slug}: {type(problem).__name__}"


@shared_task
def send_messages() -> None:
    """What customers are to be told."""
    with recorded("send_messages") as tally:
        if not tally.busy:
            done = messages.send_due(now=clock.now())
            tally.done, tally.failed = done["sent"], done["waiting"] + done["given_up"]


@shared_task
def forget_messages() -> None:
    """Bodies of messages that are older than their brand keeps them."""
    with recorded("forget_messages") as tally:
        if not tally.busy:
            done = retention.forget_all(now=timezone.now())  # the earlier of both clocks: see `limit`
            tally.done, tally.failed = done["done"], done["failed"]


@shared_task
def feed_analytics() -> None:
    with recorded("feed_analytics") as tally:
        if not tally.busy:
            try:
                tally.done = feed.run(now=clock.now())
            except clickhouse.Away as problem:
                tally.failed, tally.note = 1, _away(problem)


def _away(problem: BaseException) -> str:
    return said("ClickHouse away: {problem}", problem=type(problem).__name__)


@shared_task
def check_parity(whole: bool = False) -> None:
    """Days that changed since the run before, at night all; days that differ are built anew."""
    with recorded("check_parity_whole" if whole else "check_parity") as tally:
        if tally.busy:
            return
        try:
            for tenant in Tenant.objects.filter(is_active=True):
                try:
                    found = parity.compare(now=clock.now(), tenant=tenant, whole=whole)
                except DatabaseError as problem:  # one brand's trouble stops no other's
                    if isinstance(problem, clickhouse.Away):
                        raise
                    log.error("not compared", tenant=tenant.slug, error=str(problem)[:200])
                    tally.failed, tally.note = tally.failed + 1, f"{tenant.slug}: {type(problem).__name__}"
                    continue
                tally.done, tally.failed = tally.done + found.days, tally.failed + int(not found.ok)
                if not found.ok:
                    with scope(tenant=tenant):
                        count = len(found.different_days)
                        reason = said("ClickHouse differed from the ledger on {count} days", count=count)
                        resync.repair(tenant, found.different_days, found.differences, reason=reason, actor=SYSTEM)
        except clickhouse.Away as problem:
            tally.failed, tally.note = 1, _away(problem)


@shared_task
def compare_tenant(tenant_id: int) -> None:
    """Somebody asked for a verdict."""
    tenant = Tenant.objects.filter(pk=tenant_id, is_active=True).first()
    if tenant is not None:
        parity.compare(now=clock.now(), tenant=tenant)


@shared_task
def continue_resyncs() -> None:
    """Resyncs that somebody asked for, or whose worker was killed."""
    with scopes_disabled():
        rows = list(Resync.objects.filter(tenant__is_active=True, state__in=resync.OPEN).select_related("tenant").order_by("pk"))
    _go_on("resync", rows, _build_and_compare)


def _build_and_compare(row: Resync) -> bool:
    """A verdict that spoke of what was there before is not left standing."""
    ours = resync.work_on(row)
    row.refresh_from_db()
    if ours and row.state == RunState.DONE and row.customer_id is None:
        parity.compare(now=clock.now(), tenant=row.tenant, whole=row.since is None)
    return ours


@shared_task
def reconcile() -> None:
    """Policies whose hour has come, and runs that somebody asked for or whose worker was killed."""
    now = clock.now()
    for tenant in Tenant.objects.filter(is_active=True):
        try:
            with scope(tenant=tenant):
                runs.ask_due(tenant, now=now)
        except Exception as problem:  # one tenant's trouble stops no other's
            log.error("not asked", tenant=tenant.slug, error=type(problem).__name__)
    _go_on("reconciliation", _runs(state__in=runs.OPEN), runs.work_on)


@shared_task
def work_on_run(run_id: int) -> None:
    for run in _runs(pk=run_id):
        runs.work_on(run)


def _runs(**wanted: Any) -> list[ReconciliationRun]:
    with scopes_disabled():
        found = ReconciliationRun.objects.filter(tenant__is_active=True, **wanted).select_related("tenant", "policy__tenant")
        return list(found.defer("rows").order_by("pk"))


@shared_task
def work_on_resync(resync_id: int) -> None:
    with scopes_disabled():
        row = Resync.objects.filter(pk=resync_id, tenant__is_active=True).select_related("tenant").first()
    if row is not None:
        _build_and_compare(row)


@shared_task
def close_days() -> None:
    """Posting days on which nothing can be posted any more."""
    with recorded("close_days") as tally:
        if not tally.busy:
            try:
                tally.done = day_sums.close(now=clock.now())
            except clickhouse.Away as problem:
                tally.failed, tally.note = 1, _away(problem)
