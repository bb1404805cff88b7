"""Who redeems what and when: a simulation of the ledger, so that points which earlier waves have booked cover every hold.

It lets no hold expire. Where the server has released an old one by the time a later hold comes, the customer only has more.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from config.demo.bills import Redemption, net, points_payable
from config.demo.draws import draw, pick
from config.demo.faults import OPEN_HOLD, UNBOOKED, UNFIT_TO_REDEEM, Fault, draw_redemption_fault
from config.demo.fixture import Basket
from config.demo.people import Person
from config.demo.shops import Shop, Store

POINTS_MIN = 100
#: What the blocked customer has at least: see `find_blocked`.
BLOCKED_MIN = 400


@dataclass(frozen=True, slots=True)
class Sale:
    """A basket as a bill of the demo; `fault` is what happens to it unless it turns out to be a redemption."""

    basket: Basket
    bill_no: str
    store: Store
    at: datetime
    person: Person | None
    fault: Fault | None

    @property
    def booked_in(self) -> int:
        """The wave it comes in."""
        return self.basket.week + (self.fault is Fault.LATE)


@dataclass(slots=True)
class Books:
    """Points per household, as the server will have them: `arriving` are earned, but not by an earlier wave yet."""

    available: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    held: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    arriving: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))

    def arrive(self, wave: int) -> None:
        """What this wave's bills earned becomes available."""
        for household, points in self.arriving.pop(wave, ()):
            self.available[household] += points


@dataclass(frozen=True, slots=True)
class Redemptions:
    """The outcome: redemptions and faults by bill number, the books at the end, and the bill of the blocked customer."""

    by_bill: dict[str, Redemption]
    faults: dict[str, Fault]
    books: Books
    blocked: Sale


def earned(sale: Sale, *, shop: Shop, redeemed: int = 0) -> int:
    """floor(eligible / earn_per). Points reduce what is eligible in either mode: as a tender, or out of the lines."""
    return (net(sale.basket, shop=shop) - redeemed * shop.point) // shop.earn


def find_blocked(sales: Sequence[Sale], *, shop: Shop) -> Sale:
    """The bill of the customer who ends with 0 points available and BLOCKED_MIN or more held.

    It is the customer's last bill, alone in its wave, can take everything earned before, and no other bill is booked with it or
    after it. The customer saves until then, redeems all of it, and the bill is dropped. Of several the latest: its hold is open
    longest. No draw takes part, so each seed has one.

    Raises: LookupError where nobody fits.
    """
    histories: dict[int, list[Sale]] = defaultdict(list)
    for sale in sales:
        if sale.person:
            histories[sale.basket.household].append(sale)
    fitting = [history[-1] for history in histories.values() if _can_be_blocked(history, shop=shop)]
    if not fitting:
        raise LookupError(f"No household of {shop.slug} can end with {BLOCKED_MIN} points held and none available.")
    return max(fitting, key=lambda sale: (sale.at, -sale.basket.household))


def _can_be_blocked(history: Sequence[Sale], *, shop: Shop) -> bool:
    *before, last = history
    if last.fault or last.store.mode_on(last.basket.day) != last.store.mode or last.basket.day in last.store.splitless:
        return False
    if any(sale.booked_in >= last.basket.week for sale in before):
        return False
    saved = sum(earned(sale, shop=shop) for sale in before if sale.fault not in UNBOOKED)
    return BLOCKED_MIN <= saved <= points_payable(last.basket, shop=shop)


def play(sales: Sequence[Sale], *, weeks: int, shop: Shop, seed: str) -> Redemptions:
    """Goes through the waves as a loader will. A hold only takes points that bills of earlier waves have booked."""
    outcome = Redemptions(by_bill={}, faults={}, books=Books(), blocked=find_blocked(sales, shop=shop))
    waves: dict[int, list[Sale]] = defaultdict(list)
    for sale in sales:
        waves[sale.basket.week].append(sale)
    for week in range(weeks):
        outcome.books.arrive(week - 1)
        for household, visits in _by_household(waves[week]).items():
            _redeem_once(visits, household=household, outcome=outcome, shop=shop, seed=seed)
        for sale in waves[week]:
            _book(sale, outcome=outcome, shop=shop)
    for week in sorted(outcome.books.arriving):
        outcome.books.arrive(week)
    _check_blocked(outcome, shop=shop)
    return outcome


def _by_household(sales: Iterable[Sale]) -> Mapping[int, list[Sale]]:
    """The sales at which someone could redeem. A walk-in has no points."""
    visits: dict[int, list[Sale]] = defaultdict(list)
    for sale in sales:
        if sale.person and sale.fault not in UNFIT_TO_REDEEM:
            visits[sale.basket.household].append(sale)
    return visits


def _redeem_once(visits: Sequence[Sale], *, household: int, outcome: Redemptions, shop: Shop, seed: str) -> None:
    """At most one redemption a wave, on the first bill that can take enough points."""
    available = outcome.books.available[household]
    for sale in visits:
        points = _points_wished(sale, available=available, blocked=outcome.blocked, shop=shop, seed=seed)
        if points < POINTS_MIN:
            continue
        fault = draw_redemption_fault(sale.bill_no, day=sale.basket.day, store=sale.store, seed=seed)
        if sale is outcome.blocked:
            fault = Fault.COMPLETION_DROPPED
        if fault:
            outcome.faults[sale.bill_no] = fault
        outcome.by_bill[sale.bill_no] = Redemption(
            reference=f"SB-{hashlib.sha256(f'{seed}|hold|{sale.bill_no}'.encode()).hexdigest()[:8]}",
            points=points,
            mode=sale.store.mode_on(sale.basket.day),
            split=fault is not Fault.SPLIT_MISSING,
        )
        outcome.books.available[household] -= points
        if fault in OPEN_HOLD:
            outcome.books.held[household] += points
        return


def _points_wished(sale: Sale, *, available: int, blocked: Sale, shop: Shop, seed: str) -> int:
    """All available points or, one time in three, whole fifties; as many as the bill can take."""
    household = sale.basket.household
    if household == blocked.basket.household:
        return available if sale is blocked else 0
    if available < pick(shop.thresholds, kind="threshold", seed=seed, key=household):
        return 0
    wished = available - available % 50 if draw("round", seed=seed, key=sale.bill_no) % 3 == 0 else available
    return min(wished, points_payable(sale.basket, shop=shop))


def _book(sale: Sale, *, outcome: Redemptions, shop: Shop) -> None:
    fault = outcome.faults.get(sale.bill_no, sale.fault)
    if fault:
        outcome.faults[sale.bill_no] = fault
    if fault in UNBOOKED or not sale.person:
        return
    redemption = outcome.by_bill.get(sale.bill_no)
    # A fault of the redemption comes instead of the sale's own, so a drifting bill is not late as well.
    wave = sale.basket.week + (fault is Fault.LATE)
    points = earned(sale, shop=shop, redeemed=redemption.points if redemption else 0)
    outcome.books.arriving[wave].append((sale.basket.household, points))


def _check_blocked(outcome: Redemptions, *, shop: Shop) -> None:
    household = outcome.blocked.basket.household
    available, held = outcome.books.available[household], outcome.books.held[household]
    if available or held < BLOCKED_MIN:
        raise ValueError(f"The blocked customer of {shop.slug} ends with {available} available and {held} held.")
