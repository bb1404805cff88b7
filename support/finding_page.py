"""Findings as the page shows them: where their evidence is looked at, and the button of their remedy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from support.diagnosis import Evidence, Finding, Pattern, Remedy
from support.facts import Contact
from tenants.access import Access, Act

#: Where the row of an evidence is looked at.
PAGES = {
    "bill": "admin:integrations_bill_change", "delivery": "admin:delivery", "incident": "admin:incident",
    "order": "admin:integrations_erporder_change", "pos_change": "admin:integrations_poschange_change",
}  # fmt: skip
WORDS = {
    "bill": gettext_lazy("bill"), "delivery": gettext_lazy("message"), "incident": gettext_lazy("incident"),
    "order": gettext_lazy("ERP order"), "pos_change": gettext_lazy("POS change"), "hold": gettext_lazy("redemption"),
    "entry": gettext_lazy("entry"), "evaluation": gettext_lazy("bonus"), "crm": gettext_lazy("CRM"),
}  # fmt: skip
#: What a remedy's button opens, and who may press it.
ACTS: dict[str, tuple[str, Act]] = {
    "unblock": ("admin:unblock", Act.RELEASE_HOLDS), "open_delivery": ("admin:delivery", Act.VIEW_INBOX),
    "open_bill": ("admin:integrations_bill_change", Act.VIEW_INBOX), "open_incident": ("admin:incident", Act.VIEW_INBOX),
    "reverse_bill": ("admin:reverse_bill", Act.SETTLE_BILLS), "claim_bill": ("admin:claim_bill", Act.SETTLE_BILLS),
    "ask_repush": ("admin:missing_bills", Act.REPLAY_BILLS),
}  # fmt: skip
PATTERNS = {
    Pattern.LOWER: gettext_lazy("fewer points than expected"),
    Pattern.HIGHER: gettext_lazy("more points than expected"),
    Pattern.CRM_ONLY: gettext_lazy("only the CRM is off"),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One piece of evidence; without an address there is nothing more to look at."""

    word: str
    ref: str
    note: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Button:
    label: str
    address: str


@dataclass(frozen=True, slots=True)
class ShownFinding:
    """`tone`: good, bad, note or warn. `way_out`: what to do where the person may not press the button."""

    finding: Finding
    tone: str
    pattern: str
    seen: tuple[Seen, ...]
    buttons: tuple[Button, ...]
    way_out: str = ""


def shown(
    findings: Iterable[Finding], *, customer_id: int, access: Access, contacts: Iterable[Contact] = ()
) -> list[ShownFinding]:
    """`contacts`: whom the brand turns to about a topic."""
    whom = {contact.topic: contact.whom for contact in contacts}
    return [_shown(finding, customer_id=customer_id, access=access, whom=whom) for finding in findings]


def _shown(finding: Finding, *, customer_id: int, access: Access, whom: Mapping[str, str]) -> ShownFinding:
    buttons, way_out = _buttons(finding, customer_id=customer_id, access=access)
    if way_out and finding.owner.value in whom:
        way_out = f"{way_out} ({whom[finding.owner.value]})"
    if finding.code == "all_right":
        tone = "good"
    elif finding.explains:
        tone = "note"
    else:
        tone = "bad" if finding.code.startswith("negative") else "warn"
    seen = tuple(_seen(each, customer_id=customer_id, access=access) for each in finding.evidence)
    return ShownFinding(finding, tone, str(PATTERNS.get(finding.pattern, "")), seen, buttons, way_out)


def _seen(evidence: Evidence, *, customer_id: int, access: Access) -> Seen:
    own = reverse("admin:customer360", args=[customer_id])
    address = ""
    if evidence.kind == "hold":
        address = f"{own}?tab=holds"
    elif evidence.kind == "evaluation":
        address = f"{own}?tab=bonuses"
    elif evidence.kind == "entry" and evidence.id:
        address = f"{own}?entry={evidence.id}#entry-{evidence.id}"
    elif evidence.kind in PAGES and evidence.id and access.may(Act.VIEW_INBOX):
        address = reverse(PAGES[evidence.kind], args=[evidence.id])
    return Seen(str(WORDS[evidence.kind]), evidence.ref, evidence.note, address)


def _buttons(finding: Finding, *, customer_id: int, access: Access) -> tuple[tuple[Button, ...], str]:
    remedy = finding.remedy
    hand_over = _("Hand over to: {owner}").format(owner=finding.owner.label)
    if remedy is None:
        return (), "" if finding.explains else hand_over
    page, act = ACTS[remedy.act]
    buttons = []
    if access.may(act):
        buttons.append(Button(remedy.label, _address(page, remedy)))
    if remedy.bill_no and access.may(Act.ISSUE_POINTS):
        about = urlencode({"bill_no": remedy.bill_no, "store": remedy.store})
        buttons.append(Button(_("Issue points for it"), f"{reverse('admin:issue_points', args=[customer_id])}?{about}"))
    return tuple(buttons), "" if access.may(act) else hand_over


def _address(page: str, remedy: Remedy) -> str:
    if remedy.target is not None:
        return reverse(page, args=[remedy.target])
    return reverse(page)
