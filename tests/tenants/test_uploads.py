"""Files from outside (TRAPS 26): what is hostile is refused by name and row, before it is read whole."""

import io
import random
import resource
import zipfile

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from tenants import uploads
from tenants.uploads import FileRefused, is_long, kind_of, rows_of

HEAD = b"order_no,amount\n"


def xlsx(*lines: tuple[object, ...]) -> bytes:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for line in lines:
        sheet.append(list(line))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def changed(data: bytes, name: str, text: bytes) -> bytes:
    """The same zip with another file in it, or instead of one."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.filename != name:
                new.writestr(entry, old.read(entry.filename))
        new.writestr(name, text)
    return out.getvalue()


def damaged(data: bytes) -> bytes:
    """A byte in the middle of what is packed turned round."""
    middle = data.index(SHEET.encode()) + len(SHEET) + 40
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


def many(files: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for place in range(files):
            made.writestr(f"xl/media/{place}", b"x")
    return out.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
DTD = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><worksheet>&b;</worksheet>'
STYLES = b'<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><fonts>%b</fonts></styleSheet>'
HOSTILE: dict[str, tuple[bytes, str]] = {
    "bomb": (changed(xlsx(("a",)), "xl/media/x.bin", b"0" * (60 << 20)), "unpacks to 60 MB"),
    "thin bomb": (changed(xlsx(("a",)), "xl/media/x.bin", b"0" * (40 << 20)), "unpacks to 40 MB"),
    "out of the zip": (changed(xlsx(("a",)), "../../etc/passwd", b"x"), "lead out of it"),
    "many files": (many(250), "in 25[0-9] files"),
    "entities": (changed(xlsx(("a",)), SHEET, DTD), "cannot be read"),
    "no sheet": (changed(xlsx(("a",)), SHEET, b"<worksheet"), "cannot be read"),
    "a damaged sheet": (damaged(xlsx(("mobile", "points"), *((str(number), number) for number in range(200)))), "cannot be read"),
    "no number": (changed(xlsx(("a",)), "xl/styles.xml", STYLES % b'<font><sz val="x"/></font>'), "cannot be read"),
    "a crowd of styles": (
        changed(
            changed(xlsx(("a",)), "xl/styles.xml", STYLES % (b"<font/>" * 60_000)), "xl/media/x", random.Random(1).randbytes(9000)
        ),
        "more styles and names",
    ),
    "half a zip": (xlsx(("a",))[:400], "is broken"),
    "10,000 columns": (b",".join(b"c%d" % number for number in range(10_000)), "Row 1 has more than 100 columns"),
    "wide xlsx": (xlsx(tuple(f"c{number}" for number in range(500))), "Row 1 has more than 100 columns"),
    "NUL": (HEAD + b"A1,1\nA2,\0\n", "Row 3 holds a NUL byte"),
    "UTF-16": ("order_no,amount\nA1,1\n".encode("utf-16"), "UTF-16"),
    "latin 1": (HEAD + b"A1,1\nA\xe9,2\n", "Row 3 is not UTF-8"),
    "unclosed quote": (HEAD + b'A1,1\n"A2,2\nA3,3\n', "cannot be read"),
    "more cells": (HEAD + b"A1,1\nA2,2,3\n", "Row 3 has more cells"),
    "a column twice": (b"a,b,a\n1,2,3\n", "names a column twice"),
    "nothing": (b"", "is empty"),
    "huge cell": (HEAD + b"A1," + b"9" * 5000, "more than 4,000 characters"),
    "huge file": (b"x" * ((20 << 20) + 1), "more than 20 MB"),
}


def read(data: bytes) -> list[tuple[int, dict[str, str]]]:
    return list(rows_of(data, kind=kind_of(data)))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_by_name_in_little_memory(name: str) -> None:
    data, told = HOSTILE[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileRefused, match=told):
        read(data)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10 < 300, "MB"


def test_a_million_rows_are_not_read_to_see_that_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    data = HEAD + b"A1,1\n" * 1_000_000
    seen = 0

    def counted(*args: object, **named: object) -> object:
        nonlocal seen
        for each in rows_of(*args, **named):  # type: ignore[arg-type]
            seen += 1
            yield each

    monkeypatch.setattr(uploads, "rows_of", counted)
    assert is_long(data, kind=kind_of(data))
    assert seen == uploads.ROWS_AT_ONCE + 1
    assert not is_long(HEAD + b"A1,1\n" * 5000, kind="csv")


def test_a_spreadsheet_that_takes_long_to_read_is_long() -> None:
    """Its rows may be few: a worker reads it, and not the web process while somebody waits."""
    row = tuple(range(90))
    assert is_long(xlsx(*[row] * 1200), kind="xlsx")
    assert not is_long(xlsx(*[row] * 900), kind="xlsx")


def test_rows_keep_their_numbers_and_a_spreadsheets_cells_are_texts() -> None:
    assert read(b"\xef\xbb\xbf" + HEAD + b'A1,1\n\n,\n"A,2",2\n') == [
        (2, {"order_no": "A1", "amount": "1"}),
        (5, {"order_no": "A,2", "amount": "2"}),
    ]
    assert read(xlsx(("mobile", "points", "at"), (9840012345.0, 7, None), (None, None, None), ("+91 98400", 1.5, True))) == [
        (2, {"mobile": "9840012345", "points": "7"}),
        (4, {"mobile": "+91 98400", "points": "1.5", "at": "True"}),
    ]


def _with_row(number: int) -> bytes:
    """An xlsx of two rows, the second of which says that it is the so-manieth."""
    source = zipfile.ZipFile(io.BytesIO(xlsx(("mobile", "name"), ("1", "a"))))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename.endswith("sheet1.xml"):
                data = data.replace(b'<row r="2"', b'<row r="%d"' % number)
            target.writestr(entry, data)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [_with_row(3_000_000), _with_row(1_000_000_000_000), HEAD + b"A1,1\n" + b",\n" * 100_000],
    ids=["xlsx", "xlsx that never ends", "csv"],
)
def test_endless_empty_rows_are_refused_at_once(data: bytes) -> None:
    with pytest.raises(FileRefused, match=r"empty rows|rows beyond"):
        list(rows_of(data, kind=kind_of(data)))
    with pytest.raises(FileRefused):
        is_long(data, kind=kind_of(data))


def test_an_import_page_refuses_what_is_hostile_or_too_long_for_it(as_alice: Client) -> None:
    page = reverse("admin:tenants_store_import")

    def upload(body: bytes) -> str:
        file = SimpleUploadedFile("stores.csv", body, content_type="text/csv")
        answer = as_alice.post(page, {"import_file": file, "format": "0"})
        assert answer.status_code == 200
        return answer.content.decode()

    assert "Row 2 holds a NUL byte" in upload(b"code,name\nK\0,x\n")
    assert "has more than 5,000 rows" in upload(b"code,name\n" + b"".join(b"S%d,x\n" % number for number in range(5001)))
    assert "S1" in upload(b"code,name\nS1,x\n")
