"""Long files of day-ends, orders and balances: taken by the worker, row by row, from where it was."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from integrations import files
from integrations.models import CrmBalance, DayEnd, ErpOrder, FileImport, FileKind
from integrations.tasks import continue_files, read_file
from loyalty.models import Entry
from tenants import crash
from tenants.actors import Actor, ActorKind
from tenants.models import AuditEvent, ScheduledRun, Tenant
from tenants.uploads import FileRefused
from tests import builders
from tests.tenants.test_uploads import xlsx

INA = Actor(ActorKind.PERSON, 7, "ina@kulfi.example")
ORDERS = "order_no,store,bill_no,mobile,amount,state,at\n"


def orders(count: int, *, first: int = 0) -> bytes:
    lines = (
        f"SO-{number},K1,A{number},98400 12345,100.00,confirmed,2026-11-20T10:00:00" for number in range(first, first + count)
    )
    return (ORDERS + "\n".join(lines)).encode()


def kept(tenant: Tenant, body: bytes, *, kind: FileKind = FileKind.ORDERS) -> FileImport:
    return files.keep(tenant, kind, name="orders.csv", body=body, actor=INA)


def done(row: FileImport) -> FileImport:
    assert files.work_on(row)
    row.refresh_from_db()
    return row


def test_a_long_file_goes_from_the_page_to_the_worker(as_alice: Client, kulfi: Tenant) -> None:
    body = orders(5001) + b"\nSO-X,K9,A1,,1.00,confirmed,2026-11-20T10:00:00\nSO-Y,K1,A1,,much,confirmed,2026-11-20T10:00:00\n"
    upload = SimpleUploadedFile("orders.csv", body, content_type="text/csv")
    answer = as_alice.post(reverse("admin:integrations_erporder_import"), {"import_file": upload, "format": "0"}, follow=True)
    text = answer.content.decode()
    assert ("waiting for the worker" in text, "No worker has been heard of" in text) == (True, True)
    row = FileImport.objects.get()
    read_file(row.pk)
    row.refresh_from_db()
    assert (row.state, row.taken, row.refused, row.last_row, bytes(row.body)) == ("done", 5001, 2, 5004, b"")
    assert ErpOrder.objects.count() == 5001
    text = as_alice.get(reverse("admin:file_import", args=[row.pk])).content.decode()
    for words in ("5,001 rows taken, 2 refused", "5,003", "No store has the code", "amount is not a plain number"):
        assert words.replace("'", "&#x27;") in text
    assert (
        as_alice.get(reverse("admin:file_import", args=[row.pk]), headers={"HX-Request": "true"})
        .content.strip()
        .startswith(b"<div")
    )
    assert "orders.csv" in as_alice.get(reverse("admin:integrations_fileimport_changelist")).content.decode()
    assert set(AuditEvent.objects.filter(object_id=str(row.pk)).values_list("action", flat=True)) >= {"import_file", "end_import"}


def test_a_short_file_is_shown_before_it_is_taken_as_ever(as_alice: Client, kulfi: Tenant) -> None:
    upload = SimpleUploadedFile("orders.csv", orders(3), content_type="text/csv")
    answer = as_alice.post(reverse("admin:integrations_erporder_import"), {"import_file": upload, "format": "0"}, follow=True)
    assert "SO-2" in answer.content.decode()
    assert (FileImport.objects.count(), ErpOrder.objects.count()) == (0, 0)


def test_rows_that_cannot_be_taken_end_their_file_after_three_tries(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise ArithmeticError

    row = kept(kulfi, orders(3))
    with monkeypatch.context() as patched:
        patched.setattr(files, "_take", broken)
        states = []
        for _ in range(3):
            files.work_on(row)
            row.refresh_from_db()
            states.append(row.state)
    assert states == ["waiting", "waiting", "refused"]
    assert "could not be taken (ArithmeticError)" in row.message
    assert bytes(row.body) == b""


def test_a_file_works_a_turn_at_a_time(kulfi: Tenant) -> None:
    row = kept(kulfi, orders(1200))
    taken = []
    for _ in range(3):
        files.work_on(row, seconds=0)
        taken.append((row.state, row.taken))
    assert taken == [("running", 500), ("running", 1000), ("done", 1200)] or taken[:2] == [("running", 500), ("running", 1000)]
    files.work_on(row)
    assert (row.state, row.taken) == ("done", 1200)


def test_every_kind_is_read_by_the_apis_own_rules_and_moves_no_point(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    days = xlsx(("Store", "Business date", "bills", "net_amount"), ("K1", "2026-11-20", 3, 300.5), ("K1", "soon", 1, 1))
    row = done(kept(kulfi, days, kind=FileKind.DAY_ENDS))
    assert (row.taken, [each["code"] for each in row.refused_rows], DayEnd.objects.get().bills) == (1, ["bad_value"], 3)
    balances = b"mobile,points,as_of,tier\n98400 12345,-7,2026-11-20T10:00:00+05:30,gold\n12,1,2026-11-20T10:00:00,x\n"
    row = done(kept(kulfi, balances, kind=FileKind.BALANCES))
    assert (row.taken, row.refused, CrmBalance.objects.get().customer_id) == (1, 1, meera.pk)
    assert not Entry.objects.exists()


def test_a_run_goes_on_where_it_was_and_takes_no_row_twice(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    row = kept(kulfi, orders(1200))
    chunks: list[int] = []

    def dies(name: str) -> None:
        chunks.append(1)
        if len(chunks) == 2:
            raise SystemExit  # as a worker that is told to go

    monkeypatch.setattr(crash, "point", dies)
    with pytest.raises(SystemExit):
        files.work_on(row)
    row.refresh_from_db()
    assert (row.state, row.taken, row.last_row, ErpOrder.objects.count()) == ("running", 1000, 1001, 1000)
    continue_files()
    row.refresh_from_db()
    assert (row.state, row.taken, ErpOrder.objects.count()) == ("done", 1200, 1200)
    assert ScheduledRun.objects.get(job="continue_files").error == ""
    assert files.work_on(row), "over is over"


def test_a_file_that_breaks_off_says_how_far_it_was_taken(kulfi: Tenant, as_alice: Client) -> None:
    row = done(kept(kulfi, orders(600) + b'\n"SO-700,K1\n'))
    assert (row.state, row.taken, row.last_row) == ("refused", 500, 501)
    assert "The rows up to 501 were taken" in as_alice.get(reverse("admin:file_import", args=[row.pk])).content.decode()
    with pytest.raises(FileRefused):
        kept(kulfi, b"a\0")
