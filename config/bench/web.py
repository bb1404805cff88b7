"""A real web process for benches, and clients that each keep one connection."""

import http.client
import os
import socket
import subprocess
import sys
import time

from config.engines.house import ROOT
from config.processes import WEB_WORKER


class Web:
    """gunicorn as in production, with four threads. `application`: what it serves."""

    def __init__(self, database_url: str, *, application: str = "config.wsgi:application") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", application, "-k", WEB_WORKER, "--threads", "4", "-b", f"127.0.0.1:{self._port}",
             "--keep-alive", "60", "--no-control-socket"],
            cwd=ROOT, env=os.environ | {"POINTDESK_PROCESS": "web", "DATABASE_URL": database_url},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def connect(self) -> http.client.HTTPConnection:
        """A connection, as soon as the process answers."""
        deadline = time.monotonic() + 60
        while True:
            client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
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
