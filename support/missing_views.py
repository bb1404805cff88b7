"""Pages about bills that never came, or that a POS has no more, and the requests for them."""

from datetime import timedelta

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from integrations import missing, voids
from integrations.models import Delivery, DeliveryState, FileImport, FileState, RepushRequest
from support.forms import MailForm
from support.views import render
from tenants import access as gate
from tenants import exports
from tenants import stores as store_codes
from tenants.access import Act
from tenants.admin_base import access_of
from tenants.errors import DomainError
from tenants.models import Store
from tenants.tasks import worker_is_alive

#: How many weeks back bills are looked for.
LOOK_BACK = timedelta(days=35)
ROWS_SHOWN = 100


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
    chosen_store = next((store for store in stores.values() if store.code == chosen), None)
    deleted = [
        each
        for each in voids.find(tenant, since=today - LOOK_BACK, until=today, store=chosen_store)
        if _fits(each.store_id, stores, chosen)
    ]
    silent = [each for each in missing.silent(tenant, on=today - timedelta(days=1)) if _fits(each.store_id, stores, chosen)]
    counts: dict[int, int] = {}
    for each in found:
        counts[each.store_id] = counts.get(each.store_id, 0) + 1
    return render(
        request, "support/missing.html", title=_("Missing bills"),
        page=page, rows=[(stores[each.store_id], each) for each in page], total=len(found),
        unsettled=[(stores[each.store_id], each) for each in unsettled[:ROWS_SHOWN]],
        deleted=[(stores[each.store_id], each) for each in deleted[:ROWS_SHOWN]], deleted_count=len(deleted),
        may_settle=access.may(Act.SETTLE_BILLS),
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
        raise Http404(_("No such store."))
    today = now.astimezone(tenant.zone).date()
    try:
        found = missing.find(tenant, since=today - LOOK_BACK, until=today, now=now)
        row = missing.ask(tenant, store, found, note="", actor=access.actor)
    except DomainError as refusal:
        messages.error(request, refusal.sentence)
        return redirect("admin:missing_bills")
    told = _("Asked for {bills:,} bills. Send the list to the vendor; what arrives is ticked off by itself.")
    messages.success(request, told.format(bills=row.lines.count()))
    return redirect("admin:repush_request", row.pk)


@require_POST
def ask_vendor(request: HttpRequest, pk: int) -> HttpResponse:
    """A delivery that cannot be booked goes onto a request to its store's vendor."""
    access = access_of(request)
    access.require(Act.SETTLE_BILLS)
    row = gate.get(Delivery, pk, access=access)
    if row.state not in (DeliveryState.QUARANTINED, DeliveryState.CONFLICT):
        told = _("It is {state} now; there is nothing to ask its vendor for.")
        messages.error(request, told.format(state=row.get_state_display()))
        return redirect("admin:delivery", row.pk)
    store = store_codes.find(access.tenant, row.store_code)
    if store is None:
        messages.error(
            request, _("Its store is not known. Add the store or an alias first, or copy the text below to the vendor.")
        )
        return redirect("admin:delivery", row.pk)
    try:
        made = missing.ask(access.tenant, store, [missing.of_delivery(row, store)], note=row.message, actor=access.actor)
    except DomainError as refusal:
        messages.error(request, refusal.sentence)
        return redirect("admin:delivery", row.pk)
    return redirect("admin:repush_request", made.pk)


@require_GET
def file_import(request: HttpRequest, pk: int) -> HttpResponse:
    """A long file: how far it is, and each row that was refused with its reason."""
    access = access_of(request)
    access.require(Act.VIEW_INBOX)
    row = gate.get(FileImport, pk, access=access, without=("body",))  # asked for every second
    context = {"row": row, "at_work": row.state in (FileState.WAITING, FileState.RUNNING), "worker": worker_is_alive()}
    if request.headers.get("HX-Request"):
        return TemplateResponse(request, "support/file_body.html", context)
    return render(request, "support/file.html", title=_("File {name}").format(name=row.name), **context)


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
                messages.success(request, _("Sent to {address}.").format(address=form.cleaned_data["to"]))
            return redirect("admin:repush_request", row.pk)
    lines = row.lines.all()
    page = Paginator(lines, ROWS_SHOWN).get_page(request.GET.get("page"))
    return render(
        request, "support/repush.html", title=_("Bills asked for again: {store}").format(store=row.store), row=row, page=page,
        total=lines.count(), came=lines.filter(arrived_at__isnull=False).count(), form=form, may_ask=access.may(Act.REPLAY_BILLS),
    )  # fmt: skip


@require_POST
def repush_csv(request: HttpRequest, pk: int) -> HttpResponseBase:
    access = access_of(request)
    access.require(Act.VIEW_INBOX)
    row = gate.get(RepushRequest, pk, access=access)
    return exports.sent([missing.as_csv(row)], name=f"repush-{row.pk}.csv", what="repush", access=access, target=row)
