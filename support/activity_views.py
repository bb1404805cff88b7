"""The activity log's page and its files."""

from typing import Any

from django.contrib import messages
from django.db.models import Case, Q, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from support import activity
from support.models import SavedView
from support.views import render
from tenants import access as gate
from tenants import audit
from tenants.access import Access, Act
from tenants.admin_base import access_of

VIEWS_SHOWN, QUERY_MAX = 50, 1000
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@require_GET
def log(request: HttpRequest) -> HttpResponse:
    access = access_of(request)
    access.require(Act.VIEW_CUSTOMERS)
    filters = activity.ActivityFilter(request.GET, tenant=access.tenant)
    before = request.GET.get("before", "")
    valid = filters.is_valid()
    page = (
        activity.page(
            access.tenant, filters.qs, before=int(before) if before.isdecimal() and len(before) < 19 else None,
            of_somebody=bool(filters.form.cleaned_data.get("customer")),
        )
        if valid
        else activity.LogPage([], None, cut=False)
    )  # fmt: skip
    asked = request.GET.copy()
    asked.pop("before", None)
    context: dict[str, Any] = {
        "filters": filters, "rows": page.rows, "older": page.older, "cut": page.cut, "asked": asked.urlencode(),
        "is_filtered": bool(activity.filtered(request.GET)),
        "stores": activity.stores_of(access.tenant), "views": _views(access), "own": access.actor.id,
        "may_export": access.may(Act.EXPORT), "zone": access.tenant.timezone,
    }  # fmt: skip
    response: HttpResponse = render(request, "support/activity.html", title=_("Activity log"), **context)
    response.status_code = 200 if valid else 422
    return response


def _views(access: Access) -> list[SavedView]:
    """One's own, and those for everybody."""
    rows = SavedView.objects.filter(Q(owner=access.actor.id) | Q(for_all=True), tenant=access.tenant)
    own_first = Case(When(owner=access.actor.id, then=0), default=1)
    return list(rows.select_related("owner").order_by(own_first, "name")[:VIEWS_SHOWN])


@require_POST
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep what is filtered under a name; the same name of the same person is replaced."""
    access = access_of(request)
    access.require(Act.VIEW_CUSTOMERS)
    name, query = request.POST.get("name", "").replace("\0", "").strip()[:60], _known(request.POST.get("query", ""))
    back = f"{reverse('admin:activity')}?{query}"
    if not name or not query or len(query) > QUERY_MAX:
        messages.error(request, _("Give it a name, and filter something first. Nothing was saved."))
        return HttpResponseRedirect(back)
    for_all = request.POST.get("for_all") == "on" and access.may(Act.EXPORT)
    SavedView.objects.update_or_create(
        tenant=access.tenant, owner_id=access.actor.id, name=name, defaults={"query": query, "for_all": for_all}
    )
    messages.success(request, _("Saved as “{name}”.").format(name=name))
    return HttpResponseRedirect(back)


def _known(query: str) -> str:
    """Only what the log's own filters take."""
    asked = QueryDict(query)
    kept = QueryDict(mutable=True)
    for name in activity.ActivityFilter.base_filters:
        if texts := [text for text in asked.getlist(name) if text]:
            kept.setlist(name, texts)
    return kept.urlencode()


@require_POST
def forget_view(request: HttpRequest, pk: int) -> HttpResponse:
    """One's own only."""
    access = access_of(request)
    row = gate.get(SavedView, pk, access=access)
    if row.owner_id != access.actor.id:
        raise Http404(_("No such view of yours."))
    row.delete()
    messages.success(request, _("“{name}” is forgotten.").format(name=row.name))
    return HttpResponseRedirect(reverse("admin:activity"))


@require_GET
def export(request: HttpRequest, kind: str) -> HttpResponseBase:
    """A file of exactly what is filtered; that it was taken is kept."""
    access = access_of(request)
    access.require(Act.EXPORT)
    filters = activity.ActivityFilter(request.GET, tenant=access.tenant)
    if not filters.is_valid():
        return log(request)
    name = f"activity-{access.tenant.slug}-{timezone.localdate():%Y-%m-%d}.{kind}"
    audit.record(
        access.tenant, actor=access.actor, action="export_activity", target=access.tenant, reason=f"Exported as {kind}",
        after=activity.filtered(request.GET),
    )  # fmt: skip
    if kind == "csv":
        response = StreamingHttpResponse(activity.as_csv(access.tenant, filters.qs), content_type="text/csv; charset=utf-8")
    else:
        response = StreamingHttpResponse(activity.as_xlsx(access.tenant, filters.qs), content_type=XLSX)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
