"""Senders who are slow, huge or absurd, beside tills that are not: the tills notice nothing (fault 5)."""

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from django.utils import timezone

from integrations import inbox
from integrations.models import Bill, Delivery
from tenants.models import Tenant
from tests.builders import bill
from tests.conftest import key_of
from tests.faults.test_away import post
from tests.served import web_process

#: Far more than the process has threads.
SLOW_SENDERS = 60
#: What a till waits before it gives up; a time-out of ours, no figure of speed.
TILL_WAITS_SECONDS = 10
LINES = 100_000
pytestmark = pytest.mark.timeout(240)


@contextmanager
def dripping(address: str, beginning: bytes) -> Iterator[list[socket.socket]]:
    """Connections that each begin a request and then send one byte after the other."""
    host, port = address.removeprefix("http://").split(":")
    sockets = [socket.create_connection((host, int(port)), timeout=10) for _ in range(SLOW_SENDERS)]
    done = threading.Event()

    def drip() -> None:
        while not done.wait(0.2):
            for each in sockets:
                each.sendall(b"1")

    for each in sockets:
        each.sendall(beginning)
    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield sockets
    finally:
        done.set()
        thread.join()
        for each in sockets:
            each.close()


def sell(address: str, key: str, *, count: int) -> list[float]:
    """Bills of a till that goes on as usual, each within its patience. -> seconds of each answer, sorted."""
    seconds = []
    for number in range(count):
        status, answer, took = post(address, key, "/bills", bill(f"T{time.monotonic_ns()}-{number}", net="100.00"))
        assert (status, took < TILL_WAITS_SECONDS) == (202, True), (answer, took)
        seconds.append(took)
    return sorted(seconds)


HEADERS = b"POST /api/v1/bills HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "beginning", [HEADERS + b"X-Slow: ", HEADERS + b"Content-Length: 100000\r\n\r\n{"], ids=["headers", "body"]
)
def test_slow_senders_hold_up_nobody(committed: Tenant, beginning: bytes) -> None:
    key = key_of(committed, "pos")
    with web_process() as address, dripping(address, beginning) as slow:
        time.sleep(0.5)
        sell(address, key, count=30)
        assert len(slow) == SLOW_SENDERS
    assert Delivery.objects.filter(tenant=committed).count() == 30


def test_huge_and_absurd_bodies_are_refused_by_name_beside_good_bills(committed: Tenant) -> None:
    key = key_of(committed, "pos")
    lines = ",".join(f'{{"line_no":{number},"amount":"0.01"}}' for number in range(1, LINES + 1))
    long_bill = json.dumps(bill("LONG", net=f"{LINES / 100:.2f}") | {"items": []}).replace('"items": []', f'"items": [{lines}]')
    absurd: list[tuple[bytes, int, str]] = [
        (b'{"a":"' + b"x" * (50 << 20) + b'"}', 413, "too_large"),
        (b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400, "malformed_json"),
        (long_bill.encode(), 413, "too_large"),
    ]
    answers: list[tuple[int, str]] = []
    with web_process() as address:
        till = threading.Thread(target=lambda: answers.extend(_sent(address, key, body) for body, _, _ in absurd))
        till.start()
        sell(address, key, count=60)
        till.join()
    assert answers == [(status, code) for _, status, code in absurd]
    inbox.drain(committed, now=timezone.now())
    assert Bill.objects.filter(tenant=committed).count() == 60


def test_of_a_batch_only_the_bill_that_is_too_large_is_refused(committed: Tenant) -> None:
    items = [{"line_no": number, "amount": "0.01"} for number in range(1, LINES + 1)]
    document = bill("LONG", net=f"{LINES / 100:.2f}") | {"items": items}
    key = key_of(committed, "pos")
    with web_process() as address:
        status, answer, _ = post(address, key, "/bills/batch", {"bills": [bill("B1"), document, bill("B2")]})
    assert status == 202
    told = [(each["status"], each["error"] and each["error"]["code"]) for each in answer["results"]]
    assert told == [(202, None), (413, "too_large"), (202, None)]
    inbox.drain(committed, now=timezone.now())
    assert set(Bill.objects.filter(tenant=committed).values_list("bill_no", flat=True)) == {"B1", "B2"}


def _sent(address: str, key: str, body: bytes) -> tuple[int, str]:
    request = (
        b"POST /api/v1/bills HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        + f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
    )
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as sender:
        sender.sendall(request + body)
        answer = b""
        while chunk := sender.recv(65536):
            answer += chunk
    head, _, told = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), str(json.loads(told)["error"]["code"])


GOOD = b"Host: localhost\r\nAuthorization: Bearer pd_x_y\r\n"
DOOR: dict[str, tuple[bytes, int]] = {
    "length and chunks": (b"POST /api/v1/bills HTTP/1.1\r\n" + GOOD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    "chunks": (b"POST /api/v1/bills HTTP/1.1\r\n" + GOOD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    "chunks in 1.0": (
        b"POST /api/v1/bills HTTP/1.0\r\nConnection: keep-alive\r\n" + GOOD
        + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        411,
    ),
    "a header over two lines": (b"GET /live HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n\r\n", 400),
    "another version": (b"GET /live HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
    "a stranger's body": (b"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\n" + b"x" * 1048577, 413),
    "nobody hears the end of it": (b"POST /api/v1/bills HTTP/1.1\r\n" + GOOD + b"Content-Length: 900000000\r\n\r\n", 413),
    "may I go on": (b"POST /api/v1/bills HTTP/1.1\r\n" + GOOD + b"Expect: 100-continue\r\nContent-Length: 50000000\r\n\r\n", 413),
}  # fmt: skip


def test_the_door_reads_one_request_or_none(committed: Tenant) -> None:
    """Each shape is refused by name and its connection closed: a second request hidden behind it is never read."""
    with web_process() as address:
        host, port = address.removeprefix("http://").split(":")
        for name, (request, status) in DOOR.items():
            with socket.create_connection((host, int(port)), timeout=20) as sender:
                sender.sendall(request + (b"" if status == 413 else b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n"))
                answer = b""
                while chunk := sender.recv(65536):
                    answer += chunk
            assert int(answer.split()[1]) == status, (name, answer[:200])
            assert answer.count(b"HTTP/1.") == 1, (name, answer)
    assert not Delivery.objects.filter(tenant=committed).exists()


def test_an_answer_to_head_has_no_body(committed: Tenant) -> None:
    with web_process() as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as sender:
            sender.sendall(
                b"HEAD /live HTTP/1.1\r\nHost: localhost\r\n\r\nGET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
            answer = b""
            while chunk := sender.recv(65536):
                answer += chunk
    first, _, second = answer.partition(b"\r\n\r\n")
    assert b"200 OK" in first.splitlines()[0]
    assert second.startswith(b"HTTP/1.1 200 OK")


def test_a_worker_that_ends_answers_what_has_begun(committed: Tenant) -> None:
    key = key_of(committed, "pos")
    body = json.dumps(bill("HALF")).encode()
    head = HEADERS + f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with web_process() as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as half:
            half.sendall(head + body[:20])
            time.sleep(0.5)
            master = next(
                each for each in psutil.process_iter(["cmdline"]) if f"127.0.0.1:{port}" in (each.info["cmdline"] or [])
            )
            master.send_signal(signal.SIGHUP)
            time.sleep(1)
            half.sendall(body[20:])
            answer = half.recv(65536)
        sell(address, key, count=3)
    assert b" 202 " in answer.split(b"\r\n")[0]
    assert b"connection: close" in answer.lower()
