"""A line of steps as the path of a small picture. Each picture has its table beside it, where the figures are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 720, 140


@dataclass(frozen=True, slots=True)
class Drawing:
    """`line`: the path of a picture of `width` by `height`; `zero`: the height of 0 in it; `top`, `bottom`: its highest and lowest value."""

    line: str
    zero: float
    top: int
    bottom: int
    width: int = WIDTH
    height: int = HEIGHT


def steps(values: Sequence[tuple[date, int]], *, began_with: int, since: date, until: date) -> Drawing:
    """What changes on some days and stays in between; `values` in the order of days."""
    found = [began_with, 0, *(value for _, value in values)]
    top, bottom = max(found), min(found)
    scale, days = HEIGHT / ((top - bottom) or 1), (until - since).days or 1

    def y(value: int) -> float:
        return round((top - value) * scale, 1)

    line = [f"M0 {y(began_with)}", *(f"H{round((day - since).days / days * WIDTH, 1)} V{y(value)}" for day, value in values)]
    return Drawing(" ".join([*line, f"H{WIDTH}"]), y(0), top, bottom)
