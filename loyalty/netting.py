"""Law 11: one operation is netted. What comes back, what is taken back, what is spent and what is earned, worked out at once.

Like meets like first: what comes back covers what is spent, what is earned covers what is taken back. Then the order is: returns,
takes, spends, grants; offset, lapse, debt and shortfall are tested once, on what remains. So a correction never shows a debt that only its
own halves caused, and an earning never funds the redemption of its own bill.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from loyalty.state import (
    Bucket,
    Debt,
    Entry,
    Hold,
    HoldState,
    Kind,
    Lot,
    State,
    Terms,
    check_points,
    spending_order,
)
from tenants.errors import DomainError
from tenants.saying import said


class Missing(StrEnum):
    """What to do where fewer points are there than have to be taken: the rest is owed, or it is left and told."""

    OWE = "owe"
    LEAVE = "leave"


@dataclass(slots=True, eq=False)
class Return:
    """Points that come back: into the lots they came from, and off the debt that had stood in for them."""

    kind: Kind
    of_kind: Kind | None = None
    of_entry: int | None = None
    parts: Sequence[tuple[Lot, Bucket, int]] = ()
    debts: Sequence[tuple[Debt, int]] = ()
    hold: Hold | None = None


@dataclass(slots=True, eq=False)
class Take:
    """Points to take back: pending of its own lots first, then their available ones, then others'.

    `own`: how many of each lot, in this order. `debt`: no points were given but this much of a debt was lifted; it is owed again, and
    what is available pays it at once.
    """

    kind: Kind
    points: int
    own: Sequence[tuple[Lot, int]] = ()
    debt: Debt | None = None
    of_kind: Kind | None = None
    of_entry: int | None = None
    missing: Missing = Missing.OWE
    #: A person's deduction may use points that lapsed today and wait for their expiry; a bill's may not.
    lapsed_too: bool = False


@dataclass(slots=True, eq=False)
class Spend:
    """A sale that used points. `own`: lots of an ended hold, honoured up to the given points even when lapsed."""

    points: int
    on: date
    hold: Hold | None = None
    own: Sequence[tuple[Lot, int]] = ()
    bill_id: int | None = None


@dataclass(slots=True, eq=False)
class Grant:
    """Points of a new lot."""

    kind: Kind
    points: int
    terms: Terms
    snapshot: dict[str, Any] | None = None


@dataclass(slots=True, frozen=True)
class Settled:
    """`entries` in the order of the ledger; `owed`: debt that came about; `short`: what could not be taken and is not owed."""

    entries: list[Entry]
    owed: int
    short: int


def settle(
    state: State,
    *,
    today: date,
    returns: Iterable[Return] = (),
    takes: Iterable[Take] = (),
    spends: Iterable[Spend] = (),
    grants: Iterable[Grant] = (),
) -> Settled:
    """Do all of it as one operation, or nothing.

    Raises: DomainError `points_invalid`, `late_shortfall` (a spend is not covered and the tenant allows no negative balance).
    """
    with state.whole():
        return _Netting(state, today).run(list(returns), list(takes), list(spends), list(grants))


def free_hold(state: State, hold: Hold, *, state_after: HoldState, today: date) -> list[Entry]:
    """End a hold without a sale. -> its release, and the expiry of what lapsed of it."""
    begin = len(state.entries)
    netting = _Netting(state, today)
    state.end_hold(hold, state_after)
    ended = netting.free(hold, list(hold.parts))
    netting.offset()
    return state.in_order(begin, ended)


class _Netting:
    def __init__(self, state: State, today: date) -> None:
        self.state = state
        self.today = today
        #: Points just returned and not used again yet, by lot.
        self.back: dict[int, tuple[Lot, int]] = {}
        #: What may pay a debt at the end, and in which entry.
        self.credits: list[tuple[Entry, Lot, int]] = []
        self.touched: dict[int, Lot] = {}
        self.fresh: list[Lot] = []
        self.owed = self.short = 0

    def run(self, returns: list[Return], takes: list[Take], spends: list[Spend], grants: list[Grant]) -> Settled:
        begin = len(self.state.entries)
        raised = [self._owe_again(each, each.debt) for each in takes if each.debt is not None]
        returned = [self._return(each) for each in returns]
        captured = [self._capture(each) for each in spends]
        granted = [self._grant(each) for each in grants]
        redeemed = [self.state.draft(Kind.REDEEM, hold=each.hold) for each in spends]
        left = [
            points - self._from_what_came_back(entry, each, points)
            for each, entry, (points, _) in zip(spends, redeemed, captured, strict=True)
        ]
        taken = [entry for each in takes if each.debt is None for entry in self._take(each)]
        owing = [self._spend(*each) for each in zip(spends, redeemed, left, strict=True)]
        self.offset()
        for paying in (paying for _, paying in raised):
            self._pay(paying)
        lapsed = self._lapse()
        spent = [
            entry
            for (_, entries), redeem, debt in zip(captured, redeemed, owing, strict=True)
            for entry in (*entries, redeem, debt)
        ]
        ordered = [*(each for each, _ in raised), *returned, *taken, *(paying for _, paying in raised), *spent, *granted, lapsed]
        return Settled(self.state.in_order(begin, ordered), self.owed, self.short)

    def offset(self) -> None:
        """What is owed is paid by what came in and remains, never by what has lapsed."""
        for entry, lot, points in self.credits if self.state.owed else ():
            if not lot.lapsed(self.today):
                self.state.offset(entry, lot, min(points, lot.available))

    # What comes in

    def _return(self, back: Return) -> Entry:
        entry = self.state.draft(back.kind, of_kind=back.of_kind, of_entry=back.of_entry, hold=back.hold)
        for debt, points in back.debts:
            direct = min(points, debt.unpaid)
            for lot, refilled in self.state.give_back_payments(entry, debt, points - direct):
                self._came_back(entry, lot, refilled)
            if points:
                self.state.forgive(entry, debt, points)
        for lot, bucket, points in back.parts:
            self._come_back(entry, lot, bucket, points)
        return entry

    def _come_back(self, entry: Entry, lot: Lot, bucket: Bucket, points: int) -> None:
        self.state.move(entry, lot, bucket, points)
        self._came_back(entry, lot, points if bucket is Bucket.AVAILABLE else 0)

    def _came_back(self, entry: Entry, lot: Lot, available: int) -> None:
        """The lot may be used again by this operation, pays what is owed at its end, or lapses."""
        if lot not in self.state.lots:
            self.state.lots.append(lot)
        self.touched[id(lot)] = lot
        if available:
            self.back[id(lot)] = (lot, self.back.get(id(lot), (lot, 0))[1] + available)
            self.credits.append((entry, lot, available))

    def _grant(self, grant: Grant) -> Entry:
        check_points(grant.points)
        terms = grant.terms
        lot = Lot(terms.granted_on, terms.activates_on, terms.expires_on)
        self.state.lots.append(lot)
        entry = self.state.draft(grant.kind, lot=lot, snapshot=grant.snapshot)
        pending = terms.activates_on is not None and terms.activates_on > self.today
        self.state.move(entry, lot, Bucket.PENDING if pending else Bucket.AVAILABLE, grant.points)
        self.fresh.append(lot)
        self.touched[id(lot)] = lot
        if not pending:
            self.credits.append((entry, lot, grant.points))
        return entry

    # What goes out

    def _capture(self, spend: Spend) -> tuple[int, list[Entry]]:
        """A live hold is spent first, and its rest set free. -> (points still to redeem, entries)."""
        check_points(spend.points)
        hold = spend.hold
        if hold is None or hold.state is not HoldState.ACTIVE:
            return spend.points, []
        captured = min(spend.points, hold.points)
        ends_as = HoldState.CAPTURED if captured == hold.points else HoldState.PARTLY_CAPTURED
        self.state.end_hold(hold, ends_as, bill_id=spend.bill_id)
        entry = self.state.draft(Kind.CAPTURE, hold=hold)
        rest: list[tuple[Lot, int]] = []
        for lot, held in sorted(hold.parts, key=lambda part: spending_order(part[0])):
            taken = min(held, captured + entry.held)
            if taken:
                self.state.move(entry, lot, Bucket.HELD, -taken)
            if held > taken:
                rest.append((lot, held - taken))
        return spend.points - captured, [entry, *self.free(hold, rest)]

    def free(self, hold: Hold, parts: Sequence[tuple[Lot, int]]) -> list[Entry]:
        """Held points are available again; what lapsed of them meanwhile expires at once and pays nothing (CASES 12)."""
        if not parts:
            return []
        entry, expired = self.state.draft(Kind.RELEASE, hold=hold), self.state.draft(Kind.EXPIRE, hold=hold)
        for lot, points in parts:
            self.state.move(entry, lot, Bucket.HELD, -points)
            self.state.move(entry, lot, Bucket.AVAILABLE, points)
            if not lot.lapsed(self.today):
                self.credits.append((entry, lot, points))
        lapsed = [(lot, points) for lot, points in parts if lot.lapsed(self.today)]
        for lot, points in lapsed:
            self.state.move(expired, lot, Bucket.AVAILABLE, -points)
        if lapsed:
            self.state.change(hold, lapsed=lapsed)
        return [entry, expired]

    def _from_what_came_back(self, entry: Entry, spend: Spend, points: int) -> int:
        """Like meets like: a rebooked redemption uses what its own undoing gave back. -> points found."""
        found = 0
        for lot, back in sorted(self.back.values(), key=lambda each: spending_order(each[0])):
            used = min(back, points - found, lot.available)
            if used:
                self.state.move(entry, lot, Bucket.AVAILABLE, -used)
                self.back[id(lot)] = (lot, back - used)
                found += used
        return found

    def _take(self, take: Take) -> list[Entry]:
        check_points(take.points)
        entry = self.state.draft(take.kind, of_kind=take.of_kind, of_entry=take.of_entry)
        undoing = take.kind in (Kind.ROLLBACK, Kind.REVERSAL)
        left = self._drain_parts(entry, take.own, take.points)
        if undoing:
            left = self._drain(entry, self.fresh, left, pending=True)
        others = [lot for lot in sorted(self.state.lots, key=spending_order) if take.lapsed_too or not lot.lapsed(self.today)]
        if not undoing:
            others = [lot for lot in others if lot not in self.fresh]
        left = self._drain(entry, others, left)
        if left and take.missing is Missing.OWE and self.state.negative_allowed:
            of_kind = take.of_kind if take.kind is Kind.REVERSAL else take.kind
            return [entry, self._owe(left, of_kind=of_kind, of_entry=take.of_entry)]
        self.short += left
        return [entry]

    def _owe_again(self, take: Take, debt: Debt) -> tuple[Entry, Entry]:
        """What had lifted a debt is undone: the same debt stands again, and is lifted again by what comes back, or paid at the end.

        -> its entry, and the one in which it will be paid.
        """
        raised = self.state.draft(Kind.DEBT, of_kind=take.of_kind, of_entry=take.of_entry)
        self.state.owe_again(raised, debt, take.points)
        self.state.change(debt, coming=max(debt.coming - take.points, 0))
        self.owed += take.points
        return raised, self.state.draft(take.kind, of_kind=take.of_kind, of_entry=take.of_entry)

    def _pay(self, paying: Entry) -> None:
        """Nobody owes beside available points: what is there pays."""
        owed = self.state.owed
        for lot in sorted(self.state.lots, key=spending_order) if owed else ():
            if not lot.lapsed(self.today):
                self.state.offset(paying, lot, lot.available)
        self.owed -= owed - self.state.owed

    def _drain_parts(self, entry: Entry, parts: Sequence[tuple[Lot, int]], points: int) -> int:
        """Take from these lots, from none more than its part. -> points still missing."""
        left = dict.fromkeys((lot for lot, _ in parts), 0)
        for lot, count in parts:
            left[lot] += count
        for bucket in (Bucket.PENDING, Bucket.AVAILABLE):
            for lot in left:
                taken = min(getattr(lot, bucket.value), left[lot], points)
                if taken:
                    self.state.move(entry, lot, bucket, -taken)
                    left[lot] -= taken
                    points -= taken
        return points

    def _drain(self, entry: Entry, lots: Sequence[Lot], points: int, *, pending: bool = False) -> int:
        """Take from these lots, in this order. -> points still missing."""
        for bucket in (Bucket.PENDING, Bucket.AVAILABLE) if pending else (Bucket.AVAILABLE,):
            for lot in lots:
                taken = min(getattr(lot, bucket.value), points)
                if taken:
                    self.state.move(entry, lot, bucket, -taken)
                    points -= taken
        return points

    def _spend(self, spend: Spend, entry: Entry, points: int) -> Entry:
        """The rest of a redemption: its hold's own lots, then earliest expiry first, never what its own bill earns."""
        alive_on = min(spend.on, self.today)
        drawn = {id(move.lot): -move.delta for move in entry.movements}
        for lot, most in sorted(spend.own, key=lambda part: spending_order(part[0])):
            used = min(most - drawn.get(id(lot), 0), lot.available, points)
            if used:
                self.state.move(entry, lot, Bucket.AVAILABLE, -used)
                points -= used
        usable = [
            lot for lot in sorted(self.state.lots, key=spending_order) if not lot.lapsed(alive_on) and lot not in self.fresh
        ]
        points = self._drain(entry, usable, points)
        if not points:
            return self.state.draft(Kind.DEBT)
        if not self.state.negative_allowed:
            raise DomainError(
                "late_shortfall",
                said(
                    "The sale spent {spent} points, {available} are available, and this tenant allows no negative balance."
                    " Issue the missing points or allow negative balances, then retry.",
                    spent=spend.points, available=spend.points - points,
                ),
                needed=spend.points, available=spend.points - points, held=self.state.held, owed=self.state.owed,
            )  # fmt: skip
        return self._owe(points, of_kind=Kind.REDEEM, hold=spend.hold)

    def _owe(self, points: int, *, of_kind: Kind | None, of_entry: int | None = None, hold: Hold | None = None) -> Entry:
        entry = self.state.draft(Kind.DEBT, of_kind=of_kind, of_entry=of_entry, hold=hold)
        self.state.owe(entry, points)
        self.owed += points
        return entry

    def _lapse(self) -> Entry:
        """What was touched, is lapsed and unused expires; so does what waits for its expiry where something is owed now."""
        entry = self.state.draft(Kind.EXPIRE)
        for lot in self.state.lots if self.state.owed else list(self.touched.values()):
            if lot.lapsed(self.today):
                self._drain(entry, [lot], lot.pending + lot.available, pending=id(lot) in self.touched)
        return entry
