"""Tenants, stores, staff and keys: making them, each with its trace."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, Q
from django_scopes import scope

from tenants import audit
from tenants.access import hash_secret
from tenants.actors import SYSTEM, Actor, ActorKind
from tenants.errors import DomainError, NotAllowed
from tenants.models import ApiKey, Membership, RedemptionMode, Role, Scope, Store, StoreMode, Tenant, User, new_key_parts
from tenants.saying import said


def create_tenant(*, actor: Actor, **fields: Any) -> Tenant:
    """Raises: DomainError `exists`, `bad_value`."""
    if Tenant.objects.filter(slug=fields["slug"]).exists():
        raise DomainError("exists", said("There is a tenant {slug!r} already. Choose another slug.", slug=fields["slug"]))
    tenant = Tenant(**fields)
    with transaction.atomic():
        _clean(tenant)
        tenant.save()
        with scope(tenant=tenant):
            audit.record(tenant, actor=actor, action="create_tenant", target=tenant, reason="Set up", after={"slug": tenant.slug})
    return tenant


def create_store(
    tenant: Tenant, *, code: str, actor: Actor, name: str = "", timezone: str = "", mode: RedemptionMode = RedemptionMode.PAYMENT
) -> Store:
    """A store with its redemption mode from the beginning on. Raises: DomainError `exists`, `bad_value`."""
    with scope(tenant=tenant), transaction.atomic():
        if Store.objects.filter(tenant=tenant, code=code).exists():
            raise DomainError("exists", said("There is a store {code!r} already. Choose another code.", code=code))
        store = Store(tenant=tenant, code=code, name=name, timezone=timezone)
        _clean(store)
        store.save()
        open_store(store, actor=actor, mode=mode)
    return store


def find_or_create_store(tenant: Tenant, *, code: str) -> Store:
    """The store of a code seen for the first time, where the tenant wants stores to be made so. Races are harmless."""
    try:
        with transaction.atomic():
            return create_store(tenant, code=code, mode=RedemptionMode(tenant.default_mode), actor=SYSTEM)
    except (IntegrityError, DomainError) as problem:
        found: Store | None = Store.objects.filter(tenant=tenant, code=code).first()
        if found is None:
            raise problem
        return found


def open_store(store: Store, *, actor: Actor, mode: RedemptionMode | None = None) -> None:
    """What every new store needs beside its row: a redemption mode from the beginning on, and its trace."""
    mode = mode or RedemptionMode(store.tenant.default_mode)
    StoreMode.objects.create(tenant=store.tenant, store=store, mode=mode)
    after = {"code": store.code, "mode": mode.value}
    audit.record(store.tenant, actor=actor, action="create_store", target=store, reason="Set up", after=after)


@dataclass(frozen=True, slots=True)
class NewKey:
    """`key` is shown this once; only its hash is kept."""

    row: ApiKey
    key: str


def create_api_key(
    tenant: Tenant, *, scopes: list[str], actor: Actor, name: str = "", expires_at: datetime | None = None
) -> NewKey:
    """Raises: DomainError `bad_value`, for an unknown scope or none."""
    unknown = sorted(set(scopes) - set(Scope.values))
    if unknown or not scopes:
        raise DomainError(
            "bad_value",
            said(
                "Scopes are: {scopes}. Not known: {unknown}.",
                scopes=", ".join(Scope.values),
                unknown=", ".join(unknown) or said("(none given)"),
            ),
        )
    prefix, secret = new_key_parts()
    with scope(tenant=tenant), transaction.atomic():
        row = ApiKey.objects.create(
            tenant=tenant, name=name or f"key for {', '.join(scopes)}", prefix=prefix, secret_hash=hash_secret(secret), scopes=scopes,
            expires_at=expires_at,
        )  # fmt: skip
        audit.record(tenant, actor=actor, action="create_api_key", target=row, reason="Set up", after={"scopes": scopes})
    return NewKey(row, f"pd_{prefix}_{secret}")


def revoke_api_key(row: ApiKey, *, reason: str, actor: Actor, now: datetime) -> None:
    """From the next call on. Raises: DomainError `gone`."""
    with scope(tenant=row.tenant), transaction.atomic():
        if not ApiKey.objects.filter(pk=row.pk, revoked_at=None).update(revoked_at=now):
            raise DomainError("gone", said("This key has been revoked already."))
        audit.record(row.tenant, actor=actor, action="revoke_api_key", target=row, reason=reason, before={"scopes": row.scopes})


def create_staff(tenant: Tenant, *, email: str, role: str, actor: Actor, name: str = "", password: str = "") -> tuple[User, str]:
    """A person with a role in this tenant; -> (user, password), the password empty where the person existed before. For whoever runs the
    platform: a brand's own admin adds people by `add_person`.

    Raises: DomainError `bad_value`, `exists`.
    """
    if role not in Role.values:
        raise DomainError("bad_value", said("Roles are: {roles}.", roles=", ".join(Role.values)))
    with scope(tenant=tenant), transaction.atomic():
        user = User.objects.filter(email=email.lower()).first()
        if user is None:
            password = password or secrets.token_urlsafe(12)
            try:
                user = User.objects.create_user(email, password, name=name)
            except ValidationError as problem:
                told = said("{email!r} is no e-mail address: {why}", email=email, why="; ".join(problem.messages))
                raise DomainError("bad_value", told) from problem
        else:
            password = ""
        membership, made = Membership.objects.get_or_create(tenant=tenant, user=user, defaults={"role": role})
        if not made and membership.role != role:
            told = said("{email} is {role} here already. Change the role in Staff.", email=email, role=membership.role)
            raise DomainError("exists", told)
        audit.record(
            tenant, actor=actor, action="create_staff", target=membership, reason="Set up", after={"email": email, "role": role}
        )
    return user, password


def _clean(row: Tenant | Store) -> None:
    try:
        row.full_clean()
    except ValidationError as problem:
        told = "; ".join(f"{name}: {' '.join(messages)}" for name, messages in problem.message_dict.items())
        raise DomainError("bad_value", told) from problem


def ask_agents_for_second_factor(tenant: Tenant, wanted: bool, *, actor: Actor) -> None:
    """From their next page on."""
    before, tenant.agents_need_second_factor = tenant.agents_need_second_factor, wanted
    with scope(tenant=tenant), transaction.atomic():
        tenant.save(update_fields=["agents_need_second_factor"])
        audit.record(
            tenant, actor=actor, action="change_sign_in", target=tenant, reason="Second factor of agents", before={"needed": before},
            after={"needed": wanted},
        )  # fmt: skip


def add_person(tenant: Tenant, *, email: str, role: str, actor: Actor, name: str = "", for_all: bool = False) -> tuple[User, str]:
    """At the desk; -> (user, password), which they must change at their first sign-in. Who has an account already is given a role by the
    platform's admin alone (`for_all`): it may be somebody else's, and no brand decides for another one how its people sign in. Where nobody but
    the one who made it knows their password yet, it is made anew.

    Raises: DomainError `bad_value`, `exists`, `has_account`.
    """
    before = User.objects.filter(email=email.strip().lower()).first()
    if before is not None and not for_all and not Membership.objects.filter(user=before, tenant=tenant).exists():
        raise NotAllowed(
            "has_account", said("This address has an account already. Ask the platform's admin to add the person here.")
        )
    try:
        with transaction.atomic():
            user, password = create_staff(tenant, email=email.strip(), role=role, actor=actor, name=name)
            if before is None or (for_all and before.must_change_password):
                password = _given_password(user)
    except IntegrityError as problem:  # pressed twice
        raise DomainError("exists", said("This person was added just now.")) from problem
    return user, password


def _given_password(user: User) -> str:
    """One that somebody else knows, too; whatever was set up with the one before is gone."""
    password = secrets.token_urlsafe(12)
    user.set_password(password)
    user.must_change_password = True
    user.save(update_fields=["password", "must_change_password"])
    return password


def change_role(membership: Membership, role: str, *, actor: Actor) -> None:
    """From their next page on. Raises: DomainError `own_row`, `bad_value`, `gone`."""
    _refuse_own(membership, actor)
    if role not in Role.values:
        raise DomainError("bad_value", said("Roles are: {roles}.", roles=", ".join(Role.values)))
    with transaction.atomic():
        membership = _locked(membership)
        before, membership.role = membership.role, role
        if before == role:
            return
        membership.save(update_fields=["role"])
        audit.record(
            membership.tenant, actor=actor, action="change_role", target=membership, reason="At the desk", before={"role": before},
            after={"role": role},
        )  # fmt: skip


def end_access(membership: Membership, *, reason: str, actor: Actor) -> None:
    """They work here no more, from their next page on; what they did stays theirs. Who works nowhere else is signed out, so that no
    session of theirs is good again should they come back.

    Raises: DomainError `own_row`, `gone`.
    """
    _refuse_own(membership, actor)
    with transaction.atomic():
        membership = _locked(membership)
        audit.record(
            membership.tenant, actor=actor, action="end_access", target=membership, reason=reason,
            before={"user": membership.user_id, "email": membership.user.email, "role": membership.role},
        )  # fmt: skip
        membership.delete()
        elsewhere = Membership.objects.filter(user=membership.user_id, tenant__is_active=True)
        User.objects.filter(~Exists(elsewhere), pk=membership.user_id, is_superuser=False).update(
            factors_changed=F("factors_changed") + 1
        )


def new_password(membership: Membership, *, reason: str, actor: Actor, for_all: bool = False) -> str:
    """A password that is shown this once; their sessions end. `for_all`: who asks may do so for whoever works elsewhere, too.

    Raises: DomainError `own_row`, `works_elsewhere`.
    """
    _refuse_own(membership, actor)
    if not for_all:
        _refuse_elsewhere(membership)
    user = membership.user
    with transaction.atomic():
        _locked(membership)
        password = _given_password(user)
        audit.record(membership.tenant, actor=actor, action="new_password", target=user, reason=reason)
    return password


def take_second_factor(membership: Membership, *, reason: str, actor: Actor, for_all: bool = False) -> int:
    """As `reset_second_factor`, at the desk. Raises: DomainError `own_row`, `works_elsewhere`."""
    _refuse_own(membership, actor)
    if not for_all:
        _refuse_elsewhere(membership)
    return reset_second_factor(membership.tenant, email=membership.user.email, reason=reason, actor=actor)


def _locked(membership: Membership) -> Membership:
    """As it is now. Raises: DomainError `gone`."""
    found = Membership.objects.select_for_update().select_related("tenant", "user").filter(pk=membership.pk).first()
    if found is None:
        raise DomainError("gone", said("This person works here no more."))
    return found


def _refuse_own(membership: Membership, actor: Actor) -> None:
    if actor.kind == ActorKind.PERSON and actor.id == membership.user_id:
        raise NotAllowed("own_row", said("This is you. Somebody else has to do it."))


def _refuse_elsewhere(membership: Membership) -> None:
    """How somebody signs in is not one brand's alone, where they work for another one or for the platform."""
    others = Membership.objects.filter(user=membership.user).exclude(tenant=membership.tenant).exists()
    if others or membership.user.is_superuser:
        raise NotAllowed("works_elsewhere", said("This person works elsewhere, too. Ask the platform's admin."))


def reset_second_factor(tenant: Tenant, *, email: str, actor: Actor, reason: str = "Lost") -> int:
    """Whatever a person of this tenant, or a platform admin, signs in with beside the password is taken away, and their sessions end;
    -> how many.

    Raises: DomainError `unknown_person`.
    """
    who = Q(is_superuser=True) | Q(memberships__tenant=tenant)
    user = User.objects.filter(who, email=email.strip().lower()).distinct().first()
    if user is None:
        raise DomainError("unknown_person", said("Nobody with this e-mail works for this tenant. Look at the spelling."))
    with scope(tenant=tenant), transaction.atomic():
        rows = list(Authenticator.objects.filter(user=user))
        for row in rows:
            row.delete()
        User.objects.filter(pk=user.pk).update(factors_changed=F("factors_changed") + 1)  # also where there was none
        before = {"types": [row.type for row in rows]}
        audit.record(tenant, actor=actor, action="reset_second_factor", target=user, reason=reason, before=before)
    return len(rows)
