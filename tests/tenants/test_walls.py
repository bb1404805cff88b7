"""The second wall: with the first one removed on purpose, raw SQL as `web` still sees nothing of another tenant."""

import os
import subprocess
import sys
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import DatabaseError, IntegrityError, connection, transaction
from django_scopes import scope, scopes_disabled

from loyalty.models import Customer, Entry, Hold
from support.find import LAST_DIGITS
from tenants import walls
from tenants.access import walls_around
from tenants.fields import TenantForeignKey
from tenants.models import Membership, Store, Tenant, User
from tests import builders
from tests.conftest import key_of
from tests.served import ROOT, environment, on_this_database


def tables_with_tenant() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped"
            " WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace ORDER BY 1"
        )
        return [row[0] for row in cursor.fetchall()]


def rows(statement: str, parameters: Any = None) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


@pytest.fixture
def both(kulfi: Tenant, liberty: Tenant) -> tuple[Customer, Customer]:
    """A customer with a hold, an entry and a bill in each tenant."""
    ours = builders.customer(kulfi, points=100)
    builders.hold(kulfi, ours, 10)
    builders.deliver(kulfi, builders.bill("A1"))
    with scope(tenant=liberty):
        theirs = builders.customer(liberty, "+15005550100", points=100, name="Canary")
        builders.hold(liberty, theirs, 10)
        builders.deliver(liberty, builders.bill("A1", mobile="+15005550100"))
    return ours, theirs


@pytest.mark.django_db
def test_every_table_with_a_tenant_has_a_policy_or_stands_on_the_written_list() -> None:
    with_policy = {row[0] for row in rows("SELECT tablename FROM pg_policies WHERE policyname = 'tenant_wall'")}
    read_whole = {row[0] for row in rows("SELECT tablename FROM pg_policies WHERE policyname = 'read_whole'")}
    enabled = {row[0] for row in rows("SELECT relname FROM pg_class WHERE relrowsecurity")}
    assert {*tables_with_tenant(), "tenants_tenant"} == with_policy == enabled
    assert read_whole == walls.READ_WHOLE


@pytest.mark.django_db
def test_every_key_to_a_walled_row_is_composite_in_the_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND conname LIKE '%_wall'"
        )
        found = {(table, definition.partition("REFERENCES")[0]) for table, definition in cursor.fetchall()}
    wanted = {
        (model._meta.db_table, f"FOREIGN KEY (tenant_id, {field.column}) ")
        for model in apps.get_models()
        for field in model._meta.local_fields
        if isinstance(field, TenantForeignKey)
    }
    assert wanted <= found
    assert ("loyalty_entry", "FOREIGN KEY (tenant_id, bill_id) ") in found
    assert ("loyalty_balance", "FOREIGN KEY (tenant_id, customer_id) ") in found


def test_raw_sql_as_web_sees_no_row_of_another_tenant(kulfi: Tenant, liberty: Tenant, both: Any) -> None:
    for table in set(tables_with_tenant()) - walls.READ_WHOLE:
        with walls_around([kulfi]):
            seen = {row[0] for row in rows(f"SELECT DISTINCT tenant_id FROM {table}")}
        assert seen <= {kulfi.pk}, table


def test_raw_sql_as_web_without_a_tenant_sees_nothing_at_all(both: Any) -> None:
    for table in set(tables_with_tenant()) - walls.READ_WHOLE:
        with walls_around([]):
            assert rows(f"SELECT count(*) FROM {table}") == [(0,)], table


def test_the_orm_without_scopes_still_stands_behind_the_wall(kulfi: Tenant, both: tuple[Customer, Customer]) -> None:
    with walls_around([kulfi]), scopes_disabled():
        assert list(Customer.objects.all()) == [both[0]]


def test_web_cannot_write_a_row_of_another_tenant(kulfi: Tenant, liberty: Tenant) -> None:
    with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic(), walls_around([kulfi]), scopes_disabled():
        Store.objects.create(tenant=liberty, code="X1")


def test_web_cannot_move_a_row_to_another_tenant(kulfi: Tenant, liberty: Tenant) -> None:
    with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic(), walls_around([kulfi]), scopes_disabled():
        Store.objects.filter(tenant=kulfi).update(tenant=liberty)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tenants_tenant SET name = 'Ours' RETURNING id", "UPDATE tenants_membership SET role = 'admin' RETURNING tenant_id",
        "UPDATE tenants_apikey SET revoked_at = now() RETURNING tenant_id", "DELETE FROM tenants_membership RETURNING tenant_id",
    ],
)  # fmt: skip
def test_what_web_reads_of_all_it_writes_of_its_own(
    kulfi: Tenant, liberty: Tenant, bob: User, charlie: User, statement: str
) -> None:
    for tenant in (kulfi, liberty):
        key_of(tenant, "read")
    with walls_around([kulfi]):
        assert len(rows("SELECT DISTINCT tenant_id FROM tenants_membership")) == 2
        assert {row[0] for row in rows(statement)} == {kulfi.pk}
    with walls_around([]):
        assert rows(statement) == []


def test_web_gives_nobody_a_way_into_another_tenant(kulfi: Tenant, liberty: Tenant, bob: User) -> None:
    with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic(), walls_around([kulfi]):
        Membership.objects.create(tenant=liberty, user=bob, role="admin")


@pytest.mark.parametrize("table", ["loyalty_entry", "loyalty_entrylot", "tenants_auditevent"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {}"])
def test_web_may_not_even_try_to_change_history(kulfi: Tenant, table: str, statement: str) -> None:
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), walls_around([kulfi]):
        rows(statement.format(table))


@pytest.mark.broken_on_purpose
def test_no_row_can_point_at_another_tenants_row_even_as_owner(kulfi: Tenant, both: tuple[Customer, Customer]) -> None:
    ours, theirs = both
    with pytest.raises(IntegrityError, match="loyalty_hold_customer_id_wall"), transaction.atomic(), scopes_disabled():
        Hold.objects.filter(customer=ours).update(customer=theirs)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_the_walls_come_down_again_after_the_block(kulfi: Tenant) -> None:
    with walls_around([kulfi]):
        assert rows("SELECT current_user, current_setting('app.tenants')") == [("web", str(kulfi.pk))]
        with walls_around([]):
            assert rows("SELECT current_setting('app.tenants')") == [("",)]
        assert rows("SELECT current_setting('app.tenants')") == [(str(kulfi.pk),)]
    assert rows("SELECT current_user <> 'web', coalesce(current_setting('app.tenants', true), '')") == [(True, "")]


def test_the_name_search_sees_only_the_tenants_of_the_wall(
    kulfi: Tenant, liberty: Tenant, both: tuple[Customer, Customer]
) -> None:
    with walls_around([kulfi]):
        assert rows("SELECT search_customers('Canary', 10)") == []
    with walls_around([liberty]):
        assert rows("SELECT search_customers('canary', 10)") == [(both[1].pk,)]


@pytest.mark.parametrize("words", ["%", "_", "\\", "'; DROP TABLE x; --"])
def test_signs_of_sql_are_letters_to_the_name_search(kulfi: Tenant, both: Any, words: str) -> None:
    with walls_around([kulfi]):
        assert rows("SELECT search_customers(%s, 10)", [words]) == []


def test_the_last_digits_reach_their_index_as_web(kulfi: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO loyalty_customer (tenant_id, mobile, name, email, tier, status)"
            " SELECT %s, '+9198' || lpad(n::text, 8, '0'), '', '', '', 'active' FROM generate_series(1, 5000) n", [kulfi.pk],
        )  # fmt: skip
        cursor.execute("ANALYZE loyalty_customer")
    with walls_around([kulfi]):
        plan = "\n".join(row[0] for row in rows("EXPLAIN " + LAST_DIGITS, [kulfi.pk, "54321", 12]))
    assert "customer_by_last_digits" in plan


@pytest.mark.django_db
def test_a_process_that_is_not_web_refuses_to_serve() -> None:
    with pytest.raises(walls.WallsMissing):
        walls.refuse_to_serve_without_walls()


def test_two_tenants_never_share_an_operation(kulfi: Tenant, both: Any) -> None:
    with scopes_disabled():
        shared = Entry.objects.values("operation").order_by().distinct().count()
    assert shared == len(rows("SELECT DISTINCT tenant_id, operation FROM loyalty_entry"))


def test_the_feed_s_index_exists(kulfi: Tenant) -> None:
    assert rows("SELECT indexdef FROM pg_indexes WHERE indexname = 'entry_feed'")[0][0].endswith("(xid, id)")


# The login of web processes


def refused(statement: str) -> None:
    """As a web process logs in, having left the role that it entered."""
    with psycopg.connect(on_this_database(os.environ["WEB_DATABASE_URL"]), autocommit=True) as session:
        session.execute("SET ROLE web")
        session.execute("RESET ROLE")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(statement)


needs_its_login = pytest.mark.skipif(
    not os.environ.get("WEB_DATABASE_URL"), reason="web processes have no login of their own here"
)


@needs_its_login
@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE pointdesk",
        "SET SESSION AUTHORIZATION pointdesk",
        "ALTER TABLE loyalty_entry DISABLE TRIGGER ALL",
        "ALTER TABLE loyalty_customer DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant_wall ON loyalty_customer",
        "UPDATE loyalty_entry SET available = 0",
        "DELETE FROM tenants_auditevent",
        "INSERT INTO tenants_auditseal DEFAULT VALUES",
        "TRUNCATE tenants_auditevent",
        "CREATE TABLE public.mine (id int)",
        "CREATE OR REPLACE FUNCTION tell_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "GRANT pointdesk TO pointdesk_web",
        "ALTER ROLE pointdesk_web SUPERUSER",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ],
)
def test_from_the_web_s_login_there_is_no_way_to_the_owner(statement: str) -> None:
    refused(statement)


@needs_its_login
def test_having_left_the_role_it_sees_no_more_than_before(committed: Tenant) -> None:
    builders.customer(committed)
    with psycopg.connect(on_this_database(os.environ["WEB_DATABASE_URL"])) as session:
        session.execute("RESET ROLE")
        assert session.execute("SELECT count(*) FROM loyalty_customer").fetchone() == (0,)
        session.execute("SELECT set_config('app.tenants', %s, true)", [str(committed.pk)])
        assert session.execute("SELECT count(*), min(tenant_id) FROM loyalty_customer").fetchone() == (1, committed.pk)


@needs_its_login
@pytest.mark.django_db
def test_a_web_process_refuses_a_login_from_which_there_is_a_way() -> None:
    def served(**changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", "import config.wsgi"], cwd=ROOT, env=environment(**changes), capture_output=True,
            text=True, check=False, timeout=120,
        )  # fmt: skip

    assert served().returncode == 0
    done = served(WEB_DATABASE_URL=on_this_database(os.environ["DATABASE_URL"]))
    assert (done.returncode, "WEB_DATABASE_URL logs in as pointdesk" in done.stderr) == (1, True)
    assert served(WEB_DATABASE_URL="").returncode == 0  # entered, as before
