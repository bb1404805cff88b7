"""Whether this session has shown a second factor, and who must.

Everybody but agents must; agents, where their tenant wants it. A session that has not is led to the page where one is set up, and to nothing
else. The proof is the session's own, so that setting one up, or taking it away, says nothing of other sessions.
"""

from typing import Any

from allauth.account.internal.flows.login import clear_authentication_records, get_authentication_records, record_authentication
from allauth.core import context
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import update_session_auth_hash
from django.db.models import F
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest

from tenants import audit
from tenants.access import Access
from tenants.models import Membership, Role, Tenant, User


def is_lacking(request: HttpRequest, access: Access) -> bool:
    """Whether they have to set one up, or to show it, before anything else."""
    return is_required(access) and not is_shown(request)


def is_required(access: Access) -> bool:
    """Of whoever has this access."""
    return is_required_of(access.tenant, access.role_key)


def is_required_of(tenant: Tenant, role: str) -> bool:
    return settings.SECOND_FACTOR and (role != Role.AGENT or tenant.agents_need_second_factor)


def is_shown(request: HttpRequest) -> bool:
    """At sign-in, or when it was set up in this session."""
    records = get_authentication_records(request, request.user)
    return any(each.get("method") == "mfa" for each in records)


def at_the_door(request: HttpRequest) -> dict[str, Any]:
    """For the pages of /accounts/: the name of the house, and whether they lead on."""
    if not request.path.startswith("/accounts/") and getattr(request, "access", None) is not None:
        return {}
    access: Access | None = getattr(request, "known", None)
    lacking = access is not None and is_lacking(request, access)
    elsewhere = _asking_for_none(access) if lacking and access is not None else []
    return {"site_title": admin.site.site_title, "second_factor_lacking": lacking, "elsewhere": elsewhere}


def _asking_for_none(access: Access) -> list[Tenant]:
    """Where they may work without a second factor."""
    rows = (
        Membership.objects.filter(user=access.actor.id, tenant__in=access.tenants).select_related("tenant")
        if access.role_key
        else ()
    )
    return [row.tenant for row in rows if not is_required_of(row.tenant, row.role)]


@receiver(post_save, sender=Authenticator)
def _added(sender: Any, instance: Authenticator, created: bool, **kwargs: Any) -> None:
    """In the transaction that adds it: allauth's own signal comes after, when the walls are down."""
    if not created or instance.type == Authenticator.Type.RECOVERY_CODES:
        return
    request = _end_other_sessions(instance.user)
    if request is not None:
        record_authentication(
            request, instance.user, "mfa", id=instance.pk, type=instance.type, reauthenticated=True
        )  # it was just shown
        _record(request, "add_second_factor", instance)


@receiver(post_delete, sender=Authenticator)
def _removed(sender: Any, instance: Authenticator, **kwargs: Any) -> None:
    if instance.type == Authenticator.Type.RECOVERY_CODES:
        return
    request = _end_other_sessions(instance.user)
    if request is None:
        return
    if not Authenticator.objects.filter(user=instance.user).exclude(type=Authenticator.Type.RECOVERY_CODES).exists():
        clear_authentication_records(request)
    _record(request, "remove_second_factor", instance)


def _end_other_sessions(user: User) -> HttpRequest | None:
    """Whoever signed in before, by a password alone, signs in anew; -> the request in which the person does it themselves."""
    User.objects.filter(pk=user.pk).update(factors_changed=F("factors_changed") + 1)
    user.refresh_from_db(fields=["factors_changed"])
    request: HttpRequest | None = context.request
    if request is None or request.user.pk != user.pk:
        return None
    update_session_auth_hash(request, user)
    return request


def _record(request: HttpRequest, action: str, authenticator: Authenticator) -> None:
    access: Access | None = getattr(request, "known", None)
    if access is not None:
        audit.record(
            access.tenant, actor=access.actor, action=action, target=authenticator.user, reason="At sign-in",
            after={"type": authenticator.get_type_display()},
        )  # fmt: skip
