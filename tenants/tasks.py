"""Tasks about the house itself."""

import os
import socket
from datetime import timedelta

from axes.models import AccessAttempt
from celery import shared_task

from tenants import clock
from tenants.models import Heartbeat, ScheduledRun
from tenants.runs import recorded
from tenants.trail import TRAIL

RUNS_KEPT_DAYS = 30
HEARTBEAT_MAX_AGE = timedelta(seconds=90)


@shared_task
def heartbeat() -> None:
    """The whole chain beat -> broker -> worker -> PostgreSQL is alive when this row is young."""
    process = f"{socket.gethostname()}:{os.getppid()}"
    Heartbeat.objects.update_or_create(process=process, defaults={"at": clock.now()})
    Heartbeat.objects.filter(at__lt=clock.now() - timedelta(days=1)).delete()


@shared_task
def seal_trail() -> None:
    with recorded("seal_trail") as tally:
        if not tally.busy:
            tally.done = TRAIL.seal_everywhere(now=clock.now())


@shared_task
def forget_old_runs() -> None:
    """And tries of the door, which count for a quarter of an hour: who tried stands in the audit trail."""
    ScheduledRun.objects.filter(started_at__lt=clock.now() - timedelta(days=RUNS_KEPT_DAYS)).delete()
    AccessAttempt.objects.filter(attempt_time__lt=clock.now() - timedelta(days=1)).delete()


def worker_is_alive() -> bool:
    return Heartbeat.objects.filter(at__gt=clock.now() - HEARTBEAT_MAX_AGE).exists()
