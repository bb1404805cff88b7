"""A customer who wants to be forgotten: nothing names them any more, and the books are as they were."""

import json
from typing import Any

import pytest
import tablib
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations import decisions, inbox, messages, replay
from integrations.analytics import clickhouse, feed
from integrations.models import Bill, BillClaim, Channel, CrmBalance, Delivery, ErpOrder, ReplayState, Source
from loyalty import customers, identity
from loyalty.customer_import import CustomerResource
from loyalty.models import Customer, Entry
from support import approvals, erasure
from support.models import ApprovalRequest, BulkJob, Case, Erasure, JobRow, Note, SavedView
from support.verbs import Wish
from tenants import access as gate
from tenants.actors import SYSTEM, Actor, ActorKind
from tenants.errors import DomainError
from tenants.models import AuditEvent, Store, Tenant, User
from tests import builders
from tests.builders import balance
from tests.client import ApiClient
from tests.conftest import _person, signed_in

pytestmark = pytest.mark.case(98)
TOKEN = "t" * 24
NAME, EMAIL, OLD = "Zanzibar Quill", "quill@zanzibar.example", "+919840077777"
DIGITS = (builders.MEERA[-10:], OLD[-10:])


@pytest.fixture
def quill(kulfi: Tenant) -> Customer:
    """Somebody whose name, e-mail and two numbers stand wherever they can."""
    person = {"mobile": "98400 77777", "name": NAME, "email": EMAIL}
    builders.deliver(kulfi, builders.bill("A1", customer=person), builders.bill("Q1", net_amount="9.00", customer=person))
    found: Customer = Customer.objects.get()
    identity.change_mobile(kulfi, found.pk, builders.MEERA, reason="has a new phone", actor=SYSTEM, now=timezone.now())
    found.refresh_from_db()
    now, store = timezone.now(), Store.objects.get(code="K1")
    ErpOrder.objects.create(
        tenant=kulfi, order_no="SO1", store=store, mobile=builders.MEERA, amount=1, state="confirmed", at=now, seen_at=now
    )
    CrmBalance.objects.create(tenant=kulfi, customer=found, mobile=builders.MEERA, points=1, as_of=now, written_by="crm")
    messages.write(
        kulfi,
        found,
        channel=Channel.EMAIL,
        subject=f"Dear {NAME}",
        body=f"Dear {NAME}",
        actor=SYSTEM,
        key="k",
        now=timezone.now(),
    )
    case = Case.objects.create(
        tenant=kulfi, customer=found, title=f"{NAME} complains", opened_by="Bob", opened_by_ident="person:1"
    )
    Note.objects.create(tenant=kulfi, customer=found, case=case, text=f"Calls from {OLD}", author="Bob", author_ident="person:1")
    CrmBalance.objects.create(tenant=kulfi, customer=found, mobile=OLD, points=1, as_of=now, written_by="crm")
    CustomerResource(tenant=kulfi, actor=SYSTEM).import_data(
        tablib.Dataset((builders.MEERA, NAME, EMAIL, "gold"), headers=("mobile", "name", "email", "tier")), raise_errors=True
    )
    found.refresh_from_db()
    SavedView.objects.create(
        tenant=kulfi, owner=_person(kulfi, "Vee", "agent"), name="one", query=f"customer={NAME.replace(' ', '+')}"
    )
    JobRow.objects.create(
        tenant=kulfi,
        job=_job(kulfi),
        outcome="refused",
        code="points_invalid",
        sentence="many",
        mobile=OLD,
        given={"mobile": OLD[-10:]},
    )
    builders.deliver(kulfi, builders.bill("W1", mobile=None))
    decisions.ask_claim(kulfi, Bill.objects.get(bill_no="W1").pk, OLD, reason="says so on the phone", actor=SYSTEM, now=now)
    run = replay.choose(kulfi, filters={"all": True}, reason="once more", actor=SYSTEM)
    replay.ask(run, ReplayState.TRYING, actor=SYSTEM)
    replay.work_on(run, now=now)
    return found


def _job(kulfi: Tenant) -> BulkJob:
    made: BulkJob = BulkJob.objects.create(
        tenant=kulfi,
        type="adjust",
        points=5,
        select={"mobiles": 1},
        key="job",
        fingerprint=1,
        asked_by="Alice",
        asked_by_kind="system",
    )
    return made


def erase(client: Client, customer: Customer, **fields: str) -> Any:
    body = {"word": "ERASE", "reason": "asked for it in writing", "token": TOKEN} | fields
    return client.post(reverse("admin:erase_customer", args=[customer.pk]), body)


def where_they_stand() -> list[str]:
    """Every table of which a row still names the person, bodies of messages included."""
    words = [NAME.lower(), EMAIL, *DIGITS]
    found = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT count(*) FROM {table} t WHERE lower(t::text) LIKE ANY(%s)", [[f"%{word}%" for word in words]])
            if cursor.fetchone()[0]:
                found.append(table)
    bodies = b"".join(bytes(body).lower() for body in Delivery.objects.values_list("body", flat=True))
    return [*found, *("body" for word in words if word.encode() in bodies)]


def test_nothing_names_them_any_more_and_the_ledger_is_as_it_was(as_alice: Client, kulfi: Tenant, quill: Customer) -> None:
    assert len(where_they_stand()) > 8, "the search finds what is there"
    before, entries = balance(quill), list(Entry.objects.values_list("pk", "available").order_by("pk"))
    assert erase(as_alice, quill).status_code == 302
    quill.refresh_from_db()
    assert (quill.name, quill.email, quill.has_number, quill.status) == ("", "", False, "erased")
    assert customers.find(kulfi, [builders.MEERA, OLD]) == {}
    assert erasure.finish_all(now=timezone.now())["done"] == 1
    assert where_they_stand() == []
    assert (balance(quill), list(Entry.objects.values_list("pk", "available").order_by("pk"))) == (before, entries)
    assert Erasure.objects.get().sought == {}
    assert AuditEvent.objects.get(action="erase_customer").actor_name == "Alice"


def test_a_list_that_is_still_read_is_waited_for(as_alice: Client, kulfi: Tenant, quill: Customer) -> None:
    BulkJob.objects.update(state="reading")
    erase(as_alice, quill)
    assert erasure.finish_all(now=timezone.now())["waiting"] == 1
    BulkJob.objects.update(state="preview")
    assert erasure.finish_all(now=timezone.now())["done"] == 1


def test_the_dashboards_forget_them_too(as_alice: Client, kulfi: Tenant, quill: Customer) -> None:
    feed.run(now=timezone.now())
    erase(as_alice, quill)
    erasure.finish_all(now=timezone.now())
    with clickhouse.connected() as client:
        rows = client.query(
            "SELECT name, email FROM customers WHERE tenant_id = {t:UInt64}", parameters={"t": kulfi.pk}
        ).result_rows
    assert all(row == ("", "") for row in rows)


def test_their_bill_can_be_tried_again_and_stands(as_alice: Client, kulfi: Tenant, quill: Customer) -> None:
    erase(as_alice, quill)
    erasure.finish_all(now=timezone.now())
    before = balance(quill)
    run = replay.choose(kulfi, filters={"all": True}, reason="once more", actor=SYSTEM)
    replay.ask(run, ReplayState.TRYING, actor=SYSTEM)
    replay.work_on(run, now=timezone.now())
    run.refresh_from_db()
    replay.ask(run, ReplayState.RUNNING, actor=SYSTEM)
    replay.work_on(run, now=timezone.now())
    assert (balance(quill), Customer.objects.count()) == (before, 1)
    assert Bill.objects.get(bill_no="A1", superseded_at=None).customer_id == quill.pk


def test_a_return_of_their_purchase_takes_its_points_back(as_alice: Client, kulfi: Tenant, quill: Customer) -> None:
    erase(as_alice, quill)
    erasure.finish_all(now=timezone.now())
    (delivery,) = builders.deliver(
        kulfi,
        builders.bill(
            "R1", net="1000.00", bill_type="RETURN", return_type="FULL", original={"bill_no": "A1"}, mobile=builders.MEERA
        ),
    )
    assert (delivery.state, balance(quill)) == ("applied", (0, 0, 0, 0))


def test_a_new_purchase_with_the_number_is_a_stranger_s(as_alice: Client, kulfi: Tenant, quill: Customer) -> None:
    erase(as_alice, quill)
    before = balance(quill)
    builders.deliver(kulfi, builders.bill("A2"))
    assert balance(quill) == before
    assert Customer.objects.get(mobile=builders.MEERA).pk != quill.pk


def test_a_stranger_who_has_the_number_now_keeps_everything(as_alice: Client, kulfi: Tenant, quill: Customer) -> None:
    move = identity.ask_number_move(kulfi, builders.MEERA, reason="a stranger calls", actor=SYSTEM)
    other = Actor(ActorKind.PERSON, 77, "Somebody else")
    identity.decide_number_move(kulfi, move.pk, approve=True, actor=other, now=timezone.now())
    builders.deliver(kulfi, builders.bill("S1"))
    stranger = Customer.objects.get(mobile=builders.MEERA)
    erase(as_alice, quill)
    erasure.finish_all(now=timezone.now())
    assert builders.MEERA[-10:].encode() in bytes(Delivery.objects.get(bill_no="S1").body)
    assert ErpOrder.objects.get().mobile == builders.MEERA
    assert (Customer.objects.get(pk=stranger.pk).mobile, balance(stranger)) == (builders.MEERA, (0, 10, 0, 0))


def test_what_waits_for_a_second_person_is_withdrawn_and_its_page_still_opens(
    as_alice: Client, as_bob: Client, kulfi: Tenant, quill: Customer
) -> None:
    twin = builders.customer(kulfi, "+919840012399", points=5, name="Ann Other")
    for page, pk, fields in (
        ("merge_customer", quill.pk, {"into": str(twin.pk)}), ("merge_customer", twin.pk, {"into": str(quill.pk)}),
        ("change_mobile", quill.pk, {"mobile": "98400 55555"}),
    ):  # fmt: skip
        as_bob.post(reverse(f"admin:{page}", args=[pk]), {"reason": "as asked", "token": f"{page}{pk}" + TOKEN, **fields})
    assert ApprovalRequest.objects.count() == 3
    erase(as_alice, quill)
    erasure.finish_all(now=timezone.now())
    assert set(ApprovalRequest.objects.filter(customer=quill).values_list("state", flat=True)) == {"withdrawn"}
    for request in ApprovalRequest.objects.all():
        assert as_alice.get(reverse("admin:request", args=[request.pk])).status_code == 200
    assert where_they_stand() == []
    (left,) = ApprovalRequest.objects.filter(state="asked")
    seen = as_alice.get(reverse("admin:request", args=[left.pk])).context["seen"]
    as_alice.post(reverse("admin:request", args=[left.pk]), {"seen": seen, "approve": "1"})
    assert balance(twin) == (0, 5, 0, 0), "nobody is merged into somebody erased"


def test_a_number_sent_as_a_number_breaks_nothing(as_alice: Client, kulfi: Tenant, quill: Customer) -> None:
    Delivery.objects.filter(bill_no="Q1").update(details={"got": 9840077777, "deep": [{"x": f"+91{OLD[-10:]}"}]})
    erase(as_alice, quill)
    assert erasure.finish_all(now=timezone.now())["done"] == 1
    assert Delivery.objects.get(bill_no="Q1").details == {"got": None, "deep": [{"x": "(erased)"}]}


@pytest.mark.parametrize(
    "person",
    [
        {"mobile": OLD, "name": NAME, "address": {"street": "Elmtreelane", "more": [{"x": "}"}]}}, {"mobile": OLD, "name": "Quill {vip} \" }"},
        {"mobile": "98400 77777", "name": "Sale"},
    ],
)  # fmt: skip
def test_only_the_customer_of_a_message_goes_and_all_of_it(
    as_alice: Client, kulfi: Tenant, quill: Customer, person: dict[str, Any]
) -> None:
    Customer.objects.filter(pk=quill.pk).update(name=person["name"])
    document = builders.bill("P1", customer=person)
    builders.deliver(kulfi, document)
    erase(as_alice, quill)
    assert erasure.finish_all(now=timezone.now())["done"] == 1
    body = bytes(Delivery.objects.get(bill_no="P1").body)
    assert json.loads(body) == document | {"customer": {"mobile": "(erased)"}}


def test_a_message_that_nobody_could_read_is_searched_whole(as_alice: Client, till: ApiClient, quill: Customer) -> None:
    till.post("/bills", b'{"bill_no": "M1", "customer": {"mobile": "%s", "name": "Quill' % OLD.encode())
    assert Delivery.objects.filter(state="rejected").count() == 1
    erase(as_alice, quill)
    erasure.finish_all(now=timezone.now())
    assert not any(b"Quill" in bytes(body) for body in Delivery.objects.values_list("body", flat=True))


def test_a_claim_of_who_has_the_number_now_stays_theirs(as_alice: Client, kulfi: Tenant, quill: Customer) -> None:
    move = identity.ask_number_move(kulfi, builders.MEERA, reason="a stranger calls", actor=SYSTEM)
    other = Actor(ActorKind.PERSON, 77, "Somebody else")
    identity.decide_number_move(kulfi, move.pk, approve=True, actor=other, now=timezone.now())
    builders.deliver(kulfi, builders.bill("W2", mobile=None))
    claim = decisions.ask_claim(
        kulfi, Bill.objects.get(bill_no="W2").pk, builders.MEERA, reason="is theirs", actor=SYSTEM, now=timezone.now()
    )
    decisions.decide_claim(kulfi, claim.pk, approve=True, actor=other, now=timezone.now())
    erase(as_alice, quill)
    erasure.finish_all(now=timezone.now())
    claim.refresh_from_db()
    assert claim.mobile == builders.MEERA


def test_the_filters_of_others_stay(as_alice: Client, kulfi: Tenant, quill: Customer) -> None:
    sam = _person(kulfi, "Sam", "agent")
    SavedView.objects.create(tenant=kulfi, owner=sam, name="two", query=f"reason={NAME.replace(' ', '+')}")
    Customer.objects.filter(pk=quill.pk).update(name="Issue")
    SavedView.objects.create(tenant=kulfi, owner=sam, name="three", query="action=issue")
    erase(as_alice, quill)
    erasure.finish_all(now=timezone.now())
    assert "three" in SavedView.objects.values_list("name", flat=True)


def test_nothing_is_written_of_them_any_more(as_alice: Client, quill: Customer) -> None:
    erase(as_alice, quill)
    body = {"text": "Quill again", "title": "Quill again", "reason": "Quill again", "token": TOKEN, "takes": "yes"}
    for page in ("write_note", "open_case", "take_messages"):
        assert as_alice.post(reverse(f"admin:{page}", args=[quill.pk]), body).status_code == 422
    assert Note.objects.filter(text__contains="again").count() == 0


def test_points_given_while_somebody_erases_are_refused(as_alice: Client, kulfi: Tenant, quill: Customer, alice: User) -> None:
    access = gate.of_person(alice, wanted_tenant_id=kulfi.pk)
    assert access is not None
    seen_before = Customer.objects.get(pk=quill.pk)
    erase(as_alice, quill)
    wish = Wish("issue", seen_before, {"points": 11}, "a gesture", "k1", access, timezone.now())
    with pytest.raises(DomainError, match="was erased"):
        approvals.do_or_ask(wish)
    assert Entry.objects.filter(reason="a gesture").count() == 0


def test_a_claim_that_waited_is_refused_and_blocks_nothing(as_alice: Client, kulfi: Tenant, quill: Customer) -> None:
    erase(as_alice, quill)
    claim = BillClaim.objects.get()
    assert (claim.approved, claim.decided_by) == (False, "Pointdesk")
    bill = Bill.objects.get(bill_no="W1")
    decisions.ask_claim(kulfi, bill.pk, "98400 55555", reason="is theirs", actor=SYSTEM, now=timezone.now())


def test_a_bill_that_comes_before_the_worker_is_a_stranger_s(as_alice: Client, kulfi: Tenant, quill: Customer) -> None:
    erase(as_alice, quill)
    inbox.receive(
        kulfi, builders.raw(builders.bill("N1", mobile=builders.MEERA)), source=Source.API, sender=SYSTEM, now=timezone.now()
    )
    erasure.finish_all(now=timezone.now())
    inbox.drain(kulfi, now=timezone.now())
    assert Delivery.objects.get(bill_no="N1").state == "applied"
    assert Customer.objects.get(mobile=builders.MEERA).pk != quill.pk


def test_a_merge_into_somebody_erased_is_not_taken_back(as_alice: Client, kulfi: Tenant, quill: Customer) -> None:
    twin = builders.customer(kulfi, "+919840012399", points=5, name="Ann Other")
    merge = identity.merge(kulfi, twin.pk, quill.pk, reason="same person", actor=SYSTEM, now=timezone.now()).merge
    erase(as_alice, quill)
    answer = as_alice.post(reverse("admin:unmerge", args=[merge.pk]), {"reason": "not the same", "token": TOKEN})
    assert "was erased" in answer.content.decode()


def test_blocked_points_come_first(as_alice: Client, kulfi: Tenant, quill: Customer) -> None:
    builders.hold(kulfi, quill, 5)
    refused = erase(as_alice, quill)
    assert (refused.status_code, "Unblock them first" in refused.content.decode()) == (422, True)


def test_it_is_typed_out_and_done_once(as_alice: Client, quill: Customer) -> None:
    assert erase(as_alice, quill, word="erase").status_code == 422
    assert [erase(as_alice, quill).status_code for _ in range(2)] == [302, 302]
    assert Erasure.objects.count() == 1


@pytest.mark.parametrize("role", ["agent", "merchant", "integrator", "auditor"])
def test_only_the_admin_erases(kulfi: Tenant, quill: Customer, role: str) -> None:
    assert erase(signed_in(_person(kulfi, "Sam", role)), quill).status_code == 403


def test_nobody_acts_on_somebody_erased(as_alice: Client, quill: Customer) -> None:
    erase(as_alice, quill)
    answer = as_alice.post(
        reverse("admin:issue_points", args=[quill.pk]), {"points": "5", "reason": "a gesture", "token": "u" * 24}
    )
    assert (answer.status_code, "was erased" in answer.content.decode()) == (422, True)


def test_who_was_merged_into_them_is_forgotten_with_them(as_alice: Client, kulfi: Tenant, quill: Customer) -> None:
    twin = builders.customer(kulfi, "+919840012399", points=5, name="Quincy Quill")
    identity.merge(kulfi, twin.pk, quill.pk, reason="same person", actor=SYSTEM, now=timezone.now())
    erase(as_alice, quill)
    erasure.finish_all(now=timezone.now())
    twin.refresh_from_db()
    assert (twin.name, twin.has_number, twin.status) == ("", False, "merged")
    assert customers.find(kulfi, ["+919840012399"]) == {}
