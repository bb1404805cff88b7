"""Lists of customers, holds and rules. A customer opens as Customer 360."""

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import FieldTextFilter
from unfold.decorators import display

from loyalty import rules_admin  # noqa: F401 - registers its pages
from loyalty.customer_import import CustomerResource
from loyalty.models import Customer, Hold, held_since
from loyalty.state import HoldState
from tenants.access import Act
from tenants.admin_base import ReadOnlyAdmin, may
from tenants.import_form import FileAdmin
from tenants.saying import said

#: Every state is here: what is not would be shown as it is called.
STATE_LABELS = {"active": "warning", "captured": "success", "partly_captured": "success", "released": "", "expired": ""}


@admin.register(Customer)
class CustomerAdmin(ReadOnlyAdmin, FileAdmin):
    """Looked at, and imported: who they are, never what they have."""

    view_act = Act.VIEW_CUSTOMERS
    resource_classes: Any = (CustomerResource,)
    rows_at_once = 500  # a row locks a number, and bills of that number wait meanwhile
    list_display = ("who", "masked", "available", "blocked", "negative", "closing", "tier", "joined_on")
    list_select_related = ("balance",)
    list_filter = ("status", ("tier", FieldTextFilter))  # offering all tiers there are would read every row
    list_filter_submit = True

    @admin.display(description=gettext_lazy("Customer"), ordering="name")
    def who(self, row: Customer) -> str:
        return row.name or said("(no name)")

    @admin.display(description=gettext_lazy("Mobile"))
    def masked(self, row: Customer) -> str:
        return row.masked_mobile

    @admin.display(description=gettext_lazy("Available"), ordering="balance__available")
    def available(self, row: Customer) -> str:
        return f"{row.balance.available:,}"

    @admin.display(description=gettext_lazy("Blocked"), ordering="balance__held")
    def blocked(self, row: Customer) -> str:
        return f"{row.balance.held:,}"

    @admin.display(description=gettext_lazy("Negative"), ordering="balance__owed")
    def negative(self, row: Customer) -> str:
        return f"−{row.balance.owed:,}" if row.balance.owed else "0"

    @admin.display(description=gettext_lazy("Closing"))
    def closing(self, row: Customer) -> str:
        return f"{row.balance.closing:,}"

    def has_import_permission(self, request: HttpRequest) -> bool:
        return may(request, Act.MANAGE_RULES) or may(request, Act.REPLAY_BILLS)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return False

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return redirect(reverse("admin:customer360", args=[row.pk]))


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    view_act = Act.VIEW_CUSTOMERS
    list_display = ("reference", "customer", "points", "labelled_state", "store", "bill_no", "at", "age", "expires_at")
    list_select_related = ("customer", "store")
    list_filter = ("state",)
    search_fields = ("reference", "bill_no")
    search_help_text = gettext_lazy("Reference or bill number")

    @display(description=gettext_lazy("State"), label=STATE_LABELS)
    def labelled_state(self, row: Hold) -> tuple[str, str]:
        """The state, whose colour it has, and how it is said."""
        return row.state, said("blocked") if row.state == HoldState.ACTIVE else row.get_state_display()

    @admin.display(description=gettext_lazy("Blocked for"))
    def age(self, row: Hold) -> str:
        return said("{days} days", days=held_since(row, now=timezone.now())) if row.state == HoldState.ACTIVE else "–"

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return redirect(reverse("admin:customer360", args=[row.customer_id]) + "?tab=holds")
