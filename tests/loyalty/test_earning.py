"""What a purchase earns: tables of the rules, by hand."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from loyalty.earning import Multiplied, Purchase, PurchaseLine, Rule, SoFar, earned, months_later, plain

D = Decimal


def rule(earn_per: str = "100", /, **terms: Any) -> Rule:
    return Rule(1, "Points", 1, D(earn_per), D(1), 100, terms.pop("validity_days", 365), **terms)


def bought(*lines: tuple[str, str, str], paid: str = "0", at: datetime = datetime(2026, 3, 10, 12)) -> Purchase:
    """Lines: (department, item, amount)."""
    made = tuple(PurchaseLine(item, department, D(1), D(amount)) for department, item, amount in lines)
    return Purchase(at, "K1", sum((line.amount for line in made), D(0)), D(paid), made)


ICE, CAKE, FUEL = ("ICE", "A1", "500"), ("CAKE", "B1", "300"), ("FUEL", "F1", "900")


@pytest.mark.parametrize(
    ("net", "paid", "earn_per", "rounding", "points"),
    [
        ("99.99", "0", "100", "down", 0), ("100", "0", "100", "down", 1), ("1000", "100", "100", "down", 9), ("10", "20", "1", "down", 0),
        ("0.30", "0", "0.1", "down", 3), ("149.99", "0", "100", "nearest", 1), ("150", "0", "100", "nearest", 2),
        ("100.01", "0", "100", "up", 2), ("100", "0", "100", "up", 1), ("0", "0", "100", "up", 0), ("200", "50", "100", "up", 2),
    ],
)  # fmt: skip
def test_points_are_rounded_once(net: str, paid: str, earn_per: str, rounding: str, points: int) -> None:
    result = earned(rule(earn_per, rounding=rounding), bought(("", "A1", net), paid=paid), SoFar())
    assert result.points == result.snapshot["points"] == points


@pytest.mark.parametrize(
    ("rate", "written"), [("100.0000", "100"), ("0.5000", "0.5"), ("1", "1"), ("0.1250", "0.125"), ("0", "0")]
)
def test_rates_are_written_as_people_write_them(rate: str, written: str) -> None:
    assert plain(D(rate)) == written


@pytest.mark.parametrize(
    ("terms", "points", "left_out"),
    [
        ({}, 17, {}),
        ({"excluded_departments": frozenset({"FUEL"})}, 8, {"department FUEL is excluded": "900"}),
        ({"excluded_items": frozenset({"B1"})}, 14, {"item B1 is excluded": "300"}),
        ({"departments": frozenset({"ICE"})}, 5, {
            "department CAKE is not among those that earn": "300", "department FUEL is not among those that earn": "900",
        }),
        ({"items": frozenset({"F1"})}, 9, {
            "department CAKE is not among those that earn": "300", "department ICE is not among those that earn": "500",
        }),
        ({"departments": frozenset({"ICE"}), "items": frozenset({"B1"})}, 8, {"department FUEL is not among those that earn": "900"}),
        ({"departments": frozenset({"ICE", "FUEL"}), "excluded_items": frozenset({"F1"})}, 5, {
            "department CAKE is not among those that earn": "300", "item F1 is excluded": "900",
        }),
    ],
)  # fmt: skip
def test_only_what_is_eligible_earns(terms: dict[str, Any], points: int, left_out: dict[str, str]) -> None:
    result = earned(rule(**terms), bought(ICE, CAKE, FUEL), SoFar())
    assert (result.points, result.snapshot.get("left_out", {})) == (points, left_out)


@pytest.mark.parametrize(("minimum", "paid", "points"), [("500", "0", 5), ("500.01", "0", 0), ("500", "1", 0), ("0", "500", 0)])
def test_a_bill_below_the_minimum_earns_nothing(minimum: str, paid: str, points: int) -> None:
    assert earned(rule(minimum_spend=D(minimum)), bought(ICE, paid=paid), SoFar()).points == points


def twice(**of: Any) -> Multiplied:
    return Multiplied("Double", D(2), date(2026, 3, 1), date(2026, 3, 31), **of)


@pytest.mark.parametrize(
    ("at", "multipliers", "points"),
    [
        ((2026, 3, 10), [twice()], 16),
        ((2026, 2, 28), [twice()], 8),
        ((2026, 3, 1), [twice()], 16),
        ((2026, 3, 31), [twice()], 16),
        ((2026, 4, 1), [twice()], 8),
        ((2026, 3, 10), [twice(departments=frozenset({"ICE"}))], 13),
        ((2026, 3, 10), [twice(items=frozenset({"B1"}))], 11),
        ((2026, 3, 10), [twice(), Multiplied("Triple", D(3), date(2026, 3, 1), date(2026, 3, 31), items=frozenset({"A1"}))], 21),
        ((2026, 3, 10), [Multiplied("Half", D("0.5"), date(2026, 3, 1), date(2026, 3, 31))], 4),
    ],
)  # fmt: skip
def test_multipliers_hold_between_their_days_and_the_greatest_rules(
    at: tuple[int, int, int], multipliers: list[Multiplied], points: int
) -> None:
    assert earned(rule(multipliers=tuple(multipliers)), bought(ICE, CAKE, at=datetime(*at, 23, 59)), SoFar()).points == points


def test_points_paid_reduce_a_multiplied_bill_in_proportion() -> None:
    """1,600 of double weight over 800, of which 100 were paid with points: 700 x 2 / 100."""
    result = earned(rule(multipliers=(twice(),)), bought(ICE, CAKE, paid="100"), SoFar())
    assert result.points == 14
    assert result.snapshot["multipliers"] == {"Double": {"factor": "2", "amount": "800"}}
    assert (result.snapshot["weighted"], result.snapshot["lines"], result.snapshot["base"]) == ("1600", "800", "700")


@pytest.mark.parametrize(
    ("caps", "so_far", "points", "cap"),
    [
        ({"cap_bill": 5}, SoFar(), 5, {"a": "bill", "limit": 5, "had": 0, "uncapped": 8}),
        ({"cap_bill": 8}, SoFar(), 8, None),
        ({"cap_day": 10}, SoFar(day=7), 3, {"a": "day", "limit": 10, "had": 7, "uncapped": 8}),
        ({"cap_day": 10}, SoFar(day=12), 0, {"a": "day", "limit": 10, "had": 12, "uncapped": 8}),
        ({"cap_month": 10}, SoFar(day=1, month=9), 1, {"a": "month", "limit": 10, "had": 9, "uncapped": 8}),
        ({"cap_bill": 6, "cap_day": 10}, SoFar(day=7), 3, {"a": "day", "limit": 10, "had": 7, "uncapped": 8}),
    ],
)  # fmt: skip
def test_caps_leave_what_is_left_of_them(caps: dict[str, int], so_far: SoFar, points: int, cap: dict[str, Any] | None) -> None:
    result = earned(rule(**caps), bought(ICE, CAKE), so_far)
    assert (result.points, result.snapshot.get("cap")) == (points, cap)


@pytest.mark.parametrize(
    ("terms", "so_far", "points"),
    [({}, SoFar(), 1), ({}, SoFar(visited=True), 0), ({"minimum_spend": D(1000)}, SoFar(), 0), ({"departments": frozenset({"X"})}, SoFar(), 0)],
)  # fmt: skip
def test_a_visit_earns_one_point_a_day_and_store(terms: dict[str, Any], so_far: SoFar, points: int) -> None:
    result = earned(rule(kind="visit_count", **terms), bought(ICE, CAKE), so_far)
    assert (result.points, result.snapshot["kind"]) == (points, "visit_count")


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        ("2026-01-15", 1, "2026-02-15"), ("2026-01-31", 1, "2026-03-01"), ("2028-01-31", 1, "2028-03-01"), ("2026-01-28", 1, "2026-02-28"),
        ("2028-02-29", 12, "2029-03-01"), ("2028-02-29", 48, "2032-02-29"), ("2026-12-31", 2, "2027-03-01"), ("2026-11-30", 3, "2027-03-01"),
        ("2026-03-31", 0, "2026-03-31"), ("2026-12-01", 1, "2027-01-01"), ("2199-06-01", 1200, "2200-01-01"), ("2026-10-31", 1, "2026-12-01"),
    ],
)  # fmt: skip
def test_months_are_given_whole(day: str, months: int, later: str) -> None:
    assert months_later(date.fromisoformat(day), months) == date.fromisoformat(later)


@pytest.mark.parametrize(
    ("terms", "activates", "expires"),
    [
        ({}, None, "2027-01-31"),
        ({"validity_days": 0}, None, None),
        ({"validity_days": 0, "validity_months": 1}, None, "2026-03-01"),
        ({"validity_days": 10, "validity_months": 1}, None, "2026-03-11"),
        ({"validity_days": 0, "validity_months": 1, "expires_at_month_end": True}, None, "2026-03-01"),
        ({"validity_days": 1, "expires_at_month_end": True}, None, "2026-02-01"),
        ({"validity_days": 2, "expires_at_month_end": True}, None, "2026-03-01"),
        ({"pending_days": 14}, "2026-02-14", "2027-02-14"),
        ({"pending_days": 14, "validity_days": 0}, "2026-02-14", None),
    ],
)
def test_the_expiry_clock_starts_when_points_become_available(
    terms: dict[str, Any], activates: str | None, expires: str | None
) -> None:
    found = rule(**terms).terms(date(2026, 1, 31))
    assert found.granted_on == date(2026, 1, 31)
    assert (found.activates_on and str(found.activates_on), found.expires_on and str(found.expires_on)) == (activates, expires)


@pytest.mark.parametrize(
    ("terms", "looks"),
    [({}, False), ({"kind": "visit_count"}, True), ({"cap_day": 1}, True), ({"cap_month": 1}, True), ({"cap_bill": 1}, False)]
)  # fmt: skip
def test_only_rules_that_need_it_look_back(terms: dict[str, Any], looks: bool) -> None:
    assert rule(**terms).looks_back is looks
