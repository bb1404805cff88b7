"""The liability report: what a brand owes its customers in points, day by day, and why it changed.

Every figure is a sum over entries by kind, so the lines add up by construction: opening + movements + debt created - debt offset = closing.
The liability is pending + available + blocked points; what customers owe (debt) stands apart and lowers nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy

from integrations.analytics.day_sums import Basis, DaySum
from loyalty.money import minor_digits, worth
from loyalty.programmes import RuleBook
from loyalty.state import Kind
from tenants.errors import DomainError
from tenants.models import Tenant

#: The movements, in the order of the page, and the kinds of entries each counts. What only moves points between buckets (becoming available,
#: blocking, unblocking) and what moves a date changes no liability and has no column.
MOVEMENTS: dict[str, tuple[Kind, ...]] = {
    "earned": (Kind.EARN,),
    "bonus": (Kind.BONUS,),
    "issued": (Kind.ISSUE,),
    "adjusted": (Kind.ADJUST, Kind.RESET),
    "returned": (Kind.ROLLBACK,),
    "redeemed": (Kind.CAPTURE, Kind.REDEEM),
    "expired": (Kind.EXPIRE,),
    "restored": (Kind.RESTORE,),
    "merged": (Kind.MERGE,),
}
OF_KIND = {kind.value: name for name, kinds in MOVEMENTS.items() for kind in kinds}
TITLES = {
    "day": gettext_lazy("Day"),
    "opening": gettext_lazy("Opening"),
    "earned": gettext_lazy("Earned"),
    "bonus": gettext_lazy("Bonus"),
    "issued": gettext_lazy("Issued"),
    "adjusted": gettext_lazy("Adjusted"),
    "returned": gettext_lazy("Returned"),
    "redeemed": gettext_lazy("Redeemed"),
    "expired": gettext_lazy("Expired"),
    "restored": gettext_lazy("Restored"),
    "merged": gettext_lazy("Merged"),
    "debt_created": gettext_lazy("Debt created"),
    "debt_offset": gettext_lazy("Debt offset"),
    "closing": gettext_lazy("Closing"),
    "worth": gettext_lazy("Worth"),
    "pending": gettext_lazy("Pending"),
    "available": gettext_lazy("Available"),
    "blocked": gettext_lazy("Blocked"),
    "debt": gettext_lazy("Debt"),
    "earlier": gettext_lazy("From earlier days"),
}
#: What each column counts, for whoever reads it.
DEFINITIONS = {
    "opening": gettext_lazy("The liability at the end of the day before."),
    "earned": gettext_lazy("Points of bills, also those still pending; cancelled and corrected bills taken off."),
    "bonus": gettext_lazy("Points of bonus rules and awards."),
    "issued": gettext_lazy("Points given by hand, by key or by a bulk award."),
    "adjusted": gettext_lazy("Added or removed by hand or by a bulk job, resets included."),
    "returned": gettext_lazy("Earned points taken back because goods came back."),
    "redeemed": gettext_lazy(
        "Points spent at the till, on the day their bill came. A redemption that was not covered counts whole: the missing part is debt."
    ),
    "expired": gettext_lazy("Points whose date passed."),
    "restored": gettext_lazy("Spent points given back because goods came back."),
    "merged": gettext_lazy("Moved between customers who were merged: zero over the whole brand."),
    "debt_created": gettext_lazy("The part of a deduction that no points covered: it lowers no liability, so it is added back."),
    "debt_offset": gettext_lazy("Points that paid a debt as soon as they came: they never became a liability."),
    "closing": gettext_lazy("Pending, available and blocked points together: the liability at the end of the day."),
    "worth": gettext_lazy("The closing liability in money, by the point value of the main programme on that day."),
    "pending": gettext_lazy("The part of the closing that is earned and not yet available."),
    "available": gettext_lazy("The part of the closing that is free to spend."),
    "blocked": gettext_lazy(
        "The part of the closing that redemptions reserve whose bills have not come. It is a liability until they come."
    ),
    "debt": gettext_lazy("What customers owe: their negative balances. It lowers no liability, for others hold those points."),
    "earlier": gettext_lazy(
        "The part of the day's change whose bills or acts are of an earlier business day: late, pushed again or corrected."
    ),
}


@dataclass(slots=True)
class Line:
    """A day, a month or the total. `closing` and its parts are at the end of it; `debt` is what is owed then."""

    title: str
    first: date
    last: date
    opening: int = 0
    moved: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MOVEMENTS, 0))
    debt_created: int = 0
    debt_offset: int = 0
    pending: int = 0
    available: int = 0
    blocked: int = 0
    debt: int = 0
    earlier: int = 0
    entries: int = 0
    worth: Decimal | None = None

    @property
    def closing(self) -> int:
        return self.pending + self.available + self.blocked

    def value(self, name: str) -> Any:
        """The figure of a column, as it is added up: what leaves the liability is negative."""
        if name in self.moved:
            return self.moved[name]
        return -self.debt_offset if name == "debt_offset" else getattr(self, name)

    def as_dict(self) -> dict[str, Any]:
        names = (
            "opening",
            *MOVEMENTS,
            "debt_created",
            "debt_offset",
            "closing",
            "pending",
            "available",
            "blocked",
            "debt",
            "earlier",
        )
        return {
            "from": self.first.isoformat(), "to": self.last.isoformat(), **{name: self.value(name) for name in names},
            "worth": str(self.worth) if self.worth is not None else None, "entries": self.entries,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """`lines` in the order of time, only those on which something moved; `total` over all of them."""

    lines: list[Line]
    total: Line
    basis: Basis


def made_of(sums: Iterable[DaySum], *, since: date, until: date, basis: Basis, tenant: Tenant, by_month: bool = False) -> Report:
    """The report of what the entries add up to."""
    days: dict[date | None, list[DaySum]] = defaultdict(list)
    for each in sums:
        key = each.day.replace(day=1) if each.day is not None and by_month else each.day
        days[key].append(each)
    last = Line("", since, since)
    for each in days.pop(None, []):
        _add(last, each)
    total = Line("", since, until, opening=last.closing)
    lines: list[Line] = []
    for day in sorted(found for found in days if found is not None):
        ends = _end_of_month(day, until) if by_month else day
        line = Line(
            f"{day:%Y-%m}" if by_month else f"{day:%Y-%m-%d}", max(day, since), ends, opening=last.closing, pending=last.pending,
            available=last.available, blocked=last.blocked, debt=last.debt,
        )  # fmt: skip
        for each in days[day]:
            _add(line, each)
            _add(total, each)
        lines.append(line)
        last = line
    total.pending, total.available, total.blocked, total.debt = last.pending, last.available, last.blocked, last.debt
    _price([*lines, total], tenant)
    return Report(lines, total, basis)


def _add(line: Line, each: DaySum) -> None:
    line.pending += each.pending
    line.available += each.available
    line.blocked += each.held
    line.debt += each.owed
    line.entries += each.entries
    change = each.pending + each.available + each.held
    line.earlier += change if each.earlier else 0
    name = OF_KIND.get(each.kind)
    if name == "merged":  # what is owed moves along; what the survivor's points paid of it is all that is less than before
        paid = min(max(-each.owed, 0), max(-change, 0))
        line.moved[name] += change + paid
        line.debt_offset += paid
        return
    line.debt_created += each.owed_more
    line.debt_offset += each.owed_less
    if name is not None:
        line.moved[name] += change - each.owed


def _price(lines: Sequence[Line], tenant: Tenant) -> None:
    rules, digits = RuleBook(tenant), minor_digits(tenant.currency)
    for line in lines:
        try:
            rate = rules.rule(store_id=None, on=line.last).point_value
        except DomainError:  # before the first programme there is no price
            continue
        line.worth = worth(line.closing, rate=rate, minor_digits=digits)


def _end_of_month(first: date, until: date) -> date:
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return min(date.fromordinal(following.toordinal() - 1), until)


def adds_up(line: Line) -> bool:
    """Whether the line's movements lead from its opening to its closing. They do by construction; a checker may ask."""
    return line.opening + sum(line.moved.values()) + line.debt_created - line.debt_offset == line.closing
