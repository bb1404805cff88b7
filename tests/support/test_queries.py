"""No page asks the database more than fifteen times, however much there is to show."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from loyalty.models import Customer
from tenants.models import Membership, Tenant, User
from tests import builders
from tests.support.test_approvals import issue
from tests.tenants.test_matrix import PAGES, opened

MOST = 15


@pytest.fixture
def busy(kulfi: Tenant, alice: User, as_alice: Client) -> Customer:
    """A customer with a block, bills, what is set aside, and points by hand; and a few more of each."""
    meera = builders.customer(kulfi, points=500)
    for number in range(6):
        builders.hold(kulfi, meera, 5, reference=f"SB-{number}", bill_no=f"A{number}")
        builders.deliver(
            kulfi,
            builders.bill(f"A{number}"),
            builders.bill(f"Q{number}", net_amount="1.00"),
            builders.discounted(f"D{number}", 0, 0),
        )
        issue(as_alice, meera, points="5", token=f"{number}" * 20)
    return meera


def asked(open_it: Callable[[], Any]) -> list[str]:
    """The questions of a page; setting the transaction up is none."""
    with CaptureQueriesContext(connection) as found:
        response = open_it()
        if response.streaming:
            b"".join(response.streaming_content)
    assert response.status_code in (200, 302, 403, 405)
    set_up = ("SAVEPOINT", "RELEASE", "ROLLBACK", "SET ")
    return [each["sql"] for each in found if not each["sql"].startswith(set_up) and "set_config" not in each["sql"]]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_asks_fifteen_times_at_most(as_alice: Client, busy: Customer, name: str) -> None:
    found = asked(lambda: opened(as_alice, name, **PAGES[name]))
    assert len(found) <= MOST, "\n".join(each[:160] for each in found)


@pytest.mark.parametrize("tab", ["timeline", "holds", "bills", "lots", "bonuses", "messages", "cases", "audit"])
def test_customer_360_asks_fifteen_times_at_most(as_alice: Client, busy: Customer, tab: str) -> None:
    found = asked(lambda: as_alice.get(reverse("admin:customer360", args=[busy.pk]), {"tab": tab}))
    assert len(found) <= MOST, "\n".join(each[:160] for each in found)


def test_a_day_and_a_person_ask_fifteen_times_at_most(as_alice: Client, busy: Customer, alice: User) -> None:
    for where in (
        reverse("admin:staff_day", args=[alice.pk]),
        reverse("admin:staff_person", args=[Membership.objects.get(user=alice).pk]),
    ):
        found = asked(lambda where=where: as_alice.get(where))  # type: ignore[misc]
        assert len(found) <= MOST, where
