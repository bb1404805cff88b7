"""ClickHouse against the ledger: per tenant and business day, count and sum of every delta, below the feed's watermark."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from integrations import clickhouse, feed
from integrations.models import FeedEpoch, ParityRun
from tenants.models import Tenant

LEDGER = """
    SELECT tenant_id, business_date, count(*), sum(pending)::bigint, sum(available)::bigint, sum(held)::bigint, sum(owed)::bigint
    FROM loyalty_entry
    WHERE (id <= %(resynced)s OR (xid, id) <= (%(xid)s::text::xid8, %(row_id)s)) AND (%(tenant)s = 0 OR tenant_id = %(tenant)s)
    GROUP BY tenant_id, business_date
"""
CLICKHOUSE = """
    SELECT tenant_id, business_date, count(), sum(pending), sum(available), sum(held), sum(owed) FROM entries FINAL
    WHERE (id <= {resynced:UInt64} OR (xid, id) <= ({xid:UInt64}, {row_id:UInt64})) AND ({tenant:UInt64} = 0 OR tenant_id = {tenant:UInt64})
    GROUP BY tenant_id, business_date
"""
MEASURES = ("entries", "pending", "available", "held", "owed")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`differences`: one dict per tenant, day and measure with both figures. `rows`: entries that were compared."""

    ok: bool
    rows: int
    differences: list[dict[str, Any]]


def compare(*, now: datetime, tenant: Tenant | None = None) -> Verdict:
    """Feed what is due, then compare what both should hold; the verdict is kept as a run.

    Raises: one of `clickhouse.Away`.
    """
    feed.run(now=now)
    with clickhouse.connected() as client:
        clickhouse.make_tables(client)
        epoch = feed.current_epoch("entries")
        epoch.refresh_from_db()
        bounds = _bounds(epoch, tenant)
        theirs = {(row[0], str(row[1])): tuple(row[2:]) for row in client.query(CLICKHOUSE, parameters=bounds).result_rows}
    with connection.cursor() as cursor:
        cursor.execute(LEDGER, bounds)
        ours = {(row[0], str(row[1])): tuple(row[2:]) for row in cursor.fetchall()}
    slugs = dict(Tenant.objects.values_list("pk", "slug"))
    differences = [
        {
            "tenant": slugs.get(key[0], str(key[0])),
            "business_date": key[1],
            "measure": name,
            "postgresql": left,
            "clickhouse": right,
        }
        for key in sorted(ours.keys() | theirs.keys())
        for name, left, right in zip(MEASURES, ours.get(key, (0,) * 5), theirs.get(key, (0,) * 5), strict=True)
        if left != right
    ]
    verdict = Verdict(not differences, sum(row[0] for row in ours.values()), differences)
    ParityRun.objects.create(
        tenant_slug=tenant.slug if tenant else "", ok=verdict.ok, rows=verdict.rows, differences=differences[:1000]
    )
    return verdict


def _bounds(epoch: FeedEpoch, tenant: Tenant | None) -> dict[str, int]:
    return {"resynced": epoch.resynced_id, "xid": int(epoch.xid), "row_id": epoch.row_id, "tenant": tenant.pk if tenant else 0}
