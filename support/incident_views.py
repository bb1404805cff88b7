"""Pages of incidents: the bills they are about, what was changed around them, and how they end."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from integrations import bell, gathering, incidents
from integrations.models import Incident, IncidentKind, Replay
from integrations.reconciling import runs
from integrations.tasks import work_on_replay
from support.forms import ModeForm, ReasonForm
from support.views import dialog, render
from tenants import access as gate
from tenants.access import Access, Act
from tenants.admin_base import access_of
from tenants.errors import DomainError
from tenants.models import RedemptionMode

ROWS_SHOWN = 50


@require_GET
def incident(request: HttpRequest, pk: int) -> HttpResponse:
    """One incident: its store, its bills, what was changed at the POS, and how it can end."""
    access = access_of(request)
    access.require(Act.VIEW_INBOX)
    row = gate.get(Incident, pk, access=access)
    if row.kind == IncidentKind.DRIFT:
        return redirect("admin:reconciliation", runs.policy_of(row))
    rows, field = _members(row)
    page = Paginator(rows, ROWS_SHOWN).get_page(request.GET.get("page"))
    zone = row.store.timezone_or(access.tenant)
    days = gathering.trend(rows, field, zone=zone, until=row.last_at.astimezone(zone).date())
    return render(
        request, "support/incident.html", title=_("Incident at {store}").format(store=row.store), row=row, page=page, total=page.paginator.count,
        changes=incidents.changes_around(row)[:20], modes=row.store.modes.order_by("-effective_from")[:5],
        replays=Replay.objects.filter(tenant=access.tenant, filters__incident=row.pk)[:5],
        drifts=row.kind == IncidentKind.MODE_DRIFT, may_set=_may_set(access), may_close=access.may(Act.REPLAY_BILLS),
        days=days, busiest=max(count for _, count in days) or 1, now=timezone.now(), may_unblock=access.may(Act.RELEASE_HOLDS),
        may_unblock_all=access.may(Act.RELEASE_HOLDS) and access.may(Act.ADJUST_POINTS),
    )  # fmt: skip


def _members(row: Incident) -> tuple[QuerySet[Any], str]:
    """What it is about now, and by which time it is told over the days."""
    match IncidentKind(row.kind):
        case IncidentKind.NO_COMPLETION:
            return gathering.holds_of(row), "at"
        case IncidentKind.REFUSED:
            return gathering.deliveries_of(row, codes=gathering.codes_of(row.store)), "received_at"
    return incidents.bills_of(row), "billed_at"


def _may_set(access: Access) -> bool:
    return access.may(Act.MANAGE_STORES) and access.may(Act.REPLAY_BILLS)


def set_mode(request: HttpRequest, pk: int) -> HttpResponse:
    """The store's setting follows its bills, from a day on; they are tried again without effect."""
    access = access_of(request)
    access.require(Act.MANAGE_STORES)
    access.require(Act.REPLAY_BILLS)
    row = gate.get(Incident, pk, access=access)
    if request.method == "GET" and row.closed_at is not None:
        messages.info(request, _("This incident is closed: {who}.").format(who=row.closed_by))
        return redirect("admin:incident", row.pk)
    first = row.first_bill
    initial = {"token": ReasonForm.new_token(), "mode": first and first.mode, "since": first and first.business_date}
    form = ModeForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            settled = incidents.set_mode(
                access.tenant, row.pk, mode=RedemptionMode(data["mode"]), since=data["since"], reason=data["reason"],
                actor=access.actor, now=timezone.now(),
            )  # fmt: skip
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            if settled.replay is None:
                messages.success(request, _("The setting is changed and the incident closed. No bill has to be booked again."))
                return redirect("admin:incident", row.pk)
            replay_id = settled.replay.pk
            transaction.on_commit(lambda: bell.send(work_on_replay.name, replay_id))
            messages.success(
                request, _("The setting is changed and the incident closed. Look at what its bills would do, then run.")
            )
            return redirect("admin:replay", replay_id)
    return dialog(
        request, "support/set_mode.html", title=_("How {store} shows points").format(store=row.store), form=form, row=row,
        back=reverse("admin:incident", args=[row.pk]),
    )  # fmt: skip


@require_POST
def close_incident(request: HttpRequest, pk: int) -> HttpResponse:
    access = access_of(request)
    access.require(Act.REPLAY_BILLS)
    row = gate.get(Incident, pk, access=access)
    try:
        incidents.close(access.tenant, row.pk, reason=request.POST.get("reason", ""), actor=access.actor, now=timezone.now())
    except DomainError as refusal:
        messages.error(request, refusal.sentence)
    else:
        messages.success(request, _("Closed. The next bill that shows the same opens another incident."))
    return redirect("admin:incident", row.pk)
