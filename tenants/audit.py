"""The trace of a change, written in the change's own transaction."""

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
    context = structlog.contextvars.get_contextvars()
    event: AuditEvent = AuditEvent.objects.create(
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
    return event
