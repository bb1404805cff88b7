"""What a purchase earns, and the snapshot that explains it for ever. Pure; rounding happens here, once, down."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from loyalty.account import Terms


@dataclass(frozen=True, slots=True)
class Rule:
    """A programme version as it rules one purchase: spend for one point, worth of a point, days."""

    programme_id: int
    programme: str
    version: int
    earn_per: Decimal
    point_value: Decimal
    hold_days: int
    validity_days: int
    pending_days: int = 0

    def terms(self, granted_on: date) -> Terms:
        """The expiry clock starts when the points become available."""
        activates_on = granted_on + timedelta(days=self.pending_days) if self.pending_days else None
        start = activates_on or granted_on
        expires_on = start + timedelta(days=self.validity_days) if self.validity_days else None
        return Terms(granted_on, expires_on, activates_on)


@dataclass(frozen=True, slots=True)
class Earned:
    """Points, and how they came about. `snapshot` holds strings and ints only, ready for JSON."""

    points: int
    snapshot: dict[str, Any]


def plain(number: Decimal) -> str:
    """`100.0000` -> `100`, `0.5000` -> `0.5`: a rate as people write it."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def earned(rule: Rule, *, net: Decimal, paid_by_points: Decimal) -> Earned:
    """Points of one bill: floor((net - what a tender of points paid) / earn_per), never below 0 (CONTRACT §3)."""
    base = max(net - paid_by_points, Decimal(0))
    points = int(base // rule.earn_per)
    return Earned(
        points,
        {
            "programme": rule.programme,
            "programme_id": rule.programme_id,
            "version": rule.version,
            "kind": "purchase_amount",
            "net": str(net),
            "paid_by_points": str(paid_by_points),
            "base": str(base),
            "earn_per": plain(rule.earn_per),
            "rounding": "down",
            "points": points,
        },
    )
