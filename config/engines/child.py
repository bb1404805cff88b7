"""One child process: started so that it cannot outlive us, found again when it did, stopped for certain."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Login:
    """The user a child runs as. Only root needs one: PostgreSQL refuses to run as root."""

    uid: int
    gid: int


def dies_with_parent(sig: signal.Signals) -> Callable[[], None] | None:
    """On Linux the kernel tells a child that its parent is gone, even after kill -9. Elsewhere orphans are found at start."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def ask_kernel() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(sig), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel


class Child:
    """A named process with a pid file, so that the next start can find and stop what was left behind."""

    def __init__(self, name: str, *, state: Path, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        self.name = name
        self.log = state / "log" / f"{name}.log"
        self._pid_file = state / "pids" / f"{name}.json"
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, login: Login | None = None
    ) -> None:
        for folder in (self.log.parent, self._pid_file.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=cwd,
                env=dict(env) if env is not None else None,
                start_new_session=True,  # Ctrl-C reaches the supervisor only, which stops the rest in order
                user=login.uid if login else None,
                group=login.gid if login else None,
                extra_groups=[] if login else None,
                preexec_fn=dies_with_parent(self._stop_signal),
            )
        created = psutil.Process(self._process.pid).create_time()
        self._pid_file.write_text(json.dumps({"pid": self._process.pid, "created": created}))

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    def stop(self, *, timeout_seconds: float = 15) -> None:
        """Ask, wait, then insist; afterwards nothing of the child's process group is left."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            pass
        self.sweep_group()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._pid_file.unlink(missing_ok=True)

    def sweep_group(self) -> None:
        """Kill what a dead or stubborn child left in its process group."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def stop_orphan(self) -> bool:
        """Stop the process that an earlier, killed supervisor left; returns whether there was one."""
        try:
            note = json.loads(self._pid_file.read_text())
            orphan = psutil.Process(note["pid"])
            if abs(orphan.create_time() - note["created"]) > 1:  # the number was given to somebody else since
                raise psutil.NoSuchProcess(note["pid"])
        except (FileNotFoundError, ValueError, KeyError, psutil.NoSuchProcess):
            self._pid_file.unlink(missing_ok=True)
            return False
        family = [orphan, *orphan.children(recursive=True)]
        with contextlib.suppress(psutil.NoSuchProcess):
            orphan.send_signal(self._stop_signal)
        _, stubborn = psutil.wait_procs(family, timeout=10)
        for process in stubborn:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=5)
        self._pid_file.unlink(missing_ok=True)
        return True

    def last_words(self, lines: int = 8) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(no log)"


def wait_until(ready: Callable[[], bool], *, child: Child, timeout_seconds: float) -> bool:
    """Poll `ready` while the child lives; False when it died or the time is over."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if ready():
            return True
        if not child.alive():
            return False
        time.sleep(0.05)
    return False
