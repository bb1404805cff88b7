"""Bills, what became of them, and the deliveries they came in."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy
from django_scopes import ScopedManager

from loyalty.models import Customer, Hold
from tenants.fields import TenantForeignKey
from tenants.models import RedemptionMode, Store, Tenant
from tenants.saying import said


class DeliveryState(models.TextChoices):
    RECEIVED = "received", gettext_lazy("received")
    APPLIED = "applied", gettext_lazy("applied")
    DUPLICATE = "duplicate", gettext_lazy("duplicate")
    CONFLICT = "conflict", gettext_lazy("conflict")
    WAITING_PARENT = "waiting_parent", gettext_lazy("waiting for its sale")
    QUARANTINED = "quarantined", gettext_lazy("quarantined")
    DISCARDED = "discarded", gettext_lazy("discarded")
    REVERSED = "reversed", gettext_lazy("reversed")
    REJECTED = "rejected", gettext_lazy("rejected")


class Source(models.TextChoices):
    API = "api", gettext_lazy("sent one by one")
    BATCH = "batch", gettext_lazy("sent in a batch")
    FILE = "file", gettext_lazy("from a file")
    DESK = "desk", gettext_lazy("written at the desk")


class BillClass(models.TextChoices):
    """Documents of different classes may share a number."""

    SALE = "sale", gettext_lazy("sale")
    RETURN = "return", gettext_lazy("return")
    CANCEL = "cancel", gettext_lazy("cancellation")


class ReturnType(models.TextChoices):
    FULL = "FULL", gettext_lazy("everything that is left")
    LINE_ITEM = "LINE_ITEM", gettext_lazy("some lines")
    AMOUNT = "AMOUNT", gettext_lazy("an amount")


class Bill(models.Model):
    """A POS document that was understood and booked. Its natural key keeps it from being counted twice.

    A correction books a row of its own; the row it replaces stays, superseded. `parent`: the bill that a return or cancellation is about.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    store = TenantForeignKey(Store, related_name="bills")
    customer = TenantForeignKey(Customer, null=True, related_name="bills")
    parent = TenantForeignKey("self", null=True, related_name="children")
    bill_class = models.CharField(max_length=6, choices=BillClass.choices)
    bill_type = models.CharField(max_length=8)
    bill_no = models.CharField(max_length=120, db_collation="C")
    till = models.CharField(
        max_length=64, blank=True, help_text=gettext_lazy("Only where numbers are unique at a till and not in a store.")
    )
    period = models.CharField(max_length=9, help_text=gettext_lazy("The year in which the number is unique, such as 2026-27."))
    version = models.PositiveIntegerField(default=1)
    bill_uid = models.CharField(max_length=120, blank=True)
    till_code = models.CharField(max_length=64, blank=True)
    cashier = models.CharField(max_length=120, blank=True)
    billed_at = models.DateTimeField()
    business_date = models.DateField()
    gross_amount = models.DecimalField(max_digits=18, decimal_places=4)
    discount_amount = models.DecimalField(max_digits=18, decimal_places=4)
    net_amount = models.DecimalField(max_digits=18, decimal_places=4)
    tax_amount = models.DecimalField(max_digits=18, decimal_places=4)
    payable_amount = models.DecimalField(max_digits=18, decimal_places=4)
    mode = models.CharField(
        max_length=8,
        choices=RedemptionMode.choices,
        blank=True,
        help_text=gettext_lazy("Read off the bill; empty without points."),
    )
    redeemed_points = models.BigIntegerField(default=0)
    redeemed_amount = models.DecimalField(max_digits=18, decimal_places=4, default=0)
    earned_points = models.BigIntegerField(default=0)
    hold = TenantForeignKey(Hold, null=True, related_name="bills")
    flags = ArrayField(models.CharField(max_length=40), default=list)
    fingerprint = models.BigIntegerField(
        help_text=gettext_lazy("Of the content: the same bill again is told from another bill under its number.")
    )
    return_type = models.CharField(max_length=9, choices=ReturnType.choices, blank=True)
    cancelled_by = TenantForeignKey("self", null=True, related_name="cancels", db_index=False)
    superseded_at = models.DateTimeField(
        null=True, help_text=gettext_lazy("It was corrected or booked anew; another row is the bill now.")
    )
    posted_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "store", "bill_no", "bill_class", "period", "till"],
                condition=models.Q(superseded_at=None),
                name="bill_natural_key_once",
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="bill_wall"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "customer", "-billed_at"], name="bill_of_customer"),
            models.Index(fields=["tenant", "bill_no"], name="bill_by_number"),
            models.Index(fields=["tenant", "store", "business_date"], name="bill_of_store_day"),
            models.Index(fields=["tenant", "parent"], condition=models.Q(parent__isnull=False), name="bill_of_parent"),
        ]

    def __str__(self) -> str:
        return self.bill_no


class BillLine(models.Model):
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    bill = TenantForeignKey(Bill, related_name="lines")
    line_no = models.PositiveIntegerField()
    line_type = models.CharField(max_length=6)
    item_code = models.CharField(max_length=120, blank=True)
    department = models.CharField(max_length=120, blank=True)
    qty = models.DecimalField(max_digits=18, decimal_places=4)
    value = models.DecimalField(max_digits=18, decimal_places=4)
    discount = models.DecimalField(max_digits=18, decimal_places=4)
    amount = models.DecimalField(max_digits=18, decimal_places=4)
    tax_amount = models.DecimalField(max_digits=18, decimal_places=4)
    loyalty_discount = models.DecimalField(max_digits=18, decimal_places=4, default=0)
    loyalty_points = models.BigIntegerField(default=0)
    earns = models.BooleanField(default=True, help_text=gettext_lazy("Whether the rule of its day let it earn."))

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["line_no"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "bill", "line_no"], name="bill_line_once")]

    def __str__(self) -> str:
        return f"{self.line_no}: {self.item_code}"


class ReturnedPart(models.Model):
    """What a return, or an exchange's return leg, took of an earlier bill, as it was understood: so much of a line, or of the whole."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    bill = TenantForeignKey(Bill, related_name="returned_parts")
    original = TenantForeignKey(Bill, related_name="parts_returned", db_index=False)
    line_no = models.PositiveIntegerField(
        null=True, help_text=gettext_lazy("Of the original; empty: an amount of the whole bill.")
    )
    qty = models.DecimalField(max_digits=18, decimal_places=4, default=0)
    amount = models.DecimalField(max_digits=18, decimal_places=4)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["tenant", "original"], name="part_of_original"),
        ]

    def __str__(self) -> str:
        if self.line_no is None:
            return said("{amount} of the bill", amount=self.amount)
        return said("{amount} of line {line_no}", amount=self.amount, line_no=self.line_no)


class Delivery(models.Model):
    """One message as it reached us. The state is the truth about what became of it; the raw body is kept for as long as the brand says."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    receipt = models.CharField(max_length=32, unique=True)
    source = models.CharField(max_length=8, choices=Source.choices)
    repush = models.CharField(max_length=120, blank=True)
    key_id = models.BigIntegerField(null=True, help_text=gettext_lazy("The API key that sent it."))
    sender = models.CharField(max_length=254, blank=True)
    body = models.BinaryField()
    body_hash = models.BinaryField(max_length=32)
    body_gone_at = models.DateTimeField(
        null=True, help_text=gettext_lazy("It was kept for as long as the brand says; the body is empty since.")
    )
    body_back_at = models.DateTimeField(null=True, help_text=gettext_lazy("The very message was sent again after that."))
    state = models.CharField(max_length=16, choices=DeliveryState.choices, default=DeliveryState.RECEIVED)
    check_name = models.CharField(max_length=40, blank=True, help_text=gettext_lazy("The failed check."))
    message = models.CharField(max_length=500, blank=True)
    details = models.JSONField(default=dict)
    attempts = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField(db_default=Now(), editable=False)
    processed_at = models.DateTimeField(null=True)
    #: What was read of it, for lists and search; empty where it could not be read.
    bill_no = models.CharField(max_length=120, blank=True, db_collation="C")
    store_code = models.CharField(max_length=64, blank=True)
    mobile = models.CharField(max_length=16, blank=True, db_collation="C")
    waits_for = models.CharField(
        max_length=120, blank=True, db_collation="C", help_text=gettext_lazy("The number of the bill it is about.")
    )
    decided = models.JSONField(
        default=dict, help_text=gettext_lazy("What a person decided about it, which its next try follows.")
    )
    bill = TenantForeignKey(Bill, null=True, related_name="deliveries")
    first = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="repeats", db_index=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = gettext_lazy("inbox")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "body_hash"], name="delivery_body_once"),
            models.CheckConstraint(condition=models.Q(state__in=DeliveryState.values), name="delivery_state_known"),
            models.CheckConstraint(
                condition=~models.Q(state="applied") | models.Q(bill__isnull=False), name="delivery_applied_has_bill"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "id"], condition=models.Q(state="received"), name="delivery_to_process"),
            models.Index(fields=["tenant", "state", "-id"], name="delivery_by_state"),
            models.Index(fields=["tenant", "bill_no"], name="delivery_by_bill_no"),
            models.Index(fields=["tenant", "mobile", "-id"], condition=~models.Q(mobile=""), name="delivery_by_mobile"),
            models.Index(fields=["tenant", "bill"], condition=models.Q(bill__isnull=False), name="delivery_of_bill"),
            models.Index(fields=["tenant", "processed_at"], name="delivery_by_end"),
            models.Index(
                fields=["tenant", "body_back_at"], condition=models.Q(body_back_at__isnull=False), name="delivery_put_back"
            ),
            models.Index(
                fields=["tenant", "state", "store_code", "received_at"],
                condition=models.Q(state__in=["waiting_parent", "quarantined", "conflict"]),
                name="delivery_for_people",
            ),
            models.Index(fields=["tenant", "waits_for"], condition=models.Q(state="waiting_parent"), name="delivery_waiting"),
        ]

    def __str__(self) -> str:
        return self.receipt


class BillIssue(models.Model):
    """Points that an agent gave for a bill before it came: the bill posts only what it earns beyond them (CASES 79)."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    customer = TenantForeignKey(Customer, related_name="+")
    store = TenantForeignKey(Store, related_name="+")
    bill_no = models.CharField(max_length=120, db_collation="C")
    points = models.BigIntegerField()
    operation = models.BigIntegerField()
    issued_at = models.DateTimeField(db_default=Now(), editable=False)
    bill = TenantForeignKey(Bill, null=True, related_name="issues")

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "operation"], name="bill_issue_once")]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "customer"], name="bill_issue_of_customer"),
            models.Index(fields=["tenant", "bill"], condition=models.Q(bill__isnull=False), name="bill_issue_of_bill"),
        ]

    def __str__(self) -> str:
        return said("{points} for {bill_no}", points=self.points, bill_no=self.bill_no)


class BillClaim(models.Model):
    """A walk-in bill that a customer says is theirs. One person asks, another decides (CASES 41)."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    bill = TenantForeignKey(Bill, related_name="claims")
    mobile = models.CharField(max_length=16, db_collation="C")
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
            models.UniqueConstraint(fields=["tenant", "bill"], condition=models.Q(decided_at=None), name="one_open_claim_a_bill"),
            models.CheckConstraint(
                condition=models.Q(decided_by_ident="") & ~models.Q(decided_by=models.F("asked_by"))
                | ~models.Q(decided_by_ident="") & ~models.Q(decided_by_ident=models.F("asked_by_ident")),
                name="claim_by_two_people",
            ),
        ]

    def __str__(self) -> str:
        return said("claim of {bill}", bill=self.bill)
