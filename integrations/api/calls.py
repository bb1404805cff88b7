"""Every call of the API as machines read it (OpenAPI): its body, its answers, examples that are true."""

from dataclasses import dataclass, field
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from pydantic import BaseModel
from rest_framework.permissions import AllowAny

from integrations.api.holds import HoldRequest, ReleaseRequest
from integrations.api.points import AdjustmentRequest, IssueRequest
from integrations.documents import Form
from integrations.witness_rows import DayEndRow, OrderRow, ShownRow

RECEIPT = {"receipt": "dl_5f0c9a7b21d84e6f0a3c", "state": "received"}
HOLD = {
    "reference": "SB-7f3a", "points": 100, "amount": "100.00", "rate": "1.0000", "at": "2026-03-31T23:50:00+05:30",
    "expires_at": "2026-07-09T23:50:00+05:30", "state": "active", "late_bill": None, "late_points": 0,
}  # fmt: skip
BALANCE = {"pending": 0, "available": 340, "held": 60, "owed": 0, "closing": 400}
POSTED = {"operation": 4711, "entries": 1, "balance": BALANCE}
TAKEN = {
    "accepted": 2,
    "refused": [{"index": 1, "error": {"code": "store_unknown", "message": "No store has the code 'X'.", "details": {}}}],
}
KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, required=True, description="The same for every retry of this request."
)
DAYS = [OpenApiParameter(name, OpenApiTypes.DATE, description="Business date, included.") for name in ("from", "to")]


class BillsBatchRequest(BaseModel):
    """Up to 100 bills; `repush` labels a re-push."""

    repush: str | None = None
    bills: list[Form]


class OrdersRequest(BaseModel):
    """Up to 500 orders."""

    orders: list[OrderRow]


class BalancesRequest(BaseModel):
    """Up to 500 balances."""

    balances: list[ShownRow]


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what it is for, what it takes, what it answers by status."""

    summary: str
    answers: dict[int, Any]
    body: type[BaseModel] | None = None
    parameters: list[OpenApiParameter] = field(default_factory=list)


#: By view and method.
CALLS: dict[tuple[str, str], Call] = {
    ("Bills", "POST"): Call("Send one bill", {202: RECEIPT, 200: RECEIPT | {"duplicate": True}}, Form),
    ("BillsBatch", "POST"): Call(
        "Send up to 100 bills",
        {202: {"results": [{"index": 0, "status": 202, **RECEIPT, "error": None}]}}, BillsBatchRequest,
    ),
    ("OneBill", "GET"): Call(
        "A booked bill, where it has been, what it did",
        {200: {"bill_no": "IB/26-27/000123", "bill_type": "SALE", "earned_points": 9, "stopped_at": "crm", "trace": [], "entries": []}},
        parameters=[OpenApiParameter("store_code", str), OpenApiParameter("bill_date", OpenApiTypes.DATE)],
    ),
    ("OneDelivery", "GET"): Call(
        "What became of a delivery",
        {200: RECEIPT | {"state": "quarantined", "check": "sum_of_amounts", "message": "net_amount is 950, but its parts sum to 1000."}},
    ),
    ("Holds", "POST"): Call("Reserve points for a redemption", {201: HOLD}, HoldRequest),
    ("OneHold", "GET"): Call("A redemption's state", {200: HOLD}),
    ("ReleaseHold", "POST"): Call("Free the points of a redemption", {200: HOLD | {"state": "released"}}, ReleaseRequest),
    ("Adjustments", "POST"): Call("Add, remove or reset points", {201: POSTED, 200: POSTED}, AdjustmentRequest, [KEY]),
    ("Issues", "POST"): Call("Give points, perhaps for a bill that has not come", {201: POSTED}, IssueRequest, [KEY]),
    ("CustomerBalance", "GET"): Call("A customer's balance", {200: {"mobile": "+919840012345", **BALANCE, "holds": [HOLD]}}),
    ("CustomerEntries", "GET"): Call(
        "A customer's entries, newest first", {200: {"results": [], "next": None, "previous": None}},
        parameters=[*DAYS, *(OpenApiParameter(name, str) for name in ("kind", "store", "actor", "cursor"))],
    ),
    ("DayEnds", "POST"): Call("Settle a store-day", {200: {"accepted": 1, "refused": []}}, DayEndRow),
    ("ErpOrders", "POST"): Call("What the ERP has sold", {200: TAKEN}, OrdersRequest),
    ("CrmBalances", "POST"): Call("What the CRM shows", {200: TAKEN}, BalancesRequest),
}  # fmt: skip


class OpenSchema(SpectacularAPIView):
    """It names no tenant, so anybody may read it."""

    authentication_classes: Any = ()
    permission_classes: Any = (AllowAny,)
    throttle_classes: Any = ()


class DocsPage(SpectacularSwaggerSplitView):
    """A page to read and try the calls."""

    authentication_classes: Any = ()
    permission_classes: Any = (AllowAny,)
    throttle_classes: Any = ()
    url_name = "api:schema"
