"""One customer's points and the verbs that move them: the functional core of the ledger.

No database, no clock, no randomness. A verb first checks everything, then changes the account and records its entries;
a refusal raises a `DomainError` and leaves the account as it was. The rules are in docs/ledger.md.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from tenants.errors import DomainError

POINTS_MAX = 10**12


class Kind(StrEnum):
    """What an entry does. The programme's side of the movement follows from it."""

    EARN = "earn"
    BONUS = "bonus"
    ISSUE = "issue"
    ACTIVATE = "activate"
    HOLD = "hold"
    CAPTURE = "capture"
    RELEASE = "release"
    REDEEM = "redeem"
    EXPIRE = "expire"
    EXTEND = "extend"
    ADJUST = "adjust"
    RESET = "reset"
    ROLLBACK = "rollback"
    DEBT = "debt"
    RESTORE = "restore"
    REVERSAL = "reversal"
    MERGE = "merge"


class Bucket(StrEnum):
    """Where a lot's points are. `owed` is no bucket of a lot: a debt has no points in it."""

    PENDING = "pending"
    AVAILABLE = "available"
    HELD = "held"


class HoldState(StrEnum):
    ACTIVE = "active"
    CAPTURED = "captured"
    PARTLY_CAPTURED = "partly_captured"
    RELEASED = "released"
    EXPIRED = "expired"


#: A hold ends exactly once and is never reopened.
TRANSITIONS: dict[HoldState, frozenset[HoldState]] = {
    HoldState.ACTIVE: frozenset(HoldState) - {HoldState.ACTIVE},
    **{state: frozenset() for state in HoldState if state is not HoldState.ACTIVE},
}


@dataclass(slots=True, eq=False)
class Lot:
    """Points granted at one time. Its id is its granting entry's, 0 until written.

    `expires_on` is the first day on which its points can no longer be spent; None: never.
    """

    granted_on: date
    activates_on: date | None
    expires_on: date | None
    id: int = 0
    pending: int = 0
    available: int = 0
    held: int = 0

    def lapsed(self, today: date) -> bool:
        return self.expires_on is not None and self.expires_on <= today


@dataclass(slots=True, eq=False)
class Debt:
    """A debt entry (its id, 0 until written) and what of it is not paid yet."""

    id: int
    unpaid: int


@dataclass(slots=True, eq=False)
class Hold:
    """Points reserved at the till.

    `parts`: what each lot still holds for it (of an ended hold: held for it at the beginning). `lapsed`: what the end of
    the hold expired, lot by lot.
    """

    reference: str
    points: int
    rate: Decimal
    at: datetime
    expires_at: datetime
    store_id: int | None = None
    bill_no: str = ""
    fingerprint: int = 0
    id: int = 0
    state: HoldState = HoldState.ACTIVE
    bill_id: int | None = None
    late_bill_id: int | None = None
    late_points: int = 0
    parts: list[tuple[Lot, int]] = field(default_factory=list)
    lapsed: list[tuple[Lot, int]] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Movement:
    """Points of one lot into (+) or out of (-) one bucket; `debt` is the debt that an offset paid."""

    lot: Lot
    bucket: Bucket
    delta: int
    debt: Debt | None = None


@dataclass(slots=True, eq=False)
class Entry:
    """One row of the ledger to be. `id` is 0 until written."""

    kind: Kind
    pending: int = 0
    available: int = 0
    held: int = 0
    owed: int = 0
    of_kind: Kind | None = None
    movements: list[Movement] = field(default_factory=list)
    lot: Lot | None = None
    hold: Hold | None = None
    debt: Debt | None = None
    snapshot: dict[str, Any] | None = None
    operation: Any = None
    id: int = 0


@dataclass(slots=True, frozen=True)
class Terms:
    """When granted points become available and when they lapse."""

    granted_on: date
    expires_on: date | None
    activates_on: date | None = None


class InsufficientPoints(DomainError):
    """Fewer points are available than asked for."""


def _spending_order(lot: Lot) -> tuple[date, date, int]:
    """Earliest expiry first, then oldest; lots not yet written are the youngest."""
    return lot.expires_on or date.max, lot.granted_on, lot.id or 2**63


class Account:
    """The four buckets, lots, open holds and debts of one customer; `entries` is what the verbs recorded, in order."""

    __slots__ = (
        "_hold_changes", "available", "customer_id", "debts", "entries", "held", "holds", "lots", "lots_known", "negative_allowed",
        "operation", "owed", "pending",
    )  # fmt: skip

    def __init__(
        self,
        customer_id: int,
        *,
        pending: int = 0,
        available: int = 0,
        held: int = 0,
        owed: int = 0,
        lots: list[Lot] | None = None,
        holds: list[Hold] | None = None,
        debts: list[Debt] | None = None,
        negative_allowed: bool = False,
        lots_known: bool = True,
    ) -> None:
        self.customer_id = customer_id
        self.pending = pending
        self.available = available
        self.held = held
        self.owed = owed
        self.lots = lots if lots is not None else []
        self.holds = holds if holds is not None else []
        self.debts = debts if debts is not None else []
        self.negative_allowed = negative_allowed
        #: False: opened only to be given points; verbs that spend need the lots.
        self.lots_known = lots_known
        self.entries: list[Entry] = []
        self.operation: Any = None
        self._hold_changes: list[tuple[Hold, dict[str, Any], Any]] = []

    @property
    def closing(self) -> int:
        return self.available + self.held - self.owed

    # Credits

    def grant(self, points: int, *, kind: Kind, terms: Terms, today: date, snapshot: dict[str, Any] | None = None) -> Entry:
        """Give points as a new lot: pending, or available and then offset against debt first.

        A lot that has lapsed already (a late bill) is posted and expired together, and never offsets.

        Raises: DomainError `points_invalid`.
        """
        _check_points(points)
        lot = Lot(terms.granted_on, terms.activates_on, terms.expires_on)
        self.lots.append(lot)
        entry = Entry(kind, lot=lot, snapshot=snapshot)
        if terms.activates_on is not None and terms.activates_on > today:
            self._move(entry, lot, Bucket.PENDING, points)
            return self._record(entry)
        self._move(entry, lot, Bucket.AVAILABLE, points)
        if lot.lapsed(today):
            self._record(entry)
            self.expire([lot])
            return entry
        self._offset(entry, lot, points)
        return self._record(entry)

    def earn(self, points: int, *, terms: Terms, today: date, snapshot: dict[str, Any] | None = None) -> Entry:
        return self.grant(points, kind=Kind.EARN, terms=terms, today=today, snapshot=snapshot)

    def issue(self, points: int, *, terms: Terms, today: date) -> Entry:
        return self.grant(points, kind=Kind.ISSUE, terms=terms, today=today)

    def adjust(self, points: int, *, terms: Terms, today: date, allow_debt: bool = False) -> list[Entry]:
        """Add (a new lot) or remove (earliest expiry first) points by hand.

        Raises: InsufficientPoints, when more is removed than is there and debt is not allowed (CASES 70).
        """
        if points >= 0:
            return [self.grant(points, kind=Kind.ADJUST, terms=terms, today=today)]
        _check_points(-points)
        shortfall = max(0, -points - self.available)
        if shortfall and not (allow_debt and self.negative_allowed):
            raise InsufficientPoints(
                "insufficient_points",
                f"Only {self.available} points are available ({self.held} blocked, {self.pending} pending). Remove at most that.",
                available=self.available, held=self.held, pending=self.pending,
            )  # fmt: skip
        return self._take(-points, kind=Kind.ADJUST, lots=sorted(self.lots, key=_spending_order))

    # Holds

    def hold(self, hold: Hold, *, today: date) -> Entry:
        """Reserve points for a redemption at the till, earliest expiry first.

        Raises: InsufficientPoints, with what is available and what is held since when (CASES 5, 69).
        """
        _check_points(hold.points)
        assert self.lots_known
        usable = [lot for lot in sorted(self.lots, key=_spending_order) if lot.available and not lot.lapsed(today)]
        there = sum(lot.available for lot in usable)
        if there < hold.points:
            raise self._insufficient(there)
        entry = Entry(Kind.HOLD, hold=hold)
        for lot, points in _draw(usable, hold.points):
            self._move(entry, lot, Bucket.AVAILABLE, -points)
            self._move(entry, lot, Bucket.HELD, points)
            hold.parts.append((lot, points))
        self.holds.append(hold)
        return self._record(entry)

    def _insufficient(self, there: int) -> InsufficientPoints:
        sentence = f"{there} points are available."
        active = [hold for hold in self.holds if hold.state is HoldState.ACTIVE]
        since = min((hold.at for hold in active), default=None)
        if since is not None:
            sentence += f" {self.held} points are held since {since:%d %b %Y %H:%M}; they come back when that sale is completed or released."
        if self.owed:
            sentence += f" The customer owes {self.owed} points; the next points earned pay that first."
        return InsufficientPoints(
            "insufficient_points",
            sentence + " Redeem at most what is available.",
            available=there, held=self.held, owed=self.owed, held_since=since.isoformat() if since else None,
        )  # fmt: skip

    def release(self, hold: Hold, *, today: date, state: HoldState = HoldState.RELEASED) -> list[Entry]:
        """Give a hold's points back; what lapsed of them meanwhile expires at once and offsets nothing (CASES 12).

        Raises: DomainError `hold_ended`.
        """
        self._must_be_active(hold)
        self._end(hold, state=state)
        return self._give_back(hold, list(hold.parts), today=today)

    def capture(self, hold: Hold, points: int, *, on: date, today: date, bill_id: int | None = None) -> list[Entry]:
        """The completion bill came in time: spend the hold's own lots, release the rest, take what is more from available.

        `on` is the sale's date, by which lots beyond the hold must be alive; `today` decides what of the rest lapses.
        Vector 1c; CASES 1, 7.

        Raises: DomainError `hold_ended`, `late_shortfall`.
        """
        self._must_be_active(hold)
        _check_points(points)
        captured = min(points, hold.points)
        self._check_shortfall(points - captured, own=(), on=min(on, today))
        whole = captured == hold.points
        parts = sorted(hold.parts, key=lambda part: _spending_order(part[0]))
        self._end(hold, state=HoldState.CAPTURED if whole else HoldState.PARTLY_CAPTURED, bill_id=bill_id)
        entry = Entry(Kind.CAPTURE, hold=hold)
        rest: list[tuple[Lot, int]] = []
        for lot, held in parts:
            taken = min(held, captured + entry.held)
            if taken:
                self._move(entry, lot, Bucket.HELD, -taken)
            if held > taken:
                rest.append((lot, held - taken))
        entries = [self._record(entry)]
        if rest:
            entries += self._give_back(hold, rest, today=today)
        if points > captured:
            entries += self.redeem(points - captured, on=on, today=today, hold=hold)
        return entries

    def complete_late(self, hold: Hold, points: int, *, on: date, today: date, bill_id: int | None = None) -> list[Entry]:
        """The completion bill came after the hold's end: the sale is a fact (CASES 2-4, vectors 3c, 3d).

        First undo, whole, what the release expired; redeem from the hold's own lots, then from the others; what is lapsed
        `today` and unused expires again. The hold keeps its state.

        Raises: DomainError `late_shortfall`, when points are missing and the tenant allows no negative balance.
        """
        _check_points(points)
        first = hold.late_bill_id is None
        revived = hold.lapsed if first else []
        own = sorted(hold.parts, key=lambda part: _spending_order(part[0])) if first else []
        self._check_shortfall(points, own=own, on=min(on, today), revived=revived)
        entries: list[Entry] = []
        if revived:
            entry = Entry(Kind.REVERSAL, of_kind=Kind.EXPIRE, hold=hold)
            for lot, count in revived:
                self._move(entry, lot, Bucket.AVAILABLE, count)
                if lot not in self.lots:
                    self.lots.append(lot)
            entries.append(self._record(entry))
        entries += self.redeem(points, on=on, today=today, hold=hold, own=own)
        leftovers = [lot for lot, _ in revived if lot.available and lot.lapsed(today)]
        if leftovers:
            entries.append(self.expire(leftovers))
        if first:
            self._change(hold, late_bill_id=bill_id, late_points=points)
        return entries

    def redeem(
        self, points: int, *, on: date, today: date, hold: Hold | None = None, own: Iterable[tuple[Lot, int]] = ()
    ) -> list[Entry]:
        """Spend available points for a sale that already happened, first `own`, then earliest expiry first.

        Lots must have been alive on the sale's date `on`; a till whose clock runs ahead lapses nothing before `today`.
        What is missing becomes debt (a second entry) where the tenant allows it (CASES 18, vector 5a).

        Raises: DomainError `late_shortfall`.
        """
        _check_points(points)
        own = list(own)
        alive_on = min(on, today)
        self._check_shortfall(points, own=own, on=alive_on)
        usable = [lot for lot in sorted(self.lots, key=_spending_order) if not lot.lapsed(alive_on)]
        return self._take(points, kind=Kind.REDEEM, lots=usable, own=own, hold=hold)

    def expire(self, lots: list[Lot]) -> Entry:
        """Take what is available of lapsed lots."""
        entry = Entry(Kind.EXPIRE)
        for lot in lots:
            self._move(entry, lot, Bucket.AVAILABLE, -lot.available)
        return self._record(entry)

    # How the verbs work inside

    def _check_shortfall(
        self, points: int, *, own: Iterable[tuple[Lot, int]], on: date, revived: Iterable[tuple[Lot, int]] = ()
    ) -> None:
        """`own`: lots of an ended hold, whose points are honoured even when lapsed; `revived`: points it is about to get back."""
        assert self.lots_known
        back = {id(lot): count for lot, count in revived}
        lots = {id(lot): lot for lot in (*self.lots, *(lot for lot, _ in own))}
        honoured = {id(lot): most for lot, most in own}
        there = 0
        for key, lot in lots.items():
            available = lot.available + back.get(key, 0)
            there += min(available, honoured.get(key, 0)) if lot.lapsed(on) else available
        if points > there and not self.negative_allowed:
            raise DomainError(
                "late_shortfall",
                f"The sale spent {points} points, {there} are available, and this tenant allows no negative balance."
                " Issue the missing points or allow negative balances, then retry.",
                needed=points, available=there, held=self.held, owed=self.owed,
            )  # fmt: skip

    def _take(
        self, points: int, *, kind: Kind, lots: list[Lot], own: Iterable[tuple[Lot, int]] = (), hold: Hold | None = None
    ) -> list[Entry]:
        """Spend from `own` (up to the given points of each), then `lots`; the rest becomes debt."""
        assert self.lots_known
        entry = Entry(kind, hold=hold)
        for lot, most in own:
            taken = min(most, lot.available, points + entry.available)
            if taken:
                self._move(entry, lot, Bucket.AVAILABLE, -taken)
        for lot, taken in _draw([lot for lot in lots if lot.available], points + entry.available):
            self._move(entry, lot, Bucket.AVAILABLE, -taken)
        entries = [self._record(entry)] if entry.movements else []
        missing = points + entry.available
        if missing:
            # Debt beside available points would break law 2: what lapsed and waits for its expiry goes now.
            lapsed = [lot for lot in self.lots if lot.available]
            if lapsed:
                entries.append(self.expire(lapsed))
            debt = Debt(0, missing)
            self.debts.append(debt)
            self.owed += missing
            entries.append(self._record(Entry(Kind.DEBT, of_kind=kind, owed=missing, hold=hold, debt=debt)))
        return entries

    def _give_back(self, hold: Hold, parts: list[tuple[Lot, int]], *, today: date) -> list[Entry]:
        entry = Entry(Kind.RELEASE, hold=hold)
        for lot, points in parts:
            self._move(entry, lot, Bucket.HELD, -points)
            self._move(entry, lot, Bucket.AVAILABLE, points)
        lapsed = [(lot, points) for lot, points in parts if lot.lapsed(today)]
        for lot, points in parts:
            if not lot.lapsed(today):
                self._offset(entry, lot, points)
        entries = [self._record(entry)]
        if lapsed:
            expired = Entry(Kind.EXPIRE, hold=hold)
            for lot, points in lapsed:
                self._move(expired, lot, Bucket.AVAILABLE, -points)
            entries.append(self._record(expired))
            self._change(hold, lapsed=lapsed)
        return entries

    def _offset(self, entry: Entry, lot: Lot, points: int) -> None:
        """Points that become available pay what is owed first, oldest debt first, in the same entry."""
        left = min(self.owed, points)
        for debt in self.debts if left else ():
            paid = min(debt.unpaid, left)
            if paid:
                debt.unpaid -= paid
                left -= paid
                self._move(entry, lot, Bucket.AVAILABLE, -paid, debt=debt)
                entry.owed -= paid
                self.owed -= paid

    def _move(self, entry: Entry, lot: Lot, bucket: Bucket, delta: int, *, debt: Debt | None = None) -> None:
        """The only place where points of a lot change, with the entry's and the account's buckets."""
        if bucket is Bucket.AVAILABLE:
            lot.available += delta
            entry.available += delta
            self.available += delta
        elif bucket is Bucket.HELD:
            lot.held += delta
            entry.held += delta
            self.held += delta
        else:
            lot.pending += delta
            entry.pending += delta
            self.pending += delta
        entry.movements.append(Movement(lot, bucket, delta, debt))

    def _record(self, entry: Entry) -> Entry:
        entry.operation = self.operation
        self.entries.append(entry)
        return entry

    def _must_be_active(self, hold: Hold) -> None:
        if hold.state is not HoldState.ACTIVE:
            raise DomainError(
                "hold_ended", f"This redemption is already {hold.state}. Nothing was changed.", state=hold.state.value
            )

    def _end(self, hold: Hold, *, state: HoldState, bill_id: int | None = None) -> None:
        assert state in TRANSITIONS[hold.state]
        self._change(hold, state=state, bill_id=bill_id)

    def _change(self, hold: Hold, **new: Any) -> None:
        self._hold_changes.append((hold, {name: getattr(hold, name) for name in new}, self.operation))
        for name, value in new.items():
            setattr(hold, name, value)

    # One operation of several verbs is all or nothing

    def mark(self) -> tuple[int, int]:
        """Where the account stands, for `back_to`."""
        return len(self.entries), len(self._hold_changes)

    def back_to(self, mark: tuple[int, int]) -> None:
        """Undo every verb since the mark, so that a refused operation of several verbs leaves nothing behind."""
        for entry in reversed(self.entries[mark[0] :]):
            for move in reversed(entry.movements):
                self._unmove(move)
            if entry.debt is not None:
                self.debts.remove(entry.debt)
                self.owed -= entry.owed
            if entry.lot is not None:
                self.lots.remove(entry.lot)
            if entry.kind is Kind.HOLD and entry.hold is not None:
                self.holds.remove(entry.hold)
                entry.hold.parts.clear()
        del self.entries[mark[0] :]
        for hold, old, _ in reversed(self._hold_changes[mark[1] :]):
            for name, value in old.items():
                setattr(hold, name, value)
        del self._hold_changes[mark[1] :]

    def _unmove(self, move: Movement) -> None:
        setattr(move.lot, move.bucket.value, getattr(move.lot, move.bucket.value) - move.delta)
        setattr(self, move.bucket.value, getattr(self, move.bucket.value) - move.delta)
        if move.debt is not None:
            move.debt.unpaid -= move.delta
            self.owed -= move.delta

    def changed_holds(self) -> list[tuple[Hold, Any]]:
        """Each changed hold once, with the operation that changed it first: what ended it."""
        changed: dict[int, tuple[Hold, Any]] = {}
        for hold, _, operation in self._hold_changes:
            changed.setdefault(id(hold), (hold, operation))
        return list(changed.values())

    def written(self) -> None:
        """Forget what was recorded: it is in the database now."""
        self.entries.clear()
        self._hold_changes.clear()


def _check_points(points: int) -> None:
    if not 0 < points <= POINTS_MAX:
        raise DomainError("points_invalid", f"Points must be a whole number from 1 to {POINTS_MAX:,}.", points=points)


def _draw(lots: Iterable[Lot], points: int) -> Iterator[tuple[Lot, int]]:
    """How many available points each lot gives, in the given order, until `points` are together."""
    for lot in lots:
        if points <= 0:
            return
        taken = min(lot.available, points)
        points -= taken
        yield lot, taken
