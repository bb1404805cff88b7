"""A new database begins with config/schema.sql: it is what the migrations make, and no other database is touched by it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from config import databases, schema
from tenants import trail, walls

pytestmark = pytest.mark.usefixtures("django_db_setup")


@pytest.fixture
def unblocked(django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def empty(unblocked: None) -> Iterator[None]:
    """Connected to a database of its own, without a table."""
    with databases.beside("schema_test_") as name, databases.connected_to(name):
        yield


def test_the_file_says_what_the_migrations_make(unblocked: None) -> None:
    assert schema.of_migrations() == schema.FILE.read_text(), "A migration was added or changed: run `make schema`."


def test_an_empty_database_becomes_what_the_file_says(empty: None) -> None:
    call_command("migrate", verbosity=0)
    assert schema.of_database() == schema.FILE.read_text()
    executor = MigrationExecutor(connection)
    assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []
    assert walls.missing() == []
    assert trail.silent() == []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT has_table_privilege('web', 'loyalty_entry', 'INSERT'), has_table_privilege('web', 'loyalty_entry', 'UPDATE')"
        )
        assert cursor.fetchone() == (True, False), "granted as after any other migrate"
        cursor.execute("SHOW search_path")
        assert "public" in cursor.fetchone()[0], "what the file needs for itself is over"


def test_a_database_with_tables_goes_by_the_migrations(empty: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE somebody_s (id bigint)")
    assert schema.begin() is False
    assert connection.introspection.table_names() == ["somebody_s"]


def test_an_older_postgresql_goes_by_the_migrations(empty: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "WRITTEN_BY", 10**9)
    assert schema.begin() is False
    assert connection.introspection.table_names() == []


def test_what_is_begun_is_begun_once(empty: None) -> None:
    assert schema.begin() is True
    assert schema.begin() is False


def test_who_asks_for_one_migration_gets_it(empty: None) -> None:
    call_command("migrate", "contenttypes", "0001", verbosity=0)
    assert sorted(connection.introspection.table_names()) == ["django_content_type", "django_migrations"]
