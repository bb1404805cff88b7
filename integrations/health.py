"""Is it up? `/live` asks nobody, `/ready` asks PostgreSQL, `/status` tells staff about every engine and lag."""

from typing import Any

import redis
from django.conf import settings
from django.contrib.admin.views.decorators import staff_member_required
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from integrations.analytics import clickhouse, feed
from integrations.models import Delivery, DeliveryState
from tenants.counters import counted
from tenants.tasks import worker_is_alive


def live(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"live": True})


def ready(request: HttpRequest) -> HttpResponse:
    if not _postgresql():
        return JsonResponse({"ready": False, "postgresql": "away"}, status=503, headers={"Retry-After": "5"})
    return JsonResponse({"ready": True})


@staff_member_required
def status(request: HttpRequest) -> HttpResponse:
    return JsonResponse(engine_states(request))


def engine_states(request: HttpRequest) -> dict[str, Any]:
    """Every engine and lag. Numbers of the inbox are those of the tenant at hand."""
    lag, today = feed.lag(), timezone.now().date()
    return {
        "postgresql": "up",
        **{name: "up" if up else "away" for name, up in engines().items() if name != "postgresql"},
        "worker": "up" if worker_is_alive() else "silent",
        "inbox_waiting": Delivery.objects.filter(state=DeliveryState.RECEIVED).count()
        if getattr(request, "access", None)
        else None,
        "feed": {"entries_behind": lag.entries, "oldest": lag.since, "as_of": lag.as_of},
        "refused_at_the_door_today": {"unauthorised": counted("unauthorised", today=today)},
    }


def engines() -> dict[str, bool]:
    """Which of the engines answer."""
    return {"postgresql": _postgresql(), "valkey": _valkey(), "clickhouse": _clickhouse()}


def _postgresql() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError):
        return False
    return True


def _valkey() -> bool:
    try:
        return bool(redis.Redis.from_url(settings.REDIS_URL, socket_timeout=0.5, socket_connect_timeout=0.5).ping())
    except (redis.RedisError, OSError):
        return False


def _clickhouse() -> bool:
    try:
        with clickhouse.connected(timeout_seconds=2) as client:
            client.command("SELECT 1")
    except clickhouse.Away:
        return False
    return True
