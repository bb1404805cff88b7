"""What beat asks of the ledger."""

from collections.abc import Callable

from celery import shared_task

from loyalty import sweeps
from loyalty.chain import ENTRIES
from loyalty.sweeps import Run, everywhere
from tenants import clock
from tenants.runs import recorded


@shared_task
def release_expired_holds() -> None:
    _run("release_expired_holds", sweeps.release_expired_holds, "holds could not be released")


@shared_task
def expire_lots() -> None:
    _run("expire_lots", sweeps.expire_lots, "customers' points could not be expired")


@shared_task
def activate_pending() -> None:
    _run("activate_pending", sweeps.activate_pending, "customers' points could not be activated")


def _run(job: str, sweep: Callable[..., Run], failure: str) -> None:
    with recorded(job) as tally:
        if not tally.busy:
            result = everywhere(sweep, now=clock.now())
            tally.done, tally.failed = result.done, len(result.failed)
            if result.failed:
                shown = "; ".join(f"{what}: {why}" for what, why in list(result.failed.items())[:5])
                tally.note = f"{len(result.failed)} {failure}, tried again next time: {shown}"


@shared_task
def seal_entries() -> None:
    with recorded("seal_entries") as tally:
        if not tally.busy:
            tally.done = ENTRIES.seal_everywhere(now=clock.now())
