"""The commands as people and scripts call them."""

import gzip
import json
import resource
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_scopes import scope, scopes_disabled

from integrations.models import Delivery
from loyalty import tasks
from loyalty.models import Hold, ProgrammeVersion
from tenants.models import AuditEvent, ScheduledRun, Store, Tenant
from tests import builders
from tests.builders import bill, deliver
from tests.client import ApiClient


def run(*arguments: str) -> Any:
    out = StringIO()
    call_command(*arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def exit_code(*arguments: str) -> Any:
    with pytest.raises(SystemExit) as ended:
        call_command(*arguments, stdout=StringIO(), stderr=StringIO())
    return ended.value.code


@pytest.mark.django_db
def test_a_tenant_is_set_up_from_the_command_line_and_takes_a_bill() -> None:
    run("create_tenant", "new-shop", "--earn-per", "50", "--point-value", "0.5", "--hold-days", "30")
    run("create_store", "new-shop", "S1", "--name", "First")
    key = run("create_api_key", "new-shop", "--scope", "pos", "--scope", "read")["key"]
    staff = run("create_staff", "new-shop", "Eve@Example.com", "--role", "agent")
    assert (staff["email"], len(staff["password"]) >= 12) == ("eve@example.com", True)
    assert ApiClient(key).post("/bills", bill(store="S1")).status == 202
    tenant = Tenant.objects.get(slug="new-shop")
    with scope(tenant=tenant):
        version = ProgrammeVersion.objects.get()
        assert (version.earn_per, version.hold_days, version.validity_days) == (50, 30, 365)
        assert set(AuditEvent.objects.exclude(action="row_added").values_list("action", flat=True)) == {
            "create_tenant",
            "create_store",
            "create_api_key",
            "create_staff",
        }


@pytest.mark.django_db
@pytest.mark.parametrize(
    "option",
    [
        ["--pending-days", "99999"],
        ["--validity-days", "99999"],
        ["--earn-per", "NaN"],
        ["--earn-per", "0"],
        ["--earn-per", "x"],
        ["--timezone", "Mars/Base"],
    ],
)
def test_what_is_not_built_or_not_possible_is_refused_with_2_and_nothing_made(option: list[str]) -> None:
    assert exit_code("create_tenant", "new-shop", *option) == 2
    assert not Tenant.objects.filter(slug="new-shop").exists()


def test_names_that_are_taken_are_refused_with_2(kulfi: Tenant) -> None:
    assert exit_code("create_tenant", "kulfi-house") == 2
    assert exit_code("create_store", "kulfi-house", "K1") == 2
    assert exit_code("create_store", "no-such-tenant", "K1") == 2
    assert exit_code("create_api_key", "kulfi-house", "--scope", "everything") == 2
    assert exit_code("create_api_key", "kulfi-house") == 2


def test_bills_from_a_file_go_the_same_way(kulfi: Tenant, tmp_path: Path) -> None:
    lines = [json.dumps(bill("A1")), json.dumps(bill("A2", net_amount="1.00")), "{oops", "", json.dumps(bill(business_id="else"))]
    file = tmp_path / "bills.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    result = run("ingest_bills", "kulfi-house", str(file), "--repush", "May", "--wait")
    assert result == {"total": 4, "counts": {"applied": 1, "quarantined": 1, "rejected": 1, "business_mismatch": 1}}
    assert set(Delivery.objects.exclude(state="rejected").values_list("repush", flat=True)) == {"May"}
    again = run("ingest_bills", "kulfi-house", str(file), "--wait")
    assert again["counts"]["applied"] == 1
    assert Delivery.objects.count() == 3


def test_a_file_that_is_not_there_is_exit_2(kulfi: Tenant) -> None:
    assert exit_code("ingest_bills", "kulfi-house", "/no/such/file") == 2


def _gz(text: bytes) -> bytes:
    return gzip.compress(text, compresslevel=6)


GOOD = json.dumps(builders.bill("A1")).encode() + b"\n"


@pytest.mark.parametrize(
    ("name", "body", "told", "kept"),
    [
        ("a line without end", _gz(GOOD + b"x" * (400 << 20)), "unpacks to more than 300 times", 0),
        ("spaces without end", _gz(GOOD + b" " * (400 << 20)), "unpacks to more than 300 times", 0),
        ("lines of 2 MB", _gz(GOOD + (b"x" * (2 << 20) + b"\n") * 200), "unpacks to more than 300 times", 1),
        ("broken off", _gz(GOOD * 150)[:-20], "EOFError", 1),
        ("no gz", GOOD, "BadGzipFile", 0),
        ("UTF-16", _gz(GOOD.decode().encode("utf-16")), "UTF-16", 0),
        ("other lines", _gz(b"".join(b"x%d\n" % number for number in range(3000))), "Is it another file", 1000),
    ],
)
def test_a_hostile_file_of_bills_is_refused_in_little_memory(
    kulfi: Tenant, tmp_path: Path, name: str, body: bytes, told: str, kept: int
) -> None:
    file = tmp_path / "bills.jsonl.gz"
    file.write_bytes(body)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = StringIO()
    with pytest.raises(SystemExit):
        call_command("ingest_bills", "kulfi-house", str(file), "--json", stdout=StringIO(), stderr=said)
    assert told in said.getvalue()
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10 < 150, "MB"
    assert Delivery.objects.count() >= min(kept, 1)


def test_lines_that_are_not_taken_are_named_and_a_mark_at_the_beginning_is_none(kulfi: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "bills.jsonl"
    file.write_bytes(
        b"\xef\xbb\xbf"
        + GOOD
        + b"\nno bill\n"
        + b'{"a": "'
        + b"x" * (3 << 20)
        + b'"}\n'
        + json.dumps(builders.bill("A2")).encode()
    )
    out, said = StringIO(), StringIO()
    call_command("ingest_bills", "kulfi-house", str(file), "--wait", "--json", stdout=out, stderr=said)
    assert json.loads(out.getvalue()) == {"total": 4, "counts": {"applied": 2, "rejected": 1, "too_large": 1}}
    told = said.getvalue()
    assert "line 3: rejected: " in told
    assert "line 4: too_large: " in told


def test_holds_expire_as_of_a_later_day_only_where_that_is_allowed(kulfi: Tenant, settings: Any) -> None:
    builders.hold(kulfi, builders.customer(kulfi, points=50), 40)
    later = (timezone.now() + timedelta(days=101)).isoformat()
    with pytest.raises(CommandError, match="POINTDESK_ALLOW_AS_OF"):
        run("release_expired_holds", "--as-of", later)
    settings.ALLOW_AS_OF = True
    assert run("release_expired_holds", "--as-of", later) == {"done": 1, "points": 40, "failed": []}
    assert Hold.objects.get().state == "expired"


def test_the_sweeper_processes_what_waits(kulfi: Tenant, till: ApiClient) -> None:
    till.post("/bills", bill("A1"))
    assert run("sweep_inbox")["counts"] == {"applied": 1}


def test_the_audit_of_clean_books_is_exit_0(kulfi: Tenant) -> None:
    builders.customer(kulfi, points=5)
    report = run("audit_ledger", "--tenant", "kulfi-house")
    assert (report["ok"], list(report["laws"].values())) == (True, [0] * 11)


@pytest.mark.django_db
def test_store_modes_are_the_tenants_unless_said(kulfi: Tenant) -> None:
    Tenant.objects.update(default_mode="discount")
    run("create_store", "kulfi-house", "K8")
    run("create_store", "kulfi-house", "K9", "--mode", "payment")
    modes = {store.code: store.modes.get().mode for store in Store.objects.filter(code__in=["K8", "K9"])}
    assert modes == {"K8": "discount", "K9": "payment"}


@pytest.mark.django_db
def test_a_tenant_with_waiting_points_or_visits_is_made() -> None:
    run("create_tenant", "waits", "--pending-days", "14", "--validity-days", "0")
    run("create_tenant", "visits", "--programme", "visit_count")
    with scopes_disabled():
        found = ProgrammeVersion.objects.order_by("id").values_list("kind", "pending_days", "validity_days")
        assert list(found) == [("purchase_amount", 14, 0), ("visit_count", 0, 365)]


@pytest.mark.case(73)
def test_what_falls_due_is_done_by_command_as_of_a_day(kulfi: Tenant, settings: Any) -> None:
    settings.ALLOW_AS_OF = True
    ProgrammeVersion.objects.update(pending_days=10, validity_days=20)
    deliver(kulfi, bill("A1"))
    day = [(timezone.now() + timedelta(days=days)).isoformat() for days in (0, 11, 31)]
    assert run("activate_pending", "--as-of", day[0]) == {"done": 0, "points": 0, "failed": []}
    assert run("activate_pending", "--as-of", day[1]) == {"done": 1, "points": 10, "failed": []}
    assert run("expire_lots", "--as-of", day[1]) == {"done": 0, "points": 0, "failed": []}
    assert run("expire_lots", "--as-of", day[2]) == {"done": 1, "points": 10, "failed": []}
    assert run("expire_lots", "--as-of", day[2]) == {"done": 0, "points": 0, "failed": []}


def test_the_timetables_tasks_leave_a_row_each(kulfi: Tenant) -> None:
    for task in (tasks.expire_lots, tasks.activate_pending, tasks.seal_entries, tasks.release_expired_holds):
        task()
    jobs = {"expire_lots", "activate_pending", "seal_entries", "release_expired_holds"}
    assert set(ScheduledRun.objects.values_list("job", flat=True)) == jobs


def test_a_seeded_tenant_has_consistent_books(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.bench.seeding.VACUUM", ())
    assert run("seed", "--tenant", "kulfi-house", "--customers", "3", "--entries", "25") == {"customers": 3, "entries": 24}
    assert run("audit_ledger", "--tenant", "kulfi-house")["entries"] == 24
    assert exit_code("seed", "--tenant", "kulfi-house", "--customers", "5", "--entries", "2") == 2


def test_an_audit_by_name_goes_on_and_says_the_same(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1"))
    first = run("audit_ledger", "--tenant", "kulfi-house", "--run", "monday")
    assert run("audit_ledger", "--tenant", "kulfi-house", "--run", "monday") == first
    assert first["laws"] == {str(law): 0 for law in range(1, 12)}
