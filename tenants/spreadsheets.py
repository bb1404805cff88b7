"""Cells that a spreadsheet shows and does not run, and files of many rows, made while they are sent."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import openpyxl
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

#: How a text begins that a spreadsheet would run as a formula, also in its full-width spelling; what a program does not see may stand before it.
_BEGINS = r"(?=[\s\u200b-\u200f\u2060\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\u207c]|[\t\r\n])"
#: Where one may: a `;` parts cells in half of the world.
FORMULA, QUOTED = re.compile(rf"(^|;){_BEGINS}"), re.compile(rf"(^|;)'{_BEGINS}")


def safe(value: Any) -> Any:
    """A text that begins like a formula gets a quote before it; import-export's own option strips one leading `=` only. What no workbook may
    hold is left out."""
    if not isinstance(value, str):
        return value
    text = ILLEGAL_CHARACTERS_RE.sub("", value)
    return FORMULA.sub(r"\1'", text)


def plain(text: str) -> str:
    """As it was before `safe`."""
    return QUOTED.sub(r"\1", text)


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Line by line."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    yield "\ufeff" + out.getvalue()  # so that a spreadsheet program reads it as UTF-8
    for row in rows:
        out.seek(0)
        out.truncate()
        writer.writerow(row)
        yield out.getvalue()


def as_xlsx(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, most: int | None = None, cut: str = ""
) -> Iterator[bytes]:
    """The first `most` rows, and a last one that says `cut` where there are more. Made when it is sent: the request is over by then."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(title)
    sheet.append(list(columns))
    for place, row in enumerate(rows):
        sheet.append(list(row) if most is None or place < most else [cut])
        if place == most:
            break
    out = io.BytesIO()
    book.save(out)
    yield out.getvalue()
