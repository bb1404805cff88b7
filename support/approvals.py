"""An act of the desk: done at once by who may do it alone, else asked of a second person and done when they approve."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from loyalty import customers
from loyalty.ledger import KeyReused, checked_reason
from loyalty.models import Balance
from support import cases, limits
from support.models import OPEN_REQUESTS, TRANSITIONS, ApprovalRequest, RequestState
from support.verbs import VERBS, Done, Wish
from tenants import audit
from tenants.access import Access, Act
from tenants.errors import DomainError, NotAllowed
from tenants.models import Tenant

IS_DECIDED = gettext_lazy("This request is {state}. Nothing was changed.")
#: Of these states it is told who brought it there.
SAID_BY = (RequestState.REFUSED, RequestState.DONE)
#: What has to be the same for an approval to mean what was looked at.
BUCKETS = ("pending", "available", "held", "owed")


class _NeedsSecond(Exception):
    """It was tried, it can be done, and it is not this person's to do alone."""

    def __init__(self, because: str, points: int) -> None:
        super().__init__(because)
        self.because = because
        self.points = points


def do_or_ask(wish: Wish) -> Done | ApprovalRequest:
    """Do it, or ask for it: where the role may only ask, above a limit, or for a colleague's number. Once for each key (CASES 78, 80).

    What cannot be done now is refused now, and not asked.

    Raises: DomainError `forbidden`, `own_number`, and as the act; KeyReused.
    """
    verb = VERBS[wish.verb]
    wish.access.require_to_ask(verb.act)
    limits.refuse_own_number(wish.customer, access=wish.access, also=verb.also(wish))
    cases.refuse_erased(wish.customer)
    reason = checked_reason(wish.reason)
    if earlier := _asked_before(wish, reason=reason):
        return earlier
    try:
        with transaction.atomic():
            return _do_alone(wish)
    except _NeedsSecond as above:
        return _ask(wish, reason=reason, because=above.because, points=above.points)


def _refuse_erased_meanwhile(wish: Wish) -> None:
    """The act holds the customer's lock by now: whoever erased them before us has committed."""
    if customers.is_erased(wish.access.tenant, [wish.customer.pk]):
        raise cases.erased()


def _do_alone(wish: Wish) -> Done:
    """Raises: _NeedsSecond, with nothing of it left."""
    verb, access = VERBS[wish.verb], wish.access
    allowance = limits.allowance(access, now=wish.now, lock=True)
    done = verb.do(wish.granted(verb.act))
    _refuse_erased_meanwhile(wish)
    if done.repeated:
        return done
    points = limits.moved_by(access.tenant, done.operation) if verb.counts and done.operation else 0
    if not access.may(verb.act):
        raise _NeedsSecond(_("Your role may ask for this, and somebody else does it."), points)
    if limits.staff_behind(wish.customer, also=verb.also(wish)):
        raise _NeedsSecond(_("The number belongs to somebody who works here."), points)
    if because := allowance.above(points):
        raise _NeedsSecond(because, points)
    if points:
        limits.count(access, points, now=wish.now)
    _note_in_case(wish, done)
    return done


def _note_in_case(wish: Wish, done: Done) -> None:
    if wish.case is not None and wish.case.closed_at is None:
        link = cases.Link("entry" if done.operation else "", done.operation, done.told)
        cases.link(wish.case, link=link, access=wish.access)


def _asked_before(wish: Wish, *, reason: str) -> ApprovalRequest | None:
    row: ApprovalRequest | None = ApprovalRequest.objects.filter(tenant=wish.access.tenant, key=wish.key).first()
    if row and (row.verb, row.customer_id, row.content, row.reason) != (wish.verb, wish.customer.pk, wish.content, reason):
        raise KeyReused(wish.key)
    return row


def _ask(wish: Wish, *, reason: str, because: str, points: int) -> ApprovalRequest:
    tenant, actor = wish.access.tenant, wish.access.actor
    row, made = ApprovalRequest.objects.get_or_create(
        tenant=tenant,
        key=wish.key,
        defaults={
            "customer": wish.customer, "verb": wish.verb, "content": wish.content, "words": VERBS[wish.verb].words(wish.content)[:300],
            "because": because, "points": points, "before": balance_of(tenant, wish.customer.pk), "reason": reason, "asked_by": actor.name,
            "asked_by_ident": actor.ident, "asked_by_user_id": actor.id, "case": wish.case,
        },
    )  # fmt: skip
    if made:
        audit.record(
            tenant, actor=actor, action="ask_approval", target=row, reason=reason, after={"verb": wish.verb, "points": points}
        )
    found: ApprovalRequest = row
    return found


def balance_of(tenant: Tenant, customer_id: int) -> dict[str, int]:
    """The buckets by name."""
    row = Balance.objects.get(tenant=tenant, customer=customer_id)
    return {name: getattr(row, name) for name in BUCKETS}


def approve(
    tenant: Tenant, request_id: int, *, access: Access, note: str, seen: dict[str, int], now: datetime
) -> tuple[ApprovalRequest, Done | None]:
    """Approve, and do it as it was asked. `seen`: the balance that the approver looked at.

    -> (the request, what was done). What cannot be done any more leaves it approved and not done, with why (CASES 81).

    Raises: DomainError `forbidden`, `own_request`, `own_number`, `request_unknown`, `request_decided`, `balance_moved`, `above_own_limit`.
    """
    access.require(Act.APPROVE)
    _refuse_concerned(tenant, request_id, access=access)
    with transaction.atomic():
        row = _locked(tenant, request_id, wanted=OPEN_REQUESTS)
        access.actor.refuse_own(row.asked_by, ident=row.asked_by_ident)
        if not access.may(VERBS[row.verb].act):
            raise NotAllowed(
                "forbidden", _("Your role may not do this itself, so it cannot approve it. Ask your tenant's admin.")
            )
        _check_still(row, access=access, seen=seen, now=now)
        if row.state == RequestState.ASKED:
            _move(row, RequestState.APPROVED)
            row.decided_by, row.decided_by_ident, row.decided_at = access.actor.name, access.actor.ident, now
            row.note = note.strip()[:500]
            row.save()
            audit.record(
                tenant, actor=access.actor, action="approve_request", target=row, reason=row.note, before=row.before, after=seen
            )
    return _execute(tenant, request_id, access=access, seen=seen, now=now)


def _execute(
    tenant: Tenant, request_id: int, *, access: Access, seen: dict[str, int], now: datetime
) -> tuple[ApprovalRequest, Done | None]:
    """Do what was approved, once. It counts in the day of who approved it. Raises: DomainError `request_unknown`, `request_decided`."""
    with transaction.atomic():
        row = _locked(tenant, request_id, wanted=(RequestState.APPROVED,))
        allowance = limits.allowance(access, now=now, lock=True)  # before the customer, as whoever acts alone takes them
        try:
            with transaction.atomic():
                list(Balance.objects.select_for_update(no_key=True).filter(tenant=tenant, customer=row.customer_id))
                _check_seen(row, seen)
                done = _as_asked(row, now=now)
                _count(row, done, allowance, access=access, now=now)
        except DomainError as refusal:
            row.failure = refusal.sentence[:500]
            row.save(update_fields=["failure"])
            audit.record(tenant, actor=access.actor, action="request_not_done", target=row, reason=row.failure)
            return row, None
        _move(row, RequestState.DONE)
        row.operation, row.done_at, row.failure = done.operation or None, now, ""
        row.save()
        audit.record(
            tenant, actor=access.actor, action="do_request", target=row, reason=row.reason, after={"operation": done.operation}
        )
    return row, done


def _count(row: ApprovalRequest, done: Done, allowance: limits.Allowance, *, access: Access, now: datetime) -> None:
    """In the day of who approved it. Raises: DomainError `more_than_asked`, `above_own_limit`."""
    if not VERBS[row.verb].counts or not done.operation or done.repeated:
        return
    points = limits.moved_by(row.tenant, done.operation)
    if points > row.points:
        more = _("It would move {points:,} points; {asked:,} were asked for. Let it be asked anew.")
        raise DomainError("more_than_asked", more.format(points=points, asked=row.points))
    if because := allowance.above(points):
        raise limits.above_own(because)
    limits.count(access, points, now=now)


def _as_asked(row: ApprovalRequest, *, now: datetime) -> Done:
    """In the name of who asked, whose rights are looked at again. Raises: DomainError `asker_left`, and as the act."""
    asker = limits.access_again(row.tenant, row.asked_by_user)
    verb = VERBS[row.verb]
    if asker is None or not asker.may_ask(verb.act):
        left = _("{who} may not ask for this any more. Do it yourself if it is right.")
        raise DomainError("asker_left", left.format(who=row.asked_by))
    wish = _wish_of(row, asker, now=now)
    limits.refuse_own_number(row.customer, access=asker, also=verb.also(wish))
    cases.refuse_erased(row.customer)
    done = verb.do(wish.granted(verb.act))
    _refuse_erased_meanwhile(wish)
    _note_in_case(wish, done)
    return done


def concerned(row: ApprovalRequest, *, access: Access) -> set[int]:
    """The people of the brand whose own points it is about."""
    wish = _wish_of(row, access, now=row.asked_at)
    return limits.staff_behind(row.customer, also=VERBS[row.verb].also(wish))


def preview(row: ApprovalRequest, *, now: datetime) -> tuple[dict[str, int] | None, str]:
    """Tried and rolled back: -> (the balance that it would leave, ""), or (None, why it cannot be done as things stand)."""
    try:
        with transaction.atomic():
            done = _as_asked(row, now=now)
            after = balance_of(row.tenant, done.customer_id)
            raise _Tried
    except _Tried:
        return after, ""
    except DomainError as refusal:
        return None, refusal.sentence


class _Tried(Exception):
    """It worked, and none of it stays."""


def decline(tenant: Tenant, request_id: int, *, access: Access, note: str, now: datetime) -> ApprovalRequest:
    """Refuse it; or, of one's own, withdraw it; or give up one that was approved and cannot be done.

    Raises: DomainError `forbidden`, `request_unknown`, `request_decided`, `reason_length`.
    """
    note = checked_reason(note)
    with transaction.atomic():
        row = _locked(tenant, request_id, wanted=OPEN_REQUESTS)
        own = row.asked_by_ident == access.actor.ident
        if not own:
            access.require(Act.APPROVE)
        into = RequestState.REFUSED if not own and row.state == RequestState.ASKED else RequestState.WITHDRAWN
        _move(row, into)
        row.note = note
        if into == RequestState.REFUSED:
            row.decided_by, row.decided_by_ident, row.decided_at = access.actor.name, access.actor.ident, now
        row.save()
        audit.record(tenant, actor=access.actor, action=f"{into.value}_request", target=row, reason=note)
    return row


def _check_still(row: ApprovalRequest, *, access: Access, seen: dict[str, int], now: datetime) -> None:
    _check_seen(row, seen)
    if VERBS[row.verb].counts and (because := limits.allowance(access, now=now).above(row.points)):
        raise limits.above_own(because)


def _check_seen(row: ApprovalRequest, seen: dict[str, int]) -> None:
    if balance_of(row.tenant, row.customer_id) != seen:
        raise DomainError("balance_moved", _("The balance has changed while you looked. Look at the figures and press again."))


def _wish_of(row: ApprovalRequest, access: Access, *, now: datetime) -> Wish:
    return Wish(row.verb, row.customer, row.content, row.reason, row.key, access, now, row.case)


def _refuse_concerned(tenant: Tenant, request_id: int, *, access: Access) -> None:
    """Raises: DomainError `own_number`, `request_unknown`."""
    row = ApprovalRequest.objects.filter(tenant=tenant, pk=request_id).select_related("customer__tenant").first()
    if row is None:
        raise _unknown()
    wish = _wish_of(row, access, now=row.asked_at)
    limits.refuse_own_number(row.customer, access=access, also=VERBS[row.verb].also(wish))


def _locked(tenant: Tenant, request_id: int, *, wanted: tuple[RequestState, ...]) -> ApprovalRequest:
    rows = ApprovalRequest.objects.select_for_update(of=["self"]).select_related(
        "tenant", "customer__tenant", "asked_by_user", "case"
    )
    row: ApprovalRequest | None = rows.filter(tenant=tenant, pk=request_id).first()
    if row is None:
        raise _unknown()
    if row.state not in wanted:
        by = _("This request is {state} by {who}. Nothing was changed.") if row.state in SAID_BY else IS_DECIDED
        raise DomainError("request_decided", by.format(state=row.get_state_display(), who=row.decided_by))
    return row


def _unknown() -> DomainError:
    return DomainError("request_unknown", _("There is no such request. Choose it from the list."))


def _move(row: ApprovalRequest, into: RequestState) -> None:
    if into not in TRANSITIONS[RequestState(row.state)]:
        raise DomainError("request_decided", IS_DECIDED.format(state=row.get_state_display()))
    row.state = into
