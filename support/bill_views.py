"""Pages about bills: one delivery and what is decided about it, replays, missing bills and the requests for them, claims."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from integrations import bell, missing, replay
from integrations.decisions import MOVES, Decision, ask_claim, decide, decide_claim
from integrations.models import (
    Bill,
    BillClaim,
    Delivery,
    DeliveryState,
    Replay,
    ReplayState,
    RepushRequest,
)
from integrations.tasks import work_on_replay
from support import delivery_page
from support.forms import ClaimForm, LinkForm, MailForm, ReasonForm, ReplayForm
from support.views import render
from tenants import access as gate
from tenants import stores as store_codes
from tenants.access import Act
from tenants.admin_base import access_of
from tenants.errors import DomainError
from tenants.models import Store

#: How many weeks back bills are looked for.
LOOK_BACK = timedelta(days=35)
ROWS_SHOWN = 100


@require_GET
def delivery(request: HttpRequest, pk: int) -> HttpResponse:
    """Everything about one delivery."""
    access = access_of(request)
    access.require(Act.VIEW_INBOX)
    row = gate.get(Delivery, pk, access=access)
    page = delivery_page.load(access.tenant, row)
    title = f"{page.bill_type.capitalize() or 'Delivery'} {row.bill_no}".strip()
    return render(
        request,
        "support/delivery.html",
        title=title,
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
        raise Http404("No such decision.")
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
                "It is discarded and stays here."
                if chosen is Decision.DISCARD
                else "It is in the inbox again; its state follows in a moment."
            )
            messages.success(request, done)
            return redirect("admin:delivery", row.pk)
    return _dialog(
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
            ask_claim(access.tenant, bill.pk, data["mobile"], reason=data["reason"], actor=access.actor, now=timezone.now())
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            messages.success(request, "Asked. Somebody else has to agree; then the bill earns by the rule of its own day.")
            return redirect("admin:integrations_bill_change", bill.pk)
    return _dialog(
        request, "support/claim.html", title=f"Claim bill {bill.bill_no}", form=form, bill=bill,
        back=reverse("admin:integrations_bill_change", args=[bill.pk]),
    )  # fmt: skip


@require_POST
def settle_claim(request: HttpRequest, pk: int) -> HttpResponse:
    access = access_of(request)
    access.require(Act.SETTLE_BILLS)
    row = gate.get(BillClaim, pk, access=access)
    said = request.POST.get("approve")
    if said not in ("yes", "no"):
        raise Http404("Neither approved nor refused.")
    approve = said == "yes"
    try:
        decide_claim(access.tenant, row.pk, approve=approve, actor=access.actor, now=timezone.now())
    except DomainError as refusal:
        messages.error(request, refusal.sentence)
    else:
        messages.success(
            request, "Approved: the bill is booked for its customer." if approve else "Refused. Nothing was changed."
        )
    return redirect("admin:integrations_billclaim_changelist")


# Replays


def new_replay(request: HttpRequest) -> HttpResponse:
    """Choose and count."""
    access = access_of(request)
    access.require(Act.REPLAY_BILLS)
    initial: dict[str, Any] = {
        "token": ReasonForm.new_token(),
        **{name: request.GET.get(name, "") for name in ("repush", "check", "store", "incident")},
    }
    if request.GET.get("state"):
        initial["states"] = [request.GET["state"]]
    form = ReplayForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            row = replay.choose(
                access.tenant, filters=form.filters(access.tenant), reason=form.cleaned_data["reason"], actor=access.actor,
                per_second=form.cleaned_data["per_second"] or 0,
            )  # fmt: skip
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            return redirect("admin:replay", row.pk)
    return _dialog(
        request, "support/new_replay.html", title="Replay bills", form=form, back=reverse("admin:integrations_replay_changelist")
    )


@require_GET
def show_replay(request: HttpRequest, pk: int) -> HttpResponse:
    """The count, the dry run's effect by customer, the progress, the report."""
    access = access_of(request)
    access.require(Act.VIEW_INBOX)
    row = gate.get(Replay, pk, access=access)
    failed = row.rows.exclude(outcome__in=["", DeliveryState.APPLIED]).select_related("delivery").defer("delivery__body")
    context: dict[str, Any] = {
        "row": row,
        "customers": row.effect.get("customers", [])[:ROWS_SHOWN],
        "totals": row.effect.get("totals", {}),
        "refused": row.effect.get("refused", [])[:ROWS_SHOWN],
        "failed": failed[:ROWS_SHOWN],
        "failed_count": sum(count for outcome, count in row.counts.items() if outcome != DeliveryState.APPLIED),
        "filters": sorted(row.filters.items()),
        "may_replay": access.may(Act.REPLAY_BILLS),
        "at_work": row.state in replay.AT_WORK,
        "percent": round(100 * row.done / row.total) if row.total else 0,
    }
    if request.headers.get("HX-Request"):
        return TemplateResponse(request, "support/replay_body.html", context)
    return render(request, "support/replay.html", title=f"Replay {row.pk}", **context)


@require_POST
def act_on_replay(request: HttpRequest, pk: int, act: str) -> HttpResponse:
    access = access_of(request)
    access.require(Act.REPLAY_BILLS)
    row = gate.get(Replay, pk, access=access)
    try:
        if act == "cancel":
            replay.cancel(row, actor=access.actor, now=timezone.now())
        elif act in ("try", "run"):
            replay.ask(row, ReplayState.TRYING if act == "try" else ReplayState.RUNNING, actor=access.actor)
            transaction.on_commit(lambda: bell.send(work_on_replay.name, row.pk))
        else:
            raise Http404("No such act.")
    except DomainError as refusal:
        messages.error(request, refusal.sentence)
    return redirect("admin:replay", row.pk)


# Missing bills


@require_GET
def missing_bills(request: HttpRequest) -> HttpResponse:
    """Every trace of a bill that never came, by store."""
    access = access_of(request)
    access.require(Act.VIEW_INBOX)
    tenant, now = access.tenant, timezone.now()
    today = now.astimezone(tenant.zone).date()
    stores = {store.pk: store for store in Store.objects.filter(tenant=tenant)}
    chosen = request.GET.get("store", "")
    found = [
        each
        for each in missing.find(tenant, since=today - LOOK_BACK, until=today, now=now)
        if _fits(each.store_id, stores, chosen)
    ]
    page = Paginator(found, ROWS_SHOWN).get_page(request.GET.get("page"))
    unsettled = [
        each for each in missing.unsettled(tenant, since=today - LOOK_BACK, until=today) if _fits(each.store_id, stores, chosen)
    ]
    silent = [each for each in missing.silent(tenant, on=today - timedelta(days=1)) if _fits(each.store_id, stores, chosen)]
    counts: dict[int, int] = {}
    for each in found:
        counts[each.store_id] = counts.get(each.store_id, 0) + 1
    return render(
        request, "support/missing.html", title="Missing bills",
        page=page, rows=[(stores[each.store_id], each) for each in page], total=len(found),
        unsettled=[(stores[each.store_id], each) for each in unsettled[:ROWS_SHOWN]],
        silent=[(stores[each.store_id], each) for each in silent],
        by_store=[(stores[pk], count) for pk, count in sorted(counts.items(), key=lambda item: -item[1])],
        requests=RepushRequest.objects.filter(tenant=tenant, closed_at=None).select_related("store")[:20],
        chosen=chosen, since=today - LOOK_BACK, may_ask=access.may(Act.REPLAY_BILLS),
    )  # fmt: skip


def _fits(store_id: int, stores: dict[int, Store], code: str) -> bool:
    return store_id in stores and (not code or stores[store_id].code == code)


@require_POST
def ask_missing(request: HttpRequest) -> HttpResponse:
    """A request for everything that is missing of one store."""
    access = access_of(request)
    access.require(Act.REPLAY_BILLS)
    tenant, now = access.tenant, timezone.now()
    store = store_codes.find(tenant, request.POST.get("store", ""))
    if store is None:
        raise Http404("No such store.")
    today = now.astimezone(tenant.zone).date()
    try:
        found = missing.find(tenant, since=today - LOOK_BACK, until=today, now=now)
        row = missing.ask(tenant, store, found, note="", actor=access.actor)
    except DomainError as refusal:
        messages.error(request, refusal.sentence)
        return redirect("admin:missing_bills")
    messages.success(
        request, f"Asked for {row.lines.count():,} bills. Send the list to the vendor; what arrives is ticked off by itself."
    )
    return redirect("admin:repush_request", row.pk)


@require_POST
def ask_vendor(request: HttpRequest, pk: int) -> HttpResponse:
    """A delivery that cannot be booked goes onto a request to its store's vendor."""
    access = access_of(request)
    access.require(Act.SETTLE_BILLS)
    row = gate.get(Delivery, pk, access=access)
    if row.state not in (DeliveryState.QUARANTINED, DeliveryState.CONFLICT):
        messages.error(request, f"It is {row.get_state_display()} now; there is nothing to ask its vendor for.")
        return redirect("admin:delivery", row.pk)
    store = store_codes.find(access.tenant, row.store_code)
    if store is None:
        messages.error(request, "Its store is not known. Add the store or an alias first, or copy the text below to the vendor.")
        return redirect("admin:delivery", row.pk)
    try:
        made = missing.ask(access.tenant, store, [missing.of_delivery(row, store)], note=row.message, actor=access.actor)
    except DomainError as refusal:
        messages.error(request, refusal.sentence)
        return redirect("admin:delivery", row.pk)
    return redirect("admin:repush_request", made.pk)


def repush_request(request: HttpRequest, pk: int) -> HttpResponse:
    """One request: what was asked, what came, and the list for the vendor."""
    access = access_of(request)
    access.require(Act.VIEW_INBOX)
    row = gate.get(RepushRequest, pk, access=access)
    form = MailForm(request.POST or None)
    if request.method == "POST":
        access.require(Act.REPLAY_BILLS)
        if request.POST.get("act") == "close":
            try:
                missing.close(
                    access.tenant, row.pk, reason=request.POST.get("reason", ""), actor=access.actor, now=timezone.now()
                )
            except DomainError as refusal:
                messages.error(request, refusal.sentence)
            return redirect("admin:repush_request", row.pk)
        if form.is_valid():
            try:
                missing.mail(row, to=form.cleaned_data["to"], actor=access.actor, now=timezone.now())
            except DomainError as refusal:
                messages.error(request, refusal.sentence)
            else:
                messages.success(request, f"Sent to {form.cleaned_data['to']}.")
            return redirect("admin:repush_request", row.pk)
    lines = row.lines.all()
    page = Paginator(lines, ROWS_SHOWN).get_page(request.GET.get("page"))
    return render(
        request, "support/repush.html", title=f"Bills asked for again: {row.store}", row=row, page=page, total=lines.count(),
        came=lines.filter(arrived_at__isnull=False).count(), form=form, may_ask=access.may(Act.REPLAY_BILLS),
    )  # fmt: skip


@require_GET
def repush_csv(request: HttpRequest, pk: int) -> HttpResponse:
    access = access_of(request)
    access.require(Act.VIEW_INBOX)
    row = gate.get(RepushRequest, pk, access=access)
    response = HttpResponse(missing.as_csv(row), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="repush-{row.pk}.csv"'
    return response


def _dialog(request: HttpRequest, template: str, *, title: str, form: Any, **context: Any) -> HttpResponse:
    response = render(request, template, title=title, form=form, **context)
    response.status_code = 422 if form.is_bound else 200
    return response
