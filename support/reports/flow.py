"""Where points come from and where they go: by store, when they expire, how many are used, and what needs an eye."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Sum
from django.utils.translation import gettext as _

from integrations.analytics.day_sums import DaySum, Wanted, day_starts
from integrations.models import Discrepancy, DiscrepancyKind
from support.reports.liability import OF_KIND
from support.start_page import OF_TIER
from tenants.models import Store, Tenant

#: What a store gave and took, in the order of the page; what no till does is left to the liability report.
FLOWS = ("earned", "bonus", "issued", "returned", "redeemed", "restored", "expired", "adjusted")
STORES_SHOWN, MONTHS_SHOWN, TROUBLES_SHOWN = 50, 13, 10
#: Months are those of the brand's calendar; what has lapsed and was not swept yet stands before the first.
EXPIRING = f"""
    SELECT CASE WHEN expires_on IS NULL THEN NULL WHEN expires_on <= %(today)s THEN date '0001-01-01'
           ELSE date_trunc('month', expires_on)::date END AS month, count(*), sum(pending + available + held)::bigint, sum(held)::bigint
    FROM loyalty_lot l WHERE tenant_id = %(tenant)s AND NOT spent
      AND (%(store)s::bigint IS NULL OR EXISTS (SELECT FROM loyalty_entry g WHERE g.tenant_id = l.tenant_id AND g.id = l.entry_id
           AND coalesce(g.store_id, 0) = %(store)s))
      AND {OF_TIER.format(row="l")}
    GROUP BY 1 ORDER BY 1
"""  # noqa: S608


@dataclass(slots=True)
class StoreFlow:
    """A store's points in a time: gross, as the liability report counts them. `net`: what it added to the liability, debt apart."""

    store: str
    moved: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FLOWS, 0))

    @property
    def net(self) -> int:
        return sum(self.moved.values())

    @property
    def figures(self) -> list[int]:
        return list(self.moved.values())


@dataclass(frozen=True, slots=True)
class Rates:
    """Of the points granted in a time: how many were spent and how many expired in the same time, in hundredths; None without any."""

    granted: int
    redeemed: int
    expired: int

    @property
    def redemption(self) -> float | None:
        return round(100 * self.redeemed / self.granted, 1) if self.granted > 0 else None

    @property
    def breakage(self) -> float | None:
        return round(100 * self.expired / self.granted, 1) if self.granted > 0 else None


@dataclass(frozen=True, slots=True)
class Expiring:
    """Points that expire in a month. `month` None: never."""

    title: str
    month: date | None
    lots: int
    points: int
    blocked: int


@dataclass(frozen=True, slots=True)
class Trouble:
    kind: str
    label: str
    store: str
    count: int
    points: int


def by_store(sums: list[DaySum], tenant: Tenant) -> list[StoreFlow]:
    """Most redeemed first; `sums` were asked for by store."""
    names = {store.pk: str(store) for store in Store.objects.filter(tenant=tenant)}
    found: dict[int, StoreFlow] = {}
    for each in sums:
        name = OF_KIND.get(each.kind)
        if each.day is None or name not in FLOWS:
            continue
        flow = found.setdefault(each.store_id, StoreFlow(names.get(each.store_id, _("no store"))))
        flow.moved[name] += each.pending + each.available + each.held - each.owed
    rows = [flow for flow in found.values() if any(flow.moved.values())]
    return sorted(rows, key=lambda flow: (flow.moved["redeemed"], -flow.moved["earned"]))


def rates(flows: list[StoreFlow]) -> Rates:
    total: dict[str, int] = defaultdict(int)
    for flow in flows:
        for name, points in flow.moved.items():
            total[name] += points
    granted = total["earned"] + total["bonus"] + total["issued"] + total["returned"]
    return Rates(granted, -(total["redeemed"] + total["restored"]), -total["expired"])


def expiring(tenant: Tenant, *, today: date, store_id: int | None = None, tier: str | None = None) -> list[Expiring]:
    """What expires when: a year by month, then the rest; of a store: what was granted there."""
    with connection.cursor() as cursor:
        cursor.execute(EXPIRING, {"tenant": tenant.pk, "today": today, "store": store_id, "tier": tier})
        rows = cursor.fetchall()
    found, later = [], [0, 0, 0]
    horizon = today.replace(day=1) + timedelta(days=31 * MONTHS_SHOWN)
    for month, *figures in rows:
        if month is None:
            found.append(Expiring(_("never"), None, *figures))
        elif month.year == 1:
            found.append(Expiring(_("overdue"), month, *figures))
        elif month > horizon:
            later = [had + more for had, more in zip(later, figures, strict=True)]
        else:
            found.append(Expiring(f"{month:%Y-%m}", month, *figures))
    if later[0]:
        never = [each for each in found if each.month is None]
        found = [each for each in found if each.month is not None] + [Expiring(_("later"), horizon, *later), *never]
    return found


def troubles(tenant: Tenant, wanted: Wanted) -> list[Trouble]:
    """Discrepancies raised in a time, by kind and store, the most first."""
    span = (day_starts(tenant, wanted.since), day_starts(tenant, wanted.until + timedelta(days=1)))
    rows: Any = Discrepancy.objects.filter(tenant=tenant, raised_at__gte=span[0], raised_at__lt=span[1]).order_by()
    if wanted.store_id is not None:
        rows = rows.filter(store=wanted.store_id) if wanted.store_id else rows.filter(store=None)
    if wanted.tier is not None:
        rows = rows.filter(customer__tier=wanted.tier)
    counted = (
        rows.values("kind", "store__code", "store__name")
        .annotate(count=Count("pk"), points=Sum("points"))
        .order_by("-count", "kind")
    )
    found = []
    for row in counted[:TROUBLES_SHOWN]:
        store = row["store__name"] or row["store__code"] or "–"
        found.append(Trouble(row["kind"], str(DiscrepancyKind(row["kind"]).label), store, row["count"], row["points"] or 0))
    return found
