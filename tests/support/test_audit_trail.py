"""The audit trail's pages and files, a person's day, and the people of a brand at the desk."""

import csv
import io
from datetime import timedelta
from typing import Any

import openpyxl
import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_scopes import scope

from loyalty.models import Customer
from support import paging
from tenants import staff
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import ApiKey, AuditEvent, Membership, Store, Tenant, User
from tests import builders
from tests.client import ApiClient
from tests.conftest import PASSWORD, signed_in
from tests.support.test_approvals import issue

TRAIL, STAFF = "admin:audit_trail", "admin:staff"


def lines(client: Client, **asked: Any) -> list[AuditEvent]:
    response: Any = client.get(reverse(TRAIL), asked)
    assert response.status_code == 200, response.content.decode()[:3000]
    return [line.event for line in response.context_data["lines"]]


def signs_in(email: str, password: str) -> bool:
    return Client().post("/accounts/login/", {"login": email, "password": password}).status_code == 302


@pytest.fixture
def meera(kulfi: Tenant) -> Customer:
    return builders.customer(kulfi, points=100)


def test_filters_narrow_to_who_what_when_and_where(as_alice: Client, as_bob: Client, meera: Customer) -> None:
    as_bob.post(reverse("admin:reveal_mobile", args=[meera.pk]), REMOTE_ADDR="203.0.113.5")
    Store.objects.filter(code="K1").update(name="Adyar")
    today = timezone.localdate(timezone=meera.tenant.zone)
    (look,) = lines(as_alice, action="reveal mobile")
    assert (look.actor_name, look.address) == ("Bob", "203.0.113.5")
    assert lines(as_alice, who="bob", kind="person", address="203.0.113.5") == [look]
    assert lines(as_alice, request=look.request_id) == [look]
    assert look in lines(as_alice, type="loyalty.customer", object=str(meera.pk))
    assert {each.action for each in lines(as_alice, database="on")} == {"row_added", "row_changed"}
    assert lines(as_alice, **{"from": (today + timedelta(days=1)).isoformat()}) == []
    assert len(lines(as_alice, **{"from": today.isoformat(), "to": today.isoformat()})) > 3
    for strange in ({"to": "9999-12-31"}, {"from": "0001-01-01"}, {"before": "9" * 40}, {"object": "0" * 64}):
        assert as_alice.get(reverse(TRAIL), strange).status_code == 200, strange
    for wrong in ({"from": "soon"}, {"who": "\0"}, {"address": "not an address"}):
        assert as_alice.get(reverse(TRAIL), wrong).status_code == 422, wrong


def test_old_and_new_values_stand_in_the_list_and_numbers_of_people_do_not(as_alice: Client, meera: Customer) -> None:
    Store.objects.filter(code="K1").update(name="Adyar")
    AuditEvent.objects.create(
        tenant=meera.tenant, actor_kind="system", actor_name="x", action="note", object_type="loyalty.customer", object_id="1",
        reason=f"called {meera.mobile}", after={"told": meera.mobile},
    )  # fmt: skip
    for where in (
        reverse(TRAIL),
        reverse("admin:audit_event", args=[AuditEvent.objects.latest("id").pk]),
        reverse("admin:audit_csv"),
    ):
        response: Any = as_alice.post(where) if where.endswith(".csv") else as_alice.get(where)
        text = (response.getvalue() if response.streaming else response.content).decode()
        assert meera.mobile[-8:] not in text, where
    text = as_alice.get(reverse(TRAIL)).content.decode()
    assert "<del>Anna Nagar</del> → Adyar" in text


def test_pages_go_back_and_what_is_rare_is_looked_for_by_stretches(
    as_alice: Client, kulfi: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        Store.objects.filter(code="K1").update(name=f"Name {number}")
    first: Any = as_alice.get(reverse(TRAIL))
    older = first.context_data["older"]
    assert older
    assert max(each.pk for each in lines(as_alice, before=older)) < int(older)
    monkeypatch.setattr(paging, "STRETCH", 20)
    page: Any = as_alice.get(reverse(TRAIL), {"action": "create_tenant"})
    assert (page.context_data["cut"], page.context_data["lines"]) == (True, [])
    assert "Look further back" in page.content.decode()
    assert lines(as_alice, action="create_tenant", **{"from": timezone.localdate(timezone=kulfi.zone).isoformat()})


def test_an_event_s_page_shows_what_else_its_transaction_told(as_alice: Client, kulfi: Tenant, bob: User) -> None:
    membership = Membership.objects.get(user=bob)
    assert as_alice.post(reverse("admin:staff_person", args=[membership.pk]), {"role": "auditor"}).status_code == 302
    own = AuditEvent.objects.get(action="change_role")
    page: Any = as_alice.get(reverse("admin:audit_event", args=[own.pk]))
    line = [each for each in page.context_data["together"] if each.event.object_type == "tenants.membership"][-1]
    assert [(each.name, each.before, each.after) for each in line.changes] == [("role", "agent", "auditor")]


def test_files_hold_what_is_filtered_and_leave_their_trace(
    as_alice: Client, as_bob: Client, kulfi: Tenant, meera: Customer
) -> None:
    as_bob.post(reverse("admin:reveal_mobile", args=[meera.pk]))
    asked = {"action": "reveal_mobile"}
    found: Any = as_alice.post(reverse("admin:audit_csv"), query_params=asked)
    rows = list(csv.DictReader(io.StringIO(found.getvalue().decode("utf-8-sig"))))
    assert [(row["actor"], row["action"], row["object_id"]) for row in rows] == [("Bob", "reveal_mobile", str(meera.pk))]
    book: Any = as_alice.post(reverse("admin:audit_xlsx"), query_params=asked)
    sheet = openpyxl.load_workbook(io.BytesIO(book.getvalue())).active
    assert sheet is not None
    assert sheet.max_row == 2
    taken = AuditEvent.objects.filter(action="export_audit")
    assert [event.after for event in taken] == [asked, asked]
    assert as_alice.post(reverse("admin:audit_csv"), query_params={"from": "soon"}).status_code == 422


@pytest.mark.parametrize("role", ["agent", "merchant", "integrator"])
def test_who_does_not_audit_sees_no_trail(as_bob: Client, kulfi: Tenant, alice: User, role: str) -> None:
    Membership.objects.filter(user__name="Bob").update(role=role)
    event = AuditEvent.objects.filter(tenant=kulfi).latest("id")
    for where in (
        reverse(TRAIL), reverse("admin:audit_file"), reverse("admin:audit_event", args=[event.pk]),
        reverse("admin:staff_day", args=[alice.pk]), reverse(STAFF), reverse("admin:security"),
    ):  # fmt: skip
        assert as_bob.get(where).status_code == 403, where
    assert as_bob.post(reverse("admin:audit_csv")).status_code == 403


def test_a_day_of_a_person_on_one_page(as_alice: Client, as_bob: Client, kulfi: Tenant, bob: User, meera: Customer) -> None:
    assert issue(as_bob, meera, points="40").status_code == 302
    as_bob.post(reverse("admin:reveal_mobile", args=[meera.pk]))
    page: Any = as_alice.get(reverse("admin:staff_day", args=[bob.pk]))
    found = page.context_data["found"]
    assert (found.given, found.taken, found.looks, found.exports) == (40, 0, 1, 0)
    assert [(row.kind, row.points) for row in found.entries] == [("issue", 40)]
    assert dict(found.counts)["issue_points"] == 1
    assert meera.mobile not in page.content.decode()
    yesterday: Any = as_alice.get(
        reverse("admin:staff_day", args=[bob.pk]),
        {"day": (timezone.localdate(timezone=kulfi.zone) - timedelta(days=1)).isoformat()},
    )
    assert (yesterday.context_data["found"].given, yesterday.context_data["found"].lines) == (0, [])
    for strange in ("2026-13-45", "0001-01-01", "x", ""):
        assert as_alice.get(reverse("admin:staff_day", args=[bob.pk]), {"day": strange}).status_code == 200
    assert as_bob.get(reverse("admin:staff_day", args=[bob.pk])).status_code == 200, "one's own"


def test_the_day_of_somebody_who_works_elsewhere_is_not_found(as_alice: Client, kulfi: Tenant, charlie: User, bob: User) -> None:
    assert as_alice.get(reverse("admin:staff_day", args=[charlie.pk])).status_code == 404
    membership = Membership.objects.get(user=bob)
    membership.delete()
    assert as_alice.get(reverse("admin:staff_day", args=[bob.pk])).status_code == 404, "he never did anything here"


def test_a_person_is_added_and_the_password_shown_this_once(as_alice: Client, kulfi: Tenant, liberty: Tenant) -> None:
    page: Any = as_alice.post(reverse(STAFF), {"email": "Nina@kulfi-house.example", "name": "Nina", "role": "agent"})
    password = page.context_data["password"]
    assert password in page.content.decode()
    assert password not in as_alice.get(reverse(STAFF)).content.decode()
    assert signs_in("nina@kulfi-house.example", password)
    assert AuditEvent.objects.get(action="create_staff", after__email="Nina@kulfi-house.example").actor_name == "Alice"
    again = as_alice.post(reverse(STAFF), {"email": "nina@kulfi-house.example", "role": "admin"})
    assert "is agent here already" in again.content.decode()
    assert as_alice.post(reverse(STAFF), {"email": "x", "role": "king"}).status_code == 422


def test_a_password_that_somebody_else_made_is_changed_before_anything_else(
    as_alice: Client, kulfi: Tenant, meera: Customer
) -> None:
    page: Any = as_alice.post(reverse(STAFF), {"email": "nina@kulfi-house.example", "role": "agent"})
    password = page.context_data["password"]
    nina, where = Client(), reverse("admin:customer360", args=[meera.pk])
    nina.post("/accounts/login/", {"login": "nina@kulfi-house.example", "password": password})
    for path in (where, reverse("admin:index"), reverse("admin:switch_tenant")):
        assert nina.get(path)["Location"] == reverse("account_change_password"), path
    change = reverse("account_change_password")
    assert nina.get(change).status_code == 200
    nina.post(change, {"oldpassword": password, "password1": password, "password2": password})
    assert nina.get(where).status_code == 302, "the same again is no choice"
    nina.post(change, {"oldpassword": password, "password1": "her own words 1", "password2": "her own words 1"})
    assert nina.get(where).status_code == 200
    assert signs_in("nina@kulfi-house.example", "her own words 1")


def test_who_has_an_account_is_added_by_the_platform_s_admin_alone(
    as_alice: Client, kulfi: Tenant, liberty: Tenant, charlie: User
) -> None:
    """A brand that could add another one's people would watch them, hinder them, or know the password that it made for them."""
    refused = as_alice.post(reverse(STAFF), {"email": charlie.email.upper(), "role": "admin"})
    assert refused.status_code == 422
    assert "has an account already" in refused.content.decode()
    assert not Membership.objects.filter(tenant=kulfi, user=charlie).exists()
    platform = signed_in(User.objects.create_superuser("root@example.com", PASSWORD))
    platform.post(reverse("admin:switch_tenant"), {"tenant": kulfi.pk})
    assert (
        "signs in as before"
        in platform.post(reverse(STAFF), {"email": charlie.email, "role": "agent"}, follow=True).content.decode()
    )


def test_an_account_that_one_brand_made_first_gets_a_new_password_at_the_second(
    as_alice: Client, kulfi: Tenant, liberty: Tenant
) -> None:
    email = "dana@liberty-deli.example"
    page: Any = as_alice.post(reverse(STAFF), {"email": email, "role": "agent"})
    first = page.context_data["password"]
    platform = signed_in(User.objects.create_superuser("root@example.com", PASSWORD))
    platform.post(reverse("admin:switch_tenant"), {"tenant": liberty.pk})
    page = platform.post(reverse(STAFF), {"email": email, "role": "admin"})
    assert page.context_data["password"] not in ("", first)
    assert not signs_in(email, first)


def test_pressing_add_and_end_twice_breaks_nothing(as_alice: Client, kulfi: Tenant, bob: User) -> None:
    membership = Membership.objects.get(user=bob)
    where = reverse("admin:staff_person", args=[membership.pk])
    for body in ({"role": "auditor", "password": "1"}, {"role": "auditor", "end": "1", "reason": "gone"}, {}):
        assert "One thing at a time" in as_alice.post(where, body, follow=True).content.decode()
    assert Membership.objects.get(user=bob).role == "agent"
    as_alice.post(where, {"role": "agent"})
    assert not AuditEvent.objects.filter(action="change_role").exists(), "nothing changed"
    Membership.objects.filter(pk=membership.pk).delete()
    with pytest.raises(DomainError, match="works here no more"):
        staff.change_role(membership, "auditor", actor=SYSTEM)
    with pytest.raises(DomainError, match="works here no more"):
        staff.end_access(membership, reason="x", actor=SYSTEM)
    odd = {"email": "x@example.com", "name": "Left\x0bus", "role": "agent"}
    assert as_alice.post(reverse(STAFF), odd).status_code == 422


def test_numbers_in_reasons_are_found_by_whoever_may_see_them(
    as_alice: Client, as_bob: Client, bob: User, meera: Customer
) -> None:
    assert as_alice.get(reverse(TRAIL), {"reason": "98400"}).status_code == 200
    Membership.objects.filter(user=bob).update(role="auditor")
    for page in (TRAIL, "admin:activity"):
        assert as_bob.get(reverse(page), {"reason": "98400"}).status_code == 422
        assert as_bob.get(reverse(page), {"reason": "late cake 12"}).status_code == 200


def test_what_no_workbook_may_hold_spoils_no_file(as_alice: Client, kulfi: Tenant) -> None:
    AuditEvent.objects.create(
        tenant=kulfi, actor_kind="system", actor_name="a\x0bb", action="x", object_type="y", object_id="1", reason="Left\x0bus",
        after=[1, {"a": None}],
    )  # fmt: skip
    book: Any = as_alice.post(reverse("admin:audit_xlsx"))
    sheet = openpyxl.load_workbook(io.BytesIO(book.getvalue())).active
    assert sheet is not None
    assert "Leftus" in {cell.value for row in sheet.iter_rows() for cell in row}


def test_access_that_is_ended_is_out_at_the_next_page_and_the_day_stays(
    as_alice: Client, as_bob: Client, bob: User, meera: Customer
) -> None:
    assert issue(as_bob, meera, points="40").status_code == 302
    membership = Membership.objects.get(user=bob)
    where = reverse("admin:staff_person", args=[membership.pk])
    assert as_alice.post(where, {"end": "1", "reason": ""}).status_code == 422
    assert as_alice.post(where, {"end": "1", "reason": "Left us"}).status_code == 302
    assert "/login/" in as_bob.get(reverse("admin:index"))["Location"]
    assert AuditEvent.objects.get(action="end_access").reason == "Left us"
    page: Any = as_alice.get(reverse("admin:staff_day", args=[bob.pk]))
    assert page.context_data["found"].given == 40
    assert "works here no more" in page.content.decode()


def test_a_second_factor_is_taken_away_and_a_password_made_by_somebody_else_alone(
    as_alice: Client, as_bob: Client, alice: User, bob: User, kulfi: Tenant
) -> None:
    Authenticator.objects.create(user=bob, type=Authenticator.Type.TOTP, data={"secret": "x"})
    where = reverse("admin:staff_person", args=[Membership.objects.get(user=bob).pk])
    assert as_alice.post(where, {"factor": "1", "reason": "lost phone"}).status_code == 302
    assert not Authenticator.objects.filter(user=bob).exists()
    page: Any = as_alice.post(where, {"password": "1", "reason": "forgot it"})
    password = page.context_data["password"]
    assert password in page.content.decode()
    assert as_bob.get(reverse("admin:index")).status_code == 302, "his sessions have ended"
    assert signs_in(bob.email, password)
    trace = AuditEvent.objects.get(action="new_password")
    assert (trace.after, trace.before, trace.reason) == (None, None, "forgot it")
    assert AuditEvent.objects.get(action="reset_second_factor").reason == "lost phone"
    assert as_alice.post(where, {"password": "1", "reason": "x"}).status_code == 422
    own = reverse("admin:staff_person", args=[Membership.objects.get(user=alice).pk])
    for body in (
        {"role": "agent"},
        {"factor": "1", "reason": "lost phone"},
        {"password": "1", "reason": "forgot it"},
        {"end": "1", "reason": "gone"},
    ):
        answer = as_alice.post(own, body, follow=True)
        assert "Somebody else has to do it" in answer.content.decode()
    assert Membership.objects.get(user=alice).role == "admin"


def test_how_somebody_signs_in_elsewhere_too_is_not_one_brand_s_to_change(
    as_alice: Client, kulfi: Tenant, liberty: Tenant, bob: User
) -> None:
    with scope(tenant=liberty):
        staff.create_staff(liberty, email=bob.email, role="admin", actor=SYSTEM)
    Authenticator.objects.create(user=bob, type=Authenticator.Type.TOTP, data={"secret": "x"})
    where = reverse("admin:staff_person", args=[Membership.objects.get(user=bob, tenant=kulfi).pk])
    for body in ({"factor": "1", "reason": "lost phone"}, {"password": "1", "reason": "forgot it"}):
        assert "works elsewhere, too" in as_alice.post(where, body, follow=True).content.decode()
    assert Authenticator.objects.filter(user=bob).exists()
    bob.refresh_from_db()
    assert bob.check_password(PASSWORD)
    root = User.objects.create_superuser("root@example.com", PASSWORD)
    platform = signed_in(root)
    platform.post(reverse("admin:switch_tenant"), {"tenant": kulfi.pk})
    assert platform.post(where, {"factor": "1", "reason": "lost phone"}).status_code == 302
    assert not Authenticator.objects.filter(user=bob).exists()


def test_the_brand_s_own_rules_of_security(as_alice: Client, kulfi: Tenant) -> None:
    where = reverse("admin:security")
    assert as_alice.post(where, {"audit_email": "no address"}).status_code == 422
    assert as_alice.post(where, {"agents_need_second_factor": "on", "audit_email": "audit@kulfi.example"}).status_code == 302
    kulfi.refresh_from_db()
    assert (kulfi.agents_need_second_factor, kulfi.audit_email) == (True, "audit@kulfi.example")
    event = AuditEvent.objects.get(action="change_security")
    assert (event.before, event.after) == (
        {"agents_need_second_factor": False, "audit_email": "", "messages_kept_days": None},
        {"agents_need_second_factor": True, "audit_email": "audit@kulfi.example", "messages_kept_days": None},
    )  # fmt: skip


def test_a_key_is_made_shown_once_and_revoked(as_alice: Client, as_bob: Client, kulfi: Tenant) -> None:
    where = reverse("admin:api_keys")
    assert as_bob.get(where).status_code == 403
    assert as_alice.post(where, {"name": "Till 3", "scopes": ["king"]}).status_code == 422
    page: Any = as_alice.post(where, {"name": "Till 3", "scopes": ["pos", "read"]})
    key = page.context_data["made"]
    assert key not in as_alice.get(where).content.decode()
    api = ApiClient(key)
    assert api.post("/bills", builders.bill("A1")).status == 202
    row = ApiKey.objects.get(tenant=kulfi)
    end = reverse("admin:revoke_key", args=[row.pk])
    assert as_alice.post(end, {"reason": ""}).status_code == 422
    assert as_alice.post(end, {"reason": "The till was stolen"}).status_code == 302
    assert api.post("/bills", builders.bill("A2")).status == 401
    assert as_alice.post(end, {"reason": "again"}).status_code == 422
    assert AuditEvent.objects.get(action="revoke_api_key").reason == "The till was stolen"
    assert "revoked" in as_alice.get(where).content.decode()
