"""The API's conventions, once: keys and scopes, exact JSON, one shape for every error (docs/api.md)."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from django.core.cache import cache
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext_noop
from django.views.decorators.csrf import csrf_exempt
from redis.exceptions import RedisError
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.parsers import JSONParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from integrations.documents import read_json
from tenants.access import Access
from tenants.counters import count, redis_breaker
from tenants.errors import DomainError
from tenants.saying import said

log = structlog.get_logger("pointdesk.api")

#: Refusals that are not 422, which is the rule: well-formed, understood, refused.
STATUS: dict[str, int] = {
    "malformed_json": 400,
    "key_required": 400,
    "unknown_customer": 404,
    "hold_unknown": 404,
    "not_found": 404,
    "job_unknown": 404,
    "job_state": 409,
    "undone_already": 409,
    "own_request": 403,
    "key_reused": 409,
    "in_progress": 409,
    "customer_merged": 409,
    "bill_already_booked": 409,
    "owner_changed": 409,
    "too_large": 413,
    "length_required": 411,
}
#: Lock not had in time, deadlock, serialization: nothing was changed, and the same request works in a moment.
IN_PROGRESS = {"55P03", "40P01", "40001"}


class KeyAuthentication(BaseAuthentication):
    """The middleware found the key's access; here it becomes DRF's user."""

    def authenticate(self, request: Request) -> tuple[Access, None]:
        access = getattr(request._request, "access", None)
        if access is None:
            count("unauthorised", today=timezone.now().date())
            raise exceptions.AuthenticationFailed()
        return access, None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Pointdesk"'


class HasScope(BasePermission):
    """The view names its scopes (`scopes = {"POST": ("pos",)}`); a method without one is nobody's."""

    def has_permission(self, request: Request, view: Any) -> bool:
        wanted: Mapping[str, tuple[str, ...]] = getattr(view, "scopes", {})
        access: Any = request.user
        if request.method not in wanted:
            return True  # DRF answers 405
        return any(scope in access.scopes for scope in wanted[request.method or ""])


class KeyThrottle(BaseThrottle):
    """So many calls a minute for each key, counted in Redis. When Redis is away nobody is held up: a till must not wait for it."""

    def __init__(self) -> None:
        self._over = False

    def allow_request(self, request: Request, view: Any) -> bool:
        access: Any = request.user
        limit = getattr(access, "calls_a_minute", 0)
        if not limit or not redis_breaker.open():
            return True
        key = f"calls:{access.actor.id}:{int(time.time() // 60)}"
        try:
            cache.add(key, 0, 120)
            self._over = cache.incr(key) > limit
        except ValueError:  # the count was thrown out in between: this minute begins again
            return True
        except (RedisError, OSError):
            redis_breaker.trip()
        return not self._over

    def wait(self) -> float:
        return 60 - time.time() % 60


class ExactJSONParser(JSONParser):
    """Numbers from their text, no doubled names, no NaN; anything that is not an object is 400."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        context = parser_context or {}
        check_length(context["request"], bytes_max=context["view"].body_bytes_max, what=gettext_noop("The body"))
        return read_json(stream.read())


def check_length(request: Request, *, bytes_max: int, what: str) -> None:
    """Before the body is read; the server never gives more of it than it says. Raises: DomainError `length_required`, `too_large`."""
    if request.META.get("HTTP_TRANSFER_ENCODING"):
        raise DomainError("length_required", said("Send the body with a Content-Length, not in chunks."))
    length = str(request.META.get("CONTENT_LENGTH") or "0")
    if not length.isdigit() or int(length) > bytes_max:
        size = f"{bytes_max >> 20} MiB" if bytes_max >> 20 else f"{bytes_max >> 10} KiB"
        told = said("{what} may have at most {size}. Send it in smaller parts.", what=said(what), size=size)
        raise DomainError("too_large", told, bytes_max=bytes_max)


def error(
    code: str, message: str, *, status_code: int, request_id: str = "", details: Mapping[str, Any] | None = None
) -> Response:
    body = {"error": {"code": code, "message": message, "details": dict(details or {}), "request_id": request_id}}
    return Response(body, status=status_code)


def status_of(refusal: DomainError) -> int:
    return STATUS.get(refusal.code, 422)


@dataclass(frozen=True, slots=True)
class Told:
    """An error as the API says it. `retry`: seconds after which the same request may be sent again."""

    code: str
    message: str
    status: int
    details: Any = None
    retry: str = ""


def answer_error(problem: Exception, context: Mapping[str, Any]) -> Response | None:
    """Every exception of a view as the one error body. What nobody foresaw is logged and is a plain 500."""
    if isinstance(problem, DatabaseError | InterfaceError) and connection.in_atomic_block:
        transaction.set_rollback(True)  # the server has given the transaction up already
    told = _of_database(problem) or _of_request(problem)
    if told is None:
        log.exception("unforeseen error", error=type(problem).__name__)
        told = Told("internal", said("Something went wrong on our side; nothing was changed. Tell us the request id."), 500)
    request_id = getattr(context["request"]._request, "request_id", "")
    response = error(told.code, told.message, status_code=told.status, request_id=request_id, details=told.details)
    if told.retry:
        response["Retry-After"] = told.retry
    if told.status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="Pointdesk"'
    return response


def _of_database(problem: Exception) -> Told | None:
    """What has nothing to do with the request: it may be sent again."""
    if isinstance(problem, OperationalError) and getattr(problem.__cause__, "sqlstate", None) in IN_PROGRESS:
        return Told(
            "in_progress",
            said("Another request is working on the same customer. Send this one again in a second."),
            409,
            retry="1",
        )
    if isinstance(problem, OperationalError | InterfaceError):
        log.error("database unavailable", error=type(problem).__name__)
        return Told(
            "unavailable",
            said("Our database did not answer in time. Nothing was changed. Send the request again."),
            503,
            retry="5",
        )
    return None


def _of_request(problem: Exception) -> Told | None:
    """What the sender can mend."""
    match problem:
        case DomainError():
            return Told(problem.code, problem.sentence, status_of(problem), problem.details)
        case exceptions.AuthenticationFailed() | exceptions.NotAuthenticated():
            return Told("unauthorised", said("The API key is missing or not valid. Send it as Authorization: Bearer <key>."), 401)
        case exceptions.Throttled():
            seconds = str(max(int(getattr(problem, "wait", None) or 1), 1))
            go_on = said("Too many calls with this key. Go on in {seconds} seconds, or send bills in batches.", seconds=seconds)
            return Told("throttled", go_on, 429, retry=seconds)
        case exceptions.PermissionDenied():
            lacks = said("This API key lacks the scope for this call. Ask the tenant's admin for a key that has it.")
            return Told("forbidden", lacks, 403)
        case Http404() | exceptions.NotFound():
            return Told("not_found", said("There is nothing of yours at this address. Check the reference."), 404)
        case exceptions.MethodNotAllowed():
            return Told("method_not_allowed", said("This address does not answer this method. See the API's documentation."), 405)
        case exceptions.UnsupportedMediaType() | exceptions.NotAcceptable():
            return Told("unsupported_media_type", said("Send and accept application/json."), problem.status_code)
        case RequestDataTooBig():
            return Told("too_large", said("The body is larger than 16 MiB. Send smaller batches."), 413)
        case exceptions.ValidationError():
            return Told("invalid_filter", said("One of the filters is not valid. See details."), 400, {"fields": problem.detail})
        case exceptions.APIException():
            return Told("bad_request", said("The request could not be read. Check its body."), problem.status_code)
    return None


@csrf_exempt
def nothing_here(request: HttpRequest) -> HttpResponse:
    """An address of the API that leads nowhere, in the API's own words."""
    message = said("There is nothing at this address. See the API's documentation for what there is.")
    body: dict[str, Any] = {
        "code": "not_found",
        "message": message,
        "details": {},
        "request_id": getattr(request, "request_id", ""),
    }
    return JsonResponse({"error": body}, status=404)
