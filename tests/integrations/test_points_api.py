"""Points by hand over the API: each call once a key, refusals by name."""

from typing import Any

import pytest

from loyalty.models import Entry
from tenants.models import Tenant
from tests import builders
from tests.builders import MEERA, balance
from tests.client import Answer, ApiClient
from tests.conftest import key_of


@pytest.fixture
def desk(kulfi: Tenant) -> ApiClient:
    """A support tool of Kulfi House."""
    return ApiClient(key_of(kulfi, "support"))


def adjust(client: ApiClient, key: str = "k1", **body: Any) -> Answer:
    return client.post("/adjustments", {"mobile": MEERA, "reason": "by hand", **body}, HTTP_IDEMPOTENCY_KEY=key)


def issue(client: ApiClient, key: str = "k1", **body: Any) -> Answer:
    return client.post("/issues", {"mobile": MEERA, "points": 50, "reason": "a kind word", **body}, HTTP_IDEMPOTENCY_KEY=key)


def test_an_adjustment_answers_with_its_entries_and_the_balance(kulfi: Tenant, desk: ApiClient) -> None:
    builders.customer(kulfi)
    answer = adjust(desk, points=30)
    assert answer.status == 201
    assert answer.body["entries"] == 1
    assert answer.body["balance"] == {"pending": 0, "available": 30, "held": 0, "owed": 0, "closing": 30}


@pytest.mark.case(78)
def test_the_same_key_gives_the_first_answer_whatever_came_since(kulfi: Tenant, desk: ApiClient) -> None:
    builders.customer(kulfi)
    first = adjust(desk, points=30)
    adjust(desk, "k2", points=5)
    again = adjust(desk, points=30)
    assert (again.status, again.body, again.headers["Idempotency-Hit"]) == (201, first.body, "true")
    assert adjust(desk, points=31).code == "key_reused"
    assert Entry.objects.count() == 2


@pytest.mark.case(70)
@pytest.mark.parametrize(("negative", "status", "owed"), [(False, 422, 0), (True, 201, 20)])
def test_a_removal_beyond_available_is_refused_or_owed(
    kulfi: Tenant, desk: ApiClient, negative: bool, status: int, owed: int
) -> None:
    kulfi.negative_allowed = negative
    kulfi.save()
    meera = builders.customer(kulfi, points=10)
    answer = adjust(desk, points=-30)
    assert (answer.status, balance(meera)[3]) == (status, owed)
    if not negative:
        assert answer.body["error"]["details"] == {"available": 10, "held": 0, "pending": 0}


@pytest.mark.case(71)
def test_a_reset_clears_available_and_debt_only_with_its_own_scope(lenient_kulfi: Tenant, desk: ApiClient) -> None:
    meera = builders.customer(lenient_kulfi)
    adjust(desk, points=-30)
    assert adjust(desk, "k2", reset=True, clear_debt=True).code == "debt_permission"
    untouched = adjust(desk, "k3", reset=True)
    assert (untouched.status, untouched.body["operation"], untouched.body["entries"]) == (200, None, 0)
    strong = ApiClient(key_of(lenient_kulfi, "support", "support:debt"))
    assert adjust(strong, "k4", reset=True, clear_debt=True).status == 201
    assert balance(meera) == (0, 0, 0, 0)


def test_an_issue_makes_a_customer_of_an_unknown_number(kulfi: Tenant, desk: ApiClient) -> None:
    assert issue(desk).body["balance"]["available"] == 50
    assert adjust(desk, "k2", mobile="9840054321", points=1).code == "unknown_customer"


@pytest.mark.parametrize(
    ("points", "code"),
    [(0, "points_invalid"), (-5, "points_invalid"), (10**12 + 1, "points_invalid"), (10**15, "bad_value"), (1.5, "bad_value"),
     ("NaN", "bad_value"), ("1e3", "bad_value"), (True, "bad_value"), (None, "required_field")],
)  # fmt: skip
def test_points_that_are_none_are_refused_by_name(desk: ApiClient, points: object, code: str) -> None:
    answer = issue(desk, points=points)
    assert (answer.status, answer.code) == (422, code)
    assert Entry.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [({}, "bad_value"), ({"points": 5, "reset": True}, "bad_value"), ({"points": 0}, "points_invalid"),
     ({"points": 5, "reason": " x "}, "reason_length"),
     ({"points": 5, "reason": "a\u0000b"}, "bad_value"), ({"points": 5, "mobile": "12"}, "mobile_invalid")],
)  # fmt: skip
@pytest.mark.case(82)
def test_adjustments_that_say_nothing_or_two_things_are_refused(
    kulfi: Tenant, desk: ApiClient, body: dict[str, Any], code: str
) -> None:
    builders.customer(kulfi)
    assert adjust(desk, **body).code == code
    assert Entry.objects.count() == 0


def test_a_call_without_a_key_is_refused(desk: ApiClient) -> None:
    for path in ("/issues", "/adjustments"):
        answer = desk.post(path, {"mobile": MEERA, "points": 5, "reason": "a kind word"})
        assert (answer.status, answer.code) == (400, "key_required")
    assert issue(desk, "k" * 256).code == "bad_value"


@pytest.mark.case(79)
def test_points_are_issued_for_a_bill_until_it_is_booked(desk: ApiClient, kulfi: Tenant) -> None:
    assert issue(desk, bill_no="A1").code == "required_field"
    assert issue(desk, bill_no="A1", store_code="nowhere").code == "store_unknown"
    assert issue(desk, bill_no="A1", store_code="K1").status == 201
    builders.deliver(kulfi, builders.bill("A1"))
    refused = issue(desk, "k2", bill_no="A1", store_code="K1")
    assert (refused.status, refused.code) == (409, "bill_already_booked")


def test_a_till_may_not_give_points(till: ApiClient) -> None:
    assert issue(till).status == 403
    assert adjust(till, points=5).status == 403


@pytest.mark.case(92)
def test_another_tenants_key_reaches_its_own_customers_only(kulfi: Tenant, liberty: Tenant, desk: ApiClient) -> None:
    meera = builders.customer(kulfi, points=10)
    theirs = ApiClient(key_of(liberty, "support"))
    assert adjust(theirs, points=5, mobile="+12125550123").code == "unknown_customer"
    assert adjust(theirs, points=5).status in (404, 422)
    assert balance(meera) == (0, 10, 0, 0)
