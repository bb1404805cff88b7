"""The inbox, bills, and what needs a person."""

import json
import re
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from integrations.documents import MalformedJSON, read_json
from integrations.models import Bill, BillLine, Delivery, DeliveryState, Discrepancy, Incident, ParityRun
from loyalty.models import mask_mobile
from tenants.access import Act
from tenants.admin_base import HouseAdmin, ReadOnlyAdmin, ReadOnlyInline, access_of

#: Numbers as long as a mobile's: all but their last three digits are hidden.
LONG_DIGITS = re.compile(r"\+?[0-9]{7,}([0-9]{3})(?![0-9.])")
STATE_LABELS = {
    "applied": "success", "received": "info", "duplicate": "info", "conflict": "danger", "quarantined": "warning", "waiting": "warning",
}  # fmt: skip


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    view_act = Act.VIEW_INBOX
    list_display = ("receipt", "labelled_state", "bill_no", "store_code", "check_name", "message", "received_at", "attempts")
    list_filter = ("state", "source", "check_name")
    search_fields = ("receipt__exact", "bill_no__exact")
    search_help_text = "Receipt or bill number, whole"
    fields = (
        "receipt", "state", "check_name", "message", "shown_details", "bill", "bill_no", "store_code", "masked", "source", "sender",
        "repush", "received_at", "processed_at", "attempts", "raw",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        rows: QuerySet[Delivery] = super().get_queryset(request)
        return rows.defer("body", "details")  # a list of 50 must not read 50 MiB

    @display(description="State", label=STATE_LABELS)
    def labelled_state(self, row: Delivery) -> str:
        return "waiting" if row.state == DeliveryState.WAITING_PARENT else row.state

    @admin.display(description="Mobile")
    def masked(self, row: Delivery) -> str:
        return mask_mobile(row.mobile) if row.mobile else "–"

    @admin.display(description="Details of the check")
    def shown_details(self, row: Delivery) -> SafeString:
        return format_html('<pre class="pd-raw">{}</pre>', json.dumps(row.details, indent=2, ensure_ascii=False))

    @admin.display(description="As it was sent")
    def raw(self, row: Delivery) -> SafeString:
        """The body, its mobile masked: the inbox is for documents, Customer 360 for people."""
        body = bytes(row.body)
        try:
            document = read_json(body)
            text = json.dumps(document, indent=2, ensure_ascii=True, default=str)[:20_000]
        except (MalformedJSON, RecursionError):
            return format_html('<pre class="pd-raw">{}</pre>', f"{len(body)} bytes that are not a bill")
        return format_html('<pre class="pd-raw">{}</pre>', LONG_DIGITS.sub(r"•••••\1", text))


class LineInline(ReadOnlyInline):
    model = BillLine
    view_act = Act.VIEW_INBOX
    fields = readonly_fields = (
        "line_no", "item_code", "department", "qty", "value", "discount", "amount", "tax_amount", "loyalty_discount", "loyalty_points",
    )  # fmt: skip


@admin.register(Bill)
class BillAdmin(ReadOnlyAdmin):
    view_act = Act.VIEW_INBOX
    list_display = (
        "bill_no",
        "business_date",
        "store",
        "customer",
        "net_amount",
        "redeemed_points",
        "earned_points",
        "shown_flags",
    )
    list_select_related = ("store", "customer")
    list_filter = ("store", "mode")
    search_fields = ("bill_no__exact",)
    search_help_text = "Bill number, whole"
    date_hierarchy = "business_date"
    exclude = ("fingerprint", "period", "till")
    inlines = (LineInline,)

    @admin.display(description="Flags")
    def shown_flags(self, row: Bill) -> str:
        return ", ".join(flag.replace("_", " ") for flag in row.flags) or "–"


@admin.register(Discrepancy)
class DiscrepancyAdmin(ReadOnlyAdmin):
    view_act = Act.VIEW_INBOX
    list_display = ("raised_at", "kind", "message", "store", "customer", "bill", "points")
    list_select_related = ("store", "customer", "bill")
    list_filter = ("kind",)


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    view_act = Act.VIEW_INBOX
    list_display = ("message", "store", "bills", "points", "opened_at", "last_at", "closed_at")
    list_select_related = ("store",)
    list_filter = ("kind",)


@admin.register(ParityRun)
class ParityRunAdmin(HouseAdmin):
    """Runs over all tenants, and the own ones. Their differences name other tenants, so a row says only whether it was equal."""

    view_act = Act.VIEW_RUNS
    list_display = ("at", "tenant_slug", "ok", "rows")
    fields = readonly_fields = ("at", "tenant_slug", "ok", "rows", "own_differences")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ParityRun]:
        rows: QuerySet[ParityRun] = super().get_queryset(request)
        return rows.filter(tenant_slug__in=["", access_of(request).tenant.slug])

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            row.reader = access_of(request).tenant.slug
        return row

    @admin.display(description="Differences of this brand")
    def own_differences(self, row: Any) -> SafeString:
        own = [difference for difference in row.differences if difference["tenant"] == getattr(row, "reader", "")]
        return format_html('<pre class="pd-raw">{}</pre>', json.dumps(own, indent=2) if own else "none listed here")
