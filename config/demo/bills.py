"""A basket as the bill document a POS would send. All sums are in minor units and exact."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from config.demo.draws import draw, pick
from config.demo.fixture import Basket, Line
from config.demo.people import Person
from config.demo.shops import GST_OTHER_PER_CENT, GST_PER_CENT, Mode, Shop, Store

type Document = dict[str, object]


@dataclass(frozen=True, slots=True)
class Redemption:
    """Points that pay part of a bill. `split` says whether a discount-mode till names the lines they paid for."""

    reference: str
    points: int
    mode: Mode
    split: bool


def money(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


def bill_no(basket: Basket, *, store: Store) -> str:
    return f"{store.code}-{basket.number}"


def net(basket: Basket, *, shop: Shop) -> int:
    """What the lines come to before any points, in minor units."""
    return shop.scale * sum(line.paid for line in basket.lines)


def points_payable(basket: Basket, *, shop: Shop) -> int:
    """The most points this basket can take: not more than is left after coupons, and a whole number of points on each line."""
    left = max(0, net(basket, shop=shop) - basket.coupon * shop.scale) // shop.point
    return min(left, sum(line.paid * shop.scale // shop.point for line in basket.lines))


def split_points(points: int, *, amounts: Sequence[int], point: int) -> list[int]:
    """Points over lines by largest remainder, in proportion to their amounts and never worth more than the line.

    The shares sum to `points`, as long as `points` are no more than the lines can take in whole points.
    """
    total = sum(amounts)
    shares = [points * amount // total for amount in amounts]
    by_remainder = sorted(range(len(amounts)), key=lambda index: (-(points * amounts[index] % total), index))
    left = points - sum(shares)
    while left:
        before = left
        for index in by_remainder:
            if left and (shares[index] + 1) * point <= amounts[index]:
                shares[index] += 1
                left -= 1
        if left == before:
            raise ValueError(f"{points} points are more than these lines can take.")
    return shares


def make_bill(
    basket: Basket, *, shop: Shop, store: Store, at: datetime, person: Person | None, redemption: Redemption | None, seed: str
) -> Document:
    """The whole document. Without a person it is a walk-in's."""
    number = bill_no(basket, store=store)
    in_lines = redemption is not None and redemption.mode == "discount"
    shares = [0] * len(basket.lines)
    if redemption and in_lines:
        amounts = [line.paid * shop.scale for line in basket.lines]
        shares = split_points(redemption.points, amounts=amounts, point=shop.point)
    named = redemption is not None and redemption.split
    items, sums = [], _Sums()
    for line_no, (line, share) in enumerate(zip(basket.lines, shares, strict=True), start=1):
        items.append(_item(line, line_no=line_no, share=share, named=named, shop=shop, sums=sums))
    till = draw("till", seed=seed, key=number) % 4 + 1
    document: Document = {
        "bill_type": "SALE",
        "bill_no": number,
        "bill_date": at.isoformat(),
        "store_code": store.code,
        "till_code": f"T{till}",
        "cashier": f"E{100 + draw('cashier', seed=seed, key=f'{store.code}|{basket.day}|{till}') % 60}",
    }
    if person:
        document["customer"] = {"mobile": person.mobile, "name": person.name}
    if redemption:
        document["loyalty_mode"] = redemption.mode.upper()
    document |= {
        "tax_inclusive": shop.gst,
        "gross_amount": money(sums.value),
        "discount_amount": money(sums.discount),
        "net_amount": money(sums.amount),
        "tax_amount": money(sums.tax),
        "round_off": "0.00",
        # Tenant one's prices include GST and tenant two has no tax: either way there is nothing on top.
        "payable_amount": money(sums.amount),
    }
    if redemption:
        worth = money(redemption.points * shop.point)
        document["redemption"] = {"reference": redemption.reference, "points": redemption.points, "amount": worth}
    document["items"] = items
    document["tenders"] = _tenders(
        sums.amount,
        coupon=basket.coupon * shop.scale,
        redemption=None if in_lines else redemption,
        rest=pick(shop.tenders, kind="tender", seed=seed, key=number),
        point=shop.point,
    )
    return document


@dataclass(slots=True)
class _Sums:
    """The header's totals, in minor units, as the lines are written."""

    value: int = 0
    discount: int = 0
    amount: int = 0
    tax: int = 0


def _item(line: Line, *, line_no: int, share: int, named: bool, shop: Shop, sums: _Sums) -> Document:
    value = (line.paid + line.off) * shop.scale
    paid_by_points = share * shop.point
    discount = line.off * shop.scale + paid_by_points
    amount = value - discount
    item: Document = {"line_no": line_no, "line_type": "SALE", "item_code": str(line.product)}
    if line.department:
        item["department"] = line.department
    item["qty"] = f"{line.thousandths // 1000}.{line.thousandths % 1000:03d}"
    if rate := _rate(value, thousandths=line.thousandths):
        item["rate"] = rate
    item |= {"value": money(value), "discount": money(discount), "amount": money(amount)}
    if shop.gst:
        tax = _tax_inside(amount, per_cent=GST_PER_CENT.get(line.department, GST_OTHER_PER_CENT))
        item["tax_amount"] = money(tax)
        sums.tax += tax
    if share and named:
        item |= {"loyalty_discount": money(paid_by_points), "loyalty_points": share}
    sums.value += value
    sums.discount += discount
    sums.amount += amount
    return item


def _rate(value: int, *, thousandths: int) -> str | None:
    """The price of one, where four decimals tell it exactly; petrol's seldom do."""
    rate, rest = divmod(value * 100_000, thousandths)  # in ten-thousandths
    if rest:
        return None
    return money(rate // 100) if rate % 100 == 0 else f"{rate // 10_000}.{rate % 10_000:04d}"


def _tax_inside(amount: int, *, per_cent: int) -> int:
    """The tax that a price includes, rounded half up to a minor unit."""
    return (2 * amount * per_cent + 100 + per_cent) // (2 * (100 + per_cent))


def _tenders(payable: int, *, coupon: int, redemption: Redemption | None, rest: str, point: int) -> list[Document]:
    """What paid the bill; sums to `payable`. A coupon worth more than the bill pays the bill and no more."""
    tenders: list[Document] = []
    left = payable
    if paid := min(coupon, left):
        tenders.append({"mode": "MFR_COUPON", "amount": money(paid)})
        left -= paid
    if redemption:
        paid = redemption.points * point
        tenders.append({"mode": "LOYALTY_POINTS", "amount": money(paid), "reference": redemption.reference})
        left -= paid
    if left:
        tenders.append({"mode": rest, "amount": money(left)})
    return tenders
