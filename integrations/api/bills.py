"""Bills come in: kept first, then booked by the worker. What became of one is asked by its receipt."""

from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.db.models import Sum
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext_noop
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response

from integrations import bell, inbox
from integrations.api.balances import entries_of_bill, shown_entry
from integrations.api.forms import iso
from integrations.api.http import check_length, error, status_of
from integrations.api.view import View
from integrations.documents import UNWRITABLE, MalformedJSON, read_batch
from integrations.models import Bill, BillClass, Delivery, DeliveryState, Source
from integrations.trace import stopped_at, trace
from loyalty.models import Entry
from tenants import signing, stores
from tenants.counters import count
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.saying import said

BILL_BYTES_MAX = 1 << 20
BATCH_BYTES_MAX = 16 << 20
BATCH_BILLS_MAX = 100


def _raw_body(request: Request, *, bytes_max: int, what: str) -> bytes:
    """The body as it was sent; too large is said before it is read."""
    check_length(request, bytes_max=bytes_max, what=what)
    return request._request.body


def check_signature(request: Request, tenant: Tenant, body: bytes) -> None:
    """Where the tenant asks for it. Raises: AuthenticationFailed, counted; whatever is wrong, the answer is one."""
    if tenant.signatures_required and not signing.is_signed(tenant, body, request.headers, now=timezone.now()):
        count("bad_signature", tenant=tenant.slug, today=timezone.now().date())
        raise AuthenticationFailed


class Bills(View):
    scopes = {"POST": ("pos",)}

    def post(self, request: Request) -> Response:
        tenant = self.access.tenant
        body = _raw_body(request, bytes_max=BILL_BYTES_MAX, what=gettext_noop("A bill"))
        check_signature(request, tenant, body)
        try:
            received = inbox.receive(tenant, body, source=Source.API, sender=self.access.actor, now=timezone.now())
        except MalformedJSON as problem:
            # Answered here: the kept message must not be rolled back with an exception.
            return error(
                problem.code, problem.sentence, status_code=400, request_id=_request_id(request), details=problem.details
            )
        transaction.on_commit(lambda: bell.ring(tenant.pk))
        return Response(_answer(received), status=200 if received.duplicate else 202)


class BillsBatch(View):
    scopes = {"POST": ("pos",)}

    def post(self, request: Request) -> Response:
        tenant = self.access.tenant
        body = _raw_body(request, bytes_max=BATCH_BYTES_MAX, what=gettext_noop("A batch"))
        check_signature(request, tenant, body)
        try:
            envelope, bills = read_batch(body)
        except MalformedJSON as problem:
            inbox.reject(tenant, body, problem, source=Source.BATCH, sender=self.access.actor)
            return error(
                problem.code, problem.sentence, status_code=400, request_id=_request_id(request), details=problem.details
            )
        repush = envelope.get("repush") or ""
        if envelope.get("bills") is not True or not isinstance(repush, str) or UNWRITABLE.search(repush):
            raise DomainError("bad_value", said('Send {"repush": "label or null", "bills": [ ... ]}.'), path="bills")
        if len(bills) > BATCH_BILLS_MAX:
            raise DomainError(
                "too_large",
                said("A batch may hold at most {limit} bills. Send more batches.", limit=BATCH_BILLS_MAX),
                bills=len(bills),
            )
        results = [self._one(request, index, body, bill, repush=repush) for index, (body, bill) in enumerate(bills)]
        transaction.on_commit(lambda: bell.ring(tenant.pk))
        return Response({"results": results}, status=202)

    def _one(self, request: Request, index: int, body: bytes, bill: Any, *, repush: str) -> dict[str, Any]:
        try:
            if not isinstance(bill, dict):
                raise MalformedJSON("malformed_json", said("A bill must be one JSON object: { ... }."))
            if len(body) > BILL_BYTES_MAX:
                raise DomainError("too_large", said("A bill may have at most 1 MiB."), bytes_max=BILL_BYTES_MAX)
            received = inbox.receive(
                self.access.tenant,
                body,
                source=Source.BATCH,
                sender=self.access.actor,
                now=timezone.now(),
                repush=repush,
                checked=bill,
            )
        except DomainError as refusal:
            problem = {
                "code": refusal.code,
                "message": refusal.sentence,
                "details": refusal.details,
                "request_id": _request_id(request),
            }
            return {"index": index, "status": status_of(refusal), "receipt": None, "state": None, "error": problem}
        return {
            "index": index,
            "status": 200 if received.duplicate else 202,
            "receipt": received.receipt,
            "state": received.state,
            "error": None,
            **({"duplicate": True} if received.duplicate else {}),
        }


class OneDelivery(View):
    scopes = {"GET": ("pos", "read", "support")}

    def get(self, request: Request, receipt: str) -> Response:
        found: Delivery | None = (
            Delivery.objects.filter(tenant=self.access.tenant, receipt=receipt).select_related("bill").first()
            if receipt.isprintable()
            else None
        )
        if found is None:
            raise Http404
        return Response(_shown(found))


class OneBill(View):
    """A booked bill by its number: what it says, where it has been, what it did. Without a date the newest of that number."""

    scopes = {"GET": ("pos", "read", "support")}

    def get(self, request: Request, bill_no: str) -> Response:
        tenant = self.access.tenant
        rows = Bill.objects.filter(tenant=tenant, bill_no=bill_no, superseded_at=None).select_related(
            "store", "customer", "parent"
        )
        if code := request.query_params.get("store_code"):
            rows = rows.filter(store=stores.find(tenant, code))
        if day := request.query_params.get("bill_date"):
            rows = rows.filter(business_date=_day(day))
        found = list(rows.order_by("-billed_at", "-id")[:20]) if bill_no.isprintable() else []
        if not found:
            raise Http404
        bill = max(found, key=lambda bill: bill.bill_class == BillClass.SALE)  # the newest, and a sale before what undid it
        entries, stops = entries_of_bill(tenant.pk, bill.pk), trace(bill)
        return Response(
            {
                "bill_no": bill.bill_no, "bill_type": bill.bill_type, "version": bill.version, "store_code": bill.store.code,
                "bill_date": iso(bill.billed_at), "business_date": bill.business_date.isoformat(),
                "mobile": bill.customer.mobile if bill.customer else None, "net_amount": f"{bill.net_amount:.2f}",
                "payable_amount": f"{bill.payable_amount:.2f}", "mode": bill.mode or None, "earned_points": bill.earned_points,
                "redeemed_points": bill.redeemed_points, "flags": bill.flags,
                "original": bill.parent.bill_no if bill.parent else None, "cancelled": bill.cancelled_by_id is not None,
                "trace": [
                    {"stop": stop.name, "at": iso(stop.at) if stop.at else None, "lag_seconds": stop.lag_seconds, "note": stop.note}
                    for stop in stops
                ],
                "stopped_at": stopped_at(stops) or None,
                "entries": [shown_entry(entry, {bill.pk: bill.bill_no}) for entry in entries],
            }
        )  # fmt: skip


def _day(text: str) -> date:
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        raise DomainError("bad_value", said("bill_date is not a date such as 2025-03-31."), path="bill_date") from None


def _shown(delivery: Delivery) -> dict[str, Any]:
    applied = delivery.state == DeliveryState.APPLIED
    effect = dict.fromkeys(("pending", "available", "held", "owed"), 0)
    discrepancies: list[dict[str, Any]] = []
    if applied and delivery.bill is not None:
        entries = Entry.objects.filter(tenant=delivery.tenant_id, bill_id=delivery.bill_id)
        effect = {name: value or 0 for name, value in entries.aggregate(**{name: Sum(name) for name in effect}).items()}
        discrepancies = [
            {"kind": row.kind, "points": row.points, "message": row.message} for row in delivery.bill.discrepancies.order_by("id")
        ]
    return {
        "receipt": delivery.receipt,
        "state": delivery.state,
        "check": delivery.check_name or None,
        "message": delivery.message,
        "details": delivery.details,
        "attempts": delivery.attempts,
        "bill_no": delivery.bill_no,
        "store_code": delivery.store_code,
        "effect": effect,
        "discrepancies": discrepancies,
    }


def _answer(received: inbox.Received) -> dict[str, Any]:
    answer: dict[str, Any] = {"receipt": received.receipt, "state": received.state}
    return answer | {"duplicate": True} if received.duplicate else answer


def _request_id(request: Request) -> str:
    return str(getattr(request._request, "request_id", ""))
