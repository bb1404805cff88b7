"""What tests of the feed and of what is built on it share."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from integrations.analytics import clickhouse, feed
from tenants.models import Tenant

ENTRIES = "SELECT kind, available, held, owed FROM entries FINAL WHERE tenant_id = {tenant:UInt64} ORDER BY id"
BACKDATE = """
    CREATE OR REPLACE FUNCTION test_backdate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.posted_at = coalesce(nullif(current_setting('test.posted_at', true), '')::timestamptz, NEW.posted_at);
        RETURN NEW;
    END $$;
    CREATE OR REPLACE TRIGGER test_backdate BEFORE INSERT ON loyalty_entry FOR EACH ROW EXECUTE FUNCTION test_backdate();
"""


def in_clickhouse(tenant: Tenant, question: str) -> Any:
    with clickhouse.connected() as client:
        return client.query(question, parameters={"tenant": tenant.pk}).result_rows


def damage(tenant: Tenant, statement: str) -> None:
    """What somebody, or something, does to ClickHouse behind our back."""
    with clickhouse.connected() as client:
        client.command(statement, parameters={"tenant": tenant.pk}, settings={"mutations_sync": 2})


def feed_all(*, seconds: float = 30) -> None:
    """Until nothing is behind: an open write anywhere in the cluster, also of another test, holds the feed back."""
    deadline = time.monotonic() + seconds
    while feed.run(now=timezone.now()) or behind():
        assert time.monotonic() < deadline, feed.lag()
        time.sleep(0.05)


def behind() -> bool:
    return any(feed.rows_behind().values())


def fed(tenant: Tenant) -> list[tuple[Any, ...]]:
    feed_all()
    return list(in_clickhouse(tenant, ENTRIES))


@contextmanager
def clock_of_the_books() -> Iterator[Callable[[datetime], None]]:
    """-> a function that sets when entries are posted. PostgreSQL's own clock cannot be moved, so a trigger of the test database does it."""
    with connection.cursor() as cursor:
        cursor.execute(BACKDATE)

    def turn(to: datetime) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('test.posted_at', %s, false)", [to.isoformat()])

    try:
        yield turn
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET test.posted_at = ''; DROP TRIGGER test_backdate ON loyalty_entry; DROP FUNCTION test_backdate")
