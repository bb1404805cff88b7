"""`manage.py up` from outside: what is killed comes back, what is stopped leaves nothing, two never share a folder."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from config.engines.places import Places

ROOT = Path(__file__).resolve().parents[2]
ENGINES = (
    "DATABASE_URL",
    "REDIS_URL",
    "CLICKHOUSE_URL",
    "CLICKHOUSE_PULL_URL",
    "WEB_DATABASE_URL",
    "REDIS_DB",
    "PYTEST_XDIST_WORKER",
    "DJANGO_SETTINGS_MODULE",
)
pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(600)]


class Up:
    """A running `manage.py up` with a data folder of its own."""

    def __init__(self, data_dir: Path, **changes: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.environment = {name: value for name, value in os.environ.items() if name not in ENGINES}
        self.environment |= {"DATA_DIR": str(data_dir), "PORT": str(self.port), **changes}
        self.state = data_dir / "engines"
        self.log = data_dir / "up.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ready(self, *, seconds: float = 240) -> "Up":
        """A first start makes databases and migrates: 20 s of a free machine, minutes of a taken one."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            if "READY http" in self.log.read_text() and self.answers():
                return self
            time.sleep(0.2)
        raise AssertionError(self.log.read_text())

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def knows(self, key: str, bill_no: str) -> bool:
        """Whether this bill is booked."""
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1/bills/{bill_no}", headers={"Authorization": f"Bearer {key}"}
        )
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @property
    def sockets(self) -> Path:
        return Places(self.state).sockets

    def end(self) -> None:
        """Ctrl-C, and what does not end by it is killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(90)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def pid(self, name: str) -> int:
        return int(json.loads((self.state / "pids" / f"{name}.json").read_text())["pid"])

    def family(self) -> list[psutil.Process]:
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return found

    def manage(self, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Not pytest's own: PostgreSQL runs as a lesser user where we are root, and every pytest that starts closes that folder to others."""
    with tempfile.TemporaryDirectory(prefix="pointdesk-up-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def up(data_dir: Path) -> Iterator[Up]:
    started = Up(data_dir)
    yield started
    if started.process.poll() is None:
        started.process.send_signal(signal.SIGINT)
        started.process.wait(60)


def gone(processes: list[psutil.Process], *, seconds: float = 20) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return not alive


def until(answer: object, *, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer():  # type: ignore[operator]
            return True
        time.sleep(0.3)
    return False


def test_everything_comes_up_and_ctrl_c_leaves_nothing(up: Up) -> None:
    family = up.ready().family()
    assert len(family) >= 8
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    assert gone(family)


def test_a_killed_engine_or_process_is_named_and_comes_back(up: Up) -> None:
    up.ready()
    for name in ("valkey", "web", "worker", "postgresql"):
        before = up.pid(name)
        os.kill(before, signal.SIGKILL)
        assert until(lambda name=name, before=before: up.pid(name) != before and up.answers()), f"{name}: {up.log.read_text()}"
        assert f"{name} died" in up.log.read_text()
    done = up.manage("audit_ledger", "--json")
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True)


@pytest.mark.case(22, 24, 31, 48)
def test_a_day_of_bills_survives_whatever_is_killed_under_it(up: Up) -> None:
    """PostgreSQL stopped at once, Redis frozen and then emptied, the worker killed: the tills' book is the server's (faults 7, 10-12)."""
    up.ready()
    assert up.manage("create_tenant", "played", "--json").returncode == 0
    assert up.manage("create_store", "played", "P1", "--json").returncode == 0
    key = json.loads(up.manage("create_api_key", "played", "--scope", "pos", "--scope", "read", "--json").stdout)["key"]
    tills = subprocess.Popen(
        [sys.executable, "manage.py", "pos_simulator", key, "--url", f"http://127.0.0.1:{up.port}", "--store", "P1", "--bills", "1200",
         "--customers", "30", "--clients", "2", "--faults", "all", "--seed", "up", "--json"],
        cwd=ROOT, env=up.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    first = [f"{datetime.now(UTC) - timedelta(days=1):%y%m%d}-up-{number:06d}" for number in range(1, 20)]
    assert until(lambda: any(up.knows(key, number) for number in first)), "nothing was sent"
    before = up.pid("postgresql")
    os.kill(before, signal.SIGQUIT)
    assert until(lambda: up.pid("postgresql") != before and up.answers()), up.log.read_text()
    os.kill(up.pid("worker"), signal.SIGKILL)
    valkey = up.pid("valkey")
    os.kill(valkey, signal.SIGSTOP)
    time.sleep(3)
    os.kill(valkey, signal.SIGCONT)
    os.kill(valkey, signal.SIGKILL)  # what it knew of the queue is gone
    told, said = tills.communicate(timeout=240)
    assert tills.returncode == 0, (told, said)
    book = json.loads(told)
    assert (book["differ"], set(book["answers"]) - {"none", "200", "201", "202", "404", "409", "422", "503"}) == ([], set())
    assert {"applied", "conflict", "quarantined"} <= set(book["found"])
    assert book["tried_again"] > 0, "it was played too quickly to notice anything"
    done = up.manage("audit_ledger", "--json")
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True)


def test_after_the_supervisor_was_killed_the_next_start_finds_all_well(up: Up) -> None:
    family = up.ready().family()
    made = up.manage("create_tenant", "kept", "--json")
    assert made.returncode == 0, made.stderr
    os.kill(up.process.pid, signal.SIGKILL)
    up.process.wait()
    assert gone(family), [process for process in family if process.is_running()]
    again = Up(up.state.parent).ready()
    try:
        assert again.manage("create_tenant", "kept", "--json").returncode == 2  # it is still there
    finally:
        again.process.send_signal(signal.SIGINT)
        again.process.wait(60)


def test_a_second_start_in_the_same_folder_is_refused(up: Up) -> None:
    up.ready()
    second = up.manage("up")
    assert second.returncode == 2
    assert "runs already" in second.stderr
    assert up.answers()


def test_a_start_that_is_broken_off_leaves_nothing_half_made(data_dir: Path) -> None:
    for seconds in (1.0, 1.6, 2.4):
        begun = Up(data_dir)
        time.sleep(seconds)
        begun.process.send_signal(signal.SIGINT)
        begun.process.wait(60)
    whole = Up(data_dir).ready()
    whole.process.send_signal(signal.SIGINT)
    assert whole.process.wait(60) == 0


def test_an_address_that_somebody_has_set_is_never_replaced(up: Up) -> None:
    up.ready()
    up.environment["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:9/none"
    done = up.manage("create_tenant", "elsewhere", "--json")
    del up.environment["DATABASE_URL"]
    assert done.returncode != 0
    assert up.manage("create_tenant", "elsewhere", "--json").returncode == 0
