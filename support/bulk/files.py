"""Lists for jobs: read as a stream, line by line refused by name; and the files that come back: template, errors to mend, results."""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import batched
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from loyalty import customers
from loyalty.ledger import REASON_MAX, UNWRITABLE
from loyalty.models import Customer, mask_mobile
from loyalty.state import POINTS_MAX
from support.bulk.models import BulkJob, JobBlock, JobRow, JobState, JobType, Outcome
from support.bulk.types import SKIPS, skip
from tenants import access as gate
from tenants.errors import DomainError
from tenants.spreadsheets import plain, safe
from tenants.uploads import FileRefused, canonical, check_columns, is_for_worker, kind_of, rows_of

#: A whole number as people and spreadsheets write it, thousands in groups or not; `1,5` and `12,50` are none.
WHOLE = re.compile(r"([+-]?(?:\d+|\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})*,\d{3}))(?:\.0+)?", re.ASCII)
#: What one transaction reads of a file; and what the web process reads while somebody waits.
LINES, AT_ONCE = 2000, 5000
POINTS, SET_TO = "points", "set_to"
#: To add and to set are different columns, so that one is never taken for the other (CASES 88).
COLUMN_OF = {JobType.ADJUST: POINTS, JobType.AWARD: POINTS, JobType.SET: SET_TO}
GIVEN = ("mobile", "customer_id", POINTS, SET_TO, "reason")
DUPLICATES = """
    INSERT INTO support_jobrow (tenant_id, job_id, customer_id, outcome, code, sentence, points, line, mobile, given)
    SELECT %(tenant)s, %(job)s, d.customer_id, 'refused', 'duplicate', %(told)s, d.points, d.line, '',
        jsonb_build_object('customer_id', d.customer_id::text, %(column)s::text, d.points::text, 'reason', d.reason)
    FROM (
        SELECT r.*, row_number() OVER (PARTITION BY r.customer_id ORDER BY r.line) AS nth
        FROM support_jobblock k, unnest(k.customers, k.points, k.reasons, k.lines) AS r (customer_id, points, reason, line)
        WHERE k.tenant_id = %(tenant)s AND k.job_id = %(job)s AND k.number < 0
    ) d WHERE d.nth > 1 ORDER BY d.line
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a list, read: whom it means, and what for."""

    number: int
    mobile: str
    customer_id: int | None
    points: int
    reason: str
    given: dict[str, str]


def hash_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def is_short(job: BulkJob) -> bool:
    """Whether it is read while somebody waits. Raises: FileRefused."""
    body = bytes(job.body)
    return not is_for_worker(body, kind=kind_of(body), at_once=AT_ONCE)


def read(job: BulkJob, *, now: datetime, awaited: bool = False) -> None:
    """Read the rest of the job's file into blocks, a stretch a transaction, so that a killed worker's successor goes on.

    Raises: FileRefused, as `uploads.rows_of`; DomainError `column_mismatch`, `column_forbidden`.
    """
    body = bytes(job.body)
    rows = ((number, cells) for number, cells in rows_of(body, kind=kind_of(body), awaited=awaited) if number > job.last_line)
    for stretch in batched(rows, LINES):
        _take(job, stretch)
    with transaction.atomic(), connection.cursor() as cursor:
        values: dict[str, Any] = {
            "tenant": job.tenant_id,
            "job": job.pk,
            "told": str(SKIPS["duplicate"]),
            "column": COLUMN_OF.get(JobType(job.type), POINTS),
        }
        cursor.execute(DUPLICATES, values)
        job.lines_refused += cursor.rowcount
        job.body = b""  # it is personal data, and what it said is taken
        job.save(update_fields=["body", "lines_refused"])


def _take(job: BulkJob, stretch: Sequence[tuple[int, dict[str, str]]]) -> None:
    _check_names(job, stretch[0][1])
    lines: list[Line] = []
    refused: list[JobRow] = []
    for number, cells in stretch:
        named = {canonical(name): plain(cell.strip()) for name, cell in cells.items() if cell}
        given = {name: named[name][: REASON_MAX + 1] for name in GIVEN if name in named}
        try:
            lines.append(_line(job, number, given))
        except DomainError as refusal:
            refused.append(_refused(job, number, refusal, given))
    known = _known(job, lines)
    found = [line for line in lines if known.get(line.number)]
    for line in lines:
        if not known.get(line.number):
            refused.append(_refused(job, line.number, skip("unknown_customer"), line.given, mobile=line.mobile))
    with transaction.atomic():
        job.last_line, job.lines_refused = stretch[-1][0], job.lines_refused + len(refused)
        JobRow.objects.bulk_create(sorted(refused, key=lambda row: row.line or 0))
        if found:
            JobBlock.objects.create(
                tenant=job.tenant, job=job, number=-job.last_line, customers=[known[line.number] for line in found],
                points=[line.points for line in found], reasons=[line.reason for line in found], lines=[line.number for line in found],
                size=len(found),
            )  # fmt: skip
        job.save(update_fields=["last_line", "lines_refused"])


def _check_names(job: BulkJob, cells: Mapping[str, str]) -> None:
    """Raises: DomainError `column_mismatch`, `column_forbidden`; FileRefused."""
    check_columns(cells)
    names = {canonical(name) for name in cells}
    if not names & {"mobile", "customer_id"}:
        raise FileRefused(_("The first row names neither mobile nor customer_id. Take the template."))
    wanted = COLUMN_OF.get(JobType(job.type))
    other = ({POINTS, SET_TO} & names) - {wanted}
    if other:
        (name, *_rest) = sorted(other)
        told = {
            SET_TO: _(
                "The column set_to says what the balance is to be; this job adds to it. Choose “set the balance”, or rename it to points."
            ),
            POINTS: _("The column points says what is to be added; this job does not add. Take the template of this type."),
        }
        raise DomainError("column_mismatch", told[name], path=name)
    if wanted and wanted not in names and job.points is None:
        raise FileRefused(
            _("The first row names no column {name}. Add it, or say how many points for everybody.").format(name=wanted)
        )


def _line(job: BulkJob, number: int, given: Mapping[str, str]) -> Line:
    """Raises: DomainError."""
    mobile, customer_id = "", None
    if given.get("mobile"):
        mobile = customers.normalised_mobile(given["mobile"], region=job.tenant.region)
    elif given.get("customer_id"):
        text = given["customer_id"]
        if not (text.isascii() and text.isdecimal() and len(text) < 19):
            raise DomainError("bad_value", _("customer_id is a whole number."), path="customer_id")
        customer_id = int(text)
    else:
        raise DomainError("required_field", _("The row says neither mobile nor customer_id."), path="mobile")
    column = COLUMN_OF.get(JobType(job.type))
    points = _points(job, given.get(column, ""), column) if column else 0
    reason = given.get("reason", "")
    if UNWRITABLE.search(reason) or len(reason) > REASON_MAX // 2:
        told = _("The reason has control characters, or more than {most} of them.").format(most=REASON_MAX // 2)
        raise DomainError("bad_value", told, path="reason")
    return Line(number, mobile, customer_id, points, reason, dict(given))


def _points(job: BulkJob, text: str, column: str) -> int:
    """A whole number, also as a spreadsheet writes it. Raises: DomainError `points_invalid`."""
    found = WHOLE.fullmatch(text)
    plain = found[1].replace(",", "") if found else text
    if not plain and job.points is not None:
        return job.points
    digits = plain.lstrip("+-")
    least = 0 if job.type == JobType.SET else 1
    well_formed = digits.isascii() and digits.isdecimal() and len(digits) < 16 and len(plain) - len(digits) <= 1
    if not well_formed or not least <= int(digits) <= POINTS_MAX or (plain.startswith("-") and job.type != JobType.ADJUST):
        told = _("{column} is {given!r}; it must be a whole number of points.").format(column=column, given=text[:40])
        raise DomainError("points_invalid", told, path=column)
    return int(plain)


def _known(job: BulkJob, lines: Iterable[Line]) -> dict[int, int]:
    """-> by line, the customer it means."""
    by_mobile = customers.find(job.tenant, [line.mobile for line in lines if line.mobile])
    ids = {line.customer_id for line in lines if line.customer_id is not None}
    ours = set(Customer.objects.filter(tenant=job.tenant, pk__in=ids).values_list("pk", flat=True)) if ids else set()
    found = {}
    for line in lines:
        customer_id = by_mobile.get(line.mobile) if line.mobile else line.customer_id
        if customer_id is not None and (line.mobile or customer_id in ours):
            found[line.number] = customer_id
    return found


def _refused(job: BulkJob, number: int, refusal: DomainError, given: Mapping[str, str], *, mobile: str = "") -> JobRow:
    return JobRow(
        tenant=job.tenant, job=job, outcome=Outcome.REFUSED, code=refusal.code, sentence=refusal.sentence[:500], line=number, mobile=mobile,
        given=dict(given),
    )  # fmt: skip


def ran_before(job: BulkJob) -> dict[str, Any] | None:
    """The last time that this very file was run, in whatever job (a second time is asked about, not forbidden)."""
    if not job.file_hash:
        return None
    rows = BulkJob.objects.filter(tenant=job.tenant, file_hash=job.file_hash, dry_run=False, started_at__isnull=False).exclude(
        pk=job.pk
    )
    row = rows.exclude(state=JobState.PREVIEW).first()
    return {"job": row.pk, "at": row.started_at.isoformat(), "by": row.run_by} if row else None


# What comes back


def template_of(type: str) -> list[str]:
    """The first row of a list for this type of job."""
    column = COLUMN_OF.get(JobType(type))
    return ["mobile", *([column] if column else []), "reason"]


def _csv_line(cells: Iterable[Any]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([safe(cell) for cell in cells])
    return out.getvalue()


def error_lines(job: BulkJob) -> Iterator[str]:
    """The refused lines as they were sent, each with what is wrong: to be mended and loaded again."""
    column = COLUMN_OF.get(JobType(job.type))
    names = ["mobile", "customer_id", *([column] if column else []), "reason"]
    yield "\ufeff" + _csv_line([*names, "line", "error"])
    for row in _refused_rows(job):
        yield _csv_line([*(_text(row.given.get(name, "")) for name in names), row.line or "", row.sentence])


def _refused_rows(job: BulkJob) -> Iterator[JobRow]:
    """Some at a time, each stretch behind the tenant's walls: while a file is sent, its request is over."""
    last = 0
    while True:
        with transaction.atomic(), gate.walls_around([job.tenant]):
            rows = list(job.rows.filter(outcome=Outcome.REFUSED, pk__gt=last).order_by("pk")[:LINES])
        yield from rows
        if len(rows) < LINES:
            return
        last = rows[-1].pk


def _text(value: str) -> str | int:
    """A number with its sign is no formula."""
    return int(value) if re.fullmatch(r"[+-]\d{1,18}", value, re.ASCII) else value


RESULT = ("customer_id", "mobile", "name", "before", "points", "outcome", "why", "operation")


def result_lines(job: BulkJob, *, only_told: bool = False) -> Iterator[str]:
    """A line for each customer, in the order of the job: what they had, what moved, what became of it and why. Numbers are masked.

    `only_told`: those that were skipped, failed, or of whom else something is to be told.
    """
    yield "\ufeff" + _csv_line(RESULT)
    number = -1
    while True:
        with transaction.atomic(), gate.walls_around([job.tenant]):
            block: JobBlock | None = job.blocks.filter(number__gt=number).order_by("number").first()
            if block is None:
                break
            told = {
                row.customer_id: row for row in job.rows.filter(customer__in=block.customers).exclude(outcome=Outcome.REFUSED)
            }
            wanted = [place for place in range(block.size) if not only_told or block.customers[place] in told]
            people = Customer.objects.in_bulk({block.customers[place] for place in wanted})
        number = block.number
        for place in wanted:
            yield _csv_line(_result(block, place, people.get(block.customers[place]), told.get(block.customers[place])))
    if only_told:
        for row in _refused_rows(job):
            yield _csv_line(
                [
                    "",
                    mask_mobile(row.mobile) if row.mobile else "",
                    "",
                    "",
                    row.points or "",
                    row.get_outcome_display(),
                    row.sentence,
                    "",
                ]
            )


def _result(block: JobBlock, place: int, person: Customer | None, row: JobRow | None) -> list[Any]:
    settled = place < block.settled
    outcome = row.get_outcome_display() if row else (_("done") if settled else _("not yet"))
    return [
        block.customers[place], person.masked_mobile if person else "", person.name if person else "",
        block.available[place] - block.owed[place], block.moved[place] if settled else "", outcome, row.sentence if row else "",
        (block.operations[place] or "") if settled else "",
    ]  # fmt: skip
