"""`customer360`: Customer 360 pages from a real web process, beside the admin's own change page of one row."""

import json
import statistics
import sys
import time
from datetime import timedelta

from django.utils import timezone

from config.bench.seeding import seed
from config.bench.web import Visitor
from integrations import inbox
from integrations.models import Source
from loyalty.models import Customer
from support import facts, picture, walk
from support.diagnosis import Reporter
from tenants.actors import SYSTEM
from tenants.models import Store, Tenant

PAGES = 60
BILLS_EACH = 12


class Customer360:
    """Pages of customers with bills and a redemption that waits, among many others. Two thirds is one and a half times its time."""

    name = "customer360"
    unit = "pages/s"
    target = 0.67
    limit_is = "the admin's change page of one store, same web process, same client"

    def __init__(self, tenant: Tenant, *, customers: int, entries: int, database_url: str) -> None:
        self._tenant = tenant
        seed(tenant, customers=customers, entries=entries)
        self._store = Store.objects.get(tenant=tenant)
        self._shown = self._with_bills()
        self._visitor = Visitor(database_url, tenant)

    def _with_bills(self) -> list[Customer]:
        chosen = list(Customer.objects.filter(tenant=self._tenant).order_by("pk")[:PAGES])
        now = timezone.now()
        for place, customer in enumerate(chosen):
            for number in range(BILLS_EACH):
                document = {
                    "bill_type": "SALE", "bill_no": f"D{place:03d}-{number:03d}", "store_code": self._store.code,
                    "bill_date": (now - timedelta(days=number, minutes=place)).isoformat(), "customer": {"mobile": customer.mobile},
                    "net_amount": f"{500 + number}.00", "items": [{"line_no": 1, "item_code": "I1", "amount": f"{500 + number}.00"}],
                }  # fmt: skip
                inbox.receive(self._tenant, json.dumps(document).encode(), source=Source.API, sender=SYSTEM, now=now)
        inbox.drain(self._tenant, now=now)
        return chosen

    def prepare(self, *, round_number: int) -> None:
        """Nothing: pages are looked at."""

    def ours(self) -> int:
        return self._visitor.look([f"/admin/customers/{customer.pk}/" for customer in self._shown], "ours")

    def limit(self) -> int:
        return self._visitor.look([f"/admin/tenants/store/{self._store.pk}/change/"] * PAGES, "limit")

    def close(self) -> None:
        took = statistics.median(self._diagnosis(customer) for customer in self._shown[:30])
        print(f"customer360: {self._visitor.times()}; facts and checks {took * 1000:.1f} ms", file=sys.stderr)
        self._visitor.close()

    def _diagnosis(self, customer: Customer) -> float:
        seen = picture.load(self._tenant, customer, now=timezone.now())
        began = time.perf_counter()
        walk.findings(facts.gather(seen), reported_by=Reporter.CUSTOMER)
        return time.perf_counter() - began
