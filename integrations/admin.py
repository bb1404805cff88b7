"""The inbox, bills, and what needs a person."""

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy
from import_export.fields import Field
from import_export.widgets import ForeignKeyWidget
from unfold.decorators import display

from integrations import bell, files
from integrations.models import (
    Bill,
    BillClaim,
    BillClass,
    BillLine,
    CrmBalance,
    DayEnd,
    Delivery,
    DeliveryState,
    Discrepancy,
    ErpOrder,
    FileImport,
    FileKind,
    Incident,
    IncidentKind,
    ParityRun,
    PosChange,
    ReconciliationPolicy,
    ReconciliationRun,
    Replay,
    ReplayState,
    RepushRequest,
    Resync,
    ReturnedPart,
    RunState,
    Side,
)
from integrations.reconciling.sides import grain_of
from integrations.tasks import read_file
from loyalty import customers
from loyalty.models import Customer, mask_mobile
from loyalty.money import written
from tenants import stores
from tenants.access import Act
from tenants.actors import Actor
from tenants.admin_base import ReadOnlyAdmin, ReadOnlyInline, TenantAdmin, TenantResource, access_of, may
from tenants.errors import DomainError
from tenants.import_form import LONG_FILES, FileAdmin
from tenants.models import Store, Tenant
from tenants.saying import said

REPLAY_LABELS = {"done": "success", "running": "info", "tried": "info", "cancelled": "warning", "chosen": "", "trying": ""}
STATE_LABELS = {
    "applied": "success", "received": "info", "duplicate": "info", "conflict": "danger", "quarantined": "warning", "waiting": "warning",
    "discarded": "", "reversed": "", "rejected": "",
}  # fmt: skip


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """The list; one delivery has a page of its own."""

    view_act = Act.VIEW_INBOX
    list_display = ("receipt", "labelled_state", "bill_no", "store_code", "check_name", "message", "received_at", "attempts")
    list_filter = ("state", "source", "check_name")
    extra_lookups = ("store_code",)
    search_fields = ("receipt__exact", "bill_no__exact")
    search_help_text = gettext_lazy("Receipt or bill number, whole")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        rows: QuerySet[Delivery] = super().get_queryset(request)
        return rows.defer("body", "details")  # a list of 50 must not read 50 MiB

    @display(description=gettext_lazy("State"), label=STATE_LABELS)
    def labelled_state(self, row: Delivery) -> tuple[str, str]:
        if row.state == DeliveryState.WAITING_PARENT:
            return "waiting", said("waiting")
        return row.state, row.get_state_display()

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return _page_of(self, request, object_id, "admin:delivery")


def _page_of(admin_page: TenantAdmin, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
    """A row that has a page of its own. Raises: Http404."""
    row = admin_page.get_object(request, object_id)
    if row is None:
        raise Http404(said("No such row."))
    return redirect(name, row.pk)


def in_money(name: str, title: Any) -> Any:
    """A column for an amount, as the tenant's currency is written; rows keep four decimals."""

    @admin.display(description=title, ordering=name)
    def shown(page: Any, row: Any) -> str:
        return written(getattr(row, name), currency=row.tenant.currency)

    return shown


class LineInline(ReadOnlyInline):
    model = BillLine
    view_act = Act.VIEW_INBOX
    fields = readonly_fields = (
        "line_no", "item_code", "department", "shown_qty", "shown_value", "shown_discount", "shown_amount", "shown_tax",
        "shown_loyalty_discount", "loyalty_points",
    )  # fmt: skip
    shown_value = in_money("value", gettext_lazy("Value"))
    shown_discount = in_money("discount", gettext_lazy("Discount"))
    shown_amount = in_money("amount", gettext_lazy("Amount"))
    shown_tax = in_money("tax_amount", gettext_lazy("Tax amount"))
    shown_loyalty_discount = in_money("loyalty_discount", gettext_lazy("Loyalty discount"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[BillLine]:
        rows: QuerySet[BillLine] = super().get_queryset(request)
        return rows.select_related("tenant")

    @admin.display(description=gettext_lazy("Qty"))
    def shown_qty(self, row: BillLine) -> str:
        return f"{row.qty.normalize():f}"


class PartInline(ReadOnlyInline):
    model = ReturnedPart
    fk_name = "original"
    view_act = Act.VIEW_INBOX
    fields = readonly_fields = ("bill", "line_no", "qty", "amount")
    verbose_name_plural = gettext_lazy("came back")


@admin.register(Bill)
class BillAdmin(ReadOnlyAdmin):
    view_act = Act.VIEW_INBOX
    list_display = (
        "bill_no",
        "business_date",
        "store",
        "customer",
        "shown_net",
        "redeemed_points",
        "earned_points",
        "standing",
        "shown_flags",
    )
    list_select_related = ("store", "customer", "tenant")
    list_filter = ("bill_class", "store", "mode")
    search_fields = ("bill_no__exact",)
    search_help_text = gettext_lazy("Bill number, whole")
    date_hierarchy = "business_date"
    exclude = ("fingerprint", "period", "till")
    readonly_fields = (
        "standing", "where", "shown_gross", "shown_off", "shown_net", "shown_tax", "shown_payable", "shown_redeemed", "shown_flags",
    )  # fmt: skip
    inlines = (LineInline, PartInline)
    shown_gross = in_money("gross_amount", gettext_lazy("Gross amount"))
    shown_off = in_money("discount_amount", gettext_lazy("Discount amount"))
    shown_net = in_money("net_amount", gettext_lazy("Net amount"))
    shown_tax = in_money("tax_amount", gettext_lazy("Tax amount"))
    shown_payable = in_money("payable_amount", gettext_lazy("Payable amount"))
    shown_redeemed = in_money("redeemed_amount", gettext_lazy("Redeemed amount"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """How it stands and what can be done come first; what is shown in another shape is shown once."""
        raw = [name for name in super().get_fields(request, obj) if name not in self.readonly_fields]
        rest = [name for name in raw if not name.endswith("_amount") and name != "flags"]
        return [*self.readonly_fields[:2], *rest, *self.readonly_fields[2:]]

    @display(description=gettext_lazy("Stands"), label={"yes": "success", "cancelled": "warning", "replaced": "info"})
    def standing(self, row: Bill) -> tuple[str, str]:
        if row.superseded_at is not None:
            return "replaced", said("replaced")
        return ("cancelled", said("cancelled")) if row.cancelled_by_id is not None else ("yes", said("yes"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Bill]:
        """Bills as they stand; a row that was replaced is reached from its delivery."""
        rows: QuerySet[Bill] = super().get_queryset(request)
        listed = request.resolver_match is not None and str(request.resolver_match.url_name).endswith("_changelist")
        return rows.filter(superseded_at=None) if listed else rows

    @admin.display(description=gettext_lazy("Where it came from, what can be done"))
    def where(self, row: Bill) -> SafeString:
        links = [
            (reverse("admin:delivery", args=[pk]), said("delivery {receipt} ({state})", receipt=receipt, state=said(state)))
            for pk, receipt, state in row.deliveries.order_by("id").values_list("pk", "receipt", "state")
        ]
        stands = row.superseded_at is None and row.cancelled_by_id is None
        if stands and row.customer_id is None and row.bill_type == "SALE":
            links.append((reverse("admin:claim_bill", args=[row.pk]), said("a customer claims it")))
        if stands and row.bill_class == BillClass.SALE:
            links.append((reverse("admin:reverse_bill", args=[row.pk]), said("its POS has deleted it: reverse")))
        return format_html_join(" · ", '<a class="pd-link" href="{}">{}</a>', links)

    @admin.display(description=gettext_lazy("Flags"))
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
    """The list; an incident has a page of its own."""

    view_act = Act.VIEW_INBOX
    list_display = ("message", "store", "bills", "points", "opened_at", "last_at", "closed_at")
    list_select_related = ("store",)
    list_filter = ("kind", ("closed_at", admin.EmptyFieldListFilter))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        """Of two sides that do not agree, to those who may look at them."""
        rows: QuerySet[Incident] = super().get_queryset(request)
        return rows if may(request, Act.VIEW_REPORTS) else rows.exclude(kind=IncidentKind.DRIFT)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return _page_of(self, request, object_id, "admin:incident")


@admin.register(Replay)
class ReplayAdmin(ReadOnlyAdmin):
    """The list; a replay has pages of its own."""

    view_act = Act.VIEW_INBOX
    list_display = ("id", "reason", "labelled_state", "total", "done", "actor_name", "created_at", "finished_at")
    list_filter = ("state",)

    @display(description=gettext_lazy("State"), label=REPLAY_LABELS)
    def labelled_state(self, row: Replay) -> tuple[str, str]:
        return row.state, said("trying") if row.state == ReplayState.TRYING else row.get_state_display()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, Act.REPLAY_BILLS)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return redirect("admin:new_replay")

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return _page_of(self, request, object_id, "admin:replay")


@admin.register(BillClaim)
class BillClaimAdmin(ReadOnlyAdmin):
    """Walk-in bills that customers say are theirs: one person asks, another decides."""

    view_act = Act.VIEW_INBOX
    list_display = ("bill", "masked", "reason", "asked_by", "asked_at", "verdict", "decided_by")
    list_select_related = ("bill",)
    list_filter = ("approved",)
    fields = readonly_fields = ("bill", "masked", "reason", "asked_by", "asked_at", "verdict", "decided_by", "decided_at")

    @admin.display(description=gettext_lazy("Mobile"))
    def masked(self, row: BillClaim) -> str:
        return mask_mobile(row.mobile)

    @admin.display(description=gettext_lazy("Decision"))
    def verdict(self, row: BillClaim) -> str:
        if row.decided_at is not None:
            return said("approved") if row.approved else said("refused")
        return render_to_string("support/settle_claim.html", {"claim": row})


@admin.register(RepushRequest)
class RepushRequestAdmin(ReadOnlyAdmin):
    view_act = Act.VIEW_INBOX
    list_display = ("id", "store", "asked_by", "asked_at", "mailed_to", "closed_at")
    list_select_related = ("store",)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return _page_of(self, request, object_id, "admin:repush_request")


class StoreCode(ForeignKeyWidget):
    """A store by its code or an alias, of the importing tenant only."""

    tenant: Tenant

    def __init__(self) -> None:
        super().__init__(Store, "code")

    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> Any:
        store = stores.find(self.tenant, str(value).strip())
        if store is None:
            raise ValueError(said("No store has the code {code!r}. Add the store or an alias, then import again.", code=value))
        return store


class WitnessResource(TenantResource):
    """What others say, by file: the same rows as by API, each with its own error."""

    def __init__(self, *, tenant: Tenant, actor: Actor, **kwargs: Any) -> None:
        super().__init__(tenant=tenant, actor=actor, **kwargs)
        for field in self.fields.values():
            if isinstance(field.widget, StoreCode):
                field.widget.tenant = tenant

    def before_save_instance(self, instance: Any, row: dict[str, Any], **kwargs: Any) -> None:
        super().before_save_instance(instance, row, **kwargs)
        now = timezone.now()
        for name in ("settled_at", "seen_at"):
            if hasattr(instance, name):
                setattr(instance, name, now)

    def before_import_row(self, row: dict[str, Any], **kwargs: Any) -> None:
        super().before_import_row(row, **kwargs)
        if row.get("mobile"):
            row["mobile"] = customers.normalised_mobile(str(row["mobile"]), region=self.tenant.region)


class DayEndResource(WitnessResource):
    store = Field("store", "store", StoreCode())

    class Meta:
        model = DayEnd
        import_id_fields = ("store", "business_date")
        fields = ("store", "business_date", "bills", "returns", "net_amount", "loyalty_amount", "first_bill_no", "last_bill_no")
        use_transactions = True


class ErpOrderResource(WitnessResource):
    store = Field("store", "store", StoreCode())

    class Meta:
        model = ErpOrder
        import_id_fields = ("order_no",)
        fields = ("order_no", "store", "bill_no", "mobile", "amount", "state", "at")
        use_transactions = True


class CrmBalanceResource(WitnessResource):
    class Meta:
        model = CrmBalance
        import_id_fields = ("mobile", "as_of", "written_by")
        fields = ("mobile", "points", "as_of", "written_by")
        use_transactions = True

    def before_save_instance(self, instance: Any, row: dict[str, Any], **kwargs: Any) -> None:
        super().before_save_instance(instance, row, **kwargs)
        instance.customer_id = customers.find(self.tenant, [instance.mobile]).get(instance.mobile)


class WitnessAdmin(ReadOnlyAdmin, FileAdmin):
    """Looked at, imported and exported; never edited by hand."""

    view_act = Act.VIEW_INBOX

    def has_import_permission(self, request: HttpRequest) -> bool:
        return may(request, Act.REPLAY_BILLS)

    def has_export_permission(self, request: HttpRequest) -> bool:
        """A file with everybody's number is for those who may see a number."""
        return may(request, self.view_act) and may(request, Act.VIEW_MOBILES)


def to_the_worker(kind: FileKind, request: HttpRequest, name: str, body: bytes) -> HttpResponse:
    """Keep a long file and show its page."""
    access = access_of(request)
    row = files.keep(access.tenant, kind, name=name, body=body, actor=access.actor)
    transaction.on_commit(lambda: bell.send(read_file.name, row.pk))
    return redirect("admin:file_import", row.pk)


for _model, _kind in (
    (DayEnd, FileKind.DAY_ENDS), (ErpOrder, FileKind.ORDERS), (CrmBalance, FileKind.BALANCES), (Customer, FileKind.PEOPLE),
):  # fmt: skip
    LONG_FILES[_model._meta.label_lower] = partial(to_the_worker, _kind)


@admin.register(DayEnd)
class DayEndAdmin(WitnessAdmin):
    resource_classes: Any = (DayEndResource,)
    list_display = ("business_date", "store", "bills", "returns", "net_amount", "loyalty_amount", "settled_at")
    list_select_related = ("store",)
    list_filter = ("store",)
    date_hierarchy = "business_date"


@admin.register(ErpOrder)
class ErpOrderAdmin(WitnessAdmin):
    resource_classes: Any = (ErpOrderResource,)
    list_display = ("order_no", "store", "bill_no", "amount", "state", "at", "seen_at")
    list_select_related = ("store",)
    list_filter = ("state", "store")
    search_fields = ("order_no__exact", "bill_no__exact")
    exclude = ("mobile",)


@admin.register(CrmBalance)
class CrmBalanceAdmin(WitnessAdmin):
    resource_classes: Any = (CrmBalanceResource,)
    list_display = ("customer", "points", "as_of", "written_by", "seen_at")
    list_select_related = ("customer",)
    exclude = ("mobile",)


@admin.register(FileImport)
class FileImportAdmin(ReadOnlyAdmin):
    """Long files that the worker takes; each has a page of its own."""

    view_act = Act.VIEW_INBOX
    list_display = ("name", "kind", "state", "taken", "refused", "actor_name", "created_at", "finished_at")
    list_filter = ("kind", "state")

    def get_queryset(self, request: HttpRequest) -> QuerySet[FileImport]:
        rows: QuerySet[FileImport] = super().get_queryset(request)
        return rows.defer("body", "refused_rows")

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return _page_of(self, request, object_id, "admin:file_import")


@admin.register(PosChange)
class PosChangeAdmin(TenantAdmin):
    """What an integrator logs: an update, a deployment, a new setting at a till."""

    view_act = Act.VIEW_INBOX
    change_act = Act.REPLAY_BILLS
    list_display = ("at", "store", "what", "logged_by")
    list_select_related = ("store",)
    list_filter = ("store",)
    fields = ("store", "at", "what")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.logged_by = access_of(request).actor.name
        super().save_model(request, obj, form, change)


@admin.register(ParityRun)
class ParityRunAdmin(ReadOnlyAdmin):
    """Comparisons of ClickHouse with the ledger; each has a page of its own."""

    view_act = Act.VIEW_RUNS
    list_display = ("at", "whole", "ok", "rows", "days", "wrong_count")
    list_filter = ("ok", "whole")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ParityRun]:
        rows: QuerySet[ParityRun] = super().get_queryset(request)
        return rows.defer("differences", "wrong")

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return _page_of(self, request, object_id, "admin:parity_run")


@admin.register(Resync)
class ResyncAdmin(ReadOnlyAdmin):
    """Rows in ClickHouse that are built anew, with how far each has come."""

    view_act = Act.VIEW_RUNS
    list_display = ("asked_at", "__str__", "state", "progress", "rows", "asked_by", "reason")
    list_filter = ("state",)
    fields = readonly_fields = (
        "asked_at", "asked_by", "reason", "since", "until", "customer", "streams", "state", "progress", "rows", "way", "seconds",
        "ended_at", "note",
    )  # fmt: skip

    @admin.display(description=gettext_lazy("months done"))
    def progress(self, row: Resync) -> str:
        return "–" if row.months is None else f"{row.months_done} / {row.months_done + len(row.months)}"


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    """Two sides that say something of the same, and days in their order."""

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or {}
        left, right = found.get("left"), found.get("right")
        if left and right:
            try:
                grain_of(Side(left), Side(right))
            except DomainError as refusal:
                self.add_error("right", refusal.sentence)
        first, last = found.get("first_day"), found.get("last_day")
        if first is not None and last is not None and first < last:
            self.add_error("first_day", said("The first day is after the last. Say more days ago than for the last one."))
        return found


@admin.register(ReconciliationPolicy)
class ReconciliationPolicyAdmin(TenantAdmin):
    """Which sides are held against each other; what the last run found stands in the list."""

    view_act = Act.VIEW_REPORTS
    change_act = Act.REPLAY_BILLS
    form = PolicyForm
    list_display = ("name", "left", "right", "last_verdict", "rows_off", "last_run", "is_active")
    fields = ("name", ("left", "right"), ("first_day", "last_day"), ("tolerance", "hour"), "is_active")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReconciliationPolicy]:
        rows: QuerySet[ReconciliationPolicy] = super().get_queryset(request)
        return rows.prefetch_related(
            Prefetch("runs", ReconciliationRun.objects.defer("rows").order_by("policy_id", "-id").distinct("policy_id"))
        )

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The list leads to what was found; the form is one step further."""
        if request.method == "GET" and "edit" not in request.GET:
            return _page_of(self, request, object_id, "admin:reconciliation")
        answer: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
        return answer

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The runs of a policy are about its two sides: another pair is another policy."""
        return ("left", "right") if obj is not None else ()

    def response_change(self, request: HttpRequest, obj: ReconciliationPolicy) -> HttpResponse:
        return redirect("admin:reconciliation", obj.pk)

    def _last(self, row: ReconciliationPolicy) -> ReconciliationRun | None:
        return next(iter(row.runs.all()), None)  # fetched with the list

    @display(
        description=gettext_lazy("Last verdict"),
        label={"agrees": "success", "differs": "danger", "waits": "info", "failed": "danger", "none": ""},
    )
    def last_verdict(self, row: ReconciliationPolicy) -> tuple[str, str]:
        run = self._last(row)
        if run is None:
            return "", "–"
        if run.state == RunState.FAILED:
            return "failed", said("failed")
        if run.ok is None:
            return "waits", said("waits")
        if run.compared_nothing:
            return "none", said("nothing to compare")
        return ("agrees", said("agrees")) if run.ok else ("differs", said("differs"))

    @admin.display(description=gettext_lazy("Rows off"))
    def rows_off(self, row: ReconciliationPolicy) -> str:
        run = self._last(row)
        return f"{run.off:,}" if run is not None and run.ok is not None else "–"

    @admin.display(description=gettext_lazy("Last run"))
    def last_run(self, row: ReconciliationPolicy) -> Any:
        run = self._last(row)
        return run.asked_at if run is not None else "–"
