"""What a balance was at any instant, from entries alone, by either clock."""

from datetime import datetime
from enum import StrEnum

from django.db import connection

from loyalty.operations import Buckets
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.saying import said


class Clock(StrEnum):
    """`posted`: what our books said at that time, the same whenever it is asked. `occurred`: what had happened in the world by then."""

    POSTED = "posted"
    OCCURRED = "occurred"


POSTED = """
    SELECT coalesce(sum(pending), 0)::bigint, coalesce(sum(available), 0)::bigint, coalesce(sum(held), 0)::bigint,
           coalesce(sum(owed), 0)::bigint
    FROM loyalty_entry WHERE tenant_id = %s AND customer_id = %s AND posted_at <= %s
"""
OCCURRED = POSTED.replace("posted_at", "occurred_at")


def balance_at(tenant: Tenant, customer_id: int, instant: datetime, *, clock: Clock = Clock.POSTED) -> Buckets:
    """The four buckets as of an instant, included.

    By the world's clock the buckets may be below 0 for a while: a redemption can have happened before the earning that covered it.
    A customer's own entries only: what was merged in counts from the merge on.

    Raises: DomainError `instant_naive`: an instant needs its offset.
    """
    if instant.tzinfo is None:
        raise DomainError(
            "instant_naive", said("Say the instant with its offset from UTC, for example 2026-03-31T23:59:59+05:30.")
        )
    with connection.cursor() as cursor:
        cursor.execute(POSTED if clock is Clock.POSTED else OCCURRED, [tenant.pk, customer_id, instant])
        return Buckets(*cursor.fetchone())
