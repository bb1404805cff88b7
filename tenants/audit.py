"""The trace of a change, written in the change's own transaction."""

from collections.abc import Iterable
from typing import Any

import structlog
from django.db import models

from tenants.actors import Actor
from tenants.models import AuditEvent, Tenant


def record(
    tenant: Tenant,
    *,
    actor: Actor,
    action: str,
    target: models.Model,
    reason: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> AuditEvent:
    """Add one event. Address and request id come from the request that is being served, if one is."""
    made = event(tenant, actor=actor, action=action, target=target, reason=reason, before=before, after=after)
    made.save(force_insert=True)
    return made


def record_many(events: Iterable[AuditEvent]) -> None:
    """Add what `event` made, with few statements."""
    AuditEvent.objects.bulk_create(list(events), batch_size=1000)


def event(
    tenant: Tenant,
    *,
    actor: Actor,
    action: str,
    target: models.Model,
    reason: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> AuditEvent:
    """One event, not written yet."""
    context = structlog.contextvars.get_contextvars()
    return AuditEvent(
        tenant=tenant,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        action=action,
        object_type=target._meta.label_lower,
        object_id=str(target.pk),
        reason=reason,
        before=before,
        after=after,
        address=context.get("address"),
        request_id=context.get("request_id", ""),
    )
