"""Hypothesis drives the core against a model that fits on a page: integer buckets, one list of lots, no cleverness."""

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from loyalty.account import Account
from loyalty.state import LOT_BUCKETS, Hold, HoldState, Terms
from tenants.errors import DomainError
from tests.builders import DAY0, at

points = st.integers(1, 120)


class Model:
    """What must be true, said in sums: credits in, debits out, held apart, debt when out exceeds in."""

    def __init__(self) -> None:
        self.available = self.held = self.owed = 0

    def credit(self, count: int) -> None:
        paid = min(self.owed, count)
        self.owed -= paid
        self.available += count - paid

    def debit(self, count: int) -> None:
        taken = min(self.available, count)
        self.available -= taken
        self.owed += count - taken

    @property
    def closing(self) -> int:
        return self.available + self.held - self.owed


class AccountMachine(RuleBasedStateMachine):
    """Time goes forward; lots may lapse while they are held, and are expired by the sweep otherwise."""

    holds: Bundle[Hold] = Bundle("holds")

    @initialize(negative=st.booleans())
    def begin(self, negative: bool) -> None:
        self.account = Account(1, negative_allowed=negative)
        self.model = Model()
        self.today = DAY0
        self.number = 0

    def terms(self, days: int | None) -> Terms:
        return Terms(self.today, None if days is None else self.today + timedelta(days=days))

    @rule(count=points, days=st.sampled_from([None, 1, 5, 30]))
    def grants(self, count: int, days: int | None) -> None:
        self.account.issue(count, terms=self.terms(days), today=self.today)
        self.model.credit(count)

    @rule(days=st.integers(1, 20))
    def time_passes_and_the_sweep_expires(self, days: int) -> None:
        self.today += timedelta(days=days)
        due = [lot for lot in self.account.lots if lot.lapsed(self.today) and lot.available]
        if due:
            self.model.available -= sum(lot.available for lot in due)
            self.account.expire(due)

    @rule(target=holds, count=points)
    def holds_points(self, count: int) -> Hold:
        self.number += 1
        hold = Hold(f"SB-{self.number}", count, Decimal(1), at(10), at(10))
        if count > self.model.available:
            self.refused(lambda: self.account.hold(hold, today=self.today), "insufficient_points")
            hold.state = HoldState.RELEASED  # never placed
            return hold
        self.account.hold(hold, today=self.today)
        self.model.available -= count
        self.model.held += count
        return hold

    def lapsed_of(self, hold: Hold, *, after: int = 0) -> int:
        """Of the hold's points behind the first `after` ones (earliest expiry first): how many have lapsed."""
        parts = sorted(hold.parts, key=lambda part: (part[0].expires_on or date.max, part[0].granted_on))
        skipped = lapsed = 0
        for lot, count in parts:
            here = min(count, max(0, after - skipped))
            skipped += here
            if lot.lapsed(self.today):
                lapsed += count - here
        return lapsed

    def gives_back(self, hold: Hold, count: int, lapsed: int) -> None:
        self.model.held -= count
        self.model.credit(count - lapsed)

    @rule(hold=holds)
    def releases(self, hold: Hold) -> None:
        if hold.state is not HoldState.ACTIVE:
            self.refused(lambda: self.account.release(hold, today=self.today), "hold_ended")
            return
        lapsed = self.lapsed_of(hold)
        self.account.release(hold, today=self.today)
        self.gives_back(hold, hold.points, lapsed)

    @rule(hold=holds, count=points)
    def captures(self, hold: Hold, count: int) -> None:
        if hold.state is not HoldState.ACTIVE:
            self.refused(lambda: self.account.capture(hold, count, on=self.today, today=self.today), "hold_ended")
            return
        extra = max(0, count - hold.points)
        if extra > self.model.available and not self.account.negative_allowed:
            self.refused(lambda: self.account.capture(hold, count, on=self.today, today=self.today), "late_shortfall")
            return
        lapsed = self.lapsed_of(hold, after=count)
        self.account.capture(hold, count, on=self.today, today=self.today)
        self.model.held -= min(count, hold.points)
        self.gives_back(hold, max(0, hold.points - count), lapsed)
        self.model.debit(extra)

    @rule(hold=holds, count=points)
    def completes_late(self, hold: Hold, count: int) -> None:
        if hold.state not in (HoldState.RELEASED, HoldState.EXPIRED) or not hold.parts:
            return
        revived = sum(left for _, left in hold.lapsed) if hold.late_bill_id is None else 0
        if count > self.model.available + revived and not self.account.negative_allowed:
            self.refused(
                lambda: self.account.complete_late(hold, count, on=self.today, today=self.today, bill_id=1), "late_shortfall"
            )
            return
        lots = [lot for lot, _ in hold.lapsed]
        before = {id(lot): lot.available for lot in lots}
        self.account.complete_late(hold, count, on=self.today, today=self.today, bill_id=1)
        assert all(lot.available == before[id(lot)] for lot in lots), "what is lapsed and unused expires again"
        unused = max(0, revived - count)
        self.model.available += revived
        self.model.debit(count)
        self.model.available -= min(unused, self.model.available)

    @rule(count=points)
    def redeems(self, count: int) -> None:
        if count > self.model.available and not self.account.negative_allowed:
            self.refused(lambda: self.account.redeem(count, on=self.today, today=self.today), "late_shortfall")
            return
        self.account.redeem(count, on=self.today, today=self.today)
        self.model.debit(count)

    @rule(count=points, allow_debt=st.booleans())
    def adjusts_down(self, count: int, allow_debt: bool) -> None:
        def act() -> None:
            self.account.adjust(-count, terms=self.terms(None), today=self.today, allow_debt=allow_debt)

        if count > self.model.available and not (allow_debt and self.account.negative_allowed):
            self.refused(act, "insufficient_points")
            return
        act()
        self.model.debit(count)

    @rule(count=points, hold=holds)
    def an_operation_breaks_off(self, count: int, hold: Hold) -> None:
        mark = self.account.mark()
        self.account.issue(count, terms=self.terms(3), today=self.today)
        if hold.state is HoldState.ACTIVE:
            self.account.release(hold, today=self.today)
        self.account.back_to(mark)

    def refused(self, act: object, code: str) -> None:
        before = self.snapshot()
        try:
            act()  # type: ignore[operator]
        except DomainError as refusal:
            assert refusal.code == code
        else:
            raise AssertionError(f"should have been refused: {code}")
        assert self.snapshot() == before, "a refusal leaves the account as it was"

    def snapshot(self) -> object:
        account = self.account
        lots = [(lot.pending, lot.available, lot.held) for lot in account.lots]
        return account.available, account.held, account.owed, lots, len(account.entries), [debt.unpaid for debt in account.debts]

    @invariant()
    def buckets_are_the_models(self) -> None:
        assert (self.account.available, self.account.held, self.account.owed) == (
            self.model.available,
            self.model.held,
            self.model.owed,
        )

    @invariant()
    def the_laws_hold(self) -> None:
        account = self.account
        assert min(account.pending, account.available, account.held, account.owed) >= 0
        assert account.owed == 0 or account.available == 0
        for bucket in LOT_BUCKETS:
            total = sum(getattr(entry, bucket.value) for entry in account.entries)
            assert total == getattr(account, bucket.value) == sum(getattr(lot, bucket.value) for lot in account.lots)
        assert sum(entry.owed for entry in account.entries) == account.owed == sum(debt.unpaid for debt in account.debts)
        assert all(min(lot.pending, lot.available, lot.held) >= 0 for lot in account.lots)
        assert all(debt.unpaid >= 0 for debt in account.debts)
        assert not [entry for entry in account.entries if not (entry.pending or entry.available or entry.held or entry.owed)]


TestAccountMachine = AccountMachine.TestCase
TestAccountMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
