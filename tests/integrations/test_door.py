"""At the door: signatures, calls a minute, and the API described for machines."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from integrations.models import Delivery
from tenants import signing, staff
from tenants.actors import SYSTEM
from tenants.models import ApiKey, AuditEvent, Tenant
from tests.builders import bill, raw
from tests.client import ApiClient
from tests.conftest import key_of


@pytest.fixture
def signed(kulfi: Tenant) -> str:
    """Kulfi House wants signatures; -> its secret."""
    kulfi.signatures_required = True
    kulfi.save()
    return signing.rotate(kulfi, actor=SYSTEM, now=timezone.now()).secret


def headers(secret: str, body: bytes, *, at: Any = None, ident: str = "msg_1") -> dict[str, str]:
    moment = at or timezone.now()
    return {
        "HTTP_WEBHOOK_ID": ident,
        "HTTP_WEBHOOK_TIMESTAMP": str(int(moment.timestamp())),
        "HTTP_WEBHOOK_SIGNATURE": Webhook(secret).sign(ident, moment, body.decode()),
    }


def test_a_signed_bill_is_kept_alone_or_in_a_batch(signed: str, till: ApiClient) -> None:
    body = raw(bill("A1"))
    assert till.post("/bills", body, **headers(signed, body)).status == 202
    batch = json.dumps({"bills": [bill("A2")]}).encode()
    assert till.post("/bills/batch", batch, **headers(signed, batch)).status == 202
    assert Delivery.objects.count() == 2


def _resigned(change: Callable[[dict[str, str]], dict[str, str | None]]) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda given: {name: value for name, value in {**given, **change(given)}.items() if value is not None}


SIGNATURE = "HTTP_WEBHOOK_SIGNATURE"
STAMP = "HTTP_WEBHOOK_TIMESTAMP"
IDENT = "HTTP_WEBHOOK_ID"
WRONG_TEXTS = [
    "", " ", "v1", "v1,", ",", "v1,===", "v1,not base64!", "v1,AAAA", "v2,AAAA", "v1 AAAA", "v1,AAAA,BBBB", "v1;AAAA", "\x00", "é" * 5,
    "v1," + "A" * 5000, "a,b c,d", "v1,\u202e", "None", "true", "v1a,AAAA", ",v1", "v1,AAAA v1", "Bearer x",
]  # fmt: skip
WRONG_STAMPS = [
    "", "now", "0", "-1", "1e9", "1.5", "nan", "inf", "9" * 20, "9" * 400, "0x5f", " 17", "17 ", "\uff11\uff17" + "\uff10" * 8,
    "1_700_000_000", "+1700000000", "2026-01-01",
]  # fmt: skip
CHANGES: list[Callable[[dict[str, str]], dict[str, str]]] = [
    *(_resigned(lambda given, name=name: {name: None}) for name in (SIGNATURE, STAMP, IDENT)),  # type: ignore[misc,arg-type]
    *(_resigned(lambda given, text=text: {SIGNATURE: text}) for text in WRONG_TEXTS),  # type: ignore[misc]
    *(_resigned(lambda given, text=text: {STAMP: text}) for text in WRONG_STAMPS),  # type: ignore[misc]
    *(_resigned(lambda given, text=text: {IDENT: text}) for text in ("", "msg_2", "\x00", "x" * 3000)),  # type: ignore[misc]
    _resigned(lambda given: {SIGNATURE: given[SIGNATURE].replace("v1,", "v2,")}),
    _resigned(lambda given: {SIGNATURE: given[SIGNATURE].lower()}),
    _resigned(lambda given: {SIGNATURE: given[SIGNATURE][:-4]}),
    _resigned(lambda given: {SIGNATURE: given[SIGNATURE] + "A"}),
    _resigned(lambda given: {STAMP: str(int(given[STAMP]) + 1)}),
    _resigned(lambda given: {STAMP: f"0{given[STAMP]}"}),
]


@pytest.mark.case(47)
@pytest.mark.parametrize("place", range(len(CHANGES)))
def test_a_wrong_signature_is_401_and_nothing_is_kept(signed: str, till: ApiClient, place: int) -> None:
    body = raw(bill("A1"))
    answer = till.post("/bills", body, **CHANGES[place](headers(signed, body)))
    assert (answer.status, answer.code) == (401, "unauthorised")
    assert not Delivery.objects.exists()


@pytest.mark.case(47)
@pytest.mark.parametrize("minutes", [-6, 6, -600])
def test_an_old_or_future_signature_is_401(signed: str, till: ApiClient, minutes: int) -> None:
    body = raw(bill("A1"))
    assert till.post("/bills", body, **headers(signed, body, at=timezone.now() + timedelta(minutes=minutes))).status == 401


@pytest.mark.case(47)
def test_another_body_another_tenants_secret_and_no_text_are_401(signed: str, till: ApiClient, liberty: Tenant) -> None:
    body = raw(bill("A1"))
    assert till.post("/bills", json.dumps(json.loads(body), indent=1).encode(), **headers(signed, body)).status == 401
    theirs = signing.rotate(liberty, actor=SYSTEM, now=timezone.now()).secret
    assert till.post("/bills", body, **headers(theirs, body)).status == 401
    assert till.post("/bills", b"\xff\xfe", **headers(signed, body)).status == 401
    assert till.post("/bills", body).status == 401
    assert not Delivery.objects.exists()


def test_while_a_secret_is_rotated_both_are_good_and_later_only_the_new_one(signed: str, kulfi: Tenant, till: ApiClient) -> None:
    new = signing.rotate(kulfi, actor=SYSTEM, now=timezone.now()).secret
    for number, secret in enumerate((signed, new)):
        body = raw(bill(f"A{number}"))
        assert till.post("/bills", body, **headers(secret, body)).status == 202
    newest = signing.rotate(kulfi, actor=SYSTEM, now=timezone.now()).secret
    body = raw(bill("A9"))
    assert till.post("/bills", body, **headers(signed, body)).status == 401, "two are live, not three"
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        assert till.post("/bills", body, **headers(new, body)).status == 401
        assert till.post("/bills", body, **headers(newest, body)).status == 202
    assert AuditEvent.objects.filter(action="rotate_signing_secret").count() == 3
    assert base64.b64decode(newest.removeprefix("whsec_"))


def test_a_tenant_that_asks_for_none_takes_bills_without(till: ApiClient) -> None:
    assert till.post("/bills", bill("A1")).status == 202


def test_more_calls_a_minute_than_a_key_may_are_429_with_a_time(kulfi: Tenant) -> None:
    client = ApiClient(key_of(kulfi, "read"))
    ApiKey.objects.filter(scopes=["read"]).update(calls_a_minute=2)
    with time_machine.travel("2026-11-25T10:00:30Z", tick=False):
        cache.clear()
        answers = [client.get("/deliveries/none") for _ in range(3)]
        assert [each.status for each in answers] == [404, 404, 429]
        assert (answers[2].code, answers[2].headers["Retry-After"]) == ("throttled", "30")
        assert ApiClient(key_of(kulfi, "read")).get("/deliveries/none").status == 404, "another key has its own"
    with time_machine.travel("2026-11-25T10:01:00Z", tick=False):
        assert client.get("/deliveries/none").status == 404


def test_the_schema_is_valid_and_names_every_call(client: Client, db: None) -> None:
    from drf_spectacular.validation import validate_schema

    response = client.get("/api/v1/schema", headers={"Accept": "application/vnd.oai.openapi+json"})
    schema = json.loads(response.content)
    validate_schema(schema)  # type: ignore[no-untyped-call]
    calls = {(path.removeprefix("/api/v1"), method) for path, methods in schema["paths"].items() for method in methods}
    assert {("/bills", "post"), ("/bills/{bill_no}", "get"), ("/holds", "post"), ("/crm/balances", "post")} <= calls
    assert "bill_no" in json.dumps(schema["components"]["schemas"]["Form"])
    assert b"swagger" in client.get("/api/v1/docs").content.lower()


def test_staff_make_a_tenant_whose_secret_is_shown_once(kulfi: Tenant) -> None:
    tenant = staff.create_tenant(
        actor=SYSTEM, slug="signed", name="Signed", business_id="signed", timezone="Asia/Kolkata", currency="INR", region="IN",
        signatures_required=True,
    )  # fmt: skip
    assert signing.rotate(tenant, actor=SYSTEM, now=timezone.now()).secret.startswith("whsec_")
