"""The dialogs' forms. Reasons are trimmed here and checked again by the ledger."""

import secrets

from django import forms

from loyalty.ledger import REASON_MAX, REASON_MIN
from loyalty.state import POINTS_MAX


class ReasonForm(forms.Form):
    """A dialog that asks why. `token` makes pressing twice one act."""

    reason = forms.CharField(
        min_length=REASON_MIN,
        max_length=REASON_MAX,
        widget=forms.Textarea(
            attrs={"rows": 2, "autofocus": True, "placeholder": "Why? The customer's next agent will read this."}
        ),
        error_messages={
            "required": f"Give a reason of {REASON_MIN} to {REASON_MAX} characters.",
            "min_length": f"Give a reason of {REASON_MIN} to {REASON_MAX} characters.",
            "max_length": f"Give a reason of {REASON_MIN} to {REASON_MAX} characters.",
        },
    )
    token = forms.RegexField(r"^[A-Za-z0-9_-]{16,64}$", widget=forms.HiddenInput)

    @staticmethod
    def new_token() -> str:
        return secrets.token_urlsafe(18)


class IssueForm(ReasonForm):
    points = forms.IntegerField(
        min_value=1,
        max_value=POINTS_MAX,
        widget=forms.NumberInput(attrs={"inputmode": "numeric", "step": 1}),
        error_messages={
            "required": "Say how many points.",
            "invalid": "Points are whole numbers.",
            "min_value": "Give at least 1 point.",
        },
    )
    field_order = ("points", "reason")
