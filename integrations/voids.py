"""Bills that we have booked and the POS or the ERP has no more: they were deleted there. A person reverses them (CASES 50)."""

import json
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django_scopes import scope

from integrations import inbox
from integrations.booking import Batch
from integrations.models import Bill, BillClass, Delivery, DeliveryState, Source
from integrations.posting import Shop, Taken
from loyalty.ledger import checked_reason
from tenants import audit
from tenants.actors import Actor
from tenants.errors import DomainError
from tenants.models import Store, Tenant
from tenants.saying import said

ROWS_MAX = 1000

#: Orders that the ERP calls void, and whose bill stands here.
VOIDED = """
    SELECT b.id, b.store_id, b.bill_no, b.business_date, b.net_amount, b.customer_id, e.order_no FROM integrations_erporder e
    JOIN integrations_bill b ON b.tenant_id = e.tenant_id AND b.store_id = e.store_id AND b.bill_no = e.bill_no
      AND b.billed_at BETWEEN e.at - interval '60 days' AND e.at + interval '60 days'
    WHERE e.tenant_id = %(tenant)s AND e.state = 'voided' AND (%(store)s::bigint IS NULL OR e.store_id = %(store)s)
      AND e.at BETWEEN %(since)s::date - 61 AND %(until)s::date + 61
      AND NOT EXISTS (SELECT FROM integrations_erporder o WHERE o.tenant_id = e.tenant_id AND o.store_id = e.store_id AND o.bill_no = e.bill_no
                      AND o.state = 'confirmed' AND o.at BETWEEN e.at - interval '60 days' AND e.at + interval '60 days')
      AND b.business_date BETWEEN %(since)s AND %(until)s AND b.bill_class = 'sale'
      AND b.superseded_at IS NULL AND b.cancelled_by_id IS NULL
    ORDER BY b.store_id, b.business_date, b.id LIMIT %(limit)s
"""
#: Settled days of which we have more sales than the POS counts, with the bills that would make the difference: one of that
#: amount, one whose number lies outside of the day's, or one that the ERP does not know although it knows the day.
SURPLUS = """
    WITH ours AS (
        SELECT b.id, b.store_id, b.bill_no, b.business_date, b.net_amount, b.customer_id, b.cancelled_by_id IS NULL AS stands
        FROM integrations_bill b LEFT JOIN integrations_bill c ON c.tenant_id = b.tenant_id AND c.id = b.cancelled_by_id
        WHERE b.tenant_id = %(tenant)s AND b.business_date BETWEEN %(since)s AND %(until)s AND b.bill_class = 'sale'
          AND b.superseded_at IS NULL AND c.business_date IS DISTINCT FROM b.business_date
          AND (%(store)s::bigint IS NULL OR b.store_id = %(store)s)
    ), days AS (
        SELECT e.store_id, e.business_date, e.first_bill_no, e.last_bill_no, count(o.id) - e.bills AS more,
               sum(o.net_amount) - e.net_amount AS net
        FROM integrations_dayend e JOIN ours o ON o.store_id = e.store_id AND o.business_date = e.business_date
        WHERE e.tenant_id = %(tenant)s GROUP BY e.id HAVING count(o.id) > e.bills
    ), known AS (
        SELECT d.store_id, d.business_date FROM days d WHERE EXISTS (
            SELECT FROM ours o JOIN integrations_erporder e ON e.tenant_id = %(tenant)s AND e.store_id = o.store_id AND e.bill_no = o.bill_no
              AND e.at BETWEEN %(since)s::date - 61 AND %(until)s::date + 61
            WHERE o.store_id = d.store_id AND o.business_date = d.business_date)
    ), judged AS (
        SELECT o.*, d.more, d.more = 1 AND o.net_amount = d.net AS by_amount,
               d.first_bill_no <> '' AND d.last_bill_no <> '' AND length(o.bill_no) = length(d.last_bill_no)
                   AND length(d.first_bill_no) = length(d.last_bill_no)
                   AND (o.bill_no < d.first_bill_no OR o.bill_no > d.last_bill_no) AS by_number,
               k.store_id IS NOT NULL AND NOT EXISTS (
                   SELECT FROM integrations_erporder e WHERE e.tenant_id = %(tenant)s AND e.store_id = o.store_id AND e.bill_no = o.bill_no
                     AND e.at BETWEEN %(since)s::date - 61 AND %(until)s::date + 61
               ) AS by_erp
        FROM days d JOIN ours o ON o.store_id = d.store_id AND o.business_date = d.business_date
        LEFT JOIN known k ON k.store_id = d.store_id AND k.business_date = d.business_date
    )
    SELECT id, store_id, bill_no, business_date, net_amount, customer_id, more, by_amount, by_number, by_erp FROM judged
    WHERE stands AND (by_amount OR by_number OR by_erp) ORDER BY store_id, business_date, id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Void:
    """A booked sale that seems to be deleted at its POS. `why`: how we know."""

    bill_id: int
    store_id: int
    bill_no: str
    day: date
    net: Decimal
    customer_id: int | None
    why: str


def find(tenant: Tenant, *, since: date, until: date, store: Store | None = None) -> list[Void]:
    """Bills whose reversal is proposed, those that the ERP calls void first; ROWS_MAX of each kind at most."""
    bounds: dict[str, Any] = {
        "tenant": tenant.pk, "since": since, "until": until, "limit": ROWS_MAX, "store": store.pk if store else None,
    }  # fmt: skip
    found: dict[int, Void] = {}
    with connection.cursor() as cursor:
        cursor.execute(VOIDED, bounds)
        for row in cursor.fetchall():
            found.setdefault(row[0], _void(row, said("The ERP has it as {order_no}, voided", order_no=row[6])))
        cursor.execute(SURPLUS, bounds)
        for row in cursor.fetchall():
            more, by_amount, by_number, by_erp = row[6:]
            traces = [
                said("The day-end counts {bills} less", bills=more),
                *([said("without this one the day adds up")] if by_amount else []),
                *([said("its number is none of the day's")] if by_number else []),
                *([said("the ERP does not know it")] if by_erp else []),
            ]
            found.setdefault(row[0], _void(row, ", ".join(traces)))
    return list(found.values())


def _void(row: tuple[Any, ...], why: str) -> Void:
    bill_id, store_id, bill_no, day, net, customer_id = row[:6]
    return Void(bill_id, store_id, bill_no, day, net, customer_id, why)


def reverse(tenant: Tenant, bill_id: int, *, reason: str, actor: Actor, now: datetime) -> Delivery:
    """Cancel a booked sale that its POS has deleted, by a cancellation written at the desk: reversed by link, nothing is deleted.

    Should the POS send its own cancellation later, that one is an `over_return` and takes nothing a second time. Should it send the
    bill with other content, as a higher version or accepted by a person, then it has the bill after all, and that one stands.

    Raises: DomainError `bill_unknown`, `bill_cancelled`, `reversal_refused` (with what stands in the way), `reason_length`.
    """
    reason = checked_reason(reason)
    with scope(tenant=tenant), transaction.atomic(), connection.cursor() as cursor:
        inbox.wait_for(cursor, tenant)
        bill = _standing(tenant, bill_id)
        number = f"{bill.bill_no[:90]}/desk-{bill.pk}"  # no POS has such a number
        body = json.dumps(
            {
                "bill_type": "CANCEL", "bill_no": number, "bill_date": bill.billed_at.isoformat(), "store_code": bill.store.code,
                **({"till_code": bill.till_code} if bill.till_code else {}), "original": {"bill_no": bill.bill_no},
                "written_at_the_desk": {"of_bill": bill.pk, "reason": reason},
            }
        ).encode()  # fmt: skip
        kept = inbox.receive(tenant, body, source=Source.DESK, sender=actor, now=now)
        row: Delivery = Delivery.objects.select_for_update().get(tenant=tenant, receipt=kept.receipt)
        row.decided = {"original": bill.pk, "any_date": True}
        row.save(update_fields=["decided"])
        why = said("Deleted at the POS: {reason}", reason=reason)[:500]
        outcomes = Batch(Shop(tenant, now=now, actor=actor, reason=why)).run([Taken(row.pk, body, row.decided)])
        mine = next(each for each in outcomes if each.id == row.pk)
        if mine.state is not DeliveryState.APPLIED:
            told = said("The bill cannot be reversed: {why}", why=mine.message)
            raise DomainError("reversal_refused", told, check=mine.check)
        inbox.settle(cursor, tenant, outcomes, now=now)
        audit.record(
            tenant, actor=actor, action="reverse_bill", target=bill, reason=reason, after={"delivery": row.receipt, "net": str(bill.net_amount)}
        )  # fmt: skip
        row.refresh_from_db()
    return row


def _standing(tenant: Tenant, bill_id: int) -> Bill:
    bill: Bill | None = Bill.objects.select_for_update(of=["self"]).select_related("store").filter(
        tenant=tenant, pk=bill_id, superseded_at=None, bill_class=BillClass.SALE
    ).first()  # fmt: skip
    if bill is None:
        raise DomainError("bill_unknown", said("There is no such booked sale. Look it up by its number."))
    if bill.cancelled_by_id is not None:
        told = said("Bill {bill_no} is cancelled already. Nothing was changed.", bill_no=bill.bill_no)
        raise DomainError("bill_cancelled", told)
    return bill
