"""Stores, staff, keys, the audit trail and the runs of the timetable."""

from typing import Any

import phonenumbers
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from tenants import staff
from tenants.access import Act
from tenants.admin_base import HouseAdmin, ReadOnlyAdmin, ReadOnlyInline, TenantAdmin, TenantResource, access_of, may
from tenants.import_form import FileAdmin
from tenants.models import ApiKey, Membership, ScheduledRun, Store, StoreAlias, StoreMode
from tenants.saying import said


class StoreResource(TenantResource):
    class Meta:
        model = Store
        import_id_fields = ("code",)
        fields = ("code", "name", "is_active")
        skip_unchanged = True
        report_skipped = True
        use_transactions = True
        clean_model_instances = True

    def after_save_instance(self, instance: Any, row: dict[str, Any], **kwargs: Any) -> None:
        super().after_save_instance(instance, row, **kwargs)
        if not kwargs.get("dry_run") and not instance.modes.exists():
            staff.open_store(instance, actor=self.actor)


class AddedInline(ReadOnlyInline):
    """Rows that may be added to their store and then stay; they get the store's tenant when it is saved."""

    view_act = Act.VIEW_INBOX

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, Act.MANAGE_STORES)


class StoreModeInline(AddedInline):
    model = StoreMode
    verbose_name_plural = gettext_lazy("Redemption mode, from which date")


class StoreAliasInline(AddedInline):
    model = StoreAlias
    verbose_name_plural = gettext_lazy("Other codes that its POS sends")


#: allauth's own pages: nobody looks at, adds or removes another person's ways in there.
for model in (EmailAddress, Authenticator):
    admin.site.unregister(model)


@admin.register(Store)
class StoreAdmin(TenantAdmin, FileAdmin):
    view_act = Act.VIEW_INBOX
    change_act = Act.MANAGE_STORES
    resource_classes: Any = (StoreResource,)
    rows_at_once = 1000  # nobody has more stores, and a preview of more takes longer than somebody waits
    list_display = ("code", "name", "timezone", "is_active")
    search_fields = ("code", "name")
    search_help_text = gettext_lazy("Code or name")
    inlines = (StoreModeInline, StoreAliasInline)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A store's business dates are told by its zone, for ever: it is set once."""
        return ("timezone",) if obj is not None else ()

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if not change and not form.instance.modes.exists():
            staff.open_store(form.instance, actor=access_of(request).actor)

    def has_import_permission(self, request: HttpRequest) -> bool:
        return may(request, Act.MANAGE_STORES)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return may(request, Act.MANAGE_STORES)


class MembershipForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Membership
        fields = ("mobile",)

    def clean_mobile(self) -> str:
        """In E.164, as customers' numbers are kept."""
        typed: str = self.cleaned_data["mobile"].strip()
        if not typed:
            return ""
        try:
            number = phonenumbers.parse(typed, self.instance.tenant.region)
        except phonenumbers.NumberParseException as problem:
            raise forms.ValidationError(said("This is no number. Write it as the person dials it.")) from problem
        if not phonenumbers.is_possible_number(number):
            raise forms.ValidationError(said("This number is too long or too short."))
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@admin.register(Membership)
class MembershipAdmin(TenantAdmin):
    """Looked at; only whose number it is as a customer can be said here."""

    view_act = change_act = Act.MANAGE_STAFF
    list_display = ("user", "email", "role", "number", "created_at")
    list_select_related = ("user",)
    fields = ("user", "email", "role", "mobile")
    readonly_fields = ("user", "email", "role")
    form = MembershipForm

    def has_add_permission(self, request: HttpRequest) -> bool:  # type: ignore[override]
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not one's own row: whose number it is decides what one may not do alone."""
        return super().has_change_permission(request, obj) and (obj is None or obj.user_id != request.user.pk)

    @admin.display(description=gettext_lazy("Own number"))
    def number(self, row: Membership) -> str:
        return f"•••••{row.mobile[-3:]}" if row.mobile else "–"

    @admin.display(description=gettext_lazy("E-mail"), ordering="user__email")
    def email(self, row: Membership) -> str:
        return row.user.email


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    view_act = Act.MANAGE_STAFF
    list_display = ("name", "prefix", "scopes", "created_at", "expires_at", "revoked_at")
    exclude = ("secret_hash",)


@admin.register(ScheduledRun)
class ScheduledRunAdmin(HouseAdmin):
    """Runs are the house's, not a tenant's: they count rows and name no customer."""

    view_act = Act.VIEW_RUNS
    list_display = ("job", "started_at", "took", "done", "failed", "idle_runs", "trouble")
    list_filter = ("job",)

    fields = readonly_fields = ("job", "started_at", "finished_at", "done", "failed", "idle_runs", "trouble", "process")

    @admin.display(description=gettext_lazy("Trouble"))
    def trouble(self, run: ScheduledRun) -> str:
        """The error's kind; its text may name another brand's things and is in the log."""
        return run.error.partition(":")[0] if run.error else "–"

    @admin.display(description=gettext_lazy("Took"))
    def took(self, run: ScheduledRun) -> str:
        if run.idle_runs:
            return said("nothing to do")
        return said("{seconds:.1f} s", seconds=run.took_seconds) if run.took_seconds is not None else said("running")
