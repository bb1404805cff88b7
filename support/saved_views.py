"""Filters under a name: of the activity log, and of bulk jobs."""

from django.contrib import messages
from django.db.models import Case, Q, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from support import activity
from support.bulk import choice
from support.models import SavedView
from tenants import access as gate
from tenants.access import Access, Act
from tenants.admin_base import access_of

VIEWS_SHOWN, QUERY_MAX = 50, 1000
LOG, JOBS = "activity", "jobs"
#: Where the filters of a page are, and which there are.
PAGES = {LOG: "admin:activity", JOBS: "admin:new_job"}
NAMES = {LOG: list(activity.ActivityFilter.base_filters), JOBS: list(choice.FILTERS)}


def views_for(access: Access, *, page: str) -> list[SavedView]:
    """One's own, and those for everybody."""
    rows = SavedView.objects.filter(Q(owner=access.actor.id) | Q(for_all=True), tenant=access.tenant, page=page)
    own_first = Case(When(owner=access.actor.id, then=0), default=1)
    return list(rows.select_related("owner").order_by(own_first, "name")[:VIEWS_SHOWN])


@require_POST
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep what is filtered under a name; the same name of the same person is replaced."""
    access = access_of(request)
    page = request.POST.get("page") or LOG
    if page not in PAGES:
        raise Http404(_("No such page."))
    access.require(Act.VIEW_CUSTOMERS if page == LOG else Act.RUN_JOBS)
    name, query = request.POST.get("name", "").replace("\0", "").strip()[:60], _known(request.POST.get("query", ""), page=page)
    back = f"{reverse(PAGES[page])}?{query}"
    if not name or not query or len(query) > QUERY_MAX:
        messages.error(request, _("Give it a name, and filter something first. Nothing was saved."))
        return HttpResponseRedirect(back)
    for_all = request.POST.get("for_all") == "on" and access.may(Act.EXPORT)
    SavedView.objects.update_or_create(
        tenant=access.tenant, owner_id=access.actor.id, page=page, name=name, defaults={"query": query, "for_all": for_all}
    )
    messages.success(request, _("Saved as “{name}”.").format(name=name))
    return HttpResponseRedirect(back)


def _known(query: str, *, page: str) -> str:
    """Only what the page's own filters take."""
    asked = QueryDict(query)
    kept = QueryDict(mutable=True)
    for name in NAMES[page]:
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
    return HttpResponseRedirect(reverse(PAGES.get(row.page, PAGES[LOG])))
