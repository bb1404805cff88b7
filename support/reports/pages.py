"""The liability report as a page and as files; the comparisons and resyncs behind it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from integrations import bell, tasks
from integrations.analytics import parity, resync
from integrations.analytics.day_sums import Basis, Wanted, day_starts
from integrations.models import ParityDay, ParityRun, PosChange, Resync
from support import start_page
from support.charts import steps
from support.reports import flow, no_spend
from support.reports.asking import CLICKHOUSE, Answer, Asked, answer, sums_of
from support.reports.liability import DEFINITIONS, MOVEMENTS, TITLES, Line
from support.views import render
from tenants import access as gate
from tenants import exports
from tenants.access import Access, Act
from tenants.admin_base import access_of
from tenants.models import Store, Tenant
from tenants.spreadsheets import as_csv, as_xlsx, safe

COLUMNS = (
    "opening",
    *MOVEMENTS,
    "debt_created",
    "debt_offset",
    "closing",
    "worth",
    "pending",
    "available",
    "blocked",
    "debt",
    "earlier",
)
CHANGES_SHOWN = 20
#: Columns that are left out of the page where all of them are zero.
OFTEN_EMPTY = ("merged", "restored", "debt_created", "debt_offset", "earlier", "debt", "issued", "adjusted", "bonus", "returned")


def _asked(request: HttpRequest) -> tuple[Access, Asked]:
    access = access_of(request)
    access.require(Act.VIEW_REPORTS)
    return access, Asked(request.GET, tenant=access.tenant, now=timezone.now())


@require_GET
def show(request: HttpRequest) -> HttpResponse:
    return _show(request)


def _show(request: HttpRequest) -> HttpResponse:
    access, asked = _asked(request)
    if not asked.is_valid():
        refused = render(request, "support/liability.html", title=_("Liability"), asked=asked)
        refused.status_code = 422
        return refused
    found, wanted = answer(access.tenant, asked), asked.wanted
    values = [(line.first, line.closing) for line in found.report.lines]
    query = request.GET.copy()
    query.pop("source", None)
    columns = _columns(found)
    context: dict[str, Any] = {
        "asked": asked, "wanted": wanted, "found": found, "total": found.report.total, "query": query.urlencode(),
        "full": request.GET.urlencode(),
        "columns": [(name, TITLES[name], DEFINITIONS[name]) for name in columns],
        "rows": [(line.title, _is_settled(line, found, wanted), _cells(line, columns)) for line in reversed(found.report.lines)],
        "total_cells": _cells(found.report.total, columns), "definitions": [(TITLES[name], DEFINITIONS[name]) for name in COLUMNS],
        "drawing": steps(values, began_with=found.report.total.opening, since=wanted.since, until=wanted.until),
        "may_export": access.may(Act.EXPORT), "may_compare": access.may(Act.VIEW_RUNS),
    }  # fmt: skip
    return render(request, "support/liability.html", title=_("Liability"), **context)


def _columns(found: Answer) -> list[str]:
    lines = [*found.report.lines, found.report.total]
    return [name for name in COLUMNS if name not in OFTEN_EMPTY or any(line.value(name) for line in lines)]


def _cells(line: Line, names: list[str]) -> list[Any]:
    return [line.value(name) for name in names]


def _is_settled(line: Line, found: Answer, wanted: Wanted) -> bool:
    """Whether nothing can be posted on it any more. By business date nothing is ever settled, and nothing is said of it; a tier is today's."""
    if wanted.basis == Basis.BUSINESS:
        return True
    return wanted.tier is None and (found.closed is not None and line.last <= found.closed)


@require_GET
def points(request: HttpRequest) -> HttpResponse:
    """Where points come from and go, when they expire, how many are used, what needs an eye."""
    access, asked = _asked(request)
    tenant, now = access.tenant, timezone.now()
    context: dict[str, Any] = {"asked": asked, "flows": None}
    if asked.is_valid():
        wanted = replace(asked.wanted, by_store=True)
        sums, source = sums_of(tenant, wanted, source=asked.cleaned_data["source"])
        of: Any = {"store_id": wanted.store_id, "tier": wanted.tier}
        flows, lots = flow.by_store(sums, tenant), flow.expiring(tenant, today=now.astimezone(tenant.zone).date(), **of)
        context |= {
            "flows": flows[: flow.STORES_SHOWN], "more_stores": max(0, len(flows) - flow.STORES_SHOWN), "rates": flow.rates(flows),
            "flow_titles": [TITLES[name] for name in flow.FLOWS], "expiring": lots,
            "most_expiring": max((each.points for each in lots), default=0) or 1,
            "troubles": flow.troubles(tenant, wanted),
            "told": _("From ClickHouse.") if source == CLICKHOUSE else _("From the ledger itself."),
            **start_page.ages(tenant, now=now, **of),
            "by_hand": start_page.issued_by_hand(tenant, now=now, **of), "by_hand_days": start_page.BY_HAND_DAYS,
        }  # fmt: skip
    response: HttpResponse = render(request, "support/points.html", title=_("Points"), **context)
    response.status_code = 200 if asked.is_valid() else 422
    return response


@require_GET
def flags(request: HttpRequest) -> HttpResponse:
    """The part of the page that asks for days without spend; it comes after the page."""
    access, asked = _asked(request)
    found: list[no_spend.Flag] = []
    if asked.is_valid():
        wanted = asked.wanted
        stores = Store.objects.filter(tenant=access.tenant, **({"pk": wanted.store_id} if wanted.store_id is not None else {}))
        found = no_spend.flags(
            access.tenant, since=wanted.since, until=wanted.until, stores=dict(stores.values_list("pk", "code"))
        )
    context: dict[str, Any] = {
        "faults": [each for each in found if each.code],
        "quiet": [each for each in found if not each.code],
    }
    if asked.is_valid():
        context["changes"] = _changes(access.tenant, asked.wanted)
    return TemplateResponse(request, "support/liability_flags.html", context)


def _changes(tenant: Tenant, wanted: Wanted) -> list[PosChange]:
    """What integrators logged of the POS in these days: the first thing to look at where a figure jumps."""
    span = (day_starts(tenant, wanted.since), day_starts(tenant, wanted.until + timedelta(days=1)))
    rows = PosChange.objects.filter(tenant=tenant, at__gte=span[0], at__lt=span[1]).select_related("store")
    if wanted.store_id is not None:
        rows = rows.filter(Q(store=wanted.store_id or None) | Q(store=None))
    return list(rows[:CHANGES_SHOWN])


@require_POST
def export(request: HttpRequest, kind: str) -> HttpResponseBase:
    """A file of exactly what is shown; that it was taken is kept."""
    access, asked = _asked(request)
    access.require(Act.EXPORT)
    if not asked.is_valid():
        return _show(request)
    head, *rows = table(answer(access.tenant, asked))
    wanted = asked.wanted
    name = f"liability-{access.tenant.slug}-{wanted.since:%Y-%m-%d}-{wanted.until:%Y-%m-%d}.{kind}"
    made = as_csv(head, rows) if kind == "csv" else as_xlsx(_("Liability"), head, rows)
    filters = {name: str(value) for name, value in asked.cleaned_data.items() if value}
    return exports.sent(made, name=name, what="liability", access=access, asked=filters)


def table(found: Answer) -> Iterator[list[Any]]:
    """Head, a row a line, the total, and what is known of the figures."""
    yield [str(TITLES["day"]), *(str(TITLES[name]) for name in COLUMNS)]
    for line in [*found.report.lines, found.report.total]:
        yield [safe(line.title or _("Total")), *(line.value(name) for name in COLUMNS)]
    yield [said_of(found)]


def said_of(found: Answer) -> str:
    """How far the figures can be trusted, as one sentence."""
    if found.instead:
        return found.instead
    if found.source == "postgresql" or found.standing is None:
        return _("From the ledger itself.")
    if found.standing.equal is None:
        return _("From ClickHouse, which has not been compared with the ledger yet.")
    at = timezone.localtime(found.standing.at)
    if found.standing.different:
        return _("From ClickHouse, which differed from the ledger on {count} days when last compared.").format(
            count=len(found.standing.different)
        )
    if found.standing.stale:
        return _("From ClickHouse; {count} days have entries since they were compared.").format(count=len(found.standing.stale))
    if not found.standing.equal:
        return _("From ClickHouse, whose customers or kept sums differed from the ledger when all was last compared.")
    return _("From ClickHouse, equal to the ledger at {at}.").format(at=f"{at:%Y-%m-%d %H:%M %Z}")


@require_GET
def parity_run(request: HttpRequest, pk: int) -> HttpResponse:
    """One comparison: its verdict, the figures that differ, the entries behind them and what may have happened."""
    access = access_of(request)
    access.require(Act.VIEW_RUNS)
    run = gate.get(ParityRun, pk, access=access)
    days = sorted({each["business_date"] for each in run.differences if "business_date" in each})
    context = {
        "run": run, "days": days, "wrong": [(each, parity.cause(each)) for each in run.wrong],
        "figures": run.differences[:200], "more_figures": max(0, len(run.differences) - 200),
        "mended": Resync.objects.filter(tenant=access.tenant, asked_at__gte=run.at).order_by("pk").first(),
        "may_mend": access.may(Act.REPLAY_BILLS),
    }  # fmt: skip
    return render(
        request,
        "support/parity_run.html",
        title=_("Comparison of {at}").format(at=f"{timezone.localtime(run.at):%d %b %Y %H:%M}"),
        **context,
    )


@require_POST
def mend(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    """Build the days anew on which a comparison found a difference."""
    access = access_of(request)
    access.require(Act.REPLAY_BILLS)
    run = gate.get(ParityRun, pk, access=access)
    days = sorted(ParityDay.objects.filter(tenant=access.tenant, ok=False).values_list("business_date", flat=True))
    reason = _("Comparison {number} found {count} days different").format(number=run.pk, count=len(days))
    rows = resync.repair(access.tenant, days, run.differences, reason=reason, actor=access.actor)
    if not rows:
        messages.success(request, _("Nothing is left to build anew: the sums of days were made again by the comparison itself."))
        return redirect("admin:parity_run", run.pk)
    for row in rows:
        transaction.on_commit(partial(bell.send, tasks.work_on_resync.name, row.pk))
    messages.success(request, _("What differed is being built anew from the ledger. This takes seconds to minutes."))
    return redirect("admin:integrations_resync_change", rows[0].pk)


@require_POST
def compare_now(request: HttpRequest) -> HttpResponseRedirect:
    """Compare everything of this tenant, by the worker."""
    access = access_of(request)
    access.require(Act.VIEW_RUNS)
    bell.send(tasks.compare_tenant.name, access.tenant.pk)
    messages.success(request, _("ClickHouse is being compared with the ledger; the verdict will stand here in a moment."))
    return redirect(reverse("admin:integrations_parityrun_changelist"))
