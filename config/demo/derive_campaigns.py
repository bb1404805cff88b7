"""A developer's script: packs the campaigns of the demo's households into `campaigns.json.gz`. Run it after a change of the cut.

    python -m config.demo.derive_campaigns PARQUET_DIR config/demo/campaigns.json.gz

Source and licence are the ones named in config/demo/derive.py.
"""

import sys
from collections import defaultdict
from collections.abc import Set
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]

from config.demo.derive import steps, write_fixture
from config.demo.fixture import Fixture, read_fixture


def derive(folder: Path, *, fixture: Fixture) -> dict[str, object]:
    """All campaigns as one JSON document, which `read_campaigns` reads; `products` is a dictionary that they point into."""
    targeted = read_kept(folder / "campaigns.parquet", column="household_id", kept=households_of(fixture))
    couponed = read_kept(folder / "coupons.parquet", column="product_id", kept=products_of(fixture))
    products = {product: index for index, product in enumerate(sorted(set().union(*couponed.values())))}
    rows = []
    for number, (kind, starts_on, ends_on) in sorted(read_descriptions(folder).items()):
        row = {
            "number": number,
            "kind": kind,
            "first_day": (starts_on - fixture.first_day).days,
            "last_day": (ends_on - fixture.first_day).days,
            "households": steps(sorted(targeted[number])),
            "products": steps(products[product] for product in sorted(couponed[number])),
        }
        rows.append(row)
    return {
        "source": "The Complete Journey, dunnhumby / 84.51°, for research and educational purposes; see config/demo/derive.py",
        "products": steps(products),
        "campaigns": rows,
    }


def households_of(fixture: Fixture) -> set[int]:
    return {basket.household for baskets in fixture.tenants for basket in baskets}


def products_of(fixture: Fixture) -> set[int]:
    return {line.product for baskets in fixture.tenants for basket in baskets for line in basket.lines}


def read_kept(path: Path, *, column: str, kept: Set[int]) -> dict[int, set[int]]:
    """By campaign, what of `column` is in `kept`. The source repeats some pairs; they count once."""
    rows = pq.read_table(path, columns=["campaign_id", column]).to_pydict()
    found: dict[int, set[int]] = defaultdict(set)
    for number, value in zip(rows["campaign_id"], rows[column], strict=True):
        if value in kept:
            found[number].add(value)
    return found


def read_descriptions(folder: Path) -> dict[int, tuple[str, date, date]]:
    """By campaign, its type, its first and its last day."""
    rows = pq.read_table(folder / "campaign_descriptions.parquet").to_pydict()
    names = ("campaign_id", "campaign_type", "start_date", "end_date")
    return {
        number: (kind, starts_at.date(), ends_at.date())
        for number, kind, starts_at, ends_at in zip(*(rows[name] for name in names), strict=True)
    }


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m config.demo.derive_campaigns PARQUET_DIR OUT\n")
        return 2
    folder, out = Path(arguments[0]), Path(arguments[1])
    size_bytes = write_fixture(derive(folder, fixture=read_fixture()), path=out)
    sys.stderr.write(f"{out}: {size_bytes:,} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
