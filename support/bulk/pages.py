"""The pages of bulk jobs: choose, look at the preview, confirm, watch, undo."""

from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from integrations import messages as messages_out
from loyalty.ledger import KeyReused
from loyalty.models import Customer
from support.bulk import choice, files, jobs
from support.bulk.forms import ConfirmForm, JobForm, UndoForm
from support.bulk.models import BulkJob, JobState, JobType, Outcome
from support.bulk.progress import progress
from support.bulk.rights import may_run
from support.bulk.types import SKIPS, TAKES_POINTS, needed_act, words_of
from support.forms import ReasonForm
from support.saved_views import JOBS, views_for
from support.views import dialog, render
from tenants import exports
from tenants.access import Access, Act
from tenants.admin_base import access_of
from tenants.errors import DomainError

ROWS_SHOWN = 100
#: These move by themselves; their page looks again every second.
MOVING = (JobState.READING, JobState.RUNNING)


def new_job(request: HttpRequest) -> HttpResponse:
    """What, and for whom; then its preview."""
    access = access_of(request)
    access.require(Act.RUN_JOBS)
    initial: dict[str, Any] = {
        name: value for name, value in request.GET.items() if name in JobForm.base_fields or name in choice.FILTERS
    }
    form = JobForm(
        request.POST or None, request.FILES or None, access=access, initial={**initial, "token": ReasonForm.new_token()}
    )
    if request.method == "POST" and form.is_valid():
        try:
            job, _repeated = jobs.create(
                access, form.wanted(), form.select(), key=f"form:{form.cleaned_data['token']}", now=timezone.now()
            )
            return redirect("admin:job", job.pk)
        except KeyReused:  # went back, and chose something else
            form.add_error(None, _("This form was sent before, for something else. Look at it and press again."))
            form.data = {**form.data.dict(), "token": ReasonForm.new_token()}  # type: ignore[attr-defined]
        except DomainError as refusal:
            form.refuse(refusal)
    return dialog(
        request, "support/new_job.html", title=_("New bulk job"), form=form, views=views_for(access, page=JOBS), own=access.actor.id,
        back=reverse("admin:support_bulkjob_changelist"),
    )  # fmt: skip


@require_GET
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """One job, whatever its state; while it moves, only its inside is asked for again."""
    access = access_of(request)
    access.require(Act.VIEW_CUSTOMERS)
    job = _job(pk, access)
    context = _context(job, access)
    if request.headers.get("HX-Request"):
        return TemplateResponse(request, "support/job_body.html", {**context, "access": access})
    return render(request, "support/job.html", title=_title(job), **context)


def _job(pk: int, access: Access) -> BulkJob:
    """Raises: Http404."""
    job: BulkJob | None = (
        BulkJob.objects.filter(tenant=access.tenant, pk=pk).select_related("tenant", "bonus", "of_job").defer("body").first()
    )
    if job is None:
        raise Http404(_("No such job."))
    return job


def _title(job: BulkJob) -> str:
    return _("Job {number}: {what}").format(number=job.pk, what=words_of(job))


def _context(job: BulkJob, access: Access) -> dict[str, Any]:
    now = timezone.now()
    may, own = may_run(access, job), job.asked_by_kind == access.actor.kind and job.asked_by_id == access.actor.id
    told = job.rows.exclude(outcome=Outcome.REFUSED).select_related("customer")
    undos = job.undone_by.filter(type=JobType.UNDO, dry_run=False).exclude(state__in=[JobState.CANCELLED, JobState.REFUSED])
    undone = list(undos.order_by("-pk")[:3])
    preview = job.preview if job.started_at is None else {}  # the page asks again every second while it runs
    return {
        "query": _query(job),
        "job": job, "what": words_of(job), "whom": whom(job), "found": progress(job, now=now), "now": now, "moving": job.state in MOVING,
        "worth": Decimal(preview.get("worth") or 0), "skip_count": sum(preview.get("skips", {}).values()),
        "skips": [(str(SKIPS.get(code, code)), count) for code, count in preview.get("skips", {}).items()],
        "largest": _named(job, preview.get("largest", [])), "sample": _named(job, preview.get("sample", [])),
        "skipped": _named(job, preview.get("skipped", [])),
        "refused": job.rows.filter(outcome=Outcome.REFUSED)[:ROWS_SHOWN], "told": told[:ROWS_SHOWN],
        "ran_before": files.ran_before(job) if job.started_at is None else None,
        "may": may, "may_decide": may and not own and access.may(Act.APPROVE) and access.may(needed_act(job)), "own": own,
        "confirm": ConfirmForm(initial={"reason": job.reason}), "button": _button(job), "is_removal": _is_removal(job),
        "undo": UndoForm(initial={"token": ReasonForm.new_token()}), "undone": undone, "may_undo": may and _may_undo(job, undone),
        "may_notify": job.type in TAKES_POINTS and messages_out.wanted_when_issued(job.tenant) is not None, "may_export": access.may(Act.EXPORT),
    }  # fmt: skip


def _query(job: BulkJob) -> str:
    """Its filter, as the page of a new job takes it."""
    wanted = QueryDict(mutable=True)
    for name, value in (job.select.get("filter") or {}).items():
        if name in choice.FILTERS:
            wanted[name] = ", ".join(value) if isinstance(value, list) else value
    return wanted.urlencode()


def whom(job: BulkJob) -> str:
    """Whom it is about, for people."""
    said = job.select
    if said.get("all"):
        return _("All customers")
    if wanted := said.get("filter"):
        shown = {name: value for name, value in wanted.items() if name in choice.FILTERS}
        return " · ".join(
            f"{name.replace('_', ' ')}: {', '.join(value) if isinstance(value, list) else value}" for name, value in shown.items()
        )
    if "file" in said:
        return _("The list {name}").format(name=said["file"])
    if "job" in said:
        return _("Everybody whom job {number} has changed").format(number=said["job"])
    return _("Chosen by hand or by number")


def _named(job: BulkJob, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Figures by customer id, with their people; what was kept names nobody."""
    people = Customer.objects.filter(tenant=job.tenant_id).in_bulk([row["customer"] for row in rows])
    return [
        {**row, "person": people.get(row["customer"]), "after": row["before"] + row["delta"], "why": str(SKIPS.get(row["code"], ""))}
        for row in rows
    ]  # fmt: skip


def _button(job: BulkJob) -> str:
    """The act itself, with how many."""
    told: dict[str, tuple[str, str]] = {
        JobType.RESET: (_("Reset {count} customer"), _("Reset {count} customers")),
        JobType.RELEASE_HOLDS: (_("Free the points of {count} customer"), _("Free the points of {count} customers")),
        JobType.EXPIRE: (_("Expire the points of {count} customer"), _("Expire the points of {count} customers")),
        JobType.UNDO: (_("Undo for {count} customer"), _("Undo for {count} customers")),
    }  # fmt: skip
    one, many = told.get(job.type, (_("Apply to {count} customer"), _("Apply to {count} customers")))
    if job.dry_run:
        one, many = _("Try with {count} customer"), _("Try with {count} customers")
    return (one if job.count == 1 else many).format(count=f"{job.count:,}")


def _is_removal(job: BulkJob) -> bool:
    return job.type in (JobType.RESET, JobType.EXPIRE) or job.sum < 0


def _may_undo(job: BulkJob, undone: list[BulkJob]) -> bool:
    ended = job.state in (JobState.DONE, JobState.CANCELLED) and job.started_at is not None
    return (
        ended
        and not job.dry_run
        and job.type not in (JobType.UNDO, JobType.RELEASE_HOLDS)
        and not any(each.state != JobState.PREVIEW for each in undone)
    )


@require_POST
def act_on(request: HttpRequest, pk: int, act: str) -> HttpResponse:
    """One step of a job's life."""
    access, now = access_of(request), timezone.now()
    access.require(Act.VIEW_CUSTOMERS)
    job = _job(pk, access)
    step = STEPS.get(act)
    if step is None:
        raise Http404(_("No such act."))
    try:
        shown = step(request, job, access, now)
    except DomainError as refusal:
        if refusal.code == "forbidden":
            raise
        return _refused(request, _job(pk, access), access, refusal)
    return redirect("admin:job", shown.pk)


def _refused(request: HttpRequest, job: BulkJob, access: Access, refusal: DomainError) -> HttpResponse:
    """The page as it is, with what was said and what was typed."""
    context = _context(job, access) | {"refusal": refusal.sentence}
    if "reason" in request.POST:
        context["confirm"] = ConfirmForm(request.POST)
    response = render(request, "support/job.html", title=_title(job), **context)
    response.status_code = 422
    return response


def _confirm(request: HttpRequest, job: BulkJob, access: Access, now: Any) -> BulkJob:
    form = ConfirmForm(request.POST)
    if not form.is_valid():
        raise DomainError("reason_length", str(next(iter(form.errors.values()))[0]))
    data = form.cleaned_data
    done = jobs.confirm(job.pk, access=access, phrase=data["phrase"], reason=data["reason"], notify=data["notify"], now=now)
    if done.state == JobState.WAITING:
        messages.info(request, _("Asked for. It waits for a second person: {because}").format(because=done.because))
    return done


def _approve(request: HttpRequest, job: BulkJob, access: Access, now: Any) -> BulkJob:
    if "refuse" in request.POST:
        return jobs.refuse(job.pk, access=access, note=request.POST.get("note", ""), now=now)
    return jobs.approve(job.pk, access=access, note=request.POST.get("note", ""), now=now)


def _undo(request: HttpRequest, job: BulkJob, access: Access, now: Any) -> BulkJob:
    form = UndoForm(request.POST)
    if not form.is_valid():
        raise DomainError("bad_value", _("Choose what to do where the points were spent."))
    data = form.cleaned_data
    preview = "preview" in request.POST
    return jobs.undo(
        job.pk, access=access, spent=data["spent"], key=f"form:{data['token']}:{preview}", now=now, preview_only=preview
    )


STEPS: dict[str, Any] = {
    "confirm": _confirm,
    "approve": _approve,
    "undo": _undo,
    "try": lambda request, job, access, now: jobs.try_it(job.pk, access=access, now=now),
    "pause": lambda request, job, access, now: jobs.pause(job.pk, access=access, now=now),
    "resume": lambda request, job, access, now: jobs.resume(job.pk, access=access, now=now),
    "cancel": lambda request, job, access, now: jobs.cancel(job.pk, access=access, now=now),
    "refresh": lambda request, job, access, now: jobs.refresh(job.pk, access=access, now=now),
}


@require_POST
def file(request: HttpRequest, pk: int, kind: str) -> HttpResponseBase:
    """Results, or the lines to mend; that it was taken is kept."""
    access = access_of(request)
    access.require(Act.RUN_JOBS if kind == "errors" else Act.EXPORT)
    job = _job(pk, access)
    lines = {"results": files.result_lines, "errors": files.error_lines}.get(kind)
    if lines is None:
        raise Http404(_("No such file."))
    return exports.sent(lines(job), name=f"job-{job.pk}-{kind}.csv", what="job", access=access, target=job, asked={"lines": kind})


@require_GET
def template(request: HttpRequest, type: str) -> HttpResponse:
    """An empty list with the columns of this type."""
    access_of(request).require(Act.RUN_JOBS)
    if type not in JobType.values:
        raise Http404(_("No such type."))
    response = HttpResponse("\ufeff" + ",".join(files.template_of(type)) + "\r\n", content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{type}.csv"'
    return response
