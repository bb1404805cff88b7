"""Processes killed while bills of every kind and replays are under way: the sender's book and the server's are the same in the end."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from config.simulator.day import Fault, Message, Visit, visits
from integrations import inbox, replay
from integrations.models import Bill, Delivery, Replay, ReplayState, Source
from loyalty.models import Customer, Entry
from tenants.actors import SYSTEM
from tenants.models import Tenant
from tests import builders
from tests.builders import bill, raw
from tests.integrations.test_returns import cancelled, returned
from tests.served import ROOT, environment, manage

pytestmark = pytest.mark.timeout(280)
REPLAYS = "from integrations.tasks import continue_replays; continue_replays()"


def killed_again_and_again(command: list[str], *, left: Callable[[], int], kills: int, seed: int) -> int:
    """Run the command until nothing is left, and kill it -9 so many times while it makes progress. -> how often it was killed."""
    chance, done = random.Random(seed), 0
    for _ in range(kills * 4):
        before = left()
        if not before:
            return done
        process = subprocess.Popen(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and (done >= kills or left() == before):
            time.sleep(0.005)
        if process.poll() is None:
            time.sleep(chance.uniform(0, 0.15))
            process.send_signal(signal.SIGKILL)
            done += 1
        process.wait()
    return done


def receive(tenant: Tenant, messages: list[Message], *, repush: str = "") -> dict[str, Message]:
    """-> by receipt; a message that came before keeps its first receipt."""
    now = timezone.now()
    with transaction.atomic():
        return {
            inbox.receive(tenant, each.body, source=Source.API, sender=SYSTEM, now=now, repush=repush).receipt: each
            for each in messages
        }


def a_day(bills: int, *, faults: frozenset[Fault]) -> list[Visit]:
    opens = datetime.now(UTC).replace(hour=3, minute=30, second=0, microsecond=0) - timedelta(days=1)
    return list(visits(stores=["K1", "K2"], bills=bills, customers=40, faults=faults, redeem_per_mille=0, seed="7", opens=opens))


@pytest.mark.case(22, 24, 31)
def test_workers_killed_under_a_day_of_bills_lose_and_double_nothing(committed: Tenant) -> None:
    day = a_day(1200, faults=frozenset(Fault))
    sent = receive(committed, [message for visit in day for message in visit.messages])
    sent |= receive(committed, [message for visit in day for message in visit.late])
    waiting = Delivery.objects.filter(tenant=committed, state="received")
    killed = killed_again_and_again(["sweep_inbox"], left=waiting.count, kills=4, seed=1)
    assert killed >= 3
    found = dict(Delivery.objects.filter(tenant=committed, receipt__in=sent).values_list("receipt", "state"))
    assert {receipt: state for receipt, state in found.items() if state != sent[receipt].expected} == {}
    assert _earned_by_the_tills_book(day) == _available(committed)


def _earned_by_the_tills_book(day: list[Visit]) -> int:
    """One point for each whole 100 of a sale that stays: counted from what was sent, without any rule of ours."""
    points = 0
    for visit in day:
        documents = [
            json.loads(message.body) for message in dict.fromkeys([*visit.messages, *visit.late]) if message.expected == "applied"
        ]
        if any(document["bill_type"] == "RETURN" for document in documents):
            continue
        points += sum(int(Decimal(document["net_amount"]) // 100) for document in documents if "customer" in document)
    return points


def pushed_again(tenant: Tenant, count: int) -> Replay:
    """So many booked bills, all sent again with 100 more: conflicts, chosen and tried."""
    documents = [bill(f"A{number}", net="500.00", mobile=f"+91984001{number % 60:04d}") for number in range(count)]
    receive(tenant, [Message("", raw(each), "applied") for each in documents])
    inbox.drain(tenant, now=timezone.now())
    again = [each | {"net_amount": "600.00", "items": [each["items"][0] | {"amount": "600.00"}]} for each in documents]
    receive(tenant, [Message("", raw(each), "conflict") for each in again], repush="again")
    inbox.drain(tenant, now=timezone.now())
    row = replay.choose(tenant, filters={"repush": "again"}, reason="other amounts", actor=SYSTEM, per_second=0)
    replay.try_it(row, now=timezone.now())
    replay.ask(row, ReplayState.RUNNING, actor=SYSTEM)
    return row


def done_once(tenant: Tenant, row: Replay, count: int) -> None:
    row.refresh_from_db()
    assert (row.state, row.total, row.done, row.counts) == ("done", count, count, {"applied": count})
    assert Counter(row.rows.values_list("outcome", flat=True)) == {"applied": count}
    live = Bill.objects.filter(tenant=tenant, superseded_at=None)
    assert (live.count(), set(live.values_list("earned_points", flat=True))) == (count, {6})
    assert _available(tenant) == 6 * count


def _available(tenant: Tenant) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(sum(available), 0)::bigint FROM loyalty_balance WHERE tenant_id = %s", [tenant.pk])
        return int(cursor.fetchone()[0])


@pytest.mark.case(38)
def test_a_replay_whose_worker_is_killed_goes_on_and_books_nothing_twice(committed: Tenant) -> None:
    row = pushed_again(committed, 1200)
    undone = row.rows.filter(outcome="")
    killed = killed_again_and_again(["shell", "-c", REPLAYS], left=undone.count, kills=3, seed=2)
    assert killed >= 2
    while Replay.objects.get(pk=row.pk).state == "running":
        replay.work_on(row, now=timezone.now())
    done_once(committed, row, 1200)


@pytest.mark.case(38)
@pytest.mark.parametrize("point", ["ledger_after_lock", "ledger_after_entries", "replay_before_commit", "replay_after_commit"])
def test_a_replay_that_dies_at_any_point_is_done_once(committed: Tenant, point: str) -> None:
    row = pushed_again(committed, 12)
    assert manage("shell", "-c", REPLAYS, CRASH_AT=point).returncode == 137
    manage("shell", "-c", REPLAYS)
    done_once(committed, row, 12)


STORY_CRASHES = [
    "ledger_after_lock",
    "ledger_after_entries",
    "amend_before_following",
    "inbox_before_settle",
    "inbox_after_commit",
]


@pytest.mark.case(30, 31, 33, 36)
@pytest.mark.parametrize("point", STORY_CRASHES)
def test_returns_cancellations_and_corrections_survive_a_crash_at_any_point(
    committed: Tenant, tmp_path: Path, point: str
) -> None:
    sold: dict[str, Any] = {each: bill(each, net="1000.00") for each in ("A1", "A2", "A3")}
    documents = [
        returned("R1", "A1", "500.00"),  # waits for A1
        *sold.values(),
        cancelled("C2", "A2"),
        sold["A3"] | {"version": 2, "net_amount": "3000.00", "items": [{"line_no": 1, "item_code": "A1", "amount": "3000.00"}]},
        returned("R3", "A3", "1000.00"),
        sold["A3"] | {"version": 3, "net_amount": "2000.00", "items": [{"line_no": 1, "item_code": "A1", "amount": "2000.00"}]},
    ]
    file = tmp_path / "bills.jsonl"
    file.write_text("\n".join(json.dumps(document) for document in documents))
    killed = manage("ingest_bills", committed.slug, str(file), "--wait", "--json", CRASH_AT=point)
    assert killed.returncode == 137, killed.stderr
    again = manage("ingest_bills", committed.slug, str(file), "--wait", "--json")
    assert json.loads(again.stdout)["total"] == len(documents)
    states = Counter(Delivery.objects.filter(tenant=committed).values_list("state", flat=True))
    assert states == {"applied": 6, "reversed": 2}
    meera = Customer.objects.get(tenant=committed, mobile=builders.MEERA)
    assert builders.balance(meera) == (0, 5 + 0 + 10, 0, 0)
    assert Entry.objects.filter(tenant=committed, kind="earn").count() >= 5
