"""Cases and notes: what was said and done about a customer, by whom, and how it ended. Written in words, never changed."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from integrations.models import Incident
from loyalty.ledger import KeyReused, checked_reason
from loyalty.models import Customer, CustomerStatus
from support.models import Case, Note, NoteKind, Outcome
from tenants import audit
from tenants.access import Access, Act
from tenants.errors import DomainError

TEXT_MAX = 2000
TITLE_MIN = 3


@dataclass(frozen=True, slots=True)
class Link:
    """What a case points at: an entry, a bill, a redemption, a message, an incident; `name` for people."""

    kind: str
    id: int
    name: str


def erased() -> DomainError:
    return DomainError("customer_erased", _("This customer was erased. Nobody is behind these points any more."))


def refuse_erased(customer: Customer) -> None:
    """Nothing is written of who wants to be forgotten. Raises: DomainError `customer_erased`."""
    if customer.status == CustomerStatus.ERASED:
        raise erased()


def write_note(customer: Customer, text: str, *, access: Access, case: Case | None = None) -> Note:
    """Raises: DomainError `forbidden`, `text_length`, `case_closed`."""
    access.require(Act.WRITE_NOTES)
    refuse_erased(customer)
    text = text.strip()
    if not 1 <= len(text) <= TEXT_MAX:
        raise DomainError("text_length", _("Write a note of 1 to {most} characters.").format(most=TEXT_MAX))
    if case is not None:
        _still_open(case)
    return _note(customer, NoteKind.NOTE, text, access=access, case=case)


def open_case(
    customer: Customer, *, title: str, text: str, key: str, access: Access, topic: str = "", incident: Incident | None = None
) -> Case:
    """Once for each key. Raises: DomainError `forbidden`, `title_length`, `reason_length`; KeyReused."""
    access.require(Act.WRITE_NOTES)
    refuse_erased(customer)
    title, text = title.strip(), checked_reason(text)
    if not TITLE_MIN <= len(title) <= 120:
        raise DomainError("title_length", _("Give the case a title of 3 to 120 characters."))
    with transaction.atomic():
        case, made = Case.objects.get_or_create(
            tenant=access.tenant,
            key=key,
            defaults={
                "customer": customer, "title": title, "topic": topic, "incident": incident, "opened_by": access.actor.name,
                "opened_by_ident": access.actor.ident,
            },
        )  # fmt: skip
        if (case.customer_id, case.title) != (customer.pk, title):
            raise KeyReused(key)
        if made:
            _note(customer, NoteKind.OPENED, text, access=access, case=case)
            if incident is not None:
                _link(case, Link("incident", incident.pk, str(incident)), access=access)
            audit.record(access.tenant, actor=access.actor, action="open_case", target=case, after={"topic": topic})
    found: Case = case
    return found


def link(case: Case, *, link: Link, access: Access) -> Note:
    """Point at what belongs to it. Raises: DomainError `forbidden`, `case_closed`."""
    access.require(Act.WRITE_NOTES)
    _still_open(case)
    return _link(case, link, access=access)


def close_case(case_id: int, *, outcome: str, reason: str, access: Access, now: datetime) -> Case:
    """Raises: DomainError `forbidden`, `case_unknown`, `case_closed`, `outcome_unknown`, `reason_length`."""
    access.require(Act.WRITE_NOTES)
    reason = checked_reason(reason)
    if outcome not in Outcome.values:
        ways = ", ".join(str(label) for label in Outcome.labels)
        raise DomainError("outcome_unknown", _("Say how it ended: {ways}.").format(ways=ways))
    with transaction.atomic():
        case = _locked(case_id, access=access)
        _still_open(case)
        case.closed_at, case.closed_by, case.outcome = now, access.actor.name, outcome
        case.save(update_fields=["closed_at", "closed_by", "outcome"])
        _note(case.customer, NoteKind.CLOSED, f"{Outcome(outcome).label}: {reason}", access=access, case=case)
        audit.record(access.tenant, actor=access.actor, action="close_case", target=case, after={"outcome": outcome})
    return case


def reopen_case(case_id: int, *, reason: str, access: Access) -> Case:
    """Raises: DomainError `forbidden`, `case_unknown`, `case_open`, `reason_length`."""
    access.require(Act.WRITE_NOTES)
    reason = checked_reason(reason)
    with transaction.atomic():
        case = _locked(case_id, access=access)
        if case.closed_at is None:
            raise DomainError("case_open", _("This case is open. Nothing was changed."))
        before = {"outcome": case.outcome, "closed_by": case.closed_by}
        case.closed_at, case.closed_by, case.outcome = None, "", ""
        case.save(update_fields=["closed_at", "closed_by", "outcome"])
        _note(case.customer, NoteKind.REOPENED, reason, access=access, case=case)
        audit.record(access.tenant, actor=access.actor, action="reopen_case", target=case, before=before)
    return case


def open_of(customer: Customer) -> list[Case]:
    return list(Case.objects.filter(tenant=customer.tenant_id, customer=customer, closed_at=None)[:20])


def _locked(case_id: int, *, access: Access) -> Case:
    rows = Case.objects.select_for_update(of=["self"]).select_related("customer")
    case: Case | None = rows.filter(tenant=access.tenant, pk=case_id).first()
    if case is None:
        raise DomainError("case_unknown", _("There is no such case. Choose it from the list."))
    return case


def _still_open(case: Case) -> None:
    if case.closed_at is not None:
        told = _("This case was closed by {who}. Open it again first. Nothing was changed.")
        raise DomainError("case_closed", told.format(who=case.closed_by))


def _link(case: Case, link: Link, *, access: Access) -> Note:
    return _note(case.customer, NoteKind.LINKED, link.name, access=access, case=case, link=link)


def _note(
    customer: Customer, kind: NoteKind, text: str, *, access: Access, case: Case | None = None, link: Link | None = None
) -> Note:
    made: Note = Note.objects.create(
        tenant=access.tenant, customer=customer, case=case, kind=kind, text=text[:TEXT_MAX], link_kind=link.kind if link else "",
        link_id=link.id if link else None, link_name=link.name[:120] if link else "", author=access.actor.name,
        author_ident=access.actor.ident,
    )  # fmt: skip
    return made
