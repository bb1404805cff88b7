"""Messages as they were sent: gone after as long as the brand says, what needs them then, and how they come back."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_scopes import scope

from integrations import booking, inbox, retention
from integrations.decisions import Decision, ask_claim, decide, decide_claim
from integrations.models import Bill, BillLine, Delivery, DeliveryState, Source
from integrations.replay import run, try_it
from integrations.tasks import forget_messages
from loyalty import identity
from loyalty.models import Entry
from support import erasure
from support.models import Erasure
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import AuditEvent, ScheduledRun, Tenant
from tests.builders import balance, bill, deliver, raw
from tests.integrations.test_replay import INA, chosen, replayed
from tests.integrations.test_returns import cancelled, meera_of, returned


@pytest.fixture
def forgetful(kulfi: Tenant) -> Tenant:
    kulfi.messages_kept_days = 100
    kulfi.save(update_fields=["messages_kept_days"])
    return kulfi


def aged(days: int, **wanted: Any) -> None:
    """What was received and settled, that many days ago."""
    then = timezone.now() - timedelta(days=days)
    Delivery.objects.filter(**wanted).update(received_at=then, processed_at=then)


def forget(tenant: Tenant) -> int:
    tenant.refresh_from_db()
    return retention.forget(tenant, now=timezone.now())


def bodies(tenant: Tenant) -> dict[str, bool]:
    """-> by bill number, whether its message is here."""
    rows = Delivery.objects.filter(tenant=tenant).order_by("id")
    assert all((row.body_gone_at is not None) == (bytes(row.body) == b"") for row in rows)
    return {row.bill_no: row.body_gone_at is None for row in rows}


def send(tenant: Tenant, body: bytes) -> inbox.Received:
    return inbox.receive(tenant, body, source=Source.API, sender=SYSTEM, now=timezone.now())


def test_settled_messages_go_and_what_was_booked_stays(forgetful: Tenant) -> None:
    deliver(forgetful, bill("A1"), bill("A2"))
    aged(101, bill_no="A1")
    aged(99, bill_no="A2")
    before = (list(Entry.objects.values()), list(Bill.objects.values()), list(BillLine.objects.values()))
    assert forget(forgetful) == 1
    assert bodies(forgetful) == {"A1": False, "A2": True}
    assert (list(Entry.objects.values()), list(Bill.objects.values()), list(BillLine.objects.values())) == before
    begun, done = AuditEvent.objects.filter(action__startswith="forg").order_by("pk")
    assert (begun.action, begun.actor_name, begun.reason) == ("forget_messages", "Pointdesk", "Kept for 100 days")
    assert (done.action, done.after) == ("forgot_messages", {"messages": 1, **begun.after})
    assert forget(forgetful) == 0
    assert AuditEvent.objects.filter(action__startswith="forg").count() == 2


def test_a_brand_that_says_nothing_keeps_everything(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1"))
    aged(4000)
    assert forget(kulfi) == 0
    assert bodies(kulfi) == {"A1": True}


def test_what_waits_for_a_bill_or_a_person_keeps_its_message(forgetful: Tenant) -> None:
    deliver(forgetful, bill("A1"), bill("A1", net="2000.00"), bill("Q1", store_code="NOWHERE"), returned("R1", "A9", "100.00"))
    aged(4000)
    with pytest.raises(DomainError, match="JSON"):
        send(forgetful, b"no bill")
    Delivery.objects.filter(state="rejected").update(received_at=timezone.now() - timedelta(days=4000))
    assert Delivery.objects.get(state="rejected").processed_at is not None
    aged(4000, state="rejected")
    assert forget(forgetful) == 2  # A1, and what nobody can read
    stuck = Delivery.objects.filter(state__in=["conflict", "quarantined", "waiting_parent"])
    assert sorted(stuck.values_list("state", "body_gone_at")) == [
        ("conflict", None), ("quarantined", None), ("waiting_parent", None),
    ]  # fmt: skip
    # Discarded today, it is kept for as long from today.
    quarantined = stuck.get(state="quarantined")
    decide(forgetful, quarantined.pk, Decision.DISCARD, reason="test store", actor=INA, now=timezone.now())
    assert forget(forgetful) == 0
    aged(101, pk=quarantined.pk)
    Tenant.objects.filter(pk=forgetful.pk).update(messages_gone_until=None)
    assert forget(forgetful) == 1


def test_it_goes_on_behind_what_it_has_gone_through(forgetful: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 2)
    deliver(forgetful, *(bill(f"A{number}") for number in range(7)))
    aged(150)
    with pytest.raises(ZeroDivisionError), monkeypatch.context() as broken:
        broken.setattr(retention, "_forget", lambda *_, **__: 1 // 0)
        forget(forgetful)
    forgetful.refresh_from_db()
    assert forgetful.messages_gone_until is None  # nothing was gone through
    assert forget(forgetful) == 7
    deliver(forgetful, bill("B1"))
    aged(101, bill_no="B1")
    aged(300, bill_no="A1")
    Delivery.objects.filter(bill_no="A1").update(body_gone_at=None, body=b"{}")
    Tenant.objects.filter(pk=forgetful.pk).update(messages_gone_until=timezone.now() - timedelta(days=200))
    assert forget(forgetful) == 1  # A1 lies behind
    # The database tells nobody of the mark itself.
    assert not AuditEvent.objects.filter(action="row_changed", after__has_key="messages_gone_until").exists()


def test_a_clock_that_is_ahead_forgets_nothing(forgetful: Tenant) -> None:
    deliver(forgetful, bill("A1"))
    assert retention.forget(forgetful, now=timezone.now() + timedelta(days=4000)) == 0
    # Nor does one that was behind when the bill was booked.
    Delivery.objects.update(processed_at=timezone.now() - timedelta(days=4000))
    assert forget(forgetful) == 0


def test_a_repeat_is_still_a_repeat_and_puts_the_message_back(forgetful: Tenant) -> None:
    document = bill("A1")
    (first,) = deliver(forgetful, document)
    aged(101)
    forget(forgetful)
    again = send(forgetful, raw(document))
    assert (again.receipt, again.duplicate, again.state) == (first.receipt, True, "applied")
    inbox.drain(forgetful, now=timezone.now())
    row = Delivery.objects.get()
    assert (bytes(row.body), row.body_gone_at, balance(meera_of(forgetful))) == (raw(document), None, (0, 10, 0, 0))
    assert row.body_back_at is not None
    assert forget(forgetful) == 0
    Delivery.objects.update(body_back_at=timezone.now() - timedelta(days=101))
    assert forget(forgetful) == 1
    # The same sale written in another way is a delivery of its own, and a duplicate.
    (other,) = deliver(forgetful, {**document, "cashier": "C9"})
    assert other.state in (DeliveryState.DUPLICATE, DeliveryState.CONFLICT)


def test_a_correction_waits_for_the_returns_whose_messages_went(forgetful: Tenant) -> None:
    back = returned("R1", "A1", "400.00")
    deliver(forgetful, bill("A1"), back)
    aged(101)
    assert forget(forgetful) == 2
    assert balance(meera_of(forgetful)) == (0, 6, 0, 0)
    (corrected,) = deliver(forgetful, bill("A1", net="2000.00", version=2))
    assert (corrected.state, corrected.check_name) == ("quarantined", "message_gone")
    assert "R1" in corrected.message
    assert balance(meera_of(forgetful)) == (0, 6, 0, 0)  # nothing is half done
    assert send(forgetful, raw(back)).duplicate
    inbox.drain(forgetful, now=timezone.now())
    corrected.refresh_from_db()
    assert (corrected.state, balance(meera_of(forgetful))) == ("applied", (0, 16, 0, 0))


def test_a_correction_alone_and_a_cancellation_need_no_message(forgetful: Tenant) -> None:
    deliver(forgetful, bill("A1"), bill("A2"))
    aged(101)
    assert forget(forgetful) == 2
    deliver(forgetful, bill("A1", net="2000.00", version=2), cancelled("C1", "A2"))
    assert balance(meera_of(forgetful)) == (0, 20, 0, 0)
    deliver(forgetful, returned("R1", "A1", "500.00"))
    assert balance(meera_of(forgetful)) == (0, 15, 0, 0)


def test_a_replay_leaves_them_out_and_says_so(forgetful: Tenant, as_alice: Client) -> None:
    with scope(tenant=forgetful):
        deliver(forgetful, bill("A1"), bill("A2"))
        aged(101, bill_no="A1")
        forget(forgetful)
        done = replayed(forgetful, all=True)
        assert (done.total, done.left_out, done.counts) == (1, 1, {"applied": 1})
        late = chosen(forgetful, all=True)
        aged(101, bill_no="A2")
        Tenant.objects.update(messages_gone_until=None)
        assert forget(forgetful) == 1
        row = run(try_it(late, now=timezone.now()))
        assert row.counts == {"kept": 1}
        assert row.rows.get().check_name == "message_gone"
        with pytest.raises(DomainError, match="kept no more"):
            chosen(forgetful, all=True)
        assert balance(meera_of(forgetful)) == (0, 20, 0, 0)
    assert "1 bill is left out." in as_alice.get(reverse("admin:replay", args=[done.pk])).content.decode()


def test_a_walk_in_is_not_claimed_from_a_message_that_went(forgetful: Tenant) -> None:
    deliver(forgetful, bill("W1", mobile=None))
    asked = ask_claim(
        forgetful, Bill.objects.get().pk, "+919840012345", reason="has the paper bill", actor=SYSTEM, now=timezone.now()
    )
    aged(101)
    forget(forgetful)
    with pytest.raises(DomainError) as refused:
        decide_claim(forgetful, asked.pk, approve=True, actor=INA, now=timezone.now())
    assert refused.value.code == "message_gone"
    assert not Entry.objects.exists()


@pytest.mark.case(98)
def test_the_message_of_somebody_who_was_forgotten_is_not_put_back(forgetful: Tenant) -> None:
    document = bill("A1")
    deliver(forgetful, document)
    aged(101)
    forget(forgetful)
    customer = meera_of(forgetful)
    identity.erase(forgetful, customer.pk, reason="asked us to", actor=SYSTEM, now=timezone.now())
    assert send(forgetful, raw(document)).duplicate
    assert bodies(forgetful) == {"A1": False}
    Erasure.objects.create(
        tenant=forgetful, customer=customer, sought={"numbers": [], "words": []}, reason="asked us to", asked_by="x",
        asked_at=timezone.now(),
    )  # fmt: skip
    assert erasure.finish_all(now=timezone.now())["done"] == 1
    assert bodies(forgetful) == {"A1": False}


@pytest.mark.case(98)
def test_what_no_bill_was_made_of_is_not_put_back(forgetful: Tenant) -> None:
    """Nothing is booked anew from it, and whom it named may have been forgotten since."""
    (stuck,) = deliver(forgetful, bill("Q1", store_code="NOWHERE"))
    decide(forgetful, stuck.pk, Decision.DISCARD, reason="test store", actor=INA, now=timezone.now())
    with pytest.raises(DomainError):
        send(forgetful, b'{"customer": {"mobile": "+919840012345"')
    aged(101)
    assert forget(forgetful) == 2
    assert send(forgetful, raw(bill("Q1", store_code="NOWHERE", bill_date="x"))).duplicate is False
    assert send(forgetful, bytes_of(stuck)).duplicate
    with pytest.raises(DomainError):
        send(forgetful, b'{"customer": {"mobile": "+919840012345"')
    assert set(Delivery.objects.exclude(body_gone_at=None).values_list("state", flat=True)) == {"discarded", "rejected"}


def bytes_of(delivery: Delivery) -> bytes:
    """As it was read before it went."""
    return bytes(delivery.body)


def test_a_brand_that_thinks_better_of_it_loses_no_more(forgetful: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 1)
    deliver(forgetful, *(bill(f"A{number}") for number in range(3)))
    aged(101)
    takes = retention._forget

    def then_off(*given: Any, **named: Any) -> int:
        done = takes(*given, **named)
        Tenant.objects.filter(pk=forgetful.pk).update(messages_kept_days=None)
        return done

    monkeypatch.setattr(retention, "_forget", then_off)
    assert forget(forgetful) == 1
    forgetful.refresh_from_db()
    assert forgetful.messages_gone_until is None


def test_what_has_lost_its_message_is_not_tried_again(forgetful: Tenant) -> None:
    (stuck,) = deliver(forgetful, bill("Q1", store_code="NOWHERE"))
    Delivery.objects.update(body=b"", body_gone_at=timezone.now())
    with pytest.raises(DomainError) as refused:
        decide(forgetful, stuck.pk, Decision.RETRY, reason="once more", actor=INA, now=timezone.now())
    assert refused.value.code == "message_gone"
    assert decide(forgetful, stuck.pk, Decision.DISCARD, reason="lost", actor=INA, now=timezone.now()).state == "discarded"


def test_a_return_is_not_forgotten_while_its_sale_is_corrected(committed: Tenant) -> None:
    committed.messages_kept_days = 100
    committed.save(update_fields=["messages_kept_days"])
    deliver(committed, bill("A1"), returned("R1", "A1", "400.00"))
    aged(101, tenant=committed)
    read, inside = booking.Batch._delivery_of, threading.Event()
    found: list[int] = []

    def slowly(self: booking.Batch, row: Bill) -> Any:
        taken = read(self, row)
        inside.set()
        time.sleep(0.7)  # the nightly run comes by
        return taken

    def nightly() -> None:
        inside.wait(20)
        try:
            with scope(tenant=committed):
                found.append(retention.forget(Tenant.objects.get(pk=committed.pk), now=timezone.now()))
        finally:
            connection.close()

    night = threading.Thread(target=nightly)
    night.start()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(booking.Batch, "_delivery_of", slowly)
        deliver(committed, bill("A1", net="2000.00", version=2))
    night.join(60)
    back = Delivery.objects.get(tenant=committed, bill_no="R1")
    assert (back.state, back.body_gone_at) == ("applied", None), "it was booked anew just now"
    assert found == [1]  # the sale's first message, which was reversed


def test_the_pages_say_what_is_gone(forgetful: Tenant, as_alice: Client) -> None:
    with scope(tenant=forgetful):
        (first,) = deliver(forgetful, bill("A1"))
        (conflict,) = deliver(forgetful, bill("A1", net="2000.00"))
        aged(101, pk=first.pk)
        forget(forgetful)
    page = as_alice.get(reverse("admin:delivery", args=[first.pk])).content.decode()
    assert bytes(first.body_hash).hex() in page
    assert "no longer: the brand keeps messages for a time only" in page
    assert "could not be read" not in page
    page = as_alice.get(reverse("admin:delivery", args=[conflict.pk])).content.decode()
    assert "These are the figures that were booked of it." in page
    assert "<td>1000</td><td><b>2000</b></td>" in page.replace(".00", "")


def test_the_nightly_run_and_a_brand_in_trouble(forgetful: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(forgetful, bill("A1"))
    aged(101)
    with monkeypatch.context() as broken:
        broken.setattr(retention, "limit", lambda *_, **__: 1 // 0)
        forget_messages()
    first = ScheduledRun.objects.get(job="forget_messages")
    assert (first.done, first.failed) == (0, 1)
    forget_messages()
    assert ScheduledRun.objects.filter(job="forget_messages").order_by("id").values_list("done", flat=True)[1] == 1


def test_the_brand_says_how_long_and_is_asked_before_any_goes(kulfi: Tenant, as_alice: Client) -> None:
    where = reverse("admin:security")
    with scope(tenant=kulfi):
        deliver(kulfi, bill("A1"), bill("A2"))
        aged(200)
    assert as_alice.post(where, {"messages_kept_days": "30"}).status_code == 422
    kulfi.claim_days = 150
    kulfi.save()
    page = as_alice.post(where, {"messages_kept_days": "120"})
    assert (page.status_code, "claimed for 150 days" in page.content.decode()) == (422, True)
    page = as_alice.post(where, {"messages_kept_days": "180"})
    assert (page.status_code, "2 messages go tonight" in page.content.decode()) == (422, True)
    kulfi.refresh_from_db()
    assert kulfi.messages_kept_days is None
    assert as_alice.post(where, {"messages_kept_days": "180", "sure": "180"}).status_code == 302
    kulfi.refresh_from_db()
    assert kulfi.messages_kept_days == 180
    assert AuditEvent.objects.get(action="change_security").after["messages_kept_days"] == 180
    assert as_alice.post(where, {"messages_kept_days": "190"}).status_code == 302  # longer takes nothing
    kulfi.claim_days = 30
    kulfi.save(update_fields=["claim_days"])
    assert as_alice.post(where, {"messages_kept_days": "95", "sure": "180"}).status_code == 422  # that was said of other days
    for days in ("36501", "800000", "2147483647", "9" * 30):
        assert as_alice.post(where, {"messages_kept_days": days}).status_code == 422
