"""Who is who over time: two customers that are one person, a number that changes, a number that goes to somebody else."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import IntegrityError, connection, transaction

from loyalty import customers, ledger
from loyalty.account import merge as merge_accounts
from loyalty.account import unmerge as unmerge_accounts
from loyalty.customers import Stub
from loyalty.ledger import CustomerMerged, Operation, checked_reason, content_hash
from loyalty.models import (
    NO_NUMBER,
    Balance,
    CohortMember,
    Customer,
    CustomerAlias,
    CustomerMerge,
    CustomerStatus,
    NumberMove,
    mask_mobile,
)
from loyalty.operations import Buckets, buckets_of
from loyalty.state import Debt
from tenants import audit
from tenants.actors import Actor
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.saying import said

MOVE_LOTS = """
    UPDATE loyalty_lot SET customer_id = %s WHERE tenant_id = %s AND customer_id = %s
      AND entry_id IN (SELECT id FROM loyalty_entry WHERE tenant_id = %s AND customer_id = ANY(%s)) RETURNING entry_id
"""
MOVE_HOLDS = "UPDATE loyalty_hold SET customer_id = %s WHERE tenant_id = %s AND customer_id = %s RETURNING id"
LOTS_BACK = "UPDATE loyalty_lot SET customer_id = %s WHERE tenant_id = %s AND entry_id = ANY(%s)"
HOLDS_BACK = "UPDATE loyalty_hold SET customer_id = %s WHERE tenant_id = %s AND id = ANY(%s)"
#: What happened to the moved lots, holds and debts after the merge: the first entry that makes going back ambiguous. Not counted: a
#: further merge that was taken back, which put everything where it had been.
USED_SINCE = """
    SELECT min(e.id) FROM loyalty_entry e WHERE e.tenant_id = %(tenant)s AND e.operation <> %(merge)s AND NOT (
        e.kind = 'merge' AND EXISTS (
            SELECT FROM loyalty_customermerge g WHERE g.tenant_id = %(tenant)s AND g.undone_at IS NOT NULL
              AND (e.operation = g.operation OR e.key = 'unmerge:' || g.id))) AND (
        e.id IN (SELECT entry_id FROM loyalty_entrylot WHERE lot_id = ANY(%(lots)s) AND entry_id > %(merge)s)
        OR e.hold_id = ANY(%(holds)s) AND e.id > %(merge)s
        OR e.id IN (SELECT entry_id FROM loyalty_entrylot WHERE debt_id = ANY(%(debts)s) AND entry_id > %(merge)s)
        OR e.customer_id = %(into)s AND e.id > %(merge)s AND (e.kind = 'extend' OR e.of_kind = 'extend') AND EXISTS (
            SELECT FROM jsonb_array_elements(e.snapshot->'lots') x WHERE (x->>'lot')::bigint = ANY(%(lots)s)))
"""
#: What the merge paid of debts: by which lot, how much, and of whose debt.
PAID_AT_MERGE = """
    SELECT m.lot_id, (-m.delta)::bigint, m.debt_id FROM loyalty_entrylot m JOIN loyalty_entry e ON e.id = m.entry_id
    WHERE e.tenant_id = %s AND e.operation = %s AND e.customer_id = %s AND m.debt_id IS NOT NULL AND m.lot_id IS NOT NULL ORDER BY m.id
"""
DEBTS_OF_MERGE = """
    SELECT of_entry_id FROM loyalty_entry
    WHERE tenant_id = %s AND operation = %s AND customer_id = %s AND owed > 0 AND of_entry_id IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Merged:
    """`repeated`: it had been done before."""

    merge: CustomerMerge
    repeated: bool


def merge(tenant: Tenant, source_id: int, into_id: int, *, reason: str, actor: Actor, now: datetime) -> Merged:
    """Two customers are one person: `source` hands over everything to `into`, and leads there from now on (CASES 95, 96).

    Lots and holds keep their dates, debt meets points once, bills still on their way follow the number.

    Raises: DomainError `merge_with_itself`, `unknown_customer`, `reason_length`; CustomerMerged (one of them is merged elsewhere).
    """
    reason = checked_reason(reason)
    if source_id == into_id:
        raise DomainError("merge_with_itself", said("These are the same customer. Choose two different ones."))
    with transaction.atomic():
        done = CustomerMerge.objects.filter(tenant=tenant, source=source_id, into=into_id, undone_at=None).first()
        if done:
            return Merged(done, repeated=True)
        today = now.astimezone(tenant.zone).date()
        try:
            operation = _merge_books(tenant, source_id, into_id, reason=reason, actor=actor, now=now, today=today)
        except CustomerMerged:
            done = CustomerMerge.objects.filter(tenant=tenant, source=source_id, into=into_id, undone_at=None).first()
            if done:
                return Merged(done, repeated=True)
            raise
        row = _merge_rows(tenant, source_id, into_id, operation=operation, reason=reason, actor=actor, now=now)
    return Merged(row, repeated=False)


def preview_merge(tenant: Tenant, source_id: int, into_id: int, *, now: datetime) -> Buckets:
    """What the survivor would have. Raises: DomainError `merge_with_itself`; CustomerMerged."""
    if source_id == into_id:
        raise DomainError("merge_with_itself", said("These are the same customer. Choose two different ones."))
    book = ledger.peek(tenant, [source_id, into_id], now=now)
    merge_accounts(book[source_id], book[into_id], today=now.astimezone(tenant.zone).date())
    return buckets_of(book[into_id])


def _refuse_erased(tenant: Tenant, *customer_ids: int) -> None:
    """Under their locks. Raises: DomainError `customer_erased`."""
    if customers.is_erased(tenant, customer_ids):
        raise DomainError("customer_erased", said("One of the two was erased. Nobody is behind its points any more."))


def _merge_books(
    tenant: Tenant, source_id: int, into_id: int, *, reason: str, actor: Actor, now: datetime, today: date
) -> Operation:  # fmt: skip
    with ledger.open(tenant, [source_id, into_id], now=now) as book:
        _refuse_erased(tenant, source_id, into_id)
        version = book[source_id].version
        content = content_hash("merge", source_id, into_id)
        operation = Operation(
            actor, reason, f"merge:{source_id}:{into_id}:{version}:{book[into_id].version}", content, now, today
        )
        with book.operation_of_two(source_id, into_id, operation) as (source, into):
            merge_accounts(source, into, today=today)
    return operation


def _merge_rows(
    tenant: Tenant, source_id: int, into_id: int, *, operation: Operation, reason: str, actor: Actor, now: datetime
) -> CustomerMerge:  # fmt: skip
    source = Customer.objects.get(tenant=tenant, pk=source_id)
    with connection.cursor() as cursor:
        cursor.execute(MOVE_LOTS, [into_id, tenant.pk, source_id, tenant.pk, list(customers.families(tenant, [source_id]))])
        lots = [row[0] for row in cursor.fetchall()]
        cursor.execute(MOVE_HOLDS, [into_id, tenant.pk, source_id])
        holds = [row[0] for row in cursor.fetchall()]
    aliases = list(CustomerAlias.objects.filter(tenant=tenant, customer=source_id, valid_until=None).values_list("pk", flat=True))
    CustomerAlias.objects.filter(pk__in=aliases).update(customer=into_id)
    CustomerAlias.objects.create(tenant=tenant, customer_id=into_id, mobile=source.mobile, valid_from=now)
    Balance.objects.filter(tenant=tenant, customer=source_id).update(moved_to=into_id)
    before = source.status
    Customer.objects.filter(pk=source_id).update(status=CustomerStatus.MERGED, merged_into=into_id)
    memberships = _join_cohorts(tenant, source_id, into_id)
    row: CustomerMerge = CustomerMerge.objects.create(
        tenant=tenant, source_id=source_id, into_id=into_id, operation=operation.id or None, lots=lots, holds=holds, aliases=aliases,
        memberships=memberships, status_before=before, reason=reason, actor_name=actor.name, merged_at=now,
    )  # fmt: skip
    audit.record(tenant, actor=actor, action="merge_customers", target=source, reason=reason, after={"into": into_id})
    return row


def _join_cohorts(tenant: Tenant, source_id: int, into_id: int) -> list[int]:
    """The survivor is on the lists that the merged customer is on. -> the memberships that are new."""
    there = set(CohortMember.objects.filter(customer=into_id, valid_until=None).values_list("cohort_id", flat=True))
    lists = CohortMember.objects.filter(tenant=tenant, customer=source_id, valid_until=None).exclude(cohort__in=there)
    joined = []
    for each in lists:
        member, new = CohortMember.objects.get_or_create(
            tenant=tenant, customer_id=into_id, cohort_id=each.cohort_id, valid_from=each.valid_from
        )
        joined += [member.pk] if new else []
    return joined


def unmerge(tenant: Tenant, merge_id: int, *, reason: str, actor: Actor, now: datetime) -> CustomerMerge:
    """Take a merge back while it is unambiguous: nothing that moved has been used since. What came later stays (CASES 97).

    Raises: DomainError `merge_unknown`, `unmerge_ambiguous`, `unmerge_done`, `reason_length`; CustomerMerged (the survivor was merged on).
    """
    reason = checked_reason(reason)
    with transaction.atomic():
        row: CustomerMerge | None = CustomerMerge.objects.filter(tenant=tenant, pk=merge_id).first()
        if row is None:
            raise DomainError(
                "merge_unknown", said("There is no such merge. Choose it from the customer's page."), merge=merge_id
            )
        ids = sorted([row.source_id, row.into_id])
        list(Balance.objects.select_for_update(no_key=True).filter(tenant=tenant, customer__in=ids).order_by("customer_id"))
        row.refresh_from_db()
        if row.undone_at is not None:
            told = said("This merge was taken back already by {name}. Nothing was changed.", name=row.undone_by)
            raise DomainError("unmerge_done", told)
        _refuse_erased(tenant, *ids)
        debts = _check_unused(tenant, row)
        Balance.objects.filter(tenant=tenant, customer=row.source_id).update(moved_to=None)
        today = now.astimezone(tenant.zone).date()
        operation = Operation(actor, reason, f"unmerge:{row.pk}", content_hash("unmerge", row.pk), now, today)
        with ledger.open(tenant, ids, now=now) as book:
            paid = _paid_at_merge(tenant, row, debts)
            with book.operation_of_two(row.into_id, row.source_id, operation) as (survivor, back):
                lots = {lot.id: lot for lot in survivor.lots}
                missing = [lot_id for lot_id, _, _ in paid if lot_id not in lots]
                lots |= {lot.id: lot for lot in book.load_lots(missing)} if missing else {}
                owed = {debt.id: debt for debt in survivor.debts}
                for lot_id, points, debt_id in paid:
                    debt = owed.setdefault(debt_id, Debt(debt_id, 0))
                    debt.payers = (*debt.payers, (lots[lot_id], points))
                unmerge_accounts(
                    survivor, back, lots=[lots[each] for each in row.lots if each in lots],
                    holds=[hold for hold in survivor.holds if hold.id in row.holds],
                    debts=[debt for debt in owed.values() if debt.id in debts],
                    paid=[(owed[debt_id], points) for _, points, debt_id in paid], today=today,
                )  # fmt: skip
        _unmerge_rows(tenant, row, reason=reason, actor=actor, now=now)
    return row


def _check_unused(tenant: Tenant, row: CustomerMerge) -> set[int]:
    """-> debts that the merge carried over. Raises: DomainError `unmerge_ambiguous`."""
    with connection.cursor() as cursor:
        cursor.execute(DEBTS_OF_MERGE, [tenant.pk, row.operation or 0, row.into_id])
        debts = {found[0] for found in cursor.fetchall()}
        bounds: dict[str, Any] = {
            "tenant": tenant.pk, "merge": row.operation or _last_entry_before(cursor, tenant, row), "lots": row.lots, "holds": row.holds,
            "into": row.into_id,
            "debts": list(debts),
        }  # fmt: skip
        cursor.execute(USED_SINCE, bounds)
        entry = cursor.fetchone()[0]
    if entry is not None:
        raise DomainError(
            "unmerge_ambiguous",
            said(
                "Points, blocked points or debts of the merged customer were used after the merge, so nobody can say whose they were."
                " Correct the two balances by hand instead."
            ),
            entry=entry,
        )  # fmt: skip
    return debts


def _last_entry_before(cursor: Any, tenant: Tenant, row: CustomerMerge) -> int:
    """Nothing moved at the merge: what was written after it, by its time."""
    cursor.execute(
        "SELECT coalesce(max(id), 0) FROM loyalty_entry WHERE tenant_id = %s AND customer_id = ANY(%s) AND posted_at <= %s",
        [tenant.pk, [row.source_id, row.into_id], row.merged_at],
    )
    return int(cursor.fetchone()[0])


def _paid_at_merge(tenant: Tenant, row: CustomerMerge, debts: set[int]) -> list[tuple[int, int, int]]:
    """Payments at the merge between the two: by the source's lots for the survivor's debts, or the other way round."""
    with connection.cursor() as cursor:
        cursor.execute(PAID_AT_MERGE, [tenant.pk, row.operation or 0, row.into_id])
        moved = set(row.lots)
        return [paid for paid in cursor.fetchall() if (paid[0] in moved) != (paid[2] in debts)]


def _unmerge_rows(tenant: Tenant, row: CustomerMerge, *, reason: str, actor: Actor, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(LOTS_BACK, [row.source_id, tenant.pk, row.lots])
        cursor.execute(HOLDS_BACK, [row.source_id, tenant.pk, row.holds])
    source = Customer.objects.get(tenant=tenant, pk=row.source_id)
    CustomerAlias.objects.filter(pk__in=row.aliases, valid_until=None).update(customer=row.source_id)
    CustomerAlias.objects.filter(tenant=tenant, customer=row.into_id, mobile=source.mobile, valid_until=None).update(
        valid_until=now
    )
    CohortMember.objects.filter(pk__in=row.memberships, valid_until=None).update(valid_until=now.astimezone(tenant.zone).date())
    Customer.objects.filter(pk=source.pk).update(status=row.status_before, merged_into=None)
    row.undone_at, row.undone_by = now, actor.name
    row.save(update_fields=["undone_at", "undone_by"])
    audit.record(tenant, actor=actor, action="unmerge_customers", target=source, reason=reason, before={"into": row.into_id})


def change_mobile(tenant: Tenant, customer_id: int, mobile: str, *, reason: str, actor: Actor, now: datetime) -> Customer:
    """The customer has a new number; bills that still name the old one land here (CASES 93).

    Raises: DomainError `mobile_invalid`, `mobile_taken`, `unknown_customer`, `reason_length`; CustomerMerged.
    """
    reason = checked_reason(reason)
    new = customers.normalised_mobile(mobile, region=tenant.region)
    with transaction.atomic():
        row: Customer | None = Customer.objects.select_for_update().filter(tenant=tenant, pk=customer_id).first()
        if row is None:
            raise ledger.UnknownCustomer
        if row.merged_into_id:
            raise CustomerMerged(customer_id, row.merged_into_id)
        if row.mobile == new:
            return row
        owner = customers.find(tenant, [new]).get(new)
        if owner not in (None, customer_id):
            raise DomainError(
                "mobile_taken",
                said("Another customer has this number. Merge the two, or move the number to its new owner."),
                owner=owner,
            )
        if Customer.objects.filter(tenant=tenant, mobile=new).exists():
            raise DomainError(
                "mobile_taken", said("A merged customer keeps this number on file. Choose another one."), path="mobile"
            )
        before = row.mobile
        CustomerAlias.objects.filter(tenant=tenant, mobile=new, valid_until=None).update(valid_until=now)
        if row.has_number:
            CustomerAlias.objects.create(tenant=tenant, customer=row, mobile=before, valid_from=now)
        row.mobile = new
        try:
            with transaction.atomic():
                row.save(update_fields=["mobile"])
        except IntegrityError:
            raise DomainError(
                "mobile_taken", said("Somebody has just been given this number. Look it up."), path="mobile"
            ) from None
        audit.record(
            tenant,
            actor=actor,
            action="change_mobile",
            target=row,
            reason=reason,
            before={"mobile": mask_mobile(before)},
            after={"mobile": mask_mobile(new)},
        )
    return row


def erase(tenant: Tenant, customer_id: int, *, reason: str, actor: Actor, now: datetime) -> list[str]:
    """Forget who the customer is: name, e-mail and every number, also of those merged into them. The ledger stays (CASES 98).

    -> the numbers that led here; none: it was done before. A bill that names one of them from now on is a stranger's.

    Raises: DomainError `unknown_customer`, `erase_blocked`, `reason_length`; CustomerMerged.
    """
    reason = checked_reason(reason)
    with transaction.atomic():
        ids = customers.families(tenant, [customer_id])
        balances = Balance.objects.select_for_update(no_key=True).filter(tenant=tenant, customer__in=ids).order_by("customer_id")
        held = sum(balance.held for balance in balances)  # their locks first, as whoever books takes them
        family = list(Customer.objects.select_for_update(no_key=True).filter(tenant=tenant, pk__in=ids).order_by("pk"))
        row = next((each for each in family if each.pk == customer_id), None)
        if row is None:
            raise ledger.UnknownCustomer
        if row.merged_into_id:
            raise CustomerMerged(customer_id, row.merged_into_id)
        if row.status == CustomerStatus.ERASED:
            return []
        if held:
            told = said("{points:,} points are blocked for a bill that may still come. Unblock them first.", points=held)
            raise DomainError("erase_blocked", told, held=held)
        aliases = CustomerAlias.objects.filter(tenant=tenant, customer__in=family)
        numbers = customers.numbers_of(tenant, ids)
        aliases.filter(valid_until=None).update(valid_until=now)
        aliases.update(mobile=stand_in(row.pk))
        for each in family:
            each.mobile, each.name, each.email, each.takes_messages = stand_in(each.pk), "", "", False
        row.status = CustomerStatus.ERASED
        Customer.objects.bulk_update(family, ["mobile", "name", "email", "takes_messages", "status"])
        audit.record(tenant, actor=actor, action="erase_customer", target=row, reason=reason)
    return sorted(number for number in numbers if not number.startswith(NO_NUMBER))


def stand_in(customer_id: int) -> str:
    """What stands in the place of a number that is nobody's any more."""
    return f"{NO_NUMBER}{customer_id:010d}"


def ask_number_move(tenant: Tenant, mobile: str, *, reason: str, actor: Actor) -> NumberMove:
    """A carrier gave the number to a stranger: ask that it leads to a new customer. Somebody else decides (CASES 94).

    Raises: DomainError `mobile_invalid`, `unknown_customer`, `move_asked`, `reason_length`.
    """
    reason = checked_reason(reason)
    number = customers.normalised_mobile(mobile, region=tenant.region)
    owner = customers.the_one(tenant, number)
    with transaction.atomic():
        Balance.objects.select_for_update(no_key=True).get(tenant=tenant, customer=owner)
        if NumberMove.objects.filter(tenant=tenant, mobile=number, decided_at=None).exists():
            raise DomainError("move_asked", said("This was asked already and waits for a decision. Decide that one."))
        move: NumberMove = NumberMove.objects.create(
            tenant=tenant,
            mobile=number,
            old_owner_id=owner,
            reason=reason,
            asked_by=actor.name,
            asked_by_ident=actor.ident,
        )
        audit.record(tenant, actor=actor, action="ask_number_move", target=move, reason=reason, after={"old_owner": owner})
    return move


def decide_number_move(tenant: Tenant, move_id: int, *, approve: bool, actor: Actor, now: datetime) -> NumberMove:
    """Approve or refuse. Approved, the number is a new customer's from now on; the history stays with the old one.

    Raises: DomainError `move_unknown`, `own_request` (CASES 80), `move_decided`.
    """
    with transaction.atomic():
        move: NumberMove | None = NumberMove.objects.select_for_update().filter(tenant=tenant, pk=move_id).first()
        if move is None:
            raise DomainError("move_unknown", said("There is no such request. Choose it from the list."), move=move_id)
        if move.decided_at is not None:
            raise DomainError("move_decided", said("{name} has decided this already. Nothing was changed.", name=move.decided_by))
        actor.refuse_own(move.asked_by, ident=move.asked_by_ident)
        if approve:
            move.new_owner_id = _give_number(tenant, move, now=now)
        move.decided_by, move.decided_by_ident = actor.name, actor.ident
        move.decided_at, move.approved = now, approve
        move.save()
        audit.record(
            tenant, actor=actor, action="approve_number_move" if approve else "refuse_number_move", target=move, reason=move.reason,
            after={"new_owner": move.new_owner_id},
        )  # fmt: skip
    return move


def _give_number(tenant: Tenant, move: NumberMove, *, now: datetime) -> int:
    CustomerAlias.objects.filter(tenant=tenant, mobile=move.mobile, valid_until=None).update(valid_until=now)
    held_by = Customer.objects.select_for_update().filter(tenant=tenant, mobile=move.mobile).first()
    if held_by is not None:
        CustomerAlias.objects.create(
            tenant=tenant, customer=held_by, mobile=move.mobile, valid_from=held_by.created_at, valid_until=now
        )
        held_by.mobile = stand_in(held_by.pk)
        held_by.save(update_fields=["mobile"])
    stub = Stub(move.mobile, now.astimezone(tenant.zone).date())
    return customers.find_or_create(tenant, {move.mobile: stub})[move.mobile]
