"""Points reserved at the till: how a redemption begins, and how it ends without a bill."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from loyalty import ledger
from loyalty.ledger import Operation, OwnerChanged, checked_reason, content_hash, of_owner
from loyalty.models import Hold as HoldRow
from loyalty.operations import Buckets, buckets_of, today_at
from loyalty.programmes import RuleBook
from loyalty.state import Hold, HoldState
from tenants.actors import Actor
from tenants.errors import DomainError
from tenants.models import Store, Tenant
from tenants.saying import said

DATE_AHEAD = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Placed:
    """A hold as it was placed; `repeated`: the same request had placed it before."""

    hold: HoldRow
    repeated: bool


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
            said(
                "{at} is outside of what is accepted: at most 2 days ahead, at most {days} days back. Check the till's clock.",
                at=when.isoformat(), days=tenant.date_window_days,
            ),
            at=when.isoformat(), days_back=tenant.date_window_days,
        )  # fmt: skip


def release_hold(tenant: Tenant, hold_id: int, *, reason: str, actor: Actor, now: datetime) -> tuple[HoldRow, bool]:
    """Free a hold's points. -> (the hold, whether this call did it): a hold that ended already stays as it is (CASES 10, 11).

    Raises: DomainError `hold_unknown`, `reason_length`.
    """
    reason = checked_reason(reason)
    held = HoldRow.objects.select_related("store")
    row = held.filter(tenant=tenant, pk=hold_id).first()
    if row is None:
        raise DomainError("hold_unknown", said("There is no such redemption. Choose it from the customer's page."), hold=hold_id)
    released = end(tenant, row, state=HoldState.RELEASED, reason=reason, actor=actor, now=now)
    return held.get(pk=hold_id), released


def end(tenant: Tenant, row: HoldRow, *, state: HoldState, reason: str, actor: Actor, now: datetime) -> bool:
    """End a hold without a bill, whoever owns it by now. -> whether this call did it; a hold ends once."""
    today = today_at(tenant, row.store, now)
    operation = Operation(actor, reason, f"release:{row.pk}", content_hash("release", row.pk), now, today, row.store_id)

    def attempt(customer_id: int) -> bool:
        with ledger.open(tenant, [customer_id], now=now, holds=[row.pk]) as book:
            hold = book.holds[row.pk]
            if book.owner_of(hold) not in book:
                raise OwnerChanged
            if hold.state is not HoldState.ACTIVE:
                return False
            with book.operation(customer_id, operation) as account:
                account.release(hold, today=today, state=state)
            return True

    return of_owner(lambda: int(HoldRow.objects.values_list("customer_id", flat=True).get(pk=row.pk)), attempt)


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
    before = buckets_of(account)
    tried = book.holds[hold.pk]
    account.release(tried, today=today_at(tenant, hold.store, now))
    return ReleasePreview(before, buckets_of(account), sum(points for _, points in tried.lapsed))
