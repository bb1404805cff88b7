"""A customer's balance over the last year: by day, as a line and as a table."""

from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import F, Sum

from loyalty.models import Entry
from support.charts import Drawing, steps
from support.picture import Picture

DAYS = 365


@dataclass(frozen=True, slots=True)
class Day:
    """A day on which points moved: what it changed, and the closing balance at its end."""

    on: date
    change: int
    closing: int


@dataclass(frozen=True, slots=True)
class Chart:
    """`days` newest first."""

    days: tuple[Day, ...]
    drawing: Drawing
    since: date
    until: date


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
    drawing = steps([(day.on, day.closing) for day in reversed(days)], began_with=closing, since=since, until=until)
    return Chart(tuple(days), drawing, since, until)
