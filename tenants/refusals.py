"""What somebody tried and may not do, kept in the trail: who probes for a way is seen before they find one."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import connection
from django.http import HttpRequest
from django.utils import timezone

from tenants import audit
from tenants.access import Access
from tenants.errors import NOTED
from tenants.masking import hide_numbers, masked
from tenants.models import AuditEvent

TOLD = "refused_act"
#: One who tries without end does not fill the trail: of the same thing so many within so long, and the last says so; of all things so many.
MOST, MOST_OF_ALL = 5, 100
WITHIN = timedelta(minutes=10)
SAME = ("code", "act", "page")
_LONGEST = 100
#: Whoever tries in several requests at once is counted in one after the other.
_ONE_BY_ONE = "SELECT pg_advisory_xact_lock(hashtext('pointdesk.refusals'), hashtext(%s))"


def tell(request: HttpRequest, access: Access, refused: Sequence[dict[str, str]]) -> None:
    """One event for each. Inside the tenant's walls, in a transaction of its own."""
    actor = access.actor
    with connection.cursor() as cursor:
        cursor.execute(_ONE_BY_ONE, [f"{access.tenant.pk}:{actor.ident}"])
    since = AuditEvent.objects.filter(
        tenant=access.tenant, actor_id=actor.id, actor_kind=actor.kind, action=TOLD, at__gte=timezone.now() - WITHIN
    )
    before: list[dict[str, Any]] = list(since.order_by("-at").values_list("after", flat=True)[:MOST_OF_ALL])
    for each in refused:
        asked = each | _asked(request)
        number = 1 + sum(all(told.get(name) == asked.get(name) for name in SAME) for told in before)
        if number > MOST or len(before) >= MOST_OF_ALL:
            continue
        if number == MOST:
            asked["note"] = f"The same within {WITHIN.seconds // 60} minutes is not told."
        before.append(asked)
        audit.record(access.tenant, actor=actor, action=TOLD, target=access.tenant, after=asked)


def _asked(request: HttpRequest) -> dict[str, str]:
    """By which page or call, and about what: as the address says it, without numbers of people and what no table holds."""
    match = request.resolver_match
    asked = {"page": match.view_name if match else "", "method": request.method or ""}
    if match and match.kwargs:
        about = ", ".join(str(value) for value in masked(match.kwargs).values())
        asked["of"] = hide_numbers("".join(sign for sign in about if sign.isprintable()))[:_LONGEST]
    return asked


def noted(request: HttpRequest, status: int) -> list[dict[str, str]]:
    """What was refused in this request, each with its code and details; empty where all was allowed, or a form was too old."""
    found = [{"code": each.code, **{name: str(value) for name, value in each.details.items()}} for each in NOTED.get() or []]
    if found or status != 403:
        return found
    is_form_of_ours = request.path.startswith("/api/") or getattr(request, "csrf_processing_done", False)
    return [{"code": "forbidden"}] if is_form_of_ours else []
