"""Plain builders: a bill as a till would send it, a delivery through the inbox, points on an account."""

import itertools
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from integrations import inbox
from integrations.models import Delivery, Source
from loyalty import customers, holds, operations
from loyalty.account import Account
from loyalty.customers import Stub
from loyalty.models import Balance, Customer, Hold, Lot
from loyalty.operations import Posted
from loyalty.state import Kind, Terms
from tenants.actors import SYSTEM
from tenants.models import Store, Tenant

MEERA = "+919840012345"
DAY0 = date(2026, 1, 1)
_numbers = itertools.count(1)


def bill(
    number: str = "", *, net: str = "1000.00", mobile: str | None = MEERA, store: str = "K1", **fields: Any
) -> dict[str, Any]:
    """A SALE of one line; `fields` replace or add."""
    document: dict[str, Any] = {
        "bill_type": "SALE",
        "bill_no": number or f"B{next(_numbers):05d}",
        "bill_date": timezone.now().isoformat(),
        "store_code": store,
        "net_amount": net,
        "items": [{"line_no": 1, "item_code": "A1", "amount": net}],
    }
    if mobile is not None:
        document["customer"] = {"mobile": mobile}
    return document | fields


def paid_with_points(number: str, points: int, *, net: str = "1000.00", reference: str = "", **fields: Any) -> dict[str, Any]:
    """Payment mode at 1.00 a point."""
    tender: dict[str, Any] = {"mode": "LOYALTY_POINTS", "amount": f"{points}.00"}
    if reference:
        tender["reference"] = reference
    rest = Decimal(net) - points
    return bill(number, net=net, tenders=[tender, {"mode": "CASH", "amount": str(rest)}], **fields)


def discounted(number: str, *shares: int, reference: str = "", price: str = "600.00", **fields: Any) -> dict[str, Any]:
    """Discount mode: one line a share of points, each of the same price."""
    items = [
        {
            "line_no": place, "item_code": f"I{place}", "value": price, "discount": f"{share}.00",
            "amount": str(Decimal(price) - share), "loyalty_discount": f"{share}.00", "loyalty_points": share,
        }
        for place, share in enumerate(shares, start=1)
    ]  # fmt: skip
    redemption = {"points": sum(shares), "amount": f"{sum(shares)}.00"} | ({"reference": reference} if reference else {})
    net = str(sum((Decimal(str(item["amount"])) for item in items), Decimal(0)))
    return bill(number, net=net, items=items, redemption=redemption, **fields)


def raw(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def deliver(tenant: Tenant, *documents: dict[str, Any], now: datetime | None = None) -> list[Delivery]:
    """Send and process; -> the deliveries in order."""
    now = now or timezone.now()
    receipts = [inbox.receive(tenant, raw(each), source=Source.API, sender=SYSTEM, now=now).receipt for each in documents]
    inbox.drain(tenant, now=now)
    found = {delivery.receipt: delivery for delivery in Delivery.objects.filter(tenant=tenant, receipt__in=receipts)}
    return [found[receipt] for receipt in receipts]


def customer(tenant: Tenant, mobile: str = MEERA, *, points: int = 0, name: str = "Meera S.") -> Customer:
    """A customer, with points issued if wanted."""
    ids = customers.find_or_create(tenant, {mobile: Stub(mobile, DAY0, name)})
    found: Customer = Customer.objects.get(pk=ids[mobile])
    if points:
        issue(tenant, found, points)
    return found


def issue(tenant: Tenant, to: Customer, points: int, *, key: str = "") -> Posted:
    return operations.issue(
        tenant, to.pk, points=points, reason="for a test", actor=SYSTEM, key=key or f"t{next(_numbers)}", now=timezone.now()
    )


def hold(
    tenant: Tenant,
    of: Customer,
    points: int,
    *,
    reference: str = "",
    bill_no: str = "",
    at: datetime | None = None,
    store: str = "K1",
) -> Hold:
    return holds.place_hold(
        tenant, of.pk, points=points, reference=reference or f"SB-{next(_numbers)}", store=Store.objects.get(tenant=tenant, code=store),
        bill_no=bill_no, at=at, actor=SYSTEM, now=timezone.now(),
    ).hold  # fmt: skip


def release(tenant: Tenant, row: Hold) -> Hold:
    return holds.release_hold(tenant, row.pk, reason="for a test", actor=SYSTEM, now=timezone.now())[0]


def balance(of: Customer) -> tuple[int, int, int, int]:
    """(pending, available, held, owed)."""
    row: Balance = Balance.objects.get(customer=of)
    return row.pending, row.available, row.held, row.owed


def state(of: Customer) -> Balance:
    row: Balance = Balance.objects.get(customer=of)
    return row


def account(*lots: tuple[int, date | None], negative: bool = False) -> Account:
    """An account of the core with lots (points, expires_on), granted on day 0."""
    made = Account(1, negative_allowed=negative)
    for points, expires_on in lots:
        made.grant(points, kind=Kind.ISSUE, terms=Terms(DAY0, expires_on), today=DAY0)
    return made


def at(hour: int, *, day: date = DAY0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def expire_on(day: date) -> None:
    """As if every lot had been granted until then."""
    Lot.objects.update(expires_on=day, granted_until=day)
