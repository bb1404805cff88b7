"""Visits: one point for a customer, a store and a day, for as long as one bill of that day stands.

Whichever bill earned the point, it stays while any other one supports the visit, goes with the last one, and comes back when a return is undone.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from integrations.models import Bill, BillClass
from loyalty import customers
from loyalty.account import Effect
from loyalty.models import Entry
from loyalty.state import Kind
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class Visit:
    """`bills`: every row of that day, superseded ones too, since their entries may hold the point. `supported`: a bill of it stands.

    `own`: the document under way is sold in this visit, and earns the point itself where none stands.
    """

    customer_id: int
    bills: tuple[int, ...]
    supported: bool
    own: bool


def is_visit(effect: Effect) -> bool:
    """Whether it gave a visit's point."""
    return effect.kind is Kind.EARN and effect.credit and (effect.snapshot or {}).get("kind") == "visit_count"


def around(
    tenant: Tenant,
    touched: Iterable[Bill],
    *,
    without: Collection[int],
    complete: Callable[[Bill], bool],
    sold: tuple[int, int, date] | None,
) -> list[Visit]:
    """The visits of these bills. `without`: rows that stand no more; `complete`: whether a bill came back whole; `sold`: where the
    document under way sells (customer, store, day)."""
    found: dict[tuple[int, int, date], Visit] = {}
    for bill in touched:
        if bill.customer_id is None or bill.bill_class != BillClass.SALE:
            continue
        customer_id = customers.survivor(tenant, bill.customer_id)
        key = (customer_id, bill.store_id, bill.business_date)
        if key in found:
            continue
        rows = Bill.objects.filter(
            tenant=tenant, customer__in=customers.families(tenant, [customer_id]), store=bill.store_id, business_date=bill.business_date,
            bill_class=BillClass.SALE,
        )  # fmt: skip
        live = [row for row in rows if row.superseded_at is None and row.cancelled_by_id is None and row.pk not in without]
        own = sold == key
        found[key] = Visit(customer_id, tuple(row.pk for row in rows), own or any(not complete(row) for row in live), own)
    return list(found.values())


def returns_of(tenant: Tenant, visits: Sequence[Visit]) -> set[int]:
    """Bills that took a point of these visits back."""
    bills = {pk for visit in visits for pk in visit.bills}
    taken = Entry.objects.filter(tenant=tenant, kind=Kind.ROLLBACK, of_entry__bill_id__in=bills, of_entry__kind=Kind.EARN)
    return {pk for pk in taken.values_list("bill_id", flat=True) if pk}


def out_of_place(visit: Visit, effects: Mapping[int, Sequence[Effect]]) -> list[Effect]:
    """What has to be undone so that the point stands exactly when a bill of the visit does: the point, or the taking back of it."""
    points = [effect for pk in visit.bills for effect in effects.get(pk, ()) if is_visit(effect)]
    standing = [effect for effect in points if effect.standing]
    if not visit.supported:
        return standing
    if standing or visit.own:
        return []
    entries = {effect.entry_id for effect in points}
    taken = [each for of_bill in effects.values() for each in of_bill if each.kind is Kind.ROLLBACK and each.of_entry in entries]
    return [effect for effect in taken if effect.standing][:1]
