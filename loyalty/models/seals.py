"""What proves the ledger: the seals of its chain, the steps of its audits."""

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now
from django_scopes import ScopedManager

from tenants.models import SealBlock, SealLimit, Tenant


class Seal(SealBlock):
    """Of the ledger."""

    class Meta(SealBlock.Meta):
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "number"], name="seal_number_once")]


class AuditStep(models.Model):
    """One question of a named audit that was asked, so that the audit can go on where it stopped."""

    run = models.CharField(max_length=60)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False)
    step = models.CharField(max_length=60)
    violations = models.BigIntegerField()
    rows = models.JSONField(default=list)
    asked_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "run", "step"], name="audit_step_once")]

    def __str__(self) -> str:
        return f"{self.run}: {self.step}"


class SealBound(SealLimit):
    """Of the ledger."""
