"""ClickHouse from the `chdb-core` wheel, served over ClickHouse's HTTP interface by one small process of ours."""

import os
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path

from config.engines.child import Child, wait_until
from config.engines.places import Places

ROOT = Path(__file__).resolve().parents[2]
DATABASE = "pointdesk"


class ClickHouse:
    """clickhouse-connect cannot tell it from a server; `CLICKHOUSE_URL` replaces it by a real one."""

    name = "clickhouse"
    variable = "CLICKHOUSE_URL"

    def __init__(self, places: Places, *, durable: bool = True) -> None:
        self._places = places
        self._data = places.state / "clickhouse"
        self._port = 0
        self.child = Child("clickhouse", state=places.state, stop_signal=signal.SIGTERM)

    @property
    def url(self) -> str:
        return f"http://pointdesk:{self._places.secret('clickhouse')}@127.0.0.1:{self._port}/{DATABASE}"

    def start(self) -> None:
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._port = self._places.port("clickhouse")
        self.child.start(
            [sys.executable, "-m", "config.engines.clickhouse_server", str(self._data), str(self._port), DATABASE],
            env=os.environ | {"POINTDESK_CLICKHOUSE_TOKEN": self._places.secret("clickhouse")},
            cwd=ROOT,
        )
        if not wait_until(self._answers, child=self.child, timeout_seconds=60):
            raise RuntimeError(f"ClickHouse did not start. Its last words:\n{self.child.last_words()}")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/ping", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
