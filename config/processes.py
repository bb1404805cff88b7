"""Everything that runs: engines, then web, worker and beat, as children of one process that ends them all in reverse."""

import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from config import stopping
from config.engines.child import Child, wait_until
from config.engines.house import ROOT, EngineHouse, Failure
from config.engines.places import is_free

#: A child that dies is started again, but not for ever: so often within so many seconds, and we give up.
RESTARTS_MAX = 5
RESTARTS_SECONDS = 120
WEB_THREADS = 8
WEB_WORKER = "config.web_worker.BufferingWorker"


def web_environment(**changes: str) -> dict[str, str]:
    """Of a web process: where it has a login of its own, it knows no other one."""
    found = os.environ | {"POINTDESK_PROCESS": "web"} | changes
    if found.get("WEB_DATABASE_URL"):
        for name in ("DATABASE_URL", "CLICKHOUSE_PULL_URL"):
            found.pop(name, None)
    return found


class Processes:
    """Start with `run`; `when_up` is called once the web answers, before beat starts."""

    def __init__(self, *, port: int, say: Callable[[str], None]) -> None:
        self._port = port
        self._say = say
        self._house = EngineHouse()
        state = self._house.places.state
        self._web = Child("web", state=state)
        self._worker = Child("worker", state=state)
        self._beat = Child("beat", state=state)
        self._restarts: dict[str, list[float]] = {}
        self._started: list[tuple[Child, Callable[[], None]]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def run(self, *, when_up: Callable[[], None]) -> int:
        """Start, watch until Ctrl-C, stop; -> exit code."""
        if not self._house.own():
            raise Failure(
                "Pointdesk (or a command of it) runs already from this folder. Stop it first, or set DATA_DIR to another folder."
            )
        for child in (self._beat, self._worker, self._web):
            child.stop_orphan()
        self._wait_for_port()
        try:
            stopping.listen()
            self._start()
            when_up()
            self._launch(self._beat, self._beat_command)
            self._say(f"READY {self.address}/")
            self._watch()
        except stopping.Stopped:
            self._say("Stopping ...")
            return 0
        except RuntimeError as problem:
            self._say(f"pointdesk: {problem}")
            return 1
        finally:
            stopping.ignore()
            for child, _ in reversed(self._started):
                child.stop()
            self._house.stop()
        return 1

    def _start(self) -> None:
        names = ", ".join(engine.name for engine in self._house.engines)
        self._say(f"Starting {names} ..." if names else "Using the servers of DATABASE_URL, REDIS_URL and CLICKHOUSE_URL ...")
        stopping.check()
        os.environ.update(self._house.start())
        self._migrate()
        self._launch(self._web, self._web_command)
        self._launch(self._worker, self._worker_command)
        if not wait_until(self._answers, child=self._web, timeout_seconds=60):
            raise RuntimeError(f"The web process did not start. Its last words:\n{self._web.last_words(15)}")

    def _migrate(self) -> None:
        child = Child("migrate", state=self._house.places.state)
        child.start([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, env=os.environ)
        try:
            while child.alive():
                stopping.check()
                time.sleep(0.05)
        finally:
            child.stop()
        if child.exit_code:
            raise RuntimeError(f"The database could not be migrated:\n{child.last_words(15)}")

    def _launch(self, child: Child, start: Callable[[], None]) -> None:
        stopping.check()
        start()
        self._started.append((child, start))

    def _web_command(self) -> None:
        argv = [
            sys.executable, "-m", "gunicorn", "config.wsgi:application", "--worker-class", WEB_WORKER, "--workers", "2",
            "--threads", str(WEB_THREADS), "--bind", f"127.0.0.1:{self._port}", "--timeout", "60", "--graceful-timeout", "5",
            "--worker-tmp-dir", _memory_folder(), "--no-control-socket", "--preload",
        ]  # fmt: skip
        self._web.start(argv, cwd=ROOT, env=web_environment())

    def _worker_command(self) -> None:
        argv = [
            sys.executable, "-m", "celery", "-A", "config.celery", "worker", "--concurrency", "2", "--loglevel", "warning",
            "--without-gossip", "--without-mingle", "--hostname", f"worker-{self._port}@%h",
        ]  # fmt: skip
        self._worker.start(argv, cwd=ROOT, env=os.environ)

    def _beat_command(self) -> None:
        schedule = self._house.places.state / "beat"
        schedule.mkdir(mode=0o700, exist_ok=True)
        argv = [
            sys.executable, "-m", "celery", "-A", "config.celery", "beat", "--loglevel", "warning",
            "--schedule", str(schedule / "schedule"), "--pidfile", "",
        ]  # fmt: skip
        self._beat.start(argv, cwd=ROOT, env=os.environ)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _watch(self) -> None:
        while True:
            stopping.check()
            time.sleep(0.5)
            for engine in self._house.engines:
                if not engine.child.alive():
                    self._revive(engine.child, engine.start)
            for child, start in self._started:
                if not child.alive():
                    self._revive(child, start)

    def _revive(self, child: Child, start: Callable[[], None]) -> None:
        """Start a dead child again on its old address. Raises: RuntimeError, when it keeps dying."""
        now = time.monotonic()
        recent = [moment for moment in self._restarts.get(child.name, []) if now - moment < RESTARTS_SECONDS] + [now]
        self._restarts[child.name] = recent
        if len(recent) > RESTARTS_MAX:
            raise RuntimeError(f"{child.name} keeps dying (exit {child.exit_code}). Its last words:\n{child.last_words(15)}")
        self._say(f"{child.name} died (exit {child.exit_code}); starting it again.")
        child.sweep_group()
        start()
        urls = self._house.publish()
        if any(os.environ.get(name) != url for name, url in urls.items()):
            # Its old port was taken meanwhile: everybody has to learn the new address.
            os.environ.update(urls)
            for service, launch in self._started:
                service.stop()
                launch()

    def _wait_for_port(self) -> None:
        """The web processes of a killed supervisor need a moment to end. Raises: Failure, when it is somebody else's port."""
        deadline = time.monotonic() + 10
        while not is_free(self._port):
            if time.monotonic() > deadline:
                raise Failure(f"Port {self._port} is in use. Choose another one: PORT={self._port + 1} make ...")
            time.sleep(0.1)


def _memory_folder() -> str:
    return "/dev/shm" if Path("/dev/shm").is_dir() else "/tmp"
