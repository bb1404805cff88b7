"""The audit trail: the database tells every change of the set-up, also of those who go around our code; and nobody rewrites it unseen."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_scopes import scope

from loyalty.chain import ENTRIES
from loyalty.models import ProgrammeVersion
from support import heads
from tenants import chain, staff, trail
from tenants.access import walls_around
from tenants.actors import SYSTEM, acting_as
from tenants.models import AuditEvent, AuditSeal, Membership, Store, Tenant, User
from tenants.trail import TRAIL, WATCHED
from tests import builders
from tests.conftest import PASSWORD, signed_in
from tests.receivers import mail_server

#: Rows that customers, tills and work make, or that are kept elsewhere; whoever adds a table says to which it belongs.
NOT_SET_UP = {
    "tenants.auditevent", "tenants.auditseal", "loyalty.customer", "loyalty.customeralias", "loyalty.customermerge", "loyalty.numbermove",
    "loyalty.balance", "loyalty.hold", "loyalty.entry", "loyalty.emptyoperation", "loyalty.lot", "loyalty.entrylot", "loyalty.cohortmember",
    "loyalty.bonusevaluation", "loyalty.seal", "loyalty.auditstep", "integrations.parityrun", "integrations.parityday",
    "integrations.closeddays", "integrations.resync", "integrations.bill", "integrations.billline", "integrations.returnedpart",
    "integrations.delivery", "integrations.billissue", "integrations.billclaim", "integrations.discrepancy", "integrations.incident",
    "integrations.message", "integrations.reconciliationrun", "integrations.replay", "integrations.replayrow", "integrations.fileimport",
    "integrations.dayend", "integrations.erporder", "integrations.crmbalance", "integrations.repushrequest", "integrations.repushline",
    "integrations.poschange", "support.bulkjob", "support.jobblock", "support.jobrow", "support.dayofwork", "support.case",
    "support.approvalrequest", "support.note", "support.erasure", "support.savedview", "support.alarm",
}  # fmt: skip


def told(tenant: Tenant, label: str) -> list[Any]:
    """What the database said of the rows of a model, oldest first."""
    found = AuditEvent.objects.filter(tenant=tenant, object_type=label, action__in=trail.SAID_BY_DATABASE)
    return list(found.order_by("pk"))


def run(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_every_table_of_a_tenant_is_watched_or_is_no_set_up() -> None:
    of_tenants = {
        model._meta.label_lower
        for model in apps.get_models()
        if any(field.name == "tenant" for field in model._meta.local_fields)
    }
    watched = {each.label for each in WATCHED}
    assert of_tenants - NOT_SET_UP <= watched
    assert not watched & NOT_SET_UP
    for each in WATCHED:
        model = apps.get_model(each.label)
        columns = {field.column for field in model._meta.local_fields}
        assert model._meta.db_table == each.table
        assert columns >= {*each.hidden, *each.unsaid}, each.table


@pytest.mark.django_db
def test_the_triggers_are_there_and_one_that_is_switched_off_is_named_and_put_back() -> None:
    assert trail.silent() == []
    run("ALTER TABLE tenants_store DISABLE TRIGGER tell_change")
    run("DROP TRIGGER tell_change ON loyalty_bonus")
    run(
        "CREATE OR REPLACE TRIGGER tell_change AFTER UPDATE ON loyalty_cohort FOR EACH ROW EXECUTE FUNCTION tell_change('tenant_id')"
    )
    assert trail.silent() == ["loyalty_bonus", "loyalty_cohort", "tenants_store"]
    trail.watch()
    assert trail.silent() == []


def test_a_bulk_statement_is_told_row_by_row_with_old_and_new_values(kulfi: Tenant) -> None:
    Store.objects.filter(tenant=kulfi).update(name="Besant Nagar")
    changed = [event for event in told(kulfi, "tenants.store") if event.action == trail.CHANGED]
    assert [(event.before, event.after) for event in changed] == [
        ({"name": "Anna Nagar"}, {"name": "Besant Nagar"}), ({"name": "T. Nagar"}, {"name": "Besant Nagar"}),
    ]  # fmt: skip
    assert {event.actor_kind for event in changed} == {"system"}
    assert all(event.actor_name.startswith("database role ") and ", pointdesk owner: " in event.actor_name for event in changed)


def test_raw_sql_of_somebody_with_a_console_is_told(kulfi: Tenant) -> None:
    version = ProgrammeVersion.objects.get(tenant=kulfi)
    run("SET LOCAL application_name = 'psql'")
    run("UPDATE loyalty_programmeversion SET point_value = 9 WHERE id = %s", version.pk)
    event = told(kulfi, "loyalty.programmeversion")[-1]
    assert event.action == trail.CHANGED
    assert float(event.before["point_value"]) == 1
    assert float(event.after["point_value"]) == 9
    assert event.actor_name.endswith(", psql")
    run("DELETE FROM loyalty_storeprogramme WHERE tenant_id = %s", kulfi.pk)


def test_what_changes_nothing_is_not_told(kulfi: Tenant) -> None:
    before = len(told(kulfi, "tenants.store"))
    Store.objects.get(code="K1").save()
    assert len(told(kulfi, "tenants.store")) == before


def test_a_page_says_who_from_where_and_its_own_event_belongs_to_it(kulfi: Tenant, alice: User) -> None:
    store = Store.objects.get(code="K1")
    page = signed_in(alice)
    form = {
        "code": "K1", "name": "Adyar", "is_active": "on", "modes-TOTAL_FORMS": "0", "modes-INITIAL_FORMS": "0",
        "aliases-TOTAL_FORMS": "0", "aliases-INITIAL_FORMS": "0",
    }  # fmt: skip
    answer = page.post(reverse("admin:tenants_store_change", args=[store.pk]), form, REMOTE_ADDR="203.0.113.7")
    assert answer.status_code == 302, answer.content.decode()[:2000]
    event = told(kulfi, "tenants.store")[-1]
    assert (event.actor_kind, event.actor_id, event.actor_name, event.address) == ("person", alice.pk, "Alice", "203.0.113.7")
    assert (event.before, event.after) == ({"name": "Anna Nagar"}, {"name": "Adyar"})
    (own,) = [each for each in trail.of_same_transaction(event) if each.action == "change_store"]
    assert own.request_id == event.request_id != ""


def test_a_transaction_of_the_same_number_before_a_restore_is_another_one(kulfi: Tenant) -> None:
    Store.objects.filter(code="K1").update(name="Adyar")
    run("""
        INSERT INTO tenants_auditevent (tenant_id, at, actor_kind, actor_name, action, object_type, object_id, reason, request_id, xid)
        SELECT tenant_id, at - interval '40 days', actor_kind, actor_name, 'before', object_type, object_id, '', '', xid
        FROM tenants_auditevent WHERE tenant_id = %s ORDER BY id DESC LIMIT 1
    """, kulfi.pk)  # fmt: skip
    event = told(kulfi, "tenants.store")[-1]
    assert not trail.of_same_transaction(event).filter(action="before").exists()
    assert trail.of_same_transaction(AuditEvent.objects.get(action="before")).count() == 0


def test_secrets_and_numbers_are_told_as_changed_and_no_more(kulfi: Tenant, bob: User) -> None:
    staff.create_api_key(kulfi, scopes=["pos"], actor=SYSTEM)
    Membership.objects.filter(tenant=kulfi, user=bob).update(mobile="+919840012345")
    bob.set_password("another-long-password")
    bob.save()
    texts = json.dumps([[event.before, event.after] for event in AuditEvent.objects.all()])
    assert "9840012345" not in texts
    assert bob.password not in texts
    assert told(kulfi, "tenants.apikey")[-1].after["secret_hash"] == "(hidden)"
    assert told(kulfi, "tenants.user")[-1].after["password"] == "(hidden)"
    assert told(kulfi, "tenants.membership")[-1].before == {"mobile": ""}


def test_a_change_of_a_person_is_told_to_each_of_their_tenants_and_a_platform_admin_to_all(
    kulfi: Tenant, liberty: Tenant, bob: User, charlie: User
) -> None:
    with scope(tenant=liberty):
        staff.create_staff(liberty, email=bob.email, role="agent", actor=SYSTEM)
        before = len(told(liberty, "tenants.user"))
    User.objects.filter(pk=bob.pk).update(is_active=False)
    with scope(tenant=liberty):
        assert [event.after for event in told(liberty, "tenants.user")[before:]] == [{"is_active": False, "factors_changed": 1}]
    assert told(kulfi, "tenants.user")[-1].after == {"is_active": False, "factors_changed": 1}
    User.objects.filter(pk=charlie.pk).update(is_active=False)
    assert told(kulfi, "tenants.user")[-1].object_id == str(bob.pk), "Charlie is no concern of Kulfi House"
    User.objects.create_superuser("root@example.com", PASSWORD)
    event = told(kulfi, "tenants.user")[-1]
    assert (event.action, event.after["is_superuser"]) == (trail.ADDED, True)


def test_the_database_tells_behind_the_walls_too(kulfi: Tenant, alice: User) -> None:
    with transaction.atomic(), acting_as(alice.as_actor()), walls_around([kulfi]):
        Store.objects.filter(tenant=kulfi, code="K1").update(name="Adyar")
    assert told(kulfi, "tenants.store")[-1].actor_name == "Alice"
    Store.objects.filter(tenant=kulfi, code="K1").update(name="Porur")
    assert told(kulfi, "tenants.store")[-1].actor_kind == "system", "what was said of the last transaction is over"


def test_signing_in_and_out_and_failing_is_told(kulfi: Tenant, liberty: Tenant, bob: User) -> None:
    page = Client()
    page.post("/accounts/login/", {"login": bob.email, "password": "wrong"}, REMOTE_ADDR="203.0.113.9")
    page.post("/accounts/login/", {"login": "nobody@example.com", "password": "wrong"})
    page.post("/accounts/login/", {"login": bob.email, "password": PASSWORD})
    page.post("/accounts/logout/")
    found = AuditEvent.objects.filter(object_type="tenants.user", reason="At the door").order_by("pk")
    assert [(each.action, each.actor_name, each.address) for each in found] == [
        ("sign_in_failed", "not signed in", "203.0.113.9"), ("sign_in", "Bob", "127.0.0.1"), ("sign_out", "Bob", "127.0.0.1"),
    ]  # fmt: skip
    with scope(tenant=liberty):
        assert not AuditEvent.objects.filter(tenant=liberty, action__startswith="sign_").exists()


def test_whoever_guesses_on_after_the_lock_fills_no_trail(kulfi: Tenant, bob: User) -> None:
    page = Client()
    for _ in range(20):
        page.post("/accounts/login/", {"login": bob.email, "password": "wrong"})
    found = list(AuditEvent.objects.filter(action__startswith="sign_in_").order_by("pk").values_list("action", flat=True))
    assert found.count("sign_in_locked") == 1
    assert found[-1] == "sign_in_locked"
    assert 2 < len(found) < 15


@pytest.fixture
def sealed(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The events of setting a tenant up, in blocks of three; triggers off, as for somebody who owns the database."""
    monkeypatch.setattr(chain, "BLOCK_ROWS", 3)
    ids = list(AuditEvent.objects.filter(tenant=kulfi).order_by("pk").values_list("pk", flat=True))
    assert TRAIL.seal(kulfi, up_to_id=ids[-1]) == len(ids) > 6
    run("SET CONSTRAINTS ALL IMMEDIATE")
    for table in ("tenants_auditevent", "tenants_auditseal"):
        run(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
    return ids


def test_an_untouched_trail_verifies(kulfi: Tenant, sealed: list[int]) -> None:
    verdict = TRAIL.verify(kulfi)
    assert (verdict.ok, verdict.rows) == (True, len(sealed))
    assert TRAIL.seal(kulfi, up_to_id=sealed[-1]) == 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tenants_auditevent SET actor_name = 'Mallory' WHERE id = %s",
        "UPDATE tenants_auditevent SET after = '{}' WHERE id = %s",
        "UPDATE tenants_auditevent SET at = at + interval '1 microsecond' WHERE id = %s",
        "UPDATE tenants_auditevent SET address = '203.0.113.1' WHERE id = %s",
        "UPDATE tenants_auditevent SET xid = NULL WHERE id = %s",
        "UPDATE tenants_auditevent SET reason = reason || '.' WHERE id = %s",
        "DELETE FROM tenants_auditevent WHERE id = %s",
    ],
)
def test_a_changed_or_missing_event_is_located(kulfi: Tenant, sealed: list[int], change: str) -> None:
    run(change, sealed[4])
    (broken,) = TRAIL.verify(kulfi).broken
    assert (broken.block, broken.row) == (2, sealed[4])


def test_every_column_of_an_event_is_sealed() -> None:
    """Whoever adds a column adds it to a new content of the chain."""
    named = trail.HASHES[max(trail.HASHES)]
    for field in AuditEvent._meta.local_fields:
        assert field.column == "tenant_id" or f"a.{field.column}" in named.replace("FROM a.at", "a.at"), field.column


def test_an_event_slipped_in_behind_the_seal_is_located(kulfi: Tenant, sealed: list[int]) -> None:
    run(
        "INSERT INTO tenants_auditevent (id, tenant_id, at, actor_kind, actor_name, action, object_type, object_id, reason, request_id)"
        " VALUES (%s, %s, now(), 'system', 'Pointdesk', 'x', 'y', '1', '', '')",
        -sealed[0], kulfi.pk,
    )  # fmt: skip
    (broken,) = TRAIL.verify(kulfi).broken
    assert (broken.row, "inserted" in broken.what) == (-sealed[0], True)


@pytest.mark.django_db
def test_nobody_changes_the_seals_of_the_trail(kulfi: Tenant) -> None:
    TRAIL.seal(kulfi, up_to_id=AuditEvent.objects.latest("id").pk)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        AuditSeal.objects.update(number=9)
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), walls_around([kulfi]):
        run("DELETE FROM tenants_auditseal")


def test_heads_go_out_once_a_day_by_mail_and_file_and_that_is_an_event(
    kulfi: Tenant, liberty: Tenant, settings: Any, tmp_path: Path
) -> None:
    builders.issue(kulfi, builders.customer(kulfi), 5)
    _seal(kulfi)
    kulfi.audit_email = "auditor@kulfi-house.example"
    kulfi.save()
    settings.CHAIN_HEADS_FILE = str(tmp_path / "heads.jsonl")
    now = timezone.now()
    with mail_server() as box:
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
            "django.core.mail.backends.smtp.EmailBackend",
            "127.0.0.1",
            box.port,
        )
        settings.EMAIL_USE_TLS = False
        assert heads.send_everywhere(now=now) == 1, "Liberty Deli has nothing sealed yet"
        assert heads.send_everywhere(now=now) == 0
        (mail,) = box.got
    expected = heads.of(kulfi)
    text = str(mail.get_payload())
    assert mail["To"] == "auditor@kulfi-house.example"
    assert expected["ledger"]["digest"] in text
    assert expected["trail"]["digest"] in text
    (line,) = filter(None, (tmp_path / "heads.jsonl").read_text().splitlines())
    assert json.loads(line)["ledger"] == expected["ledger"]
    event: Any = AuditEvent.objects.get(action=heads.ACTION)
    assert (event.after, event.reason) == ({**expected, "ways": ["file", "mail"]}, "Once a day, by file and mail")
    assert heads.send_everywhere(now=now + timedelta(days=1)) == 1


def test_whoever_kept_the_heads_is_told_that_they_go_elsewhere(
    as_alice: Client, kulfi: Tenant, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    kulfi.audit_email = "auditor@kulfi-house.example"
    kulfi.save()
    with mail_server() as box:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", box.port, False
        for address in ("auditor@kulfi-house.example", "mallory@example.com"):
            with django_capture_on_commit_callbacks(execute=True):
                assert as_alice.post(reverse("admin:security"), {"audit_email": address}).status_code == 302
        (mail,) = box.got
    assert mail["To"] == "auditor@kulfi-house.example"
    assert "Alice changed the address" in " ".join(str(mail.get_payload()).split())


def test_heads_that_go_nowhere_are_not_said_to_have_gone(kulfi: Tenant, settings: Any, tmp_path: Path) -> None:
    _seal(kulfi)
    assert heads.send_everywhere(now=timezone.now()) == 0
    settings.CHAIN_HEADS_FILE = str(tmp_path / "not there" / "heads.jsonl")
    assert heads.send_everywhere(now=timezone.now()) == 0
    assert not AuditEvent.objects.filter(action=heads.ACTION).exists()


@pytest.mark.broken_on_purpose
def test_a_trail_written_anew_is_told_by_the_file_of_heads(kulfi: Tenant, settings: Any, tmp_path: Path) -> None:
    kept = tmp_path / "heads.jsonl"
    settings.CHAIN_HEADS_FILE = str(kept)
    builders.issue(kulfi, builders.customer(kulfi), 5)
    _seal(kulfi)
    assert heads.send_everywhere(now=timezone.now()) == 1
    whole = kept.read_text()
    assert verified("--heads", str(kept))["ok"]
    run("SET CONSTRAINTS ALL IMMEDIATE")
    for table in ("tenants_auditevent", "tenants_auditseal"):
        run(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
    run("UPDATE tenants_auditevent SET actor_name = 'Mallory' WHERE action = 'create_store'")
    run("DELETE FROM tenants_auditseal")
    _seal(kulfi)
    assert verified()["ok"], "without what was kept, the forger has won"
    found = verified("--heads", str(kept))
    assert not found["ok"]
    assert "written anew" in found["tenants"][kulfi.slug]["trail"]["broken"][0]["what"]
    assert found["tenants"][kulfi.slug]["broken"] == [], "the ledger was not touched"
    kept.write_text(kept.read_text().replace(kulfi.slug, "gone"))
    assert verified("--heads", str(kept))["lost"] == ["gone"]
    kept.write_text(f"\ufeff{whole.rstrip()[:-9]}\n{whole}")
    found = verified("--heads", str(kept))
    assert (found["unread"], found["heads"]) == ([2], 2), "a line that was broken off is named, and the others are read"
    with pytest.raises(SystemExit) as ended:
        call_command("verify_chain", "--head", "ab", stderr=StringIO())
    assert ended.value.code == 2
    kept.write_text("{}\nnonsense\n")
    with pytest.raises(SystemExit) as ended:
        call_command("verify_chain", "--heads", str(kept), stderr=StringIO())
    assert ended.value.code == 2


def test_a_table_whose_trigger_is_off_fails_the_verification(kulfi: Tenant) -> None:
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run("ALTER TABLE support_pointslimit DISABLE TRIGGER tell_change")
    found = verified()
    assert (found["ok"], found["silent"]) == (False, ["support_pointslimit"])


def _seal(tenant: Tenant) -> None:
    ENTRIES.seal(tenant, up_to_id=2**62)
    TRAIL.seal(tenant, up_to_id=2**62)


def verified(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    try:
        call_command("verify_chain", "--json", *arguments, stdout=out)
    except SystemExit as ended:
        assert ended.code == 1
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def test_heads_of_one_brand_hold_up_no_other(kulfi: Tenant, liberty: Tenant, settings: Any, tmp_path: Path) -> None:
    for tenant in (kulfi, liberty):
        with scope(tenant=tenant):
            _seal(tenant)
    Tenant.objects.filter(pk=kulfi.pk).update(audit_email="x@" + 60 * "ä" + ".com")
    settings.CHAIN_HEADS_FILE = str(tmp_path / "heads.jsonl")
    with mail_server() as box:
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
            "django.core.mail.backends.smtp.EmailBackend",
            "127.0.0.1",
            box.port,
        )
        settings.EMAIL_USE_TLS = False
        now = timezone.now()
        assert heads.send_everywhere(now=now) == 2
        assert heads.send_everywhere(now=now) == 0, "the mail is tried again, the file is not written again"
        Tenant.objects.filter(pk=kulfi.pk).update(audit_email="x@example.com")
        assert heads.send_everywhere(now=now) == 1
    assert len((tmp_path / "heads.jsonl").read_text().split()) > 2
    assert [event.after["ways"] for event in AuditEvent.objects.filter(action=heads.ACTION).order_by("pk")] == [
        ["file"],
        ["mail"],
    ]


FORGERIES = (
    "INSERT INTO tenants_auditseal (tenant_id, number, content, after_id, up_to_id, row_ids, hashes, digest)"
    " VALUES (%(t)s, 99, 1, 0, 9223372036854775807, '{}', '', '')",
    "UPDATE tenants_auditsealbound SET transaction = 'nonsense'",
    "INSERT INTO loyalty_sealbound (up_to_id, system, transaction, noted_at) VALUES (1, 'x', '1', now())",
    "INSERT INTO tenants_auditevent (id, tenant_id, at, actor_kind, actor_name, action, object_type, object_id, reason, request_id)"
    " VALUES (-5, %(t)s, now(), 'system', 'x', 'x', 'x', '1', '', '')",
    "INSERT INTO tenants_auditevent (tenant_id, at, actor_kind, actor_name, action, object_type, object_id, reason, request_id)"
    " VALUES (%(t)s, 'infinity', 'system', 'x', 'x', 'x', '1', '', '')",
    "SELECT tell_of_person(1, 'issue_points', '{}', '{\"kind\": \"person\", \"name\": \"Charlie\"}', '') / 0",
    "CREATE TEMP TABLE x (id bigint, tenant_id bigint); CREATE TRIGGER t AFTER INSERT ON x FOR EACH ROW EXECUTE FUNCTION"
    " tell_change('tenant_id', 'loyalty.programmeversion', '', '')",
    "SELECT tenants_of(1, true)",
    "TRUNCATE tenants_store CASCADE",
)  # fmt: skip


@pytest.mark.parametrize("statement", FORGERIES)
def test_whoever_speaks_sql_as_web_forges_no_event_and_stops_no_seal(kulfi: Tenant, statement: str) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), walls_around([kulfi]), connection.cursor() as cursor:
        cursor.execute(statement, {"t": kulfi.pk} if "%(t)s" in statement else None)


def test_only_the_door_s_own_words_are_told_of_a_person(kulfi: Tenant, bob: User) -> None:
    with transaction.atomic(), walls_around([]):
        assert trail.tell_of_person(bob, "issue_points", actor=bob.as_actor()) == 0
        assert trail.tell_of_person(bob, "sign_in", actor=bob.as_actor()) == 1


@pytest.mark.parametrize("name", ["tenants_tenant", "tenants_auditevent"])
def test_a_temporary_table_of_the_same_name_hides_no_change(kulfi: Tenant, name: str) -> None:
    before = len(told(kulfi, "tenants.store"))
    with transaction.atomic(), walls_around([kulfi]):
        run(f"CREATE TEMP TABLE {name} (LIKE public.{name}) ON COMMIT DROP")
        Store.objects.filter(tenant=kulfi, code="K1").update(name="Adyar")
        run(f"DROP TABLE pg_temp.{name}")
    assert len(told(kulfi, "tenants.store")) == before + 1


@pytest.mark.django_db
def test_the_set_up_cannot_be_emptied_untold(kulfi: Tenant) -> None:
    run("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        run("TRUNCATE loyalty_storeprogramme")


@pytest.mark.parametrize(
    "change",
    [
        "CREATE OR REPLACE TRIGGER tell_change AFTER INSERT OR UPDATE OR DELETE ON tenants_store FOR EACH ROW WHEN (false)"
        " EXECUTE FUNCTION tell_change('tenant_id', 'tenants.store', '', '')",
        "CREATE OR REPLACE FUNCTION tell_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "ALTER TABLE tenants_store DISABLE TRIGGER never_emptied",
    ],
)
def test_a_trigger_that_only_looks_right_is_named(kulfi: Tenant, change: str) -> None:
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run(change)
    assert trail.silent() in (["tenants_store"], ["tell_change()"])
    trail.watch()
    assert trail.silent() == []


def test_a_person_who_is_no_platform_admin_any_more_is_told_of(kulfi: Tenant) -> None:
    root = User.objects.create_superuser("root@example.com", PASSWORD)
    User.objects.filter(pk=root.pk).update(is_superuser=False)
    assert told(kulfi, "tenants.user")[-1].after == {"is_superuser": False}


def test_a_brand_that_a_row_is_moved_away_from_is_told_too(kulfi: Tenant, liberty: Tenant, bob: User) -> None:
    Membership.objects.filter(user=bob).update(tenant=liberty)
    assert told(kulfi, "tenants.membership")[-1].after["tenant_id"] == liberty.pk


@pytest.mark.parametrize("change", ["content = 9", "hashes = substring(hashes FROM 1 FOR 5)", "row_ids = '{}'"])
def test_a_block_that_was_touched_is_named(kulfi: Tenant, sealed: list[int], change: str) -> None:
    run(f"UPDATE tenants_auditseal SET {change} WHERE number = 2")
    assert (2, 0) in {(broken.block, broken.row) for broken in TRAIL.verify(kulfi).broken}


def test_what_a_stranger_causes_fills_no_trail(kulfi: Tenant, bob: User) -> None:
    for number in range(70):
        Client().post("/accounts/login/", {"login": bob.email, "password": "wrong"}, REMOTE_ADDR=f"203.0.113.{number}")
    assert AuditEvent.objects.filter(action="sign_in_failed").count() == 50
    page = Client()
    for number in range(40):
        page.post("/accounts/login/", {"login": bob.email, "password": "wrong"}, REMOTE_ADDR=f"2001:db8::{number:x}")
    assert AuditEvent.objects.filter(action="sign_in_locked").count() == 1
    User.objects.create_superuser("root@example.com", PASSWORD)
    before = AuditEvent.objects.count()
    page.post("/accounts/login/", {"login": "root@example.com", "password": "wrong"})
    assert AuditEvent.objects.count() == before, "no brand's own"
