"""Runs of policies: when they are due, what they found, which handoff that points to, and the incident that a drift opens."""

import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import Count, F, Max, Q
from django.utils import timezone
from django_scopes import scope

from integrations.analytics.resync import PASSING
from integrations.models import (
    Handoff,
    Incident,
    IncidentKind,
    ReconciliationPolicy,
    ReconciliationRun,
    RunState,
    Side,
)
from integrations.reconciling.matching import Found, Pair, Pattern, match
from integrations.reconciling.sides import BESIDE, TELL_SOME, Grain, Span, grain_of, told_by
from loyalty.models import mask_mobile
from tenants.models import Store, Tenant
from tenants.runs import alone
from tenants.saying import said

log = structlog.get_logger("pointdesk.reconciling")
OPEN = (RunState.WAITING, RunState.RUNNING)
#: A run of the timetable that failed is tried again after so long, so often a day.
AGAIN_AFTER = timedelta(hours=1)
TRIES_A_DAY = 3
#: As it is stored, and found again.
BY_ITSELF = "Pointdesk: both sides agree again."
SET_ASIDE = ["quarantined", "waiting_parent", "conflict", "received", "rejected"]
#: Bills of these stores, or only those of these numbers, that have reached us and stand there unbooked.
UNBOOKED = """
    SELECT count(DISTINCT d.bill_no) FROM integrations_delivery d
    WHERE d.tenant_id = %(tenant)s AND d.state = ANY(%(states)s) AND d.received_at >= %(since)s
      AND (%(numbers)s::text[] IS NULL OR d.bill_no = ANY(%(numbers)s)) AND d.store_code = ANY(
        SELECT code FROM tenants_store WHERE tenant_id = %(tenant)s AND id = ANY(%(stores)s)
        UNION SELECT code FROM tenants_storealias WHERE tenant_id = %(tenant)s AND store_id = ANY(%(stores)s))
"""


def ask(policy: ReconciliationPolicy, *, asked_by: str, now: datetime, by_itself: bool = False) -> ReconciliationRun:
    """A run that the worker takes up; one that is open answers instead. Raises: DomainError `sides_unlike`."""
    grain_of(Side(policy.left), Side(policy.right))
    with transaction.atomic():
        ReconciliationPolicy.objects.select_for_update(no_key=True).get(
            pk=policy.pk
        )  # who asks at the same moment gets the same run
        same = ReconciliationRun.objects.filter(tenant=policy.tenant_id, policy=policy, state__in=OPEN).first()
        if same is not None:
            return same  # type: ignore[no-any-return]
        today = _today_everywhere(policy.tenant, now)
        until = today - timedelta(days=policy.last_day)
        run: ReconciliationRun = ReconciliationRun.objects.create(
            tenant=policy.tenant, policy=policy, asked_by=asked_by, by_itself=by_itself, asked_at=now,
            since=today - timedelta(days=policy.first_day), until=until, as_of=_end_of(policy.tenant, until),
        )  # fmt: skip
    return run


def _today_everywhere(tenant: Tenant, now: datetime) -> date:
    """The day from which days are counted back: what lies before it is over in every store, however far west."""
    zones = {
        tenant.zone,
        *(store.timezone_or(tenant) for store in Store.objects.filter(tenant=tenant, is_active=True).exclude(timezone="")),
    }
    return min(now.astimezone(zone).date() for zone in zones)


def _end_of(tenant: Tenant, day: date) -> datetime:
    """The last instant of a business day by the brand's clock."""
    return datetime.combine(day + timedelta(days=1), datetime.min.time(), tzinfo=tenant.zone) - timedelta(microseconds=1)


def ask_due(tenant: Tenant, *, now: datetime) -> int:
    """Runs of policies whose hour has come and that have not run by themselves today, or failed then; -> how many."""
    local = now.astimezone(tenant.zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    today = ReconciliationRun.objects.filter(tenant=tenant, by_itself=True, asked_at__gte=midnight)
    failed = Count("pk", filter=Q(state=RunState.FAILED))
    tried = today.order_by().values("policy").annotate(runs=Count("pk"), failed=failed, last=Max("asked_at"))
    again = Q(failed=F("runs"), failed__lt=TRIES_A_DAY, last__lte=now - AGAIN_AFTER)
    had = tried.exclude(again).values_list("policy", flat=True)
    due = ReconciliationPolicy.objects.filter(tenant=tenant, is_active=True, hour__lte=local.hour).exclude(pk__in=list(had))
    policies = list(due.select_related("tenant"))
    for policy in policies:
        ask(policy, asked_by="Pointdesk", now=now, by_itself=True)
    return len(policies)


def work_on(run: ReconciliationRun) -> bool:
    """Compare, keep what was found, open or close its incident; -> whether it was ours to do.

    Raises: one of `PASSING`: it is tried again. Whatever else happens ends it, with the reason.
    """
    with scope(tenant=run.tenant), alone(f"reconciliation of policy {run.policy_id}") as ours:
        if not ours:
            return False
        run.refresh_from_db()
        if run.state not in OPEN:
            return False
        run.state = RunState.RUNNING
        run.save(update_fields=["state"])
        began = time.monotonic()
        try:
            found, handoff = _compare(run)
            _keep(run, found, handoff=handoff, seconds=time.monotonic() - began)
        except PASSING:
            raise
        except Exception as problem:
            log.error("reconciliation failed", run=run.pk, error=str(problem)[:200])
            run.state, run.note, run.ended_at = RunState.FAILED, f"{type(problem).__name__}: {problem}"[:500], timezone.now()
            run.save(update_fields=["state", "note", "ended_at"])
        return True


def _span(run: ReconciliationRun) -> Span:
    return Span(run.tenant, run.since, run.until, run.as_of)


def _compare(run: ReconciliationRun) -> tuple[Found, Handoff]:
    policy, span = run.policy, _span(run)
    left, right = Side(policy.left), Side(policy.right)
    grain = grain_of(left, right)
    alone_in_it = not connection.in_atomic_block
    with transaction.atomic():
        if alone_in_it:  # both sides as they were at one instant
            connection.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        found = _match(left, right, span, grain=grain, tolerance=policy.tolerance)
        return found, Handoff.NONE if found.ok else _handoff(left, right, span, found, grain=grain, tolerance=policy.tolerance)


def _match(left: Side, right: Side, span: Span, *, grain: Grain, tolerance: Decimal) -> Found:
    return match(
        told_by(left, span, grain=grain, other=right), told_by(right, span, grain=grain, other=left), tolerance=tolerance,
        left_tells_all=left not in TELL_SOME, right_tells_all=right not in TELL_SOME,
    )  # fmt: skip


def _handoff(left: Side, right: Side, span: Span, found: Found, *, grain: Grain, tolerance: Decimal) -> Handoff:
    """Where the chain most likely broke."""
    sides = {left, right}
    if grain is Grain.CUSTOMER:
        return Handoff.LOYALTY_TO_REPORTS
    if sides == {Side.POS, Side.ERP}:
        return Handoff.STORE_TO_ERP
    witness_left = left in (Side.POS, Side.ERP)
    if Side.CLICKHOUSE in sides:  # the ledger may have what ClickHouse lacks
        found = _match(left if witness_left else right, Side.LEDGER, span, grain=grain, tolerance=tolerance)
        witness_left = True
        if found.ok:
            return Handoff.LOYALTY_TO_REPORTS
    if grain is Grain.BILL:
        if found.pattern is (Pattern.RIGHT_ONLY if witness_left else Pattern.LEFT_ONLY):
            return Handoff.STORE_TO_ERP  # the ERP does not know what we have
        lacking = [pair for pair in found.rows if (pair.right if witness_left else pair.left) is None]
        here = _unbooked(span, lacking, by_number=True)  # without any lacking all have come, and were understood otherwise
        return Handoff.CONNECTOR_TO_LOYALTY if here * 2 >= len(lacking) else Handoff.ERP_TO_CONNECTOR
    if _unbooked(span, found.rows):
        return Handoff.CONNECTOR_TO_LOYALTY
    of_erp = _match(Side.POS, Side.ERP, span, grain=grain, tolerance=tolerance)
    return Handoff.ERP_TO_CONNECTOR if of_erp.ok and of_erp.right_rows else Handoff.STORE_TO_ERP


def _unbooked(span: Span, pairs: Sequence[Pair], *, by_number: bool = False) -> int:
    """`pairs`: by store and bill number, or by store and day."""
    asked: dict[str, Any] = {
        "tenant": span.tenant.pk, "states": SET_ASIDE, "since": span.begins - BESIDE, "stores": sorted({pair.key[0] for pair in pairs}),
        "numbers": [pair.key[1] for pair in pairs] if by_number else None,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(UNBOOKED, asked)
        return int(cursor.fetchone()[0])


def _keep(run: ReconciliationRun, found: Found, *, handoff: Handoff, seconds: float) -> None:
    run.ok, run.state, run.ended_at, run.seconds = found.ok, RunState.DONE, timezone.now(), round(seconds, 3)
    run.left_rows, run.right_rows, run.left_sum, run.right_sum = (
        found.left_rows,
        found.right_rows,
        found.left_sum,
        found.right_sum,
    )
    run.agreed, run.untold = found.agreed, found.untold
    run.different = found.counts[Pattern.LOWER] + found.counts[Pattern.HIGHER]
    run.left_only, run.right_only = found.counts[Pattern.LEFT_ONLY], found.counts[Pattern.RIGHT_ONLY]
    run.pattern, run.handoff = found.pattern.value, handoff.value
    run.rows = _written(run, found.rows)
    with transaction.atomic():
        run.save()
        _follow(run)


def _written(run: ReconciliationRun, rows: Sequence[Pair]) -> list[dict[str, Any]]:
    """As they are kept: a number that nobody has is masked, so that no run keeps a stranger's."""
    grain = grain_of(Side(run.policy.left), Side(run.policy.right))
    stores = dict(Store.objects.filter(tenant=run.tenant_id).values_list("pk", "code"))
    written = []
    for pair in rows:
        row: dict[str, Any] = {"left": _plain(pair.left), "right": _plain(pair.right), "difference": _plain(pair.difference)}
        first, second = pair.key
        match grain:
            case Grain.CUSTOMER:
                row |= {"customer": first or None, "mobile": mask_mobile(second) if second else ""}
            case Grain.BILL:
                row |= {"store": stores.get(first, ""), "bill_no": second}
            case Grain.STORE_DAY:
                row |= {"store": stores.get(first, ""), "day": f"{second:%Y-%m-%d}"}
        written.append(row)
    return written


def _plain(amount: Decimal | None) -> str | None:
    """Without the zeros that a column of four decimals adds."""
    return None if amount is None else f"{amount.normalize():f}"


def cause_of(policy: ReconciliationPolicy) -> str:
    """By which its incident is found."""
    return f"policy {policy.pk}"


def policy_of(incident: Incident) -> int:
    """The other way round."""
    return int(incident.cause.removeprefix("policy "))


def incident_of(policy: ReconciliationPolicy) -> Incident | None:
    """The one that is open."""
    rows = Incident.objects.filter(
        tenant=policy.tenant_id, kind=IncidentKind.DRIFT, store=None, cause=cause_of(policy), closed_at=None
    )
    return rows.first()  # type: ignore[no-any-return]


def _follow(run: ReconciliationRun) -> None:
    """One incident of a policy is open while its sides do not agree; it counts what the last run found."""
    incident = incident_of(run.policy)
    if run.ok:
        if incident is not None:
            incident.closed_at, incident.closed_by = run.ended_at, BY_ITSELF
            incident.save(update_fields=["closed_at", "closed_by"])
        return
    incident = incident or Incident(tenant=run.tenant, kind=IncidentKind.DRIFT, cause=cause_of(run.policy))
    by_people = grain_of(Side(run.policy.left), Side(run.policy.right)) is Grain.CUSTOMER
    incident.bills, incident.customers = (0, run.off) if by_people else (run.off, 0)
    incident.points = int(run.drift) if by_people else 0
    incident.last_at = run.ended_at or timezone.now()
    about = {"policy": run.policy.name, "left": run.policy.get_left_display(), "right": run.policy.get_right_display()}
    if run.off == 1:
        message = said("{policy}: {left} and {right} do not agree on one row.", **about)
    else:
        message = said("{policy}: {left} and {right} do not agree on {count} rows.", count=f"{run.off:,}", **about)
    incident.message = message[:500]
    incident.save()
