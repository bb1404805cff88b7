"""What points are worth, in a currency's own steps."""

from decimal import Decimal


def worth(points: int, *, rate: Decimal, minor_digits: int) -> Decimal:
    """What points are worth, in the currency's minor unit, rounded down."""
    unit = Decimal(1).scaleb(-minor_digits)
    return (rate * points // unit * unit).quantize(unit)


def minor_digits(currency: str) -> int:
    """How many decimals a currency's amounts have (ISO 4217)."""
    return {
        "JPY": 0,
        "KRW": 0,
        "VND": 0,
        "CLP": 0,
        "ISK": 0,
        "XAF": 0,
        "XOF": 0,
        "KWD": 3,
        "BHD": 3,
        "OMR": 3,
        "JOD": 3,
        "TND": 3,
    }.get(currency, 2)


def written(amount: Decimal | str, *, currency: str) -> str:
    """`INR 1,842.00`: an amount for people, with the currency's code."""
    return f"{currency} {Decimal(amount):,.{minor_digits(currency)}f}"
