"""What the worker does for the desk. Every task may run twice: the states in PostgreSQL make it harmless."""

from celery import shared_task
from django_scopes import scopes_disabled

from integrations import bell
from support import erasure, heads, monitoring
from support.bulk import jobs, results, running
from support.bulk.models import BulkJob, JobState
from tenants import clock
from tenants.runs import recorded


@shared_task
def finish_erasures() -> None:
    """Customers who are to be forgotten."""
    with recorded("finish_erasures") as tally:
        if not tally.busy:
            done = erasure.finish_all(now=clock.now())
            tally.done, tally.failed = done["done"], done["waiting"]


@shared_task
def work_on_job(job_id: int) -> None:
    """A turn with a bulk job; the rest of it waits behind what else waits."""
    for job in _jobs(pk=job_id):
        if running.work_on(job, clock=clock.now):
            bell.send(jobs.WORK, job_id)


@shared_task
def continue_jobs() -> None:
    """Jobs whose workers were killed go on: one that is worked on already lets the others go."""
    with recorded("continue_jobs") as tally:
        for job in _jobs(state__in=[JobState.READING, JobState.RUNNING]) if not tally.busy else ():
            jobs.ring(job)


@shared_task
def tell_results() -> None:
    """Who ran a job is told that it is done, with a file of those of whom more is to be told."""
    with recorded("tell_results") as tally:
        if not tally.busy:
            done = results.tell_all(now=clock.now())
            tally.done, tally.failed = done["done"], done["failed"]


@shared_task
def forget_previews() -> None:
    """Previews that nobody confirmed hold customers as they were then: of no use any more."""
    with recorded("forget_previews") as tally:
        if not tally.busy:
            tally.done = jobs.forget_previews(now=clock.now())


@shared_task
def send_chain_heads() -> None:
    """Out of the house, once a day for each brand."""
    with recorded("send_chain_heads") as tally:
        if not tally.busy:
            tally.done = heads.send_everywhere(now=clock.now())


@shared_task
def watch_the_house() -> None:
    """Count what waits, and tell of what is behind."""
    with recorded("watch_the_house") as tally:
        if not tally.busy:
            monitoring.measure(now=clock.now())
            tally.done = monitoring.watch(now=clock.now())


def _jobs(**wanted: object) -> list[BulkJob]:
    """Of all tenants: the worker does what any of them asked for."""
    with scopes_disabled():
        rows = BulkJob.objects.filter(tenant__is_active=True, **wanted).select_related("tenant", "bonus", "of_job")
        return list(rows.defer("body"))
