"""ClickHouse's HTTP interface in front of the embedded engine: `python -m config.engines.clickhouse_server DIR PORT DB`.

Loopback only, one token. Each request gets an engine connection of its own, so per-query settings and the current
database never leak into the next one. Errors carry `X-ClickHouse-Exception-Code`, as clickhouse-connect expects.
"""

import base64
import gzip
import hmac
import io
import json
import os
import re
import signal
import sys
import tempfile
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame

#: Parts of the URL that belong to the transport and are not settings of the query.
TRANSPORT = {
    "query", "database", "default_format", "query_id", "session_id", "session_timeout", "session_check", "user", "password",
    "compress", "decompress", "buffer_size", "wait_end_of_query", "quota_key", "role", "client_protocol_version",
    "enable_http_compression", "http_zlib_compression_level", "send_progress_in_http_headers",
    "http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close",
}  # fmt: skip
SETTING_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
INSERT_WITH_DATA = re.compile(r"\s*INSERT\s+INTO\s+(?P<target>.+?)\s+FORMAT\s+(?P<format>\w+)\s*\Z", re.I | re.S)
FORMAT_CLAUSE = re.compile(r"\bFORMAT\s+(?P<format>\w+)\s*;?\s*\Z", re.I)
EXCEPTION_CODE = re.compile(r"Code: (\d+)")
BODY_MAX = 1 << 30


class Handler(BaseHTTPRequestHandler):
    #: An answer is written in two steps, and the second must not wait until the client has acknowledged the first: 40 ms a question.
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def _answer(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        if parts.path in ("/ping", "/replicas_status"):
            self._send(200, b"Ok.\n")
            return
        if not self._authorised():
            self._send(403, b"Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)\n", code="516")
            return
        parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
        try:
            answer, written = self._run(parameters, body)
            self._send(
                200,
                answer,
                headers={"X-ClickHouse-Format": "Native", "X-ClickHouse-Summary": json.dumps({"written_rows": str(written)})},
            )
        except Exception as error:  # an edge: whatever the engine says becomes ClickHouse's own error answer
            text = str(error)
            code = EXCEPTION_CODE.search(text)
            self._send(500, text.encode(errors="replace"), code=code.group(1) if code else "1002")

    def _run(self, parameters: dict[str, str], body: bytes) -> tuple[bytes, int]:
        """-> (the answer, rows written)."""
        query, data = self._split(parameters.get("query", ""), body)
        connection = chdb.connect(self.server.data_dir)
        try:
            database = parameters.get("database") or self.server.database
            connection.query(f"USE `{database.replace('`', '')}`")
            for name, value in parameters.items():
                if name not in TRANSPORT and not name.startswith("param_") and SETTING_NAME.match(name):
                    connection.query(f"SET {name} = '{_quoted(value)}'")
            values = {name.removeprefix("param_"): value for name, value in parameters.items() if name.startswith("param_")}
            if data is not None:
                return b"", self._insert(connection, query, data)
            clause = FORMAT_CLAUSE.search(query)
            output = clause.group("format") if clause else parameters.get("default_format", "TabSeparated")
            result = connection.query(query, output, params=values) if values else connection.query(query, output)
            return bytes(result.bytes()), result.rows_written()
        finally:
            connection.close()

    def _insert(self, connection: Any, query: str, data: bytes) -> int:
        """-> rows written. The engine has no stream for an insert's rows: they go through a file that only we can read."""
        parsed = INSERT_WITH_DATA.match(query)
        if parsed is None:
            raise ValueError("Code: 62. DB::Exception: Syntax error: INSERT with data needs FORMAT. (SYNTAX_ERROR)")
        with tempfile.NamedTemporaryFile(dir=self.server.data_dir + "/incoming", suffix=".block") as file:
            file.write(data)
            file.flush()
            result = connection.query(f"INSERT INTO {parsed['target']} SELECT * FROM file('{file.name}', '{parsed['format']}')")
        return int(result.rows_written())

    @staticmethod
    def _split(query: str, body: bytes) -> tuple[str, bytes | None]:
        """-> (statement, rows of an insert or None): the statement stands in the URL, in the body, or begins the body."""
        if query:
            is_insert = INSERT_WITH_DATA.match(query) is not None
            return (query, body) if is_insert else (query + ("\n" + body.decode() if body else ""), None)
        head, newline, rest = body.partition(b"\n")
        if newline and INSERT_WITH_DATA.match(head.decode(errors="replace")):
            return head.decode(), rest
        return body.decode(), None

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(pieces)
        else:
            length = int(self.headers.get("Content-Length") or 0)
            if length > BODY_MAX:
                raise ValueError("body too large")
            body = self.rfile.read(length)
        match self.headers.get("Content-Encoding", ""):
            case "gzip":
                return gzip.decompress(body)
            case "deflate":
                return zlib.decompress(body)
            case "lz4":
                with lz4.frame.open(
                    io.BytesIO(body)
                ) as frames:  # one for each block of an insert; `decompress` reads the first alone
                    return bytes(frames.read())
            case "" | "identity":
                return body
            case other:
                raise ValueError(f"Code: 43. DB::Exception: the embedded engine does not read Content-Encoding {other}")

    def _authorised(self) -> bool:
        scheme, _, credentials = self.headers.get("Authorization", "").partition(" ")
        given = self.headers.get("X-ClickHouse-Key", "")
        if scheme == "Basic":
            given = base64.b64decode(credentials).decode(errors="replace").partition(":")[2]
        return hmac.compare_digest(given.encode(), self.server.token.encode())

    def _send(self, status: int, body: bytes, *, code: str | None = None, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Timezone", "UTC")
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Queries are not logged: they may hold personal data."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, *, data_dir: str, database: str, token: str) -> None:
        self.data_dir, self.database, self.token = data_dir, database, token
        super().__init__(("127.0.0.1", port), Handler)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def main(data_dir: str, port: str, database: str) -> None:
    os.makedirs(data_dir + "/incoming", mode=0o700, exist_ok=True)
    for leftover in os.scandir(data_dir + "/incoming"):
        os.unlink(leftover.path)
    keeper = chdb.connect(data_dir)  # one connection stays open: the engine closes its folder with the last one
    keeper.query(f"CREATE DATABASE IF NOT EXISTS `{database}`")
    server = Server(int(port), data_dir=data_dir, database=database, token=os.environ["POINTDESK_CLICKHOUSE_TOKEN"])
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
    server.server_close()
    keeper.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
