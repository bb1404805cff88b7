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

from integrations.analytics.streams import BALANCES_BY_DAY, NAMED, POSTED, STREAMS, Stream

#: Whatever says that ClickHouse cannot be reached now. What it says about our statements is another matter, and is raised.
Away = (OperationalError, HTTPError, OSError)

#: Entries of posting days on which nothing can be posted any more, summed up; see `day_sums`.
DAY_SUMS = """
    CREATE TABLE IF NOT EXISTS day_sums (
        tenant_id UInt64, day Date32, business_date Date32, store_id UInt64, kind LowCardinality(String), entries Int64,
        pending Int64, available Int64, held Int64, owed_more Int64, owed_less Int64
    ) ENGINE = MergeTree PARTITION BY (tenant_id, toYYYYMM(day)) ORDER BY (day, business_date, store_id, kind)
"""
TABLES = (*(stream.table for stream in STREAMS.values()), DAY_SUMS, BALANCES_BY_DAY)
#: What an older version of these tables lacks.
ADDITIONS = (
    f"ALTER TABLE entries ADD {POSTED.replace('INDEX', 'INDEX IF NOT EXISTS')}",
    *(f"ALTER TABLE {name} ADD {NAMED.replace('CONSTRAINT', 'CONSTRAINT IF NOT EXISTS')}" for name in ("entries", "customers")),
)


@contextlib.contextmanager
def connected(*, timeout_seconds: int | None = None) -> Iterator[Client]:
    """A client of the configured server; without `timeout_seconds` it waits for an answer as long as the settings say.

    Raises: one of `Away`.
    """
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
        send_receive_timeout=timeout_seconds or settings.CLICKHOUSE_TIMEOUT_SECONDS,
        autogenerate_session_id=False,
        query_retries=0,
        settings={
            "max_partitions_per_insert_block": 0,  # a re-push may reach back many years
            "do_not_merge_across_partitions_select_final": 1,  # a row never changes its partition
        },
    )
    try:
        yield client
    finally:
        client.close()


#: By their definitions, which say whether an older version made them.
COMPLETE = """
    SELECT count() = {tables:UInt8} AND countIf(name = 'entries' AND position(create_table_query, 'INDEX posted') > 0) = 1
        AND countIf(position(create_table_query, 'business_named') > 0) = {streams:UInt8}
    FROM system.tables WHERE database = currentDatabase() AND name IN {names:Array(String)}
"""


def make_tables(client: Client) -> None:
    """Whatever of them is not there. Asked before each run of the feed, so in one question where all are."""
    names = [*STREAMS, "day_sums", "balances_by_day"]
    asked = {"tables": len(names), "streams": len(STREAMS), "names": names}
    if client.query(COMPLETE, parameters=asked).result_rows[0][0]:
        return
    for statement in (*TABLES, *ADDITIONS):
        client.command(statement)


class RowsLost(RuntimeError):
    """ClickHouse took a block and says that it wrote fewer rows than we sent."""


def insert(client: Client, stream: Stream, rows: Sequence[Sequence[Any]]) -> None:
    """Raises: RowsLost, one of `Away`; whatever ClickHouse has to say."""
    summary = client.insert(stream.name, rows, column_names=stream.column_names).summary
    written = int(summary.get("written_rows", len(rows)))  # a proxy may keep it from us
    if written < len(rows):
        raise RowsLost(f"{stream.name}: {len(rows):,} rows were sent and {written:,} written")


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
