"""Files from outside: looked at before they are read, read as a stream, refused by name when they are hostile (CSV and xlsx)."""

import csv
import io
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tenants.errors import DomainError
from tenants.saying import said

BYTES_MAX = 20 << 20
COLUMNS_MAX = 100
CELL_MAX = 4000
#: Of an xlsx, which is a zip: unpacked size, how far it may be packed, and how many files it may hold.
UNPACKED_MAX, RATIO_MAX, ENTRIES_MAX = 50 << 20, 100, 200
#: An xlsx costs time by the tag: so many at once, and so many in what is read whole before the first row, as styles and names are.
TAGS_AT_ONCE, TAGS_BESIDE_MAX = 400_000, 50_000
#: Rows always belong to the brand of whoever uploads them, and are known by what they say.
NEVER_COLUMNS = frozenset({"tenant", "tenant_id", "id", "pk"})
#: What a worker reads, and not the web process while somebody waits.
ROWS_AT_ONCE = 5000
#: More rows, also empty ones, are no list; a spreadsheet program writes no more.
ROWS_MAX = 1_048_576
#: Empty rows in a row: beyond, something has gone wrong with the file.
EMPTY_MAX = 1000
#: Bytes of a CSV's row.
RECORD_MAX = 1 << 20
#: Seconds of a processor that a workbook may cost while somebody waits, and in the worker.
SECONDS_AT_ONCE, SECONDS_MAX = 2, 60
#: By the clock, while somebody waits: for a reader, and for what it reads. A page reads a file twice, and its transaction may rest for 15 s.
FREE_SECONDS_AT_ONCE, CLOCK_SECONDS_AT_ONCE = 2, 4
#: So many workbooks are read at once by a process; a worker waits until it may.
READERS = threading.BoundedSemaphore(2)
READER = Path(__file__).with_name("workbook.py")
#: How a zip ends: its entries' count and the size of their directory.
ZIP_END = struct.Struct("<4s4H2LH")
DIRECTORY_MAX = 64 << 10


class FileRefused(DomainError):
    """The file is not read; nothing of it was taken."""

    def __init__(self, sentence: str, **details: Any) -> None:
        super().__init__("file_refused", sentence, **details)


class TooDear(FileRefused):
    """A workbook that costs more time than it was given."""

    def __init__(self) -> None:
        super().__init__(said("Reading this xlsx takes longer than a list needs. Save it as CSV UTF-8."))


class TooBusy(FileRefused):
    """It was not read in time while somebody waited, and that says nothing of the file."""

    def __init__(self) -> None:
        super().__init__(
            said("Too much is being read just now. Nothing was taken: try it again in a minute, or save the list as CSV UTF-8.")
        )


def kind_of(data: bytes) -> str:
    """`csv` or `xlsx`, after a look that costs nothing. Raises: FileRefused."""
    if len(data) > BYTES_MAX:
        raise FileRefused(said("The file has more than {most} MB. Split it.", most=BYTES_MAX >> 20))
    if data[:4] == b"PK\x03\x04":
        _check_zip(data)
        return "xlsx"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FileRefused(said("The file is in UTF-16. Save it as CSV UTF-8."))
    if b"\0" in data:
        row = data[: data.index(b"\0")].count(b"\n") + 1
        told = said("Row {row} holds a NUL byte, so this is no CSV. Save it as CSV UTF-8 or as xlsx.", row=row)
        raise FileRefused(told, row=row)
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        row = data[: problem.start].count(b"\n") + 1
        raise FileRefused(said("Row {row} is not UTF-8. Save the file as CSV UTF-8.", row=row), row=row) from None
    return "csv"


def _check_zip(data: bytes) -> None:
    _check_directory(data)
    try:
        entries = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as problem:
        raise FileRefused(said("The file begins like an xlsx and is broken. Save it again.")) from problem
    unpacked = sum(entry.file_size for entry in entries)
    packed = max(sum(entry.compress_size for entry in entries), 1)
    if len(entries) > ENTRIES_MAX or unpacked > UNPACKED_MAX or unpacked / packed > RATIO_MAX:
        raise FileRefused(
            said(
                "The xlsx unpacks to {size} MB in {files} files; that is more than a list needs. Save it as CSV UTF-8.",
                size=unpacked >> 20,
                files=len(entries),
            )
        )
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
        raise FileRefused(said("The xlsx is packed in a way that no spreadsheet program uses. Save it again."))
    if any(".." in entry.filename or entry.filename.startswith(("/", "\\")) or entry.flag_bits & 1 for entry in entries):
        raise FileRefused(said("The xlsx holds files that lead out of it, or is locked with a password. Save it again."))
    if _tags(data, beside=True) > TAGS_BESIDE_MAX:
        raise FileRefused(said("The xlsx holds more styles and names than a list needs. Save it as CSV UTF-8."))


def _check_directory(data: bytes) -> None:
    """Before it is read: a directory of hundreds of thousands costs seconds by itself."""
    place = data.rfind(b"PK\x05\x06", -(1 << 16) - ZIP_END.size)
    if place < 0 or len(data) - place < ZIP_END.size:
        raise FileRefused(said("The file begins like an xlsx and is broken. Save it again."))
    *_, count, size, _, _ = ZIP_END.unpack_from(data, place)
    if count > ENTRIES_MAX or size > DIRECTORY_MAX:
        raise FileRefused(
            said("The xlsx holds {count:,} files; that is more than a list needs. Save it as CSV UTF-8.", count=count)
        )


def _tags(data: bytes, *, beside: bool = False) -> int:
    """How many tags an xlsx holds, or what there is beside its rows and their texts. Raises: FileRefused."""
    count = 0
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry in archive.infolist():
            if not (beside and entry.filename.startswith(("xl/worksheets/", "xl/sharedStrings", "xl/media/"))):
                with _broken_is_refused(), archive.open(entry) as part:
                    count += sum(piece.count(b"<") for piece in iter(partial(part.read, 1 << 20), b""))
    return count


@contextmanager
def _broken_is_refused() -> Iterator[None]:
    """A broken xlsx may fail anywhere in its readers, with whatever they raise."""
    try:
        yield
    except FileRefused:
        raise
    except Exception as problem:
        told = said("The xlsx cannot be read ({problem}). Save it as CSV UTF-8.", problem=type(problem).__name__)
        raise FileRefused(told) from problem


def rows_of(data: bytes, *, kind: str, awaited: bool = False) -> Iterator[tuple[int, dict[str, str]]]:
    """-> (number of the row in the file, its cells by the names of the first row), one by one. `awaited`: while somebody waits.

    Raises: FileRefused, on the way; it is TooDear where time was what it took, and TooBusy where it got none and is awaited.
    """
    names, lines = table_of(data, kind=kind, awaited=awaited)
    for number, cells in lines:
        yield number, dict(zip(names, cells, strict=False))


def table_of(data: bytes, *, kind: str, awaited: bool = False) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """-> the names of the first row, and each row that is not empty with its number. Raises: as `rows_of`."""
    lines = _xlsx_lines(data, awaited=awaited) if kind == "xlsx" else _csv_lines(data)
    _, first = next(lines, (0, []))
    names = [name.strip() for name in first]
    plain = [canonical(name) for name in names]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise FileRefused(said("The file is empty. Its first row names the columns."))
    if len(set(plain[: len(names)])) < len(names) or "" in names:
        raise FileRefused(said("The first row names a column twice, or leaves one without a name."), row=1)
    return names, _below(lines, columns=len(names))


def _below(lines: Iterator[tuple[int, list[str]]], *, columns: int) -> Iterator[tuple[int, list[str]]]:
    empty = 0
    for number, cells in lines:
        empty = 0 if any(cells) else empty + 1
        if empty > EMPTY_MAX:
            told = said("After row {row} come more than {most:,} empty rows. Delete them.", row=number - empty, most=EMPTY_MAX)
            raise FileRefused(told, row=number)
        if any(cells[columns:]):
            told = said("Row {row} has more cells than there are columns; perhaps a quote is missing.", row=number)
            raise FileRefused(told, row=number)
        if any(cells):
            yield number, cells


def canonical(name: str) -> str:
    """A column's name as we know it: `Store Code` is `store_code`."""
    return name.strip().lower().replace(" ", "_")


def _csv_lines(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Each with the number of the line that it begins on."""
    begins, size = 1, 0

    def lines() -> Iterator[str]:
        nonlocal size
        for line in io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline=""):
            size += len(line)
            if size > RECORD_MAX:  # before its cells are made
                told = said(
                    "Row {row} has more than {most:,} characters; perhaps a quote is missing.", row=begins, most=RECORD_MAX
                )
                raise FileRefused(told, row=begins)
            yield line

    reader = csv.reader(lines(), strict=True)
    while True:
        begins, size = reader.line_num + 1, 0
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            told = said("Row {row} cannot be read: {problem}.", row=begins, problem=problem)
            raise FileRefused(told, row=begins) from None
        yield begins, _checked(cells, number=begins)


def _xlsx_lines(data: bytes, *, awaited: bool) -> Iterator[tuple[int, list[str]]]:
    """By a process of its own, which is ended where nobody asks on. Its memory and its time are the kernel's to refuse."""
    if not READERS.acquire(timeout=FREE_SECONDS_AT_ONCE if awaited else None):
        raise TooBusy
    try:
        yield from _read(data, awaited=awaited)
    finally:
        READERS.release()


def _read(data: bytes, *, awaited: bool) -> Iterator[tuple[int, list[str]]]:
    seconds, nice = (SECONDS_AT_ONCE, 0) if awaited else (SECONDS_MAX, 10)
    argv = [sys.executable, "-I", str(READER), *(str(each) for each in (seconds, nice, ROWS_MAX, COLUMNS_MAX, CELL_MAX))]
    with os.fdopen(os.memfd_create("book"), "w+b") as book:  # personal data: never on a disk
        book.write(data)
        book.seek(0)
        reader = subprocess.Popen(argv, stdin=book, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={"LC_ALL": "C.UTF-8"})
    assert reader.stdout is not None
    late = threading.Event()

    def end() -> None:
        late.set()
        reader.kill()

    clock = threading.Timer(CLOCK_SECONDS_AT_ONCE, end)
    try:
        if awaited:
            clock.start()
        for line in reader.stdout:
            if not line.endswith(b"\n"):
                break  # it was ended within a row
            match json.loads(line):
                case [int(number), list(texts)]:
                    if number > ROWS_MAX:
                        told = said("The file has rows beyond the {most:,}th. Save the list by itself.", most=ROWS_MAX)
                        raise FileRefused(told, row=number)
                    yield number, _checked(texts, number=number)
                case {"error": str(problem)}:
                    raise FileRefused(said("The xlsx cannot be read ({problem}). Save it as CSV UTF-8.", problem=problem))
                case _:
                    return
        ended = reader.wait()
        if late.is_set():
            raise TooBusy
        if ended in (-signal.SIGXCPU, -signal.SIGKILL):
            raise TooDear
        raise FileRefused(said("The xlsx cannot be read ({problem}). Save it as CSV UTF-8.", problem="MemoryError"))
    finally:
        clock.cancel()
        reader.kill()
        reader.stdout.close()
        reader.wait()


def _checked(cells: list[str], *, number: int) -> list[str]:
    while cells and not cells[-1]:
        cells.pop()
    if len(cells) > COLUMNS_MAX:
        raise FileRefused(said("Row {row} has more than {most} columns.", row=number, most=COLUMNS_MAX), row=number)
    if any(len(cell) > CELL_MAX for cell in cells):
        raise FileRefused(
            said("A cell of row {row} has more than {most:,} characters; perhaps a quote is missing.", row=number, most=CELL_MAX),
            row=number,
        )
    return cells


def check_columns(names: Iterable[Any]) -> None:
    """Raises: DomainError `column_forbidden`, for a column that would say whose the row is."""
    forbidden = sorted(NEVER_COLUMNS & {canonical(str(name)) for name in names if name})
    if forbidden:
        raise DomainError(
            "column_forbidden",
            said("The column {name} is not allowed: rows always belong to your own brand. Remove it.", name=forbidden[0]),
        )


def is_long(data: bytes, *, kind: str, at_once: int = ROWS_AT_ONCE) -> bool:
    """Whether there are more rows than are read at once; no more are read to tell.

    Raises: FileRefused; TooDear, TooBusy where a worker may read it, but not while somebody waits.
    """
    if kind == "xlsx" and _tags(data) > TAGS_AT_ONCE:
        raise TooDear
    return any(place > at_once for place, _ in enumerate(rows_of(data, kind=kind, awaited=True), start=1))


def is_for_worker(data: bytes, *, kind: str, at_once: int = ROWS_AT_ONCE) -> bool:
    """Whether it is too much to be read while somebody waits: of rows, of time, or just now. Raises: FileRefused."""
    try:
        return is_long(data, kind=kind, at_once=at_once)
    except (TooDear, TooBusy):
        return True
