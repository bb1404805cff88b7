"""One customer for each thing that customer service hears every day: what the demo's start page lists."""

from collections.abc import Sequence
from typing import TypedDict

from config.demo.bills import Redemption
from config.demo.faults import Fault
from config.demo.redeem import Redemptions, Sale


class Story(TypedDict):
    """A customer to look at, and what happened there."""

    mobile: str
    name: str
    title: str
    what: str
    bill_no: str


#: Per fault, a title and a sentence with {bill}, {day}, {store}, {points}, {mode} (set up) and {mode_used}.
TELL = {
    Fault.COMPLETION_DROPPED: (
        "Points blocked by a bill that never came",
        (
            "{points} points were blocked at {store} on {day} for bill {bill}. The finished bill never arrived, so the hold "
            "stayed open."
        ),
    ),
    Fault.SPLIT_MISSING: (
        "Redeemed, but the bill is in quarantine",
        (
            "{points} points paid for bill {bill} at {store} on {day}, but its lines do not say which of them the points paid "
            "for. The bill waits in quarantine and its points are still blocked."
        ),
    ),
    Fault.CONFLICT: (
        "One bill number, two amounts",
        (
            "{store} sent bill {bill} of {day} again a week later with another amount. The first one stands; the second is a "
            "conflict for someone to decide."
        ),
    ),
    Fault.MODE_DRIFT: (
        "The store changed its loyalty mode without a word",
        (
            "{store} is set up for {mode} mode, yet bill {bill} of {day} takes {points} points in {mode_used} mode. It is "
            "booked, and an incident says so."
        ),
    ),
    Fault.STORE_SILENT: (
        "Shopped, but no points came",
        "{store} sent nothing for two days. The customer has a receipt for bill {bill} of {day}; it never arrived here.",
    ),
    Fault.REQUIRED_FIELD: (
        "A bill that lacks a field",
        (
            "Bill {bill} of {day} from {store} came without a field it must have. It waits in quarantine and has earned "
            "nothing yet."
        ),
    ),
    Fault.LATE: (
        "Points that came days late",
        "Bill {bill} of {day} from {store} arrived in the week after the purchase.",
    ),
    Fault.SENT_TWICE: (
        "Sent twice, booked once",
        "{store} sent bill {bill} of {day} twice. It was booked once.",
    ),
}


def tell_stories(sales: Sequence[Sale], *, outcome: Redemptions) -> list[Story]:
    """The blocked customer first, then the latest bill of each fault that happened to a known customer."""
    blocked = outcome.blocked
    stories = [
        _story(
            blocked,
            title="0 points, but {points} are blocked",
            what="Redeemed all {points} points at {store} on {day}. Bill {bill} never arrived, so the points are held and "
            "nothing is available.",
            redemption=outcome.by_bill[blocked.bill_no],
        )
    ]
    # Sales are oldest first, so the last one of each fault stays.
    latest = {outcome.faults.get(sale.bill_no): sale for sale in sales if sale.person and sale is not blocked}
    for fault, (title, what) in TELL.items():
        if sale := latest.get(fault):
            stories.append(_story(sale, title=title, what=what, redemption=outcome.by_bill.get(sale.bill_no)))
    return stories


def _story(sale: Sale, *, title: str, what: str, redemption: Redemption | None) -> Story:
    if sale.person is None:
        raise ValueError(f"Bill {sale.bill_no} is a walk-in's: nobody to tell of.")
    facts = {
        "bill": sale.bill_no,
        "day": f"{sale.at.day} {sale.at:%B}",
        "store": sale.store.name,
        "points": redemption.points if redemption else 0,
        "mode": sale.store.mode,
        "mode_used": sale.store.mode_on(sale.basket.day),
    }
    return Story(
        mobile=sale.person.mobile,
        name=sale.person.name,
        title=title.format_map(facts),
        what=what.format_map(facts),
        bill_no=sale.bill_no,
    )
