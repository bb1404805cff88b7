"""The tamper-evidence chain: who changes, removes or slips in a row behind our back, with whatever rights, is found, and the row named.

Entries with their movements, lots and holds are hashed in blocks, each bound to the one before, away from the hot path: one worker, rows
older than a delay, in the order of their ids. An id is safe to seal once every transaction that was open when it was taken has ended,
so nothing can appear below a seal. The digest of the last block, kept elsewhere, proves the whole past; `verify` recomputes it.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched

from django.db import connection, transaction
from django_scopes import scope

from loyalty.models import Seal, SealBound
from tenants import crash
from tenants.models import Tenant

HASH_BYTES = 16
BLOCK_ENTRIES = 1000
DELAY = timedelta(minutes=2)
FIRST = b"\0" * 32
#: Before every id there can be, also one that somebody slipped in below the first.
BEFORE_ALL = -(2**63)

_HASHES = """
    SELECT e.id, sha256(convert_to(jsonb_build_array(e.id, e.customer_id, e.operation, e.seq, e.kind, e.of_kind, e.of_entry_id,
        e.pending, e.available, e.held, e.owed, e.reason, e.actor_kind, e.actor_id, e.actor_name,
        (extract(epoch FROM e.occurred_at) * 1000000)::bigint, to_char(e.business_date, 'YYYYMMDD'),
        (extract(epoch FROM e.posted_at) * 1000000)::bigint, e.store_id, e.bill_id, e.hold_id, e.job_id, e.snapshot, e.key,
        e.fingerprint,
        (SELECT jsonb_agg(jsonb_build_array(m.id, m.lot_id, m.bucket, m.delta, m.debt_id) ORDER BY m.id)
         FROM loyalty_entrylot m WHERE m.entry_id = e.id){further})::text, 'UTF8'))
    FROM loyalty_entry e WHERE e.tenant_id = %s AND e.id > %s AND e.id <= %s ORDER BY e.id
"""
#: What never changes of the lot that an entry granted and of the hold that it placed.
_LOT_AND_HOLD = """,
        (SELECT jsonb_build_array(l.granted_on, l.activates_on, l.granted_until, l.granted) FROM loyalty_lot l WHERE l.entry_id = e.id),
        (SELECT jsonb_build_array(h.reference, h.bill_no, h.store_id, h.points, h.rate, h.fingerprint,
            (extract(epoch FROM h.at) * 1000000)::bigint, (extract(epoch FROM h.expires_at) * 1000000)::bigint)
         FROM loyalty_hold h WHERE h.id = e.hold_id AND e.kind = 'hold')
"""
#: What is sealed of an entry: every column that says something, and its movements, as a JSON array, so that nothing can move from one
#: column into the next. Instants in microseconds: no time zone changes them. A block says which of these its hashes are of: 1 is what
#: was sealed before lots and holds were.
HASHES = {1: _HASHES.format(further=""), 2: _HASHES.format(further=_LOT_AND_HOLD)}
CONTENT = max(HASHES)
#: Where the database stands: which cluster, up to which entry id, from which transaction on the next ones begin, and which are open.
STAND = """
    SELECT (SELECT system_identifier::text FROM pg_control_system()),
           (SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM loyalty_entry_id_seq),
           pg_snapshot_xmax(pg_current_snapshot())::text, pg_snapshot_xmin(pg_current_snapshot())::text
"""


@dataclass(frozen=True, slots=True)
class Broken:
    """What differs from the seal. `entry`: 0, when the block itself was touched."""

    what: str
    block: int
    entry: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """`head`: the digest of the last block, in hex; keep it elsewhere."""

    blocks: int
    entries: int
    head: str
    broken: list[Broken]

    @property
    def ok(self) -> bool:
        return not self.broken


def note_bound(*, now: datetime) -> SealBound | None:
    """Move the bound: the older one, if its transactions have all ended, is what may be sealed now; a new one is noted for next time."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('pointdesk.seal'))")
        cursor.execute(STAND)
        system, up_to_id, next_transaction, oldest_open = cursor.fetchone()
        noted = SealBound.objects.order_by("id").first()
        if noted is not None and noted.system == system:
            if noted.noted_at > now - DELAY or int(oldest_open) < int(noted.transaction):
                return None
            SealBound.objects.filter(pk=noted.pk).delete()
        elif noted is not None:  # another cluster: it was restored, and nothing of the old one is still running
            SealBound.objects.all().delete()
            noted = None
        SealBound.objects.create(up_to_id=up_to_id, system=system, transaction=next_transaction, noted_at=now)
        return noted


def seal(tenant: Tenant, *, up_to_id: int) -> int:
    """Seal a tenant's entries up to this id that are not sealed yet. -> how many. Each block is a transaction of its own."""
    sealed = 0
    with scope(tenant=tenant):
        while True:
            with transaction.atomic():
                count = _seal_block(tenant, up_to_id)
            if not count:
                return sealed
            sealed += count


def _seal_block(tenant: Tenant, up_to_id: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('pointdesk.seal'), %s)", [tenant.pk % 2**31])
        last = Seal.objects.filter(tenant=tenant).order_by("-number").first()
        after_id = last.up_to_id if last else BEFORE_ALL
        cursor.execute(HASHES[CONTENT] + " LIMIT %s", [tenant.pk, after_id, up_to_id, BLOCK_ENTRIES])
        rows = cursor.fetchall()
    if not rows:
        return 0
    crash.point("chain_before_seal")
    ids, hashes = [row[0] for row in rows], b"".join(bytes(row[1])[:HASH_BYTES] for row in rows)
    Seal.objects.create(
        tenant=tenant, number=last.number + 1 if last else 1, content=CONTENT, after_id=after_id, up_to_id=ids[-1], entry_ids=ids, hashes=hashes,
        digest=_digest(bytes(last.digest) if last else FIRST, tenant.pk, after_id, ids, hashes),
    )  # fmt: skip
    return len(rows)


def _digest(before: bytes, tenant_id: int, after_id: int, ids: Iterable[int], hashes: bytes) -> bytes:
    text = f"{tenant_id}:{after_id}:{','.join(map(str, ids))}:".encode()
    return hashlib.sha256(before + text + hashes).digest()


def seal_everywhere(*, now: datetime) -> int:
    """Seal what is old enough, tenant by tenant. -> entries sealed."""
    bound = note_bound(now=now)
    if bound is None:
        return 0
    return sum(seal(tenant, up_to_id=bound.up_to_id) for tenant in Tenant.objects.order_by("pk"))


def verify(tenant: Tenant, *, head: str = "") -> Verdict:
    """Recompute every block of a tenant from the entries as they are now.

    `head`: a digest (hex) that was kept elsewhere; it must be the digest of one of the blocks, else the chain was written anew.
    """
    broken: list[Broken] = []
    blocks = entries = 0
    before, after_id = FIRST, BEFORE_ALL
    known = not head
    with scope(tenant=tenant):
        for block in Seal.objects.filter(tenant=tenant).order_by("number").iterator(chunk_size=20):
            blocks, entries = blocks + 1, entries + len(block.entry_ids)
            hashes, digest = bytes(block.hashes), bytes(block.digest)
            if (block.number, block.after_id) != (blocks, after_id):
                broken.append(Broken("a block is missing before this one", block.number, 0))
            if _digest(before, tenant.pk, block.after_id, block.entry_ids, hashes) != digest:
                broken.append(Broken("the block does not continue the one before it", block.number, 0))
            broken += _differences(tenant, block, hashes)
            before, after_id, blocks = digest, block.up_to_id, block.number
            known = known or digest.hex() == head
    if not known:
        broken.append(Broken("no block has the digest that was kept: the chain was written anew or cut", blocks, 0))
    return Verdict(blocks, entries, before.hex() if blocks else "", broken)


def _differences(tenant: Tenant, block: Seal, hashes: bytes) -> Iterator[Broken]:
    sealed = dict(zip(block.entry_ids, (bytes(each) for each in batched(hashes, HASH_BYTES)), strict=True))
    with connection.cursor() as cursor:
        cursor.execute(HASHES[block.content], [tenant.pk, block.after_id, block.up_to_id])
        there = {row[0]: bytes(row[1])[:HASH_BYTES] for row in cursor.fetchall()}
    for entry_id in sorted(sealed.keys() | there.keys()):
        if entry_id not in there:
            yield Broken("the entry is missing", block.number, entry_id)
        elif entry_id not in sealed:
            yield Broken("the entry was inserted behind the seal", block.number, entry_id)
        elif sealed[entry_id] != there[entry_id]:
            yield Broken("the entry, its movements, its lot or its hold were changed", block.number, entry_id)
