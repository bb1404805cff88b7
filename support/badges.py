"""Numbers beside the sidebar's pages: only where somebody must act."""

from django.http import HttpRequest

from support.bulk.models import BulkJob, JobState
from support.models import ApprovalRequest, RequestState
from tenants.access import Access, Act

MANY = 99


def approvals(request: HttpRequest) -> str:
    """How many requests wait for this person; empty: none, or they may not decide."""
    access: Access | None = getattr(request, "access", None)
    if access is None or not access.may(Act.APPROVE):
        return ""
    rows = ApprovalRequest.objects.filter(tenant=access.tenant, state=RequestState.ASKED)
    waiting = rows.exclude(asked_by_ident=access.actor.ident).order_by().values_list("pk", flat=True)
    own = {"asked_by_kind": access.actor.kind.value, "asked_by_id": access.actor.id}
    jobs = (
        BulkJob.objects.filter(tenant=access.tenant, state=JobState.WAITING)
        .exclude(**own)
        .order_by()
        .values_list("pk", flat=True)
    )
    count = len(waiting[: MANY + 1].union(jobs[: MANY + 1], all=True))
    return "" if not count else f"{MANY}+" if count > MANY else str(count)
