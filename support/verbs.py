"""What can be done to one customer from a dialog: each verb with what it takes, how it is said, and the act that does it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from loyalty import customers
from loyalty.models import BonusEvaluation, Customer, Entry, mask_mobile
from loyalty.operations import Posted
from support import acts
from support.models import Case
from tenants.access import Access, Act
from tenants.errors import DomainError
from tenants.models import Store

type Content = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants done, once for each key. `content` is what the verb takes, as JSON has it."""

    verb: str
    customer: Customer
    content: dict[str, Any]
    reason: str
    key: str
    access: Access
    now: datetime
    #: The complaint that it belongs to.
    case: Case | None = None

    def granted(self, act: Act) -> "Wish":
        """The same with the act allowed: somebody who may has approved it."""
        return replace(self, access=replace(self.access, acts=self.access.acts | {act}))


@dataclass(frozen=True, slots=True)
class Done:
    """What was done: a sentence, and where to look at it."""

    told: str
    customer_id: int
    operation: int = 0
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Verb:
    """`counts`: its points count against limits. `also`: whose numbers it is about beside the customer's."""

    act: Act
    words: Callable[[Content], str]
    do: Callable[[Wish], Done]
    counts: bool = True
    also: Callable[[Wish], Iterable[str]] = lambda wish: ()


def _posted(posted: Posted, told: str, customer_id: int) -> Done:
    said = _("{done}. {points:,} are available now.").format(done=told, points=posted.available)
    if posted.repeated:
        said = _("Already done: {said}").format(said=said)
    return Done(said, customer_id, posted.operation, posted.repeated)


def _issue_words(content: Content) -> str:
    if content.get("bill_no"):
        return _("Issue {points:,} points for bill {bill_no}").format(points=content["points"], bill_no=content["bill_no"])
    return _("Issue {points:,} points").format(points=content["points"])


def _issue(wish: Wish) -> Done:
    content, about = wish.content, None
    if content.get("bill_no"):
        store = Store.objects.filter(tenant=wish.access.tenant, code=content["store"]).first()
        if store is None:
            raise DomainError("unknown_store", _("The store is gone. Choose another."))
        about = acts.AboutBill(content["bill_no"], store)
    posted = acts.issue(
        wish.customer, access=wish.access, points=content["points"], reason=wish.reason, key=wish.key, now=wish.now, about=about,
        again=bool(content.get("again")),
    )  # fmt: skip
    told = _("{points:,} points issued for bill {bill_no}") if about else _("{points:,} points issued")
    told = told.format(points=content["points"], bill_no=about and about.bill_no)
    return _posted(posted, told, wish.customer.pk)


def _adjust_words(content: Content) -> str:
    told = _("Add {points:,} points") if content["points"] > 0 else _("Remove {points:,} points")
    return told.format(points=abs(content["points"]))


def _adjust(wish: Wish) -> Done:
    points = wish.content["points"]
    posted = acts.adjust(
        wish.customer, access=wish.access, points=points, reason=wish.reason, key=wish.key, now=wish.now,
        allow_debt=bool(wish.content.get("allow_debt")),
    )  # fmt: skip
    told = _("{points:,} points added") if points > 0 else _("{points:,} points removed")
    return _posted(posted, told.format(points=abs(points)), wish.customer.pk)


def _reset(wish: Wish) -> Done:
    posted = acts.reset(
        wish.customer,
        access=wish.access,
        reason=wish.reason,
        key=wish.key,
        now=wish.now,
        clear_debt=bool(wish.content["clear_debt"]),
    )
    return _posted(posted, _("The balance was reset"), wish.customer.pk)


def _award(wish: Wish) -> Done:
    row: BonusEvaluation | None = (
        BonusEvaluation.objects.filter(tenant=wish.access.tenant, pk=wish.content["evaluation"])
        .select_related("bonus", "customer")
        .first()
    )
    if row is None:
        raise DomainError("evaluation_unknown", _("There is no such judgement. Choose it from the customer's bonuses."))
    posted = acts.award_bonus(row, access=wish.access, reason=wish.reason, now=wish.now)
    return _posted(posted, _("Bonus {bonus} awarded").format(bonus=row.bonus.name), wish.customer.pk)


def _merge(wish: Wish) -> Done:
    into = Customer.objects.filter(tenant=wish.access.tenant, pk=wish.content["into"]).first()
    if into is None:
        raise DomainError("unknown_customer", _("There is no such customer. Look for them again."))
    merged = acts.merge(wish.customer, into, access=wish.access, reason=wish.reason, now=wish.now)
    told = _("Already merged: everything stands here now.") if merged.repeated else _("Merged: everything stands here now.")
    return Done(told, into.pk, merged.merge.operation or 0, merged.repeated)


def _numbers_of_the_other(wish: Wish) -> set[str]:
    """Every number that leads, or led, to the customer into whom another is merged."""
    tenant = wish.access.tenant
    return customers.numbers_of(tenant, customers.families(tenant, [wish.content["into"]]))


def _undo(wish: Wish) -> Done:
    entry: Entry | None = (
        Entry.objects.filter(tenant=wish.access.tenant, pk=wish.content["entry"]).select_related("customer").first()
    )
    if entry is None:
        raise DomainError("entry_unknown", _("There is no such entry. Choose it from the timeline."))
    posted = acts.undo(entry, access=wish.access, reason=wish.reason, now=wish.now)
    return _posted(posted, _("Undone"), entry.customer_id)


def _change_mobile(wish: Wish) -> Done:
    repeated = wish.customer.mobile == wish.content["mobile"]
    row = acts.change_mobile(wish.customer, wish.content["mobile"], access=wish.access, reason=wish.reason, now=wish.now)
    told = _("The number is {mobile} now. Bills that name the old one still land here.").format(mobile=row.masked_mobile)
    return Done(told, row.pk, repeated=repeated)


VERBS: dict[str, Verb] = {
    "issue": Verb(Act.ISSUE_POINTS, _issue_words, _issue),
    "adjust": Verb(Act.ADJUST_POINTS, _adjust_words, _adjust),
    "reset": Verb(
        Act.RESET_POINTS,
        lambda content: _("Reset the balance, forgive what is owed") if content["clear_debt"] else _("Reset the balance"),
        _reset,
    ),
    "award": Verb(Act.ISSUE_POINTS, lambda content: _("Award the bonus {bonus}").format(bonus=content["bonus"]), _award),
    "undo": Verb(Act.ISSUE_POINTS, lambda content: _("Undo: {what}").format(what=content["what"]), _undo),
    "merge": Verb(
        Act.MERGE_CUSTOMERS,
        lambda content: _("Merge into {name}").format(name=content["name"]),
        _merge,
        counts=False,
        also=_numbers_of_the_other,
    ),
    "change_mobile": Verb(
        Act.CHANGE_MOBILES,
        lambda content: _("Change the number to {mobile}").format(mobile=mask_mobile(content["mobile"])),
        _change_mobile,
        counts=False,
        also=lambda wish: [wish.content["mobile"]],
    ),
}
