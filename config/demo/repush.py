"""Four weeks of one store, pushed again after its bills had come without the points they redeemed: what a replay is for."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from config.demo.bills import Document
from config.demo.journey import TenantStream
from config.demo.returned import return_number

STORE = "S00343"
LABEL = "Adyar, four weeks"
WEEKS = 4
POINTS = 20


@dataclass(frozen=True, slots=True)
class PushedAgain:
    """Each hold with the bill that the vendor sends again, now with its redemption."""

    label: str
    pairs: list[tuple[Document, Document]]


def pushed_again(stream: TenantStream) -> PushedAgain:
    """One bill for each customer of the store; nobody of the demo's stories."""
    told = {story["mobile"] for story in stream.stories}
    bills = [
        bill
        for wave in stream.waves[-WEEKS:]
        for bill in wave.bills
        if bill.get("store_code") == STORE and bill["bill_type"] == "SALE"
    ]
    found: dict[str, tuple[Document, Document]] = {}
    for bill in bills:
        customer: Any = bill.get("customer")
        number = bill["bill_no"]
        tampered = number in stream.faults or return_number(str(number)) in stream.faults
        plain = "redemption" not in bill and not tampered and "net_amount" in bill
        if customer and plain and customer["mobile"] not in told and customer["mobile"] not in found and _cash(bill) > POINTS:
            found[customer["mobile"]] = (_hold(bill), _with_points(bill))
    return PushedAgain(LABEL, list(found.values()))


def _cash(bill: Document) -> float:
    tenders: Any = bill["tenders"]
    return max((float(tender["amount"]) for tender in tenders if tender["mode"] != "MFR_COUPON"), default=0.0)


def _reference(bill: Document) -> str:
    return f"RP-{bill['bill_no']}"


def _hold(bill: Document) -> Document:
    customer: Any = bill["customer"]
    at = datetime.fromisoformat(str(bill["bill_date"])) - timedelta(minutes=3)
    return {
        "mobile": customer["mobile"],
        "points": POINTS,
        "store_code": STORE,
        "bill_no": bill["bill_no"],
        "reference": _reference(bill),
        "at": at.isoformat(),
    }


def _with_points(bill: Document) -> Document:
    tenders: Any = [dict(tender) for tender in bill["tenders"]]  # type: ignore[attr-defined]
    paying = max((tender for tender in tenders if tender["mode"] != "MFR_COUPON"), key=lambda tender: float(tender["amount"]))
    whole, cents = paying["amount"].split(".")
    paying["amount"] = f"{int(whole) - POINTS}.{cents}"
    worth = f"{POINTS}.00"
    return bill | {
        "redemption": {"reference": _reference(bill), "points": POINTS, "amount": worth},
        "tenders": [{"mode": "LOYALTY_POINTS", "amount": worth, "reference": _reference(bill)}, *tenders],
    }
