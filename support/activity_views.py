"""The activity log's page and its files."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from support import activity, paging
from support.saved_views import LOG, views_for
from support.views import render
from tenants import exports
from tenants.access import Act
from tenants.admin_base import access_of


@require_GET
def log(request: HttpRequest) -> HttpResponse:
    return _log(request)


def _log(request: HttpRequest) -> HttpResponse:
    access = access_of(request)
    access.require(Act.VIEW_CUSTOMERS)
    filters = activity.ActivityFilter(request.GET, tenant=access.tenant, numbers=access.may(Act.VIEW_MOBILES))
    valid = filters.is_valid()
    page: paging.Page[activity.Row] = (
        activity.page(filters, before=paging.cursor_of(request.GET.get("before", "")))
        if valid
        else paging.Page([], "", cut=False)
    )
    asked = request.GET.copy()
    asked.pop("before", None)
    context: dict[str, Any] = {
        "filters": filters, "rows": page.rows, "older": page.older, "cut": page.cut, "asked": asked.urlencode(),
        "is_filtered": bool(activity.filtered(request.GET)),
        "stores": activity.stores_of(access.tenant), "views": views_for(access, page=LOG), "own": access.actor.id,
        "may_export": access.may(Act.EXPORT), "zone": access.tenant.timezone,
    }  # fmt: skip
    response: HttpResponse = render(request, "support/activity.html", title=_("Activity log"), **context)
    response.status_code = 200 if valid else 422
    return response


@require_POST
def export(request: HttpRequest, kind: str) -> HttpResponseBase:
    """A file of exactly what is filtered; that it was taken is kept."""
    access = access_of(request)
    access.require(Act.EXPORT)
    filters = activity.ActivityFilter(request.GET, tenant=access.tenant, numbers=access.may(Act.VIEW_MOBILES))
    if not filters.is_valid():
        return _log(request)
    name = f"activity-{access.tenant.slug}-{timezone.localdate():%Y-%m-%d}.{kind}"
    made = activity.as_csv if kind == "csv" else activity.as_xlsx
    return exports.sent(made(filters), name=name, what="activity", access=access, asked=activity.filtered(request.GET))
