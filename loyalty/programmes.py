"""Which rule was in force, by store and by date; how programmes, versions and bonus rules come to be."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction

from loyalty.bonus import Campaign, Condition, Operator, Subject, check_campaign
from loyalty.earning import Multiplied, Rule
from loyalty.models import (
    Bonus,
    BonusCondition,
    Cohort,
    Multiplier,
    Programme,
    ProgrammeVersion,
    StoreProgramme,
)
from loyalty.state import check_day
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.saying import gettext_noop, said

#: Ten years of anything a programme counts in days is a slip of the keyboard.
DAYS_MAX, MONTHS_MAX = 36_500, 1_200
#: What the next version takes over from the one before.
CARRIED = (
    "kind", "earn_per", "point_value", "hold_days", "validity_days", "validity_months", "expires_at_month_end", "pending_days",
    "rounding", "departments", "items", "excluded_departments", "excluded_items", "minimum_spend", "cap_bill", "cap_day", "cap_month",
)  # fmt: skip


class RuleBook:
    """All rules of one tenant, loaded in a few queries; asked by store and business date."""

    def __init__(self, tenant: Tenant) -> None:
        self._versions: dict[int, list[tuple[date, Rule]]] = defaultdict(list)
        self._default: int | None = None
        versions = ProgrammeVersion.objects.filter(tenant=tenant).select_related("programme").prefetch_related("multipliers")
        for version in versions.order_by("effective_from", "version"):
            self._versions[version.programme_id].append((version.effective_from, rule_of(version)))
            if version.programme.is_default:
                self._default = version.programme_id
        self._of_store: dict[int, list[tuple[date, int]]] = defaultdict(list)
        for link in StoreProgramme.objects.filter(tenant=tenant).order_by("effective_from"):
            self._of_store[link.store_id].append((link.effective_from, link.programme_id))

    @property
    def looks_back(self) -> bool:
        """Whether any rule asks what a customer earned before."""
        return any(rule.looks_back for dated in self._versions.values() for _, rule in dated)

    @property
    def has_visits(self) -> bool:
        """Whether any rule counts visits."""
        return any(rule.kind == "visit_count" for dated in self._versions.values() for _, rule in dated)

    def rule(self, *, store_id: int | None, on: date) -> Rule:
        """The rule for a bill of this store on this business date; without a store, the default programme's.

        Raises: DomainError `no_rule`, when no version is in force on that date.
        """
        programme = latest(self._of_store.get(store_id or 0, []), on) or self._default
        rule = latest(self._versions.get(programme or 0, []), on)
        if rule is None:
            told = said("No programme rules on {day}. Add a version that is effective by then.", day=f"{on:%d %b %Y}")
            raise DomainError("no_rule", told)
        return rule


def latest[T](dated: list[tuple[date, T]], on: date) -> T | None:
    """The last value whose date has come; `dated` is in order of dates."""
    found = None
    for effective_from, value in dated:
        if effective_from > on:
            break
        found = value
    return found


def rule_of(version: ProgrammeVersion) -> Rule:
    """A version as the pure rules take it."""
    return Rule(
        programme_id=version.programme_id,
        programme=version.programme.name,
        version=version.version,
        kind=version.kind,
        earn_per=version.earn_per,
        point_value=version.point_value,
        hold_days=version.hold_days,
        validity_days=version.validity_days,
        validity_months=version.validity_months,
        expires_at_month_end=version.expires_at_month_end,
        pending_days=version.pending_days,
        rounding=version.rounding,
        departments=frozenset(version.departments),
        items=frozenset(version.items),
        excluded_departments=frozenset(version.excluded_departments),
        excluded_items=frozenset(version.excluded_items),
        minimum_spend=version.minimum_spend,
        cap_bill=version.cap_bill,
        cap_day=version.cap_day,
        cap_month=version.cap_month,
        multipliers=tuple(
            Multiplied(each.name, each.factor, each.starts_on, each.ends_on, frozenset(each.departments), frozenset(each.items))
            for each in version.multipliers.all()
        ),
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
    **terms: Any,
) -> Programme:
    """A programme with its first version, in force from the beginning. `terms`: further fields of the version.

    Raises: DomainError as `add_version`.
    """
    with transaction.atomic():
        programme: Programme = Programme.objects.create(tenant=tenant, name=name, is_default=default)
        version = ProgrammeVersion(
            tenant=tenant, programme=programme, version=1, earn_per=earn_per, point_value=point_value, hold_days=hold_days,
            validity_days=validity_days, **terms,
        )  # fmt: skip
        check_version(version)
        version.save()
    return programme


def add_version(
    programme: Programme, *, effective_from: date, multipliers: Iterable[Mapping[str, Any]] = (), **changes: Any
) -> ProgrammeVersion:
    """The next version: the last one with these changes, from a date on. Multipliers are not taken over.

    Raises: DomainError `bad_value`, `rule_contradicts`, `rule_ends_before_it_begins`, `rule_never_ends`.
    """
    with transaction.atomic():
        Programme.objects.select_for_update().get(pk=programme.pk)
        last = ProgrammeVersion.objects.filter(programme=programme).order_by("-version").first()
        assert last is not None
        carried = {name: getattr(last, name) for name in CARRIED}
        version = ProgrammeVersion(
            tenant_id=programme.tenant_id, programme=programme, version=last.version + 1, effective_from=effective_from,
            **(carried | changes),
        )  # fmt: skip
        check_version(version)
        version.save()
        for fields in multipliers:
            add_multiplier(version, **fields)
    return version


def add_multiplier(version: ProgrammeVersion, **fields: Any) -> Multiplier:
    """Raises: DomainError `bad_value`, `rule_ends_before_it_begins`, `rule_never_ends`."""
    multiplier = Multiplier(tenant_id=version.tenant_id, version=version, **fields)
    check_multiplier(multiplier)
    multiplier.save()
    return multiplier


def check_version(version: ProgrammeVersion) -> None:
    """Raises: DomainError `bad_value`, `date_far`, `rule_contradicts`."""
    check_fields(version)
    check_day(version.effective_from, path="effective_from")
    for name, most in (
        ("hold_days", DAYS_MAX), ("validity_days", DAYS_MAX), ("pending_days", DAYS_MAX), ("validity_months", MONTHS_MAX),
    ):  # fmt: skip
        if getattr(version, name) > most:
            told = said("{name}: at most {most:,}. Choose less.", name=name.replace("_", " "), most=most)
            raise DomainError("bad_value", told, path=name)
    both = set(version.departments) & set(version.excluded_departments) | set(version.items) & set(version.excluded_items)
    if both:
        told = said("{names}: named as earning and as excluded. Take it out of one list.", names=", ".join(sorted(both)))
        raise DomainError("rule_contradicts", told, path="departments")
    caps = [
        (name, getattr(version, f"cap_{name}")) for name in (gettext_noop("bill"), gettext_noop("day"), gettext_noop("month"))
    ]
    given = [(name, cap) for name, cap in caps if cap is not None]
    for (inner, less), (outer, more) in pairwise(given):
        if less > more:
            told = said(
                "One {inner} may earn {less}, but one {outer} only {more}. Raise the cap of the {outer}.",
                inner=said(inner), less=less, outer=said(outer), more=more,
            )  # fmt: skip
            raise DomainError("rule_contradicts", told, path=f"cap_{outer}")


def check_multiplier(multiplier: Multiplier) -> None:
    """Raises: DomainError `bad_value`, `rule_ends_before_it_begins`, `rule_never_ends`."""
    check_fields(multiplier)
    for path in ("starts_on", "ends_on"):
        check_day(getattr(multiplier, path), path=path)
    if multiplier.ends_on < multiplier.starts_on:
        told = said("The last day lies before the first. Choose a later last day.")
        raise DomainError("rule_ends_before_it_begins", told, path="ends_on")
    if (multiplier.ends_on - multiplier.starts_on).days > 5 * 366:
        told = said("A multiplier runs at most five years. Choose an earlier last day.")
        raise DomainError("rule_never_ends", told, path="ends_on")


def check_fields(row: models.Model) -> None:
    """Django's own checks of the fields, as our error; what rows point to is the walls' concern. Raises: DomainError `bad_value`."""
    try:
        row.clean_fields(exclude={each.name for each in row._meta.fields if each.is_relation})
    except ValidationError as problem:
        told = "; ".join(f"{name}: {' '.join(messages)}" for name, messages in problem.message_dict.items())
        raise DomainError("bad_value", told, path=next(iter(problem.message_dict))) from problem


def create_bonus(
    tenant: Tenant,
    *,
    name: str,
    starts_on: date,
    ends_on: date,
    conditions: Sequence[Condition] = (),
    cohort: Cohort | None = None,
    **fields: Any,
) -> Bonus:
    """A bonus rule with its conditions. Raises: DomainError as `bonus.check_campaign`."""
    bonus = Bonus(tenant=tenant, name=name, starts_on=starts_on, ends_on=ends_on, cohort=cohort, **fields)
    check_fields(bonus)
    rows = [
        BonusCondition(
            tenant=tenant,
            place=place,
            subject=each.subject.value,
            operator=each.operator.value,
            wanted=each.wanted,
            of=list(each.of),
        )
        for place, each in enumerate(conditions)
    ]
    check_campaign(campaign_of(bonus, rows))
    with transaction.atomic():
        bonus.save()
        for row in rows:
            row.bonus = bonus
        BonusCondition.objects.bulk_create(rows)
    return bonus


def campaign_of(bonus: Bonus, conditions: Iterable[BonusCondition]) -> Campaign:
    """A bonus rule as the pure rules take it."""
    return Campaign(
        id=bonus.pk or 0,
        name=bonus.name,
        starts_on=bonus.starts_on,
        ends_on=bonus.ends_on,
        conditions=tuple(
            Condition(Subject(each.subject), Operator(each.operator), each.wanted, tuple(each.of)) for each in conditions
        ),
        stores=frozenset(bonus.stores),
        cohort_id=bonus.cohort_id,
        cohort=bonus.cohort.name if bonus.cohort else "",
        points=bonus.points,
        factor=bonus.factor,
        limit_per_customer=bonus.limit_per_customer,
    )
