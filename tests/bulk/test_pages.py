"""Bulk jobs at the desk: what a merchant sees and presses."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from loyalty.models import Customer
from support.bulk.models import BulkJob, BulkSettings, JobState
from support.models import SavedView
from tenants.access import Access
from tenants.models import AuditEvent, Tenant
from tests.bulk.conftest import Preview, available, finished
from tests.conftest import _person, signed_in

TOKEN = "t" * 24
NEW = "admin:new_job"


def begin(client: Client, **fields: Any) -> Any:
    body = {"type": "adjust", "points": "50", "whom": "all", "token": TOKEN} | fields
    return client.post(reverse(NEW), body, follow=True)


def press(client: Client, job: BulkJob, act: str, **fields: Any) -> Any:
    return client.post(reverse("admin:act_on_job", args=[job.pk, act]), fields, follow=True)


def text_of(response: Any) -> str:
    return str(response.content.decode())


@pytest.fixture
def job(crowd: list[Customer], as_alice: Client) -> BulkJob:
    """+50 for everybody, previewed by Alice."""
    begin(as_alice)
    made: BulkJob = BulkJob.objects.get()
    return made


def test_a_preview_says_what_will_happen_and_the_button_how_many(job: BulkJob, as_alice: Client) -> None:
    page = text_of(as_alice.get(reverse("admin:job", args=[job.pk])))
    for words in (
        "Add 50 points",
        "All customers",
        "Apply to 5 customers",
        "+250",
        "INR 250.00",
        "Type “all customers of Kulfi House”",
    ):
        assert words in page, words


def test_confirmed_watched_and_undone(job: BulkJob, crowd: list[Customer], as_alice: Client) -> None:
    page = press(as_alice, job, "confirm", reason="Diwali gift", phrase=job.phrase)
    assert 'hx-trigger="every 1s"' in text_of(page)
    finished(job)
    done = text_of(as_alice.get(reverse("admin:job", args=[job.pk]), headers={"HX-Request": "true"}))
    assert "every 1s" not in done
    assert "Undo for 5 customers" in done
    undo = press(as_alice, job, "undo", spent="leave", token=TOKEN)
    assert "Undo of job" in text_of(undo)
    finished(BulkJob.objects.get(type="undo"))
    assert available(*crowd) == [0, 100, 200, 300, 400]
    assert "Undo for" not in text_of(as_alice.get(reverse("admin:job", args=[job.pk])))


def test_an_undo_is_previewed_first_where_that_is_wanted(job: BulkJob, crowd: list[Customer], as_alice: Client) -> None:
    press(as_alice, job, "confirm", reason="Diwali gift", phrase=job.phrase)
    finished(job)
    page = press(as_alice, job, "undo", spent="take", token=TOKEN, preview="1")
    assert "Undo for 5 customers" in text_of(page)
    assert BulkJob.objects.get(type="undo").state == JobState.PREVIEW


@pytest.mark.case(89)
def test_what_was_typed_stays_when_it_is_refused(job: BulkJob, as_alice: Client) -> None:
    page = press(as_alice, job, "confirm", reason="Diwali gift", phrase="everybody")
    assert page.status_code == 422
    assert "Nothing was changed." in text_of(page)
    assert "Diwali gift" in text_of(page)
    job.refresh_from_db()
    assert job.state == JobState.PREVIEW


@pytest.mark.case(82)
def test_a_reason_is_asked_for(job: BulkJob, as_alice: Client) -> None:
    page = press(as_alice, job, "confirm", reason=" x ", phrase=job.phrase)
    assert (page.status_code, "3 to 500 characters" in text_of(page)) == (422, True)


def test_the_form_is_sent_twice_and_makes_one_job(crowd: list[Customer], as_alice: Client) -> None:
    begin(as_alice)
    begin(as_alice)
    assert BulkJob.objects.count() == 1
    assert "sent before" in text_of(begin(as_alice, points="60"))
    assert BulkJob.objects.count() == 1


def test_a_filter_chooses_and_is_kept_under_a_name(crowd: list[Customer], as_alice: Client) -> None:
    page = begin(as_alice, whom="filter", available_min="300")
    assert "Apply to 2 customers" in text_of(page)
    assert 'name="query" value="available_min=300"' in text_of(page)
    as_alice.post(reverse("admin:save_view"), {"page": "jobs", "name": "Rich", "query": "available_min=300&x=1"})
    view = SavedView.objects.get()
    assert (view.page, view.query) == ("jobs", "available_min=300")
    assert 'value="300"' in text_of(as_alice.get(f"{reverse(NEW)}?{view.query}"))
    assert "Rich" not in text_of(as_alice.get(reverse("admin:activity")))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"whom": "filter"}, "Filter something below"), ({"whom": "file"}, "Choose a file"), ({"points": ""}, "Say how many points"),
        ({"type": "extend"}, "Say the new expiry date"), ({"points": "0"}, "whole number from 1"),
        ({"whom": "filter", "incident": "9"}, "no such incident"),
        ({"whom": "filter", "available_min": "9999"}, "No customer fits"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_at_its_field(crowd: list[Customer], as_alice: Client, fields: dict[str, str], said: str) -> None:
    page = begin(as_alice, **fields)
    assert (page.status_code, said in text_of(page)) == (422, True)
    assert not BulkJob.objects.exists()


def test_a_list_by_file_is_previewed_with_its_errors(crowd: list[Customer], as_alice: Client) -> None:
    file = SimpleUploadedFile("gifts.csv", b"mobile,points\n9840000001,5\n9840000002,many\n")
    page = text_of(begin(as_alice, points="", whom="file", file=file))
    assert "Apply to 1 customer" in page
    assert "points is &#x27;many&#x27;" in page
    job = BulkJob.objects.get()
    errors: Any = as_alice.post(reverse("admin:job_file", args=[job.pk, "errors"]))
    assert b"".join(errors.streaming_content).decode().splitlines()[1].startswith("9840000002,,many,,3,")
    assert AuditEvent.objects.filter(action="export_job").count() == 1


def test_customers_are_chosen_by_hand_in_their_list(crowd: list[Customer], as_alice: Client) -> None:
    chosen = [str(crowd[1].pk), str(crowd[2].pk)]
    answer = as_alice.post(
        reverse("admin:loyalty_customer_changelist"), {"action": "start_job", "_selected_action": chosen}, follow=True
    )
    assert "The 2 that you have chosen in the list" in text_of(answer)
    page = begin(as_alice, whom="hand", ids=",".join(chosen))
    assert "Apply to 2 customers" in text_of(page)


def test_it_is_tried_without_effect_from_its_preview(job: BulkJob, crowd: list[Customer], as_alice: Client) -> None:
    press(as_alice, job, "try")
    tried = finished(BulkJob.objects.get(dry_run=True))
    page = text_of(as_alice.get(reverse("admin:job", args=[tried.pk])))
    assert "Would be done" in page
    assert available(*crowd) == [0, 100, 200, 300, 400]
    job.refresh_from_db()
    assert job.state == JobState.PREVIEW


def test_a_second_person_sees_it_in_the_queue_and_approves(
    kulfi: Tenant, job: BulkJob, crowd: list[Customer], as_alice: Client
) -> None:
    BulkSettings.objects.create(tenant=kulfi, customers_alone=1)
    page = press(as_alice, job, "confirm", reason="Diwali gift", phrase=job.phrase)
    assert "5 customers are more than the 1 that one person may change alone." in text_of(page)
    mary = signed_in(_person(kulfi, "Mary", "admin"))
    start = text_of(mary.get(reverse("admin:requests")))
    assert "Add 50 points" in start
    press(mary, job, "approve", note="fine")
    finished(job)
    assert available(*crowd) == [50, 150, 250, 350, 450]


def test_a_second_person_refuses_with_why(kulfi: Tenant, job: BulkJob, as_alice: Client) -> None:
    BulkSettings.objects.create(tenant=kulfi, customers_alone=1)
    press(as_alice, job, "confirm", reason="Diwali gift", phrase=job.phrase)
    mary = signed_in(_person(kulfi, "Mary", "admin"))
    assert press(mary, job, "approve", refuse="1", note="").status_code == 422
    press(mary, job, "approve", refuse="1", note="not this month")
    job.refresh_from_db()
    assert (job.state, job.message) == (JobState.REFUSED, "not this month")


def test_an_agent_looks_and_starts_nothing(job: BulkJob, as_bob: Client) -> None:
    page = text_of(as_bob.get(reverse("admin:job", args=[job.pk])))
    assert "Apply to" not in page
    assert as_bob.get(reverse(NEW)).status_code == 403
    assert press(as_bob, job, "confirm", reason="Diwali gift", phrase=job.phrase).status_code == 403


def test_the_list_of_jobs_has_them_with_their_state(job: BulkJob, as_alice: Client) -> None:
    page = text_of(as_alice.get(reverse("admin:support_bulkjob_changelist")))
    assert "Add 50 points" in page
    assert "preview, nothing is done" in page


def test_a_template_is_a_list_without_rows(as_alice: Client) -> None:
    answer = as_alice.get(reverse("admin:job_template", args=["set"]))
    assert text_of(answer) == "\ufeffmobile,set_to,reason\r\n"


def test_the_activity_log_names_the_job(job: BulkJob, as_alice: Client) -> None:
    press(as_alice, job, "confirm", reason="Diwali gift", phrase=job.phrase)
    finished(job)
    page = text_of(as_alice.get(reverse("admin:activity")))
    assert f"job {job.pk}" in page
    assert "Diwali gift" in page


def test_a_long_list_of_jobs_takes_no_more_queries(
    job: BulkJob, as_alice: Client, alice_may: Access, preview: Preview, django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        preview(points=5)
    with django_assert_max_num_queries(15):
        as_alice.get(reverse("admin:support_bulkjob_changelist"))
