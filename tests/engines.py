"""A pytest plugin: real engines for the whole run, a Valkey and ClickHouse database of its own for every worker process."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect

from config.engines import running

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
_engines = running(directory=Path(os.environ.get("TEST_DATA_DIR", "var/test")).resolve(), durable=False)
_engines.__enter__()

_number = int(WORKER.removeprefix("gw") or 0) if WORKER else 0
os.environ["SECOND_FACTOR"] = "0"  # but where a test says so: people are signed in without their phone
os.environ["REDIS_DB"] = str(2 * _number)
_parts = urlsplit(os.environ["CLICKHOUSE_URL"])
_database = f"test_pointdesk_{WORKER or 'main'}"
os.environ["CLICKHOUSE_URL"] = _parts._replace(path=f"/{_database}").geturl()


def pytest_configure(config: Any) -> None:
    client = clickhouse_connect.get_client(
        host=_parts.hostname or "127.0.0.1",
        port=_parts.port or 8123,
        username=_parts.username or "default",
        password=_parts.password or "",
        autogenerate_session_id=False,
    )
    client.command(f"DROP DATABASE IF EXISTS {_database}")
    client.command(f"CREATE DATABASE {_database}")
    client.close()


def pytest_unconfigure(config: Any) -> None:
    _engines.__exit__(None, None, None)
