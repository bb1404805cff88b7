"""Backups of PostgreSQL, and the proof that one can be restored: ClickHouse and Redis hold nothing that is not built anew from it."""

import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django_scopes import scopes_disabled

from config import databases
from loyalty.audit import audit_ledger
from loyalty.models import Entry
from support import heads
from tenants import trail, walls
from tenants.errors import DomainError
from tenants.models import AuditEvent, Tenant
from tenants.saying import said

PREFIX = "rehearsal_"


@dataclass(slots=True)
class Rehearsed:
    """What a restored backup holds. `problems`: sentences; none, and it is a good backup. `newest`: the last thing that it knows of."""

    database: str
    seconds: float = 0.0
    tenants: int = 0
    entries: int = 0
    events: int = 0
    newest: str = ""
    problems: list[str] = field(default_factory=list)


def dump(path: Path) -> int:
    """Write a backup in PostgreSQL's custom format; -> bytes. It appears under its name when it is whole.

    Raises: DomainError `exists`, `tool_failed`.
    """
    if path.exists():
        raise DomainError("exists", said("{path} is there already. Choose another name.", path=path))
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # nobody else's from the first byte on
    try:
        databases.run(
            "pg_dump", "--format=custom", f"--file={unfinished}", databases.named(str(connection.settings_dict["NAME"]))
        )
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path.stat().st_size


def rehearse(path: Path, *, kept: Path | None = None) -> Rehearsed:
    """Restore a backup beside the running database, ask it everything an auditor asks, and drop it again.

    `kept`: a file of heads that was kept elsewhere. Heads that are younger than the backup cannot be in it: a backup's own age says so.

    Raises: DomainError `tool_failed`, `bad_value`; OSError.
    """
    path.open("rb").close()
    given = heads.kept_in(kept).heads if kept else {}
    began = time.monotonic()
    with databases.beside(PREFIX) as name:
        databases.run("pg_restore", "--exit-on-error", "--no-owner", "--jobs=2", databases.named(name), str(path))
        with databases.connected_to(name), scopes_disabled():
            found = Rehearsed(name)
            _look_at(found, given)
    found.seconds = round(time.monotonic() - began, 1)
    return found


def _look_at(found: Rehearsed, given: dict[str, dict[str, set[str]]]) -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        found.problems.append(said("It is of an older version: its migrations are not complete. Rehearse it with that version."))
        return
    tenants = list(Tenant.objects.order_by("pk"))
    found.tenants, found.entries, found.events = len(tenants), Entry.objects.count(), AuditEvent.objects.count()
    moments = [
        Entry.objects.order_by("-posted_at").values_list("posted_at", flat=True).first(),
        AuditEvent.objects.order_by("-at").values_list("at", flat=True).first(),
    ]
    found.newest = max((each.isoformat() for each in moments if each is not None), default="")
    for tenant in tenants:
        for name, chain in heads.CHAINS.items():
            verdict = chain.verify(tenant, kept=given.get(tenant.slug, {}).get(name, ()))
            found.problems += [
                f"{tenant.slug}, {name}: {each.what} (block {each.block}, id {each.row})" for each in verdict.broken[:20]
            ]
    lost = sorted(given.keys() - {tenant.slug for tenant in tenants})
    found.problems += [said("The brand {slug} of the file of heads is not in it.", slug=slug) for slug in lost]
    report = audit_ledger()
    found.problems += [f"law {law}: {count} broken" for law, count in report.laws.items() if count]
    found.problems += [said("Changes of {table} would not be told.", table=table) for table in trail.silent()]
    found.problems += [said("The table {table} has no wall.", table=table) for table in walls.missing()]
