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

from config.processes import WEB_WORKER, web_environment

ROOT = Path(__file__).resolve().parents[1]


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process of ours on this test database."""
    found = {name: on_this_database(os.environ[name]) for name in ("DATABASE_URL", "WEB_DATABASE_URL") if os.environ.get(name)}
    return os.environ | found | {"PYTEST_XDIST_WORKER": "", "SECRET_KEY": settings.SECRET_KEY} | changes


def on_this_database(url: str) -> str:
    """The same server and login, on this worker's test database."""
    parts = conninfo_to_dict(url) | {"dbname": connection.settings_dict["NAME"]}
    host = str(parts.pop("host", "") or "")
    return make_conninfo(**{name: str(value) for name, value in parts.items()}, host=host)


@contextmanager
def web_process(**changes: str) -> Iterator[str]:
    """-> its address, once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "config.wsgi:application", "-k", WEB_WORKER, "--threads", "8", "-b", f"127.0.0.1:{port}",
         "--no-control-socket"],
        cwd=ROOT, env=web_environment(**environment(**changes)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
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
