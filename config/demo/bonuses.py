"""The real campaigns as bonus rules of the demo: cohorts of targeted people, items that count, points, and one story of a missed bonus."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from config.demo.campaigns import DemoCampaign
from config.demo.journey import TenantStream
from config.demo.stories import Story

#: Points by the type of the campaign: the large Type A ones ask for a spend, the small ones for one of their items.
POINTS = {"Type A": 25, "Type B": 50, "Type C": 75}
SPEND = {"INR": "500", "USD": "10"}


def plan(stream: TenantStream, campaigns: Iterable[DemoCampaign]) -> dict[str, Any]:
    """What `demo_tenants` makes before the first bill: people with their names, and the bonus rules. JSON-ready.

    The customers of the stories are left out of the cohorts: a bonus would change the balances that their stories tell.
    """
    told = {story["mobile"] for story in stream.stories}
    return {
        "people": people(stream),
        "bonuses": [
            {
                "name": f"Campaign {each.number} ({each.kind})",
                "starts_on": each.starts_on.isoformat(),
                "ends_on": each.ends_on.isoformat(),
                "mobiles": [mobile for mobile in each.mobiles if mobile not in told],
                "points": POINTS[each.kind],
                "subject": "spend_on" if each.kind == "Type A" else "quantity_of",
                "wanted": SPEND[stream.currency] if each.kind == "Type A" else "1",
                "items": list(each.items),
            }
            for each in campaigns
        ],
    }


def people(stream: TenantStream) -> dict[str, dict[str, str]]:
    """By mobile: the name and e-mail of the first bill that has one, and the day of the first bill."""
    found: dict[str, dict[str, str]] = {}
    for bill in _bills(stream):
        customer = bill.get("customer")
        if customer and "bill_date" in bill:
            known = found.setdefault(str(customer["mobile"]), {"joined_on": str(bill["bill_date"])[:10]})
            known.setdefault("name", str(customer.get("name", "")))
            known.setdefault("email", str(customer.get("email", "")))
    return found


def missed_bonus(stream: TenantStream, campaigns: Sequence[DemoCampaign]) -> list[Story]:
    """Somebody whose bill met the items and the spend of a large campaign, but who was not on its list."""
    told = {story["mobile"] for story in stream.stories}
    for campaign in (each for each in campaigns if each.kind == "Type A"):
        targeted, items = set(campaign.mobiles), set(campaign.items)
        for bill in _bills(stream):
            customer = bill.get("customer")
            mobile = str(customer["mobile"]) if customer else ""
            if not mobile or mobile in targeted | told or not _within(bill, campaign.starts_on, campaign.ends_on):
                continue
            spent = sum(
                (Decimal(str(line["amount"])) for line in bill["items"] if line.get("item_code") in items and "amount" in line),
                Decimal(0),
            )
            if spent >= Decimal(SPEND[stream.currency]):
                return [_story(stream, campaign, bill, mobile=mobile, name=str((customer or {}).get("name", "")))]
    return []


def _story(stream: TenantStream, campaign: DemoCampaign, bill: dict[str, Any], *, mobile: str, name: str) -> Story:
    day = datetime.fromisoformat(str(bill["bill_date"])).date()
    return Story(
        mobile=mobile,
        name=name,
        title="Expected a bonus and got none",
        what=f"Bill {bill['bill_no']} of {day.day} {day:%B} had enough of the items of campaign {campaign.number}, but the customer was"
        " not on its list. The tab Bonuses shows every condition.",
        bill_no=str(bill["bill_no"]),
    )


def _within(bill: dict[str, Any], starts_on: date, ends_on: date) -> bool:
    return "bill_date" in bill and starts_on.isoformat() <= str(bill["bill_date"])[:10] <= ends_on.isoformat()


def _bills(stream: TenantStream) -> Iterable[dict[str, Any]]:
    return (bill for wave in stream.waves for bill in wave.bills if bill["bill_type"] == "SALE")
