"""What waits for somebody, in the order in which each role asks for it. Every question reads an index."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import BooleanField, Count, ExpressionWrapper, Q, Window
from django.db.models.functions import TruncDate
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.analytics import feed
from integrations.models import Delivery, DeliveryState, Incident, IncidentKind
from loyalty.models import Hold
from loyalty.state import HoldState
from support.models import OPEN_REQUESTS, ApprovalRequest, Case
from tenants.access import Access, Act
from tenants.models import Role, Tenant

#: What each role sees, the first on top. Whoever has no row sees what the admin does.
SECTIONS: dict[str, tuple[str, ...]] = {
    Role.AGENT.value: ("mine", "incidents", "holds", "releases"),
    Role.MERCHANT.value: ("approvals", "incidents", "by_hand", "ages", "holds", "releases"),
    Role.INTEGRATOR.value: ("inbox", "incidents", "lag", "ages", "holds"),
    Role.AUDITOR.value: ("by_hand", "ages", "incidents", "lag"),
}
EVERYTHING = ("approvals", "incidents", "inbox", "lag", "by_hand", "ages", "holds", "releases", "mine")
AGES = (
    gettext_lazy("< 2 hours"), gettext_lazy("< 1 day"), gettext_lazy("1–7 days"), gettext_lazy("7–30 days"), gettext_lazy("> 30 days"),
)  # fmt: skip
STORES_SHOWN = 10
#: Only of a store (0: without one), only of customers who have a tier today; NULL: of all.
OF_STORE = "(%(store)s::bigint IS NULL OR coalesce({row}.store_id, 0) = %(store)s)"
OF_TIER = """(%(tier)s::text IS NULL OR EXISTS (
    SELECT FROM loyalty_customer c WHERE c.tenant_id = {row}.tenant_id AND c.id = {row}.customer_id AND c.tier = %(tier)s))"""
BY_AGE = f"""
    SELECT h.store_id, coalesce(nullif(s.name, ''), s.code, %(no_store)s),
           width_bucket(extract(epoch FROM %(now)s - h.at), ARRAY[7200, 86400, 604800, 2592000]::numeric[]), count(*), sum(h.points)
    FROM loyalty_hold h LEFT JOIN tenants_store s ON s.tenant_id = h.tenant_id AND s.id = h.store_id
    WHERE h.tenant_id = %(tenant)s AND h.state = 'active' AND {OF_STORE.format(row="h")} AND {OF_TIER.format(row="h")} GROUP BY 1, 2, 3
"""  # noqa: S608
#: Issued by people, who and for which store; where a bill was named its store is known.
BY_HAND = f"""
    SELECT e.actor_name, coalesce(nullif(s.name, ''), s.code, ''), count(*), sum(e.available + e.pending - e.owed)
    FROM loyalty_entry e LEFT JOIN integrations_billissue i ON i.tenant_id = e.tenant_id AND i.operation = e.operation
    LEFT JOIN tenants_store s ON s.tenant_id = e.tenant_id AND s.id = i.store_id
    WHERE e.tenant_id = %(tenant)s AND e.actor_kind = 'person' AND e.posted_at > %(since)s AND e.kind = 'issue' AND e.of_kind IS NULL
      AND {OF_STORE.format(row="i")} AND {OF_TIER.format(row="e")}
    GROUP BY 1, 2 ORDER BY 4 DESC LIMIT 200
"""  # noqa: S608
BY_HAND_DAYS = 30
#: A hold that should have been freed so long ago says that the timetable is behind.
LATE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class StoreAges:
    """Blocked points of one store, by how long they have been; `counts` and `points` in the order of AGES."""

    store: str
    counts: tuple[int, ...]
    points: int

    @property
    def count(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class ByHand:
    """What one person issued."""

    name: str
    count: int
    points: int
    stores: str


def sections(access: Access) -> tuple[str, ...]:
    return SECTIONS.get(access.role_key, EVERYTHING)


def context(access: Access, *, now: datetime) -> dict[str, Any]:
    """What the sections of this person show."""
    tenant, wanted = access.tenant, sections(access)
    loaders: dict[str, Any] = {
        "mine": lambda: {
            "my_cases": Case.objects.filter(tenant=tenant, closed_at=None, opened_by_ident=access.actor.ident).select_related("customer")[:8],
            "my_requests": _requests(tenant).filter(asked_by_ident=access.actor.ident)[:8],
        },
        "approvals": lambda: {"requests": _requests(tenant).exclude(asked_by_ident=access.actor.ident).order_by("id")[:8]},
        "incidents": lambda: {"incidents": _incidents(access).select_related("store")[:5]},
        "inbox": lambda: {"states": _states(tenant)},
        "lag": lambda: {"lag": feed.lag()},
        "by_hand": lambda: {"by_hand": issued_by_hand(tenant, now=now), "by_hand_days": BY_HAND_DAYS},
        "ages": lambda: ages(tenant, now=now),
        "holds": lambda: _oldest(tenant),
        "releases": lambda: _releases(tenant, now=now),
    }  # fmt: skip
    found: dict[str, Any] = {"sections": wanted}
    for name in wanted:
        found |= loaders[name]()
    return found


def _requests(tenant: Tenant) -> Any:
    rows = ApprovalRequest.objects.filter(tenant=tenant, state__in=OPEN_REQUESTS)
    return rows.select_related("customer")


def _incidents(access: Access) -> Any:
    """Open ones; of two sides that do not agree, to those who may look at them."""
    rows = Incident.objects.filter(tenant=access.tenant, closed_at=None)
    return rows if access.may(Act.VIEW_REPORTS) else rows.exclude(kind=IncidentKind.DRIFT)


def _states(tenant: Tenant) -> list[tuple[str, str, int]]:
    states = (DeliveryState.RECEIVED, DeliveryState.QUARANTINED, DeliveryState.CONFLICT, DeliveryState.WAITING_PARENT)
    counts = Delivery.objects.filter(tenant=tenant, state__in=states).order_by().values("state").annotate(count=Count("pk"))
    found = {row["state"]: row["count"] for row in counts}
    return [(state.value, str(state.label), found.get(state.value, 0)) for state in states]


def _active(tenant: Tenant) -> Any:
    return Hold.objects.filter(tenant=tenant, state=HoldState.ACTIVE.value)


def _oldest(tenant: Tenant) -> dict[str, Any]:
    holds = _active(tenant).annotate(among=Window(Count("pk"))).select_related("customer", "store")
    oldest = list(holds.order_by("at")[:8])
    return {"oldest_holds": oldest, "blocked_count": oldest[0].among if oldest else 0}


def holds_by_age(tenant: Tenant, *, now: datetime, store_id: int | None = None, tier: str | None = None) -> list[StoreAges]:
    """By store, most points first."""
    with connection.cursor() as cursor:
        values: dict[str, Any] = {"tenant": tenant.pk, "now": now, "no_store": _("no store"), "store": store_id, "tier": tier}
        cursor.execute(BY_AGE, values)
        rows = cursor.fetchall()
    found: dict[int | None, tuple[str, list[int], int]] = {}
    for store_id, name, age, count, points in rows:
        known = found.get(store_id, (name, [0] * len(AGES), 0))
        known[1][age] += count
        found[store_id] = (name, known[1], known[2] + int(points))
    stores = [StoreAges(name, tuple(counts), points) for name, counts, points in found.values()]
    return sorted(stores, key=lambda each: -each.points)


def ages(tenant: Tenant, *, now: datetime, store_id: int | None = None, tier: str | None = None) -> dict[str, Any]:
    stores = holds_by_age(tenant, now=now, store_id=store_id, tier=tier)
    all_counts = [sum(each.counts[place] for each in stores) for place in range(len(AGES))]
    return {
        "ages": list(zip(AGES, all_counts, strict=True)), "age_names": AGES, "most_of_an_age": max(all_counts, default=0) or 1,
        "stores_by_age": stores[:STORES_SHOWN], "more_stores": max(0, len(stores) - STORES_SHOWN),
    }  # fmt: skip


def issued_by_hand(tenant: Tenant, *, now: datetime, store_id: int | None = None, tier: str | None = None) -> list[ByHand]:
    """By person, most points first: who issues much by hand needs help, or training."""
    with connection.cursor() as cursor:
        since = now - timedelta(days=BY_HAND_DAYS)
        cursor.execute(BY_HAND, {"tenant": tenant.pk, "since": since, "store": store_id, "tier": tier})
        rows = cursor.fetchall()
    people: dict[str, list[tuple[str, int, int]]] = {}
    for name, store, count, points in rows:
        people.setdefault(name, []).append((store, count, int(points)))
    found = [
        ByHand(
            name, sum(count for _, count, _ in parts), sum(points for _, _, points in parts),
            ", ".join(f"{store} {points:,}" for store, _, points in parts if store),
        )
        for name, parts in people.items()
    ]  # fmt: skip
    return sorted(found, key=lambda each: -each.points)[:STORES_SHOWN]


def _releases(tenant: Tenant, *, now: datetime) -> dict[str, Any]:
    """How many holds fall due on each of the next seven days, and whether any should have been freed already."""
    today = now.astimezone(tenant.zone).date()
    due = _active(tenant).filter(expires_at__lt=now + timedelta(days=8))
    late = ExpressionWrapper(Q(expires_at__lt=now - LATE), output_field=BooleanField())
    days = due.order_by().annotate(day=TruncDate("expires_at", tzinfo=tenant.zone), late=late).values_list("day", "late")
    found = list(days.annotate(count=Count("pk")))
    counts = [
        (day, sum(count for on, _, count in found if on == day)) for day in (today + timedelta(days=ahead) for ahead in range(7))
    ]
    return {
        "releases": counts, "any_release": any(count for _, count in counts), "most_releases": max(count for _, count in counts) or 1,
        "overdue": sum(count for _, late, count in found if late),
    }  # fmt: skip
