"""The worked vectors: every step's entries and balance, as tables. Deltas are (pending, available, held, owed)."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from loyalty.account import Account, Entry, Hold, HoldState, Kind, Lot, Terms
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
    assert [entry.kind for entry in meera.entries[1:]] == [Kind.EXPIRE, Kind.DEBT]


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
