"""Troubles that many customers of a store share, gathered as they appear: one incident instead of a hundred complaints.

What is counted is what is there now; an incident of which nothing is left closes itself. Mode drifts are raised while bills are booked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import TruncDate

from integrations.models import Delivery, DeliveryState, Incident, IncidentKind
from loyalty.models import Hold
from loyalty.state import HoldState
from tenants import stores
from tenants.models import Store, Tenant
from tenants.setwise import columns_of

#: Older troubles are in the lists; an incident is about what goes wrong now.
WITHIN = timedelta(days=14)
#: A bill that has not come for so long after its redemption is late.
PATIENCE = timedelta(hours=2)
#: From so many customers, or bills, on it is the store's trouble and not theirs.
CUSTOMERS_MIN, BILLS_MIN = 3, 5

OPEN_HOLDS = """
    SELECT store_id, count(*), count(DISTINCT customer_id), sum(points)::bigint, min(at), max(at) FROM loyalty_hold
    WHERE tenant_id = %(tenant)s AND state = 'active' AND store_id IS NOT NULL AND at BETWEEN %(since)s AND %(late)s
    GROUP BY store_id HAVING count(DISTINCT customer_id) >= %(least)s
"""
REFUSED = """
    SELECT store_code, check_name, count(*), count(DISTINCT nullif(mobile, '')), min(received_at), max(received_at)
    FROM integrations_delivery
    WHERE tenant_id = %(tenant)s AND state = 'quarantined' AND received_at > %(since)s AND check_name <> ''
    GROUP BY store_code, check_name HAVING count(*) >= %(least)s
"""
RAISE = """
    INSERT INTO integrations_incident (tenant_id, kind, store_id, cause, bills, customers, points, message, last_at)
    SELECT %s, rows.* FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::integer[], %s::integer[], %s::bigint[], %s::text[],
        %s::timestamptz[]) AS rows (kind, store_id, cause, bills, customers, points, message, last_at)
    ON CONFLICT (tenant_id, kind, store_id, cause) WHERE closed_at IS NULL
    DO UPDATE SET bills = excluded.bills, customers = excluded.customers, points = excluded.points, message = excluded.message,
        last_at = excluded.last_at
"""
GATHERED = (IncidentKind.NO_COMPLETION, IncidentKind.REFUSED)


@dataclass(frozen=True, slots=True)
class Group:
    """One trouble of one store."""

    kind: IncidentKind
    store: Store
    cause: str
    bills: int
    customers: int
    points: int
    since: datetime
    last: datetime

    def message(self, tenant: Tenant) -> str:
        since = f"{self.since.astimezone(self.store.timezone_or(tenant)):%a %d %b %H:%M}"
        if self.kind is IncidentKind.NO_COMPLETION:
            return f"{self.store} sends no bills for blocked points since {since}."
        return f"Bills of {self.store} are set aside since {since}: {self.cause.replace('_', ' ')}."


def gather(tenant: Tenant, *, now: datetime) -> int:
    """Raise, count anew or close the tenant's gathered incidents. -> how many are open."""
    groups = _groups(tenant, now=now)
    rows = [
        (
            each.kind.value,
            each.store.pk,
            each.cause,
            each.bills,
            each.customers,
            each.points,
            each.message(tenant)[:500],
            each.last,
        )
        for each in groups
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        if rows:
            cursor.execute(RAISE, [tenant.pk, *columns_of(sorted(rows))])
        there = {(each.kind.value, each.store.pk, each.cause) for each in groups}
        opened = Incident.objects.filter(tenant=tenant, closed_at=None, kind__in=[kind.value for kind in GATHERED])
        over = [each.pk for each in opened if (each.kind, each.store_id, each.cause) not in there]
        Incident.objects.filter(tenant=tenant, pk__in=over).update(
            closed_at=now, closed_by="Pointdesk: nothing of it is left, or it is no longer of these two weeks."
        )
    return len(groups)


def _groups(tenant: Tenant, *, now: datetime) -> list[Group]:
    asked: dict[str, Any] = {"tenant": tenant.pk, "since": now - WITHIN, "late": now - PATIENCE}
    with connection.cursor() as cursor:
        cursor.execute(OPEN_HOLDS, {**asked, "least": CUSTOMERS_MIN})
        holds = cursor.fetchall()
        cursor.execute(REFUSED, {**asked, "least": BILLS_MIN})
        refused = cursor.fetchall()
    by_code = stores.by_code(tenant)
    by_id = {store.pk: store for store in by_code.values()}
    groups = [
        Group(IncidentKind.NO_COMPLETION, by_id[store_id], "", bills, people, points, since, last)
        for store_id, bills, people, points, since, last in holds
        if store_id in by_id
    ]
    found: dict[tuple[int, str], Group] = {}
    for code, check, bills, people, since, last in refused:
        store = by_code.get(code)
        if store is None:
            continue  # a store that nobody knows is told by its own check
        before = found.get((store.pk, check))
        if before is not None:  # another code of the same store
            bills, people, since, last = (
                bills + before.bills,
                people + before.customers,
                min(since, before.since),
                max(last, before.last),
            )
        found[store.pk, check] = Group(IncidentKind.REFUSED, store, check, bills, people, 0, since, last)
    return [*groups, *found.values()]


def holds_of(incident: Incident) -> QuerySet[Hold]:
    """What is still blocked of it, the oldest first."""
    rows: QuerySet[Hold] = Hold.objects.filter(
        tenant=incident.tenant_id, store=incident.store_id, state=HoldState.ACTIVE.value, at__gte=incident.last_at - WITHIN
    )
    return rows.select_related("customer", "store").order_by("at")


def deliveries_of(incident: Incident, *, codes: Sequence[str]) -> QuerySet[Delivery]:
    """What is still set aside of it, the oldest first. `codes`: the store's own code and its aliases."""
    rows: QuerySet[Delivery] = Delivery.objects.filter(
        tenant=incident.tenant_id, state=DeliveryState.QUARANTINED, check_name=incident.cause, store_code__in=codes,
        received_at__gte=incident.last_at - WITHIN,
    )  # fmt: skip
    return rows.defer("body").order_by("id")


def codes_of(store: Store) -> list[str]:
    return [store.code, *store.aliases.values_list("code", flat=True)]


def trend(rows: QuerySet[Any], field: str, *, zone: Any, until: date) -> list[tuple[date, int]]:
    """How many of them began on each of the last 14 days."""
    days = [row[0] for row in rows.order_by().annotate(day=TruncDate(field, tzinfo=zone)).values_list("day")]
    return [(day, days.count(day)) for day in (until - timedelta(days=back) for back in range(13, -1, -1))]
