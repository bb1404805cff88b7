"""Loads the demo as two chains' tills would: over the HTTP API, week by week, holds first, then bills."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tqdm import tqdm

from config.demo import bonuses, scenes
from config.demo.campaigns import DemoCampaign, campaigns
from config.demo.full import Cut, whole_cut
from config.demo.journey import TenantStream, Wave, build
from config.demo.repush import LABEL, PushedAgain, pushed_again
from config.demo.stories import Story
from config.engines.house import ROOT, data_dir

BILLS_A_BATCH = 100
WAVE_SECONDS_MAX = 120
PASSWORD = "pointdesk-demo"  # noqa: S105 - a demo on loopback, printed on the screen
STAFF = {
    "kulfi-house": (("alice@kulfi.example", "Alice Mathew", "admin"), ("bob@kulfi.example", "Bob Selvam", "agent")),
    "liberty-deli": (("dana@liberty.example", "Dana Price", "admin"), ("charlie@liberty.example", "Charlie Reed", "agent")),
}


class LoadFailed(RuntimeError):
    """The demo could not be loaded; the message says where it stopped."""


def load_demo(address: str, *, say: Callable[[str], None], full: bool = False) -> None:
    """Make both tenants and send their half year (`full`: of the whole cut), once; a later start reuses what is there. Prints the logins."""
    note = data_dir() / "demo.json"
    known: dict[str, Any] = json.loads(note.read_text()) if note.exists() else {}
    if not known.get("loaded"):
        yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
        cut = whole_cut(data_dir(), say=say) if full else Cut()
        streams = build(ends_on=yesterday, baskets=cut.baskets)
        targeted = campaigns(ends_on=yesterday, baskets=cut.baskets, packed=cut.campaigns)
        keys = known.get("keys") or _set_up(streams, targeted, note=note)
        _send_all(address, streams, keys)
        kulfi = next(stream for stream in streams if stream.slug == "kulfi-house")
        till = Till(address, keys["kulfi-house"])
        again = till.send_again(pushed_again(kulfi))
        later = {"kulfi-house": scenes.play(kulfi, call=till.call_and_wait)}
        stories = {stream.slug: [*_stories(stream, targeted), *later.get(stream.slug, [])] for stream in streams}
        _manage("demo_desk", stories)
        # Beat starts when all is loaded; the dashboards shall be there by then.
        subprocess.run([sys.executable, "manage.py", "feed_analytics", "--json"], cwd=ROOT, capture_output=True, check=False)
        known = {"loaded": True, "keys": keys, "again": again, "stories": stories}
        _write(note, known)
    say("")
    say(f"Sign in at {address}/admin/ (password for all: {PASSWORD})")
    for slug, people in STAFF.items():
        for email, name, role in people:
            say(f"  {email:<26} {role:<6} of {slug:<14} {name}")
    first = known["stories"]["kulfi-house"][0]
    say(f"Begin with Bob: look up {first['mobile'][-5:]} ({first['name']}), {first['title']}.")
    if known.get("again"):
        say(
            f"Then as Alice: Replays, add one for conflicts with the label {LABEL!r}: {known['again']} bills came without their points."
        )
    say("")


def _stories(stream: TenantStream, targeted: dict[str, list[DemoCampaign]]) -> list[Story]:
    return [*stream.stories, *bonuses.missed_bonus(stream, targeted[stream.slug])]


def _set_up(streams: Sequence[TenantStream], targeted: dict[str, list[DemoCampaign]], *, note: Path) -> dict[str, str]:
    """Tenants, stores, staff and keys by the operations that anybody's commands use; -> API key by tenant."""
    plans = [
        {
            "slug": stream.slug,
            "options": [
                "--name", stream.name, "--timezone", stream.timezone, "--currency", stream.currency, "--region", stream.region,
                "--earn-per", stream.earn_per, "--point-value", stream.point_value, "--negative",
            ],
            "stores": [(store.code, store.name, store.mode) for store in stream.stores],
            "staff": STAFF[stream.slug],
            "password": PASSWORD,
            **bonuses.plan(stream, targeted[stream.slug]),
        }
        for stream in streams
    ]  # fmt: skip
    keys: dict[str, str] = json.loads(_manage("demo_tenants", plans))
    _write(note, {"loaded": False, "keys": keys})
    return keys


def _manage(command: str, told: Any) -> str:
    """Run one of the demo's commands; -> what it printed."""
    done = subprocess.run(
        [sys.executable, "manage.py", command], cwd=ROOT, input=json.dumps(told), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LoadFailed(f"The demo could not be made ({command}): {done.stderr.strip()[-400:]}")
    return done.stdout


def _write(note: Path, known: dict[str, Any]) -> None:
    fresh = note.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        json.dump(known, handle)
    fresh.rename(note)


def _send_all(address: str, streams: Sequence[TenantStream], keys: dict[str, str]) -> None:
    total = sum(len(wave.bills) for stream in streams for wave in stream.waves)
    problems: list[str] = []
    with tqdm(total=total, desc="Loading bills over the API", unit="bill", mininterval=0.5) as bar:

        def send(stream: TenantStream) -> None:
            till = Till(address, keys[stream.slug])
            try:
                for wave in stream.waves:
                    till.send(wave)
                    bar.update(len(wave.bills))
            except (LoadFailed, OSError) as problem:
                problems.append(f"{stream.slug}: {problem}")

        threads = [threading.Thread(target=send, args=(stream,), daemon=True) for stream in streams]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)  # so that Ctrl-C is heard
    if problems:
        raise LoadFailed("The demo could not be loaded. " + " ".join(problems))


class Till:
    """A POS of one tenant: places holds, sends bills, asks what became of them."""

    def __init__(self, address: str, key: str) -> None:
        self._address = address
        self._key = key

    def send(self, wave: Wave) -> None:
        for hold in wave.holds:
            status, answer = self._call("/holds", hold)
            if status != 201:
                raise LoadFailed(f"hold {hold['reference']} refused: {answer}")
        receipts = []
        for place in range(0, len(wave.bills), BILLS_A_BATCH):
            status, answer = self._call("/bills/batch", {"repush": None, "bills": wave.bills[place : place + BILLS_A_BATCH]})
            if status != 202:
                raise LoadFailed(f"batch refused: {answer}")
            receipts += [result["receipt"] for result in answer["results"] if result["receipt"] and result["status"] == 202]
        # Deliveries are processed in the order in which they came: the last ones end last.
        for receipt in reversed(receipts[-3:]):
            self._wait(receipt)

    def send_again(self, pushed: PushedAgain) -> int:
        """The re-push of a store's bills whose points had not been on them. -> how many; where points are missing, it is left out."""
        bills = [bill for hold, bill in pushed.pairs if self._call("/holds", hold)[0] == 201]
        for place in range(0, len(bills), BILLS_A_BATCH):
            status, answer = self._call("/bills/batch", {"repush": pushed.label, "bills": bills[place : place + BILLS_A_BATCH]})
            if status != 202:
                raise LoadFailed(f"batch refused: {answer}")
            self._wait(answer["results"][-1]["receipt"])
        return len(bills)

    def call_and_wait(self, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
        """A call of a scene; a bill is booked before the next one."""
        status, answer = self._call(path, body)
        if path == "/bills" and status == 202:
            self._wait(answer["receipt"])
        return status, answer

    def _wait(self, receipt: str) -> None:
        deadline = time.monotonic() + WAVE_SECONDS_MAX
        while self._call(f"/deliveries/{receipt}")[1]["state"] == "received":
            if time.monotonic() > deadline:
                raise LoadFailed(f"delivery {receipt} is not processed after {WAVE_SECONDS_MAX} s; is the worker alive?")
            time.sleep(0.03)

    def _call(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        request = urllib.request.Request(
            f"{self._address}/api/v1{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode(errors="replace")[:300]
