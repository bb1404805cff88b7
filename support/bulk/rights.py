"""Who may run a job, who may let it run, and what one person may not do alone."""

from collections.abc import Callable
from datetime import datetime

from django.utils.translation import gettext as _

from support import limits
from support.bulk.models import BulkJob, BulkSettings, JobType
from support.bulk.types import needed_act
from tenants.access import Access, Act
from tenants.actors import ActorKind
from tenants.errors import NotAllowed
from tenants.models import Tenant

#: Of an API key: who may run jobs, and who may forgive debts by them.
SCOPE, DEBT_SCOPE = "support", "support:debt"


def require(access: Access, job: BulkJob) -> None:
    """Raises: NotAllowed `forbidden`, `debt_permission`."""
    if access.actor.kind is ActorKind.KEY:
        lacks = scopes_of(job) - access.scopes
        if SCOPE in lacks:
            raise NotAllowed("forbidden", _("This API key lacks the scope {scope}.").format(scope=SCOPE))
        if lacks:
            told = _("Clearing what is owed needs a key with the scope {scope}. Leave clear_debt out.")
            raise NotAllowed("debt_permission", told.format(scope=DEBT_SCOPE))
        return
    access.require(Act.RUN_JOBS)
    access.require_to_ask(needed_act(job))


def scopes_of(job: BulkJob) -> set[str]:
    """What an API key needs for it."""
    return {SCOPE, DEBT_SCOPE} if job.clear_debt else {SCOPE}


def may_run(access: Access, job: BulkJob) -> bool:
    """Whether `require` would say nothing."""
    if access.actor.kind is ActorKind.KEY:
        return scopes_of(job) <= access.scopes
    return access.may(Act.RUN_JOBS) and access.may_ask(needed_act(job))


def because_of_limits(job: BulkJob, access: Access, *, figures: Callable[[bool], tuple[int, int]], now: datetime) -> str:
    """Why it needs a second person; empty: it does not. The person's day is locked, and counted where it does not.

    `figures` tells (customers, points); whether there is a limit that asks for today's is its argument.
    """
    alone = settings_of(job.tenant)
    person = access.actor.kind is not ActorKind.KEY
    allowance = limits.allowance(access, now=now, lock=True) if person and moves_points(job) else None
    limited = allowance is not None and allowance.most is not None
    count, turnover = figures(limited or alone.customers_alone is not None or alone.points_alone is not None)
    if alone.customers_alone is not None and count > alone.customers_alone:
        told = _("{count:,} customers are more than the {limit:,} that one person may change alone.")
        return told.format(count=count, limit=alone.customers_alone)
    if alone.points_alone is not None and turnover > alone.points_alone:
        told = _("{points:,} points are more than the {limit:,} that one person may move alone.")
        return told.format(points=turnover, limit=alone.points_alone)
    if person and not access.may(needed_act(job)):
        return _("Your role may ask for this, and somebody else does it.")
    if allowance is not None:
        if because := allowance.above(turnover):
            return because
        limits.count(access, turnover, now=now)
    return ""


def count_in_own_day(job: BulkJob, access: Access, points: int, *, now: datetime) -> None:
    """Whoever lets another's job run, or goes on with it, does so within their own limit. Raises: NotAllowed `above_own_limit`."""
    if access.actor.kind is ActorKind.KEY or not moves_points(job):
        return
    if because := limits.allowance(access, now=now, lock=True).above(points):
        raise limits.above_own(because)
    limits.count(access, points, now=now)


def moves_points(job: BulkJob) -> bool:
    return job.type not in (JobType.RELEASE_HOLDS, JobType.EXTEND)


def settings_of(tenant: Tenant) -> BulkSettings:
    found: BulkSettings | None = BulkSettings.objects.filter(tenant=tenant).first()
    return found or BulkSettings(tenant=tenant)


def require_second(access: Access, job: BulkJob) -> None:
    require(access, job)
    if access.actor.kind is not ActorKind.KEY:
        access.require(Act.APPROVE)
        access.require(needed_act(job))
    access.actor.refuse_own(job.asked_by, ident=job.asker.ident)
    if access.actor.ident == job.preview.get("by"):  # who chose it is as little a second person as who confirmed it
        raise NotAllowed("own_request", _("You have chosen this yourself. Somebody else has to decide."))
    if access.actor.kind is ActorKind.KEY and job.asked_by_kind == ActorKind.PERSON:
        raise NotAllowed("own_request", _("What a person asks for is approved by another person, and not by an API key."))
