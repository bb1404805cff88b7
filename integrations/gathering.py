"""Troubles that many customers of a store share, gathered as they appear: one incident instead of a hundred complaints.

What is counted is what is there now; an incident of which nothing is left closes itself. Mode drifts are raised while bills are booked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import TruncDate

from integrations.models import Bill, Delivery, DeliveryState, Incident, IncidentKind
from loyalty.models import Hold
from loyalty.state import HoldState
from tenants import stores
from tenants.models import Store, Tenant
from tenants.saying import said
from tenants.setwise import columns_of

#: Older troubles are in the lists; an incident is about what goes wrong now.
WITHIN = timedelta(days=14)
#: A bill that has not come for so long after its redemption is late.
PATIENCE = timedelta(hours=2)
#: From so many customers, or bills, on it is the store's trouble and not theirs.
CUSTOMERS_MIN, BILLS_MIN = 3, 5
#: As it is stored, and found again.
BY_ITSELF = "Pointdesk: nothing of it is left, or it is no longer of these two weeks."

OPEN_HOLDS = """
    SELECT store_id, count(*), count(DISTINCT customer_id), sum(points)::bigint, min(at), max(at) FROM loyalty_hold
    WHERE tenant_id = %(tenant)s AND state = 'active' AND store_id IS NOT NULL AND at BETWEEN %(since)s AND %(late)s
    GROUP BY store_id
"""
REFUSED = """
    SELECT d.store_code, d.check_name, count(*), count(DISTINCT nullif(d.mobile, '')), min(d.received_at), max(d.received_at)
    FROM integrations_delivery d
    WHERE d.tenant_id = %(tenant)s AND d.state = 'quarantined' AND d.received_at > %(since)s AND d.check_name <> ''
      AND NOT EXISTS (SELECT FROM integrations_bill b WHERE b.tenant_id = d.tenant_id AND b.bill_no = d.bill_no AND d.bill_no <> ''
                      AND b.superseded_at IS NULL AND b.posted_at > d.received_at AND b.store_id = ANY(
                          SELECT s.id FROM tenants_store s WHERE s.tenant_id = d.tenant_id AND s.code = d.store_code
                          UNION SELECT a.store_id FROM tenants_storealias a WHERE a.tenant_id = d.tenant_id AND a.code = d.store_code))
    GROUP BY d.store_code, d.check_name
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

    @property
    def key(self) -> tuple[str, int, str]:
        return self.kind.value, self.store.pk, self.cause

    @property
    def is_large(self) -> bool:
        """Enough to begin an incident; one that is open goes on until nothing of it is left."""
        return self.customers >= CUSTOMERS_MIN if self.kind is IncidentKind.NO_COMPLETION else self.bills >= BILLS_MIN

    def message(self, tenant: Tenant) -> str:
        since = self.since.astimezone(self.store.timezone_or(tenant))
        if self.kind is IncidentKind.NO_COMPLETION:
            return said("{store} sends no bills for blocked points since {since:%a %d %b %H:%M}.", store=self.store, since=since)
        cause = self.cause.replace("_", " ")
        return said(
            "Bills of {store} are set aside since {since:%a %d %b %H:%M}: {cause}.", store=self.store, since=since, cause=cause
        )


def gather(tenant: Tenant, *, now: datetime) -> int:
    """Raise, count anew or close the tenant's gathered incidents. -> how many are open."""
    groups = _groups(tenant, now=now)
    by_hand = _closed_by_hand(tenant, now=now)
    open_now = {
        (each.kind, each.store_id, each.cause)
        for each in Incident.objects.filter(tenant=tenant, closed_at=None, kind__in=[kind.value for kind in GATHERED])
    }
    groups = [
        each for each in groups if each.key in open_now or (each.is_large and each.last > by_hand.get(each.key, each.since))
    ]
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
        there = {each.key for each in groups}
        opened = Incident.objects.filter(tenant=tenant, closed_at=None, kind__in=[kind.value for kind in GATHERED])
        over = [each.pk for each in opened if (each.kind, each.store_id, each.cause) not in there]
        Incident.objects.filter(tenant=tenant, pk__in=over).update(closed_at=now, closed_by=BY_ITSELF)
    return len(groups)


def _closed_by_hand(tenant: Tenant, *, now: datetime) -> dict[tuple[str, int, str], datetime]:
    """When somebody closed one: what was there then raises no other."""
    closed = Incident.objects.filter(tenant=tenant, closed_at__gt=now - WITHIN, kind__in=[kind.value for kind in GATHERED])
    rows = closed.exclude(closed_by=BY_ITSELF).order_by("closed_at")
    return {(row.kind, row.store_id, row.cause): row.closed_at for row in rows if row.closed_at is not None}


def _groups(tenant: Tenant, *, now: datetime) -> list[Group]:
    asked: dict[str, Any] = {"tenant": tenant.pk, "since": now - WITHIN, "late": now - PATIENCE}
    with connection.cursor() as cursor:
        cursor.execute(OPEN_HOLDS, asked)
        holds = cursor.fetchall()
        cursor.execute(REFUSED, asked)
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
    came_right = Bill.objects.filter(
        tenant=incident.tenant_id, store=incident.store_id, bill_no=OuterRef("bill_no"), superseded_at=None,
        posted_at__gt=OuterRef("received_at"),
    )  # fmt: skip
    return rows.exclude(Exists(came_right)).defer("body").order_by("id")


def codes_of(store: Store) -> list[str]:
    return [store.code, *store.aliases.values_list("code", flat=True)]


def trend(rows: QuerySet[Any], field: str, *, zone: Any, until: date) -> list[tuple[date, int]]:
    """How many of them began on each of the last 14 days."""
    days = [row[0] for row in rows.order_by().annotate(day=TruncDate(field, tzinfo=zone)).values_list("day")]
    return [(day, days.count(day)) for day in (until - timedelta(days=back) for back in range(13, -1, -1))]
