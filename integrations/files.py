"""Long files of witnesses and customers, taken by the worker in chunks: each one transaction with its count, so a killed run goes on."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import batched
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from django.utils import timezone
from django_scopes import scope

from integrations import witnesses
from integrations.api.forms import read_body
from integrations.models import FileImport, FileKind, FileState
from integrations.witness_rows import DayEndRow, OrderRow, ShownRow
from integrations.witnesses import DayTotals, Refused
from loyalty import customer_import
from loyalty.ledger import retried
from tenants import audit, clock, crash
from tenants.actors import Actor, ActorKind
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.runs import alone
from tenants.saying import said
from tenants.uploads import FileRefused, canonical, check_columns, kind_of, rows_of

log = structlog.get_logger("pointdesk.files")
CHUNK = 500
#: A file works so long at a time; then others have their turn.
TURN_SECONDS = 5
#: A chunk that cannot be taken is tried so often; then the file ends there, and a person has to look.
FAILURES_MAX = 3
#: Refused rows that are kept with their reasons; all are counted.
SHOWN = 1000

type Rows = Sequence[tuple[int, Any]]
type Take = Callable[[FileImport, Rows, datetime], list[Refused]]


def _take_days(file: FileImport, days: Sequence[tuple[int, DayTotals]], now: datetime) -> list[Refused]:
    tenant, refused = file.tenant, []
    for number, totals in days:
        try:
            witnesses.settle_day(tenant, totals, now=now)
        except DomainError as refusal:
            refused.append(Refused(number, refusal))
    return refused


def _take_orders(file: FileImport, orders: Rows, now: datetime) -> list[Refused]:
    return witnesses.take_orders(file.tenant, orders, now=now)


def _take_balances(file: FileImport, balances: Rows, now: datetime) -> list[Refused]:
    return witnesses.take_crm_balances(file.tenant, balances, now=now)


def _take_people(file: FileImport, people: Rows, now: datetime) -> list[Refused]:
    refused = customer_import.take(file.tenant, people, actor=actor_of(file), now=now)
    return [Refused(number, refusal) for number, refusal in refused]


def _by_form(form: type[DayEndRow] | type[OrderRow] | type[ShownRow]) -> Callable[[dict[str, str]], Any]:
    return lambda cells: read_body(form, _named(cells)).value()


@dataclass(frozen=True, slots=True)
class Kind:
    """`read`: a row's cells as what `take` takes; it raises DomainError."""

    read: Callable[[dict[str, str]], Any]
    take: Take


KINDS: dict[str, Kind] = {
    FileKind.DAY_ENDS: Kind(_by_form(DayEndRow), _take_days),
    FileKind.ORDERS: Kind(_by_form(OrderRow), _take_orders),
    FileKind.BALANCES: Kind(_by_form(ShownRow), _take_balances),
    FileKind.PEOPLE: Kind(customer_import.person_of, _take_people),
}


def keep(tenant: Tenant, kind: FileKind, *, name: str, body: bytes, actor: Actor) -> FileImport:
    """The file for the worker to read; it stands in the database, so any host can go on with it. Raises: FileRefused."""
    kind_of(body)
    with transaction.atomic():
        row: FileImport = FileImport.objects.create(
            tenant=tenant,
            kind=kind,
            name=name[-200:],
            body=body,
            actor_kind=actor.kind.value,
            actor_id=actor.id,
            actor_name=actor.name,
        )
        audit.record(tenant, actor=actor, action="import_file", target=row, reason=said("Imported from {name}", name=row.name))
    return row


def work_on(file: FileImport, *, seconds: float = TURN_SECONDS) -> bool:
    """Read it on from where it was, for one turn, unless another worker is at it. -> whether we did; its state says if it is over.

    A file that turns out to be unreadable ends as `refused`; what stood before the place is taken, and the page says so.
    """
    with scope(tenant=file.tenant), alone(f"file {file.pk}") as ours:
        if ours:
            file.refresh_from_db()  # while we waited, another worker may have read it
            if file.state in (FileState.WAITING, FileState.RUNNING):
                _read(file, until=time.monotonic() + seconds)
                file.refresh_from_db()
    return ours


def _read(file: FileImport, *, until: float) -> None:
    try:
        for chunk in batched(_rows(file), CHUNK):
            retried(partial(_take, file, chunk))
            crash.point("file_after_chunk")
            if time.monotonic() > until:
                return
    except FileRefused as refusal:
        _end(file, FileState.REFUSED, message=refusal.sentence)
    except (OperationalError, InterfaceError):
        raise  # the database's trouble is no file's
    except Exception as problem:
        log.error("file stopped", file=file.pk, error=type(problem).__name__)
        FileImport.objects.filter(pk=file.pk).update(failures=F("failures") + 1)
        file.refresh_from_db(fields=["failures"])
        if file.failures >= FAILURES_MAX:
            told = said(
                "The rows after row {row:,} could not be taken ({problem}). Ask us to look at them.",
                row=file.last_row, problem=type(problem).__name__,
            )  # fmt: skip
            _end(file, FileState.REFUSED, message=told)
    else:
        _end(file, FileState.DONE)


def _rows(file: FileImport) -> Iterator[tuple[int, dict[str, str]]]:
    body = bytes(file.body)
    return ((number, cells) for number, cells in rows_of(body, kind=kind_of(body)) if number > file.last_row)


def _take(file: FileImport, chunk: Sequence[tuple[int, dict[str, str]]]) -> None:
    kind = KINDS[file.kind]
    read: list[tuple[int, Any]] = []
    refused: list[Refused] = []
    for number, cells in chunk:
        try:
            check_columns(cells)
            read.append((number, kind.read(cells)))
        except DomainError as refusal:
            refused.append(Refused(number, refusal))
    with transaction.atomic():
        locked: FileImport = FileImport.objects.select_for_update().defer("body").get(pk=file.pk)
        if locked.last_row >= chunk[0][0]:
            return  # another worker was faster
        refused += kind.take(file, read, clock.now())
        told = [{"row": each.index, "code": each.refusal.code, "message": each.refusal.sentence} for each in refused]
        locked.refused_rows = [*locked.refused_rows, *sorted(told, key=lambda row: int(str(row["row"])))][:SHOWN]
        locked.refused += len(refused)
        locked.taken += len(chunk) - len(refused)
        locked.last_row, locked.state, locked.failures = chunk[-1][0], FileState.RUNNING, 0
        locked.save(update_fields=["refused_rows", "refused", "taken", "last_row", "state", "failures"])
    file.last_row = locked.last_row


def _named(cells: dict[str, str]) -> dict[str, str]:
    """By the API's names; an empty cell says nothing; a date that a spreadsheet keeps as a time is a date."""
    named = {canonical(name): cell for name, cell in cells.items() if cell}
    if "store" in named:
        named.setdefault("store_code", named.pop("store"))
    if "business_date" in named:
        named["business_date"] = named["business_date"].removesuffix("T00:00:00")
    return named


def actor_of(file: FileImport) -> Actor:
    return Actor(ActorKind(file.actor_kind), file.actor_id, file.actor_name)


def _end(file: FileImport, state: FileState, *, message: str = "") -> None:
    with transaction.atomic():
        locked: FileImport = FileImport.objects.select_for_update().defer("body").get(pk=file.pk)
        if locked.state not in (FileState.WAITING, FileState.RUNNING):
            return
        locked.state, locked.message, locked.finished_at = state, message[:500], timezone.now()
        locked.body = b""  # it is personal data, and what it said is taken
        locked.save(update_fields=["state", "message", "finished_at", "body"])
        audit.record(
            file.tenant, actor=actor_of(file), action="end_import", target=locked,
            reason=said("Imported from {name}", name=file.name), after={"state": state.value, "taken": locked.taken, "refused": locked.refused},
        )  # fmt: skip
