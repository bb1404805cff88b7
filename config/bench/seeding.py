"""A big tenant, fast: consistent books for a million customers, written by the database itself. For measuring, never for people."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from tenants.models import Tenant

#: Three earnings, then a redemption of the last one's lot; over and over. Entries of all customers interleave, in the order of time, as in life.
CUSTOMERS = """
    INSERT INTO loyalty_customer (tenant_id, mobile, name, email, tier, status, joined_on)
    SELECT %(tenant)s, '+916' || lpad((%(first)s + n)::text, 9, '0'), 'Customer ' || n, '', '', 'active', date '2025-01-01'
    FROM generate_series(1, %(customers)s) n RETURNING id
"""
TEMPLATE = """
    CREATE TEMP TABLE seeded ON COMMIT DROP AS
    SELECT %(base)s + step * %(customers)s + place AS id, customer_id, step, step %% 4 = 3 AS spends,
           10 + (customer_id * 7 + step) %% 90 AS points, 5 AS spent,
           now() - interval '1 day' * (%(days)s - (step * %(days)s / %(steps)s + place * (%(days)s / %(steps)s + 1) / %(customers)s))
               + place %% 3600 * interval '1 second' AS at
    FROM generate_series(0, %(steps)s - 1) step,
         (SELECT id AS customer_id, row_number() OVER (ORDER BY id) - 1 AS place FROM loyalty_customer
          WHERE tenant_id = %(tenant)s AND id BETWEEN %(low)s AND %(high)s) c
"""
ENTRIES = """
    INSERT INTO loyalty_entry (id, tenant_id, customer_id, operation, seq, kind, pending, available, held, owed, reason, actor_kind,
        actor_name, occurred_at, business_date, posted_at, snapshot, key, fingerprint)
    SELECT id, %(tenant)s, customer_id, id, 0, CASE WHEN spends THEN 'redeem' ELSE 'earn' END, 0,
        CASE WHEN spends THEN -spent ELSE points END, 0, 0, 'Seeded', 'system', 'Pointdesk', at, (at AT TIME ZONE %(zone)s)::date, at,
        CASE WHEN NOT spends THEN jsonb_build_object('kind', 'purchase_amount', 'programme', 'Seeded', 'programme_id', 0, 'version', 1,
            'net', (points * 100)::text, 'paid_by_points', '0', 'base', (points * 100)::text, 'earn_per', '100', 'rounding', 'down',
            'points', points) END,
        'seed:' || id, 0
    FROM seeded ORDER BY seeded.id
"""
LOTS = """
    INSERT INTO loyalty_lot (entry_id, tenant_id, customer_id, granted_on, expires_on, granted_until, granted, pending, available, held)
    SELECT id, %(tenant)s, customer_id, at::date, at::date + %(validity)s, at::date + %(validity)s, points, 0,
        points - CASE WHEN step %% 4 = 2 AND step + 1 < %(steps)s THEN spent ELSE 0 END, 0
    FROM seeded WHERE NOT spends ORDER BY seeded.id
"""
MOVEMENTS = """
    INSERT INTO loyalty_entrylot (tenant_id, entry_id, lot_id, bucket, delta)
    SELECT %(tenant)s, id, CASE WHEN spends THEN id - %(customers)s ELSE id END, 'available', CASE WHEN spends THEN -spent ELSE points END
    FROM seeded ORDER BY seeded.id
"""
BALANCES = """
    INSERT INTO loyalty_balance (customer_id, tenant_id, pending, available, held, owed, entries, last_activity_at)
    SELECT customer_id, %(tenant)s, 0, sum(CASE WHEN spends THEN -spent ELSE points END), 0, 0, count(*), max(at)
    FROM seeded GROUP BY customer_id
"""
FOREIGN_KEYS = """
    SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
    WHERE contype = 'f' AND conrelid = ANY(%s::regclass[])
"""
#: Customers written together, so that one statement's memory and undo stay bounded.
CUSTOMERS_AT_ONCE = 250_000
#: The entries lie in so many days before today.
DAYS = 340
#: So that the planner knows what came.
VACUUM = ("customer", "balance", "entry", "entrylot", "lot")


def seed(tenant: Tenant, *, customers: int, entries: int, validity_days: int = 3650) -> int:
    """Add customers with `entries` entries in all (rounded down to as many for each). -> entries written."""
    written = first = 0
    steps = max(entries // customers, 1)
    with _unchecked():
        while first < customers:
            count = min(CUSTOMERS_AT_ONCE, customers - first)
            written += _some(tenant, count, first=first, steps=steps, validity_days=validity_days)
            first += count
    with connection.cursor() as cursor:
        for table in VACUUM:
            cursor.execute(f"VACUUM ANALYZE loyalty_{table}")
    return written


@contextmanager
def _unchecked() -> Iterator[None]:
    """Without the foreign keys of the seeded tables: put back, and checked, for all rows at once and not one by one."""
    with connection.cursor() as cursor:
        cursor.execute(FOREIGN_KEYS, [[f"loyalty_{table}" for table in VACUUM]])
        keys = cursor.fetchall()
        for table, name, _ in keys:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        yield
        cursor.execute("SET statement_timeout = 0; SET maintenance_work_mem = '512MB'; SET work_mem = '256MB'")
        for table, name, definition in keys:
            cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
        cursor.execute("RESET statement_timeout; RESET maintenance_work_mem; RESET work_mem")


def _some(tenant: Tenant, count: int, *, first: int, steps: int, validity_days: int) -> int:
    bounds: dict[str, Any] = {
        "tenant": tenant.pk,
        "customers": count,
        "first": first,
        "steps": steps,
        "zone": tenant.timezone,
        "days": DAYS,
        "validity": validity_days,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0; SET LOCAL work_mem = '256MB'; SET LOCAL synchronous_commit = off")
        cursor.execute(CUSTOMERS, bounds)
        ids = [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT nextval('loyalty_entry_id_seq')")
        base = cursor.fetchone()[0]
        cursor.execute("SELECT setval('loyalty_entry_id_seq', %s)", [base + steps * count])
        cursor.execute(TEMPLATE, bounds | {"base": base, "low": min(ids), "high": max(ids)})
        for statement in (ENTRIES, LOTS, MOVEMENTS, BALANCES):
            cursor.execute(statement, bounds)
    return steps * count
