"""Who signs in, by allauth: a password and a second factor, or a passkey. What they may do are acts of their role in a tenant
(`tenants.access`); there are no rows of permissions to read.

Wrong passwords and wrong codes are counted by axes, for an address of the network and a name together: whoever guesses locks
themselves out, and not the person whose name they try.
"""

import base64
import contextlib
import hashlib
import ipaddress
import os
import time
from datetime import timedelta
from typing import Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter, get_adapter
from allauth.account.forms import ChangePasswordForm
from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.base import forms
from allauth.mfa.models import Authenticator
from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessAttempt
from axes.signals import user_locked_out
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.exceptions import ValidationError
from django.db.models import Sum
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from redis.exceptions import RedisError

from tenants import trail
from tenants.models import User
from tenants.saying import said

log = structlog.get_logger("pointdesk.sign_in")
#: Of one person, from all addresses together.
CODES_AN_HOUR = 50
#: So long a password that was given counts as given now, for setting up the first second factor.
FRESH_SECONDS = 600


class PasswordBackend(ModelBackend):
    """Django's, by e-mail, without its permissions: nobody has any, and no page asks the database for them."""

    def authenticate(  # type: ignore[override]
        self, request: HttpRequest | None, email: str | None = None, password: str | None = None, **others: Any
    ) -> Any:
        return super().authenticate(request, username=email or others.get("username"), password=password)

    def get_user_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set()

    def get_group_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set()

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set()


class AccountAdapter(DefaultAccountAdapter):
    """Nobody signs up by themselves; who asks for the password again is asked by the name they signed in with."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_safe_url(self, url: str) -> bool:
        """What is no address at all is none that we lead to."""
        try:
            return bool(super().is_safe_url(url))
        except ValueError:
            return False

    def reauthenticate(self, user: Any, password: str) -> bool:
        found = authenticate(self.request, email=user.email, password=password)
        return found is not None and found.pk == user.pk

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Who has a second factor shows that, and not the password again."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        stronger = [each for each in methods if "mfa" in each["id"]]
        return stronger or methods

    def is_reauthentication_required(self, *, app: str) -> bool:
        """Not of who has just given the password and has no second factor yet."""
        request = context_request()
        user = request.user
        records = get_authentication_records(request, user)
        fresh = any(time.time() - each["at"] < FRESH_SECONDS for each in records if each["method"] == "password")
        return not fresh or Authenticator.objects.filter(user=user.pk).exists()

    def get_client_ip(self, request: HttpRequest) -> str:
        return network_of(request)


class SecondFactorAdapter(DefaultMFAAdapter):
    """Secrets of authenticator apps are kept encrypted with a key made of SECRET_KEY; the fallbacks still read them."""

    def encrypt(self, text: str) -> str:
        return _keys().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """What no key of ours reads becomes a secret that nobody has: no code fits it, and a reset is what helps."""
        try:
            return _keys().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            log.error("a second factor cannot be read: SECRET_KEY was changed without SECRET_KEY_FALLBACKS")
            return base64.b32encode(os.urandom(20)).decode()

    def get_totp_issuer(self) -> str:
        return "Pointdesk"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        entity: dict[str, str] = super().get_public_key_credential_rp_entity()
        return entity | {"name": "Pointdesk"}


def _keys() -> MultiFernet:
    secrets = [str(settings.SECRET_KEY), *map(str, settings.SECRET_KEY_FALLBACKS)]
    return MultiFernet(
        [Fernet(base64.urlsafe_b64encode(hashlib.sha256(f"second factor {each}".encode()).digest())) for each in secrets]
    )


class Attempts(AxesDatabaseHandler):
    """Counts, and keeps nothing of what was typed: neither codes, nor bytes that PostgreSQL would refuse, and the count with them."""

    def user_login_failed(self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
        if request is None:  # nobody's
            return
        request.failed_tries = [*getattr(request, "failed_tries", []), credentials]
        typed = request.GET, request.POST
        request.GET = request.POST = QueryDict()
        for name in ("axes_user_agent", "axes_http_accept", "axes_path_info"):
            setattr(request, name, str(getattr(request, name, "")).replace("\0", ""))
        try:
            super().user_login_failed(sender, credentials, request, **kwargs)
        finally:
            request.GET, request.POST = typed
        if not getattr(request, "axes_locked_out", False):
            tell_failure(name_of(request, credentials), "sign_in_failed", network=network_of(request))


def count_again(request: HttpRequest) -> None:
    """What a page that broke afterwards has rolled back: a wrong try counts, whatever becomes of the answer."""
    tries, request.failed_tries = getattr(request, "failed_tries", []), []  # type: ignore[attr-defined]
    for credentials in tries:
        request.axes_locked_out = False  # type: ignore[attr-defined]
        AxesProxyHandler.user_login_failed(__name__, credentials=credentials, request=request)


CODE = " (code)"


def tell_failure(name: str, action: str, *, network: str) -> None:
    """To the tenants of whom it was tried with, if that is somebody."""
    user = User.objects.filter(email=name.removesuffix(CODE)).first()
    if user is not None and user.is_superuser:  # no brand's own, and a stranger would write to all of them
        log.warning("somebody failed to sign in as a platform admin", action=action)
    elif user is not None:
        after = {"with": "code" if name.endswith(CODE) else "password"}
        trail.tell_of_person(user, action, actor=trail.NOBODY, network=network, after=after)


@receiver(user_locked_out)
def _locked(sender: Any, request: HttpRequest, username: str, **kwargs: Any) -> None:
    tell_failure(username, "sign_in_locked", network=network_of(request))


@receiver(user_logged_in)
def _signed_in(sender: Any, user: User, **kwargs: Any) -> None:
    trail.tell_of_person(user, "sign_in", actor=user.as_actor())


@receiver(user_logged_out)
def _signed_out(sender: Any, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        trail.tell_of_person(user, "sign_out", actor=user.as_actor())


class _Counted:
    """A form for codes whose wrong ones are counted, for the address they come from and for the person, wherever from: only who has given the
    password comes here, so no stranger locks anybody out."""

    user: User

    def clean_code(self) -> str:
        request = context_request()
        credentials = {"username": self.user.email + CODE}
        tries = AccessAttempt.objects.filter(username=name_of(request, credentials))
        lately = (
            tries.filter(attempt_time__gte=timezone.now() - timedelta(hours=1)).aggregate(n=Sum("failures_since_start"))["n"] or 0
        )
        if lately >= CODES_AN_HOUR or not AxesProxyHandler.is_allowed(request, credentials):
            request.axes_locked_out = True  # type: ignore[attr-defined]
            raise ValidationError(said("Too many wrong codes. Wait a quarter of an hour."), code="locked")
        try:
            code: str = super().clean_code()  # type: ignore[misc]
        except ValidationError:
            user_login_failed.send(sender=__name__, credentials=credentials, request=request)
            raise
        except RedisError as problem:  # whether the code was used before cannot be asked
            raise ValidationError(
                said("Codes of an app cannot be checked now. Use a passkey, or try again soon."), code="away"
            ) from problem
        tries.filter(ip_address=network_of(request)).delete()
        return code


class PasswordForm(ChangePasswordForm):
    """Whoever guesses the old password here is counted as at the door."""

    def clean(self) -> Any:
        cleaned = super().clean()
        if cleaned and cleaned.get("password1") and self.user.check_password(cleaned["password1"]):
            raise ValidationError(said("This is the password of before. Choose another one."), code="same")
        return cleaned

    def save(self) -> None:
        self.user.must_change_password = False
        super().save()

    def clean_oldpassword(self) -> str:
        password: str = self.cleaned_data.get("oldpassword", "")
        if not get_adapter().reauthenticate(self.user, password):
            raise get_adapter().validation_error("enter_current_password")
        return password


class CodeForm(_Counted, forms.AuthenticateForm):
    """The code that follows the password."""


class CodeAgainForm(_Counted, forms.ReauthenticateForm):
    """The code before something that matters."""


def context_request() -> HttpRequest:
    """The request that allauth is at."""
    from allauth.core import context

    request: HttpRequest = context.request
    return request


def address_of(request: HttpRequest) -> str | None:
    """Where a request comes from: what the connection says; behind our proxy what that one appended, and nothing that a client wrote before."""
    told = [request.META.get("REMOTE_ADDR") or ""]
    if settings.BEHIND_PROXY:
        told.insert(0, request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip())
    for text in told:
        with contextlib.suppress(ValueError):
            found = ipaddress.ip_address(text.partition("%")[0])
            return str(found if isinstance(found, ipaddress.IPv4Address) else found.ipv4_mapped or found)
    return None


def network_of(request: HttpRequest) -> str:
    """What guesses are counted for: an address; of IPv6 the network of 64 bits, which is one subscriber's."""
    address = address_of(request) or "0.0.0.0"  # noqa: S104 - a unix socket has none
    return str(ipaddress.ip_network((address, 64), strict=False).network_address) if ":" in address else address


def name_of(request: HttpRequest | None, credentials: dict[str, Any] | None) -> str:
    """Whose password was tried, in one spelling."""
    tried = credentials or {}
    given = tried.get("email") or tried.get("username") or (request.POST.get("login", "") if request else "")
    return str(given).strip().lower()[:254]


def locked_out(request: HttpRequest, credentials: dict[str, Any] | None = None, *args: Any, **kwargs: Any) -> HttpResponse:
    """The page of whoever guessed too often."""
    return render(request, "account/locked.html", status=429)
