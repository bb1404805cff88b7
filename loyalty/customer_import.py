"""Customers by file: who they are. What only the ledger says is never taken from a file; that somebody tried is kept."""

from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from loyalty import customers
from loyalty.models import Customer
from tenants import audit
from tenants.admin_base import TenantResource

#: Columns of other systems that speak of points and of what happened to a customer.
LOYALTY_OWNED = frozenset(
    {
        "points", "balance", "available", "pending", "held", "blocked", "owed", "negative", "closing", "lifetime_points", "expiry", "expires_on",
        "status", "merged_into", "points_balance", "loyalty_points",
    }
)  # fmt: skip


class CustomerResource(TenantResource):
    """Rows by mobile, in any spelling and through aliases. An empty cell says nothing; an unknown number becomes a customer."""

    class Meta:
        model = Customer
        import_id_fields = ("mobile",)
        fields = ("mobile", "name", "email", "tier")
        skip_unchanged = True
        report_skipped = True
        use_transactions = True
        clean_model_instances = True

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
        tried = {str(name): str(value) for name, value in row.items() if _is_owned(name) and value not in (None, "")}
        if not tried or kwargs.get("dry_run"):
            return
        target = Customer.objects.filter(tenant=self.tenant, pk=row_result.object_id or 0).first()
        if target is not None:
            audit.record(
                self.tenant, actor=self.actor, action="upload_named_points", target=target, after=tried,
                reason="A customer file named what only the ledger says; it was not taken",
            )  # fmt: skip


def _is_owned(name: Any) -> bool:
    return str(name).strip().lower().replace(" ", "_") in LOYALTY_OWNED
