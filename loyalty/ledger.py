"""The ledger's imperative shell: locks, loads, lets verbs work on accounts, and writes everything set-wise.

One engine for one customer and for thousands: an agent's click is a book of one, a batch of bills a book of hundreds.
No other code writes an entry, a lot, a hold or a balance.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import OperationalError, connection, transaction

from loyalty.account import Account
from loyalty.past import Past, Whole
from loyalty.state import Debt, Entry, Hold, HoldState, Kind, Lot
from tenants import crash
from tenants.actors import Actor
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.saying import said
from tenants.setwise import columns_of, insert, insert_sql, take_ids

REASON_MIN, REASON_MAX = 3, 500
#: What PostgreSQL cannot keep, and what nobody means. Line breaks are fine.
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
#: PostgreSQL asks us to try the whole operation again: serialization failure, deadlock.
AGAIN = {"40001", "40P01"}

LOCK_BALANCES = """
    SELECT customer_id, pending, available, held, owed, entries, moved_to FROM loyalty_balance
    WHERE tenant_id = %s AND customer_id = ANY(%s) ORDER BY customer_id FOR NO KEY UPDATE
"""
PEEK_BALANCES = LOCK_BALANCES.replace("FOR NO KEY UPDATE", "")
LOAD_LOTS = """
    SELECT entry_id, customer_id, granted_on, activates_on, expires_on, pending, available, held FROM loyalty_lot
    WHERE tenant_id = %s AND (customer_id = ANY(%s) AND NOT spent OR entry_id = ANY(%s))
"""
LOAD_HOLDS = """
    SELECT id, customer_id, reference, points, rate, at, expires_at, store_id, bill_no, fingerprint, state, bill_id,
           late_bill_id, late_points
    FROM loyalty_hold WHERE tenant_id = %s AND (customer_id = ANY(%s) AND state = 'active' OR id = ANY(%s)) ORDER BY id
"""
#: What each lot gave to a hold (of an active hold: still holds), and what the hold's end expired of it.
LOAD_HOLD_PARTS = """
    SELECT e.hold_id, m.lot_id,
           (sum(m.delta) FILTER (WHERE e.kind = 'hold' AND m.bucket = 'held'))::bigint,
           (-sum(m.delta) FILTER (WHERE e.kind = 'expire' OR e.kind = 'reversal' AND e.of_kind = 'expire'))::bigint
    FROM loyalty_entry e JOIN loyalty_entrylot m ON m.entry_id = e.id
    WHERE e.tenant_id = %s AND e.hold_id = ANY(%s) GROUP BY e.hold_id, m.lot_id
"""
#: A debt is whoever's had the last merge entry about it, else its own entry's.
LOAD_DEBTS = """
    SELECT d.customer_id, d.id, e.owed + coalesce((SELECT sum(m.delta)::bigint FROM loyalty_entrylot m WHERE m.debt_id = d.id), 0)
    FROM (
        SELECT DISTINCT customer_id, CASE WHEN kind = 'merge' THEN of_entry_id ELSE id END AS id FROM loyalty_entry
        WHERE tenant_id = %s AND customer_id = ANY(%s) AND owed > 0 AND (kind = 'debt' OR of_entry_id IS NOT NULL)
          AND NOT (kind = 'debt' AND EXISTS (
              SELECT FROM loyalty_entrylot r WHERE r.entry_id = loyalty_entry.id AND r.bucket = 'owed' AND r.delta > 0))
    ) d JOIN loyalty_entry e ON e.id = d.id
    WHERE d.customer_id = coalesce((
        SELECT x.customer_id FROM loyalty_entry x WHERE x.of_entry_id = d.id AND x.kind = 'merge' AND x.owed > 0 ORDER BY x.id DESC LIMIT 1
    ), e.customer_id) ORDER BY d.id
"""
LOCK_KEY = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
FIND_KEY = "SELECT operation, fingerprint FROM loyalty_entry WHERE tenant_id = %s AND key = %s ORDER BY seq"

FIND_EMPTY = "SELECT fingerprint, pending, available, held, owed FROM loyalty_emptyoperation WHERE tenant_id = %s AND key = %s"
KEEP_EMPTY = """
    INSERT INTO loyalty_emptyoperation (tenant_id, key, fingerprint, pending, available, held, owed) VALUES (%s, %s, %s, %s, %s, %s, %s)
"""

ENTRY_COLUMNS = {
    "id": "bigint", "tenant_id": "bigint", "customer_id": "bigint", "operation": "bigint", "seq": "smallint", "kind": "text",
    "of_kind": "text", "of_entry_id": "bigint", "pending": "bigint", "available": "bigint", "held": "bigint", "owed": "bigint", "reason": "text",
    "actor_kind": "text", "actor_id": "bigint", "actor_name": "text", "occurred_at": "timestamptz", "business_date": "date",
    "store_id": "bigint", "bill_id": "bigint", "hold_id": "bigint", "job_id": "bigint", "snapshot": "jsonb", "key": "text",
    "fingerprint": "bigint",
}  # fmt: skip
LOT_COLUMNS = {
    "entry_id": "bigint", "tenant_id": "bigint", "customer_id": "bigint", "granted_on": "date", "activates_on": "date",
    "expires_on": "date", "granted_until": "date", "granted": "bigint", "pending": "bigint", "available": "bigint", "held": "bigint",
}  # fmt: skip
MOVEMENT_COLUMNS = {
    "tenant_id": "bigint", "entry_id": "bigint", "lot_id": "bigint", "bucket": "text", "delta": "bigint", "debt_id": "bigint",
}  # fmt: skip
HOLD_COLUMNS = {
    "id": "bigint", "tenant_id": "bigint", "customer_id": "bigint", "store_id": "bigint", "reference": "text", "bill_no": "text",
    "points": "bigint", "rate": "numeric", "at": "timestamptz", "expires_at": "timestamptz", "state": "text",
    "late_points": "bigint", "fingerprint": "bigint", "ended_by": "text", "end_reason": "text",
}  # fmt: skip


INSERT_ENTRIES = insert_sql("loyalty_entry", ENTRY_COLUMNS)
INSERT_LOTS = insert_sql("loyalty_lot", LOT_COLUMNS)
INSERT_MOVEMENTS = insert_sql("loyalty_entrylot", MOVEMENT_COLUMNS)
INSERT_HOLDS = insert_sql("loyalty_hold", HOLD_COLUMNS)
UPDATE_LOTS = """
    UPDATE loyalty_lot SET pending = new.pending, available = new.available, held = new.held
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]) AS new (id, pending, available, held)
    WHERE tenant_id = %s AND entry_id = new.id
"""
EXTEND_LOTS = """
    UPDATE loyalty_lot SET expires_on = new.expires_on FROM unnest(%s::bigint[], %s::date[]) AS new (id, expires_on)
    WHERE tenant_id = %s AND entry_id = new.id
"""
UPDATE_BALANCES = """
    UPDATE loyalty_balance SET pending = new.pending, available = new.available, held = new.held, owed = new.owed,
        entries = loyalty_balance.entries + new.entries, last_activity_at = greatest(last_activity_at, new.at)
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[])
        AS new (customer_id, pending, available, held, owed, entries, at)
    WHERE tenant_id = %s AND loyalty_balance.customer_id = new.customer_id
"""
UPDATE_HOLDS = """
    UPDATE loyalty_hold SET state = new.state, bill_id = new.bill_id, late_bill_id = new.late_bill_id,
        late_points = new.late_points, ended_at = CASE WHEN new.state = 'active' THEN NULL ELSE coalesce(ended_at, new.at) END,
        ended_by = CASE WHEN ended_at IS NULL AND new.state <> 'active' THEN new.by ELSE ended_by END,
        end_reason = CASE WHEN ended_at IS NULL AND new.state <> 'active' THEN new.why ELSE end_reason END
    FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::text[], %s::text[])
        AS new (id, state, bill_id, late_bill_id, late_points, at, by, why)
    WHERE tenant_id = %s AND loyalty_hold.id = new.id
"""


#: What a customer does at a till. Everything else happens to them, and is no activity of theirs.
OWN_DOING = frozenset({Kind.EARN, Kind.HOLD, Kind.CAPTURE, Kind.REDEEM, Kind.ROLLBACK, Kind.RESTORE})
#: Keys of requests by hand, whatever they ask for: one key, one request.
BY_HAND = "by hand:"


class KeyReused(DomainError):
    """The key was used before, for something else."""

    def __init__(self, key: str) -> None:
        super().__init__(
            "key_reused",
            said("This key was used before for a different request. Send the new request with a new key."),
            key=key.removeprefix(BY_HAND),
        )


def content_hash(*parts: object) -> int:
    """64 bits of a request's content, as PostgreSQL's bigint holds them."""
    text = json.dumps(parts, default=str, ensure_ascii=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def checked_reason(reason: str) -> str:
    """The trimmed reason. Raises: DomainError `reason_length` (CASES 82)."""
    reason = reason.strip()
    if UNWRITABLE.search(reason):
        raise DomainError("bad_value", said("The reason holds control characters. Write it in plain text."), path="reason")
    if not REASON_MIN <= len(reason) <= REASON_MAX:
        told = said("Give a reason of {least} to {most} characters.", least=REASON_MIN, most=REASON_MAX)
        raise DomainError("reason_length", told, length=len(reason))
    return reason


@dataclass(slots=True, eq=False)
class Operation:
    """One business act: what all its entries share. `id` is its first entry's, 0 until written."""

    actor: Actor
    reason: str
    key: str
    fingerprint: int
    occurred_at: datetime
    business_date: date
    store_id: int | None = None
    bill_id: int | None = None
    job_id: int | None = None
    id: int = 0
    entries: int = 0


class CustomerMerged(DomainError):
    """The customer was merged into another one, whose points these are now."""

    def __init__(self, customer_id: int, into: int) -> None:
        super().__init__(
            "customer_merged", said("This customer was merged into another one. Open that one; the points are there."),
            customer=customer_id, into=into,
        )  # fmt: skip
        self.into = into


class UnknownCustomer(DomainError):
    """There is no customer with this id, or it is another tenant's."""

    def __init__(self) -> None:
        super().__init__("unknown_customer", said("There is no such customer in this programme. Check the number."))


class OwnerChanged(DomainError):
    """What was to be changed belongs to another customer than a moment ago: a merge, or the undoing of one."""

    def __init__(self) -> None:
        super().__init__("owner_changed", said("These points belong to another customer now. Reload and try again from there."))


def of_owner[T](find: Callable[[], int], attempt: Callable[[int], T]) -> T:
    """Do something to whoever owns it. A merge between the look and the lock is noticed, and the look repeated."""
    for left in (2, 1, 0):
        owner = find()
        try:
            return attempt(owner)
        except (CustomerMerged, OwnerChanged):
            if not left:
                raise
    raise AssertionError("unreachable")


class Book:
    """Accounts under lock, by customer id. Made by `open`; written when the `with` block ends."""

    def __init__(
        self,
        tenant: Tenant,
        accounts: dict[int, Account],
        holds: dict[int, Hold],
        owners: dict[int, int],
        *,
        now: datetime,
        operations: dict[int, Whole] | None = None,
        gone: dict[int, DomainError] | None = None,
    ) -> None:
        self.tenant = tenant
        self.now = now
        self.holds = holds
        #: Those asked for with `undo`, by operation id.
        self.operations = operations or {}
        #: Of those asked for, whom there is no account of here any more, and why; only where the book was opened for `those_here`.
        self.gone = gone or {}
        self._accounts = accounts
        self._owners = owners

    def __getitem__(self, customer_id: int) -> Account:
        return self._accounts[customer_id]

    @property
    def customer_ids(self) -> list[int]:
        return list(self._accounts)

    def __contains__(self, customer_id: int) -> bool:
        return customer_id in self._accounts

    def load_lots(self, lot_ids: list[int]) -> list[Lot]:
        """Further lots by id, spent ones too."""
        with connection.cursor() as cursor:
            return list(_load_lots(cursor, self.tenant, {}, lot_ids)[0].values())

    def owner_of(self, hold: Hold) -> int:
        """The customer id of a loaded hold."""
        return self._owners[hold.id]

    @contextmanager
    def operation(self, customer_id: int, operation: Operation) -> Iterator[Account]:
        """Verbs used inside belong to one operation; a refusal in the middle undoes all of them."""
        account = self._accounts[customer_id]
        mark = account.mark()
        account.operation = operation
        try:
            yield account
        except BaseException:
            account.back_to(mark)
            raise
        finally:
            account.operation = None

    @contextmanager
    def operation_of_two(self, first: int, second: int, operation: Operation) -> Iterator[tuple[Account, Account]]:
        """One operation over two customers."""
        with self.operation(first, operation) as one, self.operation(second, operation) as two:
            yield one, two

    def earlier(self, key: str, *, fingerprint: int, also: Callable[[], Collection[int]] = tuple) -> int | None:
        """The operation that was posted under this key, or None. Raises: KeyReused, when its content was another.

        `also` finds further fingerprints that mean the same request.
        The key is locked until the transaction ends: the same key for another customer waits here, and then is found.
        """
        with connection.cursor() as cursor:
            cursor.execute(LOCK_KEY, [f"{self.tenant.pk}:{key}"])
            cursor.execute(FIND_KEY, [self.tenant.pk, key])
            row = cursor.fetchone()
        if row is not None and row[1] != fingerprint and row[1] not in also():
            raise KeyReused(key)
        return int(row[0]) if row else None

    def found_nothing(
        self, key: str, *, fingerprint: int, also: Callable[[], Collection[int]] = tuple
    ) -> tuple[int, int, int, int] | None:
        """The balance at which this very request found nothing to do before; ask `earlier` first, which locks the key.

        Raises: KeyReused.
        """
        with connection.cursor() as cursor:
            cursor.execute(FIND_EMPTY, [self.tenant.pk, key])
            row = cursor.fetchone()
        if row is not None and row[0] != fingerprint and row[0] not in also():
            raise KeyReused(key)
        return row[1:] if row else None

    def keep_nothing(self, operation: Operation, account: Account) -> None:
        """Remember a request that found nothing to do."""
        values: list[Any] = [
            self.tenant.pk,
            operation.key,
            operation.fingerprint,
            account.pending,
            account.available,
            account.held,
            account.owed,
        ]
        with connection.cursor() as cursor:
            cursor.execute(KEEP_EMPTY, values)

    def number(self) -> None:
        """Give ids to what the verbs recorded: what `flush` then writes asks the server nothing."""
        entries = [entry for account in self._accounts.values() for entry in account.entries if not entry.id]
        if not entries:
            return
        with connection.cursor() as cursor:
            ids = take_ids(cursor, "loyalty_entry_id_seq", len(entries))
        for entry, entry_id in zip(entries, ids, strict=True):
            entry.id = entry_id
            if entry.lot is not None:
                entry.lot.id = entry_id
            if entry.debt is not None:
                entry.debt.id = entry_id

    def flush(self) -> None:
        """Write what the verbs recorded. Ids first, then every table with one statement. Again: what they recorded since."""
        self.number()
        entries = [(account, entry) for account in self._accounts.values() for entry in account.entries]
        with connection.cursor() as cursor:
            if entries:
                self._write_holds(cursor, [entry.hold for _, entry in entries if entry.kind is Kind.HOLD and entry.hold])
                crash.point("ledger_before_entries")
                self._write_entries(cursor, entries)
                self._write_lots(cursor, entries)
                crash.point("ledger_after_entries")
                self._update_balances(cursor)
            self._update_holds(cursor)
        crash.point("ledger_after_flush")
        for account in self._accounts.values():
            account.written()

    def _write_holds(self, cursor: Any, holds: Sequence[Hold]) -> None:
        if not holds:
            return
        for hold, hold_id in zip(holds, take_ids(cursor, "loyalty_hold_id_seq", len(holds)), strict=True):
            hold.id = hold_id
        owner = {id(hold): account.customer_id for account in self._accounts.values() for hold in account.holds}
        # A hold that ended in the very operation that made it is written as made: the update below ends it.
        rows = [
            (hold.id, self.tenant.pk, owner[id(hold)], hold.store_id, hold.reference, hold.bill_no, hold.points, hold.rate,
             hold.at, hold.expires_at, HoldState.ACTIVE.value, 0, hold.fingerprint, "", "")
            for hold in holds
        ]  # fmt: skip
        insert(cursor, INSERT_HOLDS, rows)

    def _write_entries(self, cursor: Any, entries: list[tuple[Account, Entry]]) -> None:
        rows = []
        tenant_id = self.tenant.pk
        for account, entry in entries:
            operation: Operation = entry.operation
            operation.id = operation.id or entry.id
            seq, operation.entries = operation.entries, operation.entries + 1
            actor = operation.actor
            rows.append(
                (entry.id, tenant_id, account.customer_id, operation.id, seq, entry.kind.value,
                 entry.of_kind.value if entry.of_kind else None, entry.of_entry, entry.pending, entry.available, entry.held, entry.owed,
                 operation.reason, actor.kind.value, actor.id, actor.name, operation.occurred_at, operation.business_date,
                 operation.store_id, operation.bill_id, entry.hold.id if entry.hold else None, operation.job_id,
                 json.dumps(entry.snapshot) if entry.snapshot is not None else None, operation.key, operation.fingerprint)
            )  # fmt: skip
        insert(cursor, INSERT_ENTRIES, rows)

    def _write_lots(self, cursor: Any, entries: list[tuple[Account, Entry]]) -> None:
        tenant_id = self.tenant.pk
        fresh = {id(entry.lot) for _, entry in entries if entry.lot is not None}
        lots = [
            (entry.lot.id, tenant_id, account.customer_id, entry.lot.granted_on, entry.lot.activates_on, entry.lot.expires_on,
             entry.lot.expires_on, entry.movements[0].delta, entry.lot.pending, entry.lot.available, entry.lot.held)
            for account, entry in entries
            if entry.lot is not None
        ]  # fmt: skip
        movements = [
            (
                tenant_id,
                entry.id,
                move.lot.id if move.lot else None,
                move.bucket.value,
                move.delta,
                move.debt.id if move.debt else None,
            )
            for _, entry in entries
            for move in entry.movements
        ]
        changed = {
            id(move.lot): move.lot for _, entry in entries for move in entry.movements if move.lot and id(move.lot) not in fresh
        }
        insert(cursor, INSERT_LOTS, lots)
        insert(cursor, INSERT_MOVEMENTS, movements)
        if changed:
            rows = [(lot.id, lot.pending, lot.available, lot.held) for lot in changed.values()]
            cursor.execute(UPDATE_LOTS, [*columns_of(rows), tenant_id])
        extended = [(lot.id, lot.expires_on) for account in self._accounts.values() for lot in account.extended_lots()]
        if extended:
            cursor.execute(EXTEND_LOTS, [*columns_of(extended), tenant_id])

    def _update_balances(self, cursor: Any) -> None:
        rows = [
            (account.customer_id, account.pending, account.available, account.held, account.owed, len(account.entries),
             max((entry.operation.occurred_at for entry in account.entries if entry.kind in OWN_DOING), default=None))
            for account in self._accounts.values()
            if account.entries
        ]  # fmt: skip
        cursor.execute(UPDATE_BALANCES, [*columns_of(rows), self.tenant.pk])

    def _update_holds(self, cursor: Any) -> None:
        rows = []
        for account in self._accounts.values():
            for hold, operation in account.changed_holds():
                rows.append(
                    (hold.id, hold.state.value, hold.bill_id, hold.late_bill_id, hold.late_points, self.now,
                     operation.actor.name, operation.reason)
                )  # fmt: skip
        if rows:
            cursor.execute(UPDATE_HOLDS, [*columns_of(rows), self.tenant.pk])


@contextmanager
def open(
    tenant: Tenant,
    customer_ids: Iterable[int],
    *,
    now: datetime,
    holds: Collection[int] = (),
    spending: Collection[int] | None = None,
    undo: Collection[int] = (),
    ignoring: Collection[int] = (),
    those_here: bool = False,
) -> Iterator[Book]:
    """Lock these customers (lowest id first), load their accounts, and write on exit, all in one transaction.

    `holds`: ids of ended holds that the caller needs beside the active ones. `spending`: whose lots are needed (default: all);
    the others can only be given points. `undo`: ids of operations that are to be undone, in whole or in part; they stand in
    `book.operations`. `ignoring`: those of them that surely are, so that what they had undone stands again. `those_here`:
    customers who were merged away or are nobody's stand in `book.gone`, and the others are worked on. An exception writes nothing.

    Raises: DomainError `unknown_customer`, when one of the ids is not this tenant's; CustomerMerged.
    """
    ids = sorted(set(customer_ids))
    with transaction.atomic():
        book = _load(
            tenant, ids, list(holds), now=now, statement=LOCK_BALANCES, spending=spending, undo=list(undo), ignoring=ignoring,
            those_here=those_here,
        )  # fmt: skip
        crash.point("ledger_after_lock")
        yield book
        book.flush()


def peek(
    tenant: Tenant,
    customer_ids: Iterable[int],
    *,
    now: datetime,
    holds: Collection[int] = (),
    spending: Collection[int] | None = None,
    undo: Collection[int] = (),
    those_here: bool = False,
) -> Book:
    """The same accounts without a lock, to try verbs on: a preview is the verb itself, never written."""
    return _load(
        tenant, sorted(set(customer_ids)), list(holds), now=now, statement=PEEK_BALANCES, spending=spending, undo=list(undo),
        those_here=those_here,
    )  # fmt: skip


def _load(
    tenant: Tenant,
    ids: list[int],
    hold_ids: list[int],
    *,
    now: datetime,
    statement: str,
    spending: Collection[int] | None = None,
    undo: list[int],
    ignoring: Collection[int] = (),
    those_here: bool = False,
) -> Book:
    with connection.cursor() as cursor:
        accounts, gone = _load_accounts(cursor, tenant, ids, statement)
        if gone and not those_here:
            raise next(iter(gone.values()))
        if spending is not None:
            for account in accounts.values():
                account.lots_known = account.customer_id in spending
        past = Past.load(cursor, tenant, undo, ignoring=ignoring) if undo else Past()
        holding = [account.customer_id for account in accounts.values() if account.held]
        holds, owners = _load_holds(cursor, tenant, holding, [*hold_ids, *past.hold_ids])
        parts: list[tuple[int, int, int | None, int | None]] = []
        if holds:
            cursor.execute(LOAD_HOLD_PARTS, [tenant.pk, list(holds)])
            parts = cursor.fetchall()
        lots, foreign = _load_lots(cursor, tenant, accounts, [*(row[1] for row in parts), *past.lot_ids])
        if foreign & set(past.lot_ids):
            raise OwnerChanged
        for hold_id, lot_id, held, lapsed in parts:
            if held:
                holds[hold_id].parts.append((lots[lot_id], held))
            if lapsed:
                holds[hold_id].lapsed.append((lots[lot_id], lapsed))
        for hold in holds.values():
            if owners[hold.id] in accounts:
                accounts[owners[hold.id]].holds.append(hold)
        debts: dict[int, Debt] = {}
        owing = [account.customer_id for account in accounts.values() if account.owed]
        if owing:
            cursor.execute(LOAD_DEBTS, [tenant.pk, owing])
            for customer_id, entry_id, unpaid in cursor.fetchall():
                if unpaid:
                    debts[entry_id] = Debt(entry_id, unpaid)
                    accounts[customer_id].debts.append(debts[entry_id])
    return Book(tenant, accounts, holds, owners, now=now, operations=past.wholes(lots, holds, debts), gone=gone)


def _load_accounts(
    cursor: Any, tenant: Tenant, ids: list[int], statement: str
) -> tuple[dict[int, Account], dict[int, DomainError]]:
    """-> accounts by id, and whom there is none of, with why."""
    cursor.execute(statement, [tenant.pk, ids])
    balances = cursor.fetchall()
    accounts: dict[int, Account] = {}
    gone: dict[int, DomainError] = {}
    if len(balances) != len(ids):
        gone = {customer_id: UnknownCustomer() for customer_id in set(ids) - {row[0] for row in balances}}
    for customer_id, pending, available, held, owed, version, moved_to in balances:
        if moved_to is not None:
            gone[customer_id] = CustomerMerged(customer_id, moved_to)
            continue
        accounts[customer_id] = Account(
            customer_id, pending=pending, available=available, held=held, owed=owed, negative_allowed=tenant.negative_allowed,
            version=version,
        )  # fmt: skip
    return accounts, gone


def _load_holds(cursor: Any, tenant: Tenant, holding: list[int], hold_ids: list[int]) -> tuple[dict[int, Hold], dict[int, int]]:
    if not (holding or hold_ids):
        return {}, {}
    cursor.execute(LOAD_HOLDS, [tenant.pk, holding, hold_ids])
    holds: dict[int, Hold] = {}
    owners: dict[int, int] = {}
    for row in cursor.fetchall():
        holds[row[0]] = Hold(
            id=row[0], reference=row[2], points=row[3], rate=row[4], at=row[5], expires_at=row[6], store_id=row[7], bill_no=row[8],
            fingerprint=row[9], state=HoldState(row[10]), bill_id=row[11], late_bill_id=row[12], late_points=row[13],
        )  # fmt: skip
        owners[row[0]] = row[1]
    return holds, owners


def _load_lots(cursor: Any, tenant: Tenant, accounts: dict[int, Account], lot_ids: list[int]) -> tuple[dict[int, Lot], set[int]]:
    """-> lots by id, and which of them are of customers not in the book."""
    wanted = [account.customer_id for account in accounts.values() if account.lots_known]
    lots: dict[int, Lot] = {}
    foreign: set[int] = set()
    if not (wanted or lot_ids):
        return lots, foreign
    cursor.execute(LOAD_LOTS, [tenant.pk, wanted, lot_ids])
    for lot_id, customer_id, granted_on, activates_on, expires_on, pending, available, held in cursor.fetchall():
        lot = lots[lot_id] = Lot(granted_on, activates_on, expires_on, lot_id, pending, available, held)
        if customer_id in accounts:
            accounts[customer_id].lots.append(lot)
        else:
            foreign.add(lot_id)
    return lots, foreign


def retried[T](attempt: Callable[[], T], *, tries: int = 5) -> T:
    """Run a whole operation, its transaction included, again where PostgreSQL asks for it (deadlock, serialization).

    The only place that does so. Not inside a transaction: there the outermost owner retries.
    """
    for left in range(tries - 1, -1, -1):
        try:
            return attempt()
        except OperationalError as problem:
            if left == 0 or getattr(problem.__cause__, "sqlstate", None) not in AGAIN or connection.in_atomic_block:
                raise
    raise AssertionError("unreachable")
