"""Day-ends of the POS, orders of the ERP, balances of the CRM: evidence, taken row by row, one bad row refuses only itself."""

from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from integrations import witnesses
from integrations.api.forms import read_body
from integrations.api.view import View
from integrations.witness_rows import DayEndRow, OrderRow, ShownRow
from integrations.witnesses import Refused
from tenants.errors import DomainError
from tenants.saying import said

ROWS_MAX = 500
#: So many rows, each of so many bytes.
BYTES_MAX = ROWS_MAX * 1024


def _rows(data: Any, name: str, form: type[OrderRow] | type[ShownRow]) -> tuple[list[tuple[int, Any]], list[Refused], int]:
    """-> rows that could be read, with their index, those that could not, and how many there are.

    Raises: DomainError `bad_value`, `too_large`.
    """
    given = data.get(name)
    if not isinstance(given, list):
        raise DomainError("bad_value", said('Send {{"{name}": [ ... ]}}.', name=name), path=name)
    if len(given) > ROWS_MAX:
        raise DomainError("too_large", said("At most {limit} at a time. Send more calls.", limit=ROWS_MAX), rows=len(given))
    read: list[tuple[int, Any]] = []
    refused: list[Refused] = []
    for index, each in enumerate(given):
        try:
            if not isinstance(each, dict):
                raise DomainError("bad_value", said("Each row is an object: { ... }."))
            read.append((index, read_body(form, each).value()))
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
        totals = read_body(DayEndRow, request.data).value()
        try:
            witnesses.settle_day(self.access.tenant, totals, now=timezone.now())
        except DomainError as refusal:
            return _answer(0, [Refused(0, refusal)])
        return _answer(1, [])


class ErpOrders(View):
    body_bytes_max = BYTES_MAX
    scopes = {"POST": ("erp",)}

    def post(self, request: Request) -> Response:
        read, refused, count = _rows(request.data, "orders", OrderRow)
        refused += witnesses.take_orders(self.access.tenant, read, now=timezone.now())
        return _answer(count - len(refused), refused)


class CrmBalances(View):
    body_bytes_max = BYTES_MAX
    scopes = {"POST": ("crm",)}

    def post(self, request: Request) -> Response:
        read, refused, count = _rows(request.data, "balances", ShownRow)
        refused += witnesses.take_crm_balances(self.access.tenant, read, now=timezone.now())
        return _answer(count - len(refused), refused)
