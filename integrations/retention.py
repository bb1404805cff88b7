"""Messages as they were sent, for as long as a brand keeps them.

A message that is settled loses its body so many days after it was last worked on; one that waits for a bill or for a person keeps it. Receipt,
hash, state and what was read of it stay, and so do bill, lines and ledger: a repeat is still known as one, a correction still books. What can
no longer be done is to book that very bill anew. The same message, sent again, is put back for as long again.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import Q
from django_scopes import scope

from integrations.models import Bill, Delivery, DeliveryState
from loyalty import customers
from loyalty.ledger import retried
from tenants import audit, clock
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.saying import said

log = structlog.get_logger("pointdesk.retention")
CHUNK = 1000
COUNTED_MOST = 100_000
#: Nothing more happens to them by itself.
SETTLED = (
    DeliveryState.APPLIED, DeliveryState.DUPLICATE, DeliveryState.DISCARDED, DeliveryState.REVERSED, DeliveryState.REJECTED,
)  # fmt: skip
#: What was settled in a stretch of time, oldest first; `DUE_BACK`: what had been put back.
DUE = """
    SELECT id, processed_at FROM integrations_delivery
    WHERE tenant_id = %(tenant)s AND (processed_at, id) > (%(after)s, %(last)s) AND processed_at < %(until)s AND received_at < %(until)s
      AND body_gone_at IS NULL AND body_back_at IS NULL AND state = ANY(%(states)s) ORDER BY processed_at, id LIMIT %(chunk)s
"""
DUE_BACK = """
    SELECT id, body_back_at FROM integrations_delivery
    WHERE tenant_id = %(tenant)s AND (body_back_at, id) > (%(after)s, %(last)s) AND body_back_at < %(until)s AND processed_at < %(until)s
      AND state = ANY(%(states)s) ORDER BY body_back_at, id LIMIT %(chunk)s
"""
#: Looked at again under the lock: it may have been booked anew, or sent again, a moment ago.
FORGET = """
    UPDATE integrations_delivery SET body = '', body_gone_at = now(), body_back_at = NULL
    WHERE tenant_id = %(tenant)s AND id IN (
        SELECT id FROM integrations_delivery
        WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s) AND state = ANY(%(states)s) AND body_gone_at IS NULL
          AND greatest(received_at, processed_at, body_back_at) < %(until)s
          AND (SELECT messages_kept_days FROM tenants_tenant WHERE id = %(tenant)s) <= %(days)s
        ORDER BY id FOR UPDATE)
"""
PUT_BACK = """
    UPDATE integrations_delivery SET body = %(body)s, body_gone_at = NULL, body_back_at = now()
    WHERE tenant_id = %(tenant)s AND body_hash = %(hash)s AND body_gone_at IS NOT NULL AND bill_id IS NOT NULL
    RETURNING receipt, bill_id
"""
#: Corrections that lacked this message.
RESUME = """
    UPDATE integrations_delivery SET state = 'received', next_try_at = NULL
    WHERE tenant_id = %s AND state = 'quarantined' AND check_name = 'message_gone' AND details->>'receipt' = %s
"""
GONE = "message_gone"


def body_of(delivery: Delivery) -> bytes:
    """What the bill can be booked from. Raises: DomainError `message_gone`."""
    if delivery.body_gone_at is not None:
        raise DomainError(GONE, told_gone(delivery.bill_no), receipt=delivery.receipt, bill_no=delivery.bill_no)
    return bytes(delivery.body)


def told_gone(bill_no: str) -> str:
    return said(
        "The message of bill {bill_no} is kept no more, so it cannot be booked anew. Have its POS send it once more, then retry.",
        bill_no=bill_no,
    )


def limit(days: int, *, now: datetime) -> datetime:
    """What was settled before it goes. By the earlier one of this machine's clock and the database's: a clock that is ahead forgets nothing."""
    return min(now, clock.now()) - timedelta(days=days)


def count_due(tenant: Tenant, days: int, *, now: datetime) -> int:
    """How many messages would go tonight if they were kept for so long, counted up to COUNTED_MOST."""
    until = limit(days, now=now)
    due = Delivery.objects.filter(
        Q(body_back_at=None) | Q(body_back_at__lt=until),
        tenant=tenant, processed_at__lt=until, received_at__lt=until, state__in=SETTLED, body_gone_at=None,
    )  # fmt: skip
    return int(due.order_by()[:COUNTED_MOST].count())


def forget(tenant: Tenant, *, now: datetime) -> int:
    """Take the bodies of what was settled long enough ago; -> of how many messages. As the owner. May be broken off at any point."""
    if tenant.messages_kept_days is None:
        return 0
    until = limit(tenant.messages_kept_days, now=now)
    days = tenant.messages_kept_days
    gone = 0
    with scope(tenant=tenant):
        before = Tenant.objects.values_list("messages_gone_until", flat=True).get(pk=tenant.pk)
        for ids in itertools.chain(_due(DUE, tenant, before, until), _due(DUE_BACK, tenant, None, until)):
            if not gone:  # before any of them goes: whoever is killed has said what they were at
                _tell(tenant, "forget_messages", {"settled_before": until.isoformat()})
            gone += _forget(tenant, ids, until, days=days)
        with transaction.atomic():
            if before is None or before < until:
                Tenant.objects.filter(pk=tenant.pk, messages_kept_days__lte=days).update(messages_gone_until=until)
            if gone:
                _tell(tenant, "forgot_messages", {"messages": gone, "settled_before": until.isoformat()})
    return gone


def _tell(tenant: Tenant, action: str, after: dict[str, Any]) -> None:
    reason = said("Kept for {days} days", days=tenant.messages_kept_days)
    audit.record(tenant, actor=SYSTEM, action=action, target=tenant, reason=reason, after=after)


def _due(sql: str, tenant: Tenant, after: datetime | None, until: datetime) -> Iterator[list[int]]:
    """Chunks of ids. What is settled later than a moment that was gone through has a later time."""
    seen, last = after or datetime(1, 1, 1, tzinfo=until.tzinfo), 0
    while True:
        asked: dict[str, Any] = {
            "tenant": tenant.pk, "after": seen, "last": last, "until": until, "states": _states(), "chunk": CHUNK,
        }  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(sql, asked)
            rows = cursor.fetchall()
        if rows:
            yield [row[0] for row in rows]
            last, seen = rows[-1]
        if len(rows) < CHUNK:
            return


def _forget(tenant: Tenant, ids: list[int], until: datetime, *, days: int) -> int:
    def take() -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(FORGET, {"tenant": tenant.pk, "ids": ids, "states": _states(), "until": until, "days": days})
            return int(cursor.rowcount)

    return retried(take)


def _states() -> list[str]:
    return [each.value for each in SETTLED]


def forget_all(*, now: datetime) -> Counter[str]:
    """Every brand that keeps messages for a time. -> `done`, messages; `failed`, brands."""
    total: Counter[str] = Counter()
    for tenant in Tenant.objects.filter(is_active=True, messages_kept_days__isnull=False):
        try:
            total["done"] += forget(tenant, now=now)
        except Exception as problem:  # one brand's trouble stops no other's
            log.error("messages not forgotten", tenant=tenant.slug, error=type(problem).__name__)
            total["failed"] += 1
    return total


def put_back(tenant: Tenant, body: bytes, digest: bytes) -> bool:
    """The very message is here again: -> whether its body had gone, and is back. Corrections that lacked it are tried again.

    Only what a bill was made of, since nothing else is booked anew; and not where its person has been forgotten since: what named them had been
    masked in it.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(PUT_BACK, {"body": body, "tenant": tenant.pk, "hash": digest})
        found = cursor.fetchone()
        if found is None:
            return False
        receipt, bill_id = found
        # Under the row's lock: an erasure that is not seen here masks the body after this.
        if _is_of_nobody(tenant, bill_id):
            transaction.set_rollback(True)
            return False
        cursor.execute(RESUME, [tenant.pk, receipt])
    return True


def _is_of_nobody(tenant: Tenant, bill_id: int) -> bool:
    customer_id = Bill.objects.values_list("customer_id", flat=True).get(tenant=tenant, pk=bill_id)
    return customer_id is not None and customers.is_erased(tenant, [customers.survivor(tenant, customer_id)])
