"""Runs of the timetable as rows that people can see: when, how many, how long, what went wrong."""

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import OperationalError, connection
from psycopg.errors import LockNotAvailable

from tenants import clock
from tenants.models import ScheduledRun


@contextlib.contextmanager
def alone(job: str, *, wait_seconds: int = 0) -> Iterator[bool]:
    """Over the whole cluster one process at a time does this; -> whether it is us. The lock is this connection's.

    Whoever waits is next: others who only try find it taken.
    """
    free = _taken(job) or (wait_seconds > 0 and _waited_for(job, seconds=wait_seconds))
    try:
        yield free
    finally:
        if free and connection.connection is not None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtext('pointdesk.job'), hashtext(%s))", [job])


def _taken(job: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('pointdesk.job'), hashtext(%s))", [job])
        return bool(cursor.fetchone()[0])


def _waited_for(job: str, *, seconds: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout'), set_config('lock_timeout', %s, false)", [f"{seconds}s"])
        before = cursor.fetchone()[0]
        try:
            cursor.execute("SELECT pg_advisory_lock(hashtext('pointdesk.job'), hashtext(%s))", [job])
        except OperationalError as problem:
            if not isinstance(problem.__cause__, LockNotAvailable):
                raise
            return False
        finally:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [before])
    return True


@dataclass(slots=True)
class Tally:
    """What a run counts; `busy` says that another worker was running the same job, so this one did nothing."""

    done: int = 0
    failed: int = 0
    busy: bool = False
    note: str = ""


@contextlib.contextmanager
def recorded(job: str) -> Iterator[Tally]:
    """Run one job of the timetable once at a time over the whole cluster, and keep a row of it.

    An exception is written into the row and raised again. A run with nothing to do does not add a row of its own: it is
    counted in the row of the last idle run.
    """
    tally = Tally()
    with alone(job) as free:
        if not free:
            tally.busy = True
            yield tally
            return
        started = clock.now()
        error = ""
        try:
            yield tally
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"[:2000]
            raise
        finally:
            _write(job, started=started, tally=tally, error=error or tally.note[:2000])


def _write(job: str, *, started: datetime, tally: Tally, error: str) -> None:
    idle = not (tally.done or tally.failed or error)
    process = f"{socket.gethostname()}:{os.getpid()}"[:120]
    last = ScheduledRun.objects.filter(job=job).first() if idle else None
    if last and last.idle_runs:
        ScheduledRun.objects.filter(pk=last.pk).update(idle_runs=last.idle_runs + 1, finished_at=clock.now(), process=process)
        return
    ScheduledRun.objects.create(
        job=job,
        started_at=started,
        finished_at=clock.now(),
        done=tally.done,
        failed=tally.failed,
        idle_runs=int(idle),
        error=error,
        process=process,
    )
