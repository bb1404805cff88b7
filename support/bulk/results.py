"""The mail to whoever ran a job: what became of it, and a file of those of whom more is to be told."""

from collections import Counter
from datetime import datetime, timedelta
from email.utils import formataddr

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _
from django_scopes import scope, scopes_disabled

from integrations.messages import NOT_TAKEN, mail_is_set
from support.bulk import files
from support.bulk.models import BulkJob, JobState
from support.bulk.progress import progress
from support.bulk.types import words_of
from tenants import exports
from tenants.actors import ActorKind
from tenants.masking import hide_numbers
from tenants.models import User

log = structlog.get_logger("pointdesk.bulk")
#: What was not told for so long is not told any more; and so much goes into a mail, the rest is at the job's page.
WITHIN, BYTES_MAX = timedelta(days=1), 2 << 20


def tell_all(*, now: datetime) -> Counter[str]:
    """Every job that has ended and was not told. A mail server that is away is asked again by the next run."""
    done: Counter[str] = Counter()
    with scopes_disabled():
        ended = BulkJob.objects.filter(
            state=JobState.DONE,
            mailed_at=None,
            run_by_kind=ActorKind.PERSON,
            finished_at__gte=now - WITHIN,
            tenant__is_active=True,
        )
        waiting = list(ended.select_related("tenant", "bonus", "of_job").defer("body").order_by("pk")) if mail_is_set() else []
    for job in waiting:
        with scope(tenant=job.tenant):
            try:
                _tell(job)
            except NOT_TAKEN as problem:
                log.warning("result not mailed", job=job.pk, error=type(problem).__name__)
                done["failed"] += 1
                continue
            BulkJob.objects.filter(pk=job.pk, tenant=job.tenant).update(mailed_at=now)
            done["done"] += 1
    return done


def _tell(job: BulkJob) -> None:
    user = User.objects.filter(pk=job.run_by_id or 0, is_active=True).first()
    if user is None or not user.email:
        return
    found = progress(job)
    lines = [
        _("{what}: {reason}").format(what=words_of(job), reason=hide_numbers(job.reason)),
        "",
        _("{done:,} of {total:,} customers done, {skipped:,} skipped, {failed:,} failed; {points:+,} points.").format(
            done=found.done, total=found.total, skipped=found.skipped, failed=found.failed, points=found.points
        ),
    ]
    if job.dry_run:
        lines.append(_("It was tried without effect: nothing was changed."))
    if job.lines_refused:
        lines.append(
            _("{count:,} lines of the list were not read; the job's page has them in a file to mend.").format(
                count=job.lines_refused
            )
        )
    subject = _("Job {number} is done: {done:,} customers").format(number=job.pk, done=found.done)
    ident = f"<bulk-job-{job.tenant_id}-{job.pk}@pointdesk>"  # a second copy is known as one
    sender = formataddr((job.tenant.name, settings.DEFAULT_FROM_EMAIL))
    mail = EmailMessage(" ".join(subject.split()), "\n".join(lines), sender, [user.email], headers={"Message-ID": ident})
    if not (found.skipped or found.failed or found.changed or job.lines_refused):
        mail.send()
        return
    exports.mailed(mail, _file(job), name=f"job-{job.pk}.csv", what="job", tenant=job.tenant, actor=job.runner, target=job)


def _file(job: BulkJob) -> str:
    """One sentence for each customer who was skipped, or of whom else something is to be told."""
    text, size = [], 0
    for line in files.result_lines(job, only_told=True):
        size += len(line.encode())
        if size > BYTES_MAX:
            text.append(_("The rest is at the job's page.") + "\r\n")
            break
        text.append(line)
    return "".join(text)
