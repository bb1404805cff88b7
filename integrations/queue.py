"""The inbox as it is now: what waits and since when, how fast it comes and goes, by state and by store."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from integrations.models import DeliveryState
from tenants.models import Tenant

#: By the inbox's own index; their stores have not been read.
RECEIVED = """
    SELECT count(*), (SELECT received_at FROM integrations_delivery WHERE tenant_id = %(tenant)s AND state = 'received' ORDER BY id LIMIT 1)
    FROM integrations_delivery WHERE tenant_id = %(tenant)s AND state = 'received'
"""
#: By an index of its own, which the hot path never touches.
OF_PEOPLE = """
    SELECT state, store_code, count(*), min(received_at) FROM integrations_delivery
    WHERE tenant_id = %s AND state IN ('waiting_parent', 'quarantined', 'conflict') GROUP BY 1, 2 ORDER BY 3 DESC, 2, 1
"""
#: Among the newest, which is all that can have come in a minute.
CAME = """
    SELECT count(*) FROM integrations_delivery WHERE tenant_id = %(tenant)s AND received_at >= %(minute)s
    AND id > (SELECT coalesce(max(id), 0) - %(newest)s FROM integrations_delivery)
"""
DONE = """
    SELECT count(*) FILTER (WHERE processed_at >= %(minute)s), count(*),
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY greatest(extract(epoch FROM processed_at - received_at), 0))
    FROM (SELECT processed_at, received_at FROM integrations_delivery WHERE tenant_id = %(tenant)s AND processed_at >= %(hour)s
          ORDER BY processed_at DESC LIMIT %(newest)s) newest
"""
#: So many are looked at to tell how fast it goes.
NEWEST = 20_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """Deliveries of one state and store. `store_code` is empty where it has not been read, or cannot be."""

    state: DeliveryState
    store_code: str
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Queue:
    """`received`, `processed`: of the last minute (at most NEWEST). `seconds`: half, and 95 of 100, of the `judged` newest that were done in the
    last hour took so many; None without any."""

    waiting: list[Waiting]
    judged: int
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
    """Four queries by index; what they read grows with what is open and what came in the last minute, not with what ever came."""
    bounds: dict[str, Any] = {
        "tenant": tenant.pk, "minute": now - timedelta(minutes=1), "hour": now - timedelta(hours=1), "newest": NEWEST,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(RECEIVED, bounds)
        count, oldest = cursor.fetchone()
        waiting = [Waiting(DeliveryState.RECEIVED, "", count, oldest)] if count else []
        cursor.execute(OF_PEOPLE, [tenant.pk])
        waiting += [Waiting(DeliveryState(row[0]), *row[1:]) for row in cursor.fetchall()]
        cursor.execute(CAME, bounds)
        (received,) = cursor.fetchone()
        cursor.execute(DONE, bounds)
        processed, judged, seconds = cursor.fetchone()
    times = (float(seconds[0]), float(seconds[1])) if seconds and seconds[0] is not None else None
    return Queue(waiting, judged, received, processed, times)
