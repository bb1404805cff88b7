"""Points given by hand, perhaps for a bill that has not come yet: when it comes, it posts only what it earns beyond them (CASES 79)."""

from datetime import datetime

from django.db import transaction

from integrations import messages
from integrations.models import Bill, BillClass, BillIssue
from integrations.posting import may_be_issued_for
from loyalty import operations
from loyalty.models import Entry
from loyalty.operations import Posted
from tenants.actors import Actor
from tenants.errors import DomainError
from tenants.models import Store, Tenant
from tenants.saying import said


def issue(tenant: Tenant, customer_id: int, *, points: int, reason: str, actor: Actor, key: str, now: datetime) -> Posted:
    """Points of their own; the customer is told where the brand wants that. Raises: as `operations.issue`."""
    with transaction.atomic():
        posted = operations.issue(tenant, customer_id, points=points, reason=reason, actor=actor, key=key, now=now)
        messages.points_issued(tenant, posted, actor=actor, now=now)
    return posted


def issue_for_bill(
    tenant: Tenant,
    customer_id: int,
    *,
    points: int,
    bill_no: str,
    store: Store,
    reason: str,
    actor: Actor,
    key: str,
    now: datetime,
    again: bool = True,
) -> Posted:
    """`again`: although points were given for it before.

    Raises: DomainError `bill_already_booked`, `issued_before`, and as `operations.issue`.
    """

    def check() -> None:
        _refuse_booked(tenant, store, bill_no, now=now)
        if not again:
            _refuse_issued(tenant, store, bill_no)

    with transaction.atomic():
        posted = operations.issue(
            tenant,
            customer_id,
            points=points,
            reason=reason,
            actor=actor,
            key=key,
            now=now,
            about=(bill_no, store.pk),
            check=check,
        )
        if not posted.repeated:
            BillIssue.objects.create(
                tenant=tenant, customer_id=customer_id, store=store, bill_no=bill_no, points=points, operation=posted.operation,
                issued_at=now,
            )  # fmt: skip
        messages.points_issued(tenant, posted, actor=actor, now=now)
    return posted


def _refuse_booked(tenant: Tenant, store: Store, bill_no: str, *, now: datetime) -> None:
    rows = Bill.objects.filter(
        tenant=tenant, store=store, bill_no=bill_no, bill_class=BillClass.SALE, superseded_at=None, cancelled_by=None
    )
    booked = next((row for row in rows[:20] if may_be_issued_for(store, row.billed_at, at=now, tenant=tenant)), None)
    if booked is not None:
        raise DomainError(
            "bill_already_booked",
            said(
                "Bill {bill_no} of {store} is booked: it earned {points} points. Look at it; if points are missing, adjust.",
                bill_no=bill_no, store=store, points=booked.earned_points,
            ),
            bill_no=bill_no, earned_points=booked.earned_points,
        )  # fmt: skip


def _refuse_issued(tenant: Tenant, store: Store, bill_no: str) -> None:
    rows = BillIssue.objects.filter(tenant=tenant, store=store, bill_no__iexact=bill_no, points__gt=0, bill=None)
    earlier = rows.order_by("-id").first()
    if earlier is None:
        return
    by = Entry.objects.filter(tenant=tenant, pk=earlier.operation).values_list("actor_name", flat=True).first()
    at = earlier.issued_at.astimezone(tenant.zone)
    raise DomainError(
        "issued_before",
        said(
            "{who} issued {points:,} points for bill {bill_no} on {at:%d %b at %H:%M}. Tick that you want to give more, or leave it.",
            who=by, points=earlier.points, bill_no=earlier.bill_no, at=at,
        ),
    )  # fmt: skip
