"""Who somebody is: customers, the numbers they had, whom they were merged into."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Now, Reverse, Upper
from django.utils.translation import gettext_lazy
from django_scopes import ScopedManager

from tenants.fields import TenantForeignKey
from tenants.models import Tenant
from tenants.saying import said


class CustomerStatus(models.TextChoices):
    ACTIVE = "active", gettext_lazy("active")
    BLOCKED = "blocked", gettext_lazy("blocked")
    MERGED = "merged", gettext_lazy("merged into another customer")
    ERASED = "erased", gettext_lazy("erased")


class Customer(models.Model):
    """A person in one tenant's programme; identity is (tenant, mobile in E.164)."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    mobile = models.CharField(max_length=16, db_collation="C")
    #: "The number ends in 54321" must reach an index under row-level security, where LIKE cannot.
    mobile_reversed = models.GeneratedField(
        expression=Reverse("mobile"), output_field=models.CharField(max_length=16, db_collation="C"), db_persist=True
    )
    name = models.CharField(max_length=120, blank=True)
    email = models.EmailField(blank=True)
    tier = models.CharField(max_length=40, blank=True)
    tier_changed_at = models.DateTimeField(
        null=True, editable=False, help_text=gettext_lazy("The database writes it, whoever changes the tier.")
    )
    status = models.CharField(max_length=8, choices=CustomerStatus.choices, default=CustomerStatus.ACTIVE)
    joined_on = models.DateField(null=True)
    merged_into = TenantForeignKey("self", null=True, related_name="merged")
    takes_messages = models.BooleanField(db_default=True, help_text=gettext_lazy("Off: nothing is sent to them."))
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "mobile"], name="customer_mobile_once"),
            models.CheckConstraint(
                condition=models.Q(status="merged", merged_into__isnull=False)
                | (~models.Q(status="merged") & models.Q(merged_into=None)),
                name="customer_merged_somewhere",
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="customer_wall"),
            models.CheckConstraint(condition=models.Q(mobile__regex=r"^\+[1-9][0-9]{6,14}$"), name="customer_mobile_e164"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "mobile_reversed"], name="customer_by_last_digits"),
            models.Index(fields=["tenant", "merged_into"], condition=models.Q(merged_into__isnull=False), name="customer_merged"),
            GinIndex(OpClass(Upper("name"), name="gin_trgm_ops"), name="customer_by_name"),
            GinIndex(OpClass(Upper("email"), name="gin_trgm_ops"), name="customer_by_email"),
        ]

    def __str__(self) -> str:
        return self.name or self.masked_mobile

    @property
    def masked_mobile(self) -> str:
        return mask_mobile(self.mobile)

    @property
    def has_number(self) -> bool:
        """False: the number went to somebody else, and no new one is known."""
        return not self.mobile.startswith(NO_NUMBER)


#: Who lost the number and has told no new one keeps a stand-in: country code 999 belongs to nobody.
NO_NUMBER = "+999"


def mask_mobile(mobile: str) -> str:
    """`+919840012345` -> `+91 98•••••345`: enough to recognise, not enough to call."""
    if mobile.startswith(NO_NUMBER):
        return said("no number")
    return f"{mobile[:3]} {mobile[3:5]}•••••{mobile[-3:]}" if mobile.startswith("+") else f"•••••{mobile[-3:]}"


class CustomerAlias(models.Model):
    """Another number that leads to this customer, while it is valid: an old number, or one merged away."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    customer = TenantForeignKey(Customer, related_name="aliases")
    mobile = models.CharField(max_length=16, db_collation="C")
    valid_from = models.DateTimeField(db_default=Now())
    valid_until = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        verbose_name_plural = gettext_lazy("customer aliases")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "mobile"], condition=models.Q(valid_until=None), name="one_live_alias_a_mobile"
            ),
        ]

    def __str__(self) -> str:
        return mask_mobile(self.mobile)


class CustomerMerge(models.Model):
    """One merge, with what moved, so that it can be undone while nothing of it was used."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    source = TenantForeignKey(Customer, related_name="merges_away")
    into = TenantForeignKey(Customer, related_name="merges_in")
    operation = models.BigIntegerField(null=True, help_text=gettext_lazy("Its entries; none, when there was nothing to move."))
    lots = ArrayField(models.BigIntegerField(), default=list)
    holds = ArrayField(models.BigIntegerField(), default=list)
    aliases = ArrayField(models.BigIntegerField(), default=list)
    memberships = ArrayField(
        models.BigIntegerField(), default=list, help_text=gettext_lazy("Of cohorts, which the survivor got by it.")
    )
    status_before = models.CharField(max_length=8, choices=CustomerStatus.choices, default=CustomerStatus.ACTIVE)
    reason = models.CharField(max_length=500)
    actor_name = models.CharField(max_length=254)
    merged_at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True)
    undone_by = models.CharField(max_length=254, blank=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "source"], condition=models.Q(undone_at=None), name="merged_once_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return said("{source} into {into}", source=self.source, into=self.into)


class NumberMove(models.Model):
    """A recycled number on its way to its new owner. One person asks, another decides (CASES 94)."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    mobile = models.CharField(max_length=16, db_collation="C")
    old_owner = TenantForeignKey(Customer, related_name="+")
    new_owner = TenantForeignKey(Customer, null=True, related_name="+")
    reason = models.CharField(max_length=500)
    asked_by = models.CharField(max_length=254)
    asked_by_ident = models.CharField(max_length=32, blank=True, help_text=gettext_lazy("Names may be shared; this one is not."))
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    decided_by = models.CharField(max_length=254, blank=True)
    decided_by_ident = models.CharField(max_length=32, blank=True)
    decided_at = models.DateTimeField(null=True)
    approved = models.BooleanField(null=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "mobile"], condition=models.Q(decided_at=None), name="one_open_move_a_number"
            ),
            models.CheckConstraint(
                condition=models.Q(decided_by_ident="") & ~models.Q(decided_by=models.F("asked_by"))
                | ~models.Q(decided_by_ident="") & ~models.Q(decided_by_ident=models.F("asked_by_ident")),
                name="number_move_by_two_people",
            ),
        ]

    def __str__(self) -> str:
        return mask_mobile(self.mobile)
