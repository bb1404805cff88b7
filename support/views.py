"""Pages of the desk: start, search, Customer 360 and its dialogs. A view checks permission and form, calls one act, answers."""

import json
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.dateformat import format as formatted
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from loyalty.models import Balance, Customer, CustomerStatus
from loyalty.state import Terms
from support import acts, balance_chart, checks, facts, find, finding_page, picture, simulation, start_page, walk
from support.diagnosis import Reporter
from support.simulation import SimulatorForm
from tenants import access as gate
from tenants.access import Access, Act
from tenants.admin_base import access_of
from tenants.errors import DomainError
from tenants.middleware import CHOSEN_TENANT

REPORTERS = {
    Reporter.CUSTOMER: gettext_lazy("the customer"),
    Reporter.ERP: gettext_lazy("the ERP's report"),
    Reporter.CRM: gettext_lazy("the CRM or the app"),
}
TABS = {
    "timeline": gettext_lazy("Timeline"), "holds": gettext_lazy("Blocked points"), "bills": gettext_lazy("Bills"),
    "lots": gettext_lazy("Lots and expiry"), "bonuses": gettext_lazy("Bonuses"), "messages": gettext_lazy("Messages"),
    "cases": gettext_lazy("Cases and notes"), "audit": gettext_lazy("Audit"),
}  # fmt: skip


def render(request: HttpRequest, template: str, *, title: str, **context: Any) -> TemplateResponse:
    site: Any = request.desk_site  # type: ignore[attr-defined]
    return TemplateResponse(request, template, {**site.each_context(request), "title": title, **context})


def dialog(request: HttpRequest, template: str, *, title: str, form: Any, **context: Any) -> HttpResponse:
    """A form on a page of its own; 422 when it was sent and not taken."""
    response = render(request, template, title=title, form=form, **context)
    response.status_code = 422 if form.is_bound else 200
    return response


def refused(request: HttpRequest, refusal: DomainError) -> HttpResponse:
    """What no form could say: the sentence on a page of its own."""
    response = render(request, "support/refused.html", title=_("Refused"), sentence=refusal.sentence)
    response.status_code = 422
    return response


def start(request: HttpRequest) -> HttpResponse:
    """What waits for somebody, and where to begin."""
    access, now = access_of(request), timezone.now()
    context = start_page.context(access, now=now)
    return render(request, "support/start.html", title=_("Start"), stories=_stories(access.tenant.slug), now=now, **context)


def _stories(slug: str) -> list[dict[str, str]]:
    """The demo's customers to look at; empty everywhere else."""
    note = settings.DATA_DIR / "demo.json"
    if not note.exists():
        return []
    stories: list[dict[str, str]] = json.loads(note.read_text()).get("stories", {}).get(slug, [])
    return stories


@require_GET
def search(request: HttpRequest) -> HttpResponse:
    """Results as a page; with one hit straight to the customer."""
    access = access_of(request)
    access.require(Act.VIEW_CUSTOMERS)
    words = request.GET.get("q", "").strip()
    hits = find.find(access.tenant, words)
    if len(hits) == 1:  # several: a person chooses, or the wrong one gets the points
        return redirect("admin:customer360", hits[0].customer.pk)
    return render(request, "support/search.html", title=_("Search"), words=words, hits=hits)


@require_GET
def suggest(request: HttpRequest) -> HttpResponse:
    """The list under the search box, as one types."""
    access = access_of(request)
    access.require(Act.VIEW_CUSTOMERS)
    words = request.GET.get("q", "").strip()
    return TemplateResponse(
        request,
        "support/hits.html",
        {"words": words, "hits": find.find(access.tenant, words), "access": access, "dropdown": True},
    )


@require_GET
def customer360(request: HttpRequest, pk: int) -> HttpResponse:
    access = access_of(request)
    access.require(Act.VIEW_CUSTOMERS)
    customer = gate.get(Customer, pk, access=access)
    if customer.merged_into_id is not None:
        told = _("{customer} was merged into this customer. Points, bills and history stand here.")
        messages.info(request, told.format(customer=customer))
        return redirect("admin:customer360", customer.merged_into_id)
    seen = picture.load(access.tenant, customer, now=timezone.now())
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else "timeline"
    asked = request.GET.get("bill", "")[:120].replace("\0", "").strip()
    reported_by = _reporter(request)
    known = walk.about(facts.gather(seen), asked)
    return render(
        request,
        "support/customer360.html",
        title=customer.name or customer.masked_mobile,
        customer=customer,
        balance=seen.balance,
        seen=seen,
        findings=finding_page.shown(
            walk.findings(known, reported_by=reported_by), customer_id=customer.pk, access=access, contacts=known.contacts
        ),
        asked_bill=asked,
        reported_by=reported_by.value,
        reporters=[(each.value, REPORTERS[each]) for each in Reporter],
        tab=tab,
        tabs=TABS.items(),
        highlighted=request.GET.get("entry", ""),
        known=known,
        shown=known.shown,
        coming=known.coming,
        last_bill=next(iter(known.bills), None),
        now=seen.now,
        zone=access.tenant.timezone,
        **_verbs(access, customer),
        **_tab(tab, seen, request),
    )


def _verbs(access: Access, customer: Customer) -> dict[str, bool]:
    """The buttons that this person has for this customer."""
    return {
        "may_issue": access.may(Act.ISSUE_POINTS),
        "may_adjust": access.may_ask(Act.ADJUST_POINTS),
        "may_reset": access.may_ask(Act.RESET_POINTS),
        "may_merge": access.may_ask(Act.MERGE_CUSTOMERS),
        "may_change_number": access.may_ask(Act.CHANGE_MOBILES),
        "may_erase": access.may(Act.ERASE_CUSTOMERS) and customer.status != CustomerStatus.ERASED,
        "may_note": access.may(Act.WRITE_NOTES),
        "may_message": access.may(Act.SEND_MESSAGES),
        "may_reveal": access.may(Act.VIEW_MOBILES),
        "may_unblock": access.may(Act.RELEASE_HOLDS),
    }


def _tab(tab: str, seen: picture.Picture, request: HttpRequest) -> dict[str, Any]:
    """What stands in the open tab; nothing is read for the others."""
    match tab:
        case "timeline":
            kind, before = request.GET.get("kind", ""), request.GET.get("before", "")
            page = picture.timeline(seen, kind=kind, before=int(before) if before.isdecimal() and len(before) < 19 else None)
            return {"page": page, "kind": kind, "kinds": [(value.value, title) for value, title in picture.TITLES.items()]}
        case "holds":
            return {"holds": picture.holds_of(seen)}
        case "bills":
            return {"bills": picture.bills_of(seen)}
        case "lots":
            return {"lots": picture.lots_of(seen)}
        case "bonuses":
            return {"evaluations": picture.evaluations_of(seen)}
        case "messages":
            return {"sent": picture.messages_of(seen)}
        case "cases":
            return {"cases": picture.cases_of(seen), "notes": picture.notes_of(seen)}
        case "audit":
            return {"events": picture.events_of(seen), "merges": picture.merges_of(seen)}
    return {}


def _reporter(request: HttpRequest) -> Reporter:
    said = request.GET.get("reported_by", "")
    return Reporter(said) if said in set(Reporter) else Reporter.CUSTOMER


@require_GET
def more_findings(request: HttpRequest, pk: int) -> HttpResponse:
    """What takes longer to find out, loaded after the page: the dashboards, and bills judged once more."""
    access = access_of(request)
    access.require(Act.VIEW_CUSTOMERS)
    seen = picture.load(access.tenant, gate.get(Customer, pk, access=access), now=timezone.now())
    known = facts.gather(seen)
    before = {finding.code for finding in checks.findings(known)} | {"all_right"}
    later = [finding for finding in walk.findings(walk.slow(known), reported_by=_reporter(request)) if finding.code not in before]
    context = {"findings": finding_page.shown(later, customer_id=pk, access=access, contacts=known.contacts)}
    return TemplateResponse(request, "support/findings.html", context)


@require_GET
def dashboard(request: HttpRequest, pk: int) -> HttpResponse:
    """What ClickHouse shows for this customer, loaded after the page so that the page never waits for it."""
    access = access_of(request)
    access.require(Act.VIEW_CUSTOMERS)
    customer = gate.get(Customer, pk, access=access)
    balance = Balance.objects.get(tenant=access.tenant, customer=customer)
    said = facts.ask_dashboard(customer)
    context = {"says": said.closing, "equal": (said.closing, said.entries) == (balance.closing, balance.entries), "lag": said.lag}
    return TemplateResponse(request, "support/dashboard.html", context)


@require_GET
def chart(request: HttpRequest, pk: int) -> HttpResponse:
    """The balance over the last year, as a picture and as a table; loaded when somebody opens it."""
    access = access_of(request)
    access.require(Act.VIEW_CUSTOMERS)
    seen = picture.load(access.tenant, gate.get(Customer, pk, access=access), now=timezone.now())
    return TemplateResponse(request, "support/chart.html", {"chart": balance_chart.of(seen)})


@require_POST
def reveal(request: HttpRequest, pk: int) -> HttpResponse:
    access = access_of(request)
    mobile = acts.reveal_mobile(gate.get(Customer, pk, access=access), access=access)
    return TemplateResponse(request, "support/mobile.html", {"mobile": mobile})


def simulator(request: HttpRequest) -> HttpResponse:
    """What would a bill earn, and why? Nothing is written, so a repeated POST is harmless."""
    access = access_of(request)
    access.require(Act.VIEW_RULES)
    initial = {
        "document": "" if request.GET.get("bill_no") else simulation.example(access.tenant),
        "bill_no": request.GET.get("bill_no", ""),
    }
    form = SimulatorForm(request.POST or None, tenant=access.tenant, initial=initial)
    context: dict[str, Any] = {}
    if request.method == "POST" and form.is_valid():
        try:
            asked, result = simulation.run(access.tenant, form.cleaned_data)
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            context = {"asked": asked, "result": result, "why": picture.why_earned(result.earned.snapshot, access.tenant)}
            context["why"].append((_("Validity"), _validity(result.terms)))
            context["concerned"] = [each for each in result.bonuses if each.campaign.concerns(result.purchase)]
            context["others"] = [each for each in result.bonuses if not each.campaign.concerns(result.purchase)]
    return render(request, "support/simulator.html", title=_("Simulator"), form=form, **context)


def _validity(terms: Terms) -> str:
    until = _("for ever")
    if terms.expires_on:
        last = formatted(terms.expires_on - timedelta(days=1), "d M Y")
        until = _("until the end of {day}").format(day=last)
    if terms.activates_on:
        return _("available from {day}, {until}").format(day=formatted(terms.activates_on, "d M Y"), until=until)
    return _("available at once, {until}").format(until=until)


@require_POST
def switch_tenant(request: HttpRequest) -> HttpResponse:
    access = access_of(request)
    wanted = request.POST.get("tenant", "")
    chosen = next((tenant for tenant in access.tenants if str(tenant.pk) == wanted), None)
    if chosen is None:
        raise Http404(_("No such brand."))
    request.session[CHOSEN_TENANT] = chosen.pk
    return redirect("admin:index")
