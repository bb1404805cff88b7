"""What falls due by itself, for every tenant in turn."""

from datetime import datetime

import structlog

from loyalty import operations
from loyalty.operations import ReleaseRun
from tenants.models import Tenant

log = structlog.get_logger("pointdesk.sweeps")


def release_expired_holds_everywhere(*, now: datetime) -> ReleaseRun:
    """See `operations.release_expired_holds`. A tenant that fails as a whole does not stop the others.

    `failed` names `tenant/reference`, or the tenant alone.
    """
    done = points = 0
    failed: dict[str, str] = {}
    for tenant in Tenant.objects.filter(is_active=True):
        try:
            run = operations.release_expired_holds(tenant, now=now)
        except Exception as problem:
            log.error("release failed", tenant=tenant.slug, error=type(problem).__name__)
            failed[tenant.slug] = f"{type(problem).__name__}: {problem}"[:300]
            continue
        done, points = done + run.done, points + run.points
        failed |= {f"{tenant.slug}/{reference}": why for reference, why in run.failed.items()}
    return ReleaseRun(done, points, failed)
