"""Where the engines keep things: state folder, sockets, ports and secrets of one checkout."""

import hashlib
import json
import os
import secrets
import socket
import stat
import tempfile
from pathlib import Path

SOCKET_PATH_MAX = 80  # a unix socket's whole path must stay below 108 bytes


def reachable(path: Path) -> bool:
    """Can a lesser user walk to this path? (A venv or checkout below a 0700 home cannot be reached.)"""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in [path, *path.resolve().parents] if folder.is_dir())


class Places:
    """The folders of one data directory; two checkouts never share any of them."""

    def __init__(self, data_dir: Path) -> None:
        data_dir = data_dir.resolve()
        mark = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
        data_dir.mkdir(parents=True, exist_ok=True)
        self.state = data_dir / "engines"
        if os.geteuid() == 0:
            data_dir.chmod(data_dir.stat().st_mode | stat.S_IXOTH)
            if not reachable(data_dir):
                self.state = Path("/var/tmp") / f"pointdesk-{mark}"
        self.state.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._own(self.state)
        self.state.chmod(0o711)
        self.sockets = self.state / "run"
        if len(str(self.sockets)) > SOCKET_PATH_MAX:
            self.sockets = Path(tempfile.gettempdir()) / f"pointdesk-{os.geteuid()}-{mark}"
        self.sockets.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._own(self.sockets)
        self.sockets.chmod(0o711)

    @staticmethod
    def _own(folder: Path) -> None:
        if folder.lstat().st_uid != os.geteuid():
            raise RuntimeError(f"{folder} belongs to another user. Remove it or set DATA_DIR to a folder of your own.")

    def port(self, name: str) -> int:
        """The port of last time if it is still free, else a new one."""
        file = self.state / "ports.json"
        ports: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        if name not in ports or not is_free(ports[name]):
            ports[name] = _free_port()
            file.write_text(json.dumps(ports))
        return ports[name]

    def secret(self, name: str) -> str:
        """A random password made once, readable only for us."""
        file = self.state / f"{name}.secret"
        if not file.exists():
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
                handle.write(secrets.token_urlsafe(24))
        return file.read_text()


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
