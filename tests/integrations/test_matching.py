"""Two sorted streams, matched in one pass: by hand, and against a matching with dicts."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.reconciling.matching import ROWS_KEPT, Found, Pattern, Told, match


def told(*rows: tuple[int, int]) -> list[Told]:
    return [Told((key, ""), Decimal(amount)) for key, amount in rows]


def matched(left: list[Told], right: list[Told], *, tolerance: int = 0, left_all: bool = True, right_all: bool = True) -> Found:
    return match(left, right, tolerance=Decimal(tolerance), left_tells_all=left_all, right_tells_all=right_all)


def test_by_hand() -> None:
    found = matched(told((1, 100), (2, 50), (3, 7), (5, 9)), told((1, 100), (2, 60), (4, 8), (5, 5)))
    assert (found.left_rows, found.right_rows, found.agreed, found.differ) == (4, 4, 1, 4)
    assert [int(each) for each in (found.left_sum, found.right_sum)] == [166, 173]
    assert found.counts == {Pattern.LOWER: 1, Pattern.HIGHER: 1, Pattern.LEFT_ONLY: 1, Pattern.RIGHT_ONLY: 1}
    assert [(pair.key[0], pair.left, pair.right) for pair in found.rows] == [(2, 50, 60), (4, None, 8), (3, 7, None), (5, 9, 5)]
    assert found.pattern is Pattern.MIXED
    assert not found.ok


@pytest.mark.parametrize(
    ("left", "right", "pattern"),
    [
        ([(1, 1), (2, 2)], [(1, 2), (2, 3)], Pattern.LOWER),
        ([(1, 3), (2, 4)], [(1, 2), (2, 3)], Pattern.HIGHER),
        ([(1, 3)], [], Pattern.LEFT_ONLY),
        ([], [(1, 3)], Pattern.RIGHT_ONLY),
        ([(1, 3)], [(1, 3)], Pattern.NONE),
        ([], [], Pattern.NONE),
        ([(1, 1), (2, 2), (3, 9)], [(1, 2), (2, 3), (3, 3)], Pattern.LOWER),
    ],
)
def test_the_pattern_is_what_two_thirds_show(left: list[tuple[int, int]], right: list[tuple[int, int]], pattern: Pattern) -> None:
    assert matched(told(*left), told(*right)).pattern is pattern


def test_up_to_the_tolerance_rows_agree_that_both_sides_have() -> None:
    found = matched(told((1, 100), (2, 1), (4, 0)), told((1, 99), (3, 2)), tolerance=2)
    assert (found.agreed, found.differ) == (2, 2)


def test_of_what_a_witness_is_silent_nothing_follows() -> None:
    found = matched(told((1, 100), (2, 50)), told((1, 100), (3, 5)), right_all=False)
    assert (found.untold, found.agreed, found.differ, int(found.left_sum)) == (1, 1, 1, 100)
    assert matched(told((1, 5)), told((1, 5), (2, 7)), left_all=False).ok


def test_a_row_beside_the_days_counts_only_with_one_inside() -> None:
    beside = Told((1, ""), Decimal(5), inside=False)
    assert matched([beside], []).left_rows == 0
    assert matched([beside], told((1, 5))).agreed == 1


def test_a_side_out_of_order_is_an_error_and_no_difference() -> None:
    with pytest.raises(ValueError, match="comes after"):
        matched(told((2, 1), (1, 1)), told((1, 1)))
    with pytest.raises(ValueError, match="comes after"):
        matched(told((1, 1), (1, 1)), [])


def test_the_largest_differences_are_kept() -> None:
    found = matched(told(*((place, place) for place in range(1, ROWS_KEPT + 101))), [])
    assert found.differ == ROWS_KEPT + 100
    assert [pair.key[0] for pair in found.rows] == list(range(ROWS_KEPT + 100, 100, -1))


@given(
    st.dictionaries(st.integers(0, 30), st.integers(-5, 5)),
    st.dictionaries(st.integers(0, 30), st.integers(-5, 5)),
    st.integers(0, 3),
)
def test_as_with_dicts(left: dict[int, int], right: dict[int, int], tolerance: int) -> None:
    found = matched(told(*sorted(left.items())), told(*sorted(right.items())), tolerance=tolerance)
    may_differ = {key: tolerance if key in left and key in right else 0 for key in left | right}
    off = {key for key, so_much in may_differ.items() if abs(left.get(key, 0) - right.get(key, 0)) > so_much}
    assert {pair.key[0] for pair in found.rows} == off
    assert (found.agreed, found.differ) == (len(left | right) - len(off), len(off))
    assert [int(each) for each in (found.left_sum, found.right_sum)] == [sum(left.values()), sum(right.values())]
