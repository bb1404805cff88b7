"""What goes wrong between a till and the back office, and to which bills."""

from dataclasses import replace
from enum import StrEnum

from config.demo.bills import Document
from config.demo.draws import happens, pick
from config.demo.fixture import Basket
from config.demo.shops import Store


class Fault(StrEnum):
    """The word `truth` keeps for a bill."""

    COMPLETION_DROPPED = "completion_dropped"  # the bill never comes, its hold stays open
    SPLIT_MISSING = "split_missing"  # quarantined, its hold stays open
    MODE_DRIFT = "mode_drift"  # booked, and an incident
    STORE_SILENT = "store_silent"  # the bill never comes
    REQUIRED_FIELD = "required_field"  # quarantined
    CONFLICT = "conflict"  # the second document changes nothing
    LATE = "late"  # comes a wave later
    SENT_TWICE = "sent_twice"  # the second is a duplicate
    RETURNED = "returned"  # of a return's number: all of its sale comes back
    RETURN_FIRST = "return_first"  # it comes before its sale, and waits
    RETURN_UNNAMED = "return_unnamed"  # it names no original: quarantined with suggestions


#: Bills that are not booked, so they earn nothing.
UNBOOKED = {Fault.COMPLETION_DROPPED, Fault.SPLIT_MISSING, Fault.STORE_SILENT, Fault.REQUIRED_FIELD}
#: Redemptions whose hold stays open.
OPEN_HOLD = {Fault.COMPLETION_DROPPED, Fault.SPLIT_MISSING}
#: Bills no one redeems on: with such a fault on top, one bill would tell two stories.
UNFIT_TO_REDEEM = {Fault.STORE_SILENT, Fault.REQUIRED_FIELD, Fault.CONFLICT}

#: Of redemptions. 3 % would be four bills in a demo of this size: too few to look at.
DROPPED_PER_MILLE = 80
#: Of all bills; the first that happens is the bill's fault.
PER_MILLE = {Fault.REQUIRED_FIELD: 10, Fault.CONFLICT: 5, Fault.LATE: 5, Fault.SENT_TWICE: 20}
#: These need a wave after the bill's own.
NEEDS_NEXT_WAVE = {Fault.CONFLICT, Fault.LATE}
REQUIRED_FIELDS = ("net_amount", "store_code", "bill_date")
#: The other document of a conflict has one dollar more on its first line.
CONFLICT_CENTS = 100


def draw_fault(bill_no: str, *, day: int, store: Store, is_last_wave: bool, seed: str) -> Fault | None:
    """What happens to a bill whether or not points pay for it."""
    if day in store.silent:
        return Fault.STORE_SILENT
    for fault, per_mille in PER_MILLE.items():
        if is_last_wave and fault in NEEDS_NEXT_WAVE:
            continue
        if happens(fault, seed=seed, key=bill_no, per_mille=per_mille):
            return fault
    return None


def draw_redemption_fault(bill_no: str, *, day: int, store: Store, seed: str) -> Fault | None:
    """What happens to a bill because points pay for it; it comes before what `draw_fault` says."""
    if happens(Fault.COMPLETION_DROPPED, seed=seed, key=bill_no, per_mille=DROPPED_PER_MILLE):
        return Fault.COMPLETION_DROPPED
    if day in store.splitless:
        return Fault.SPLIT_MISSING
    if store.mode_on(day) != store.mode:
        return Fault.MODE_DRIFT
    return None


def without_required_field(document: Document, *, bill_no: str, seed: str) -> Document:
    gone = pick(REQUIRED_FIELDS, kind="which_field", seed=seed, key=bill_no)
    return {name: value for name, value in document.items() if name != gone}


def with_another_amount(basket: Basket) -> Basket:
    """The same basket at another price: its bill is sound in itself, but not the one that came first."""
    first, *others = basket.lines
    return replace(basket, lines=(replace(first, paid=first.paid + CONFLICT_CENTS), *others))
