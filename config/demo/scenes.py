"""What happens after the half year, with the chains' other systems: the ERP knows bills that never came, the CRM shows a wrong figure,
a till takes points twice, goods come back whose points are spent. Each scene is played through the API, and told as a story."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from config.demo.bills import Document
from config.demo.journey import TenantStream
from config.demo.returned import return_number
from config.demo.stories import Story

#: Path and body of a POST, or the path of a GET without one. -> (status, answer).
type Call = Callable[[str, Any], tuple[int, Any]]
TWICE_POINTS = 60


@dataclass(frozen=True, slots=True)
class Sold:
    """A plain sale of a customer who appears in nothing else."""

    bill: Any
    mobile: str
    name: str


def play(stream: TenantStream, *, call: Call) -> list[Story]:
    """A scene whose customer has not the points for it is left out."""
    plain = _plain(stream)
    return [
        story
        for scene in (_in_the_erp_only, _points_taken_twice, _negative_after_a_return, _overwritten_in_the_crm)
        for story in scene(stream, plain, call)
    ]


def _plain(stream: TenantStream) -> Iterator[Sold]:
    """The newest bills of people without redemption, fault, return or story, one each."""
    told = {story["mobile"] for story in stream.stories}
    bills: list[Any] = [bill for wave in stream.waves for bill in wave.bills]
    out = {hold["mobile"] for wave in stream.waves for hold in wave.holds} | told
    for bill in bills:
        number = str(bill.get("bill_no"))
        if bill.get("customer") and (
            number in stream.faults or return_number(number) in stream.faults or bill["bill_type"] != "SALE"
        ):
            out.add(bill["customer"]["mobile"])
    seen: set[str] = set()
    for bill in reversed(bills):
        person = bill.get("customer")
        if person and person["mobile"] not in out | seen and float(bill["net_amount"]) > 0:
            seen.add(person["mobile"])
            yield Sold(bill, person["mobile"], person.get("name", ""))


def _in_the_erp_only(stream: TenantStream, plain: Iterator[Sold], call: Call) -> Iterator[Story]:
    """The ERP sends its orders of the last weeks, also those whose bills the store never sent."""
    told = {story["mobile"] for story in stream.stories}
    bills: list[Any] = [
        *stream.withheld,
        *(bill for wave in stream.waves[-2:] for bill in wave.bills if bill["bill_type"] == "SALE"),
    ]
    orders = [
        {
            "order_no": f"SO-{bill['bill_no']}", "store_code": bill["store_code"], "bill_no": bill["bill_no"], "amount": bill["net_amount"],
            "mobile": bill["customer"]["mobile"] if bill.get("customer") else "", "state": "confirmed", "at": bill["bill_date"],
        }
        for bill in bills
        if {"bill_no", "net_amount", "store_code", "bill_date"} <= bill.keys()
    ]  # fmt: skip
    for place in range(0, len(orders), 500):
        call("/erp/orders", {"orders": orders[place : place + 500]})
    missing = next((bill for bill in reversed(stream.withheld) if _silent(stream, bill) and _mobile(bill) not in told), None)
    if missing is not None:
        person: Any = missing["customer"]
        yield Story(
            mobile=person["mobile"], name=person.get("name", ""), title="In the ERP, and never arrived", bill_no=str(missing["bill_no"]),
            what=f"The ERP has bill {missing['bill_no']} of {_day(missing)}. The store's till never sent it, so it has earned nothing.",
        )  # fmt: skip


def _silent(stream: TenantStream, bill: Document) -> bool:
    return bool(bill.get("customer")) and stream.faults.get(str(bill["bill_no"])) == "store_silent"


def _points_taken_twice(stream: TenantStream, plain: Iterator[Sold], call: Call) -> Iterator[Story]:
    """A redemption is started twice at the till; the bill completes the second, the first stays open."""
    sold = _with_points(stream, plain, call, least=3 * TWICE_POINTS, spend=TWICE_POINTS)
    if sold is None:
        return
    at = _after(sold.bill)
    number = f"{sold.bill['store_code']}-TWICE-1"
    for place, reference in enumerate(("TW-1", "TW-2")):
        hold = {
            "mobile": sold.mobile, "points": TWICE_POINTS, "store_code": sold.bill["store_code"], "reference": reference,
            "at": (at - timedelta(minutes=5 - place)).isoformat(),
        }  # fmt: skip
        if call("/holds", hold)[0] != 201:
            return
    call("/bills", _paid_with_points(sold, number, TWICE_POINTS, at=at, reference="TW-2"))
    yield Story(
        mobile=sold.mobile, name=sold.name, title="Points taken twice for one purchase", bill_no=number,
        what=f"The till blocked {TWICE_POINTS} points twice for bill {number}; the bill spent them once. The others are still blocked.",
    )  # fmt: skip


def _negative_after_a_return(stream: TenantStream, plain: Iterator[Sold], call: Call) -> Iterator[Story]:
    """All points are spent, then the goods that had earned some of them come back."""
    sold = _with_points(stream, plain, call, least=20, spend=0)
    if sold is None:
        return
    available = call(f"/customers/{sold.mobile}/balance", None)[1]["available"]
    at, number = _after(sold.bill), f"{sold.bill['store_code']}-SPENT-1"
    hold = {
        "mobile": sold.mobile, "points": available, "store_code": sold.bill["store_code"], "reference": "SP-1", "bill_no": number,
        "at": (at - timedelta(minutes=3)).isoformat(),
    }  # fmt: skip
    if call("/holds", hold)[0] != 201:
        return
    call("/bills", _paid_with_points(sold, number, available, at=at, reference="SP-1"))
    back = {name: value for name, value in sold.bill.items() if name != "tenders"} | {
        "bill_type": "RETURN", "return_type": "FULL", "bill_no": return_number(sold.bill["bill_no"]),
        "bill_date": (at + timedelta(hours=1)).isoformat(),
        "original": {"bill_no": sold.bill["bill_no"], "store_code": sold.bill["store_code"], "bill_date": sold.bill["bill_date"]},
    }  # fmt: skip
    call("/bills", back)
    yield Story(
        mobile=sold.mobile, name=sold.name, title="A negative balance", bill_no=str(back["bill_no"]),
        what=f"All {available} points were spent; then bill {sold.bill['bill_no']} came back, which had earned some of them.",
    )  # fmt: skip


def _overwritten_in_the_crm(stream: TenantStream, plain: Iterator[Sold], call: Call) -> Iterator[Story]:
    """The CRM agrees for a dozen customers; for one, a batch has written 0."""
    chosen = [sold for _, sold in zip(range(12), plain, strict=False)]
    if not chosen:
        return
    balances = {sold.mobile: call(f"/customers/{sold.mobile}/balance", None)[1] for sold in chosen}
    wrong = next((sold for sold in chosen if balances[sold.mobile]["available"] > 0), None)
    shown = [
        {
            "mobile": sold.mobile, "points": 0 if sold is wrong else balances[sold.mobile]["closing"],
            "as_of": balances[sold.mobile]["as_of"], "written_by": "nightly batch" if sold is wrong else "Pointdesk",
        }
        for sold in chosen
    ]  # fmt: skip
    call("/crm/balances", {"balances": shown})
    if wrong is not None:
        points = balances[wrong.mobile]["closing"]
        yield Story(
            mobile=wrong.mobile, name=wrong.name, title="The app shows 0, the ledger does not", bill_no=str(wrong.bill["bill_no"]),
            what=f"A nightly batch wrote 0 into the CRM. The ledger has {points} points, and had them at that time.",
        )  # fmt: skip


def _with_points(stream: TenantStream, plain: Iterator[Sold], call: Call, *, least: int, spend: int) -> Sold | None:
    """The next customer of a store in payment mode who has so many points and whose bill is worth more than is spent."""
    paying = {store.code for store in stream.stores if store.mode == "payment"}
    for _, sold in zip(range(60), plain, strict=False):
        if sold.bill["store_code"] not in paying:
            continue
        status, balance = call(f"/customers/{sold.mobile}/balance", None)
        earns = float(sold.bill["net_amount"]) >= 300
        if status == 200 and balance["available"] >= least and float(sold.bill["net_amount"]) > spend and (spend or earns):
            return sold
    return None


def _paid_with_points(sold: Sold, number: str, points: int, *, at: datetime, reference: str) -> Document:
    """A small sale, points and 50.00 in cash."""
    worth, net = f"{points}.00", f"{points + 50}.00"
    return {
        "bill_type": "SALE", "bill_no": number, "bill_date": at.isoformat(), "store_code": sold.bill["store_code"],
        "customer": {"mobile": sold.mobile}, "tax_inclusive": True, "net_amount": net, "payable_amount": net,
        "loyalty_mode": "PAYMENT", "redemption": {"reference": reference, "points": points, "amount": worth},
        "items": [{"line_no": 1, "item_code": "GIFT-CARD", "department": "GROCERY", "qty": "1.000", "value": net, "amount": net}],
        "tenders": [{"mode": "LOYALTY_POINTS", "amount": worth, "reference": reference}, {"mode": "CASH", "amount": "50.00"}],
    }  # fmt: skip


def _after(bill: Any) -> datetime:
    return datetime.fromisoformat(bill["bill_date"]) + timedelta(hours=2)


def _mobile(bill: Any) -> str:
    return str(bill["customer"]["mobile"])


def _day(bill: Any) -> str:
    at = datetime.fromisoformat(bill["bill_date"])
    return f"{at.day} {at:%B}"
