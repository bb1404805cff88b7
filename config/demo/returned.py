"""Goods that come back: a share of the sales of customers whose points nobody else counts on."""

from collections.abc import Sequence
from datetime import UTC, timedelta

from config.demo.bills import Document
from config.demo.draws import draw, happens
from config.demo.faults import Fault
from config.demo.redeem import Redemptions, Sale

RETURNED_PER_MILLE = 60  # of the bills of those who keep out of redemptions: some 2.5 % of all
#: Of the returns: those that arrive before their sale, and those that name no original.
FIRST_PER_MILLE, UNNAMED_PER_MILLE = 250, 150


def draw_returns(sales: Sequence[Sale], *, outcome: Redemptions, told: set[str], seed: str) -> dict[str, Fault]:
    """-> by the number of a sale, how its return comes.

    Whoever redeems keeps everything, and so do the people of the stories (`told`, mobiles): their books stay as they were reckoned.
    """
    redeeming = {sale.basket.household for sale in sales if sale.bill_no in outcome.by_bill} | {outcome.blocked.basket.household}
    found = {}
    for sale in sales:
        kept = sale.person is None or sale.person.mobile in told or sale.basket.household in redeeming
        if (
            kept
            or sale.bill_no in outcome.faults
            or not happens("return", seed=seed, key=sale.bill_no, per_mille=RETURNED_PER_MILLE)
        ):
            continue
        if happens("return_first", seed=seed, key=sale.bill_no, per_mille=FIRST_PER_MILLE):
            found[sale.bill_no] = Fault.RETURN_FIRST
        elif happens("return_unnamed", seed=seed, key=sale.bill_no, per_mille=UNNAMED_PER_MILLE):
            found[sale.bill_no] = Fault.RETURN_UNNAMED
        else:
            found[sale.bill_no] = Fault.RETURNED
    return found


def return_number(sale_no: str) -> str:
    return f"R-{sale_no}"


def make_return(sale: Sale, document: Document, fault: Fault, *, seed: str) -> Document:
    """Everything comes back, ten minutes to two hours later, in the same store."""
    after = timedelta(seconds=600 + draw("return_at", seed=seed, key=sale.bill_no) % 6600)
    at = (sale.at.astimezone(UTC) + after).astimezone(sale.at.tzinfo)
    kept = {name: value for name, value in document.items() if name != "tenders"}
    made = kept | {
        "bill_type": "RETURN",
        "return_type": "FULL",
        "bill_no": return_number(sale.bill_no),
        "bill_date": at.isoformat(),
    }
    if fault is not Fault.RETURN_UNNAMED:
        made["original"] = {"bill_no": sale.bill_no, "store_code": sale.store.code, "bill_date": document["bill_date"]}
    return made
