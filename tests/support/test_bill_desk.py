"""Bills at the desk: one delivery on one screen, decisions, replays, what is missing."""

from datetime import timedelta
from typing import Any

import pytest
import tablib
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations import inbox, queue, replay
from integrations.admin import CrmBalanceResource, DayEndResource, ErpOrderResource, WitnessResource
from integrations.models import (
    Bill,
    BillClaim,
    CrmBalance,
    DayEnd,
    Delivery,
    DeliveryState,
    ErpOrder,
    Incident,
    PosChange,
    Replay,
    RepushRequest,
    Source,
)
from integrations.tasks import work_on_replay
from loyalty.models import Customer, Entry
from tenants.access import walls_around
from tenants.actors import SYSTEM
from tenants.models import AuditEvent, Store, StoreMode, Tenant
from tests import builders
from tests.builders import MEERA, balance, bill, deliver, discounted, raw
from tests.conftest import _person, signed_in
from tests.integrations.test_returns import returned

WHY = {"reason": "after a look", "token": "t" * 20}


def page(client: Client, name: str, *arguments: Any, **query: str) -> str:
    response = client.get(reverse(f"admin:{name}", args=arguments), query, follow=True)
    assert response.status_code == 200, response.status_code
    return str(response.content.decode())


def press(client: Client, name: str, *arguments: Any, **body: Any) -> str:
    response = client.post(reverse(f"admin:{name}", args=arguments), body, follow=True)
    return str(response.content.decode())


@pytest.fixture
def conflict(kulfi: Tenant) -> Delivery:
    document = bill("A1")
    return deliver(kulfi, document, document | {"net_amount": "1500.00", "items": [{"line_no": 1, "amount": "1500.00"}]})[1]


@pytest.mark.case(24)
def test_a_conflict_stands_side_by_side_and_is_accepted(as_alice: Client, kulfi: Tenant, conflict: Delivery) -> None:
    text = page(as_alice, "delivery", conflict.pk)
    for words in ("Side by side", "net_amount", "1500", "Accept as correction", "Discard", "For the vendor"):
        assert words in text
    assert "98400" not in text
    assert "Give a reason" in press(as_alice, "decide_delivery", conflict.pk, "correct", reason=" ", token="t" * 20)
    assert "in the inbox again" in press(as_alice, "decide_delivery", conflict.pk, "correct", **WHY)
    inbox.drain(kulfi, now=timezone.now())
    text = page(as_alice, "delivery", conflict.pk)
    assert "Booked as" in text
    assert "Where it has been" in text
    assert balance(Customer.objects.get()) == (0, 15, 0, 0)


def test_an_agent_looks_but_does_not_decide(as_bob: Client, kulfi: Tenant, conflict: Delivery) -> None:
    text = page(as_bob, "delivery", conflict.pk)
    assert "Accept as correction" not in text
    for name, arguments in (("decide_delivery", [conflict.pk, "correct"]), ("new_replay", [])):
        assert as_bob.post(reverse(f"admin:{name}", args=arguments), WHY).status_code == 403
    conflict.refresh_from_db()
    assert conflict.state == "conflict"


def test_a_decision_that_came_too_late_says_so(as_alice: Client, kulfi: Tenant, conflict: Delivery) -> None:
    press(as_alice, "decide_delivery", conflict.pk, "discard", **WHY)
    assert "cannot be decided about it" in press(as_alice, "decide_delivery", conflict.pk, "correct", **WHY)
    assert as_alice.get(reverse("admin:decide_delivery", args=[conflict.pk, "explode"])).status_code == 404


@pytest.mark.case(32)
def test_the_suggested_sale_is_one_press_away(as_alice: Client, kulfi: Tenant) -> None:
    with connection.cursor() as cursor:  # ids of four digits have no comma in a link
        cursor.execute("SELECT setval('integrations_bill_id_seq', greatest(nextval('integrations_bill_id_seq'), 1000))")
    deliver(kulfi, bill("A1"))
    (stuck,) = deliver(kulfi, returned("R1", "", "400.00", mobile=MEERA, original=None))
    text = page(as_alice, "delivery", stuck.pk)
    assert "It is probably about this bill" in text
    sale = Bill.objects.get()
    assert f"original=%23{sale.pk}" in text
    assert f"#{sale.pk}" in page(as_alice, "decide_delivery", stuck.pk, "link", original=f"#{sale.pk}")
    assert "There is no such booked bill" in press(as_alice, "decide_delivery", stuck.pk, "link", original="A9", **WHY)
    press(as_alice, "decide_delivery", stuck.pk, "link", original="A1", **WHY)
    inbox.drain(kulfi, now=timezone.now())
    assert balance(Customer.objects.get()) == (0, 6, 0, 0)


@pytest.mark.case(41, 80)
def test_a_walk_in_is_claimed_at_the_desk_and_settled_by_another(as_bob: Client, as_alice: Client, kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1", mobile=None))
    walk_in = Bill.objects.get()
    assert "a customer claims it" in page(as_bob, "integrations_bill_change", walk_in.pk)
    assert (
        "Somebody else has to agree" in press(as_bob, "claim_bill", walk_in.pk, mobile="98400 12345", **WHY)
        or BillClaim.objects.exists()
    )
    claim = BillClaim.objects.get()
    assert "Approve" in page(as_alice, "integrations_billclaim_changelist")
    assert "is booked for its customer" in press(as_alice, "settle_claim", claim.pk, approve="yes")
    assert balance(Customer.objects.get(mobile=MEERA)) == (0, 10, 0, 0)
    assert "has decided this already" in press(as_alice, "settle_claim", claim.pk, approve="no")


@pytest.mark.case(53)
def test_the_bills_of_an_incident_are_chosen_by_its_number(as_alice: Client, kulfi: Tenant) -> None:
    builders.customer(kulfi, points=100)
    deliver(kulfi, discounted("A1", 10, 5), bill("A2"))
    number = str(Incident.objects.get(kind="mode_drift").pk)
    assert "Enter a whole number" in press(as_alice, "new_replay", states=["applied"], incident="the last", **WHY)
    assert "1 delivery" in press(as_alice, "new_replay", states=["applied"], incident=number, **WHY)


@pytest.mark.case(53)
def test_an_incident_ends_with_the_mode_set_and_its_bills_tried(as_alice: Client, as_bob: Client, kulfi: Tenant) -> None:
    builders.customer(kulfi, points=100)
    deliver(kulfi, discounted("A1", 10, 5), bill("A2"), discounted("A3", 5, 5))
    row, store = Incident.objects.get(), Store.objects.get(code="K1")
    PosChange.objects.create(tenant=kulfi, store=store, at=row.opened_at, what="Till software 4.2", logged_by="ina")
    text = page(as_alice, "integrations_incident_change", row.pk)
    for words in ("2 bills, 25 points", "A1", "A3", "Till software 4.2", "Set the mode from a date"):
        assert words in text
    assert "Set the mode from a date" not in page(as_bob, "incident", row.pk)
    assert as_bob.post(reverse("admin:set_mode", args=[row.pk]), WHY).status_code == 403
    today = Bill.objects.get(bill_no="A1").business_date
    tomorrow = str(today + timedelta(days=2))
    assert "has not come yet" in press(as_alice, "set_mode", row.pk, mode="discount", since=tomorrow, **WHY)
    assert "2 deliveries" in press(as_alice, "set_mode", row.pk, mode="discount", since=str(today), **WHY)
    again = Replay.objects.get()
    before = balance(Customer.objects.get())
    replay.try_it(again, now=timezone.now())
    press(as_alice, "act_on_replay", again.pk, "run")
    replay.run(Replay.objects.get(pk=again.pk))
    assert balance(Customer.objects.get()) == before, "the points were right already; the doubt is gone"
    deliver(kulfi, discounted("A4", 5))
    assert [bill.flags for bill in Bill.objects.filter(bill_no__in=["A1", "A3", "A4"], superseded_at=None)] == [["no_hold"]] * 3
    text = page(as_alice, "incident", row.pk)
    assert ("None shows it any more" in text, "closed" in text, f"Replay {again.pk}" in text) == (True, True, True)
    assert "This incident is closed" in press(as_alice, "set_mode", row.pk, mode="discount", since=str(today), **WHY)
    event = AuditEvent.objects.get(action="set_store_mode")
    assert event.before["replaced"] == []
    assert (event.before["mode"], event.after["mode"], event.after["incident"]) == ("payment", "discount", row.pk)


@pytest.mark.case(53)
def test_a_setting_in_between_does_not_take_the_new_one_back(as_alice: Client, kulfi: Tenant) -> None:
    builders.customer(kulfi, points=100)
    deliver(kulfi, discounted("A1", 10))
    row, store = Incident.objects.get(), Store.objects.get(code="K1")
    today = Bill.objects.get().business_date
    for days in (-1, 30):
        StoreMode.objects.create(tenant=kulfi, store=store, mode="payment", effective_from=today + timedelta(days=days))
    assert "long ago" in press(as_alice, "set_mode", row.pk, mode="discount", since="0001-01-01", **WHY)
    press(as_alice, "set_mode", row.pk, mode="discount", since=str(today - timedelta(days=3)), **WHY)
    replay.run(replay.try_it(Replay.objects.get(), now=timezone.now()))
    assert "mode_drift" not in Bill.objects.get(superseded_at=None).flags
    assert AuditEvent.objects.get(action="set_store_mode").before["replaced"] == [f"payment since {today - timedelta(days=1)}"]
    assert store.modes.filter(effective_from__gt=today).exists(), "what is planned stays planned"


@pytest.mark.case(53)
def test_an_incident_is_closed_by_hand_and_opens_again(as_alice: Client, kulfi: Tenant) -> None:
    builders.customer(kulfi, points=100)
    deliver(kulfi, discounted("FIRST-1", 10))
    row = Incident.objects.get()
    assert "reason of 3" in press(as_alice, "close_incident", row.pk, reason="x")
    assert "another incident" in press(as_alice, "close_incident", row.pk, reason="a till in training")
    assert "is closed: " in press(as_alice, "close_incident", row.pk, reason="again")
    deliver(kulfi, discounted("SECOND-1", 10))
    first, second = Incident.objects.order_by("pk")
    assert ("SECOND-1" in page(as_alice, "incident", first.pk), "FIRST-1" in page(as_alice, "incident", second.pk)) == (
        False,
        False,
    )


@pytest.mark.case(50)
def test_a_bill_that_its_pos_has_deleted_is_reversed_at_the_desk(as_alice: Client, as_bob: Client, kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1"))
    sale, now = Bill.objects.get(), timezone.now()
    ErpOrder.objects.create(
        tenant=kulfi, order_no="SO-1", store=sale.store, bill_no="A1", amount=1, state="voided", at=sale.billed_at, seen_at=now
    )
    text = page(as_alice, "missing_bills")
    assert ("deleted at the POS?" in text, "The ERP has it as SO-1, voided" in text, "Reverse…" in text) == (True, True, True)
    assert "Reverse…" not in page(as_bob, "missing_bills")
    assert as_bob.post(reverse("admin:reverse_bill", args=[sale.pk]), WHY).status_code == 403
    assert "of the 10 points it earned" in page(as_alice, "reverse_bill", sale.pk)
    assert "is reversed" in press(as_alice, "reverse_bill", sale.pk, **WHY)
    assert balance(Customer.objects.get()) == (0, 0, 0, 0)
    assert "cancelled already" in press(as_alice, "reverse_bill", sale.pk, **WHY)


@pytest.mark.case(38)
def test_a_replay_from_the_count_to_the_report(as_alice: Client, kulfi: Tenant, conflict: Delivery) -> None:
    assert "Choose at least one state" in press(as_alice, "new_replay", **WHY)
    assert "No delivery fits" in press(as_alice, "new_replay", states=["waiting_parent"], **WHY)
    text = press(as_alice, "new_replay", states=["conflict"], per_second="0", **WHY)
    row = Replay.objects.get()
    assert ("1 delivery" in text, "Try without effect" in text, "Run: book" in text) == (True, True, False)
    press(as_alice, "act_on_replay", row.pk, "try")
    work_on_replay(row.pk)
    text = page(as_alice, "replay", row.pk)
    assert ("What the dry run found" in text, "Run: book 1 again" in text) == (True, True)
    assert Entry.objects.count() == 1
    press(as_alice, "act_on_replay", row.pk, "run")
    assert "hx-get" in page(as_alice, "replay", row.pk)
    work_on_replay(row.pk)
    row.refresh_from_db()
    assert (row.state, row.counts) == ("done", {"applied": 1})
    assert "1 of 1" in page(as_alice, "replay", row.pk)
    assert "is done already" in press(as_alice, "act_on_replay", row.pk, "cancel")
    assert "<html" not in as_alice.get(reverse("admin:replay", args=[row.pk]), headers={"HX-Request": "true"}).content.decode()
    assert replay.work_on(row, now=timezone.now())


def test_what_is_missing_is_asked_for_and_mailed(as_alice: Client, kulfi: Tenant, mailoutbox: list[Any]) -> None:
    then = timezone.now() - timedelta(hours=3)
    deliver(kulfi, bill("A1"), bill("A4"))
    Bill.objects.update(posted_at=then)
    Delivery.objects.update(received_at=then)
    text = page(as_alice, "missing_bills", store="K1")
    assert ("A2" in text, "A3" in text, "Make a request" in text) == (True, True, True)
    text = press(as_alice, "ask_missing", store="K1")
    row = RepushRequest.objects.get()
    assert "0 of 2 have arrived" in text
    assert "has been asked for" in press(as_alice, "ask_missing", store="K1")
    assert "Enter a valid email" in press(as_alice, "repush_request", row.pk, to="nobody")
    assert "Sent to pos@vendor.example" in press(as_alice, "repush_request", row.pk, to="pos@vendor.example")
    assert len(mailoutbox) == 1
    assert b"K1,A2" in as_alice.post(reverse("admin:repush_csv", args=[row.pk])).getvalue()
    press(as_alice, "repush_request", row.pk, act="close", reason="found on paper")
    assert "closed" in page(as_alice, "repush_request", row.pk)


def test_a_bill_that_cannot_be_booked_goes_to_the_vendor(as_alice: Client, kulfi: Tenant) -> None:
    broken, nowhere = deliver(kulfi, bill("Q1", net_amount="950.00"), bill("Q2", store="??"))
    assert "0 of 1 have arrived" in press(as_alice, "ask_vendor", broken.pk)
    assert "Its store is not known" in press(as_alice, "ask_vendor", nowhere.pk)
    assert RepushRequest.objects.get().lines.get().kind == "broken"


def test_what_is_no_trouble_is_not_asked_of_a_vendor(as_alice: Client, kulfi: Tenant) -> None:
    (fine,) = deliver(kulfi, bill("A1"))
    assert "nothing to ask its vendor for" in press(as_alice, "ask_vendor", fine.pk)
    assert not RepushRequest.objects.exists()


def test_without_a_mail_server_the_list_is_to_be_downloaded(as_alice: Client, kulfi: Tenant, settings: Any) -> None:
    (broken,) = deliver(kulfi, bill("Q1", net_amount="950.00"))
    press(as_alice, "ask_vendor", broken.pk)
    row = RepushRequest.objects.get()
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = "django.core.mail.backends.smtp.EmailBackend", ""
    assert "Download the list" in press(as_alice, "repush_request", row.pk, to="pos@vendor.example")
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    assert "did not take it" in press(as_alice, "repush_request", row.pk, to="pos@vendor.example")
    assert RepushRequest.objects.get().mailed_at is None


def test_who_may_not_ask_is_told_so(as_bob: Client, as_alice: Client, kulfi: Tenant) -> None:
    (broken,) = deliver(kulfi, bill("Q1", net_amount="950.00"))
    press(as_alice, "ask_vendor", broken.pk)
    address = reverse("admin:repush_request", args=[RepushRequest.objects.get().pk])
    assert as_bob.get(address).status_code == 200
    assert as_bob.post(address, {"act": "close", "reason": "not mine"}).status_code == 403


@pytest.mark.parametrize("spelling", ["98400 12345", "+91-98400-12345", "9840012345"])
def test_however_a_number_is_written_the_inbox_hides_it(as_alice: Client, kulfi: Tenant, spelling: str) -> None:
    (row,) = deliver(kulfi, bill("A1", mobile=spelling))
    text = page(as_alice, "delivery", row.pk)
    assert (spelling in text, "12345" in text) == (False, False)


def test_files_of_numbers_are_for_those_who_may_see_them(kulfi: Tenant) -> None:
    auditor = signed_in(_person(kulfi, "Audrey", "auditor"))
    address = reverse("admin:integrations_crmbalance_export")
    assert auditor.get(reverse("admin:integrations_crmbalance_changelist")).status_code == 200
    assert auditor.get(address).status_code == 403


def test_a_number_of_a_million_digits_is_shown_as_it_was_sent(as_alice: Client, kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1"))
    (conflict,) = deliver(kulfi, bill("A1", net="900.00", custom=1e300))
    text = page(as_alice, "delivery", conflict.pk)
    assert "1E+300" in text.upper()


def test_nothing_missing_is_said_kindly(as_alice: Client, kulfi: Tenant) -> None:
    text = page(as_alice, "missing_bills")
    assert ("No bill is known to be missing" in text, "There is nothing to ask for" in text) == (True, True)


def load(tenant: Tenant, resource: type[WitnessResource], text: str) -> Any:
    """Import a CSV as the web role."""
    with walls_around([tenant]):
        return resource(tenant=tenant, actor=SYSTEM).import_data(tablib.Dataset().load(text, format="csv"), dry_run=False)


def test_witnesses_come_by_file_too(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi)
    days = "store,business_date,bills,returns,net_amount,loyalty_amount,first_bill_no,last_bill_no\n"
    for count in (3, 4):
        assert not load(kulfi, DayEndResource, f"{days}K1,2026-01-05,{count},0,900.00,0,,\n").has_errors()
    assert (DayEnd.objects.get().store.code, DayEnd.objects.get().bills) == ("K1", 4)
    assert not load(
        kulfi, CrmBalanceResource, "mobile,points,as_of,written_by\n98400 12345,400,2026-01-05 10:00:00,nightly\n"
    ).has_errors()
    assert (CrmBalance.objects.get().mobile, CrmBalance.objects.get().customer) == (meera.mobile, meera)
    (told,) = AuditEvent.objects.filter(action="import_crmbalance")
    assert (told.after["mobile"], told.after["points"]) == ("•••••345", "400")
    orders = "order_no,store,bill_no,mobile,amount,state,at\n"
    assert not load(kulfi, ErpOrderResource, f"{orders}O1,K1,A1,,540.00,confirmed,2026-01-05 10:00:00\n").has_errors()
    assert ErpOrder.objects.get().store.code == "K1"


def test_a_bad_row_of_a_file_is_told_and_nothing_of_it_is_kept(kulfi: Tenant) -> None:
    result = load(
        kulfi, DayEndResource, "store,business_date,bills,returns,net_amount,loyalty_amount\nXX,2026-01-06,3,0,900.00,0\n"
    )
    told = " ".join(str(error.error) for row in result.rows for error in row.errors) + str(result.invalid_rows)
    assert "No store has the code" in told
    assert not DayEnd.objects.exists()


def test_a_pos_change_is_logged_by_whoever_saw_it(as_alice: Client, kulfi: Tenant) -> None:
    store = Store.objects.get(code="K1")
    body = {"store": str(store.pk), "at_0": "2026-11-20", "at_1": "10:00", "what": "Version 7 rolled out"}
    as_alice.post(reverse("admin:integrations_poschange_add"), body)
    row = PosChange.objects.get()
    assert (row.what, row.store, row.logged_by) == ("Version 7 rolled out", store, "Alice")


def test_the_queue_says_what_waits_since_when_and_how_fast_it_goes(as_bob: Client, kulfi: Tenant) -> None:
    assert "Nothing waits" in page(as_bob, "queue")
    deliver(kulfi, bill("A1"), bill("A2", store="K9"), returned("R1", "A7", "100.00"))
    inbox.receive(kulfi, raw(bill("A3")), source=Source.API, sender=SYSTEM, now=timezone.now())
    text = page(as_bob, "queue")
    for words in ("No worker has been heard of", "Quarantined", "K9", "Waiting for its sale", "waits for a person"):
        assert words in text
    seen = queue.look(kulfi, now=timezone.now())
    assert (seen.count(DeliveryState.RECEIVED), seen.received, seen.processed, seen.judged) == (1, 4, 3, 3)
    assert seen.oldest(DeliveryState.CONFLICT) is None
    assert as_bob.get(reverse("admin:queue"), headers={"HX-Request": "true"}).content.strip().startswith(b"<p")
    later = queue.look(kulfi, now=timezone.now() + timedelta(minutes=30))
    assert (later.received, later.processed, later.judged, later.oldest(DeliveryState.RECEIVED)) == (
        0,
        0,
        3,
        seen.oldest(DeliveryState.RECEIVED),
    )
    assert "K9" in page(as_bob, "integrations_delivery_changelist", state__exact="quarantined", store_code__exact="K9")
