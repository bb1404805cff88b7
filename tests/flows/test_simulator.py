"""The simulator of tills: a day played against a real web process, compared; and what it refuses."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from typing import Any

import pytest
from django.utils import timezone
from django_scopes import scope

from config.simulator.day import Fault, visits
from config.simulator.tills import Till
from integrations import inbox
from integrations.models import Bill, Delivery
from loyalty.models import Hold
from tenants.models import Tenant
from tests import builders
from tests.conftest import key_of
from tests.served import manage, web_process


def a_day(seed: str, **changes: Any) -> list[Any]:
    asked: dict[str, Any] = {
        "stores": ["K1", "K2"], "bills": 300, "customers": 20, "faults": frozenset(Fault), "redeem_per_mille": 100, "seed": seed,
        "opens": datetime.now(UTC) - timedelta(days=1),
    }  # fmt: skip
    return list(visits(**(asked | changes)))


def test_a_seed_plays_one_day() -> None:
    opens = datetime(2026, 1, 5, 3, 30, tzinfo=UTC)
    once, again = (a_day("s", opens=opens) for _ in range(2))
    assert once == again
    assert {visit.fault for visit in once} == {None, *Fault}
    assert a_day("t", opens=opens) != once
    assert {visit.fault for visit in a_day("s", faults=frozenset(), opens=opens)} == {None}


def test_a_played_day_is_what_the_server_says(committed: Tenant) -> None:
    for number in range(30):
        builders.customer(committed, f"+916500{number:06d}", points=5)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            with scope(tenant=committed):
                inbox.drain(committed, now=timezone.now())
            time.sleep(0.1)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        with web_process() as address:
            play = ["pos_simulator", key_of(committed, "pos", "read"), "--url", address, "--store", "K1", "--bills", "120", "--customers", "30",
                    "--faults", "all", "--redeem", "300", "--seed", "x", "--clients", "2", "--json"]  # fmt: skip
            done = manage(*play)
            again = manage(*play)
    finally:
        stop.set()
        worker.join()
    assert done.returncode == 0, done.stdout + done.stderr
    book = json.loads(done.stdout)
    opens = datetime.combine(datetime.now(UTC) - timedelta(days=1), clock(3, 30), tzinfo=UTC)
    day = a_day("x", bills=120, stores=["K1"], customers=30, redeem_per_mille=300, opens=opens)
    sent = sum(len(dict.fromkeys([*visit.messages, *visit.late])) for visit in day)
    assert (book["differ"], book["messages"], sum(book["found"].values())) == ([], sent, sent)
    assert {"applied", "conflict", "quarantined"} == set(book["found"])
    completed = Bill.objects.filter(tenant=committed, redeemed_points=1).count()
    open_holds = Hold.objects.filter(tenant=committed, state="active").count()
    assert (completed + open_holds, open_holds) == (book["holds"], book["faults"]["completion_lost"])
    assert json.loads(again.stdout)["found"] == book["found"], "played twice, everything is there once"
    assert Delivery.objects.filter(tenant=committed).count() == book["messages"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--bills", "0"], "--bills is at least 1"),
        (["--faults", "lost,fire"], "Not a fault: fire"),
        (["--day", "soon"], "is no date"),
    ],
)
def test_what_it_cannot_play_is_refused(wrong: list[str], said: str) -> None:
    done = manage("pos_simulator", "key", "--store", "K1", *wrong)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_what_the_server_refuses_or_has_lost_is_a_difference(committed: Tenant) -> None:
    with web_process() as address:
        play = ["pos_simulator", "--url", address, "--store", "K1", "--bills", "5", "--clients", "1", "--seed", "y", "--json"]
        done = manage(*play, POINTDESK_KEY=key_of(committed, "read"))  # it may not send bills
        till = Till(address, key_of(committed, "read"))
        assert till.state_of("dl_nothing") == "unknown"
    book = json.loads(done.stdout)
    assert (done.returncode, {each["found"] for each in book["differ"]}, len(book["differ"]) >= 5) == (1, {"answer 403"}, True)
    assert "Give an API key" in manage("pos_simulator", "--store", "K1").stderr
