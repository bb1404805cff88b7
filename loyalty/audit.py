"""The auditor: every law of docs/ledger.md as a set-wise question to the database. It trusts no cache and no code of ours."""

from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from tenants.models import Tenant

ROWS_SHOWN = 20

#: Each statement returns the rows that break a law: (what, id). `%(tenant)s` is 0 for all tenants.
LAWS: dict[str, tuple[str, ...]] = {
    # 1. Entries are append-only.
    "1": (
        """
        SELECT 'trigger missing on ' || t.name, 0 FROM (VALUES ('loyalty_entry'), ('loyalty_entrylot')) AS t (name)
        WHERE (SELECT count(*) FROM pg_trigger g WHERE g.tgrelid = t.name::regclass AND g.tgname IN ('append_only', 'append_only_whole')
               AND g.tgenabled IN ('O', 'A')) <> 2
        """,
        """
        SELECT 'entries were removed: ' || (b.entries - count(e.id)), b.customer_id
        FROM loyalty_balance b LEFT JOIN loyalty_entry e ON e.tenant_id = b.tenant_id AND e.customer_id = b.customer_id
        WHERE %(tenant)s IN (0, b.tenant_id) GROUP BY b.customer_id, b.entries HAVING b.entries > count(e.id)
        """,
    ),
    # 2. Per customer and bucket: sum of entries = balance row; every bucket >= 0; owed > 0 implies available = 0.
    "2": (
        """
        SELECT 'balance is not the sum of its entries', coalesce(b.customer_id, s.customer_id)
        FROM (SELECT * FROM loyalty_balance WHERE %(tenant)s IN (0, tenant_id)) b
        FULL JOIN (
            SELECT customer_id, sum(pending) AS pending, sum(available) AS available, sum(held) AS held, sum(owed) AS owed, count(*) AS n
            FROM loyalty_entry WHERE %(tenant)s IN (0, tenant_id) GROUP BY customer_id
        ) s ON s.customer_id = b.customer_id
        WHERE (b.pending, b.available, b.held, b.owed, b.entries) IS DISTINCT FROM
              (coalesce(s.pending, 0), coalesce(s.available, 0), coalesce(s.held, 0), coalesce(s.owed, 0), coalesce(s.n, 0))
        """,
        """
        SELECT 'bucket below 0, or owing beside available points', customer_id FROM loyalty_balance
        WHERE %(tenant)s IN (0, tenant_id) AND (least(pending, available, held, owed) < 0 OR owed > 0 AND available > 0)
        """,
    ),
    # 3. Lots move by bucket; per lot and bucket the sum is >= 0; per customer and bucket it equals the balance.
    "3": (
        """
        SELECT 'lot is not the sum of its movements', l.entry_id
        FROM loyalty_lot l LEFT JOIN (
            SELECT lot_id, sum(delta) FILTER (WHERE bucket = 'pending') AS pending,
                   sum(delta) FILTER (WHERE bucket = 'available') AS available, sum(delta) FILTER (WHERE bucket = 'held') AS held
            FROM loyalty_entrylot WHERE %(tenant)s IN (0, tenant_id) GROUP BY lot_id
        ) m ON m.lot_id = l.entry_id
        WHERE %(tenant)s IN (0, l.tenant_id) AND ((l.pending, l.available, l.held) IS DISTINCT FROM
              (coalesce(m.pending, 0), coalesce(m.available, 0), coalesce(m.held, 0)) OR least(l.pending, l.available, l.held) < 0)
        """,
        """
        SELECT 'lots do not sum to the balance', b.customer_id
        FROM loyalty_balance b LEFT JOIN (
            SELECT customer_id, sum(pending) AS pending, sum(available) AS available, sum(held) AS held
            FROM loyalty_lot WHERE %(tenant)s IN (0, tenant_id) GROUP BY customer_id
        ) l ON l.customer_id = b.customer_id
        WHERE %(tenant)s IN (0, b.tenant_id) AND (b.pending, b.available, b.held) IS DISTINCT FROM
              (coalesce(l.pending, 0), coalesce(l.available, 0), coalesce(l.held, 0))
        """,
        """
        SELECT 'entry is not the sum of its movements', e.id
        FROM loyalty_entry e LEFT JOIN (
            SELECT entry_id, sum(delta) FILTER (WHERE bucket = 'pending') AS pending,
                   sum(delta) FILTER (WHERE bucket = 'available') AS available, sum(delta) FILTER (WHERE bucket = 'held') AS held,
                   sum(delta) FILTER (WHERE debt_id IS NOT NULL) AS paid
            FROM loyalty_entrylot WHERE %(tenant)s IN (0, tenant_id) GROUP BY entry_id
        ) m ON m.entry_id = e.id
        WHERE %(tenant)s IN (0, e.tenant_id) AND e.kind <> 'merge' AND ((e.pending, e.available, e.held) IS DISTINCT FROM
              (coalesce(m.pending, 0), coalesce(m.available, 0), coalesce(m.held, 0))
              OR e.kind NOT IN ('debt', 'reversal') AND e.owed <> coalesce(m.paid, 0))
        """,
        """
        SELECT 'movement of another tenant or customer', m.id
        FROM loyalty_entrylot m JOIN loyalty_entry e ON e.id = m.entry_id JOIN loyalty_lot l ON l.entry_id = m.lot_id
        WHERE %(tenant)s IN (0, m.tenant_id) AND (m.tenant_id <> e.tenant_id OR m.tenant_id <> l.tenant_id
              OR e.customer_id <> l.customer_id AND NOT EXISTS (
                  SELECT FROM loyalty_entry g WHERE g.tenant_id = m.tenant_id AND g.kind = 'merge' AND g.customer_id = l.customer_id))
        """,
    ),
    # 4. A hold ends exactly once, and its entries say so.
    "4": (
        """
        SELECT 'hold and its entries disagree', h.id
        FROM loyalty_hold h LEFT JOIN (
            SELECT hold_id, sum(held) AS open, sum(held) FILTER (WHERE kind = 'hold') AS placed, -sum(held) FILTER (WHERE kind = 'capture')
                   AS captured, -sum(held) FILTER (WHERE kind = 'release') AS released,
                   count(DISTINCT operation) FILTER (WHERE kind IN ('capture', 'release')) AS ends
            FROM loyalty_entry WHERE hold_id IS NOT NULL AND kind <> 'reversal' AND %(tenant)s IN (0, tenant_id) GROUP BY hold_id
        ) e ON e.hold_id = h.id
        WHERE %(tenant)s IN (0, h.tenant_id) AND NOT coalesce(e.placed = h.points AND CASE h.state
            WHEN 'active' THEN e.open = h.points AND e.ends = 0
            WHEN 'captured' THEN e.ends = 1 AND e.captured = h.points AND e.released IS NULL
            WHEN 'partly_captured' THEN e.ends = 1 AND e.open = 0 AND e.captured > 0 AND e.released > 0
            ELSE e.ends = 1 AND e.released = h.points AND e.captured IS NULL END, false)
        """,
        "SELECT 'late bill without its points', id FROM loyalty_hold WHERE %(tenant)s IN (0, tenant_id)"
        " AND (late_bill_id IS NULL) <> (late_points = 0)",
    ),
    # 5. One business fact, one set of entries.
    "5": (
        """
        SELECT 'operation without one key, or with a gap', min(id) FROM loyalty_entry WHERE %(tenant)s IN (0, tenant_id)
        GROUP BY tenant_id, operation
        HAVING count(DISTINCT key) > 1 OR count(DISTINCT fingerprint) > 1 OR min(seq) <> 0 OR max(seq) <> count(*) - 1 OR min(id) <> operation
        """,
        "SELECT 'key used twice', min(id) FROM loyalty_entry WHERE %(tenant)s IN (0, tenant_id)"
        " GROUP BY tenant_id, key, seq HAVING count(*) > 1",
    ),
    # 6. Every entry has an actor, a reason and a source.
    "6": (
        "SELECT 'entry unexplained', id FROM loyalty_entry WHERE %(tenant)s IN (0, tenant_id)"
        " AND (btrim(reason) = '' OR btrim(actor_name) = '' OR btrim(key) = '' OR actor_kind <> 'system' AND actor_id IS NULL)",
    ),
    # 7. Only a rollback, a manual deduction or a redemption that happened makes debt; debt is never overpaid.
    "7": (
        """
        SELECT 'debt of a kind that makes none', id FROM loyalty_entry WHERE %(tenant)s IN (0, tenant_id) AND
            (owed > 0 AND kind NOT IN ('debt', 'reversal', 'merge') OR kind = 'debt' AND (owed <= 0 OR available <> 0 OR held <> 0
             OR pending <> 0 OR of_kind NOT IN ('rollback', 'adjust', 'reset', 'redeem', 'earn', 'bonus', 'issue')))
        """,
        """
        SELECT 'debt overpaid', d.id FROM loyalty_entry d JOIN loyalty_entrylot m ON m.debt_id = d.id
        WHERE %(tenant)s IN (0, d.tenant_id) GROUP BY d.id, d.owed HAVING d.owed + sum(m.delta) < 0
        """,
        """
        SELECT 'lapsed points paid a debt', m.id FROM loyalty_entrylot m JOIN loyalty_entry e ON e.id = m.entry_id
        JOIN loyalty_lot l ON l.entry_id = m.lot_id
        JOIN tenants_tenant t ON t.id = e.tenant_id LEFT JOIN tenants_store s ON s.id = e.store_id
        WHERE %(tenant)s IN (0, m.tenant_id) AND m.debt_id IS NOT NULL
          AND l.expires_on + 1 <= (e.posted_at AT TIME ZONE coalesce(nullif(s.timezone, ''), t.timezone))::date
          AND l.expires_on <= e.business_date
        """,
    ),
    # 8. Capture draws on the hold's own lots.
    "8": (
        """
        SELECT 'capture or release beyond the hold''s own lots', min(e.id)
        FROM loyalty_entry e JOIN loyalty_entrylot m ON m.entry_id = e.id
        WHERE %(tenant)s IN (0, e.tenant_id) AND e.hold_id IS NOT NULL AND e.kind IN ('hold', 'capture', 'release') AND m.bucket = 'held'
        GROUP BY e.hold_id, m.lot_id HAVING sum(m.delta) < 0
        """,
    ),
    # 9. Rules are applied as they were: the earn entry keeps the snapshot that explains it.
    "9": (
        """
        SELECT 'earning not explained by its snapshot', id FROM loyalty_entry
        WHERE %(tenant)s IN (0, tenant_id) AND kind = 'earn' AND (snapshot IS NULL
          OR snapshot->>'kind' = 'purchase_amount' AND (
             floor((snapshot->>'base')::numeric / (snapshot->>'earn_per')::numeric) <> (snapshot->>'points')::bigint
             OR (snapshot->>'points')::bigint <> pending + available - owed))
        """,
    ),
    # 10. The business date is the date in the store's time zone.
    "10": (
        """
        SELECT 'business date of another zone', e.id
        FROM loyalty_entry e JOIN tenants_tenant t ON t.id = e.tenant_id LEFT JOIN tenants_store s ON s.id = e.store_id
        WHERE %(tenant)s IN (0, e.tenant_id)
          AND e.business_date <> (e.occurred_at AT TIME ZONE coalesce(nullif(s.timezone, ''), t.timezone))::date
        """,
    ),
    # 11. After each operation every bucket is >= 0, and nobody owes beside available points.
    "11": (
        """
        SELECT 'operation ended below 0, or owing beside available points', id FROM (
            SELECT id, customer_id, operation, lead(operation) OVER w AS next, sum(pending) OVER w AS pending,
                   sum(available) OVER w AS available, sum(held) OVER w AS held, sum(owed) OVER w AS owed
            FROM loyalty_entry WHERE %(tenant)s IN (0, tenant_id) WINDOW w AS (PARTITION BY customer_id ORDER BY id)
        ) running
        WHERE operation IS DISTINCT FROM next AND (least(pending, available, held, owed) < 0 OR owed > 0 AND available > 0)
        """,
    ),
}


@dataclass(frozen=True, slots=True)
class Report:
    """`laws`: violations by law, always all eleven. `rows`: the first offenders, `(law, what, id)`. `entries`: how many were read."""

    laws: dict[str, int]
    rows: list[tuple[str, str, int]]
    entries: int

    @property
    def ok(self) -> bool:
        return not any(self.laws.values())


def audit_ledger(tenant: Tenant | None = None) -> Report:
    """Ask every law of one tenant's books, or of all, on one snapshot of the database."""
    bounds = {"tenant": tenant.pk if tenant else 0}
    laws: dict[str, int] = {}
    shown: list[tuple[str, str, int]] = []
    own = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if own:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for law, statements in LAWS.items():
            laws[law] = 0
            for statement in statements:
                rows = _ask(cursor, statement, bounds)
                laws[law] += len(rows)
                shown += [(law, str(row[0]), int(row[1])) for row in rows[:ROWS_SHOWN]]
        cursor.execute("SELECT count(*) FROM loyalty_entry WHERE %(tenant)s IN (0, tenant_id)", bounds)
        entries = int(cursor.fetchone()[0])
    return Report(laws, shown, entries)


def _ask(cursor: Any, statement: str, bounds: dict[str, int]) -> list[tuple[Any, ...]]:
    cursor.execute(statement, bounds)
    return list(cursor.fetchall())
