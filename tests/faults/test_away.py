"""Engines away, processes killed: POS calls go on, nothing is lost or doubled, errors say what to do."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from integrations import bell
from integrations.models import Bill, Delivery
from loyalty.models import Customer, Entry
from support import monitoring
from tenants.counters import redis_breaker
from tenants.models import Tenant
from tests import builders
from tests.builders import bill
from tests.conftest import key_of
from tests.served import manage, web_process


def post(address: str, key: str, path: str, body: Any) -> tuple[int, dict[str, Any], float]:
    """-> (status, body, seconds)."""
    request = urllib.request.Request(
        f"{address}/api/v1{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    began = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer), time.perf_counter() - began
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal), time.perf_counter() - began


def test_with_redis_away_bills_are_taken_all_the_same(committed: Tenant) -> None:
    with web_process(REDIS_URL="redis://127.0.0.1:9") as address:
        answers = [post(address, key_of(committed, "pos"), "/bills", bill(f"A{number}")) for number in range(5)]
    assert [status for status, _, _ in answers] == [202] * 5
    assert Delivery.objects.filter(state="received").count() == 5


@pytest.mark.case(48)
def test_with_postgresql_away_the_sender_is_told_to_come_again(committed: Tenant) -> None:
    with web_process(DATABASE_URL="postgresql://nobody@127.0.0.1:9/none", WEB_DATABASE_URL="") as address:
        status, body, _ = post(address, "pd_x_y", "/bills", bill())
        assert (status, body["error"]["code"]) == (503, "unavailable")
        with pytest.raises(urllib.error.HTTPError) as ready:
            urllib.request.urlopen(f"{address}/ready", timeout=10)
        assert (ready.value.code, ready.value.headers["Retry-After"]) == (503, "5")
        assert urllib.request.urlopen(f"{address}/live", timeout=10).status == 200
        assert 'pointdesk_up{engine="postgresql"} 0.0' in metrics(address)


def test_metrics_of_a_web_process(committed: Tenant) -> None:
    monitoring.measure(now=timezone.now())
    with web_process() as address:
        told = metrics(address)
    assert 'pointdesk_up{engine="postgresql"} 1.0' in told
    assert "pointdesk_holds_due 0.0" in told


def metrics(address: str) -> str:
    text: str = urllib.request.urlopen(f"{address}/metrics", timeout=10).read().decode()
    return text


def test_the_bell_gives_up_quickly_and_rests(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    def hang(*args: Any, **kwargs: Any) -> bool:
        raise TimeoutError

    monkeypatch.setattr(cache, "add", hang)
    monkeypatch.setattr(redis_breaker, "_closed_until", 0.0)
    bell.ring(1)
    assert not redis_breaker.open()
    monkeypatch.setattr(redis_breaker, "_closed_until", 0.0)


CRASHES = [
    "inbox_before_flush", "ledger_after_lock", "ledger_before_entries", "ledger_after_entries", "ledger_after_flush", "inbox_before_settle",
    "inbox_before_commit", "inbox_after_commit",
]  # fmt: skip


@pytest.mark.parametrize("point", CRASHES)
def test_a_process_killed_at_any_point_loses_and_doubles_nothing(committed: Tenant, tmp_path: Path, point: str) -> None:
    meera = builders.customer(committed, points=100)
    builders.hold(committed, meera, 60, reference="SB-1")
    file = tmp_path / "bills.jsonl"
    documents = [
        *(bill(f"A{number}", net="100.00") for number in range(9)),
        builders.paid_with_points("A9", 60, net="60.00", reference="SB-1"),
    ]
    file.write_text("\n".join(json.dumps(document) for document in documents))
    killed = manage("ingest_bills", committed.slug, str(file), "--wait", "--json", CRASH_AT=point)
    assert killed.returncode == 137, killed.stderr
    again = manage("ingest_bills", committed.slug, str(file), "--wait", "--json")
    assert json.loads(again.stdout)["counts"] == {"applied": 10}
    assert builders.balance(meera) == (0, 49, 0, 0)
    assert Bill.objects.count() == 10


def test_one_json_document_on_stdout_and_logs_on_stderr(committed: Tenant) -> None:
    builders.customer(committed, points=5)
    done = manage("audit_ledger", "--tenant", committed.slug, "--json")
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True)


def test_a_real_web_process_takes_holds_and_shows_balances(committed: Tenant) -> None:
    builders.customer(committed, points=100)
    key = key_of(committed, "pos")
    request = {"mobile": builders.MEERA, "points": 30, "store_code": "K1", "reference": "SB-1", "at": timezone.now().isoformat()}
    with web_process() as address:
        assert [post(address, key, "/holds", request)[0] for _ in range(3)] == [201] * 3
        assert post(address, key, "/holds", request | {"points": 31})[0] == 409
    assert Entry.objects.filter(kind="hold").count() == 1
    assert Customer.objects.count() == 1
