"""All embedded engines of one data directory: who owns them, who is a guest, and who turns off the light.

One process owns the engines (a lock that the kernel frees even after kill -9); every other process that needs them is
a guest. An owner that is done waits for its guests. An owner that died leaves, at worst, orphans that the next stops.
"""

import contextlib
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TextIO

from config.engines.child import Child
from config.engines.clickhouse import ClickHouse
from config.engines.places import Places
from config.engines.postgresql import PostgreSQL
from config.engines.valkey import Valkey

ROOT = Path(__file__).resolve().parents[2]
GUEST_WAIT_SECONDS = 60


class Failure(RuntimeError):
    """The engines cannot be had; the message says what to do."""


class Engine(Protocol):
    name: str
    variable: str
    child: Child

    @property
    def url(self) -> str: ...
    def start(self) -> None: ...


def data_dir() -> Path:
    return ROOT / os.environ.get("DATA_DIR", "var")


class EngineHouse:
    """The engines that no URL replaces, in start order. Use as owner: `start`, `stop`."""

    def __init__(self, *, directory: Path | None = None, durable: bool = True) -> None:
        self.places = Places(directory or data_dir())
        kinds: list[type[PostgreSQL] | type[Valkey] | type[ClickHouse]] = [PostgreSQL, Valkey, ClickHouse]
        self.engines: list[Engine] = [kind(self.places, durable=durable) for kind in kinds if kind.variable not in os.environ]
        self._notice = self.places.state / "running.json"
        self._owner_lock: TextIO | None = None
        self._guest_lock: TextIO | None = None

    def own(self) -> bool:
        """Take the owner's lock; False when somebody else has it."""
        lock = (self.places.state / "owner.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        os.set_inheritable(lock.fileno(), False)
        self._owner_lock = lock
        self._notice.unlink(missing_ok=True)  # of an owner that was killed
        return True

    def start(self) -> dict[str, str]:
        """Stop orphans, start every engine in order, -> the URLs. Needs the owner's lock."""
        self._notice.unlink(missing_ok=True)
        for engine in reversed(self.engines):
            if engine.child.stop_orphan():
                print(f"stopped an orphaned {engine.name}", file=sys.stderr)
        try:
            for engine in self.engines:
                engine.start()
        except BaseException:
            self._stop_engines()
            raise
        return self.publish()

    def publish(self) -> dict[str, str]:
        urls = {engine.variable: engine.url for engine in self.engines}
        for engine in self.engines:
            if isinstance(engine, PostgreSQL):
                urls["CLICKHOUSE_PULL_URL"] = engine.url_for_clickhouse
                urls["WEB_DATABASE_URL"] = engine.url_for_web
        fresh = self._notice.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            json.dump(urls, handle)
        fresh.rename(self._notice)
        return urls

    def stop(self) -> None:
        """Wait until the guests have left, then stop the engines in reverse order and give up the lock."""
        self._notice.unlink(missing_ok=True)
        lock = (self.places.state / "guests.lock").open("w")
        deadline = time.monotonic() + GUEST_WAIT_SECONDS
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.1)
        self._stop_engines()
        lock.close()
        if self._owner_lock:
            self._owner_lock.close()
            self._owner_lock = None

    def _stop_engines(self) -> None:
        for engine in reversed(self.engines):
            engine.child.stop()

    def visit(self) -> dict[str, str] | None:
        """As a guest: the URLs of the running engines, or None when their owner is gone."""
        deadline = time.monotonic() + GUEST_WAIT_SECONDS
        while time.monotonic() < deadline:
            lock = (self.places.state / "guests.lock").open("w")
            with contextlib.suppress(BlockingIOError, FileNotFoundError, ValueError):
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                urls: dict[str, str] = json.loads(self._notice.read_text())
                self._guest_lock = lock
                return urls
            lock.close()  # an owner that is leaving waits for its guests: we are none while we wait
            if self.own():
                return None
            time.sleep(0.1)
        raise Failure(f"The embedded engines of {self.places.state} are starting or stopping for too long. See its log folder.")

    def leave(self) -> None:
        if self._guest_lock:
            self._guest_lock.close()
            self._guest_lock = None


@contextlib.contextmanager
def running(*, directory: Path | None = None, durable: bool = True) -> Iterator[None]:
    """Sets `DATABASE_URL`, `REDIS_URL` and `CLICKHOUSE_URL` where missing: from the running engines, or from ones started
    for as long as this lasts.

    Raises: Failure, when they neither run nor start.
    """
    try:
        house = EngineHouse(directory=directory, durable=durable)
    except RuntimeError as problem:
        raise Failure(str(problem)) from problem
    if not house.engines:
        yield
        return
    urls = None if house.own() else house.visit()
    owner = urls is None
    try:
        if urls is None:
            try:
                urls = house.start()
            except RuntimeError as problem:
                raise Failure(str(problem)) from problem
        missing = [engine.variable for engine in house.engines if engine.variable not in urls]
        if missing:
            raise Failure(f"Pointdesk runs from this folder on servers of its own. Set {', '.join(missing)} here too.")
        for name, url in urls.items():
            os.environ.setdefault(name, url)  # what somebody has set stays
        yield
    finally:
        house.stop() if owner else house.leave()
