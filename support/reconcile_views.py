"""A policy's page: what its runs found, where that points to, and the button that runs it now."""

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from integrations import bell
from integrations.models import Handoff, ReconciliationPolicy, ReconciliationRun, RunState, Side
from integrations.reconciling import runs
from integrations.reconciling.matching import ROWS_KEPT, Pattern
from integrations.reconciling.sides import Grain, grain_of
from integrations.tasks import work_on_run
from support.views import render
from tenants import access as gate
from tenants import audit, exports
from tenants.access import Access, Act
from tenants.admin_base import access_of
from tenants.spreadsheets import as_csv, safe

RUNS_SHOWN = 14


def _policy(request: HttpRequest, pk: int) -> tuple[Access, ReconciliationPolicy]:
    access = access_of(request)
    access.require(Act.VIEW_REPORTS)
    return access, gate.get(ReconciliationPolicy, pk, access=access)


def _run(request: HttpRequest, policy: ReconciliationPolicy) -> ReconciliationRun | None:
    """The one that was asked for, or the last."""
    rows = ReconciliationRun.objects.filter(tenant=policy.tenant_id, policy=policy)
    wanted = request.GET.get("run", "")
    chosen = rows.filter(pk=int(wanted)).first() if wanted.isdecimal() and len(wanted) < 19 else None
    return chosen or rows.first()  # type: ignore[no-any-return]


@require_GET
def reconciliation(request: HttpRequest, pk: int) -> HttpResponse:
    """One policy with one of its runs."""
    access, policy = _policy(request, pk)
    run = _run(request, policy)
    grain = grain_of(Side(policy.left), Side(policy.right))
    context: dict[str, Any] = {
        "policy": policy, "run": run, "grain": grain.value, "incident": runs.incident_of(policy),
        "may_compare": access.may(Act.VIEW_RUNS), "open": run is not None and run.state in runs.OPEN,
        "runs": ReconciliationRun.objects.filter(tenant=access.tenant, policy=policy).defer("rows")[:RUNS_SHOWN],
        "may_run": access.may(Act.REPLAY_BILLS), "may_export": access.may(Act.EXPORT) or access.may(Act.REPLAY_BILLS),
        "pattern": _pattern(policy, run.pattern) if run else "", "handoff": Handoff(run.handoff).label if run else "",
        "untold": _untold(policy) if run and run.untold else "", "rows_kept": ROWS_KEPT,
    }  # fmt: skip
    return render(request, "support/reconciliation.html", title=policy.name, **context)


def _pattern(policy: ReconciliationPolicy, pattern: str) -> str:
    """What most of the rows show, in words."""
    left, right = policy.get_left_display(), policy.get_right_display()
    told = {
        Pattern.LOWER.value: _("Most of them: {left} lower than {right}."), Pattern.HIGHER.value: _("Most of them: {left} higher than {right}."),
        Pattern.LEFT_ONLY.value: _("Most of them: only in {left}."), Pattern.RIGHT_ONLY.value: _("Most of them: only in {right}."),
        Pattern.MIXED.value: _("No single pattern: look at the rows."),
    }  # fmt: skip
    return told.get(pattern, "").format(left=left, right=right)


def _untold(policy: ReconciliationPolicy) -> str:
    if grain_of(Side(policy.left), Side(policy.right)) is Grain.CUSTOMER:
        return _("customers of whom the CRM said nothing in these days")
    return _("store-days that no POS day-end has settled")


@require_POST
def run_now(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    """Somebody wants to know."""
    access, policy = _policy(request, pk)
    access.require(Act.REPLAY_BILLS)
    run = runs.ask(policy, asked_by=access.actor.name, now=timezone.now())
    if run.state == RunState.WAITING:
        audit.record(
            access.tenant, actor=access.actor, action="reconcile_now", target=policy, reason="At the desk", after={"run": run.pk}
        )
    transaction.on_commit(lambda: bell.send(work_on_run.name, run.pk))
    messages.success(request, _("Both sides are being compared. This takes seconds; the page looks again by itself."))
    return redirect("admin:reconciliation", policy.pk)


@require_POST
def rows_csv(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The rows that do not agree, for whoever has to look after them."""
    access, policy = _policy(request, pk)
    if not access.may(Act.REPLAY_BILLS):
        access.require(Act.EXPORT)
    run = _run(request, policy)
    keys = {Grain.CUSTOMER: ("customer", "mobile"), Grain.BILL: ("store", "bill_no"), Grain.STORE_DAY: ("store", "day")}
    columns = keys[grain_of(Side(policy.left), Side(policy.right))]
    rows = (
        [*(safe(row[name]) for name in columns), row["left"], row["right"], row["difference"]]
        for row in (run.rows if run else ())
    )
    made = as_csv([*columns, policy.left, policy.right, "difference"], rows)
    asked = {"run": run.pk} if run else {}
    return exports.sent(
        made, name=f"reconciliation-{policy.pk}.csv", what="reconciliation", access=access, target=policy, asked=asked
    )
