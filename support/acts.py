"""What people do at the desk: one operation of the ledger, with its trace in the same transaction."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from integrations import issuing
from integrations.models import Bill, BillIssue
from loyalty import customers, holds, identity, operations
from loyalty.ledger import BY_HAND, KeyReused, checked_reason
from loyalty.models import Bonus, BonusEvaluation, Customer, CustomerMerge, Entry, Hold
from loyalty.operations import Posted
from loyalty.state import Kind
from support import limits
from support.picture import is_by_hand
from tenants import audit
from tenants.access import Access, Act
from tenants.errors import DomainError
from tenants.models import Store


def unblock(hold: Hold, *, access: Access, reason: str, now: datetime) -> tuple[Hold, bool]:
    """Free a hold's points; -> (the hold, whether we did it). Somebody faster changes nothing (CASES 10).

    Raises: DomainError `forbidden`, `own_number`, `colleague_number`, `reason_length`.
    """
    access.require(Act.RELEASE_HOLDS)
    _not_of_staff(hold.customer, access=access)
    return _free(hold, access=access, reason=reason, now=now)


def _not_of_staff(customer: Customer, *, access: Access) -> None:
    limits.refuse_own_number(customer, access=access)
    limits.refuse_colleague(customer, access=access)


def _free(hold: Hold, *, access: Access, reason: str, now: datetime) -> tuple[Hold, bool]:
    with transaction.atomic():
        ended, released = holds.release_hold(access.tenant, hold.pk, reason=reason, actor=access.actor, now=now)
        if released:
            audit.record(
                access.tenant, actor=access.actor, action="release_hold", target=ended, reason=ended.end_reason,
                before={"state": "active"}, after={"state": ended.state, "points": ended.points},
            )  # fmt: skip
    return ended, released


@dataclass(frozen=True, slots=True)
class AboutBill:
    """A bill that has not come yet: when it comes, it posts only what it earns beyond the points given for it."""

    bill_no: str
    store: Store


def issue(
    customer: Customer,
    *,
    access: Access,
    points: int,
    reason: str,
    key: str,
    now: datetime,
    about: AboutBill | None = None,
    again: bool = False,
) -> Posted:
    """Give points, perhaps for a bill; the dialog's token is the key, so pressing twice gives once (CASES 78, 79).

    `again`: although somebody has given points for that bill. Raises: DomainError `forbidden`, `reason_length`, `points_invalid`,
    `bill_already_booked`, `issued_before`; KeyReused.
    """
    access.require(Act.ISSUE_POINTS)
    wanted: dict[str, Any] = {"points": points, "reason": reason, "actor": access.actor, "key": key, "now": now}
    with transaction.atomic():
        if about is None:
            posted = issuing.issue(access.tenant, customer.pk, **wanted)
        else:
            posted = issuing.issue_for_bill(
                access.tenant, customer.pk, bill_no=about.bill_no, store=about.store, again=again, **wanted
            )
        _trace(
            posted, customer, access=access, action="issue_points", reason=reason, points=points, bill_no=about and about.bill_no
        )
    return posted


def adjust(
    customer: Customer, *, access: Access, points: int, reason: str, key: str, now: datetime, allow_debt: bool = False
) -> Posted:
    """Add points, or remove them; more than there are only where the tenant and the person allow a negative balance (CASES 70).

    Raises: DomainError `forbidden`, `reason_length`, `points_invalid`, `insufficient_points`; KeyReused.
    """
    access.require(Act.ADJUST_POINTS)
    with transaction.atomic():
        posted = operations.adjust(
            access.tenant, customer.pk, points=points, reason=reason, actor=access.actor, key=key, now=now, allow_debt=allow_debt
        )
        _trace(posted, customer, access=access, action="adjust_points", reason=reason, points=points)
    return posted


def reset(customer: Customer, *, access: Access, reason: str, key: str, now: datetime, clear_debt: bool = False) -> Posted:
    """Take what is available to nothing; what is owed only when asked. Blocked and pending points stay (CASES 71).

    Raises: DomainError `forbidden`, `reason_length`; KeyReused.
    """
    access.require(Act.RESET_POINTS)
    with transaction.atomic():
        posted = operations.reset(
            access.tenant, customer.pk, reason=reason, actor=access.actor, key=key, now=now, clear_debt=clear_debt
        )
        _trace(posted, customer, access=access, action="reset_points", reason=reason, clear_debt=clear_debt)
    return posted


def undo(entry: Entry, *, access: Access, reason: str, now: datetime) -> Posted:
    """Reverse a whole operation that somebody made by hand, by link and once. One's own issue needs no more than to issue.

    Points of it that were spent meanwhile are owed, where the tenant allows that; else they stay.

    Raises: DomainError `forbidden`, `not_by_hand`, `issue_is_used`, `not_reversible`, `nothing_to_undo`, `reason_length`.
    """
    own = entry.kind == Kind.ISSUE and entry.actor_kind == access.actor.kind and entry.actor_id == access.actor.id
    access.require(Act.ISSUE_POINTS if own else Act.ADJUST_POINTS)
    limits.refuse_own_number(entry.customer, access=access)
    if not is_by_hand(entry):
        raise DomainError(
            "not_by_hand", _("Only what was issued, adjusted or reset by hand is undone here. A bill is corrected by its POS.")
        )
    with transaction.atomic():
        posted = operations.reverse(access.tenant, entry.operation, reason=reason, actor=access.actor, now=now)
        _give_up_bill(entry)  # under the customer's lock, as a bill that comes takes it: the customer first
        if not posted.repeated:
            audit.record(
                access.tenant, actor=access.actor, action="undo_operation", target=entry.customer, reason=reason.strip(),
                after={"undone": entry.operation, "operation": posted.operation},
            )  # fmt: skip
    return posted


def _give_up_bill(entry: Entry) -> None:
    """Points for a bill that has not come: when it comes, it earns all of its own."""
    row = BillIssue.objects.select_for_update(no_key=True).filter(tenant=entry.tenant_id, operation=entry.operation).first()
    if row is None:
        return
    if row.bill_id is not None:
        raise DomainError(
            "issue_is_used",
            _("These points were given for bill {bill_no}, which has come and posted only the rest. Adjust instead.").format(
                bill_no=row.bill_no
            ),
        )
    row.points = 0
    row.save(update_fields=["points"])


def unblock_all(rows: Collection[Hold], *, access: Access, reason: str, now: datetime) -> tuple[list[Hold], list[Hold]]:
    """Free the points of many holds, each once; -> (those we freed, those that somebody was faster with).

    Raises: as `unblock`.
    """
    access.require(Act.RELEASE_HOLDS)
    checked_reason(reason)
    for customer in {hold.customer_id: hold.customer for hold in rows}.values():  # before any is freed
        _not_of_staff(customer, access=access)
    freed: list[Hold] = []
    others: list[Hold] = []
    for hold in sorted(rows, key=lambda each: (each.customer_id, each.pk)):
        ended, released = _free(hold, access=access, reason=reason, now=now)
        (freed if released else others).append(ended)
    return freed, others


@dataclass(frozen=True, slots=True)
class Award:
    """A bonus that a rule did not give: what it would have given for this bill."""

    evaluation: BonusEvaluation
    bill: Bill | None
    points: int

    @property
    def prefix(self) -> str:
        """How the entry's reason begins: it stands in the ledger, so it is said in one language."""
        return f"Bonus {self.evaluation.bonus.name}" + (f" for bill {self.bill.bill_no}: " if self.bill else ": ")


def award_of(evaluation: BonusEvaluation) -> Award:
    """Raises: DomainError `bonus_awarded`, `bill_replaced`, `bonus_of_nothing`."""
    bill = Bill.objects.filter(tenant=evaluation.tenant_id, pk=evaluation.bill_id).first() if evaluation.bill_id else None
    if evaluation.awarded:
        told = _("The rule gave these {points:,} points itself. Nothing is missing.")
        raise DomainError("bonus_awarded", told.format(points=evaluation.points))
    if bill is not None and (bill.superseded_at is not None or bill.cancelled_by is not None):
        told = _("Bill {bill_no} was corrected or cancelled since. Look at how it is judged now.")
        raise DomainError("bill_replaced", told.format(bill_no=bill.bill_no))
    rule: Bonus = evaluation.bonus
    points = rule.points or int(rule.factor * (bill.earned_points if bill else 0))
    if not points:
        raise DomainError(
            "bonus_of_nothing", _("The rule gives times what the bill earned, and it earned nothing. Issue points instead.")
        )
    return Award(evaluation, bill, points)


def award_bonus(evaluation: BonusEvaluation, *, access: Access, reason: str, now: datetime) -> Posted:
    """Give by hand what a bonus rule did not, once for each judgement.

    Raises: DomainError `forbidden`, `reason_length`, `awarded_before`, and as `award_of`.
    """
    access.require(Act.ISSUE_POINTS)
    award = award_of(evaluation)
    checked_reason(reason)
    key = f"award:{evaluation.pk}"
    with transaction.atomic():
        try:
            posted = issuing.issue(
                access.tenant, customers.survivor(access.tenant, evaluation.customer_id), points=award.points,
                reason=f"{award.prefix}{reason.strip()}",
                actor=access.actor, key=key, now=now,
            )  # fmt: skip
        except KeyReused as reused:
            by = Entry.objects.filter(tenant=access.tenant, key=f"{BY_HAND}{key}").values_list("actor_name", flat=True).first()
            told = _("{who} has awarded this bonus already. Nothing was changed.")
            raise DomainError("awarded_before", told.format(who=by)) from reused
        _trace(posted, evaluation.customer, access=access, action="award_bonus", reason=reason, evaluation=evaluation.pk)
    return posted


def merge(source: Customer, into: Customer, *, access: Access, reason: str, now: datetime) -> identity.Merged:
    """Two customers are one person; everything stands at `into` from now on.

    Raises: DomainError `forbidden`, and as `identity.merge`.
    """
    access.require(Act.MERGE_CUSTOMERS)
    return identity.merge(access.tenant, source.pk, into.pk, reason=reason, actor=access.actor, now=now)


def unmerge(merge_id: int, *, access: Access, reason: str, now: datetime) -> None:
    """Raises: DomainError `forbidden`, `own_number`, `colleague_number`, and as `identity.unmerge`."""
    access.require(Act.MERGE_CUSTOMERS)
    row = CustomerMerge.objects.filter(tenant=access.tenant, pk=merge_id).select_related("into").first()
    if row is not None:  # whose family both belong to
        _not_of_staff(row.into, access=access)
    identity.unmerge(access.tenant, merge_id, reason=reason, actor=access.actor, now=now)


def change_mobile(customer: Customer, mobile: str, *, access: Access, reason: str, now: datetime) -> Customer:
    """Raises: DomainError `forbidden`, and as `identity.change_mobile`."""
    access.require(Act.CHANGE_MOBILES)
    return identity.change_mobile(access.tenant, customer.pk, mobile, reason=reason, actor=access.actor, now=now)


def _trace(posted: Posted, customer: Customer, *, access: Access, action: str, reason: str, **about: object) -> None:
    if not posted.repeated:
        after = {name: value for name, value in about.items() if value is not None} | {"operation": posted.operation}
        audit.record(access.tenant, actor=access.actor, action=action, target=customer, reason=reason.strip(), after=after)


def reveal_mobile(customer: Customer, *, access: Access) -> str:
    """The whole number; that somebody looked is kept."""
    access.require(Act.VIEW_MOBILES)
    audit.record(access.tenant, actor=access.actor, action="reveal_mobile", target=customer, reason="Looked at the number")
    return customer.mobile
