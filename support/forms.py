"""The dialogs' forms. Reasons are trimmed here and checked again by the ledger."""

import secrets
from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.models import Channel
from integrations.replay import STATES
from loyalty.customers import normalised_mobile
from loyalty.ledger import REASON_MAX, REASON_MIN
from loyalty.state import POINTS_MAX
from support.models import TOPICS, Case, Outcome
from tenants.errors import DomainError
from tenants.models import RedemptionMode, Store, Tenant

REASON_LENGTH = format_lazy(gettext_lazy("Give a reason of {least} to {most} characters."), least=REASON_MIN, most=REASON_MAX)


class ReasonForm(forms.Form):
    """A dialog that asks why. `token` makes pressing twice one act."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        min_length=REASON_MIN,
        max_length=REASON_MAX,
        widget=forms.Textarea(
            attrs={"rows": 2, "autofocus": True, "placeholder": gettext_lazy("Why? The customer's next agent will read this.")}
        ),
        error_messages={"required": REASON_LENGTH, "min_length": REASON_LENGTH, "max_length": REASON_LENGTH},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if next(iter(self.visible_fields())).name != "reason":  # the page begins at its beginning
            self.fields["reason"].widget.attrs.pop("autofocus", None)

    token = forms.RegexField(r"^[A-Za-z0-9_-]{16,64}$", widget=forms.HiddenInput)

    def offer_cases(self, open_cases: Sequence[Case]) -> None:
        """Where the customer has open cases, the act can be noted in one of them."""
        if open_cases:
            rows = Case.objects.filter(pk__in=[case.pk for case in open_cases])
            self.fields["case"] = forms.ModelChoiceField(
                rows, required=False, label=_("Belongs to the case"), initial=open_cases[0].pk if len(open_cases) == 1 else None,
                empty_label=_("none"),
            )  # fmt: skip

    def sent_before(self) -> None:
        """The token was used for something else: say so, and let the next press count."""
        self.add_error(
            None, _("This form was sent before, for something else. Nothing was changed. Look at the figures and press again.")
        )
        self.data = {**self.data.dict(), "token": self.new_token()}  # type: ignore[attr-defined]

    @staticmethod
    def new_token() -> str:
        return secrets.token_urlsafe(18)


class LinkForm(ReasonForm):
    original = forms.CharField(
        max_length=120, label=gettext_lazy("Number of the bill"), error_messages={"required": gettext_lazy("Say which bill.")},
        help_text=gettext_lazy("Or choose one of the suggestions on the delivery's page."),
    )  # fmt: skip
    field_order = ("original", "reason")


class ClaimForm(ReasonForm):
    mobile = forms.CharField(
        max_length=60,
        label=gettext_lazy("The customer's mobile"),
        error_messages={"required": gettext_lazy("Say whose bill it is.")},
    )
    field_order = ("mobile", "reason")


class ModeForm(ReasonForm):
    """From this day on a store shows points in this way."""

    mode = forms.ChoiceField(
        label=gettext_lazy("This store's bills show points as"), choices=RedemptionMode.choices, widget=forms.RadioSelect
    )
    since = forms.DateField(
        label=gettext_lazy("Since the bills of"),
        widget=forms.DateInput(attrs={"type": "date"}),
        error_messages={"required": gettext_lazy("Say since which day.")},
    )
    field_order = ("mode", "since", "reason")


class MailForm(forms.Form):
    to = forms.EmailField(label=gettext_lazy("The vendor's e-mail"), max_length=254)


def _with_offers(name: str) -> forms.TextInput:
    """A field that may say anything; what there is can be picked from its list."""
    return forms.TextInput(attrs={"list": f"offers-{name}", "autocomplete": "off"})


class ReplayForm(ReasonForm):
    """Which deliveries; every filter narrows."""

    states = forms.MultipleChoiceField(
        label=gettext_lazy("In which state"), choices=[(state.value, state.label) for state in STATES], widget=forms.CheckboxSelectMultiple,
        error_messages={"required": gettext_lazy("Choose at least one state.")},
    )  # fmt: skip
    repush = forms.CharField(required=False, max_length=120, label=gettext_lazy("Re-push label"), widget=_with_offers("repush"))
    check = forms.CharField(required=False, max_length=40, label=gettext_lazy("Failed check"), widget=_with_offers("check"))
    store = forms.CharField(required=False, max_length=64, label=gettext_lazy("Store code"), widget=_with_offers("store"))
    incident = forms.IntegerField(required=False, min_value=1, max_value=2**62, label=gettext_lazy("Incident number"))
    billed_from = forms.DateField(
        required=False,
        label=gettext_lazy("Business date from"),
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=gettext_lazy(
            "By the business date of the bill; what has not been booked under its number has none and is not chosen then."
        ),
    )
    billed_until = forms.DateField(required=False, label=gettext_lazy("until"), widget=forms.DateInput(attrs={"type": "date"}))
    per_second = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=100_000,
        initial=500,
        label=gettext_lazy("Bills a second at most"),
        help_text=gettext_lazy("0: as fast as it goes."),
    )
    field_order = ("states", "repush", "check", "store", "incident", "billed_from", "billed_until", "per_second", "reason")

    def filters(self, tenant: Tenant) -> dict[str, Any]:
        """For `replay.choose`."""
        chosen: dict[str, Any] = {
            name: text for name in ("repush", "check", "store") if (text := self.cleaned_data[name].strip())
        }
        if number := self.cleaned_data["incident"]:
            chosen["incident"] = number
        days = {name: day.isoformat() for name in ("billed_from", "billed_until") if (day := self.cleaned_data[name])}
        return {"states": self.cleaned_data["states"], **chosen, **days}


class IssueForm(ReasonForm):
    points = forms.IntegerField(
        label=gettext_lazy("Points"),
        min_value=1,
        max_value=POINTS_MAX,
        widget=forms.NumberInput(attrs={"inputmode": "numeric", "step": 1, "autofocus": True}),
        error_messages={
            "required": gettext_lazy("Say how many points."),
            "invalid": gettext_lazy("Points are whole numbers."),
            "min_value": gettext_lazy("Give at least 1 point."),
        },
    )
    bill_no = forms.CharField(
        required=False, max_length=120, label=gettext_lazy("For a bill that has not come"),
        help_text=gettext_lazy("When it comes, it posts only what it earns beyond these points. Empty: points of their own."),
    )  # fmt: skip
    store = forms.ModelChoiceField(
        queryset=Store.objects.none(), required=False, label=gettext_lazy("Of which store"), to_field_name="code"
    )
    again = forms.BooleanField(required=False, label=gettext_lazy("Give more, although points were issued for this bill"))
    field_order = ("points", "reason", "bill_no", "store", "again")

    def __init__(self, *args: Any, tenant: Tenant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["store"]
        choice.queryset = Store.objects.filter(tenant=tenant, is_active=True).order_by("code")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if bool(cleaned.get("bill_no")) is not bool(cleaned.get("store")) and not self.errors:
            self.add_error("store", _("A bill's number is a number of a store: give both, or neither."))
        return cleaned


class AdjustForm(ReasonForm):
    """`allow_debt` stands where the tenant allows negative balances."""

    points = forms.IntegerField(
        min_value=-POINTS_MAX, max_value=POINTS_MAX, label=gettext_lazy("Points to add, or with a minus to remove"),
        widget=forms.NumberInput(attrs={"inputmode": "numeric", "step": 1, "autofocus": True}),
        error_messages={"required": gettext_lazy("Say how many points."), "invalid": gettext_lazy("Points are whole numbers.")},
    )  # fmt: skip
    allow_debt = forms.BooleanField(required=False, label=gettext_lazy("Remove more than there is: the rest is owed"))
    field_order = ("points", "allow_debt", "reason")

    def __init__(self, *args: Any, negative_allowed: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not negative_allowed:
            del self.fields["allow_debt"]

    def clean_points(self) -> int:
        points: int = self.cleaned_data["points"]
        if not points:
            raise forms.ValidationError(_("0 points change nothing."))
        return points


class EraseForm(ReasonForm):
    """Typed out, because nothing brings it back."""

    word = forms.CharField(
        max_length=20, label=gettext_lazy("Type ERASE to confirm"), widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    field_order = ("word", "reason")

    def clean_word(self) -> str:
        if self.cleaned_data["word"].strip() != "ERASE":
            raise forms.ValidationError(_("Type ERASE in capital letters."))
        return "ERASE"


class AwardForm(ReasonForm):
    """The reason stands behind the bonus and its bill: together they are one reason."""

    def __init__(self, *args: Any, prefix_length: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        most = REASON_MAX - prefix_length
        told = _("Give a reason of {least} to {most} characters.").format(least=REASON_MIN, most=most)
        self.fields["reason"] = forms.CharField(
            label=_("Reason"), min_length=REASON_MIN, max_length=most, widget=self.fields["reason"].widget,
            error_messages={"required": told, "min_length": told, "max_length": told},
        )  # fmt: skip


class MergeForm(ReasonForm):
    """`into`: the survivor."""

    into = forms.IntegerField(widget=forms.HiddenInput)


class MobileForm(ReasonForm):
    mobile = forms.CharField(
        max_length=60, label=gettext_lazy("The new number"), error_messages={"required": gettext_lazy("Say the new number.")},
        widget=forms.TextInput(attrs={"inputmode": "tel", "autofocus": True, "autocomplete": "off"}),
    )  # fmt: skip
    field_order = ("mobile", "reason")

    def __init__(self, *args: Any, region: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.region = region

    def clean_mobile(self) -> str:
        """As numbers are kept, so that it is compared and masked like any."""
        try:
            return normalised_mobile(self.cleaned_data["mobile"], region=self.region)
        except DomainError as refusal:
            raise forms.ValidationError(refusal.sentence) from refusal


class NoteForm(forms.Form):
    text = forms.CharField(
        max_length=2000, label=gettext_lazy("Note"), widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
        error_messages={"required": gettext_lazy("Write what the next agent should know.")},
    )  # fmt: skip


class CaseForm(ReasonForm):
    """The reason is the complaint in the customer's words."""

    title = forms.CharField(
        min_length=3, max_length=120, label=gettext_lazy("Title"), widget=forms.TextInput(attrs={"autofocus": True})
    )
    topic = forms.ChoiceField(required=False, label=gettext_lazy("Topic"), choices=[("", gettext_lazy("not known yet")), *TOPICS])
    field_order = ("title", "topic", "reason")


class CloseForm(ReasonForm):
    outcome = forms.ChoiceField(
        label=gettext_lazy("How it ended"),
        choices=Outcome.choices,
        widget=forms.RadioSelect,
        error_messages={"required": gettext_lazy("Say how it ended.")},
    )
    field_order = ("outcome", "reason")


class MessageForm(forms.Form):
    channel = forms.ChoiceField(label=gettext_lazy("By"), choices=Channel.choices, widget=forms.RadioSelect)
    subject = forms.CharField(label=gettext_lazy("Subject"), max_length=120, widget=forms.TextInput(attrs={"autofocus": True}))
    text = forms.CharField(label=gettext_lazy("Text"), max_length=2000, widget=forms.Textarea(attrs={"rows": 6}))
    token = forms.RegexField(r"^[A-Za-z0-9_-]{16,64}$", widget=forms.HiddenInput)

    def __init__(self, *args: Any, ways: Sequence[Channel], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["channel"]
        choice.choices = [(way.value, way.label) for way in ways]
        choice.initial = ways[0] if ways else None


class DecideForm(forms.Form):
    """`seen`: the balance that stood on the page when it was pressed."""

    note = forms.CharField(
        required=False,
        max_length=REASON_MAX,
        label=gettext_lazy("Why (needed to refuse)"),
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    seen = forms.CharField(max_length=200, widget=forms.HiddenInput)


class ResetForm(ReasonForm):
    """Typed out, because it takes everything."""

    word = forms.CharField(
        max_length=20, label=gettext_lazy("Type RESET to confirm"), widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    clear_debt = forms.BooleanField(required=False, label=gettext_lazy("Also forgive what is owed"))
    field_order = ("clear_debt", "word", "reason")

    def clean_word(self) -> str:
        if self.cleaned_data["word"].strip() != "RESET":
            raise forms.ValidationError(_("Type RESET in capital letters."))
        return "RESET"
