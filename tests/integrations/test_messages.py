"""What customers are told: once, when the brand wants it, by a mail server and a web server that really listen."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_scopes import scope
from standardwebhooks.webhooks import Webhook

from integrations import issuing, messages, outbound, replay
from integrations.models import Channel, Message, MessageSettings, MessageState, ReplayState
from loyalty.models import Customer
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import AuditEvent, Tenant
from tests import builders
from tests.client import ApiClient
from tests.conftest import key_of
from tests.receivers import Hook, Mailbox, mail_server, web_server

TOKEN = "t" * 24


@pytest.fixture
def meera(kulfi: Tenant) -> Customer:
    found = builders.customer(kulfi)
    found.email = "meera@example.com"
    found.save()
    return found


@pytest.fixture
def mailbox(settings: Any) -> Iterator[Mailbox]:
    with mail_server() as box:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", box.port, False
        yield box


@pytest.fixture
def hook(settings: Any) -> Iterator[Hook]:
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    with web_server() as hook:
        yield hook


def wanted(tenant: Tenant, **fields: Any) -> MessageSettings:
    made: MessageSettings = MessageSettings.objects.create(
        tenant=tenant, webhook_secret=messages.new_secret(), **({"email_when_issued": True} | fields)
    )
    return made


def issue(tenant: Tenant, to: Customer, points: int = 500, *, key: str = "k1", now: datetime | None = None) -> Any:
    return issuing.issue(tenant, to.pk, points=points, reason="a late cake", actor=SYSTEM, key=key, now=now or timezone.now())


def send(*, after: timedelta = timedelta(0)) -> Any:
    return messages.send_due(now=timezone.now() + timedelta(seconds=1) + after)


@pytest.mark.case(91)
def test_an_issue_is_told_once_by_mail(kulfi: Tenant, meera: Customer, mailbox: Mailbox) -> None:
    wanted(kulfi)
    for _ in range(3):
        issue(kulfi, meera)
        send()
    assert [each["Subject"] for each in mailbox.got] == ["500 points for you"]
    told = mailbox.got[0]
    assert (told["To"], "You have 500 points now" in str(told.get_payload())) == ("meera@example.com", True)
    row = Message.objects.get()
    assert (row.state, told["Message-ID"]) == (MessageState.SENT, f"<message-{kulfi.pk}-{row.pk}@pointdesk>")


@pytest.mark.case(91)
@pytest.mark.parametrize("off", ["no settings", "moment off", "wants none", "no address"])
def test_nobody_is_told_who_should_not_be(kulfi: Tenant, meera: Customer, off: str) -> None:
    if off != "no settings":
        wanted(kulfi, email_when_issued=off != "moment off")
    if off == "wants none":
        Customer.objects.update(takes_messages=False)
    if off == "no address":
        Customer.objects.update(email="")
    issue(kulfi, meera)
    send()
    assert (Message.objects.count(), len(mail.outbox)) == (0, 0)


@pytest.mark.case(91)
def test_bills_and_their_replay_tell_nobody(kulfi: Tenant, meera: Customer) -> None:
    wanted(kulfi)
    builders.deliver(kulfi, builders.bill("A1"))
    run = replay.choose(kulfi, filters={"all": True}, reason="once more", actor=SYSTEM)
    replay.ask(run, ReplayState.TRYING, actor=SYSTEM)
    replay.work_on(run, now=timezone.now())
    run.refresh_from_db()
    replay.ask(run, ReplayState.RUNNING, actor=SYSTEM)
    replay.work_on(run, now=timezone.now())
    assert Message.objects.count() == 0


def test_the_api_s_issues_tell_the_customer_too(kulfi: Tenant, meera: Customer) -> None:
    wanted(kulfi)
    api = ApiClient(key_of(kulfi, "support"))
    body = {"mobile": meera.mobile, "points": 40, "reason": "by the CRM"}
    for _ in range(2):
        api.post("/issues", body, HTTP_IDEMPOTENCY_KEY="a-key-of-theirs")
    assert Message.objects.get().subject == "40 points for you"


def test_what_is_rolled_back_tells_nobody(kulfi: Tenant, meera: Customer) -> None:
    wanted(kulfi)
    with pytest.raises(DomainError):
        issue(kulfi, meera, 0)
    assert Message.objects.count() == 0


def test_the_webhook_is_signed_and_keeps_its_id_over_its_tries(kulfi: Tenant, meera: Customer, hook: Hook) -> None:
    settings = wanted(kulfi, email_when_issued=False, webhook_when_issued=True, webhook_url=hook.url)
    hook.answer = 503
    issue(kulfi, meera)
    send()
    row = Message.objects.get()
    assert (row.state, row.trouble, row.attempts) == (MessageState.WAITING, "Answered 503.", 1)
    hook.answer = 204
    send(after=timedelta(minutes=2))
    row.refresh_from_db()
    assert row.state == MessageState.SENT
    assert len({headers["webhook-id"] for headers, _ in hook.got}) == 1
    headers, body = hook.got[-1]
    said = Webhook(settings.webhook_secret).verify(body, headers)
    assert (said["type"], said["data"]["points"], said["data"]["mobile"]) == ("points.issued", 500, meera.mobile)


def test_a_receiver_that_never_takes_it_is_given_up_and_can_be_tried_again(kulfi: Tenant, meera: Customer, hook: Hook) -> None:
    wanted(kulfi, email_when_issued=False, webhook_when_issued=True, webhook_url=hook.url)
    hook.answer = 500
    issue(kulfi, meera)
    for day in range(12):
        send(after=timedelta(days=day))
    row = Message.objects.get()
    assert (row.state, row.attempts) == (MessageState.GIVEN_UP, len(messages.WAITS) + 1)
    hook.answer = 200
    messages.send_again(kulfi, row.pk, actor=SYSTEM, now=timezone.now())
    send()
    row.refresh_from_db()
    assert row.state == MessageState.SENT
    with pytest.raises(DomainError, match="sent"):
        messages.send_again(kulfi, row.pk, actor=SYSTEM, now=timezone.now())


@pytest.mark.parametrize(("answer", "state"), [("550 no such user", MessageState.GIVEN_UP), ("450 later", MessageState.WAITING)])
def test_a_mail_address_that_is_none_is_not_tried_for_ever(
    kulfi: Tenant, meera: Customer, mailbox: Mailbox, answer: str, state: str
) -> None:
    wanted(kulfi)
    mailbox.refuse = answer
    issue(kulfi, meera)
    send()
    assert Message.objects.get().state == state


@pytest.mark.parametrize("email", ["a@x.example, b@y.example", "foo@@bar.example", "@", "a b@c.example"])
def test_an_address_that_is_none_is_left_and_stops_nobody_else(
    kulfi: Tenant, meera: Customer, mailbox: Mailbox, email: str
) -> None:
    wanted(kulfi)
    issue(kulfi, meera, key="k1")
    Customer.objects.update(email=email)
    other = builders.customer(kulfi, "+919840011111")
    Customer.objects.filter(pk=other.pk).update(email="other@example.com")
    other.refresh_from_db()
    issue(kulfi, other, key="k2")
    send()
    assert [each["To"] for each in mailbox.got] == ["other@example.com"]
    assert sorted(Message.objects.values_list("state", flat=True)) == [MessageState.GIVEN_UP, MessageState.SENT]


def test_a_message_that_cannot_be_made_stops_no_other(
    kulfi: Tenant, meera: Customer, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted(kulfi, webhook_when_issued=True, webhook_url="https://93.184.216.34/x")

    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(outbound, "post", broken)
    issue(kulfi, meera)
    send()
    assert dict(Message.objects.values_list("channel", "state")) == {"email": MessageState.SENT, "webhook": MessageState.GIVEN_UP}


def test_a_mail_server_that_is_away_costs_a_minute(kulfi: Tenant, meera: Customer, mailbox: Mailbox, settings: Any) -> None:
    wanted(kulfi)
    settings.EMAIL_PORT = 1
    issue(kulfi, meera)
    send()
    assert "Not taken (ConnectionRefusedError)" in Message.objects.get().trouble
    settings.EMAIL_PORT = mailbox.port
    send(after=timedelta(minutes=2))
    assert len(mailbox.got) == 1


def test_without_a_mail_server_it_says_so(kulfi: Tenant, meera: Customer, settings: Any) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = "django.core.mail.backends.smtp.EmailBackend", ""
    wanted(kulfi)
    issue(kulfi, meera)
    send()
    assert Message.objects.get().trouble == "No mail server is set (EMAIL_HOST)."


def test_a_killed_worker_s_messages_are_sent_by_the_next(kulfi: Tenant, meera: Customer) -> None:
    wanted(kulfi)
    issue(kulfi, meera)
    taken = messages._take(now=timezone.now() + timedelta(seconds=1))
    assert len(taken) == 1
    assert send()["sent"] == 0, "somebody has it"
    assert send(after=messages.LEASE)["sent"] == 1


def test_a_receiver_that_is_away_costs_its_brand_a_minute_and_nobody_else(
    kulfi: Tenant, meera: Customer, hook: Hook, mailbox: Mailbox
) -> None:
    wanted(kulfi, webhook_when_issued=True, webhook_url=hook.url)
    hook.answer = 503
    for place in range(5):
        issue(kulfi, meera, key=f"k{place}")
    done = send()
    assert (len(hook.got), len(mailbox.got), done["put_off"]) == (1, 5, 4)
    assert sorted(Message.objects.filter(channel="webhook").values_list("attempts", flat=True)) == [0, 0, 0, 0, 1]
    hook.answer = 200
    send(after=timedelta(minutes=2))
    assert len(hook.got) == 6


def test_pressing_twice_at_once_writes_once(committed: Tenant) -> None:
    tenant = committed
    meera = builders.customer(tenant)
    Customer.objects.filter(pk=meera.pk).update(email="meera@example.com")
    meera.refresh_from_db()
    barrier, made = threading.Barrier(4), []

    def press() -> None:
        try:
            with scope(tenant=tenant):
                barrier.wait(timeout=10)
                made.append(
                    messages.write(
                        tenant,
                        meera,
                        channel=Channel.EMAIL,
                        subject="Hello",
                        body="There",
                        actor=SYSTEM,
                        key="k",
                        now=timezone.now(),
                    )[1]
                )
        finally:
            connection.close()

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False, False, False, True]
    Message.objects.update(state=MessageState.SENT)


def test_the_brand_stands_in_the_sender(kulfi: Tenant, meera: Customer, mailbox: Mailbox) -> None:
    wanted(kulfi)
    issue(kulfi, meera)
    send()
    assert str(mailbox.got[0]["From"]).startswith("Kulfi House <")


def test_two_workers_send_it_once(committed: Tenant, settings: Any) -> None:
    tenant = committed
    meera = builders.customer(tenant)
    Customer.objects.filter(pk=meera.pk).update(email="meera@example.com")
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    with web_server() as hook:
        wanted(tenant, email_when_issued=False, webhook_when_issued=True, webhook_url=hook.url)
        for place in range(20):
            issue(tenant, meera, key=f"k{place}")

        def work() -> None:
            try:
                send()
            finally:
                connection.close()

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(hook.got) == 20
        assert len({headers["webhook-id"] for headers, _ in hook.got}) == 20


# Quiet hours, in the brand's own time (Kolkata)


@pytest.mark.case(91)
@pytest.mark.parametrize(
    ("at", "sent_at"),
    [
        (datetime(2026, 5, 5, 12, 0, tzinfo=UTC), datetime(2026, 5, 5, 12, 0, tzinfo=UTC)),  # 17:30 there
        (datetime(2026, 5, 5, 16, 0, tzinfo=UTC), datetime(2026, 5, 6, 2, 30, tzinfo=UTC)),  # 21:30: until 8:00 of the next day
        (datetime(2026, 5, 5, 1, 0, tzinfo=UTC), datetime(2026, 5, 5, 2, 30, tzinfo=UTC)),  # 6:30: until 8:00
        (datetime(2026, 5, 5, 2, 30, tzinfo=UTC), datetime(2026, 5, 5, 2, 30, tzinfo=UTC)),  # 8:00 sharp
    ],
)
def test_no_mail_goes_out_at_night(kulfi: Tenant, meera: Customer, at: datetime, sent_at: datetime) -> None:
    wanted(kulfi, quiet_from=time(21), quiet_until=time(8))
    issue(kulfi, meera, now=at)
    assert Message.objects.get().due_at == sent_at
    messages.send_due(now=at)
    assert len(mail.outbox) == (at == sent_at)
    messages.send_due(now=sent_at)
    assert len(mail.outbox) == 1


def test_a_day_with_quiet_hours_in_the_middle(kulfi: Tenant) -> None:
    row = wanted(kulfi, quiet_from=time(13), quiet_until=time(15))
    noon = datetime(2026, 5, 5, 8, 0, tzinfo=UTC)  # 13:30
    assert messages.quiet_until(row, kulfi, now=noon) == datetime(2026, 5, 5, 9, 30, tzinfo=UTC)


# Words


def test_a_customer_s_name_is_no_template_and_no_header(kulfi: Tenant, meera: Customer) -> None:
    Customer.objects.update(name="{points}\r\nBcc: everybody@example.com")
    wanted(kulfi, subject="Hello {name} {nonsense}")
    issue(kulfi, meera)
    send()
    assert mail.outbox[0].subject == "Hello {points} Bcc: everybody@example.com {nonsense}"
    assert mail.outbox[0].recipients() == ["meera@example.com"]


# Where a webhook may lead


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://localhost/", "https://10.1.2.3/", "https://169.254.169.254/latest/meta-data/", "https://[::1]/",
        "https://[::ffff:10.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://0.0.0.0/", "https://0x7f000001/", "https://2130706433/",
        "https://100.64.0.1/", "https://192.168.1.1:8443/x", "https://[fd00::1]/", "https://[2002:7f00:1::]/", "https://[fec0::1]/",
        "https://[64:ff9b:1:7f00:0:100:808:808]/", "https://[3fff::1]/", "https://[::7f00:1]/", "https://93.184.216.34:22/", "http://93.184.216.34/",
        "ftp://93.184.216.34/", "https://user:secret@93.184.216.34/", "https:///nothing", "https://93.184.216.34:0/",
        "https://93.184.216.34/a b", "https://93.184.216.34/\r\nHost: x", "//93.184.216.34", "https://224.0.0.1/",
    ],
)  # fmt: skip
def test_a_webhook_never_leads_into_a_private_network(url: str) -> None:
    with pytest.raises(DomainError, match="Nothing is sent to this address") as refusal:
        outbound.resolve(url)
    assert refusal.value.code == "address_refused"


def test_the_public_internet_is_reached_by_https() -> None:
    assert outbound.resolve("https://93.184.216.34/hook?a=1").path == "/hook?a=1"


def test_a_name_that_says_something_else_the_second_time_leads_nowhere_else(
    hook: Hook, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """The name is asked once; the connection goes to the address that was checked."""
    settings.WEBHOOK_NETWORKS = []
    answers = iter(["93.184.216.34", "127.0.0.1"])
    asked: list[str] = []
    tried: list[Any] = []

    def resolver(host: str, port: int, **kwargs: Any) -> Any:
        asked.append(host)
        return [(2, 1, 6, "", (next(answers), port))]

    def connect(address: Any, **kwargs: Any) -> Any:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("socket.getaddrinfo", resolver)
    monkeypatch.setattr("socket.create_connection", connect)
    with pytest.raises(outbound.NotReached):
        outbound.post("https://rebinds.example/", b"{}", headers={})
    assert (asked, tried) == (["rebinds.example"], [("93.184.216.34", 443)])


def test_a_redirect_is_not_followed(kulfi: Tenant, meera: Customer, hook: Hook) -> None:
    wanted(kulfi, email_when_issued=False, webhook_when_issued=True, webhook_url=hook.url)
    hook.answer, hook.leads_to = 307, f"http://127.0.0.1:{hook.port}/elsewhere"
    issue(kulfi, meera)
    send()
    assert (len(hook.got), Message.objects.get().trouble) == (1, "Answered 307.")


def test_a_server_that_drips_is_left(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "WHOLE_SECONDS", 1.0)
    hook.drip = True
    with pytest.raises(outbound.NotReached):
        outbound.post(hook.url, b"{}", headers={})


# By a person, at the desk


def test_an_agent_writes_to_a_customer_once(as_bob: Client, kulfi: Tenant, meera: Customer) -> None:
    body = {"channel": "email", "subject": "Your points", "text": "They are back. {name}", "token": TOKEN}
    where = reverse("admin:write_message", args=[meera.pk])
    assert [as_bob.post(where, body).status_code for _ in range(2)] == [302, 302]
    send()
    assert [(each.subject, each.body) for each in mail.outbox] == [("Your points", "They are back. {name}")]
    tab = as_bob.get(reverse("admin:customer360", args=[meera.pk]), {"tab": "messages"}).content.decode()
    assert "Your points" in tab
    assert "meera@example.com" not in tab
    assert AuditEvent.objects.filter(action="write_message").count() == 1


def test_a_form_sent_before_for_somebody_else_is_refused(as_bob: Client, kulfi: Tenant, meera: Customer) -> None:
    other = builders.customer(kulfi, "+919840011111")
    Customer.objects.filter(pk=other.pk).update(email="other@example.com")
    body = {"channel": "email", "subject": "Your points", "text": "They are back.", "token": TOKEN}
    assert as_bob.post(reverse("admin:write_message", args=[meera.pk]), body).status_code == 302
    assert as_bob.post(reverse("admin:write_message", args=[other.pk]), body).status_code == 422


def test_who_wants_no_messages_gets_none(as_bob: Client, kulfi: Tenant, meera: Customer) -> None:
    body = {"channel": "email", "subject": "Your points", "text": "They are back.", "token": TOKEN}
    as_bob.post(reverse("admin:write_message", args=[meera.pk]), body)
    as_bob.post(reverse("admin:take_messages", args=[meera.pk]), {"takes": "no"})
    send()
    assert (len(mail.outbox), Message.objects.get().state) == (0, MessageState.GIVEN_UP)
    assert "wants no messages" in as_bob.get(reverse("admin:write_message", args=[meera.pk])).content.decode()
    assert as_bob.post(reverse("admin:write_message", args=[meera.pk]), body | {"token": "u" * 24}).status_code == 422


def test_the_settings_are_the_admin_s_and_say_what_is_wrong(as_alice: Client, as_bob: Client, kulfi: Tenant, hook: Hook) -> None:
    where = reverse("admin:message_settings")
    body = {
        "subject": "{points} for you",
        "body": "Hello {name}",
        "webhook_when_issued": "on",
        "webhook_url": "https://10.0.0.1/x",
    }
    assert as_bob.get(where).status_code == 403
    assert "private network" in as_alice.post(where, body).content.decode()
    assert "Say where the webhook goes" in as_alice.post(where, body | {"webhook_url": ""}).content.decode()
    assert "two ends" in as_alice.post(where, body | {"webhook_url": hook.url, "quiet_from": "21:00"}).content.decode()
    assert as_alice.post(where, body | {"webhook_url": hook.url}).status_code == 302
    row = MessageSettings.objects.get()
    assert row.webhook_when_issued
    before = row.webhook_secret
    assert before in as_alice.get(where).content.decode()
    as_alice.post(where, {"rotate": "1"})
    row.refresh_from_db()
    assert row.webhook_secret != before
    traces = json.dumps([[event.before, event.after] for event in AuditEvent.objects.all()])
    assert "whsec_" not in traces
    assert "/hook" not in traces


def test_the_channel_of_another_brand_is_not_used(kulfi: Tenant, liberty: Tenant, meera: Customer) -> None:
    with scope(tenant=liberty):
        wanted(liberty)
    issue(kulfi, meera)
    assert Message.objects.count() == 0
    assert messages.ways_to(meera, None) == [Channel.EMAIL]
