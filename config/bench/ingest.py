"""`ingest_batch`: bills that wait in the inbox, booked. The limit writes the same rows with prepared arrays and nothing else."""

import itertools
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from django_scopes import scope

from integrations import inbox, replay
from integrations.booking import INSERT_BILLS, INSERT_LINES
from integrations.inbox import BATCH_ROWS, SETTLE
from integrations.models import Source
from loyalty import customers
from loyalty.customers import Stub
from loyalty.ledger import INSERT_ENTRIES, INSERT_LOTS, INSERT_MOVEMENTS, UPDATE_BALANCES
from tenants.actors import SYSTEM
from tenants.models import Store, Tenant
from tenants.setwise import columns_of, insert, take_ids

LINES_A_BILL = 3
SETTLED_DELIVERIES = """
    INSERT INTO integrations_delivery (tenant_id, receipt, source, repush, sender, body, body_hash, state, check_name, message, details,
        attempts, bill_no, store_code, mobile, waits_for, decided)
    SELECT %s, left(md5(random()::text), 30), 'api', '', 'x', ''::bytea, sha256(random()::text::bytea), 'discarded', '', '', '{}',
        0, '', '', '', '', '{}'
    FROM generate_series(1, %s) RETURNING id
"""
CUSTOMERS = 400


class IngestBatch:
    """Bills of three lines, each earning points: delivery settled, bill, lines, entry, lot, movement, balance."""

    name = "ingest_batch"
    unit = "bills/s"
    target = 0.5
    limit_is = "the same rows written with one prepared statement a table and batch, and nothing else"

    def __init__(self, tenant: Tenant, *, bills: int) -> None:
        self._tenant = tenant
        self._bills = bills
        self._number = itertools.count()
        self._store = Store.objects.get(tenant=tenant)
        today = timezone.now().date()
        mobiles = [f"+9198{number:08d}" for number in range(CUSTOMERS)]
        self._customers = list(customers.find_or_create(tenant, {mobile: Stub(mobile, today) for mobile in mobiles}).items())

    def prepare(self, *, round_number: int) -> None:
        with transaction.atomic():
            for _ in range(self._bills):
                inbox.receive(self._tenant, self._document(), source=Source.API, sender=SYSTEM, now=timezone.now())
        with transaction.atomic(), connection.cursor() as cursor:
            self._deliveries = self._insert_settled(cursor)
            self._rows = [self._batch(cursor, place) for place in range(0, self._bills, BATCH_ROWS)]

    def _document(self, number: int | None = None) -> bytes:
        number = next(self._number) if number is None else number
        more = number // CUSTOMERS % 97  # no two bills of a customer are alike
        items = [
            {"line_no": line, "item_code": f"I{line}", "department": "ICE CREAM", "qty": "1.000", "value": f"{200 + more}.00",
             "discount": "20.00", "amount": f"{180 + more}.00", "tax_amount": "9.00"}
            for line in range(1, LINES_A_BILL + 1)
        ]  # fmt: skip
        document = {
            "bill_type": "SALE", "bill_no": f"B{number:08d}", "bill_date": timezone.now().isoformat(), "store_code": self._store.code,
            "customer": {"mobile": self._customers[number % CUSTOMERS][0]}, 
            "gross_amount": f"{600 + 3 * more}.00", "discount_amount": "60.00", "net_amount": f"{540 + 3 * more}.00", "tax_amount": "27.00",
            "payable_amount": f"{567 + 3 * more}.00", "items": items, "tenders": [{"mode": "UPI", "amount": f"{567 + 3 * more}.00"}],
        }  # fmt: skip
        return json.dumps(document).encode()

    def ours(self) -> int:
        with scope(tenant=self._tenant):
            done = inbox.drain(self._tenant, now=timezone.now())
        assert done == {"applied": self._bills}, done
        return self._bills

    def limit(self) -> int:
        for bills, lines, entries, lots, movements, balances, settled in self._rows:
            with transaction.atomic(), connection.cursor() as cursor:
                insert(cursor, INSERT_BILLS, bills)
                insert(cursor, INSERT_LINES, lines)
                insert(cursor, INSERT_ENTRIES, entries)
                insert(cursor, INSERT_LOTS, lots)
                insert(cursor, INSERT_MOVEMENTS, movements)
                cursor.execute(UPDATE_BALANCES, [*columns_of(balances), self._tenant.pk])
                cursor.execute(SETTLE, [timezone.now(), *columns_of(settled), self._tenant.pk])
        return self._bills

    def _insert_settled(self, cursor: Any) -> list[int]:
        """Deliveries for the limit to settle; not `received`, so that ours does not take them."""
        cursor.execute(SETTLED_DELIVERIES, [self._tenant.pk, self._bills])
        return [row[0] for row in cursor.fetchall()]

    def _batch(self, cursor: Any, place: int) -> tuple[list[tuple[Any, ...]], ...]:
        count = min(BATCH_ROWS, self._bills - place)
        bill_ids = take_ids(cursor, "integrations_bill_id_seq", count)
        entry_ids = take_ids(cursor, "loyalty_entry_id_seq", count)
        tenant_id, store_id, now = self._tenant.pk, self._store.pk, timezone.now()
        today, later = now.date(), now.date() + timedelta(days=365)
        zero, money = Decimal(0), Decimal("540.00")
        owners = [self._customers[(place + number) % CUSTOMERS][1] for number in range(count)]
        snapshot = json.dumps(
            {"programme": "x", "version": 1, "kind": "purchase_amount", "base": "540.00", "earn_per": "100", "points": 5}
        )
        bills = [
            (bill_id, tenant_id, store_id, owner, "sale", "SALE", f"L{bill_id}", "", "2026-27", 1, "", "", "", now, today, Decimal(600),
             Decimal(60), money, Decimal(27), Decimal(567), "", 0, zero, 5, None, bill_id, None, "")
            for bill_id, owner in zip(bill_ids, owners, strict=True)
        ]  # fmt: skip
        lines = [
            (
                tenant_id,
                bill_id,
                line,
                "SALE",
                f"I{line}",
                "ICE CREAM",
                Decimal(1),
                Decimal(200),
                Decimal(20),
                Decimal(180),
                Decimal(9),
                zero,
                0,
                True,
            )
            for bill_id in bill_ids
            for line in range(1, LINES_A_BILL + 1)
        ]
        entries = [
            (entry_id, tenant_id, owner, entry_id, 0, "earn", None, None, 0, 5, 0, 0, f"Bill L{bill_id}", "system", None, "Pointdesk", now,
             today, store_id, bill_id, None, None, snapshot, f"bench:{entry_id}", 0)
            for entry_id, bill_id, owner in zip(entry_ids, bill_ids, owners, strict=True)
        ]  # fmt: skip
        lots = [
            (entry_id, tenant_id, owner, today, None, later, later, 5, 0, 5, 0)
            for entry_id, owner in zip(entry_ids, owners, strict=True)
        ]
        movements = [(tenant_id, entry_id, entry_id, "available", 5, None) for entry_id in entry_ids]
        balances = [(owner, 0, 5, 0, 0, 1, now) for owner in set(owners)]
        settled = [
            (delivery_id, "applied", "", "", "{}", bill_id, None, f"L{bill_id}", "B1", "", "")
            for delivery_id, bill_id in zip(self._deliveries[place : place + count], bill_ids, strict=True)
        ]
        return bills, lines, entries, lots, movements, balances, settled

    def close(self) -> None:
        """Nothing of its own is open."""


class Replays(IngestBatch):
    """Bills pushed again with other amounts: every one a conflict, previewed customer by customer and accepted."""

    name = "replay"
    target = 0.1
    limit_is = (
        "the rows of as many new bills, written with one prepared statement a table and batch; no preview, nothing reversed"
    )

    def prepare(self, *, round_number: int) -> None:
        super().prepare(round_number=round_number)
        first = next(self._number) - self._bills
        with scope(tenant=self._tenant):
            inbox.drain(self._tenant, now=timezone.now())
            label = f"round {round_number}"
            with transaction.atomic():
                for number in range(first, first + self._bills):
                    body = self._document(number).replace(b'"qty": "1.000"', b'"qty": "2.000"')
                    inbox.receive(self._tenant, body, source=Source.BATCH, sender=SYSTEM, now=timezone.now(), repush=label)
            inbox.drain(self._tenant, now=timezone.now())
            self._replay = replay.choose(
                self._tenant, filters={"repush": label}, reason="for the bench", actor=SYSTEM, per_second=0
            )

    def ours(self) -> int:
        with scope(tenant=self._tenant):
            done = replay.run(replay.try_it(self._replay, now=timezone.now()))
        assert done.counts == {"applied": self._bills}, done.counts
        return self._bills
