"""Jobs as people ask for them, run here as the worker runs them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from loyalty.models import Customer
from support.bulk import jobs, running
from support.bulk.jobs import Select, Wanted
from support.bulk.models import BulkJob
from tenants import access as gate
from tenants.access import Access
from tenants.models import Tenant, User
from tests import builders


def access_of(user: User, tenant: Tenant) -> Access:
    found = gate.of_person(user, wanted_tenant_id=tenant.pk)
    assert found is not None
    return found


@pytest.fixture
def alice_may(kulfi: Tenant, alice: User) -> Access:
    """Alice administers Kulfi House."""
    return access_of(alice, kulfi)


@pytest.fixture
def crowd(kulfi: Tenant) -> list[Customer]:
    """Five customers with 0, 100, 200, 300 and 400 points."""
    return [builders.customer(kulfi, f"+91984000{place:04d}", points=100 * place, name=f"Customer {place}") for place in range(5)]


type Preview = Callable[..., BulkJob]


@pytest.fixture
def preview(alice_may: Access) -> Preview:
    """A job that Alice asks for: everybody, unless she says whom."""

    def make(
        type: str = "adjust", *, access: Access = alice_may, key: str = "", select: Select | None = None, **wanted: Any
    ) -> BulkJob:
        whom = select or Select(all=True)
        wanted.setdefault("reason", "for a test")
        asked = Wanted(type, **wanted)
        return jobs.create(access, asked, whom, key=key or f"k{BulkJob.objects.count()}", now=timezone.now())[0]

    return make


def confirmed(job: BulkJob, access: Access) -> BulkJob:
    return jobs.confirm(job.pk, access=access, phrase=job.phrase, now=timezone.now())


def finished(job: BulkJob) -> BulkJob:
    """Worked on until nothing of it is left."""
    job.refresh_from_db()
    while running.work_on(job):
        pass
    job.refresh_from_db()
    return job


def run(job: BulkJob, access: Access) -> BulkJob:
    return finished(confirmed(job, access))


def told(job: BulkJob) -> dict[str, int]:
    """How many customers by outcome and code."""
    found: dict[str, int] = {}
    for row in job.rows.all():
        name = f"{row.outcome}: {row.code}"
        found[name] = found.get(name, 0) + 1
    return found


def available(*rows: Customer) -> list[int]:
    return [builders.balance(row)[1] for row in rows]
