"""Files that leave the house: told in the trail before their first byte, and with their SHA-256 before their last.

A file is made for whoever presses the button, while it is sent: it lies nowhere, and no link leads to it. By its SHA-256, which stands in
the sealed trail, an auditor tells months later whether a file is one of ours, whole and unchanged, and who took it.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.mail import EmailMessage
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import StreamingHttpResponse

from tenants import access as gate
from tenants import audit
from tenants.access import Access
from tenants.actors import Actor, ActorKind
from tenants.models import AuditEvent, Tenant

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = "text/csv; charset=utf-8"
#: What the trail calls a file, whose id is its SHA-256 in hex.
FILE = "file"
WHOLE, BROKEN_OFF = "sent_file", "broke_off_file"


def sent(
    content: Iterable[str] | Iterable[bytes],
    *,
    name: str,
    what: str,
    access: Access,
    target: models.Model | None = None,
    asked: dict[str, Any] | None = None,
) -> StreamingHttpResponse:
    """A file, of the kind that its name says, sent while it is made. `what`: of the trail's `export_…`; `asked`: by which filters."""
    kind = _kind(name)
    begun = audit.record(
        access.tenant, actor=access.actor, action=f"export_{what}", target=target or access.tenant, reason=f"Exported as {kind}", after=asked,
    )  # fmt: skip
    return StreamingHttpResponse(
        _told(content, begun, name=name, what=what),
        content_type=CSV if kind == "csv" else XLSX,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def tell(
    content: bytes,
    *,
    name: str,
    what: str,
    tenant: Tenant,
    actor: Actor,
    how: str = "Exported",
    target: models.Model | None = None,
    asked: dict[str, Any] | None = None,
) -> None:
    """Of a file that is made already and goes in one piece."""
    begun = audit.record(
        tenant, actor=actor, action=f"export_{what}", target=target or tenant, reason=f"{how} as {_kind(name)}", after=asked
    )
    list(_told([content], begun, name=name, what=what))


def mailed(mail: EmailMessage, text: str, *, name: str, what: str, tenant: Tenant, actor: Actor, target: models.Model) -> None:
    """Send a mail with a CSV, byte for byte: as text a mail program may end its lines otherwise, and it would be another file. Told when it has
    gone. Raises: what sending raises."""
    content = text.encode()
    mail.attach(name, content, "application/octet-stream")
    mail.send()
    tell(content, name=name, what=what, tenant=tenant, actor=actor, how="Mailed", target=target)


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _told(content: Iterable[str] | Iterable[bytes], begun: AuditEvent, *, name: str, what: str) -> Iterator[bytes]:
    """The last piece goes when its SHA-256 is kept: whoever has the whole file has one that the trail knows."""
    actor = Actor(ActorKind(begun.actor_kind), begun.actor_id, begun.actor_name)
    done = audit.event(begun.tenant, actor=actor, action=WHOLE, target=begun.tenant)
    seen, size, last = hashlib.sha256(), 0, b""
    try:
        for piece in content:
            if last:
                yield last
            last = piece.encode() if isinstance(piece, str) else piece
            seen.update(last)
            size += len(last)
    except BaseException:
        _keep(done, BROKEN_OFF, seen.hexdigest(), {"export": begun.pk, "name": name, "what": what, "bytes": size})
        raise
    _keep(done, WHOLE, seen.hexdigest(), {"export": begun.pk, "name": name, "what": what, "bytes": size})
    yield last


def _keep(done: AuditEvent, action: str, digest: str, after: dict[str, Any]) -> None:
    """Behind the tenant's walls: while a file is sent, its request is over."""
    done.action, done.object_type, done.object_id, done.after = action, FILE, digest, after
    with transaction.atomic(), gate.walls_around([done.tenant]):
        done.save(force_insert=True)


def known(tenant: Tenant, digest: str) -> QuerySet[AuditEvent]:
    """Every time that this very file was sent whole, the latest first."""
    found: QuerySet[AuditEvent] = AuditEvent.objects.filter(
        tenant=tenant, object_type=FILE, object_id=digest.lower(), action=WHOLE
    )
    return found.order_by("-pk")
