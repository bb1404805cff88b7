"""How far a job is: the sums of its blocks, and the rate since it was last started."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Sum

from support.bulk.models import BulkJob, JobBlock, JobState


@dataclass(frozen=True, slots=True)
class Progress:
    """Customers by outcome; `points` moved so far. `rate` in customers a second since the last start, `seconds_left` at that rate."""

    total: int
    done: int = 0
    skipped: int = 0
    failed: int = 0
    changed: int = 0
    points: int = 0
    rate: float = 0
    seconds_left: int | None = None

    @property
    def settled(self) -> int:
        return self.done + self.skipped + self.failed

    @property
    def left(self) -> int:
        return self.total - self.settled

    @property
    def percent(self) -> int:
        return 100 * self.settled // self.total if self.total else 100


def progress(job: BulkJob, *, now: datetime | None = None) -> Progress:
    """The blocks' sums: a handful of rows, whatever the job's size."""
    return progress_of([job], now=now)[job.pk]


def progress_of(rows: Sequence[BulkJob], *, now: datetime | None = None) -> dict[int, Progress]:
    """-> by job, of many with one query."""
    names = ("done", "skipped", "failed", "changed")
    blocks = JobBlock.objects.filter(job__in=[job.pk for job in rows], number__gte=0).order_by().values("job")
    sums = {
        found.pop("job"): {name: int(value) for name, value in found.items()}
        for found in blocks.annotate(**{name: Sum(name, default=0) for name in names}, points=Sum("sum", default=0))
    }
    return {job.pk: _rated(job, Progress(job.chosen, **sums.get(job.pk, {})), now=now) for job in rows}


def _rated(job: BulkJob, found: Progress, *, now: datetime | None) -> Progress:
    end = job.finished_at or now
    if job.going_since is None or end is None or job.state not in (JobState.RUNNING, JobState.DONE):
        return found
    seconds = max((end - job.going_since).total_seconds(), 0.001)
    rate = (found.settled - job.done_before) / seconds
    left = round(found.left / rate) if rate > 0 else None
    return replace(found, rate=round(rate, 1), seconds_left=left)
