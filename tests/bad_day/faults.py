"""What goes wrong under the tills, as in life: processes and engines killed, frozen, emptied, locked, and senders that mean harm."""

import json
import os
import random
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from tests.faults.test_processes import Up

#: Named points of the worker at which it can be made to die, as by kill -9.
POINTS = (
    "ledger_after_lock", "ledger_before_entries", "ledger_after_entries", "ledger_after_flush", "inbox_before_settle",
    "inbox_before_flush", "inbox_before_commit", "inbox_after_commit", "feed_after_insert", "chain_before_seal",
    "bulk_before_commit", "bulk_after_commit", "replay_before_commit", "replay_after_commit", "file_after_chunk",
)  # fmt: skip


#: What the timetable does of itself, and what cannot be taken back.
WHAT_A_CLOCK_DOES = """
from integrations import tasks as inbox
from loyalty import tasks as ledger
ledger.release_expired_holds()
ledger.expire_lots()
ledger.activate_pending()
inbox.close_days()
inbox.forget_messages()
inbox.sweep_inbox()
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where it is played. `crash_file`: a point named there makes the next process that comes by die. `clock_file`: by so many seconds the
    worker's clock is wrong. `kept`: bodies that were acknowledged as new, with their keys; `tried`: those that ever went out."""

    up: Up
    crash_file: Path
    clock_file: Path
    keys: dict[str, str]
    draw: random.Random
    kept: set[tuple[str, bytes]] = field(default_factory=set)
    tried: set[tuple[str, bytes]] = field(default_factory=set)


def kill_worker(scene: Scene) -> None:
    os.kill(scene.up.pid("worker"), signal.SIGKILL)


def kill_worker_child(scene: Scene) -> None:
    _one_of_the_children(scene, "worker")


def kill_web(scene: Scene) -> None:
    os.kill(scene.up.pid("web"), signal.SIGKILL)


def kill_web_child(scene: Scene) -> None:
    _one_of_the_children(scene, "web")


def kill_beat(scene: Scene) -> None:
    os.kill(scene.up.pid("beat"), signal.SIGKILL)


def _one_of_the_children(scene: Scene, name: str) -> None:
    children = psutil.Process(scene.up.pid(name)).children()
    if children:
        scene.draw.choice(children).kill()


def stop_postgresql_at_once(scene: Scene) -> None:
    os.kill(scene.up.pid("postgresql"), signal.SIGQUIT)


def kill_postgresql(scene: Scene) -> None:
    os.kill(scene.up.pid("postgresql"), signal.SIGKILL)


def kill_valkey(scene: Scene) -> None:
    """What it knew of the queue is gone."""
    os.kill(scene.up.pid("valkey"), signal.SIGKILL)


def freeze_valkey(scene: Scene) -> None:
    frozen = scene.up.pid("valkey")
    os.kill(frozen, signal.SIGSTOP)
    time.sleep(scene.draw.uniform(1, 3))
    os.kill(frozen, signal.SIGCONT)


def kill_clickhouse(scene: Scene) -> None:
    os.kill(scene.up.pid("clickhouse"), signal.SIGKILL)


def crash_at_a_point(scene: Scene) -> None:
    scene.crash_file.write_text(scene.draw.choice(POINTS))


def sit_on_a_lock(scene: Scene) -> None:
    """Somebody's session holds customers' locks and does nothing."""
    with psycopg.connect(host=str(scene.up.sockets / "pg"), user="pointdesk", dbname="pointdesk") as session:
        session.execute("SET idle_in_transaction_session_timeout = '3s'")
        session.execute("SELECT 1 FROM loyalty_balance ORDER BY customer_id LIMIT 5 FOR UPDATE")
        time.sleep(4)


def put_the_clock_wrong(scene: Scene) -> None:
    """The worker's machine believes that it is another hour, week or year, and does what is done then."""
    hours = scene.draw.choice((-400 * 24, -72, -2, 2, 72, 400 * 24, 400 * 24, 400 * 24))
    scene.clock_file.write_text(str(hours * 3600))
    scene.up.manage("shell", "-v", "0", "-c", WHAT_A_CLOCK_DOES)
    scene.clock_file.unlink(missing_ok=True)


def mean_harm(scene: Scene) -> None:
    """Bodies that nobody can read, keys that nobody has, numbers that no column holds. What was kept once is known when it comes again."""
    bodies = (
        b"{", b"\xff\xfe", b'{"bill_no": "\\ud800"}', b'{"net_amount": 1e400, "bill_no": "X"}', b'{"net_amount": NaN}',
        b"[" * 10_000, b'{"bill_no": "' + b"9" * 70_000 + b'"}', b'{"bill_type": "SALE", "bill_no": "' + b"\x00" * 9 + b'"}',
        b'{"a": 1, "a": 2}', b'{"bill_date": "0000-01-01", "bill_no": "Y", "net_amount": "9223372036854775808"}',
    )  # fmt: skip
    for body in bodies:
        for key in (*scene.keys.values(), "pd_nobody_nothing"):
            status, message = send(scene.up, key, body), (key, body)
            assert status in (400, 401, 413, 422, 429, 503, 200, 202, 0), (status, body[:60])
            assert status != 200 or message in scene.tried, f"Known, and it never came: {body[:60]!r}"
            assert status != 202 or message not in scene.kept, f"Kept twice: {body[:60]!r}"
            scene.tried.add(message)
            if status == 202:
                scene.kept.add(message)


def send(up: Up, key: str, body: bytes) -> int:
    """-> the status; 0: nobody answered."""
    asked = urllib.request.Request(f"http://127.0.0.1:{up.port}/api/v1/bills", body, {"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except (urllib.error.URLError, OSError):
        return 0


FAULTS: tuple[Callable[[Scene], None], ...] = (
    kill_worker, kill_worker_child, kill_web, kill_web_child, kill_beat, stop_postgresql_at_once, kill_postgresql, kill_valkey,
    freeze_valkey, kill_clickhouse, crash_at_a_point, crash_at_a_point, sit_on_a_lock, mean_harm, put_the_clock_wrong,
)  # fmt: skip


class Trouble(threading.Thread):
    """Faults in a drawn order, one after the other, until the month is over. `told`: which, and when; `broken`: what a fault itself met."""

    def __init__(self, scene: Scene, *, pause: tuple[float, float], first: Sequence[Callable[[Scene], None]] = ()) -> None:
        """`first`: what comes before what is drawn."""
        super().__init__(daemon=True)
        self._scene, self._pause, self._over = scene, pause, threading.Event()
        self._first = list(first)
        self.told: list[str] = []
        self.broken: list[str] = []

    def run(self) -> None:
        began = time.monotonic()
        order = self._first
        while not self._over.wait(self._scene.draw.uniform(*self._pause)):
            order = order or self._scene.draw.sample(FAULTS, len(FAULTS))  # each comes before any comes again
            fault = order.pop()
            self.told.append(f"{time.monotonic() - began:5.1f} s  {fault.__name__}")
            try:
                fault(self._scene)
            except (psycopg.Error, ProcessLookupError, psutil.NoSuchProcess, FileNotFoundError, json.JSONDecodeError):
                continue  # what it was to hit is down already
            except AssertionError as problem:
                self.broken.append(f"{fault.__name__}: {problem}")
            self._heal()

    def _heal(self) -> None:
        """The supervisor gives up on a process that dies five times in two minutes; nobody is hit again before all is up."""
        deadline = time.monotonic() + 60
        while not self._scene.up.answers() and time.monotonic() < deadline and not self._over.is_set():
            time.sleep(0.2)

    def end(self) -> None:
        self._over.set()
        self.join(90)
        for file in (self._scene.crash_file, self._scene.clock_file):
            file.unlink(missing_ok=True)
