"""Bills that come next are read while those before them are booked, and statements that need no answer are sent without waiting."""

import json
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.utils import timezone

from integrations import ahead, inbox, wondersoft
from integrations.ahead import Ahead, understand
from integrations.documents import CheckFailed, MalformedJSON
from integrations.models import Bill, Delivery, Source
from tenants.actors import SYSTEM
from tenants.models import Tenant
from tenants.setwise import without_waiting
from tests.builders import bill, raw


def test_each_part_is_told_or_why_it_is_refused(kulfi: Tenant) -> None:
    good = understand(raw(bill("A1")), tenant=kulfi)
    assert (good.raw["bill_no"], good.document.bill_no, good.summed.net) == ("A1", "A1", good.document.net)
    with pytest.raises(MalformedJSON):
        _ = understand(b"{", tenant=kulfi).raw
    nameless = understand(raw({**bill("A1"), "bill_no": None}), tenant=kulfi)
    assert nameless.raw["store_code"] == "K1"
    with pytest.raises(CheckFailed, match="bill_no"):
        _ = nameless.document
    wrong = understand(raw({**bill("A1"), "net_amount": "900.00"}), tenant=kulfi)
    assert wrong.document.bill_no == "A1"
    with pytest.raises(CheckFailed, match="900"):
        _ = wrong.summed


def test_what_was_read_is_given_out_once_and_for_this_very_body(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = raw(bill("A1")), raw(bill("A2"))
    known = Ahead(kulfi)
    known.note([(1, one), (2, two)])
    known.read()
    read: list[bytes] = []

    def counting(body: bytes, *, tenant: Tenant) -> Any:
        read.append(body)
        return understand(body, tenant=tenant)

    monkeypatch.setattr(ahead, "understand", counting)
    assert known.of(1, one).document.bill_no == "A1"
    assert read == []
    assert known.of(2, one).document.bill_no == "A1", "the message was put back with other bytes"
    assert known.of(1, one).document.bill_no == "A1"
    assert read == [one, one]


def test_what_takes_long_is_left_to_its_own_batch(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [(number, raw(bill(f"A{number}"))) for number in range(5)]
    monkeypatch.setattr(ahead, "BYTES_AHEAD", 3 * len(bodies[0][1]))
    known = Ahead(kulfi)
    known.note(bodies)
    known.read()
    assert sorted(known._read) == [0, 1, 2]
    known.note([])
    known.read()
    assert known._read == {}, "nothing is kept that nobody asked for"


def test_a_bug_on_a_bill_of_the_next_batch_blames_nobody_else(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "BATCH_ROWS", 8)
    real = wondersoft.document

    def poisoned(payload: Any, **how: Any) -> Any:
        if payload["bill_no"].startswith("POISON"):
            raise ZeroDivisionError("a bug of ours")
        return real(payload, **how)

    monkeypatch.setattr(wondersoft, "document", poisoned)
    numbers = [*(f"A{n}" for n in range(8)), *(f"POISON{n}" for n in range(6)), "C0", "C1"]
    for number in numbers:
        inbox.receive(kulfi, raw(bill(number)), source=Source.API, sender=SYSTEM, now=timezone.now())
    inbox.drain(kulfi, now=timezone.now())
    assert Delivery.objects.filter(state="applied").count() == 10
    tried = Delivery.objects.exclude(state="applied").values_list("attempts", flat=True)
    assert set(tried) == {1}
    in_order = Delivery.objects.filter(state="applied").order_by("bill_id").values_list("bill_no", flat=True)
    assert list(in_order) == [number for number in numbers if not number.startswith("POISON")]


def test_a_long_inbox_is_read_once_and_every_bill_finds_its_end(kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "BATCH_ROWS", 3)
    read: list[bytes] = []

    def counting(body: bytes, *, tenant: Tenant) -> Any:
        read.append(body)
        return understand(body, tenant=tenant)

    known: list[int] = []
    gives = Ahead.of

    def noting(self: Ahead, delivery_id: int, body: bytes) -> Any:
        known.extend([delivery_id] if delivery_id in self._read else [])
        return gives(self, delivery_id, body)

    monkeypatch.setattr(ahead, "understand", counting)
    monkeypatch.setattr(Ahead, "of", noting)
    documents = [bill(f"A{number}") for number in range(8)]
    documents[4]["net_amount"] = "1.00"
    documents[6]["store_code"] = "NOWHERE"
    for document in documents:
        inbox.receive(kulfi, raw(document), source=Source.API, sender=SYSTEM, now=timezone.now())
    assert inbox.drain(kulfi, now=timezone.now()) == {"applied": 6, "quarantined": 2}
    assert (len(read), len(known)) == (len(documents), len(documents) - 3), "all but those of the first batch were known"
    assert Bill.objects.count() == 6
    checks = Delivery.objects.filter(state="quarantined").order_by("pk").values_list("check_name", flat=True)
    assert list(checks) == ["sum_of_amounts", "store_unknown"]


@pytest.mark.django_db
def test_answers_come_when_they_are_read_and_errors_as_they_are() -> None:
    with transaction.atomic(), connection.cursor() as one, connection.cursor() as two:
        with without_waiting():
            one.execute("SELECT 1")
            two.execute("SELECT 2")
            assert (one.fetchone(), two.fetchone()) == ((1,), (2,))
        one.execute("SELECT 3")
        assert one.fetchone() == (3,)
    for statement, kind in (("SELECT 1/0", DataError), ("INSERT INTO tenants_store DEFAULT VALUES", IntegrityError)):
        with pytest.raises(kind), transaction.atomic(), connection.cursor() as cursor, without_waiting():
            cursor.execute(statement)
            cursor.execute("SELECT 1")
    with connection.cursor() as cursor:
        cursor.execute("SELECT 4")
        assert cursor.fetchone() == (4,)


def test_a_mistake_of_ours_between_statements_is_told_as_it_is(kulfi: Tenant) -> None:
    with pytest.raises(json.JSONDecodeError), transaction.atomic(), connection.cursor() as cursor, without_waiting():
        cursor.execute("SELECT 1")
        json.loads("{")
