"""What a person decides about a delivery: try it again, accept it as a correction, say which bill it is about, discard it.

The body stays as it was sent. A decision is written into the delivery, and its next try follows it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext_noop
from django_scopes import scope

from integrations import inbox, retention
from integrations.booking import Batch
from integrations.documents import read_json
from integrations.models import Bill, BillClaim, BillClass, Delivery, DeliveryState
from integrations.posting import Shop, Taken
from loyalty import customers
from loyalty.ledger import checked_reason
from tenants import audit, clock
from tenants.actors import Actor
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.saying import said


class Decision(StrEnum):
    RETRY = "retry"
    CORRECT = "correct"
    LINK = "link"
    ACCEPT_DATE = "accept_date"
    DISCARD = "discard"


@dataclass(frozen=True, slots=True)
class Move:
    """How a decision is said, and when it is offered."""

    named: str
    explained: str
    states: frozenset[str]
    checks: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        return said(self.named)

    @property
    def explains(self) -> str:
        return said(self.explained)

    def fits(self, delivery: Delivery, bill_type: str) -> bool:
        return (
            delivery.state in self.states
            and (not self.checks or delivery.check_name in self.checks)
            and (not self.types or bill_type in self.types)
        )


_STUCK = frozenset({DeliveryState.QUARANTINED.value, DeliveryState.WAITING_PARENT.value})
MOVES: dict[Decision, Move] = {
    Decision.RETRY: Move(
        gettext_noop("Try again"),
        gettext_noop("The same body is checked and booked again, by the stores, aliases and settings as they are now."), _STUCK,
    ),
    Decision.CORRECT: Move(
        gettext_noop("Accept as correction"),
        gettext_noop(
            "The booked bill is reversed by link and this one is booked in its place, with the returns that follow it. Nothing is deleted."
        ),
        frozenset({DeliveryState.CONFLICT.value}),
    ),
    Decision.LINK: Move(
        gettext_noop("Say which bill it is about"),
        gettext_noop("It is booked as a return or cancellation of the bill you name."), _STUCK,
        types=frozenset({"RETURN", "CANCEL", "EXCHANGE"}),
    ),
    Decision.ACCEPT_DATE: Move(
        gettext_noop("Accept the date"),
        gettext_noop("It is booked with its own date, though that lies outside of what is accepted by itself."), _STUCK,
        checks=frozenset({"date_window"}),
    ),
    Decision.DISCARD: Move(
        gettext_noop("Discard"),
        gettext_noop("It is never booked, also when it is sent again. It stays in the inbox with your reason."),
        _STUCK | {DeliveryState.CONFLICT.value},
    ),
}  # fmt: skip


def offered(delivery: Delivery, bill_type: str) -> list[Decision]:
    """What can be decided about it as it stands, the likeliest first."""
    found = [decision for decision, move in MOVES.items() if move.fits(delivery, bill_type)]
    likely = Decision.LINK if delivery.check_name.startswith("parent_") else Decision.ACCEPT_DATE
    return sorted(found, key=lambda decision: decision is not likely)


def decide(
    tenant: Tenant, delivery_id: int, decision: Decision, *, reason: str, actor: Actor, now: datetime, original: int | None = None
) -> Delivery:
    """Write the decision; the inbox books it on its next round. `original`: of LINK, the id of the bill.

    Raises: DomainError `decision_unfit` (somebody was faster, or it does not fit), `bill_unknown`, `reason_length`, `message_gone`.
    """
    reason = checked_reason(reason)
    with transaction.atomic():
        row: Delivery = Delivery.objects.select_for_update().get(tenant=tenant, pk=delivery_id)
        before = row.state
        if decision not in offered(row, bill_type_of(row)):
            raise DomainError(
                "decision_unfit",
                said("This delivery is {state} now; that cannot be decided about it. Reload the page.", state=row.get_state_display()),
                state=row.state,
            )  # fmt: skip
        if decision is not Decision.DISCARD:
            retention.body_of(row)
        chosen: dict[str, Any] = {Decision.CORRECT: {"correction": True}, Decision.ACCEPT_DATE: {"any_date": True}}.get(
            decision, {}
        )
        if decision is Decision.LINK:
            chosen = {"original": _original(tenant, original, bill_type=bill_type_of(row))}
        row.decided = {**row.decided, **chosen}
        if decision is Decision.DISCARD:
            row.state = DeliveryState.DISCARDED
            row.message = said("Discarded by {who}: {reason}", who=actor.name, reason=reason)[:500]
            row.processed_at = clock.now()
        else:
            row.state, row.next_try_at, row.attempts = DeliveryState.RECEIVED, None, 0
        row.save(update_fields=["decided", "state", "message", "processed_at", "next_try_at", "attempts"])
        audit.record(
            tenant, actor=actor, action=f"{decision.value}_delivery", target=row, reason=reason, before={"state": before},
            after={"state": row.state, **chosen},
        )  # fmt: skip
    return row


def _original(tenant: Tenant, bill_id: int | None, *, bill_type: str) -> int:
    """A sale; a return can only be cancelled."""
    classes = [BillClass.SALE, BillClass.RETURN] if bill_type == "CANCEL" else [BillClass.SALE]
    bill = Bill.objects.filter(tenant=tenant, pk=bill_id or 0, bill_class__in=classes).first()
    if bill is None:
        raise DomainError(
            "bill_unknown", said("There is no such booked bill. Choose one of the list, or look it up by its number.")
        )
    return int(bill.pk)


def bill_type_of(delivery: Delivery) -> str:
    """SALE, RETURN, EXCHANGE or CANCEL, as the body says, or the bill that was made of it; empty where it cannot be read."""
    if delivery.body_gone_at is not None:
        return str(delivery.bill.bill_type) if delivery.bill else ""
    try:
        return str(read_json(bytes(delivery.body)).get("bill_type", ""))
    except DomainError:
        return ""


# Walk-ins claimed later


def ask_claim(tenant: Tenant, bill_id: int, mobile: str, *, reason: str, actor: Actor, now: datetime) -> BillClaim:
    """A customer says that a walk-in bill is theirs. Somebody else decides (CASES 41).

    Raises: DomainError `claim_owned` (the bill has a customer), `claim_late`, `claim_asked`, `bill_unknown`, `mobile_invalid`,
    `reason_length`.
    """
    reason = checked_reason(reason)
    number = customers.normalised_mobile(mobile, region=tenant.region)
    with transaction.atomic():
        bill = _claimable(tenant, bill_id, now=now)
        if BillClaim.objects.filter(tenant=tenant, bill=bill, decided_at=None).exists():
            raise DomainError("claim_asked", said("This was asked already and waits for a decision. Decide that one."))
        claim: BillClaim = BillClaim.objects.create(
            tenant=tenant, bill=bill, mobile=number, reason=reason, asked_by=actor.name, asked_by_ident=actor.ident
        )
        audit.record(tenant, actor=actor, action="ask_claim", target=claim, reason=reason, after={"bill": bill.bill_no})
    return claim


def _claimable(tenant: Tenant, bill_id: int, *, now: datetime) -> Bill:
    bill: Bill | None = Bill.objects.select_for_update(of=["self"]).filter(
        tenant=tenant, pk=bill_id, superseded_at=None, cancelled_by=None, bill_type="SALE"
    ).first()  # fmt: skip
    if bill is None:
        raise DomainError("bill_unknown", said("There is no such sale that stands. Look it up by its number."))
    if bill.customer_id is not None:
        told = said("Bill {bill_no} belongs to a customer already. Nothing was changed.", bill_no=bill.bill_no)
        raise DomainError("claim_owned", told)
    if bill.billed_at < now - timedelta(days=tenant.claim_days):
        raise DomainError(
            "claim_late",
            said(
                "Bill {bill_no} is older than {days} days; such bills are not claimed. Issue points by hand.",
                bill_no=bill.bill_no, days=tenant.claim_days,
            ),
            days=tenant.claim_days,
        )  # fmt: skip
    return bill


def decide_claim(tenant: Tenant, claim_id: int, *, approve: bool, actor: Actor, now: datetime) -> BillClaim:
    """Approve or refuse. Approved, the bill is booked anew for the customer: it earns by the rule of its own day, once.

    Raises: DomainError `claim_unknown`, `claim_decided`, `own_request` (CASES 80), `claim_owned`, `claim_late`, `claim_refused` (the bill
    cannot be booked for them), `message_gone` (it is kept no more).
    """
    with scope(tenant=tenant), transaction.atomic():
        with connection.cursor() as cursor:
            inbox.wait_for(cursor, tenant)
        claim: BillClaim | None = BillClaim.objects.select_for_update().filter(tenant=tenant, pk=claim_id).first()
        if claim is None:
            raise DomainError("claim_unknown", said("There is no such claim. Choose it from the list."), claim=claim_id)
        if claim.decided_at is not None:
            told = said("{who} has decided this already. Nothing was changed.", who=claim.decided_by)
            raise DomainError("claim_decided", told)
        actor.refuse_own(claim.asked_by, ident=claim.asked_by_ident)
        if approve:
            _book_for(tenant, claim, actor=actor, now=now)
        claim.decided_by, claim.decided_by_ident = actor.name, actor.ident
        claim.decided_at, claim.approved = now, approve
        claim.save()
        audit.record(
            tenant, actor=actor, action="approve_claim" if approve else "refuse_claim", target=claim, reason=claim.reason,
            after={"bill": claim.bill.bill_no},
        )  # fmt: skip
    return claim


def _book_for(tenant: Tenant, claim: BillClaim, *, actor: Actor, now: datetime) -> None:
    bill = _claimable(tenant, claim.bill_id, now=now)
    delivery = (
        Delivery.objects.select_for_update(of=["self"]).filter(tenant=tenant, bill=bill, state=DeliveryState.APPLIED).first()
    )
    if delivery is None:
        raise DomainError(
            "claim_refused", said("The bill has no delivery that it could be booked from. Issue the points for it by hand.")
        )
    owner = customers.find_or_stub(tenant, claim.mobile, now=now)
    chosen: dict[str, Any] = {"customer": owner}
    shop = Shop(tenant, now=now, actor=actor, reason=said("Claimed: {reason}", reason=claim.reason)[:500])
    outcomes = Batch(shop).run(
        [Taken(delivery.pk, retention.body_of(delivery), {**delivery.decided, **chosen, "anew": True}, bill.pk)]
    )
    mine = next(each for each in outcomes if each.id == delivery.pk)
    if mine.state is not DeliveryState.APPLIED:
        told = said("The bill cannot be booked for this customer: {why}", why=mine.message)
        raise DomainError("claim_refused", told, check=mine.check)
    with connection.cursor() as cursor:
        inbox.settle(cursor, tenant, outcomes, now=now)
    Delivery.objects.filter(pk=delivery.pk).update(decided={**delivery.decided, **chosen}, mobile=claim.mobile)
