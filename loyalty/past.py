"""Earlier operations, read back to be undone: what each entry did, what of it still stands, and who paid its debts."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from loyalty.account import Effect, effects_of
from loyalty.state import Bucket, Debt, Entry, Hold, Kind, Lot, Movement
from tenants.models import Tenant

#: The entries of some operations. All of one operation share a key, and the key has an index.
LOAD_OPERATIONS = """
    SELECT id, operation, kind, of_kind, pending, available, held, owed, hold_id, of_entry_id, snapshot FROM loyalty_entry
    WHERE tenant_id = %s AND key IN (SELECT key FROM loyalty_entry WHERE tenant_id = %s AND id = ANY(%s)) AND operation = ANY(%s)
    ORDER BY id
"""
LOAD_MOVEMENTS = "SELECT entry_id, lot_id, bucket, delta, debt_id FROM loyalty_entrylot WHERE entry_id = ANY(%s) ORDER BY id"
#: How many points of an entry were undone, without what those entries paid of debts on the way or gave back of payments; and how often.
#: A return that was itself undone has undone nothing.
LOAD_UNDONE = """
    WITH undoing AS (
        SELECT id, of_entry_id AS entry_id, kind, owed FROM loyalty_entry
        WHERE tenant_id = %(tenant)s AND of_entry_id = ANY(%(entries)s) AND kind <> 'merge' AND NOT (
            operation = ANY(%(ignoring)s) AND (kind IN ('rollback', 'restore') OR kind = 'debt' AND of_kind = 'rollback'))
    ), counted AS (
        SELECT id, entry_id, kind, owed, 1 AS times FROM undoing
        UNION ALL
        SELECT x.id, u.entry_id, x.kind, x.owed, -1 FROM undoing u
        JOIN loyalty_entry x ON x.of_entry_id = u.id AND x.kind IN ('reversal', 'debt')
    )
    SELECT c.entry_id, coalesce(sum(c.times * CASE WHEN c.kind = 'debt' THEN c.owed ELSE m.points END), 0)::bigint, sum(c.times)::bigint
    FROM counted c LEFT JOIN LATERAL (
        SELECT sum(abs(delta)) AS points FROM loyalty_entrylot WHERE entry_id = c.id AND (lot_id IS NULL OR debt_id IS NULL)
    ) m ON true
    GROUP BY c.entry_id
"""
#: What ran out unspent of lots.
LOAD_EXPIRED = """
    SELECT m.lot_id, -sum(m.delta)::bigint FROM loyalty_entrylot m JOIN loyalty_entry e ON e.id = m.entry_id
    WHERE m.tenant_id = %s AND m.lot_id = ANY(%s) AND (e.kind = 'expire' OR e.kind = 'reversal' AND e.of_kind = 'expire') GROUP BY m.lot_id
"""
LOAD_PAYMENTS = "SELECT debt_id, lot_id, delta FROM loyalty_entrylot WHERE debt_id = ANY(%s) AND lot_id IS NOT NULL ORDER BY id"


@dataclass(frozen=True, slots=True)
class Whole:
    """An operation as it was posted, and what of it can still be undone, in the order of its entries."""

    effects: list[Effect]
    kinds: frozenset[Kind]


class Past:
    """Rows of some operations. The book loads holds and lots with `hold_ids` and `lot_ids`, then asks for the `wholes`."""

    def __init__(self) -> None:
        self.entries: list[tuple[Any, ...]] = []
        self.movements: dict[int, list[tuple[int | None, str, int, int | None]]] = defaultdict(list)
        self.undone: dict[int, tuple[int, int]] = {}
        self.expired: dict[int, int] = {}
        self.payments: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._debts: dict[int, Debt] = {}

    @classmethod
    def load(cls, cursor: Any, tenant: Tenant, operations: list[int], *, ignoring: Collection[int] = ()) -> "Past":
        """`ignoring`: operations that are about to be undone, so what they undid counts as standing."""
        past = cls()
        cursor.execute(LOAD_OPERATIONS, [tenant.pk, tenant.pk, operations, operations])
        past.entries = [(*row[:-1], json.loads(row[-1]) if isinstance(row[-1], str) else row[-1]) for row in cursor.fetchall()]
        ids = [row[0] for row in past.entries]
        cursor.execute(LOAD_MOVEMENTS, [ids])
        for entry_id, *movement in cursor.fetchall():
            past.movements[entry_id].append(tuple(movement))
        cursor.execute(LOAD_UNDONE, {"tenant": tenant.pk, "entries": ids, "ignoring": list(ignoring)})
        past.undone = {row[0]: row[1:] for row in cursor.fetchall()}
        granted = [move[0] for moves in past.movements.values() for move in moves if move[0] and move[2] > 0]
        if granted:
            cursor.execute(LOAD_EXPIRED, [tenant.pk, granted])
            past.expired = dict(cursor.fetchall())
        debts = [row[0] for row in past.entries if row[2] == Kind.DEBT]
        if debts:
            cursor.execute(LOAD_PAYMENTS, [debts])
            payments = cursor.fetchall()
            stands = Counter[tuple[int, int]]()
            for debt_id, lot_id, delta in payments:
                stands[debt_id, lot_id] += delta
            for debt_id, lot_id, delta in payments:
                if stands[debt_id, lot_id]:  # else it came back whole, and the lot may be anybody's by now
                    past.payments[debt_id].append((lot_id, delta))
        return past

    @property
    def hold_ids(self) -> list[int]:
        return [row[8] for row in self.entries if row[8]]

    @property
    def lot_ids(self) -> list[int]:
        moved = [move[0] for moves in self.movements.values() for move in moves if move[0]]
        extended = [each["lot"] for row in self.entries if row[2] == Kind.EXTEND for each in row[10]["lots"]]
        return [*moved, *extended, *(lot_id for payments in self.payments.values() for lot_id, _ in payments)]

    def wholes(self, lots: dict[int, Lot], holds: dict[int, Hold], debts: dict[int, Debt]) -> dict[int, Whole]:
        self._debts = debts
        for lot_id, points in self.expired.items():
            lots[lot_id].expired = points
        entries: dict[int, list[Entry]] = defaultdict(list)
        for row in self.entries:
            entries[row[1]].append(self._entry(row, lots, holds))
        found = {}
        for operation, of_it in entries.items():
            effects = effects_of(of_it, lots=lots.values())
            for effect in effects:
                points, times = self.undone.get(effect.entry_id, (0, 0))
                effect.used(points, wholly=times > 0)
            found[operation] = Whole(effects, frozenset(entry.kind for entry in of_it))
        return found

    def _entry(self, row: tuple[Any, ...], lots: dict[int, Lot], holds: dict[int, Hold]) -> Entry:
        entry_id, _, kind, of_kind, pending, available, held, owed, hold_id, of_entry, snapshot = row
        entry = Entry(
            Kind(kind), pending, available, held, owed, of_kind=Kind(of_kind) if of_kind else None, of_entry=of_entry, id=entry_id,
            snapshot=snapshot, hold=holds.get(hold_id),
        )  # fmt: skip
        entry.movements = [
            Movement(lots[lot_id] if lot_id else None, Bucket(bucket), delta, self._the_debt(debt_id) if debt_id else None)
            for lot_id, bucket, delta, debt_id in self.movements[entry_id]
        ]
        if entry.kind is Kind.ADJUST and entry.movements and entry.movements[0].delta > 0:
            entry.lot = entry.movements[0].lot
        if entry.kind is Kind.DEBT:
            entry.debt = self._debt(entry_id, lots)
        return entry

    def _the_debt(self, debt_id: int) -> Debt:
        """One object for each debt, whoever names it; one that is not loaded is paid."""
        return self._debts.setdefault(debt_id, Debt(debt_id, 0))

    def _debt(self, entry_id: int, lots: dict[int, Lot]) -> Debt:
        """With its payers, which are needed to undo it."""
        debt = self._the_debt(entry_id)
        payers: list[tuple[Lot, int]] = []
        for lot_id, delta in self.payments[entry_id]:
            if delta < 0:
                payers.append((lots[lot_id], -delta))
                continue
            while delta:
                lot, paid = payers.pop()
                delta, paid = delta - min(delta, paid), paid - min(delta, paid)
                if paid:
                    payers.append((lot, paid))
        debt.payers = tuple(payers)
        return debt
