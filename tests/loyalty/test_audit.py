"""The auditor finds what is broken: each law is broken on purpose, by the table's owner with the triggers off."""

import json
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from loyalty.audit import QUESTIONS, audit_in_steps, audit_ledger
from loyalty.models import AuditStep
from tenants.models import Tenant
from tests import builders

pytestmark = pytest.mark.broken_on_purpose

OTHER = "(SELECT id FROM loyalty_customer WHERE mobile = '+919840054321')"
ENTRY = "(SELECT max(id) FROM loyalty_entry WHERE kind = 'issue')"

DEBT = "(SELECT max(id) FROM loyalty_entry WHERE kind = 'debt')"

#: One broken row of each kind, and the words that name it.
BROKEN = {
    "1: a row less": (
        f"DELETE FROM loyalty_entrylot WHERE entry_id = {ENTRY} OR lot_id = {ENTRY}; DELETE FROM loyalty_lot WHERE entry_id = {ENTRY};"
        f"DELETE FROM loyalty_entry WHERE id = {ENTRY}",
        "entries were removed: 1",
    ),
    "2: a changed entry": (f"UPDATE loyalty_entry SET available = available + 1 WHERE id = {ENTRY}", "balance is not the sum"),
    "2: a changed balance": ("UPDATE loyalty_balance SET pending = pending + 5", "balance is not the sum"),
    "2: a counted entry": ("UPDATE loyalty_balance SET entries = entries - 1", "balance counts other entries"),
    "2: owing beside having": (
        "ALTER TABLE loyalty_balance DROP CONSTRAINT balance_owes_or_has; UPDATE loyalty_balance SET owed = 3, available = 5",
        "owing beside available",
    ),
    "3: a changed lot": (f"UPDATE loyalty_lot SET available = available - 1 WHERE entry_id = {ENTRY}", "lot is not the sum"),
    "3: a lot of another granting": (f"UPDATE loyalty_lot SET granted = granted + 1 WHERE entry_id = {ENTRY}", "granted other points"),
    "3: a lot of nobody": (f"UPDATE loyalty_lot SET customer_id = {OTHER} WHERE entry_id = {ENTRY}", "lots do not sum to the balance"),
    "3: a movement of another": (
        f"UPDATE loyalty_lot SET customer_id = {OTHER} WHERE entry_id = {ENTRY}", "movement of another tenant or customer",
    ),
    "3: a changed movement": (
        "UPDATE loyalty_entrylot SET delta = delta - 1 WHERE id = (SELECT max(id) FROM loyalty_entrylot WHERE debt_id IS NULL)",
        "entry is not the sum of its movements",
    ),
    "3: another payment": (
        "UPDATE loyalty_entrylot SET delta = delta + 1 WHERE debt_id IS NOT NULL", "pays another amount of debts",
    ),
    "3: a lot below 0": (
        "ALTER TABLE loyalty_lot DROP CONSTRAINT lot_buckets_not_negative;"
        f"UPDATE loyalty_lot SET available = -3 WHERE entry_id = {ENTRY}",
        "lot below 0",
    ),
    "3: more than was granted": (
        f"UPDATE loyalty_lot SET available = available + 500 WHERE entry_id = {ENTRY}; UPDATE loyalty_balance SET available = available + 500;"
        f"INSERT INTO loyalty_entrylot (tenant_id, entry_id, lot_id, bucket, delta) SELECT tenant_id, id, id, 'available', 500"
        f" FROM loyalty_entry WHERE id = {ENTRY}; UPDATE loyalty_entry SET available = available + 500 WHERE id = {ENTRY}",
        "more than it was granted",
    ),
    "2: points moved between buckets to cheat fixed factors": (
        "UPDATE loyalty_balance SET held = held + 97, available = available - 13 WHERE available > 20", "balance is not the sum",
    ),
    "7: a debt of nothing": (
        "ALTER TABLE loyalty_entry DROP CONSTRAINT entry_of_kind; UPDATE loyalty_entry SET of_kind = NULL WHERE kind = 'debt'",
        "debt of a kind that makes none",
    ),
    "9: an unknown rule": ("UPDATE loyalty_entry SET snapshot = '{\"points\": 5}' WHERE kind = 'earn'", "not explained by its snapshot"),
    "9: unreadable": (
        "UPDATE loyalty_entry SET snapshot = snapshot || '{\"points\": \"many\"}' WHERE kind = 'earn'", "cannot be read",
    ),
    "3: two equal lots swapped": (
        f"UPDATE loyalty_lot SET customer_id = CASE WHEN customer_id = {OTHER} THEN (SELECT id FROM loyalty_customer WHERE mobile <>"
        f" '+919840054321') ELSE {OTHER} END WHERE granted = 7",
        "another customer than it was granted to",
    ),
    "3: a merged lot given to another": (
        f"INSERT INTO loyalty_customermerge (tenant_id, source_id, into_id, lots, holds, aliases, memberships, status_before,"
        f" reason, actor_name, merged_at, undone_by) SELECT tenant_id, {OTHER}, {OTHER}, ARRAY[id], '{{}}', '{{}}', '{{}}', 'active', 'x', 'x',"
        " now(), ''"
        f" FROM loyalty_entry WHERE id = {ENTRY}",
        "another customer than the last merge gave it to",
    ),
    "3: a later expiry than granted": (
        f"UPDATE loyalty_lot SET expires_on = expires_on + 30 WHERE entry_id = {ENTRY}", "another day than it was granted until",
    ),
    "3: another expiry than extended to": (
        f"UPDATE loyalty_entry SET kind = 'extend', available = 0, owed = 0, snapshot = jsonb_build_object('lots',"
        f" jsonb_build_array(jsonb_build_object("
        f"'lot', id, 'from', '2030-01-01', 'to', '2031-01-01'))) WHERE id = {ENTRY}",
        "last extended to",
    ),
    "4: a hold of another customer": (f"UPDATE loyalty_hold SET customer_id = {OTHER}", "hold and its entries disagree"),
    "4: a hold without an end": ("UPDATE loyalty_hold SET state = 'captured', ended_at = now() WHERE state = 'active'", "hold and its"),
    "4: a late bill of nothing": ("UPDATE loyalty_hold SET late_points = 7", "late bill without its points"),
    "5: a gap": (f"UPDATE loyalty_entry SET seq = 5 WHERE id = {ENTRY}", "operation with a gap"),
    "5: no beginning": (f"UPDATE loyalty_entry SET operation = 1 WHERE id = {ENTRY}", "operation without a first entry"),
    "5: the key's index": ("ALTER TABLE loyalty_entry DROP CONSTRAINT entry_key_once", "unique key over"),
    "6: nobody did it": (f"UPDATE loyalty_entry SET actor_kind = 'person', actor_id = NULL WHERE id = {ENTRY}", "entry unexplained"),
    "7: debt of a capture": ("UPDATE loyalty_entry SET of_kind = 'capture' WHERE kind = 'debt'", "debt of a kind that makes none"),
    "7: overpaid": ("UPDATE loyalty_entrylot SET delta = delta - 90 WHERE debt_id IS NOT NULL", "debt overpaid"),
    "7: owed again by more than its entry": (
        f"INSERT INTO loyalty_entrylot (tenant_id, entry_id, bucket, delta, debt_id) SELECT tenant_id, id, 'owed', 1, id FROM loyalty_entry"
        f" WHERE id = {DEBT}",
        "owed again by other points",
    ),
    "7: refilled": (
        f"INSERT INTO loyalty_entrylot (tenant_id, entry_id, lot_id, bucket, delta, debt_id)"
        f" SELECT tenant_id, id, {ENTRY}, 'available', 1000, {DEBT} FROM loyalty_entry WHERE id = {ENTRY}",
        "got back more than it had paid",
    ),
    "7: unpaid": ("UPDATE loyalty_entrylot SET debt_id = NULL WHERE debt_id IS NOT NULL", "debts do not sum to what is owed"),
    "7: another's debt": (f"UPDATE loyalty_entry SET customer_id = {OTHER} WHERE kind = 'debt'", "debt of another customer"),
    "7: lapsed points": ("UPDATE loyalty_lot SET expires_on = '2020-01-01'", "lapsed points paid a debt"),
    "8: others' lots": ("UPDATE loyalty_entrylot SET delta = -delta WHERE bucket = 'held'", "beyond the hold's own lots"),
    "8: too much revived": (
        f"UPDATE loyalty_entry SET kind = 'reversal', of_kind = 'expire', hold_id = (SELECT max(id) FROM loyalty_hold) WHERE id = {ENTRY}",
        "brought back other points",
    ),
    "9: no snapshot": ("UPDATE loyalty_entry SET snapshot = NULL WHERE kind = 'earn'", "earning without a snapshot"),
    "9: other points": (
        "UPDATE loyalty_entry SET snapshot = snapshot || '{\"points\": 77}' WHERE kind = 'earn'", "not the points of its snapshot",
    ),
    "9: another rate": (
        "UPDATE loyalty_entry SET snapshot = snapshot || '{\"earn_per\": \"3\"}' WHERE kind = 'earn'", "not explained by its snapshot",
    ),
    "10: another day": (f"UPDATE loyalty_entry SET business_date = business_date - 3 WHERE id = {ENTRY}", "date of another zone"),
    "11: below 0": (f"UPDATE loyalty_entry SET available = available - 1000 WHERE id = {ENTRY}", "operation ended below 0"),
}  # fmt: skip


@pytest.fixture
def books(lenient_kulfi: Tenant) -> Iterator[Tenant]:
    """An earning, a debt, an issue and an active hold; the append-only triggers off until the end."""
    tenant = lenient_kulfi
    meera = builders.customer(tenant)
    other = builders.customer(tenant, "+919840054321")
    builders.deliver(tenant, builders.bill("A1", net="500.00"), builders.paid_with_points("A2", 30, net="50.00"))
    builders.issue(tenant, meera, 3)
    builders.issue(tenant, meera, 7)
    builders.issue(tenant, other, 7)
    builders.issue(tenant, meera, 100)
    builders.hold(tenant, meera, 40)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("loyalty_entry", "loyalty_entrylot"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
    yield tenant


def test_clean_books_break_only_the_law_of_the_triggers_we_took_off(books: Tenant) -> None:
    assert {law for law, count in audit_ledger(books).laws.items() if count} == {"1"}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_row_of_each_kind_is_found_and_named(books: Tenant, kind: str) -> None:
    statement, words = BROKEN[kind]
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        cursor.execute(statement)
    report = audit_ledger(books)
    law = kind.partition(":")[0]
    assert [row for row in report.rows if row[0] == law and words in row[1]], report.rows
    assert report.laws[law] > 0


def test_every_question_has_a_row_that_breaks_it() -> None:
    """A question that no test can make answer is no question."""
    asked = {question.statement for question in QUESTIONS if question.name != "triggers"}
    answered = {
        statement for statement in asked for _, words in BROKEN.values() if words.replace("'", "''").split(":")[0] in statement
    }
    assert answered == asked


def asked_again(*_: object) -> None:
    raise AssertionError("asked again")


def test_an_audit_in_steps_goes_on_where_it_stopped(books: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    first = audit_in_steps("monday", tenants=[books])
    asked = AuditStep.objects.count()
    monkeypatch.setattr("loyalty.audit._Audit._ask", asked_again)
    assert audit_in_steps("monday", tenants=[books]).laws == first.laws
    AuditStep.objects.filter(step="2: bounds").delete()
    with pytest.raises(AssertionError, match="again"):
        audit_in_steps("monday", tenants=[books])
    assert AuditStep.objects.count() == asked - 1


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
        cursor.execute(BROKEN["2: a changed entry"][0])
    assert audit_ledger(liberty).laws["2"] == 0
