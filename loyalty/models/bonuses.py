"""Bonus rules, the customers they are for, and how they judged each bill."""

from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy
from django_scopes import ScopedManager

from loyalty.bonus import SUBJECTS, Operator, Subject
from loyalty.models.customers import Customer
from tenants.fields import TenantForeignKey
from tenants.models import Tenant
from tenants.saying import said


class Cohort(models.Model):
    """Customers under one name: an uploaded list, or everybody a saved filter finds."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    name = models.CharField(max_length=120)
    tiers = ArrayField(
        models.CharField(max_length=40), default=list, blank=True, help_text=gettext_lazy("Filter: in one of these tiers.")
    )
    joined_from = models.DateField(null=True, blank=True, help_text=gettext_lazy("Filter: joined on this day or later."))
    joined_until = models.DateField(null=True, blank=True, help_text=gettext_lazy("Filter: joined on this day or earlier."))
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "name"], name="cohort_name_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="cohort_wall"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_filter(self) -> bool:
        return bool(self.tiers or self.joined_from or self.joined_until)


class CohortMember(models.Model):
    """A customer on the list of a cohort, from a day on, to a day where somebody took them off."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    cohort = TenantForeignKey(Cohort, related_name="members")
    customer = TenantForeignKey(Customer, related_name="cohorts")
    valid_from = models.DateField(default=date(2000, 1, 1))
    valid_until = models.DateField(null=True, help_text=gettext_lazy("The first day off the list."))

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "customer", "cohort", "valid_from"], name="cohort_member_once"),
        ]

    def __str__(self) -> str:
        return said("{customer} in {cohort}", customer=self.customer, cohort=self.cohort)


class Bonus(models.Model):
    """A campaign: points on top, for a bill of its days and stores that meets every condition.

    Once it has judged a bill, only its last day may still move: every evaluation says what it compared.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    name = models.CharField(max_length=120)
    starts_on = models.DateField()
    ends_on = models.DateField(help_text=gettext_lazy("The last day."))
    stores = ArrayField(
        models.CharField(max_length=64),
        default=list,
        blank=True,
        help_text=gettext_lazy("Store codes, parted by commas; empty: all."),
    )
    cohort = TenantForeignKey(Cohort, null=True, blank=True, related_name="bonuses")
    points = models.BigIntegerField(default=0, validators=[MinValueValidator(0)], help_text=gettext_lazy("Points for the bill."))
    factor = models.DecimalField(
        max_digits=8, decimal_places=4, default=Decimal(0), validators=[MinValueValidator(Decimal(0))],
        help_text=gettext_lazy("Or so many times what the bill earns, on top."),
    )  # fmt: skip
    limit_per_customer = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text=gettext_lazy("How often one customer may get it.")
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        verbose_name = gettext_lazy("bonus rule")
        ordering: ClassVar = ["-starts_on", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "name"], name="bonus_name_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="bonus_wall"),
            models.CheckConstraint(condition=models.Q(ends_on__gte=models.F("starts_on")), name="bonus_begins_before_it_ends"),
            models.CheckConstraint(
                condition=models.Q(points__gt=0, factor=0) | models.Q(points=0, factor__gt=0), name="bonus_gives_one_thing"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class BonusCondition(models.Model):
    """One thing that must be true of the bill or the customer."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    bonus = TenantForeignKey(Bonus, related_name="conditions")
    place = models.PositiveSmallIntegerField(default=0)
    subject = models.CharField(max_length=24, choices=[(each.value, gettext_lazy(SUBJECTS[each].label)) for each in Subject])
    of = ArrayField(
        models.CharField(max_length=120),
        default=list,
        blank=True,
        help_text=gettext_lazy("Departments or items, parted by commas."),
    )
    operator = models.CharField(max_length=8, choices=[(each.value, gettext_lazy(each.words)) for each in Operator])
    wanted = models.CharField(max_length=400)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["place", "id"]

    def __str__(self) -> str:
        return f"{self.get_subject_display()} {self.get_operator_display()} {self.wanted}"


class BonusEvaluation(models.Model):
    """How one bonus rule judged one bill: every condition, met or not met, with the values compared. Never edited."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    bonus = TenantForeignKey(Bonus, related_name="evaluations")
    customer = TenantForeignKey(Customer, related_name="evaluations")
    bill_id = models.BigIntegerField(null=True)
    operation_key = models.CharField(max_length=300, db_collation="C")
    business_date = models.DateField()
    awarded = models.BooleanField()
    points = models.BigIntegerField()
    conditions = models.JSONField(help_text=gettext_lazy("In order: what was asked, what was found, met or not."))
    evaluated_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "customer", "operation_key", "bonus"], name="bill_judged_once_by_a_bonus"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "bill_id"], condition=models.Q(bill_id__isnull=False), name="evaluation_of_bill"),
            models.Index(fields=["tenant", "bonus", "-id"], name="evaluation_of_bonus"),
        ]

    def __str__(self) -> str:
        return f"{self.bonus}: {said('awarded') if self.awarded else said('not awarded')}"
