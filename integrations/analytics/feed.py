"""The feed to ClickHouse. The ledger is its own outbox: rows are read by the transaction that wrote them, below the oldest
one still running, so that a late commit is never skipped. Delivered at least once, counted once.

Streams take turns, a block each, and none holds up another: what ClickHouse refuses of one is raised when the others have been sent.

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
from integrations.analytics.streams import ENTRIES, STREAMS, Stream
from integrations.models import FeedEpoch
from tenants import crash
from tenants.runs import alone

log = structlog.get_logger("pointdesk.feed")
ROWS_MAX = 20_000
JOB = "feed"
EPOCH_STEP = 1 << 44

#: This database server, and which of its lives: both change with a restore.
SYSTEM = "SELECT system_identifier || '.' || timeline_id FROM pg_control_system(), pg_control_checkpoint()"
OLDEST_XID = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
#: The bound is read in the same statement as the rows.
_BY_XID = """
    WHERE (r.xid, r.id) > (%s::text::xid8, %s) AND r.xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY r.xid, r.id LIMIT %s
"""
_MAX_ID = "SELECT coalesce(max(id), 0) FROM {source}"
_BY_ID = "WHERE r.id > %s AND r.id <= %s ORDER BY r.id LIMIT %s"


LAG_COUNTED = 10_000
#: Rows of a restored dump may name transactions that this life of the database has not come to: they are sent by their ids.
OF_THIS_LIFE = "(xid < pg_snapshot_xmax(pg_current_snapshot()) OR xid = pg_current_xact_id_if_assigned())"
BEHIND = f"""
    SELECT count(*) FROM (
        SELECT FROM {{source}} WHERE (xid, id) > (%s::text::xid8, %s) AND {OF_THIS_LIFE}
        ORDER BY xid, id LIMIT {LAG_COUNTED}) late
"""  # noqa: S608
LAG = f"""
    SELECT count(*), min(posted_at) FROM (
        SELECT posted_at FROM loyalty_entry
        WHERE (xid, id) > (%s::text::xid8, %s) AND {OF_THIS_LIFE} ORDER BY xid, id LIMIT {LAG_COUNTED}) late
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
            return _take_turns(client, now=now, rounds_max=rounds_max)


def _take_turns(client: Client, *, now: datetime, rounds_max: int) -> int:
    waiting = [current_epoch(stream) for stream in STREAMS.values()]
    problems: list[Exception] = []
    sent = 0
    for _ in range(rounds_max):
        for epoch in tuple(waiting):
            resynced = epoch.resynced_id >= epoch.resync_below_id
            try:
                rows = _send_some(client, epoch, now=now)
            except clickhouse.Away:
                raise
            except Exception as problem:
                log.error("stream not sent", stream=epoch.stream, error=str(problem)[:200])
                problems.append(problem)
                waiting.remove(epoch)
                continue
            sent += rows
            if rows < ROWS_MAX and resynced:
                # All there was at that moment. A short block by id says nothing of what is new by transaction.
                FeedEpoch.objects.filter(pk=epoch.pk).update(checked_at=now)
                waiting.remove(epoch)
        if not waiting:
            break
    if problems:
        raise problems[0]
    return sent


def current_epoch(stream: Stream) -> FeedEpoch:
    """The epoch of this database server, begun now if there is none."""
    with transaction.atomic(), connection.cursor() as cursor:
        system = _one(cursor, SYSTEM)
        epoch = FeedEpoch.objects.filter(system=system, stream=stream.name).first()
        if epoch is None:
            # Before the last id is read: whoever is still writing then is found by transaction, whatever ids they hold.
            start = _one(cursor, OLDEST_XID)
            last = int(_one(cursor, _MAX_ID.format(source=stream.source)))
            epoch = FeedEpoch.objects.create(system=system, stream=stream.name, xid=start, resync_below_id=last)
    return epoch


def _send_some(client: Client, epoch: FeedEpoch, *, now: datetime) -> int:
    """One block: first what the epoch found by id, then what is new by transaction. The cursor moves after the insert."""
    stream = STREAMS[epoch.stream]
    with connection.cursor() as cursor:
        by_id = epoch.resynced_id < epoch.resync_below_id
        if by_id:
            cursor.execute(stream.rows + _BY_ID, [epoch.resynced_id, epoch.resync_below_id, ROWS_MAX])
        else:
            cursor.execute(stream.rows + _BY_XID, [epoch.xid, epoch.row_id, ROWS_MAX])
        rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
    if rows:
        base = epoch.pk * EPOCH_STEP
        clickhouse.insert(client, stream, [(*row, base + (0 if by_id else row[-1] % EPOCH_STEP)) for row in rows])
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
    return FeedEpoch.objects.filter(stream=ENTRIES.name, system=RawSQL(f"({SYSTEM})", [])).first()  # noqa: S611 - our own text


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


def rows_behind() -> dict[str, int]:
    """How many rows of each stream ClickHouse has not got yet (counted up to 10,000; so many, while a new epoch sends by id)."""
    counted = {}
    with connection.cursor() as cursor:
        system = _one(cursor, SYSTEM)
        known = {epoch.stream: epoch for epoch in FeedEpoch.objects.filter(system=system)}
        for stream in STREAMS.values():
            epoch = known.get(stream.name)
            bounds = [epoch.xid, epoch.row_id] if epoch else ["0", 0]
            by_id = epoch is not None and epoch.resynced_id < epoch.resync_below_id
            counted[stream.name] = LAG_COUNTED if by_id else int(_one(cursor, BEHIND.format(source=stream.source), bounds))
    return counted


def _one(cursor: Any, statement: str, values: Sequence[Any] = ()) -> str:
    cursor.execute(statement, values or None)
    return str(cursor.fetchone()[0])
