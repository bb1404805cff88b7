"""A backup is one when it has been restored: dumped, restored beside, and asked everything an auditor asks."""

import json
import subprocess
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from config import backup
from support import heads
from tenants.models import AuditEvent, Tenant
from tests import builders

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def backed_up(committed: Tenant, settings: Any, tmp_path: Path) -> tuple[Path, Path]:
    """-> a backup with bills, points and sealed chains, and a file of heads that was kept elsewhere."""
    builders.deliver(committed, builders.bill("A1"), builders.paid_with_points("A2", 5))
    builders.issue(committed, builders.customer(committed), 40)
    for chain in heads.CHAINS.values():
        chain.seal(committed, up_to_id=2**62)
    kept, file = tmp_path / "heads.jsonl", tmp_path / "pointdesk.dump"
    settings.CHAIN_HEADS_FILE = str(kept)
    kept.write_text(json.dumps({"brand": committed.slug, **heads.of(committed)}) + "\n")
    assert told("back_up", str(file))["bytes"] > 10_000
    assert file.stat().st_mode & 0o077 == 0, "a backup is for nobody else"
    return file, kept


def told(*arguments: str, code: int = 0) -> dict[str, Any]:
    out = StringIO()
    try:
        call_command(*arguments, "--json", stdout=out, stderr=StringIO())
        assert code == 0
    except SystemExit as ended:
        assert ended.code == code
    found: dict[str, Any] = json.loads(out.getvalue() or "{}")
    return found


def leftovers() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{backup.PREFIX}%"])
        return [row[0] for row in cursor.fetchall()]


def test_a_backup_is_restored_and_verified_with_the_heads_and_leaves_nothing(backed_up: tuple[Path, Path]) -> None:
    file, kept = backed_up
    found = told("rehearse_restore", str(file), "--heads", str(kept))
    assert found["ok"], found["problems"]
    assert found["entries"] > 3
    assert found["events"] >= AuditEvent.objects.count() > 5
    assert found["newest"]
    assert leftovers() == []
    assert connection.settings_dict["NAME"] != found["database"]


def test_a_backup_of_a_forged_past_is_told(backed_up: tuple[Path, Path], committed: Tenant, tmp_path: Path) -> None:
    """Somebody who owns the database rewrites an event and its chain; the heads that were kept say so, also of every later backup."""
    _, kept = backed_up
    other = json.loads(kept.read_text())
    other["trail"]["digest"] = "00" * 32
    kept.write_text(json.dumps(other))
    found = told("rehearse_restore", str(backed_up[0]), "--heads", str(kept), code=1)
    assert [problem for problem in found["problems"] if "written anew" in problem and "trail" in problem]
    assert leftovers() == []


def test_a_broken_or_missing_backup_is_named_and_leaves_nothing(backed_up: tuple[Path, Path], tmp_path: Path) -> None:
    file, kept = backed_up
    cut = tmp_path / "cut.dump"
    cut.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    told("rehearse_restore", str(cut), code=2)
    told("rehearse_restore", str(tmp_path / "none.dump"), code=2)
    told("back_up", str(file), code=2)
    kept.write_text("nonsense\n")
    told("rehearse_restore", str(file), "--heads", str(kept), code=2)
    assert leftovers() == []
    assert sorted(each.name for each in tmp_path.glob("*.part")) == []


def test_the_password_stands_in_no_list_of_processes(
    monkeypatch: pytest.MonkeyPatch, backed_up: tuple[Path, Path], tmp_path: Path
) -> None:
    seen: list[Any] = []

    def run(argv: list[str], **options: Any) -> Any:
        (unfinished,) = tmp_path.glob("*.part")
        assert unfinished.stat().st_mode & 0o077 == 0, "also while it is written"
        seen.append((argv, options["env"]))
        return subprocess.CompletedProcess(argv, 1, "", "no")

    monkeypatch.setitem(connection.settings_dict, "PASSWORD", "very-secret")
    monkeypatch.setattr("config.databases.subprocess.run", run)
    told("back_up", str(tmp_path / "x.dump"), code=2)
    ((argv, environment),) = seen
    assert "very-secret" not in " ".join(argv)
    assert environment["PGPASSWORD"] == "very-secret"
