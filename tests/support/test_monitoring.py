"""What is behind is counted, told in words and by mail, repeated quietly, and told when it is over."""

import re
from datetime import datetime, timedelta
from smtplib import SMTPException
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_scopes import scope

from integrations import inbox
from integrations.models import Delivery, FeedEpoch, ParityRun, Source
from loyalty.chain import ENTRIES
from loyalty.models import Hold
from support import monitoring
from support.models import Alarm, Measurement, TopicContact
from support.tasks import watch_the_house
from tenants import staff
from tenants.actors import SYSTEM
from tenants.models import Heartbeat, ScheduledRun, Tenant
from tests import builders
from tests.builders import bill, raw
from tests.conftest import signed_in

HOUSE = "admin:house"


def stuck(tenant: Tenant, *, since: datetime) -> Delivery:
    """A bill that nobody processes."""
    receipt = inbox.receive(tenant, raw(bill()), source=Source.API, sender=SYSTEM, now=since).receipt
    Delivery.objects.filter(receipt=receipt).update(received_at=since)
    found: Delivery = Delivery.objects.get(receipt=receipt)
    return found


@pytest.fixture
def ines(kulfi: Tenant) -> Client:
    user, _ = staff.create_staff(kulfi, email="ines@kulfi-house.example", role="integrator", name="Ines", actor=SYSTEM)
    return signed_in(user)


def numbers(text: str) -> dict[str, float]:
    found = re.findall(r"^pointdesk_(\S+) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_metrics_say_what_was_measured_and_name_no_brand(client: Client, kulfi: Tenant) -> None:
    now = timezone.now()
    stuck(kulfi, since=now - timedelta(minutes=7))
    builders.hold(kulfi, builders.customer(kulfi, points=50), 20)
    Hold.objects.update(expires_at=now - timedelta(hours=1))
    monitoring.measure(now=now)
    answer = client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    text = answer.content.decode()
    found = numbers(text)
    assert (found['inbox{state="received"}'], found["holds_overdue"], found["holds_due"]) == (1, 1, 1)
    assert 420 <= found['inbox_oldest_seconds{state="received"}'] < 480
    assert (found['up{engine="postgresql"}'], found['up{engine="clickhouse"}'], found["heartbeat_age_seconds"]) == (1, 1, -1)
    assert found["feed_behind"] >= 2
    assert not re.search("kulfi|Kulfi|98400", text)


def test_before_the_worker_measured_there_are_the_engines(client: Client, db: None) -> None:
    found = numbers(client.get("/metrics").content.decode())
    assert found["measured_age_seconds"] == -1
    assert "holds_due" not in found


def test_a_token_closes_metrics(client: Client, db: None, settings: Any) -> None:
    settings.METRICS_TOKEN = "s3cret"
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer s3cré"}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer s3cret"}).status_code == 200


def test_the_page_says_in_words_what_is_behind_and_since_when(ines: Client, kulfi: Tenant, settings: Any) -> None:
    now = timezone.now()
    stuck(kulfi, since=now - timedelta(minutes=7))
    Heartbeat.objects.create(process="p", at=now)
    ScheduledRun.objects.create(job="send_messages", started_at=now, failed=1, process="p")
    monitoring.measure(now=now)
    settings.CLICKHOUSE_URL = "http://x:y@127.0.0.1:9/none"
    text = " ".join(ines.get(reverse(HOUSE)).content.decode().split())
    assert "1 bill waits to be processed." in text
    assert "7 minutes ago" in text
    assert "clickhouse does not answer" in text
    assert "Worker and timetable are alive." in text
    assert "Had trouble within the last hour: send_messages" in text
    assert "ClickHouse has not been compared with the ledger yet." in text
    Measurement.objects.update(at=now - timedelta(hours=1))
    assert "Nothing was measured lately" in ines.get(reverse(HOUSE)).content.decode()


def test_all_well(ines: Client, kulfi: Tenant) -> None:
    now = timezone.now()
    Heartbeat.objects.create(process="p", at=now)
    epoch = FeedEpoch.objects.create(system="x", stream="entries")
    ParityRun.objects.create(tenant=kulfi, ok=True, whole=True, rows=0, days=0, seconds=0, epoch=epoch, xid="0", row_id=0)
    monitoring.measure(now=now)
    Measurement.objects.update(figures=Measurement.objects.get().figures | {"feed_behind": 0})  # other tests' entries
    found = monitoring.sentences(now=now, engines={"postgresql": True})
    assert [each.text for each in found if not each.ok] == []


def test_agents_do_not_see_the_house(as_bob: Client) -> None:
    assert as_bob.get(reverse(HOUSE)).status_code == 403


def test_an_alarm_is_told_at_once_then_quietly_again_and_its_end_once(kulfi: Tenant) -> None:
    now = timezone.now()
    TopicContact.objects.create(tenant=kulfi, topic="POS", name="Pia", email="pia@example.com")
    row = stuck(kulfi, since=now - timedelta(minutes=11))
    told = [hours for hours in range(80) if monitoring.watch(now=now + timedelta(hours=hours))]
    assert told == [0, 1, 7, 31, 55, 79]
    first = mail.outbox[0]
    assert (first.to, first.subject) == (["pia@example.com"], "Bills wait to be processed")
    assert "Concerned: 1." in first.body
    assert Alarm.objects.get(code="inbox").since == row.received_at
    Delivery.objects.update(state="rejected")
    later = now + timedelta(hours=80)
    assert [monitoring.watch(now=later + timedelta(minutes=minutes)) for minutes in (0, 5, 10, 15)] == [0, 0, 1, 0]
    assert mail.outbox[-1].subject == "Over: Bills wait to be processed"
    assert Alarm.objects.get(code="inbox").ended_at == later
    Delivery.objects.update(state="received")
    assert monitoring.watch(now=now + timedelta(hours=82)) == 1  # a new one
    assert Alarm.objects.filter(code="inbox").count() == 2


def test_what_comes_and_goes_is_one_alarm_and_its_end_is_not_lost(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    TopicContact.objects.create(tenant=kulfi, topic="POS", name="Pia", email="pia@example.com")
    stuck(kulfi, since=now - timedelta(minutes=11))
    for minutes in range(12):
        Delivery.objects.update(state="rejected" if minutes % 2 else "received")
        monitoring.watch(now=now + timedelta(minutes=minutes))
    assert len(mail.outbox) == 1
    with monkeypatch.context() as patched:
        patched.setattr(mail.EmailMessage, "send", refused)
        assert [monitoring.watch(now=now + timedelta(minutes=minutes)) for minutes in (12, 30, 31)] == [0, 0, 0]
    assert monitoring.watch(now=now + timedelta(minutes=32)) == 1
    assert mail.outbox[-1].subject.startswith("Over")


def refused(self: Any, *args: Any, **kwargs: Any) -> int:
    raise SMTPException("away")


def test_an_alarm_without_a_contact_stands_on_the_page(ines: Client, kulfi: Tenant) -> None:
    stuck(kulfi, since=timezone.now() - timedelta(minutes=11))
    watch_the_house()
    assert mail.outbox == []
    assert "Bills wait to be processed" in ines.get(reverse(HOUSE)).content.decode()


def test_every_trouble_has_its_alarm(kulfi: Tenant, liberty: Tenant) -> None:
    now = timezone.now()
    stuck(kulfi, since=now - timedelta(minutes=11))
    builders.hold(kulfi, builders.customer(kulfi, points=50), 20)
    Hold.objects.update(expires_at=now - timedelta(hours=1))
    epoch = FeedEpoch.objects.create(system="x", stream="entries")
    ParityRun.objects.create(tenant=kulfi, ok=False, whole=True, rows=0, days=0, seconds=0, epoch=epoch, xid="0", row_id=0)
    ENTRIES.limits.objects.create(up_to_id=1, system="x", transaction="1", noted_at=now - timedelta(minutes=29))
    monitoring.watch(now=now + timedelta(minutes=30))
    assert set(Alarm.objects.filter(tenant=kulfi).values_list("code", flat=True)) == {"inbox", "holds", "parity", "feed"}
    monitoring.watch(now=now + timedelta(minutes=32))
    assert Alarm.objects.filter(tenant=kulfi, code="seals").exists()

    with scope(tenant=liberty):
        assert set(Alarm.objects.filter(tenant=liberty).values_list("code", flat=True)) == {"feed", "seals"}
