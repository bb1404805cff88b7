"""Migrations that run while shops sell: what a linter of PostgreSQL's says would make everybody wait, or break the version that still runs."""

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

OURS = ("tenants", "loyalty", "integrations", "support")
#: Made before anybody had an installation: on empty tables nothing waits.
BEFORE = {"tenants": 5, "loyalty": 10, "integrations": 13, "support": 3}
#: Matters of taste, or said elsewhere: time limits are set for each connection.
NOT_OURS = (
    "prefer-text-field", "prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-robust-stmts", "require-lock-timeout",
    "require-statement-timeout",
)  # fmt: skip
#: What is done nevertheless, and why that is well.
ALLOWED = {
    ("loyalty_0012_trail", "renaming-column"): "only the worker's sealing reads it, and it is tried again",
}


def number_of(name: str) -> int:
    return int(name.partition("_")[0])


@pytest.fixture(scope="module")
def statements(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: object) -> Path:
    """A file of SQL for each migration that is checked."""
    folder = tmp_path_factory.mktemp("migrations")
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        for app, name in MigrationLoader(connection).disk_migrations:
            if app in OURS and number_of(name) > BEFORE[app]:
                out = StringIO()
                call_command("sqlmigrate", app, name, stdout=out)
                (folder / f"{app}_{name}.sql").write_text(out.getvalue())
    return folder


def complaints(folder: Path) -> set[tuple[str, str]]:
    """(migration, rule) of whatever the linter says."""
    squawk = Path(sys.executable).with_name("squawk")
    files = sorted(str(file) for file in folder.glob("*.sql"))
    done = subprocess.run(
        [str(squawk), "--pg-version", "18", "--reporter", "json", "--exclude", ",".join(NOT_OURS), *files],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return {(Path(each["file"]).stem, each["rule_name"]) for each in json.loads(done.stdout)}


def test_no_migration_makes_anybody_wait(statements: Path) -> None:
    assert complaints(statements) - set(ALLOWED) == set()


def test_the_linter_sees_what_would_make_everybody_wait(tmp_path: Path) -> None:
    (tmp_path / "x_0001_bad.sql").write_text(
        "CREATE INDEX slow ON loyalty_entry (reason);\nALTER TABLE loyalty_entry ADD COLUMN x int NOT NULL;"
    )
    assert {rule for _, rule in complaints(tmp_path)} == {"require-concurrent-index-creation", "adding-required-field"}
