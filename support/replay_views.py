"""Pages of replays: choose and count, try, run, report."""

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

from integrations import bell, replay
from integrations.models import DeliveryState, Replay, ReplayState
from integrations.tasks import work_on_replay
from support.forms import ReasonForm, ReplayForm
from support.views import dialog, render
from tenants import access as gate
from tenants.access import Act
from tenants.admin_base import access_of
from tenants.errors import DomainError

ROWS_SHOWN = 100


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
    return dialog(
        request, "support/new_replay.html", title=_("Replay bills"), form=form, offers=replay.offers(access.tenant),
        back=reverse("admin:integrations_replay_changelist"),
    )  # fmt: skip


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
    return render(request, "support/replay.html", title=_("Replay {number}").format(number=row.pk), **context)


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
            raise Http404(_("No such act."))
    except DomainError as refusal:
        messages.error(request, refusal.sentence)
    return redirect("admin:replay", row.pk)
