"""What others say of the same sales and balances, and what is asked of the POS again."""

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy
from django_scopes import ScopedManager

from loyalty.models import Customer
from tenants.fields import TenantForeignKey
from tenants.models import Store, Tenant
from tenants.saying import said


class DayEnd(models.Model):
    """What a store's POS says it did in a day. It settles the store-day: what does not add up then is missing, not late."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    store = TenantForeignKey(Store, related_name="day_ends")
    business_date = models.DateField()
    bills = models.PositiveIntegerField(help_text=gettext_lazy("Sales and exchanges."))
    returns = models.PositiveIntegerField(default=0)
    net_amount = models.DecimalField(max_digits=18, decimal_places=4, help_text=gettext_lazy("Of the sales and exchanges."))
    loyalty_amount = models.DecimalField(max_digits=18, decimal_places=4, default=0, help_text=gettext_lazy("Paid with points."))
    first_bill_no = models.CharField(max_length=120, blank=True, db_collation="C")
    last_bill_no = models.CharField(max_length=120, blank=True, db_collation="C")
    settled_at = models.DateTimeField(help_text=gettext_lazy("When it was last sent; a later one replaces it."))

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-business_date", "store"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "store", "business_date"], name="day_end_once")]

    def __str__(self) -> str:
        return said("{store} on {day}", store=self.store, day=self.business_date)


class ErpOrder(models.Model):
    """A sale as the ERP has it."""

    class State(models.TextChoices):
        CONFIRMED = "confirmed", gettext_lazy("confirmed")
        VOIDED = "voided", gettext_lazy("voided")

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    order_no = models.CharField(max_length=120, db_collation="C")
    store = TenantForeignKey(Store, related_name="erp_orders")
    bill_no = models.CharField(max_length=120, blank=True, db_collation="C")
    mobile = models.CharField(max_length=16, blank=True, db_collation="C")
    amount = models.DecimalField(max_digits=18, decimal_places=4)
    state = models.CharField(max_length=9, choices=State.choices)
    at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text=gettext_lazy("When the ERP last sent it."))

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-at"]
        verbose_name = gettext_lazy("ERP order")
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "order_no"], name="erp_order_once")]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "store", "bill_no"], name="erp_order_by_bill"),
            models.Index(fields=["tenant", "mobile", "-at"], condition=~models.Q(mobile=""), name="erp_order_by_mobile"),
            models.Index(fields=["tenant", "at"], name="erp_order_by_time"),
        ]

    def __str__(self) -> str:
        return self.order_no


class CrmBalance(models.Model):
    """What the CRM showed for a customer at an instant. It is evidence: it never changes the ledger."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    customer = TenantForeignKey(Customer, null=True, related_name="crm_balances")
    mobile = models.CharField(max_length=16, db_collation="C")
    points = models.BigIntegerField()
    as_of = models.DateTimeField()
    written_by = models.CharField(max_length=254, blank=True)
    seen_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-as_of"]
        verbose_name = gettext_lazy("CRM balance")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "mobile", "as_of", "written_by"], name="crm_balance_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "customer", "-as_of"], name="crm_balance_of_customer")]

    def __str__(self) -> str:
        return said("{points} as of {at:%Y-%m-%d %H:%M}", points=self.points, at=self.as_of)


class MissingKind(models.TextChoices):
    GAP = "gap", gettext_lazy("a number is missing in the series")
    HOLD = "hold", gettext_lazy("points were blocked, and no bill came")
    ERP = "erp", gettext_lazy("the ERP has it")
    BROKEN = "broken", gettext_lazy("it came, and cannot be booked as it is")


class RepushRequest(models.Model):
    """Bills that a store's POS is asked to send again. It closes itself when all of them have come."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    store = TenantForeignKey(Store, related_name="repush_requests")
    note = models.CharField(max_length=500, blank=True)
    asked_by = models.CharField(max_length=254)
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    mailed_to = models.CharField(max_length=254, blank=True)
    mailed_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.CharField(max_length=254, blank=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "id"], name="repush_wall")]

    def __str__(self) -> str:
        return said("request {number} to {store}", number=self.pk, store=self.store)


class RepushLine(models.Model):
    """One bill that is asked for, as far as it is known."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    request = TenantForeignKey(RepushRequest, related_name="lines")
    store = TenantForeignKey(Store, related_name="+")
    kind = models.CharField(max_length=8, choices=MissingKind.choices)
    bill_no = models.CharField(max_length=120, blank=True, db_collation="C", help_text=gettext_lazy("Empty: not known."))
    business_date = models.DateField(null=True)
    amount = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    reference = models.CharField(max_length=64, blank=True, help_text=gettext_lazy("Of the redemption."))
    why = models.CharField(max_length=300, blank=True)
    arrived_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "bill_no"], condition=models.Q(arrived_at=None), name="repush_line_open"),
        ]

    def __str__(self) -> str:
        return self.bill_no or self.reference


class PosChange(models.Model):
    """An update or deployment at a store's POS, as an integrator logged it: what changed that day."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    store = TenantForeignKey(
        Store, null=True, blank=True, related_name="pos_changes", help_text=gettext_lazy("Empty: all stores.")
    )
    at = models.DateTimeField()
    what = models.CharField(max_length=500)
    logged_by = models.CharField(max_length=254)
    logged_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-at"]
        verbose_name = gettext_lazy("POS change")

    def __str__(self) -> str:
        return self.what
