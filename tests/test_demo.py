"""The demo's campaigns fit the demo's bills: same people, same items, same shift of dates."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from config.demo import bonuses
from config.demo.campaigns import campaigns
from config.demo.journey import build
from config.demo.repush import pushed_again

SATURDAY, SUNDAY, WEDNESDAY = date(2026, 11, 21), date(2026, 11, 22), date(2026, 11, 25)


@pytest.mark.parametrize("ends_on", [SATURDAY, SUNDAY, WEDNESDAY])
def test_campaigns_move_with_the_baskets(ends_on: date) -> None:
    first_day = build(ends_on=ends_on)[0].waves[0].starts_on
    for found in campaigns(ends_on=ends_on).values():
        assert [each.number for each in found] == list(range(1, 28))
        days = {each.number: (each.starts_on - first_day).days for each in found}
        assert (days[5], days[1], days[16]) == (1, -30, 185)


def test_people_and_items_are_those_of_the_bills() -> None:
    found = campaigns(ends_on=WEDNESDAY)
    items: set[str] = set()
    for stream in build(ends_on=WEDNESDAY):
        people = bonuses.people(stream)
        assert {mobile for each in found[stream.slug] for mobile in each.mobiles} <= people.keys()
        assert all(datetime.fromisoformat(each["joined_on"]) for each in people.values())
        items |= {str(line.get("item_code")) for wave in stream.waves for bill in wave.bills for line in bill.get("items", [])}  # type: ignore[attr-defined]
    wanted = {item for each in found["kulfi-house"] for item in each.items}
    assert len(wanted - items) < len(wanted) / 20, "but for those of bills that the demo's faults keep from coming"


def test_the_storys_customers_get_no_bonus_and_somebody_missed_one() -> None:
    found = campaigns(ends_on=WEDNESDAY)
    for stream in build(ends_on=WEDNESDAY):
        told = {story["mobile"] for story in stream.stories}
        plan = bonuses.plan(stream, found[stream.slug])
        assert not told & {mobile for bonus in plan["bonuses"] for mobile in bonus["mobiles"]}
        (story,) = bonuses.missed_bonus(stream, found[stream.slug])
        assert story["mobile"] not in told
        assert story["title"] == "Expected a bonus and got none"


def test_the_bills_that_are_pushed_again_differ_by_their_points_alone() -> None:
    kulfi = build(ends_on=WEDNESDAY)[0]
    sent = {bill["bill_no"]: bill for wave in kulfi.waves for bill in wave.bills if "bill_no" in bill}
    pairs = pushed_again(kulfi).pairs
    assert len(pairs) > 10
    told = {story["mobile"] for story in kulfi.stories}
    for hold, found in pairs:
        bill: dict[str, Any] = found
        before = sent[bill["bill_no"]]
        assert {name for name in bill if bill[name] != before.get(name)} == {"redemption", "tenders"}
        assert sum(Decimal(tender["amount"]) for tender in bill["tenders"]) == Decimal(str(bill["payable_amount"]))
        assert hold["mobile"] not in told
