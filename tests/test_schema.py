"""A new database begins with config/schema.sql: it is what the migrations make, and no other database is touched by it."""

import time
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from config import databases, schema
from tenants import trail, walls
from tenants.errors import DomainError

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
    monkeypatch.setattr(schema, "WRITTEN_BY", 99)
    assert schema.begin() is False
    assert connection.introspection.table_names() == []
    with pytest.raises(DomainError, match="written by PostgreSQL 99"):
        schema.of_migrations()


@pytest.mark.parametrize(
    "otherwise",
    [
        "CREATE EXTENSION pg_trgm SCHEMA elsewhere",
        "SET search_path = elsewhere, public",
        "CREATE TABLE elsewhere.django_migrations (app text); SET search_path = public, elsewhere",
    ],
)
def test_where_other_schemas_matter_the_migrations_are_right(empty: None, otherwise: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA elsewhere; {otherwise}")
    assert schema.begin() is False


@pytest.mark.parametrize("more", ["", "SELECT $$\nSET x = 1;\n$$;\n"])
def test_bodies_of_functions_are_left_as_they_are(empty: None, more: str) -> None:
    body = "\n\n\n-- why\nUPDATE t\nSET a = 1;\nGRANT SELECT ON TABLE t TO web;\n" + more
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE django_migrations (app text, name text); CREATE TABLE t (a int)")
        cursor.execute(f"CREATE PROCEDURE p() LANGUAGE sql AS $p${body}$p$")
    assert body in schema.of_database()


def test_two_at_once_begin_it_once(empty: None) -> None:
    """The second one sees nothing of the first one's tables before they are committed: it waits for them."""
    begun: list[bool] = []

    def second() -> None:
        begun.append(schema.begin())
        connection.close()

    other = Thread(target=second)
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid = 0 AND objid = %s"
    with transaction.atomic():
        assert schema.begin() is True
        other.start()
        with connection.cursor() as cursor:
            while other.is_alive():
                cursor.execute(waiting, [schema.BEGINNING])
                if cursor.fetchone()[0]:
                    break
                time.sleep(0.02)
    other.join()
    assert begun == [False]


def test_who_asks_for_one_migration_gets_it(empty: None) -> None:
    call_command("migrate", "contenttypes", "0001", verbosity=0)
    assert sorted(connection.introspection.table_names()) == ["django_content_type", "django_migrations"]
