"""Pages of cases, notes and messages."""

from django.contrib import messages as told
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from integrations import messages
from integrations.models import Channel, Incident, Message, MessageSettings
from loyalty.ledger import KeyReused
from loyalty.models import Customer
from support import cases
from support.forms import CaseForm, CloseForm, MessageForm, NoteForm, ReasonForm
from support.models import Case, Note
from support.views import dialog, render
from tenants import access as gate
from tenants import audit
from tenants.access import Access, Act
from tenants.admin_base import access_of
from tenants.errors import DomainError

#: Where the thing of a link is looked at.
LINKED = {"bill": "admin:integrations_bill_change", "delivery": "admin:delivery", "incident": "admin:incident"}


def write_note(request: HttpRequest, pk: int) -> HttpResponse:
    """A note on a customer's page."""
    access = access_of(request)
    access.require(Act.WRITE_NOTES)
    customer = gate.get(Customer, pk, access=access)
    form = NoteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        cases.write_note(customer, form.cleaned_data["text"], access=access)
        told.success(request, _("Noted."))
        return _cases_tab(customer)
    return dialog(request, "support/note.html", title=_("Write a note"), form=form, customer=customer)


def open_case(request: HttpRequest, pk: int) -> HttpResponse:
    """A complaint becomes a case; `incident` in the address links it from the beginning."""
    access = access_of(request)
    access.require(Act.WRITE_NOTES)
    customer = gate.get(Customer, pk, access=access)
    wanted = request.GET.get("incident", "")
    incident = gate.get(Incident, wanted, access=access) if wanted else None
    initial = {
        "token": ReasonForm.new_token(),
        "title": request.GET.get("title", "")[:120],
        "topic": request.GET.get("topic", ""),
    }
    form = CaseForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            case = cases.open_case(
                customer, title=data["title"], text=data["reason"], topic=data["topic"], key=f"{access.actor.id}:{data['token']}",
                access=access, incident=incident,
            )  # fmt: skip
        except KeyReused:
            form.sent_before()
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            told.success(request, _("Case {number} is open.").format(number=case.pk))
            return redirect("admin:case", case.pk)
    return dialog(request, "support/open_case.html", title=_("Open a case"), form=form, customer=customer, incident=incident)


@require_GET
def case(request: HttpRequest, pk: int) -> HttpResponse:
    """A case from its first call to its outcome."""
    access = access_of(request)
    access.require(Act.VIEW_CUSTOMERS)
    row = gate.get(Case, pk, access=access)
    notes = list(row.notes.filter(tenant=access.tenant)[:200])
    for note in notes:
        note.address = _address(note, access=access)
    return render(
        request, "support/case.html", title=_("Case {number}").format(number=row.pk), case=row, customer=row.customer,
        notes=notes, now=timezone.now(), may_write=access.may(Act.WRITE_NOTES), form=NoteForm(),
    )  # fmt: skip


def _address(note: Note, *, access: Access) -> str:
    """Where what a note links to is looked at; empty: nowhere, for them."""
    if note.link_kind == "entry":
        own = reverse("admin:customer360", args=[note.customer_id])
        return f"{own}?entry={note.link_id}#entry-{note.link_id}"
    if note.link_kind in LINKED and note.link_id and access.may(Act.VIEW_INBOX):
        return reverse(LINKED[note.link_kind], args=[note.link_id])
    return ""


@require_POST
def note_in_case(request: HttpRequest, pk: int) -> HttpResponse:
    access = access_of(request)
    access.require(Act.WRITE_NOTES)
    row = gate.get(Case, pk, access=access)
    form = NoteForm(request.POST)
    if form.is_valid():
        cases.write_note(row.customer, form.cleaned_data["text"], access=access, case=row)
    else:
        told.error(request, " ".join(str(message) for messages_of in form.errors.values() for message in messages_of))
    return redirect("admin:case", row.pk)


def close_case(request: HttpRequest, pk: int) -> HttpResponse:
    """How it ended, and why."""
    access = access_of(request)
    access.require(Act.WRITE_NOTES)
    row = gate.get(Case, pk, access=access)
    form = CloseForm(request.POST or None, initial={"token": ReasonForm.new_token()})
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            cases.close_case(row.pk, outcome=data["outcome"], reason=data["reason"], access=access, now=timezone.now())
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            told.success(request, _("Case {number} is closed.").format(number=row.pk))
            return _cases_tab(row.customer)
    return dialog(request, "support/close_case.html", title=_("Close the case"), form=form, customer=row.customer, case=row)


def reopen_case(request: HttpRequest, pk: int) -> HttpResponse:
    access = access_of(request)
    access.require(Act.WRITE_NOTES)
    row = gate.get(Case, pk, access=access)
    form = ReasonForm(request.POST or None, initial={"token": ReasonForm.new_token()})
    if request.method == "POST" and form.is_valid():
        try:
            cases.reopen_case(row.pk, reason=form.cleaned_data["reason"], access=access)
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            return redirect("admin:case", row.pk)
    return dialog(request, "support/reopen_case.html", title=_("Open the case again"), form=form, customer=row.customer, case=row)


def write_message(request: HttpRequest, pk: int) -> HttpResponse:
    """A message to the customer; sent by the worker, shown under Messages."""
    access = access_of(request)
    access.require(Act.SEND_MESSAGES)
    customer = gate.get(Customer, pk, access=access)
    wanted = MessageSettings.objects.filter(tenant=access.tenant).first()
    ways = messages.ways_to(customer, wanted)
    initial = {"token": ReasonForm.new_token(), "text": request.GET.get("text", "")[:2000]}
    form = MessageForm(request.POST or None, initial=initial, ways=ways)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            _message, made = messages.write(
                access.tenant, customer, channel=Channel(data["channel"]), subject=data["subject"], body=data["text"],
                actor=access.actor, key=f"{access.actor.id}:{data['token']}", now=timezone.now(),
            )  # fmt: skip
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            told.success(request, _("The message is on its way.") if made else _("This message was written already."))
            return HttpResponseRedirect(f"{reverse('admin:customer360', args=[customer.pk])}?tab=messages")
    return dialog(request, "support/message.html", title=_("Write to the customer"), form=form, customer=customer, ways=ways)


@require_POST
def send_again(request: HttpRequest, pk: int) -> HttpResponse:
    """A message that was given up gets its tries anew."""
    access = access_of(request)
    access.require(Act.SEND_MESSAGES)
    row = gate.get(Message, pk, access=access)
    try:
        messages.send_again(access.tenant, row.pk, actor=access.actor, now=timezone.now())
    except DomainError as refusal:
        told.error(request, refusal.sentence)
    return HttpResponseRedirect(f"{reverse('admin:customer360', args=[row.customer_id])}?tab=messages")


@require_POST
def take_messages(request: HttpRequest, pk: int) -> HttpResponse:
    """Whether the customer wants to be written to."""
    access = access_of(request)
    access.require(Act.SEND_MESSAGES)
    customer = gate.get(Customer, pk, access=access)
    cases.refuse_erased(customer)
    wants = request.POST.get("takes") == "yes"
    if customer.takes_messages is not wants:
        Customer.objects.filter(tenant=access.tenant, pk=customer.pk).update(takes_messages=wants)
        audit.record(
            access.tenant, actor=access.actor, action="take_messages", target=customer, reason="As the customer asked",
            before={"takes_messages": not wants}, after={"takes_messages": wants},
        )  # fmt: skip
    return HttpResponseRedirect(f"{reverse('admin:customer360', args=[customer.pk])}?tab=messages")


def _cases_tab(customer: Customer) -> HttpResponseRedirect:
    return HttpResponseRedirect(f"{reverse('admin:customer360', args=[customer.pk])}?tab=cases")
