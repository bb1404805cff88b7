"""The web process's worker: gunicorn keeps the processes, waitress reads the requests.

gunicorn's own threads read from the sockets, so that as many slow senders as there are threads stop everybody. Here one loop reads from
all connections, and a thread gets a request when it is whole; a slow sender costs a connection, and nothing else.
"""

import logging
import os
import time
from typing import Any

from gunicorn.workers.base import Worker
from waitress import wasyncore
from waitress.server import create_server

#: Connections of one process, below the usual limit of 1,024 open files.
CONNECTIONS_MAX = 900
#: The API answers to larger bodies than it takes by name; beyond this nothing is read.
BODY_MAX = 64 << 20
HEADERS_MAX = 32 << 10
#: Without a byte for so long a connection is closed.
SILENT_SECONDS = 60


class BufferingWorker(Worker):
    """`--worker-class config.web_worker.BufferingWorker`; obeys `--threads` and `--graceful-timeout`."""

    def run(self) -> None:
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # that requests wait for a thread is no event
        connections: dict[int, Any] = {}
        server = create_server(
            self.wsgi,
            map=connections,
            sockets=[each.sock for each in self.sockets],
            threads=self.cfg.threads,
            connection_limit=CONNECTIONS_MAX,
            channel_timeout=SILENT_SECONDS,
            max_request_body_size=BODY_MAX,
            max_request_header_size=HEADERS_MAX,
            clear_untrusted_proxy_headers=False,  # who trusts them is a setting of the application (BEHIND_PROXY)
            asyncore_use_poll=True,
            ident=None,
        )
        while self.alive and self.ppid == os.getppid():
            self._turn(connections)
        for listener in [each for each in connections.values() if getattr(each, "accepting", False)]:
            listener.del_channel()  # takes no more; another worker does
        self._finish(connections, server.task_dispatcher)

    def _turn(self, connections: dict[int, Any]) -> None:
        self.notify()
        wasyncore.loop(timeout=0.5, use_poll=True, map=connections, count=1)

    def _finish(self, connections: dict[int, Any], threads: Any) -> None:
        """Answer what has come whole, as long as there is time."""
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while time.monotonic() < deadline and (threads.queue or threads.active_count or _unsent(connections)):
            self._turn(connections)
        threads.shutdown(timeout=1)


def _unsent(connections: dict[int, Any]) -> bool:
    return any(getattr(each, "total_outbufs_len", 0) for each in connections.values())
