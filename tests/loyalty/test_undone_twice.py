"""What undid something is undone itself: everything stands as before, in the same lots and the same debts."""

from collections.abc import Sequence

from loyalty.account import Account, Effect, effects_of
from loyalty.state import Entry
from tests.builders import DAY0, account
from tests.loyalty.test_vectors import day


def effects(of: Account, begin: int) -> list[Effect]:
    """Of the entries since `begin`, with ids as if they had been written."""
    entries: Sequence[Entry] = of.entries[begin:]
    for place, entry in enumerate(of.entries, start=1):
        entry.id = place
    return effects_of(entries, lots=of.lots)


def test_points_that_came_back_to_two_lots_are_taken_from_both() -> None:
    meera = account((10, day(60)), (90, day(90)))
    begin = len(meera.entries)
    meera.redeem(20, on=DAY0, today=DAY0)
    spent = effects(meera, begin)
    begin = len(meera.entries)
    meera.restore(spent, 20, today=DAY0)
    meera.reverse(effects(meera, begin), today=DAY0)
    assert [lot.available for lot in meera.lots] == [0, 80]


def test_a_lifted_debt_is_owed_again_and_is_the_same_one() -> None:
    meera = account((5, day(60)), negative=True)
    begin = len(meera.entries)
    meera.redeem(22, on=DAY0, today=DAY0)
    assert (meera.available, meera.owed) == (0, 17)
    spent = effects(meera, begin)
    (debt,) = meera.debts
    begin = len(meera.entries)
    meera.restore(spent, 22, today=DAY0)
    assert (meera.available, meera.owed, debt.unpaid) == (5, 0, 0)
    meera.reverse(effects(meera, begin), today=DAY0)
    assert (meera.available, meera.owed, debt.unpaid, meera.debts) == (0, 17, 17, [debt])
