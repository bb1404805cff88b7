"""A real web process (gunicorn, as the role `web`) on this worker's test database, for tests from outside."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from config.processes import WEB_WORKER

ROOT = Path(__file__).resolve().parents[1]


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process of ours on this test database."""
    parts = conninfo_to_dict(os.environ["DATABASE_URL"]) | {"dbname": connection.settings_dict["NAME"]}
    host = str(parts.pop("host", "") or "")
    database = make_conninfo(**{name: str(value) for name, value in parts.items()}, host=host)
    return os.environ | {"DATABASE_URL": database, "PYTEST_XDIST_WORKER": "", "SECRET_KEY": settings.SECRET_KEY} | changes


@contextmanager
def web_process(**changes: str) -> Iterator[str]:
    """-> its address, once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "config.wsgi:application", "-k", WEB_WORKER, "--threads", "8", "-b", f"127.0.0.1:{port}",
         "--no-control-socket"],
        cwd=ROOT, env=environment(POINTDESK_PROCESS="web", **changes), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{address}/live", timeout=2)
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, "the web process did not start"
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def manage(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(**changes),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
