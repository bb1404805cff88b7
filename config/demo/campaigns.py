"""The real campaigns of the demo's households, to be set up as bonus rules: who is targeted, what counts, and when.

    python -m config.demo.campaigns PARQUET_DIR config/demo/campaigns.json.gz

packs them; run it again whenever config/demo/derive.py has changed the cut of the baskets. Source and licence are the ones named
there. **Real:** the 27 campaigns with their types and dates, the households they targeted, and the products of their coupons.
**Cut:** of households and products, only those of the fixture are kept. **Transposed:** dates move with the baskets.

The campaigns cover more than the fixture's half year: some end before it, some begin after it. The source does not say which of
a Type A campaign's coupons a household was sent, so each counts as good for all of them.
"""

import gzip
import json
import sys
from collections import defaultdict
from collections.abc import Set
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from pathlib import Path

import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]

from config.demo.derive import steps, write_fixture
from config.demo.fixture import Fixture, read_fixture
from config.demo.people import invent_people
from config.demo.shops import SHOPS

CAMPAIGNS = Path(__file__).with_name("campaigns.json.gz")


@dataclass(frozen=True, slots=True)
class DemoCampaign:
    """A campaign as the demo sets it up: who is targeted (mobiles in E.164), which items count, first and last day."""

    number: int
    #: "Type A", "Type B" or "Type C".
    kind: str
    starts_on: date
    ends_on: date
    #: Of the tenant's people, sorted; empty where the campaign targeted none of them.
    mobiles: tuple[str, ...]
    #: Item codes as on the bills, sorted; empty where none of the campaign's products is in the fixture.
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Campaign:
    """A real campaign, cut to the fixture. Days count from the fixture's first day and may lie outside of it; both are part."""

    number: int
    kind: str
    first_day: int
    last_day: int
    households: tuple[int, ...]
    products: tuple[int, ...]


def campaigns(*, ends_on: date) -> dict[str, list[DemoCampaign]]:
    """All campaigns by tenant slug, with the dates and the mobiles that `journey.build` makes for the same `ends_on`.

    A household shops at one tenant only, so no mobile is targeted twice by a campaign. Items are the same for both tenants.
    """
    fixture = read_fixture()
    moved = (ends_on - fixture.last_day) // timedelta(weeks=1)
    first_day = fixture.first_day + timedelta(weeks=moved)
    packed = read_campaigns()
    by_slug = {}
    for shop, baskets in zip(SHOPS, fixture.tenants, strict=True):
        people = invent_people((basket.household for basket in baskets), region=shop.region)
        mobiles = {household: person.mobile for household, person in people.items()}
        by_slug[shop.slug] = [_set_up(campaign, first_day=first_day, mobiles=mobiles) for campaign in packed]
    return by_slug


def _set_up(campaign: Campaign, *, first_day: date, mobiles: dict[int, str]) -> DemoCampaign:
    return DemoCampaign(
        number=campaign.number,
        kind=campaign.kind,
        starts_on=first_day + timedelta(days=campaign.first_day),
        ends_on=first_day + timedelta(days=campaign.last_day),
        mobiles=tuple(sorted(mobiles[household] for household in campaign.households if household in mobiles)),
        items=tuple(sorted(str(product) for product in campaign.products)),
    )


def read_campaigns(path: Path = CAMPAIGNS) -> list[Campaign]:
    """Every campaign by number."""
    document = json.loads(gzip.decompress(path.read_bytes()))
    codes = list(accumulate(document["products"]))
    return [
        Campaign(
            number=row["number"],
            kind=row["kind"],
            first_day=row["first_day"],
            last_day=row["last_day"],
            households=tuple(accumulate(row["households"])),
            products=tuple(codes[index] for index in accumulate(row["products"])),
        )
        for row in document["campaigns"]
    ]


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
        "source": "The Complete Journey, dunnhumby / 84.51°, for research and educational purposes; see config/demo/campaigns.py",
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
        sys.stderr.write("usage: python -m config.demo.campaigns PARQUET_DIR OUT\n")
        return 2
    folder, out = Path(arguments[0]), Path(arguments[1])
    size_bytes = write_fixture(derive(folder, fixture=read_fixture()), path=out)
    sys.stderr.write(f"{out}: {size_bytes:,} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
