"""What the worker does for the desk."""

from celery import shared_task
from django.utils import timezone

from support import erasure
from tenants.runs import recorded


@shared_task
def finish_erasures() -> None:
    """Customers who are to be forgotten."""
    with recorded("finish_erasures") as tally:
        if not tally.busy:
            done = erasure.finish_all(now=timezone.now())
            tally.done, tally.failed = done["done"], done["waiting"]
