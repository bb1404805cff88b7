"""Who works for a brand: adding people, their role, how they sign in, ending their access; and the brand's own rules of security."""

from typing import Any

from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from integrations import retention
from loyalty.ledger import UNWRITABLE
from support import heads
from support.views import dialog
from tenants import access as gate
from tenants import audit, second_factor, staff
from tenants.access import Act
from tenants.admin_base import access_of
from tenants.errors import DomainError
from tenants.models import ApiKey, Membership, Role, Scope, Tenant


def _writable(text: str) -> None:
    if UNWRITABLE.search(text):
        raise forms.ValidationError(_("There are characters in it that nobody can see."))


class PersonForm(forms.Form):
    email = forms.EmailField(label=gettext_lazy("E-mail"), max_length=254)
    name = forms.CharField(label=gettext_lazy("Name"), max_length=120, required=False, validators=[_writable])
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=Role.choices)


class SecurityForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Tenant
        fields = ("agents_need_second_factor", "audit_email", "messages_kept_days")
        labels = {
            "agents_need_second_factor": gettext_lazy("Agents need a second factor"),
            "audit_email": gettext_lazy("The heads of the chains go to"),
            "messages_kept_days": gettext_lazy("Days that messages of bills are kept"),
        }

    #: The days that it was said of.
    sure = forms.CharField(label=gettext_lazy("They may go, for ever"), required=False, widget=forms.HiddenInput)

    def clean_audit_email(self) -> str:
        """One that a mail can go to."""
        address: str = self.cleaned_data["audit_email"]
        try:
            address.rpartition("@")[2].encode("idna")
        except UnicodeError as problem:
            raise forms.ValidationError(_("No mail reaches this address.")) from problem
        return address


def _check_kept(form: SecurityForm, tenant: Tenant) -> None:
    days = form.cleaned_data.get("messages_kept_days")
    if days is not None and days < tenant.claim_days:
        told = _("Bills can be claimed for {days} days, from their messages. Keep them at least as long.").format(
            days=tenant.claim_days
        )
        form.add_error("messages_kept_days", told)


def _ask_whether_sure(form: SecurityForm, tenant: Tenant, kept: int | None) -> None:
    """Before messages go tonight that would have stayed. `kept`: days, as it was."""
    days = form.cleaned_data.get("messages_kept_days")
    if form.errors or days is None or form.data.get("sure") == str(days) or (kept is not None and kept <= days):
        return
    if due := retention.count_due(tenant, days, now=timezone.now()):
        form.fields["sure"].widget = forms.CheckboxInput(attrs={"value": str(days)}, check_test=lambda said: said == str(days))
        told = ngettext(
            "{count} message goes tonight, and with it the way to book its bill anew.",
            "{count} messages go tonight, and with them the way to book their bills anew.",
            due,
        )
        form.add_error("sure", told.format(count=f"{due:,}" if due < retention.COUNTED_MOST else f"{due:,}+"))


def everybody(request: HttpRequest) -> HttpResponse:
    """The people of the brand, and the form that adds one. A new person's password is shown in the answer, this once."""
    access = access_of(request)
    access.require(Act.MANAGE_STAFF)
    form = PersonForm(request.POST or None)
    password = ""
    if request.method == "POST" and form.is_valid():
        try:
            user, password = staff.add_person(
                access.tenant, actor=access.actor, for_all=_is_of_platform(request), **form.cleaned_data
            )
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            if not password:
                messages.success(request, _("{name} works here now, and signs in as before.").format(name=user))
                return redirect("admin:staff")
            messages.success(request, _("{name} works here now.").format(name=user))
            form = PersonForm()
    people = Membership.objects.filter(tenant=access.tenant).select_related("user").order_by("role", "user__name", "user__email")
    with_factor = set(
        Authenticator.objects.filter(user__memberships__tenant=access.tenant)
        .exclude(type=Authenticator.Type.RECOVERY_CODES)
        .values_list("user_id", flat=True)
    )
    return dialog(
        request, "support/staff.html", title=_("Staff"), form=form, password=password, own=access.actor.id,
        people=[(each, each.user_id in with_factor, _needs(access.tenant, each)) for each in people],
    )  # fmt: skip


def _needs(tenant: Tenant, membership: Membership) -> bool:
    return second_factor.is_required_of(tenant, membership.role)


class _WhyForm(forms.Form):
    reason = forms.CharField(label=gettext_lazy("Why"), min_length=3, max_length=500, validators=[_writable])


def person(request: HttpRequest, pk: int) -> HttpResponse:
    """One person: role, ways of signing in, end of access; each an act of its own. `pk` is of the membership."""
    access = access_of(request)
    access.require(Act.MANAGE_STAFF)
    membership = gate.get(Membership, pk, access=access)
    form = _WhyForm(request.POST if request.method == "POST" and "role" not in request.POST else None)
    password = ""
    if request.method == "POST":
        try:
            done = _act_on(request, membership, form)
        except DomainError as refusal:
            messages.error(request, refusal.sentence)
            return redirect("admin:staff_person", pk=pk)
        if isinstance(done, HttpResponse):
            return done
        password = done
    types = Authenticator.objects.filter(user=membership.user).exclude(type=Authenticator.Type.RECOVERY_CODES)
    return dialog(
        request, "support/staff_person.html", title=str(membership.user), form=form, membership=membership, password=password,
        roles=Role.choices, factors=[each.get_type_display() for each in types], needs=_needs(access.tenant, membership),
        is_own=membership.user_id == access.actor.id, may_audit=access.may(Act.VIEW_AUDIT),
    )  # fmt: skip


def _is_of_platform(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def _act_on(request: HttpRequest, membership: Membership, form: _WhyForm) -> HttpResponse | str:
    """-> where to go, or what to show this once; empty: the form was not taken. Raises: DomainError."""
    access = access_of(request)
    for_all = _is_of_platform(request)
    if len(request.POST.keys() & {"role", "password", "factor", "end"}) != 1:
        raise DomainError("bad_value", _("One thing at a time."))
    if "role" in request.POST:
        staff.change_role(membership, request.POST["role"], actor=access.actor)
        messages.success(request, _("Saved. It holds from their next page on."))
        return redirect("admin:staff_person", pk=membership.pk)
    if not form.is_valid():
        return ""
    reason = form.cleaned_data["reason"]
    if "password" in request.POST:
        return staff.new_password(membership, reason=reason, actor=access.actor, for_all=for_all)
    if "factor" in request.POST:
        staff.take_second_factor(membership, reason=reason, actor=access.actor, for_all=for_all)
        messages.success(
            request, _("Their second factor is gone and their sessions have ended. They set up a new one when they sign in.")
        )
        return redirect("admin:staff_person", pk=membership.pk)
    name = str(membership.user)
    staff.end_access(membership, reason=reason, actor=access.actor)
    messages.success(request, _("{name} works here no more.").format(name=name))
    return redirect("admin:staff")


class KeyForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=120, validators=[_writable], help_text=gettext_lazy("Who uses it.")
    )
    scopes = forms.MultipleChoiceField(label=gettext_lazy("It may"), choices=Scope.choices, widget=forms.CheckboxSelectMultiple)


def keys(request: HttpRequest) -> HttpResponse:
    """The brand's API keys, and the form that makes one, which is shown in the answer, this once."""
    access = access_of(request)
    access.require(Act.MANAGE_STAFF)
    form = KeyForm(request.POST or None)
    made = ""
    if request.method == "POST" and form.is_valid():
        made = staff.create_api_key(access.tenant, actor=access.actor, **form.cleaned_data).key
        form = KeyForm()
    rows = ApiKey.objects.filter(tenant=access.tenant)
    now, titles = timezone.now(), dict(Scope.choices)
    told = [(row, f"pd_{row.prefix}…", row.usable(now), [titles.get(scope, scope) for scope in row.scopes]) for row in rows]
    return dialog(request, "support/api_keys.html", title=_("API keys"), form=form, made=made, keys=told)


def revoke_key(request: HttpRequest, pk: int) -> HttpResponse:
    """The dialog that ends a key."""
    access = access_of(request)
    access.require(Act.MANAGE_STAFF)
    row = gate.get(ApiKey, pk, access=access)
    form = _WhyForm(request.POST or None)
    form.fields["reason"].widget.attrs["autofocus"] = True
    if request.method == "POST" and form.is_valid():
        staff.revoke_api_key(row, reason=form.cleaned_data["reason"], actor=access.actor, now=timezone.now())
        messages.success(request, _("{name} is good no more.").format(name=row.name))
        return redirect("admin:api_keys")
    return dialog(request, "support/revoke_key.html", title=_("Revoke a key"), form=form, row=row, back=reverse("admin:api_keys"))


def security(request: HttpRequest) -> HttpResponse:
    """The brand's own rules: who shows a second factor, where proof of the past goes, how long messages are kept."""
    access = access_of(request)
    access.require(Act.MANAGE_STAFF)
    tenant = Tenant.objects.get(pk=access.tenant.pk)
    before = _told(tenant)
    form = SecurityForm(request.POST or None, instance=tenant)
    if request.method == "POST" and form.is_valid():
        _check_kept(form, tenant)
        _ask_whether_sure(form, tenant, before["messages_kept_days"])
    if request.method == "POST" and form.is_valid():
        tenant.save(update_fields=list(SecurityForm.Meta.fields))
        audit.record(
            tenant,
            actor=access.actor,
            action="change_security",
            target=tenant,
            reason="At the desk",
            before=before,
            after=_told(tenant),
        )
        old = before["audit_email"]
        if old and old != tenant.audit_email:
            transaction.on_commit(lambda: heads.tell_moved(tenant, old, by=access.actor.name))
        messages.success(request, _("Saved. It holds from everybody's next page on."))
        return redirect("admin:security")
    return dialog(request, "support/security.html", title=_("Security"), form=form)


def _told(tenant: Tenant) -> dict[str, Any]:
    return {name: getattr(tenant, name) for name in SecurityForm.Meta.fields}
