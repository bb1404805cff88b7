import gzip
import time
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
from tenants.actors import SYSTEM
from tenants.commands import JsonCommand, tenant_of
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.tasks import worker_is_alive

ROWS_A_TRANSACTION = 200
LINE_BYTES_MAX = 1 << 20


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
                    for line in lines:
                        self._receive(tenant, line, options["repush"], ids, refused)
            bell.ring(tenant.pk)
            if options["wait"]:
                _wait(tenant, ids)
            states = Counter(refused)
            for some in _parts(ids):
                found = dict(Delivery.objects.filter(tenant=tenant, pk__in=set(some)).values_list("pk", "state"))
                states.update(found[pk] for pk in some)
        return {"total": len(ids) + refused.total(), "counts": dict(states)}

    def _receive(self, tenant: Tenant, line: bytes, repush: str, ids: "array[int]", refused: Counter[str]) -> None:
        if len(line) > LINE_BYTES_MAX:
            refused["too_large"] += 1
            return
        try:
            received = inbox.receive(tenant, line, source=Source.FILE, sender=SYSTEM, now=timezone.now(), repush=repush)
            ids.append(received.id)
        except MalformedJSON:
            refused["rejected"] += 1
        except DomainError as refusal:
            refused[refusal.code] += 1


def _chunks(path: Path) -> Iterator[list[bytes]]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        chunk: list[bytes] = []
        for line in file:
            if line.strip():
                chunk.append(line.strip())
            if len(chunk) == ROWS_A_TRANSACTION:
                yield chunk
                chunk = []
        yield chunk


def _parts(ids: "array[int]") -> Iterator[list[int]]:
    for place in range(0, len(ids), 5000):
        yield ids[place : place + 5000].tolist()


def _wait(tenant: Tenant, ids: "array[int]") -> None:
    """Until none of them is `received`; processed here where no worker is alive."""
    inline = not worker_is_alive()
    while True:
        if inline:
            inbox.drain(tenant, now=timezone.now())
        waiting = any(Delivery.objects.filter(tenant=tenant, state="received", pk__in=some).exists() for some in _parts(ids))
        if not waiting:
            return
        inline = inline or not worker_is_alive()
        time.sleep(0.5)
