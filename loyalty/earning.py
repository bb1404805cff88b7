"""What a purchase earns, and the snapshot that explains it for ever. Pure; rounding happens here, once."""

import calendar
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from loyalty.state import DATE_MAX, Terms
from tenants.saying import said


@dataclass(frozen=True, slots=True)
class Multiplied:
    """Between two dates (both included) these departments or items, or everything, earn `factor` times."""

    name: str
    factor: Decimal
    starts_on: date
    ends_on: date
    departments: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()

    def is_for(self, line: "PurchaseLine") -> bool:
        return not (self.departments or self.items) or line.department in self.departments or line.item_code in self.items


@dataclass(frozen=True, slots=True)
class Rule:
    """A programme version as it rules one purchase. Caps of None cap nothing; empty sets of departments and items mean all."""

    programme_id: int
    programme: str
    version: int
    earn_per: Decimal
    point_value: Decimal
    hold_days: int
    validity_days: int
    pending_days: int = 0
    kind: str = "purchase_amount"
    validity_months: int = 0
    expires_at_month_end: bool = False
    rounding: str = "down"
    departments: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()
    excluded_departments: frozenset[str] = frozenset()
    excluded_items: frozenset[str] = frozenset()
    minimum_spend: Decimal = Decimal(0)
    cap_bill: int | None = None
    cap_day: int | None = None
    cap_month: int | None = None
    multipliers: tuple[Multiplied, ...] = ()

    def terms(self, granted_on: date) -> Terms:
        """The expiry clock starts when the points become available."""
        activates_on = granted_on + timedelta(days=self.pending_days) if self.pending_days else None
        return Terms(granted_on, self._expires_on(activates_on or granted_on), activates_on)

    def _expires_on(self, start: date) -> date | None:
        if not (self.validity_days or self.validity_months):
            return None
        day = min(months_later(start, self.validity_months) + timedelta(days=self.validity_days), DATE_MAX)
        return months_later((day - timedelta(days=1)).replace(day=1), 1) if self.expires_at_month_end else day

    @property
    def looks_back(self) -> bool:
        """Whether what the customer earned earlier that day or month matters."""
        return self.kind == "visit_count" or self.cap_day is not None or self.cap_month is not None

    def left_out(self, line: "PurchaseLine") -> str:
        """Why a line earns nothing; empty: it earns."""
        if line.department in self.excluded_departments:
            return said("department {department} is excluded", department=line.department)
        if line.item_code in self.excluded_items:
            return said("item {item} is excluded", item=line.item_code)
        if (self.departments or self.items) and line.department not in self.departments and line.item_code not in self.items:
            return said("department {department} is not among those that earn", department=line.department or said("(none)"))
        return ""


def months_later(day: date, months: int) -> date:
    """The same day so many months later; where that month has no such day, the first of the one after: months are given whole."""
    if not months:
        return day
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if year >= DATE_MAX.year:
        return DATE_MAX
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, day.day) if day.day <= last else date(year, month + 1, last) + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PurchaseLine:
    """A line that was sold. `amount`: net, after all discounts."""

    item_code: str
    department: str
    qty: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Purchase:
    """A bill as the rules see it. `at`: the store's wall clock. `paid_by_points`: what a tender of points paid of `net`."""

    at: datetime
    store_code: str
    net: Decimal
    paid_by_points: Decimal
    lines: tuple[PurchaseLine, ...]

    @property
    def on(self) -> date:
        return self.at.date()


@dataclass(slots=True)
class SoFar:
    """What one customer had earned before this bill: that day, that month, at this store today, and how often at all."""

    day: int = 0
    month: int = 0
    visited: bool = False
    earlier: int = 0


@dataclass(frozen=True, slots=True)
class Earned:
    """Points, and how they came about. `snapshot` holds strings and ints only, ready for JSON."""

    points: int
    snapshot: dict[str, Any]


def plain(number: Decimal) -> str:
    """`100.0000` -> `100`, `0.5000` -> `0.5`: a rate as people write it."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(slots=True)
class _Base:
    """The money that earns, and why the rest does not."""

    lines: Decimal = Decimal(0)
    weighted: Decimal = Decimal(0)
    left_out: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    multiplied: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)


def earned(rule: Rule, purchase: Purchase, so_far: SoFar) -> Earned:
    """Points of one bill, never below 0 (CONTRACT §3).

    `purchase_amount`: what the earning lines come to, less what a tender of points paid, over the spend for one point; a multiplier's
    lines count `factor` times, and of several that fit the greatest rules. `visit_count`: one point, once a customer, store and day.
    """
    base = _base(rule, purchase)
    eligible = max(base.lines - purchase.paid_by_points, Decimal(0))
    snapshot: dict[str, Any] = {
        "programme": rule.programme,
        "programme_id": rule.programme_id,
        "version": rule.version,
        "kind": rule.kind,
        "net": str(purchase.net),
        "paid_by_points": str(purchase.paid_by_points),
        "base": str(eligible),
    }
    if base.left_out:
        snapshot["left_out"] = {why: str(amount) for why, amount in sorted(base.left_out.items())}
    if rule.kind == "visit_count":
        points = _visit(base, so_far, snapshot)
    else:
        points = _of_amount(rule, base, eligible, snapshot)
    if eligible < rule.minimum_spend:
        snapshot["minimum_spend"] = plain(rule.minimum_spend)
        points = 0
    capped = _capped(points, rule, so_far, snapshot)
    snapshot["points"] = capped
    return Earned(capped, snapshot)


def _base(rule: Rule, purchase: Purchase) -> _Base:
    base = _Base()
    live = [each for each in rule.multipliers if each.starts_on <= purchase.on <= each.ends_on]
    for line in purchase.lines:
        if why := rule.left_out(line):
            base.left_out[why] += line.amount
            continue
        best = max((each for each in live if each.is_for(line)), key=lambda each: each.factor, default=None)
        base.lines += line.amount
        base.weighted += line.amount * best.factor if best else line.amount
        if best:
            base.multiplied[best.name] = (best.factor, base.multiplied.get(best.name, (best.factor, Decimal(0)))[1] + line.amount)
    return base


def _visit(base: _Base, so_far: SoFar, snapshot: dict[str, Any]) -> int:
    snapshot["visited_before"] = so_far.visited
    return 0 if so_far.visited or not base.lines else 1


def _of_amount(rule: Rule, base: _Base, eligible: Decimal, snapshot: dict[str, Any]) -> int:
    snapshot |= {"earn_per": plain(rule.earn_per), "rounding": rule.rounding}
    over, under = eligible, rule.earn_per
    if base.multiplied:
        snapshot["lines"], snapshot["weighted"] = str(base.lines), plain(base.weighted)
        snapshot["multipliers"] = {
            name: {"factor": plain(factor), "amount": str(amount)} for name, (factor, amount) in base.multiplied.items()
        }
        over, under = eligible * base.weighted, rule.earn_per * base.lines
    return _rounded(over, under, rule.rounding) if under else 0


def _rounded(over: Decimal, under: Decimal, rounding: str) -> int:
    """`over / under` as whole points, exactly: no quotient is rounded before."""
    top, bottom = (int(number.scaleb(12)) for number in (over, under))
    if rounding == "up":
        return -(-top // bottom)
    return (2 * top + bottom) // (2 * bottom) if rounding == "nearest" else top // bottom


def _capped(points: int, rule: Rule, so_far: SoFar, snapshot: dict[str, Any]) -> int:
    caps = [
        ("bill", rule.cap_bill, 0),
        ("day", rule.cap_day, so_far.day),
        ("month", rule.cap_month, so_far.month),
    ]
    capped = points
    for name, limit, had in caps:
        if limit is not None and max(limit - had, 0) < capped:
            capped = max(limit - had, 0)
            snapshot["cap"] = {"a": name, "limit": limit, "had": had, "uncapped": points}
    return capped
