"""Pages about the inbox as it is, and about one delivery or bill: what is decided about it, claims, reversals."""

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from integrations import bell, queue, voids
from integrations.decisions import MOVES, Decision, ask_claim, decide, decide_claim
from integrations.models import Bill, BillClaim, Delivery, DeliveryState
from support import delivery_page, limits
from support.forms import ClaimForm, LinkForm, ReasonForm
from support.views import dialog, render
from tenants import access as gate
from tenants.access import Act
from tenants.admin_base import access_of
from tenants.errors import DomainError
from tenants.tasks import worker_is_alive


@require_GET
def queue_now(request: HttpRequest) -> HttpResponse:
    """The inbox as it is now; the page asks again by itself."""
    access = access_of(request)
    access.require(Act.VIEW_INBOX)
    now = timezone.now()
    seen = queue.look(access.tenant, now=now)
    context: dict[str, Any] = {
        "queue": seen, "queue_count": seen.count(DeliveryState.RECEIVED), "queue_oldest": seen.oldest(DeliveryState.RECEIVED),
        "in_rate": seen.received / 60, "out_rate": seen.processed / 60, "worker": worker_is_alive(), "now": now,
    }  # fmt: skip
    if request.headers.get("HX-Request"):
        return TemplateResponse(request, "support/queue_body.html", context)
    return render(request, "support/queue.html", title=_("Queue"), **context)


@require_GET
def delivery(request: HttpRequest, pk: int) -> HttpResponse:
    """Everything about one delivery."""
    access = access_of(request)
    access.require(Act.VIEW_INBOX)
    row = gate.get(Delivery, pk, access=access)
    page = delivery_page.load(access.tenant, row)
    kind = page.bill_type.capitalize() or _("Delivery")
    return render(
        request,
        "support/delivery.html",
        title=f"{kind} {row.bill_no}".strip(),
        page=page,
        row=row,
        may_settle=access.may(Act.SETTLE_BILLS),
        now=timezone.now(),
    )


def decide_delivery(request: HttpRequest, pk: int, decision: str) -> HttpResponse:
    """The dialog that asks why, then does it."""
    access = access_of(request)
    access.require(Act.SETTLE_BILLS)
    row = gate.get(Delivery, pk, access=access)
    if decision not in set(Decision):
        raise Http404(_("No such decision."))
    chosen = Decision(decision)
    kind = LinkForm if chosen is Decision.LINK else ReasonForm
    initial = {"token": ReasonForm.new_token(), "original": request.GET.get("original", "")}
    form = kind(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            original = _original(form.cleaned_data.get("original", ""), access.tenant.pk) if chosen is Decision.LINK else None
            decide(
                access.tenant, row.pk, chosen, reason=form.cleaned_data["reason"], actor=access.actor, now=timezone.now(),
                original=original,
            )  # fmt: skip
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            tenant_id = access.tenant.pk
            transaction.on_commit(lambda: bell.ring(tenant_id))
            done = (
                _("It is discarded and stays here.")
                if chosen is Decision.DISCARD
                else _("It is in the inbox again; its state follows in a moment.")
            )
            messages.success(request, done)
            return redirect("admin:delivery", row.pk)
    return dialog(
        request, "support/decide.html", title=f"{MOVES[chosen].label}: {row.bill_no or row.receipt}", form=form, row=row,
        move=MOVES[chosen], back=reverse("admin:delivery", args=[row.pk]),
    )  # fmt: skip


def _original(text: str, tenant_id: int) -> int | None:
    """A bill by its id (from the list) or its number."""
    words = text.strip()
    if words.startswith("#") and words[1:].isdecimal() and len(words) < 18:
        return int(words[1:])
    found = Bill.objects.filter(tenant=tenant_id, bill_no=words, superseded_at=None).order_by("-billed_at").first()
    return found.pk if found else None


# Claims


def claim(request: HttpRequest, pk: int) -> HttpResponse:
    """A customer says that a walk-in bill is theirs."""
    access = access_of(request)
    access.require(Act.ISSUE_POINTS)
    bill = gate.get(Bill, pk, access=access)
    form = ClaimForm(request.POST or None, initial={"token": ReasonForm.new_token()})
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            limits.refuse_own_mobile(data["mobile"], target=bill, access=access)
            ask_claim(access.tenant, bill.pk, data["mobile"], reason=data["reason"], actor=access.actor, now=timezone.now())
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            messages.success(request, _("Asked. Somebody else has to agree; then the bill earns by the rule of its own day."))
            return redirect("admin:integrations_bill_change", bill.pk)
    return dialog(
        request, "support/claim.html", title=_("Claim bill {bill_no}").format(bill_no=bill.bill_no), form=form, bill=bill,
        back=reverse("admin:integrations_bill_change", args=[bill.pk]),
    )  # fmt: skip


@require_POST
def settle_claim(request: HttpRequest, pk: int) -> HttpResponse:
    access = access_of(request)
    access.require(Act.SETTLE_BILLS)
    row = gate.get(BillClaim, pk, access=access)
    said = request.POST.get("approve")
    if said not in ("yes", "no"):
        raise Http404(_("Neither approved nor refused."))
    approve = said == "yes"
    try:
        limits.refuse_own_mobile(row.mobile, target=row.bill, access=access)
        decide_claim(access.tenant, row.pk, approve=approve, actor=access.actor, now=timezone.now())
    except DomainError as refusal:
        messages.error(request, refusal.sentence)
    else:
        messages.success(
            request, _("Approved: the bill is booked for its customer.") if approve else _("Refused. Nothing was changed.")
        )
    return redirect("admin:integrations_billclaim_changelist")


def reverse_bill(request: HttpRequest, pk: int) -> HttpResponse:
    """Its POS has deleted it: the dialog that asks why, then cancels it (CASES 50)."""
    access = access_of(request)
    access.require(Act.SETTLE_BILLS)
    bill = gate.get(Bill, pk, access=access)
    if request.method == "GET" and bill.cancelled_by_id is not None:
        messages.info(request, _("Bill {bill_no} is cancelled already.").format(bill_no=bill.bill_no))
        return redirect("admin:integrations_bill_change", bill.pk)
    form = ReasonForm(request.POST or None, initial={"token": ReasonForm.new_token()})
    if request.method == "POST" and form.is_valid():
        try:
            row = voids.reverse(
                access.tenant, bill.pk, reason=form.cleaned_data["reason"], actor=access.actor, now=timezone.now()
            )
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            told = _("Bill {bill_no} is reversed. This is the cancellation that did it.")
            messages.success(request, told.format(bill_no=bill.bill_no))
            return redirect("admin:delivery", row.pk)
    return dialog(
        request, "support/reverse_bill.html", title=_("Reverse bill {bill_no}").format(bill_no=bill.bill_no), form=form, bill=bill,
        back=reverse("admin:integrations_bill_change", args=[bill.pk]),
    )  # fmt: skip
