"""Why the points are what they are: small pure checks over one loaded picture. Each gives findings, or none."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from integrations.models import DeliveryState
from loyalty.models import Hold, held_since
from support.picture import Picture


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause, in a sentence for the agent and one to say to the customer; `hold` is what the remedy would unblock."""

    code: str
    sentence: str
    customer_sentence: str
    handoff: str = ""
    hold: Hold | None = None


def blocked_points(picture: Picture) -> Iterator[Finding]:
    """`0 points but closing 400` means that 400 are blocked."""
    balance = picture.balance
    for hold in picture.active_holds:
        days = held_since(hold, now=picture.now)
        place = f" at {hold.store}" if hold.store else ""
        day = hold.at.astimezone(picture.tenant.zone)
        bill = f"whose bill {hold.bill_no} has not arrived" if hold.bill_no else "whose bill has not arrived"
        since = "today" if days == 0 else f"{days} day{'s' if days != 1 else ''} ago"
        explains = f" That is why {balance.available:,} are available and the closing balance is {balance.closing:,}."
        yield Finding(
            "blocked_points",
            f"{hold.points:,} points are blocked by a redemption{place} on {day:%d %b} ({since}) {bill}." + explains,
            "Your points are safe; a payment at the store is still being confirmed. I am freeing them now.",
            handoff="between the store and us: the bill never came",
            hold=hold,
        )


def negative(picture: Picture) -> Iterator[Finding]:
    owed = picture.balance.owed
    if owed:
        yield Finding(
            "negative",
            f"The balance is negative: {owed:,} points are owed, because a sale spent points that were not there."
            " The next points earned pay that first.",
            "A purchase used more points than you had. Your next purchases make up for it.",
        )


def unsettled_bills(picture: Picture) -> Iterator[Finding]:
    """Bills of this customer that reached us and are not in the balance."""
    for delivery in picture.unsettled:
        what = {
            DeliveryState.CONFLICT: "came a second time with other content; the first one counts.",
            DeliveryState.WAITING_PARENT: "waits for the sale it belongs to.",
        }.get(DeliveryState(delivery.state), f"is set aside: {delivery.message}")
        yield Finding(
            f"bill_{delivery.state}",
            f"Bill {delivery.bill_no or 'without a number'} {what}",
            "One of your bills needs a check by our team. We will tell you when it is done.",
            handoff="with us: the bill is in the inbox",
        )


def all_right(picture: Picture) -> Iterator[Finding]:
    yield Finding(
        "all_right",
        "Nothing is blocked, owed or waiting: the balance is the sum of the timeline below.",
        "Everything is in order. A new purchase can take a moment to show.",
    )


CHECKS: tuple[Callable[[Picture], Iterator[Finding]], ...] = (blocked_points, negative, unsettled_bills)


def diagnose(picture: Picture) -> list[Finding]:
    """Every finding, in the order of the checks; when there is none, that all is right."""
    return [finding for check in CHECKS for finding in check(picture)] or list(all_right(picture))
