"""What others say about the same sales, which bills never came, and asking for them."""

import email
import hashlib
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail as outbox
from django.utils import timezone

from integrations import missing
from integrations.api.witnesses import ROWS_MAX
from integrations.missing import Missing, ask, close, find, silent, unsettled
from integrations.models import Bill, CrmBalance, DayEnd, Delivery, ErpOrder
from loyalty.models import Entry
from tenants import exports
from tenants.actors import Actor, ActorKind
from tenants.errors import DomainError
from tenants.models import Store, Tenant
from tests import builders
from tests.builders import MEERA, bill, deliver
from tests.client import ApiClient
from tests.conftest import key_of
from tests.integrations.test_returns import cancelled, returned

INA = Actor(ActorKind.PERSON, 7, "ina@kulfi.example")


@pytest.fixture
def others(kulfi: Tenant) -> ApiClient:
    return ApiClient(key_of(kulfi, "pos", "erp", "crm", "read"))


def found(tenant: Tenant, *, days: int = 40) -> list[Missing]:
    today = timezone.now().date()
    return find(
        tenant, since=today - timedelta(days=days), until=today + timedelta(days=1), now=timezone.now() + timedelta(hours=2)
    )


def numbers(tenant: Tenant) -> list[str]:
    return [each.bill_no for each in found(tenant)]


# Witnesses


@pytest.mark.case(50)
def test_a_day_end_settles_a_store_day_and_the_next_one_replaces_it(kulfi: Tenant, others: ApiClient) -> None:
    today = timezone.now().astimezone(kulfi.zone).date()
    deliver(kulfi, bill("A1"), bill("A2", net="500.00"), returned("R1", "A1", "100.00"))
    body = {
        "store_code": "K1",
        "business_date": today.isoformat(),
        "bills": 3,
        "returns": 1,
        "net_amount": "1700.00",
        "loyalty_amount": "0",
    }
    assert others.post("/day-ends", body).body == {"accepted": 1, "refused": []}
    (day,) = unsettled(kulfi, since=today, until=today)
    assert (day.bills, day.returns, day.net) == ((3, 2), (1, 1), (Decimal(1700), Decimal(1500)))
    others.post("/day-ends", body | {"bills": 2, "net_amount": "1500.00"})
    assert (DayEnd.objects.count(), unsettled(kulfi, since=today, until=today)) == (1, [])


@pytest.mark.case(50)
def test_what_was_sold_and_cancelled_on_one_day_is_in_no_day_end(kulfi: Tenant, others: ApiClient) -> None:
    yesterday = timezone.now() - timedelta(days=1)
    day = yesterday.astimezone(kulfi.zone).date()
    sold = {"bill_date": yesterday.isoformat()}
    deliver(kulfi, bill("A1", **sold), bill("A2", **sold), bill("A3", **sold))
    deliver(kulfi, cancelled("A2", "A2", bill_date=yesterday.isoformat()), cancelled("A3", "A3"))
    body = {
        "store_code": "K1",
        "business_date": day.isoformat(),
        "bills": 2,
        "returns": 0,
        "net_amount": "2000.00",
        "loyalty_amount": "0",
    }
    others.post("/day-ends", body)
    assert unsettled(kulfi, since=day, until=day) == [], "A3 was cancelled the day after: its own day counts it"


def test_a_day_that_has_not_ended_or_a_store_nobody_knows_is_refused(others: ApiClient) -> None:
    tomorrow = (timezone.now() + timedelta(days=2)).date().isoformat()
    body = {"store_code": "K1", "business_date": tomorrow, "bills": 1, "net_amount": "1"}
    assert others.post("/day-ends", body).body["refused"][0]["error"]["code"] == "date_window"
    assert (
        others.post("/day-ends", body | {"store_code": "XX", "business_date": "2026-01-01"}).body["refused"][0]["error"]["code"]
        == "store_unknown"
    )
    assert others.post("/day-ends", {"store_code": "K1"}).code == "required_field"
    assert others.post("/day-ends", body | {"business_date": "31.12.2025"}).code == "bad_value"


def test_orders_and_balances_are_kept_row_by_row(kulfi: Tenant, others: ApiClient) -> None:
    meera = builders.customer(kulfi)
    order: dict[str, Any] = {
        "order_no": "O1", "store_code": "K1", "bill_no": "A1", "mobile": "98400 12345", "amount": "540.00", "state": "confirmed",
        "at": timezone.now().isoformat(),
    }  # fmt: skip
    answer = others.post(
        "/erp/orders", {"orders": [order, order | {"order_no": "O2", "state": "maybe"}, order | {"store_code": "??"}, 7]}
    )
    assert (answer.status, answer.body["accepted"]) == (200, 1)
    assert [(each["index"], each["error"]["code"]) for each in answer.body["refused"]] == [
        (1, "bad_value"), (2, "store_unknown"), (3, "bad_value"),
    ]  # fmt: skip
    others.post("/erp/orders", {"orders": [order | {"state": "voided"}]})
    assert (ErpOrder.objects.get().state, ErpOrder.objects.get().mobile) == ("voided", MEERA)

    shown = {"mobile": MEERA, "points": 400, "as_of": timezone.now().isoformat(), "written_by": "nightly upload"}
    for _ in range(2):
        assert others.post("/crm/balances", {"balances": [shown, shown | {"mobile": "12"}]}).body["accepted"] == 1
    row = CrmBalance.objects.get()
    assert (row.customer, row.points, row.written_by) == (meera, 400, "nightly upload")
    assert not Entry.objects.exists(), "what the CRM shows moves nothing"


def test_too_many_rows_or_no_list_are_refused_whole(others: ApiClient) -> None:
    assert others.post("/erp/orders", {"orders": [{}] * (ROWS_MAX + 1)}).status == 413
    assert others.post("/crm/balances", {}).code == "bad_value"


def test_a_key_without_the_scope_is_not_a_witness(till: ApiClient) -> None:
    for path in ("/erp/orders", "/crm/balances"):
        assert till.post(path, {}).status == 403


# Missing


@pytest.mark.parametrize(
    ("sent", "gaps"),
    [
        (["IB/26/0007", "IB/26/0010"], ["IB/26/0008", "IB/26/0009"]),
        (["9", "11"], ["10"]),
        (["T1-5", "T1-7", "T2-5", "T2-6"], ["T1-6"]),
        (["A1", "A2"], []),
        (["A1", "A2000"], []),
        (["no number", "none"], []),
        (["A1B", "A3B"], ["A2B"]),
    ],
)
def test_gaps_in_a_series_of_numbers(kulfi: Tenant, sent: list[str], gaps: list[str]) -> None:
    deliver(kulfi, *(bill(number) for number in sent))
    assert numbers(kulfi) == gaps


def test_what_came_but_is_not_booked_is_no_gap(kulfi: Tenant) -> None:
    deliver(
        kulfi, bill("A1"), bill("A2", net_amount="oops"), bill("A3", bill_type="RETURN", original={"bill_no": "X"}), bill("A4")
    )
    assert numbers(kulfi) == []


def test_numbers_of_another_store_or_year_fill_no_gap(kulfi: Tenant) -> None:
    last_year = (timezone.now() - timedelta(days=366)).isoformat()
    deliver(kulfi, bill("A1"), bill("A2", store="K2"), bill("A2", bill_date=last_year), bill("A3"))
    assert numbers(kulfi) == ["A2"]


def test_fresh_numbers_may_still_be_on_their_way(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1"), bill("A3"))
    today = timezone.now().date()
    assert find(kulfi, since=today - timedelta(days=1), until=today + timedelta(days=1), now=timezone.now()) == []


def test_blocked_points_without_a_bill_and_orders_that_only_the_erp_has(kulfi: Tenant, others: ApiClient) -> None:
    meera = builders.customer(kulfi, points=100)
    two_days_ago = timezone.now() - timedelta(days=2)
    held = builders.hold(kulfi, meera, 40, bill_no="A7", at=two_days_ago)
    builders.hold(kulfi, meera, 10, reference="SB-NEW")
    order = {"order_no": "O1", "store_code": "K1", "amount": "540.00", "state": "confirmed", "at": two_days_ago.isoformat()}
    others.post("/erp/orders", {"orders": [order | {"bill_no": "A7"}, order | {"order_no": "O2", "bill_no": "A9"}]})
    deliver(kulfi, bill("A6"), bill("A8"))
    assert [(each.kind.value, each.bill_no, each.amount) for each in found(kulfi)] == [
        ("erp", "A7", Decimal(540)), ("erp", "A9", Decimal(540)),
    ], "A7 is missing once, though three traces name it"  # fmt: skip
    ErpOrder.objects.all().delete()
    (first,) = found(kulfi)
    assert (first.kind.value, first.reference, first.why.startswith("40 points are waiting")) == ("hold", held.reference, True)


def test_a_bill_of_another_year_is_not_the_one_of_an_order(kulfi: Tenant, others: ApiClient) -> None:
    kulfi.bill_period, kulfi.date_window_days = "calendar_year", 800
    kulfi.save()
    long_ago = timezone.now() - timedelta(days=400)
    deliver(kulfi, bill("IB/1", bill_date=long_ago.isoformat()))
    Delivery.objects.update(received_at=long_ago)
    order = {"order_no": "SO-1", "store_code": "K1", "bill_no": "IB/1", "amount": "1250.00", "state": "confirmed",
             "at": (timezone.now() - timedelta(days=2)).isoformat()}  # fmt: skip
    assert others.post("/erp/orders", {"orders": [order]}).body["accepted"] == 1
    assert [(each.kind.value, each.bill_no) for each in found(kulfi)] == [("erp", "IB/1")]


def test_a_store_that_is_silent_against_its_own_rhythm(kulfi: Tenant) -> None:
    today = timezone.now().astimezone(kulfi.zone).date()
    noon = datetime.combine(today, time(0, 5), kulfi.zone)
    for week in range(1, 5):
        deliver(kulfi, bill(f"W{week}", bill_date=(noon - timedelta(weeks=week)).isoformat()))
    (store,) = silent(kulfi, on=today)
    assert (store.store_id, store.usual) == (Store.objects.get(code="K1").pk, 1)
    assert silent(kulfi, on=today - timedelta(days=1)) == []
    deliver(kulfi, bill("NOW", bill_date=noon.isoformat()))
    assert silent(kulfi, on=today) == []


# Asking for them


def test_a_request_follows_what_arrives_and_closes_itself(kulfi: Tenant) -> None:
    deliver(kulfi, bill("A1"), bill("A4"))
    store = Store.objects.get(code="K1")
    request = ask(kulfi, store, found(kulfi), note="of Monday", actor=INA)
    assert [line.bill_no for line in request.lines.all()] == ["A2", "A3"]
    with pytest.raises(DomainError, match="has been asked for"):
        ask(kulfi, store, found(kulfi), note="", actor=INA)
    deliver(kulfi, bill("A2"), bill("A3", store="K2"))
    request.refresh_from_db()
    assert ([bool(line.arrived_at) for line in request.lines.all()], request.closed_at) == ([True, False], None)
    deliver(kulfi, bill("A3"))
    request.refresh_from_db()
    assert (request.closed_at is not None, request.closed_by) == (True, "all have arrived")
    with pytest.raises(DomainError, match="closed already"):
        close(kulfi, request.pk, reason="by hand", actor=INA, now=timezone.now())


def test_a_bill_without_a_known_number_has_come_when_its_blocked_points_have(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    builders.hold(kulfi, meera, 20, reference="SB-1", at=timezone.now() - timedelta(days=2))
    request = ask(kulfi, Store.objects.get(code="K1"), found(kulfi), note="", actor=INA)
    assert [(line.bill_no, line.reference) for line in request.lines.all()] == [("", "SB-1")]
    deliver(kulfi, bill("A9"))
    request.refresh_from_db()
    assert request.closed_at is None
    deliver(kulfi, builders.paid_with_points("A1", 20, reference="SB-1"))
    request.refresh_from_db()
    assert (request.closed_by, request.lines.get().arrived_at is not None) == ("all have arrived", True)


def test_the_list_goes_to_the_vendor_as_csv(kulfi: Tenant) -> None:
    deliver(kulfi, bill("=A1"), bill("=A3"))
    request = ask(kulfi, Store.objects.get(code="K1"), found(kulfi), note="of Monday", actor=INA)
    missing.mail(request, to="pos@vendor.example", actor=INA, now=timezone.now())
    (sent,) = outbox.outbox
    name, content, _ = sent.attachments[0]
    assert sent.subject == f"Bills to send again: K1, 1 (request {request.pk})"
    assert name == f"repush-{request.pk}.csv"
    assert content.splitlines()[1].startswith(b"K1,'=A2,"), "no formula runs in a spreadsheet"
    parts: Any = email.message_from_bytes(sent.message().as_bytes()).get_payload()
    assert parts[1].get_payload(decode=True) == content, "byte for byte, or nobody knows it again"
    assert exports.known(kulfi, hashlib.sha256(content).hexdigest()).get().actor_name == INA.name
    request.refresh_from_db()
    assert request.mailed_to == "pos@vendor.example"


def test_five_hundred_orders_in_one_call_and_who_wrote_in_clean_text(kulfi: Tenant, others: ApiClient) -> None:
    orders = [
        {"order_no": f"SO-{number}", "store_code": "K1", "bill_no": f"IB/{number:06d}", "mobile": "+919840012345", "amount": "1250.00",
         "state": "confirmed", "at": timezone.now().isoformat()}
        for number in range(500)
    ]  # fmt: skip
    assert others.post("/erp/orders", {"orders": orders}).body["accepted"] == 500
    shown = {"mobile": "+919840012345", "points": 5, "as_of": timezone.now().isoformat(), "written_by": "crm\x00job"}
    refused = others.post("/crm/balances", {"balances": [shown]}).body["refused"]
    assert [each["error"]["code"] for each in refused] == ["bad_value"]


# The bill and where it has been


def test_a_bill_its_trace_and_its_entries(kulfi: Tenant, others: ApiClient) -> None:
    deliver(kulfi, bill("IB/26/7"), returned("R1", "IB/26/7", "500.00"))
    body = others.get("/bills/IB/26/7", store_code="K1").body
    assert (body["earned_points"], body["stopped_at"], [stop["stop"] for stop in body["trace"]]) == (
        10, "analytics", ["pos", "received", "booked", "analytics", "crm"],
    )  # fmt: skip
    assert [entry["kind"] for entry in body["entries"]] == ["earn"]
    assert others.get("/bills/R1").body["original"] == "IB/26/7"
    assert others.get("/bills/nothing").status == 404
    kulfi.auto_stores = True
    kulfi.save()
    assert others.get("/bills/R1", store_code="NEW").status == 404  # a question makes no store
    assert not Store.objects.filter(code="NEW").exists()
    assert others.get("/bills/R1", store_code="K2").status == 404
    assert others.get("/bills/R1", bill_date="soon").code == "bad_value"
    assert others.get("/bills/IB%2F26%2F7", bill_date=Bill.objects.get(bill_no="IB/26/7").business_date.isoformat()).status == 200


def test_a_crm_that_has_seen_the_bill_is_the_last_stop(kulfi: Tenant, others: ApiClient) -> None:
    deliver(kulfi, bill("A1"))
    later = (timezone.now() + timedelta(minutes=5)).isoformat()
    others.post("/crm/balances", {"balances": [{"mobile": MEERA, "points": 10, "as_of": later}]})
    assert others.get("/bills/A1").body["trace"][-1]["at"] is not None
