"""Two sorted streams of keys and amounts, matched in one pass, however long they are. Pure."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

#: So many rows are kept of a run, those with the largest difference.
ROWS_KEPT = 500
#: From this share on, what most rows show is the pattern.
MOST = Decimal(2) / 3

type Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What a side says: of whom or what, how much. `inside`: it is of the days that were asked for, and not just beside them."""

    key: Key
    amount: Decimal
    inside: bool = True


@dataclass(frozen=True, slots=True)
class Pair:
    """A key on which both sides do not agree; None: that side has nothing of it."""

    key: Key
    left: Decimal | None
    right: Decimal | None

    @property
    def difference(self) -> Decimal:
        return (self.left or Decimal(0)) - (self.right or Decimal(0))


class Pattern(StrEnum):
    """What most of the rows that differ have in common, seen from the left side."""

    NONE = ""
    LOWER = "lower"
    HIGHER = "higher"
    LEFT_ONLY = "left_only"
    RIGHT_ONLY = "right_only"
    MIXED = "mixed"


@dataclass(slots=True)
class Found:
    """`left_rows` .. `right_sum`: of what was compared. `untold`: rows of which a side that tells only of some says nothing."""

    left_rows: int = 0
    right_rows: int = 0
    left_sum: Decimal = Decimal(0)
    right_sum: Decimal = Decimal(0)
    agreed: int = 0
    untold: int = 0
    counts: dict[Pattern, int] = field(
        default_factory=lambda: dict.fromkeys((Pattern.LOWER, Pattern.HIGHER, Pattern.LEFT_ONLY, Pattern.RIGHT_ONLY), 0)
    )
    #: The largest differences first.
    rows: list[Pair] = field(default_factory=list)

    @property
    def differ(self) -> int:
        return sum(self.counts.values())

    @property
    def ok(self) -> bool:
        return not self.differ

    @property
    def pattern(self) -> Pattern:
        if self.ok:
            return Pattern.NONE
        most = max(self.counts, key=lambda each: self.counts[each])
        return most if self.counts[most] >= MOST * self.differ else Pattern.MIXED


def match(
    left: Iterable[Told], right: Iterable[Told], *, tolerance: Decimal, left_tells_all: bool, right_tells_all: bool
) -> Found:
    """Both sides in the order of their keys, each key once. `tolerance`: so much may differ on a row that both have. A side that does not
    tell all is asked only of what it says.

    Raises: ValueError where a side is out of order: rows would be matched with nothing.
    """
    found = Found()
    largest: list[tuple[Decimal, int, Pair]] = []
    for place, (key, ours, theirs) in enumerate(_together(left, right)):
        if not any(side.inside for side in (ours, theirs) if side):
            continue
        if (ours is None and not left_tells_all) or (theirs is None and not right_tells_all):
            found.untold += 1
            continue
        if ours is not None:
            found.left_rows, found.left_sum = found.left_rows + 1, found.left_sum + ours.amount
        if theirs is not None:
            found.right_rows, found.right_sum = found.right_rows + 1, found.right_sum + theirs.amount
        pair = Pair(key, ours.amount if ours else None, theirs.amount if theirs else None)
        if abs(pair.difference) <= (0 if ours is None or theirs is None else tolerance):
            found.agreed += 1
            continue
        found.counts[_pattern_of(pair)] += 1
        (heapq.heappush if len(largest) < ROWS_KEPT else heapq.heappushpop)(largest, (abs(pair.difference), -place, pair))
    found.rows = [pair for _, _, pair in sorted(largest, reverse=True)]
    return found


def _pattern_of(pair: Pair) -> Pattern:
    if pair.right is None:
        return Pattern.LEFT_ONLY
    if pair.left is None:
        return Pattern.RIGHT_ONLY
    return Pattern.LOWER if pair.left < pair.right else Pattern.HIGHER


def _together(left: Iterable[Told], right: Iterable[Told]) -> Iterator[tuple[Key, Told | None, Told | None]]:
    lefts, rights = _in_order(left), _in_order(right)
    ours, theirs = next(lefts, None), next(rights, None)
    while ours is not None or theirs is not None:
        if theirs is None or (ours is not None and ours.key < theirs.key):
            assert ours is not None
            yield ours.key, ours, None
            ours = next(lefts, None)
        elif ours is None or theirs.key < ours.key:
            yield theirs.key, None, theirs
            theirs = next(rights, None)
        else:
            yield ours.key, ours, theirs
            ours, theirs = next(lefts, None), next(rights, None)


def _in_order(rows: Iterable[Told]) -> Iterator[Told]:
    before: Key | None = None
    for row in rows:
        if before is not None and not before < row.key:
            raise ValueError(f"{row.key} comes after {before}")
        before = row.key
        yield row
