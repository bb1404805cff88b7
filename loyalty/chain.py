"""The ledger's tamper-evidence chain: entries with their movements, lots and holds. How it works: `tenants.chain`."""

from loyalty.models import Seal, SealBound
from tenants.chain import Chain

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
ENTRIES = Chain(
    name="seal",
    seals=Seal,
    limits=SealBound,
    sequence="loyalty_entry_id_seq",
    hashes=HASHES,
    a_row="the entry",
    with_it="its movements, its lot or its hold",
)
