"""Bulk jobs for a merchant's own tools: the same steps as at the desk, by an API key with the scope `support`."""

from datetime import datetime
from typing import Annotated, Any

from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from pydantic import BeforeValidator, Field
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.api.balances import NewestFirst
from integrations.api.calls import CALLS, KEY, Call
from integrations.api.forms import Body, Mobile, Reason, SignedPoints, iso, key_of, read_body
from integrations.api.view import View
from loyalty.models import Bonus, Customer
from support.bulk import jobs
from support.bulk.choice import SKIPPED
from support.bulk.jobs import Select, Wanted
from support.bulk.models import BulkJob, JobRow, JobState, Outcome, Spent
from support.bulk.progress import Progress, progress, progress_of
from support.bulk.rights import SCOPE
from support.bulk.types import SKIPS
from support.templatetags.desk import last_digits
from tenants import access as gate
from tenants.access import Access
from tenants.errors import DomainError

BYTES_MAX = 4 << 20
#: Steps that a POST below a job's address takes.
STEPS = ("confirm", "approve", "pause", "resume", "cancel", "undo", "refresh")


def _day(value: Any) -> Any:
    try:
        return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except (TypeError, ValueError):
        raise ValueError("is a day, like 2026-05-03") from None


Day = Annotated[Any, BeforeValidator(_day)]


class SelectBody(Body):
    """Whom: numbers, a filter, or all."""

    mobiles: list[Mobile] | None = None
    filter: dict[str, Any] | None = None
    all: bool = False


class JobRequest(Body):
    type: Annotated[str, Field(max_length=40)]
    select: SelectBody
    points: SignedPoints | None = None
    reason: Reason
    bonus: Annotated[str, Field(max_length=120)] | None = None
    until: Day | None = None
    allow_debt: bool = False
    clear_debt: bool = False
    dry_run: bool = False
    notify: bool = False


class StepRequest(Body):
    phrase: Annotated[str, Field(max_length=400)] = ""
    note: Annotated[str, Field(max_length=500)] = ""
    spent: Annotated[str, Field(max_length=20)] = Spent.LEAVE.value
    dry_run: bool = False
    preview: bool = False


EXAMPLE: dict[str, Any] = {
    "id": 12, "type": "adjust", "state": "preview", "dry_run": False, "reason": "Diwali gift", "points": 50, "count": 39980, "chosen": 40000,
    "sum": 1999000, "skips": {"customer_blocked": 20}, "refused": 0, "phrase": "all customers of Kulfi House", "because": "",
    "skipped": [{
        "customer_id": 7, "mobile": "+91 98•••••345", "line": None, "outcome": "skipped", "code": "customer_blocked",
        "message": "The customer is blocked.", "points": 50,
    }],
    "progress": {"done": 0, "skipped": 0, "failed": 0, "changed": 0, "left": 40000, "points": 0, "percent": 0, "rate": 0, "seconds_left": None},
}  # fmt: skip
_PATH = [OpenApiParameter("pk", int, OpenApiParameter.PATH)]
CALLS["BulkJobs", "POST"] = Call("Choose customers for a job, and preview it", {201: EXAMPLE}, JobRequest, [KEY])
CALLS["BulkJobs", "GET"] = Call(
    "The tenant's jobs, newest first",
    {200: {"results": [EXAMPLE], "next": None, "previous": None}},
    parameters=[OpenApiParameter("cursor", str)],
)
CALLS["OneBulkJob", "GET"] = Call("A job and how far it is", {200: EXAMPLE}, parameters=_PATH)
CALLS["BulkJobStep", "POST"] = Call(
    "Confirm, approve, pause, resume, cancel, refresh a job; undo answers with the job that undoes it", {200: EXAMPLE, 201: EXAMPLE},
    StepRequest, parameters=[*_PATH, OpenApiParameter("step", str, OpenApiParameter.PATH, enum=list(STEPS))],
)  # fmt: skip
CALLS["BulkJobRows", "GET"] = Call(
    "Customers of a job of whom more is to be told than that it is done, and refused lines",
    {200: {"results": EXAMPLE["skipped"], "next": None, "previous": None}},
    parameters=[*_PATH, OpenApiParameter("cursor", str)],
)


class BulkJobs(View):
    scopes = {"POST": ("support",), "GET": ("support", "read")}
    body_bytes_max = BYTES_MAX

    def post(self, request: Request) -> Response:
        key = key_of(request.headers)
        body = read_body(JobRequest, request.data)
        select = Select(filter=body.select.filter, mobiles=body.select.mobiles, all=body.select.all)
        wanted = Wanted(
            body.type, body.points, self._bonus(body.bonus), body.until, body.allow_debt, body.clear_debt, body.dry_run, body.notify,
            body.reason,
        )  # fmt: skip
        if not body.reason.strip():
            raise DomainError("reason_length", _("Say why: a reason of 3 to 500 characters."), length=0)
        job, repeated = jobs.create(self.access, wanted, select, key=f"api:{key}", now=timezone.now())
        return Response(as_dict(job, self.access), status=201, headers={"Idempotency-Hit": "true"} if repeated else {})

    def get(self, request: Request) -> Response:
        pages = NewestFirst()
        rows = BulkJob.objects.filter(tenant=self.access.tenant).select_related("tenant").defer("body")
        page = pages.paginate_queryset(rows, request, view=self) or []
        how_far = progress_of(page, now=timezone.now())
        found = [as_dict(job, self.access, found=how_far[job.pk], rows=False) for job in page]
        return Response({"results": found, "next": pages.get_next_link(), "previous": pages.get_previous_link()})

    def _bonus(self, name: str | None) -> int | None:
        if name is None:
            return None
        found = Bonus.objects.filter(tenant=self.access.tenant, name=name.replace("\0", "")).values_list("pk", flat=True).first()
        if found is None:
            raise DomainError("bad_value", _("There is no bonus rule of this name."), path="bonus")
        return int(found)


class OneBulkJob(View):
    scopes = {"GET": ("support", "read")}

    def get(self, request: Request, pk: int) -> Response:
        return Response(as_dict(gate.get(BulkJob, pk, access=self.access, without=("body",)), self.access))


class BulkJobStep(View):
    scopes = {"POST": ("support",)}

    def post(self, request: Request, pk: int, step: str) -> Response:
        if step not in STEPS:
            raise Http404
        body = read_body(StepRequest, request.data or {})
        now = timezone.now()
        if step == "undo":
            again = request.headers.get("Idempotency-Key")
            key = (
                f"api:{key_of(request.headers)}"
                if again
                else f"undo:{pk}:{body.spent}:{body.preview}:{body.dry_run}:{_undone(self, pk)}"
            )
            job = jobs.undo(
                pk, access=self.access, spent=body.spent, key=key, now=now, preview_only=body.preview, dry_run=body.dry_run
            )
            return Response(as_dict(job, self.access), status=201)
        if step == "confirm":
            job = jobs.confirm(pk, access=self.access, phrase=body.phrase, now=now)
        elif step == "approve":
            job = jobs.approve(pk, access=self.access, note=body.note, now=now)
        else:
            job = {"pause": jobs.pause, "resume": jobs.resume, "cancel": jobs.cancel, "refresh": jobs.refresh}[step](
                pk, access=self.access, now=now
            )
        return Response(as_dict(job, self.access))


def _undone(view: View, pk: int) -> int:
    """How often it was undone before: without a key of the caller's, each try that came to nothing may be followed by another."""
    ended = [JobState.CANCELLED, JobState.REFUSED]
    return int(BulkJob.objects.filter(tenant=view.access.tenant, of_job=pk, state__in=ended).count())


class BulkJobRows(View):
    scopes = {"GET": ("support", "read")}

    def get(self, request: Request, pk: int) -> Response:
        job = gate.get(BulkJob, pk, access=self.access, without=("body",))
        pages = NewestFirst()
        page = pages.paginate_queryset(job.rows.order_by("-pk"), request, view=self) or []
        found = _with_numbers(job, [_told(row) for row in page], self.access)
        return Response({"results": found, "next": pages.get_next_link(), "previous": pages.get_previous_link()})


def as_dict(job: BulkJob, access: Access, *, found: Progress | None = None, rows: bool = True) -> dict[str, Any]:
    """A job as the API tells it. `skipped`: the first hundred of whom more is to be told; `count`: how many it changes, as the preview says."""
    found = found or progress(job, now=timezone.now())
    told: dict[str, Any] = {
        "id": job.pk, "type": job.type, "state": job.state, "dry_run": job.dry_run, "reason": job.reason, "points": job.points,
        "until": job.until.isoformat() if job.until else None, "count": job.count, "chosen": job.chosen, "sum": job.sum,
        "skips": job.preview.get("skips", {}), "refused": job.lines_refused, "worth": job.preview.get("worth"), "phrase": job.phrase or None,
        "because": job.because, "message": job.message, "asked_by": job.asked_by, "decided_by": job.decided_by, "run_by": job.run_by,
        "of_job": job.of_job_id, "spent": job.spent or None, "created_at": iso(job.created_at),
        **{name: iso(at) if (at := getattr(job, name)) else None for name in ("confirmed_at", "started_at", "finished_at")},
        "progress": {
            "done": found.done, "skipped": found.skipped, "failed": found.failed, "changed": found.changed, "left": found.left,
            "points": found.points, "percent": found.percent, "rate": found.rate, "seconds_left": found.seconds_left,
        },
    }  # fmt: skip
    return told | {"skipped": _skipped(job, access)} if rows else told


def _skipped(job: BulkJob, access: Access) -> list[dict[str, Any]]:
    """Of whom something is to be told: before it runs, as the preview found it; afterwards, as it was."""
    rows = [_told(row) for row in job.rows.all()[:SKIPPED]]
    if job.started_at is None:
        rows += [
            {
                "customer_id": each["customer"], "mobile": "", "line": None, "outcome": Outcome.SKIPPED.value, "code": each["code"],
                "message": str(SKIPS.get(each["code"], each["code"])), "points": each["delta"],
            }
            for each in job.preview.get("skipped", [])
        ]  # fmt: skip
    return _with_numbers(job, rows[:SKIPPED], access)


def _told(row: JobRow) -> dict[str, Any]:
    return {
        "customer_id": row.customer_id, "mobile": row.given.get("mobile", ""), "line": row.line, "outcome": row.outcome, "code": row.code,
        "message": row.sentence, "points": row.points,
    }  # fmt: skip


def _with_numbers(job: BulkJob, rows: list[dict[str, Any]], access: Access) -> list[dict[str, Any]]:
    """Masked; but whoever names numbers, with a key that may change points, is told by them."""
    may_change = SCOPE in access.scopes
    named = "mobiles" in job.select and may_change
    for row in rows if not may_change else ():
        row["mobile"] = last_digits(row["mobile"])
    people = Customer.objects.filter(tenant=job.tenant_id).in_bulk([row["customer_id"] for row in rows if row["customer_id"]])
    for row in rows:
        if person := people.get(row["customer_id"]):
            row["mobile"] = person.mobile if named else person.masked_mobile
    return rows
