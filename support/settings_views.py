"""What a brand's customers are told, at which moments, and how."""

from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import messages as told
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations import messages, outbound
from integrations.models import MessageSettings
from support.views import dialog
from tenants import audit
from tenants.access import Act
from tenants.admin_base import access_of
from tenants.errors import DomainError

#: Who reads the sample below the form.
EXAMPLE = {"name": "Meera", "points": "500", "available": "912"}


class SettingsForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = MessageSettings
        fields = (
            "email_when_issued", "subject", "body", "quiet_from", "quiet_until", "webhook_when_issued", "webhook_url",
        )  # fmt: skip
        widgets = {
            "body": forms.Textarea(attrs={"rows": 6}),
            "quiet_from": forms.TimeInput(attrs={"type": "time"}),
            "quiet_until": forms.TimeInput(attrs={"type": "time"}),
        }

    def clean_webhook_url(self) -> str:
        """Where it leads is looked at now, and again with every message."""
        url: str = self.cleaned_data["webhook_url"]
        if url:
            try:
                outbound.resolve(url)
            except DomainError as refusal:
                raise forms.ValidationError(refusal.sentence) from refusal
            except outbound.NotReached as problem:
                raise forms.ValidationError(str(problem)) from problem
        return url

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if bool(cleaned.get("quiet_from")) is not bool(cleaned.get("quiet_until")):
            self.add_error("quiet_until", _("Quiet hours have two ends: give both, or neither."))
        if cleaned.get("webhook_when_issued") and not cleaned.get("webhook_url") and "webhook_url" not in self.errors:
            self.add_error("webhook_url", _("Say where the webhook goes."))
        return cleaned


def message_settings(request: HttpRequest) -> HttpResponse:
    """One form a brand; what was changed is kept, and the webhook's secret is never in the trace."""
    access = access_of(request)
    access.require(Act.MANAGE_STAFF)
    row = MessageSettings.objects.filter(tenant=access.tenant).first() or MessageSettings(tenant=access.tenant)
    before = _told(row) if row.pk else None
    if request.method == "POST" and "rotate" in request.POST and row.pk:
        row.webhook_secret = messages.new_secret()
        row.save(update_fields=["webhook_secret"])
        audit.record(access.tenant, actor=access.actor, action="rotate_webhook_secret", target=row, reason="At the desk")
        told.success(request, _("The webhook has a new secret; the old one is good no more."))
        return redirect("admin:message_settings")
    form = SettingsForm(request.POST or None, instance=row)
    if request.method == "POST" and form.is_valid():
        said = {name: form.cleaned_data[name] for name in SettingsForm.Meta.fields}
        row, _made = MessageSettings.objects.get_or_create(
            tenant=access.tenant, defaults={**said, "webhook_secret": messages.new_secret()}
        )
        for name, value in said.items():
            setattr(row, name, value)
        row.save(update_fields=list(said))  # a secret that somebody rotates meanwhile stays theirs
        audit.record(
            access.tenant, actor=access.actor, action="change_message_settings", target=row, reason="At the desk", before=before,
            after=_told(row),
        )  # fmt: skip
        told.success(request, _("Saved."))
        return redirect("admin:message_settings")
    words = {**EXAMPLE, "brand": access.tenant.name}
    return dialog(
        request, "support/message_settings.html", title=_("Messages to customers"), form=form, row=row, now=timezone.now(),
        example_subject=messages.filled(row.subject, words), example_body=messages.filled(row.body, words),
    )  # fmt: skip


def _told(row: MessageSettings) -> dict[str, str]:
    """For the trace: of the webhook its server only, because paths of webhooks are often secrets."""
    said = {name: str(getattr(row, name)) for name in SettingsForm.Meta.fields}
    return said | {"webhook_url": urlsplit(row.webhook_url).hostname or ""}
