"""`load`: the pages, lists and calls that people and tills wait for, each by itself, beside many rows and while bills flow.

Two brands, one with nine tenths of the rows; one customer with thousands of bills; a real web process, a real worker, tills that send at an
even pace. At the end: p50, p95 and p99 of each, and a file of half a million rows with what the web process grew by.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta
from statistics import quantiles
from urllib.parse import quote, urlencode

import psutil
from django.utils import timezone
from django_scopes import scope

from config.bench.seeding import DAYS, seed
from config.bench.tills import HOT, mobile
from config.bench.web import Visitor
from config.engines.child import dies_with_parent
from config.engines.house import ROOT
from integrations import inbox
from integrations.models import Bill, Delivery, DeliveryState, Source
from loyalty.models import Customer
from tenants import staff
from tenants.actors import SYSTEM
from tenants.models import Store, Tenant

#: Each page is opened so often in a round.
EACH = 10
FILE_ROWS = 500_000
BILLS_A_SECOND = 25


class Load:
    """Pages, lists and calls of the large brand, one after the other. A third is three times the time of one row's form."""

    name = "load"
    unit = "pages/s"
    target = 0.33
    limit_is = "the admin's change page of one store, same web process, same client, the same bills flowing"

    def __init__(self, tenant: Tenant, *, customers: int, entries: int, hot_bills: int, database_url: str) -> None:
        self._tenant = tenant
        self._customers, self._entries = customers * 9 // 10, entries * 9 // 10
        seed(tenant, customers=self._customers, entries=self._entries)
        neighbour = staff.create_tenant(
            slug="neighbour", name="Neighbour", business_id="bench-neighbour", timezone=tenant.timezone, currency=tenant.currency,
            region=tenant.region, actor=SYSTEM,
        )  # fmt: skip
        with scope(tenant=neighbour):
            seed(neighbour, customers=customers // 10, entries=entries // 10)
        self._store = Store.objects.get(tenant=tenant)
        self._make_hot(hot_bills)
        self._visitor = Visitor(database_url, tenant)
        key = staff.create_api_key(tenant, scopes=["pos", "read"], actor=SYSTEM).key
        self._key = {"Authorization": f"Bearer {key}"}
        self._paths = self._wanted()
        environment = os.environ | {"DATABASE_URL": database_url, "WEB_DATABASE_URL": ""}
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "config.celery", "worker", "--concurrency", "1", "--loglevel", "error",
             "--without-gossip", "--without-mingle", "--hostname", "bench@%h"],
            cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=dies_with_parent(signal.SIGTERM),
        )  # fmt: skip
        self._tills = subprocess.Popen(
            [sys.executable, "-m", "config.bench.tills", str(self._visitor.port), key, self._store.code, str(self._customers),
             str(BILLS_A_SECOND)],
            cwd=ROOT, preexec_fn=dies_with_parent(signal.SIGTERM),
        )  # fmt: skip

    def _make_hot(self, bills: int) -> None:
        """One customer with thousands of bills, and a few with some."""
        now = timezone.now()
        for number in range(bills):
            document = {
                "bill_type": "SALE", "bill_no": f"H{number:06d}", "store_code": self._store.code,
                "bill_date": (now - timedelta(minutes=20 * number % 400_000)).isoformat(),
                "customer": {"mobile": HOT if number % 20 else mobile(2 + number // 20 % 40)},
                "net_amount": "500.00", "items": [{"line_no": 1, "item_code": "I1", "amount": "500.00"}],
            }  # fmt: skip
            inbox.receive(self._tenant, json.dumps(document).encode(), source=Source.API, sender=SYSTEM, now=now)
        inbox.drain(self._tenant, now=now)

    def _wanted(self) -> dict[str, list[str]]:
        """By name, addresses that people open; as many different ones as there are."""
        some = [*range(2, 2 + EACH)]
        ids = list(
            Customer.objects.filter(tenant=self._tenant, mobile__in=[mobile(each) for each in some]).values_list("pk", flat=True)
        )
        hot = Customer.objects.get(tenant=self._tenant, mobile=HOT).pk
        bill = Bill.objects.filter(tenant=self._tenant).latest("pk")
        week = {"from": _today() - timedelta(days=7), "to": _today()}
        old_week = {"from": _today() - timedelta(days=DAYS // 2), "to": _today() - timedelta(days=DAYS // 2 - 7)}
        ordinary = [f"/admin/customers/{each}/" for each in ids]
        return {
            "Customer 360": ordinary,
            "Customer 360, hot": [f"/admin/customers/{hot}/"],
            **{f"  its {tab}": [f"/admin/customers/{hot}/?tab={tab}"] for tab in ("timeline", "bills", "lots", "holds", "audit")},
            "search, whole number": [f"/admin/find/?q={quote(mobile(each))}" for each in some],
            "search, last digits": [f"/admin/find/?q={mobile(each)[-5:]}" for each in some],
            "search, name": [f"/admin/find/?{urlencode({'q': f'Customer {each * 977}'})}" for each in some],
            "search, bill": [f"/admin/find/?q={bill.bill_no}"],
            "suggest while typing": [f"/admin/find/suggest/?q={mobile(each)[-6:]}" for each in some],
            "list of customers": ["/admin/loyalty/customer/"],
            "list of holds": ["/admin/loyalty/hold/"],
            "inbox": ["/admin/integrations/delivery/"],
            "inbox, quarantined": [f"/admin/integrations/delivery/?state__exact={DeliveryState.QUARANTINED}"],
            "list of bills": ["/admin/integrations/bill/"],
            "one bill": [f"/admin/integrations/bill/{bill.pk}/change/"],
            "list of discrepancies": ["/admin/integrations/discrepancy/"],
            "start page": ["/admin/"],
            "activity log": ["/admin/activity/"],
            "activity, of a week": [f"/admin/activity/?{urlencode(week)}"],
            "activity, of an old week": [f"/admin/activity/?{urlencode(old_week)}"],
            "activity, of a colleague": ["/admin/activity/?staff=bob"],
            "activity, redemptions": ["/admin/activity/?action=redeem"],
            "activity, one customer": [f"/admin/activity/?{urlencode({'customer': mobile(each)})}" for each in some],
            "audit trail": ["/admin/audit/"],
            "approvals": ["/admin/approvals/"],
            "state of the queue": ["/admin/queue/"],
            "missing bills": ["/admin/missing/"],
            "house": ["/admin/house/"],
            "new bulk job": ["/admin/jobs/new/"],
            "API balance": [f"/api/v1/customers/{quote(mobile(each))}/balance" for each in some],
            "API entries": [f"/api/v1/customers/{quote(mobile(each))}/entries" for each in some],
            "API entries, hot": [f"/api/v1/customers/{quote(HOT)}/entries"],
            "API diagnosis": [f"/api/v1/customers/{quote(mobile(each))}/diagnosis" for each in some],
            "API bill": [f"/api/v1/bills/{bill.bill_no}"],
            "API activity": ["/api/v1/activity"],
        }  # fmt: skip

    def prepare(self, *, round_number: int) -> None:
        """Nothing: pages are looked at."""

    def ours(self) -> int:
        return sum(
            self._visitor.look([paths[turn % len(paths)]], name, headers=self._key if name.startswith("API") else None)
            for turn in range(EACH)
            for name, paths in self._paths.items()
        )

    def limit(self) -> int:
        return self._visitor.look([f"/admin/tenants/store/{self._store.pk}/change/"] * EACH * 10, "(one row's form)")

    def close(self) -> None:
        print(f"{'load':<26}{'p50':>8}{'p95':>8}{'p99':>8}  ms, {self._customers:,} customers of a brand", file=sys.stderr)
        for name, seconds in self._visitor.seconds.items():
            cuts = [each * 1000 for each in quantiles(seconds, n=100)]
            print(f"{name:<26}{cuts[49]:>8.0f}{cuts[94]:>8.0f}{cuts[98]:>8.0f}", file=sys.stderr)
        self._tills.terminate()
        self._tills.wait(40)
        print(f"behind the tills: {self._waiting():,} bills wait to be booked", file=sys.stderr)
        self._take_a_file()
        self._worker.terminate()
        self._worker.wait(60)
        self._visitor.close()

    def _waiting(self) -> int:
        return int(Delivery.objects.filter(tenant=self._tenant, state=DeliveryState.RECEIVED).count())

    def _take_a_file(self) -> None:
        days = min(DAYS, max(FILE_ROWS * DAYS // self._entries, 1))
        asked = urlencode({"from": _today() - timedelta(days=days), "to": _today()})
        seen = _Seen(self._visitor.pid)
        began = time.monotonic()
        rows = self._visitor.take(f"/admin/activity.csv?{asked}")
        took = time.monotonic() - began
        print(f"a file of {rows:,} rows: {took:.0f} s, the web process grew by {seen.stop():.0f} MB", file=sys.stderr)


def _today() -> date:
    return datetime.now(UTC).date()


class _Seen:
    """The memory of a process and its children, looked at while something is under way."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._first = self._most = self._now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _now(self) -> float:
        family = [self._process, *self._process.children(recursive=True)]
        return float(sum(each.memory_info().rss for each in family)) / (1 << 20)

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            self._most = max(self._most, self._now())

    def stop(self) -> float:
        """-> by how many MB it had grown at most."""
        self._done.set()
        self._thread.join()
        return self._most - self._first
