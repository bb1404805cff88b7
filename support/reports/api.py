"""The liability report for a merchant's own tools."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.api.calls import CALLS, Call
from integrations.api.forms import iso
from integrations.api.view import View
from support.reports.asking import Answer, Asked, answer

LINE = {
    "from": "2026-11-01", "to": "2026-11-01", "opening": 118_400, "earned": 2_310, "bonus": 150, "issued": 0, "adjusted": 0, "returned": -40,
    "redeemed": -1_200, "expired": -75, "restored": 0, "merged": 0, "debt_created": 10, "debt_offset": -5, "closing": 119_550,
    "pending": 900, "available": 118_250, "blocked": 400, "debt": 35, "earlier": 0, "worth": "119550.00", "entries": 214, "settled": True,
}  # fmt: skip
VERDICT = {
    "equal": True,
    "compared_at": "2026-11-02T03:07:00+05:30",
    "different_days": [],
    "stale_days": [],
    "entries_on_their_way": 0,
}
CALLS["Liability", "GET"] = Call(
    "The liability by day or month: opening, every movement, closing; from ClickHouse with the verdict of its comparison, or from the ledger",
    {200: {"source": "clickhouse", "basis": "posting", "lines": [LINE], "total": LINE, "verdict": VERDICT}},
    parameters=[
        OpenApiParameter("from", str, description="First day; 30 days before the last one, if not given."),
        OpenApiParameter("to", str, description="Last day; today, if not given."),
        OpenApiParameter(
            "basis",
            str,
            enum=["posting", "business"],
            description="Days by posting date never change.",
        ),
        OpenApiParameter("by", str, enum=["day", "month"]),
        OpenApiParameter("store", str, description="A store's code; `~none`: what names no store."),
        OpenApiParameter("tier", str, description="Customers who have this tier today."),
        OpenApiParameter("as_of", str, description="As it was known at this instant (ISO 8601)."),
        OpenApiParameter("source", str, enum=["clickhouse", "postgresql"]),
    ],
)
#: The API's words for the days, which are Python's own in code.
NAMES = {"from": "since", "to": "until"}


class Liability(View):
    scopes = {"GET": ("read", "support")}

    def get(self, request: Request) -> Response:
        data = {NAMES.get(name, name): text for name, text in request.query_params.items()}
        asked = Asked(data, tenant=self.access.tenant, now=timezone.now())
        if not asked.is_valid():
            words = {python: spoken for spoken, python in NAMES.items()}
            raise ValidationError({words.get(name, name): [str(text) for text in texts] for name, texts in asked.errors.items()})
        return Response(answered(answer(self.access.tenant, asked), asked))


def answered(found: Answer, asked: Asked) -> dict[str, Any]:
    """The call's body; `verdict` is null for figures of the ledger itself."""
    verdict = None
    if found.standing is not None:
        verdict = {
            "equal": found.standing.equal, "compared_at": iso(found.standing.at) if found.standing.at else None,
            "different_days": [day.isoformat() for day in found.standing.different],
            "stale_days": [day.isoformat() for day in found.standing.stale], "entries_on_their_way": found.lag.entries,
        }  # fmt: skip
    posting = asked.cleaned_data["basis"] == "posting" and not asked.cleaned_data["tier"]  # a tier is today's, so its days change
    lines = [
        line.as_dict() | {"settled": posting and found.closed is not None and line.last <= found.closed}
        for line in found.report.lines
    ]
    return {
        "source": found.source, "basis": asked.cleaned_data["basis"], "lines": lines, "total": found.report.total.as_dict(), "verdict": verdict,
    }  # fmt: skip
