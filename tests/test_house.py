"""The house keeps its shape: imports in one direction, migrations complete, nothing of a machine in the files."""

import os
import string
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from tests.cases import table

ROOT = Path(__file__).resolve().parents[1]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_imports_go_in_one_direction() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_no_index_is_a_brin(db: None) -> None:
    """They lose rows that a long statement writes while vacuum runs (docs/decisions.md)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT i.relname FROM pg_class i JOIN pg_am a ON a.oid = i.relam WHERE a.amname = 'brin'")
        assert cursor.fetchall() == []


def test_no_committed_file_is_over_1_mb() -> None:
    assert [file.name for file in tracked() if file.exists() and file.stat().st_size > 1_000_000] == []


def test_locked_requirements_hold_hashes_and_no_addresses() -> None:
    for name in ("requirements.txt", "requirements-setup.txt"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert "--hash=sha256:" in text


def test_the_table_of_cases_is_true() -> None:
    assert (ROOT / "docs/cases.md").read_text() == table()


def test_production_passes_django_s_own_checks() -> None:
    environment = os.environ | {
        "HTTPS": "1",
        "SECRET_KEY": string.ascii_letters + string.digits,
        "ALLOWED_HOSTS": "desk.example",
        "DEBUG": "0",
    }
    environment.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)  # the browser tests' own

    def checked(**changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "ignore", "manage.py", "check", "--deploy", "--fail-level", "WARNING"], cwd=ROOT, capture_output=True,
            text=True, check=False, env=environment | changes,
        )  # fmt: skip

    done = checked(WEB_DATABASE_URL="postgresql://pointdesk_web@127.0.0.1/pointdesk")
    assert done.returncode == 0, done.stderr
    done = checked(WEB_DATABASE_URL="")
    assert (done.returncode, "WEB_DATABASE_URL" in done.stderr) == (1, True)
