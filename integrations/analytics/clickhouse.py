"""The client of ClickHouse and the tables we keep there. One module speaks to it; nobody else builds SQL for it."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from django.conf import settings
from urllib3.exceptions import HTTPError

#: Whatever says that ClickHouse cannot be reached now. What it says about our statements is another matter, and is raised.
Away = (OperationalError, HTTPError, OSError)

#: Delivery is at least once: every read is FINAL. `version` grows with the feed's epoch and the row's transaction.
TABLES = (
    """
    CREATE TABLE IF NOT EXISTS entries (
        id UInt64, tenant_id UInt64, business_id String, customer_id UInt64, operation UInt64, seq UInt16,
        kind LowCardinality(String), of_kind LowCardinality(String), pending Int64, available Int64, held Int64, owed Int64,
        reason String, actor_kind LowCardinality(String), actor_name String, occurred_at DateTime64(6, 'UTC'), business_date Date32,
        posted_at DateTime64(6, 'UTC'), store_id UInt64, bill_id UInt64, hold_id UInt64, job_id UInt64, xid UInt64, version UInt64,
        INDEX posted posted_at TYPE minmax GRANULARITY 1
    ) ENGINE = ReplacingMergeTree(version) PARTITION BY toYYYYMM(business_date) ORDER BY (tenant_id, business_date, id)
    """,
    """
    CREATE TABLE IF NOT EXISTS customers (
        id UInt64, tenant_id UInt64, business_id String, mobile String, name String, email String, tier LowCardinality(String),
        status LowCardinality(String), joined_on Nullable(Date32), xid UInt64, version UInt64
    ) ENGINE = ReplacingMergeTree(version) ORDER BY (tenant_id, id)
    """,
    # Entries of posting days on which nothing can be posted any more, summed up; see `day_sums`.
    """
    CREATE TABLE IF NOT EXISTS day_sums (
        tenant_id UInt64, day Date32, business_date Date32, store_id UInt64, kind LowCardinality(String), entries Int64,
        pending Int64, available Int64, held Int64, owed_more Int64, owed_less Int64
    ) ENGINE = MergeTree PARTITION BY (tenant_id, toYYYYMM(day)) ORDER BY (day, business_date, store_id, kind)
    """,
)
#: What an older version of these tables lacks.
ADDITIONS = ("ALTER TABLE entries ADD INDEX IF NOT EXISTS posted posted_at TYPE minmax GRANULARITY 1",)
COLUMNS = {
    "entries": (
        "id", "tenant_id", "business_id", "customer_id", "operation", "seq", "kind", "of_kind", "pending", "available", "held", "owed",
        "reason", "actor_kind", "actor_name", "occurred_at", "business_date", "posted_at", "store_id", "bill_id", "hold_id", "job_id",
        "xid", "version",
    ),
    "customers": (
        "id", "tenant_id", "business_id", "mobile", "name", "email", "tier", "status", "joined_on", "xid", "version",
    ),
}  # fmt: skip


@contextlib.contextmanager
def connected(*, timeout_seconds: int = 60) -> Iterator[Client]:
    """A client of the configured server, with our tables there. Raises: one of `Away`."""
    parts = urlsplit(settings.CLICKHOUSE_URL)
    secure = parts.scheme == "https"
    client = clickhouse_connect.get_client(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or (8443 if secure else 8123),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database=parts.path.strip("/") or "default",
        secure=secure,
        connect_timeout=2,
        send_receive_timeout=timeout_seconds,
        autogenerate_session_id=False,
        query_retries=0,
        settings={"max_partitions_per_insert_block": 0},  # a re-push may reach back many years
    )
    try:
        yield client
    finally:
        client.close()


def make_tables(client: Client) -> None:
    for statement in (*TABLES, *ADDITIONS):
        client.command(statement)


class RowsLost(RuntimeError):
    """ClickHouse took a block and says that it wrote fewer rows than we sent."""


def insert(client: Client, stream: str, rows: Sequence[Sequence[Any]]) -> None:
    """Raises: RowsLost, one of `Away`; whatever ClickHouse has to say."""
    summary = client.insert(stream, rows, column_names=COLUMNS[stream]).summary
    written = int(summary.get("written_rows", len(rows)))  # a proxy may keep it from us
    if written < len(rows):
        raise RowsLost(f"{stream}: {len(rows):,} rows were sent and {written:,} written")


CUSTOMER_BALANCE = """
    SELECT sum(pending), sum(available), sum(held), sum(owed), count() FROM entries FINAL
    WHERE tenant_id = {tenant:UInt64} AND customer_id = {customer:UInt64}
"""


def customer_closing(client: Client, *, tenant_id: int, customer_id: int) -> tuple[int, int]:
    """-> (closing balance, number of entries) as the dashboards see the customer; nothing, before the feed first ran."""
    try:
        row = client.query(CUSTOMER_BALANCE, parameters={"tenant": tenant_id, "customer": customer_id}).result_rows[0]
    except DatabaseError as problem:
        if "UNKNOWN_TABLE" not in str(problem):
            raise
        return 0, 0
    return row[1] + row[2] - row[3], row[4]
