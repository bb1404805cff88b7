"""Customers by file: who they are. What only the ledger says is never taken from a file; that somebody tried is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from loyalty import customers
from loyalty.models import Customer
from tenants import audit
from tenants.actors import Actor
from tenants.admin_base import TenantResource
from tenants.errors import DomainError
from tenants.masking import hide_numbers, named
from tenants.models import Tenant
from tenants.saying import said
from tenants.uploads import canonical

#: Columns of other systems that speak of points and of what happened to a customer.
LOYALTY_OWNED = frozenset(
    {
        "points", "balance", "available", "pending", "held", "blocked", "owed", "negative", "closing", "lifetime_points", "expiry", "expires_on",
        "status", "merged_into", "points_balance", "loyalty_points",
    }
)  # fmt: skip
#: What a file may say.
SAID = ("name", "email", "tier")
IMPORTED = "Imported from a file"
TRIED = "A customer file named what only the ledger says; it was not taken"


class CustomerResource(TenantResource):
    """Rows by mobile, in any spelling and through aliases. An empty cell says nothing; an unknown number becomes a customer."""

    class Meta:
        model = Customer
        import_id_fields = ("mobile",)
        fields = ("mobile", *SAID)
        skip_unchanged = True
        report_skipped = True
        use_transactions = True
        clean_model_instances = True

    def trace_of(self, row: dict[str, Any]) -> dict[str, Any]:
        """Whoever is to be forgotten must not stand in the trail: which columns were said, and never what."""
        return dict(named(row))

    def before_import_row(self, row: dict[str, Any], **kwargs: Any) -> None:
        super().before_import_row(row, **kwargs)
        row["mobile"] = customers.normalised_mobile(str(row.get("mobile") or ""), region=self.tenant.region)

    def get_instance(self, instance_loader: Any, row: dict[str, Any]) -> Customer | None:
        known = customers.find(self.tenant, [row["mobile"]]).get(row["mobile"])
        found: Customer | None = Customer.objects.filter(tenant=self.tenant, pk=known or 0).first()
        return found

    def import_field(self, field: Any, instance: Any, row: dict[str, Any], is_m2m: bool = False, **kwargs: Any) -> None:
        """The number of somebody known is changed elsewhere, with a reason; an alias must not become it by a file."""
        if not str(row.get(field.column_name) or "").strip() or (field.column_name == "mobile" and instance.pk):
            return
        super().import_field(field, instance, row, is_m2m, **kwargs)

    def validate_instance(self, instance: Any, import_validation_errors: Any = None, validate_unique: bool = True) -> None:
        """Only what a file may say is looked at; who is whom has been looked up."""
        others = [field.name for field in instance._meta.fields if field.name not in self._meta.fields]
        problems: dict[str, Any] = dict(import_validation_errors or {})
        try:
            instance.clean_fields(exclude=others)
        except ValidationError as problem:
            problems |= problem.update_error_dict({})
        if problems:
            raise ValidationError(problems)

    def before_save_instance(self, instance: Any, row: dict[str, Any], **kwargs: Any) -> None:
        super().before_save_instance(instance, row, **kwargs)
        if instance.joined_on is None and not instance.pk:
            instance.joined_on = timezone.now().astimezone(self.tenant.zone).date()

    def after_save_instance(self, instance: Any, row: dict[str, Any], **kwargs: Any) -> None:
        customers.open_balances(self.tenant, [instance.pk])
        super().after_save_instance(instance, row, **kwargs)

    def after_import_row(self, row: dict[str, Any], row_result: Any, **kwargs: Any) -> None:
        super().after_import_row(row, row_result, **kwargs)
        tried = {
            str(name): hide_numbers(str(value)) for name, value in row.items() if _is_owned(name) and value not in (None, "")
        }
        if not tried or kwargs.get("dry_run"):
            return
        target = Customer.objects.filter(tenant=self.tenant, pk=row_result.object_id or 0).first()
        if target is not None:
            audit.record(self.tenant, actor=self.actor, action="upload_named_points", target=target, after=tried, reason=TRIED)


@dataclass(frozen=True, slots=True)
class Person:
    """What a row says of a customer; an empty text says nothing. `tried`: what it says that is the ledger's, by column."""

    mobile: str
    said: dict[str, str]
    tried: dict[str, str]


def person_of(cells: Mapping[str, str]) -> Person:
    """Raises: DomainError `required_field`, `bad_value`."""
    named = {canonical(str(name)): cell for name, cell in cells.items() if cell}
    if "mobile" not in named:
        raise DomainError("required_field", said("The cell mobile is empty. It says who the row is about."), path="mobile")
    cells_said = {name: named[name] for name in SAID if name in named}
    try:
        Customer(**cells_said).clean_fields(
            exclude=[field.name for field in Customer._meta.fields if field.name not in cells_said]
        )
    except ValidationError as problem:
        name, sentences = next(iter(problem.message_dict.items()))
        raise DomainError("bad_value", said("{name}: {problem}", name=name, problem=sentences[0]), path=name) from None
    return Person(named["mobile"], cells_said, {name: hide_numbers(cell) for name, cell in named.items() if _is_owned(name)})


def take(tenant: Tenant, people: Sequence[tuple[int, Person]], *, actor: Actor, now: datetime) -> list[tuple[int, DomainError]]:
    """Many rows with few statements, as `CustomerResource` takes them one by one. -> those that were refused, by their number."""
    refused: list[tuple[int, DomainError]] = []
    taken: list[tuple[str, Person]] = []
    for number, person in people:
        try:
            taken.append((customers.normalised_mobile(person.mobile, region=tenant.region), person))
        except DomainError as refusal:
            refused.append((number, refusal))
    today = now.astimezone(tenant.zone).date()
    before = set(customers.find(tenant, [mobile for mobile, _ in taken]))
    ids = customers.find_or_create(tenant, {mobile: customers.Stub(mobile, today) for mobile, _ in taken})
    locked = Customer.objects.select_for_update(no_key=True).filter(tenant=tenant, pk__in=ids.values()).order_by("pk")
    rows = {row.pk: row for row in locked}
    events, touched = [], {}
    for mobile, person in taken:
        row = rows[ids[mobile]]
        changed = {name: cell for name, cell in person.said.items() if getattr(row, name) != cell}
        if changed or mobile not in before:
            before.add(mobile)
            for name, cell in changed.items():
                setattr(row, name, cell)
            touched[row.pk] = row
            events.append(
                audit.event(tenant, actor=actor, action="import_customer", target=row, reason=IMPORTED, after=named(changed))
            )
        if person.tried:
            events.append(
                audit.event(tenant, actor=actor, action="upload_named_points", target=row, after=person.tried, reason=TRIED)
            )
    Customer.objects.filter(tenant=tenant).bulk_update(touched.values(), SAID)
    audit.record_many(events)
    return refused


def _is_owned(name: Any) -> bool:
    return str(name) in LOYALTY_OWNED
