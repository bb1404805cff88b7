"""Who receives what we send: a small mail server and a small web server, on this machine, with the faults of real ones."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Mailbox:
    """`refuse`: an answer to every recipient in place of 250, such as "550 no such user"."""

    port: int = 0
    refuse: str = ""
    got: list[Message] = field(default_factory=list)


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    box = Mailbox()

    class Talk(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            self.say("220 here")
            while line := self.rfile.readline().decode().strip():
                match line[:4].upper():
                    case "RCPT" if box.refuse:
                        self.say(box.refuse)
                    case "DATA":
                        self.say("354 go on")
                        body = b""
                        while (part := self.rfile.readline()) not in (b".\r\n", b""):
                            body += part
                        box.got.append(message_from_bytes(body))
                        self.say("250 taken")
                    case "QUIT":
                        self.say("221 bye")
                        return
                    case _:
                        self.say("250 fine")

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talk)) as port:
        box.port = port
        yield box


@dataclass
class Hook:
    """`answer`: the status to every POST; `drip`: answer byte by byte, for ever; `leads_to`: where a redirect leads."""

    port: int = 0
    answer: int = 200
    drip: bool = False
    leads_to: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?of=kulfi"


@contextmanager
def web_server() -> Iterator[Hook]:
    hook = Hook()
    over = threading.Event()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            while hook.drip and not over.wait(0.2):
                self.wfile.write(b"H")
            self.send_response(hook.answer)
            if hook.leads_to:
                self.send_header("Location", hook.leads_to)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Silent."""

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Answer)) as port:
        hook.port = port
        yield hook
        over.set()


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
