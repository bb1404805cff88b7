"""The demo's deliveries: what the tills of two retailers would send over half a year, in weekly waves.

A loader posts a wave's holds, then its bills, waits until all of them are booked or set aside, and goes on with the next wave.
The same `ends_on` and seed give the same stream, and `truth` says which bills were tampered with and how.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from config.demo.bills import Document, Redemption, bill_no, make_bill
from config.demo.draws import draw, happens
from config.demo.faults import Fault, draw_fault, with_another_amount, without_required_field
from config.demo.fixture import FIXTURE, Basket, Fixture, read_fixture
from config.demo.people import invent_people
from config.demo.redeem import Redemptions, Sale, play
from config.demo.returned import draw_returns, make_return, return_number
from config.demo.shops import SHOPS, Mode, Shop
from config.demo.stories import Story, tell_stories

WALK_IN_PER_MILLE = 20


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """A store to create; `mode` is what the tenant believes of it."""

    code: str
    name: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class Wave:
    """One week, from a Sunday. `holds` are bodies of POST /holds, `bills` of POST /bills, in the order to send them."""

    starts_on: date
    holds: list[Document]
    bills: list[Document]


@dataclass(frozen=True, slots=True)
class TenantStream:
    """A tenant to create and all it receives."""

    slug: str
    name: str
    timezone: str
    currency: str
    region: str
    earn_per: str
    point_value: str
    stores: list[StoreInfo]
    waves: list[Wave]
    faults: dict[str, str]
    stories: list[Story]
    #: Bills that the tills never send, as they would have been.
    withheld: list[Document]

    @property
    def truth(self) -> dict[str, str | list[Story]]:
        """What was done to which bill number, and under "stories" whom to look at."""
        return {**self.faults, "stories": self.stories}


def build(*, ends_on: date, seed: str = "pointdesk", baskets: Path = FIXTURE) -> list[TenantStream]:
    """Both tenants' streams of the packed baskets.

    Dates move by whole weeks: weekdays stay, the last day is the Saturday on or before `ends_on`.
    """
    fixture = read_fixture(baskets)
    first_day = fixture.first_day + (ends_on - fixture.last_day) // timedelta(weeks=1) * timedelta(weeks=1)
    return [
        _stream(shop, baskets=own, fixture=fixture, first_day=first_day, seed=seed)
        for shop, own in zip(SHOPS, fixture.tenants, strict=True)
    ]


def _stream(shop: Shop, *, baskets: Sequence[Basket], fixture: Fixture, first_day: date, seed: str) -> TenantStream:
    sales = _sales(baskets, shop=shop, first_day=first_day, last_week=fixture.weeks - 1, seed=seed)
    outcome = play(sales, weeks=fixture.weeks, shop=shop, seed=seed)
    waves = [Wave(starts_on=first_day + timedelta(weeks=week), holds=[], bills=[]) for week in range(fixture.weeks)]
    stories = tell_stories(sales, outcome=outcome)
    returns = draw_returns(sales, outcome=outcome, told={story["mobile"] for story in stories}, seed=seed)
    withheld = _fill(waves, sales=sales, outcome=outcome, returns=returns, shop=shop, seed=seed)
    return TenantStream(
        slug=shop.slug,
        name=shop.name,
        timezone=shop.timezone,
        currency=shop.currency,
        region=shop.region,
        earn_per=shop.earn_per,
        point_value=shop.point_value,
        stores=[StoreInfo(code=store.code, name=store.name, mode=store.mode) for store in shop.stores],
        waves=waves,
        faults={number: fault.value for number, fault in outcome.faults.items()}
        | {return_number(number): fault.value for number, fault in returns.items()},
        stories=stories,
        withheld=withheld,
    )


def _sales(baskets: Sequence[Basket], *, shop: Shop, first_day: date, last_week: int, seed: str) -> list[Sale]:
    """Each basket with its number, its customer and its time: the wall clock of the source, read in the tenant's zone."""
    zone = ZoneInfo(shop.timezone)
    stores = {store.number: store for store in shop.stores}
    people = invent_people((basket.household for basket in baskets), region=shop.region)
    sales = []
    for basket in baskets:
        store = stores[basket.store]
        number = bill_no(basket, store=store)
        walk_in = happens("walk_in", seed=seed, key=number, per_mille=WALK_IN_PER_MILLE)
        clock = time(basket.second // 3600, basket.second // 60 % 60, basket.second % 60)
        sales.append(
            Sale(
                basket=basket,
                bill_no=number,
                store=store,
                at=datetime.combine(first_day + timedelta(days=basket.day), clock, tzinfo=zone),
                person=None if walk_in else people[basket.household],
                fault=draw_fault(number, day=basket.day, store=store, is_last_wave=basket.week == last_week, seed=seed),
            )
        )
    return sales


def _fill(
    waves: Sequence[Wave], *, sales: Sequence[Sale], outcome: Redemptions, returns: dict[str, Fault], shop: Shop, seed: str
) -> list[Document]:
    """Holds and bills of each wave, oldest first; it ends with what is sent again and the conflicts with the week before.

    -> the bills that are never sent.
    """
    withheld: list[Document] = []
    again: list[list[Document]] = [[] for _ in waves]
    late: list[list[Document]] = [[] for _ in waves]
    for sale in sales:
        week, fault = sale.basket.week, outcome.faults.get(sale.bill_no)
        redemption = outcome.by_bill.get(sale.bill_no)
        if redemption:
            waves[week].holds.append(_hold(sale, redemption=redemption, seed=seed))
        document = _document(sale, basket=sale.basket, redemption=redemption, shop=shop, seed=seed)
        match fault:
            case Fault.STORE_SILENT | Fault.COMPLETION_DROPPED:
                withheld.append(document)
                continue
            case Fault.LATE:
                late[week + 1].append(document)
                continue
            case Fault.REQUIRED_FIELD:
                document = without_required_field(document, bill_no=sale.bill_no, seed=seed)
            case Fault.SENT_TWICE:
                again[week].append(document)
            case Fault.CONFLICT:
                # A wave later, so that it is certain which of the two came first.
                other = with_another_amount(sale.basket)
                again[week + 1].append(_document(sale, basket=other, redemption=redemption, shop=shop, seed=seed))
        of_sale = [document]
        if back := returns.get(sale.bill_no):
            returned = make_return(sale, document, back, seed=seed)
            of_sale = [returned, document] if back is Fault.RETURN_FIRST else [document, returned]
        waves[week].bills.extend(of_sale)
    for wave, first, last in zip(waves, late, again, strict=True):
        wave.bills[:0] = first
        wave.bills.extend(last)
    return withheld


def _document(sale: Sale, *, basket: Basket, redemption: Redemption | None, shop: Shop, seed: str) -> Document:
    return make_bill(basket, shop=shop, store=sale.store, at=sale.at, person=sale.person, redemption=redemption, seed=seed)


def _hold(sale: Sale, *, redemption: Redemption, seed: str) -> Document:
    """The body of POST /holds: two to six minutes before the bill."""
    if sale.person is None:
        raise ValueError(f"Bill {sale.bill_no} is a walk-in's: it cannot redeem.")
    before = timedelta(seconds=120 + draw("hold_at", seed=seed, key=sale.bill_no) % 240)
    # By way of UTC: a zone's own clock would miscount across a change to or from summer time.
    at = (sale.at.astimezone(UTC) - before).astimezone(sale.at.tzinfo)
    return {
        "mobile": sale.person.mobile,
        "points": redemption.points,
        "store_code": sale.store.code,
        "reference": redemption.reference,
        "bill_no": sale.bill_no,
        "at": at.isoformat(),
    }
