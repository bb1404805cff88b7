"""Nobody reads a customer's number or e-mail who has not asked for it: pages, files, logs, events, mails and errors after a day's work."""

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.conf import settings as our_settings
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from config.logging import MaskingFormatter, masked
from integrations import missing
from integrations.missing import Missing
from integrations.models import Bill, Delivery, Discrepancy, Incident, MissingKind
from loyalty.models import Customer, Entry, Hold
from support.bulk import jobs, results, running
from support.bulk.jobs import Select, Wanted
from support.models import BulkJob, Case
from tenants import access as gate
from tenants.actors import SYSTEM
from tenants.models import AuditEvent, Membership, ScheduledRun, Store, Tenant, User
from tests import builders
from tests.client import ApiClient
from tests.conftest import key_of, signed_in
from tests.support.test_approvals import issue
from tests.tenants.test_matrix import MODELS, PAGES, opened

MOBILE, EMAIL = "+919876543277", "devika.rao@post.example"
#: As it may be written; the last digits alone are no number.
SPELLINGS = ("9876543277", "98765 43277", "98765-43277", "987654327", EMAIL)
#: They answer the number itself: whose very purpose it is, and each look is an event.
SHOWN = {"admin:reveal_mobile", "admin:loyalty_customer_export"}


@pytest.fixture
def devika(kulfi: Tenant) -> Customer:
    """A customer with everything that a day brings: bills, a block, what is set aside, a case, a note, a job, an issue by hand."""
    customer = builders.customer(kulfi, MOBILE, points=200, name="Devika Rao")
    Customer.objects.filter(pk=customer.pk).update(email=EMAIL)
    builders.hold(kulfi, customer, 20, reference="SB-9", bill_no="A9")
    builders.deliver(
        kulfi,
        builders.bill("A1", mobile=MOBILE),
        builders.bill("A2", mobile=MOBILE, net_amount="1.00"),
        builders.paid_with_points("A3", 10, mobile=MOBILE),
        builders.discounted("A4", 0, 0, mobile=MOBILE),
        builders.bill("A5", mobile="98765 43277"),
    )
    return customer


@pytest.fixture
def log() -> Iterator[StringIO]:
    """What stderr would hold."""
    out = StringIO()
    handler = logging.StreamHandler(out)
    told: Any = our_settings.LOGGING
    options = dict(told["formatters"]["json"])
    options.pop("()")
    handler.setFormatter(MaskingFormatter(**options))
    root = logging.getLogger()
    root.addHandler(handler)
    yield out
    root.removeHandler(handler)


def hidden(what: str, text: str) -> None:
    for spelling in SPELLINGS:
        assert spelling not in text, (
            f"{what} shows {spelling}: …{text[max(0, text.find(spelling) - 200) : text.find(spelling) + 60]}…"
        )


def read(response: Any) -> str:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return str(content, "utf-8", "replace")


def work(client: Client, devika: Customer) -> None:
    assert issue(client, devika, points="30", reason=f"called from {MOBILE}, writes from {EMAIL}").status_code == 302
    client.post(reverse("admin:reveal_mobile", args=[devika.pk]))
    said = f"called from {MOBILE}, writes from {EMAIL}"
    case = {"title": f"Of {MOBILE}", "reason": said, "topic": "POS", "token": "c" * 20}
    assert client.post(reverse("admin:open_case", args=[devika.pk]), case).status_code == 302
    assert client.post(reverse("admin:write_note", args=[devika.pk]), {"text": said, "token": "n" * 20}).status_code == 302
    client.get(reverse("admin:find"), {"q": MOBILE})
    client.get(reverse("admin:suggest"), {"q": "43277"})


@pytest.mark.parametrize("role", ["admin", "auditor", "agent"])
def test_no_page_and_no_file_shows_them(kulfi: Tenant, alice: User, devika: Customer, role: str) -> None:
    client = signed_in(alice)
    work(client, devika)
    Membership.objects.filter(user=alice).update(role=role)
    for name in PAGES.keys() - SHOWN:
        hidden(name, read(opened(client, name, **({"q": "Devika"} if name in ("admin:find", "admin:suggest") else {}))))
    rows: dict[str, list[Any]] = {
        "admin:customer360": [devika], "admin:customer_dashboard": [devika], "admin:customer_findings": [devika],
        "admin:balance_chart": [devika], "admin:issue_points": [devika], "admin:adjust_points": [devika], "admin:merge_customer": [devika],
        "admin:delivery": list(Delivery.objects.all()), "admin:incident": list(Incident.objects.all()), "admin:case": list(Case.objects.all()),
        "admin:audit_event": list(AuditEvent.objects.all()[:80]), "admin:staff_day": [alice], "admin:job": list(BulkJob.objects.all()),
        "admin:undo": list(Entry.objects.filter(kind="issue")), "admin:unblock": list(Hold.objects.all()),
    }  # fmt: skip
    for name, found in rows.items():
        for row in found:
            hidden(name, read(client.get(reverse(name, args=[row.pk]), follow=True)))
    for tab in ("timeline", "holds", "bills", "lots", "bonuses", "messages", "cases", "audit"):
        hidden(f"tab {tab}", read(client.get(reverse("admin:customer360", args=[devika.pk]), {"tab": tab})))
    changed = {
        "loyalty_customer": devika,
        "integrations_bill": Bill.objects.first(),
        "integrations_discrepancy": Discrepancy.objects.first(),
    }
    for model, of in changed.items():
        if of is not None:
            assert model in MODELS
            hidden(model, read(client.get(reverse(f"admin:{model}_change", args=[of.pk]), follow=True)))


def test_no_event_and_no_run_keeps_them(kulfi: Tenant, as_alice: Client, devika: Customer) -> None:
    before = AuditEvent.objects.count()
    as_alice.post(reverse("admin:reveal_mobile", args=[devika.pk]))
    form = {"mobile": "98765 43278", "reason": "a new phone", "token": "t" * 20}
    as_alice.post(reverse("admin:change_mobile", args=[devika.pk]), form)
    as_alice.post(
        reverse("admin:erase_customer", args=[devika.pk]), {"reason": "wants to be forgotten", "token": "t" * 20, "sure": "on"}
    )
    assert AuditEvent.objects.count() > before + 1
    for event in AuditEvent.objects.all():
        hidden(event.action, json.dumps([event.before, event.after, event.reason, event.object_id]))
    for run in ScheduledRun.objects.all():
        hidden(run.job, run.error)


def test_no_mail_of_ours_holds_them(kulfi: Tenant, devika: Customer, alice: User, mailoutbox: Any) -> None:
    """What a job did, and what is asked of a vendor: not to the person themselves."""
    access = gate.of_person(alice, wanted_tenant_id=kulfi.pk)
    assert access is not None
    select, wanted = Select(mobiles=[MOBILE, "+919876599999"]), Wanted("adjust", points=5, reason=f"of {MOBILE}, {EMAIL}")
    job, _ = jobs.create(access, wanted, select, key="k", now=timezone.now())
    jobs.confirm(job.pk, access=access, now=timezone.now())
    while running.work_on(BulkJob.objects.get(pk=job.pk)):
        pass
    assert results.tell_all(now=timezone.now())["done"] == 1
    store = Store.objects.get(tenant=kulfi, code="K1")
    lost = Missing(MissingKind.GAP, store.pk, "A7", timezone.now().date(), why="between A6 and A8")
    request = missing.ask(kulfi, store, [lost], note=f"{MOBILE} ({EMAIL}) waits for it", actor=SYSTEM)
    missing.mail(request, to="vendor@pos.example", actor=SYSTEM, now=timezone.now())
    assert len(mailoutbox) == 2
    for mail in mailoutbox:
        hidden(mail.subject, "\n".join([mail.subject, mail.body, *(content.decode() for _, content, _ in mail.attachments)]))


def test_no_line_of_the_log_holds_them(kulfi: Tenant, devika: Customer, as_alice: Client, log: StringIO) -> None:
    """Also not where the database's own error or a traceback names them."""
    client = ApiClient(key_of(kulfi, "pos", "read", "support"))
    client.get(f"/customers/{MOBILE}/balance")
    client.post("/bills", builders.bill("A7", mobile=MOBILE))
    client.post("/bills", b"{" + MOBILE.encode())
    work(as_alice, devika)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            names = "tenant_id, mobile, name, email, tier, status, joined_on"
            cursor.execute(
                f"INSERT INTO loyalty_customer ({names}) SELECT {names} FROM loyalty_customer WHERE id = %s", [devika.pk]
            )
    except Exception:
        logging.getLogger("pointdesk.test").exception("could not add %s of %s", MOBILE, EMAIL)
    logging.getLogger("pointdesk.test").error({"event": "x", "who": {"mobile": MOBILE, "email": [EMAIL]}})
    text = log.getvalue()
    assert "Traceback" in text
    assert "duplicate key" in text
    hidden("the log", text)
    assert all(json.loads(line) for line in text.splitlines()), "each line is a document still"


def test_an_api_that_breaks_tells_the_caller_and_the_log_nothing_of_them(
    kulfi: Tenant, devika: Customer, log: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"of {MOBILE}, {EMAIL}")

    monkeypatch.setattr("integrations.inbox.receive", broken)
    answer = ApiClient(key_of(kulfi, "pos")).post("/bills", builders.bill("A8", mobile=MOBILE))
    assert answer.status == 500
    hidden("the answer", answer.text)
    hidden("the log", log.getvalue())
    assert "RuntimeError" in log.getvalue()


def test_what_is_no_number_and_no_address_stays_readable() -> None:
    text = '{"at": "2026-11-27T06:11:23.016240+00:00", "request_id": "ea33ade67f82dd04", "rows": 1234567, "host": "db.example"}'
    assert masked(text) == text
    assert masked(f"{MOBILE} {EMAIL}") == "…77 …@post.example"
