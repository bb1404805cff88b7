"""What needed an eye: one bill, or many with one cause."""

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy
from django_scopes import ScopedManager

from integrations.models.bills import Bill
from loyalty.models import Customer, Hold
from tenants.fields import TenantForeignKey
from tenants.models import Store, Tenant


class DiscrepancyKind(models.TextChoices):
    MODE_DRIFT = "mode_drift", gettext_lazy("points shown in another way than this store's setting")
    LATE_COMPLETION = "late_completion", gettext_lazy("the bill came after its blocked points had been freed")
    NO_HOLD = "no_hold", gettext_lazy("points spent without being blocked first")
    MORE_THAN_HELD = "more_than_held", gettext_lazy("more points spent than were blocked")
    HOLD_TAKEN = "hold_taken", gettext_lazy("another bill had completed this redemption")
    DEBT = "debt", gettext_lazy("points that were not there are owed")
    SHORT = "short", gettext_lazy("a return could not take all its points back")
    ISSUED_MORE = "issued_more", gettext_lazy("more points were issued for the bill than it earned")
    NEAR_DUPLICATE = "near_duplicate", gettext_lazy("the same sale seems to be booked under another number")


class Discrepancy(models.Model):
    """A fact that was booked, or could not be, and needs a person's eye. Kept, listed, never dropped."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    kind = models.CharField(max_length=20, choices=DiscrepancyKind.choices)
    store = TenantForeignKey(Store, null=True, related_name="+")
    customer = TenantForeignKey(Customer, null=True, related_name="discrepancies")
    bill = TenantForeignKey(Bill, null=True, related_name="discrepancies")
    hold = TenantForeignKey(Hold, null=True, related_name="+")
    incident = TenantForeignKey("Incident", null=True, related_name="discrepancies")
    points = models.BigIntegerField(default=0)
    message = models.CharField(max_length=500)
    raised_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = gettext_lazy("discrepancies")
        indexes: ClassVar = [
            models.Index(fields=["tenant", "kind", "-id"], name="discrepancy_by_kind"),
            models.Index(fields=["tenant", "bill"], condition=models.Q(bill__isnull=False), name="discrepancy_of_bill"),
            models.Index(
                fields=["tenant", "incident"], condition=models.Q(incident__isnull=False), name="discrepancy_of_incident"
            ),
        ]

    def __str__(self) -> str:
        return self.message


class IncidentKind(models.TextChoices):
    MODE_DRIFT = "mode_drift", gettext_lazy("points shown in another way than this store's setting")
    NO_COMPLETION = "no_completion", gettext_lazy("blocked points whose bills do not come")
    REFUSED = "refused", gettext_lazy("bills set aside by one check")
    DRIFT = "drift", gettext_lazy("two sides that do not agree")


class Incident(models.Model):
    """The same trouble on many bills of one store, or of all (`store` empty). One of a kind and cause is open at a time; it counts while it
    lasts."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    kind = models.CharField(max_length=20, choices=IncidentKind.choices)
    store = TenantForeignKey(Store, null=True, related_name="incidents")
    cause = models.CharField(
        max_length=40, blank=True, db_default="", help_text=gettext_lazy("The failed check, where bills are set aside.")
    )
    first_bill = TenantForeignKey(Bill, null=True, related_name="+")
    bills = models.PositiveIntegerField(default=0)
    customers = models.PositiveIntegerField(db_default=0, help_text=gettext_lazy("Where it is counted by people."))
    points = models.BigIntegerField(default=0)
    message = models.CharField(max_length=500)
    opened_at = models.DateTimeField(db_default=Now(), editable=False)
    last_at = models.DateTimeField(db_default=Now())
    closed_at = models.DateTimeField(null=True)
    closed_by = models.CharField(max_length=500, blank=True, db_default="", help_text=gettext_lazy("Who, and why."))

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-last_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "kind", "store", "cause"],
                condition=models.Q(closed_at=None),
                name="one_open_incident_a_store",
                nulls_distinct=False,
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="incident_wall"),
        ]

    def __str__(self) -> str:
        return self.message
