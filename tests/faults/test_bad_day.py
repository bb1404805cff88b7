"""A month in minutes under faults, of a fixed seed and of a random one: everything adds up. And four faults of ours, planted: each is found."""

import secrets
import tempfile
import warnings
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.bad_day.month import in_words, last_switch_of_clocks, survive

pytestmark = [pytest.mark.xdist_group("bad_day"), pytest.mark.timeout(900)]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own: PostgreSQL runs as a lesser user where we are root."""
    with tempfile.TemporaryDirectory(prefix="pointdesk-bad-day-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("seed", ["1", "random"])
def test_a_month_under_faults_adds_up(folder: Path, seed: str) -> None:
    """Played again with the seed that the summary names: python -m tests.bad_day --seed SEED --days 10 --bills 25."""
    report = survive(secrets.token_hex(4) if seed == "random" else seed, folder, days=10, bills=25, pause=(0.5, 2.5))
    warnings.warn(f"a bad day of seed {report.seed}: {report.figures}", stacklevel=1)
    assert not report.problems, in_words(report)


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("lock", "holds of 10 on 100 points"),
        ("ack", "'found': 'unknown'"),
        ("scope", "'expected': 'applied'"),
        ("clock", "points"),
    ],
)
def test_a_planted_fault_is_found(folder: Path, planted: str, found: str) -> None:
    report = survive("planted", folder, days=2, bills=30, planted=planted, pause=(3, 6), patience=15)
    assert any(found in problem for problem in report.problems), in_words(report)


def test_the_month_holds_the_night_on_which_clocks_are_changed() -> None:
    zone = ZoneInfo("America/New_York")
    assert last_switch_of_clocks(zone, before=date(2026, 11, 26)) == date(2026, 11, 1)
    assert last_switch_of_clocks(zone, before=date(2026, 7, 1)) == date(2026, 3, 8)
