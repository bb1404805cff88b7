"""The auditor finds what is broken: each law is broken on purpose, by the table's owner with the triggers off."""

import json
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from loyalty.audit import LAWS, audit_ledger
from tenants.models import Tenant
from tests import builders

pytestmark = pytest.mark.broken_on_purpose

CUSTOMER = "(SELECT max(id) FROM loyalty_customer)"
ENTRY = "(SELECT max(id) FROM loyalty_entry WHERE kind = 'issue')"

BROKEN = {
    "1": "DELETE FROM loyalty_entrylot; DELETE FROM loyalty_entry WHERE kind = 'hold'",
    "2": f"UPDATE loyalty_entry SET available = available + 1 WHERE id = {ENTRY}",
    "3": f"UPDATE loyalty_lot SET granted_on = granted_on, available = available - 1 WHERE entry_id = {ENTRY}",
    "4": "UPDATE loyalty_hold SET state = 'captured', ended_at = now() WHERE state = 'active'",
    "5": f"UPDATE loyalty_entry SET seq = 5 WHERE id = {ENTRY}",
    "6": f"UPDATE loyalty_entry SET actor_kind = 'person', actor_id = NULL WHERE id = {ENTRY}",
    "7": "UPDATE loyalty_entry SET of_kind = 'capture' WHERE kind = 'debt'",
    "8": "UPDATE loyalty_entrylot SET delta = -delta WHERE bucket = 'held'",
    "9": "UPDATE loyalty_entry SET snapshot = NULL WHERE kind = 'earn'",
    "10": f"UPDATE loyalty_entry SET business_date = business_date - 3 WHERE id = {ENTRY}",
    "11": f"UPDATE loyalty_entry SET available = available - 1000 WHERE id = {ENTRY}",
}


@pytest.fixture
def books(lenient_kulfi: Tenant) -> Iterator[Tenant]:
    """An earning, a debt, an issue and an active hold; the append-only triggers off until the end."""
    tenant = lenient_kulfi
    meera = builders.customer(tenant)
    builders.deliver(tenant, builders.bill("A1", net="500.00"), builders.paid_with_points("A2", 30, net="50.00"))
    builders.issue(tenant, meera, 100)
    builders.hold(tenant, meera, 40)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("loyalty_entry", "loyalty_entrylot"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
    yield tenant


def test_clean_books_break_only_the_law_of_the_triggers_we_took_off(books: Tenant) -> None:
    assert {law for law, count in audit_ledger(books).laws.items() if count} == {"1"}


@pytest.mark.parametrize("law", [law for law in LAWS if law != "1"])
def test_a_broken_law_is_found_and_its_row_named(books: Tenant, law: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(BROKEN[law])
    report = audit_ledger(books)
    assert report.laws[law] > 0
    assert [row for row in report.rows if row[0] == law and row[2] > 0]


def test_a_removed_entry_is_found(books: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM loyalty_entrylot m USING loyalty_entry e WHERE e.id = m.entry_id AND e.kind = 'hold'")
        cursor.execute("DELETE FROM loyalty_entry WHERE kind = 'hold'")
    assert ("1", "entries were removed: 1") in {row[:2] for row in audit_ledger(books).rows}


def test_missing_triggers_are_found_and_always_eleven_laws_are_asked(books: Tenant) -> None:
    report = audit_ledger(books)
    assert report.laws["1"] == 2
    assert list(report.laws) == [str(number) for number in range(1, 12)]


def test_the_command_prints_one_json_document_and_ends_with_1(books: Tenant) -> None:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("audit_ledger", "--tenant", books.slug, "--json", stdout=out)
    assert ended.value.code == 1
    assert json.loads(out.getvalue())["ok"] is False


def test_another_tenants_broken_books_are_not_ours(books: Tenant, liberty: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute(BROKEN["2"])
    assert audit_ledger(liberty).laws["2"] == 0
