"""`post_bill`: single bills over HTTP, acknowledged, with four clients. The limit posts the same bodies to an empty DRF view."""

import http.client
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from statistics import quantiles

from django.db import connection
from django.utils import timezone

from config.bench.web import Web
from tenants import staff
from tenants.actors import SYSTEM
from tenants.models import Store, Tenant

CLIENTS = 4
TABLE = "CREATE TABLE IF NOT EXISTS bench_row (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL)"
GRANT = "GRANT INSERT ON bench_row TO web"


class PostBill:
    """Four tills, each with one connection and one bill at a time. A third of the limit's rate is three times its time."""

    name = "post_bill"
    unit = "bills/s"
    target = 0.33
    limit_is = "the same bodies posted to an empty DRF view that writes one row, same web process, same four clients"

    def __init__(self, tenant: Tenant, *, bills: int, database_url: str) -> None:
        self._each = max(bills // CLIENTS, 1)
        self._number = itertools.count()
        self._store = Store.objects.get(tenant=tenant).code
        key = staff.create_api_key(tenant, scopes=["pos"], actor=SYSTEM).key
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        with connection.cursor() as cursor:
            cursor.execute(TABLE)
            cursor.execute(GRANT)
        self._web = Web(database_url, application="config.bench.probe:application")
        self._clients = [self._web.connect() for _ in range(CLIENTS)]
        self._seconds: list[float] = []

    def prepare(self, *, round_number: int) -> None:
        """Nothing: every bill has its own number."""

    def _body(self) -> bytes:
        at = (timezone.now() - timedelta(minutes=5)).isoformat()
        items = [{"line_no": line, "item_code": f"I{line}", "amount": "180.00"} for line in (1, 2, 3)]
        return json.dumps(
            {
                "bill_type": "SALE", "bill_no": f"P{next(self._number):07d}", "bill_date": at, "store_code": self._store,
                "customer": {"mobile": "+919840012345"}, "net_amount": "540.00", "items": items,
            }
        ).encode()  # fmt: skip

    def ours(self) -> int:
        return self._post("/api/v1/bills", note=self._seconds.append)

    def limit(self) -> int:
        return self._post("/bench/row", note=lambda seconds: None)

    def _post(self, path: str, *, note: Callable[[float], None]) -> int:
        bodies = [[self._body() for _ in range(self._each)] for _ in range(CLIENTS)]
        problems: list[str] = []

        def work(client: http.client.HTTPConnection, mine: list[bytes]) -> None:
            for body in mine:
                began = time.perf_counter()
                client.request("POST", path, body, self._headers)
                answer = client.getresponse()
                text = answer.read()
                note(time.perf_counter() - began)
                if answer.status != 202:
                    problems.append(f"{answer.status}: {text[:200]!r}")

        threads = [threading.Thread(target=work, args=pair) for pair in zip(self._clients, bodies, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not problems, problems[0]
        return self._each * CLIENTS

    def close(self) -> None:
        if len(self._seconds) > 1:
            cuts = quantiles(self._seconds, n=100)
            print(f"post_bill: p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms at {CLIENTS} clients", file=sys.stderr)
        for client in self._clients:
            client.close()
        self._web.close()
