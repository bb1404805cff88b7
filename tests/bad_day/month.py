"""The month: two chains on two continents whose tills send while faults hit, and the books that are compared when it is over.

python -m tests.bad_day --seed 7 [--days 30] [--bills 40] [--planted lock|ack|scope|clock]
"""

import itertools
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from config.simulator.day import Fault, Visit, visits
from config.simulator.tills import Book, NoAnswer, Till, compare, play
from tests.bad_day import desk
from tests.bad_day.faults import FAULTS, Scene, Trouble, put_the_clock_wrong, send
from tests.faults.test_processes import Up

#: slug -> where it is.
CHAINS = {"bad-kulfi": ("Asia/Kolkata", "INR", "IN"), "bad-liberty": ("America/New_York", "USD", "US")}
#: In one process: a command takes seconds to start.
SET_UP = """
import json
from django.core.management import call_command
from io import StringIO
def told(*arguments):
    out = StringIO()
    call_command(*arguments, "--json", stdout=out)
    return json.loads(out.getvalue())
keys = {}
for slug, (zone, currency, region) in CHAINS.items():
    told("create_tenant", slug, "--timezone", zone, "--currency", currency, "--region", region)
    for store in STORES:
        told("create_store", slug, store)
    keys[slug] = told("create_api_key", slug, "--scope", "pos", "--scope", "read", "--scope", "support")["key"]
print("KEYS", json.dumps(keys))
"""
STORES = ("P1", "P2")
CUSTOMERS = 25
PEOPLE = [f"+916500{number:06d}" for number in range(CUSTOMERS)]
#: Points that one bulk job after the other gives to everybody.
GIFTS = (3, 4, 5, 6)
#: So long at most it goes on for faults that have not come yet.
MONTH_SECONDS = 90
#: What every customer begins with, so that no return takes back what was spent meanwhile.
BEGINNING = 1000
RACED = "+919650000099"
HOLDS_AT_ONCE, HOLD_POINTS, RACED_POINTS = 40, 10, 100


@dataclass(slots=True)
class Report:
    """`problems`: sentences; none, and the day was survived. `told`: what happened to it, for whoever plays it again."""

    seed: str
    problems: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Chain:
    slug: str
    key: str
    book: Book = field(default_factory=Book)
    #: By mobile: what the sender knows that the customer has.
    points: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    #: Bulk jobs that give something to everybody, by id: how much.
    jobs: dict[int, int] = field(default_factory=dict)


def survive(
    seed: str,
    folder: Path,
    *,
    days: int = 30,
    bills: int = 40,
    planted: str = "",
    pause: tuple[float, float] = (1, 4),
    patience: float = 120,
) -> Report:
    """Play it, let it settle, and ask everybody. Every draw comes of the seed; what the machine makes of it does not.

    `patience`: seconds that what was sent may take to come to rest.
    """
    report, crash_file, clock_file = Report(seed), folder / "crash", folder / "clock"
    changes = {
        "CRASH_FILE": str(crash_file), "CLOCK_FILE": str(clock_file), "DJANGO_SETTINGS_MODULE": "tests.bad_day.played", "PLANTED": planted,
    }  # fmt: skip
    with _house(folder, changes) as up:
        chains = _chains(up)
        slugs = [chain.slug for chain in chains]
        trouble = Trouble(
            Scene(up, crash_file, clock_file, {chain.slug: chain.key for chain in chains}, random.Random(f"faults {seed}")),
            pause=pause,
            first=[put_the_clock_wrong] * 2 if planted == "clock" else (),
        )
        began = time.monotonic()

        def enough() -> bool:
            """Every fault has come, or this machine is too slow for all of them."""
            if planted == "clock":
                return len(trouble.told) > 2 or time.monotonic() > began + MONTH_SECONDS
            return bool(planted) or len(trouble.told) > len(FAULTS) or time.monotonic() > began + MONTH_SECONDS

        trouble.start()
        try:
            with ThreadPoolExecutor(2 * len(chains) + 2) as pool:
                playing = [pool.submit(_month, up, chain, seed=seed, days=days, bills=bills, enough=enough) for chain in chains]
                giving = [pool.submit(_gifts, up, chain) for chain in chains]
                racing = pool.submit(_race, up, chains[0], seed=seed)
                working = None if planted else pool.submit(desk.work, up, slugs, seconds=MONTH_SECONDS)
                for done in playing:
                    done.result()
                for chain, gifts in zip(chains, giving, strict=True):
                    chain.jobs = gifts.result()
                report.problems += racing.result()
                if working:
                    working.result()
        except NoAnswer as problem:
            report.problems.append(f"The house did not come back: {problem}")
        finally:
            trouble.end()
        report.told, report.figures = trouble.told, {"seconds": round(time.monotonic() - began, 1), "faults": len(trouble.told)}
        report.problems += trouble.broken
        if not _settled(up, seconds=patience):
            report.problems.append("It does not come to rest.")
        if not planted:
            desk.work(up, slugs, seconds=MONTH_SECONDS)
            undone, report.figures["desk"] = desk.problems(up, slugs)
            report.problems += undone
        for chain in chains:
            report.problems += _books(up, chain, patience=patience)
            report.figures[chain.slug] = {
                "messages": len(chain.book.receipts),
                "holds": chain.book.held,
                "tried_again": chain.book.tried_again,
            }
        report.problems += _proofs(up)
    return report


@contextmanager
def _house(folder: Path, changes: dict[str, str]) -> Iterator[Up]:
    up = Up(folder, **changes).ready()
    try:
        yield up
    finally:
        up.end()


def _chains(up: Up) -> list[Chain]:
    """Brands with two stores each, a key, and customers who have points already."""
    done = up.manage("shell", "-v", "0", "-c", f"CHAINS, STORES = {CHAINS!r}, {STORES!r}\n{SET_UP}")
    assert done.returncode == 0, done.stderr
    keys = json.loads(done.stdout.partition("KEYS ")[2])
    chains = [Chain(slug, key) for slug, key in keys.items()]
    for chain in chains:
        till = Till(f"http://127.0.0.1:{up.port}", chain.key)
        for mobile in PEOPLE:
            _issue(till, chain, mobile, BEGINNING)
    return chains


def _issue(till: Till, chain: Chain, mobile: str, points: int) -> None:
    body = {"mobile": mobile, "points": points, "reason": "Opening balance"}
    status, answer = till.call("POST", "/issues", json.dumps(body).encode(), headers={"Idempotency-Key": f"opening-{mobile}"})
    assert status in (200, 201), answer
    chain.points[mobile] += points


def last_switch_of_clocks(zone: ZoneInfo, *, before: date) -> date:
    """The last day on which a clock of this zone was put forward or back."""
    day = before
    while _offset(zone, day) == _offset(zone, day - timedelta(days=1)):
        day -= timedelta(days=1)
    return day


def _offset(zone: ZoneInfo, day: date) -> timedelta | None:
    return datetime(day.year, day.month, day.day, 12, tzinfo=zone).utcoffset()


def _month(up: Up, chain: Chain, *, seed: str, days: int, bills: int, enough: Callable[[], bool]) -> None:
    """Day after day, around the night on which New York's clocks were put back or forward; and the same days with other bills, until enough
    has gone wrong."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    middle = last_switch_of_clocks(ZoneInfo("America/New_York"), before=yesterday)
    first = min(middle - timedelta(days=days // 2), yesterday - timedelta(days=days - 1))
    for number in itertools.count():
        if number >= days and enough():
            break
        day = first + timedelta(days=number % days)
        opens = datetime(day.year, day.month, day.day, 3, 30, tzinfo=UTC) + timedelta(
            hours=8 if chain.slug == "bad-liberty" else 0
        )
        sold = list(
            visits(
                stores=STORES,
                bills=bills,
                customers=CUSTOMERS,
                faults=frozenset(Fault),
                redeem_per_mille=100,
                seed=f"{seed}-{number}",
                opens=opens,
            )
        )
        book = play(f"http://127.0.0.1:{up.port}", chain.key, sold, clients=2)
        chain.book.add(book)
        _write_down(chain, sold, book)
        _at_once(up, chain, sold)


def _at_once(up: Up, chain: Chain, sold: list[Visit]) -> None:
    """One of the day's sales again, eight times at once: a till that was not thanked. It is the same bill, so nothing more is expected."""
    message = next(visit.messages[0] for visit in sold if visit.messages and visit.fault is None and visit.hold is None)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: send(up, chain.key, message.body), range(8)))


def _write_down(chain: Chain, sold: list[Visit], book: Book) -> None:
    """What the customers should have: the sender's own arithmetic, one point for each full hundred that was not paid with points."""
    taken = {bill_no for bill_no, expected in book.receipts.values() if expected == "applied"}
    earned: dict[str, tuple[str, int]] = {}
    for message in [each for visit in sold for each in (*visit.messages, *visit.late)]:
        document = json.loads(message.body)
        if message.expected == "applied" and message.bill_no in taken and document["bill_type"] == "SALE":
            points = int(Decimal(document["net_amount"]) // 100)
            earned[message.bill_no] = (document.get("customer", {}).get("mobile", ""), points)
    for visit in sold:
        if visit.hold is not None and visit.bill_no in book.completed:
            mobile, _ = earned[visit.bill_no]
            net = Decimal(json.loads(visit.messages[0].body)["net_amount"])
            earned[visit.bill_no] = (mobile, int((net - visit.hold["points"]) // 100) - int(visit.hold["points"]))
    returned = {bill_no.removesuffix("R") for bill_no in taken if bill_no.endswith("R")}
    for bill_no, (mobile, points) in earned.items():
        if mobile and bill_no not in returned:
            chain.points[mobile] += points


def _race(up: Up, chain: Chain, *, seed: str) -> list[str]:
    """More holds at once than there are points for, again and again while faults hit: exactly so many succeed."""
    problems = []
    till = Till(f"http://127.0.0.1:{up.port}", chain.key)
    for turn in range(4):
        mobile = f"{RACED[:-2]}{turn:02d}"
        _issue(till, chain, mobile, RACED_POINTS)

        def hold(number: int, mobile: str = mobile, turn: int = turn) -> int:
            body = {
                "mobile": mobile,
                "points": HOLD_POINTS,
                "store_code": "P1",
                "reference": f"RACE-{seed}-{turn}-{number}",
                "at": datetime.now(UTC).isoformat(),
            }
            return Till(f"http://127.0.0.1:{up.port}", chain.key).call("POST", "/holds", json.dumps(body).encode())[0]

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(hold, range(HOLDS_AT_ONCE)))
        if answers.count(201) != RACED_POINTS // HOLD_POINTS:
            problems.append(f"Of {HOLDS_AT_ONCE} holds of {HOLD_POINTS} on {RACED_POINTS} points {answers.count(201)} succeeded.")
    return problems


def _gifts(up: Up, chain: Chain) -> dict[int, int]:
    """Bulk jobs over all customers, two at a time, in opposite orders, while bills flow and faults hit. -> by job, what each customer gets."""
    till = Till(f"http://127.0.0.1:{up.port}", chain.key)
    given: dict[int, int] = {}
    for number, points in enumerate(GIFTS):
        mobiles = PEOPLE if number % 2 else PEOPLE[::-1]
        body = {"type": "adjust", "points": points, "reason": "A gift to everybody", "select": {"mobiles": mobiles}}
        status, job = till.call("POST", "/bulk-jobs", json.dumps(body).encode(), headers={"Idempotency-Key": f"gift-{number}"})
        assert status == 201, job
        status, answer = till.call(
            "POST", f"/bulk-jobs/{job['id']}/confirm", json.dumps({"phrase": job["phrase"] or ""}).encode()
        )
        assert status in (200, 409), answer  # 409: it was confirmed, and the answer was lost
        given[job["id"]] = points
        if number % 2:
            time.sleep(8)
    return given


def _given(till: Till, chain: Chain, *, patience: float) -> list[str]:
    """Every job is done, for everybody, once; what it gave is added to what its customers should have."""
    problems = []
    for job_id, points in chain.jobs.items():
        deadline = time.monotonic() + patience
        while True:
            _, job = till.call("GET", f"/bulk-jobs/{job_id}", None)
            if job["state"] in ("done", "cancelled", "refused") or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        if (job["state"], job["progress"]["done"]) != ("done", len(PEOPLE)):
            problems.append(f"{chain.slug}: job {job_id} is {job['state']}, for {job['progress']['done']} of {len(PEOPLE)}.")
        for mobile in PEOPLE:
            chain.points[mobile] += points
    return problems


def _settled(up: Up, *, seconds: float) -> bool:
    """All is up, and nothing waits to be booked."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if up.answers():
            done = up.manage("sweep_inbox", "--json")
            if done.returncode == 0 and not json.loads(done.stdout).get("processed"):
                return True
        time.sleep(1)
    return False


def _books(up: Up, chain: Chain, *, patience: float) -> list[str]:
    """Every receipt in the state it should be in, every customer with the points that the sender knows of."""
    address = f"http://127.0.0.1:{up.port}"
    found = compare(address, chain.key, chain.book, patience_seconds=patience)
    problems = [f"{chain.slug}: {each}" for each in found["differ"][:10]]
    till = Till(address, chain.key)
    problems += _given(till, chain, patience=patience)
    for mobile, points in sorted(chain.points.items()):
        status, answer = till.call("GET", f"/customers/{mobile}/balance", None)
        has = sum(answer[bucket] for bucket in ("available", "held", "pending")) - answer["owed"] if status == 200 else None
        if has != points:
            problems.append(f"{chain.slug}: {mobile} should have {points} points and has {has}.")
    return problems


def _proofs(up: Up) -> list[str]:
    """What the auditor, both chains and ClickHouse say."""
    asked = (("audit_ledger",), ("verify_chain", "--seal"), ("parity",))
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda arguments: up.manage(*arguments, "--json"), asked))
    problems = [
        f"{arguments[0]}: {(done.stdout or done.stderr)[:600]}"
        for arguments, done in zip(asked, answers, strict=True)
        if done.returncode
    ]
    return problems


def in_words(report: Report) -> str:
    head = "Survived" if not report.problems else "NOT SURVIVED"
    lines = [
        f"{head}: seed {report.seed}, {report.figures}",
        *(f"  {each}" for each in report.told),
        *(f"  ! {each}" for each in report.problems),
    ]
    return "\n".join(lines)
