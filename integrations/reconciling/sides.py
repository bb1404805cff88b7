"""What each side says of a span of days, as one sorted stream of keys and amounts. The same in both engines: whole numbers and texts by
their bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.db import connection

from integrations.analytics import clickhouse
from integrations.models import Side
from integrations.reconciling.matching import Told
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.saying import said

#: Rows that are read at a time.
BLOCK = 20_000
#: A bill of one side may be of a neighbouring day on the other.
BESIDE = timedelta(days=2)


class Grain(StrEnum):
    """What is matched: sales of a store and day, of a bill, in money; or the closing balance of a customer, in points."""

    STORE_DAY = "store_day"
    BILL = "bill"
    CUSTOMER = "customer"


#: Which sides can be held against each other, and by what.
GRAINS = {
    frozenset({Side.POS, Side.ERP}): Grain.STORE_DAY,
    frozenset({Side.POS, Side.LEDGER}): Grain.STORE_DAY,
    frozenset({Side.POS, Side.CLICKHOUSE}): Grain.STORE_DAY,
    frozenset({Side.ERP, Side.LEDGER}): Grain.BILL,
    frozenset({Side.ERP, Side.CLICKHOUSE}): Grain.BILL,
    frozenset({Side.LEDGER, Side.CLICKHOUSE}): Grain.CUSTOMER,
    frozenset({Side.LEDGER, Side.CRM}): Grain.CUSTOMER,
}
#: These tell of what they know; of what they are silent nothing follows.
TELL_SOME = (Side.POS, Side.CRM)


@dataclass(frozen=True, slots=True)
class Span:
    """Business days, and the instant at their end as of which balances are taken."""

    tenant: Tenant
    since: date
    until: date
    as_of: datetime

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.since, datetime.min.time(), tzinfo=self.tenant.zone)


def grain_of(left: Side, right: Side) -> Grain:
    """Raises: DomainError `sides_unlike`."""
    grain = GRAINS.get(frozenset({left, right}))
    if grain is None:
        raise DomainError(
            "sides_unlike",
            said(
                "{left} and {right} say nothing of the same. Compare each of them with the ledger.",
                left=left.label,
                right=right.label,
            ),
            path="right",
        )
    return grain


#: Sales that count: the POS counts a sale in its day unless it was cancelled on it; the ERP voids what was cancelled at any time.
_SALES = """
    FROM {bills} i LEFT JOIN {cancels} c ON c.tenant_id = i.tenant_id AND c.id = i.cancelled_by_id
    WHERE i.tenant_id = {tenant} AND i.bill_class = 'sale' AND i.superseded_at IS NULL AND i.business_date BETWEEN {since} AND {until}
      AND {cancelled}
"""
_CANCELLED = {Side.POS: "({no_cancel} OR c.business_date <> i.business_date)", Side.ERP: "{no_cancel}"}
_OURS = {
    "bills": "integrations_bill",
    "cancels": "integrations_bill",
    "tenant": "%(tenant)s",
    "since": "%(since)s",
    "until": "%(until)s",
}
_THEIRS = {
    "bills": "(SELECT * FROM bills FINAL WHERE tenant_id = {tenant:UInt64})",
    "cancels": "(SELECT tenant_id, id, business_date FROM bills FINAL WHERE tenant_id = {tenant:UInt64})", "tenant": "{tenant:UInt64}",
    "since": "{since:Date32}", "until": "{until:Date32}",
}  # fmt: skip
#: An order that the ERP voided and whose goods came back to the store is settled on both sides.
_SETTLED_SALE = """
    EXISTS (SELECT FROM integrations_bill r WHERE r.tenant_id = i.tenant_id AND r.parent_id = i.id AND r.bill_class = 'return'
            AND r.superseded_at IS NULL)
    AND EXISTS (SELECT FROM integrations_erporder o WHERE o.tenant_id = i.tenant_id AND o.store_id = i.store_id AND o.bill_no = i.bill_no
                AND o.state = 'voided')
    AND NOT EXISTS (SELECT FROM integrations_erporder o WHERE o.tenant_id = i.tenant_id AND o.store_id = i.store_id AND o.bill_no = i.bill_no
                    AND o.state = 'confirmed')
"""
_UNSETTLED = f"i.cancelled_by_id IS NULL AND NOT ({_SETTLED_SALE})"
#: ClickHouse knows no orders: which of its bills are settled is asked here.
SETTLED = f"""
    SELECT i.store_id, i.bill_no FROM integrations_bill i
    WHERE i.tenant_id = %(tenant)s AND i.bill_class = 'sale' AND i.superseded_at IS NULL AND i.business_date BETWEEN %(since)s AND %(until)s
      AND {_SETTLED_SALE}
"""  # noqa: S608
_PER_DAY = (
    "SELECT i.store_id, i.business_date, sum(i.net_amount), true {sales} GROUP BY i.store_id, i.business_date ORDER BY 1, 2"
)
_PER_BILL = """
    SELECT i.store_id, i.bill_no, sum(i.net_amount), max({inside}) {sales} GROUP BY i.store_id, i.bill_no ORDER BY 1, 2
"""
_ORDERS = """
    FROM (SELECT o.store_id, o.bill_no, o.amount, (o.at AT TIME ZONE coalesce(nullif(s.timezone, ''), %(zone)s))::date AS day
          FROM integrations_erporder o JOIN tenants_store s ON s.id = o.store_id
          WHERE o.tenant_id = %(tenant)s AND o.state = 'confirmed' AND o.at >= %(early)s AND o.at < %(late)s) o
    WHERE o.day BETWEEN %(since)s AND %(until)s
"""
DAYS_OF_POS = """
    SELECT store_id, business_date, net_amount, true FROM integrations_dayend
    WHERE tenant_id = %(tenant)s AND business_date BETWEEN %(since)s AND %(until)s ORDER BY 1, 2
"""
DAYS_OF_ERP = f"SELECT store_id, day, sum(amount), true {_ORDERS} GROUP BY 1, 2 ORDER BY 1, 2"
BILLS_OF_ERP = f"""
    SELECT store_id, bill_no, sum(amount), max((day BETWEEN %(first)s AND %(last)s)::int) {_ORDERS} AND bill_no <> ''
    GROUP BY 1, 2 ORDER BY 1, 2
"""
#: What the CRM last showed of each until then; of a number that nobody has, by the number.
_SHOWN = """
    SELECT DISTINCT ON (coalesce(s.customer_id, 0), CASE WHEN s.customer_id IS NULL THEN s.mobile ELSE '' END)
           coalesce(s.customer_id, 0) AS customer_id, CASE WHEN s.customer_id IS NULL THEN s.mobile ELSE '' END AS mobile, s.points, s.as_of
    FROM integrations_crmbalance s LEFT JOIN loyalty_customer c ON c.tenant_id = s.tenant_id AND c.id = s.customer_id
    WHERE s.tenant_id = %(tenant)s AND s.as_of BETWEEN %(begins)s AND %(as_of)s
    ORDER BY 1, 2, s.as_of DESC, (s.mobile = c.mobile) DESC, s.id DESC
"""
CUSTOMERS_OF_CRM = f"SELECT customer_id, mobile, points, true FROM ({_SHOWN}) shown ORDER BY 1, 2"  # noqa: S608
#: The balance now without what was posted since: since the instant, or since the CRM showed it.
CUSTOMERS_OF_LEDGER = f"""
    WITH shown AS MATERIALIZED ({{shown}}),
    later AS (
        SELECT e.customer_id, sum(e.available + e.held - e.owed) AS moved FROM loyalty_entry e
        LEFT JOIN shown s ON s.customer_id = e.customer_id
        WHERE e.tenant_id = %(tenant)s AND e.posted_at > %(begins)s AND e.posted_at > coalesce(s.as_of, %(as_of)s) GROUP BY 1)
    SELECT b.customer_id, '', b.available + b.held - b.owed - coalesce(l.moved, 0), true
    FROM loyalty_balance b LEFT JOIN later l ON l.customer_id = b.customer_id LEFT JOIN shown s ON s.customer_id = b.customer_id
    WHERE b.tenant_id = %(tenant)s AND (s.customer_id IS NOT NULL OR b.available + b.held - b.owed - coalesce(l.moved, 0) <> 0)
    ORDER BY 1
"""  # noqa: F541
NOBODY_SHOWN = "SELECT 0::bigint AS customer_id, NULL::timestamptz AS as_of WHERE false"
CUSTOMERS_OF_CLICKHOUSE = """
    SELECT customer_id, '' AS nobody, sum(available + held - owed) AS closing, true FROM entries FINAL
    WHERE tenant_id = {tenant:UInt64} AND posted_at <= {as_of:DateTime64(6, 'UTC')} GROUP BY customer_id HAVING closing <> 0 ORDER BY customer_id
"""


def told_by(side: Side, span: Span, *, grain: Grain, other: Side) -> Iterator[Told]:
    """What it says, in the order of the keys: (store, day), (store, bill number) or (customer, number that nobody has).

    Raises: one of `clickhouse.Away`; whatever else ClickHouse has to say.
    """
    match grain, side:
        case Grain.STORE_DAY, Side.POS:
            return _ours(DAYS_OF_POS, span)
        case Grain.STORE_DAY, Side.ERP:
            return _ours(DAYS_OF_ERP, span)
        case Grain.STORE_DAY, Side.LEDGER:
            return _ours(_PER_DAY.format(sales=_sales(_OURS, other, "i.cancelled_by_id IS NULL")), span)
        case Grain.STORE_DAY, Side.CLICKHOUSE:
            return _theirs(_PER_DAY.format(sales=_sales(_THEIRS, other, "i.cancelled_by_id = 0")), span)
        case Grain.BILL, Side.ERP:
            return _ours(BILLS_OF_ERP, span, beside=BESIDE)
        case Grain.BILL, Side.LEDGER:
            inside = "(i.business_date BETWEEN %(first)s AND %(last)s)::int"
            return _ours(_PER_BILL.format(inside=inside, sales=_sales(_OURS, other, _UNSETTLED)), span, beside=BESIDE)
        case Grain.BILL, Side.CLICKHOUSE:
            inside = "i.business_date BETWEEN {first:Date32} AND {last:Date32}"
            statement = _PER_BILL.format(inside=inside, sales=_sales(_THEIRS, other, "i.cancelled_by_id = 0"))
            settled = _settled(span)
            return (told for told in _theirs(statement, span, beside=BESIDE) if told.key not in settled)
        case Grain.CUSTOMER, Side.CRM:
            return _ours(CUSTOMERS_OF_CRM, span)
        case Grain.CUSTOMER, Side.LEDGER:
            shown = _SHOWN if other is Side.CRM else NOBODY_SHOWN
            return _ours(CUSTOMERS_OF_LEDGER.format(shown=shown), span, far_back=other is not Side.CRM)
        case Grain.CUSTOMER, Side.CLICKHOUSE:
            return _theirs(CUSTOMERS_OF_CLICKHOUSE, span)
    raise ValueError(f"{side} says nothing by {grain}")


def _sales(names: dict[str, str], other: Side, no_cancel: str) -> str:
    return _SALES.format(cancelled=_CANCELLED[other].format(no_cancel=no_cancel), **names)


def _settled(span: Span) -> set[tuple[int, str]]:
    with connection.cursor() as cursor:
        cursor.execute(SETTLED, _values(span, BESIDE))
        return set(cursor.fetchall())


def _values(span: Span, beside: timedelta) -> dict[str, Any]:
    day = timedelta(days=1)
    return {
        "tenant": span.tenant.pk, "zone": span.tenant.timezone, "since": span.since - beside, "until": span.until + beside,
        "first": span.since, "last": span.until, "begins": span.begins, "as_of": span.as_of,
        "early": span.begins - beside - 2 * day, "late": span.as_of + beside + 2 * day,
    }  # fmt: skip


def _ours(statement: str, span: Span, *, beside: timedelta = timedelta(0), far_back: bool = False) -> Iterator[Told]:
    """From PostgreSQL, a block at a time, in the caller's transaction. `far_back`: what was posted since is looked for from the instant on."""
    values = _values(span, beside)
    if far_back:
        values["begins"] = span.as_of
    with connection.chunked_cursor() as cursor:
        cursor.execute(statement, values)
        while rows := cursor.fetchmany(BLOCK):
            yield from (Told((row[0], row[1]), Decimal(row[2]), bool(row[3])) for row in rows)


def _theirs(statement: str, span: Span, *, beside: timedelta = timedelta(0)) -> Iterator[Told]:
    """From ClickHouse."""
    with clickhouse.connected(timeout_seconds=600) as client:
        clickhouse.make_tables(client)
        with client.query_rows_stream(statement, parameters=_values(span, beside)) as rows:
            yield from (Told((row[0], row[1]), Decimal(row[2]), bool(row[3])) for row in rows)
