"""What a job is asked for with: what it does, and to whom."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from loyalty.models import Bonus, Cohort
from loyalty.state import POINTS_MAX
from support.bulk import choice
from support.bulk.jobs import IDS_MAX, File, Select, Wanted
from support.bulk.models import JobType, Spent
from support.forms import ReasonForm
from tenants.access import Access, Act
from tenants.errors import DomainError
from tenants.models import Store
from tenants.uploads import BYTES_MAX

FILTER, LIST, ALL, HAND = "filter", "file", "all", "hand"
_DAY = forms.DateInput(attrs={"type": "date"})
TYPES = [
    (JobType.ADJUST, gettext_lazy("Add or remove points")), (JobType.SET, gettext_lazy("Set the balance to a number")),
    (JobType.RESET, gettext_lazy("Reset the balance to zero")), (JobType.AWARD, gettext_lazy("Award a bonus")),
    (JobType.RELEASE_HOLDS, gettext_lazy("Free blocked points")), (JobType.EXPIRE, gettext_lazy("Let points expire now")),
    (JobType.EXTEND, gettext_lazy("Extend the expiry")),
]  # fmt: skip
#: The fields of each kind of choice, in the order of the page.
RANGES = {
    "available": gettext_lazy("Available points"), "closing": gettext_lazy("Closing balance"), "held": gettext_lazy("Blocked points"),
    "owed": gettext_lazy("Negative balance"), "pending": gettext_lazy("Pending points"),
}  # fmt: skip
DAYS = {
    "active": gettext_lazy("Last bill or redemption"), "joined": gettext_lazy("Joined"), "tier_changed": gettext_lazy("Tier changed"),
}  # fmt: skip


class JobForm(forms.Form):
    """A new job. Every filter narrows; what a type does not take is not looked at."""

    type = forms.ChoiceField(
        label=gettext_lazy("What is to be done"), choices=TYPES, widget=forms.RadioSelect, initial=JobType.ADJUST
    )
    points = forms.IntegerField(
        label=gettext_lazy("Points for each customer"), required=False, min_value=-POINTS_MAX, max_value=POINTS_MAX,
        help_text=gettext_lazy("With a minus they are removed. Leave it empty where each row of your file says its own."),
    )  # fmt: skip
    bonus = forms.ModelChoiceField(
        Bonus.objects.none(), label=gettext_lazy("Of the bonus rule"), required=False, empty_label=gettext_lazy("none, as a gesture"),
        help_text=gettext_lazy("Its points are taken where none are given above."),
    )  # fmt: skip
    until = forms.DateField(
        label=gettext_lazy("Day"), required=False, widget=_DAY,
        help_text=gettext_lazy(
            "To extend: the first day without the points. To expire: only what would expire by this day; empty: all available points."
        ),
    )  # fmt: skip
    allow_debt = forms.BooleanField(label=gettext_lazy("Where too few are there, let the rest be owed"), required=False)
    clear_debt = forms.BooleanField(label=gettext_lazy("Also forgive what is owed"), required=False)
    whom = forms.ChoiceField(
        label=gettext_lazy("For whom"), widget=forms.RadioSelect, initial=FILTER,
        choices=[
            (FILTER, gettext_lazy("Customers that fit a filter")), (LIST, gettext_lazy("A list by file")), (ALL, gettext_lazy("All customers")),
        ],
    )  # fmt: skip
    ids = forms.CharField(required=False, widget=forms.HiddenInput, max_length=12 * IDS_MAX)
    file = forms.FileField(
        label=gettext_lazy("File"), required=False, help_text=gettext_lazy("CSV or xlsx: mobile or customer_id, points, perhaps a reason."),
        widget=forms.FileInput(attrs={"accept": ".csv,.xlsx"}),
    )  # fmt: skip
    tier = forms.CharField(
        label=gettext_lazy("Tier"), required=False, max_length=400,
        widget=forms.TextInput(attrs={"placeholder": gettext_lazy("several parted by commas")}),
    )  # fmt: skip
    store = forms.ModelChoiceField(
        Store.objects.none(), label=gettext_lazy("With a bill at"), required=False, to_field_name="code"
    )
    cohort = forms.ModelChoiceField(Cohort.objects.none(), label=gettext_lazy("Cohort"), required=False)
    incident = forms.IntegerField(label=gettext_lazy("Incident number"), required=False, min_value=1)
    holds_older_than = forms.IntegerField(
        label=gettext_lazy("Points blocked for more days than"), required=False, min_value=0, max_value=36500
    )
    token = ReasonForm.base_fields["token"]

    def __init__(self, *args: Any, access: Access, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        tenant = access.tenant
        chosen: Any = self.fields
        chosen["bonus"].queryset = Bonus.objects.filter(tenant=tenant).order_by("-starts_on")
        chosen["store"].queryset = Store.objects.filter(tenant=tenant).order_by("name", "code")
        chosen["cohort"].queryset = Cohort.objects.filter(tenant=tenant)
        for name, label in RANGES.items():
            for end in ("min", "max"):
                self.fields[f"{name}_{end}"] = forms.IntegerField(
                    label=label, required=False, min_value=-POINTS_MAX, max_value=POINTS_MAX
                )
        for name, label in DAYS.items():
            for end in ("from", "until"):
                self.fields[f"{name}_{end}"] = forms.DateField(label=label, required=False, widget=_DAY)
        if not tenant.negative_allowed:
            del self.fields["allow_debt"]
        if not access.may(Act.RESET_POINTS):
            del self.fields["clear_debt"]
        if self.chosen_ids:
            hand = (HAND, _("The {count} that you have chosen in the list").format(count=len(self.chosen_ids)))
            chosen["whom"].choices = [hand, *chosen["whom"].choices]
            chosen["whom"].initial = HAND

    @property
    def chosen_ids(self) -> list[int]:
        """Chosen by hand in the list of customers."""
        given = str((self.data if self.is_bound else self.initial).get("ids") or "")
        return [int(each) for each in given.split(",")[:IDS_MAX] if each.isascii() and each.isdecimal() and len(each) < 19]

    def ranges(self) -> list[tuple[str, Any, Any]]:
        """The filters of two ends each: label, from, to."""
        pairs = [(label, f"{name}_min", f"{name}_max") for name, label in RANGES.items()]
        pairs += [(label, f"{name}_from", f"{name}_until") for name, label in DAYS.items()]
        return [(str(label), self[first], self[second]) for label, first, second in pairs]

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file is not None and file.size > BYTES_MAX:
            raise forms.ValidationError(_("The file has more than {most} MB. Split it.").format(most=BYTES_MAX >> 20))
        return file

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("whom") == LIST and not data.get("file") and "file" not in self.errors:
            self.add_error("file", _("Choose a file."))
        if data.get("whom") == FILTER and not self.filter_of(data):
            self.add_error("whom", _("Filter something below; or choose all customers."))
        return data

    @staticmethod
    def filter_of(data: dict[str, Any]) -> dict[str, Any]:
        """What was filtered, as the choice takes it."""
        found: dict[str, Any] = {name: data.get(name) for name in choice.FILTERS if data.get(name) not in (None, "")}
        if "tier" in found:
            found["tier"] = [tier.strip() for tier in str(found["tier"]).split(",") if tier.strip()]
        if "store" in found:
            found["store"] = found["store"].code
        if "cohort" in found:
            found["cohort"] = found["cohort"].name
        return found

    def wanted(self) -> Wanted:
        data = self.cleaned_data
        bonus = data.get("bonus")
        return Wanted(
            data["type"], data["points"], bonus.pk if bonus and data["type"] == JobType.AWARD else None, data["until"],
            bool(data.get("allow_debt")), bool(data.get("clear_debt")),
        )  # fmt: skip

    def select(self) -> Select:
        data = self.cleaned_data
        match data["whom"]:
            case "all":
                return Select(all=True)
            case "file":
                return Select(file=File(data["file"].name, data["file"].read()))
            case "hand":
                return Select(ids=self.chosen_ids)
        return Select(filter=self.filter_of(data))

    def refuse(self, refusal: DomainError) -> None:
        """At the field that it is about, where there is one."""
        path = str(refusal.details.get("path", "")).removeprefix("filter.").removeprefix("select.")
        self.add_error(path if path in self.fields else None, refusal.sentence)


class ConfirmForm(ReasonForm):
    """Why, and where it is about everybody, the brand's name."""

    phrase = forms.CharField(required=False, max_length=400, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    notify = forms.BooleanField(label=gettext_lazy("Tell the customers of their points"), required=False)
    token = None  # type: ignore[assignment]


class UndoForm(forms.Form):
    spent = forms.ChoiceField(
        label=gettext_lazy("Where the points were spent meanwhile"),
        choices=Spent.choices,
        initial=Spent.LEAVE,
        widget=forms.RadioSelect,
    )
    token = ReasonForm.base_fields["token"]
