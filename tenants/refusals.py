"""What somebody tried and may not do, kept in the trail: who probes for a way is seen before they find one."""

from datetime import timedelta

from django.http import HttpRequest
from django.utils import timezone

from tenants import audit
from tenants.access import Access
from tenants.errors import NOTED
from tenants.masking import hide_numbers
from tenants.models import AuditEvent

TOLD = "refused_act"
#: One who tries without end does not fill the trail: so many within so long, and the last says so.
MOST = 20
WITHIN = timedelta(minutes=10)


def tell(request: HttpRequest, access: Access, codes: dict[str, dict[str, str]]) -> None:
    """One event for each code. `codes`: with what is known of each. Inside the tenant's walls, in a transaction of its own."""
    before = AuditEvent.objects.filter(
        tenant=access.tenant, actor_id=access.actor.id, actor_kind=access.actor.kind, action=TOLD, at__gte=timezone.now() - WITHIN
    ).count()
    match = request.resolver_match
    for number, (code, details) in enumerate(codes.items(), start=before + 1):
        if number > MOST:
            return
        asked = {"code": code, **details, "page": match.view_name if match else "", "method": request.method or ""}
        if match and match.kwargs:
            asked["of"] = ", ".join(hide_numbers(str(value)) for value in match.kwargs.values())
        if number == MOST:
            asked["note"] = f"What follows within {WITHIN.seconds // 60} minutes is not told."
        audit.record(access.tenant, actor=access.actor, action=TOLD, target=access.tenant, after=asked)


def noted(status: int) -> dict[str, dict[str, str]]:
    """Codes of what was refused in this request, with their details; nothing of it where all was allowed."""
    found = {each.code: {name: str(value) for name, value in each.details.items()} for each in NOTED.get() or []}
    return found or ({"forbidden": {}} if status == 403 else {})
