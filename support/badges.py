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
    waiting = rows.exclude(asked_by_ident=access.actor.ident).values_list("pk", flat=True)[: MANY + 1]
    jobs = BulkJob.objects.filter(tenant=access.tenant, state=JobState.WAITING)
    own = {"asked_by_kind": access.actor.kind.value, "asked_by_id": access.actor.id}
    count = len(waiting) + len(jobs.exclude(**own).values_list("pk", flat=True)[:MANY])
    return "" if not count else f"{MANY}+" if count > MANY else str(count)
