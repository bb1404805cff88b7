import codecs
import gzip
import time
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction
from django.utils import timezone
from django_scopes import scope

from integrations import bell, inbox
from integrations.documents import MalformedJSON
from integrations.models import Delivery, Source
from tenants import clock
from tenants.actors import SYSTEM
from tenants.commands import JsonCommand, tenant_of
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.saying import said
from tenants.tasks import worker_is_alive

ROWS_A_TRANSACTION = 200
LINE_BYTES_MAX = 1 << 20
BYTES_A_TRANSACTION = 4 << 20
#: So many lines that were not taken are named.
PROBLEMS_SHOWN = 20
#: So many lines at its beginning, none of them a bill: another file was meant.
NO_BILLS_MAX = 1000
#: Beyond so many bytes a file that unpacks to so many times its size is a bomb.
UNPACKED_FREE, RATIO_MAX = 64 << 20, 300


class Command(JsonCommand):
    help = "Read bills from a file, one JSON object a line: the same inbox and rules as over HTTP."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("slug")
        parser.add_argument("file", help="FILE.jsonl or FILE.jsonl.gz")
        parser.add_argument("--repush", default="", metavar="LABEL")
        parser.add_argument("--wait", action="store_true", help="until none of them waits to be processed")

    def work(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_of(options["slug"])
        path = Path(options["file"])
        if not path.is_file():
            raise DomainError("no_file", f"There is no file {path}.")
        ids = array("q")  # eight bytes a bill: of a million, eight megabytes
        refused: Counter[str] = Counter()
        with scope(tenant=tenant):
            for lines in _chunks(path):
                with transaction.atomic():
                    for number, line in lines:
                        if refusal := self._receive(tenant, line, options["repush"], ids):
                            refused[refusal.code] += 1
                            if refused.total() <= PROBLEMS_SHOWN:
                                self.stderr.write(f"line {number}: {refusal.code}: {refusal.sentence}")
                if not ids and refused.total() >= NO_BILLS_MAX:
                    told = said(
                        "None of the first {count:,} lines is a bill. Is it another file that was meant?", count=refused.total()
                    )
                    raise DomainError("file_refused", told)
            bell.ring(tenant.pk)
            if options["wait"]:
                _wait(tenant, ids)
            states = Counter(refused)
            for some in _parts(ids):
                found = dict(Delivery.objects.filter(tenant=tenant, pk__in=set(some)).values_list("pk", "state"))
                states.update(found[pk] for pk in some)
        return {"total": len(ids) + refused.total(), "counts": dict(states)}

    def _receive(self, tenant: Tenant, line: bytes, repush: str, ids: "array[int]") -> DomainError | None:
        """-> why it was not taken."""
        if len(line) > LINE_BYTES_MAX:
            return DomainError("too_large", said("The line has more than {most:,} bytes.", most=LINE_BYTES_MAX))
        try:
            received = inbox.receive(tenant, line, source=Source.FILE, sender=SYSTEM, now=timezone.now(), repush=repush)
            ids.append(received.id)
        except MalformedJSON as refusal:
            return DomainError("rejected", refusal.sentence)
        except DomainError as refusal:
            return refusal
        return None


def _chunks(path: Path) -> Iterator[list[tuple[int, bytes]]]:
    """Lines with their numbers: so many, or so many bytes, at a time."""
    chunk: list[tuple[int, bytes]] = []
    size = 0
    try:
        for number, line in _lines(path):
            chunk.append((number, line))
            size += len(line)
            if len(chunk) == ROWS_A_TRANSACTION or size > BYTES_A_TRANSACTION:
                yield chunk
                chunk, size = [], 0
    except DomainError:
        yield chunk  # what came before it
        raise
    yield chunk


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """What is no empty line. Of one that is too long as much as tells that, however long it is.

    Raises: DomainError `file_refused`, for what is no such file, unpacks beyond reason, or breaks off; what came before it is taken.
    """
    number = unpacked = 0
    with path.open("rb") as packed, gzip.GzipFile(fileobj=packed) if path.suffix.lower() == ".gz" else packed as file:
        while True:
            try:
                line = file.readline(LINE_BYTES_MAX + 1)
                piece = line
                unpacked += len(piece)
                while len(piece) > LINE_BYTES_MAX and not piece.endswith(b"\n"):
                    piece = file.readline(LINE_BYTES_MAX + 1)
                    unpacked += len(piece)
                    _check_ratio(unpacked, packed.tell(), number + 1)
            except (OSError, EOFError, zlib.error) as problem:
                told = said(
                    "After line {line:,} the file cannot be read ({problem}). What came before it is taken; repeats do no harm: send it whole.",
                    line=number, problem=type(problem).__name__,
                )  # fmt: skip
                raise DomainError("file_refused", told, line=number) from problem
            if not line:
                return
            number += 1
            _check_ratio(unpacked, packed.tell(), number)
            if number == 1:
                if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    raise DomainError("file_refused", said("The file is in UTF-16. Save it as UTF-8."))
                line = line.removeprefix(codecs.BOM_UTF8)
            if line.strip():
                yield number, line.strip()


def _check_ratio(unpacked: int, packed: int, number: int) -> None:
    if unpacked > UNPACKED_FREE and unpacked > packed * RATIO_MAX:
        told = said("Line {line:,}: the file unpacks to more than {most} times its size. Bills do not; nothing more of it was read.",
            line=number, most=RATIO_MAX)  # fmt: skip
        raise DomainError("file_refused", told, line=number)


def _parts(ids: "array[int]") -> Iterator[list[int]]:
    for place in range(0, len(ids), 5000):
        yield ids[place : place + 5000].tolist()


def _wait(tenant: Tenant, ids: "array[int]") -> None:
    """Until none of them is `received`; processed here where no worker is alive."""
    inline = not worker_is_alive()
    while True:
        if inline:
            inbox.drain(tenant, now=clock.now())
        waiting = any(Delivery.objects.filter(tenant=tenant, state="received", pk__in=some).exists() for some in _parts(ids))
        if not waiting:
            return
        inline = inline or not worker_is_alive()
        time.sleep(0.5)
