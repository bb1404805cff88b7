"""What a brand sets up for its desk, and the lists of what the desk keeps."""

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from support.models import Case, PointsLimit, TopicContact
from tenants.access import Act
from tenants.admin_base import ReadOnlyAdmin, TenantAdmin


@admin.register(PointsLimit)
class PointsLimitAdmin(TenantAdmin):
    """A role without a row has no limit."""

    view_act = change_act = Act.MANAGE_STAFF
    list_display = ("role", "an_act", "a_day")


@admin.register(TopicContact)
class TopicContactAdmin(TenantAdmin):
    view_act = Act.VIEW_CUSTOMERS
    change_act = Act.MANAGE_STAFF
    list_display = ("topic", "name", "email", "phone", "hint")


@admin.register(Case)
class CaseAdmin(ReadOnlyAdmin):
    view_act = Act.VIEW_CUSTOMERS
    list_display = ("title", "customer", "topic", "opened_at", "opened_by", "state")
    list_select_related = ("customer",)
    list_filter = (("closed_at", admin.EmptyFieldListFilter), "topic", "outcome")
    search_fields = ("title", "opened_by")
    search_help_text = gettext_lazy("Title, or who opened it")

    @admin.display(description=gettext_lazy("State"))
    def state(self, row: Case) -> str:
        return row.get_outcome_display() if row.closed_at else _("open")

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return redirect("admin:case", row.pk)
