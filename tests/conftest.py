"""The cast, and the audit of the books after every test that posts.

Alice administers Kulfi House, Bob is her agent; Charlie works for Liberty Deli.
"""

import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import setup_databases
from django_scopes import scope, scopes_disabled

from config import partitioning
from config.engines.postgresql import drop_database
from loyalty.audit import audit_ledger
from loyalty.programmes import create_programme
from tenants import staff, uploads
from tenants.actors import SYSTEM
from tenants.models import RedemptionMode, Tenant, User
from tests.client import ApiClient
from tests.translations import wrapped as wrapped  # for everybody

PASSWORD = "a-long-password"


def pytest_configure() -> None:
    uploads.CLOCK_SECONDS_AT_ONCE = 5  # whoever runs all tests at once has a busy machine
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick; the real one is Django's concern


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any, django_db_modify_db_settings: None) -> Iterator[None]:
    """The database is made and migrated as owner, also for tests that only use `committed`."""
    with django_db_blocker.unblock():
        _drop(str(connection.settings_dict["TEST"]["NAME"] or f"test_{connection.settings_dict['NAME']}"))
        setup_databases(verbosity=0, interactive=False, aliases={"default": None})
        if parts := int(os.environ.get("PARTITIONS", "0")):  # docs/scale.md: the same tests on partitioned tables
            partitioning.partition(parts=parts)
    yield
    with django_db_blocker.unblock():
        name = connection.settings_dict["NAME"]
        connection.close()
        _drop(name)


def _drop(database: str) -> None:
    """Also when a killed process of a fault test still sits on it."""
    with connection._nodb_cursor() as cursor:
        drop_database(cursor, database)


@pytest.fixture(autouse=True)
def books_are_audited(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test that used the database: every law holds, and the auditor has read every entry there is."""
    uses_database = "db" in request.fixturenames
    if uses_database:
        request.getfixturevalue("db")
    yield
    if not uses_database or request.node.get_closest_marker("broken_on_purpose"):
        return
    with scopes_disabled(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM loyalty_entry")
        entries = cursor.fetchone()[0]
        if entries:
            report = audit_ledger()
            assert report.ok, report.rows
            assert report.entries == entries


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    yield
    cache.clear()


def make_tenant(slug: str, **fields: Any) -> Tenant:
    """A tenant with a programme (1 point for 100, worth 1.00, holds 100 days, validity 365) and two stores K1, K2."""
    defaults = {
        "name": slug.replace("-", " ").title(), "business_id": slug, "timezone": "Asia/Kolkata", "currency": "INR", "region": "IN",
    }  # fmt: skip
    tenant = staff.create_tenant(actor=SYSTEM, slug=slug, **(defaults | fields))
    with scope(tenant=tenant):
        create_programme(tenant, name=f"{slug} points", earn_per=100, point_value=1, hold_days=100, validity_days=365)  # type: ignore[arg-type]
        staff.create_store(tenant, code="K1", name="Anna Nagar", actor=SYSTEM)
        staff.create_store(tenant, code="K2", name="T. Nagar", mode=RedemptionMode.DISCOUNT, actor=SYSTEM)
    return tenant


@pytest.fixture
def kulfi(db: None) -> Iterator[Tenant]:
    """Kulfi House allows no negative balances; its scope is open."""
    tenant = make_tenant("kulfi-house")
    with scope(tenant=tenant):
        yield tenant


@pytest.fixture
def lenient_kulfi(kulfi: Tenant) -> Tenant:
    """Kulfi House, with negative balances allowed."""
    kulfi.negative_allowed = True
    kulfi.save()
    return kulfi


@pytest.fixture
def liberty(db: None) -> Tenant:
    tenant = make_tenant("liberty-deli", timezone="America/New_York", currency="USD", region="US")
    return tenant


def _person(tenant: Tenant, name: str, role: str) -> User:
    return staff.create_staff(
        tenant, email=f"{name.lower()}@{tenant.slug}.example", role=role, name=name, password=PASSWORD, actor=SYSTEM
    )[0]


@pytest.fixture
def alice(kulfi: Tenant) -> User:
    return _person(kulfi, "Alice", "admin")


@pytest.fixture
def bob(kulfi: Tenant) -> User:
    return _person(kulfi, "Bob", "agent")


@pytest.fixture
def charlie(liberty: Tenant) -> User:
    return _person(liberty, "Charlie", "agent")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def as_bob(bob: User) -> Client:
    return signed_in(bob)


@pytest.fixture
def as_alice(alice: User) -> Client:
    return signed_in(alice)


@pytest.fixture
def as_charlie(charlie: User) -> Client:
    return signed_in(charlie)


def key_of(tenant: Tenant, *scopes: str) -> str:
    return staff.create_api_key(tenant, scopes=list(scopes), actor=SYSTEM).key


@pytest.fixture
def till(kulfi: Tenant) -> ApiClient:
    """A POS of Kulfi House."""
    return ApiClient(key_of(kulfi, "pos", "read"))


@pytest.fixture
def other_till(liberty: Tenant) -> ApiClient:
    return ApiClient(key_of(liberty, "pos", "read"))


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: Any) -> Iterator[Tenant]:
    """A tenant whose rows are really committed, for tests with several connections. Nothing is flushed: history stays.

    The books of this tenant are audited at the end.
    """
    with django_db_blocker.unblock():
        tenant = make_tenant(f"race-{uuid.uuid4().hex[:12]}")
        try:
            with scope(tenant=tenant):
                yield tenant
            report = audit_ledger(tenant)
            assert report.ok, report.rows
        finally:
            Tenant.objects.filter(pk=tenant.pk).update(is_active=False)
            connection.close()
