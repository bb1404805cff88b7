"""Long tables of a brand, newest first: a page at a time, or all of it in chunks.

What is rare among millions is looked for a stretch of rows at a time, so that no page takes longer than another. Newest is the greatest id;
of what is asked for by days it is the latest day, and the greatest id in it: there are indexes of days, and what was written late lies far
from the rest of its day by id.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db import transaction
from django.db.models import BooleanField, F, Func, Model, QuerySet
from django.utils.dateparse import parse_date

from tenants import access as gate
from tenants.models import Tenant

ROWS_A_PAGE = 50
#: So many rows are looked through for one page; by days, to the end of a day.
STRETCH = 200_000
#: Where most pages are full already.
NEAR = 2000
CHUNK = 1000
#: The last row that was shown, or a day: what is older than it comes next.
type Cursor = int | date


@dataclass(frozen=True, slots=True)
class Page[T]:
    """`older`: the cursor of the next page, as an address names it. `cut`: not all was looked through, only the newest before the cursor."""

    rows: list[T]
    older: str
    cut: bool


def cursor_of(text: str) -> Cursor | None:
    """The place that an address names; what is none begins at the newest."""
    if text.isdecimal() and len(text) < 19:
        return int(text)
    try:
        return parse_date(text)
    except ValueError:
        return None


def page[M: Model](
    rows: QuerySet[M], *, whole: QuerySet[M], before: Cursor | None, indexed: bool = False, day: str = ""
) -> Page[M]:
    """Of what is filtered. `whole`: the same rows but for what no index finds; its stretches are looked through. `indexed`: all of it is quick.
    `day`: the column of dates by which it goes."""
    if day:
        return _by_day(rows, whole, before, day=day)
    if isinstance(before, int):
        rows, whole = rows.filter(pk__lt=before), whole.filter(pk__lt=before)
    if indexed:
        return _page(rows.order_by("-pk"), None)
    near = _page(rows.filter(_among(whole, min(NEAR, STRETCH))).order_by("-pk"), None)
    if near.older:
        return near
    floor = whole.order_by("-pk").values_list("pk", flat=True)[STRETCH - 1 : STRETCH].first()
    if floor is not None:
        whole = whole.filter(pk__gte=floor)
    return _page(rows.filter(_among(whole)).order_by("-pk"), floor)


def _among[M: Model](whole: QuerySet[M], size: int | None = None) -> Func:
    """The newest rows of the whole, by their ids. Asked for in any other way, PostgreSQL may walk down the primary key through whatever
    others wrote meanwhile: it takes tenants for evenly spread."""
    ids = ArraySubquery(whole.order_by("-pk").values("pk")[:size])
    return Func(F("pk"), ids, template="(%(expressions)s))", arg_joiner=" = ANY (", output_field=BooleanField())


def _by_day[M: Model](rows: QuerySet[M], whole: QuerySet[M], before: Cursor | None, *, day: str) -> Page[M]:
    if isinstance(before, date):
        rows, whole = rows.filter(**{f"{day}__lt": before}), whole.filter(**{f"{day}__lt": before})
    elif before and (last := whole.filter(pk=before).values_list(day, flat=True).first()):
        rows, whole = rows.filter(**{f"{day}__lte": last}), whole.filter(**{f"{day}__lte": last})
        rows = rows.exclude(**{day: last, "pk__gte": before})
    floor: Any = whole.order_by(f"-{day}").values_list(day, flat=True)[STRETCH : STRETCH + 1].first()
    if floor is not None:
        rows = rows.filter(**{f"{day}__gte": floor})
        floor = floor if whole.filter(**{f"{day}__lt": floor}).exists() else None
    order = (f"-{day}", "-pk")  # a day is sorted by its ids alone, without what is joined to each
    ids = list(rows.order_by(*order).values_list("pk", flat=True)[: ROWS_A_PAGE + 1])
    return _page(rows.filter(pk__in=ids).order_by(*order), floor)


def _page[M: Model](rows: QuerySet[M], floor: Cursor | None) -> Page[M]:
    """Of rows that end with the floor, if there is one."""
    found = list(rows[: ROWS_A_PAGE + 1])
    if len(found) > ROWS_A_PAGE:
        return Page(found[:ROWS_A_PAGE], str(found[ROWS_A_PAGE - 1].pk), cut=False)
    return Page(found, "" if floor is None else str(floor), cut=floor is not None)


def chunks[M: Model](tenant: Tenant, rows: QuerySet[M], *, most: int | None = None, day: str = "") -> Iterator[list[M]]:
    """Each is read in a transaction of its own behind the tenant's walls: while they are sent, the request is over."""
    left = most
    for found in _days(tenant, rows, day=day) if day else _ids(tenant, rows):
        yield found if left is None else found[:left]
        if left is not None and (left := left - len(found)) <= 0:
            return


def _ids[M: Model](tenant: Tenant, rows: QuerySet[M]) -> Iterator[list[M]]:
    rest = rows.order_by("-pk")
    while True:
        with transaction.atomic(), gate.walls_around([tenant]):
            found = list(rest[:CHUNK])
        yield found
        if len(found) < CHUNK:
            return
        rest = rows.filter(pk__lt=found[-1].pk).order_by("-pk")


def _days[M: Model](tenant: Tenant, rows: QuerySet[M], *, day: str) -> Iterator[list[M]]:
    """A day's ids are put into order once, and not again for each chunk of a day that has a million."""
    rest = rows
    while True:
        with transaction.atomic(), gate.walls_around([tenant]):
            latest = rest.order_by(f"-{day}").values_list(day, flat=True).first()
            if latest is None:
                return
            ids = array("q", rest.filter(**{day: latest}).order_by("-pk").values_list("pk", flat=True).iterator())
        for start in range(0, len(ids), CHUNK):
            with transaction.atomic(), gate.walls_around([tenant]):
                found = list(rows.filter(pk__in=ids[start : start + CHUNK].tolist()).order_by("-pk"))
            yield found
        rest = rows.filter(**{f"{day}__lt": latest})
