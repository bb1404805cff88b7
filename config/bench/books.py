"""The ledger's own jobs: adjusting many customers, one verb a transaction, expiring lots, auditing the books."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from django_scopes import scope

from config.bench.seeding import seed
from loyalty import ledger, sweeps
from loyalty.audit import PREPARE, audit_ledger
from loyalty.ledger import (
    INSERT_ENTRIES,
    INSERT_MOVEMENTS,
    LOAD_LOTS,
    LOCK_BALANCES,
    UPDATE_BALANCES,
    UPDATE_LOTS,
    Operation,
)
from loyalty.state import Terms
from tenants.actors import SYSTEM
from tenants.models import Tenant
from tenants.setwise import columns_of, insert, take_ids

CHUNK = 10_000
WORKERS = 2

CUSTOMERS = """
    WITH made AS (
        INSERT INTO loyalty_customer (tenant_id, mobile, name, email, tier, status)
        SELECT %(tenant)s, '+91' || %(series)s || lpad(n::text, 8, '0'), '', '', '', 'active' FROM generate_series(1, %(count)s) n
        RETURNING id
    )
    INSERT INTO loyalty_balance (customer_id, tenant_id, pending, available, held, owed, entries)
    SELECT id, %(tenant)s, 0, 0, 0, 0, 0 FROM made RETURNING customer_id
"""
#: The same rows as an adjustment of +n through the book: one entry, one lot, one movement, one balance a customer.
ADJUST_CHAIN = """
    WITH entries AS (
        INSERT INTO loyalty_entry (id, tenant_id, customer_id, operation, seq, kind, pending, available, held, owed, reason, actor_kind,
            actor_name, occurred_at, business_date, key, fingerprint)
        SELECT ids.id, %(tenant)s, ids.customer_id, ids.id, 0, 'adjust', 0, %(points)s, 0, 0, 'Bench', 'system', 'Pointdesk', now(),
            %(today)s::date, %(key)s || ids.customer_id, 0
        FROM (
            SELECT nextval('loyalty_entry_id_seq') AS id, id AS customer_id FROM loyalty_customer
            WHERE tenant_id = %(tenant)s AND id BETWEEN %(first)s AND %(last)s
        ) ids
        RETURNING id, customer_id
    ), lots AS (
        INSERT INTO loyalty_lot (entry_id, tenant_id, customer_id, granted_on, expires_on, granted_until, granted, pending, available, held)
        SELECT id, %(tenant)s, customer_id, %(today)s::date, %(expires)s::date, %(expires)s::date, %(points)s, 0, %(points)s, 0 FROM entries
    ), movements AS (
        INSERT INTO loyalty_entrylot (tenant_id, entry_id, lot_id, bucket, delta)
        SELECT %(tenant)s, id, id, 'available', %(points)s FROM entries
    )
    UPDATE loyalty_balance b SET available = b.available + %(points)s, entries = b.entries + 1, last_activity_at = now()
    FROM entries e WHERE b.tenant_id = %(tenant)s AND b.customer_id = e.customer_id
"""
EXPIRE_CHAIN = """
    WITH due AS (
        SELECT nextval('loyalty_entry_id_seq') AS id, d.customer_id, d.lot_id, d.points FROM (
            SELECT l.customer_id, l.entry_id AS lot_id, l.available AS points FROM loyalty_lot l
            WHERE l.tenant_id = %(tenant)s AND NOT l.spent AND l.expires_on <= %(expires)s::date
              AND l.customer_id BETWEEN %(first)s AND %(last)s
        ) d
    ), entries AS (
        INSERT INTO loyalty_entry (id, tenant_id, customer_id, operation, seq, kind, pending, available, held, owed, reason, actor_kind,
            actor_name, occurred_at, business_date, key, fingerprint)
        SELECT id, %(tenant)s, customer_id, id, 0, 'expire', 0, -points, 0, 0, 'Bench', 'system', 'Pointdesk', now(), %(today)s::date,
            'bench expire:' || lot_id, 0 FROM due
    ), movements AS (
        INSERT INTO loyalty_entrylot (tenant_id, entry_id, lot_id, bucket, delta)
        SELECT %(tenant)s, id, lot_id, 'available', -points FROM due
    ), lots AS (
        UPDATE loyalty_lot l SET available = 0 FROM due WHERE l.entry_id = due.lot_id
    )
    UPDATE loyalty_balance b SET available = b.available - d.points, entries = b.entries + 1, last_activity_at = now()
    FROM due d WHERE b.tenant_id = %(tenant)s AND b.customer_id = d.customer_id
"""
GROUP_BY = """
    SELECT sum(a), sum(b), sum(c), sum(d), sum(n) FROM (
        SELECT customer_id, sum(pending) AS a, sum(available) AS b, sum(held) AS c, sum(owed) AS d, count(*) AS n
        FROM loyalty_entry WHERE tenant_id = %s GROUP BY customer_id
    ) sums
"""


def _customers(tenant: Tenant, count: int, *, series: str) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(CUSTOMERS, {"tenant": tenant.pk, "count": count, "series": series})
        return sorted(row[0] for row in cursor.fetchall())


def vacuum() -> None:
    with connection.cursor() as cursor:
        for table in ("balance", "lot", "entry", "entrylot"):
            cursor.execute(f"VACUUM ANALYZE loyalty_{table}")


class ManyCustomers:
    """What the two set-wise jobs share: two crowds of customers, and the statement chain that grants to one of them."""

    def __init__(self, tenant: Tenant, *, customers: int) -> None:
        self._tenant = tenant
        self._number = itertools.count()
        self._mine = _customers(tenant, customers, series="71")
        self._theirs = _customers(tenant, customers, series="72")
        self._today = timezone.now().astimezone(tenant.zone).date()
        #: When the other crowd's lots lapse: not due for the sweep, only for the statement beside it.
        self._later = self._today + timedelta(days=9)

    def _chain(self, statement: str, customers: list[int], *, expires: date, points: int = 7) -> int:
        bounds: dict[str, Any] = {
            "tenant": self._tenant.pk, "first": customers[0], "last": customers[-1], "today": self._today, "expires": expires,
            "points": points,
            "key": f"bench chain {next(self._number)}:",
        }  # fmt: skip
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute(statement, bounds)
        return len(customers)

    def close(self) -> None:
        report = audit_ledger(self._tenant)
        assert report.ok, report.rows


class BookAdjust(ManyCustomers):
    """+7 points to everybody, through the book, in chunks of ten thousand, by two workers as a bulk job has them."""

    name = "book_adjust"
    unit = "customers/s"
    target = 0.5
    limit_is = "one SQL statement chain that writes the same entries, lots, movements and balances"

    def prepare(self, *, round_number: int) -> None:
        vacuum()

    def ours(self) -> int:
        now = timezone.now()
        terms = Terms(self._today, self._today + timedelta(days=365))
        run = next(self._number)

        def chunk(place: int) -> None:
            ids = self._mine[place : place + CHUNK]
            with scope(tenant=self._tenant), ledger.open(self._tenant, ids, now=now, spending=()) as book:
                for customer_id in ids:
                    operation = Operation(SYSTEM, "Bench", f"bench {run}:{customer_id}", 0, now, self._today)
                    with book.operation(customer_id, operation) as account:
                        account.adjust(7, terms=terms, today=self._today)
            connection.close()

        with ThreadPoolExecutor(WORKERS) as pool:  # while one waits for the database, the other works out its entries
            list(pool.map(chunk, range(0, len(self._mine), CHUNK)))
        return len(self._mine)

    def limit(self) -> int:
        return self._chain(ADJUST_CHAIN, self._theirs, expires=self._today + timedelta(days=365))


class ExpireLots(ManyCustomers):
    """One lot of everybody has lapsed."""

    name = "expire_lots"
    unit = "lots/s"
    target = 0.4
    limit_is = "one SQL statement chain that writes the same entries and movements and empties the same lots and balances"

    def prepare(self, *, round_number: int) -> None:
        for crowd, expires in ((self._mine, self._today), (self._theirs, self._later)):
            self._chain(ADJUST_CHAIN, crowd, expires=expires)
        vacuum()

    def ours(self) -> int:
        run = sweeps.expire_lots(self._tenant, now=timezone.now())
        assert run.done == len(self._mine), run
        return run.done

    def limit(self) -> int:
        return self._chain(EXPIRE_CHAIN, self._theirs, expires=self._later)


class VerbTx:
    """A redemption of one point, each in a transaction of its own, from one client or from four at once."""

    unit = "verbs/s"
    target = 0.5
    limit_is = "the same transaction written by hand: lock, read lots, insert, update"

    def __init__(self, tenant: Tenant, *, verbs: int, clients: int) -> None:
        self.name = "verb_tx" if clients == 1 else f"verb_tx_{clients}"
        self._tenant = tenant
        self._clients = clients
        self._number = itertools.count()
        self._customers = _customers(tenant, verbs, series="73")
        self._today = timezone.now().astimezone(tenant.zone).date()
        bounds: dict[str, Any] = {
            "tenant": tenant.pk, "first": self._customers[0], "last": self._customers[-1], "today": self._today,
            "expires": self._today + timedelta(days=365), "points": 1000, "key": "bench grant:",
        }  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(ADJUST_CHAIN, bounds)

    def prepare(self, *, round_number: int) -> None:
        """Every customer has points left."""

    def ours(self) -> int:
        run = next(self._number)

        def redeem(customer_id: int) -> None:
            now = timezone.now()
            operation = Operation(SYSTEM, "Bench", f"bench verb {run}:{customer_id}", 0, now, self._today)
            with ledger.open(self._tenant, [customer_id], now=now) as book, book.operation(customer_id, operation) as account:
                account.redeem(1, on=self._today, today=self._today)

        return self._all(redeem)

    def limit(self) -> int:
        run = next(self._number)
        tenant_id = self._tenant.pk

        def redeem(customer_id: int) -> None:
            now = timezone.now()
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(LOCK_BALANCES, [tenant_id, [customer_id]])
                _, pending, available, held, owed, _, _ = cursor.fetchone()
                cursor.execute(LOAD_LOTS, [tenant_id, [customer_id], []])
                lot = cursor.fetchone()
                (entry_id,) = take_ids(cursor, "loyalty_entry_id_seq", 1)
                entry = (
                    entry_id, tenant_id, customer_id, entry_id, 0, "redeem", None, None, 0, -1, 0, 0, "Bench", "system", None, "Pointdesk", now,
                    self._today, None, None, None, None, None, f"bench hand {run}:{customer_id}", 0,
                )  # fmt: skip
                insert(cursor, INSERT_ENTRIES, [entry])
                insert(cursor, INSERT_MOVEMENTS, [(tenant_id, entry_id, lot[0], "available", -1, None)])
                cursor.execute(UPDATE_LOTS, [*columns_of([(lot[0], lot[5], lot[6] - 1, lot[7])]), tenant_id])
                cursor.execute(
                    UPDATE_BALANCES, [*columns_of([(customer_id, pending, available - 1, held, owed, 1, now)]), tenant_id]
                )

        return self._all(redeem)

    def _all(self, act: Callable[[int], None]) -> int:
        if self._clients == 1:
            for customer_id in self._customers:
                act(customer_id)
            return len(self._customers)

        def work(share: list[int]) -> None:
            with scope(tenant=self._tenant):
                for customer_id in share:
                    act(customer_id)
            connection.close()

        workers = [
            threading.Thread(target=work, args=(self._customers[place :: self._clients],)) for place in range(self._clients)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return len(self._customers)

    def close(self) -> None:
        report = audit_ledger(self._tenant)
        assert report.ok, report.rows


class Audit:
    """All eleven laws over a big tenant's books."""

    name = "audit"
    unit = "entries/s"
    target = 0.33
    limit_is = "PostgreSQL's own GROUP BY customer over the same entries, with the same memory"

    def __init__(self, tenant: Tenant, *, entries: int) -> None:
        self._tenant = tenant
        self._entries = seed(tenant, customers=entries // 20, entries=entries)

    def prepare(self, *, round_number: int) -> None:
        """Reading changes nothing."""

    def ours(self) -> int:
        report = audit_ledger(self._tenant)
        assert report.ok, report.rows
        return report.entries

    def limit(self) -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(PREPARE)
            cursor.execute(GROUP_BY, [self._tenant.pk])
            return int(cursor.fetchone()[-1])

    def close(self) -> None:
        """Nothing to tidy."""
