"""Points by hand: adjust, reset, issue. Each call brings a key; the same key gives the first answer again."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from integrations import issuing
from integrations.api.forms import Body, Mobile, Reason, SignedPoints, key_of, read_body, store_of
from integrations.api.view import View
from integrations.documents import Code, ShortCode
from loyalty import customers, operations
from loyalty.operations import Posted
from tenants.errors import DomainError, NotAllowed
from tenants.models import Store
from tenants.saying import said

DEBT_SCOPE = "support:debt"


class AdjustmentRequest(Body):
    mobile: Mobile
    reason: Reason
    points: SignedPoints | None = None
    reset: bool = False
    clear_debt: bool = False


class IssueRequest(Body):
    mobile: Mobile
    points: SignedPoints
    reason: Reason
    bill_no: Code | None = None
    store_code: ShortCode | None = None


class Adjustments(View):
    scopes = {"POST": ("support",)}

    def post(self, request: Request) -> Response:
        tenant, now = self.access.tenant, timezone.now()
        key = key_of(request.headers)
        body = read_body(AdjustmentRequest, request.data)
        if (body.points is None) is not body.reset:
            raise DomainError("bad_value", said("Send either points or reset, one of the two."), path="points")
        if body.clear_debt and DEBT_SCOPE not in self.access.scopes:
            raise NotAllowed(
                "debt_permission",
                said("Clearing what is owed needs a key with the scope {scope}. Leave clear_debt out.", scope=DEBT_SCOPE),
            )
        customer_id = customers.the_one(tenant, body.mobile)
        if body.points is None:
            posted = operations.reset(
                tenant, customer_id, reason=body.reason, actor=self.access.actor, key=key, now=now, clear_debt=body.clear_debt
            )
        else:
            posted = operations.adjust(
                tenant,
                customer_id,
                points=body.points,
                reason=body.reason,
                actor=self.access.actor,
                key=key,
                now=now,
                allow_debt=True,
            )
        return _answer(posted)


class Issues(View):
    scopes = {"POST": ("support",)}

    def post(self, request: Request) -> Response:
        tenant = self.access.tenant
        key = key_of(request.headers)
        body = read_body(IssueRequest, request.data)
        now = timezone.now()
        store = self._store(body)
        customer_id = customers.find_or_stub(tenant, body.mobile, now=now)
        wanted: dict[str, Any] = {
            "points": body.points,
            "reason": body.reason,
            "actor": self.access.actor,
            "key": key,
            "now": now,
        }
        if store is None:
            return _answer(issuing.issue(tenant, customer_id, **wanted))
        return _answer(issuing.issue_for_bill(tenant, customer_id, bill_no=str(body.bill_no), store=store, **wanted))

    def _store(self, body: IssueRequest) -> Store | None:
        """The store of the bill that the points are for, if they are."""
        if body.bill_no is None:
            return None
        if body.store_code is None:
            raise DomainError(
                "required_field",
                said("The field store_code is missing: bill_no is a number of a store. Send it."),
                path="store_code",
            )
        return store_of(self.access.tenant, body.store_code)


def _answer(posted: Posted) -> Response:
    after = posted.after
    body: dict[str, Any] = {
        "operation": posted.operation or None,
        "entries": posted.entries,
        "balance": {
            "pending": after.pending, "available": after.available, "held": after.held, "owed": after.owed, "closing": after.closing,
        },
    }  # fmt: skip
    return Response(body, status=201 if posted.operation else 200, headers={"Idempotency-Hit": "true"} if posted.repeated else {})
