"""Corners of the core and of the rules, each once: the larger tests would not miss them."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from loyalty.account import Account, Effect, effects_of, merge, unmerge
from loyalty.bonus import Campaign, Judgement, Person, check_campaign, judge
from loyalty.earning import SoFar, earned, months_later
from loyalty.netting import Grant, Missing, Spend, Take, settle
from loyalty.state import DATE_MAX, POINTS_MAX, Debt, Entry, Hold, HoldState, Kind, Lot, State, Terms, spending_order
from tenants.errors import DomainError
from tests.builders import DAY0, account, at
from tests.loyalty import test_bonus as tb
from tests.loyalty import test_earning as te
from tests.loyalty.test_vectors import (
    buckets,
    by_kind,
    corrected_bill,
    day,
    deltas,
    effects,
    expired_hold,
    left,
    owing,
    placed,
    rebook,
    terms,
)  # fmt: skip

__all__ = ["corrected_bill", "expired_hold", "owing"]


def refusal(act: Any, *arguments: Any, **named: Any) -> DomainError:
    with pytest.raises(DomainError) as refused:
        act(*arguments, **named)
    return refused.value


def every_movement_moves(of: Account) -> None:
    assert all(move.delta for entry in of.entries for move in entry.movements)


# Earning and bonus rules
def test_a_days_cap_of_just_the_bills_points_is_no_cap() -> None:
    assert earned(te.rule(cap_day=8), te.bought(te.ICE, te.CAKE), SoFar()).points == 8


def test_a_months_cap_of_just_the_bills_points_is_no_cap() -> None:
    assert earned(te.rule(cap_month=8), te.bought(te.ICE, te.CAKE), SoFar()).points == 8


def test_a_plain_earning_speaks_of_no_multiplier_and_nothing_left_out() -> None:
    s = earned(te.rule(), te.bought(te.ICE, te.CAKE), SoFar()).snapshot
    assert "left_out" not in s and "multipliers" not in s


def test_a_multiplied_line_of_nothing_earns_nothing() -> None:
    assert earned(te.rule(multipliers=(te.twice(),)), te.bought(("ICE", "A1", "0")), SoFar()).points == 0


def test_a_used_up_cap_leaves_nothing_of_a_single_point() -> None:
    assert earned(te.rule(cap_day=10), te.bought(("ICE", "A1", "100")), SoFar(day=10)).points == 0


def test_the_last_month_that_is_known_is_the_last() -> None:
    assert months_later(date(2199, 6, 1), 12) == date(2200, 1, 1)


def test_no_months_later_is_the_same_day_however_far() -> None:
    assert months_later(date(2200, 6, 1), 0) == date(2200, 6, 1)


def test_what_earns_nothing_is_told_in_order() -> None:
    s = earned(te.rule(excluded_departments=frozenset({"FUEL", "CAKE"})), te.bought(te.FUEL, te.ICE, te.CAKE), SoFar()).snapshot
    assert list(s["left_out"]) == sorted(s["left_out"])


def judged(**f: Any) -> Judgement:
    return judge(tb.campaign(**f.pop("f", {})), tb.PURCHASE, person=f.pop("person", Person()), so_far=SoFar(), earns=7)


def test_a_condition_is_said_in_a_sentence() -> None:
    c = tb.condition
    assert c("spend_on", "at_least", "5", "ICE").asked == "the spend on ICE is at least 5"
    assert c("net", "at_least", "5").asked == "the bill's net amount is at least 5"
    assert c("spend_on", "at_least", "5", "A", "B", "C").asked == "the spend on A, B, C is at least 5"


def test_a_bonus_of_one_point_is_a_bonus() -> None:
    assert judged(f=dict(points=1)).awarded


def test_stores_are_named_in_order() -> None:
    assert judged(f=dict(stores=frozenset(f"K{n}" for n in range(1, 10)))).conditions[1].asked == "bought at " + ", ".join(
        f"K{n}" for n in range(1, 10)
    )


def test_a_cohort_says_whether_one_is_on_its_list() -> None:
    assert judged(f=dict(cohort_id=5, cohort="V")).conditions[1].found == "not on the list"
    assert judged(f=dict(cohort_id=5, cohort="V"), person=Person(cohorts=frozenset({5}))).conditions[1].found == "on the list"


def test_a_first_award_is_within_a_limit_of_one() -> None:
    assert judged(f=dict(limit_per_customer=1)).awarded


def test_a_judged_condition_is_kept_as_a_row() -> None:
    assert judged().conditions[0].as_dict()["met"] is True


def test_a_bonus_may_last_a_day_and_five_years_and_no_longer() -> None:
    check_campaign(Campaign(1, "x", date(2026, 3, 1), date(2026, 3, 1), points=1))
    check_campaign(Campaign(1, "x", date(2026, 3, 1), date(2026, 3, 1) + timedelta(days=1830), points=1))
    assert (
        refusal(check_campaign, Campaign(1, "x", date(2026, 3, 1), date(2026, 3, 1) + timedelta(days=1831), points=1)).code
        == "rule_never_ends"
    )
    check_campaign(tb.campaign(factor=Decimal(2)))
    check_campaign(tb.campaign(points=POINTS_MAX))


def test_the_bounds_of_conditions() -> None:
    assert refusal(check_campaign, tb.campaign(tb.condition("quantity_of", "at_least", "5"))).code == "bad_value"
    assert refusal(check_campaign, tb.campaign(tb.condition("net", "one_of", "5"))).sentence.endswith(
        "is at least or is at most."
    )
    check_campaign(tb.campaign(tb.condition("net", "at_most", str(10**15))))
    assert refusal(check_campaign, tb.campaign(tb.condition("net", "at_most", str(10**15 + 1)))).code == "bad_value"
    check_campaign(tb.campaign(tb.condition("weekday", "one_of", "mon,tue,wed,thu,fri,sat,sun")))


def test_any_two_conditions_may_contradict() -> None:
    c = tb.condition
    assert (
        refusal(
            check_campaign,
            tb.campaign(
                c("net", "at_least", "500"), c("hour", "at_least", "1"), c("net", "at_most", "1"), c("tier", "one_of", "x")
            ),
        ).code
        == "rule_contradicts"
    )
    assert (
        refusal(check_campaign, tb.campaign(c("tier", "one_of", "gold"), c("tier", "none_of", "gold"))).code == "rule_contradicts"
    )


def test_nobody_known_has_no_earlier_bills() -> None:
    assert judge(
        tb.campaign(tb.condition("earlier_bills", "at_most", "0")), tb.PURCHASE, person=Person(), so_far=SoFar(), earns=7
    ).awarded


# The moves
def test_the_largest_number_of_points_is_taken_and_one_more_is_not() -> None:
    account().issue(10**12, terms=terms(), today=DAY0)
    assert refusal(account().issue, 10**12 + 1, terms=terms(), today=DAY0).code == "points_invalid"


def test_lots_not_written_yet_are_the_youngest() -> None:
    a, b, c = Lot(DAY0, None, None, id=2), Lot(DAY0, None, None, id=1), Lot(DAY0, None, None)
    assert sorted([c, a, b], key=spending_order) == [b, a, c]


def test_a_huge_number_is_shown_in_part() -> None:
    assert len(refusal(account().issue, -(10**60), terms=terms(), today=DAY0).details["points"]) == 40


def test_an_account_begins_as_it_is_told() -> None:
    assert refusal(Account(1).redeem, 5, on=DAY0, today=DAY0).code == "late_shortfall"
    assert State(1).version == 0
    lots, holds, debts = [Lot(DAY0, None, None)], [Hold("x", 1, Decimal(1), at(1), at(1))], [Debt(0, 1)]
    made = State(1, lots=lots, holds=holds, debts=debts)
    assert (made.lots, made.holds, made.debts) == (lots, holds, debts)
    assert (holds[0].id, holds[0].fingerprint, holds[0].late_points, Entry(Kind.EARN).id) == (0, 0, 0, 0)


def test_closing_counts_what_is_held() -> None:
    meera = account((100, None))
    placed(meera, 30)
    assert meera.closing == 100


def test_a_debt_has_no_id_until_it_is_written() -> None:
    meera = account(negative=True)
    meera.redeem(5, on=DAY0, today=DAY0)
    assert meera.debts[0].id == 0


def test_a_hold_that_is_taken_back_was_never_there() -> None:
    meera = account((100, None))
    k = meera.mark()
    h = placed(meera, 30)
    meera.back_to(k)
    assert (meera.holds, h.parts, buckets(meera)) == ([], [], (0, 100, 0, 0))


def test_a_changed_hold_is_told_once_with_what_changed_it_first() -> None:
    meera = account((100, day(60)))
    h = placed(meera, 30)
    meera.operation = "op"
    meera.release(h, today=DAY0)
    meera.operation = "op2"
    meera.extend(meera.lots, until=day(90), today=DAY0)
    meera.change(h, late_points=0)
    assert meera.changed_holds() == [(h, "op")] and meera.extended_lots() == meera.lots
    meera.written()
    assert (meera.entries, meera.changed_holds(), meera.mark()) == ([], [], (0, 0))


def test_only_lots_whose_date_moved_are_extended() -> None:
    meera = account((100, day(60)), (10, None))
    meera.redeem(5, on=DAY0, today=DAY0)
    meera.change(meera.lots[1], granted_on=DAY0)
    meera.extend(meera.lots[:1], until=day(90), today=DAY0)
    assert meera.extended_lots() == meera.lots[:1]


ENDS = sorted(set(HoldState) - {HoldState.ACTIVE})


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("next_end", ENDS)
def test_no_end_of_a_hold_is_followed_by_another(end: HoldState, next_end: HoldState) -> None:
    meera = account((100, day(60)))
    h = placed(meera, 50)
    meera.end_hold(h, end)
    assert refusal(meera.end_hold, h, next_end).code == "hold_ended"
    assert h.state is end


# Netting
def test_a_rollback_never_uses_what_has_lapsed() -> None:
    meera = Account(1, negative_allowed=True)
    meera.earn(10, terms=terms(), today=DAY0)
    meera.redeem(10, on=DAY0, today=DAY0)
    e = effects(meera, Kind.EARN)
    meera.issue(20, terms=terms(expires=60), today=DAY0)
    s = meera.rollback([(e[0], 10)], today=day(70))
    assert by_kind(s) == [("debt of rollback", 0, 0, 0, 10), ("expire", 0, -20, 0, 0)] and s.owed == 10


@pytest.fixture
def two_payers() -> tuple[Account, list[Effect]]:
    meera = account(negative=True)
    meera.redeem(10, on=DAY0, today=DAY0)
    meera.issue(6, terms=terms(expires=50), today=DAY0)
    meera.issue(4, terms=terms(expires=90), today=DAY0)
    assert buckets(meera) == (0, 0, 0, 0)
    return meera, effects(meera, Kind.DEBT)


def test_a_debt_is_given_back_in_parts_the_last_payer_first(two_payers: tuple[Account, list[Effect]]) -> None:
    meera, e = two_payers
    meera.restore(e, 3, today=DAY0)
    assert [lot.available for lot in meera.lots] == [0, 3]
    assert e[0].debt is not None
    assert [paid for _, paid in e[0].debt.payers] == [6, 1]
    meera.restore(e, 3, today=DAY0)
    assert [lot.available for lot in meera.lots] == [2, 4] and e[0].points == 4
    assert refusal(meera.restore, e, 5, today=DAY0).code == "beyond_effect"
    assert e[0].points == 4


def test_a_lot_that_was_spent_is_the_accounts_again() -> None:
    meera = account((10, None))
    meera.redeem(10, on=DAY0, today=DAY0)
    e = effects(meera, Kind.REDEEM)
    spent = meera.lots.pop()
    meera.reverse(e, today=DAY0)
    assert meera.lots == [spent]


def test_a_rebooked_redemption_uses_what_its_undoing_gave_back() -> None:
    meera = account((20, day(300)))
    meera.redeem(10, on=DAY0, today=DAY0)
    e = effects(meera, Kind.REDEEM)
    meera.issue(50, terms=terms(expires=100), today=DAY0)
    r, t = meera.undoing(e)
    settle(meera, today=DAY0, returns=r, takes=t, spends=[Spend(15, DAY0)])
    assert [lot.available for lot in meera.lots] == [10, 45]


def test_no_part_of_an_operation_is_of_no_points() -> None:
    for k in (dict(grants=[Grant(Kind.EARN, 0, terms())]), dict(spends=[Spend(0, DAY0)]), dict(takes=[Take(Kind.ADJUST, 0)])):
        assert refusal(settle, account((5, None)), today=DAY0, **k).code == "points_invalid"


def test_points_that_activate_today_pay_today(owing: Account) -> None:
    owing.earn(5, terms=Terms(DAY0, None, DAY0), today=DAY0)
    assert buckets(owing) == (0, 0, 0, 45)


def test_a_capture_draws_on_the_earliest_expiry_as_it_is_now() -> None:
    meera = account((50, day(60)), (30, day(300)))
    h = placed(meera, 80)
    meera.extend(meera.lots[:1], until=day(400), today=DAY0)
    meera.capture(h, 30, on=DAY0, today=DAY0)
    assert [lot.available for lot in meera.lots] == [50, 0]


def test_a_capture_over_two_lots_frees_just_the_rest() -> None:
    meera = account((50, day(60)), (30, day(300)))
    h = placed(meera, 80)
    meera.capture(h, 60, on=DAY0, today=DAY0)
    assert [left(lot) for lot in meera.lots] == [(0, 0), (20, 0)]


def test_a_capture_moves_nothing_of_lots_it_does_not_use() -> None:
    meera = account((50, day(60)), (30, day(300)))
    h = placed(meera, 80)
    meera.capture(h, 40, on=DAY0, today=DAY0)
    every_movement_moves(meera)


def test_a_smaller_correction_leaves_the_rest_where_it_was() -> None:
    meera = account((10, day(60)), (10, day(300)))
    meera.redeem(15, on=DAY0, today=DAY0)
    r, t = meera.undoing(effects(meera, Kind.REDEEM))
    settle(meera, today=DAY0, returns=r, takes=t, spends=[Spend(8, DAY0)])
    assert [lot.available for lot in meera.lots] == [2, 10]
    every_movement_moves(meera)


def test_two_redemptions_share_what_came_back() -> None:
    meera = account((20, day(300)))
    meera.redeem(10, on=DAY0, today=DAY0)
    e = effects(meera, Kind.REDEEM)
    meera.issue(50, terms=terms(expires=100), today=DAY0)
    r, t = meera.undoing(e)
    settle(meera, today=DAY0, returns=r, takes=t, spends=[Spend(6, DAY0), Spend(6, DAY0)])
    assert [lot.available for lot in meera.lots] == [10, 48]


def test_an_earning_covers_its_own_undoing_before_other_lots() -> None:
    meera = Account(1, negative_allowed=True)
    meera.earn(9, terms=terms(), today=DAY0)
    meera.redeem(9, on=DAY0, today=DAY0)
    e = effects(meera, Kind.EARN)
    meera.issue(20, terms=terms(expires=5), today=DAY0)
    r, t = meera.undoing(e)
    settle(meera, today=DAY0, returns=r, takes=t, grants=[Grant(Kind.EARN, 9, terms())])
    assert [lot.available for lot in meera.lots] == [0, 20, 0]


def test_also_a_pending_earning_covers_its_own_undoing() -> None:
    meera = Account(1, negative_allowed=True)
    meera.earn(9, terms=terms(), today=DAY0)
    meera.redeem(9, on=DAY0, today=DAY0)
    e = effects(meera, Kind.EARN)
    r, t = meera.undoing(e)
    s = settle(meera, today=DAY0, returns=r, takes=t, grants=[Grant(Kind.EARN, 9, Terms(DAY0, None, day(9)))])
    assert s.owed == 0 and buckets(meera) == (0, 0, 0, 0)


def test_a_rollback_takes_others_earliest_expiry_first() -> None:
    meera = Account(1)
    meera.earn(5, terms=terms(), today=DAY0)
    meera.redeem(5, on=DAY0, today=DAY0)
    e = effects(meera, Kind.EARN)
    meera.issue(10, terms=terms(), today=DAY0)
    meera.issue(10, terms=terms(expires=50), today=DAY0)
    meera.rollback([(e[0], 5)], today=DAY0)
    assert [lot.available for lot in meera.lots] == [0, 10, 5]


def test_a_deduction_never_takes_what_the_operation_grants() -> None:
    meera = account((10, None))
    s = settle(meera, today=DAY0, takes=[Take(Kind.ADJUST, 15, missing=Missing.LEAVE)], grants=[Grant(Kind.EARN, 8, terms())])
    assert (s.short, [lot.available for lot in meera.lots]) == (5, [0, 8])


def test_a_deduction_passes_over_fresh_points_that_expire_earlier() -> None:
    meera = account((10, day(400)))
    settle(meera, today=DAY0, takes=[Take(Kind.ADJUST, 5)], grants=[Grant(Kind.EARN, 8, terms(expires=50))])
    assert [lot.available for lot in meera.lots] == [5, 8]


def test_of_a_lapsed_lot_only_what_was_held_is_honoured() -> None:
    meera = account((70, day(60)), negative=True)
    h = placed(meera, 50)
    meera.release(h, today=day(100), state=HoldState.EXPIRED)
    meera.complete_late(h, 60, on=day(110), today=day(110), bill_id=7)
    assert buckets(meera) == (0, 0, 0, 10)


def test_a_late_bill_uses_its_own_lots_first() -> None:
    meera = account((30, day(300)))
    h = placed(meera, 30)
    meera.issue(20, terms=terms(expires=200), today=DAY0)
    meera.release(h, today=DAY0, state=HoldState.EXPIRED)
    meera.complete_late(h, 30, on=DAY0, today=DAY0, bill_id=7)
    assert [lot.available for lot in meera.lots] == [0, 20]


def test_a_late_bill_uses_its_own_lots_earliest_expiry_first() -> None:
    meera = account((50, day(60)), (30, day(300)))
    h = placed(meera, 80)
    meera.release(h, today=DAY0, state=HoldState.EXPIRED)
    meera.extend(meera.lots[:1], until=day(400), today=DAY0)
    meera.complete_late(h, 30, on=DAY0, today=DAY0, bill_id=7)
    assert [lot.available for lot in meera.lots] == [50, 0]


def test_a_late_bill_moves_nothing_of_lots_it_does_not_use() -> None:
    meera = account((50, day(60)), (30, day(300)))
    h = placed(meera, 80)
    meera.release(h, today=DAY0, state=HoldState.EXPIRED)
    meera.complete_late(h, 30, on=DAY0, today=DAY0, bill_id=7)
    every_movement_moves(meera)


def test_a_shortfall_says_what_is_there() -> None:
    assert refusal(account((20, None)).redeem, 30, on=DAY0, today=DAY0).details["available"] == 20


def test_a_settled_operation_says_what_is_owed(corrected_bill: tuple[Account, list[Effect]]) -> None:
    meera, old = corrected_bill
    meera.redeem(89, on=DAY0, today=DAY0)
    assert rebook(meera, old, redeems=25, earns=8).owed == 6


def test_a_redemption_leaves_lapsed_points_to_the_sweep() -> None:
    meera = account((50, day(60)), (30, None))
    meera.redeem(10, on=day(70), today=day(70))
    assert [lot.available for lot in meera.lots] == [50, 20]


def test_pending_points_that_come_back_lapsed_expire() -> None:
    meera = Account(1)
    meera.earn(30, terms=Terms(DAY0, day(20), day(10)), today=DAY0)
    meera.rollback([(effects(meera)[0], 12)], today=DAY0)
    e = effects(meera, Kind.ROLLBACK)
    assert by_kind(meera.reverse(e, today=day(30))) == [("reversal of rollback", 12, 0, 0, 0), ("expire", -30, 0, 0, 0)]


def test_pending_points_come_back_as_pending() -> None:
    meera = account((10, None))
    meera.earn(30, terms=Terms(DAY0, None, day(10)), today=DAY0)
    meera.rollback([(effects(meera, Kind.EARN)[0], 12)], today=DAY0)
    assert by_kind(meera.reverse(effects(meera, Kind.ROLLBACK), today=DAY0)) == [("reversal of rollback", 12, 0, 0, 0)]


# The verbs
def test_a_deduction_by_hand_is_undone() -> None:
    meera = account((100, None))
    meera.adjust(-40, terms=terms(), today=DAY0)
    meera.reverse(effects(meera, Kind.ADJUST), today=DAY0)
    assert buckets(meera) == (0, 100, 0, 0)


def test_a_hold_is_no_effect() -> None:
    meera = Account(1)
    meera.earn(1, terms=terms(), today=DAY0)
    assert effects(meera)[0].points == 1
    placed(meera, 1)
    assert effects(meera, Kind.HOLD) == []


def test_what_was_used_of_a_debit_is_gone_from_its_parts() -> None:
    meera = account((10, day(60)), (10, day(90)))
    meera.redeem(15, on=DAY0, today=DAY0)
    (e,) = effects(meera, Kind.REDEEM)
    e.used(7, wholly=False)
    assert e.points == 8 and [p[2] for p in e.parts] == [8]
    e.used(99, wholly=True)
    assert (e.points, e.parts) == (0, ())


def test_an_extension_is_undone_wholly_or_not() -> None:
    meera = account((10, day(60)))
    meera.lots[0].id = 1
    meera.extend(meera.lots, until=day(90), today=DAY0)
    (e,) = effects(meera, Kind.EXTEND)
    e.used(0, wholly=False)
    assert e.expiry
    e.used(0, wholly=True)
    assert e.expiry == () and e.cleared == 0
    (i,) = effects(meera, Kind.ISSUE)
    i.used(4, wholly=False)
    assert i.points == 6 and [p[2] for p in i.parts] == [10]


def test_a_debt_is_used_in_parts() -> None:
    meera = account(negative=True)
    meera.redeem(9, on=DAY0, today=DAY0)
    (e,) = effects(meera, Kind.DEBT)
    e.used(4, wholly=False)
    assert e.points == 5


def test_points_that_activate_today_are_available_at_once() -> None:
    meera = Account(1)
    e = meera.earn(5, terms=Terms(DAY0, None, DAY0), today=DAY0)
    assert deltas([e]) == [("earn", 0, 5, 0, 0)]


def test_only_the_lots_asked_for_activate() -> None:
    meera = Account(1)
    meera.earn(5, terms=Terms(DAY0, None, day(3)), today=DAY0)
    meera.earn(5, terms=Terms(DAY0, None, day(3)), today=DAY0)
    meera.activate(meera.lots[:1], today=day(3))
    assert buckets(meera) == (5, 5, 0, 0)


def test_activated_points_pay_earliest_expiry_first(owing: Account) -> None:
    owing.earn(40, terms=Terms(DAY0, day(90), day(3)), today=DAY0)
    owing.earn(40, terms=Terms(DAY0, day(60), day(3)), today=DAY0)
    owing.activate(today=day(3))
    assert [lot.available for lot in owing.lots] == [0, 30, 0]


def test_points_that_activate_lapsed_pay_nothing(owing: Account) -> None:
    owing.earn(30, terms=Terms(DAY0, day(20), day(10)), today=DAY0)
    assert deltas(owing.activate(today=day(30))) == [("activate", -30, 30, 0, 0), ("expire", 0, -30, 0, 0)]
    assert buckets(owing) == (0, 0, 0, 50)


def test_a_deduction_owes_only_when_it_is_said() -> None:
    assert refusal(account((5, None), negative=True).adjust, -6, terms=terms(), today=DAY0).code == "insufficient_points"


def test_a_deduction_is_limited_too() -> None:
    assert refusal(account().adjust, -(10**13), terms=terms(), today=DAY0).code == "points_invalid"


def test_a_deduction_may_take_all() -> None:
    meera = account((5, None))
    meera.adjust(-5, terms=terms(), today=DAY0)
    assert meera.available == 0


def test_a_deduction_may_use_what_waits_for_its_expiry() -> None:
    meera = account((50, day(60)))
    meera.adjust(-30, terms=terms(), today=day(60))
    assert [e.available for e in meera.entries if e.kind is Kind.ADJUST] == [-30]


def test_a_reset_passes_over_holds_that_ended() -> None:
    meera = account((50, None))
    h = placed(meera, 20)
    meera.release(h, today=DAY0)
    assert deltas(meera.reset(today=DAY0, holds=True)) == [("reset", 0, -50, 0, 0)]


def test_a_reset_clears_only_what_is_unpaid() -> None:
    meera = account(negative=True)
    meera.redeem(5, on=DAY0, today=DAY0)
    meera.earn(5, terms=terms(), today=DAY0)
    meera.redeem(3, on=DAY0, today=DAY0)
    meera.reset(today=DAY0, clear_debt=True)
    every_movement_moves(meera)


def test_the_last_date_that_is_known_is_a_date() -> None:
    meera = account((5, day(60)))
    meera.extend(meera.lots, until=DATE_MAX, today=DAY0)


def test_an_extension_counts_what_is_held() -> None:
    meera = account((40, day(60)))
    placed(meera, 20)
    snapshot = meera.extend(meera.lots, until=day(90), today=DAY0).snapshot
    assert snapshot is not None
    assert snapshot["lots"][0]["points"] == 40


def test_a_date_of_today_extends_nothing() -> None:
    meera = account((40, day(60)))
    assert refusal(meera.extend, meera.lots, until=day(70), today=day(70)).code == "expiry_not_later"


def test_a_hold_of_nothing_is_refused() -> None:
    assert refusal(account((5, None)).hold, Hold("x", 0, Decimal(1), at(1), at(1)), today=DAY0).code == "points_invalid"


def test_a_hold_draws_on_the_earliest_expiry() -> None:
    meera = account((10, None), (10, day(100)))
    h = Hold("x", 10, Decimal(1), at(10), at(10))
    e = meera.hold(h, today=DAY0)
    assert [lot.available for lot in meera.lots] == [10, 0] and e.kind is Kind.HOLD


def test_a_refusal_speaks_only_of_what_is_there() -> None:
    meera = account((10, None))
    h = placed(meera, 5)
    meera.release(h, today=DAY0)
    r = refusal(meera.hold, Hold("y", 50, Decimal(1), at(11), at(11)), today=DAY0)
    assert "held since" not in r.sentence and "owes" not in r.sentence and r.details["held_since"] is None


def test_a_refusal_names_the_oldest_hold() -> None:
    meera = account((10, None))
    meera.hold(Hold("x", 2, Decimal(1), at(9), at(9)), today=DAY0)
    meera.hold(Hold("y", 2, Decimal(1), at(12), at(12)), today=DAY0)
    r = refusal(meera.hold, Hold("z", 50, Decimal(1), at(13), at(13)), today=DAY0)
    assert r.details["held_since"] == at(9).isoformat()


def test_a_second_late_bill_revives_nothing(expired_hold: tuple[Account, Hold]) -> None:
    meera, h = expired_hold
    assert meera.complete_late(h, 30, on=day(110), today=day(110), bill_id=7)
    assert deltas(meera.complete_late(h, 10, on=day(110), today=day(110), bill_id=8)) == [("redeem", 0, -10, 0, 0)]
    assert (h.late_bill_id, h.late_points) == (7, 30)


def test_an_extension_undone_after_the_old_date_expires_once() -> None:
    meera = account((50, day(60)))
    meera.lots[0].id = 1
    meera.extend(meera.lots, until=day(90), today=day(1))
    e = effects(meera, Kind.EXTEND)
    assert by_kind(meera.reverse(e, today=day(70))) == [("reversal of extend", 0, 0, 0, 0), ("expire", 0, -50, 0, 0)]
    assert e[0].expiry == () and by_kind(meera.reverse(e, today=day(70))) == []


def test_a_cleared_debt_is_owed_again_once(owing: Account) -> None:
    owing.reset(today=DAY0, clear_debt=True)
    e = effects(owing, Kind.RESET)
    owing.reverse(e, today=DAY0)
    assert e[0].cleared == 0


def test_three_partial_returns_never_give_back_more_than_was_spent() -> None:
    meera = account((10, day(60)), (10, day(90)), (10, None))
    meera.redeem(25, on=DAY0, today=DAY0)
    e = effects(meera, Kind.REDEEM)
    meera.restore(e, 8, today=DAY0)
    assert e[0].points == 17
    meera.restore(e, 8, today=DAY0)
    assert e[0].points == 9 and [lot.available for lot in meera.lots] == [1, 10, 10]
    every_movement_moves(meera)
    assert refusal(meera.restore, e, 10, today=DAY0).code == "beyond_effect"


def test_nothing_gives_back_nothing() -> None:
    r = refusal(account().restore, [], 5, today=DAY0)
    assert (r.code, r.details["standing"]) == ("beyond_effect", 0)


def test_no_points_of_nothing_is_fine() -> None:
    assert account().restore([], 0, today=DAY0).entries == []


def test_a_merge_goes_lot_by_lot_and_passes_over_ended_holds() -> None:
    a, b = account((10, None), (20, day(300)), negative=True), Account(2, negative_allowed=True)
    b.redeem(5, on=DAY0, today=DAY0)
    a.entries.clear()
    h = Hold("q", 3, Decimal(1), at(1), at(1))
    a.hold(h, today=DAY0)
    a.capture(h, 3, on=DAY0, today=DAY0)
    a.entries.clear()
    got = merge(a, b, today=DAY0)
    assert deltas(got) == [("merge", 0, 17, 0, 0), ("merge", 0, 10, 0, 0), ("merge", 0, -5, 0, -5)]
    assert [(lot.expires_on, lot.available) for lot in b.lots] == [(None, 10), (day(300), 12)]


def test_lapsed_points_that_are_merged_pay_nothing() -> None:
    a, b = account((10, day(60)), negative=True), Account(2, negative_allowed=True)
    b.redeem(5, on=DAY0, today=DAY0)
    merge(a, b, today=day(70))
    assert buckets(b) == (0, 0, 0, 5)


def merged() -> tuple[Account, Account, Hold]:
    """B had 15 points, 4 of them held, and paid the 8 that A owed."""
    a, b = Account(1, negative_allowed=True), account((15, None), negative=True)
    a.redeem(8, on=DAY0, today=DAY0)
    hb = placed(b, 4)
    merge(a, b, today=DAY0)
    assert buckets(b) == (0, 3, 4, 0)
    return a, b, hb


def test_an_unmerge_returns_what_the_survivors_lot_had_paid() -> None:
    a, b, hb = merged()
    lot, debt = b.lots[0], b.debts[0]
    unmerge(b, a, lots=[], holds=[], debts=[debt], paid=[(debt, 8)], today=DAY0)
    assert (
        (buckets(a), buckets(b)) == ((0, 0, 0, 8), (0, 11, 4, 0))
        and b.lots == [lot]
        and b.holds == [hb]
        and a.debts[-1].unpaid == 8
    )


def test_an_unmerge_finds_a_lot_that_was_spent() -> None:
    a, b = Account(1, negative_allowed=True), account((8, None), negative=True)
    a.redeem(8, on=DAY0, today=DAY0)
    merge(a, b, today=DAY0)
    lot, debt = b.lots.pop(), b.debts[0]
    unmerge(b, a, lots=[], holds=[], debts=[debt], paid=[(debt, 8)], today=DAY0)
    assert b.lots == [lot] and (buckets(a), buckets(b)) == ((0, 0, 0, 8), (0, 8, 0, 0))


def test_debts_go_back_with_their_links() -> None:
    a, b = Account(1, negative_allowed=True), Account(2, negative_allowed=True)
    a.redeem(8, on=DAY0, today=DAY0)
    a.redeem(2, on=DAY0, today=DAY0)
    a.reset(today=DAY0)
    merge(a, b, today=DAY0)
    d = b.debts
    d[0].id = 77
    gone = Debt(5, 0)
    unmerge(b, a, lots=[], holds=[], debts=[*d, gone], paid=[], today=DAY0)
    assert (buckets(a), buckets(b)) == ((0, 0, 0, 10), (0, 0, 0, 0))
    assert [e.of_entry for e in a.entries[-2:]] == [77, None] and [e.of_entry for e in b.entries[-2:]] == [77, None]
    assert all(e.movements or e.owed for e in b.entries)


def test_a_hold_that_ended_after_the_merge_stays_ended() -> None:
    a, b = account((10, None), negative=True), Account(2, negative_allowed=True)
    h = placed(a, 4)
    moved = list(a.lots)
    merge(a, b, today=DAY0)
    b.release(h, today=DAY0)
    unmerge(b, a, lots=moved, holds=[h], debts=[], paid=[], today=DAY0)
    assert (buckets(a), buckets(b)) == ((0, 10, 0, 0), (0, 0, 0, 0))


def test_after_an_unmerge_own_points_pay_what_the_others_had_paid() -> None:
    b, x = account(negative=True), account((6, None))
    b.redeem(5, on=DAY0, today=DAY0)
    debt = b.debts[0]
    merge(x, b, today=DAY0)
    b.issue(20, terms=terms(), today=DAY0)
    unmerge(b, x, lots=[b.lots[0]], holds=[], debts=[], paid=[(debt, 5)], today=DAY0)
    assert (buckets(x), buckets(b)) == ((0, 6, 0, 0), (0, 15, 0, 0))


def test_a_debt_that_goes_back_meets_points_that_stayed() -> None:
    a, b = Account(1, negative_allowed=True), account((8, None), negative=True)
    a.redeem(8, on=DAY0, today=DAY0)
    merge(a, b, today=DAY0)
    a.issue(3, terms=terms(), today=DAY0)
    unmerge(b, a, lots=[], holds=[], debts=[b.debts[0]], paid=[(b.debts[0], 8)], today=DAY0)
    assert buckets(a) == (0, 0, 0, 5)


# Found by mutating the core again


def test_expired_points_no_longer_stand() -> None:
    meera = account((10, day(60)), (4, None))
    e = effects(meera, Kind.ISSUE)
    meera.expire(meera.lots[:1])
    assert (meera.lots[0].expired, e[0].standing, e[1].standing) == (10, 0, 4)
    assert by_kind(meera.reverse(e, today=day(60))) == [("reversal of issue", 0, -4, 0, 0)]


def test_a_debit_of_a_lot_that_ran_out_later_stands() -> None:
    meera = account((10, day(60)))
    meera.redeem(6, on=DAY0, today=DAY0)
    meera.expire(meera.lots)
    assert effects(meera, Kind.REDEEM)[0].standing == 6


def test_an_undone_expiry_did_not_run_out() -> None:
    meera = account((10, day(60)))
    meera.expire(meera.lots)
    meera.reverse(effects(meera, Kind.EXPIRE), today=DAY0)
    assert meera.lots[0].expired == 0


def test_a_paid_debt_gets_nothing() -> None:
    meera = account(negative=True)
    meera.redeem(5, on=DAY0, today=DAY0)
    meera.earn(5, terms=terms(), today=DAY0)
    meera.redeem(3, on=DAY0, today=DAY0)
    meera.earn(3, terms=terms(), today=DAY0)
    every_movement_moves(meera)
    assert all(p for d in meera.debts for _, p in d.payers)


def test_a_hold_ends_once() -> None:
    meera = account((20, None))
    h = placed(meera, 5)
    meera.capture(h, 5, on=DAY0, today=DAY0, bill_id=9)
    assert h.bill_id == 9
    assert refusal(meera.release, h, today=DAY0).code == "hold_ended"
    assert refusal(meera.capture, h, 5, on=DAY0, today=DAY0).code == "hold_ended"


def everything(meera: Account) -> object:
    return (
        buckets(meera),
        [(lot.pending, lot.available, lot.held, lot.expired, lot.expires_on) for lot in meera.lots],
        [(d.unpaid, [(id(lot), p) for lot, p in d.payers]) for d in meera.debts],
        len(meera.holds),
        len(meera.entries),
        meera.changed_holds(),
    )


def test_whatever_was_done_since_a_mark_is_taken_back() -> None:
    meera = account((10, day(60)), (30, None), negative=True)
    meera.redeem(45, on=DAY0, today=DAY0)
    before = everything(meera)
    k = meera.mark()
    meera.earn(2, terms=terms(), today=DAY0)
    meera.earn(1, terms=terms(), today=DAY0)
    meera.redeem(7, on=DAY0, today=DAY0)
    meera.reset(today=DAY0, clear_debt=True)
    meera.issue(9, terms=terms(expires=60), today=DAY0)
    meera.restore(effects(meera, Kind.REDEEM)[:1], 35, today=DAY0)
    meera.extend([lot for lot in meera.lots if lot.expires_on and lot.available][:1], until=day(80), today=DAY0)
    meera.extend([lot for lot in meera.lots if lot.expires_on and lot.available][:1], until=day(90), today=DAY0)
    meera.expire([lot for lot in meera.lots if lot.expires_on])
    h = placed(meera, 3)
    meera.release(h, today=DAY0)
    meera.back_to(k)
    assert meera.mark() == k
    assert everything(meera) == before


def test_a_refill_is_taken_back_too() -> None:
    meera = account(negative=True)
    meera.redeem(10, on=DAY0, today=DAY0)
    meera.issue(10, terms=terms(), today=DAY0)
    e = effects(meera, Kind.DEBT)
    before = everything(meera)
    k = meera.mark()
    meera.restore(e, 10, today=DAY0)
    meera.back_to(k)
    assert everything(meera) == before


def test_a_paid_debts_restore_moves() -> None:
    meera = account(negative=True)
    meera.redeem(10, on=DAY0, today=DAY0)
    meera.issue(10, terms=terms(), today=DAY0)
    meera.restore(effects(meera, Kind.DEBT), 4, today=DAY0)
    every_movement_moves(meera)


def test_a_half_paid_debt_is_lifted_before_its_payer_is_refilled() -> None:
    meera = account(negative=True)
    meera.redeem(10, on=DAY0, today=DAY0)
    meera.issue(6, terms=terms(), today=DAY0)
    meera.restore(effects(meera, Kind.DEBT), 5, today=DAY0)
    assert buckets(meera) == (0, 1, 0, 0) and meera.debts[0].unpaid == 0 and [p for _, p in meera.debts[0].payers] == [5]


def test_what_comes_back_pays_what_is_owed() -> None:
    meera = account((10, None), negative=True)
    meera.redeem(10, on=DAY0, today=DAY0)
    e = effects(meera, Kind.REDEEM)
    meera.redeem(6, on=DAY0, today=DAY0)
    meera.restore(e, 10, today=DAY0)
    assert buckets(meera) == (0, 4, 0, 0)


def test_pending_of_others_is_never_used() -> None:
    meera = account((5, None))
    meera.earn(9, terms=Terms(DAY0, None, day(5)), today=DAY0)
    assert refusal(meera.redeem, 6, on=DAY0, today=DAY0).code == "late_shortfall"
    meera.redeem(3, on=DAY0, today=DAY0)
    meera.adjust(-2, terms=terms(), today=DAY0)
    assert buckets(meera) == (9, 0, 0, 0)


def test_pending_that_comes_back_is_not_spent_first() -> None:
    meera = Account(1)
    meera.earn(10, terms=Terms(DAY0, None, day(5)), today=DAY0)
    meera.rollback([(effects(meera, Kind.EARN)[0], 4)], today=DAY0)
    meera.activate(today=day(5))
    meera.issue(5, terms=terms(expires=60), today=DAY0)
    r, t = meera.undoing(effects(meera, Kind.ROLLBACK))
    settle(meera, today=day(5), returns=r, takes=t, spends=[Spend(5, day(5))])
    assert [(lot.pending, lot.available) for lot in meera.lots] == [(4, 6), (0, 0)]


def test_a_rollbacks_debt_is_an_effect_and_a_reversals_is_none() -> None:
    meera = Account(1, negative_allowed=True)
    meera.earn(5, terms=terms(), today=DAY0)
    meera.redeem(5, on=DAY0, today=DAY0)
    meera.rollback([(effects(meera, Kind.EARN)[0], 3)], today=DAY0)
    assert [x.points for x in effects(meera, Kind.DEBT)] == [3]
    other = Account(1, negative_allowed=True)
    other.earn(5, terms=terms(), today=DAY0)
    other.redeem(5, on=DAY0, today=DAY0)
    other.reverse(effects(other, Kind.EARN), today=DAY0)
    assert other.owed == 5 and effects(other, Kind.DEBT) == []


def test_an_expiry_is_an_effect_only_when_it_stands_alone() -> None:
    meera = account((10, day(60)))
    placed(meera, 1)
    meera.expire(meera.lots)
    effects(meera)
    assert [x.kind for x in effects_of(meera.entries, lots=meera.lots)] == [Kind.ISSUE]
    assert [x.kind for x in effects_of(meera.entries[-1:], lots=meera.lots)] == [Kind.EXPIRE]


def test_a_reset_goes_in_spending_order() -> None:
    meera = account((5, None), (6, day(60)))
    (e,) = meera.reset(today=DAY0)
    assert [mv.delta for mv in e.movements] == [-6, -5]


def test_nothing_to_take_is_fine() -> None:
    meera = account((5, None))
    e = effects(meera, Kind.ISSUE)
    meera.rollback([(e[0], 5)], today=DAY0)
    assert meera.reverse(e, today=DAY0).entries == []


def test_a_merge_passes_over_paid_debts() -> None:
    a, b = account(negative=True), Account(2, negative_allowed=True)
    a.redeem(5, on=DAY0, today=DAY0)
    a.earn(5, terms=terms(), today=DAY0)
    assert merge(a, b, today=DAY0) == [] and b.debts == []
