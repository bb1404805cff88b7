"""What beat asks of the ledger."""

from celery import shared_task
from django.utils import timezone

from loyalty.sweeps import release_expired_holds_everywhere
from tenants.runs import recorded


@shared_task
def release_expired_holds() -> None:
    with recorded("release_expired_holds") as tally:
        if not tally.busy:
            result = release_expired_holds_everywhere(now=timezone.now())
            tally.done, tally.failed = result.done, len(result.failed)
            if result.failed:
                tally.note = f"{len(result.failed)} holds could not be released, tried again next time: " + "; ".join(
                    f"{reference}: {why}" for reference, why in list(result.failed.items())[:5]
                )
