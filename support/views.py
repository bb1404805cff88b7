"""Pages of the desk: start, search, Customer 360 and its dialogs. A view checks permission and form, calls one act, answers."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from integrations import feed
from integrations.models import Delivery, DeliveryState, Incident
from loyalty import holds
from loyalty.ledger import BY_HAND, KeyReused
from loyalty.models import Balance, Customer, Entry, Hold
from loyalty.operations import Posted
from loyalty.state import HoldState, Kind, Terms
from support import acts, checks, facts, find, finding_page, picture, simulation, walk
from support.diagnosis import ALL_RIGHT, Reporter
from support.forms import AdjustForm, IssueForm, ReasonForm, ResetForm
from support.simulation import SimulatorForm
from tenants import access as gate
from tenants.access import Act
from tenants.admin_base import access_of
from tenants.errors import DomainError
from tenants.middleware import CHOSEN_TENANT

REPORTERS = {Reporter.CUSTOMER: "the customer", Reporter.ERP: "the ERP's report", Reporter.CRM: "the CRM or the app"}
TABS = {"timeline": "Timeline", "holds": "Blocked points", "bills": "Bills", "lots": "Lots and expiry", "bonuses": "Bonuses"}


def render(request: HttpRequest, template: str, *, title: str, **context: Any) -> TemplateResponse:
    site: Any = request.desk_site  # type: ignore[attr-defined]
    return TemplateResponse(request, template, {**site.each_context(request), "title": title, **context})


def dialog(request: HttpRequest, template: str, *, title: str, form: Any, **context: Any) -> HttpResponse:
    """A form on a page of its own; 422 when it was sent and not taken."""
    response = render(request, template, title=title, form=form, **context)
    response.status_code = 422 if form.is_bound else 200
    return response


def start(request: HttpRequest) -> HttpResponse:
    """What waits for somebody, and where to begin."""
    access = access_of(request)
    tenant, now = access.tenant, timezone.now()
    holds = Hold.objects.filter(tenant=tenant, state=HoldState.ACTIVE.value).select_related("customer", "store").order_by("at")
    states = (DeliveryState.RECEIVED, DeliveryState.QUARANTINED, DeliveryState.CONFLICT, DeliveryState.WAITING_PARENT)
    waiting = {state.label: Delivery.objects.filter(tenant=tenant, state=state).count() for state in states}
    return render(
        request,
        "support/start.html",
        title="Start",
        oldest_holds=holds[:8],
        blocked_count=holds.count(),
        waiting=waiting,
        states=[(state.value, state.label, waiting[state.label]) for state in states],
        incidents=Incident.objects.filter(tenant=tenant, closed_at=None).select_related("store")[:5],
        lag=feed.lag(),
        stories=_stories(tenant.slug),
        now=now,
    )


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
    return render(request, "support/search.html", title="Search", words=words, hits=hits)


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
        messages.info(request, f"{customer} was merged into this customer. Points, bills and history stand here.")
        return redirect("admin:customer360", customer.merged_into_id)
    seen = picture.load(access.tenant, customer, now=timezone.now())
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else "timeline"
    kind = request.GET.get("kind", "")
    before = request.GET.get("before", "")
    asked = request.GET.get("bill", "")[:120].replace("\0", "").strip()
    reported_by = _reporter(request)
    known = walk.about(facts.gather(seen), asked)
    context: dict[str, Any] = {"shown": known.shown, "coming": known.coming, "last_bill": next(iter(known.bills), None)}
    match tab:
        case "timeline":
            context["page"] = picture.timeline(
                seen, kind=kind, before=int(before) if before.isdecimal() and len(before) < 19 else None
            )
            context["kinds"] = [(value.value, title) for value, title in picture.TITLES.items()]
        case "holds":
            context["holds"] = picture.holds_of(seen)
        case "bills":
            context["bills"] = picture.bills_of(seen)
        case "lots":
            context["lots"] = picture.lots_of(seen)
        case "bonuses":
            context["evaluations"] = picture.evaluations_of(seen)
    return render(
        request,
        "support/customer360.html",
        title=customer.name or customer.masked_mobile,
        customer=customer,
        balance=seen.balance,
        seen=seen,
        findings=finding_page.shown(walk.findings(known, reported_by=reported_by), customer_id=customer.pk, access=access),
        asked_bill=asked,
        reported_by=reported_by.value,
        reporters=[(each.value, REPORTERS[each]) for each in Reporter],
        tab=tab,
        tabs=TABS.items(),
        kind=kind,
        highlighted=request.GET.get("entry", ""),
        may_issue=access.may(Act.ISSUE_POINTS),
        may_adjust=access.may(Act.ADJUST_POINTS),
        may_reset=access.may(Act.RESET_POINTS),
        may_reveal=access.may(Act.VIEW_MOBILES),
        may_unblock=access.may(Act.RELEASE_HOLDS),
        now=seen.now,
        zone=access.tenant.timezone,
        **context,
    )


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
    before = {finding.code for finding in checks.findings(known)}
    later = [finding for finding in walk.findings(walk.slow(known), reported_by=_reporter(request)) if finding.code not in before]
    later = [finding for finding in later if finding is not ALL_RIGHT]
    context = {"findings": finding_page.shown(later, customer_id=pk, access=access)}
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


@require_POST
def reveal(request: HttpRequest, pk: int) -> HttpResponse:
    access = access_of(request)
    mobile = acts.reveal_mobile(gate.get(Customer, pk, access=access), access=access)
    return TemplateResponse(request, "support/mobile.html", {"mobile": mobile})


def unblock(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that frees a hold's points."""
    access = access_of(request)
    access.require(Act.RELEASE_HOLDS)
    hold = gate.get(Hold, pk, access=access)
    form = ReasonForm(request.POST or None, initial={"token": ReasonForm.new_token()})
    if request.method == "POST" and form.is_valid():
        try:
            ended, released = acts.unblock(hold, access=access, reason=form.cleaned_data["reason"], now=timezone.now())
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            if released:
                messages.success(request, f"{ended.points:,} points are available again.")
            else:
                messages.info(request, _somebody_was_faster(ended, access.tenant.zone))
            return _back(request, ended.customer_id, operation_key=f"release:{ended.pk}")
    try:
        preview = holds.preview_release(access.tenant, hold, now=timezone.now())
    except DomainError:
        messages.info(request, _somebody_was_faster(hold, access.tenant.zone))
        return _back(request, hold.customer_id)
    return dialog(
        request,
        "support/unblock.html",
        title=f"Unblock {hold.points:,} points",
        form=form,
        customer=hold.customer,
        hold=hold,
        before=preview.before,
        after=preview.after,
        lapsed=preview.lapsed,
        came_later=_came_later(hold),
    )


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
            context["why"].append(("Validity", _validity(result.terms)))
            context["concerned"] = [each for each in result.bonuses if each.campaign.concerns(result.purchase)]
            context["others"] = [each for each in result.bonuses if not each.campaign.concerns(result.purchase)]
    return render(request, "support/simulator.html", title="Simulator", form=form, **context)


def _validity(terms: Terms) -> str:
    until = f"until the end of {terms.expires_on - timedelta(days=1):%d %b %Y}" if terms.expires_on else "for ever"
    return f"available from {terms.activates_on:%d %b %Y}, {until}" if terms.activates_on else f"available at once, {until}"


def _came_later(hold: Hold) -> str:
    """How often a bill came after an agent had unblocked, at this store (CASES 4)."""
    by_agents = Entry.objects.filter(tenant=hold.tenant_id, kind=Kind.RELEASE, actor_kind="person").values("hold_id")
    unblocked = Hold.objects.filter(tenant=hold.tenant_id, store=hold.store_id, state=HoldState.RELEASED.value, pk__in=by_agents)
    newest = list(unblocked.order_by("-id").values_list("late_bill_id", flat=True)[:200])
    return f"{sum(bill is not None for bill in newest)} of {len(newest)}" if newest else ""


def issue(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that gives points."""
    access = access_of(request)
    access.require(Act.ISSUE_POINTS)
    customer = gate.get(Customer, pk, access=access)
    initial = {"token": ReasonForm.new_token(), **{name: request.GET.get(name, "") for name in ("bill_no", "store")}}
    form = IssueForm(request.POST or None, initial=initial, tenant=access.tenant)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        about = acts.AboutBill(data["bill_no"].strip(), data["store"]) if data["store"] else None

        def act(key: str) -> Posted:
            return acts.issue(
                customer, access=access, points=data["points"], reason=data["reason"], key=key, now=timezone.now(), about=about,
                again=data["again"],
            )  # fmt: skip

        told = f"{data['points']:,} points issued" + (f" for bill {about.bill_no}" if about else "")
        if answer := _pressed(request, form, customer, act, told=told):
            return answer
    balance = Balance.objects.get(tenant=access.tenant, customer=customer)
    return dialog(request, "support/issue.html", title="Issue points", form=form, customer=customer, before=balance)


def adjust(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that adds or removes points by hand."""
    access = access_of(request)
    access.require(Act.ADJUST_POINTS)
    customer = gate.get(Customer, pk, access=access)
    form = AdjustForm(
        request.POST or None, initial={"token": ReasonForm.new_token()}, negative_allowed=access.tenant.negative_allowed
    )
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data

        def act(key: str) -> Posted:
            return acts.adjust(
                customer, access=access, points=data["points"], reason=data["reason"], key=key, now=timezone.now(),
                allow_debt=data.get("allow_debt", False),
            )  # fmt: skip

        told = f"{abs(data['points']):,} points {'added' if data['points'] > 0 else 'removed'}"
        if answer := _pressed(request, form, customer, act, told=told):
            return answer
    balance = Balance.objects.get(tenant=access.tenant, customer=customer)
    return dialog(request, "support/adjust.html", title="Adjust points", form=form, customer=customer, before=balance)


def reset(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that takes what is available to nothing."""
    access = access_of(request)
    access.require(Act.RESET_POINTS)
    customer = gate.get(Customer, pk, access=access)
    form = ResetForm(request.POST or None, initial={"token": ReasonForm.new_token()})
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data

        def act(key: str) -> Posted:
            return acts.reset(
                customer, access=access, reason=data["reason"], key=key, now=timezone.now(), clear_debt=data["clear_debt"]
            )

        if answer := _pressed(request, form, customer, act, told="The balance was reset"):
            return answer
    balance = Balance.objects.get(tenant=access.tenant, customer=customer)
    return dialog(request, "support/reset.html", title="Reset points", form=form, customer=customer, before=balance)


def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that reverses what somebody did by hand."""
    access = access_of(request)
    access.require(Act.ISSUE_POINTS)
    entry = gate.get(Entry, pk, access=access)
    form = ReasonForm(request.POST or None, initial={"token": ReasonForm.new_token()})
    if request.method == "POST" and form.is_valid():

        def act(key: str) -> Posted:
            return acts.undo(entry, access=access, reason=form.cleaned_data["reason"], now=timezone.now())

        if answer := _pressed(request, form, entry.customer, act, told="Undone"):
            return answer
    balance = Balance.objects.get(tenant=access.tenant, customer=entry.customer_id)
    return dialog(
        request, "support/undo.html", title="Undo", form=form, customer=entry.customer, before=balance, entry=entry,
        line=picture.line_of(entry, access.tenant),
    )  # fmt: skip


def _pressed(
    request: HttpRequest, form: ReasonForm, customer: Customer, act: Callable[[str], Posted], *, told: str
) -> HttpResponse | None:
    """Do it once, whoever presses how often; None: it was refused, and the form says why."""
    access = access_of(request)
    key = f"{access.actor.id}:{form.cleaned_data['token']}"
    try:
        posted = act(key)
    except KeyReused:
        form.add_error(
            None, "This form was sent before, for something else. Nothing was changed. Look at the figures and press again."
        )
        form.data = {**form.data.dict(), "token": ReasonForm.new_token()}  # type: ignore[attr-defined]
        return None
    except DomainError as refusal:
        form.add_error(None, refusal.sentence)
        return None
    said = f"{told}. {posted.available:,} are available now."
    messages.success(request, said if not posted.repeated else f"Already done: {said}")
    return _back(request, customer.pk, operation_key=f"{BY_HAND}{key}", operation=posted.operation)


def _back(request: HttpRequest, customer_id: int, *, operation_key: str = "", operation: int = 0) -> HttpResponseRedirect:
    """To the customer, balance on top, the new entry highlighted below."""
    if operation:
        return HttpResponseRedirect(f"{reverse('admin:customer360', args=[customer_id])}?entry={operation}")
    where = reverse("admin:customer360", args=[customer_id])
    entry = (
        Entry.objects.filter(tenant=access_of(request).tenant, key=operation_key).order_by("seq").first()
        if operation_key
        else None
    )
    return HttpResponseRedirect(f"{where}?entry={entry.pk}" if entry else where)


def _somebody_was_faster(hold: Hold, zone: Any) -> str:
    if hold.state == HoldState.RELEASED and hold.ended_at:
        return f"Already released by {hold.ended_by} at {hold.ended_at.astimezone(zone):%H:%M}. Nothing was changed."
    return f"This redemption is already {hold.get_state_display()}. Nothing was changed."


@require_POST
def switch_tenant(request: HttpRequest) -> HttpResponse:
    access = access_of(request)
    wanted = request.POST.get("tenant", "")
    chosen = next((tenant for tenant in access.tenants if str(tenant.pk) == wanted), None)
    if chosen is None:
        raise Http404("No such brand.")
    request.session[CHOSEN_TENANT] = chosen.pk
    return redirect("admin:index")
