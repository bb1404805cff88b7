"""One customer's points and the verbs that move them: the functional core of the ledger.

No database, no clock, no randomness. A verb first checks everything, then changes the account and records its entries;
a refusal raises a `DomainError` and leaves the account as it was. The rules are in docs/ledger.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from loyalty.netting import Grant, Missing, Return, Settled, Spend, Take, free_hold, settle
from loyalty.state import (
    Bucket,
    Debt,
    Entry,
    Hold,
    HoldState,
    InsufficientPoints,
    Kind,
    Lot,
    State,
    Terms,
    check_day,
    check_points,
    spending_order,
)
from tenants.errors import DomainError
from tenants.saying import said


@dataclass(slots=True, eq=False)
class Effect:
    """What an entry of an earlier operation did, as far as nothing has undone it yet.

    `points`: what was not undone of it; `credit`: whether it gave points. `parts` of a debit: where its points came from, last drawn
    first; of a credit: the lots it gave to. `debt`: what could not be covered. `forgiven`: what it let the customer off, by debt.
    `expiry`: the lots whose date it moved, from when to when. `snapshot`: why a credit gave what it gave.
    `of_entry`: the entry that it undid itself, as a return does.
    """

    entry_id: int
    kind: Kind
    points: int
    credit: bool = False
    of_kind: Kind | None = None
    parts: tuple[tuple[Lot, Bucket, int], ...] = ()
    debt: Debt | None = None
    forgiven: tuple[tuple[Debt, int], ...] = ()
    hold: Hold | None = None
    expiry: tuple[tuple[Lot, date | None, date | None], ...] = field(default=())
    snapshot: dict[str, Any] | None = None
    of_entry: int | None = None

    @classmethod
    def of(cls, entry: Entry, *, lots: Iterable[Lot]) -> "Effect | None":
        """None: nothing in it can be undone (a hold, a release with what it let expire, an activation, a reversal with its debt, a merge)."""
        kind = entry.kind
        if kind is Kind.DEBT and (entry.of_entry is None or entry.of_kind is Kind.ROLLBACK):
            return cls(
                entry.id, kind, entry.owed, of_kind=entry.of_kind, debt=entry.debt, hold=entry.hold, of_entry=entry.of_entry
            )  # fmt: skip
        if kind is Kind.EXTEND:
            by_id = {lot.id: lot for lot in lots}
            moved = entry.snapshot["lots"] if entry.snapshot else []
            expiry = tuple((by_id[each["lot"]], _date(each["from"]), _date(each["to"])) for each in moved)
            return cls(entry.id, kind, 0, expiry=expiry)
        if kind in (Kind.EARN, Kind.BONUS, Kind.ISSUE, Kind.RESTORE) or (kind is Kind.ADJUST and entry.lot is not None):
            # What a lot got back of its payment is no gift: the lot pays again when the debt stands again.
            given = tuple(
                (move.lot, move.bucket, move.delta) for move in entry.movements if move.lot and move.delta > 0 and not move.debt
            )
            return cls(
                entry.id, kind, sum(part[2] for part in given), credit=True, parts=given, forgiven=_forgiven(entry),
                snapshot=entry.snapshot, of_entry=entry.of_entry,
            )  # fmt: skip
        debits = (Kind.REDEEM, Kind.CAPTURE, Kind.EXPIRE, Kind.ROLLBACK, Kind.ADJUST, Kind.RESET)
        if kind in debits and not (kind is Kind.EXPIRE and entry.hold):
            taken = tuple(
                (move.lot, Bucket.PENDING if move.bucket is Bucket.PENDING else Bucket.AVAILABLE, -move.delta)
                for move in reversed(entry.movements)
                if move.lot
            )
            return cls(
                entry.id, kind, sum(part[2] for part in taken), parts=taken, forgiven=_forgiven(entry), hold=entry.hold,
                of_entry=entry.of_entry,
            )  # fmt: skip
        return None

    @property
    def cleared(self) -> int:
        """What the customer was let off."""
        return sum(points for _, points in self.forgiven)

    @property
    def standing(self) -> int:
        """What can still be taken back or given back.

        Not what was undone; of a credit, not what ran out unspent; of a debt, not what an agent let the customer off.
        """
        if self.debt is not None:
            return min(self.points, self.debt.unpaid + self.debt.coming + sum(paid for _, paid in self.debt.payers))
        if not self.credit:
            return self.points
        return max(0, self.points - sum(lot.expired for lot in dict.fromkeys(lot for lot, _, _ in self.parts)))

    def used(self, points: int, *, wholly: bool) -> None:
        """So many of its points were undone before. `wholly`: dates and cleared debts, which are undone once, were as well."""
        self.points -= min(points, self.points)
        if not self.credit and self.debt is None:
            self.parts = _split(self.parts, points)[1]
        if wholly:
            self.forgiven, self.expiry = (), ()


def effects_of(entries: Iterable[Entry], *, lots: Iterable[Lot]) -> list[Effect]:
    """What the entries of one operation did. What a credit let expire on its way is no effect of its own."""
    lots = list(lots)
    found = [effect for entry in entries if (effect := Effect.of(entry, lots=lots))]
    alone = all(effect.kind is Kind.EXPIRE for effect in found)
    return [effect for effect in found if alone or effect.kind is not Kind.EXPIRE]


class Account(State):
    """The verbs. Each returns the entries it recorded."""

    __slots__ = ()

    # Credits

    def grant(self, points: int, *, kind: Kind, terms: Terms, today: date, snapshot: dict[str, Any] | None = None) -> Entry:
        """Give points as a new lot: pending, or available and then offset against debt first.

        A lot that has lapsed already (a late bill) is posted and expired together, and never offsets.

        Raises: DomainError `points_invalid`.
        """
        check_points(points)
        lot = Lot(terms.granted_on, terms.activates_on, terms.expires_on)
        # Nothing to net, as for nearly every grant of a batch: the same entry as `settle` would make, at a third of its cost.
        if self.owed or lot.lapsed(today):
            return settle(self, today=today, grants=[Grant(kind, points, terms, snapshot)]).entries[0]
        self.lots.append(lot)
        entry = self.draft(kind, lot=lot, snapshot=snapshot)
        pending = terms.activates_on is not None and terms.activates_on > today
        self.move(entry, lot, Bucket.PENDING if pending else Bucket.AVAILABLE, points)
        return entry

    def earn(self, points: int, *, terms: Terms, today: date, snapshot: dict[str, Any] | None = None) -> Entry:
        return self.grant(points, kind=Kind.EARN, terms=terms, today=today, snapshot=snapshot)

    def issue(self, points: int, *, terms: Terms, today: date) -> Entry:
        return self.grant(points, kind=Kind.ISSUE, terms=terms, today=today)

    def activate(self, lots: Iterable[Lot] | None = None, *, today: date) -> list[Entry]:
        """Pending points whose day has come are available; they pay what is owed first (CASES 67, vector 2d)."""
        due = [
            lot for lot in (self.lots if lots is None else lots) if lot.pending and lot.activates_on and lot.activates_on <= today
        ]
        begin = len(self.entries)
        entry, lapsed = self.draft(Kind.ACTIVATE), self.draft(Kind.EXPIRE)
        for lot in sorted(due, key=spending_order):
            points = lot.pending
            self.move(entry, lot, Bucket.PENDING, -points)
            self.move(entry, lot, Bucket.AVAILABLE, points)
            if lot.lapsed(today):
                self.move(lapsed, lot, Bucket.AVAILABLE, -points)
            else:
                self.offset(entry, lot, points)
        return self.in_order(begin, [entry, lapsed])

    # By hand

    def adjust(self, points: int, *, terms: Terms, today: date, allow_debt: bool = False) -> list[Entry]:
        """Add (a new lot) or remove (earliest expiry first) points by hand.

        Raises: InsufficientPoints, when more is removed than is there and debt is not allowed (CASES 70).
        """
        if not isinstance(points, int) or points >= 0:
            return [self.grant(points, kind=Kind.ADJUST, terms=terms, today=today)]
        check_points(-points)
        if -points > self.available and not (allow_debt and self.negative_allowed):
            raise InsufficientPoints(
                "insufficient_points",
                said(
                    "Only {available} points are available ({held} blocked, {pending} pending). Remove at most that.",
                    available=self.available, held=self.held, pending=self.pending,
                ),
                available=self.available, held=self.held, pending=self.pending,
            )  # fmt: skip
        return settle(self, today=today, takes=[Take(Kind.ADJUST, -points, lapsed_too=True)]).entries

    def reset(self, *, today: date, clear_debt: bool = False, pending: bool = False, holds: bool = False) -> list[Entry]:
        """Available points to 0; what is owed, pending and blocked points only when asked (CASES 71). Nothing there: no entries."""
        begin = len(self.entries)
        for hold in [each for each in self.holds if each.state is HoldState.ACTIVE] if holds else []:
            self.release(hold, today=today)
        entry = self.draft(Kind.RESET)
        for lot in sorted(self.lots, key=spending_order):
            for bucket in (Bucket.PENDING, Bucket.AVAILABLE) if pending else (Bucket.AVAILABLE,):
                if points := getattr(lot, bucket.value):
                    self.move(entry, lot, bucket, -points)
        for debt in self.debts if clear_debt else []:
            if debt.unpaid:
                self.forgive(entry, debt, debt.unpaid)
        return self.in_order(begin, self.entries[begin:])

    def extend(self, lots: Sequence[Lot], *, until: date, today: date) -> Entry:
        """Move the expiry of what remains of these lots to `until`, the first day without them (CASES 77).

        Raises: DomainError `expiry_not_later`, `lot_spent`, `date_far`.
        """
        check_day(until, path="until")
        for lot in lots:
            if not lot.pending + lot.available + lot.held:
                raise DomainError(
                    "lot_spent", said("Nothing remains of these points, so there is nothing to extend."), lot=lot.id
                )
            if until <= today or lot.expires_on is None or lot.expires_on >= until:
                raise DomainError(
                    "expiry_not_later", said("The new date must lie ahead, and later than the points' present one. Choose a later date."),
                    lot=lot.id, expires_on=lot.expires_on, until=until,
                )  # fmt: skip
        snapshot = [
            {
                "lot": lot.id,
                "from": _iso(lot.expires_on),
                "to": until.isoformat(),
                "points": lot.pending + lot.available + lot.held,
            }
            for lot in lots
        ]
        for lot in lots:
            self.change(lot, expires_on=until)
        return self.draft(Kind.EXTEND, snapshot={"lots": snapshot})

    # Holds

    def hold(self, hold: Hold, *, today: date) -> Entry:
        """Reserve points for a redemption at the till, earliest expiry first.

        Raises: InsufficientPoints, with what is available and what is held since when (CASES 5, 69).
        """
        check_points(hold.points)
        assert self.lots_known
        usable = [lot for lot in sorted(self.lots, key=spending_order) if lot.available and not lot.lapsed(today)]
        there = sum(lot.available for lot in usable)
        if there < hold.points:
            raise self._insufficient(there)
        entry = self.draft(Kind.HOLD, hold=hold)
        left = hold.points
        for lot in usable:
            if points := min(lot.available, left):
                self.move(entry, lot, Bucket.AVAILABLE, -points)
                self.move(entry, lot, Bucket.HELD, points)
                hold.parts.append((lot, points))
                left -= points
        self.holds.append(hold)
        return entry

    def _insufficient(self, there: int) -> InsufficientPoints:
        sentences = [said("{points} points are available.", points=there)]
        active = [hold for hold in self.holds if hold.state is HoldState.ACTIVE]
        since = min((hold.at for hold in active), default=None)
        if since is not None:
            come_back = said(
                "{points} points are held since {since}; they come back when that sale is completed or released.",
                points=self.held, since=f"{since:%d %b %Y %H:%M}",
            )  # fmt: skip
            sentences.append(come_back)
        if self.owed:
            sentences.append(said("The customer owes {points} points; the next points earned pay that first.", points=self.owed))
        return InsufficientPoints(
            "insufficient_points",
            " ".join([*sentences, said("Redeem at most what is available.")]),
            available=there, held=self.held, owed=self.owed, held_since=since.isoformat() if since else None,
        )  # fmt: skip

    def release(self, hold: Hold, *, today: date, state: HoldState = HoldState.RELEASED) -> list[Entry]:
        """Give a hold's points back; what lapsed of them meanwhile expires at once and offsets nothing (CASES 12).

        Raises: DomainError `hold_ended`.
        """
        return free_hold(self, hold, state_after=state, today=today)

    def capture(self, hold: Hold, points: int, *, on: date, today: date, bill_id: int | None = None) -> list[Entry]:
        """The completion bill came in time: spend the hold's own lots, release the rest, take what is more from available.

        `on` is the sale's date, by which lots beyond the hold must be alive; `today` decides what of the rest lapses.
        Vector 1c; CASES 1, 7.

        Raises: DomainError `hold_ended`, `late_shortfall`.
        """
        self.check_active(hold)
        return settle(self, today=today, spends=[Spend(points, on, hold, bill_id=bill_id)]).entries

    def complete_late(self, hold: Hold, points: int, *, on: date, today: date, bill_id: int | None = None) -> list[Entry]:
        """The completion bill came after the hold's end: the sale is a fact (CASES 2-4, vectors 3c, 3d).

        First undo, whole, what the release expired; redeem from the hold's own lots, then from the others; what is lapsed
        `today` and unused expires again. The hold keeps its state.

        Raises: DomainError `late_shortfall`, when points are missing and the tenant allows no negative balance.
        """
        returns, spend = self.late(hold, points, on=on, bill_id=bill_id)
        entries = settle(self, today=today, returns=returns, spends=[spend]).entries
        if hold.late_bill_id is None:
            self.change(hold, late_bill_id=bill_id, late_points=points)
        return entries

    @staticmethod
    def late(hold: Hold, points: int, *, on: date, bill_id: int | None) -> tuple[list[Return], Spend]:
        """What a completion after the hold's end comes to: the undone expiry, and the redemption from the hold's own lots."""
        if hold.late_bill_id is not None:
            return [], Spend(points, on, hold, bill_id=bill_id)
        return Account.revived(hold), Spend(points, on, hold, own=list(hold.parts), bill_id=bill_id)

    @staticmethod
    def revived(hold: Hold) -> list[Return]:
        """What the hold's end had expired, undone whole, once."""
        lapsed = [(lot, Bucket.AVAILABLE, count) for lot, count in hold.lapsed]
        return [Return(Kind.REVERSAL, of_kind=Kind.EXPIRE, parts=lapsed, hold=hold)] if lapsed else []

    def redeem(self, points: int, *, on: date, today: date, hold: Hold | None = None) -> list[Entry]:
        """Spend available points for a sale that already happened, earliest expiry first.

        Lots must have been alive on the sale's date `on`; a till whose clock runs ahead lapses nothing before `today`.
        What is missing becomes debt (a second entry) where the tenant allows it (CASES 18, vector 5a).

        Raises: DomainError `late_shortfall`.
        """
        return settle(self, today=today, spends=[Spend(points, on, hold)]).entries

    def expire(self, lots: Iterable[Lot]) -> list[Entry]:
        """Take what is pending or available of these lots; what is held of them is not touched (CASES 12, 73)."""
        begin = len(self.entries)
        entry = self.draft(Kind.EXPIRE)
        for lot in lots:
            for bucket in (Bucket.PENDING, Bucket.AVAILABLE):
                if points := getattr(lot, bucket.value):
                    self.move(entry, lot, bucket, -points)
        return self.in_order(begin, [entry])

    # Undoing

    def rollback(self, effects: Sequence[tuple[Effect, int]], *, today: date, missing: Missing = Missing.OWE) -> Settled:
        """A return takes earned points back: so many of each effect (CASES 58, 59; vectors 1d, 2b)."""
        with self.whole():
            return settle(self, today=today, takes=self.taking_back(effects, missing=missing))

    def restore(self, effects: Sequence[Effect], points: int, *, today: date) -> Settled:
        """A return gives redeemed points back, with their original expiry; the lapsed share expires at once (vector 1d)."""
        with self.whole():
            return settle(self, today=today, returns=self.giving_back(effects, points))

    def reverse(self, effects: Sequence[Effect], *, today: date, missing: Missing = Missing.OWE) -> Settled:
        """Undo what stands of an operation: credits are taken back, debits return to their lots, a debt is lifted (vectors 4-7)."""
        begin = len(self.entries)
        with self.whole():
            shortened = [lot for effect in effects for lot in self._undo_extension(effect)]
            returns, takes = self.undoing(effects, missing=missing)
            settled = settle(self, today=today, returns=returns, takes=takes)
            self.expire([lot for lot in shortened if lot.lapsed(today)])
        return replace(settled, entries=self.entries[begin:])

    def undoing(self, effects: Sequence[Effect], *, missing: Missing = Missing.OWE) -> tuple[list[Return], list[Take]]:
        """The returns and takes that undo these effects whole; their points are used up."""
        returns: list[Return] = []
        takes: list[Take] = []
        for effect in effects:
            if effect.credit:
                takes += self.taking_back([(effect, effect.standing)], missing=missing, kind=Kind.REVERSAL)
            else:
                returns += self.giving_back([effect], effect.standing, kind=Kind.REVERSAL)
            for debt, points in effect.forgiven:
                takes.append(Take(Kind.REVERSAL, points, debt=debt, of_kind=effect.kind, of_entry=effect.entry_id))
                self.change(debt, coming=debt.coming + points)
            if effect.forgiven:
                self.change(effect, forgiven=())
        return returns, takes

    def taking_back(
        self, effects: Sequence[tuple[Effect, int]], *, missing: Missing = Missing.OWE, kind: Kind = Kind.ROLLBACK
    ) -> list[Take]:
        """So many points of each credit, from its own lots first. Raises: DomainError `beyond_effect`."""
        takes = []
        for effect, points in effects:
            if not points:
                continue
            _check_standing(effect.standing, points)
            own = [(lot, count) for lot, _, count in reversed(effect.parts)]
            of_kind = effect.kind if kind is Kind.REVERSAL else None
            takes.append(Take(kind, points, own, of_kind=of_kind, of_entry=effect.entry_id, missing=missing))
            self.change(effect, points=effect.points - points)
        return takes

    def giving_back(self, effects: Sequence[Effect], points: int, *, kind: Kind = Kind.RESTORE) -> list[Return]:
        """Points of these debits, the last one first: what was owed before what was there, lots in the reverse order of drawing.

        Raises: DomainError `beyond_effect`.
        """
        _check_standing(sum(effect.standing for effect in effects), points)
        returns = []
        for effect in reversed(effects):
            count = min(points, effect.standing)
            if not count:
                continue
            points -= count
            of_kind = effect.kind if kind is Kind.REVERSAL else None
            back = Return(kind, of_kind=of_kind, of_entry=effect.entry_id, hold=effect.hold)
            if effect.debt is not None:
                back.debts = [(effect.debt, count)]
                self.change(effect, points=effect.points - count)
            else:
                back.parts, left = _split(effect.parts, count)
                self.change(effect, points=effect.points - count, parts=left)
            returns.append(back)
        return returns

    def _undo_extension(self, effect: Effect) -> list[Lot]:
        """-> the lots that have their old date again; it may have passed."""
        if not effect.expiry:
            return []
        lots = [lot for lot, _, _ in effect.expiry]
        if any(lot.expires_on != after for lot, _, after in effect.expiry):
            raise DomainError(
                "not_reversible",
                said("The date of these points was moved again since. Undo the later extension first."),
                kind=Kind.EXTEND.value,
            )
        moved = [{"lot": lot.id, "from": _iso(lot.expires_on), "to": _iso(before)} for lot, before, _ in effect.expiry]
        for lot, before, _ in effect.expiry:
            self.change(lot, expires_on=before)
        self.draft(Kind.REVERSAL, of_kind=Kind.EXTEND, of_entry=effect.entry_id, snapshot={"lots": moved})
        self.change(effect, expiry=())
        return lots


def merge(source: Account, into: Account, *, today: date) -> list[Entry]:
    """Everything of `source` goes over to `into`: lots and holds with their dates, debts, pending points (CASES 95, vector 6).

    One entry a lot, hold and debt on each side; these do not offset, one last entry on the survivor does, earliest expiry first.
    """
    assert source.lots_known and into.lots_known
    begin = len(into.entries)
    for lot in sorted(source.lots, key=spending_order):
        _carry(source, into, lot=lot)
    for hold in [each for each in source.holds if each.state is HoldState.ACTIVE]:
        _carry(source, into, hold=hold)
    for debt in [each for each in source.debts if each.unpaid]:
        _carry_debt(source, into, debt)
    into.lots += source.lots
    into.holds += source.holds
    source.lots, source.holds = [], []
    _offset_all(into, today=today)
    return into.entries[begin:]


def _carry(source: Account, into: Account, *, lot: Lot | None = None, hold: Hold | None = None) -> None:
    """Move a lot's pending and available points, or a hold's held ones, from one account to the other."""
    parts: list[tuple[Lot, Bucket, int]] = []
    if lot is not None:
        parts = [(lot, bucket, points) for bucket in (Bucket.PENDING, Bucket.AVAILABLE) if (points := getattr(lot, bucket.value))]
    elif hold is not None:
        parts = [(part, Bucket.HELD, points) for part, points in hold.parts]
    if not parts:
        return
    out, come = source.draft(Kind.MERGE, hold=hold), into.draft(Kind.MERGE, hold=hold)
    for part, bucket, points in parts:
        source.move(out, part, bucket, -points)
        into.move(come, part, bucket, points)


def _offset_all(account: Account, *, today: date) -> None:
    """Debt and points that came together meet; lapsed points beside a debt expire."""
    entry = account.draft(Kind.MERGE)
    for lot in sorted(account.lots, key=spending_order):
        if lot.available and not lot.lapsed(today):
            account.offset(entry, lot, lot.available)
    if entry.empty:
        account.entries.remove(entry)
    if account.owed:
        account.expire([lot for lot in account.lots if lot.available])


def _carry_debt(source: Account, into: Account, debt: Debt) -> None:
    """The debt stays the same one; whoever has the last entry about it owes it."""
    source.carry_debt(source.draft(Kind.MERGE, of_entry=debt.id or None), debt, -1)
    into.carry_debt(into.draft(Kind.MERGE, of_entry=debt.id or None), debt, +1)


def unmerge(
    survivor: Account,
    back: Account,
    *,
    lots: Sequence[Lot],
    holds: Sequence[Hold],
    debts: Sequence[Debt],
    paid: Sequence[tuple[Debt, int]],
    today: date,
) -> None:
    """The mirror of `merge`: these lots, holds and debts go back.

    What lots of the one `paid` of the other's debts is undone first: the points return to the lots, and the debt is owed again (CASES 97).
    """
    for debt, points in paid:
        if debt not in survivor.debts:
            survivor.debts.append(debt)
        for lot, _ in survivor.give_back_payments(survivor.draft(Kind.MERGE), debt, points):
            if lot not in survivor.lots:
                survivor.lots.append(lot)
    for lot in lots:
        _carry(survivor, back, lot=lot)
    for hold in [each for each in holds if each.state is HoldState.ACTIVE]:
        _carry(survivor, back, hold=hold)
    for debt in [each for each in debts if each.unpaid]:
        _carry_debt(survivor, back, debt)
    gone = {id(lot) for lot in lots}
    survivor.lots = [lot for lot in survivor.lots if id(lot) not in gone]
    survivor.holds = [hold for hold in survivor.holds if hold not in holds]
    back.lots += lots
    back.holds += holds
    _offset_all(survivor, today=today)
    _offset_all(back, today=today)


def _split(
    parts: Sequence[tuple[Lot, Bucket, int]], points: int
) -> tuple[list[tuple[Lot, Bucket, int]], tuple[tuple[Lot, Bucket, int], ...]]:
    """The first `points` of the parts, and the rest."""
    used: list[tuple[Lot, Bucket, int]] = []
    rest: list[tuple[Lot, Bucket, int]] = []
    for lot, bucket, count in parts:
        here = min(count, points)
        points -= here
        if here:
            used.append((lot, bucket, here))
        if count > here:
            rest.append((lot, bucket, count - here))
    return used, tuple(rest)


def _check_standing(standing: int, points: int) -> None:
    if points > standing:
        raise DomainError(
            "beyond_effect",
            said(
                "Only {standing} points of this are left to undo, {points} were asked for. Undo at most that.",
                standing=standing, points=points,
            ),
            standing=standing, points=points,
        )  # fmt: skip


def _forgiven(entry: Entry) -> tuple[tuple[Debt, int], ...]:
    """What was lifted of debts without points for it."""
    return tuple((move.debt, -move.delta) for move in entry.movements if move.debt and move.lot is None and move.delta < 0)


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
