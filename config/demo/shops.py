"""The two retailers of the demo: their settings, their stores, and what is wrong with their tills."""

from dataclasses import dataclass
from typing import Literal

Mode = Literal["payment", "discount"]

#: Made, but shaped like India's slabs: fresh food and fuel are outside GST, other food pays 5 %, the rest 18 %.
GST_PER_CENT = {
    "PRODUCE": 0,
    "MEAT": 0,
    "SEAFOOD": 0,
    "FUEL": 0,
    "SPIRITS": 0,
    "GROCERY": 5,
    "FROZEN GROCERY": 5,
    "MEAT-PCKGD": 5,
    "SEAFOOD-PCKGD": 5,
    "DELI": 5,
    "PASTRY": 5,
    "SALAD BAR": 5,
    "CHEF SHOPPE": 5,
    "RESTAURANT": 5,
    "NUTRITION": 5,
}
GST_OTHER_PER_CENT = 18


@dataclass(frozen=True, slots=True)
class Store:
    """A store as the tenant set it up. Days count from the fixture's first day; ranges leave out their end."""

    number: int
    name: str
    mode: Mode = "payment"
    #: From this day its tills work in the other mode, and nobody told the back office.
    drifts_from: int | None = None
    #: Its tills leave out which line the points paid for.
    splitless: range = range(0)
    #: It sends nothing at all.
    silent: range = range(0)

    @property
    def code(self) -> str:
        return f"S{self.number:05d}"

    def mode_on(self, day: int) -> Mode:
        """How the tills really work that day."""
        if self.drifts_from is None or day < self.drifts_from:
            return self.mode
        return "discount" if self.mode == "payment" else "payment"


@dataclass(frozen=True, slots=True)
class Shop:
    """A tenant. `scale` turns US cents into its minor units; `earn` and `point` are in minor units."""

    slug: str
    name: str
    timezone: str
    currency: str
    region: str
    earn_per: str
    point_value: str
    scale: int
    earn: int
    point: int
    gst: bool
    tenders: tuple[str, ...]
    #: At how many points a customer redeems; one is drawn per household.
    thresholds: tuple[int, ...]
    stores: tuple[Store, ...]


SHOPS = (
    Shop(
        slug="kulfi-house",
        name="Kulfi House",
        timezone="Asia/Kolkata",
        currency="INR",
        region="IN",
        earn_per="100",
        point_value="1.00",
        scale=50,
        earn=100_00,
        point=1_00,
        gst=True,
        tenders=("CASH", "UPI", "UPI", "CARD"),
        thresholds=(100, 100, 150, 250, 400, 400),
        stores=(
            Store(number=367, name="Anna Nagar", mode="discount", splitless=range(119, 147)),
            Store(number=361, name="T. Nagar", mode="discount"),
            Store(number=343, name="Adyar"),
            Store(number=406, name="Velachery", drifts_from=119),
            Store(number=31782, name="Mylapore"),
            Store(number=381, name="Tambaram", silent=range(170, 172)),
        ),
    ),
    Shop(
        slug="liberty-deli",
        name="Liberty Deli",
        timezone="America/New_York",
        currency="USD",
        region="US",
        earn_per="1",
        point_value="0.01",
        scale=1,
        earn=1_00,
        point=1,
        gst=False,
        tenders=("CASH", "CARD", "CARD"),
        thresholds=(200, 300, 500),
        stores=(
            Store(number=321, name="Broad Street"),
            Store(number=319, name="Elm Square", mode="discount", silent=range(163, 165)),
        ),
    ),
)
