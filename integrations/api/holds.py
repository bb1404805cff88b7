"""Holds: a redemption starts at the till, is looked at, is freed."""

from typing import Any

from django.http import Http404
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.api.forms import Body, Mobile, Reason, iso, read_body, store_of
from integrations.api.view import View
from integrations.documents import Code, Moment, Points, Reference, ShortCode
from integrations.models import Bill
from loyalty import customers, holds, money
from loyalty.models import Hold
from tenants.models import Tenant


class HoldRequest(Body):
    mobile: Mobile
    points: Points
    store_code: ShortCode
    reference: Reference
    bill_no: Code | None = None
    at: Moment | None = None


class ReleaseRequest(Body):
    reason: Reason


def shown(hold: Hold, *, digits: int) -> dict[str, Any]:
    return {
        "reference": hold.reference,
        "points": hold.points,
        "amount": str(money.worth(hold.points, rate=hold.rate, minor_digits=digits)),
        "rate": f"{hold.rate:f}",
        "at": iso(hold.at),
        "expires_at": iso(hold.expires_at),
        "state": hold.state,
        "late_bill": None,
        "late_points": hold.late_points,
    }


class Holds(View):
    scopes = {"POST": ("pos",)}

    def post(self, request: Request) -> Response:
        tenant, now = self.access.tenant, timezone.now()
        body = read_body(HoldRequest, request.data)
        store = store_of(tenant, body.store_code)
        at = body.at.replace(tzinfo=store.timezone_or(tenant)) if body.at and body.at.tzinfo is None else body.at
        placed = holds.place_hold(
            tenant,
            customers.the_one(tenant, body.mobile),
            points=body.points,
            reference=body.reference,
            store=store,
            bill_no=body.bill_no or "",
            at=at,
            actor=self.access.actor,
            now=now,
        )
        answer = shown(placed.hold, digits=money.minor_digits(tenant.currency))
        del answer["late_bill"], answer["late_points"]
        # A retry gets the first answer, whatever became of the hold since.
        answer["state"] = "active"
        return Response(answer, status=201, headers={"Idempotency-Hit": "true"} if placed.repeated else {})


class OneHold(View):
    scopes = {"GET": ("pos", "read", "support")}

    def get(self, request: Request, reference: str) -> Response:
        return Response(_with_late_bill(_hold(self.access.tenant, reference), self.access.tenant))


class ReleaseHold(View):
    scopes = {"POST": ("pos", "support")}

    def post(self, request: Request, reference: str) -> Response:
        tenant = self.access.tenant
        body = read_body(ReleaseRequest, request.data)
        hold = _hold(tenant, reference)
        released, _ = holds.release_hold(tenant, hold.pk, reason=body.reason, actor=self.access.actor, now=timezone.now())
        return Response(_with_late_bill(released, tenant))


def _hold(tenant: Tenant, reference: str) -> Hold:
    hold: Hold | None = Hold.objects.filter(tenant=tenant, reference=reference).first() if reference.isprintable() else None
    if hold is None:
        raise Http404
    return hold


def _with_late_bill(hold: Hold, tenant: Tenant) -> dict[str, Any]:
    answer = shown(hold, digits=money.minor_digits(tenant.currency))
    if hold.late_bill_id is not None:
        answer["late_bill"] = Bill.objects.values_list("bill_no", flat=True).get(tenant=tenant, pk=hold.late_bill_id)
    return answer
