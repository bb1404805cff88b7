"""The auditor: every law of docs/ledger.md as set-wise questions to the database. It trusts no cache and no code of ours.

Most laws say that two tables agree row by row: entries with balances, movements with entries, lots with movements. Instead of joining
twenty million rows, the auditor sums both sides with pseudo-random weights (Freivalds' check): `sum(value * weight(id))` over the one
table must equal the same over the other. Every run draws new factors and weights: whatever was changed, it goes unnoticed at most once in
sixty thousand runs.
Only where the sums differ are the rows joined, to name the offenders. Every question is one statement, so it sees one instant; a run can
stop after any of them and go on.
"""

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

from django.db import DataError, connection, transaction
from django_scopes import scope

from loyalty.models import AuditStep
from tenants.models import Tenant

ROWS_SHOWN = 20
SIDE_BY_SIDE = 2
#: A big read of its own: memory for its sorts, all cores, and no limit of time.
PREPARE = """
    SET LOCAL statement_timeout = 0; SET LOCAL work_mem = '256MB'; SET LOCAL max_parallel_workers_per_gather = 4;
    SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL jit = off
"""
LAWS = tuple(str(number) for number in range(1, 12))


#: Each run draws a factor for each column, so that points moved from one column to another are seen, and a weight for each row.
_COLUMNS = ("pending", "available", "held", "owed", "paid", "granted", "one", "whose")


def _weighted(name: str, key: str, **columns: str) -> str:
    """The sum of some columns, weighted by a hash of a key. 16 bits a factor, 20 a weight, drawn for each run."""
    mixed = " + ".join(f"%({column})s * ({value})%(cast)s" for column, value in columns.items())
    return f"coalesce(sum(({mixed}) * (hashint8extended({key}, %(seed)s) & 1048575)), 0)::text AS {name}"


def _someone(customer: str) -> str:
    """16 bits that stand for a customer, so that who has what can be summed like points."""
    return f"(hashint8extended({customer}, %(seed)s) & 65535)"


def _columns(*names: str, of: str = "") -> dict[str, str]:
    return {name: f"{of}{name}" for name in names}


#: What is compared: a name, and which tables have a sum under it; all must be equal.
COMPARED = ("customer", "entry", "lot", "owner", "granted_to")


@dataclass(frozen=True, slots=True)
class Question:
    """A statement that returns the rows which break a law: (what, id).

    `after`: ask only when the sums of this name differ. `condition`: ask only when the one scan counted entries that meet it.
    """

    law: str
    name: str
    statement: str
    after: str = ""
    condition: str = ""


def _row_check(law: str, what: str, condition: str) -> Question:
    """A question about single entries: counted in the one scan, asked for names where some were counted."""
    return Question(law, what, f"SELECT '{what}', e.id FROM {_ENTRIES} AND ({condition})", condition=condition)  # noqa: S608 - constants of this module


_ENTRIES = """
    loyalty_entry e JOIN tenants_tenant t ON t.id = e.tenant_id LEFT JOIN tenants_store s ON s.id = e.store_id
    WHERE e.tenant_id = ANY(%(tenants)s)
"""


QUESTIONS: tuple[Question, ...] = (
    # 1. Entries are append-only.
    Question(
        "1",
        "triggers",
        """
        SELECT 'trigger missing on ' || t.name, 0 FROM (VALUES ('loyalty_entry'), ('loyalty_entrylot')) AS t (name)
        WHERE (SELECT count(*) FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
               WHERE g.tgrelid = t.name::regclass AND g.tgname IN ('append_only', 'append_only_whole') AND g.tgenabled IN ('O', 'A')
                 AND p.prosrc LIKE '%%RAISE EXCEPTION%%' AND p.prosrc NOT LIKE '%%RETURN NEW%%') <> 2
        """,
    ),
    Question(
        "1",
        "removed",
        """
        SELECT 'entries were removed: ' || (b.entries - count(e.id)), b.customer_id
        FROM loyalty_balance b LEFT JOIN loyalty_entry e ON e.tenant_id = b.tenant_id AND e.customer_id = b.customer_id
        WHERE b.tenant_id = ANY(%(tenants)s) GROUP BY b.customer_id, b.entries HAVING b.entries > count(e.id)
        """,
        after="customer",
    ),
    # 2. Per customer and bucket: sum of entries = balance row; every bucket >= 0; owed > 0 implies available = 0.
    Question(
        "2",
        "balances",
        """
        SELECT 'balance is not the sum of its entries', coalesce(b.customer_id, s.customer_id)
        FROM (SELECT * FROM loyalty_balance WHERE tenant_id = ANY(%(tenants)s)) b
        FULL JOIN (
            SELECT customer_id, sum(pending) AS pending, sum(available) AS available, sum(held) AS held, sum(owed) AS owed, count(*) AS n
            FROM loyalty_entry WHERE tenant_id = ANY(%(tenants)s) GROUP BY customer_id
        ) s ON s.customer_id = b.customer_id
        WHERE (b.pending, b.available, b.held, b.owed, b.entries) IS DISTINCT FROM
              (coalesce(s.pending, 0), coalesce(s.available, 0), coalesce(s.held, 0), coalesce(s.owed, 0), coalesce(s.n, 0))
        """,
        after="customer",
    ),
    Question(
        "2",
        "counts",
        """
        SELECT 'balance counts other entries than there are', b.customer_id FROM loyalty_balance b
        LEFT JOIN loyalty_entry e ON e.tenant_id = b.tenant_id AND e.customer_id = b.customer_id
        WHERE b.tenant_id = ANY(%(tenants)s) GROUP BY b.customer_id, b.entries HAVING b.entries <> count(e.id)
        """,
        after="customer",
    ),
    Question(
        "2",
        "bounds",
        """
        SELECT 'bucket below 0, or owing beside available points', customer_id FROM loyalty_balance
        WHERE tenant_id = ANY(%(tenants)s) AND (least(pending, available, held, owed) < 0 OR owed > 0 AND available > 0)
        """,
    ),
    # 3. Lots move by bucket; per lot and bucket the sum is >= 0; per customer and bucket it equals the balance.
    Question(
        "3",
        "lots",
        """
        SELECT 'lot is not the sum of its movements', coalesce(l.entry_id, m.lot_id)
        FROM (SELECT * FROM loyalty_lot WHERE tenant_id = ANY(%(tenants)s)) l FULL JOIN (
            SELECT lot_id, sum(delta) FILTER (WHERE bucket = 'pending') AS pending,
                   sum(delta) FILTER (WHERE bucket = 'available') AS available, sum(delta) FILTER (WHERE bucket = 'held') AS held
            FROM loyalty_entrylot WHERE tenant_id = ANY(%(tenants)s) AND lot_id IS NOT NULL GROUP BY lot_id
        ) m ON m.lot_id = l.entry_id
        WHERE (coalesce(l.pending, 0), coalesce(l.available, 0), coalesce(l.held, 0)) IS DISTINCT FROM
              (coalesce(m.pending, 0), coalesce(m.available, 0), coalesce(m.held, 0))
        """,
        after="lot",
    ),
    Question(
        "3",
        "lot bounds",
        """
        SELECT 'lot below 0, or with more than it was granted', entry_id FROM loyalty_lot
        WHERE tenant_id = ANY(%(tenants)s) AND (least(pending, available, held) < 0 OR remaining > granted)
        """,
        after="lots below",
    ),
    Question(
        "3",
        "customer lots",
        """
        SELECT 'lots do not sum to the balance', b.customer_id
        FROM loyalty_balance b LEFT JOIN (
            SELECT customer_id, sum(pending) AS pending, sum(available) AS available, sum(held) AS held
            FROM loyalty_lot WHERE tenant_id = ANY(%(tenants)s) GROUP BY customer_id
        ) l ON l.customer_id = b.customer_id
        WHERE b.tenant_id = ANY(%(tenants)s) AND (b.pending, b.available, b.held) IS DISTINCT FROM
              (coalesce(l.pending, 0), coalesce(l.available, 0), coalesce(l.held, 0))
        """,
        after="owner",
    ),
    Question(
        "3",
        "entries",
        """
        SELECT 'entry is not the sum of its movements', e.id
        FROM loyalty_entry e LEFT JOIN (
            SELECT entry_id, sum(delta) FILTER (WHERE bucket = 'pending') AS pending,
                   sum(delta) FILTER (WHERE bucket = 'available') AS available, sum(delta) FILTER (WHERE bucket = 'held') AS held
            FROM loyalty_entrylot WHERE tenant_id = ANY(%(tenants)s) GROUP BY entry_id
        ) m ON m.entry_id = e.id
        WHERE e.tenant_id = ANY(%(tenants)s) AND (e.pending, e.available, e.held) IS DISTINCT FROM
              (coalesce(m.pending, 0), coalesce(m.available, 0), coalesce(m.held, 0))
        """,
        after="entry",
    ),
    Question(
        "3",
        "payments",
        """
        SELECT 'entry pays another amount of debts than its movements', e.id
        FROM loyalty_entry e LEFT JOIN (
            SELECT entry_id, sum(delta) AS paid FROM loyalty_entrylot
            WHERE tenant_id = ANY(%(tenants)s) AND debt_id IS NOT NULL AND NOT (bucket = 'owed' AND delta > 0) GROUP BY entry_id
        ) m ON m.entry_id = e.id
        WHERE e.tenant_id = ANY(%(tenants)s) AND coalesce(m.paid, 0)
              <> CASE WHEN e.kind = 'debt' OR e.kind = 'merge' AND e.of_entry_id IS NOT NULL THEN 0 ELSE e.owed END
        """,
        after="entry",
    ),
    Question(
        "3",
        "owners",
        """
        SELECT 'movement of another tenant or customer', m.id
        FROM loyalty_entrylot m JOIN loyalty_entry e ON e.id = m.entry_id JOIN loyalty_lot l ON l.entry_id = m.lot_id
        WHERE m.tenant_id = ANY(%(tenants)s) AND (m.tenant_id <> e.tenant_id OR m.tenant_id <> l.tenant_id
              OR e.customer_id <> l.customer_id AND NOT EXISTS (
                  SELECT FROM loyalty_customermerge g WHERE g.tenant_id = m.tenant_id AND m.lot_id = ANY(g.lots)))
        """,
        after="owner",
    ),
    Question(
        "3",
        "grants",
        """
        SELECT 'lot says it was granted other points than its first movement', l.entry_id FROM loyalty_lot l LEFT JOIN (
            SELECT lot_id, sum(delta) AS granted FROM loyalty_entrylot
            WHERE tenant_id = ANY(%(tenants)s) AND entry_id = lot_id AND delta > 0 AND debt_id IS NULL GROUP BY lot_id
        ) m ON m.lot_id = l.entry_id
        WHERE l.tenant_id = ANY(%(tenants)s) AND l.granted IS DISTINCT FROM m.granted
        """,
        after="lot",
    ),
    Question(
        "3",
        "granted to",
        """
        SELECT 'lot of another customer than it was granted to', l.entry_id
        FROM loyalty_lot l JOIN loyalty_entry e ON e.id = l.entry_id
        WHERE l.tenant_id = ANY(%(tenants)s) AND l.customer_id <> e.customer_id
          AND NOT EXISTS (SELECT FROM loyalty_customermerge g WHERE g.tenant_id = l.tenant_id AND l.entry_id = ANY(g.lots))
        """,
        after="granted_to",
    ),
    Question(
        "3",
        "merged lots",
        """
        SELECT 'lot of another customer than the last merge gave it to', l.entry_id FROM (
            SELECT DISTINCT ON (lot) lot, CASE WHEN g.undone_at IS NULL THEN g.into_id ELSE g.source_id END AS owner
            FROM loyalty_customermerge g, unnest(g.lots) AS lot WHERE g.tenant_id = ANY(%(tenants)s)
            ORDER BY lot, coalesce(g.undone_at, g.merged_at) DESC, g.id DESC
        ) last JOIN loyalty_lot l ON l.entry_id = last.lot WHERE l.customer_id <> last.owner
        """,
    ),
    Question(
        "3",
        "expiry",
        """
        SELECT 'lot expires on another day than it was granted until, or last extended to', l.entry_id
        FROM loyalty_lot l LEFT JOIN (
            SELECT DISTINCT ON (lot) (x->>'lot')::bigint AS lot, (x->>'to')::date AS until
            FROM loyalty_entry e, jsonb_array_elements(e.snapshot->'lots') x
            WHERE e.tenant_id = ANY(%(tenants)s) AND (e.kind = 'extend' OR e.of_kind = 'extend') ORDER BY lot, e.id DESC
        ) moved ON moved.lot = l.entry_id
        WHERE l.tenant_id = ANY(%(tenants)s)
          AND l.expires_on IS DISTINCT FROM CASE WHEN moved.lot IS NULL THEN l.granted_until ELSE moved.until END
        """,
        after="dates",
    ),
    # 4. A hold ends exactly once, and its entries say so.
    Question(
        "4",
        "holds",
        """
        SELECT 'hold and its entries disagree', h.id
        FROM loyalty_hold h LEFT JOIN (
            SELECT hold_id, sum(held) AS open, sum(held) FILTER (WHERE kind = 'hold') AS placed, -sum(held) FILTER (WHERE kind = 'capture')
                   AS captured, -sum(held) FILTER (WHERE kind = 'release') AS released,
                   count(DISTINCT operation) FILTER (WHERE kind IN ('capture', 'release')) AS ends,
                   min(customer_id) AS one, max(customer_id) AS other
            FROM loyalty_entry WHERE hold_id IS NOT NULL AND kind <> 'reversal' AND tenant_id = ANY(%(tenants)s) GROUP BY hold_id
        ) e ON e.hold_id = h.id
        WHERE h.tenant_id = ANY(%(tenants)s) AND NOT coalesce(e.placed = h.points AND CASE h.state
            WHEN 'active' THEN e.open = h.points AND e.ends = 0
            WHEN 'captured' THEN e.ends = 1 AND e.captured = h.points AND e.released IS NULL
            WHEN 'partly_captured' THEN e.ends = 1 AND e.open = 0 AND e.captured > 0 AND e.released > 0
            ELSE e.ends = 1 AND e.released = h.points AND e.captured IS NULL END, false)
          OR h.tenant_id = ANY(%(tenants)s) AND (e.one <> h.customer_id OR e.other <> h.customer_id) AND NOT EXISTS (
              SELECT FROM loyalty_customermerge g WHERE g.tenant_id = h.tenant_id AND h.id = ANY(g.holds))
        """,
    ),
    Question(
        "4",
        "late bills",
        "SELECT 'late bill without its points', id FROM loyalty_hold WHERE tenant_id = ANY(%(tenants)s)"
        " AND (late_bill_id IS NULL) <> (late_points = 0)",
    ),
    # 5. One business fact, one set of entries: the first entry of an operation names it, each further one follows the one before.
    Question(
        "5",
        "unique keys",
        """
        SELECT 'the unique key over (tenant, key, seq) is gone', 0 WHERE NOT EXISTS (
            SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            WHERE i.indrelid = 'loyalty_entry'::regclass AND c.relname = 'entry_key_once' AND i.indisunique AND i.indisvalid)
        """,
    ),
    _row_check("5", "operation without a first entry", "e.seq = 0 AND e.operation <> e.id OR e.seq < 0"),
    Question(
        "5",
        "sequences",
        """
        SELECT 'operation with a gap, or with two keys', e.id FROM loyalty_entry e
        LEFT JOIN loyalty_entry p ON p.tenant_id = e.tenant_id AND p.key = e.key AND p.seq = e.seq - 1
        WHERE e.tenant_id = ANY(%(tenants)s) AND e.seq > 0
          AND (p.operation, p.fingerprint) IS DISTINCT FROM (e.operation, e.fingerprint)
        """,
    ),
    # 6. Every entry has an actor, a reason and a source.
    _row_check(
        "6",
        "entry unexplained",
        # Below '!' are the empty text and whatever begins with a blank.
        "e.reason COLLATE \"C\" < '!' OR e.actor_name COLLATE \"C\" < '!' OR e.key < '!' OR e.actor_kind <> 'system' AND e.actor_id IS NULL",
    ),
    # 7. Only a rollback, a manual deduction or a redemption that happened makes debt; debt is never overpaid.
    _row_check(
        "7",
        "debt of a kind that makes none",
        """
        e.owed > 0 AND e.kind NOT IN ('debt', 'merge') OR e.kind = 'debt' AND (e.owed <= 0 OR e.available <> 0 OR e.held <> 0
        OR e.pending <> 0 OR coalesce(e.of_kind, '') NOT IN ('rollback', 'adjust', 'reset', 'redeem', 'earn', 'bonus', 'issue', 'restore'))
        """,
    ),
    Question(
        "7",
        "overpaid",
        """
        SELECT 'debt overpaid', d.id FROM loyalty_entry d JOIN loyalty_entrylot m ON m.debt_id = d.id
        WHERE d.tenant_id = ANY(%(tenants)s) GROUP BY d.id, d.owed HAVING d.owed + sum(m.delta) < 0
        """,
    ),
    Question(
        "7",
        "owed again",
        """
        SELECT 'a debt is owed again by other points than its entry says', m.entry_id FROM loyalty_entrylot m
        JOIN loyalty_entry e ON e.id = m.entry_id
        WHERE m.tenant_id = ANY(%(tenants)s) AND m.bucket = 'owed' AND m.delta > 0
        GROUP BY m.entry_id, e.kind, e.owed HAVING e.kind <> 'debt' OR e.owed <> sum(m.delta)
        """,
    ),
    Question(
        "7",
        "refilled",
        """
        SELECT 'a lot got back more than it had paid of a debt', min(m.id) FROM loyalty_entrylot m
        WHERE m.tenant_id = ANY(%(tenants)s) AND m.debt_id IS NOT NULL AND m.lot_id IS NOT NULL GROUP BY m.debt_id, m.lot_id
        HAVING sum(m.delta) > 0
        """,
    ),
    Question(
        "7",
        "unpaid",
        """
        SELECT 'debts do not sum to what is owed', coalesce(b.customer_id, d.customer_id)
        FROM (SELECT customer_id, owed FROM loyalty_balance WHERE tenant_id = ANY(%(tenants)s) AND owed <> 0) b FULL JOIN (
            SELECT o.customer_id, sum(o.unpaid) AS unpaid FROM (
                SELECT coalesce((
                        SELECT x.customer_id FROM loyalty_entry x WHERE x.of_entry_id = d.id AND x.kind = 'merge' AND x.owed > 0
                        ORDER BY x.id DESC LIMIT 1), d.customer_id) AS customer_id,
                    d.owed + coalesce((SELECT sum(m.delta) FROM loyalty_entrylot m WHERE m.debt_id = d.id), 0) AS unpaid
                FROM loyalty_entry d WHERE d.tenant_id = ANY(%(tenants)s) AND d.owed > 0 AND d.kind = 'debt' AND NOT EXISTS (
                    SELECT FROM loyalty_entrylot r WHERE r.entry_id = d.id AND r.bucket = 'owed' AND r.delta > 0)
            ) o GROUP BY o.customer_id HAVING sum(o.unpaid) <> 0
        ) d ON d.customer_id = b.customer_id
        WHERE coalesce(b.owed, 0) <> coalesce(d.unpaid, 0)
        """,
    ),
    Question(
        "7",
        "others' debts",
        """
        SELECT 'points paid the debt of another customer', m.id FROM loyalty_entrylot m
        JOIN loyalty_entry e ON e.id = m.entry_id JOIN loyalty_entry d ON d.id = m.debt_id
        WHERE m.tenant_id = ANY(%(tenants)s) AND m.debt_id IS NOT NULL
          AND (d.tenant_id <> m.tenant_id OR d.customer_id <> e.customer_id AND NOT EXISTS (
            SELECT FROM loyalty_entry x WHERE x.of_entry_id = d.id AND x.kind = 'merge' AND x.customer_id = e.customer_id))
        """,
    ),
    Question(
        "7",
        "lapsed payers",
        """
        SELECT 'lapsed points paid a debt', m.id FROM loyalty_entrylot m JOIN loyalty_entry e ON e.id = m.entry_id
        JOIN loyalty_lot l ON l.entry_id = m.lot_id
        JOIN tenants_tenant t ON t.id = e.tenant_id LEFT JOIN tenants_store s ON s.id = e.store_id
        WHERE m.tenant_id = ANY(%(tenants)s) AND m.debt_id IS NOT NULL AND m.delta < 0
          AND l.expires_on + 1 <= (e.posted_at AT TIME ZONE coalesce(nullif(s.timezone, ''), t.timezone))::date
          AND l.expires_on <= e.business_date
        """,
    ),
    # 8. Capture draws on the hold's own lots.
    Question(
        "8",
        "own lots",
        """
        SELECT 'capture or release beyond the hold''s own lots', min(e.id)
        FROM loyalty_entry e JOIN loyalty_entrylot m ON m.entry_id = e.id
        WHERE e.tenant_id = ANY(%(tenants)s) AND e.hold_id IS NOT NULL AND e.kind IN ('hold', 'capture', 'release') AND m.bucket = 'held'
        GROUP BY e.hold_id, m.lot_id HAVING sum(m.delta) < 0
        """,
    ),
    Question(
        "8",
        "revived",
        """
        SELECT 'a late bill brought back other points than the hold''s end had expired', min(e.id)
        FROM loyalty_entry e JOIN loyalty_entrylot m ON m.entry_id = e.id
        WHERE e.tenant_id = ANY(%(tenants)s) AND e.hold_id IS NOT NULL AND e.of_entry_id IS NULL
          AND (e.kind = 'expire' OR e.kind = 'reversal' AND e.of_kind = 'expire')
        GROUP BY e.hold_id, m.lot_id HAVING count(*) FILTER (WHERE e.kind = 'reversal') > 0 AND sum(m.delta) <> 0
        """,
    ),
    # 9. Rules are applied as they were: the earn entry keeps the snapshot that explains it.
    _row_check("9", "earning without a snapshot", "e.kind = 'earn' AND e.snapshot IS NULL"),
    _row_check(
        "9",
        "earning is not the points of its snapshot",
        "e.kind = 'earn' AND (e.snapshot->>'points')::bigint IS DISTINCT FROM e.pending + e.available - e.owed",
    ),
    _row_check(
        "9",
        "earning not explained by its snapshot",
        """
        e.kind = 'earn' AND CASE e.snapshot->>'kind'
            WHEN 'visit_count' THEN (e.snapshot->>'points')::numeric <> 1
            WHEN 'purchase_amount' THEN coalesce(e.snapshot#>>'{cap,uncapped}', e.snapshot->>'points')::numeric IS DISTINCT FROM (
                SELECT CASE e.snapshot->>'rounding' WHEN 'down' THEN div(top, bottom) WHEN 'nearest' THEN div(2 * top + bottom, 2 * bottom)
                       WHEN 'up' THEN div(top, bottom) + (mod(top, bottom) > 0)::int END
                FROM (SELECT (e.snapshot->>'base')::numeric * coalesce((e.snapshot->>'weighted')::numeric, 1) AS top,
                             (e.snapshot->>'earn_per')::numeric * coalesce((e.snapshot->>'lines')::numeric, 1) AS bottom) x)
            ELSE true END
        """,
    ),
    # 10. The business date is the date in the store's time zone.
    _row_check(
        "10",
        "business date of another zone",
        "e.business_date <> (e.occurred_at AT TIME ZONE coalesce(nullif(s.timezone, ''), t.timezone))::date",
    ),
    # 11. After each operation every bucket is >= 0, and nobody owes beside available points. First the quick look: whose available points
    # ever ran below 0, entry by entry, who ever owed. These few are looked at operation by operation.
    Question(
        "11",
        "running sums",
        """
        WITH suspects AS MATERIALIZED (
            SELECT customer_id FROM (
                SELECT customer_id, sum(available::float8) OVER (PARTITION BY customer_id ORDER BY id) AS running
                FROM loyalty_entry WHERE tenant_id = ANY(%(tenants)s)
            ) a WHERE running < 0
            UNION SELECT customer_id FROM (
                SELECT customer_id, sum(pending::float8) OVER w AS pending, sum(held::float8) OVER w AS held
                FROM loyalty_entry WHERE tenant_id = ANY(%(tenants)s) AND (pending <> 0 OR held <> 0)
                WINDOW w AS (PARTITION BY customer_id ORDER BY id)
            ) b WHERE pending < 0 OR held < 0
            UNION SELECT customer_id FROM loyalty_entry WHERE tenant_id = ANY(%(tenants)s) AND owed <> 0
        )
        SELECT 'operation ended below 0, or owing beside available points', id FROM (
            SELECT id, customer_id, operation, lead(operation) OVER w AS next, sum(pending) OVER w AS pending,
                   sum(available) OVER w AS available, sum(held) OVER w AS held, sum(owed) OVER w AS owed
            FROM loyalty_entry WHERE tenant_id = ANY(%(tenants)s) AND customer_id IN (SELECT customer_id FROM suspects)
            WINDOW w AS (PARTITION BY customer_id ORDER BY id)
        ) running
        WHERE operation IS DISTINCT FROM next AND (least(pending, available, held, owed) < 0 OR owed > 0 AND available > 0)
        """,
    ),
)

_CHECKS = tuple(question for question in QUESTIONS if question.condition)
_CHECKED = ", ".join(f"count(*) FILTER (WHERE {check.condition}) AS check_{place}" for place, check in enumerate(_CHECKS))

#: What an entry changes of debts that were there before; a debt entry makes one, a merge carries one over.
_PAYS = "CASE WHEN e.kind = 'debt' OR e.kind = 'merge' AND e.of_entry_id IS NOT NULL THEN 0 ELSE e.owed END"
_PAID = "CASE WHEN debt_id IS NOT NULL AND NOT (bucket = 'owed' AND delta > 0) THEN delta ELSE 0 END"
_GRANTED = "CASE WHEN entry_id = lot_id AND delta > 0 AND debt_id IS NULL THEN delta ELSE 0 END"
#: Entries that make a lot.
_GRANTS = "e.kind IN ('earn', 'bonus', 'issue') OR e.kind = 'adjust' AND (e.pending > 0 OR e.available > 0 OR e.owed < 0)"
_MOVED = {name: f"CASE WHEN bucket = '{name}' THEN delta ELSE 0 END" for name in ("pending", "available", "held")}

#: Every sum and count over whole tables, in one statement and so at one instant; each table is read once.
SUMS = f"""
    SELECT * FROM (
        SELECT count(*) AS entries,
               {_weighted("customer", "e.customer_id", **_columns("pending", "available", "held", "owed", of="e."), one="1")},
               {_weighted("entry", "e.id", **_columns("pending", "available", "held", of="e."), paid=_PAYS)},
               {_weighted("granted_to", "e.id", whose=f"CASE WHEN {_GRANTS} THEN {_someone('e.customer_id')} ELSE 0 END")},
               count(*) FILTER (WHERE e.kind = 'extend' OR e.of_kind = 'extend') AS extensions,
               {_CHECKED}
        FROM {_ENTRIES}
    ) e, (
        SELECT {_weighted("entry", "entry_id", **_MOVED, paid=_PAID)}, {_weighted("lot", "lot_id", **_MOVED, granted=_GRANTED)}
        FROM loyalty_entrylot WHERE tenant_id = ANY(%(tenants)s)
    ) m, (
        SELECT {_weighted("lot", "entry_id", **_columns("pending", "available", "held", "granted"))},
               {_weighted("owner", "customer_id", **_columns("pending", "available", "held"))},
               {_weighted("to_owners", "entry_id", whose=_someone("customer_id"))},
               count(*) FILTER (WHERE least(pending, available, held) < 0 OR remaining > granted) AS lots_below,
               count(*) FILTER (WHERE expires_on IS DISTINCT FROM granted_until) AS lots_moved
        FROM loyalty_lot WHERE tenant_id = ANY(%(tenants)s)
    ) l, (
        SELECT {_weighted("customer", "customer_id", **_columns("pending", "available", "held", "owed"), one="entries")},
               {_weighted("owner", "customer_id", **_columns("pending", "available", "held"))}
        FROM loyalty_balance WHERE tenant_id = ANY(%(tenants)s)
    ) b, (
        SELECT {_weighted("merged", "l.entry_id", whose=f"{_someone('e.customer_id')} - {_someone('l.customer_id')}")}
        FROM (SELECT DISTINCT unnest(lots) AS id FROM loyalty_customermerge WHERE tenant_id = ANY(%(tenants)s)) g
        JOIN loyalty_lot l ON l.entry_id = g.id JOIN loyalty_entry e ON e.id = g.id
    ) g
"""  # noqa: S608 - constants of this module


@dataclass(slots=True)
class Report:
    """`laws`: violations by law, always all eleven. `rows`: the first offenders, `(law, what, id)`. `entries`: how many were read."""

    laws: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LAWS, 0))
    rows: list[tuple[str, str, int]] = field(default_factory=list)
    entries: int = 0

    @property
    def ok(self) -> bool:
        return not any(self.laws.values())

    def add(self, law: str, rows: Sequence[Sequence[Any]]) -> None:
        self.laws[law] += len(rows)
        self.rows += [(law, str(row[0]), int(row[1])) for row in rows[:ROWS_SHOWN]]

    def include(self, other: "Report") -> None:
        self.entries += other.entries
        self.rows += other.rows
        for law, count in other.laws.items():
            self.laws[law] += count


def audit_ledger(tenant: Tenant | None = None) -> Report:
    """Ask every law of one tenant's books, or of all, at once. Outside of a transaction two questions are asked at a time."""
    tenants = [tenant.pk] if tenant else list(Tenant.objects.order_by("pk").values_list("pk", flat=True))
    audit = _Audit(tenants)
    report = Report()
    for steps in (audit.first_steps, audit.further_steps):
        found = [step for _, step in steps()]
        for part in map(_answer, found) if connection.in_atomic_block else _side_by_side(found):
            report.include(part)
    return report


def _answer(step: Callable[[Report], None]) -> Report:
    report = Report()
    step(report)
    return report


def _side_by_side(steps: Sequence[Callable[[Report], None]]) -> list[Report]:
    """Each in a thread with a connection of its own: what one core sorts, another sums."""

    def alone(step: Callable[[Report], None]) -> Report:
        try:
            return _answer(step)
        finally:
            connection.close()

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return list(pool.map(alone, steps))


def audit_each(tenants: Iterable[Tenant]) -> Report:
    """Tenant by tenant, so that no statement is larger than the largest of them."""
    total = Report()
    for tenant in tenants:
        total.include(audit_ledger(tenant))
    return total


def audit_in_steps(run: str, *, tenants: Iterable[Tenant]) -> Report:
    """The same tenant by tenant, each step kept under the name of the run: called again, it goes on where it stopped."""
    report = Report()
    for tenant in tenants:
        with scope(tenant=tenant):
            done = {step.step: step for step in AuditStep.objects.filter(tenant=tenant, run=run)}
            audit = _Audit([tenant.pk])
            for name, step in chain(audit.first_steps(), audit.further_steps()):
                if name not in done:
                    found = _answer(step)
                    done[name] = AuditStep.objects.create(
                        run=run, tenant=tenant, step=name, violations=sum(found.laws.values()),
                        rows={"laws": found.laws, "rows": found.rows, "entries": found.entries, "asks": sorted(audit.asks)},
                    )  # fmt: skip
                kept = done[name].rows
                audit.asks |= set(kept["asks"])
                report.include(Report(kept["laws"], [(law, what, number) for law, what, number in kept["rows"]], kept["entries"]))
    return report


class _Audit:
    """One audit of some tenants. `asks`: which detailed questions the sums have given reason for."""

    def __init__(self, tenants: list[int]) -> None:
        self.bounds: dict[str, Any] = {"tenants": tenants, "seed": secrets.randbits(60)}
        self.bounds |= {column: 1 + secrets.randbits(16) for column in _COLUMNS}
        self.asks: set[str] = set()

    def first_steps(self) -> Iterator[tuple[str, Callable[[Report], None]]]:
        """The sums, and what is asked anyway: the longest first."""
        yield "sums", self._sum
        for question in reversed(QUESTIONS):
            if not (question.after or question.condition):
                yield f"{question.law}: {question.name}", partial(self._ask, question)

    def further_steps(self) -> Iterator[tuple[str, Callable[[Report], None]]]:
        """What the sums gave reason to ask."""
        for question in QUESTIONS:
            if (question.after or question.condition) and (question.after or question.name) in self.asks:
                yield f"{question.law}: {question.name}", partial(self._ask_carefully, question)

    def _sum(self, report: Report) -> None:
        try:
            names, row = self._sums(cast="")
        except DataError:
            try:  # points so large that the weighted sums leave a bigint: slower, and exact for any size
                names, row = self._sums(cast="::numeric")
            except DataError:  # a snapshot that cannot be read: ask each question about single entries alone
                names, row = self._sums(cast="::numeric", checks=False)
                self.asks |= {check.name for check in _CHECKS}
        found: dict[str, list[Any]] = defaultdict(list)
        for name, value in zip(names, row, strict=True):
            found[name].append(value)
        report.entries = row[0]
        found["granted_to"].append(str(int(found["to_owners"][0]) + int(found["merged"][0])))
        self.asks |= {name for name in COMPARED if len(set(found[name])) > 1}
        self.asks |= {check.name for place, check in enumerate(_CHECKS) if found[f"check_{place}"][0]}
        if found["lots_below"][0]:
            self.asks.add("lots below")
        if found["lots_moved"][0] or found["extensions"][0]:
            self.asks.add("dates")

    def _sums(self, *, cast: str, checks: bool = True) -> tuple[list[str], Any]:
        statement = SUMS if checks else SUMS.replace(_CHECKED, ", ".join(f"0 AS check_{place}" for place in range(len(_CHECKS))))
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(PREPARE)
            cursor.execute(statement.replace("%(cast)s", cast), self.bounds)
            return [column.name for column in cursor.description], cursor.fetchone()

    def _ask(self, question: Question, report: Report) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(PREPARE)
            cursor.execute(question.statement, self.bounds)
            report.add(question.law, cursor.fetchall())

    def _ask_carefully(self, question: Question, report: Report) -> None:
        """Where a row holds what cannot even be read as a number, that is the finding."""
        try:
            self._ask(question, report)
        except DataError:
            report.add(question.law, [(f"an entry holds what cannot be read ({question.name})", 0)])
