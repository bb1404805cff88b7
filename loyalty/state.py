"""The nouns of the ledger, and one customer's points with the few moves that change them. Pure: no database, no clock.

Every change of points goes through `State.move`, `State.pay` or `State.owe`, every other change through `State.change`, so that
`back_to` can undo a refused operation to the last point.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from tenants.errors import DomainError
from tenants.saying import said

POINTS_MAX = 10**12
#: Dates people mean: no rule begins before, nothing is valid beyond.
DATE_MIN, DATE_MAX = date(1990, 1, 1), date(2200, 1, 1)


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
    """Where points are. A lot's are pending, available or held; `owed` has no lot: a debt has no points in it."""

    PENDING = "pending"
    AVAILABLE = "available"
    HELD = "held"
    OWED = "owed"


LOT_BUCKETS = (Bucket.PENDING, Bucket.AVAILABLE, Bucket.HELD)


class HoldState(StrEnum):
    """Active, then one of the ends, once; no end is ever left."""

    ACTIVE = "active"
    CAPTURED = "captured"
    PARTLY_CAPTURED = "partly_captured"
    RELEASED = "released"
    EXPIRED = "expired"


@dataclass(slots=True, eq=False)
class Lot:
    """Points granted at one time. Its id is its granting entry's, 0 until written.

    `expires_on` is the first day on which its points can no longer be spent; None: never. `expired`: what of it ran out unspent; known
    where it is needed, for lots whose granting is to be undone.
    """

    granted_on: date
    activates_on: date | None
    expires_on: date | None
    id: int = 0
    pending: int = 0
    available: int = 0
    held: int = 0
    expired: int = 0

    def lapsed(self, today: date) -> bool:
        return self.expires_on is not None and self.expires_on <= today


@dataclass(slots=True, eq=False)
class Debt:
    """A debt entry (its id, 0 until written) and what of it is not paid yet.

    `payers`: which lots paid how much of it by offset, oldest payment first, less what was refilled. Known where it is needed:
    for debts made in this book, and for those that an operation under reversal made.
    """

    id: int
    unpaid: int
    payers: tuple[tuple[Lot, int], ...] = ()
    #: What the operation under way will owe again of it.
    coming: int = 0


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
    """Points of one lot into (+) or out of (-) one bucket.

    `debt`: what was paid of it (-; by the lot's points, or, in the bucket `owed`, by no points at all), or what of a payment the lot gets
    back (+; in the bucket `owed`: what had been lifted is owed again). What is unpaid of a debt is its entry's `owed` and the sum of these.
    """

    lot: Lot | None
    bucket: Bucket
    delta: int
    debt: Debt | None = None


@dataclass(slots=True, eq=False)
class Entry:
    """One row of the ledger to be. `id` is 0 until written. `of_entry`: the entry that this one undoes or carries over."""

    kind: Kind
    pending: int = 0
    available: int = 0
    held: int = 0
    owed: int = 0
    of_kind: Kind | None = None
    of_entry: int | None = None
    movements: list[Movement] = field(default_factory=list)
    lot: Lot | None = None
    hold: Hold | None = None
    debt: Debt | None = None
    snapshot: dict[str, Any] | None = None
    operation: Any = None
    id: int = 0

    @property
    def expires(self) -> bool:
        """Whether it lets points run out, or takes that back."""
        return self.kind is Kind.EXPIRE or self.of_kind is Kind.EXPIRE

    @property
    def empty(self) -> bool:
        return not (self.movements or self.owed or self.kind is Kind.EXTEND or self.of_kind is Kind.EXTEND)


@dataclass(slots=True, frozen=True)
class Terms:
    """When granted points become available and when they lapse."""

    granted_on: date
    expires_on: date | None
    activates_on: date | None = None


class InsufficientPoints(DomainError):
    """Fewer points are available than asked for."""


def spending_order(lot: Lot) -> tuple[date, date, int]:
    """Earliest expiry first, then oldest; lots not yet written are the youngest."""
    return lot.expires_on or date.max, lot.granted_on, lot.id or 2**63


def check_points(points: int) -> None:
    """Raises: DomainError `points_invalid`: not a whole number from 1 to `POINTS_MAX`."""
    if isinstance(points, bool) or not isinstance(points, int) or not 0 < points <= POINTS_MAX:
        told = said("Points must be a whole number from 1 to {most:,}.", most=POINTS_MAX)
        raise DomainError("points_invalid", told, points=str(points)[:40])


def check_day(day: date, *, path: str) -> None:
    """Raises: DomainError `date_far`: a day that nobody means."""
    if not DATE_MIN <= day <= DATE_MAX:
        told = said(
            "{day} is too far away. Choose a day between {first} and {last}.",
            day=day.isoformat(), first=DATE_MIN.year, last=DATE_MAX.year,
        )  # fmt: skip
        raise DomainError("date_far", told, path=path)


class State:
    """The four buckets, lots, open holds and debts of one customer; `entries` is what was recorded, in order."""

    __slots__ = (
        "_changes", "available", "customer_id", "debts", "entries", "held", "holds", "lots", "lots_known", "negative_allowed",
        "operation", "owed", "pending", "version",
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
        version: int = 0,
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
        #: How many entries the customer had when the account was opened: it never repeats, and so makes a key.
        self.version = version
        self.entries: list[Entry] = []
        self.operation: Any = None
        self._changes: list[tuple[Any, dict[str, Any], Any]] = []

    @property
    def closing(self) -> int:
        return self.available + self.held - self.owed

    # The moves

    def draft(self, kind: Kind, **fields: Any) -> Entry:
        """A new entry of the operation, recorded already; `in_order` takes it out again if nothing moves."""
        entry = Entry(kind, operation=self.operation, **fields)
        self.entries.append(entry)
        return entry

    def move(self, entry: Entry, lot: Lot, bucket: Bucket, delta: int, *, debt: Debt | None = None) -> None:
        """Points of a lot into or out of a bucket, with the entry's and the account's."""
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
        if entry.expires:
            lot.expired -= delta
        if debt is not None:
            self._settle_debt(entry, debt, delta)
        entry.movements.append(Movement(lot, bucket, delta, debt))

    def offset(self, entry: Entry, lot: Lot, points: int) -> None:
        """Points that became available pay what is owed first, oldest debt first, in the same entry."""
        left = min(self.owed, points)
        for debt in self.debts if left else ():
            paid = min(debt.unpaid, left)
            if paid:
                left -= paid
                self.change(debt, payers=(*debt.payers, (lot, paid)))
                self.move(entry, lot, Bucket.AVAILABLE, -paid, debt=debt)

    def forgive(self, entry: Entry, debt: Debt, points: int) -> None:
        """Less is owed, and no points paid for it: the redemption was undone, or an agent cleared it."""
        entry.movements.append(Movement(None, Bucket.OWED, -points, debt))
        self._settle_debt(entry, debt, -points)

    def _settle_debt(self, entry: Entry, debt: Debt, delta: int) -> None:
        debt.unpaid += delta
        entry.owed += delta
        self.owed += delta

    def give_back_payments(self, entry: Entry, debt: Debt, points: int) -> list[tuple[Lot, int]]:
        """Lots get back what they had paid of a debt, the last payment first; it is owed again. -> which lot got how much."""
        payers = list(debt.payers)
        given: list[tuple[Lot, int]] = []
        while points and payers:
            lot, paid = payers.pop()
            back = min(paid, points)
            points -= back
            if paid > back:
                payers.append((lot, paid - back))
            self.move(entry, lot, Bucket.AVAILABLE, back, debt=debt)
            given.append((lot, back))
        self.change(debt, payers=tuple(payers))
        return given

    def carry_debt(self, entry: Entry, debt: Debt, sign: int) -> None:
        """A debt changes its owner with what is unpaid of it: away (-1) or here (+1)."""
        entry.owed += sign * debt.unpaid
        self.owed += sign * debt.unpaid
        if sign > 0:
            self.debts.append(debt)
        else:
            self.debts.remove(debt)

    def owe(self, entry: Entry, points: int) -> Debt:
        """The entry makes a debt."""
        debt = Debt(0, points)
        self.debts.append(debt)
        self.owed += points
        entry.owed += points
        entry.debt = debt
        return debt

    def owe_again(self, entry: Entry, debt: Debt, points: int) -> None:
        """What was lifted of a debt is owed again. The entry makes no debt of its own."""
        if debt not in self.debts:
            self.debts.append(debt)
        entry.movements.append(Movement(None, Bucket.OWED, points, debt))
        self._settle_debt(entry, debt, points)

    def change(self, thing: Any, **new: Any) -> None:
        """Set fields of a hold, lot, debt or effect that are not points in a bucket."""
        self._changes.append((thing, {name: getattr(thing, name) for name in new}, self.operation))
        for name, value in new.items():
            setattr(thing, name, value)

    def end_hold(self, hold: Hold, state: HoldState, *, bill_id: int | None = None) -> None:
        """Raises: DomainError `hold_ended`."""
        self.check_active(hold)
        self.change(hold, state=state, bill_id=bill_id if bill_id is not None else hold.bill_id)

    @staticmethod
    def check_active(hold: Hold) -> None:
        """Raises: DomainError `hold_ended`: a hold ends once (CASES 10)."""
        if hold.state is not HoldState.ACTIVE:
            told = said("This redemption is already {state}. Nothing was changed.", state=said(hold.state.value))
            raise DomainError("hold_ended", told, state=hold.state.value)

    # One operation of several steps is all or nothing

    def mark(self) -> tuple[int, int]:
        """Where the account stands, for `back_to`."""
        return len(self.entries), len(self._changes)

    def back_to(self, mark: tuple[int, int]) -> None:
        """Undo everything since the mark, so that a refused operation leaves nothing behind."""
        undone = self.entries[mark[0] :]
        for entry in undone:
            for move in entry.movements:
                self._unmove(entry, move)
        for entry in undone:
            if entry.debt is not None:
                self.debts.remove(entry.debt)
                self.owed -= entry.debt.unpaid
            if entry.lot is not None:
                self.lots.remove(entry.lot)
            if entry.kind is Kind.HOLD and entry.hold is not None:
                self.holds.remove(entry.hold)
                entry.hold.parts.clear()
        del self.entries[mark[0] :]
        for thing, old, _ in reversed(self._changes[mark[1] :]):
            for name, value in old.items():
                setattr(thing, name, value)
        del self._changes[mark[1] :]

    def _unmove(self, entry: Entry, move: Movement) -> None:
        if move.lot is not None:
            move.lot.expired += move.delta if entry.expires else 0
            setattr(move.lot, move.bucket.value, getattr(move.lot, move.bucket.value) - move.delta)
            setattr(self, move.bucket.value, getattr(self, move.bucket.value) - move.delta)
        if move.debt is not None:
            move.debt.unpaid -= move.delta
            self.owed -= move.delta

    @contextmanager
    def whole(self) -> Iterator[None]:
        """A refusal inside leaves the account as it was."""
        mark = self.mark()
        try:
            yield
        except DomainError:
            self.back_to(mark)
            raise

    def in_order(self, begin: int, entries: Iterable[Entry]) -> list[Entry]:
        """Put the entries recorded since `begin` into this order, without those in which nothing moved; -> what is left."""
        kept = [entry for entry in entries if not entry.empty]
        self.entries[begin:] = kept
        return kept

    def changed_holds(self) -> list[tuple[Hold, Any]]:
        """Each changed hold once, with the operation that changed it first: what ended it."""
        changed: dict[int, tuple[Hold, Any]] = {}
        for thing, _, operation in self._changes:
            if isinstance(thing, Hold):
                changed.setdefault(id(thing), (thing, operation))
        return list(changed.values())

    def extended_lots(self) -> list[Lot]:
        """Lots whose expiry was moved."""
        return list(
            {id(thing): thing for thing, old, _ in self._changes if isinstance(thing, Lot) and "expires_on" in old}.values()
        )

    def written(self) -> None:
        """Forget what was recorded: it is in the database now."""
        self.entries.clear()
        self._changes.clear()
