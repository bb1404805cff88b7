"""Bonus rules: conditions over the bill, the customer and a cohort, each judged on its own and kept with what was compared. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from loyalty.earning import Purchase, SoFar, plain
from loyalty.state import POINTS_MAX, check_day
from tenants.errors import DomainError
from tenants.saying import gettext_noop, said

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: A rule must end: nobody remembers a campaign of more than five years.
DAYS_MAX = 5 * 366
#: A sentence names so many departments or items; a rule may have thousands.
NAMED_MAX = 3


class Subject(StrEnum):
    """What a condition looks at."""

    NET = "net"
    SPEND_ON = "spend_on"
    QUANTITY_OF = "quantity_of"
    EARNS = "earns"
    PAID_BY_POINTS = "paid_by_points"
    WEEKDAY = "weekday"
    HOUR = "hour"
    TIER = "tier"
    MEMBER_DAYS = "member_days"
    EARLIER_BILLS = "earlier_bills"


class Operator(StrEnum):
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    ONE_OF = "one_of"
    NONE_OF = "none_of"

    @property
    def words(self) -> str:
        """In English: `said` says them in the reader's language."""
        return {
            "at_least": gettext_noop("is at least"),
            "at_most": gettext_noop("is at most"),
            "one_of": gettext_noop("is one of"),
            "none_of": gettext_noop("is none of"),
        }[self.value]


NUMBERS = frozenset({Operator.AT_LEAST, Operator.AT_MOST})
WORDS = frozenset({Operator.ONE_OF, Operator.NONE_OF})


@dataclass(frozen=True, slots=True)
class About:
    """How a subject is said (in English, for `said`), and how it can be asked. `of`: it needs departments or items."""

    label: str
    operators: frozenset[Operator]
    of: bool = False


SUBJECTS: dict[Subject, About] = {
    Subject.NET: About(gettext_noop("the bill's net amount"), NUMBERS),
    Subject.SPEND_ON: About(gettext_noop("the spend on"), NUMBERS, of=True),
    Subject.QUANTITY_OF: About(gettext_noop("the quantity of"), NUMBERS, of=True),
    Subject.EARNS: About(gettext_noop("the points the bill earns"), NUMBERS),
    Subject.PAID_BY_POINTS: About(gettext_noop("the amount paid with points"), NUMBERS),
    Subject.WEEKDAY: About(gettext_noop("the weekday"), WORDS),
    Subject.HOUR: About(gettext_noop("the hour at the store"), NUMBERS),
    Subject.TIER: About(gettext_noop("the customer's tier"), WORDS),
    Subject.MEMBER_DAYS: About(gettext_noop("the days since the customer joined"), NUMBERS),
    Subject.EARLIER_BILLS: About(gettext_noop("the customer's earlier bills with points"), NUMBERS),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """`wanted`: a number, or words parted by commas. `of`: departments or items, where the subject asks."""

    subject: Subject
    operator: Operator
    wanted: str
    of: tuple[str, ...] = ()
    among: frozenset[str] = field(init=False, repr=False, default=frozenset())

    def __post_init__(self) -> None:
        object.__setattr__(self, "among", frozenset(self.of))

    @property
    def asked(self) -> str:
        subject, named = said(SUBJECTS[self.subject].label), ", ".join(self.of[:NAMED_MAX])
        if len(self.of) > NAMED_MAX:
            named = said("{named} and {more:,} more", named=named, more=len(self.of) - NAMED_MAX)
        if named:
            subject = said("{subject} {named}", subject=subject, named=named)
        return said("{subject} {compared} {wanted}", subject=subject, compared=said(self.operator.words), wanted=self.wanted)

    @property
    def words(self) -> list[str]:
        return [word.strip().casefold() for word in self.wanted.split(",") if word.strip()]


@dataclass(frozen=True, slots=True)
class Campaign:
    """A bonus rule. It gives `points`, or `factor` times what the bill earns. `stores` empty: all; `cohort_id` None: everybody."""

    id: int
    name: str
    starts_on: date
    ends_on: date
    conditions: tuple[Condition, ...] = ()
    stores: frozenset[str] = frozenset()
    cohort_id: int | None = None
    cohort: str = ""
    points: int = 0
    factor: Decimal = Decimal(0)
    limit_per_customer: int | None = None

    def concerns(self, purchase: Purchase) -> bool:
        """Bills of other days and stores are not judged."""
        return self.starts_on <= purchase.on <= self.ends_on and (not self.stores or purchase.store_code in self.stores)


@dataclass(frozen=True, slots=True)
class Person:
    """What the rules may know of a customer. `cohorts`: ids of those they are in on the day of the bill."""

    tier: str = ""
    joined_on: date | None = None
    cohorts: frozenset[int] = frozenset()
    awards: Mapping[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """One condition with what was found."""

    asked: str
    found: str
    met: bool

    def as_dict(self) -> dict[str, Any]:
        return {"asked": self.asked, "found": self.found, "met": self.met}


@dataclass(frozen=True, slots=True)
class Judgement:
    """`points` are given when every condition is met."""

    campaign: Campaign
    conditions: tuple[Judged, ...]
    points: int

    @property
    def awarded(self) -> bool:
        return self.points > 0


def judge(campaign: Campaign, purchase: Purchase, *, person: Person, so_far: SoFar, earns: int) -> Judgement:
    """Every condition, also after one that is not met: "not awarded" is answered by reading them."""
    judged = [
        *_of_the_rule(campaign, purchase, person),
        *(_condition(each, purchase, person, so_far, earns) for each in campaign.conditions),
    ]
    met = all(each.met for each in judged)
    points = min(campaign.points or int(campaign.factor * earns), POINTS_MAX)
    if met and not points:
        asked = said("the bill earns enough for {factor} times of it to be a point", factor=plain(campaign.factor))
        judged.append(Judged(asked, said("{points} points", points=earns), met=False))
    return Judgement(campaign, tuple(judged), points if met else 0)


#: What a return changes about a bill; days, stores and people stay as they were.
RETURNABLE = frozenset({Subject.NET, Subject.SPEND_ON, Subject.QUANTITY_OF, Subject.EARNS, Subject.PAID_BY_POINTS})


def deserved(campaign: Campaign, kept: Purchase, *, earns: int) -> int:
    """Points that a bonus once given still gives for what is kept of the purchase, which earns so many (CASES 63)."""
    asked = [each for each in campaign.conditions if each.subject in RETURNABLE]
    met = all(_condition(each, kept, Person(), SoFar(), earns).met for each in asked)
    return (campaign.points or int(campaign.factor * earns)) if met else 0


def _of_the_rule(campaign: Campaign, purchase: Purchase, person: Person) -> Iterable[Judged]:
    first, last = (f"{day:%d %b %Y}" for day in (campaign.starts_on, campaign.ends_on))
    dates = said("bought from {first} to {last}", first=first, last=last)
    yield Judged(dates, f"{purchase.on:%d %b %Y}", campaign.starts_on <= purchase.on <= campaign.ends_on)
    if campaign.stores:
        stores = ", ".join(sorted(campaign.stores))
        yield Judged(said("bought at {stores}", stores=stores), purchase.store_code, purchase.store_code in campaign.stores)
    if campaign.cohort_id is not None:
        inside = campaign.cohort_id in person.cohorts
        asked = said("the customer is in the cohort {cohort}", cohort=campaign.cohort)
        yield Judged(asked, said("on the list") if inside else said("not on the list"), inside)
    if campaign.limit_per_customer is not None:
        had = (person.awards or {}).get(campaign.id, 0)
        limit = campaign.limit_per_customer
        asked = said("given to a customer at most {limit} times", limit=limit)
        yield Judged(asked, said("{count} so far", count=had), had < limit)


def _condition(condition: Condition, purchase: Purchase, person: Person, so_far: SoFar, earns: int) -> Judged:
    found = _found(condition, purchase, person, so_far, earns)
    if found is None:
        return Judged(condition.asked, said("not known"), met=False)
    if isinstance(found, str):
        among = found.casefold() in condition.words
        return Judged(condition.asked, found or said("none"), among is (condition.operator is Operator.ONE_OF))
    wanted = Decimal(condition.wanted)
    return Judged(condition.asked, plain(found), found >= wanted if condition.operator is Operator.AT_LEAST else found <= wanted)


def _found(condition: Condition, purchase: Purchase, person: Person, so_far: SoFar, earns: int) -> Decimal | str | None:
    among = condition.among
    lines = [line for line in purchase.lines if line.department in among or line.item_code in among] if among else []
    match condition.subject:
        case Subject.NET:
            return purchase.net
        case Subject.SPEND_ON:
            return sum((line.amount for line in lines), Decimal(0))
        case Subject.QUANTITY_OF:
            return sum((line.qty for line in lines), Decimal(0))
        case Subject.EARNS:
            return Decimal(earns)
        case Subject.PAID_BY_POINTS:
            return purchase.paid_by_points
        case Subject.WEEKDAY:
            return WEEKDAYS[purchase.at.weekday()]
        case Subject.HOUR:
            return Decimal(purchase.at.hour)
        case Subject.TIER:
            return person.tier
        case Subject.MEMBER_DAYS:
            return None if person.joined_on is None else Decimal((purchase.on - person.joined_on).days)
        case Subject.EARLIER_BILLS:
            return Decimal(so_far.earlier)


def check_campaign(campaign: Campaign) -> None:
    """Raises: DomainError `date_far`, `rule_never_ends`, `rule_ends_before_it_begins`, `rule_gives_nothing`, `rule_contradicts`, `bad_value`."""
    for path in ("starts_on", "ends_on"):
        check_day(getattr(campaign, path), path=path)
    if campaign.ends_on < campaign.starts_on:
        told = said("The last day lies before the first. Choose a later last day.")
        raise DomainError("rule_ends_before_it_begins", told, path="ends_on")
    if (campaign.ends_on - campaign.starts_on).days > DAYS_MAX:
        told = said("A bonus runs at most five years. Choose an earlier last day.")
        raise DomainError("rule_never_ends", told, path="ends_on")
    if bool(campaign.points) == bool(campaign.factor):
        raise DomainError("rule_gives_nothing", said("Give either points or a factor, one of the two."), path="points")
    if not 0 <= campaign.points <= POINTS_MAX:
        told = said("Points must be a whole number from 1 to {most:,}.", most=POINTS_MAX)
        raise DomainError("points_invalid", told, path="points")
    for condition in campaign.conditions:
        check_condition(condition)
    _check_contradictions(campaign.conditions)


def check_condition(condition: Condition) -> None:
    """Raises: DomainError `bad_value`: an operator that does not fit, a wanted value that is none, departments left out."""
    about = SUBJECTS[condition.subject]
    if condition.operator not in about.operators:
        one, other = sorted(each.words for each in about.operators)
        fitting = said("{one} or {other}", one=said(one), other=said(other))
        told = said("{subject} can be asked with: {fitting}.", subject=said(about.label).capitalize(), fitting=fitting)
        raise DomainError("bad_value", told, path="operator")
    if about.of and not condition.of:
        told = said("Name the departments or items for {subject}.", subject=said(about.label))
        raise DomainError("bad_value", told, path="of")
    if condition.operator in NUMBERS:
        try:
            number = Decimal(condition.wanted)
        except InvalidOperation as problem:
            raise DomainError("bad_value", said("{wanted!r} is no number.", wanted=condition.wanted), path="wanted") from problem
        if not number.is_finite() or abs(number) > 10**15:
            raise DomainError("bad_value", said("{wanted} is out of range.", wanted=condition.wanted), path="wanted")
    elif not condition.words:
        raise DomainError("bad_value", said("Name at least one word, parted by commas."), path="wanted")
    if condition.subject is Subject.WEEKDAY and not set(condition.words) <= set(WEEKDAYS):
        raise DomainError("bad_value", said("Weekdays are written {weekdays}.", weekdays=", ".join(WEEKDAYS)), path="wanted")


def _check_contradictions(conditions: Sequence[Condition]) -> None:
    """Two conditions on the same thing that no bill can meet both."""
    for place, one in enumerate(conditions):
        for other in conditions[place + 1 :]:
            if (one.subject, one.of) == (other.subject, other.of) and _contradict(one, other):
                told = said("No bill can meet both: {one}, and {other}. Change one of them.", one=one.asked, other=other.asked)
                raise DomainError("rule_contradicts", told, path="conditions")


def _contradict(one: Condition, other: Condition) -> bool:
    operators = {one.operator: one, other.operator: other}
    if operators.keys() == NUMBERS:
        return Decimal(operators[Operator.AT_LEAST].wanted) > Decimal(operators[Operator.AT_MOST].wanted)
    if one.operator is other.operator is Operator.ONE_OF:
        return not set(one.words) & set(other.words)
    if operators.keys() == WORDS:
        return set(operators[Operator.ONE_OF].words) <= set(operators[Operator.NONE_OF].words)
    return False
