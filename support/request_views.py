"""What waits for a second person: the queue, and the page on which it is decided."""

import json
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from integrations.models import BillClaim
from loyalty import customers, identity
from loyalty.ledger import CustomerMerged
from loyalty.models import Customer, NumberMove
from support import approvals, limits
from support.bulk.models import BulkJob, JobState
from support.forms import DecideForm, ReasonForm
from support.models import OPEN_REQUESTS, ApprovalRequest, RequestState
from support.verbs import VERBS
from support.views import dialog, render
from tenants import access as gate
from tenants.access import Access, Act
from tenants.admin_base import access_of
from tenants.errors import DomainError

ROWS_SHOWN = 100


@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    """Everything of the brand that waits for a second person, the oldest first, and what was decided lately."""
    access = access_of(request)
    access.require(Act.VIEW_CUSTOMERS)
    rows = ApprovalRequest.objects.filter(tenant=access.tenant).select_related("customer")
    return render(
        request, "support/requests.html", title=_("Approvals"), waiting=rows.filter(state__in=OPEN_REQUESTS).order_by("id")[:ROWS_SHOWN],
        decided=rows.exclude(state__in=OPEN_REQUESTS)[:20],
        moves=NumberMove.objects.filter(tenant=access.tenant, decided_at=None).select_related("old_owner").order_by("id")[:ROWS_SHOWN],
        claims=BillClaim.objects.filter(tenant=access.tenant, decided_at=None).select_related("bill").order_by("id")[:ROWS_SHOWN],
        jobs=_jobs_waiting(access)[:ROWS_SHOWN],
        ident=access.actor.ident, now=timezone.now(),
    )  # fmt: skip


def _jobs_waiting(access: Access) -> QuerySet[BulkJob]:
    """Bulk jobs that somebody else has to let run."""
    rows: QuerySet[BulkJob] = BulkJob.objects.filter(tenant=access.tenant, state=JobState.WAITING)
    return rows.select_related("bonus").defer("body", "preview").order_by("id")


def request_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One request: what, for whom, why, the balance then and now, and the buttons of who may decide."""
    access = access_of(request)
    access.require(Act.VIEW_CUSTOMERS)
    row = gate.get(ApprovalRequest, pk, access=access)
    form = DecideForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            if answer := _decide(request, row, form, access=access):
                return answer
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
            row.refresh_from_db()
    now_there = approvals.balance_of(access.tenant, row.customer_id)
    own = row.asked_by_ident == access.actor.ident
    open_here = row.state in OPEN_REQUESTS
    may_decide = open_here and not own and access.may(Act.APPROVE) and access.may(VERBS[row.verb].act)
    would_be, cannot = approvals.preview(row, now=timezone.now()) if may_decide else (None, "")
    return dialog(
        request, "support/request.html", title=_("Request {number}").format(number=row.pk), form=form, row=row, customer=row.customer, own=own,
        before=_closing(row.before), after=_closing(now_there), moved=row.state == RequestState.ASKED and row.before != now_there,
        seen=json.dumps(now_there), is_open=open_here, colleague=bool(approvals.concerned(row, access=access)),
        may_decide=may_decide, would_be=_closing(would_be) if would_be else None, cannot=cannot,
    )  # fmt: skip


def _closing(buckets: dict[str, int]) -> dict[str, int]:
    return {**buckets, "closing": buckets["available"] + buckets["held"] - buckets["owed"]}


def _decide(request: HttpRequest, row: ApprovalRequest, form: DecideForm, *, access: Access) -> HttpResponse | None:
    """What the pressed button says. Raises: DomainError, as the act."""
    now, note = timezone.now(), form.cleaned_data["note"]
    if "refuse" in request.POST:
        approvals.decline(access.tenant, row.pk, access=access, note=note, now=now)
        own = row.asked_by_ident == access.actor.ident
        messages.success(request, _("Withdrawn.") if own else _("Refused. Nothing was changed."))
        return redirect("admin:requests")
    try:
        seen: Any = json.loads(form.cleaned_data["seen"])
    except ValueError:
        seen = None
    row, done = approvals.approve(access.tenant, row.pk, access=access, note=note, seen=seen, now=now)
    if done is None:
        messages.warning(request, _("Approved, but it could not be done: {why}").format(why=row.failure))
        return redirect("admin:request", row.pk)
    messages.success(request, _("Approved. {done}").format(done=done.told))
    return redirect(f"{reverse('admin:customer360', args=[done.customer_id])}?entry={done.operation}")


def ask_number_move(request: HttpRequest, pk: int) -> HttpResponse:
    """A carrier gave the customer's number to a stranger: ask that it leads to a new customer (CASES 94)."""
    access = access_of(request)
    access.require_to_ask(Act.CHANGE_MOBILES)
    customer = gate.get(Customer, pk, access=access)
    form = ReasonForm(request.POST or None, initial={"token": ReasonForm.new_token()})
    if request.method == "POST" and form.is_valid():
        try:
            limits.refuse_own_number(customer, access=access)
            if customer.merged_into_id is not None:
                raise CustomerMerged(customer.pk, customer.merged_into_id)
            move = identity.ask_number_move(
                access.tenant, customer.mobile, reason=form.cleaned_data["reason"], actor=access.actor
            )
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            messages.info(request, _("Asked for. It waits for a second person."))
            return redirect("admin:number_move", move.pk)
    return dialog(request, "support/ask_number_move.html", title=_("The number has another owner"), form=form, customer=customer)


def number_move(request: HttpRequest, pk: int) -> HttpResponse:
    """Decide whether the number leads to a new customer from now on."""
    access = access_of(request)
    access.require(Act.VIEW_CUSTOMERS)
    move = gate.get(NumberMove, pk, access=access)
    form = DecideForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        access.require(Act.APPROVE)
        access.require(Act.CHANGE_MOBILES)
        form.full_clean()
        try:
            limits.refuse_own_number(move.old_owner, access=access, also=[move.mobile])
            move = identity.decide_number_move(
                access.tenant, move.pk, approve="refuse" not in request.POST, actor=access.actor, now=timezone.now()
            )
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
            move.refresh_from_db()
        else:
            messages.success(
                request, _("The number leads to a new customer now.") if move.approved else _("Refused. Nothing was changed.")
            )
            return redirect("admin:customer360", customers.survivor(access.tenant, move.new_owner_id or move.old_owner_id))
    return dialog(
        request, "support/number_move.html", title=_("A number with another owner"), form=form, move=move, customer=move.old_owner,
        may_decide=move.decided_at is None and access.may(Act.APPROVE) and access.may(Act.CHANGE_MOBILES)
        and move.asked_by_ident != access.actor.ident,
    )  # fmt: skip
