"""How a job is measured: ours and the limit take turns, so that a slow moment of the machine hits both."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

ROUNDS = 5


class Job(Protocol):
    """`prepare` makes what a round needs, untimed; `ours` and `limit` do one round each; -> units done."""

    name: str
    unit: str
    target: float
    limit_is: str

    def prepare(self, *, round_number: int) -> None: ...
    def ours(self) -> int: ...
    def limit(self) -> int: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Result:
    """Rates in units a second, medians over the rounds. `ratio`: ours / limit, higher is better, 1 is the limit."""

    job: str
    unit: str
    ours: float
    limit: float
    ratio: float
    target: float
    limit_is: str
    rows: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(job: Job, *, rounds: int = ROUNDS) -> Result:
    ours: list[float] = []
    limit: list[float] = []
    rows = 0
    for round_number in range(-1, rounds):  # round -1 warms up and is not counted
        job.prepare(round_number=round_number)
        turns = [(job.ours, ours), (job.limit, limit)]
        for act, rates in turns if round_number % 2 else reversed(turns):
            done, rate = _timed(act)
            if round_number >= 0:
                rates.append(rate)
                rows += done
    job.close()
    fast, best = statistics.median(ours), statistics.median(limit)
    return Result(job.name, job.unit, round(fast, 1), round(best, 1), round(fast / best, 3), job.target, job.limit_is, rows)


def _timed(act: Callable[[], int]) -> tuple[int, float]:
    began = time.perf_counter()
    done = act()
    return done, done / (time.perf_counter() - began)
