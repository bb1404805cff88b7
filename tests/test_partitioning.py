"""The hot tables as partitions by tenant, made of a loaded database: nothing is lost, every wall stands, and the application goes on."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.migrations.state import ProjectState
from django.db.utils import DatabaseError
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from config import partitioning
from config.databases import connected_to
from config.engines.postgresql import drop_database
from integrations.models import Bill, Delivery
from loyalty import sweeps
from loyalty.audit import audit_ledger
from loyalty.models import Entry, Hold
from tenants.indexes import AddIndexOnline
from tenants.models import Tenant
from tests import builders
from tests.conftest import make_tenant

pytestmark = pytest.mark.xdist_group("partitioning")
DATABASE = f"pointdesk_partitions_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
ABOUT = """
    SELECT (SELECT count(*) FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
            WHERE c.contype = 'f' AND t.relnamespace = 'public'::regnamespace AND conparentid = 0),
           (SELECT count(*) FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class n ON n.oid = i.indexrelid
            WHERE t.relnamespace = 'public'::regnamespace AND n.relname NOT LIKE '%\\_by\\_id'),
           (SELECT count(*) FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid
            WHERE NOT g.tgisinternal AND t.relnamespace = 'public'::regnamespace),
           (SELECT array_agg(p.tablename || p.policyname ORDER BY p.tablename, p.policyname) FROM pg_policies p WHERE p.schemaname = 'public')
"""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What was there before, and what was said to have moved."""

    tenants: dict[str, Tenant]
    before: dict[str, list[str]]
    about: list[tuple[Any, ...]]
    moved: dict[str, int]


@pytest.fixture(scope="module")
def _rehearsed(django_db_setup: None, django_db_blocker: Any) -> Iterator[Rehearsed]:
    """Another database with two brands and something of everything, then partitioned."""
    with django_db_blocker.unblock():
        _drop()
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {DATABASE}")
        try:
            with connected_to(DATABASE):
                call_command("migrate", verbosity=0)
                tenants = {slug: make_tenant(slug) for slug in ("kulfi", "liberty")}
                for tenant in tenants.values():
                    with scope(tenant=tenant):
                        _trade(tenant, "A")
                before, about = contents(), rows(ABOUT)
                rehearsed = Rehearsed(tenants, before, about, partitioning.partition(parts=3))
            yield rehearsed
        finally:
            _drop()
            connection.close()


@pytest.fixture
def rehearsed(_rehearsed: Rehearsed, django_db_blocker: Any) -> Iterator[Rehearsed]:
    with django_db_blocker.unblock(), connected_to(DATABASE):
        yield _rehearsed


def _drop() -> None:
    with connection._nodb_cursor() as cursor:
        drop_database(cursor, DATABASE)


def _trade(tenant: Tenant, prefix: str) -> None:
    meera = builders.customer(tenant, points=500)
    held = builders.hold(tenant, meera, 20, reference=f"SB-{prefix}")
    again = builders.bill(f"{prefix}1")
    builders.deliver(
        tenant,
        again,
        builders.paid_with_points(f"{prefix}2", 20, reference=held.reference),
        builders.bill(f"{prefix}3", net="-1"),
    )
    builders.deliver(tenant, again | {"cashier": "twice"})
    builders.hold(tenant, meera, 5, reference=f"SC-{prefix}")


def rows(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def do(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def contents() -> dict[str, list[str]]:
    return {name: [repr(row) for row in rows(f"SELECT * FROM {name} ORDER BY 1, 2")] for name in partitioning.HOT}


def test_nothing_is_lost_and_the_application_goes_on(rehearsed: Rehearsed) -> None:
    assert rehearsed.moved == {name: len(found) for name, found in rehearsed.before.items()}
    assert all(rehearsed.moved.values())
    now_there = contents()
    assert all(set(found) <= set(now_there[name]) for name, found in rehearsed.before.items())
    assert rows(ABOUT) == rehearsed.about, "keys, indexes, triggers and policies are those that were there"
    assert partitioning.is_partitioned()
    with scopes_disabled():
        assert audit_ledger().ok
    for tenant in rehearsed.tenants.values():
        with scope(tenant=tenant):
            _trade(tenant, "B")
            sweeps.release_expired_holds(tenant, now=timezone.now() + timedelta(days=101))
            assert not Hold.objects.filter(state="active").exists()
            assert Delivery.objects.filter(state__in=["duplicate", "conflict"]).count() == 2
    with scopes_disabled():
        assert audit_ledger().ok
        ids = list(Entry.objects.values_list("pk", flat=True))
        assert len(set(ids)) == len(ids)
    with pytest.raises(ValueError, match="already"):
        partitioning.partition(parts=3)


def test_the_laws_and_walls_of_the_database_stand(rehearsed: Rehearsed) -> None:
    kulfi, liberty = rehearsed.tenants["kulfi"], rehearsed.tenants["liberty"]
    for statement in ("UPDATE loyalty_entry SET available = 1", "DELETE FROM loyalty_entry", "TRUNCATE loyalty_entry CASCADE"):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            do(statement)
    with scope(tenant=kulfi):
        ours = Bill.objects.earliest("pk")
    for statement in (
        f"UPDATE loyalty_hold SET customer_id = 1000000 WHERE tenant_id = {kulfi.pk}",
        f"UPDATE integrations_delivery SET bill_id = {ours.pk} WHERE tenant_id = {liberty.pk}",
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            do(f"{statement}; SET CONSTRAINTS ALL IMMEDIATE")
    with transaction.atomic():
        do(f"SET LOCAL ROLE web; SET LOCAL app.tenants = '{kulfi.pk}'")
        assert {row[0] for row in rows("SELECT DISTINCT tenant_id FROM loyalty_entry")} == {kulfi.pk}
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            rows(f"SELECT count(*) FROM {partitioning.SCHEMA}.loyalty_entry_0")


def test_arrays_still_say_how_many_dimensions_they_have(rehearsed: Rehearsed) -> None:
    """ClickHouse asks when it pulls rows; where it is not told it looks at a row, and gives up at an empty array."""
    found = rows("""
        SELECT attname, attndims FROM pg_attribute WHERE attrelid = 'integrations_bill'::regclass AND format_type(atttypid, atttypmod) LIKE '%[]'
    """)
    assert ("flags", 1) in found
    assert {dimensions for _, dimensions in found} == {1}


def test_a_migration_adds_an_index_and_takes_it_back(rehearsed: Rehearsed) -> None:
    """PostgreSQL itself refuses to build one without making writers wait."""
    adding = AddIndexOnline("entry", models.Index(fields=["tenant", "actor_name"], name="entry_tried"))
    before = ProjectState.from_apps(apps)
    after = before.clone()
    adding.state_forwards("loyalty", after)
    full = next(part for part in range(3) if rows(f"SELECT count(*) FROM partitions.loyalty_entry_{part}")[0][0] > 3)
    with pytest.raises(IntegrityError):  # what is left of it is not valid
        do(f"CREATE UNIQUE INDEX CONCURRENTLY entry_tried_{full} ON partitions.loyalty_entry_{full} (tenant_id, actor_name)")
    for _ in range(2):
        with connection.schema_editor(atomic=False) as editor:
            adding.database_forwards("loyalty", editor, before, after)
    of_parts = rows("""
        SELECT c.relname, x.indisvalid FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_index x ON x.indexrelid = c.oid
        WHERE i.inhparent = 'entry_tried'::regclass ORDER BY 1
    """)
    assert of_parts == [(f"entry_tried_{part}", True) for part in range(3)]
    assert rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'entry_tried'::regclass") == [(True,)]
    with connection.schema_editor(atomic=False) as editor:
        adding.database_backwards("loyalty", editor, after, before)
    assert rows("SELECT FROM pg_class WHERE relname LIKE 'entry_tried%'") == []
