"""Two sides held against each other."""

from decimal import Decimal
from typing import Any, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy
from django_scopes import ScopedManager

from integrations.models.analytics import RunState
from tenants.fields import TenantForeignKey
from tenants.models import Tenant
from tenants.saying import said


class Handoff(models.IntegerChoices):
    """Where the chain broke: a bill goes store -> ERP -> connector -> loyalty -> CRM and analytics. 0: nowhere, it is our own rule or
    somebody's act."""

    NONE = 0, ""
    STORE_TO_ERP = 1, gettext_lazy("store → ERP")
    ERP_TO_CONNECTOR = 2, gettext_lazy("ERP → connector")
    CONNECTOR_TO_LOYALTY = 3, gettext_lazy("connector → loyalty")
    LOYALTY_TO_REPORTS = 4, gettext_lazy("loyalty → CRM and analytics")


class Side(models.TextChoices):
    """Who can be asked of the same facts."""

    POS = "pos", gettext_lazy("POS day-ends")
    ERP = "erp", gettext_lazy("ERP orders")
    LEDGER = "ledger", gettext_lazy("the ledger")
    CLICKHOUSE = "clickhouse", gettext_lazy("ClickHouse")
    CRM = "crm", gettext_lazy("CRM balances")


class ReconciliationPolicy(models.Model):
    """Two sides that are held against each other every day. `tolerance`: so much may differ on a row, in money or points."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    name = models.CharField(gettext_lazy("name"), max_length=80)
    left = models.CharField(gettext_lazy("one side"), max_length=10, choices=Side.choices)
    right = models.CharField(gettext_lazy("other side"), max_length=10, choices=Side.choices)
    first_day = models.PositiveSmallIntegerField(
        gettext_lazy("from, days ago"), default=7, help_text=gettext_lazy("The first business day that is compared."),
        validators=[MinValueValidator(1), MaxValueValidator(400)],
    )  # fmt: skip
    last_day = models.PositiveSmallIntegerField(
        gettext_lazy("to, days ago"), default=1, validators=[MinValueValidator(1), MaxValueValidator(400)],
        help_text=gettext_lazy("The last one; balances are taken as they were at its end. 1: yesterday."),
    )  # fmt: skip
    tolerance = models.DecimalField(
        gettext_lazy("tolerance"), max_digits=18, decimal_places=4, default=0, validators=[MinValueValidator(0)],
        help_text=gettext_lazy("So much may differ on a row: money between sales, points between balances."),
    )  # fmt: skip
    hour = models.PositiveSmallIntegerField(
        gettext_lazy("at, o'clock"), default=6, validators=[MaxValueValidator(23)],
        help_text=gettext_lazy("When it runs each day, by the brand's clock."),
    )  # fmt: skip
    is_active = models.BooleanField(gettext_lazy("runs every day"), default=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = gettext_lazy("reconciliation policy")
        verbose_name_plural = gettext_lazy("reconciliation policies")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "name"], name="policy_name_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="policy_wall"),
            models.CheckConstraint(condition=~models.Q(left=models.F("right")), name="policy_two_sides"),
            models.CheckConstraint(condition=models.Q(first_day__gte=models.F("last_day")), name="policy_days_in_order"),
        ]

    def __str__(self) -> str:
        return self.name


class ReconciliationRun(models.Model):
    """What one comparison of two sides found, kept. Sums are of what was compared; `rows` holds the largest differences.

    `untold`: rows of which the POS or the CRM says nothing. `handoff`: where the chain most likely broke, 1 to 4; 0: nowhere.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    policy = TenantForeignKey(ReconciliationPolicy, related_name="runs")
    asked_by = models.CharField(max_length=254)
    by_itself = models.BooleanField(default=False)
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    state = models.CharField(max_length=8, choices=RunState.choices, default=RunState.WAITING)
    since = models.DateField()
    until = models.DateField()
    as_of = models.DateTimeField()
    ok = models.BooleanField(null=True, verbose_name=gettext_lazy("agrees"))
    left_rows = models.BigIntegerField(default=0)
    right_rows = models.BigIntegerField(default=0)
    left_sum = models.DecimalField(max_digits=24, decimal_places=4, default=0)
    right_sum = models.DecimalField(max_digits=24, decimal_places=4, default=0)
    agreed = models.BigIntegerField(default=0)
    different = models.BigIntegerField(default=0)
    left_only = models.BigIntegerField(default=0)
    right_only = models.BigIntegerField(default=0)
    untold = models.BigIntegerField(default=0)
    rows = models.JSONField(default=list)
    pattern = models.CharField(max_length=10, blank=True)
    handoff = models.PositiveSmallIntegerField(default=0)
    seconds = models.FloatField(default=0)
    ended_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=500, blank=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "policy", "-id"], name="run_of_policy"),
            models.Index(fields=["state"], condition=models.Q(state__in=["waiting", "running"]), name="run_to_do"),
        ]

    def __str__(self) -> str:
        return said("{policy}, {until:%Y-%m-%d}", policy=self.policy, until=self.until)

    @property
    def off(self) -> int:
        """Rows on which the sides do not agree."""
        return self.different + self.left_only + self.right_only

    @property
    def compared_nothing(self) -> bool:
        """It ran, and there was nothing of which both sides could speak: no verdict follows."""
        return self.ok is not None and not self.agreed and not self.off

    @property
    def drift(self) -> Decimal:
        return self.left_sum - self.right_sum
