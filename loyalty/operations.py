"""The business acts of the ledger, one function each. Edges (pages, API, tasks, commands) call these and nothing below."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django_scopes import scope

from loyalty import ledger
from loyalty.account import Account
from loyalty.ledger import Book, Operation, checked_reason, content_hash
from loyalty.models import Hold as HoldRow
from loyalty.programmes import RuleBook
from loyalty.state import Hold, HoldState
from tenants.actors import SYSTEM, Actor
from tenants.errors import DomainError
from tenants.models import Store, Tenant

DATE_AHEAD = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Posted:
    """What an act did: its operation, and whether it had been done before under the same key."""

    operation: int
    repeated: bool
    available: int
    held: int
    closing: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A hold as it was placed; `repeated`: the same request had placed it before."""

    hold: HoldRow
    repeated: bool


def _posted(account: Account, operation: int, *, repeated: bool = False) -> Posted:
    return Posted(operation, repeated, account.available, account.held, account.closing)


def issue(tenant: Tenant, customer_id: int, *, points: int, reason: str, actor: Actor, key: str, now: datetime) -> Posted:
    """Give points by hand, as a new lot under the default rule's validity. One key, one entry, however often sent (CASES 78).

    Raises: DomainError `points_invalid`, `reason_length`, `unknown_customer`, `no_rule`; KeyReused.
    """
    reason = checked_reason(reason)
    today = _today(tenant, None, now)
    rule = RuleBook(tenant).rule(store_id=None, on=today)
    operation = Operation(actor, reason, f"issue:{key}", content_hash("issue", customer_id, points, reason), now, today)
    with ledger.open(tenant, [customer_id], now=now) as book:
        if earlier := book.earlier(operation.key, fingerprint=operation.fingerprint):
            return _posted(book[customer_id], earlier, repeated=True)
        with book.operation(customer_id, operation) as account:
            account.issue(points, terms=rule.terms(today), today=today)
        book.flush()
        return _posted(book[customer_id], operation.id)


def adjust(
    tenant: Tenant, customer_id: int, *, points: int, reason: str, actor: Actor, key: str, now: datetime, allow_debt: bool = False
) -> Posted:
    """Add or remove (negative) points by hand. Raises: as `issue`; InsufficientPoints."""
    reason = checked_reason(reason)
    today = now.astimezone(tenant.zone).date()
    terms = RuleBook(tenant).rule(store_id=None, on=today).terms(today)
    operation = Operation(
        actor, reason, f"adjust:{key}", content_hash("adjust", customer_id, points, reason, allow_debt), now, today
    )
    with ledger.open(tenant, [customer_id], now=now) as book:
        if earlier := book.earlier(operation.key, fingerprint=operation.fingerprint):
            return _posted(book[customer_id], earlier, repeated=True)
        with book.operation(customer_id, operation) as account:
            account.adjust(points, terms=terms, today=today, allow_debt=allow_debt)
        book.flush()
        return _posted(book[customer_id], operation.id)


def place_hold(
    tenant: Tenant,
    customer_id: int,
    *,
    points: int,
    reference: str,
    store: Store,
    bill_no: str,
    at: datetime | None,
    actor: Actor,
    now: datetime,
) -> Placed:
    """Reserve points for a redemption at the till. The same request again returns the first hold (CASES 8).

    Raises: InsufficientPoints; DomainError `points_invalid`, `date_window`, `no_rule`, `unknown_customer`; KeyReused.
    """
    fingerprint = content_hash("hold", customer_id, points, store.pk, bill_no, at.timestamp() if at else None)
    if placed := _placed_before(tenant, reference, fingerprint):
        return placed
    when = at or now
    check_date_window(when, tenant=tenant, now=now)
    zone = store.timezone_or(tenant)
    day, today = when.astimezone(zone).date(), now.astimezone(zone).date()
    rule = RuleBook(tenant).rule(store_id=store.pk, on=day)
    hold = Hold(
        reference, points, rule.point_value, when, when + timedelta(hours=24 * rule.hold_days), store.pk, bill_no, fingerprint
    )
    reason = f"Redemption started at {store}"[: ledger.REASON_MAX]
    operation = Operation(actor, reason, f"hold:{reference}", fingerprint, when, day, store.pk)
    with ledger.open(tenant, [customer_id], now=now) as book:
        # Somebody may have placed it while we waited for the locks.
        book.earlier(operation.key, fingerprint=fingerprint)
        if placed := _placed_before(tenant, reference, fingerprint):
            return placed
        with book.operation(customer_id, operation) as account:
            account.hold(hold, today=min(day, today))
    return Placed(HoldRow.objects.get(pk=hold.id), repeated=False)


def _placed_before(tenant: Tenant, reference: str, fingerprint: int) -> Placed | None:
    row = HoldRow.objects.filter(tenant=tenant, reference=reference).first()
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise ledger.KeyReused(reference)
    return Placed(row, repeated=True)


def check_date_window(when: datetime, *, tenant: Tenant, now: datetime) -> None:
    """Raises: DomainError `date_window`: more than 2 days ahead, or older than the tenant takes (CASES 37)."""
    oldest = now - timedelta(days=tenant.date_window_days) if tenant.date_window_days else None
    if when > now + DATE_AHEAD or (oldest and when < oldest):
        raise DomainError(
            "date_window",
            f"{when.isoformat()} is outside of what is accepted: at most 2 days ahead, at most {tenant.date_window_days} days back."
            " Check the till's clock.",
            at=when.isoformat(), days_back=tenant.date_window_days,
        )  # fmt: skip


def release_hold(tenant: Tenant, hold_id: int, *, reason: str, actor: Actor, now: datetime) -> tuple[HoldRow, bool]:
    """Free a hold's points. -> (the hold, whether this call did it): a hold that ended already stays as it is (CASES 10, 11).

    Raises: DomainError `reason_length`.
    """
    reason = checked_reason(reason)
    row = HoldRow.objects.select_related("store").get(tenant=tenant, pk=hold_id)
    with ledger.open(tenant, [row.customer_id], now=now, holds=[hold_id]) as book:
        released = _release(book, hold_id, state=HoldState.RELEASED, reason=reason, actor=actor, now=now, row=row)
    return HoldRow.objects.select_related("store").get(pk=hold_id), released


def _release(book: Book, hold_id: int, *, state: HoldState, reason: str, actor: Actor, now: datetime, row: HoldRow) -> bool:
    hold = book.holds[hold_id]
    if hold.state is not HoldState.ACTIVE:
        return False
    today = _today(book.tenant, row.store, now)
    operation = Operation(actor, reason, f"release:{hold_id}", content_hash("release", hold_id), now, today, row.store_id)
    with book.operation(book.owner_of(hold), operation) as account:
        account.release(hold, today=today, state=state)
    return True


@dataclass(frozen=True, slots=True)
class Buckets:
    """A balance as it is, or as it would be."""

    pending: int
    available: int
    held: int
    owed: int

    @property
    def closing(self) -> int:
        return self.available + self.held - self.owed


@dataclass(frozen=True, slots=True)
class ReleasePreview:
    """What a release would do; `lapsed` points would expire at once."""

    before: Buckets
    after: Buckets
    lapsed: int


def preview_release(tenant: Tenant, hold: HoldRow, *, now: datetime) -> ReleasePreview:
    """Try the release on a copy of the account. Raises: DomainError `hold_ended`."""
    book = ledger.peek(tenant, [hold.customer_id], now=now, holds=[hold.pk])
    account = book[hold.customer_id]
    before = _buckets(account)
    tried = book.holds[hold.pk]
    account.release(tried, today=_today(tenant, hold.store, now))
    return ReleasePreview(before, _buckets(account), sum(points for _, points in tried.lapsed))


def _buckets(account: Account) -> Buckets:
    return Buckets(account.pending, account.available, account.held, account.owed)


def _today(tenant: Tenant, store: Store | None, now: datetime) -> date:
    return now.astimezone(store.timezone_or(tenant) if store else tenant.zone).date()


@dataclass(frozen=True, slots=True)
class ReleaseRun:
    """What one run of the sweep did; `failed` holds by reference with the error, to be retried by the next run."""

    done: int
    points: int
    failed: dict[str, str]


def release_expired_holds(tenant: Tenant, *, now: datetime, at_most: int = 5000) -> ReleaseRun:
    """End every hold whose `expires_at` has come, each customer in a transaction of its own: one failure stops nobody (CASES 15).

    Safe to run twice and in parallel: a hold ends once.
    """
    done = points = 0
    failed: dict[str, str] = {}
    with scope(tenant=tenant):
        due = HoldRow.objects.filter(tenant=tenant, state=HoldState.ACTIVE.value, expires_at__lte=now).select_related("store")
        for row in due.order_by("expires_at")[:at_most]:
            days = (row.expires_at - row.at).days
            reason = f"The completion bill did not come within {days} days"
            try:
                with ledger.open(tenant, [row.customer_id], now=now, holds=[row.pk]) as book:
                    released = _release(book, row.pk, state=HoldState.EXPIRED, reason=reason, actor=SYSTEM, now=now, row=row)
            except Exception as problem:  # an edge in itself: the other customers' points must come back all the same
                failed[row.reference] = f"{type(problem).__name__}: {problem}"[:300]
                continue
            done += released
            points += row.points if released else 0
    return ReleaseRun(done, points, failed)


def worth(points: int, *, rate: Decimal, minor_digits: int) -> Decimal:
    """What points are worth, in the currency's minor unit, rounded down."""
    unit = Decimal(1).scaleb(-minor_digits)
    return (rate * points // unit * unit).quantize(unit)


def minor_digits(currency: str) -> int:
    """How many decimals a currency's amounts have (ISO 4217)."""
    return {
        "JPY": 0,
        "KRW": 0,
        "VND": 0,
        "CLP": 0,
        "ISK": 0,
        "XAF": 0,
        "XOF": 0,
        "KWD": 3,
        "BHD": 3,
        "OMR": 3,
        "JOD": 3,
        "TND": 3,
    }.get(currency, 2)
