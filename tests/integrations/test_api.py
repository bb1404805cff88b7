"""The API from outside: what the contract promises, and what bad input gets."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations import inbox
from integrations.models import Delivery
from loyalty.models import Customer, Hold
from tenants import staff
from tenants.actors import SYSTEM
from tenants.models import ApiKey, Tenant
from tests import builders
from tests.builders import MEERA, balance, bill, paid_with_points
from tests.client import ApiClient
from tests.conftest import key_of


@pytest.fixture
def meera(kulfi: Tenant) -> Customer:
    return builders.customer(kulfi, points=400)


def hold_request(points: int = 100, reference: str = "SB-1", **fields: Any) -> dict[str, Any]:
    return {"mobile": MEERA, "points": points, "store_code": "K1", "reference": reference} | fields


# Bills


def test_a_bill_is_202_and_its_delivery_tells_what_became_of_it(till: ApiClient, kulfi: Tenant) -> None:
    sent = till.post("/bills", bill("A1", net="1842.00"))
    assert (sent.status, sent.body["state"]) == (202, "received")
    inbox.drain(kulfi, now=timezone.now())
    told = till.get(f"/deliveries/{sent.body['receipt']}").body
    assert (told["state"], told["check"], told["attempts"]) == ("applied", None, 1)
    assert told["effect"] == {"pending": 0, "available": 18, "held": 0, "owed": 0}
    assert told["discrepancies"] == []


@pytest.mark.case(22)
def test_the_same_body_again_is_200_with_the_first_receipt(till: ApiClient, kulfi: Tenant) -> None:
    document = bill("A1")
    first = till.post("/bills", document)
    inbox.drain(kulfi, now=timezone.now())
    again = till.post("/bills", document)
    assert again.status == 200
    assert again.body == {"receipt": first.body["receipt"], "state": "applied", "duplicate": True}


def test_a_quarantined_bill_sent_again_is_tried_again(till: ApiClient, kulfi: Tenant) -> None:
    document = bill("A1", store="K9")
    receipt = till.post("/bills", document).body["receipt"]
    inbox.drain(kulfi, now=timezone.now())
    staff.create_store(kulfi, code="K9", actor=SYSTEM)
    assert till.post("/bills", document).body == {"receipt": receipt, "state": "received", "duplicate": True}
    inbox.drain(kulfi, now=timezone.now())
    assert till.get(f"/deliveries/{receipt}").body["state"] == "applied"


def test_a_batch_answers_in_order_and_one_bad_bill_refuses_only_itself(till: ApiClient) -> None:
    answer = till.post("/bills/batch", {"repush": "May", "bills": [bill("A1"), 7, bill(business_id="somebody"), bill("A2")]})
    assert answer.status == 202
    results = answer.body["results"]
    assert [result["index"] for result in results] == [0, 1, 2, 3]
    assert [result["status"] for result in results] == [202, 400, 422, 202]
    assert results[2]["error"]["code"] == "business_mismatch"
    assert set(Delivery.objects.values_list("repush", flat=True)) == {"May"}


def test_a_batch_has_at_most_100_bills(till: ApiClient) -> None:
    answer = till.post("/bills/batch", {"bills": [{}] * 101})
    assert (answer.status, answer.code) == (413, "too_large")


@pytest.mark.parametrize("body", [b"{", b"", b"[1]", b"\xff", b'{"a":1,"a":2}', b"[" * 100_000])
def test_malformed_json_is_400_and_kept(till: ApiClient, body: bytes) -> None:
    answer = till.post("/bills", body)
    assert (answer.status, answer.code) == (400, "malformed_json")
    assert Delivery.objects.get().state == "rejected"


def test_an_object_that_is_no_bill_is_202_and_quarantined(till: ApiClient, kulfi: Tenant) -> None:
    sent = till.post("/bills", {"hello": ["\ud800", 1e308]})
    assert sent.status == 202
    inbox.drain(kulfi, now=timezone.now())
    assert till.get(f"/deliveries/{sent.body['receipt']}").body["check"] == "required_field"


def test_a_bill_over_1_mib_is_413(till: ApiClient) -> None:
    answer = till.post("/bills", bill(note="x" * (1 << 20)))
    assert (answer.status, answer.code) == (413, "too_large")
    assert not Delivery.objects.exists()


def test_a_body_over_16_mib_is_413(till: ApiClient) -> None:
    assert till.post("/bills/batch", b"x" * ((16 << 20) + 2)).status == 413


def test_another_tenants_business_id_is_422(till: ApiClient) -> None:
    answer = till.post("/bills", bill(business_id="liberty-deli"))
    assert (answer.status, answer.code) == (422, "business_mismatch")


# Holds


def test_a_hold_is_201_with_its_worth_and_its_end(till: ApiClient, meera: Customer) -> None:
    answer = till.post("/holds", hold_request(at="2026-11-20T10:00:00+05:30") | {"at": timezone.now().isoformat()})
    assert answer.status == 201
    body = answer.body
    assert (body["reference"], body["points"], body["amount"], body["state"]) == ("SB-1", 100, "100.00", "active")
    row = Hold.objects.get()
    assert row.expires_at - row.at == timedelta(days=100)
    assert balance(meera) == (0, 300, 100, 0)


@pytest.mark.case(8)
def test_a_hold_sent_again_is_the_first_answer_even_after_it_ended(till: ApiClient, meera: Customer) -> None:
    first = till.post("/holds", hold_request())
    till.post("/holds/SB-1/release", {"reason": "changed their mind"})
    again = till.post("/holds", hold_request())
    assert (again.status, again.body, again.headers["Idempotency-Hit"]) == (201, first.body, "true")
    assert balance(meera) == (0, 400, 0, 0)


def test_a_reference_used_for_another_request_is_409(till: ApiClient, meera: Customer) -> None:
    till.post("/holds", hold_request())
    answer = till.post("/holds", hold_request(points=101))
    assert (answer.status, answer.code) == (409, "key_reused")


@pytest.mark.case(5)
def test_a_second_hold_is_422_with_what_is_held_since_when(till: ApiClient, meera: Customer) -> None:
    till.post("/holds", hold_request(400))
    answer = till.post("/holds", hold_request(100, "SB-2"))
    assert (answer.status, answer.code) == (422, "insufficient_points")
    assert (answer.body["error"]["details"]["available"], answer.body["error"]["details"]["held"]) == (0, 400)
    assert answer.body["error"]["details"]["held_since"]
    assert "400 points are held since" in answer.body["error"]["message"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"mobile": "+919999999999"}, 404, "unknown_customer"),
        ({"mobile": "12"}, 422, "mobile_invalid"),
        ({"store_code": "K9"}, 422, "store_unknown"),
        ({"points": 0}, 422, "points_invalid"),
        ({"points": -1}, 422, "bad_value"),
        ({"points": 1.5}, 422, "bad_value"),
        ({"points": "1e3"}, 422, "bad_value"),
        ({"points": 2**63}, 422, "bad_value"),
        ({"points": None}, 422, "required_field"),
        ({"reference": "no spaces allowed"}, 422, "bad_value"),
        ({"reference": "x" * 65}, 422, "bad_value"),
        ({"at": "2011-01-01T00:00:00Z"}, 422, "date_window"),
        ({"at": "not a time"}, 422, "bad_value"),
        ({"bill_no": "\x00"}, 422, "bad_value"),
    ],
)
def test_a_hold_that_cannot_be_is_refused_by_name(
    till: ApiClient, meera: Customer, change: dict[str, Any], status: int, code: str
) -> None:
    answer = till.post("/holds", hold_request() | change)
    assert (answer.status, answer.code) == (status, code)
    assert answer.body["error"]["message"].endswith(".")
    assert answer.body["error"]["request_id"]
    assert balance(meera) == (0, 400, 0, 0)


def test_points_as_text_are_accepted(till: ApiClient, meera: Customer) -> None:
    assert till.post("/holds", hold_request() | {"points": "100"}).status == 201


def test_a_release_gives_the_hold_back_and_again_changes_nothing(till: ApiClient, meera: Customer) -> None:
    till.post("/holds", hold_request())
    first = till.post("/holds/SB-1/release", {"reason": "changed their mind"})
    again = till.post("/holds/SB-1/release", {"reason": "once more"})
    assert (first.status, first.body["state"], again.status, again.body["state"]) == (200, "released", 200, "released")
    assert balance(meera) == (0, 400, 0, 0)


@pytest.mark.case(82)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": ""},
        {"reason": "  a "},
        {"reason": "x" * 501},
        {"reason": 5},
        {"reason": "a\x00bc"},
        {"reason": "a\ud800bc"},
    ],
)
def test_a_release_needs_a_reason(till: ApiClient, meera: Customer, body: dict[str, Any]) -> None:
    till.post("/holds", hold_request())
    assert till.post("/holds/SB-1/release", body).status == 422
    assert Hold.objects.get().state == "active"


def test_a_hold_tells_of_its_late_bill(till: ApiClient, kulfi: Tenant, meera: Customer) -> None:
    till.post("/holds", hold_request())
    till.post("/holds/SB-1/release", {"reason": "changed their mind"})
    builders.deliver(kulfi, paid_with_points("IB/1", 100, reference="SB-1"))
    told = till.get("/holds/SB-1").body
    assert (told["state"], told["late_bill"], told["late_points"]) == ("released", "IB/1", 100)


# Balances and entries


def test_a_balance_shows_buckets_closing_worth_and_holds(till: ApiClient, meera: Customer) -> None:
    till.post("/holds", hold_request(150))
    told = till.get("/customers/9840012345/balance").body
    assert (told["available"], told["held"], told["owed"], told["closing"], told["redeemable_value"]) == (
        250,
        150,
        0,
        400,
        "250.00",
    )
    assert (told["mobile"], [each["reference"] for each in told["holds"]]) == (MEERA, ["SB-1"])


def test_entries_are_newest_first_in_pages(till: ApiClient, kulfi: Tenant, meera: Customer) -> None:
    for number in range(5):
        builders.issue(kulfi, meera, number + 1)
    page = till.get(f"/customers/{MEERA}/entries", page_size="4").body
    assert [entry["available"] for entry in page["results"]] == [5, 4, 3, 2]
    rest = ApiClient(till.key)._client.get(page["next"], HTTP_AUTHORIZATION=f"Bearer {till.key}").json()
    assert [entry["available"] for entry in rest["results"]] == [1, 400]
    assert rest["next"] is None


def test_entries_name_their_bill_hold_and_lots(till: ApiClient, kulfi: Tenant, meera: Customer) -> None:
    till.post("/holds", hold_request(100))
    builders.deliver(kulfi, paid_with_points("IB/7", 100, net="100.00", reference="SB-1"))
    (entry,) = till.get(f"/customers/{MEERA}/entries", kind="capture").body["results"]
    assert (entry["bill_no"], entry["hold"], entry["store_code"], entry["held"]) == ("IB/7", "SB-1", "K1", -100)
    assert entry["lots"][0]["points"] == -100


@pytest.mark.parametrize(
    ("parameters", "count"), [({"kind": "hold"}, 1), ({"from": "2099-01-01"}, 0), ({"store": "K2"}, 0), ({"actor": "point"}, 1)]
)
def test_entries_can_be_filtered(till: ApiClient, meera: Customer, parameters: dict[str, str], count: int) -> None:
    till.post("/holds", hold_request(100))
    assert len(till.get(f"/customers/{MEERA}/entries", **parameters).body["results"]) == count


@pytest.mark.parametrize("parameters", [{"kind": "gift"}, {"from": "yesterday"}, {"cursor": "x"}, {"cursor": "cD1hYmM="}])
def test_a_bad_filter_is_400_or_404_with_our_error(till: ApiClient, meera: Customer, parameters: dict[str, str]) -> None:
    answer = till.get(f"/customers/{MEERA}/entries", **parameters)
    assert answer.status in (400, 404)
    assert answer.code in ("invalid_filter", "not_found")


@pytest.mark.parametrize("path", ["/customers/+919999999999/balance", "/customers/+919999999999/entries"])
def test_an_unknown_customer_is_404(till: ApiClient, path: str) -> None:
    answer = till.get(path)
    assert (answer.status, answer.code) == (404, "unknown_customer")


@pytest.mark.parametrize("path", ["/holds/SB-404", "/deliveries/dl_404", "/holds/%00", "/deliveries/%00%ff", "/nothing/here"])
def test_what_is_not_there_is_404(till: ApiClient, path: str) -> None:
    answer = till.get(path)
    assert (answer.status, answer.code) == (404, "not_found")


# Keys


@pytest.mark.case(47)
@pytest.mark.parametrize("key", [None, "", "pd_x_y", "pd_", "nonsense", "pd_\x00_x", "pd_" + "a" * 300, "pd_ä_ö"])
def test_a_missing_or_wrong_key_is_401_and_nothing_is_written(kulfi: Tenant, key: str | None) -> None:
    nobody = ApiClient(key)
    for answer in (
        nobody.post("/bills", bill()),
        nobody.get(f"/customers/{MEERA}/balance"),
        nobody.post("/holds", hold_request()),
    ):
        assert (answer.status, answer.code) == (401, "unauthorised")
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("change", [{"revoked_at": True}, {"expires_at": True}])
def test_a_revoked_or_expired_key_is_401(kulfi: Tenant, till: ApiClient, change: dict[str, bool]) -> None:
    ApiKey.objects.update(**{name: timezone.now() - timedelta(seconds=1) for name in change})
    assert till.get("/holds/SB-1").status == 401


def test_a_key_of_an_inactive_tenant_is_401(kulfi: Tenant, till: ApiClient) -> None:
    Tenant.objects.update(is_active=False)
    assert till.get("/holds/SB-1").status == 401


@pytest.mark.parametrize(
    ("scopes", "method", "path", "status"),
    [
        (("read",), "post", "/bills", 403),
        (("read",), "post", "/bills/batch", 403),
        (("read",), "post", "/holds", 403),
        (("read",), "post", "/holds/SB-1/release", 403),
        (("erp",), "get", "/holds/SB-1", 403),
        (("crm",), "get", f"/customers/{MEERA}/balance", 403),
        (("pos",), "get", f"/customers/{MEERA}/entries", 403),
        (("pos",), "get", f"/customers/{MEERA}/balance", 404),
        (("support",), "get", "/holds/SB-1", 404),
    ],
)
def test_a_key_does_what_its_scopes_say(kulfi: Tenant, scopes: tuple[str, ...], method: str, path: str, status: int) -> None:
    client = ApiClient(key_of(kulfi, *scopes))
    answer = client.get(path) if method == "get" else client.post(path, {})
    assert answer.status == status


def test_a_method_that_is_not_there_is_refused(till: ApiClient) -> None:
    answer = till.get("/bills")
    assert (answer.status, answer.code) == (405, "method_not_allowed")


def test_the_secret_of_a_key_is_not_kept(kulfi: Tenant) -> None:
    key = key_of(kulfi, "pos")
    row = ApiKey.objects.get()
    assert key.rpartition("_")[2] not in f"{row.prefix}{row.secret_hash}{row.name}"


def test_an_error_never_shows_a_whole_mobile_in_the_log(till: ApiClient, caplog: pytest.LogCaptureFixture) -> None:
    till.get("/customers/+919999988888/balance")
    till.post("/holds", hold_request(mobile="+919999988888"))
    assert "9999988888" not in caplog.text


def test_a_broken_batch_is_400_and_kept(till: ApiClient) -> None:
    assert till.post("/bills/batch", b'{"bills": [').status == 400
    assert Delivery.objects.get().state == "rejected"


def test_a_label_with_control_characters_is_refused(till: ApiClient) -> None:
    assert till.post("/bills/batch", {"repush": "a\x00b", "bills": []}).code == "bad_value"


def test_a_hold_of_64_kib_and_more_is_413(till: ApiClient) -> None:
    assert till.post("/holds", hold_request(note="x" * (65 << 10))).status == 413


def test_posting_to_nowhere_is_our_404(till: ApiClient) -> None:
    response = Client(enforce_csrf_checks=True).post("/api/v1/nowhere", {}, content_type="application/json")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
