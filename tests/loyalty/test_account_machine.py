"""Hypothesis drives all verbs of the core against a model that fits on a page: three integers and no cleverness."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from loyalty.account import Account, Effect, effects_of, merge
from loyalty.netting import Grant, Missing, Settled, Spend, settle
from loyalty.state import LOT_BUCKETS, Bucket, Entry, Hold, HoldState, Kind, Terms
from tenants.errors import DomainError
from tests.builders import DAY0, at

points = st.integers(1, 120)


@dataclass
class Model:
    """What must be true, in sums. `net` is available less owed: by law 2 never both, so one signed number says both."""

    net: int = 0
    pending: int = 0
    held: int = 0
    negative: bool = False

    @property
    def available(self) -> int:
        return max(self.net, 0)

    @property
    def owed(self) -> int:
        return max(-self.net, 0)

    def take(self, count: int, *, forced: bool = True) -> int:
        """-> what could not be taken: nothing, where it may be owed."""
        short = 0 if self.negative and forced else max(0, count - self.available)
        self.net -= count - short
        return short


class AccountMachine(RuleBasedStateMachine):
    """Time goes forward; lots may lapse while they are held, and are expired by the sweep otherwise."""

    holds: Bundle[Hold] = Bundle("holds")

    @initialize(negative=st.booleans())
    def begin(self, negative: bool) -> None:
        self.account = Account(1, negative_allowed=negative)
        self.model = Model(negative=negative)
        self.today = DAY0
        self.number = 0
        #: Operations that may be undone: what each did.
        self.past: list[list[Effect]] = []
        for days in (None, 30, 60):
            self.grants(100, days, 0)

    def terms(self, days: int | None, *, pending: int = 0) -> Terms:
        starts = self.today + timedelta(days=pending)
        return Terms(self.today, None if days is None else starts + timedelta(days=days), starts if pending else None)

    def did(self, act: Callable[[], Any], *, undoable: bool = True) -> Any:
        """Do it twice with a crash in between: the broken-off attempt leaves nothing, the retry does the same."""
        before = self.snapshot()
        mark, effects = self.account.mark(), [(effect, effect.points) for operation in self.past for effect in operation]
        act()
        once = [_shape(entry) for entry in self.account.entries[mark[0] :]]
        self.account.back_to(mark)
        assert self.snapshot() == before
        assert all(effect.points == count for effect, count in effects)
        result = act()
        written = self.account.entries[mark[0] :]
        assert [_shape(entry) for entry in written] == once
        for entry in written:
            self.number += 1
            entry.id = self.number
            if entry.lot is not None:
                entry.lot.id = self.number
            if entry.debt is not None:
                entry.debt.id = self.number
        found = effects_of(written, lots=self.account.lots)
        if undoable and found:
            self.past.append(found)
        return result

    def lapsed_by(self, mark: int) -> int:
        """What an operation expired on its way."""
        return -sum(entry.available + entry.pending for entry in self.account.entries[mark:] if entry.kind is Kind.EXPIRE)

    @rule(count=points, days=st.sampled_from([None, 1, 5, 30]), pending=st.sampled_from([0, 0, 3]))
    def grants(self, count: int, days: int | None, pending: int) -> None:
        self.did(lambda: self.account.issue(count, terms=self.terms(days, pending=pending), today=self.today))
        if pending:
            self.model.pending += count
        else:
            self.model.net += count

    @rule(count=points)
    def grants_what_has_lapsed(self, count: int) -> None:
        self.did(lambda: self.account.earn(count, terms=Terms(DAY0, self.today), today=self.today))

    @rule(days=st.integers(1, 20))
    def time_passes_and_the_sweeps_run(self, days: int) -> None:
        self.today += timedelta(days=days)
        mark = len(self.account.entries)
        lots = self.account.lots
        due = sum(lot.pending for lot in lots if lot.activates_on and lot.activates_on <= self.today)
        self.did(lambda: self.account.activate(today=self.today), undoable=False)
        self.model.pending -= due
        self.model.net += due - self.lapsed_by(mark)
        lapsed = [lot for lot in lots if lot.lapsed(self.today)]
        mark = len(self.account.entries)
        self.did(lambda: self.account.expire(lapsed), undoable=False)
        self.model.net -= self.lapsed_by(mark)
        assert not [lot for lot in lapsed if lot.available or lot.pending]

    @rule(target=holds, count=points)
    def holds_points(self, count: int) -> Hold:
        if count % 10 and self.model.available:
            count = min(count, self.model.available)
        hold = Hold(f"SB-{self.number}", count, Decimal(1), at(10), at(10))
        if count > self.model.available:
            self.refused(lambda: self.account.hold(hold, today=self.today), "insufficient_points")
            hold.state = HoldState.RELEASED  # never placed
            return hold
        self.did(lambda: self.account.hold(hold, today=self.today), undoable=False)
        self.model.net -= count
        self.model.held += count
        return hold

    @rule(hold=holds)
    def releases(self, hold: Hold) -> None:
        if hold.state is not HoldState.ACTIVE:
            self.refused(lambda: self.account.release(hold, today=self.today), "hold_ended")
            return
        mark = len(self.account.entries)
        self.did(lambda: self.account.release(hold, today=self.today), undoable=False)
        self.model.held -= hold.points
        self.model.net += hold.points - self.lapsed_by(mark)

    @rule(hold=holds, count=points)
    def captures(self, hold: Hold, count: int) -> None:
        def act() -> list[Entry]:
            return self.account.capture(hold, count, on=self.today, today=self.today)

        extra = count - hold.points
        if hold.state is not HoldState.ACTIVE:
            self.refused(act, "hold_ended")
        elif extra > self.model.available and not self.model.negative:
            self.refused(act, "late_shortfall")
        else:
            mark = len(self.account.entries)
            self.did(act)
            assert self.account.entries[mark].held == -min(count, hold.points)
            self.model.held -= hold.points
            self.model.net += -extra - self.lapsed_by(mark)

    @rule(hold=holds, count=points)
    def completes_late(self, hold: Hold, count: int) -> None:
        if hold.state not in (HoldState.RELEASED, HoldState.EXPIRED) or not hold.parts:
            return

        def act() -> list[Entry]:
            return self.account.complete_late(hold, count, on=self.today, today=self.today, bill_id=1)

        revived = sum(left for _, left in hold.lapsed) if hold.late_bill_id is None else 0
        if count > self.model.available + revived and not self.model.negative:
            self.refused(act, "late_shortfall")
            return
        mark = len(self.account.entries)
        self.did(act)
        self.model.net += revived - count - self.lapsed_by(mark)

    @rule(count=points)
    def redeems(self, count: int) -> None:
        def act() -> list[Entry]:
            return self.account.redeem(count, on=self.today, today=self.today)

        if count > self.model.available and not self.model.negative:
            self.refused(act, "late_shortfall")
            return
        self.did(act)
        self.model.net -= count

    @rule(count=points, allow_debt=st.booleans())
    def adjusts_down(self, count: int, allow_debt: bool) -> None:
        def act() -> list[Entry]:
            return self.account.adjust(-count, terms=self.terms(None), today=self.today, allow_debt=allow_debt)

        if count > self.model.available and not (allow_debt and self.model.negative):
            self.refused(act, "insufficient_points")
            return
        self.did(act)
        self.model.net -= count

    @rule(clear_debt=st.booleans(), pending=st.booleans(), holds=st.booleans(), chance=st.integers(0, 9))
    def resets(self, clear_debt: bool, pending: bool, holds: bool, chance: int) -> None:
        if chance != 7:  # or there would seldom be anything left to do
            return
        mark = len(self.account.entries)
        self.did(lambda: self.account.reset(today=self.today, clear_debt=clear_debt, pending=pending, holds=holds))
        if holds:
            self.model.net += self.model.held - self.lapsed_by(mark)
            self.model.held = 0
        self.model.net = 0 if clear_debt else min(self.model.net, 0)
        self.model.pending = 0 if pending else self.model.pending

    @precondition(lambda self: any(_extendable(lot, self.today) for lot in self.account.lots))
    @rule(days=st.integers(1, 40))
    def extends(self, days: int) -> None:
        lots = [lot for lot in self.account.lots if _extendable(lot, self.today)]
        until = max(lot.expires_on or date.min for lot in lots) + timedelta(days=days)
        self.did(lambda: self.account.extend(lots, until=until, today=self.today))

    # Undoing

    @precondition(lambda self: self.past)
    @rule(data=st.data(), part=st.integers(1, 100))
    def a_return_takes_points_back(self, data: st.DataObject, part: int) -> None:
        credits = [effect for effect in data.draw(st.sampled_from(self.past)) if effect.credit and effect.standing]
        for effect in credits[:1]:
            count = max(1, effect.standing * part // 100)
            own = sum(lot.pending for lot in {id(lot): lot for lot, _, _ in effect.parts}.values())
            settled = self.did(partial(self.account.rollback, [(effect, count)], today=self.today))
            self.model.pending -= min(own, count)
            assert settled.short == self.model.take(count - min(own, count))

    @precondition(lambda self: self.past)
    @rule(data=st.data(), part=st.integers(1, 100))
    def a_return_gives_points_back(self, data: st.DataObject, part: int) -> None:
        spent = (Kind.REDEEM, Kind.CAPTURE)
        debits = [
            effect
            for effect in data.draw(st.sampled_from(self.past))
            if (effect.kind in spent or (effect.kind is Kind.DEBT and effect.of_kind is Kind.REDEEM)) and effect.standing
        ]
        if debits:
            count = max(1, sum(effect.standing for effect in debits) * part // 100)
            mark = len(self.account.entries)
            self.did(lambda: self.account.restore(debits, count, today=self.today))
            self.model.net += count - self.lapsed_by(mark)

    @precondition(lambda self: self.past)
    @rule(data=st.data(), missing=st.sampled_from(Missing))
    def an_operation_is_reversed(self, data: st.DataObject, missing: Missing) -> None:
        place = data.draw(st.integers(0, len(self.past) - 1))
        effects = self.past[place]
        if any(lot.expires_on != after for effect in effects for lot, _, after in effect.expiry):
            self.refused(lambda: self.account.reverse(effects, today=self.today, missing=missing), "not_reversible")
            return
        self.past.pop(place)
        mark, before = len(self.account.entries), self.worth
        back = worth_undone(effects)
        settled: Settled = self.did(lambda: self.account.reverse(effects, today=self.today, missing=missing), undoable=False)
        assert self.worth == before + back + settled.short - self.lapsed_by(mark)
        assert settled.short == 0 or missing is Missing.LEAVE or not self.model.negative
        self.follow()

    @precondition(lambda self: self.past)
    @rule(data=st.data(), redeems=st.integers(0, 60), earns=st.integers(0, 60))
    def a_bill_is_corrected(self, data: st.DataObject, redeems: int, earns: int) -> None:
        """Law 11: what comes out is the difference; an unchanged bill changes nothing, whatever was spent meanwhile."""
        place = data.draw(st.integers(0, len(self.past) - 1))
        old = self.past[place]
        if not all(effect.kind in (Kind.EARN, Kind.ISSUE, Kind.REDEEM, Kind.DEBT, Kind.CAPTURE) for effect in old):
            return
        before, mark = self.worth, len(self.account.entries)
        back = worth_undone(old)

        def act() -> Settled:
            returns, takes = self.account.undoing(old)
            return settle(
                self.account, today=self.today, returns=returns, takes=takes,
                spends=[Spend(redeems, self.today)] if redeems else [],
                grants=[Grant(Kind.EARN, earns, self.terms(None))] if earns else [],
            )  # fmt: skip

        was_refused = False
        stood = [(effect, effect.points) for effect in old]
        outer = self.account.mark()
        try:
            act()
        except DomainError as refusal:
            assert (refusal.code, self.model.negative) == ("late_shortfall", False)
            was_refused = True
        self.account.back_to(outer)
        assert all(effect.points == count for effect, count in stood)
        if was_refused:
            return
        settled = self.did(act)
        self.past.pop(place)
        assert self.worth == before + back - redeems + earns + settled.short - self.lapsed_by(mark)
        if redeems == 0 and earns == -back:
            assert (settled.owed, settled.short) == (0, 0), "a correction owes nothing that only its own halves caused"
        self.follow()

    @rule()
    def the_customer_is_merged_into_another(self) -> None:
        """The books go on with the survivor, who has nothing of their own."""
        source, survivor = self.account, Account(2, negative_allowed=self.model.negative)
        moved = [debt for debt in source.debts if debt.unpaid]
        carried = [debt.unpaid for debt in moved]
        merge(source, survivor, today=self.today)
        assert (source.available, source.pending, source.held, source.owed) == (0, 0, 0, 0)
        assert [debt.unpaid for debt in moved] == carried
        assert survivor.debts == moved
        before = [entry for entry in source.entries if entry.kind is not Kind.MERGE]
        survivor.entries = [*before, *(entry for entry in source.entries if entry.kind is Kind.MERGE), *survivor.entries]
        self.account = survivor

    # How it is compared

    @property
    def worth(self) -> int:
        return self.account.pending + self.account.closing

    def follow(self) -> None:
        """After a netted operation the model takes over the split between pending and available; the sum was compared."""
        self.model.pending, self.model.net = self.account.pending, self.account.available - self.account.owed

    def refused(self, act: Callable[[], Any], code: str) -> None:
        before = self.snapshot()
        try:
            act()
        except DomainError as refusal:
            assert refusal.code == code
        else:
            raise AssertionError(f"should have been refused: {code}")
        assert self.snapshot() == before, "a refusal leaves the account as it was"

    def snapshot(self) -> object:
        account = self.account
        lots = [(lot.pending, lot.available, lot.held, lot.expires_on) for lot in account.lots]
        debts = [(debt.unpaid, len(debt.payers)) for debt in account.debts]
        holds = [(hold.state, hold.late_bill_id, len(hold.parts)) for hold in account.holds]
        return account.pending, account.available, account.held, account.owed, lots, len(account.entries), debts, holds

    @invariant()
    def buckets_are_the_models(self) -> None:
        account, model = self.account, self.model
        assert (account.pending, account.available, account.held, account.owed) == (
            model.pending, model.available, model.held, model.owed,
        )  # fmt: skip

    @invariant()
    def the_laws_hold(self) -> None:
        account = self.account
        assert min(account.pending, account.available, account.held, account.owed) >= 0
        assert account.owed == 0 or account.available == 0
        for bucket in LOT_BUCKETS:
            total = sum(getattr(entry, bucket.value) for entry in account.entries)
            assert total == getattr(account, bucket.value) == sum(getattr(lot, bucket.value) for lot in account.lots)
        assert sum(entry.owed for entry in account.entries) == account.owed == sum(debt.unpaid for debt in account.debts)
        for entry in account.entries:
            carries = entry.kind is Kind.DEBT or (entry.kind is Kind.MERGE and not entry.movements)
            assert carries or entry.owed == sum(move.delta for move in entry.movements if move.debt)
        assert all(min(lot.pending, lot.available, lot.held) >= 0 for lot in account.lots)
        assert all(debt.unpaid >= 0 and all(paid > 0 for _, paid in debt.payers) for debt in account.debts)
        for entry in account.entries:
            deltas = (entry.pending, entry.available, entry.held, entry.owed)
            zero = Kind.EXTEND in (entry.kind, entry.of_kind)
            assert any(deltas) is not zero
            moved = {bucket: sum(move.delta for move in entry.movements if move.bucket is bucket) for bucket in LOT_BUCKETS}
            assert deltas[:3] == (moved[Bucket.PENDING], moved[Bucket.AVAILABLE], moved[Bucket.HELD])
            assert all(move.delta for move in entry.movements)
            assert (entry.of_kind is None) is (entry.kind not in (Kind.DEBT, Kind.REVERSAL))


def worth_undone(effects: list[Effect]) -> int:
    """What undoing all of these adds to what the customer has."""
    given = sum(effect.standing * (-1 if effect.credit else 1) for effect in effects)
    return given - sum(effect.cleared for effect in effects)


def _extendable(lot: Any, today: date) -> bool:
    return lot.expires_on is not None and lot.expires_on > today and lot.pending + lot.available + lot.held > 0


def _shape(entry: Entry) -> tuple[object, ...]:
    return entry.kind, entry.of_kind, entry.pending, entry.available, entry.held, entry.owed, len(entry.movements)


TestAccountMachine = AccountMachine.TestCase
TestAccountMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
