"""Files from outside (TRAPS 26): what is hostile is refused by name and row, before it is read whole."""

import io
import random
import re
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from tenants import uploads
from tenants.import_form import ListFormat
from tenants.uploads import FileRefused, TooBusy, is_for_worker, is_long, kind_of, rows_of

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
NAMESPACE = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
#: What the kernel ends, as it may be told: time, or memory.
DEAR = "takes longer than a list needs|cannot be read"


def padded(rows: bytes, before: bytes = b"") -> bytes:
    """A sheet of such rows, with something beside it that does not shrink: so that it is no bomb by its looks."""
    sheet = b'<worksheet %b>%b<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c></row>%b</sheetData></worksheet>'
    book = changed(xlsx(("a",)), SHEET, sheet % (NAMESPACE, before, rows))
    return changed(book, "xl/media/x", random.Random(1).randbytes(600_000))


def packed_by(method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(xlsx(("a",)))) as old, zipfile.ZipFile(out, "w", method) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry.filename))
    return out.getvalue()


def with_end(data: bytes, *, count: int, size: int) -> bytes:
    """The same zip, which says of its directory what it likes."""
    place = data.rfind(b"PK\x05\x06")
    return data[: place + 8] + struct.pack("<2HL", count, count, size) + data[place + 16 :]


def sheets(count: int) -> bytes:
    """A workbook that names one sheet so often."""
    book = zipfile.ZipFile(io.BytesIO(xlsx(("a",)))).read("xl/workbook.xml").decode()
    one = re.findall(r"<sheet [^>]*/>", book)[0]
    more = "".join(one.replace('sheetId="1"', f'sheetId="{number}"') for number in range(2, count))
    made = changed(xlsx(("a",)), "xl/workbook.xml", book.replace(one, one + more).encode())
    return changed(made, "xl/media/x", random.Random(1).randbytes(600_000))


def active(data: bytes, second: bytes) -> bytes:
    """A workbook whose second sheet is the one that a program shows first."""
    book = openpyxl.load_workbook(io.BytesIO(data))
    book.create_sheet()
    book.active = 1
    out = io.BytesIO()
    book.save(out)
    return changed(out.getvalue(), "xl/worksheets/sheet2.xml", second)


DTD = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><worksheet>&b;</worksheet>'
STYLES = b'<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><fonts>%b</fonts></styleSheet>'
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "bomb": (lambda: changed(xlsx(("a",)), "xl/media/x.bin", b"0" * (60 << 20)), "unpacks to 60 MB"),
    "thin bomb": (lambda: changed(xlsx(("a",)), "xl/media/x.bin", b"0" * (40 << 20)), "unpacks to 40 MB"),
    "out of the zip": (lambda: changed(xlsx(("a",)), "../../etc/passwd", b"x"), "lead out of it"),
    "many files": (lambda: many(250), "holds 250 files"),
    "entities": (lambda: changed(xlsx(("a",)), SHEET, DTD), "cannot be read"),
    "no sheet": (lambda: changed(xlsx(("a",)), SHEET, b"<worksheet"), "cannot be read"),
    "a damaged sheet": (
        lambda: damaged(xlsx(("mobile", "points"), *((str(number), number) for number in range(200)))),
        "cannot be read",
    ),
    "no number": (lambda: changed(xlsx(("a",)), "xl/styles.xml", STYLES % b'<font><sz val="x"/></font>'), "cannot be read"),
    "a crowd of styles": (
        lambda: changed(
            changed(xlsx(("a",)), "xl/styles.xml", STYLES % (b"<font/>" * 60_000)), "xl/media/x", random.Random(1).randbytes(9000)
        ),
        "more styles and names",
    ),
    "half a zip": (lambda: xlsx(("a",))[:400], "is broken"),
    "10,000 columns": (lambda: b",".join(b"c%d" % number for number in range(10_000)), "Row 1 has more than 100 columns"),
    "wide xlsx": (lambda: xlsx(tuple(f"c{number}" for number in range(500))), "Row 1 has more than 100 columns"),
    "NUL": (lambda: HEAD + b"A1,1\nA2,\0\n", "Row 3 holds a NUL byte"),
    "UTF-16": (lambda: "order_no,amount\nA1,1\n".encode("utf-16"), "UTF-16"),
    "latin 1": (lambda: HEAD + b"A1,1\nA\xe9,2\n", "Row 3 is not UTF-8"),
    "unclosed quote": (lambda: HEAD + b'A1,1\n"A2,2\nA3,3\n', "cannot be read"),
    "more cells": (lambda: HEAD + b"A1,1\nA2,2,3\n", "Row 3 has more cells"),
    "a column twice": (lambda: b"a,b,a\n1,2,3\n", "names a column twice"),
    "nothing": (lambda: b"", "is empty"),
    "a row of millions of cells": (lambda: HEAD + b"A1,1\n" + b"ab," * 6_000_000, "Row 3 has more than 1,048,576 characters"),
    "a quoted row of many lines": (lambda: HEAD + b'"' + b'x\n","' * 400_000, "Row 2 has more than 1,048,576 characters"),
    "a directory without end": (lambda: with_end(many(150), count=150, size=1 << 24), "holds 150 files"),
    "packed otherwise": (lambda: packed_by(zipfile.ZIP_BZIP2), "packed in a way"),
    "an attribute of 45 MB": (lambda: padded(b'<row r="2"><c r="A2" x="%b"/></row>' % (b"A" * (45 << 20))), DEAR),
    "a comment of 45 MB": (lambda: padded(b"<!--%b-->" % (b"A" * (45 << 20))), DEAR),
    "4 million attributes": (
        lambda: padded(b'<row r="2"><c %b/></row>' % b" ".join(b'a%x=""' % n for n in range(4_000_000))),
        DEAR,
    ),
    "390,000 rules of validation": (
        lambda: padded(b"", b"<dataValidations>%b</dataValidations>" % (b'<dataValidation sqref="A1"/>' * 390_000)),
        DEAR,
    ),
    "390,000 links": (lambda: padded(b"", b"<hyperlinks>%b</hyperlinks>" % (b'<hyperlink ref="A1"/>' * 390_000)), DEAR),
    "20,000 sheets": (lambda: sheets(20_000), DEAR),
    "huge cell": (lambda: HEAD + b"A1," + b"9" * 5000, "more than 4,000 characters"),
    "huge file": (lambda: b"x" * ((20 << 20) + 1), "more than 20 MB"),
}


def read(data: bytes) -> list[tuple[int, dict[str, str]]]:
    return list(rows_of(data, kind=kind_of(data)))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_by_name_in_little_memory(name: str) -> None:
    make, told = HOSTILE[name]
    data = make()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileRefused, match=told):
        list(rows_of(data, kind=kind_of(data), awaited=True))
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10 < 300, "MB"


def test_what_is_too_dear_while_somebody_waits_is_the_worker_s() -> None:
    data = HOSTILE["390,000 rules of validation"][0]()
    assert is_for_worker(data, kind=kind_of(data))


def test_an_import_page_reads_the_sheet_that_was_looked_at(as_alice: Client) -> None:
    """The first one, and not the one that a program shows: there the reader of before read on without end."""
    endless = b'<worksheet %b><sheetData><row r="1000000000000"><c r="A1"><v>1</v></c></row></sheetData></worksheet>' % NAMESPACE
    body = active(xlsx(("code", "name"), ("S1", "Adyar")), endless)
    file = SimpleUploadedFile("stores.xlsx", body)
    answer = as_alice.post(reverse("admin:tenants_store_import"), {"import_file": file, "format": "0"}).content.decode()
    assert "S1" in answer
    assert "Adyar" in answer


def test_a_first_row_that_leaves_its_last_cells_empty_takes_no_column_away() -> None:
    for body in (b"code,name,is_active\nS1\nS2,Adyar,0\n", xlsx(("code", "name", "is_active"), ("S1",), ("S2", "Adyar", "0"))):
        table = ListFormat().create_dataset(body)
        assert (table.headers, table[0], table[1]) == (["code", "name", "is_active"], ("S1", "", ""), ("S2", "Adyar", "0"))


@pytest.mark.parametrize(
    "text", ['[{"code": "S1", "name": "x"}]', "- {code: S1, name: x}", "<table><tr><th>code</th></tr></table>"]
)
@pytest.mark.parametrize("format", range(7))
def test_an_import_page_takes_no_other_kind_of_file(as_alice: Client, text: str, format: int) -> None:
    """JSON, YAML and HTML have ways of their own to be endless."""
    file = SimpleUploadedFile("stores.json", text.encode())
    answer: Any = as_alice.post(reverse("admin:tenants_store_import"), {"import_file": file, "format": str(format)})
    assert answer.status_code == 200
    assert "confirm_form" not in answer.context, "nothing of it can be taken"


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


def test_a_spreadsheet_that_takes_long_to_read_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows may be few: a worker reads it, and not the web process while somebody waits."""
    row = tuple(range(90))
    assert is_for_worker(xlsx(*[row] * 1200), kind="xlsx")
    monkeypatch.setattr(uploads, "SECONDS_AT_ONCE", 60)
    monkeypatch.setattr(uploads, "CLOCK_SECONDS_AT_ONCE", 60)
    assert not is_long(xlsx(*[row] * 900), kind="xlsx")


@pytest.fixture
def no_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two seconds of a processor may be many by the clock."""
    asleep = tmp_path / "reader.py"
    asleep.write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setattr(uploads, "READER", asleep)
    monkeypatch.setattr(uploads, "CLOCK_SECONDS_AT_ONCE", 0.2)


STORES = xlsx(("code", "name"), ("S1", "Adyar"))


def test_nobody_waits_at_a_page_for_a_reader_that_gets_no_processor(no_processor: None) -> None:
    assert is_for_worker(STORES, kind="xlsx")
    with pytest.raises(TooBusy):
        is_long(STORES, kind="xlsx")
    assert [uploads.READERS.acquire(blocking=False) for _ in range(3)] == [True, True, False], "both places are free again"
    uploads.READERS.release(2)


def test_where_no_worker_reads_it_the_page_says_that_it_was_the_machine(as_alice: Client, no_processor: None) -> None:
    file = SimpleUploadedFile("stores.xlsx", STORES)
    answer = as_alice.post(reverse("admin:tenants_store_import"), {"import_file": file, "format": "0"}).content.decode()
    assert "Too much is being read just now. Nothing was taken" in answer
    assert "rows. Split it" not in answer


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
    assert "has more than 1,000 rows" in upload(b"code,name\n" + b"".join(b"S%d,x\n" % number for number in range(1001)))
    assert "S1" in upload(b"code,name\nS1,x\n")
