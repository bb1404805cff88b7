"""What falls due by itself: holds that no bill completed, lots whose date passed, pending points whose day came."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import structlog
from django.db import connection
from django_scopes import scope

from loyalty import holds, ledger
from loyalty.account import Account
from loyalty.ledger import Operation, content_hash
from loyalty.models import Hold as HoldRow
from loyalty.operations import today_at
from loyalty.state import HoldState
from tenants.actors import SYSTEM
from tenants.models import Tenant

log = structlog.get_logger("pointdesk.sweeps")
#: Customers locked together: long enough to be quick, short enough that a till does not wait.
CHUNK = 4000

DUE_TO_EXPIRE = """
    SELECT DISTINCT customer_id FROM loyalty_lot
    WHERE tenant_id = %s AND NOT spent AND expires_on <= %s AND pending + available > 0 AND customer_id > %s ORDER BY customer_id LIMIT %s
"""
DUE_TO_ACTIVATE = """
    SELECT DISTINCT customer_id FROM loyalty_lot
    WHERE tenant_id = %s AND NOT spent AND activates_on <= %s AND pending > 0 AND customer_id > %s ORDER BY customer_id LIMIT %s
"""


@dataclass(slots=True)
class Run:
    """What one run of a sweep did; `failed`: what could not be done, with the error, to be tried again by the next run."""

    done: int = 0
    points: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def fail(self, what: str, problem: Exception) -> None:
        self.failed[what] = f"{type(problem).__name__}: {problem}"[:300]


def release_expired_holds(tenant: Tenant, *, now: datetime, at_most: int = 5000) -> Run:
    """End every hold whose `expires_at` has come, each customer in a transaction of its own: one failure stops nobody (CASES 15).

    Safe to run twice and in parallel: a hold ends once.
    """
    run = Run()
    with scope(tenant=tenant):
        due = HoldRow.objects.filter(tenant=tenant, state=HoldState.ACTIVE.value, expires_at__lte=now).select_related("store")
        for row in due.order_by("expires_at")[:at_most]:
            days = (row.expires_at - row.at).days
            reason = f"The completion bill did not come within {days} days"
            try:
                released = holds.end(tenant, row, state=HoldState.EXPIRED, reason=reason, actor=SYSTEM, now=now)
            except Exception as problem:  # an edge in itself: the other customers' points must come back all the same
                run.fail(row.reference, problem)
                continue
            run.done += released
            run.points += row.points if released else 0
    return run


def expire_lots(tenant: Tenant, *, now: datetime) -> Run:
    """Take what is left of every lot whose date passed, at the end of the day in the tenant's zone; held points wait (CASES 12, 73).

    Safe to run twice and in parallel: what is gone is not due. `done` counts lots.
    """

    def expire(account: Account, today: date) -> tuple[int, int]:
        due = [lot for lot in account.lots if lot.lapsed(today) and lot.pending + lot.available]
        points = sum(lot.pending + lot.available for lot in due)
        account.expire(due)
        return len(due), points

    return _sweep(tenant, DUE_TO_EXPIRE, expire, verb="expire", reason="The points' validity ended", now=now)


def activate_pending(tenant: Tenant, *, now: datetime) -> Run:
    """Make pending points available whose day has come; they pay what is owed first (CASES 67). `done` counts lots."""

    def activate(account: Account, today: date) -> tuple[int, int]:
        due = [lot for lot in account.lots if lot.pending and lot.activates_on and lot.activates_on <= today]
        points = sum(lot.pending for lot in due)
        account.activate(due, today=today)
        return len(due), points

    return _sweep(tenant, DUE_TO_ACTIVATE, activate, verb="activate", reason="The waiting time of the points ended", now=now)


def _sweep(
    tenant: Tenant, due: str, act: Callable[[Account, date], tuple[int, int]], *, verb: str, reason: str, now: datetime
) -> Run:
    """All due customers in chunks, each chunk one transaction; where a chunk fails, its customers one by one."""
    run = Run()
    today = today_at(tenant, None, now)
    with scope(tenant=tenant):
        for ids in _chunks(tenant, due, today):
            try:
                done, points = _do(tenant, ids, act, verb=verb, reason=reason, now=now, today=today)
                run.done, run.points = run.done + done, run.points + points
            except Exception as problem:  # as above
                log.warning("chunk failed, one by one", job=verb, tenant=tenant.slug, error=type(problem).__name__)
                for customer_id in ids:
                    try:
                        done, points = _do(tenant, [customer_id], act, verb=verb, reason=reason, now=now, today=today)
                        run.done, run.points = run.done + done, run.points + points
                    except Exception as alone:
                        run.fail(f"customer {customer_id}", alone)
    return run


def _chunks(tenant: Tenant, due: str, today: date) -> Iterator[list[int]]:
    last = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(due, [tenant.pk, today, last, CHUNK])
            ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return
        yield ids
        last = ids[-1]


def _do(
    tenant: Tenant, ids: Sequence[int], act: Callable[[Account, date], tuple[int, int]], *, verb: str, reason: str, now: datetime, today: date
) -> tuple[int, int]:  # fmt: skip
    done = points = 0
    with ledger.open(tenant, ids, now=now) as book:
        for customer_id in ids:
            version = book[customer_id].version
            key = f"{verb}:{customer_id}:{version}"
            operation = Operation(SYSTEM, reason, key, content_hash(key), now, today)
            with book.operation(customer_id, operation) as account:
                lots, count = act(account, today)
            done, points = done + lots, points + count
    return done, points


def everywhere(sweep: Callable[..., Run], *, now: datetime) -> Run:
    """One sweep for every tenant in turn. A tenant that fails as a whole does not stop the others.

    `failed` names `tenant/what`, or the tenant alone.
    """
    total = Run()
    for tenant in Tenant.objects.filter(is_active=True):
        try:
            run = sweep(tenant, now=now)
        except Exception as problem:
            log.error("sweep failed", sweep=sweep.__name__, tenant=tenant.slug, error=type(problem).__name__)
            total.fail(tenant.slug, problem)
            continue
        total.done, total.points = total.done + run.done, total.points + run.points
        total.failed |= {f"{tenant.slug}/{what}": why for what, why in run.failed.items()}
    return total
