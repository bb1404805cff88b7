"""What the worker does for this app. Every task may run twice: the states in PostgreSQL make it harmless."""

from celery import shared_task
from django.utils import timezone

from integrations import bell, clickhouse, feed, inbox
from tenants.models import Tenant
from tenants.runs import recorded


@shared_task
def process_inbox(tenant_id: int) -> None:
    """The bell rang."""
    tenant = Tenant.objects.filter(pk=tenant_id, is_active=True).first()
    if tenant is None:
        return
    bell.heard(tenant_id)
    inbox.drain(tenant, now=timezone.now())


@shared_task
def sweep_inbox() -> None:
    with recorded("sweep_inbox") as tally:
        if not tally.busy:
            counts = inbox.sweep(now=timezone.now())
            tally.done, tally.failed = counts.total() - counts["failed"], counts["failed"]


@shared_task
def feed_analytics() -> None:
    with recorded("feed_analytics") as tally:
        if not tally.busy:
            try:
                tally.done = feed.run(now=timezone.now())
            except clickhouse.Away as problem:
                tally.failed, tally.note = 1, f"ClickHouse away: {type(problem).__name__}"
