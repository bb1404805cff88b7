"""A customer's balance over the last year: by day, as a line and as a table."""

from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import F, Sum

from loyalty.models import Entry
from support.picture import Picture

DAYS = 365
WIDTH, HEIGHT = 720, 140


@dataclass(frozen=True, slots=True)
class Day:
    """A day on which points moved: what it changed, and the closing balance at its end."""

    on: date
    change: int
    closing: int


@dataclass(frozen=True, slots=True)
class Chart:
    """`days` newest first; `line`: the path of a picture of WIDTH by HEIGHT; `zero`: the height of 0 in it."""

    days: tuple[Day, ...]
    line: str
    zero: float
    top: int
    bottom: int
    since: date
    until: date
    width: int = WIDTH
    height: int = HEIGHT


def of(picture: Picture) -> Chart:
    """By business date: on which day it happened, whenever it came here."""
    until = picture.now.astimezone(picture.tenant.zone).date()
    since = until - timedelta(days=DAYS)
    entries = Entry.objects.filter(tenant=picture.tenant, customer__in=picture.history, business_date__gt=since)
    by_day = entries.order_by().values("business_date").annotate(points=Sum(F("available") + F("held") - F("owed")))
    moved = {row["business_date"]: int(row["points"]) for row in by_day if row["points"]}
    closing, days = picture.balance.closing, []
    for day in sorted(moved, reverse=True):
        days.append(Day(day, moved[day], closing))
        closing -= moved[day]
    return _drawn(tuple(days), began_with=closing, since=since, until=until)


def _drawn(days: tuple[Day, ...], *, began_with: int, since: date, until: date) -> Chart:
    values = [began_with, 0, *(day.closing for day in days)]
    top, bottom = max(values), min(values)
    scale = HEIGHT / ((top - bottom) or 1)

    def x(day: date) -> float:
        return round((day - since).days / DAYS * WIDTH, 1)

    def y(points: int) -> float:
        return round((top - points) * scale, 1)

    line = [f"M0 {y(began_with)}"]
    for day in reversed(days):
        line.append(f"H{x(day.on)} V{y(day.closing)}")
    line.append(f"H{WIDTH}")
    return Chart(days, " ".join(line), y(0), top, bottom, since, until)
