"""Tamper-evidence chains: who changes, removes or slips in a row behind our back, with whatever rights, is found, and the row named.

Rows that are written once are hashed in blocks, each bound to the one before, away from the hot path: one worker, rows older than a
delay, in the order of their ids. An id is safe to seal once every transaction that was open when it was taken has ended, so nothing can
appear below a seal. The digest of the last block, kept elsewhere, proves the whole past; `verify` recomputes it.

A chain is a table's: the ledger's is in `loyalty`, the audit trail's in `tenants.trail`.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched

import structlog
from django.db import DataError, connection, transaction
from django_scopes import scope

from tenants import crash
from tenants.models import SealBlock, SealLimit, Tenant

log = structlog.get_logger("pointdesk.chain")
HASH_BYTES = 16
BLOCK_ROWS = 1000
DELAY = timedelta(minutes=2)
FIRST = b"\0" * 32
#: Before every id there can be, also one that somebody slipped in below the first.
BEFORE_ALL = -(2**63)
#: Where the database stands: which cluster, up to which id, after which transaction the next ones begin (our own: a snapshot's xmax lies behind
#: those that run and have the highest numbers), and which is the oldest that is open.
STAND = """
    SELECT (SELECT system_identifier::text FROM pg_control_system()),
           (SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM {sequence}),
           pg_current_xact_id()::text, pg_snapshot_xmin(pg_current_snapshot())::text
"""


@dataclass(frozen=True, slots=True)
class Broken:
    """What differs from the seal. `row`: its id; 0, when the block itself was touched."""

    what: str
    block: int
    row: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """`head`: the digest of the last block, in hex; keep it elsewhere."""

    blocks: int
    rows: int
    head: str
    broken: list[Broken]

    @property
    def ok(self) -> bool:
        return not self.broken


@dataclass(frozen=True, slots=True)
class Head:
    """The last block: all rows up to `up_to_id` are proven by its digest (hex)."""

    block: int
    up_to_id: int
    digest: str


@dataclass(frozen=True, slots=True)
class Chain:
    """`hashes`: by the content that a block says it has, a statement (tenant, after id, up to id) -> (id, SHA-256 of all that the row says),
    in the order of ids; new blocks have the last. `a_row`: what people call one, `with_it`: what is hashed with it."""

    name: str
    seals: type[SealBlock]
    limits: type[SealLimit]
    sequence: str
    hashes: dict[int, str]
    a_row: str
    with_it: str = ""

    @property
    def lock(self) -> str:
        return f"pointdesk.{self.name}"

    def note_limit(self, *, now: datetime) -> SealLimit | None:
        """Move the limit: the older one, if its transactions have all ended, is what may be sealed now; a new one is noted for next time.

        In two steps, each after the delay: a limit is noted first, and only then, up to which transaction one waits. Whoever took an id below it
        has begun to write by then, so their transaction is among those; at the moment an id is taken it need not have a number yet.
        """
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [self.lock])
            cursor.execute(STAND.format(sequence=self.sequence))
            system, up_to_id, next_transaction, oldest_open = cursor.fetchone()
            noted: SealLimit | None = self.limits.objects.order_by("id").first()
            if noted is not None and noted.system == system:
                if noted.noted_at > now - DELAY:
                    return None
                if not noted.transaction:
                    self.limits.objects.filter(pk=noted.pk).update(transaction=next_transaction, noted_at=now)
                    return None
                if int(oldest_open) < int(noted.transaction):
                    return None
                self.limits.objects.filter(pk=noted.pk).delete()
            elif noted is not None:  # another cluster: it was restored, and nothing of the old one is still running
                self.limits.objects.all().delete()
                noted = None
            self.limits.objects.create(up_to_id=up_to_id, system=system, transaction="", noted_at=now)
            return noted

    def seal(self, tenant: Tenant, *, up_to_id: int) -> int:
        """Seal a tenant's rows up to this id that are not sealed yet. -> how many. Each block is a transaction of its own."""
        sealed = 0
        with scope(tenant=tenant):
            while True:
                with transaction.atomic():
                    count = self._seal_block(tenant, up_to_id)
                if not count:
                    return sealed
                sealed += count

    def _seal_block(self, tenant: Tenant, up_to_id: int) -> int:
        content = max(self.hashes)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s), %s)", [self.lock, tenant.pk % 2**31])
            last = self._last(tenant)
            after_id = last.up_to_id if last else BEFORE_ALL
            cursor.execute(self.hashes[content] + " LIMIT %s", [tenant.pk, after_id, up_to_id, BLOCK_ROWS])
            rows = cursor.fetchall()
        if not rows:
            return 0
        crash.point("chain_before_seal")
        ids, hashes = [row[0] for row in rows], b"".join(bytes(row[1])[:HASH_BYTES] for row in rows)
        self.seals.objects.create(
            tenant=tenant, number=last.number + 1 if last else 1, content=content, after_id=after_id, up_to_id=ids[-1], row_ids=ids,
            hashes=hashes, digest=_digest(bytes(last.digest) if last else FIRST, tenant.pk, after_id, ids, hashes),
        )  # fmt: skip
        return len(rows)

    def _last(self, tenant: Tenant) -> SealBlock | None:
        found: SealBlock | None = self.seals.objects.filter(tenant=tenant).order_by("-number").first()
        return found

    def seal_everywhere(self, *, now: datetime) -> int:
        """Seal what is old enough, tenant by tenant. -> rows sealed."""
        limit = self.note_limit(now=now)
        if limit is None:
            return 0
        done = 0
        for tenant in Tenant.objects.order_by("pk"):
            try:
                done += self.seal(tenant, up_to_id=limit.up_to_id)
            except DataError as problem:  # what one brand's rows say holds up no other brand's seals
                log.error("rows cannot be sealed", chain=self.name, tenant=tenant.slug, error=str(problem)[:160])
        return done

    def head(self, tenant: Tenant) -> Head | None:
        """Of the last block; None before there is one."""
        last = self._last(tenant)
        return Head(last.number, last.up_to_id, bytes(last.digest).hex()) if last else None

    def verify(self, tenant: Tenant, *, kept: Collection[str] = ()) -> Verdict:
        """Recompute every block of a tenant from the rows as they are now.

        `kept`: digests (hex) that were kept elsewhere; each must be the digest of one of the blocks, else the chain was written anew or cut.
        """
        broken: list[Broken] = []
        blocks = rows = 0
        before, after_id = FIRST, BEFORE_ALL
        unknown = set(kept)
        with scope(tenant=tenant):
            for block in self.seals.objects.filter(tenant=tenant).order_by("number").iterator(chunk_size=20):
                blocks, rows = blocks + 1, rows + len(block.row_ids)
                hashes, digest = bytes(block.hashes), bytes(block.digest)
                if (block.number, block.after_id) != (blocks, after_id):
                    broken.append(Broken("a block is missing before this one", block.number, 0))
                if _digest(before, tenant.pk, block.after_id, block.row_ids, hashes) != digest:
                    broken.append(Broken("the block does not continue the one before it", block.number, 0))
                broken += self._differences(tenant, block, hashes)
                before, after_id, blocks = digest, block.up_to_id, block.number
                unknown.discard(digest.hex())
        broken += [
            Broken(f"no block has the digest {each} that was kept: the chain was written anew or cut", blocks, 0)
            for each in sorted(unknown)
        ]
        return Verdict(blocks, rows, before.hex() if blocks else "", broken)

    def _differences(self, tenant: Tenant, block: SealBlock, hashes: bytes) -> Iterator[Broken]:
        if block.content not in self.hashes or len(hashes) != HASH_BYTES * len(block.row_ids):
            yield Broken("the block itself was touched", block.number, 0)
            return
        sealed = dict(zip(block.row_ids, (bytes(each) for each in batched(hashes, HASH_BYTES)), strict=True))
        with connection.cursor() as cursor:
            cursor.execute(self.hashes[block.content], [tenant.pk, block.after_id, block.up_to_id])
            there = {row[0]: bytes(row[1])[:HASH_BYTES] for row in cursor.fetchall()}
        for row_id in sorted(sealed.keys() | there.keys()):
            if row_id not in there:
                yield Broken(f"{self.a_row} is missing", block.number, row_id)
            elif row_id not in sealed:
                yield Broken(f"{self.a_row} was inserted behind the seal", block.number, row_id)
            elif sealed[row_id] != there[row_id]:
                changed = f"{self.a_row}, {self.with_it} were changed" if self.with_it else f"{self.a_row} was changed"
                yield Broken(changed, block.number, row_id)


def _digest(before: bytes, tenant_id: int, after_id: int, ids: Iterable[int], hashes: bytes) -> bytes:
    text = f"{tenant_id}:{after_id}:{','.join(map(str, ids))}:".encode()
    return hashlib.sha256(before + text + hashes).digest()
