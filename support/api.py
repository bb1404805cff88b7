"""The desk's calls of the API: what diagnosis finds."""

from typing import Any

from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.api.balances import NewestFirst
from integrations.api.calls import CALLS, DAYS, Call
from integrations.api.view import View
from loyalty import customers
from loyalty.models import Customer
from support import activity, picture, walk
from support.diagnosis import Reporter
from tenants import exports
from tenants.errors import DomainError
from tenants.models import Tenant

EXAMPLE = {
    "code": "blocked_points",
    "sentence": "412 points are blocked by a redemption at Anna Nagar on 19 Nov (3 days ago) whose bill IB/26-27/004512 has not arrived.",
    "customer_sentence": "Your points are safe; a payment at the store is still being confirmed. I am freeing them now.",
    "handoff": 2, "pattern": "lower", "owner": "POS", "explains": False,
    "evidence": [{"kind": "hold", "ref": "SB-7f3a", "note": ""}],
    "remedy": {"act": "unblock", "label": "Unblock 412"},
}  # fmt: skip
ACTIVITY = {
    "id": 4711, "operation": 4711, "at": "2026-11-02T09:15:00+05:30", "action": "issue",
    "customer": {"id": 7, "name": "Meera S.", "mobile": "+91 98•••••345"}, "points": 50, "amount": None, "store_code": None,
    "bill_no": None, "staff": "Bob Selvam", "source": "staff", "reason": "Apology for a delayed cake", "job": None,
    "pending": 0, "available": 50, "held": 0,
    "owed": 0,
}  # fmt: skip
CALLS["CustomerDiagnosis", "GET"] = Call(
    "Why a customer's points are what they are",
    {200: {"findings": [EXAMPLE], "all_right": None}},
    parameters=[
        OpenApiParameter("reported_by", str, enum=[each.value for each in Reporter], description="Where the walk starts."),
        OpenApiParameter("bill_no", str, description="A bill that somebody asks about."),
    ],
)


CALLS["Activity", "GET"] = Call(
    "Every entry of the tenant, for people; as CSV with Accept: text/csv or format=csv",
    {200: {"results": [ACTIVITY], "next": None, "previous": None}},
    parameters=[
        *DAYS, OpenApiParameter("format", str, enum=["json", "csv"]),
        *(OpenApiParameter(name, str) for name in ("customer", "action", "store", "staff", "source", "reason", "job", "cursor")),
    ],
)  # fmt: skip


def reporter(text: str) -> Reporter:
    """Raises: DomainError `bad_value`."""
    if text not in set(Reporter):
        raise DomainError("bad_value", _("reported_by is one of {names}.").format(names=", ".join(Reporter)), path="reported_by")
    return Reporter(text)


def diagnosed(tenant: Tenant, customer: Customer, *, reported_by: Reporter, bill_no: str) -> dict[str, Any]:
    """What the call and `manage.py diagnose` answer. `all_right`: the sentences, when nothing is wrong."""
    found = walk.diagnose(picture.load(tenant, customer, now=timezone.now()), reported_by=reported_by, bill_no=bill_no)
    fine = next((each for each in found if each.code == "all_right"), None)
    return {
        "findings": [finding.as_dict() for finding in found if finding is not fine],
        "all_right": {"sentence": fine.sentence, "customer_sentence": fine.customer_sentence} if fine else None,
    }


class CustomerDiagnosis(View):
    scopes = {"GET": ("read", "support")}

    def get(self, request: Request, mobile: str) -> Response:
        tenant = self.access.tenant
        reported_by = reporter(request.query_params.get("reported_by") or Reporter.CUSTOMER)
        bill_no = (request.query_params.get("bill_no") or "").replace("\0", "")[:120]
        customer = Customer.objects.get(tenant=tenant, pk=customers.the_one(tenant, mobile))
        return Response(diagnosed(tenant, customer, reported_by=reported_by, bill_no=bill_no))


class CsvRenderer(BaseRenderer):
    """Says that there is CSV; the view streams it itself."""

    media_type = "text/csv"
    format = "csv"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        """An error stays JSON."""
        return JSONRenderer().render(data)


class Activity(View):
    """Mobiles are masked: a list of everybody's numbers is not for a key that reads."""

    scopes = {"GET": ("read", "support")}
    renderer_classes: Any = (JSONRenderer, CsvRenderer)

    def handle_exception(self, exc: Exception) -> Response:
        """An error is JSON and says so, whatever was asked for."""
        response: Response = super().handle_exception(exc)
        response.content_type = "application/json"
        return response

    def get(self, request: Request) -> HttpResponseBase:
        tenant = self.access.tenant
        filters = activity.ActivityFilter(request.query_params, tenant=tenant, numbers=True)
        if not filters.is_valid():
            raise ValidationError(filters.errors)
        if getattr(request.accepted_renderer, "format", "") == "csv":
            asked = activity.filtered(request.query_params)
            return exports.sent(activity.as_csv(filters), name="activity.csv", what="activity", access=self.access, asked=asked)
        pages = NewestFirst()
        page = pages.paginate_queryset(filters.qs, request, view=self) or []
        results = [row.as_dict() for row in activity.rows_of(tenant, page)]
        return Response({"results": results, "next": pages.get_next_link(), "previous": pages.get_previous_link()})
