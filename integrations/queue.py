"""The inbox as it is now: what waits and since when, how fast it comes and goes, by state and by store."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from integrations.models import DeliveryState
from tenants.models import Tenant

#: What is not over yet.
OPEN = (DeliveryState.RECEIVED, DeliveryState.WAITING_PARENT, DeliveryState.QUARANTINED, DeliveryState.CONFLICT)
STORES_MAX = 200

WAITING = """
    SELECT state, store_code, count(*), min(received_at) FROM integrations_delivery
    WHERE tenant_id = %s AND state = ANY(%s) GROUP BY 1, 2 ORDER BY 3 DESC, 2, 1 LIMIT %s
"""
#: Of the last hour, by a BRIN index on the time.
FLOW = """
    SELECT count(*), count(*) FILTER (WHERE received_at >= %(minute)s), count(*) FILTER (WHERE processed_at >= %(minute)s),
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY extract(epoch FROM processed_at - received_at))
    FROM integrations_delivery WHERE tenant_id = %(tenant)s AND received_at >= %(hour)s
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Deliveries of one state and store. `store_code` is empty where it has not been read, or cannot be."""

    state: DeliveryState
    store_code: str
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Queue:
    """`received`, `processed`: of the last minute. `seconds`: half, and 95 of 100, of the last hour were done in so many; None without any."""

    waiting: list[Waiting]
    hour: int
    received: int
    processed: int
    seconds: tuple[float, float] | None

    def of(self, state: DeliveryState) -> list[Waiting]:
        return [each for each in self.waiting if each.state is state]

    def count(self, state: DeliveryState) -> int:
        return sum(each.count for each in self.of(state))

    def oldest(self, state: DeliveryState) -> datetime | None:
        return min((each.oldest for each in self.of(state)), default=None)


def look(tenant: Tenant, *, now: datetime) -> Queue:
    """Two queries, however many deliveries there are."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [tenant.pk, [state.value for state in OPEN], STORES_MAX])
        waiting = [Waiting(DeliveryState(row[0]), *row[1:]) for row in cursor.fetchall()]
        bounds: dict[str, Any] = {"tenant": tenant.pk, "minute": now - timedelta(minutes=1), "hour": now - timedelta(hours=1)}
        cursor.execute(FLOW, bounds)
        hour, received, processed, seconds = cursor.fetchone()
    return Queue(waiting, hour, received, processed, (seconds[0], seconds[1]) if seconds and seconds[0] is not None else None)
