"""A real web process for benches, and clients that each keep one connection."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from http.cookies import SimpleCookie
from statistics import quantiles

from django.conf import settings
from django.test import Client

from config.engines.child import dies_with_parent
from config.engines.house import ROOT
from config.processes import WEB_WORKER
from tenants import staff
from tenants.actors import SYSTEM
from tenants.models import Tenant


class Web:
    """gunicorn as in production, with four threads. `application`: what it serves."""

    def __init__(self, database_url: str, *, application: str = "config.wsgi:application") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", application, "-k", WEB_WORKER, "--threads", "4", "-b", f"127.0.0.1:{self.port}",
             "--keep-alive", "60", "--no-control-socket"],
            cwd=ROOT, env=os.environ | {"POINTDESK_PROCESS": "web", "DATABASE_URL": database_url, "WEB_DATABASE_URL": "", "SECOND_FACTOR": "0"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=dies_with_parent(signal.SIGTERM),
        )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    def connect(self) -> http.client.HTTPConnection:
        """A connection, as soon as the process answers."""
        deadline = time.monotonic() + 60
        while True:
            client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                client.request("GET", "/ready")
                client.getresponse().read()
                return client
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.1)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)


class Visitor:
    """An administrator of the tenant, signed in to a web process, who looks at pages one after the other."""

    def __init__(self, database_url: str, tenant: Tenant) -> None:
        user, _ = staff.create_staff(tenant, email="bench@pointdesk.example", role="admin", name="Bench", actor=SYSTEM)
        signed_in = Client()
        signed_in.force_login(user)
        self._headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={signed_in.cookies[settings.SESSION_COOKIE_NAME].value}"}
        self._web = Web(database_url)
        self._client = self._web.connect()
        #: By what was looked at, how long each took.
        self.seconds: dict[str, list[float]] = {}

    @property
    def port(self) -> int:
        return int(self._web.port)

    @property
    def pid(self) -> int:
        return self._web.pid

    def take(self, path: str) -> int:
        """A file, read as it comes; -> its rows without the head. Raises: AssertionError where there is none."""
        self._client.request("GET", "/admin/activity/", headers=self._headers)
        answer = self._client.getresponse()
        answer.read()
        token = SimpleCookie(answer.headers["Set-Cookie"] or "")[settings.CSRF_COOKIE_NAME].value
        cookie = f"{self._headers['Cookie']}; {settings.CSRF_COOKIE_NAME}={token}"
        self._client.request("POST", path, headers={"Cookie": cookie, "X-CSRFToken": token})
        answer = self._client.getresponse()
        assert answer.status == 200, answer.read()[:300]
        lines = 0
        while piece := answer.read(1 << 20):
            lines += piece.count(b"\r\n")
        return lines - 1

    def look(self, paths: Sequence[str], what: str, *, headers: dict[str, str] | None = None) -> int:
        """-> pages seen. `headers`: of a caller who is nobody's session. Raises: AssertionError where one does not open."""
        for path in paths:
            began = time.perf_counter()
            self._client.request("GET", path, headers=headers or self._headers)
            answer = self._client.getresponse()
            text = answer.read()
            self.seconds.setdefault(what, []).append(time.perf_counter() - began)
            assert answer.status in (200, 302), (path, answer.status, text[:300])
        return len(paths)

    def times(self) -> str:
        p95 = {what: quantiles(seconds, n=20)[18] * 1000 for what, seconds in self.seconds.items()}
        return f"p95 {p95['ours']:.1f} ms, the change page {p95['limit']:.1f} ms"

    def close(self) -> None:
        self._client.close()
        self._web.close()
