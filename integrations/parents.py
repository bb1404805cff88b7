"""Which booked bill a document is about: as it says, as a person has decided, or what it may be about.

A number alone is not enough: stores, tills and years have the same ones.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from integrations.documents import CheckFailed, Original
from integrations.models import Bill, BillClass
from integrations.posting import Case, Shop, WaitingForParent, natural_period
from loyalty import customers
from tenants.models import BillScope, Store
from tenants.saying import said

#: How far back a return without a bill looks, among how many sales, and how many it shows.
SUGGEST_WITHIN, SUGGEST_AMONG, SUGGEST_MAX = timedelta(days=90), 200, 10


class Parents:
    """The earlier bills of one document."""

    def __init__(self, shop: Shop, case: Case) -> None:
        self._shop, self._case, self._tenant = shop, case, shop.tenant

    def find(self, original: Original | None) -> Bill:
        """Raises: CheckFailed `parent_unnamed`, `store_unknown`; WaitingForParent."""
        if picked := self._case.decided.get("original"):
            return self.as_it_is_now(Bill.objects.get(tenant=self._tenant, pk=picked))
        if original is None:
            raise CheckFailed(
                "parent_unnamed",
                said("This {kind} names no original bill. A person has to say which.", kind=self._case.kind), path="original",
                suggestions=self._suggestions(),
            )  # fmt: skip
        for store in self._stores(original):
            if found := self._in_store(original, store):
                return found
        raise WaitingForParent(self._case.kind, original.bill_no)

    def as_it_is_now(self, bill: Bill) -> Bill:
        """The row that is this bill now."""
        if bill.superseded_at is None:
            return bill
        found: Bill | None = Bill.objects.filter(
            tenant=self._tenant, store=bill.store_id, bill_no=bill.bill_no, bill_class=bill.bill_class, period=bill.period, till=bill.till,
            superseded_at=None,
        ).first()  # fmt: skip
        if found is None:
            raise WaitingForParent(self._case.kind, bill.bill_no)
        return found

    def _stores(self, original: Original) -> Iterable[Store | None]:
        """Where to look: in the store it names; else here, and then wherever exactly one bill of the customer has that number."""
        if original.store_code is None:
            return (self._case.store, None)
        store = self._shop.stores.get(original.store_code)
        if store is None:
            raise CheckFailed(
                "store_unknown",
                said("No store has the code {code!r}. Add the store or an alias, then retry.", code=original.store_code),
                path="original.store_code", found=original.store_code,
            )  # fmt: skip
        return (store,)

    def _in_store(self, original: Original, store: Store | None) -> Bill | None:
        classes = [BillClass.SALE, BillClass.RETURN] if self._case.document.bill_type == "CANCEL" else [BillClass.SALE]
        rows = Bill.objects.filter(tenant=self._tenant, bill_no=original.bill_no, superseded_at=None, bill_class__in=classes)
        rows = rows.exclude(pk=self._case.supersedes)
        if store is not None:
            rows = rows.filter(store=store)
        else:
            owner = self.named_customer()
            rows = rows.filter(customer__in=customers.families(self._tenant, [owner])) if owner else rows.none()
        if self._tenant.bill_scope == BillScope.TILL:
            rows = self._of_till(rows, original)
        if original.bill_date is not None:
            zone = (store or self._case.store).timezone_or(self._tenant)
            moment = original.bill_date if original.bill_date.tzinfo else original.bill_date.replace(tzinfo=zone)
            rows = rows.filter(period=natural_period(moment.astimezone(zone).date(), rule=self._tenant.bill_period))
        # A sale before a return of the same number; the newest year where no date says which.
        found = sorted(rows[:20], key=lambda bill: (bill.bill_class == BillClass.SALE, bill.billed_at), reverse=True)
        if store is None and len(found) != 1:
            return None
        return found[0] if found else None

    def _of_till(self, rows: Any, original: Original) -> Any:
        """The till it names, else its own; a number that only other tills have is nobody's where several have it."""
        if original.till_code:
            return rows.filter(till=original.till_code)
        own = rows.filter(till=self._case.document.till_code)
        if own.exists() or rows.values("till").distinct().count() < 2:
            return own if own.exists() else rows
        raise CheckFailed(
            "parent_unnamed",
            said("Bill {bill_no} was sold at several tills. A person has to say which one is meant.", bill_no=original.bill_no),
            path="original.till_code", suggestions=self._suggestions(),
        )  # fmt: skip

    def _suggestions(self) -> list[dict[str, Any]]:
        """Sales of the customer, or at the store, that hold the returned items and have something left: the likeliest first."""
        owner, document = self.named_customer(), self._case.document
        codes = {line.item_code for line in document.returned if line.item_code}
        rows = Bill.objects.filter(
            tenant=self._tenant, bill_class=BillClass.SALE, superseded_at=None, cancelled_by=None,
            billed_at__lte=self._case.billed_at, billed_at__gte=self._case.billed_at - SUGGEST_WITHIN,
        ).select_related("store")  # fmt: skip
        if owner:
            rows = rows.filter(customer__in=customers.families(self._tenant, [owner]))
        elif codes:
            rows = rows.filter(store=self._case.store)
        else:
            return []
        found = []
        for bill in rows.order_by("-billed_at").prefetch_related("lines")[:SUGGEST_AMONG]:
            there = codes & {line.item_code for line in bill.lines.all()}
            if (there == codes or not codes) and bill.net_amount >= document.net:
                found.append(bill)
        return [
            {
                "bill": bill.pk, "bill_no": bill.bill_no, "store": bill.store.code, "date": bill.business_date.isoformat(),
                "net_amount": f"{bill.net_amount.normalize():f}",
            }
            for bill in found[:SUGGEST_MAX]
        ]  # fmt: skip

    def named_customer(self) -> int | None:
        mobile = self._case.mobile
        return customers.find(self._tenant, [mobile]).get(mobile) if mobile else None
