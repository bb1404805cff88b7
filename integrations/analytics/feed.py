"""The feed to ClickHouse. The ledger is its own outbox: rows are read by the transaction that wrote them, below the oldest
one still running, so that a late commit is never skipped. Delivered at least once, counted once.

A restored database starts a new epoch: transactions begin anew there, so rows up to the last id are sent again by id, and
later ones by transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from clickhouse_connect.driver.client import Client
from django.db import connection, transaction
from django.db.models.expressions import RawSQL

from integrations.analytics import clickhouse
from integrations.models import FeedEpoch
from tenants import crash
from tenants.runs import alone

log = structlog.get_logger("pointdesk.feed")
ROWS_MAX = 20_000
STREAMS = ("entries", "customers")
JOB = "feed"
EPOCH_STEP = 1 << 44

#: This database server, and which of its lives: both change with a restore.
SYSTEM = "SELECT system_identifier || '.' || timeline_id FROM pg_control_system(), pg_control_checkpoint()"
OLDEST_XID = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
MAX_ID = {
    "entries": "SELECT coalesce(max(id), 0) FROM loyalty_entry",
    "customers": "SELECT coalesce(max(id), 0) FROM loyalty_customer",
}

_ENTRIES = """
    SELECT r.id, r.tenant_id, t.business_id, r.customer_id, r.operation, r.seq, r.kind, coalesce(r.of_kind, ''), r.pending, r.available,
           r.held, r.owed, r.reason, r.actor_kind, r.actor_name, r.occurred_at, r.business_date, r.posted_at, coalesce(r.store_id, 0),
           coalesce(r.bill_id, 0), coalesce(r.hold_id, 0), coalesce(r.job_id, 0), r.xid::text::bigint
    FROM loyalty_entry r JOIN tenants_tenant t ON t.id = r.tenant_id
"""
_CUSTOMERS = """
    SELECT r.id, r.tenant_id, t.business_id, r.mobile, r.name, r.email, r.tier, r.status, r.joined_on, r.xid::text::bigint
    FROM loyalty_customer r JOIN tenants_tenant t ON t.id = r.tenant_id
"""
#: The bound is read in the same statement as the rows.
_BY_XID = """
    WHERE (r.xid, r.id) > (%s::text::xid8, %s) AND r.xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY r.xid, r.id LIMIT %s
"""
_BY_ID = "WHERE r.id > %s AND r.id <= %s ORDER BY r.id LIMIT %s"
BY_XID = {"entries": _ENTRIES + _BY_XID, "customers": _CUSTOMERS + _BY_XID}
BY_ID = {"entries": _ENTRIES + _BY_ID, "customers": _CUSTOMERS + _BY_ID}

LAG_COUNTED = 10_000
LAG = f"""
    SELECT count(*), min(posted_at) FROM (
        SELECT posted_at FROM loyalty_entry WHERE (xid, id) > (%s::text::xid8, %s) ORDER BY xid, id LIMIT {LAG_COUNTED}) late
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Lag:
    """Entries that ClickHouse has not got yet (counted up to 10,000), the oldest of them, and when all was last equal."""

    entries: int
    since: datetime | None
    as_of: datetime | None


def run(*, now: datetime, rounds_max: int = 200) -> int:
    """Send everything that is due; -> rows sent, 0 when another feed is at it.

    Raises: one of `clickhouse.Away`, which costs nothing but lag; whatever else ClickHouse has to say.
    """
    with alone(JOB) as free:
        if not free:
            return 0
        with clickhouse.connected() as client:
            clickhouse.make_tables(client)
            return sum(_run_stream(client, stream, now=now, rounds_max=rounds_max) for stream in STREAMS)


def _run_stream(client: Client, stream: str, *, now: datetime, rounds_max: int) -> int:
    epoch = current_epoch(stream)
    sent = 0
    for _ in range(rounds_max):
        resynced = epoch.resynced_id >= epoch.resync_below_id
        rows = _send_some(client, epoch, now=now)
        sent += rows
        if (
            rows < ROWS_MAX and resynced
        ):  # all there was at that moment; a short block by id says nothing of what is new by transaction
            FeedEpoch.objects.filter(pk=epoch.pk).update(checked_at=now)
            break
    return sent


def current_epoch(stream: str) -> FeedEpoch:
    """The epoch of this database server, begun now if there is none."""
    with transaction.atomic(), connection.cursor() as cursor:
        system = _one(cursor, SYSTEM)
        epoch = FeedEpoch.objects.filter(system=system, stream=stream).first()
        if epoch is None:
            # Before the last id is read: whoever is still writing then is found by transaction, whatever ids they hold.
            start = _one(cursor, OLDEST_XID)
            epoch = FeedEpoch.objects.create(
                system=system, stream=stream, xid=start, resync_below_id=int(_one(cursor, MAX_ID[stream]))
            )
    return epoch


def _send_some(client: Client, epoch: FeedEpoch, *, now: datetime) -> int:
    """One block: first what the epoch found by id, then what is new by transaction. The cursor moves after the insert."""
    with connection.cursor() as cursor:
        by_id = epoch.resynced_id < epoch.resync_below_id
        if by_id:
            cursor.execute(BY_ID[epoch.stream], [epoch.resynced_id, epoch.resync_below_id, ROWS_MAX])
        else:
            cursor.execute(BY_XID[epoch.stream], [epoch.xid, epoch.row_id, ROWS_MAX])
        rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
    if rows:
        base = epoch.pk * EPOCH_STEP
        clickhouse.insert(client, epoch.stream, [(*row, base + (0 if by_id else row[-1] % EPOCH_STEP)) for row in rows])
        crash.point("feed_after_insert")
    if by_id:
        epoch.resynced_id = rows[-1][0] if len(rows) == ROWS_MAX else epoch.resync_below_id
    elif rows:
        epoch.xid, epoch.row_id = str(rows[-1][-1]), rows[-1][0]
    epoch.rows += len(rows)
    epoch.moved_at = now if rows else epoch.moved_at
    epoch.save(update_fields=["resynced_id", "xid", "row_id", "rows", "moved_at"])
    return len(rows)


def present_epoch() -> FeedEpoch | None:
    """How far the feed of this database server has come; None before it ran."""
    return FeedEpoch.objects.filter(stream="entries", system=RawSQL(f"({SYSTEM})", [])).first()  # noqa: S611 - our own text


def has_sent(epoch: FeedEpoch, entry_id: int) -> bool:
    """Whether this entry is in ClickHouse."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (xid, id) <= (%s::text::xid8, %s) FROM loyalty_entry WHERE id = %s", [epoch.xid, epoch.row_id, entry_id]
        )
        (by_transaction,) = cursor.fetchone()
    return bool(by_transaction) or entry_id <= epoch.resynced_id


def lag() -> Lag:
    """How far behind the dashboards are, without asking ClickHouse."""
    epoch = present_epoch()
    with connection.cursor() as cursor:
        cursor.execute(LAG, [epoch.xid if epoch else "0", epoch.row_id if epoch else 0])
        count, since = cursor.fetchone()
    return Lag(count, since, epoch.checked_at if epoch else None)


def _one(cursor: Any, statement: str) -> str:
    cursor.execute(statement)
    return str(cursor.fetchone()[0])
