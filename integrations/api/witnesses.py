"""Day-ends of the POS, orders of the ERP, balances of the CRM: evidence, taken row by row, one bad row refuses only itself."""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from django.utils import timezone
from pydantic import BeforeValidator
from rest_framework.request import Request
from rest_framework.response import Response

from integrations import witnesses
from integrations.api.forms import Body, Mobile, SignedPoints, read_body
from integrations.api.view import View
from integrations.documents import Amount, Code, Moment, Points, ShortCode, Text
from integrations.witnesses import DayTotals, Order, Refused, Shown
from tenants.errors import DomainError

ROWS_MAX = 500
#: So many rows, each of so many bytes.
BYTES_MAX = ROWS_MAX * 1024


def _date(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("is not a date such as 2025-03-31") from None


class DayEndRequest(Body):
    store_code: ShortCode
    business_date: Annotated[date, BeforeValidator(_date)]
    bills: Points
    returns: Points = 0
    net_amount: Amount
    loyalty_amount: Amount = Decimal(0)
    first_bill_no: Text | None = None
    last_bill_no: Text | None = None


class OrderRequest(Body):
    order_no: Code
    store_code: ShortCode
    bill_no: Text | None = None
    mobile: Mobile | None = None
    amount: Amount
    state: Literal["confirmed", "voided"]
    at: Moment


class ShownRequest(Body):
    mobile: Mobile
    points: SignedPoints
    as_of: Moment
    written_by: Text | None = None


def _rows[B: Body, R](
    data: Any, name: str, form: type[B], row: Callable[[B], R]
) -> tuple[list[tuple[int, R]], list[Refused], int]:
    """-> rows that could be read, with their index, those that could not, and how many there are.

    Raises: DomainError `bad_value`, `too_large`.
    """
    given = data.get(name)
    if not isinstance(given, list):
        raise DomainError("bad_value", f'Send {{"{name}": [ ... ]}}.', path=name)
    if len(given) > ROWS_MAX:
        raise DomainError("too_large", f"At most {ROWS_MAX} at a time. Send more calls.", rows=len(given))
    read: list[tuple[int, R]] = []
    refused: list[Refused] = []
    for index, each in enumerate(given):
        try:
            if not isinstance(each, dict):
                raise DomainError("bad_value", "Each row is an object: { ... }.")
            read.append((index, row(read_body(form, each))))
        except DomainError as refusal:
            refused.append(Refused(index, refusal))
    return read, refused, len(given)


def _answer(accepted: int, refused: Sequence[Refused]) -> Response:
    shown = [
        {
            "index": each.index,
            "error": {"code": each.refusal.code, "message": each.refusal.sentence, "details": each.refusal.details},
        }
        for each in sorted(refused, key=lambda each: each.index)
    ]
    return Response({"accepted": accepted, "refused": shown})


class DayEnds(View):
    """One store-day; the same again replaces it."""

    scopes = {"POST": ("pos",)}

    def post(self, request: Request) -> Response:
        body = read_body(DayEndRequest, request.data)
        totals = DayTotals(
            body.store_code, body.business_date, body.bills, body.returns, body.net_amount, body.loyalty_amount,
            body.first_bill_no or "", body.last_bill_no or "",
        )  # fmt: skip
        try:
            witnesses.settle_day(self.access.tenant, totals, now=timezone.now())
        except DomainError as refusal:
            return _answer(0, [Refused(0, refusal)])
        return _answer(1, [])


class ErpOrders(View):
    body_bytes_max = BYTES_MAX
    scopes = {"POST": ("erp",)}

    def post(self, request: Request) -> Response:
        read, refused, count = _rows(
            request.data, "orders", OrderRequest,
            lambda body: Order(
                body.order_no, body.store_code, body.bill_no or "", body.mobile or "", body.amount, body.state, body.at
            ),
        )  # fmt: skip
        refused += witnesses.take_orders(self.access.tenant, read, now=timezone.now())
        return _answer(count - len(refused), refused)


class CrmBalances(View):
    body_bytes_max = BYTES_MAX
    scopes = {"POST": ("crm",)}

    def post(self, request: Request) -> Response:
        read, refused, count = _rows(
            request.data,
            "balances",
            ShownRequest,
            lambda body: Shown(body.mobile, body.points, body.as_of, body.written_by or ""),
        )
        refused += witnesses.take_crm_balances(self.access.tenant, read, now=timezone.now())
        return _answer(count - len(refused), refused)
