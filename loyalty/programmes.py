"""Which rule was in force: by store and by date."""

from collections import defaultdict
from datetime import date
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction

from loyalty.earning import Rule
from loyalty.models import Programme, ProgrammeVersion, StoreProgramme
from tenants.errors import DomainError
from tenants.models import Tenant


class RuleBook:
    """All rules of one tenant, loaded in two queries; asked by store and business date."""

    def __init__(self, tenant: Tenant) -> None:
        self._versions: dict[int, list[tuple[date, Rule]]] = defaultdict(list)
        self._default: int | None = None
        versions = ProgrammeVersion.objects.filter(tenant=tenant).select_related("programme")
        for version in versions.order_by("effective_from", "version"):
            self._versions[version.programme_id].append((version.effective_from, _rule(version)))
            if version.programme.is_default:
                self._default = version.programme_id
        self._of_store: dict[int, list[tuple[date, int]]] = defaultdict(list)
        for link in StoreProgramme.objects.filter(tenant=tenant).order_by("effective_from"):
            self._of_store[link.store_id].append((link.effective_from, link.programme_id))

    def rule(self, *, store_id: int | None, on: date) -> Rule:
        """The rule for a bill of this store on this business date; without a store, the default programme's.

        Raises: DomainError `no_rule`, when no version is in force on that date.
        """
        programme = latest(self._of_store.get(store_id or 0, []), on) or self._default
        rule = latest(self._versions.get(programme or 0, []), on)
        if rule is None:
            raise DomainError("no_rule", f"No programme rules on {on:%d %b %Y}. Add a version that is effective by then.")
        return rule


def latest[T](dated: list[tuple[date, T]], on: date) -> T | None:
    """The last value whose date has come; `dated` is in order of dates."""
    found = None
    for effective_from, value in dated:
        if effective_from > on:
            break
        found = value
    return found


def _rule(version: ProgrammeVersion) -> Rule:
    return Rule(
        programme_id=version.programme_id,
        programme=version.programme.name,
        version=version.version,
        earn_per=version.earn_per,
        point_value=version.point_value,
        hold_days=version.hold_days,
        validity_days=version.validity_days,
        pending_days=version.pending_days,
    )


def create_programme(
    tenant: Tenant,
    *,
    name: str,
    earn_per: Decimal,
    point_value: Decimal,
    hold_days: int,
    validity_days: int,
    default: bool = True,
) -> Programme:
    """A programme with its first version, in force from the beginning. Raises: DomainError `bad_value`."""
    with transaction.atomic():
        programme: Programme = Programme.objects.create(tenant=tenant, name=name, is_default=default)
        version = ProgrammeVersion(
            tenant=tenant, programme=programme, version=1, earn_per=earn_per, point_value=point_value, hold_days=hold_days,
            validity_days=validity_days,
        )  # fmt: skip
        try:
            version.full_clean()
        except ValidationError as problem:
            told = "; ".join(f"{field}: {' '.join(messages)}" for field, messages in problem.message_dict.items())
            raise DomainError("bad_value", told) from problem
        version.save()
    return programme
