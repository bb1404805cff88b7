"""Long tables of a brand, newest first, by id: a page at a time, or all of it in chunks.

What is rare among millions is looked for a stretch of rows at a time, so that no page takes longer than another.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Model, QuerySet

from tenants import access as gate
from tenants.models import Tenant

ROWS_A_PAGE = 50
#: So many rows are looked through for one page.
STRETCH = 300_000
CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Page[M: Model]:
    """`older`: the cursor of the next page. `cut`: not all was looked through, only the newest rows before the cursor."""

    rows: list[M]
    older: int | None
    cut: bool


def cursor_of(text: str) -> int | None:
    """The place that an address names; what is none begins at the newest."""
    return int(text) if text.isdecimal() and len(text) < 19 else None


def page[M: Model](rows: QuerySet[M], *, whole: QuerySet[M], before: int | None, indexed: bool = False) -> Page[M]:
    """Of what is filtered. `whole`: the same table unfiltered, by which stretches are counted. `indexed`: the filter itself is quick."""
    if before:
        rows, whole = rows.filter(pk__lt=before), whole.filter(pk__lt=before)
    floor = None if indexed else whole.order_by("-pk").values_list("pk", flat=True)[STRETCH : STRETCH + 1].first()
    if floor is not None:
        rows = rows.filter(pk__gte=floor)
    found = list(rows.order_by("-pk")[: ROWS_A_PAGE + 1])
    full = len(found) > ROWS_A_PAGE
    older = found[ROWS_A_PAGE - 1].pk if full else floor
    return Page(found[:ROWS_A_PAGE], older, cut=not full and floor is not None)


def chunks[M: Model](tenant: Tenant, rows: QuerySet[M], *, most: int | None = None) -> Iterator[list[M]]:
    """Each is read in a transaction of its own behind the tenant's walls: while they are sent, the request is over."""
    before: int | None = None
    left = most
    while left is None or left > 0:
        with transaction.atomic(), gate.walls_around([tenant]):
            rest = rows.filter(pk__lt=before) if before else rows
            found = list(rest.order_by("-pk")[: CHUNK if left is None else min(CHUNK, left)])
        yield found
        if len(found) < CHUNK:
            return
        before = found[-1].pk
        left = None if left is None else left - len(found)
