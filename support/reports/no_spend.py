"""Days with bills and without a point spent: why, and where it is mended."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db import connection
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.analytics.day_sums import day_starts
from integrations.models import DiscrepancyKind
from tenants.models import Tenant

#: Checks that set a bill aside because it does not say how its points were spent.
SPLIT_CHECKS = ("split_missing", "split_sum", "redemption_mixed")
BILLS = """
    SELECT business_date, count(*) FROM integrations_bill
    WHERE tenant_id = %(tenant)s AND store_id = ANY(%(stores)s) AND business_date BETWEEN %(since)s AND %(until)s AND superseded_at IS NULL
      AND bill_type = 'SALE'
    GROUP BY 1 HAVING sum(redeemed_points) = 0
"""
DRIFT = """
    SELECT b.business_date, count(*), min(d.incident_id) FROM integrations_discrepancy d
    JOIN integrations_bill b ON b.tenant_id = d.tenant_id AND b.id = d.bill_id
    WHERE d.tenant_id = %(tenant)s AND d.kind = %(drift)s AND b.store_id = ANY(%(stores)s) AND b.business_date BETWEEN %(since)s AND %(until)s
    GROUP BY 1
"""
SPLIT = """
    SELECT (received_at AT TIME ZONE %(zone)s)::date, count(*) FROM integrations_delivery
    WHERE tenant_id = %(tenant)s AND state = 'quarantined' AND check_name = ANY(%(checks)s) AND store_code = ANY(%(codes)s)
      AND received_at >= %(from)s AND received_at < %(to)s
    GROUP BY 1
"""
HOLDS = """
    SELECT (at AT TIME ZONE %(zone)s)::date, count(*), sum(points)::bigint FROM loyalty_hold
    WHERE tenant_id = %(tenant)s AND at >= %(from)s AND at < %(to)s AND state <> 'captured' AND store_id = ANY(%(stores)s)
    GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Flag:
    """A business day on which bills came and no points were spent. `code` empty: nothing points to a fault."""

    day: date
    bills: int
    code: str
    sentence: str
    url: str


def flags(tenant: Tenant, *, since: date, until: date, stores: dict[int, str]) -> list[Flag]:
    """Newest first; `stores`: id -> code of those that are asked about."""
    values: dict[str, Any] = {
        "tenant": tenant.pk, "since": since, "until": until, "zone": tenant.timezone, "stores": list(stores), "codes": list(stores.values()),
        "from": day_starts(tenant, since), "to": day_starts(tenant, until + timedelta(days=1)), "drift": DiscrepancyKind.MODE_DRIFT.value,
        "checks": list(SPLIT_CHECKS),
    }  # fmt: skip
    bills = {row[0]: row[1] for row in _ask(BILLS, values)}
    if not bills:
        return []
    drift, split, holds = ({row[0]: row[1:] for row in _ask(statement, values)} for statement in (DRIFT, SPLIT, HOLDS))
    return [_flag(day, bills[day], drift.get(day), split.get(day), holds.get(day)) for day in sorted(bills, reverse=True)]


def _flag(day: date, bills: int, drift: Any, split: Any, holds: Any) -> Flag:
    if drift:
        told = ngettext(
            "{count} bill showed points in another way than its store's setting.",
            "{count} bills showed points in another way than their store's setting.", drift[0],
        ).format(count=f"{drift[0]:,}")  # fmt: skip
        url = reverse("admin:incident", args=[drift[1]]) if drift[1] else reverse("admin:integrations_discrepancy_changelist")
        return Flag(day, bills, "mode_drift", told, url)
    if split:
        told = ngettext(
            "{count} bill that came that day is set aside: it does not say how points were shared out.",
            "{count} bills that came that day are set aside: they do not say how points were shared out.", split[0],
        ).format(count=f"{split[0]:,}")  # fmt: skip
        return Flag(
            day, bills, "split_missing", told, reverse("admin:integrations_delivery_changelist") + "?state__exact=quarantined"
        )
    if holds:
        told = ngettext(
            "{count} redemption over {points} points was begun that day, and its bill has not come.",
            "{count} redemptions over {points} points were begun that day, and their bills have not come.", holds[0],
        ).format(count=f"{holds[0]:,}", points=f"{holds[1]:,}")  # fmt: skip
        return Flag(day, bills, "bills_missing", told, reverse("admin:missing_bills"))
    return Flag(day, bills, "", _("No redemption was begun that day: nothing points to a fault."), "")


def _ask(statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
