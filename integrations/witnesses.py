"""What others say about the same sales: day-ends of the POS, orders of the ERP, balances of the CRM.

They are evidence, compared with what we have; none of them ever changes a point.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import connection

from integrations.models import DayEnd
from loyalty import customers
from tenants import stores
from tenants.errors import DomainError
from tenants.models import Store, Tenant
from tenants.saying import said
from tenants.setwise import insert

UPSERT_DAY_END = """
    INSERT INTO integrations_dayend (tenant_id, store_id, business_date, bills, returns, net_amount, loyalty_amount, first_bill_no,
        last_bill_no, settled_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (tenant_id, store_id, business_date) DO UPDATE SET bills = excluded.bills, returns = excluded.returns,
        net_amount = excluded.net_amount, loyalty_amount = excluded.loyalty_amount, first_bill_no = excluded.first_bill_no,
        last_bill_no = excluded.last_bill_no, settled_at = excluded.settled_at
"""
UPSERT_ORDERS = """
    INSERT INTO integrations_erporder (tenant_id, order_no, store_id, bill_no, mobile, amount, state, at, seen_at)
    SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::numeric[], %s::text[], %s::timestamptz[],
        %s::timestamptz[])
    ON CONFLICT (tenant_id, order_no) DO UPDATE SET store_id = excluded.store_id, bill_no = excluded.bill_no, mobile = excluded.mobile,
        amount = excluded.amount, state = excluded.state, at = excluded.at, seen_at = excluded.seen_at
"""
INSERT_BALANCES = """
    INSERT INTO integrations_crmbalance (tenant_id, customer_id, mobile, points, as_of, written_by)
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::timestamptz[], %s::text[])
    ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class DayTotals:
    """A store-day as its POS sums it."""

    store_code: str
    business_date: date
    bills: int
    returns: int
    net_amount: Decimal
    loyalty_amount: Decimal
    first_bill_no: str = ""
    last_bill_no: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    order_no: str
    store_code: str
    bill_no: str
    mobile: str
    amount: Decimal
    state: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """What the CRM shows."""

    mobile: str
    points: int
    as_of: datetime
    written_by: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The row at this place was not taken."""

    index: int
    refusal: DomainError


def settle_day(tenant: Tenant, totals: DayTotals, *, now: datetime) -> DayEnd:
    """Keep a day-end; the same store-day again replaces it. Raises: DomainError `store_unknown`, `date_window`."""
    store = _store(tenant, totals.store_code)
    if totals.business_date > now.astimezone(store.timezone_or(tenant)).date():
        raise DomainError(
            "date_window",
            said("{day} has not ended yet at {store}. Send it when the day is closed.", day=totals.business_date, store=store),
            path="business_date",
        )
    with connection.cursor() as cursor:
        cursor.execute(
            UPSERT_DAY_END,
            [tenant.pk, store.pk, totals.business_date, totals.bills, totals.returns, totals.net_amount, totals.loyalty_amount,
             totals.first_bill_no, totals.last_bill_no, now],
        )  # fmt: skip
    row: DayEnd = DayEnd.objects.get(tenant=tenant, store=store, business_date=totals.business_date)
    return row


def take_orders(tenant: Tenant, orders: Sequence[tuple[int, Order]], *, now: datetime) -> list[Refused]:
    """Keep the ERP's orders, each by its number, the last word wins. -> those that were refused, by the index they came with."""
    refused: list[Refused] = []
    rows: dict[str, tuple[object, ...]] = {}
    codes = stores.by_code(tenant)
    for index, order in orders:
        try:
            store = codes.get(order.store_code) or _store(tenant, order.store_code)
            mobile = customers.normalised_mobile(order.mobile, region=tenant.region) if order.mobile.strip() else ""
        except DomainError as refusal:
            refused.append(Refused(index, refusal))
            continue
        at = order.at if order.at.tzinfo else order.at.replace(tzinfo=store.timezone_or(tenant))
        rows[order.order_no] = (tenant.pk, order.order_no, store.pk, order.bill_no, mobile, order.amount, order.state, at, now)
    with connection.cursor() as cursor:
        insert(cursor, UPSERT_ORDERS, list(rows.values()))
    return refused


def take_crm_balances(tenant: Tenant, balances: Sequence[tuple[int, Shown]], *, now: datetime) -> list[Refused]:
    """Keep what the CRM shows; the same again is kept once. A number nobody has is kept too: the CRM has somebody we do not know."""
    refused: list[Refused] = []
    numbers: dict[int, str] = {}
    for index, shown in balances:
        try:
            numbers[index] = customers.normalised_mobile(shown.mobile, region=tenant.region)
        except DomainError as refusal:
            refused.append(Refused(index, refusal))
    known = customers.find(tenant, set(numbers.values())) if numbers else {}
    rows = []
    for index, shown in balances:
        if index in numbers:
            as_of = shown.as_of if shown.as_of.tzinfo else shown.as_of.replace(tzinfo=tenant.zone)
            rows.append((tenant.pk, known.get(numbers[index]), numbers[index], shown.points, as_of, shown.written_by))
    with connection.cursor() as cursor:
        insert(cursor, INSERT_BALANCES, rows)
    return refused


def _store(tenant: Tenant, code: str) -> Store:
    store = stores.find(tenant, code)
    if store is None:
        raise DomainError(
            "store_unknown",
            said("No store has the code {code!r}. Add the store or an alias.", code=code),
            path="store_code",
            found=code,
        )
    return store
