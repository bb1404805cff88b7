"""Customers are told of points that a job gave them only where that is asked for, each once (CASES 91)."""

from datetime import time
from typing import Any

import pytest
from django.utils import timezone

from integrations import messages
from integrations.models import Message, MessageSettings
from loyalty.models import Customer, Entry
from support.bulk import jobs
from support.bulk.models import BulkJob
from tenants.access import Access
from tenants.models import Tenant
from tests.bulk.conftest import Preview, finished

pytestmark = pytest.mark.case(91)


@pytest.fixture
def told_by_mail(kulfi: Tenant, crowd: list[Customer]) -> None:
    """The brand has that moment on; three of the five can be written to."""
    MessageSettings.objects.create(tenant=kulfi, email_when_issued=True)
    for place, customer in enumerate(crowd):
        Customer.objects.filter(pk=customer.pk).update(email=f"c{place}@example.com" if place else "", takes_messages=place != 1)


def confirmed(job: BulkJob, access: Access, *, notify: bool) -> BulkJob:
    return finished(jobs.confirm(job.pk, access=access, phrase=job.phrase, notify=notify, now=timezone.now()))


def test_nobody_is_told_unless_it_is_asked_for(told_by_mail: None, preview: Preview, alice_may: Access) -> None:
    confirmed(preview(points=50), alice_may, notify=False)
    assert Message.objects.count() == 0


def test_who_takes_messages_is_told_once(told_by_mail: None, preview: Preview, alice_may: Access, mailoutbox: Any) -> None:
    job = confirmed(preview(points=50), alice_may, notify=True)
    finished(job)
    assert Message.objects.count() == 3
    assert set(Message.objects.values_list("operation", flat=True)) < set(
        Entry.objects.filter(job_id=job.pk).values_list("pk", flat=True)
    )
    messages.send_due(now=timezone.now())
    assert sorted(mail.to[0] for mail in mailoutbox) == ["c2@example.com", "c3@example.com", "c4@example.com"]
    assert "50" in mailoutbox[0].body


def test_points_that_were_removed_tell_nobody(told_by_mail: None, preview: Preview, alice_may: Access) -> None:
    confirmed(preview(points=-50), alice_may, notify=True)
    assert Message.objects.count() == 0


def test_a_dry_run_and_an_undo_tell_nobody(told_by_mail: None, preview: Preview, alice_may: Access) -> None:
    confirmed(preview(points=50, dry_run=True), alice_may, notify=True)
    job = confirmed(preview("reset"), alice_may, notify=True)
    finished(jobs.undo(job.pk, access=alice_may, key="u", now=timezone.now()))
    assert Message.objects.count() == 0


def test_quiet_hours_hold_for_jobs_too(told_by_mail: None, kulfi: Tenant, preview: Preview, alice_may: Access) -> None:
    here = timezone.now().astimezone(kulfi.zone)
    MessageSettings.objects.update(quiet_from=time(here.hour), quiet_until=time((here.hour + 2) % 24))
    confirmed(preview(points=50), alice_may, notify=True)
    assert min(Message.objects.values_list("due_at", flat=True)) > timezone.now()
