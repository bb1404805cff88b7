"""The same trouble on many bills of one store: looked at as one, settled as one."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from integrations import inbox, replay
from integrations.models import Bill, DeliveryState, Incident, IncidentKind, PosChange, Replay, ReplayState
from loyalty.ledger import checked_reason
from tenants import audit
from tenants.actors import Actor
from tenants.errors import DomainError
from tenants.models import RedemptionMode, StoreMode, Tenant
from tenants.saying import said

#: Before any bill.
FIRST_DAY = date(2000, 1, 1)
#: What was changed at a POS so long before is shown beside the trouble.
CHANGED_WITHIN = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Settled:
    """`replay`: the bills that are tried again with the new setting; None where no bill is of its time."""

    incident: Incident
    replay: Replay | None


def bills_of(incident: Incident) -> QuerySet[Bill]:
    """The bills that still show it, the oldest first. One that was booked anew shows it no more."""
    rows: QuerySet[Bill] = Bill.objects.filter(
        tenant=incident.tenant_id, superseded_at=None, pk__in=incident.discrepancies.values("bill")
    )
    return rows.select_related("store", "customer").order_by("billed_at", "pk")


def changes_around(incident: Incident) -> QuerySet[PosChange]:
    """What integrators logged of this store's POS, or of all, in the days before, and while it lasted."""
    at: QuerySet[PosChange] = PosChange.objects.filter(
        Q(store=incident.store_id) | Q(store=None), tenant=incident.tenant_id, at__gte=incident.opened_at - CHANGED_WITHIN,
        at__lte=incident.last_at + timedelta(days=1),
    ).order_by("-at")  # fmt: skip
    return at


def set_mode(
    tenant: Tenant, incident_id: int, *, mode: RedemptionMode, since: date, reason: str, actor: Actor, now: datetime
) -> Settled:
    """The store's points are shown in this way from this day until today, whatever was set in between.

    The incident ends, and its bills are tried again without effect: that replay waits for somebody to look at it and run it.

    Raises: DomainError `incident_unknown`, `incident_closed`, `incident_kind` (of other trouble), `date_window`, `reason_length`.
    """
    reason = checked_reason(reason)
    with transaction.atomic(), connection.cursor() as cursor:
        inbox.wait_for(cursor, tenant)  # a batch under way goes by the old setting, and its bills are seen below
        incident = _open(tenant, incident_id)
        if incident.kind != IncidentKind.MODE_DRIFT:
            raise DomainError(
                "incident_kind", said("This incident is not about how points are shown. Look at its bills instead.")
            )
        today = now.astimezone(incident.store.timezone_or(tenant)).date()
        if not FIRST_DAY <= since <= today:
            raise DomainError(
                "date_window",
                said("{day} has not come yet, or is long ago. Give the day since which the bills are different.", day=since),
            )
        rows = StoreMode.objects.filter(tenant=tenant, store=incident.store_id)
        before = rows.filter(effective_from__lte=since).last()
        later = rows.filter(effective_from__gt=since, effective_from__lte=today)  # they would take it back before today
        replaced = [f"{row.mode} since {row.effective_from}" for row in later]
        later.delete()
        StoreMode.objects.update_or_create(
            tenant=tenant, store=incident.store, effective_from=since, defaults={"mode": mode.value}
        )
        why = said("{mode} since {day:%d %b %Y}: {reason}", mode=mode.label, day=since, reason=reason)
        _end(incident, reason=why, actor=actor, now=now)
        audit.record(
            tenant, actor=actor, action="set_store_mode", target=incident.store, reason=reason,
            before={"mode": before.mode if before else "", "since": str(before.effective_from) if before else "", "replaced": replaced},
            after={"mode": mode.value, "since": str(since), "incident": incident.pk},
        )  # fmt: skip
        return Settled(incident, _try_again(tenant, incident, since=since, actor=actor))


def _try_again(tenant: Tenant, incident: Incident, *, since: date, actor: Actor) -> Replay | None:
    filters = {"incident": incident.pk, "states": [DeliveryState.APPLIED.value], "billed_from": since.isoformat()}
    try:
        reason = said("Incident {number}: {message}", number=incident.pk, message=incident.message)[:500]
        row = replay.choose(tenant, filters=filters, reason=reason, actor=actor)
    except DomainError as refusal:
        if refusal.code == "nothing_chosen":
            return None
        raise
    replay.ask(row, ReplayState.TRYING, actor=actor)
    return row


def close(tenant: Tenant, incident_id: int, *, reason: str, actor: Actor, now: datetime) -> Incident:
    """End it by hand; the next such bill opens another. Raises: DomainError `incident_unknown`, `incident_closed`, `reason_length`."""
    reason = checked_reason(reason)
    with transaction.atomic():
        incident = _open(tenant, incident_id)
        _end(incident, reason=reason, actor=actor, now=now)
        audit.record(
            tenant, actor=actor, action="close_incident", target=incident, reason=reason, after={"bills": incident.bills}
        )
    return incident


def _open(tenant: Tenant, incident_id: int) -> Incident:
    incident: Incident | None = (
        Incident.objects.select_for_update(of=["self"]).select_related("store").filter(tenant=tenant, pk=incident_id).first()
    )
    if incident is None:
        raise DomainError("incident_unknown", said("There is no such incident. Choose it from the list."), incident=incident_id)
    if incident.closed_at is not None:
        told = said("This incident is closed: {who}. Nothing was changed.", who=incident.closed_by)
        raise DomainError("incident_closed", told)
    return incident


def _end(incident: Incident, *, reason: str, actor: Actor, now: datetime) -> None:
    incident.closed_at, incident.closed_by = now, f"{actor.name}: {reason}"[:500]
    incident.save(update_fields=["closed_at", "closed_by"])
