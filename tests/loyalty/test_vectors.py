"""The worked vectors: every step's entries and balance, as tables. Deltas are (pending, available, held, owed)."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from loyalty.account import Account, Effect, merge, unmerge
from loyalty.netting import Grant, Missing, Return, Settled, Spend, settle
from loyalty.state import Bucket, Entry, Hold, HoldState, Kind, Lot, Terms
from tenants.errors import DomainError
from tests.builders import DAY0, account, at


def day(number: int) -> date:
    return DAY0 + timedelta(days=number)


def placed(of: Account, points: int, *, on: int = 0) -> Hold:
    hold = Hold("SB-1", points, Decimal(1), at(10), at(10) + timedelta(days=100))
    of.hold(hold, today=day(on))
    return hold


def deltas(entries: list[Entry]) -> list[tuple[str, int, int, int, int]]:
    return [
        (
            f"{entry.kind} of {entry.of_kind}" if entry.of_kind else str(entry.kind),
            entry.pending,
            entry.available,
            entry.held,
            entry.owed,
        )
        for entry in entries
    ]


def buckets(of: Account) -> tuple[int, int, int, int]:
    return of.pending, of.available, of.held, of.owed


def left(lot: Lot) -> tuple[int, int]:
    return lot.available, lot.held


def terms(on: int = 0, *, expires: int | None = None) -> Terms:
    return Terms(day(on), None if expires is None else day(expires))


@pytest.mark.case(1)
def test_vector_1_a_hold_captured_in_part() -> None:
    meera = Account(1)
    meera.earn(100, terms=terms(expires=365), today=DAY0)
    assert deltas(meera.entries) == [("earn", 0, 100, 0, 0)]
    hold = placed(meera, 60)
    assert deltas(meera.entries[1:]) == [("hold", 0, -60, 60, 0)]
    assert buckets(meera) == (0, 40, 60, 0)
    mark = len(meera.entries)
    meera.capture(hold, 40, on=DAY0, today=DAY0)
    meera.earn(5, terms=terms(expires=365), today=DAY0)
    assert deltas(meera.entries[mark:]) == [("capture", 0, 0, -40, 0), ("release", 0, 20, -20, 0), ("earn", 0, 5, 0, 0)]
    assert buckets(meera) == (0, 65, 0, 0)
    assert [left(lot) for lot in meera.lots] == [(60, 0), (5, 0)]
    assert hold.state is HoldState.PARTLY_CAPTURED


@pytest.fixture
def expired_hold() -> tuple[Account, Hold]:
    """Vector 3a and 3b: lots of 50 (to day 60) and 30 (to day 300), 80 held on day 0, released by time on day 100."""
    meera = account((50, day(60)), (30, day(300)))
    hold = placed(meera, 80)
    assert buckets(meera) == (0, 0, 80, 0)
    meera.entries.clear()
    meera.release(hold, today=day(100), state=HoldState.EXPIRED)
    assert deltas(meera.entries) == [("release", 0, 80, -80, 0), ("expire", 0, -50, 0, 0)]
    assert buckets(meera) == (0, 30, 0, 0)
    meera.entries.clear()
    return meera, hold


@pytest.mark.case(2, 12)
def test_vector_3c_a_late_bill_takes_back_what_the_release_expired(expired_hold: tuple[Account, Hold]) -> None:
    meera, hold = expired_hold
    meera.complete_late(hold, 80, on=day(110), today=day(110), bill_id=7)
    assert deltas(meera.entries) == [("reversal of expire", 0, 50, 0, 0), ("redeem", 0, -80, 0, 0)]
    assert buckets(meera) == (0, 0, 0, 0)
    assert (hold.state, hold.late_bill_id, hold.late_points) == (HoldState.EXPIRED, 7, 80)


@pytest.mark.case(2, 12)
def test_vector_3d_what_a_late_bill_leaves_lapsed_expires_again(expired_hold: tuple[Account, Hold]) -> None:
    meera, hold = expired_hold
    meera.complete_late(hold, 30, on=day(110), today=day(110), bill_id=7)
    assert deltas(meera.entries) == [("reversal of expire", 0, 50, 0, 0), ("redeem", 0, -30, 0, 0), ("expire", 0, -20, 0, 0)]
    assert buckets(meera) == (0, 30, 0, 0)


@pytest.mark.case(18, 66)
def test_vector_5a_an_offline_bill_spends_more_than_there_is() -> None:
    meera = account((20, None), negative=True)
    meera.entries.clear()
    meera.redeem(30, on=DAY0, today=DAY0)
    meera.earn(4, terms=terms(), today=DAY0)
    assert deltas(meera.entries) == [("redeem", 0, -20, 0, 0), ("debt of redeem", 0, 0, 0, 10), ("earn", 0, 0, 0, -4)]
    assert buckets(meera) == (0, 0, 0, 6)
    assert [left(lot) for lot in meera.lots] == [(0, 0), (0, 0)]


def programme_side(entries: list[Entry]) -> dict[str, int]:
    """The movement by kind, with debt and reversal counted under the kind they are of."""
    sums: dict[str, int] = {}
    for entry in entries:
        kind = str(entry.of_kind or entry.kind)
        sums[kind] = sums.get(kind, 0) + entry.pending + entry.available + entry.held - entry.owed
    return sums


def test_the_books_balance_by_kind_and_the_debt_counts_as_redeemed() -> None:
    meera = account((20, None), negative=True)
    meera.redeem(30, on=DAY0, today=DAY0)
    meera.earn(4, terms=terms(), today=DAY0)
    sums = programme_side(meera.entries)
    assert sums == {"issue": 20, "redeem": -30, "earn": 4}
    assert sum(sums.values()) == meera.pending + meera.closing


@pytest.mark.case(66)
def test_an_earning_pays_what_is_owed_first() -> None:
    meera = account(negative=True)
    meera.redeem(50, on=DAY0, today=DAY0)
    entry = meera.earn(100, terms=terms(), today=DAY0)
    assert deltas([entry]) == [("earn", 0, 50, 0, -50)]
    assert buckets(meera) == (0, 50, 0, 0)
    assert [(move.delta, move.debt is not None) for move in entry.movements] == [(100, False), (-50, True)]


def test_an_offset_pays_the_oldest_debt_first() -> None:
    meera = account(negative=True)
    meera.redeem(10, on=DAY0, today=DAY0)
    meera.redeem(20, on=DAY0, today=DAY0)
    first, second = meera.debts
    meera.earn(15, terms=terms(), today=DAY0)
    assert (first.unpaid, second.unpaid) == (0, 15)


@pytest.mark.case(7)
def test_a_bill_that_uses_more_than_held_takes_the_rest_from_available() -> None:
    meera = account((100, None))
    hold = placed(meera, 60)
    meera.entries.clear()
    meera.capture(hold, 80, on=DAY0, today=DAY0)
    assert deltas(meera.entries) == [("capture", 0, 0, -60, 0), ("redeem", 0, -20, 0, 0)]
    assert hold.state is HoldState.CAPTURED


@pytest.mark.case(3, 7)
@pytest.mark.parametrize(("negative", "expected"), [(True, (0, 0, 0, 20)), (False, (0, 20, 60, 0))])
def test_a_bill_that_uses_more_than_there_is_owes_or_is_refused_whole(
    negative: bool, expected: tuple[int, int, int, int]
) -> None:
    meera = account((80, None), negative=negative)
    hold = placed(meera, 60)
    if negative:
        meera.capture(hold, 100, on=DAY0, today=DAY0)
    else:
        with pytest.raises(Exception, match="allows no negative balance") as refusal:
            meera.capture(hold, 100, on=DAY0, today=DAY0)
        assert refusal.value.code == "late_shortfall"  # type: ignore[attr-defined]
        assert hold.state is HoldState.ACTIVE
    assert buckets(meera) == expected


@pytest.mark.case(12)
def test_lapsed_points_of_a_released_hold_pay_no_debt() -> None:
    meera = account((50, day(60)), (30, day(300)), negative=True)
    hold = placed(meera, 80)
    meera.redeem(40, on=day(1), today=day(1))
    meera.entries.clear()
    meera.release(hold, today=day(100))
    assert deltas(meera.entries) == [("release", 0, 50, -80, -30), ("expire", 0, -50, 0, 0)]
    assert buckets(meera) == (0, 0, 0, 10)


@pytest.mark.case(12)
def test_a_capture_honours_lots_that_lapsed_while_held() -> None:
    meera = account((50, day(60)))
    hold = placed(meera, 50)
    meera.capture(hold, 50, on=day(99), today=day(99))
    assert buckets(meera) == (0, 0, 0, 0)
    assert not [entry for entry in meera.entries if entry.kind is Kind.EXPIRE]


def test_points_are_spent_earliest_expiry_first() -> None:
    meera = account((10, None), (10, day(300)), (10, day(100)))
    meera.redeem(15, on=DAY0, today=DAY0)
    assert [lot.available for lot in meera.lots] == [10, 5, 0]


def test_a_hold_passes_over_lots_that_have_lapsed() -> None:
    meera = account((50, day(60)), (30, day(300)))
    hold = placed(meera, 30, on=60)
    assert [lot.expires_on for lot, _ in hold.parts] == [day(300)]


def test_debt_never_stands_beside_points_that_wait_for_their_expiry() -> None:
    meera = account((50, day(60)), negative=True)
    meera.redeem(20, on=day(80), today=day(80))
    assert buckets(meera) == (0, 0, 0, 20)
    assert [entry.kind for entry in meera.entries[1:]] == [Kind.DEBT, Kind.EXPIRE]


@pytest.mark.case(5, 69)
def test_a_second_redemption_is_refused_with_what_is_held_since_when() -> None:
    meera = account((400, None))
    placed(meera, 400)
    with pytest.raises(Exception, match="400 points are held since 01 Jan 2026") as refusal:
        meera.hold(Hold("SB-2", 100, Decimal(1), at(11), at(11)), today=DAY0)
    assert refusal.value.details["held"] == 400  # type: ignore[attr-defined]
    assert buckets(meera) == (0, 0, 400, 0)


@pytest.mark.case(69)
def test_somebody_who_owes_cannot_start_a_redemption() -> None:
    meera = account(negative=True)
    meera.redeem(50, on=DAY0, today=DAY0)
    with pytest.raises(Exception, match="owes 50 points"):
        placed(meera, 1)
    assert meera.owed == 50


@pytest.mark.case(70)
def test_a_manual_deduction_beyond_available_says_what_is_there() -> None:
    meera = account((100, None))
    placed(meera, 30)
    with pytest.raises(Exception, match=r"Only 70 points are available \(30 blocked, 0 pending\)"):
        meera.adjust(-80, terms=terms(), today=DAY0)
    assert buckets(meera) == (0, 70, 30, 0)


def test_a_lapsed_earning_is_posted_and_expired_together_and_pays_no_debt() -> None:
    meera = account(negative=True)
    meera.redeem(10, on=DAY0, today=DAY0)
    meera.entries.clear()
    meera.earn(50, terms=terms(expires=30), today=day(40))
    assert deltas(meera.entries) == [("earn", 0, 50, 0, 0), ("expire", 0, -50, 0, 0)]
    assert meera.owed == 10


def test_a_refusal_in_the_middle_undoes_the_verbs_before_it() -> None:
    meera = account((100, day(60)), (20, None))
    hold = placed(meera, 60)
    before = buckets(meera), [left(lot) for lot in meera.lots], len(meera.entries)
    mark = meera.mark()
    meera.capture(hold, 40, on=DAY0, today=day(70))
    meera.back_to(mark)
    assert (buckets(meera), [left(lot) for lot in meera.lots], len(meera.entries)) == before
    assert hold.state is HoldState.ACTIVE
    assert hold.lapsed == []


@pytest.mark.parametrize("points", [0, -5, 10**13])
def test_points_are_whole_positive_and_limited(points: int) -> None:
    with pytest.raises(Exception, match="whole number from 1 to"):
        account().issue(points, terms=terms(), today=DAY0)


def test_a_till_whose_clock_runs_ahead_lapses_nothing_before_its_day() -> None:
    meera = account((100, day(60)), negative=True)
    meera.redeem(30, on=day(61), today=day(59))
    assert buckets(meera) == (0, 70, 0, 0)


def test_a_late_completion_that_is_refused_changes_nothing() -> None:
    meera = account((50, day(60)), (30, day(300)))
    hold = placed(meera, 80)
    meera.release(hold, today=day(100), state=HoldState.EXPIRED)
    before = buckets(meera), len(meera.entries)
    with pytest.raises(Exception, match="allows no negative balance"):
        meera.complete_late(hold, 81, on=day(110), today=day(110), bill_id=7)
    assert (buckets(meera), len(meera.entries), hold.late_bill_id) == (before[0], before[1], None)


# Undoing: returns, corrections, cancellations, bulk undo, merges


def effects(of: Account, *kinds: Kind, since: int = 0) -> list[Effect]:
    """What these entries did; ids as the database would have given them."""
    for number, entry in enumerate(of.entries, start=1):
        entry.id = entry.id or number
    found = [Effect.of(entry, lots=of.lots) for entry in of.entries[since:] if not kinds or entry.kind in kinds]
    return [effect for effect in found if effect]


def by_kind(settled: Settled) -> list[tuple[str, int, int, int, int]]:
    return deltas(settled.entries)


@pytest.mark.case(62)
def test_vector_1d_a_return_restores_and_rolls_back_its_share() -> None:
    meera = Account(1)
    meera.earn(100, terms=terms(expires=365), today=DAY0)
    hold = placed(meera, 60)
    meera.capture(hold, 40, on=DAY0, today=DAY0)
    meera.earn(5, terms=terms(expires=365), today=DAY0)
    (earned,) = effects(meera, Kind.EARN)[1:]
    assert by_kind(meera.restore(effects(meera, Kind.CAPTURE), 20, today=DAY0)) == [("restore", 0, 20, 0, 0)]
    assert by_kind(meera.rollback([(earned, 2)], today=DAY0)) == [("rollback", 0, -2, 0, 0)]
    assert buckets(meera) == (0, 83, 0, 0)
    assert [left(lot) for lot in meera.lots] == [(80, 0), (3, 0)]


@pytest.fixture
def owing() -> Account:
    """Vector 2a and 2b: 50 earned, spent, and the bill returned."""
    meera = Account(1, negative_allowed=True)
    meera.earn(50, terms=terms(), today=DAY0)
    meera.redeem(50, on=DAY0, today=DAY0)
    (earned,) = effects(meera, Kind.EARN)
    assert by_kind(meera.rollback([(earned, 50)], today=DAY0)) == [("debt of rollback", 0, 0, 0, 50)]
    assert buckets(meera) == (0, 0, 0, 50)
    meera.entries.clear()
    return meera


@pytest.mark.case(59, 67)
def test_vector_2_pending_points_pay_a_debt_when_they_activate(owing: Account) -> None:
    owing.earn(30, terms=Terms(DAY0, None, day(10)), today=DAY0)
    assert deltas(owing.entries) == [("earn", 30, 0, 0, 0)]
    assert buckets(owing) == (30, 0, 0, 50)
    assert owing.activate(today=day(9)) == []
    assert deltas(owing.activate(today=day(10))) == [("activate", -30, 0, 0, -30)]
    assert buckets(owing) == (0, 0, 0, 20)


@pytest.mark.case(58)
def test_a_return_takes_pending_points_first() -> None:
    meera = account((10, None))
    meera.earn(30, terms=Terms(DAY0, None, day(10)), today=DAY0)
    assert by_kind(meera.rollback([(effects(meera, Kind.EARN)[0], 12)], today=DAY0)) == [("rollback", -12, 0, 0, 0)]
    assert buckets(meera) == (18, 10, 0, 0)


@pytest.mark.case(59)
@pytest.mark.parametrize(("negative", "expected", "short"), [(True, (0, 0, 0, 25), 0), (False, (0, 0, 0, 0), 25)])
def test_a_rollback_takes_its_own_lot_then_others_then_owes_or_tells(
    negative: bool, expected: tuple[int, int, int, int], short: int
) -> None:
    meera = account((15, day(10)), negative=negative)
    meera.earn(50, terms=terms(expires=5), today=DAY0)
    meera.redeem(40, on=DAY0, today=DAY0)
    settled = meera.rollback([(effects(meera, Kind.EARN)[0], 50)], today=DAY0)
    assert (buckets(meera), settled.short) == (expected, short)


def test_three_thirds_take_exactly_the_whole() -> None:
    meera = Account(1)
    meera.earn(10, terms=terms(), today=DAY0)
    (earned,) = effects(meera, Kind.EARN)
    taken = 0
    for returned in (1, 2, 3):
        target = 10 * returned // 3
        meera.rollback([(earned, target - taken)], today=DAY0)
        taken = target
    assert (meera.available, earned.points) == (0, 0)


def test_more_than_what_stands_cannot_be_undone() -> None:
    meera = account((10, None))
    (issued,) = effects(meera)
    with pytest.raises(Exception, match="Only 10 points of this are left"):
        meera.rollback([(issued, 11)], today=DAY0)
    assert (issued.points, meera.available) == (10, 10)


@pytest.fixture
def corrected_bill() -> tuple[Account, list[Effect]]:
    """Vector 4a: L0 100; a hold of 20 is captured by v1, which earns 9."""
    meera = account((100, None), negative=True)
    hold = placed(meera, 20)
    begin = len(meera.entries)
    meera.capture(hold, 20, on=DAY0, today=DAY0)
    meera.earn(9, terms=terms(), today=DAY0)
    assert deltas(meera.entries[begin:]) == [("capture", 0, 0, -20, 0), ("earn", 0, 9, 0, 0)]
    return meera, effects(meera, since=begin)


def rebook(of: Account, old: list[Effect], *, redeems: int, earns: int) -> Settled:
    returns, takes = of.undoing(old)
    return settle(
        of, today=DAY0, returns=returns, takes=takes, spends=[Spend(redeems, DAY0)], grants=[Grant(Kind.EARN, earns, terms())]
    )


@pytest.mark.case(24)
def test_vector_4b_a_correction_is_netted(corrected_bill: tuple[Account, list[Effect]]) -> None:
    meera, old = corrected_bill
    assert by_kind(rebook(meera, old, redeems=25, earns=8)) == [
        ("reversal of capture", 0, 20, 0, 0), ("reversal of earn", 0, -9, 0, 0), ("redeem", 0, -25, 0, 0), ("earn", 0, 8, 0, 0),
    ]  # fmt: skip
    assert buckets(meera) == (0, 83, 0, 0)
    assert [lot.available for lot in meera.lots] == [75, 0, 8]
    assert meera.holds[0].state is HoldState.CAPTURED


@pytest.mark.case(24)
def test_vector_4c_a_correction_owes_only_what_its_halves_do_not_cover(corrected_bill: tuple[Account, list[Effect]]) -> None:
    meera, old = corrected_bill
    meera.redeem(89, on=DAY0, today=DAY0)
    assert by_kind(rebook(meera, old, redeems=25, earns=8)) == [
        ("reversal of capture", 0, 20, 0, 0), ("reversal of earn", 0, -8, 0, 0), ("debt of earn", 0, 0, 0, 1),
        ("redeem", 0, -20, 0, 0), ("debt of redeem", 0, 0, 0, 5), ("earn", 0, 8, 0, 0),
    ]  # fmt: skip
    assert buckets(meera) == (0, 0, 0, 6)
    assert not any(lot.available for lot in meera.lots)


def test_a_correction_that_changes_nothing_owes_nothing_even_when_all_is_spent(
    corrected_bill: tuple[Account, list[Effect]],
) -> None:
    meera, old = corrected_bill
    meera.redeem(89, on=DAY0, today=DAY0)
    assert rebook(meera, old, redeems=20, earns=9).owed == 0
    assert buckets(meera) == (0, 0, 0, 0)


@pytest.fixture
def offline_bill() -> Account:
    """Vector 5a."""
    meera = account((20, None), negative=True)
    meera.entries.clear()
    meera.redeem(30, on=DAY0, today=DAY0)
    meera.earn(4, terms=terms(), today=DAY0)
    return meera


@pytest.mark.case(21)
def test_vector_5b_a_cancellation_lifts_the_debt_and_refills_who_paid_it(offline_bill: Account) -> None:
    settled = offline_bill.reverse(effects(offline_bill), today=DAY0)
    assert by_kind(settled) == [
        ("reversal of redeem", 0, 20, 0, 0), ("reversal of debt", 0, 4, 0, -6), ("reversal of earn", 0, -4, 0, 0),
    ]  # fmt: skip
    assert buckets(offline_bill) == (0, 20, 0, 0)
    assert [lot.available for lot in offline_bill.lots] == [20, 0]


@pytest.mark.case(21)
def test_a_cancelled_capture_returns_to_its_lots_and_the_lapsed_share_expires() -> None:
    meera = account((50, day(60)), (30, day(300)))
    hold = placed(meera, 80)
    begin = len(meera.entries)
    meera.capture(hold, 80, on=day(1), today=day(1))
    settled = meera.reverse(effects(meera, since=begin), today=day(100))
    assert by_kind(settled) == [("reversal of capture", 0, 80, 0, 0), ("expire", 0, -50, 0, 0)]
    assert (buckets(meera), hold.state) == ((0, 30, 0, 0), HoldState.CAPTURED)


@pytest.mark.case(95)
def test_vector_6_a_merge_moves_everything_and_pays_the_debt_once() -> None:
    a, b = account((10, day(400)), (20, day(300)), negative=True), Account(2, negative_allowed=True)
    hold = placed(a, 20)
    b.redeem(15, on=DAY0, today=DAY0)
    a.entries.clear()
    b.entries.clear()
    merge(a, b, today=DAY0)
    assert deltas(a.entries) == [("merge", 0, -10, 0, 0), ("merge", 0, 0, -20, 0)]
    assert deltas(b.entries) == [("merge", 0, 10, 0, 0), ("merge", 0, 0, 20, 0), ("merge", 0, -10, 0, -10)]
    assert (buckets(a), buckets(b)) == ((0, 0, 0, 0), (0, 0, 20, 5))
    assert deltas(b.release(hold, today=DAY0)) == [("release", 0, 15, -20, -5)]
    assert buckets(b) == (0, 15, 0, 0)


@pytest.mark.case(97)
def test_an_unmerge_gives_back_lots_holds_and_what_they_had_paid() -> None:
    a, b = account((10, None), (20, day(300)), negative=True), Account(2, negative_allowed=True)
    hold = placed(a, 20)
    b.redeem(15, on=DAY0, today=DAY0)
    moved = list(a.lots)
    merge(a, b, today=DAY0)
    unmerge(b, a, lots=moved, holds=[hold], debts=[], paid=[(b.debts[0], 10)], today=DAY0)
    assert (buckets(a), buckets(b)) == ((0, 10, 20, 0), (0, 0, 0, 15))
    assert (len(a.lots), b.lots, b.holds) == (2, [], [])


@pytest.fixture
def spent_adjustment() -> Account:
    """Vector 7a."""
    meera = Account(1, negative_allowed=True)
    meera.adjust(100, terms=terms(), today=DAY0)
    meera.redeem(60, on=DAY0, today=DAY0)
    return meera


@pytest.mark.case(87)
def test_vector_7b_an_undo_may_owe_the_rest(spent_adjustment: Account) -> None:
    settled = spent_adjustment.reverse(effects(spent_adjustment, Kind.ADJUST), today=DAY0)
    assert by_kind(settled) == [("reversal of adjust", 0, -40, 0, 0), ("debt of adjust", 0, 0, 0, 60)]
    assert buckets(spent_adjustment) == (0, 0, 0, 60)


@pytest.mark.case(87)
def test_vector_7c_or_take_what_is_there_and_list_the_rest(spent_adjustment: Account) -> None:
    settled = spent_adjustment.reverse(effects(spent_adjustment, Kind.ADJUST), today=DAY0, missing=Missing.LEAVE)
    assert (by_kind(settled), settled.short) == ([("reversal of adjust", 0, -40, 0, 0)], 60)
    assert buckets(spent_adjustment) == (0, 0, 0, 0)


@pytest.mark.parametrize("vector", ["5a", "5b", "7b", "4c"])
def test_the_programmes_side_is_the_sum_over_kinds(
    vector: str, offline_bill: Account, spent_adjustment: Account, corrected_bill: tuple[Account, list[Effect]]
) -> None:
    meera = {"5a": offline_bill, "5b": offline_bill, "7b": spent_adjustment, "4c": corrected_bill[0]}[vector]
    before = 20 if vector.startswith("5") else 0
    if vector == "5b":
        meera.reverse(effects(meera), today=DAY0)
    if vector == "7b":
        meera.reverse(effects(meera, Kind.ADJUST), today=DAY0)
    if vector == "4c":
        meera.redeem(89, on=DAY0, today=DAY0)
        rebook(meera, corrected_bill[1], redeems=25, earns=8)
    assert before + sum(programme_side(meera.entries).values()) == meera.pending + meera.closing


# By hand, and dates


@pytest.mark.case(71)
def test_a_reset_takes_available_points_and_leaves_pending_and_holds() -> None:
    meera = account((100, None))
    placed(meera, 30)
    meera.earn(5, terms=Terms(DAY0, None, day(9)), today=DAY0)
    assert deltas(meera.reset(today=DAY0)) == [("reset", 0, -70, 0, 0)]
    assert buckets(meera) == (5, 0, 30, 0)
    assert meera.reset(today=DAY0) == []


@pytest.mark.case(71)
def test_a_reset_clears_debt_pending_and_holds_when_asked(owing: Account) -> None:
    assert owing.reset(today=DAY0) == []
    assert deltas(owing.reset(today=DAY0, clear_debt=True)) == [("reset", 0, 0, 0, -50)]
    owing.earn(5, terms=Terms(DAY0, None, day(9)), today=DAY0)
    owing.issue(20, terms=terms(), today=DAY0)
    placed(owing, 20)
    done = owing.reset(today=DAY0, pending=True, holds=True)
    assert deltas(done) == [("release", 0, 20, -20, 0), ("reset", -5, -20, 0, 0)]
    assert buckets(owing) == (0, 0, 0, 0)


def test_an_undone_reset_owes_again_what_it_had_cleared(owing: Account) -> None:
    owing.reset(today=DAY0, clear_debt=True)
    owing.issue(20, terms=terms(), today=DAY0)
    settled = owing.reverse(effects(owing, Kind.RESET), today=DAY0)
    assert by_kind(settled) == [("debt of reset", 0, 0, 0, 50), ("reversal of reset", 0, -20, 0, -20)]
    assert (settled.owed, buckets(owing), [debt.unpaid for debt in owing.debts]) == (30, (0, 0, 0, 30), [30])


@pytest.mark.case(12, 73)
def test_expiry_takes_what_is_there_and_passes_over_what_is_held() -> None:
    meera = account((50, day(60)))
    hold = placed(meera, 20)
    assert deltas(meera.expire(meera.lots)) == [("expire", 0, -30, 0, 0)]
    assert meera.expire(meera.lots) == []
    meera.capture(hold, 20, on=day(70), today=day(70))
    assert buckets(meera) == (0, 0, 0, 0)


@pytest.mark.case(77)
def test_an_extension_moves_the_date_of_what_remains() -> None:
    meera = account((50, day(60)))
    meera.redeem(20, on=DAY0, today=DAY0)
    entry = meera.extend(meera.lots, until=day(90), today=day(1))
    assert deltas([entry]) == [("extend", 0, 0, 0, 0)]
    assert entry.snapshot == {"lots": [{"lot": 0, "from": "2026-03-02", "to": "2026-04-01", "points": 30}]}
    assert meera.lots[0].expires_on == day(90)


def test_an_undone_extension_has_its_old_date_again() -> None:
    meera = account((50, day(60)))
    meera.lots[0].id = 1
    meera.extend(meera.lots, until=day(90), today=day(1))
    settled = meera.reverse(effects(meera, Kind.EXTEND), today=day(2))
    assert by_kind(settled) == [("reversal of extend", 0, 0, 0, 0)]
    assert meera.lots[0].expires_on == day(60)


@pytest.mark.parametrize(
    ("until", "spend", "code"),
    [(60, 0, "expiry_not_later"), (0, 0, "expiry_not_later"), (90, 50, "lot_spent"), (80_000, 0, "date_far")],
)
def test_an_extension_that_extends_nothing_is_refused(until: int, spend: int, code: str) -> None:
    meera = account((50, day(60)))
    if spend:
        meera.redeem(spend, on=DAY0, today=DAY0)
    with pytest.raises(DomainError) as refusal:
        meera.extend(meera.lots, until=day(until), today=day(1))
    assert (refusal.value.code, meera.lots[0].expires_on) == (code, day(60))


def test_a_restore_gives_back_debt_first_then_the_lots_last_drawn() -> None:
    meera = account((10, day(50)), (10, day(90)), negative=True)
    meera.entries.clear()
    meera.redeem(25, on=DAY0, today=DAY0)
    spent = effects(meera)
    assert by_kind(meera.restore(spent, 8, today=DAY0)) == [("restore", 0, 0, 0, -5), ("restore", 0, 3, 0, 0)]
    assert [lot.available for lot in meera.lots] == [0, 3]


def test_settling_is_all_or_nothing() -> None:
    meera = account((10, day(50)))
    before = buckets(meera), len(meera.entries), len(meera.lots)
    with pytest.raises(DomainError, match="allows no negative balance"):
        settle(
            meera, today=DAY0, returns=[Return(Kind.RESTORE, parts=[(meera.lots[0], Bucket.AVAILABLE, 5)])],
            spends=[Spend(16, DAY0)], grants=[Grant(Kind.EARN, 3, terms())],
        )  # fmt: skip
    assert (buckets(meera), len(meera.entries), len(meera.lots)) == before


def test_what_an_agent_cleared_is_not_given_back_and_two_halves_are_the_whole() -> None:
    meera = account((20, None), negative=True)
    meera.redeem(30, on=DAY0, today=DAY0)
    spent = effects(meera, Kind.REDEEM, Kind.DEBT)
    meera.reset(today=DAY0, clear_debt=True)
    assert [effect.standing for effect in spent] == [20, 0]
    meera.restore(spent, 10, today=DAY0)
    meera.restore(spent, 10, today=DAY0)
    assert (meera.available, [effect.standing for effect in spent]) == (20, [0, 0])
    with pytest.raises(DomainError, match="Only 0 points of this are left to undo, 1 were"):
        meera.restore(spent, 1, today=DAY0)
