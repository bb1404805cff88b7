"""What people do to points by hand, one function each. Edges (pages, API, tasks, commands) call these and nothing below."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Sum

from loyalty import customers, ledger
from loyalty.account import Account, Effect
from loyalty.ledger import BY_HAND, Operation, OwnerChanged, checked_reason, content_hash, of_owner
from loyalty.models import Entry
from loyalty.netting import Missing
from loyalty.past import Whole
from loyalty.programmes import RuleBook
from loyalty.state import Kind
from tenants.actors import Actor
from tenants.errors import DomainError
from tenants.models import Store, Tenant
from tenants.saying import gettext_noop, said


@dataclass(frozen=True, slots=True)
class Buckets:
    """A balance as it is, was, or would be."""

    pending: int
    available: int
    held: int
    owed: int

    @property
    def closing(self) -> int:
        return self.available + self.held - self.owed


@dataclass(frozen=True, slots=True)
class Posted:
    """What an act did: its operation (0: there was nothing to do), and whether it had been done before under the same key.

    `short`: points that an undo could not take and that are not owed either.
    """

    operation: int
    repeated: bool
    after: Buckets
    entries: int = 0
    short: int = 0

    @property
    def available(self) -> int:
        return self.after.available

    @property
    def held(self) -> int:
        return self.after.held

    @property
    def closing(self) -> int:
        return self.after.closing


def buckets_of(account: Account) -> Buckets:
    return Buckets(account.pending, account.available, account.held, account.owed)


def today_at(tenant: Tenant, store: Store | None, now: datetime) -> date:
    """The day it is at the store, or in the tenant's zone."""
    return now.astimezone(store.timezone_or(tenant) if store else tenant.zone).date()


def issue(
    tenant: Tenant,
    customer_id: int,
    *,
    points: int,
    reason: str,
    actor: Actor,
    key: str,
    now: datetime,
    about: tuple[object, ...] = (),
    check: Callable[[], None] = lambda: None,
) -> Posted:
    """Give points by hand, as a new lot under the default rule's validity. One key, one entry, however often sent (CASES 78).

    `about`: what else tells one request from another; `check` may refuse, under the customer's lock, before anything is given.

    Raises: DomainError `points_invalid`, `reason_length`, `unknown_customer`, `no_rule`; KeyReused; CustomerMerged.
    """
    reason = checked_reason(reason)
    today = today_at(tenant, None, now)
    terms = RuleBook(tenant).rule(store_id=None, on=today).terms(today)
    request = Request("issue", (points, reason, *about), key, actor, reason, now, today)

    def act(account: Account) -> None:
        check()
        account.issue(points, terms=terms, today=today)

    return _act(tenant, customer_id, request, act)


def adjust(
    tenant: Tenant, customer_id: int, *, points: int, reason: str, actor: Actor, key: str, now: datetime, allow_debt: bool = False
) -> Posted:
    """Add or remove (negative) points by hand. Raises: as `issue`; InsufficientPoints."""
    reason = checked_reason(reason)
    today = today_at(tenant, None, now)
    terms = RuleBook(tenant).rule(store_id=None, on=today).terms(today)
    request = Request("adjust", (points, reason, allow_debt), key, actor, reason, now, today)
    return _act(
        tenant, customer_id, request, lambda account: account.adjust(points, terms=terms, today=today, allow_debt=allow_debt)
    )


def reset(
    tenant: Tenant,
    customer_id: int,
    *,
    reason: str,
    actor: Actor,
    key: str,
    now: datetime,
    clear_debt: bool = False,
    pending: bool = False,
    holds: bool = False,
) -> Posted:
    """Available points to 0; debt (the caller has checked that permission), pending and blocked points when asked (CASES 71).

    Raises: DomainError `reason_length`, `unknown_customer`; KeyReused; CustomerMerged.
    """
    reason = checked_reason(reason)
    today = today_at(tenant, None, now)
    request = Request("reset", (reason, clear_debt, pending, holds), key, actor, reason, now, today)
    return _act(
        tenant, customer_id, request,
        lambda account: account.reset(today=today, clear_debt=clear_debt, pending=pending, holds=holds),
    )  # fmt: skip


def extend(
    tenant: Tenant, customer_id: int, *, lots: Collection[int], until: date, reason: str, actor: Actor, key: str, now: datetime
) -> Posted:
    """Move the expiry of what remains of these lots (their ids) to `until`, the first day without them (CASES 77).

    Raises: DomainError `expiry_not_later`, `lot_spent`, `lot_unknown`, `date_far`, `reason_length`; KeyReused; CustomerMerged.
    """
    reason = checked_reason(reason)
    today = today_at(tenant, None, now)
    request = Request("extend", (sorted(lots), until, reason), key, actor, reason, now, today)

    def act(account: Account) -> None:
        chosen = [lot for lot in account.lots if lot.id in lots]
        if not chosen or len(chosen) < len(set(lots)):
            raise DomainError(
                "lot_unknown", said("Not all of these points are the customer's, or some are spent. Reload and choose again.")
            )
        account.extend(chosen, until=until, today=today)

    return _act(tenant, customer_id, request, act)


def reverse(
    tenant: Tenant, operation_id: int, *, reason: str, actor: Actor, now: datetime, missing: Missing = Missing.OWE
) -> Posted:
    """Undo what still stands of an operation, by link, once; a second call gives the first one's result.

    Credits are taken back, debits return to their lots with their dates, what debt had covered is lifted. `missing` says what happens
    to points that were spent meanwhile: owed (where the tenant allows that), or left and told in `short`.

    Raises: DomainError `operation_unknown`, `not_reversible`, `nothing_to_undo`, `reason_length`; CustomerMerged.
    """
    reason = checked_reason(reason)
    first = (
        Entry.objects.filter(tenant=tenant, pk=operation_id, operation=operation_id).select_related("customer", "store").first()
    )
    if first is None:
        raise DomainError(
            "operation_unknown", said("There is no such operation. Choose it from the timeline."), operation=operation_id
        )
    today = today_at(tenant, first.store, now)
    content = content_hash("reverse", operation_id)
    operation = Operation(actor, reason, f"reverse:{operation_id}", content, now, today, first.store_id, first.bill_id)

    def attempt(customer_id: int) -> Posted:
        with ledger.open(tenant, [customer_id], now=now, undo=[operation_id]) as book:
            if customers.survivor(tenant, first.customer_id) != customer_id:
                raise OwnerChanged
            if earlier := book.earlier(operation.key, fingerprint=content):
                return _first_result(tenant, earlier)
            effects = standing(book.operations[operation_id])
            with book.operation(customer_id, operation) as account:
                settled = account.reverse(effects, today=today, missing=missing)
            book.flush()
            return Posted(operation.id, False, buckets_of(account), len(settled.entries), settled.short)

    return of_owner(lambda: customers.survivor(tenant, first.customer_id), attempt)


def standing(whole: Whole) -> Sequence[Effect]:
    """What of an operation can be undone. Raises: DomainError `not_reversible`, `nothing_to_undo`."""
    effects = [effect for effect in whole.effects if effect.standing or effect.cleared or effect.expiry]
    if effects:
        return effects
    others = {
        Kind.HOLD: gettext_noop("It blocks points; release them instead."),
        Kind.MERGE: gettext_noop("It merged two customers; undo the merge instead."),
        Kind.REVERSAL: gettext_noop("It undid something itself; do that again instead."),
    }
    for kind, instead in others.items():
        if kind in whole.kinds:
            told = said("This operation cannot be undone. {instead}", instead=said(instead))
            raise DomainError("not_reversible", told, kind=kind.value)
    raise DomainError("nothing_to_undo", said("Nothing of this operation is left to undo. Nothing was changed."))


def _first_result(tenant: Tenant, operation_id: int) -> Posted:
    """What the operation answered when it was posted: the balance right after it, whatever came since."""
    entries = Entry.objects.filter(tenant=tenant, customer=Entry.objects.get(tenant=tenant, pk=operation_id).customer_id)
    own = list(entries.filter(operation=operation_id, pk__gte=operation_id).values_list("pk", flat=True))
    last = max(own, default=operation_id)
    sums = entries.filter(pk__lte=last).aggregate(*(Sum(name, default=0) for name in ("pending", "available", "held", "owed")))
    after = Buckets(*(sums[f"{name}__sum"] for name in ("pending", "available", "held", "owed")))
    return Posted(operation_id, True, after, len(own))


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for by hand: the verb and all that it depends on, under the key of its retries."""

    verb: str
    content: Sequence[object]
    key: str
    actor: Actor
    reason: str
    now: datetime
    today: date

    def operation(self, customer_id: int) -> Operation:
        fingerprint = content_hash(self.verb, customer_id, *self.content)
        return Operation(self.actor, self.reason, f"{BY_HAND}{self.key}", fingerprint, self.now, self.today)


def _act(tenant: Tenant, customer_id: int, request: Request, act: Callable[[Account], object]) -> Posted:
    """One verb on one customer, once a key: a retry gets the first answer, also after the customer was merged (CASES 78, 95)."""

    def of_the_merged() -> set[int]:
        return {request.operation(each).fingerprint for each in customers.families(tenant, [customer_id])}

    operation = request.operation(customer_id)
    with ledger.open(tenant, [customer_id], now=request.now) as book:
        if earlier := book.earlier(operation.key, fingerprint=operation.fingerprint, also=of_the_merged):
            return _first_result(tenant, earlier)
        if nothing := book.found_nothing(operation.key, fingerprint=operation.fingerprint, also=of_the_merged):
            return Posted(0, True, Buckets(*nothing))
        with book.operation(customer_id, operation) as account:
            act(account)
            entries = len(account.entries)
        if not entries:
            book.keep_nothing(operation, account)
        book.flush()
        return Posted(operation.id, False, buckets_of(account), entries)
