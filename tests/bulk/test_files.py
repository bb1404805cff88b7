"""Lists by file: read line by line, refused by name, mended and loaded again."""

import csv
import hashlib
import io
from collections.abc import Iterator
from itertools import islice
from typing import Any

import openpyxl
import pytest
from django.utils import timezone
from django_scopes import scope

from loyalty.ledger import KeyReused
from loyalty.models import Customer, Entry
from support.bulk import files, jobs, results, running
from support.bulk.jobs import File, Select, Wanted
from support.bulk.models import BulkJob, JobState
from tenants import exports, uploads
from tenants.access import Access
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.uploads import TooBusy
from tests import builders
from tests.bulk.conftest import Preview, available, confirmed, finished, run, told

HEADER = "mobile,points,reason\n"


def listed(text: str, name: str = "list.csv") -> Select:
    return Select(file=File(name, text.encode()))


def rows_of(lines: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(lines).lstrip("\ufeff"))))


def test_each_row_has_its_own_points_and_reason(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    text = HEADER + "9840000001,50,for the cake\n098400 00002,-20,\n+919840000003,1,\n"
    job = preview(select=listed(text))
    assert (job.state, job.chosen, job.count, job.sum, job.lines_refused) == (JobState.PREVIEW, 3, 3, 31, 0)
    run(job, alice_may)
    assert available(*crowd) == [0, 150, 180, 301, 400]
    reasons = set(Entry.objects.filter(job_id=job.pk).values_list("reason", flat=True))
    assert reasons == {"for a test: for the cake", "for a test"}


@pytest.mark.parametrize("name", ["a\0.csv", "\ud800a.csv"])
def test_a_file_may_have_any_name(crowd: list[Customer], preview: Preview, name: str) -> None:
    assert preview(select=listed(HEADER + "9840000001,5,\n", name)).file_name == "a.csv"


def test_customers_are_found_by_id_too(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    run(preview(select=listed(f"customer_id,points\n{crowd[1].pk},7\n")), alice_may)
    assert available(crowd[1]) == [107]


def test_lines_that_cannot_be_read_are_told_and_the_others_go_on(
    crowd: list[Customer], preview: Preview, alice_may: Access
) -> None:
    text = (
        HEADER
        + "9840000001,5,\nnonsense,5,\n9840000002,many,\n9840099999,5,\n9840000001,6,\n,5,\n9840000003,0,\n9840000004,1.5,\n"
    )
    job = preview(select=listed(text))
    assert (job.count, job.lines_refused) == (1, 7)
    assert told(job) == {
        "refused: mobile_invalid": 1, "refused: points_invalid": 3, "refused: unknown_customer": 1, "refused: duplicate": 1,
        "refused: required_field": 1,
    }  # fmt: skip
    assert list(job.rows.order_by("line").values_list("line", flat=True)) == [3, 4, 5, 6, 7, 8, 9]


def test_the_error_file_is_mended_and_loaded_again(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = preview(select=listed(HEADER + "9840000001,5,first\n98400,5,second\n"))
    (wrong,) = rows_of(files.error_lines(job))
    assert (wrong["mobile"], wrong["points"], wrong["reason"], wrong["line"]) == ("98400", "5", "second", "3")
    assert "digits" in wrong["error"]
    wrong["mobile"] = "9840000002"
    mended = io.StringIO()
    writer = csv.DictWriter(mended, wrong)
    writer.writeheader()
    writer.writerow(wrong)
    again = preview(select=listed(mended.getvalue()))
    assert (again.count, again.lines_refused) == (1, 0)


@pytest.mark.case(88)
@pytest.mark.parametrize(("type", "column"), [("adjust", "set_to"), ("set", "points"), ("reset", "points")])
def test_a_list_to_set_is_not_taken_as_one_to_add(crowd: list[Customer], preview: Preview, type: str, column: str) -> None:
    with pytest.raises(DomainError) as refusal:
        preview(type, select=listed(f"mobile,{column}\n9840000001,5\n"))
    assert refusal.value.code == "column_mismatch"
    assert not BulkJob.objects.exists()


@pytest.mark.case(88)
def test_a_list_sets_balances(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    run(preview("set", select=listed("mobile,set_to\n9840000001,0\n9840000002,500\n")), alice_may)
    assert available(*crowd) == [0, 0, 500, 300, 400]


def test_a_list_without_points_takes_the_jobs(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    run(preview(points=9, select=listed("mobile\n9840000001\n")), alice_may)
    assert available(crowd[1]) == [109]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "file_refused"), ("points\n5\n", "file_refused"), ("mobile,tenant,points\n9840000001,x,5\n", "column_forbidden"),
        ("mobile,id,points\n9840000001,1,5\n", "column_forbidden"), ("mobile\n9840000001\n", "file_refused"), (HEADER, "nothing_chosen"),
        ('mobile,points\n"9840000001,5\n', "file_refused"), ("mobile,points\n9840000001,5\0\n", "file_refused"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_list_is_refused(crowd: list[Customer], preview: Preview, text: str, code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        preview(select=listed(text))
    assert refusal.value.code == code
    assert not BulkJob.objects.exists()


def test_an_xlsx_is_a_list_too(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.append(["Mobile", "Points"])
    sheet.append([9840000001, 40])
    out = io.BytesIO()
    book.save(out)
    run(preview(select=Select(file=File("list.xlsx", out.getvalue()))), alice_may)
    assert available(crowd[1]) == [140]


def test_a_file_that_ran_before_is_told(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    text = HEADER + "9840000001,5,\n"
    job = run(preview(select=listed(text)), alice_may)
    again = preview(select=listed(text, "other name.csv"))
    assert (files.ran_before(again) or {})["job"] == job.pk
    assert files.ran_before(preview(select=listed(text + "9840000002,5,\n"))) is None


def test_the_same_key_with_another_file_is_another_request(crowd: list[Customer], preview: Preview) -> None:
    preview(select=listed(HEADER + "9840000001,5,\n"), key="same")
    with pytest.raises(KeyReused):
        preview(select=listed(HEADER + "9840000001,6,\n"), key="same")


def test_another_brands_customers_are_nobody(kulfi: Tenant, liberty: Tenant, preview: Preview) -> None:
    with scope(tenant=liberty):
        theirs = builders.customer(liberty, "+15005557731", points=10)
    job = preview(select=listed(f"customer_id,mobile,points\n{theirs.pk},,5\n,+15005557731,5\n"))
    assert (job.count, told(job)) == (0, {"refused: unknown_customer": 2})


# Long ones


@pytest.fixture
def long_list(crowd: list[Customer], monkeypatch: pytest.MonkeyPatch) -> str:
    """Five lines, where more than two are the worker's, two at a time."""
    monkeypatch.setattr(files, "AT_ONCE", 2)
    monkeypatch.setattr(files, "LINES", 2)
    return HEADER + "".join(f"984000{place:04d},{10 + place},\n" for place in range(5))


def test_a_long_file_is_read_by_the_worker(crowd: list[Customer], preview: Preview, alice_may: Access, long_list: str) -> None:
    job = preview(select=listed(long_list))
    assert (job.state, job.chosen) == (JobState.READING, 0)
    finished(job)
    assert (job.state, job.count, bytes(job.body)) == (JobState.PREVIEW, 5, b"")
    run(job, alice_may)
    assert available(*crowd) == [10, 111, 212, 313, 414]


def test_a_list_that_gets_no_time_at_its_page_goes_on_in_the_worker(
    crowd: list[Customer], preview: Preview, long_list: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(body: bytes, *, kind: str, awaited: bool) -> Iterator[tuple[int, dict[str, str]]]:
        yield from islice(uploads.rows_of(body, kind=kind), 3)
        raise TooBusy

    with monkeypatch.context() as patched:
        patched.setattr(files, "AT_ONCE", 5)
        patched.setattr(files, "rows_of", busy)
        job = preview(select=listed(long_list))
    assert (job.state, job.last_line, job.chosen) == (JobState.READING, 3, 0)
    finished(job)
    assert (job.state, job.count, job.sum, told(job)) == (JobState.PREVIEW, 5, 60, {})


def test_a_long_file_goes_on_where_its_worker_was_killed(
    crowd: list[Customer], preview: Preview, alice_may: Access, long_list: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = preview(select=listed(long_list))
    real = files._take
    stretches: list[None] = []

    def killed(*about: Any) -> None:
        if len(stretches) == 1:
            raise KeyboardInterrupt
        real(*about)
        stretches.append(None)

    with monkeypatch.context() as patched:
        patched.setattr(files, "_take", killed)
        with pytest.raises(KeyboardInterrupt):
            running.work_on(job)
    job = BulkJob.objects.get(pk=job.pk)
    assert (job.state, job.last_line) == (JobState.READING, 3)
    finished(job)
    assert (job.state, job.count, job.sum, told(job)) == (JobState.PREVIEW, 5, 60, {})


def test_a_long_file_that_is_hostile_is_refused_with_why(crowd: list[Customer], preview: Preview, long_list: str) -> None:
    job = finished(preview(select=listed(long_list + '"unclosed')))
    assert (job.state, bytes(job.body)) == (JobState.REFUSED, b"")
    assert "Row 7" in job.message


# What comes back


def test_the_result_has_a_line_for_each_customer(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = run(preview(points=-150), alice_may)
    lines = rows_of(files.result_lines(job))
    assert [line["points"] for line in lines] == ["0", "0", "-150", "-150", "-150"]
    assert [line["outcome"] for line in lines] == ["skipped", "skipped", "done", "done", "done"]
    assert lines[0]["why"] == "Fewer points are available than would be removed."
    assert "•" in lines[0]["mobile"]
    assert [line["customer_id"] for line in rows_of(files.result_lines(job, only_told=True))] == [
        str(row.pk) for row in crowd[:2]
    ]


def test_a_name_in_the_result_is_no_formula(kulfi: Tenant, preview: Preview, alice_may: Access) -> None:
    builders.customer(kulfi, points=5, name="=HYPERLINK(1)")
    (line,) = rows_of(files.result_lines(run(preview(points=5), alice_may)))
    assert line["name"] == "'=HYPERLINK(1)"


def test_whoever_ran_it_is_mailed_once(crowd: list[Customer], preview: Preview, alice_may: Access, mailoutbox: Any) -> None:
    job = run(preview(points=-150), alice_may)
    assert results.tell_all(now=timezone.now())["done"] == 1
    assert results.tell_all(now=timezone.now())["done"] == 0
    (mail,) = mailoutbox
    assert (mail.to, mail.subject) == (["alice@kulfi-house.example"], f"Job {job.pk} is done: 3 customers")
    assert "3 of 5 customers done, 2 skipped, 0 failed; -450 points." in mail.body
    ((name, content, _),) = mail.attachments
    assert (name, content.count(b"Fewer points")) == (f"job-{job.pk}.csv", 2)
    assert crowd[0].mobile.encode() not in content
    assert exports.known(job.tenant, hashlib.sha256(content).hexdigest()).get().actor_name == job.run_by


def test_a_template_names_the_columns_of_the_type() -> None:
    assert files.template_of("adjust") == ["mobile", "points", "reason"]
    assert files.template_of("set") == ["mobile", "set_to", "reason"]
    assert files.template_of("reset") == ["mobile", "reason"]


def test_a_job_by_list_needs_no_phrase(crowd: list[Customer], preview: Preview, alice_may: Access) -> None:
    job = preview(select=listed(HEADER + "9840000001,5,\n"))
    assert job.phrase == ""
    assert confirmed(job, alice_may).state == JobState.RUNNING


def test_a_job_says_whom_in_one_way(crowd: list[Customer], alice_may: Access) -> None:
    for select in (Select(), Select(all=True, mobiles=["9840000001"])):
        with pytest.raises(DomainError, match="in one way"):
            jobs.create(alice_may, Wanted("adjust", points=1), select, key="k", now=timezone.now())
