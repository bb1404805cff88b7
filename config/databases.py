"""Databases beside the running one, and PostgreSQL's own programs."""

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

from django.db import connection
from psycopg.conninfo import make_conninfo

from config.engines.postgresql import drop_database, tools
from tenants.errors import DomainError
from tenants.saying import said


@contextlib.contextmanager
def beside(prefix: str) -> Iterator[str]:
    """An empty database of a name of its own, gone afterwards, whatever happens. -> its name."""
    name = prefix + secrets.token_hex(6)
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        yield name
    finally:
        with connection._nodb_cursor() as cursor:
            drop_database(cursor, name)


@contextlib.contextmanager
def connected_to(name: str) -> Iterator[None]:
    """Django's own connection goes to that database meanwhile."""
    before = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before


def named(name: str) -> str:
    """For the tools of PostgreSQL; the password goes by the environment, where nobody reads it from the list of processes."""
    parts: dict[str, Any] = connection.settings_dict
    wanted = {"host": parts["HOST"], "port": parts["PORT"], "user": parts["USER"], "dbname": name}
    return f"--dbname={make_conninfo(**{key: str(value) for key, value in wanted.items() if value})}"


def run(tool: str, *arguments: str) -> str:
    """A program of PostgreSQL's; -> what it printed. Raises: DomainError `tool_failed`."""
    found = (shutil.which(tool, path=str(tools())) if tools() else None) or shutil.which(tool)
    if found is None:
        raise DomainError("tool_failed", said("{tool} is not installed. Install PostgreSQL's client programs.", tool=tool))
    environment = os.environ | {"PGPASSWORD": str(connection.settings_dict["PASSWORD"] or "")}
    environment.pop("PGOPTIONS", None)
    done = subprocess.run([found, *arguments], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise DomainError("tool_failed", said("{tool} failed: {why}", tool=tool, why=done.stderr.strip()[-500:]))
    return done.stdout
