"""Points given for a bill that has not come yet: when it comes, it posts only what it earns beyond them (CASES 79)."""

from datetime import datetime

from django.db import transaction

from integrations.models import Bill, BillClass, BillIssue
from integrations.posting import may_be_issued_for
from loyalty import operations
from loyalty.operations import Posted
from tenants.actors import Actor
from tenants.errors import DomainError
from tenants.models import Store, Tenant


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
) -> Posted:
    """Raises: DomainError `bill_already_booked`, and as `operations.issue`."""

    def not_booked() -> None:
        rows = Bill.objects.filter(
            tenant=tenant, store=store, bill_no=bill_no, bill_class=BillClass.SALE, superseded_at=None, cancelled_by=None
        )
        booked = next((row for row in rows[:20] if may_be_issued_for(store, row.billed_at, at=now, tenant=tenant)), None)
        if booked is not None:
            raise DomainError(
                "bill_already_booked",
                f"Bill {bill_no} of {store} is booked: it earned {booked.earned_points} points. Look at it; if points are missing, adjust.",
                bill_no=bill_no, earned_points=booked.earned_points,
            )  # fmt: skip

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
            check=not_booked,
        )
        if not posted.repeated:
            BillIssue.objects.create(
                tenant=tenant, customer_id=customer_id, store=store, bill_no=bill_no, points=points, operation=posted.operation,
                issued_at=now,
            )  # fmt: skip
    return posted
