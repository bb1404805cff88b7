"""The demo's campaigns fit the demo's bills: same people, same items, same shift of dates."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from config.demo import bonuses, derive
from config.demo.campaigns import campaigns
from config.demo.full import FetchFailed, whole_cut
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


def test_what_comes_back_is_of_people_whose_points_nobody_counts_on() -> None:
    for stream in build(ends_on=WEDNESDAY):
        sent = [bill for wave in stream.waves for bill in wave.bills]
        place = {str(bill.get("bill_no")): at for at, bill in reversed(list(enumerate(sent)))}
        redeeming = {hold["mobile"] for wave in stream.waves for hold in wave.holds}
        told = {story["mobile"] for story in stream.stories}
        back = [bill for bill in sent if bill["bill_type"] == "RETURN"]
        assert back
        for found in back:
            bill: dict[str, Any] = found
            fault, of = stream.faults[bill["bill_no"]], bill["bill_no"].removeprefix("R-")
            assert bill["customer"]["mobile"] not in redeeming | told
            assert (place[bill["bill_no"]] < place[of]) == (fault == "return_first")
            assert ("original" in bill) == (fault != "return_unnamed")
            assert bill["net_amount"] == sent[place[of]]["net_amount"]


def test_the_whole_cut_keeps_every_basket_by_the_tenant_of_its_store() -> None:
    def line(basket: int, household: int, store: int, moment: int) -> derive.Line:
        return derive.Line(basket, household, store, moment, 7, "BAKERY", 1000, 250, 0, 0, empty=False)

    one, other = (stores[0] for stores in derive.TENANT_STORES)
    lines = [line(1, 5, one, 40), line(2, 5, other, 30), line(3, 6, one, 20), line(3, 6, one, 20)]
    packed: Any = derive.pack(lines, whole=True)
    assert [tenant["baskets"]["number"] for tenant in packed["tenants"]] == [[3, -2], [2]]


def test_without_its_source_the_whole_cut_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/none")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(FetchFailed, match="Leave DEMO unset"):
        whole_cut(tmp_path, say=lambda words: None)
    assert list(tmp_path.iterdir()) == []
