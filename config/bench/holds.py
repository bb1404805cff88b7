"""`hold_api`: POST /holds to a real web process, one client. The limit runs the same statements on one connection."""

import itertools
import json
from datetime import timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.utils import timezone

from config.bench.web import Web
from loyalty import customers
from loyalty.customers import Stub
from loyalty.ledger import (
    INSERT_ENTRIES,
    INSERT_HOLDS,
    INSERT_MOVEMENTS,
    LOAD_LOTS,
    LOCK_BALANCES,
    UPDATE_BALANCES,
    UPDATE_LOTS,
)
from loyalty.operations import issue
from tenants import staff
from tenants.actors import SYSTEM
from tenants.models import Store, Tenant
from tenants.setwise import columns_of, insert, take_ids


class HoldApi:
    """Each hold is of another customer, as at many tills."""

    name = "hold_api"
    unit = "holds/s"
    target = 0.15
    limit_is = "the ledger's own statements for one hold, in one transaction each, on one connection without HTTP"

    def __init__(self, tenant: Tenant, *, holds: int, database_url: str) -> None:
        self._tenant = tenant
        self._holds = holds
        self._number = itertools.count()
        self._store = Store.objects.get(tenant=tenant)
        now = timezone.now()
        mobiles = [f"+9197{number:08d}" for number in range(holds)]
        self._customers = list(customers.find_or_create(tenant, {mobile: Stub(mobile, now.date()) for mobile in mobiles}).items())
        self._lots = {}
        for _, customer_id in self._customers:
            posted = issue(
                tenant, customer_id, points=10**9, reason="for the bench", actor=SYSTEM, key=f"bench{customer_id}", now=now
            )
            self._lots[customer_id] = posted.operation
        key = staff.create_api_key(tenant, scopes=["pos"], actor=SYSTEM).key
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._web = Web(database_url)
        self._client = self._web.connect()

    def prepare(self, *, round_number: int) -> None:
        """Nothing: every hold brings its own reference."""

    def ours(self) -> int:
        for mobile, _ in self._customers:
            body = {"mobile": mobile, "points": 3, "store_code": self._store.code, "reference": f"O{next(self._number)}"}
            self._client.request("POST", "/api/v1/holds", json.dumps(body), self._headers)
            answer = self._client.getresponse()
            text = answer.read()
            assert answer.status == 201, text
        return self._holds

    def limit(self) -> int:
        tenant_id, store_id = self._tenant.pk, self._store.pk
        for _, customer_id in self._customers:
            now = timezone.now()
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(LOCK_BALANCES, [tenant_id, [customer_id]])
                _, pending, available, held, owed, _, _ = cursor.fetchone()
                cursor.execute(LOAD_LOTS, [tenant_id, [customer_id], []])
                lot = cursor.fetchone()
                (hold_id,) = take_ids(cursor, "loyalty_hold_id_seq", 1)
                (entry_id,) = take_ids(cursor, "loyalty_entry_id_seq", 1)
                reference = f"L{hold_id}"
                hold = (
                    hold_id,
                    tenant_id,
                    customer_id,
                    store_id,
                    reference,
                    "",
                    3,
                    Decimal(1),
                    now,
                    now + timedelta(days=100),
                    "active",
                    0,
                    0,
                    "",
                    "",
                )
                insert(cursor, INSERT_HOLDS, [hold])
                entry = (
                    entry_id, tenant_id, customer_id, entry_id, 0, "hold", None, None, 0, -3, 3, 0,
                    "Redemption", "system", None, "Pointdesk", now,
                    now.date(), store_id, None, hold_id, None, None, f"hold:{reference}", 0,
                )  # fmt: skip
                insert(cursor, INSERT_ENTRIES, [entry])
                moves = [(tenant_id, entry_id, lot[0], "available", -3, None), (tenant_id, entry_id, lot[0], "held", 3, None)]
                insert(cursor, INSERT_MOVEMENTS, moves)
                cursor.execute(UPDATE_LOTS, [*columns_of([(lot[0], lot[5], lot[6] - 3, lot[7] + 3)]), tenant_id])
                balance = (customer_id, pending, available - 3, held + 3, owed, 1, now)
                cursor.execute(UPDATE_BALANCES, [*columns_of([balance]), tenant_id])
        return self._holds

    def close(self) -> None:
        self._client.close()
        self._web.close()
