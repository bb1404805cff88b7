"""Statistics in time: what PostgreSQL must know of tables that grow from nothing to thousands of rows within a minute.

A composite key `(tenant_id, id)` is checked by a plan that each session keeps. Made while a table looks all but empty, it may take
any index that begins with the tenant and read the whole tenant for every row, until autovacuum comes by; measured, ten times slower
from the first thousand bills on. Statistics of a few hundred rows are enough to prefer the unique index for good.
"""

from collections.abc import Sequence

from django.db import connection

#: Beyond so many rows the plans stay as they are.
ROWS_ENOUGH = 1000
UNKNOWN = """
    SELECT quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND c.relname = ANY(%s) AND c.reltuples < %s
"""


def learn(tables: Sequence[str]) -> None:
    """Gather statistics of those tables that were small when last looked at. Inside a transaction: nothing, it would hold locks.

    Never waits: a table that somebody else analyses is left to them.
    """
    if connection.in_atomic_block:
        return
    with connection.cursor() as cursor:
        cursor.execute(UNKNOWN, [list(tables), ROWS_ENOUGH])
        if names := [row[0] for row in cursor.fetchall()]:
            cursor.execute(f"ANALYZE (SKIP_LOCKED) {', '.join(names)}")
