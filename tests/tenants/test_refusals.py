"""What somebody tried and may not do stands in the trail, at the desk and over the API, also where it ends as a sentence on a page."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from loyalty.models import Customer
from tenants import refusals
from tenants.models import AuditEvent, Membership, Tenant, User
from tests import builders
from tests.client import ApiClient
from tests.conftest import key_of


def told(tenant: Tenant) -> list[dict[str, Any]]:
    return list(AuditEvent.objects.filter(tenant=tenant, action=refusals.TOLD).order_by("id").values_list("after", flat=True))


@pytest.fixture
def meera(kulfi: Tenant) -> Customer:
    return builders.customer(kulfi, points=50)


def test_an_act_that_a_role_does_not_allow_is_told(
    as_bob: Client, as_alice: Client, kulfi: Tenant, meera: Customer, bob: User
) -> None:
    assert as_bob.post(reverse("admin:erase_customer", args=[meera.pk]), {"reason": "because I can"}).status_code == 403
    (event,) = AuditEvent.objects.filter(action=refusals.TOLD)
    assert (event.actor_kind, event.actor_id, event.actor_name, event.tenant) == ("person", bob.pk, "Bob", kulfi)
    assert event.after == {
        "code": "forbidden", "act": "erase_customers", "page": "admin:erase_customer", "method": "POST", "of": str(meera.pk),
    }  # fmt: skip
    assert (event.address, bool(event.request_id)) == ("127.0.0.1", True)
    page = as_alice.get(reverse("admin:audit_trail"), {"action": "refused act"}).content.decode()
    assert "erase_customers" in page


def test_pages_that_the_role_does_not_have_are_told_and_others_are_not(as_bob: Client, kulfi: Tenant, meera: Customer) -> None:
    assert as_bob.get(reverse("admin:audit_trail")).status_code == 403
    assert as_bob.get("/admin/tenants/store/add/").status_code == 403
    assert as_bob.get(reverse("admin:customer360", args=[meera.pk])).status_code == 200
    assert as_bob.get(reverse("admin:customer360", args=[meera.pk + 1000])).status_code == 404
    assert [(each["page"], each.get("act")) for each in told(kulfi)] == [
        ("admin:audit_trail", "view_audit"), ("admin:tenants_store_add", None),
    ]  # fmt: skip


def test_what_ends_as_a_sentence_is_told(as_alice: Client, alice: User, kulfi: Tenant) -> None:
    own = Membership.objects.get(user=alice)
    answer = as_alice.post(reverse("admin:staff_person", args=[own.pk]), {"role": "auditor"})
    assert answer.status_code == 302
    assert [(each["code"], each["method"], each["of"]) for each in told(kulfi)] == [("own_row", "POST", str(own.pk))]
    assert Membership.objects.get(pk=own.pk).role == "admin"


def test_a_key_without_the_scope_is_told_and_no_number_with_it(kulfi: Tenant, liberty: Tenant, meera: Customer) -> None:
    till = ApiClient(key_of(kulfi, "pos"))
    assert till.get(f"/customers/{meera.mobile}/entries").status == 403
    assert till.post("/adjustments", {"mobile": meera.mobile, "points": 5, "reason": "a gift"}).status == 403
    first, second = told(kulfi)
    assert (first["code"], first["method"], first["of"].endswith(meera.mobile[-3:])) == ("forbidden", "GET", True)
    assert meera.mobile[3:] not in str(first)
    assert second["method"] == "POST"
    assert AuditEvent.objects.filter(action=refusals.TOLD, actor_kind="key").count() == 2
    assert told(liberty) == []


@pytest.mark.parametrize("spelling", ["98400%2012345", "98-400-12-345", "(98400)12345", "%00", "9%00840012345", "x" * 300])
def test_whatever_the_address_says_the_answer_stands_and_no_number_is_kept(kulfi: Tenant, spelling: str) -> None:
    assert ApiClient(key_of(kulfi, "pos")).get(f"/customers/{spelling}/entries").status == 403
    (event,) = told(kulfi)
    assert event["of"].startswith("•••••")
    assert len(event["of"]) <= 8, "no more of it than the last three signs"


def test_an_odd_page_of_the_admin_is_refused_and_told(as_bob: Client, kulfi: Tenant) -> None:
    pages = ("tenants/store/1%00/delete/", "tenants/membership/1%00/change/")
    assert [as_bob.get(f"/admin/{page}").status_code for page in pages] == [403, 403]
    assert [(each["code"], each["of"]) for each in told(kulfi)] == [("forbidden", "1")] * 2


def test_a_trail_that_cannot_be_written_changes_no_answer(as_bob: Client, kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("no lock in time")

    monkeypatch.setattr(refusals, "tell", broken)
    assert as_bob.get(reverse("admin:audit_trail")).status_code == 403


def test_a_form_that_is_too_old_is_no_attempt(bob: User, kulfi: Tenant) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(bob)
    assert client.post(reverse("admin:audit_csv")).status_code == 403
    assert told(kulfi) == []


def test_who_works_elsewhere_is_nobody_s_to_help(as_alice: Client, kulfi: Tenant, liberty: Tenant, bob: User) -> None:
    Membership.objects.create(user=bob, tenant=liberty, role="agent")
    own = Membership.objects.get(user=bob, tenant=kulfi)
    as_alice.post(reverse("admin:staff_person", args=[own.pk]), {"password": "new", "reason": "They forgot it"})
    assert [each["code"] for each in told(kulfi)] == ["works_elsewhere"]


def test_nobody_fills_the_trail_with_refusals(
    as_bob: Client, kulfi: Tenant, meera: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MOST", 3)
    for _ in range(5):
        assert as_bob.get(reverse("admin:audit_trail")).status_code == 403
    assert ["note" in each for each in told(kulfi)] == [False, False, True]
    as_bob.post(reverse("admin:erase_customer", args=[meera.pk]))
    assert told(kulfi)[-1]["act"] == "erase_customers", "what is common hides nothing else"
    monkeypatch.setattr(refusals, "MOST_OF_ALL", 4)
    as_bob.get(reverse("admin:house"))
    assert len(told(kulfi)) == 4
