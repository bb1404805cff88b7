"""The inbox: a message is kept before it is understood, and its state is the truth about what became of it.

Redis only rings the bell. What the bell missed, the sweeper finds: `received` and due is all there is to know.
"""

import gc
import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import OperationalError, connection, transaction
from django_scopes import scope

from integrations import missing, retention
from integrations.ahead import Ahead
from integrations.booking import book_batch
from integrations.documents import MalformedJSON, read_json
from integrations.models import DeliveryState, Source
from integrations.posting import Outcome, Taken
from loyalty.ledger import retried
from tenants import crash
from tenants.actors import Actor, ActorKind
from tenants.counters import count
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.saying import said
from tenants.setwise import columns_of, without_waiting
from tenants.statistics import learn

log = structlog.get_logger("pointdesk.inbox")
BATCH_ROWS = 500
TRIES_MAX = 8
RETRY_SECONDS = 2
#: What bills fill.
GROWING = (
    "integrations_delivery", "integrations_bill", "integrations_billline",
    "loyalty_customer", "loyalty_balance", "loyalty_entry", "loyalty_lot", "loyalty_entrylot",
)  # fmt: skip

KEEP = """
    INSERT INTO integrations_delivery (tenant_id, receipt, source, repush, key_id, sender, body, body_hash, state, check_name, message,
        processed_at, details, attempts, bill_no, store_code, mobile, waits_for, decided)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, CASE WHEN %s THEN now() END, '{}', 0, '', '', '', '', '{}')
    ON CONFLICT (tenant_id, body_hash) DO NOTHING RETURNING receipt, state, id
"""
FIND_BODY = "SELECT receipt, state, id, body_gone_at FROM integrations_delivery WHERE tenant_id = %s AND body_hash = %s"
RETRY = """
    UPDATE integrations_delivery SET state = 'received', next_try_at = NULL
    WHERE tenant_id = %s AND body_hash = %s AND state = 'quarantined' RETURNING state
"""
#: One worker a tenant at a time: bills are applied in the order in which they came.
_TRY_TENANT = "SELECT pg_try_advisory_xact_lock(hashtext('pointdesk.inbox'), %s::integer)"
_WAIT_FOR_TENANT = "SELECT pg_advisory_xact_lock(hashtext('pointdesk.inbox'), %s::integer)"
TAKE = """
    SELECT id, body, decided FROM integrations_delivery
    WHERE tenant_id = %s AND state = 'received' AND (next_try_at IS NULL OR next_try_at <= %s)
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
"""
#: What comes after these, to be read while they are booked. Whether it is taken then, the next batch sees.
NEXT = """
    SELECT id, body FROM integrations_delivery
    WHERE tenant_id = %s AND state = 'received' AND (next_try_at IS NULL OR next_try_at <= %s) AND id > %s AND octet_length(body) < 16384
    ORDER BY id LIMIT %s
"""
SETTLE = """
    UPDATE integrations_delivery SET state = new.state, check_name = new.check_name, message = new.message, details = new.details,
        bill_id = new.bill_id, first_id = new.first_id, bill_no = new.bill_no, store_code = new.store_code, mobile = new.mobile,
        waits_for = new.waits_for, attempts = attempts + 1, processed_at = %s
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::jsonb[], %s::bigint[], %s::bigint[], %s::text[], %s::text[],
        %s::text[], %s::text[]) AS new (id, state, check_name, message, details, bill_id, first_id, bill_no, store_code, mobile, waits_for)
    WHERE tenant_id = %s AND integrations_delivery.id = new.id
"""
#: What waits for one of these bills is tried again at once.
RESUME = """
    UPDATE integrations_delivery SET state = 'received', next_try_at = NULL
    WHERE tenant_id = %s AND state = 'waiting_parent' AND waits_for = ANY(%s)
"""
GIVE_UP = """
    UPDATE integrations_delivery SET state = 'quarantined', check_name = 'parent_missing',
        message = replace(%s, '{bill_no}', waits_for)
    WHERE state = 'waiting_parent' AND received_at < %s - interval '7 days'
"""
FAILED = """
    UPDATE integrations_delivery SET attempts = attempts + 1,
        state = CASE WHEN attempts + 1 >= %s THEN 'quarantined' ELSE state END,
        check_name = CASE WHEN attempts + 1 >= %s THEN 'processing_error' ELSE check_name END,
        message = %s, processed_at = %s, next_try_at = %s::timestamptz + %s * interval '1 second' * (attempts + 1)
    WHERE tenant_id = %s AND id = %s AND state = 'received'
"""
WAITING = (
    "SELECT DISTINCT tenant_id FROM integrations_delivery WHERE state = 'received' AND (next_try_at IS NULL OR next_try_at <= %s)"
)


def wait_for(cursor: Any, tenant: Tenant) -> None:
    """The tenant's turn: until this transaction ends nobody else books bills of it, and what was under way is done."""
    cursor.execute(_WAIT_FOR_TENANT, [tenant.pk % 2**31])


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery's receipt and state; `duplicate`: this very body was here before."""

    receipt: str
    state: str
    duplicate: bool
    id: int


class BusinessMismatch(DomainError):
    """The bill names another tenant than the key's."""


def receive(
    tenant: Tenant,
    body: bytes,
    *,
    source: Source,
    sender: Actor,
    now: datetime,
    repush: str = "",
    checked: dict[str, Any] | None = None,
) -> Received:
    """Keep one message. The very same body gives the first receipt; a quarantined one is thereby tried again.

    `checked`: the body as JSON where the caller has read it already. Raises: MalformedJSON (kept as `rejected`),
    BusinessMismatch (counted, not kept).
    """
    try:
        bill = checked if checked is not None else read_json(body)
    except MalformedJSON as problem:
        reject(tenant, body, problem, source=source, sender=sender)
        raise
    named = bill.get("business_id")
    if named is not None and named != tenant.business_id:
        count("business_mismatch", tenant=tenant.slug, today=now.date())
        raise BusinessMismatch(
            "business_mismatch",
            said("The bill's business_id is not the one of this API key. Send it with its own key."),
            path="business_id",
        )
    return _keep(tenant, body, source=source, sender=sender, repush=repush)


def reject(tenant: Tenant, body: bytes, problem: MalformedJSON, *, source: Source, sender: Actor) -> None:
    """Keep a body that nobody can read, finally."""
    _keep(tenant, body, source=source, sender=sender, repush="", rejected=problem)


def _keep(
    tenant: Tenant, body: bytes, *, source: Source, sender: Actor, repush: str, rejected: MalformedJSON | None = None
) -> Received:
    digest = hashlib.sha256(body).digest()
    state = DeliveryState.REJECTED if rejected else DeliveryState.RECEIVED
    key_id = sender.id if sender.kind is ActorKind.KEY else None
    row: list[Any] = [
        tenant.pk, f"dl_{secrets.token_hex(10)}", source.value, repush[:120], key_id, sender.name, body, digest, state.value,
        rejected.code if rejected else "", rejected.sentence if rejected else "", rejected is not None,
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(KEEP, row)
        kept = cursor.fetchone()
        if kept is not None:
            return Received(kept[0], kept[1], duplicate=False, id=kept[2])
        cursor.execute(FIND_BODY, [tenant.pk, digest])
        receipt, first_state, delivery_id, gone_at = cursor.fetchone()
        if gone_at is not None:
            retention.put_back(tenant, body, digest)
        if first_state == DeliveryState.QUARANTINED:
            cursor.execute(RETRY, [tenant.pk, digest])
            # None: somebody else has just asked for the same.
            first_state = (cursor.fetchone() or [DeliveryState.RECEIVED.value])[0]
    return Received(receipt, first_state, duplicate=True, id=delivery_id)


def process(tenant: Tenant, *, now: datetime, rows_max: int = BATCH_ROWS, ahead: Ahead | None = None) -> Counter[str] | None:
    """Book one batch of what has been received; -> how many ended in which state, empty when nothing was left.

    None: another worker is at it. A batch that raises is halved until the one bill that does it stands alone; that one is
    tried again later and parked after 8 tries, while its neighbours go on. `ahead`: goes from one batch to the next.
    """
    with scope(tenant=tenant), _without_collecting():
        return _process(tenant, now=now, rows_max=rows_max, ahead=ahead or Ahead(tenant))


@contextmanager
def _without_collecting() -> Iterator[None]:
    """A batch makes hundred thousands of objects, a few dozen in cycles; to look for them every few hundred took a sixth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Unbookable(Exception):
    """Booking these deliveries raised; its cause says what."""

    def __init__(self, delivery_ids: list[int]) -> None:
        super().__init__(f"{len(delivery_ids)} deliveries")
        self.delivery_ids = delivery_ids


def _process(tenant: Tenant, *, now: datetime, rows_max: int, ahead: Ahead) -> Counter[str] | None:
    try:
        return retried(lambda: _book_some(tenant, now=now, rows_max=rows_max, ahead=ahead))
    except Unbookable as problem:
        count, cause = len(problem.delivery_ids), problem.__cause__
        if count > 1:
            log.warning("batch halved", tenant=tenant.slug, rows=count, error=type(cause).__name__)
            return _process(tenant, now=now, rows_max=(count + 1) // 2, ahead=ahead)
        _note_failure(tenant, problem.delivery_ids[0], cause, now=now)
        return Counter({"failed": 1})


def _book_some(tenant: Tenant, *, now: datetime, rows_max: int, ahead: Ahead) -> Counter[str] | None:
    """Raises: Unbookable; OperationalError, since the database's trouble is nobody's bill."""
    ids: list[int] = []
    settled: list[Outcome] = []
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_TRY_TENANT, [tenant.pk % 2**31])
            if not cursor.fetchone()[0]:
                return None
            cursor.execute(TAKE, [tenant.pk, now, rows_max])
            taken = [Taken(row[0], bytes(row[1]), decided(row[2])) for row in cursor.fetchall()]
            if not taken:
                return Counter()
            ids = [delivery.id for delivery in taken]
            if more := len(taken) == BATCH_ROWS:
                cursor.execute(NEXT, [tenant.pk, now, ids[-1], rows_max])
            ahead.note([(row[0], bytes(row[1])) for row in cursor.fetchall()] if more else [])
            outcomes = book_batch(tenant, taken, now=now, ahead=ahead)
            settled = [outcome for outcome in outcomes if outcome.state is not DeliveryState.RECEIVED]
            crash.point("inbox_before_settle")
            with without_waiting():
                settle(cursor, tenant, settled, now=now)
                if not connection.savepoint_ids:  # the commit comes next: what it would check while we wait
                    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                ahead.read()
            crash.point("inbox_before_commit")
    except OperationalError:
        raise
    except Exception as problem:
        if not ids:
            raise
        raise Unbookable(ids) from problem
    crash.point("inbox_after_commit")
    return Counter(outcome.state.value for outcome in settled)


def settle(cursor: Any, tenant: Tenant, outcomes: Sequence[Outcome], *, now: datetime) -> None:
    """Write what became of deliveries; what waited for one of them is due again."""
    if not outcomes:
        return
    come = {(each.store_id, each.bill_no) for each in outcomes if each.state is DeliveryState.APPLIED and each.store_id}
    if come:
        missing.arrived(tenant, sorted(come), now=now)  # asks, and so goes before what is only sent
    cursor.execute(SETTLE, [now, *columns_of([_row(outcome) for outcome in outcomes]), tenant.pk])
    landed = sorted({outcome.bill_no for outcome in outcomes if outcome.state is DeliveryState.APPLIED})
    if landed:
        cursor.execute(RESUME, [tenant.pk, landed])


def _row(outcome: Outcome) -> tuple[Any, ...]:
    return (
        outcome.id, outcome.state.value, outcome.check, outcome.message, json.dumps(outcome.details) if outcome.details else "{}",
        outcome.bill_id, outcome.first_id,
        outcome.bill_no, outcome.store_code, outcome.mobile, outcome.waits_for,
    )  # fmt: skip


def decided(value: Any) -> dict[str, Any]:
    """A JSON column, as a raw cursor gives it."""
    return json.loads(value) if isinstance(value, str) else value or {}


def _note_failure(tenant: Tenant, delivery_id: int, problem: BaseException | None, *, now: datetime) -> None:
    told = said(
        "Processing failed ({problem}). It is tried {times} times, then a person has to look.",
        problem=type(problem).__name__, times=TRIES_MAX,
    )  # fmt: skip
    log.error("delivery failed", tenant=tenant.slug, delivery=delivery_id, error=type(problem).__name__)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(FAILED, [TRIES_MAX, TRIES_MAX, told, now, now, RETRY_SECONDS, tenant.pk, delivery_id])


def drain(tenant: Tenant, *, now: datetime, batches_max: int = 10_000) -> Counter[str]:
    """Process until nothing is left that is due, or another worker is at it."""
    total: Counter[str] = Counter()
    rows_max, ahead = BATCH_ROWS, Ahead(tenant)
    for _ in range(batches_max):
        done = process(tenant, now=now, rows_max=rows_max, ahead=ahead)
        if not done:
            break
        total.update(done)
        if done.total() >= rows_max == BATCH_ROWS:
            learn(GROWING)
        # Trouble comes in groups: go on one by one, and faster again while it goes well.
        rows_max = 1 if done["failed"] else min(BATCH_ROWS, rows_max * 2)
    return total


def tenants_waiting(*, now: datetime) -> list[Tenant]:
    """Tenants with deliveries that wait to be processed. For the sweeper, which sees all tenants."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [now])
        ids = [row[0] for row in cursor.fetchall()]
    return list(Tenant.objects.filter(pk__in=ids, is_active=True))


def sweep(*, now: datetime, tenants: Iterable[Tenant] | None = None) -> Counter[str]:
    """Process whatever the bell missed, tenant by tenant; what has waited 7 days for its bill is a person's now. -> counts by state."""
    total: Counter[str] = Counter()
    if tenants is None:
        with connection.cursor() as cursor:
            told = said("Bill {bill_no} has not arrived within 7 days. Ask the POS for it, or say which bill this is about.")
            cursor.execute(GIVE_UP, [told, now])  # filled there
    for tenant in tenants if tenants is not None else tenants_waiting(now=now):
        try:
            total.update(drain(tenant, now=now))
        except Exception as problem:  # the other tenants' bills go on; this one's wait for the next sweep
            log.error("inbox failed", tenant=tenant.slug, error=type(problem).__name__)
            total["failed"] += 1
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()
    return total
