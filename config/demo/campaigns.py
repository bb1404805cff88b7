"""The real campaigns of the demo's households, to be set up as bonus rules: who is targeted, what counts, and when.

config/demo/derive_campaigns.py packs them. Source and licence are the ones named in config/demo/derive.py.
**Real:** the 27 campaigns with their types and dates, the households they targeted, and the products of their coupons.
**Cut:** of households and products, only those of the fixture are kept. **Transposed:** dates move with the baskets.

The campaigns cover more than the fixture's half year: some end before it, some begin after it. The source does not say which of
a Type A campaign's coupons a household was sent, so each counts as good for all of them.
"""

import gzip
import json
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from pathlib import Path

from config.demo.fixture import FIXTURE, read_fixture
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


def campaigns(*, ends_on: date, baskets: Path = FIXTURE, packed: Path = CAMPAIGNS) -> dict[str, list[DemoCampaign]]:
    """All campaigns by tenant slug, with the dates and the mobiles that `journey.build` makes for the same `ends_on`.

    A household shops at one tenant only, so no mobile is targeted twice by a campaign. Items are the same for both tenants.
    """
    fixture = read_fixture(baskets)
    moved = (ends_on - fixture.last_day) // timedelta(weeks=1)
    first_day = fixture.first_day + timedelta(weeks=moved)
    found = read_campaigns(packed)
    by_slug = {}
    for shop, own in zip(SHOPS, fixture.tenants, strict=True):
        people = invent_people((basket.household for basket in own), region=shop.region)
        mobiles = {household: person.mobile for household, person in people.items()}
        by_slug[shop.slug] = [_set_up(campaign, first_day=first_day, mobiles=mobiles) for campaign in found]
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
