"""The access gate: whose request it is, which tenants it may see, what it may do there."""

import contextlib
import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db import connection
from django.db.models import Model
from django.http import Http404
from django_scopes import scope
from psycopg.pq import TransactionStatus

from tenants.actors import ACTING, Actor, as_told
from tenants.errors import NotAllowed
from tenants.models import ApiKey, Membership, Role, Tenant, User
from tenants.saying import said
from tenants.walls import WEB_ROLE


class Act(StrEnum):
    """What a person may do at the desk."""

    VIEW_CUSTOMERS = "view_customers"
    VIEW_MOBILES = "view_mobiles"
    RELEASE_HOLDS = "release_holds"
    ISSUE_POINTS = "issue_points"
    ADJUST_POINTS = "adjust_points"
    RESET_POINTS = "reset_points"
    MERGE_CUSTOMERS = "merge_customers"
    CHANGE_MOBILES = "change_mobiles"
    ERASE_CUSTOMERS = "erase_customers"
    APPROVE = "approve"
    WRITE_NOTES = "write_notes"
    SEND_MESSAGES = "send_messages"
    RUN_JOBS = "run_jobs"
    EXPORT = "export"
    VIEW_INBOX = "view_inbox"
    SETTLE_BILLS = "settle_bills"
    REPLAY_BILLS = "replay_bills"
    VIEW_RULES = "view_rules"
    MANAGE_RULES = "manage_rules"
    VIEW_RUNS = "view_runs"
    VIEW_REPORTS = "view_reports"
    VIEW_AUDIT = "view_audit"
    MANAGE_STAFF = "manage_staff"
    MANAGE_STORES = "manage_stores"


_LOOK = {Act.VIEW_CUSTOMERS, Act.VIEW_INBOX, Act.VIEW_RULES}
#: The whole table of who may do what. The platform admin (superuser) may do everything in every tenant.
ROLE_MAY: dict[str, frozenset[Act]] = {
    Role.AGENT: frozenset(_LOOK | {Act.RELEASE_HOLDS, Act.ISSUE_POINTS, Act.VIEW_MOBILES, Act.WRITE_NOTES, Act.SEND_MESSAGES}),
    Role.MERCHANT: frozenset(
        _LOOK
        | {
            Act.RELEASE_HOLDS,
            Act.ISSUE_POINTS,
            Act.ADJUST_POINTS,
            Act.MERGE_CUSTOMERS,
            Act.CHANGE_MOBILES,
            Act.APPROVE,
            Act.WRITE_NOTES,
            Act.SEND_MESSAGES,
            Act.VIEW_MOBILES,
            Act.MANAGE_RULES,
            Act.SETTLE_BILLS,
            Act.RUN_JOBS,
            Act.EXPORT,
            Act.VIEW_REPORTS,
        }
    ),
    Role.INTEGRATOR: frozenset(
        _LOOK | {Act.VIEW_RUNS, Act.VIEW_REPORTS, Act.MANAGE_STORES, Act.SETTLE_BILLS, Act.REPLAY_BILLS, Act.WRITE_NOTES}
    ),
    Role.AUDITOR: frozenset(_LOOK | {Act.VIEW_RUNS, Act.VIEW_REPORTS, Act.VIEW_AUDIT, Act.EXPORT}),
    Role.ADMIN: frozenset(Act),
}
#: What a role may not do but may ask for: somebody who may approve does it then.
ROLE_ASKS: dict[str, frozenset[Act]] = {
    Role.AGENT: frozenset({Act.ADJUST_POINTS, Act.MERGE_CUSTOMERS, Act.CHANGE_MOBILES}),
    Role.MERCHANT: frozenset({Act.RESET_POINTS}),
}


@dataclass(frozen=True, slots=True)
class Access:
    """What one request may do: in one tenant, as one actor. `tenants` are those the person could switch to."""

    tenant: Tenant
    actor: Actor
    acts: frozenset[Act]
    scopes: frozenset[str]
    tenants: tuple[Tenant, ...]
    role: str = ""
    #: The role itself, by which limits and pages go; empty for the platform admin and for keys. `role` is what people read.
    role_key: str = ""
    #: Of an API key; 0 limits nothing.
    calls_a_minute: int = 0
    #: What a second person does for them.
    asks: frozenset[Act] = frozenset()

    def may(self, act: Act) -> bool:
        return act in self.acts

    def require(self, act: Act) -> None:
        """Raises: NotAllowed `forbidden`."""
        if act not in self.acts:
            sentence = said("Your role does not allow this ({act}). Ask your tenant's admin.", act=act.value)
            raise NotAllowed("forbidden", sentence, act=act.value)

    def may_ask(self, act: Act) -> bool:
        """Whether they may do it, or ask a second person to."""
        return act in self.acts or act in self.asks

    def require_to_ask(self, act: Act) -> None:
        """Raises: NotAllowed `forbidden`."""
        if not self.may_ask(act):
            self.require(act)


def of_person(user: User, *, wanted_tenant_id: int | None) -> Access | None:
    """The person's access to the tenant they chose, else to their first one; None when they work for nobody."""
    if not (user.is_active and user.is_staff):
        return None
    if user.is_superuser:
        roles = {tenant: Role.ADMIN.value for tenant in Tenant.objects.filter(is_active=True)}
    else:
        memberships = Membership.objects.filter(user=user, tenant__is_active=True).select_related("tenant")
        roles = {membership.tenant: membership.role for membership in memberships.order_by("tenant__name")}
    if not roles:
        return None
    tenant = next((tenant for tenant in roles if tenant.pk == wanted_tenant_id), next(iter(roles)))
    role = roles[tenant]
    title = said("platform admin") if user.is_superuser else str(Role(role).label)
    return Access(
        tenant,
        user.as_actor(),
        ROLE_MAY[role],
        frozenset(),
        tuple(roles),
        title,
        asks=ROLE_ASKS.get(role, frozenset()),
        role_key="" if user.is_superuser else role,
    )


def of_key(key: str, *, now: datetime) -> Access | None:
    """The access a bearer key gives; None for anything wrong with it, at the same cost whatever is wrong."""
    prefix, _, secret = key.removeprefix("pd_").partition("_")
    usable_text = key.startswith("pd_") and key.isascii() and "\0" not in key and len(key) < 200
    row = ApiKey.objects.select_related("tenant").filter(prefix=prefix if usable_text else "").first()
    same = hmac.compare_digest(hash_secret(secret), row.secret_hash if row else "")
    if row is None or not same or not row.usable(now) or not row.tenant.is_active:
        return None
    return Access(
        row.tenant, row.as_actor(), frozenset(), frozenset(row.scopes), (row.tenant,), calls_a_minute=row.calls_a_minute
    )


def hash_secret(secret: str) -> str:
    """Plain SHA-256: the secret has 256 random bits, so there is nothing to slow a guesser down for."""
    return hashlib.sha256(secret.encode()).hexdigest()


@contextlib.contextmanager
def walls_around(tenants: Iterable[Tenant], *, last_of_transaction: bool = False) -> Iterator[None]:
    """Inside the current transaction: enter the web role and show it these tenants' rows only; restored afterwards.

    `last_of_transaction`: nothing follows in it, and its end restores them.

    Needs an open transaction: the settings are local to it, so a pooled connection never carries them on.
    """
    tenants = list(tenants)
    wanted = ",".join(str(tenant.pk) for tenant in tenants)
    with connection.cursor() as cursor:
        cursor.execute(RAISE_WALLS, [WEB_ROLE, wanted, as_told(ACTING.get())])
        before = cursor.fetchone()[:3]
    try:
        with scope(tenant=tenants) if tenants else contextlib.nullcontext():
            yield
    finally:
        # In a transaction that the server has given up, the coming rollback restores both.
        alive = connection.connection is not None and connection.connection.info.transaction_status == TransactionStatus.INTRANS
        if alive and not connection.needs_rollback and not last_of_transaction:
            _set_walls(*before)


#: What they were is read before they are set, in one statement.
RAISE_WALLS = """
    WITH before AS MATERIALIZED (SELECT current_setting('role') AS role, coalesce(current_setting('app.tenants', true), '') AS tenants,
        coalesce(current_setting('app.acting', true), '') AS acting)
    SELECT role, tenants, acting, set_config('role', %s, true), set_config('app.tenants', %s, true), set_config('app.acting', %s, true)
    FROM before
"""
SET_WALLS = "SELECT set_config('role', %s, true), set_config('app.tenants', %s, true), set_config('app.acting', %s, true)"


def _set_walls(role: str, tenants: str, acting: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(SET_WALLS, [role, tenants, acting])


def get[M: Model](model: type[M], pk: object, *, access: Access, without: tuple[str, ...] = ()) -> M:
    """The row, reached through its tenant. Another tenant's row does not exist here. `without`: columns too large to read for nothing.

    Raises: Http404.
    """
    try:
        return model.objects.defer(*without).get(pk=pk, tenant=access.tenant)  # type: ignore[attr-defined,no-any-return]
    except (model.DoesNotExist, ValueError, OverflowError) as missing:  # type: ignore[attr-defined]
        raise Http404(said("No such {thing}.", thing=model._meta.verbose_name)) from missing
