"""The dialogs in which points are moved and numbers changed. A view checks permission and form, asks for one act, answers."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations import gathering
from integrations.models import Incident, IncidentKind
from loyalty import customers, holds, identity
from loyalty.ledger import KeyReused
from loyalty.models import Balance, BonusEvaluation, Customer, CustomerMerge, Entry, Hold
from loyalty.state import HoldState, Kind
from support import acts, approvals, cases, find, limits, picture
from support.forms import AdjustForm, AwardForm, IssueForm, MergeForm, MobileForm, ReasonForm, ResetForm
from support.models import ApprovalRequest
from support.verbs import VERBS, Wish
from support.views import dialog
from tenants import access as gate
from tenants.access import Act
from tenants.admin_base import access_of
from tenants.errors import DomainError
from tenants.models import Store

#: So many holds are freed by one press; more are an incident's and a job's.
HOLDS_AT_ONCE = 100


def issue(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that gives points."""
    access = access_of(request)
    customer = _customer(request, pk, verb="issue")
    initial = {name: request.GET.get(name, "") for name in ("bill_no", "store")}
    form = IssueForm(request.POST or None, initial=_initial(**initial), tenant=access.tenant)

    def content(data: dict[str, Any]) -> dict[str, Any]:
        wanted: dict[str, Any] = {"points": data["points"]}
        if data["store"]:
            wanted |= {"bill_no": data["bill_no"].strip(), "store": data["store"].code, "again": data["again"]}
        return wanted

    return _dialog(request, "issue", customer, form, content, title=_("Issue points"))


def adjust(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that adds or removes points by hand."""
    customer = _customer(request, pk, verb="adjust")
    form = AdjustForm(request.POST or None, initial=_initial(), negative_allowed=access_of(request).tenant.negative_allowed)

    def content(data: dict[str, Any]) -> dict[str, Any]:
        return {"points": data["points"], "allow_debt": data.get("allow_debt", False)}

    return _dialog(request, "adjust", customer, form, content, title=_("Adjust points"))


def reset(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that takes what is available to nothing."""
    customer = _customer(request, pk, verb="reset")
    form = ResetForm(request.POST or None, initial=_initial())
    return _dialog(request, "reset", customer, form, lambda data: {"clear_debt": data["clear_debt"]}, title=_("Reset points"))


def award(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that gives a bonus which its rule did not."""
    access = access_of(request)
    evaluation = gate.get(BonusEvaluation, pk, access=access)
    customer = _customer(request, customers.survivor(access.tenant, evaluation.customer_id), verb="award")
    try:
        due = acts.award_of(evaluation)
    except DomainError as refusal:
        messages.info(request, refusal.sentence)
        return redirect(f"{reverse('admin:customer360', args=[customer.pk])}?tab=bonuses")
    form = AwardForm(request.POST or None, initial=_initial(), prefix_length=len(due.prefix))

    def content(data: dict[str, Any]) -> dict[str, Any]:
        return {"evaluation": evaluation.pk, "bonus": evaluation.bonus.name[:120], "points": due.points}

    return _dialog(request, "award", customer, form, content, title=_("Award a bonus"), due=due, evaluation=evaluation)


def merge(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that makes two customers one: first whom, then what it will be."""
    access = access_of(request)
    customer = _customer(request, pk, verb="merge")
    words = request.GET.get("other", "").strip()
    hits = [hit for hit in find.find(access.tenant, words) if hit.customer.pk != customer.pk] if words else []
    into = request.POST.get("into") or request.GET.get("into") or (hits[0].customer.pk if len(hits) == 1 else "")
    other = gate.get(Customer, into, access=access) if into else None
    form = MergeForm(request.POST if other and request.method == "POST" else None, initial=_initial(into=other and other.pk))
    shown: dict[str, Any] = {"other": other, "others": hits, "words": words}
    if other is not None:
        shown["other_balance"] = Balance.objects.get(tenant=access.tenant, customer=other)
        try:
            shown["after"] = identity.preview_merge(access.tenant, customer.pk, other.pk, now=timezone.now())
        except DomainError as refusal:
            if request.method == "GET":  # pressed once more, it is told what the first press did
                messages.error(request, _("{refusal} Nothing was changed.").format(refusal=refusal.sentence))
                return redirect("admin:customer360", customer.pk)

    def content(data: dict[str, Any]) -> dict[str, Any]:
        return {"into": data["into"], "name": str(other)[:120]}

    return _dialog(request, "merge", customer, form, content, title=_("Merge two customers"), **shown)


def unmerge(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that takes a merge back."""
    access = access_of(request)
    access.require(Act.MERGE_CUSTOMERS)
    row = gate.get(CustomerMerge, pk, access=access)
    form = ReasonForm(request.POST or None, initial=_initial())
    if request.method == "POST" and form.is_valid():
        try:
            acts.unmerge(row.pk, access=access, reason=form.cleaned_data["reason"], now=timezone.now())
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            messages.success(request, _("They are two customers again."))
            return _back(row.source_id)
    return dialog(request, "support/unmerge.html", title=_("Take a merge back"), form=form, customer=row.into, row=row)


def change_mobile(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that gives a customer another number."""
    customer = _customer(request, pk, verb="change_mobile")
    form = MobileForm(request.POST or None, initial=_initial(), region=access_of(request).tenant.region)
    return _dialog(
        request, "change_mobile", customer, form, lambda data: {"mobile": data["mobile"]}, title=_("Change the number")
    )


def _initial(**values: Any) -> dict[str, Any]:
    return {"token": ReasonForm.new_token(), **values}


def _customer(request: HttpRequest, pk: int, *, verb: str) -> Customer:
    """The customer, for who may do this to them or ask for it. Raises: DomainError `forbidden`; Http404."""
    access = access_of(request)
    access.require_to_ask(VERBS[verb].act)
    return gate.get(Customer, pk, access=access)


def _dialog(
    request: HttpRequest,
    verb: str,
    customer: Customer,
    form: ReasonForm,
    content: Callable[[dict[str, Any]], dict[str, Any]],
    *,
    title: str,
    **shown: Any,
) -> HttpResponse:
    """Ask for the verb when the form is good, else show it."""
    access = access_of(request)
    form.offer_cases(cases.open_of(customer))
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        wish = Wish(verb, customer, content(data), data["reason"], _key(request, form), access, timezone.now(), data.get("case"))
        if answer := _pressed(request, form, wish):
            return answer
    before = Balance.objects.get(tenant=access.tenant, customer=customer)
    return dialog(
        request, f"support/{verb}.html", title=title, form=form, customer=customer, before=before,
        allowance=limits.allowance(access, now=timezone.now()) if VERBS[verb].counts else None,
        only_asks=not access.may(VERBS[verb].act), **shown,
    )  # fmt: skip


def _key(request: HttpRequest, form: ReasonForm) -> str:
    return f"{access_of(request).actor.id}:{form.cleaned_data['token']}"


def _pressed(request: HttpRequest, form: ReasonForm, wish: Wish) -> HttpResponse | None:
    """Do it or ask for it, once, whoever presses how often; None: it was refused, and the form says why."""
    try:
        done = approvals.do_or_ask(wish)
    except KeyReused:
        form.sent_before()
        return None
    except DomainError as refusal:
        form.add_error(None, refusal.sentence)
        return None
    if isinstance(done, ApprovalRequest):
        asked = _("Asked for: {words}. {because} {state}.")
        state = done.get_state_display().capitalize()
        messages.info(request, asked.format(words=done.words, because=done.because, state=state))
        return redirect("admin:request", done.pk)
    messages.success(request, done.told)
    return _back(done.customer_id, entry=done.operation)


def unblock(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that frees a hold's points."""
    access = access_of(request)
    access.require(Act.RELEASE_HOLDS)
    hold = gate.get(Hold, pk, access=access)
    form = ReasonForm(request.POST or None, initial=_initial())
    if request.method == "POST" and form.is_valid():
        try:
            ended, released = acts.unblock(hold, access=access, reason=form.cleaned_data["reason"], now=timezone.now())
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            if released:
                messages.success(request, _("{points:,} points are available again.").format(points=ended.points))
            else:
                messages.info(request, _somebody_was_faster(ended, access.tenant.zone))
            return _back(ended.customer_id, entry=_entry_of(request, f"release:{ended.pk}"))
    try:
        preview = holds.preview_release(access.tenant, hold, now=timezone.now())
    except DomainError:
        messages.info(request, _somebody_was_faster(hold, access.tenant.zone))
        return _back(hold.customer_id)
    return dialog(
        request, "support/unblock.html", title=_("Unblock {points:,} points").format(points=hold.points),
        form=form, customer=hold.customer, hold=hold, before=preview.before, after=preview.after, lapsed=preview.lapsed,
        came_later=_came_later(hold),
    )  # fmt: skip


def unblock_all(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that frees all of a customer's blocked points."""
    access = access_of(request)
    access.require(Act.RELEASE_HOLDS)
    customer = gate.get(Customer, pk, access=access)
    rows = Hold.objects.filter(tenant=access.tenant, customer=customer, state=HoldState.ACTIVE.value)
    return _unblock_many(
        request, rows.select_related("customer", "store").order_by("at"), title=_("Unblock all"), customer=customer,
        back=reverse("admin:customer360", args=[customer.pk]),
    )  # fmt: skip


def unblock_incident(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that frees the points which an incident left blocked, the oldest first."""
    access = access_of(request)
    access.require(Act.RELEASE_HOLDS)
    access.require(Act.ADJUST_POINTS)  # one reason for many customers is a merchant's
    incident = gate.get(Incident, pk, access=access)
    if incident.kind != IncidentKind.NO_COMPLETION:
        raise Http404(_("Nothing is blocked by this incident."))
    return _unblock_many(
        request, gathering.holds_of(incident), title=_("Unblock all of this incident"), incident=incident,
        back=reverse("admin:incident", args=[incident.pk]),
    )  # fmt: skip


def _unblock_many(request: HttpRequest, rows: Any, *, title: str, back: str, **shown: Any) -> HttpResponse:
    access = access_of(request)
    form = ReasonForm(request.POST or None, initial=_initial())
    chosen = list(rows[: HOLDS_AT_ONCE + 1])
    more, chosen = len(chosen) > HOLDS_AT_ONCE, chosen[:HOLDS_AT_ONCE]
    if not chosen:
        messages.info(request, _("Nothing is blocked here any more. Nothing was changed."))
        return HttpResponseRedirect(back)
    if request.method == "POST" and form.is_valid():
        picked = set(request.POST.getlist("hold"))
        wanted = [hold for hold in chosen if str(hold.pk) in picked]
        try:
            freed, others = acts.unblock_all(wanted, access=access, reason=form.cleaned_data["reason"], now=timezone.now())
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            if wanted:
                messages.success(request, _freed(freed, others))
                return HttpResponseRedirect(back)
            form.add_error(None, _("None of these is blocked any more, or none was chosen."))
    return dialog(
        request, "support/unblock_many.html", title=title, form=form, holds=chosen, more=more, points=sum(hold.points for hold in chosen),
        people=len({hold.customer_id for hold in chosen}), back=back,
        came_later=_came_later_by_store(chosen), **shown,
    )  # fmt: skip


def _freed(freed: list[Hold], others: list[Hold]) -> str:
    told = ngettext(
        "{points:,} points of {count} redemption are available again.",
        "{points:,} points of {count} redemptions are available again.",
        len(freed),
    ).format(points=sum(hold.points for hold in freed), count=len(freed))
    return f"{told} " + _("{count} had ended already.").format(count=len(others)) if others else told


def _came_later_by_store(chosen: Iterable[Hold]) -> list[tuple[Store | None, str]]:
    """Of each store that has a past of it, asked once."""
    first = {hold.store_id: hold for hold in chosen}.values()
    return [(hold.store, said) for hold in first if (said := _came_later(hold))]


def _came_later(hold: Hold) -> str:
    """How often a bill came after an agent had unblocked, at this store (CASES 4)."""
    by_agents = Entry.objects.filter(tenant=hold.tenant_id, kind=Kind.RELEASE, actor_kind="person").values("hold_id")
    unblocked = Hold.objects.filter(tenant=hold.tenant_id, store=hold.store_id, state=HoldState.RELEASED.value, pk__in=by_agents)
    newest = list(unblocked.order_by("-id").values_list("late_bill_id", flat=True)[:200])
    came = sum(bill is not None for bill in newest)
    return _("{came} of {freed}").format(came=came, freed=len(newest)) if newest else ""


def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that reverses what somebody did by hand."""
    access = access_of(request)
    entry = gate.get(Entry, pk, access=access)
    customer = _customer(request, entry.customer_id, verb="undo")
    line = picture.line_of(entry, access.tenant)
    form = ReasonForm(request.POST or None, initial=_initial())

    def content(data: dict[str, Any]) -> dict[str, Any]:
        return {"entry": entry.pk, "what": f"{line.title} {line.effect}"}

    return _dialog(request, "undo", customer, form, content, title=_("Undo"), entry=entry, line=line)


def _entry_of(request: HttpRequest, key: str) -> int:
    """The entry that was posted under this key; 0: none."""
    rows = Entry.objects.filter(tenant=access_of(request).tenant, key=key).order_by("seq")
    return rows.values_list("pk", flat=True).first() or 0


def _back(customer_id: int, *, entry: int = 0) -> HttpResponseRedirect:
    """To the customer, balance on top, the new entry highlighted below."""
    where = reverse("admin:customer360", args=[customer_id])
    return HttpResponseRedirect(f"{where}?{urlencode({'entry': entry})}" if entry else where)


def _somebody_was_faster(hold: Hold, zone: Any) -> str:
    if hold.state == HoldState.RELEASED and hold.ended_at:
        ended: datetime = hold.ended_at
        told = _("Already released by {who} at {time:%H:%M}. Nothing was changed.")
        return told.format(who=hold.ended_by, time=ended.astimezone(zone))
    return _("This redemption is already {state}. Nothing was changed.").format(state=hold.get_state_display())
