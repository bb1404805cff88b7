"""Why the points are what they are: the words of a diagnosis, and the walk through its checks.

A bill goes store -> ERP -> connector -> loyalty -> CRM and analytics; a finding names the handoff at which the chain broke, if it did.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.models import Handoff as Handoff


class Pattern(StrEnum):
    """How loyalty stands to what should be: it has fewer points, or more, or only the CRM is off."""

    NONE = ""
    LOWER = "lower"
    HIGHER = "higher"
    CRM_ONLY = "crm_only"


class Owner(StrEnum):
    """Whose topic the cause is: who has to mend it for good."""

    POS = "POS"
    LEDGER = "ledger"
    ANALYTICS = "analytics"
    CRM = "CRM"
    MARKETING = "marketing"

    @property
    def label(self) -> str:
        return str(OWNERS[self])


OWNERS = {
    Owner.POS: gettext_lazy("POS"),
    Owner.LEDGER: gettext_lazy("ledger"),
    Owner.ANALYTICS: gettext_lazy("analytics"),
    Owner.CRM: gettext_lazy("CRM"),
    Owner.MARKETING: gettext_lazy("marketing"),
}


class Reporter(StrEnum):
    """Who says that the points are wrong: the walk starts at their end of the chain."""

    CUSTOMER = "customer"
    ERP = "erp"
    CRM = "crm"


#: In which order the handoffs are looked at.
WALKS = {Reporter.CUSTOMER: (0, 1, 2, 3, 4), Reporter.ERP: (2, 1, 3, 0, 4), Reporter.CRM: (4, 3, 0, 2, 1)}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a finding rests on. `kind`: what it is; `ref`: its name for people; `id`: its row, for a link."""

    kind: str
    ref: str
    id: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Remedy:
    """One act that makes it good. `target`: what it is done to."""

    act: str
    label: str
    target: int | None = None
    points: int | None = None
    bill_no: str = ""
    store: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause, in a sentence for the agent and one to say to the customer.

    `explains`: nothing is wrong, it is why the figure is what it is.
    """

    code: str
    sentence: str
    customer_sentence: str
    handoff: Handoff = Handoff.NONE
    pattern: Pattern = Pattern.NONE
    owner: Owner = Owner.LEDGER
    evidence: tuple[Evidence, ...] = ()
    remedy: Remedy | None = None
    explains: bool = False
    #: It is about the very bill that somebody asked about.
    answers: bool = False

    def as_dict(self) -> dict[str, object]:
        """As the API and the command give it."""
        remedy = self.remedy
        return {
            "code": self.code, "sentence": self.sentence, "customer_sentence": self.customer_sentence, "handoff": self.handoff or None,
            "pattern": self.pattern.value or None, "owner": self.owner.value, "explains": self.explains,
            "evidence": [{"kind": each.kind, "ref": each.ref, "note": each.note} for each in self.evidence],
            "remedy": {"act": remedy.act, "label": remedy.label} if remedy else None,
        }  # fmt: skip


def all_right() -> Finding:
    return Finding(
        "all_right",
        _("Nothing is blocked, owed or waiting: the balance is the sum of the timeline."),
        _("Everything is in order. A new purchase can take a moment to show."),
        explains=True,
    )


def ordered(found: Iterable[Finding], *, reported_by: Reporter = Reporter.CUSTOMER) -> list[Finding]:
    """What was asked about first; then what is wrong, from the reporter's end of the chain; then what explains.

    Without anything wrong, that all is right.
    """
    walk = WALKS[reported_by]
    findings: Sequence[Finding] = sorted(found, key=lambda each: (not each.answers, each.explains, walk.index(each.handoff)))
    answers = [each for each in findings if each.answers]
    wrong = [each for each in findings if not (each.answers or each.explains)]
    fine = [] if wrong or any(not each.explains for each in answers) else [all_right()]
    return [*answers, *wrong, *fine, *(each for each in findings if each.explains and not each.answers)]
