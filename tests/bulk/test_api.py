"""Bulk jobs by the API, as a merchant's own tools use them."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from loyalty.models import Customer
from support.bulk.models import BulkJob, BulkSettings
from tenants.models import Tenant
from tests import builders
from tests.bulk.conftest import available, finished
from tests.client import Answer, ApiClient
from tests.conftest import key_of


@pytest.fixture
def tool(kulfi: Tenant) -> ApiClient:
    return ApiClient(key_of(kulfi, "support"))


def ask(tool: ApiClient, key: str = "k1", **body: Any) -> Answer:
    asked = {"type": "adjust", "select": {"all": True}, "points": 50, "reason": "Diwali gift"} | body
    return tool.post("/bulk-jobs", asked, HTTP_IDEMPOTENCY_KEY=key)


def worked(answer: Answer) -> None:
    finished(BulkJob.objects.get(pk=answer.body["id"]))


def test_from_preview_to_undo(crowd: list[Customer], tool: ApiClient) -> None:
    made = ask(tool)
    assert (made.status, made.body["state"], made.body["count"], made.body["sum"]) == (201, "preview", 5, 250)
    assert made.body["phrase"] == "all customers of Kulfi House"
    address = f"/bulk-jobs/{made.body['id']}"
    assert tool.post(f"{address}/confirm", b"").code == "phrase_wrong"
    assert tool.post(f"{address}/confirm", {"phrase": made.body["phrase"]}).body["state"] == "running"
    worked(made)
    done = tool.get(address).body
    assert (done["state"], done["progress"]["done"], done["progress"]["left"]) == ("done", 5, 0)
    assert available(*crowd) == [50, 150, 250, 350, 450]
    undo = tool.post(f"{address}/undo", {"spent": "leave"})
    assert (undo.status, undo.body["type"], undo.body["of_job"], undo.body["state"]) == (201, "undo", made.body["id"], "running")
    worked(undo)
    assert available(*crowd) == [0, 100, 200, 300, 400]
    assert tool.post(f"{address}/undo", {}, HTTP_IDEMPOTENCY_KEY="again").code == "undone_already"


def test_the_first_answer_comes_again_for_the_same_key(crowd: list[Customer], tool: ApiClient) -> None:
    first = ask(tool)
    again = ask(tool)
    assert (again.status, again.body["id"], again.headers["Idempotency-Hit"]) == (201, first.body["id"], "true")
    assert (ask(tool, points=51).status, ask(tool, points=51).code) == (409, "key_reused")
    assert tool.post("/bulk-jobs", {"type": "adjust"}).code == "key_required"


def test_numbers_that_lead_to_nobody_are_listed_as_they_were_given(crowd: list[Customer], tool: ApiClient) -> None:
    made = ask(tool, select={"mobiles": ["98400 00001", "12", "9840099999"]})
    assert (made.body["count"], made.body["phrase"]) == (1, None)
    listed = {(row["mobile"], row["code"]) for row in made.body["skipped"]}
    assert listed == {("12", "mobile_invalid"), ("9840099999", "unknown_customer")}


def test_who_will_be_skipped_is_listed_and_then_who_was(crowd: list[Customer], tool: ApiClient) -> None:
    made = ask(tool, points=-150, select={"mobiles": [row.mobile for row in crowd]})
    wanted = [(row.mobile, "would_go_negative") for row in crowd[:2]]
    assert [(row["mobile"], row["code"]) for row in made.body["skipped"]] == wanted
    tool.post(f"/bulk-jobs/{made.body['id']}/confirm", {})
    worked(made)
    rows = tool.get(f"/bulk-jobs/{made.body['id']}/rows").body["results"]
    assert sorted((row["mobile"], row["code"]) for row in rows) == wanted


@pytest.mark.parametrize(
    "wanted",
    [
        {"tier": "\ud800"}, {"tier": "a\0"}, {"cohort": "\ud800"}, {"store": "\ud800"}, {"active_until": "9999-12-31"},
        {"active_from": "0001-01-01"}, {"tier_changed_until": "9999-12-30"}, {"available_min": "--5"}, {"\ud800": 1}, {"a\0": 1},
    ],
)  # fmt: skip
def test_a_filter_of_odd_values_is_refused_and_no_error_of_ours(
    crowd: list[Customer], tool: ApiClient, wanted: dict[str, Any]
) -> None:
    answer = ask(tool, select={"filter": wanted})
    assert (answer.status, answer.code) in ((422, "bad_value"), (422, "store_unknown"))


def test_numbers_that_no_database_holds_lead_to_nobody(crowd: list[Customer], tool: ApiClient) -> None:
    made = ask(tool, select={"mobiles": ["98400\0", "\ud800", "98400 00001"]})
    assert (made.status, made.body["count"], made.body["refused"]) == (201, 1, 2)


def test_a_dry_run_changes_nothing(crowd: list[Customer], tool: ApiClient) -> None:
    made = ask(tool, dry_run=True)
    tool.post(f"/bulk-jobs/{made.body['id']}/confirm", {"phrase": made.body["phrase"]})
    worked(made)
    assert tool.get(f"/bulk-jobs/{made.body['id']}").body["progress"]["points"] == 250
    assert available(*crowd) == [0, 100, 200, 300, 400]


@pytest.mark.parametrize("step", ["pause", "cancel"])
def test_a_running_job_is_stopped(crowd: list[Customer], tool: ApiClient, step: str) -> None:
    made = ask(tool)
    tool.post(f"/bulk-jobs/{made.body['id']}/confirm", {"phrase": made.body["phrase"]})
    assert tool.post(f"/bulk-jobs/{made.body['id']}/{step}", {}).status == 200
    worked(made)
    assert available(*crowd) == [0, 100, 200, 300, 400]


def test_another_key_lets_it_run(kulfi: Tenant, crowd: list[Customer], tool: ApiClient) -> None:
    BulkSettings.objects.create(tenant=kulfi, points_alone=10)
    made = ask(tool)
    address = f"/bulk-jobs/{made.body['id']}"
    waiting = tool.post(f"{address}/confirm", {"phrase": made.body["phrase"]}).body
    assert (waiting["state"], waiting["because"]) == (
        "waiting",
        "250 points are more than the 10 that one person may move alone.",
    )
    refused = tool.post(f"{address}/approve", b"")
    assert (refused.status, refused.code) == (403, "own_request")
    assert ApiClient(key_of(kulfi, "support")).post(f"{address}/approve", b"").body["state"] == "running"


def test_debts_are_forgiven_only_with_the_scope_for_it(kulfi: Tenant, crowd: list[Customer], tool: ApiClient) -> None:
    assert ask(tool, type="reset", clear_debt=True).code == "debt_permission"
    assert ask(ApiClient(key_of(kulfi, "support", "support:debt")), type="reset", clear_debt=True).status == 201


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"select": {}}, 422, "bad_value"), ({"select": {"all": True, "mobiles": []}}, 422, "bad_value"), ({"reason": ""}, 422, "reason_length"),
        ({"points": "many"}, 422, "bad_value"), ({"points": None}, 422, "required_field"), ({"until": "soon"}, 422, "bad_value"),
        ({"select": {"filter": {"x": 1}}}, 422, "bad_value"), ({"bonus": "none"}, 422, "bad_value"), ({"type": "\0"}, 422, "bad_value"),
        ({"select": {"mobiles": []}}, 422, "nothing_chosen"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_name(
    crowd: list[Customer], tool: ApiClient, body: dict[str, Any], status: int, code: str
) -> None:
    answer = ask(tool, **body)
    assert (answer.status, answer.code) == (status, code)
    assert not BulkJob.objects.exists()


def test_a_key_that_only_reads_starts_nothing(kulfi: Tenant, crowd: list[Customer], tool: ApiClient) -> None:
    reader = ApiClient(key_of(kulfi, "read"))
    assert ask(reader).status == 403
    made = ask(tool)
    assert reader.get("/bulk-jobs").body["results"][0]["id"] == made.body["id"]
    assert reader.post(f"/bulk-jobs/{made.body['id']}/confirm", {}).status == 403


def test_another_tenants_job_is_not_there(liberty: Tenant, crowd: list[Customer], tool: ApiClient) -> None:
    made = ask(tool)
    other = ApiClient(key_of(liberty, "support"))
    address = f"/bulk-jobs/{made.body['id']}"
    assert [other.get(address).status, other.get(f"{address}/rows").status] == [404, 404]
    assert {
        other.post(f"{address}/{step}", {}).status for step in ("confirm", "approve", "pause", "resume", "cancel", "undo")
    } == {404}
    assert other.post(f"{address}/explode", {}).status == 404
    assert other.get("/bulk-jobs").body["results"] == []


def test_a_filter_by_the_api_finds_whose_points_are_blocked(kulfi: Tenant, tool: ApiClient) -> None:
    meera = builders.customer(kulfi, points=100)
    builders.hold(kulfi, meera, 40, at=timezone.now() - timedelta(days=9))
    made = ask(tool, type="release_holds", select={"filter": {"holds_older_than": 7}})
    assert (made.body["count"], made.body["sum"]) == (1, 40)
