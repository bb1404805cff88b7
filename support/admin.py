"""What a brand sets up for its desk, and the lists of what the desk keeps."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import OuterRef, Subquery, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action, display

from loyalty.admin import CustomerAdmin
from loyalty.models import Customer
from support.bulk.models import BulkJob, BulkSettings, JobBlock, JobState
from support.bulk.types import words_of
from support.models import Case, PointsLimit, TopicContact
from tenants.access import Act
from tenants.admin_base import ReadOnlyAdmin, TenantAdmin, may
from tenants.masking import hide_numbers


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
    list_display = ("named", "customer", "topic", "opened_at", "opened_by", "state")
    list_select_related = ("customer",)
    list_filter = (("closed_at", admin.EmptyFieldListFilter), "topic", "outcome")
    search_fields = ("title", "opened_by")
    search_help_text = gettext_lazy("Title, or who opened it")

    @admin.display(description=gettext_lazy("Title"), ordering="title")
    def named(self, row: Case) -> str:
        return hide_numbers(row.title)

    @admin.display(description=gettext_lazy("State"))
    def state(self, row: Case) -> str:
        return row.get_outcome_display() if row.closed_at else _("open")

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return redirect("admin:case", row.pk)


@admin.register(BulkSettings)
class BulkSettingsAdmin(TenantAdmin):
    """One row a brand; without one nothing needs a second person."""

    view_act = change_act = Act.MANAGE_STAFF
    list_display = ("what", "customers_alone", "points_alone", "rows_per_second")

    @admin.display(description=gettext_lazy("Settings"))
    def what(self, row: BulkSettings) -> str:
        return _("One person alone")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One, where there is none. Every page asks for its menu: there it is no question to the database."""
        allowed = super().has_add_permission(request, obj)
        match = request.resolver_match
        at_home = match is not None and (match.url_name or "").startswith("support_bulksettings")
        return allowed and not (at_home and self.get_queryset(request).exists())


#: The colour of a state, for the list.
JOB_LABELS = {
    JobState.PREVIEW.value: "info", JobState.WAITING.value: "warning", JobState.RUNNING.value: "info", JobState.PAUSED.value: "warning",
    JobState.DONE.value: "success", JobState.CANCELLED.value: "danger", JobState.REFUSED.value: "danger", JobState.READING.value: "info",
}  # fmt: skip


@admin.register(BulkJob)
class BulkJobAdmin(ReadOnlyAdmin):
    """The list; a job has pages of its own."""

    view_act = Act.VIEW_CUSTOMERS
    list_display = ("id", "what", "labelled_state", "customers", "points_moved", "asked_by", "created_at", "finished_at")
    list_select_related = ("tenant", "bonus", "of_job")
    list_filter = ("state", "type", "dry_run")
    search_fields = ("reason", "asked_by", "file_name")
    search_help_text = gettext_lazy("Reason, who asked, or name of the file")

    def get_queryset(self, request: HttpRequest) -> Any:
        moved = JobBlock.objects.filter(job=OuterRef("pk")).order_by().values("job").annotate(points=Sum("sum")).values("points")
        return super().get_queryset(request).defer("body", "preview").annotate(moved=Subquery(moved))

    @admin.display(description=gettext_lazy("What"))
    def what(self, row: BulkJob) -> str:
        return f"{words_of(row)} ({_('without effect')})" if row.dry_run else words_of(row)

    @display(description=gettext_lazy("State"), label=JOB_LABELS)
    def labelled_state(self, row: BulkJob) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @admin.display(description=gettext_lazy("Customers"), ordering="count")
    def customers(self, row: BulkJob) -> str:
        return f"{row.count:,}"

    @admin.display(description=gettext_lazy("Points"))
    def points_moved(self, row: BulkJob) -> str:
        return f"{(row.moved or 0) if row.started_at else row.sum:+,}"  # type: ignore[attr-defined]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, Act.RUN_JOBS)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return redirect("admin:new_job")

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return redirect("admin:job", row.pk)


#: Customers that are chosen by hand; more are a filter's.
BY_HAND_MAX = 500
admin.site.unregister(Customer)


@admin.register(Customer)
class CustomersForJobs(CustomerAdmin):
    """The list of customers, from which a job begins by hand."""

    actions = ("start_job",)

    def get_actions(self, request: HttpRequest) -> Any:
        return super().get_actions(request) if may(request, Act.RUN_JOBS) else {}

    @action(description=gettext_lazy("Bulk job for the chosen customers"))
    def start_job(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        ids = list(queryset.values_list("pk", flat=True)[: BY_HAND_MAX + 1])
        if len(ids) > BY_HAND_MAX:
            messages.error(request, _("More than {most} by hand: choose them by a filter.").format(most=BY_HAND_MAX))
            return None
        return redirect(f"{reverse('admin:new_job')}?ids={','.join(map(str, ids))}")
