"""The request's id, its log line, its transaction and its walls."""

import contextlib
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from tenants import access as gate
from tenants import refusals, second_factor, sign_in
from tenants.access import Access
from tenants.actors import Actor, acting_as
from tenants.errors import NOTED
from tenants.models import User
from tenants.saying import said

type Respond = Callable[[HttpRequest], HttpResponseBase]

log = structlog.get_logger("pointdesk.access")
REQUEST_ID = re.compile(r"\A[A-Za-z0-9._-]{8,64}\Z")
#: These answer without the database, so they answer when it is away.
WITHOUT_DATABASE = ("/live", "/ready", "/metrics", settings.STATIC_URL)
CHOSEN_TENANT = "tenant_id"
#: Where a second factor is set up.
ACCOUNTS = "/accounts/"


class RequestIdMiddleware:
    """Outermost: gives the request an id that stands in every log line, error and audit event; logs the route, never the path."""

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if REQUEST_ID.match(given) else secrets.token_hex(8)
        request.request_id = request_id  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id, address=sign_in.address_of(request))
        began = time.perf_counter()
        response = (
            self.get_response(request)
            if _is_utf8(request)
            else HttpResponse("Send UTF-8.\n", status=400, content_type="text/plain")
        )
        response["X-Request-Id"] = request_id
        match = request.resolver_match
        log.info(
            "request",
            method=request.method,
            route=match.route if match else "(no route)",
            status=response.status_code,
            milliseconds=round((time.perf_counter() - began) * 1000, 1),
        )
        return response


def _is_utf8(request: HttpRequest) -> bool:
    """Forms in another encoding can hold what no database takes. Bodies of the API are bytes, and read as such."""
    return request.path.startswith("/api/") or (request.encoding or "utf-8").lower().replace("_", "-") in ("utf-8", "utf8")


class ContentSecurityMiddleware:
    """What a page may load and run: our own files and nothing else. The admin's frame (Alpine) also needs what it writes into its pages."""

    OURS = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'"
    ADMIN = (
        "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'"
    )
    ALWAYS = "; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        policy = self.ADMIN if request.path.startswith("/admin/") else self.OURS
        response.headers.setdefault("Content-Security-Policy", policy + self.ALWAYS)
        return response


class TenantGateMiddleware:
    """Innermost: owns the request's one transaction, page rendering included, with both walls up inside it.

    Rolled back when the answer is a 5xx, or when an exception got this far. When PostgreSQL is away, 503.
    """

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.access = None  # type: ignore[attr-defined]
        if request.path.startswith(WITHOUT_DATABASE):
            return self.get_response(request)
        noting = NOTED.set([])
        try:
            with transaction.atomic():
                response = self._respond_inside(request)
                broken = response.status_code >= 500
                if broken:
                    transaction.set_rollback(True)
            if broken and hasattr(request, "failed_tries"):
                with transaction.atomic(), gate.walls_around([]):
                    sign_in.count_again(request)
            self._tell_refusals(request, response)
            return response
        except (OperationalError, InterfaceError) as problem:
            log.error("database unavailable", error=type(problem).__name__)
            return database_away(request)
        finally:
            NOTED.reset(noting)

    def _tell_refusals(self, request: HttpRequest, response: HttpResponseBase) -> None:
        """After the request's own transaction, which may have been given up; the answer stands, whatever becomes of this."""
        access: Access | None = request.access  # type: ignore[attr-defined]
        refused = refusals.noted(request, response.status_code) if access else []
        if access is None or not refused:
            return
        try:
            with transaction.atomic(), acting_as(access.actor), gate.walls_around([access.tenant]):
                refusals.tell(request, access, refused)
        except DatabaseError as problem:
            log.error("refusal not told", error=type(problem).__name__, refused=[each["code"] for each in refused])

    def _respond_inside(self, request: HttpRequest) -> HttpResponseBase:
        access = _access_of(request)
        request.known = access  # type: ignore[attr-defined]
        at_desk = access is not None and not request.path.startswith("/api/")
        given = at_desk and getattr(request.user, "must_change_password", False)
        lacking = at_desk and access is not None and second_factor.is_lacking(request, access)
        if lacking and request.path == reverse("admin:switch_tenant"):
            lacking = False  # to a brand that asks for none: this one shows them nothing before
        request.access = None if lacking or given else access  # type: ignore[attr-defined]
        if access is None and request.path.startswith(("/admin/", "/status")) and request.user.is_authenticated:
            return render(request, "account/nobody.html", status=403)
        if (lacking or given) and not request.path.startswith(ACCOUNTS):
            return redirect("account_change_password" if given else "mfa_index")
        zone = timezone.override(access.tenant.zone) if access else contextlib.nullcontext()
        outermost = not connection.savepoint_ids
        acting = access.actor if access else _person_at_the_door(request)
        with acting_as(acting), gate.walls_around([access.tenant] if access else [], last_of_transaction=outermost), zone:
            return self.get_response(request)  # Django renders a TemplateResponse before it comes back here

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """A page that meets a missing database or a lock that is not had in time says so, and nothing of it is kept."""
        if not isinstance(exception, OperationalError | InterfaceError):
            return None
        log.error("database unavailable", error=type(exception).__name__)
        return database_away(request)


def _access_of(request: HttpRequest) -> Access | None:
    if request.path.startswith("/api/"):
        kind, _, key = request.headers.get("Authorization", "").partition(" ")
        return gate.of_key(key.strip(), now=timezone.now()) if kind.lower() == "bearer" else None
    user = request.user
    if not isinstance(user, User):
        return None
    chosen = request.session.get(CHOSEN_TENANT)
    return gate.of_person(user, wanted_tenant_id=chosen if isinstance(chosen, int) else None)


def _person_at_the_door(request: HttpRequest) -> Actor | None:
    """Signed in, and not let in yet: their second factor is lacking, or they work for nobody."""
    return request.user.as_actor() if not request.path.startswith("/api/") and isinstance(request.user, User) else None


def database_away(request: HttpRequest) -> HttpResponse:
    sentence = said("Our database did not answer in time. Nothing was changed. Send the same request again in a few seconds.")
    request_id = getattr(request, "request_id", "")
    if request.path.startswith("/api/"):
        body: dict[str, Any] = {"error": {"code": "unavailable", "message": sentence, "details": {}, "request_id": request_id}}
        return JsonResponse(body, status=503, headers={"Retry-After": "5"})
    title, last = said("One moment"), said("Request {request_id}", request_id=request_id)
    page = f"<!doctype html><title>{title}</title><h1>{title}</h1><p>{sentence}</p><p>{last}</p>"
    return HttpResponse(page, status=503, headers={"Retry-After": "5"})
