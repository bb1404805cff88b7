"""Customers by file: names and tiers are taken, points never are, and who tried is kept."""

from typing import Any

import pytest
import tablib
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_scopes import scope
from redis.exceptions import TimeoutError as RedisTimeout

from integrations import files
from integrations.models import FileImport, FileKind
from loyalty import identity
from loyalty.customer_import import CustomerResource
from loyalty.models import Balance, Customer, Entry
from tenants.actors import SYSTEM
from tenants.models import AuditEvent, Membership, Tenant
from tests import builders
from tests.builders import MEERA, balance

HEADERS = ("mobile", "name", "email", "tier", "Points", "status")


def load(tenant: Tenant, *rows: tuple[str, ...], dry_run: bool = False) -> object:
    data = tablib.Dataset(*rows, headers=HEADERS)
    return CustomerResource(tenant=tenant, actor=SYSTEM).import_data(data, dry_run=dry_run, raise_errors=False)


def errors(result: object) -> list[str]:
    return [str(error.error) for row in result.rows for error in row.errors]  # type: ignore[attr-defined]


@pytest.mark.case(42)
def test_what_a_file_says_of_points_is_kept_as_evidence_and_moves_none(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    result = load(
        kulfi, ("098400 12345", "Meera Sharma", "", "gold", "9999", "erased"), ("+91 98400 54321", "Asha", "a@b.in", "", "5", "")
    )
    assert errors(result) == []
    meera.refresh_from_db()
    asha = Customer.objects.get(mobile="+919840054321")
    assert (meera.name, meera.tier, meera.status, meera.mobile) == ("Meera Sharma", "gold", "active", MEERA)
    assert (balance(meera), balance(asha), asha.joined_on is not None) == ((0, 100, 0, 0), (0, 0, 0, 0), True)
    assert Entry.objects.count() == 1
    tried = AuditEvent.objects.filter(action="upload_named_points").order_by("id")
    assert [event.after for event in tried] == [{"points": "9999", "status": "erased"}, {"points": "5"}]
    load(kulfi, ("98400 12345", "", "", "", "7", ""))
    assert AuditEvent.objects.filter(action="upload_named_points").count() == 3, "also where nothing else was to be changed"
    meera.refresh_from_db()
    assert meera.name == "Meera Sharma", "an empty cell says nothing"


@pytest.mark.case(93, 96)
def test_a_number_leads_to_whom_it_belongs_and_is_never_changed(kulfi: Tenant) -> None:
    meera, asha = builders.customer(kulfi), builders.customer(kulfi, "+919840054321", name="Asha")
    identity.merge(kulfi, asha.pk, meera.pk, reason="one person", actor=SYSTEM, now=timezone.now())
    load(kulfi, ("98400 54321", "Meera A.", "", "", "", ""))
    meera.refresh_from_db()
    assert (meera.name, meera.mobile, Customer.objects.count()) == ("Meera A.", MEERA, 2)


@pytest.mark.case(92)
def test_rows_that_are_wrong_are_errors_and_other_tenants_are_untouched(kulfi: Tenant, liberty: Tenant) -> None:
    with scope(tenant=liberty):
        theirs = builders.customer(liberty, MEERA, name="Zoe")
    result = load(kulfi, ("12", "x", "", "", "", ""), ("98400 12345", "Meera", "no mail", "", "", ""))
    assert any("mobile" in error for error in errors(result))
    assert not Customer.objects.filter(tenant=kulfi).exists()
    load(kulfi, ("98400 12345", "Meera", "", "", "", ""), dry_run=True)
    assert not Balance.objects.filter(tenant=kulfi).exists()
    with scope(tenant=liberty):
        theirs.refresh_from_db()
    assert theirs.name == "Zoe"


PEOPLE = "mobile,Name,email,tier,Points,status\n"


def by_the_worker(tenant: Tenant, *lines: str, head: str = PEOPLE) -> FileImport:
    row = files.keep(tenant, FileKind.PEOPLE, name="people.csv", body=(head + "\n".join(lines)).encode(), actor=SYSTEM)
    assert files.work_on(row)
    row.refresh_from_db()
    return row


@pytest.mark.case(42, 93, 96)
def test_a_long_file_is_taken_by_the_worker_as_a_short_one_is(kulfi: Tenant, django_assert_max_num_queries: Any) -> None:
    meera, asha = builders.customer(kulfi, points=100), builders.customer(kulfi, "+919840054321", name="Asha")
    identity.merge(kulfi, asha.pk, meera.pk, reason="one person", actor=SYSTEM, now=timezone.now())
    others = [f"+9198500{number:05d},N{number},,,," for number in range(400)]
    with django_assert_max_num_queries(40):
        row = by_the_worker(
            kulfi, "098400 12345,Meera Sharma,,gold,9999,erased", "98400 54321,,m@x.in,,,", "12,Nobody,,,,", ",Nobody,,,,",
            "98400 77777,Bad,no mail,,,", *others,
        )  # fmt: skip
    meera.refresh_from_db()
    assert (meera.name, meera.email, meera.tier, meera.status, meera.mobile) == (
        "Meera Sharma",
        "m@x.in",
        "gold",
        "active",
        MEERA,
    )
    assert (row.taken, [each["code"] for each in row.refused_rows]) == (402, ["mobile_invalid", "required_field", "bad_value"])
    assert (Customer.objects.count(), Balance.objects.count(), Entry.objects.filter(kind="issue").count()) == (402, 402, 1)
    assert AuditEvent.objects.filter(action="import_customer").count() == 402
    assert AuditEvent.objects.get(action="upload_named_points").after == {"points": "9999", "status": "erased"}
    by_the_worker(kulfi, "098400 12345,Meera Sharma,,,,")
    assert AuditEvent.objects.filter(action="import_customer").count() == 402, "the same again changes nothing"
    row = by_the_worker(kulfi, "98400 12345,X,other", head="mobile,name,tenant\n")
    assert [each["code"] for each in row.refused_rows] == ["column_forbidden"]


def test_the_page_gives_a_long_file_to_the_worker(as_alice: Client, kulfi: Tenant) -> None:
    body = b"mobile,name\n" + b"".join(b"+9198500%05d,N\n" % number for number in range(5001))
    upload = SimpleUploadedFile("people.csv", body, content_type="text/csv")
    answer = as_alice.post(reverse("admin:loyalty_customer_import"), {"import_file": upload, "format": "0"}, follow=True)
    assert "waiting for the worker" in answer.content.decode()
    assert FileImport.objects.get().kind == "people"


def test_between_preview_and_confirmation_the_file_is_kept_briefly_and_never_on_a_disk(as_alice: Client, kulfi: Tenant) -> None:
    page = reverse("admin:loyalty_customer_import")

    def previewed() -> dict[str, str]:
        upload = SimpleUploadedFile("c.csv", b"mobile,name\n98400 12345,Meera\n", content_type="text/csv")
        form = as_alice.post(page, {"import_file": upload, "format": "0"}).context["confirm_form"]
        return {name: str(value) for name, value in form.initial.items() if value not in (None, "")}

    confirm = previewed()
    cache.delete("upload:" + confirm["import_file_name"])
    answer = as_alice.post(reverse("admin:loyalty_customer_process_import"), confirm, follow=True)
    assert "upload it again" in answer.content.decode()
    assert not Customer.objects.exists()
    confirm = previewed()
    as_alice.post(reverse("admin:loyalty_customer_process_import"), confirm, follow=True)
    assert Customer.objects.get().name == "Meera"
    assert cache.get("upload:" + confirm["import_file_name"]) is None


def test_only_who_uploaded_a_file_confirms_it(as_alice: Client, kulfi: Tenant, as_charlie: Client) -> None:
    Membership.objects.update(role="admin")
    upload = SimpleUploadedFile("c.csv", b"mobile,name\n98400 12345,Meera\n", content_type="text/csv")
    form = as_alice.post(reverse("admin:loyalty_customer_import"), {"import_file": upload, "format": "0"}).context["confirm_form"]
    confirm = {name: str(value) for name, value in form.initial.items() if value not in (None, "")}
    process = reverse("admin:loyalty_customer_process_import")
    assert "upload it again" in as_charlie.post(process, confirm, follow=True).content.decode()
    assert not Customer.objects.exists()
    as_another_kind = as_alice.post(process, confirm | {"format": "1"}, follow=True)
    assert "upload it again" in as_another_kind.content.decode()
    as_alice.post(process, confirm, follow=True)
    assert Customer.objects.get(tenant=kulfi).name == "Meera"


def test_with_redis_away_an_import_says_come_again(as_alice: Client, kulfi: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*args: Any, **kwargs: Any) -> None:
        raise RedisTimeout

    monkeypatch.setattr(cache, "set", hang)
    upload = SimpleUploadedFile("c.csv", b"mobile,name\n98400 12345,Meera\n", content_type="text/csv")
    answer = as_alice.post(reverse("admin:loyalty_customer_import"), {"import_file": upload, "format": "0"}, follow=True)
    assert "try it again in a minute" in answer.content.decode()


def test_columns_are_known_in_any_case_by_both_ways(kulfi: Tenant) -> None:
    data = tablib.Dataset(("98400 12345", "Meera", "gold"), headers=("Mobile", "Name", "TIER"))
    CustomerResource(tenant=kulfi, actor=SYSTEM).import_data(data, raise_errors=True)
    meera = Customer.objects.get()
    assert (meera.name, meera.tier) == ("Meera", "gold")
    by_the_worker(kulfi, "98400 12345,Meera S.,silver", head="MOBILE,NAME,Tier\n")
    meera.refresh_from_db()
    assert (meera.name, meera.tier) == ("Meera S.", "silver")
    doubled = by_the_worker(kulfi, "98400 12345,a,b", head="mobile,name,NAME\n")
    assert (doubled.state, "names a column twice" in doubled.message) == ("refused", True)


def test_what_a_file_says_of_others_numbers_is_hidden_in_the_trace(kulfi: Tenant) -> None:
    by_the_worker(kulfi, "98400 12345,Meera,+919840054321", head="mobile,name,merged_into\n")
    assert AuditEvent.objects.get(action="upload_named_points").after == {"merged_into": "•••••321"}


def test_the_page_shows_what_it_would_do_and_is_not_for_agents(as_alice: Client, as_bob: Client, kulfi: Tenant) -> None:
    page = reverse("admin:loyalty_customer_import")
    assert as_bob.get(page).status_code == 403
    upload = SimpleUploadedFile("c.csv", b"mobile,name,points\n98400 12345,Meera,50\n", content_type="text/csv")
    answer = as_alice.post(page, {"import_file": upload, "format": "0"}, follow=True)
    assert "Meera" in answer.content.decode()
    assert not Customer.objects.exists()
    assert as_alice.get(reverse("admin:loyalty_customer_export")).status_code == 403
