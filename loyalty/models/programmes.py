"""How points are earned: programmes, their versions, and which store follows which."""

from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy
from django_scopes import ScopedManager

from tenants.fields import TenantForeignKey
from tenants.models import Store, Tenant
from tenants.saying import said


class ProgrammeKind(models.TextChoices):
    PURCHASE_AMOUNT = "purchase_amount", gettext_lazy("points for what is spent")
    VISIT_COUNT = "visit_count", gettext_lazy("one point a visit")


class Rounding(models.TextChoices):
    DOWN = "down", gettext_lazy("down to whole points")
    NEAREST = "nearest", gettext_lazy("to the nearest whole point")
    UP = "up", gettext_lazy("up to whole points")


class Programme(models.Model):
    """Rules under one name. The default one rules every store that follows no other."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    name = models.CharField(max_length=120)
    is_default = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "name"], name="programme_name_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="programme_wall"),
            models.UniqueConstraint(fields=["tenant"], condition=models.Q(is_default=True), name="one_default_programme"),
        ]

    def __str__(self) -> str:
        return self.name


class ProgrammeVersion(models.Model):
    """The rules of a programme from a date on. A version that has ruled is never edited: a new one follows it."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    programme = TenantForeignKey(Programme, related_name="versions")
    version = models.PositiveIntegerField()
    effective_from = models.DateField(default=date(2000, 1, 1))
    kind = models.CharField(max_length=16, choices=ProgrammeKind.choices, default=ProgrammeKind.PURCHASE_AMOUNT)
    earn_per = models.DecimalField(
        max_digits=18,
        decimal_places=4,
        validators=[MinValueValidator(Decimal("0.0001"))],
        help_text=gettext_lazy("Spend for one point."),
    )
    point_value = models.DecimalField(
        max_digits=18,
        decimal_places=4,
        validators=[MinValueValidator(Decimal("0.0001"))],
        help_text=gettext_lazy("Worth of one point."),
    )
    hold_days = models.PositiveIntegerField(default=100)
    validity_days = models.PositiveIntegerField(default=365, help_text=gettext_lazy("0 days and 0 months: points never expire."))
    validity_months = models.PositiveIntegerField(default=0, help_text=gettext_lazy("Whole months, added to the days."))
    expires_at_month_end = models.BooleanField(
        default=False, help_text=gettext_lazy("Points stay valid to the end of their last month.")
    )
    pending_days = models.PositiveIntegerField(default=0)
    rounding = models.CharField(max_length=8, choices=Rounding.choices, default=Rounding.DOWN)
    departments = ArrayField(
        models.CharField(max_length=120), default=list, blank=True, help_text=gettext_lazy("Only these earn; empty: all.")
    )
    items = ArrayField(
        models.CharField(max_length=120), default=list, blank=True, help_text=gettext_lazy("Only these earn; empty: all.")
    )
    excluded_departments = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    excluded_items = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    minimum_spend = models.DecimalField(
        max_digits=18, decimal_places=4, default=Decimal(0), validators=[MinValueValidator(Decimal(0))],
        help_text=gettext_lazy("A bill below this earns nothing."),
    )  # fmt: skip
    cap_bill = models.BigIntegerField(
        gettext_lazy("points a bill"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=gettext_lazy("At most, for one bill; empty: no limit."),
    )
    cap_day = models.BigIntegerField(
        gettext_lazy("points a day"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=gettext_lazy("At most, for one customer and day."),
    )
    cap_month = models.BigIntegerField(
        gettext_lazy("points a month"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=gettext_lazy("At most, for one customer and month."),
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["programme", "-effective_from", "-version"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "programme", "version"], name="programme_version_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="programme_version_wall"),
            models.CheckConstraint(condition=models.Q(earn_per__gt=0, point_value__gt=0), name="programme_rates_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.programme} v{self.version}"


class Multiplier(models.Model):
    """Between two dates, what is bought earns more (or less): everything, some departments, or some items."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    version = TenantForeignKey(ProgrammeVersion, related_name="multipliers")
    name = models.CharField(max_length=120)
    factor = models.DecimalField(max_digits=8, decimal_places=4, validators=[MinValueValidator(Decimal("0.0001"))])
    starts_on = models.DateField()
    ends_on = models.DateField(help_text=gettext_lazy("The last day."))
    departments = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    items = ArrayField(models.CharField(max_length=120), default=list, blank=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["starts_on", "id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(factor__gt=0, ends_on__gte=models.F("starts_on")), name="multiplier_begins_before_it_ends"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ×{self.factor.normalize():f}"


class StoreProgramme(models.Model):
    """From this date on, this store follows this programme."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    store = TenantForeignKey(Store, related_name="programmes")
    programme = TenantForeignKey(Programme, related_name="stores")
    effective_from = models.DateField(default=date(2000, 1, 1))

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "store", "effective_from"], name="one_programme_a_store_a_day"),
        ]

    def __str__(self) -> str:
        return said("{store} follows {programme}", store=self.store, programme=self.programme)
