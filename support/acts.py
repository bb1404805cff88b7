"""What people do at the desk: one operation of the ledger, with its trace in the same transaction."""

from datetime import datetime

from django.db import transaction

from loyalty import holds, operations
from loyalty.models import Customer, Hold
from loyalty.operations import Posted
from tenants import audit
from tenants.access import Access, Act


def unblock(hold: Hold, *, access: Access, reason: str, now: datetime) -> tuple[Hold, bool]:
    """Free a hold's points; -> (the hold, whether we did it). Somebody faster changes nothing (CASES 10).

    Raises: DomainError `forbidden`, `reason_length`.
    """
    access.require(Act.RELEASE_HOLDS)
    with transaction.atomic():
        ended, released = holds.release_hold(access.tenant, hold.pk, reason=reason, actor=access.actor, now=now)
        if released:
            audit.record(
                access.tenant, actor=access.actor, action="release_hold", target=ended, reason=ended.end_reason,
                before={"state": "active"}, after={"state": ended.state, "points": ended.points},
            )  # fmt: skip
    return ended, released


def issue(customer: Customer, *, access: Access, points: int, reason: str, key: str, now: datetime) -> Posted:
    """Give points; the dialog's token is the key, so pressing twice gives once (CASES 78).

    Raises: DomainError `forbidden`, `reason_length`, `points_invalid`; KeyReused.
    """
    access.require(Act.ISSUE_POINTS)
    with transaction.atomic():
        posted = operations.issue(access.tenant, customer.pk, points=points, reason=reason, actor=access.actor, key=key, now=now)
        if not posted.repeated:
            audit.record(
                access.tenant, actor=access.actor, action="issue_points", target=customer, reason=reason.strip(),
                after={"points": points, "operation": posted.operation},
            )  # fmt: skip
    return posted


def reveal_mobile(customer: Customer, *, access: Access) -> str:
    """The whole number; that somebody looked is kept."""
    access.require(Act.VIEW_MOBILES)
    audit.record(access.tenant, actor=access.actor, action="reveal_mobile", target=customer, reason="Looked at the number")
    return customer.mobile
