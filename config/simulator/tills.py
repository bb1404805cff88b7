"""Tills that send a day: each keeps what it has not been thanked for, tries again as a till does, and writes its own book."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

from config.simulator.day import Message, Visit, completed

#: A till that gets no answer, or 429 or 503, tries again this often, with pauses that grow up to PAUSE_MAX seconds.
TRIES_MAX = 60
PAUSE_MAX = 2.0
#: How long what was sent may take to be booked.
SETTLES_SECONDS = 120.0
FINAL = {"unknown", "applied", "duplicate", "conflict", "quarantined", "rejected", "discarded", "reversed"}


class NoAnswer(Exception):
    """Nobody answered, whatever was tried."""


@dataclass(slots=True)
class Book:
    """What one or more tills sent and were answered. `receipts`: receipt -> (bill number, expected state)."""

    answers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    receipts: dict[str, tuple[str, str]] = field(default_factory=dict)
    not_taken: list[dict[str, str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    tried_again: int = 0
    held: int = 0
    #: Numbers of the bills that were paid with points which had been blocked for them.
    completed: set[str] = field(default_factory=set)

    def add(self, other: "Book") -> None:
        self.answers.update(other.answers)
        self.faults.update(other.faults)
        self.receipts |= other.receipts
        self.not_taken += other.not_taken
        self.seconds += other.seconds
        self.tried_again += other.tried_again
        self.held += other.held
        self.completed |= other.completed


class Till:
    """One connection, one call at a time."""

    def __init__(self, address: str, key: str) -> None:
        parts = urlsplit(address)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._line = kind(parts.hostname or "", parts.port, timeout=30)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.book = Book()

    def serve(self, visit: Visit) -> None:
        """Block points where the customer wants to pay with them, then send what belongs to the sale."""
        messages = visit.messages
        if visit.fault:
            self.book.faults[visit.fault] += 1
        if visit.hold is not None:
            status, _ = self.call("POST", "/holds", json.dumps(visit.hold).encode())
            if status == 201:
                self.book.held += 1
                self.book.completed |= {message.bill_no for message in messages}
                messages = tuple(completed(message, visit.hold) for message in messages)
        for message in messages:
            self.send(message)

    def send(self, message: Message) -> None:
        status, answer = self.call("POST", "/bills", message.body)
        if status in (200, 202):  # 200: the server has it already
            self.book.receipts[answer["receipt"]] = (message.bill_no, message.expected)
        else:
            self.book.not_taken.append({"bill_no": message.bill_no, "expected": message.expected, "found": f"answer {status}"})

    def state_of(self, receipt: str) -> str:
        """`unknown`: the server has lost what it gave a receipt for."""
        return str(self.call("GET", f"/deliveries/{receipt}", None, counted=False)[1].get("state", "unknown"))

    def call(
        self, method: str, path: str, body: bytes | None, *, counted: bool = True, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Until there is an answer that another try would not change. Raises: NoAnswer."""
        for tried in range(TRIES_MAX):
            began = time.perf_counter()
            try:
                self._line.request(method, f"/api/v1{path}", body, {**self._headers, **(headers or {})})
                response = self._line.getresponse()
                text = response.read()
            except (OSError, http.client.HTTPException):
                self._line.close()
                status = 0
            else:
                status = response.status
            if counted:
                self.book.answers[str(status or "none")] += 1
                self.book.seconds.append(time.perf_counter() - began)
            if status and status not in (429, 502, 503, 504):
                return status, json.loads(text)
            self.book.tried_again += 1
            time.sleep(min(0.1 * 2**tried, PAUSE_MAX))
        raise NoAnswer(f"{path} was tried {TRIES_MAX} times.")


def play(address: str, key: str, day: Iterable[Visit], *, clients: int) -> Book:
    """Send the day, then what is late, with so many tills; each store's sales stay in order. -> their books in one."""
    by_till: list[list[Visit]] = [[] for _ in range(clients)]
    places: dict[str, int] = {}
    for visit in day:
        by_till[places.setdefault(visit.store, len(places)) % clients].append(visit)
    together, lock = Book(), threading.Lock()

    def work(visits: Sequence[Visit]) -> None:
        till = Till(address, key)
        for visit in visits:
            till.serve(visit)
        for message in (message for visit in visits for message in visit.late):
            till.send(message)
        with lock:
            together.add(till.book)

    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(work, visits) for visits in by_till]:
            done.result()
    return together


def compare(address: str, key: str, book: Book, *, patience_seconds: float = SETTLES_SECONDS) -> dict[str, Any]:
    """Wait until everything is settled, then hold the book against the server: states counted, and every one that differs."""
    till = Till(address, key)
    found: Counter[str] = Counter()
    differ = list(book.not_taken)
    deadline = time.monotonic() + patience_seconds
    for receipt, (bill_no, expected) in book.receipts.items():
        state = till.state_of(receipt)
        while state not in FINAL and time.monotonic() < deadline:
            time.sleep(0.2)
            state = till.state_of(receipt)
        found[state] += 1
        if state != expected:
            differ.append({"receipt": receipt, "bill_no": bill_no, "expected": expected, "found": state})
    return {"found": dict(found), "differ": differ}


def figures(book: Book, *, seconds: float) -> dict[str, Any]:
    """What happened, in numbers: answers by status, faults played, calls a second, milliseconds a call."""
    times = sorted(book.seconds)
    cuts = quantiles(times, n=100) if len(times) > 1 else times * 99
    return {
        "messages": len(book.receipts), "holds": book.held, "answers": dict(book.answers), "tried_again": book.tried_again,
        "faults": dict(book.faults), "seconds": round(seconds, 2), "calls_per_second": round(len(times) / seconds, 1) if seconds else 0,
        "p50_ms": round(cuts[49] * 1000, 1) if cuts else 0, "p99_ms": round(cuts[98] * 1000, 1) if cuts else 0,
    }  # fmt: skip
