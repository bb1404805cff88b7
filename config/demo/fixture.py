"""Reads `journey.json.gz`, which config/demo/derive.py wrote, back into baskets."""

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import accumulate, islice
from pathlib import Path

FIXTURE = Path(__file__).with_name("journey.json.gz")
SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Line:
    """What one product brought in a basket, in US cents; `off` is what the shelf price was lowered by."""

    product: int
    department: str
    thousandths: int
    paid: int
    off: int


@dataclass(frozen=True, slots=True)
class Basket:
    """One real purchase. `day` counts from the fixture's first day, `second` from that day's midnight."""

    number: int
    household: int
    store: int
    day: int
    second: int
    coupon: int
    lines: tuple[Line, ...]

    @property
    def week(self) -> int:
        return self.day // 7


@dataclass(frozen=True, slots=True)
class Fixture:
    """Baskets per tenant, oldest first; the days run from a Sunday to a Saturday."""

    first_day: date
    last_day: date
    tenants: tuple[tuple[Basket, ...], ...]

    @property
    def weeks(self) -> int:
        return ((self.last_day - self.first_day).days + 1) // 7


def read_fixture(path: Path = FIXTURE) -> Fixture:
    document = json.loads(gzip.decompress(path.read_bytes()))
    names = document["departments"]
    products = [
        (code, names[index])
        for code, index in zip(accumulate(document["products"]["code"]), document["products"]["department"], strict=True)
    ]
    return Fixture(
        first_day=date.fromisoformat(document["first_day"]),
        last_day=date.fromisoformat(document["last_day"]),
        tenants=tuple(
            tuple(_baskets(tenant["baskets"], stores=tenant["stores"], lines=_lines(tenant["lines"], products=products)))
            for tenant in document["tenants"]
        ),
    )


def _lines(columns: dict[str, list[int]], *, products: list[tuple[int, str]]) -> Iterable[Line]:
    for product, thousandths, paid, off in zip(
        columns["product"], columns["thousandths"], columns["paid"], columns["off"], strict=True
    ):
        code, department = products[product]
        yield Line(product=code, department=department, thousandths=thousandths, paid=paid, off=off)


def _baskets(columns: dict[str, list[int]], *, stores: list[int], lines: Iterable[Line]) -> Iterable[Basket]:
    rest = iter(lines)
    numbers, moments = accumulate(columns["number"]), accumulate(columns["moment"])
    others = (columns[name] for name in ("household", "store", "coupon", "lines"))
    for number, moment, household, store, coupon, count in zip(numbers, moments, *others, strict=True):
        yield Basket(
            number=number,
            household=household,
            store=stores[store],
            day=moment // SECONDS_A_DAY,
            second=moment % SECONDS_A_DAY,
            coupon=coupon,
            lines=tuple(islice(rest, count)),
        )
