"""Which bills never came: gaps in a store's numbers, blocked points without a bill, days that do not add up, orders that only the ERP has,
stores gone silent. What is missing is asked for in a re-push request, which follows by itself what arrives.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

from django.core.mail import EmailMessage
from django.db import connection, transaction

from integrations import messages
from integrations.models import Delivery, MissingKind, RepushLine, RepushRequest
from loyalty.ledger import checked_reason
from tenants import audit, exports
from tenants.actors import Actor
from tenants.errors import DomainError
from tenants.masking import hide_numbers
from tenants.models import Store, Tenant
from tenants.saying import said
from tenants.setwise import columns_of
from tenants.spreadsheets import safe

#: A jump over more numbers than this is a new series, not a hole.
JUMP = 500
#: Fresh numbers may still be on their way.
SETTLES_AFTER = timedelta(hours=1)
HOLD_AFTER = timedelta(hours=24)
#: How many weeks make a store's rhythm, and on how many of their like days it must have sold to be missed.
WEEKS, USUALLY = 4, 3
LINES_MAX = 10_000

#: Every number that is known of a store, whatever its document or state, split into what stands before its last digits, and these.
NUMBERS = r"""
    WITH numbers AS (
        SELECT b.store_id, b.till, b.period, b.bill_no, b.business_date AS day, b.posted_at AS seen FROM integrations_bill b
        WHERE b.tenant_id = %(tenant)s AND b.business_date BETWEEN %(since)s AND %(until)s AND b.superseded_at IS NULL
        UNION ALL
        SELECT s.store_id, '', '', d.bill_no, d.received_at::date, d.received_at FROM integrations_delivery d
        JOIN (SELECT code, id AS store_id FROM tenants_store WHERE tenant_id = %(tenant)s
              UNION ALL SELECT code, store_id FROM tenants_storealias WHERE tenant_id = %(tenant)s) s ON s.code = d.store_code
        WHERE d.tenant_id = %(tenant)s AND d.state IN ('received', 'quarantined', 'waiting_parent', 'conflict', 'discarded')
          AND d.bill_no <> '' AND d.received_at >= %(since)s
    ), split AS (
        SELECT store_id, CASE WHEN %(by_till)s THEN till ELSE '' END AS till, day, seen, bill_no,
               CASE %(period)s WHEN 'none' THEN 0 WHEN 'calendar_year' THEN extract(year FROM day)::int
                    ELSE extract(year FROM day - interval '3 months')::int END AS year,
               (regexp_match(bill_no, '^(.*?)([0-9]{1,15})([^0-9]*)$')) AS parts FROM numbers
    ), series AS (
        SELECT store_id, till, year, parts[1] AS prefix, parts[3] AS suffix, parts[2]::bigint AS number, length(parts[2]) AS width,
               min(day) AS day, min(seen) AS seen
        FROM split WHERE parts IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7
    ), gaps AS (
        SELECT *, lead(number) OVER w AS next, lead(day) OVER w AS next_day, lead(seen) OVER w AS next_seen, lead(width) OVER w AS next_width
        FROM series WINDOW w AS (PARTITION BY store_id, till, year, prefix, suffix ORDER BY number)
    )
    SELECT g.store_id, g.till, g.prefix, g.suffix, n.number, CASE WHEN g.width = g.next_width THEN g.width ELSE 0 END, g.day, g.next_day
    FROM gaps g, generate_series(g.number + 1, g.next - 1) AS n (number)
    WHERE g.next - g.number BETWEEN 2 AND %(jump)s AND greatest(g.seen, g.next_seen) < %(settled)s
    ORDER BY 1, 2, 3, 4, 5 LIMIT %(limit)s
"""
HOLDS = """
    SELECT h.store_id, h.reference, h.bill_no, h.points, h.at, round(h.points * h.rate, 2) FROM loyalty_hold h
    WHERE h.tenant_id = %(tenant)s AND h.store_id IS NOT NULL AND h.late_bill_id IS NULL AND h.bill_id IS NULL AND h.at < %(before)s
      AND h.at >= %(since)s AND (h.state = 'active' OR h.state = 'expired')
      AND NOT EXISTS (SELECT FROM integrations_delivery d WHERE d.tenant_id = h.tenant_id AND h.bill_no <> '' AND d.bill_no = h.bill_no
                      AND d.received_at >= h.at - interval '7 days' AND d.state IN ('received', 'quarantined', 'waiting_parent', 'conflict'))
    ORDER BY h.store_id, h.at LIMIT %(limit)s
"""
#: What was sold and cancelled on one day is in no day-end.
DAY_ENDS = """
    SELECT e.store_id, e.business_date, e.bills, e.returns, e.net_amount, coalesce(b.bills, 0), coalesce(b.returns, 0), coalesce(b.net, 0)
    FROM integrations_dayend e LEFT JOIN (
        SELECT i.store_id, i.business_date, count(*) FILTER (WHERE i.bill_class = 'sale') AS bills,
               count(*) FILTER (WHERE i.bill_class = 'return') AS returns, sum(i.net_amount) FILTER (WHERE i.bill_class = 'sale') AS net
        FROM integrations_bill i LEFT JOIN integrations_bill c ON c.tenant_id = i.tenant_id AND c.id = i.cancelled_by_id
        WHERE i.tenant_id = %(tenant)s AND i.business_date BETWEEN %(since)s AND %(until)s AND i.superseded_at IS NULL
          AND c.business_date IS DISTINCT FROM i.business_date
        GROUP BY 1, 2
    ) b ON b.store_id = e.store_id AND b.business_date = e.business_date
    WHERE e.tenant_id = %(tenant)s AND e.business_date BETWEEN %(since)s AND %(until)s
      AND (e.bills <> coalesce(b.bills, 0) OR e.returns <> coalesce(b.returns, 0) OR e.net_amount <> coalesce(b.net, 0))
    ORDER BY 1, 2
"""
ORDERS = """
    SELECT o.store_id, o.order_no, o.bill_no, o.amount, o.at FROM integrations_erporder o
    WHERE o.tenant_id = %(tenant)s AND o.state = 'confirmed' AND o.at >= %(since)s AND o.at < %(before)s AND o.bill_no <> ''
      AND NOT EXISTS (SELECT FROM integrations_bill b WHERE b.tenant_id = o.tenant_id AND b.store_id = o.store_id AND b.bill_no = o.bill_no
                      AND b.superseded_at IS NULL AND b.billed_at BETWEEN o.at - interval '60 days' AND o.at + interval '60 days')
      AND NOT EXISTS (SELECT FROM integrations_delivery d WHERE d.tenant_id = o.tenant_id AND d.bill_no = o.bill_no
                      AND d.received_at >= o.at - interval '7 days' AND d.state IN ('received', 'quarantined', 'waiting_parent', 'conflict'))
    ORDER BY o.store_id, o.at LIMIT %(limit)s
"""
#: The days of the last weeks on which each store sold.
DAYS = """
    SELECT store_id, business_date, count(*) FROM integrations_bill
    WHERE tenant_id = %s AND business_date BETWEEN %s AND %s AND bill_class = 'sale' AND superseded_at IS NULL GROUP BY 1, 2
"""
ARRIVED = """
    UPDATE integrations_repushline SET arrived_at = %s FROM unnest(%s::bigint[], %s::text[]) AS landed (store_id, bill_no)
    WHERE integrations_repushline.tenant_id = %s AND integrations_repushline.arrived_at IS NULL
      AND integrations_repushline.store_id = landed.store_id AND integrations_repushline.bill_no = landed.bill_no
    RETURNING integrations_repushline.request_id
"""
#: A bill that was asked for by its blocked points has come when they have found one.
COMPLETED = """
    UPDATE integrations_repushline l SET arrived_at = %s FROM integrations_repushrequest r
    WHERE l.tenant_id = %s AND l.arrived_at IS NULL AND l.reference <> '' AND r.tenant_id = l.tenant_id AND r.id = l.request_id
      AND r.closed_at IS NULL AND EXISTS (
        SELECT FROM loyalty_hold h WHERE h.tenant_id = l.tenant_id AND h.reference = l.reference AND coalesce(h.bill_id, h.late_bill_id) > 0)
    RETURNING l.request_id
"""
CLOSE = """
    UPDATE integrations_repushrequest r SET closed_at = %s, closed_by = %s
    WHERE r.tenant_id = %s AND r.id = ANY(%s) AND r.closed_at IS NULL AND NOT EXISTS (
        SELECT FROM integrations_repushline l WHERE l.tenant_id = r.tenant_id AND l.request_id = r.id AND l.arrived_at IS NULL)
"""


@dataclass(frozen=True, slots=True)
class Missing:
    """One bill that did not come, as far as it is known. `day`: the earliest it can be of."""

    kind: MissingKind
    store_id: int
    bill_no: str = ""
    day: date | None = None
    amount: Decimal | None = None
    reference: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A settled day whose sums differ: what the POS counts, and what we have."""

    store_id: int
    day: date
    bills: tuple[int, int]
    returns: tuple[int, int]
    net: tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Silent:
    """A store that usually sells on such a day and did not."""

    store_id: int
    day: date
    usual: int
    last: date | None


def find(tenant: Tenant, *, since: date, until: date, now: datetime) -> list[Missing]:
    """Every single bill that is known to be missing."""
    bounds: dict[str, Any] = {
        "tenant": tenant.pk, "since": since, "until": until, "period": tenant.bill_period, "by_till": tenant.bill_scope == "till", "jump": JUMP,
        "settled": now - SETTLES_AFTER, "before": now - HOLD_AFTER, "limit": LINES_MAX,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(NUMBERS, bounds)
        gaps = [_gap(*row) for row in cursor.fetchall()]
        cursor.execute(HOLDS, bounds)
        holds = [
            Missing(
                MissingKind.HOLD, store_id, bill_no, at.astimezone(tenant.zone).date(), amount, reference,
                said("{points} points are waiting for it since {at:%d %b %Y %H:%M}", points=points, at=at.astimezone(tenant.zone)),
            )
            for store_id, reference, bill_no, points, at, amount in cursor.fetchall()
        ]  # fmt: skip
        cursor.execute(ORDERS, bounds)
        orders = [
            Missing(
                MissingKind.ERP,
                store_id,
                bill_no,
                at.astimezone(tenant.zone).date(),
                amount,
                why=said("The ERP has it as {order_no}", order_no=order_no),
            )
            for store_id, order_no, bill_no, amount, at in cursor.fetchall()
        ]
    return _once([*orders, *holds, *gaps])


def _gap(
    store_id: int, till: str, prefix: str, suffix: str, number: int, width: int, day: date, next_day: date
) -> Missing:  # fmt: skip
    bill_no = f"{prefix}{number:0{width}d}{suffix}" if width else f"{prefix}{number}{suffix}"
    when = (
        said("on {day:%d %b}", day=day)
        if day == next_day
        else said("between {day:%d %b} and {next_day:%d %b}", day=day, next_day=next_day)
    )
    why = (
        said("The numbers around it are {when} at till {till}", when=when, till=till)
        if till
        else said("The numbers around it are {when}", when=when)
    )
    return Missing(MissingKind.GAP, store_id, bill_no, day, why=why)


def _once(found: Iterable[Missing]) -> list[Missing]:
    """A bill that several traces name is missing once; the one that knows most is kept."""
    kept: dict[tuple[int, str], Missing] = {}
    nameless: list[Missing] = []
    for each in found:
        if each.bill_no:
            kept.setdefault((each.store_id, each.bill_no), each)
        else:
            nameless.append(each)
    return [*kept.values(), *nameless]


def unsettled(tenant: Tenant, *, since: date, until: date) -> list[Unsettled]:
    """Settled days that do not add up."""
    with connection.cursor() as cursor:
        cursor.execute(DAY_ENDS, {"tenant": tenant.pk, "since": since, "until": until})
        return [
            Unsettled(store_id, day, (bills, ours), (returns, our_returns), (net, our_net))
            for store_id, day, bills, returns, net, ours, our_returns, our_net in cursor.fetchall()
        ]


def silent(tenant: Tenant, *, on: date) -> list[Silent]:
    """Stores without a sale on this day that sold on most such weekdays of the last weeks."""
    sold: dict[int, dict[date, int]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(DAYS, [tenant.pk, on - timedelta(weeks=WEEKS), on])
        for store_id, day, count in cursor.fetchall():
            sold[store_id][day] = count
    found = []
    for store_id, days in sold.items():
        like = [days[on - timedelta(weeks=week)] for week in range(1, WEEKS + 1) if on - timedelta(weeks=week) in days]
        if on not in days and len(like) >= USUALLY:
            found.append(Silent(store_id, on, round(sum(like) / len(like)), max(days, default=None)))
    return found


# Asking for them again


def ask(tenant: Tenant, store: Store, lines: Sequence[Missing], *, note: str, actor: Actor) -> RepushRequest:
    """A request to the store's POS. Bills that an open request asks for already are left out.

    Raises: DomainError `nothing_missing`.
    """
    with transaction.atomic():
        open_lines = RepushLine.objects.filter(tenant=tenant, store=store, arrived_at=None, request__closed_at=None)
        asked = set(open_lines.values_list("bill_no", "reference"))
        fresh = [line for line in lines if line.store_id == store.pk and (line.bill_no, line.reference) not in asked]
        if not fresh:
            raise DomainError(
                "nothing_missing",
                said("Everything that is missing of {store} has been asked for. Look at the open requests.", store=store),
            )
        request: RepushRequest = RepushRequest.objects.create(
            tenant=tenant, store=store, note=note.strip()[:500], asked_by=actor.name
        )
        RepushLine.objects.bulk_create(
            [
                RepushLine(
                    tenant=tenant, request=request, store=store, kind=line.kind, bill_no=line.bill_no, business_date=line.day,
                    amount=line.amount, reference=line.reference, why=line.why[:300],
                )
                for line in fresh
            ],
            batch_size=1000,
        )  # fmt: skip
        audit.record(
            tenant,
            actor=actor,
            action="ask_repush",
            target=request,
            reason=note.strip() or said("Missing bills"),
            after={"bills": len(fresh)},
        )
    return request


def arrived(tenant: Tenant, landed: Sequence[tuple[int, str]], *, now: datetime) -> None:
    """Bills that landed (store, number): whoever asked for them is told, and a request that has all of them closes."""
    if not landed:
        return
    with connection.cursor() as cursor:
        cursor.execute(ARRIVED, [now, *columns_of(list(landed)), tenant.pk])
        requests = {row[0] for row in cursor.fetchall()}
        cursor.execute(COMPLETED, [now, tenant.pk])
        requests |= {row[0] for row in cursor.fetchall()}
        if requests:
            cursor.execute(CLOSE, [now, said("all have arrived"), tenant.pk, sorted(requests)])


def close(tenant: Tenant, request_id: int, *, reason: str, actor: Actor, now: datetime) -> RepushRequest:
    """End a request by hand. Raises: DomainError `request_closed`, `reason_length`."""
    reason = checked_reason(reason)
    with transaction.atomic():
        request: RepushRequest = RepushRequest.objects.select_for_update().get(tenant=tenant, pk=request_id)
        if request.closed_at is not None:
            raise DomainError("request_closed", said("This request is closed already. Nothing was changed."))
        request.closed_at, request.closed_by = now, f"{actor.name}: {reason}"[:254]
        request.save(update_fields=["closed_at", "closed_by"])
        audit.record(tenant, actor=actor, action="close_repush", target=request, reason=reason)
    return request


def as_csv(request: RepushRequest) -> str:
    """The list for the vendor: store, number, date, amount, redemption, why."""
    out = StringIO()
    table = csv.writer(out)
    table.writerow(["store", "bill_no", "date", "amount", "redemption", "why", "arrived"])
    for line in request.lines.all():
        amount = f"{line.amount.normalize():f}" if line.amount is not None else ""
        table.writerow(
            [
                safe(request.store.code), safe(line.bill_no), line.business_date or "", amount, safe(line.reference), safe(line.why),
                "yes" if line.arrived_at else "",
            ]
        )  # fmt: skip
    return out.getvalue()


def mail(request: RepushRequest, *, to: str, actor: Actor, now: datetime) -> None:
    """Send the list to the vendor. Raises: DomainError `request_closed`, `mail_unset`, `mail_failed`."""
    if request.closed_at is not None:
        raise DomainError("request_closed", said("This request is closed already; nothing was sent."))
    count = request.lines.count()
    please = said(
        "Please send these {bills} bills of store {store} again, under their own numbers and dates, to the same address as usual."
        " A bill that we have already does no harm.",
        bills=count, store=request.store.code,
    )  # fmt: skip
    subject = said(
        "Bills to send again: {store}, {bills} (request {number})", store=request.store.code, bills=count, number=request.pk
    )
    body = f"{please}\n\n{hide_numbers(request.note)}\n\n{actor.name}, {request.tenant.name}\n"
    message = EmailMessage(subject, body, to=[to])
    if not messages.mail_is_set():
        raise DomainError("mail_unset", said("No mail server is set here (EMAIL_HOST). Download the list and send it yourself."))
    try:
        exports.mailed(
            message,
            as_csv(request),
            name=f"repush-{request.pk}.csv",
            what="repush",
            tenant=request.tenant,
            actor=actor,
            target=request,
        )
    except messages.NOT_TAKEN as problem:
        raise DomainError(
            "mail_failed",
            said("The mail server did not take it ({problem}). Try again, or download the list.", problem=type(problem).__name__),
        ) from problem
    request.mailed_to, request.mailed_at = to, now
    request.save(update_fields=["mailed_to", "mailed_at"])
    audit.record(
        request.tenant, actor=actor, action="mail_repush", target=request, reason=said("Sent to the vendor"), after={"to": to}
    )


def of_delivery(delivery: Delivery, store: Store) -> Missing:
    """A bill that came and cannot be booked: its vendor is asked for a better one."""
    return Missing(
        MissingKind.BROKEN,
        store.pk,
        delivery.bill_no,
        delivery.received_at.date(),
        why=f"{delivery.check_name}: {delivery.message}",
    )
