"""Pages of the audit trail: the list with its files, one event, one person's day."""

import re
from datetime import date
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from support import audit_trail, heads, paging
from support.views import render
from tenants import access as gate
from tenants import exports, trail
from tenants.access import Act
from tenants.actors import ActorKind
from tenants.admin_base import access_of
from tenants.models import AuditEvent, Membership, User

SHA256 = re.compile(r"[0-9a-fA-F]{64}")
#: So often the same file may have been sent.
SENT_SHOWN = 50


@require_GET
def log(request: HttpRequest) -> HttpResponse:
    return _log(request)


def _log(request: HttpRequest) -> HttpResponse:
    access = access_of(request)
    access.require(Act.VIEW_AUDIT)
    filters = audit_trail.TrailFilter(request.GET, tenant=access.tenant, numbers=access.may(Act.VIEW_MOBILES))
    valid = filters.is_valid()
    whole = AuditEvent.objects.filter(tenant=access.tenant)
    before = paging.cursor_of(request.GET.get("before", ""))
    page: paging.Page[AuditEvent] = (
        paging.page(filters.qs, whole=whole, before=before, indexed=filters.is_quick) if valid else paging.Page([], "", cut=False)
    )
    asked = request.GET.copy()
    asked.pop("before", None)
    sent = heads.sent(access.tenant).filter(at__lte=timezone.now()).first()
    context: dict[str, Any] = {
        "filters": filters, "lines": audit_trail.lines(page.rows), "older": page.older, "cut": page.cut, "asked": asked.urlencode(),
        "is_filtered": bool(audit_trail.filtered(request.GET)), "types": audit_trail.types(), "may_export": access.may(Act.EXPORT),
        "zone": access.tenant.timezone, "heads": heads.of(access.tenant), "sent": sent, "silent": trail.silent(), "now": timezone.now(),
    }  # fmt: skip
    response: HttpResponse = render(request, "support/audit_trail.html", title=_("Audit trail"), **context)
    response.status_code = 200 if valid else 422
    return response


@require_GET
def event(request: HttpRequest, pk: int) -> HttpResponse:
    """One event whole, with what else was told in its transaction."""
    access = access_of(request)
    access.require(Act.VIEW_AUDIT)
    found = gate.get(AuditEvent, pk, access=access)
    (line,) = audit_trail.lines([found])
    together = audit_trail.lines(list(trail.of_same_transaction(found)[: paging.ROWS_A_PAGE]))
    return render(
        request, "support/audit_event.html", title=_("Event {number}").format(number=found.pk), line=line,
        changes=audit_trail.changes(found), together=together,
    )  # fmt: skip


@require_POST
def export(request: HttpRequest, kind: str) -> HttpResponseBase:
    """A file of exactly what is filtered; that it was taken is kept."""
    access = access_of(request)
    access.require(Act.VIEW_AUDIT)
    access.require(Act.EXPORT)
    filters = audit_trail.TrailFilter(request.GET, tenant=access.tenant, numbers=access.may(Act.VIEW_MOBILES))
    if not filters.is_valid():
        return _log(request)
    name = f"audit-{access.tenant.slug}-{timezone.localdate():%Y-%m-%d}.{kind}"
    made = audit_trail.as_csv if kind == "csv" else audit_trail.as_xlsx
    return exports.sent(
        made(access.tenant, filters.qs), name=name, what="audit", access=access, asked=audit_trail.filtered(request.GET)
    )


@require_GET
def file(request: HttpRequest) -> HttpResponse:
    """Whether a file is one that we gave out, by its SHA-256."""
    access = access_of(request)
    access.require(Act.VIEW_AUDIT)
    digest = request.GET.get("sha256", "").strip()
    wrong = bool(digest) and not SHA256.fullmatch(digest)
    found = list(exports.known(access.tenant, digest)[:SENT_SHOWN]) if digest and not wrong else []
    response: HttpResponse = render(
        request, "support/audit_file.html", title=_("Check a file"), digest=digest, wrong=wrong, found=found
    )
    response.status_code = 422 if wrong else 200
    return response


@require_GET
def day(request: HttpRequest, pk: int) -> HttpResponse:
    """A person's day. One's own is open to everybody; somebody else's to whoever looks at the trail."""
    access = access_of(request)
    if pk != request.user.pk:
        access.require(Act.VIEW_AUDIT)
    user = _who_was_here(access, pk)
    today = timezone.localdate()
    chosen = _day(request.GET.get("day", "")) or today
    found = audit_trail.day_of(access.tenant, user, chosen)
    membership = Membership.objects.filter(tenant=access.tenant, user=user).first()
    return render(
        request, "support/staff_day.html", title=_("Day of {name}").format(name=user), person=user, membership=membership, day=chosen,
        before=date.fromordinal(max(chosen.toordinal() - 1, 1)), after=date.fromordinal(chosen.toordinal() + 1), today=today, found=found,
        may_audit=access.may(Act.VIEW_AUDIT),
    )  # fmt: skip


def _day(text: str) -> date | None:
    try:
        found = parse_date(text)
    except ValueError:
        return None
    return found if found and date(2000, 1, 1) <= found <= date(2199, 12, 31) else None


def _who_was_here(access: gate.Access, pk: int) -> User:
    """Somebody who works for the brand, or did something there. Raises: Http404."""
    here = (
        Membership.objects.filter(tenant=access.tenant, user_id=pk).exists()
        or AuditEvent.objects.filter(tenant=access.tenant, actor_kind=ActorKind.PERSON, actor_id=pk).exists()
    )
    user = User.objects.filter(pk=pk).first() if here else None
    if user is None:
        raise Http404
    return user
