"""`customer360`: Customer 360 pages from a real web process, beside the admin's own change page of one row."""

import json
import statistics
import sys
import time
from datetime import timedelta
from statistics import quantiles

from django.conf import settings
from django.test import Client
from django.utils import timezone

from config.bench.seeding import seed
from config.bench.web import Web
from integrations import inbox
from integrations.models import Source
from loyalty.models import Customer
from support import facts, picture, walk
from support.diagnosis import Reporter
from tenants import staff
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
        user, _ = staff.create_staff(tenant, email="bench@pointdesk.example", role="admin", name="Bench", actor=SYSTEM)
        signed_in = Client()
        signed_in.force_login(user)
        self._headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={signed_in.cookies[settings.SESSION_COOKIE_NAME].value}"}
        self._web = Web(database_url)
        self._client = self._web.connect()
        self._seconds: dict[str, list[float]] = {"ours": [], "limit": []}

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
        return self._look([f"/admin/customers/{customer.pk}/" for customer in self._shown], "ours")

    def limit(self) -> int:
        return self._look([f"/admin/tenants/store/{self._store.pk}/change/"] * PAGES, "limit")

    def _look(self, paths: list[str], what: str) -> int:
        for path in paths:
            began = time.perf_counter()
            self._client.request("GET", path, headers=self._headers)
            answer = self._client.getresponse()
            text = answer.read()
            self._seconds[what].append(time.perf_counter() - began)
            assert answer.status == 200, text[:300]
        return len(paths)

    def close(self) -> None:
        p95 = {what: quantiles(seconds, n=20)[18] for what, seconds in self._seconds.items()}
        took = statistics.median(self._diagnosis(customer) for customer in self._shown[:30])
        times = f"p95 {p95['ours'] * 1000:.1f} ms, the change page {p95['limit'] * 1000:.1f} ms"
        print(f"customer360: {times}; facts and checks {took * 1000:.1f} ms", file=sys.stderr)
        self._client.close()
        self._web.close()

    def _diagnosis(self, customer: Customer) -> float:
        seen = picture.load(self._tenant, customer, now=timezone.now())
        began = time.perf_counter()
        walk.findings(facts.gather(seen), reported_by=Reporter.CUSTOMER)
        return time.perf_counter() - began
