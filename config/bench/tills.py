"""Tills that send single bills at an even pace until they are told to stop. `python -m config.bench.tills PORT KEY STORE CUSTOMERS A_SECOND`."""

import http.client
import json
import random
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from types import FrameType

HOT = "+916000000001"
#: So many of a hundred bills are of one and the same customer.
HOT_IN_HUNDRED = 10


DRAWN = random.Random(1)  # noqa: S311 - whose bill it is, and for how much


def mobile(number: int) -> str:
    """Of a customer that `seed` wrote."""
    return f"+916{number:09d}"


def document(number: int, *, store: str, customers: int) -> bytes:
    is_hot = DRAWN.randrange(100) < HOT_IN_HUNDRED
    net = f"{DRAWN.randrange(100, 4000)}.00"
    return json.dumps(
        {
            "bill_type": "SALE", "bill_no": f"T{number:08d}", "bill_date": (datetime.now(UTC) - timedelta(minutes=2)).isoformat(),
            "store_code": store, "customer": {"mobile": HOT if is_hot else mobile(DRAWN.randint(1, customers))}, "net_amount": net,
            "items": [{"line_no": 1, "item_code": "I1", "amount": net}],
        }
    ).encode()  # fmt: skip


def main(port: str, key: str, store: str, customers: str, a_second: str) -> None:
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    line = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    took: list[float] = []
    began = time.monotonic()
    while not stopping:
        time.sleep(max(0.0, began + len(took) / float(a_second) - time.monotonic()))
        sent = time.monotonic()
        line.request("POST", "/api/v1/bills", document(len(took), store=store, customers=int(customers)), headers)
        answer = line.getresponse()
        answer.read()
        assert answer.status == 202, answer.status
        took.append(time.monotonic() - sent)
    cuts = [each * 1000 for each in quantiles(took, n=100)]
    print(
        f"{len(took):,} bills, {len(took) / (time.monotonic() - began):.1f} a second; acknowledged p50 {cuts[49]:.0f} ms, p95 {cuts[94]:.0f},"
        f" p99 {cuts[98]:.0f}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
