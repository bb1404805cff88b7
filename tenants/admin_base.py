"""What every admin of tenants' rows inherits: the wall, the permissions, the trace."""

from datetime import datetime
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.db.models import ForeignKey, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from import_export.resources import ModelResource
from import_export.widgets import DateTimeWidget, DateWidget
from unfold.admin import ModelAdmin, TabularInline
from unfold.paginator import InfinitePaginator

from tenants import audit, spreadsheets
from tenants.access import Access, Act
from tenants.actors import Actor
from tenants.masking import masked
from tenants.models import Tenant
from tenants.saying import said
from tenants.uploads import canonical, check_columns


def access_of(request: HttpRequest) -> Access:
    """Raises: PermissionDenied, when the request is nobody's."""
    access: Access | None = getattr(request, "access", None)
    if access is None:
        raise PermissionDenied(said("Sign in as somebody who works for a tenant."))
    return access


def may(request: HttpRequest, act: Act | None) -> bool:
    access: Access | None = getattr(request, "access", None)
    return access is not None and act is not None and access.may(act)


class TenantAdmin(ModelAdmin):
    """Rows of the request's tenant only. `tenant` is never in a form: it is set when a row is saved.

    Subclasses name the act that allows each: without one, nobody may.
    """

    view_act: ClassVar[Act | None] = None
    change_act: ClassVar[Act | None] = None
    extra_lookups: ClassVar[tuple[str, ...]] = ()
    show_full_result_count = False
    paginator = InfinitePaginator  # no COUNT(*) over a million rows
    list_per_page = 50
    actions: Any = None
    warn_unsaved_form = True
    compressed_fields = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.filter(tenant=access_of(request).tenant)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Filters that the page offers, and no others: `?mobile__startswith=` would be an oracle for full numbers."""
        offered = {str(item[0] if isinstance(item, tuple) else item) for item in (*self.list_filter, *self.extra_lookups)}
        return "\0" not in str(value) and lookup.partition("__")[0] in offered

    def get_exclude(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [*(super().get_exclude(request, obj) or []), "tenant"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """A form that knows its row's tenant before it validates, so that "code once a tenant" is an error by the field."""
        form = super().get_form(request, obj, change=change, **kwargs)
        tenant = access_of(request).tenant

        class OfTenant(form):  # type: ignore[misc, valid-type]
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                self.instance.tenant = tenant

            def _get_validation_exclusions(self) -> set[str]:
                return set(super()._get_validation_exclusions()) - {"tenant"}

        return OfTenant

    def formfield_for_foreignkey(self, db_field: "ForeignKey[Any, Any]", request: HttpRequest, **kwargs: Any) -> Any:
        related = db_field.remote_field.model
        if any(field.name == "tenant" for field in related._meta.local_fields):
            kwargs["queryset"] = related._default_manager.filter(tenant=access_of(request).tenant)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, self.view_act) or self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, self.change_act)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, self.change_act)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.tenant = access_of(request).tenant
        super().save_model(request, obj, form, change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for row in formset.save(commit=False):
            row.tenant = access_of(request).tenant
            row.save()
        formset.save_m2m()

    # The trace: `django_admin_log` is not written, AuditEvent is.

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record(request, obj, "add", message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record(request, obj, "change", message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for row in queryset:
            self._record(request, row, "delete", "")

    def _record(self, request: HttpRequest, obj: Any, action: str, message: Any) -> None:
        access = access_of(request)
        named = f"{action}_{self.opts.model_name}"
        audit.record(
            access.tenant, actor=access.actor, action=named, target=obj, reason="At the desk", after={"changed": message}
        )

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return redirect(f"{reverse('admin:audit_trail')}?type={self.opts.label_lower}&object={object_id}")


class ReadOnlyAdmin(TenantAdmin):
    """Pages to look at: no add, no change, no delete, whoever asks."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class _NobodyChanges:
    """No add, no change, no delete; `view_act` says who looks."""

    view_act: ClassVar[Act | None] = None

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, self.view_act)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may(request, self.view_act)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyInline(_NobodyChanges, TabularInline):
    """Rows below their parent, to look at."""

    extra = 0
    exclude = ("tenant",)


class HouseAdmin(_NobodyChanges, ModelAdmin):
    """Rows of the house and not of a tenant. Their texts may name another tenant: subclasses choose what they show."""

    show_full_result_count = False
    actions = None


class IsoDate(DateWidget):
    """As people and spreadsheets write a day: a cell that is a date says midnight, too."""

    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> Any:
        return super().clean(value.removesuffix("T00:00:00") if isinstance(value, str) else value, row, **kwargs)


class IsoDateTime(DateTimeWidget):
    """ISO 8601, as the API takes it; without an offset it is the brand's clock."""

    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> Any:
        try:
            found = datetime.fromisoformat(value) if isinstance(value, str) and value else None
        except ValueError:
            found = None
        if found is None:
            return super().clean(value, row, **kwargs)
        return found if found.tzinfo else timezone.make_aware(found)


class TenantResource(ModelResource):
    """Import and export of one tenant's rows. A `tenant` column and another tenant's id are row errors, never effects.

    Subclasses name `import_id_fields` that are unique within a tenant; `id` is never one.
    """

    WIDGETS_MAP: ClassVar = {**ModelResource.WIDGETS_MAP, "DateField": IsoDate, "DateTimeField": IsoDateTime}

    def __init__(self, *, tenant: Tenant, actor: Actor, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tenant = tenant
        self.actor = actor

    def get_queryset(self) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset()
        return rows.filter(tenant=self.tenant)

    def before_import(self, dataset: Any, **kwargs: Any) -> None:
        """Columns by our names, whatever their case: as the worker reads them."""
        names = [canonical(str(name or "")) for name in dataset.headers or []]
        if len(set(names)) < len(names):
            raise ValueError(said("The first row names a column twice. Nothing was taken."))
        dataset.headers = names
        super().before_import(dataset, **kwargs)

    def import_row(self, row: Any, *args: Any, **kwargs: Any) -> Any:
        """The database's trouble is no row's: nothing is taken then, and it is tried again as a whole."""
        result = super().import_row(row, *args, **kwargs)
        trouble = next((each.error for each in result.errors if isinstance(each.error, OperationalError)), None)
        if trouble is not None:
            raise trouble
        return result

    def before_import_row(self, row: dict[str, Any], **kwargs: Any) -> None:
        check_columns(row)
        super().before_import_row(row, **kwargs)

    def before_save_instance(self, instance: Any, row: dict[str, Any], **kwargs: Any) -> None:
        instance.tenant = self.tenant

    def import_instance(self, instance: Any, row: dict[str, Any], **kwargs: Any) -> None:
        instance.tenant = self.tenant
        super().import_instance(instance, row, **kwargs)

    def after_import(self, dataset: Any, result: Any, **kwargs: Any) -> None:
        """Ids are never imported, so no sequence is moved on; the web role could not do so."""

    def after_save_instance(self, instance: Any, row: dict[str, Any], **kwargs: Any) -> None:
        """Every imported row leaves its trace, in the import's own transaction."""
        if not kwargs.get("dry_run"):
            action = f"import_{instance._meta.model_name}"
            audit.record(
                self.tenant,
                actor=self.actor,
                action=action,
                target=instance,
                reason="Imported from a file",
                after=self.trace_of(row),
            )

    def trace_of(self, row: dict[str, Any]) -> dict[str, Any]:
        """What of an imported row stands in the trail, which nobody can change."""
        return dict(masked(row))

    def export_field(self, field: Any, instance: Any, **kwargs: Any) -> Any:
        return spreadsheets.safe(super().export_field(field, instance, **kwargs))
