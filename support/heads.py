"""The heads of the chains, out of the house once a day: whoever keeps one can tell a past that was written anew.

They go to the brand's `audit_email`, and as a line of JSON to the file that the operator names (`CHAIN_HEADS_FILE`), which is meant to lie
where the database's owner cannot write: another machine's, or write-once storage. That they went is an event of the trail.
"""

import json
import os
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django_scopes import scope

from integrations.messages import NOT_TAKEN, mail_is_set
from loyalty.chain import ENTRIES
from tenants import audit
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import AuditEvent, Tenant
from tenants.trail import TRAIL

log = structlog.get_logger("pointdesk.heads")
CHAINS = {"ledger": ENTRIES, "trail": TRAIL}
ACTION = "send_chain_heads"


def of(tenant: Tenant) -> dict[str, dict[str, Any]]:
    """By chain: block, last id, digest; without those that have no block yet."""
    found = {name: chain.head(tenant) for name, chain in CHAINS.items()}
    return {name: asdict(head) for name, head in found.items() if head is not None}


def send_everywhere(*, now: datetime) -> int:
    """By each way by which they have not gone today (UTC); -> brands whose heads went out. What cannot be sent is tried again in an hour, and
    holds up no other brand."""
    done = 0
    for tenant in Tenant.objects.filter(is_active=True).order_by("pk"):
        try:
            with scope(tenant=tenant):
                done += _send(tenant, now=now)
        except Exception as problem:  # the next brand's proof does not depend on this one's
            log.error("the heads of the chains are not sent", tenant=tenant.slug, error=type(problem).__name__)
    return done


def _send(tenant: Tenant, *, now: datetime) -> bool:
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    gone = {
        way
        for event in sent(tenant).filter(at__gte=today, at__lt=today + timedelta(days=1))
        for way in (event.after or {}).get("ways", ())
    }
    heads = of(tenant)
    if not heads:
        return False
    ways = [way for way, send in (("file", _to_file), ("mail", _by_mail)) if way not in gone and send(tenant, heads, now=now)]
    if ways:
        with transaction.atomic():
            reason = f"Once a day, by {' and '.join(ways)}"
            audit.record(tenant, actor=SYSTEM, action=ACTION, target=tenant, reason=reason, after={**heads, "ways": ways})
    return bool(ways)


def sent(tenant: Tenant) -> QuerySet[AuditEvent]:
    """The events of their going out, the newest first."""
    found: QuerySet[AuditEvent] = AuditEvent.objects.filter(
        tenant=tenant, object_type="tenants.tenant", object_id=str(tenant.pk), action=ACTION
    )
    return found


def _to_file(tenant: Tenant, heads: dict[str, Any], *, now: datetime) -> bool:
    """Appended and on the disk, before it counts as sent."""
    if not settings.CHAIN_HEADS_FILE:
        return False
    line = json.dumps({"brand": tenant.slug, "at": now.astimezone(UTC).isoformat(timespec="seconds"), **heads})
    try:
        with Path(settings.CHAIN_HEADS_FILE).open("a", encoding="utf-8") as out:
            out.write(f"\n{line}\n")  # also after a line that was broken off
            out.flush()
            os.fsync(out.fileno())
    except OSError as problem:
        log.error("the heads of the chains cannot be written", error=str(problem)[:200])
        return False
    return True


def _by_mail(tenant: Tenant, heads: dict[str, Any], *, now: datetime) -> bool:
    if not tenant.audit_email or not mail_is_set():
        return False
    lines = [
        _("{chain}: block {block}, up to {row}, {digest}").format(
            chain=_("Ledger") if name == "ledger" else _("Audit trail"),
            block=head["block"],
            row=head["up_to_id"],
            digest=head["digest"],
        )
        for name, head in heads.items()
    ]
    subject = _("Chains of {brand} on {day}").format(brand=tenant.name, day=f"{now.astimezone(UTC):%Y-%m-%d}")
    told = _(
        "Keep this mail. With these lines anybody can tell later whether the past was rewritten: see the runbook, the chain."
    )
    return _mailed(tenant.audit_email, subject, [*lines, "", told, ""])


def _mailed(to: str, subject: str, lines: list[str]) -> bool:
    mail = EmailMessage(" ".join(subject.split()), "\n".join(lines), settings.DEFAULT_FROM_EMAIL, [to])
    try:
        mail.send()
    except (*NOT_TAKEN, ValueError) as problem:  # also an address that is none
        log.warning("the heads of the chains are not mailed", error=type(problem).__name__)
        return False
    return True


def tell_moved(tenant: Tenant, old: str, *, by: str) -> bool:
    """To whoever kept the heads so far: that they end here was somebody's choice, and not a mail that was lost. -> whether it went."""
    if not mail_is_set():
        return False
    told = _(
        "The heads of the chains do not come here any more: {who} changed the address at the desk. Keep those that you have, and ask why"
        " if nobody told you."
    ).format(who=by)
    return _mailed(old, _("Chains of {brand}: no more mails").format(brand=tenant.name), [told, ""])


@dataclass(slots=True)
class Kept:
    """What a file of heads says: brand -> chain -> digests; the numbers of its lines that are none of ours, as one that was broken off."""

    heads: dict[str, dict[str, set[str]]]
    unread: list[int]

    @property
    def count(self) -> int:
        return sum(len(digests) for chains in self.heads.values() for digests in chains.values())


def kept_in(path: Path) -> Kept:
    """Of a file of heads. Raises: DomainError `bad_value`, where it holds none; OSError."""
    kept = Kept(defaultdict(lambda: defaultdict(set)), [])
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line) if line.strip() else {}
                for name in CHAINS.keys() & row.keys():
                    kept.heads[str(row["brand"])][name].add(str(row[name]["digest"]).lower())
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                kept.unread.append(number)
    if not kept.count:
        raise DomainError("bad_value", _("{path} holds no head of a chain.").format(path=path))
    return kept
