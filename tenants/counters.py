"""What happened at the door, counted: a log line, and a number for the status page. Never fails, never waits long."""

import time
from datetime import date

import structlog
from django.core.cache import cache
from redis.exceptions import RedisError

log = structlog.get_logger("pointdesk.door")
KEPT_SECONDS = 8 * 86400


class Breaker:
    """After a failure, leave Redis alone for a while: a sender must not wait for it with every call."""

    def __init__(self, *, rest_seconds: float = 5) -> None:
        self._rest_seconds = rest_seconds
        self._closed_until = 0.0

    def open(self) -> bool:
        return time.monotonic() >= self._closed_until

    def trip(self) -> None:
        self._closed_until = time.monotonic() + self._rest_seconds


redis_breaker = Breaker()


def count(event: str, *, tenant: str = "-", today: date) -> None:
    """One more of this event today."""
    log.warning(event, tenant=tenant)
    if not redis_breaker.open():
        return
    key = _key(event, tenant, today)
    try:
        cache.add(key, 0, KEPT_SECONDS)
        cache.incr(key)
    except (RedisError, OSError, ValueError):
        redis_breaker.trip()


def counted(event: str, *, tenant: str = "-", today: date) -> int:
    """How many today; 0 when Redis is away: the log lines have them."""
    try:
        return int(cache.get(_key(event, tenant, today), 0))
    except (RedisError, OSError):
        return 0


def _key(event: str, tenant: str, today: date) -> str:
    return f"door:{event}:{tenant}:{today:%Y%m%d}"
