"""The web process's worker: gunicorn keeps the processes, waitress reads the requests.

gunicorn's own threads read from the sockets, so that as many slow senders as there are threads stop everybody. Here one loop reads from
all connections, and a thread gets a request when it is whole; a slow sender costs a connection, and nothing else.

What waitress lets pass and a front door must not is refused when the headers end, before a byte of the body is kept: bodies that nobody
takes, above all of strangers, and every shape in which two servers may read two different requests.
"""

import json
import logging
import os
import resource
import time
from typing import Any

from django.conf import settings
from gunicorn.workers.base import Worker
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import create_server
from waitress.utilities import Error

MIB = 1 << 20
#: What the API takes at most (a batch), what the desk takes (a file and its form), and what is taken of somebody without key or session.
API_MAX, DESK_MAX, STRANGER_MAX = 16 * MIB, 24 * MIB, MIB
#: A larger body is received and thrown away, so that its sender hears why; beyond this the connection is closed at once.
HEARD_MAX = 64 * MIB
HEADERS_MAX = 32 << 10
#: Connections of one process, where files suffice: a larger body takes one more.
CONNECTIONS_MAX = 900
FILES_WANTED = 4096
#: Without a byte for so long a connection is closed.
SILENT_SECONDS = 60
#: At the end: a connection that has been idle for so long is closed.
IDLE_SECONDS = 0.5


class Refused(Error):
    """An answer of the door itself, in the shape of the API's errors (docs/api.md)."""

    def __init__(self, status: int, reason: str, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = status, reason
        self._body = {"error": {"code": code, "message": message, "details": {}, "request_id": ""}}

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        return f"{self.code} {self.reason}", [("Content-Type", "application/json")], json.dumps(self._body).encode()


class Nothing:
    """A receiver that keeps nothing of a body."""

    error = None

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def completed(self) -> bool:
        return not self._left

    def received(self, data: bytes) -> int:
        taken = min(len(data), self._left)
        self._left -= taken
        return taken

    def getbuf(self) -> "Nothing":
        return self

    def close(self) -> None:
        """There is nothing to close."""

    def __len__(self) -> int:
        return 0


class StrictParser(HTTPRequestParser):
    """A request whose headers are judged before its body is kept."""

    error: Error | None
    completed: bool
    expect_continue: bool
    #: The process is about to end: each answer is the last of its connection.
    ending = False
    _judged = False
    _refusal: Refused | None = None
    _has_encoding = False

    def parse_header(self, header_plus: bytes) -> None:
        if b"\n " in header_plus or b"\n\t" in header_plus:
            raise ParsingError("A header goes on in the next line. Send each in one line.")
        super().parse_header(header_plus)
        self._has_encoding = any(
            line.partition(b":")[0].strip().lower() == b"transfer-encoding" for line in header_plus.split(b"\r\n")
        )

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if self.headers_finished and not self._judged:
            self._judged = True
            if self.error is None and not self.empty:
                self._refuse(self._judge())
        if self.completed:
            self.error = self._refusal or self.error
            if self.ending:
                self.headers["CONNECTION"] = "close"
        return consumed

    def _refuse(self, refusal: Refused | None) -> None:
        self._refusal = refusal
        if refusal is None:
            return
        if refusal.code == 413 and self.content_length <= HEARD_MAX and not self.expect_continue:
            self.body_rcv = Nothing(self.content_length)
        else:
            self.completed, self.expect_continue = True, False

    def _judge(self) -> Refused | None:
        if self.version not in ("1.0", "1.1"):
            return Refused(505, "HTTP Version Not Supported", "bad_version", "Send the request in version 1.1 of HTTP.")
        if self._has_encoding:
            return Refused(411, "Length Required", "length_required", "Send the body with its Content-Length, not in chunks.")
        known = self.headers.get("AUTHORIZATION", "").startswith(
            "Bearer pd_"
        ) or f"{settings.SESSION_COOKIE_NAME}=" in self.headers.get("COOKIE", "")
        largest = (API_MAX if self.path.startswith("/api/") else DESK_MAX) if known else STRANGER_MAX
        if self.content_length > largest:
            told = f"A body may have at most {largest >> 20} MiB here. Send it in smaller parts."
            return Refused(413, "Content Too Large", "too_large", told)
        return None


class StrictChannel(HTTPChannel):
    parser_class = StrictParser


class BufferingWorker(Worker):
    """`--worker-class config.web_worker.BufferingWorker`; obeys `--threads` and `--graceful-timeout`."""

    def run(self) -> None:
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # that requests wait for a thread is no event
        connections: dict[int, Any] = {}
        server = create_server(
            _without_bodies_for_head(self.wsgi),
            map=connections,
            sockets=[each.sock for each in self.sockets],
            threads=self.cfg.threads,
            connection_limit=min(CONNECTIONS_MAX, (_open_files() - 200) // 2),
            channel_timeout=SILENT_SECONDS,
            max_request_body_size=HEARD_MAX + 1,
            max_request_header_size=HEADERS_MAX,
            clear_untrusted_proxy_headers=False,  # who trusts them is a setting of the application (BEHIND_PROXY)
            asyncore_use_poll=True,
            ident=None,
        )
        server.channel_class = StrictChannel
        while self.alive and self.ppid == os.getppid():
            self._turn(connections)
        for listener in [each for each in connections.values() if getattr(each, "accepting", False)]:
            listener.del_channel()  # takes no more; another worker does
        self._finish(connections, server.task_dispatcher)

    def _turn(self, connections: dict[int, Any], *, seconds: float = 0.5) -> None:
        self.notify()
        wasyncore.loop(timeout=seconds, use_poll=True, map=connections, count=1)

    def _finish(self, connections: dict[int, Any], threads: Any) -> None:
        """Answer what has begun to come, as long as there is time; each answer is the last of its connection."""
        StrictParser.ending = True
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while time.monotonic() < deadline:
            channels = [each for each in connections.values() if isinstance(each, HTTPChannel)]
            if not channels:
                break
            for each in channels:
                if _is_idle(each):
                    each.handle_close()
            self._turn(connections, seconds=0.1)
        threads.shutdown(timeout=1)


def _without_bodies_for_head(application: Any) -> Any:
    """An answer to HEAD has its headers only: a body would be read as the next answer."""

    def answer(environ: Any, start_response: Any) -> Any:
        body = application(environ, start_response)
        if environ["REQUEST_METHOD"] != "HEAD":
            return body
        if hasattr(body, "close"):
            body.close()
        return []

    return answer


def _is_idle(channel: Any) -> bool:
    busy = channel.requests or channel.request is not None or channel.total_outbufs_len
    return not busy and time.time() - channel.last_activity > IDLE_SECONDS


def _open_files() -> int:
    """How many files this process may open: as many as we want, where that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES_WANTED:
        soft = min(FILES_WANTED, hard) if hard != resource.RLIM_INFINITY else FILES_WANTED
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft
