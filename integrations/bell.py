"""The bell: tells a worker that bills have come. Losing a ring costs seconds, never a bill: the sweeper finds what waits."""

import structlog
from celery import current_app
from django.core.cache import cache
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from tenants.counters import redis_breaker

log = structlog.get_logger("pointdesk.bell")
TASK = "integrations.tasks.process_inbox"
#: Within this time one ring is enough; the worker takes the mark away before it looks.
QUIET_SECONDS = 2


def ring(tenant_id: int) -> None:
    """Ask for this tenant's inbox to be processed. Never raises; gives up quickly when Redis is away."""
    if not redis_breaker.open():
        return
    try:
        if cache.add(_mark(tenant_id), 1, QUIET_SECONDS):
            current_app.send_task(TASK, args=[tenant_id], retry=False)
    except (RedisError, BrokerError, OSError) as problem:
        redis_breaker.trip()
        log.warning("bell not heard", error=type(problem).__name__)


def send(task: str, *arguments: int) -> None:
    """Hand a task to a worker, now. Never raises: what is asked for stands in the database, and beat finds it there."""
    if not redis_breaker.open():
        return
    try:
        current_app.send_task(task, args=list(arguments), retry=False)
    except (RedisError, BrokerError, OSError) as problem:
        redis_breaker.trip()
        log.warning("bell not heard", error=type(problem).__name__)


def heard(tenant_id: int) -> None:
    """The worker is about to look: bills that come from now on ring again."""
    try:
        cache.delete(_mark(tenant_id))
    except (RedisError, OSError) as problem:
        log.warning("bell mark kept", error=type(problem).__name__)


def _mark(tenant_id: int) -> str:
    return f"bell:{tenant_id}"
