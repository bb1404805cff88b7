"""The rules at the desk: programme versions, bonus rules, cohorts, and how bonus rules judged bills."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy
from unfold.admin import TabularInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from loyalty import campaigns
from loyalty.bonus import Condition, Operator, Subject, check_campaign
from loyalty.customers import normalised_mobile
from loyalty.earning import plain
from loyalty.models import (
    Bonus,
    BonusCondition,
    BonusEvaluation,
    Cohort,
    CohortMember,
    Multiplier,
    Programme,
    ProgrammeVersion,
    StoreProgramme,
)
from loyalty.programmes import CARRIED, campaign_of, check_multiplier, check_version
from tenants.access import Act
from tenants.admin_base import ReadOnlyAdmin, ReadOnlyInline, TenantAdmin, access_of, may
from tenants.errors import DomainError
from tenants.saying import gettext_noop, said

NUMBERS_MAX = 20_000
#: A form may claim any number of rows; so many are looked at.
INLINE_ROWS_MAX = 50


def as_form_error(refusal: DomainError, *, fields: set[str]) -> ValidationError:
    """A refusal of the rules, by the field it is about where the form has it."""
    path = str(refusal.details.get("path", ""))
    return ValidationError({path: refusal.sentence} if path in fields else refusal.sentence)


#: Lists of codes are short: one line, parted by commas.
LISTS: dict[Any, dict[str, Any]] = {ArrayField: {"widget": UnfoldAdminTextInputWidget}}


class _TenantInline(TabularInline):
    """Rows that are filled in with their parent. Whoever may change the parent's rules may fill them in; never later."""

    formfield_overrides = LISTS
    max_num = INLINE_ROWS_MAX
    extra = 0
    exclude = ("tenant",)
    tab = False

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        return super().get_formset(request, obj, **{"absolute_max": INLINE_ROWS_MAX, "validate_max": True, **kwargs})

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, Act.MANAGE_RULES) and obj is None

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, Act.VIEW_RULES)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, Act.MANAGE_RULES) and obj is None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@contextmanager
def refusals_on(form: forms.ModelForm) -> Iterator[None]:  # type: ignore[type-arg]
    """The rules' own refusals as errors of this form."""
    try:
        yield
    except DomainError as refusal:
        raise as_form_error(refusal, fields=set(form.fields)) from refusal


class RulesAdmin(TenantAdmin):
    view_act = Act.VIEW_RULES
    change_act = Act.MANAGE_RULES


class NeverEditedAdmin(RulesAdmin):
    """What has ruled is not edited: something newer follows it."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MultiplierForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Multiplier
        fields = ("name", "factor", "starts_on", "ends_on", "departments", "items")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            row = Multiplier(**{name: value for name, value in cleaned.items() if name not in ("version", "id", "DELETE")})
            row.tenant_id = row.version_id = 0
            with refusals_on(self):
                check_multiplier(row)
        return cleaned


class MultiplierInline(_TenantInline):
    model = Multiplier
    form = MultiplierForm


class VersionForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = ProgrammeVersion
        fields = ("effective_from", *CARRIED)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            row = ProgrammeVersion(version=1, **{name: value for name, value in cleaned.items() if name != "programme"})
            row.tenant_id = row.programme_id = 0
            with refusals_on(self):
                check_version(row)
        return cleaned


@admin.register(ProgrammeVersion)
class ProgrammeVersionAdmin(NeverEditedAdmin):
    """A version that has ruled is never edited: a new one follows it, from a date on."""

    formfield_overrides = LISTS
    form = VersionForm
    inlines = (MultiplierInline,)
    list_display = ("name", "effective_from", "kind", "earn_per", "point_value", "validity", "pending_days")
    list_select_related = ("programme",)
    list_filter = ("programme",)
    fieldsets = (
        (None, {"fields": ("programme", "effective_from", "kind", "earn_per", "rounding", "point_value", "hold_days")}),
        (
            gettext_lazy("What earns"),
            {"fields": ("departments", "items", "excluded_departments", "excluded_items", "minimum_spend")},
        ),
        (gettext_lazy("At most"), {"fields": ("cap_bill", "cap_day", "cap_month")}),
        (
            gettext_lazy("When points count"),
            {"fields": ("pending_days", "validity_days", "validity_months", "expires_at_month_end")},
        ),
    )

    @admin.display(description=gettext_lazy("Version"), ordering="version")
    def name(self, row: ProgrammeVersion) -> str:
        return str(row)

    @admin.display(description=gettext_lazy("Valid for"))
    def validity(self, row: ProgrammeVersion) -> str:
        months, days = said("{months} months", months=row.validity_months), said("{days} days", days=row.validity_days)
        if row.validity_months and row.validity_days:
            return said("{months} and {days}", months=months, days=days)
        return months if row.validity_months else days if row.validity_days else said("ever")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The next version begins as the last one, tomorrow."""
        tenant = access_of(request).tenant
        wanted = request.GET.get("programme", "")
        rows = ProgrammeVersion.objects.filter(tenant=tenant).order_by("programme__is_default", "version")
        last = (rows.filter(programme=int(wanted)) if wanted.isdecimal() and len(wanted) < 18 else rows).last()
        if last is None:
            return {}
        values = {name: getattr(last, name) for name in CARRIED}
        carried = {name: plain(value) if isinstance(value, Decimal) else value for name, value in values.items()}
        tomorrow = timezone.now().astimezone(tenant.zone).date() + timedelta(days=1)
        return {**carried, "programme": last.programme_id, "effective_from": tomorrow}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        Programme.objects.select_for_update().get(pk=obj.programme_id)
        last = ProgrammeVersion.objects.filter(programme=obj.programme_id).order_by("-version").first()
        obj.version = last.version + 1 if last else 1
        super().save_model(request, obj, form, change)


class VersionInline(ReadOnlyInline):
    model = ProgrammeVersion
    view_act = Act.VIEW_RULES
    fields = readonly_fields = (
        "version", "effective_from", "kind", "earn_per", "point_value", "hold_days", "validity_days", "validity_months", "pending_days",
        "minimum_spend",
    )  # fmt: skip
    show_change_link = True


@admin.register(Programme)
class ProgrammeAdmin(ReadOnlyAdmin):
    view_act = Act.VIEW_RULES
    list_display = ("name", "is_default", "next_version", "created_at")
    fields = readonly_fields = ("name", "is_default", "next_version")
    inlines = (VersionInline,)

    @admin.display(description=gettext_lazy("Change the rules"))
    def next_version(self, row: Programme) -> str:
        where = reverse("admin:loyalty_programmeversion_add")
        return format_html(
            '<a class="pd-link" href="{}?programme={}">{}</a>', where, row.pk, said("Add a version from a date on")
        )


@admin.register(StoreProgramme)
class StoreProgrammeAdmin(NeverEditedAdmin):
    """Which programme a store follows from a day on; a store without one follows the default."""

    list_display = ("store", "programme", "effective_from")
    list_select_related = ("store", "programme")
    list_filter = ("programme",)
    fields = ("store", "programme", "effective_from")


# Bonus rules


class ConditionForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = BonusCondition
        fields = ("subject", "of", "operator", "wanted")

    def condition(self) -> Condition | None:
        cleaned = self.cleaned_data
        if not cleaned.get("subject") or cleaned.get("DELETE"):
            return None
        return Condition(
            Subject(cleaned["subject"]), Operator(cleaned["operator"]), cleaned["wanted"].strip(), tuple(cleaned["of"] or ())
        )


class ConditionFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """All conditions together with their bonus: contradictions are told before anything is saved."""

    def clean(self) -> None:
        super().clean()
        if any(self.errors) or not self.instance.starts_on or not self.instance.ends_on:
            return
        forms: list[Any] = self.forms
        conditions = [found for form in forms if form.has_changed() and (found := form.condition())]
        rows = [
            BonusCondition(subject=each.subject.value, operator=each.operator.value, wanted=each.wanted, of=list(each.of))
            for each in conditions
        ]
        try:
            check_campaign(campaign_of(self.instance, rows))
        except DomainError as refusal:
            raise ValidationError(refusal.sentence) from refusal


class ConditionInline(_TenantInline):
    model = BonusCondition
    form = ConditionForm
    formset = ConditionFormSet
    extra = 1
    verbose_name = gettext_lazy("condition")

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return 0 if obj else 2


class BonusForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Bonus
        fields = ("name", "starts_on", "ends_on", "is_active", "stores", "limit_per_customer", "points", "factor")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        row = Bonus(**{name: getattr(self.instance, name) for name in ("starts_on", "points", "factor", "name")})
        for name in ("starts_on", "ends_on", "points", "factor", "name"):
            setattr(row, name, cleaned.get(name, getattr(self.instance, name)))
        with refusals_on(self):
            check_campaign(campaign_of(row, []))
        return cleaned


@admin.register(Bonus)
class BonusAdmin(RulesAdmin):
    """Conditions and points are fixed once the rule is there; it may end earlier, later, or be switched off."""

    formfield_overrides = LISTS
    form = BonusForm
    inlines = (ConditionInline,)
    list_display = ("name", "labelled_state", "starts_on", "ends_on", "gives", "cohort", "evaluated")
    list_select_related = ("cohort",)
    list_filter = ("is_active", "cohort")
    search_fields = ("name",)
    fieldsets = (
        (None, {"fields": ("name", "starts_on", "ends_on", "is_active")}),
        (gettext_lazy("For whom and where"), {"fields": ("cohort", "stores", "limit_per_customer")}),
        (gettext_lazy("What it gives"), {"fields": ("points", "factor")}),
    )

    @display(description=gettext_lazy("State"), label={"running": "success", "to come": "info", "over": "", "off": "warning"})
    def labelled_state(self, row: Bonus) -> tuple[str, str]:
        """What gives it its colour, and how it is said."""
        today = timezone.localdate()
        if not row.is_active:
            state = gettext_noop("off")
        elif row.starts_on > today:
            state = gettext_noop("to come")
        else:
            state = gettext_noop("over") if row.ends_on < today else gettext_noop("running")
        return state, said(state)

    @admin.display(description=gettext_lazy("Gives"))
    def gives(self, row: Bonus) -> str:
        if row.points:
            return said("{points:,} points", points=row.points)
        return said("{factor} × what the bill earns", factor=f"{row.factor.normalize():f}")

    @admin.display(description=gettext_lazy("Judged bills"))
    def evaluated(self, row: Bonus) -> str:
        where = reverse("admin:loyalty_bonusevaluation_changelist")
        return format_html('<a class="pd-link" href="{}?bonus__id__exact={}">{}</a>', where, row.pk, said("look at them"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("name", "starts_on", "cohort", "stores", "points", "factor", "limit_per_customer") if obj else ()


@admin.register(BonusEvaluation)
class BonusEvaluationAdmin(ReadOnlyAdmin):
    """The answer to "why did I not get my bonus"."""

    view_act = Act.VIEW_RULES
    list_display = ("bonus", "customer", "labelled_verdict", "points", "business_date", "not_met")
    list_select_related = ("bonus", "customer")
    list_filter = ("awarded", "bonus")
    fields = readonly_fields = ("bonus", "customer", "business_date", "verdict", "points", "table")

    @display(description=gettext_lazy("Verdict"), label={True: "success", False: "warning"})
    def labelled_verdict(self, row: BonusEvaluation) -> tuple[bool, str]:
        """What gives it its colour, and how it is said."""
        return row.awarded, self.verdict(row)

    @admin.display(description=gettext_lazy("Verdict"))
    def verdict(self, row: BonusEvaluation) -> str:
        return said("awarded") if row.awarded else said("not awarded")

    @admin.display(description=gettext_lazy("Not met"))
    def not_met(self, row: BonusEvaluation) -> str:
        return "; ".join(f"{each['asked']} ({each['found']})" for each in row.conditions if not each["met"])[:300]

    @admin.display(description=gettext_lazy("Conditions"))
    def table(self, row: BonusEvaluation) -> str:
        lines = format_html_join(
            "", "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            ((each["asked"], each["found"], said("met") if each["met"] else said("NOT met")) for each in row.conditions),
        )  # fmt: skip
        return format_html(
            '<table class="pd-table"><thead><tr><th>{}</th><th>{}</th><th></th></tr></thead><tbody>{}</tbody></table>',
            said("Asked"),
            said("Found"),
            lines,
        )


# Cohorts


class CohortForm(forms.ModelForm):  # type: ignore[type-arg]
    numbers = forms.CharField(
        required=False,
        label=gettext_lazy("Mobile numbers to add"),
        widget=forms.Textarea(attrs={"rows": 6, "placeholder": gettext_lazy("One a line, in any spelling")}),
        help_text=format_lazy(
            gettext_lazy("Up to {most:,} at a time. Numbers that nobody has are listed and left out."), most=NUMBERS_MAX
        ),
    )
    file = forms.FileField(
        required=False,
        label=gettext_lazy("Or a CSV file"),
        help_text=gettext_lazy("The first column holds the numbers; 1 MB at most."),
    )

    class Meta:
        model = Cohort
        fields = ("name", "tiers", "joined_from", "joined_until")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if (cleaned.get("joined_from") and cleaned.get("joined_until")) and cleaned["joined_from"] > cleaned["joined_until"]:
            raise ValidationError({"joined_until": said("This day lies before the first one. Nobody would be in the cohort.")})
        if (cleaned.get("numbers") or cleaned.get("file")) and cleaned.get("tiers"):
            raise ValidationError(said("A cohort is either a list or a filter. Leave out the numbers or the filter."))
        cleaned["mobiles"] = self._mobiles(cleaned)
        return cleaned

    def _mobiles(self, cleaned: dict[str, Any]) -> set[str]:
        text = str(cleaned.get("numbers") or "")
        if upload := cleaned.get("file"):
            if upload.size > 1 << 20:
                raise ValidationError({"file": said("The file is larger than 1 MB. Split it.")})
            try:
                text = (text + "\n" + upload.read().decode("utf-8-sig")).lstrip()
            except UnicodeDecodeError as problem:
                raise ValidationError(
                    {"file": said("The file is not a CSV in UTF-8. Save it as CSV (UTF-8) and try again.")}
                ) from problem
        lines = [(row, line.split(",")[0].split(";")[0].strip(" \"'\t")) for row, line in enumerate(text.splitlines(), start=1)]
        named = [(row, line) for row, line in lines if line and not (row == 1 and not any(char.isdigit() for char in line))]
        if len(named) > NUMBERS_MAX:
            told = said("{numbers:,} numbers are more than {most:,}. Split the list.", numbers=len(named), most=NUMBERS_MAX)
            raise ValidationError(told)
        found: set[str] = set()
        wrong: list[str] = []
        for row, line in named:
            try:
                found.add(normalised_mobile(line, region=self.instance.tenant.region))
            except DomainError:
                wrong.append(said("line {row}", row=row))
        if wrong:
            told = said(
                "Not a mobile number: {lines}. Nothing was saved; correct them and try again.", lines=", ".join(wrong[:10])
            )
            raise ValidationError(told)
        return found


class CohortMemberInline(ReadOnlyInline):
    model = CohortMember
    view_act = Act.VIEW_RULES
    fields = readonly_fields = ("customer", "valid_from", "valid_until")
    max_num = 50
    verbose_name_plural = gettext_lazy("on the list (the newest 50)")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("customer").order_by("-id")


@admin.register(Cohort)
class CohortAdmin(RulesAdmin):
    formfield_overrides = LISTS
    form = CohortForm
    list_display = ("name", "what", "created_at")
    search_fields = ("name",)
    fieldsets = (
        (None, {"fields": ("name",)}),
        (gettext_lazy("A list"), {"fields": ("numbers", "file")}),
        (gettext_lazy("Or a filter"), {"fields": ("tiers", "joined_from", "joined_until")}),
    )
    shown_max: ClassVar[int] = 5

    @admin.display(description=gettext_lazy("Who"))
    def what(self, row: Cohort) -> str:
        return said("everybody a filter finds") if row.is_filter else said("a list")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        mobiles = form.cleaned_data.get("mobiles")
        if not mobiles:
            return
        tenant = access_of(request).tenant
        today = timezone.now().astimezone(tenant.zone).date()
        added, unknown = campaigns.put_on_list(tenant, obj.pk, mobiles, valid_from=today)
        messages.info(request, said("{customers:,} customers were added to the list.", customers=added))
        if unknown:
            shown = ", ".join(f"…{number[-4:]}" for number in unknown[: self.shown_max])
            told = said(
                "{numbers:,} numbers belong to nobody here and were left out: {shown}.", numbers=len(unknown), shown=shown
            )
            messages.warning(request, told)
