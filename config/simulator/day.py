"""One day of a chain as its tills see it: what is sold, what goes wrong with it, and what the back office should make of it.

Every choice is a draw by hash of the seed and the bill's number, so a day is the same however many clients send it.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from config.demo.draws import draw, happens, pick

ITEMS = ("ICE CREAM", "BAKERY", "DAIRY", "COFFEE")
RETURNED_PER_MILLE = 30
WALK_IN_PER_MILLE = 100
FAULT_PER_MILLE = 50


class Fault(StrEnum):
    """What goes wrong with a sale on its way."""

    SENT_TWICE = "sent_twice"
    CONFLICT = "conflict"
    RETURN_FIRST = "return_first"
    LATE = "late"
    BROKEN = "broken"
    LOST = "lost"
    COMPLETION_LOST = "completion_lost"


EXPLAINED = {
    Fault.SENT_TWICE: "the same message comes again",
    Fault.CONFLICT: "the same number comes again with another amount",
    Fault.RETURN_FIRST: "a return arrives before its sale",
    Fault.LATE: "the sale arrives when the day is over",
    Fault.BROKEN: "a required field is missing",
    Fault.LOST: "the bill never arrives",
    Fault.COMPLETION_LOST: "points are blocked for it, and the bill never arrives",
}


@dataclass(frozen=True, slots=True)
class Message:
    """One document on its way. `expected`: the state it should end in."""

    bill_no: str
    body: bytes
    expected: str


@dataclass(frozen=True, slots=True)
class Visit:
    """What one till sends of one sale, in order. `hold`: points to block before it, if the customer has them.

    `late`: what follows when the day is over.
    """

    store: str
    bill_no: str
    messages: tuple[Message, ...]
    late: tuple[Message, ...] = ()
    hold: dict[str, Any] | None = None
    fault: Fault | None = None


def visits(
    *,
    stores: Sequence[str],
    bills: int,
    customers: int,
    faults: Collection[Fault],
    redeem_per_mille: int,
    seed: str,
    opens: datetime,
) -> Iterator[Visit]:
    """The day's sales with their returns, in the order of their times, over all stores and twelve hours."""
    for number in range(bills):
        bill_no = f"{opens:%y%m%d}-{seed}-{number + 1:06d}"
        fault = _fault(bill_no, faults=faults, seed=seed)
        at = opens + timedelta(hours=12) * (number / max(bills, 1))
        yield _visit(
            bill_no, number=number, at=at, store=stores[draw("store", seed=seed, key=bill_no) % len(stores)], customers=customers,
            redeems=happens("redeem", seed=seed, key=bill_no, per_mille=redeem_per_mille), fault=fault, seed=seed,
        )  # fmt: skip


def _fault(bill_no: str, *, faults: Collection[Fault], seed: str) -> Fault | None:
    for fault in Fault:
        if fault in faults and happens(fault, seed=seed, key=bill_no, per_mille=FAULT_PER_MILLE):
            return fault
    return None


def _visit(
    bill_no: str, *, number: int, at: datetime, store: str, customers: int, redeems: bool, fault: Fault | None, seed: str
) -> Visit:
    walks_in = fault is None and happens("walk_in", seed=seed, key=bill_no, per_mille=WALK_IN_PER_MILLE)
    mobile = (
        "" if walks_in else f"+916500{draw('customer', seed=seed, key=bill_no) % customers:06d}"
    )  # no carrier holds this prefix
    sale = _sale(bill_no, at=at, store=store, mobile=mobile, seed=seed)
    hold = None
    if mobile and (fault is Fault.COMPLETION_LOST or (redeems and fault is None)):
        hold = {
            "mobile": mobile,
            "points": 1,
            "store_code": store,
            "reference": f"SIM-{bill_no}",
            "bill_no": bill_no,
            "at": at.isoformat(),
        }
    first, late = _faulty(sale, fault, at=at)
    if fault is None and not hold and happens("return", seed=seed, key=bill_no, per_mille=RETURNED_PER_MILLE):
        first = (*first, _message(_return(sale, at=at + timedelta(minutes=5)), "applied"))
    return Visit(store, bill_no, first, late, hold, fault)


def _faulty(sale: dict[str, Any], fault: Fault | None, *, at: datetime) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """What is sent at once, and what when the day is over."""
    good = _message(sale, "applied")
    match fault:
        case Fault.SENT_TWICE:
            return (good, good), ()
        case Fault.CONFLICT:
            line = sale["items"][0]
            dearer = f"{Decimal(line['amount']) + 1:.2f}"
            other = sale | {"items": [line | {"amount": dearer}], "net_amount": dearer}
            return (good, _message(other, "conflict")), ()
        case Fault.RETURN_FIRST:
            return (_message(_return(sale, at=at + timedelta(minutes=5)), "applied"),), (good,)
        case Fault.LATE:
            return (), (good,)
        case Fault.BROKEN:
            return (_message({name: value for name, value in sale.items() if name != "net_amount"}, "quarantined"),), ()
        case Fault.LOST | Fault.COMPLETION_LOST:
            return (), ()
    return (good,), ()


def _sale(bill_no: str, *, at: datetime, store: str, mobile: str, seed: str) -> dict[str, Any]:
    amount = f"{50 + draw('amount', seed=seed, key=bill_no) % 1950}.00"
    item = {"line_no": 1, "item_code": f"I{draw('item', seed=seed, key=bill_no) % 500}", "amount": amount}
    document: dict[str, Any] = {
        "bill_type": "SALE", "bill_no": bill_no, "bill_date": at.isoformat(), "store_code": store, "net_amount": amount,
        "items": [item | {"department": pick(ITEMS, kind="department", seed=seed, key=bill_no)}],
    }  # fmt: skip
    return document | ({"customer": {"mobile": mobile}} if mobile else {})


def _return(sale: dict[str, Any], *, at: datetime) -> dict[str, Any]:
    original = {"bill_no": sale["bill_no"], "store_code": sale["store_code"], "bill_date": sale["bill_date"]}
    return {
        **{name: value for name, value in sale.items() if name != "customer"}, "bill_type": "RETURN", "return_type": "FULL",
        "bill_no": f"{sale['bill_no']}R", "bill_date": at.isoformat(), "original": original,
    }  # fmt: skip


def completed(message: Message, hold: dict[str, Any]) -> Message:
    """The same sale, partly paid with the points that were blocked for it (payment mode, one unit of money a point)."""
    document = json.loads(message.body)
    rest = f"{Decimal(document['net_amount']) - hold['points']:.2f}"
    document["tenders"] = [
        {"mode": "LOYALTY_POINTS", "amount": f"{hold['points']}.00", "reference": hold["reference"]}, {"mode": "CASH", "amount": rest},
    ]  # fmt: skip
    return _message(document, message.expected)


def _message(document: dict[str, Any], expected: str) -> Message:
    return Message(document["bill_no"], json.dumps(document).encode(), expected)
