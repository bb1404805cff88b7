"""Who touches a sealed row, with whatever rights, is found, and the row is named."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO

import psycopg
import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.utils import timezone

from loyalty.chain import ENTRIES
from loyalty.models import Entry, Seal, SealBound
from tenants import chain
from tenants.models import SealLimit, Tenant
from tests import builders

COUNT = 7
pytestmark = pytest.mark.broken_on_purpose


@pytest.fixture
def sealed(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Seven entries in blocks of three; triggers off, as for somebody who owns the database."""
    monkeypatch.setattr(chain, "BLOCK_ROWS", 3)
    meera = builders.customer(kulfi)
    for _ in range(COUNT):
        builders.issue(kulfi, meera, 10)
    ids = list(Entry.objects.order_by("id").values_list("id", flat=True))
    assert ENTRIES.seal(kulfi, up_to_id=ids[-1]) == COUNT
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("loyalty_entry", "loyalty_entrylot", "loyalty_seal"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
    return ids


def run(statement: str, *values: int | str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_untouched_entries_verify(kulfi: Tenant, sealed: list[int]) -> None:
    verdict = ENTRIES.verify(kulfi)
    assert (verdict.ok, verdict.blocks, verdict.rows) == (True, 3, COUNT)
    assert ENTRIES.seal(kulfi, up_to_id=sealed[-1]) == 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE loyalty_entry SET available = available + 1 WHERE id = %s",
        "UPDATE loyalty_entry SET reason = 'another' WHERE id = %s",
        "UPDATE loyalty_entry SET occurred_at = occurred_at + interval '1 second' WHERE id = %s",
        "UPDATE loyalty_entry SET actor_name = 'Mallory' WHERE id = %s",
        "UPDATE loyalty_entrylot SET delta = delta + 1 WHERE entry_id = %s",
        "DELETE FROM loyalty_entrylot WHERE entry_id = %s",
        "UPDATE loyalty_lot SET expires_on = expires_on + 30, granted_until = granted_until + 30 WHERE entry_id = %s",
        "UPDATE loyalty_lot SET granted_on = granted_on + 1 WHERE entry_id = %s",
    ],
)
def test_a_changed_row_is_located(kulfi: Tenant, sealed: list[int], change: str) -> None:
    run(change, sealed[4])
    (broken,) = ENTRIES.verify(kulfi).broken
    assert (broken.block, broken.row, "changed" in broken.what) == (2, sealed[4], True)


def test_a_hold_that_was_changed_behind_its_entry_is_located(kulfi: Tenant, sealed: list[int]) -> None:
    builders.hold(kulfi, Entry.objects.get(pk=sealed[0]).customer, 5)
    placed = Entry.objects.get(kind="hold").pk
    ENTRIES.seal(kulfi, up_to_id=placed)
    run("UPDATE loyalty_hold SET rate = rate * 2 WHERE points = %s", 5)
    (broken,) = ENTRIES.verify(kulfi).broken
    assert broken.row == placed


def test_a_block_of_before_lots_were_sealed_still_verifies(kulfi: Tenant, sealed: list[int]) -> None:
    builders.issue(kulfi, Entry.objects.get(pk=sealed[0]).customer, 1)
    before = replace(ENTRIES, hashes={1: ENTRIES.hashes[1]})
    before.seal(kulfi, up_to_id=Entry.objects.latest("id").pk)
    assert Seal.objects.latest("number").content == 1
    assert ENTRIES.verify(kulfi).ok
    run("UPDATE loyalty_entry SET reason = 'another' WHERE id > %s", sealed[-1])
    assert len(ENTRIES.verify(kulfi).broken) == 1


def test_a_missing_row_is_located(kulfi: Tenant, sealed: list[int]) -> None:
    for table, column in (("loyalty_entrylot", "entry_id"), ("loyalty_lot", "entry_id"), ("loyalty_entry", "id")):
        run(f"DELETE FROM {table} WHERE {column} = %s", sealed[2])
    (broken,) = ENTRIES.verify(kulfi).broken
    assert (broken.block, broken.row, broken.what) == (1, sealed[2], "the entry is missing")


def test_an_inserted_row_is_located(kulfi: Tenant, sealed: list[int]) -> None:
    """An id that was taken and never used leaves a place to slip a row into."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('loyalty_entry_id_seq')")
        free = cursor.fetchone()[0]
    builders.issue(kulfi, Entry.objects.get(pk=sealed[0]).customer, 1)
    ENTRIES.seal(kulfi, up_to_id=Entry.objects.latest("id").pk)
    names = "tenant_id, customer_id, operation, seq, kind, pending, available, held, owed, reason, actor_kind, actor_name, occurred_at"
    run(
        f"INSERT INTO loyalty_entry (id, {names}, business_date, key, fingerprint)"
        f" SELECT %s, {names}, business_date, 'slipped in', 0 FROM loyalty_entry WHERE id = %s",
        free, sealed[0],
    )  # fmt: skip
    (broken,) = ENTRIES.verify(kulfi).broken
    assert (broken.row, broken.what) == (free, "the entry was inserted behind the seal")


def test_a_row_slipped_in_below_the_first_is_located(kulfi: Tenant, sealed: list[int]) -> None:
    names = "tenant_id, customer_id, operation, seq, kind, pending, available, held, owed, reason, actor_kind, actor_name, occurred_at"
    run(
        f"INSERT INTO loyalty_entry (id, {names}, business_date, key, fingerprint)"
        f" SELECT -7, {names}, business_date, 'slipped in', 0 FROM loyalty_entry WHERE id = %s",
        sealed[0],
    )
    assert [broken.row for broken in ENTRIES.verify(kulfi).broken] == [-7]


def test_a_block_that_was_forged_or_taken_out_breaks_the_chain(kulfi: Tenant, sealed: list[int]) -> None:
    run("DELETE FROM loyalty_seal WHERE number = 2")
    assert {broken.what for broken in ENTRIES.verify(kulfi).broken} == {
        "a block is missing before this one", "the block does not continue the one before it",
    }  # fmt: skip


def test_a_chain_written_anew_is_told_by_a_digest_kept_elsewhere(kulfi: Tenant, sealed: list[int]) -> None:
    kept = ENTRIES.verify(kulfi).head
    run("UPDATE loyalty_entry SET reason = 'another' WHERE id = %s", sealed[0])
    run("DELETE FROM loyalty_seal")
    ENTRIES.seal(kulfi, up_to_id=sealed[-1])
    assert ENTRIES.verify(kulfi).ok
    assert "written anew" in ENTRIES.verify(kulfi, kept=[kept]).broken[0].what


def test_a_digest_kept_earlier_still_proves_its_part(kulfi: Tenant, sealed: list[int]) -> None:
    kept = ENTRIES.verify(kulfi).head
    builders.issue(kulfi, Entry.objects.get(pk=sealed[0]).customer, 1)
    ENTRIES.seal(kulfi, up_to_id=Entry.objects.latest("id").pk)
    assert ENTRIES.verify(kulfi, kept=[kept]).ok


def test_seals_are_never_edited(kulfi: Tenant) -> None:
    builders.issue(kulfi, builders.customer(kulfi), 1)
    ENTRIES.seal(kulfi, up_to_id=Entry.objects.latest("id").pk)
    with pytest.raises(IntegrityError, match="append-only"):
        Seal.objects.update(number=9)


def test_the_command_names_the_row_and_ends_with_1(kulfi: Tenant, sealed: list[int]) -> None:
    run("UPDATE loyalty_entry SET reason = 'another' WHERE id = %s", sealed[0])
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("verify_chain", "--tenant", kulfi.slug, "--json", stdout=out)
    assert ended.value.code == 1
    assert json.loads(out.getvalue())["tenants"][kulfi.slug]["broken"][0]["entry"] == sealed[0]


def noted(now: datetime) -> SealLimit | None:
    return ENTRIES.note_limit(now=now)


def test_nothing_is_sealed_beneath_a_transaction_that_still_runs(committed: Tenant) -> None:
    """Its rows could appear below the seal. Other tests of the cluster run beside this one, so sealing may have to wait."""
    SealBound.objects.all().delete()
    meera = builders.customer(committed)
    now = timezone.now()
    settings = connection.settings_dict
    with psycopg.connect(
        host=settings["HOST"], port=settings["PORT"] or None, user=settings["USER"], password=settings["PASSWORD"], dbname=settings["NAME"]
    ) as writer:  # fmt: skip
        writer.execute("SELECT pg_current_xact_id(), nextval('loyalty_entry_id_seq')")
        builders.issue(committed, meera, 5)
        assert noted(now) is None
        for minutes in (5, 10, 15):
            assert noted(now + timedelta(minutes=minutes)) is None
        writer.rollback()
    SealBound.objects.all().delete()


def test_who_took_an_id_and_has_no_transaction_s_number_yet_is_waited_for(committed: Tenant) -> None:
    """PostgreSQL gives the number with the first row that is written, an instant after the id."""
    SealBound.objects.all().delete()
    now = timezone.now()
    settings = connection.settings_dict
    with psycopg.connect(
        host=settings["HOST"], port=settings["PORT"] or None, user=settings["USER"], password=settings["PASSWORD"], dbname=settings["NAME"]
    ) as writer:  # fmt: skip
        writer.execute("SELECT nextval('loyalty_entry_id_seq')")
        assert noted(now) is None
        writer.execute("SELECT pg_current_xact_id()")
        for minutes in (5, 10, 15, 20):
            assert noted(now + timedelta(minutes=minutes)) is None
        writer.rollback()
    SealBound.objects.all().delete()


def test_a_bound_waits_for_its_delay_and_a_restored_cluster_begins_anew(kulfi: Tenant) -> None:
    SealBound.objects.all().delete()
    now = timezone.now()
    assert noted(now) is None
    first = SealBound.objects.get()
    SealBound.objects.update(transaction="0")
    assert noted(now + chain.DELAY / 2) is None
    found = noted(now + chain.DELAY * 2)
    assert found is not None
    assert found.up_to_id == first.up_to_id
    SealBound.objects.update(system="another cluster")
    assert noted(now + chain.DELAY * 4) is None
    assert SealBound.objects.get().system == first.system
