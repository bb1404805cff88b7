"""Files that leave: told before their first byte, known by their last."""

import hashlib
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from support import paging
from tenants import exports, spreadsheets
from tenants.models import AuditEvent, Membership, Store, Tenant
from tests import builders
from tests.tenants.test_matrix import PAGES, opened

FILE = "admin:audit_file"


def looked_up(client: Client, digest: str) -> Any:
    return client.get(reverse(FILE), {"sha256": digest})


@pytest.mark.parametrize("name", sorted(name for name in PAGES if name.endswith(("_csv", "_xlsx"))))
def test_every_file_is_known_by_its_bytes_and_to_its_own_brand(
    as_alice: Client, as_charlie: Client, kulfi: Tenant, name: str
) -> None:
    builders.deliver(kulfi, builders.bill("A1"))
    body = opened(as_alice, name).getvalue()
    digest = hashlib.sha256(body).hexdigest()
    begun, done = AuditEvent.objects.filter(tenant=kulfi).order_by("-pk")[:2][::-1]
    assert begun.action.startswith("export_")
    assert (done.action, done.object_id, done.actor_name) == ("sent_file", digest, "Alice")
    assert (done.after["export"], done.after["bytes"]) == (begun.pk, len(body))
    assert done.address == begun.address is not None
    page = looked_up(as_alice, digest.upper()).content.decode()
    assert "a file that Kulfi House was given" in page
    assert reverse("admin:audit_event", args=[begun.pk]) in page
    assert "No file with these bytes" in looked_up(as_alice, hashlib.sha256(body + b" ").hexdigest()).content.decode()
    Membership.objects.filter(user__name="Charlie").update(role="auditor")
    assert "No file with these bytes" in looked_up(as_charlie, digest).content.decode()
    assert AuditEvent.objects.filter(tenant=kulfi, action="sent_file").count() == 1


@pytest.mark.parametrize("name", sorted(name for name in PAGES if name.endswith(("_csv", "_xlsx"))))
def test_a_link_takes_no_file(as_alice: Client, kulfi: Tenant, name: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = as_alice.cookies
    assert as_alice.get(reverse(name)).status_code == 405
    assert strict.post(reverse(name)).status_code == 403
    assert not AuditEvent.objects.filter(action__startswith="export_").exists()


def test_what_is_no_digest_is_said(as_alice: Client, kulfi: Tenant) -> None:
    page = looked_up(as_alice, "abc")
    assert (page.status_code, "64 digits" in page.content.decode()) == (422, True)
    assert as_alice.get(reverse(FILE)).status_code == 200
    Membership.objects.update(role="merchant")
    assert as_alice.get(reverse(FILE)).status_code == 403


def test_a_file_that_breaks_off_is_told_as_such_and_not_known(
    as_alice: Client, kulfi: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.issue(kulfi, builders.customer(kulfi), 5)
    whole = spreadsheets.as_csv

    def breaking(*given: Any) -> Any:
        yield from whole(*given)
        raise OSError

    monkeypatch.setattr(spreadsheets, "as_csv", breaking)
    with pytest.raises(OSError):
        opened(as_alice, "admin:activity_csv").getvalue()
    event = AuditEvent.objects.latest("pk")
    assert event.action == "broke_off_file"
    assert not exports.known(kulfi, event.object_id).exists()


@pytest.mark.parametrize("asked", [{}, {"to": "2099-01-01"}])
def test_somebody_who_hangs_up_has_no_whole_file(
    as_alice: Client, kulfi: Tenant, asked: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "CHUNK", 1)
    for number in range(3):
        builders.issue(kulfi, builders.customer(kulfi), number + 1)
    response: Any = as_alice.post(reverse("admin:activity_csv"), query_params=asked)
    body = iter(response.streaming_content)
    got = b"".join(next(body) for _ in range(3))
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone()[0] != "web", "whoever is slow keeps no transaction open"
    assert AuditEvent.objects.latest("pk").action == "export_activity"
    for close in response._resource_closers:
        close()
    event = AuditEvent.objects.latest("pk")
    assert (event.action, event.after["bytes"] >= len(got)) == ("broke_off_file", True)


def test_lists_of_the_admin_are_told_too(as_alice: Client, kulfi: Tenant) -> None:
    Store.objects.create(tenant=kulfi, code="K9", name="=1+1")
    where = reverse("admin:tenants_store_export")
    form = {"format": "0", "resource": "", **{f"storeresource_{field}": "on" for field in ("code", "name")}}
    body = as_alice.post(where, form).content
    assert b"'=1+1" in body
    assert exports.known(kulfi, hashlib.sha256(body).hexdigest()).filter(after__what="store").exists()
    assert AuditEvent.objects.get(action="export_store").after == {"rows": Store.objects.filter(tenant=kulfi).count()}
