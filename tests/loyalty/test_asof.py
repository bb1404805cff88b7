"""Balances of the past, by our clock and by the world's."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from loyalty.asof import Clock, balance_at
from loyalty.models import Entry
from loyalty.operations import Buckets
from tenants.errors import DomainError
from tenants.models import Tenant
from tests import builders
from tests.builders import bill, deliver


@pytest.mark.case(99)
def test_the_two_clocks_tell_a_late_bill_apart(kulfi: Tenant) -> None:
    now = timezone.now()
    deliver(kulfi, bill("A1", bill_date=(now - timedelta(days=3)).isoformat()))
    meera = Entry.objects.get().customer
    yesterday = now - timedelta(days=1)
    assert balance_at(kulfi, meera.pk, yesterday, clock=Clock.OCCURRED) == Buckets(0, 10, 0, 0)
    assert balance_at(kulfi, meera.pk, yesterday, clock=Clock.POSTED) == Buckets(0, 0, 0, 0)


@pytest.mark.case(99)
def test_every_instant_of_a_story_is_the_sum_up_to_it(kulfi: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    builders.release(kulfi, builders.hold(kulfi, meera, 40))
    last = Entry.objects.latest("id").occurred_at
    assert balance_at(kulfi, meera.pk, last, clock=Clock.OCCURRED).closing == 100
    assert balance_at(kulfi, meera.pk, last - timedelta(microseconds=1), clock=Clock.OCCURRED) == Buckets(0, 60, 40, 0)


def test_another_tenants_customer_has_nothing_here(kulfi: Tenant, liberty: Tenant) -> None:
    meera = builders.customer(kulfi, points=100)
    assert balance_at(liberty, meera.pk, timezone.now() + timedelta(days=1)) == Buckets(0, 0, 0, 0)


def test_an_instant_without_an_offset_is_refused(kulfi: Tenant) -> None:
    with pytest.raises(DomainError, match="offset from UTC"):
        balance_at(kulfi, 1, datetime(2026, 1, 1))
