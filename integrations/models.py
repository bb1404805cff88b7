"""What came in (deliveries), what it meant (bills), what needs a person (discrepancies, incidents), and the feed out."""

from decimal import Decimal
from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
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
    """One message as it reached us. The raw body is kept for ever; the state is the truth about what became of it."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    receipt = models.CharField(max_length=32, unique=True)
    source = models.CharField(max_length=8, choices=Source.choices)
    repush = models.CharField(max_length=120, blank=True)
    key_id = models.BigIntegerField(null=True, help_text=gettext_lazy("The API key that sent it."))
    sender = models.CharField(max_length=254, blank=True)
    body = models.BinaryField()
    body_hash = models.BinaryField(max_length=32)
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


class ReplayState(models.TextChoices):
    CHOSEN = "chosen", gettext_lazy("chosen")
    TRYING = "trying", gettext_lazy("dry run under way")
    TRIED = "tried", gettext_lazy("tried")
    RUNNING = "running", gettext_lazy("running")
    CANCELLED = "cancelled", gettext_lazy("cancelled")
    DONE = "done", gettext_lazy("done")


class Replay(models.Model):
    """Deliveries that are booked again: chosen by filters, tried without effect, then run in chunks.

    `effect`: what the dry run found, balances before and after by customer. `counts`: what the run did, by outcome.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    filters = models.JSONField(default=dict)
    reason = models.CharField(max_length=500)
    actor_kind = models.CharField(max_length=8)
    actor_id = models.BigIntegerField(null=True)
    actor_name = models.CharField(max_length=254)
    state = models.CharField(max_length=10, choices=ReplayState.choices, default=ReplayState.CHOSEN)
    per_second = models.PositiveIntegerField(
        default=500, help_text=gettext_lazy("Bills a second at most; 0: as fast as it goes.")
    )
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    effect = models.JSONField(default=dict)
    counts = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    tried_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "id"], name="replay_wall")]

    def __str__(self) -> str:
        return said("replay {number}", number=self.pk)


class ReplayRow(models.Model):
    """One delivery of a replay. `place`: its turn; a customer's deliveries stand together, in their order."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    replay = TenantForeignKey(Replay, related_name="rows")
    place = models.PositiveIntegerField()
    delivery = models.ForeignKey(Delivery, on_delete=models.PROTECT, db_index=False)
    group = models.CharField(max_length=40, db_collation="C")
    state_before = models.CharField(max_length=16, choices=DeliveryState.choices)
    outcome = models.CharField(max_length=16, blank=True, help_text=gettext_lazy("Its state afterwards; empty: not done yet."))
    check_name = models.CharField(max_length=40, blank=True)
    message = models.CharField(max_length=500, blank=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["place"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "replay", "place"], name="replay_row_once")]

    def __str__(self) -> str:
        return f"{self.place}: {self.outcome or said('to do')}"


class FileKind(models.TextChoices):
    DAY_ENDS = "day_ends", gettext_lazy("day-ends")
    ORDERS = "orders", gettext_lazy("ERP orders")
    BALANCES = "balances", gettext_lazy("CRM balances")
    PEOPLE = "people", gettext_lazy("customers")


class FileState(models.TextChoices):
    WAITING = "waiting", gettext_lazy("waiting for the worker")
    RUNNING = "running", gettext_lazy("running")
    DONE = "done", gettext_lazy("done")
    REFUSED = "refused", gettext_lazy("refused")


class FileImport(models.Model):
    """A long file on its way through the worker. `last_row`: how far it is; the body goes when it is over."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    kind = models.CharField(max_length=8, choices=FileKind.choices)
    name = models.CharField(max_length=200)
    body = models.BinaryField()
    state = models.CharField(max_length=7, choices=FileState.choices, default=FileState.WAITING)
    last_row = models.PositiveIntegerField(default=0)
    taken = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    refused_rows = models.JSONField(default=list, help_text=gettext_lazy("The first of them: row, code, message."))
    failures = models.PositiveSmallIntegerField(
        default=0, help_text=gettext_lazy("How often in a row its next chunk could not be taken.")
    )
    message = models.CharField(max_length=500, blank=True)
    actor_kind = models.CharField(max_length=8)
    actor_id = models.BigIntegerField(null=True)
    actor_name = models.CharField(max_length=254)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=models.Q(state__in=["waiting", "running"]), name="file_to_read"),
        ]

    def __str__(self) -> str:
        return self.name


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


class RunState(models.TextChoices):
    """Of what a worker does: a reconciliation, a resync."""

    WAITING = "waiting", gettext_lazy("waiting")
    RUNNING = "running", gettext_lazy("running")
    DONE = "done", gettext_lazy("done")
    FAILED = "failed", gettext_lazy("failed")


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


class Channel(models.TextChoices):
    EMAIL = "email", gettext_lazy("e-mail")
    WEBHOOK = "webhook", gettext_lazy("webhook")


class MessageSettings(models.Model):
    """At which moments a brand writes to its customers, and how. No row: never."""

    tenant = models.OneToOneField(Tenant, on_delete=models.PROTECT, related_name="message_settings")
    email_when_issued = models.BooleanField(gettext_lazy("e-mail when points are issued"), default=False)
    webhook_when_issued = models.BooleanField(gettext_lazy("webhook when points are issued"), default=False)
    subject = models.CharField(
        max_length=120,
        default=gettext_lazy("{points} points for you"),
        help_text=gettext_lazy("May name {name}, {points}, {available}, {brand}."),
    )
    body = models.TextField(
        max_length=2000,
        default=gettext_lazy(
            "Hello {name},\n\n{brand} has added {points} points to your account. You have {available} points now.\n"
        ),
        help_text=gettext_lazy("The same names."),
    )
    webhook_url = models.URLField(
        gettext_lazy("webhook address"),
        max_length=400,
        blank=True,
        help_text=gettext_lazy("Yours, by HTTPS; every message is signed (Standard Webhooks)."),
    )
    webhook_secret = models.CharField(max_length=80, blank=True, editable=False)
    quiet_from = models.TimeField(
        null=True, blank=True, help_text=gettext_lazy("No e-mail goes out from then on, in the brand's time,")
    )
    quiet_until = models.TimeField(null=True, blank=True, help_text=gettext_lazy("until then; it waits."))

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        verbose_name = gettext_lazy("message settings")
        verbose_name_plural = gettext_lazy("message settings")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(quiet_from=None, quiet_until=None)
                | models.Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="quiet_hours_have_two_ends",
            ),
        ]

    def __str__(self) -> str:
        return said("messages of {tenant}", tenant=self.tenant)


class MessageState(models.TextChoices):
    WAITING = "waiting", gettext_lazy("waits to be sent")
    SENDING = "sending", gettext_lazy("is being sent")
    SENT = "sent", gettext_lazy("sent")
    GIVEN_UP = "given_up", gettext_lazy("given up")


class Message(models.Model):
    """What is said to a customer, once: written with what it is about, sent later, tried again while nobody takes it."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    customer = TenantForeignKey(Customer, related_name="messages")
    channel = models.CharField(max_length=8, choices=Channel.choices)
    #: The issue it tells of; none: somebody at the desk wrote it.
    operation = models.BigIntegerField(null=True)
    key = models.CharField(max_length=300, db_collation="C")
    subject = models.CharField(max_length=200)
    body = models.TextField(max_length=4000)
    content = models.JSONField(default=dict, help_text=gettext_lazy("Of a webhook: its data."))
    state = models.CharField(max_length=8, choices=MessageState.choices, default=MessageState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=254)
    sent_at = models.DateTimeField(null=True)
    trouble = models.CharField(max_length=300, blank=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "key", "channel"], name="message_once")]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "customer", "-id"], name="message_of_customer"),
            models.Index(fields=["due_at"], condition=models.Q(state__in=["waiting", "sending"]), name="message_due"),
        ]

    def __str__(self) -> str:
        return self.subject


class FeedEpoch(models.Model):
    """How far the feed to ClickHouse has read. A restored database (new system or timeline) begins a new epoch.

    `resync_below_id`: entries up to this id are resynced by id, later ones are read by transaction.
    """

    system = models.CharField(max_length=64, help_text=gettext_lazy("System identifier and timeline of the PostgreSQL server."))
    stream = models.CharField(max_length=16)
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    resync_below_id = models.BigIntegerField(default=0)
    resynced_id = models.BigIntegerField(default=0)
    xid = models.CharField(max_length=20, default="0")
    row_id = models.BigIntegerField(default=0)
    rows = models.BigIntegerField(default=0)
    moved_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(
        null=True, help_text=gettext_lazy("When the feed last found nothing more to send: the dashboards' 'as of'.")
    )

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["system", "stream"], name="one_epoch_a_stream")]

    def __str__(self) -> str:
        return said("{stream} up to {xid}", stream=self.stream, xid=self.xid)


class ParityRun(models.Model):
    """One comparison of ClickHouse with a tenant's ledger, kept with its verdict.

    `differences`: of figures, `{business_date, kind, measure, postgresql, clickhouse}`. `wrong`: the entries themselves,
    `{id, business_date, kind, fault, ledger, clickhouse}`. Both hold the first ones; `wrong_count` says how many there are.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    at = models.DateTimeField(db_default=Now(), editable=False)
    whole = models.BooleanField(help_text=gettext_lazy("Every day; else those that had changed since the run before."))
    ok = models.BooleanField(verbose_name=gettext_lazy("equal"))
    rows = models.BigIntegerField(verbose_name=gettext_lazy("entries compared"))
    days = models.IntegerField(verbose_name=gettext_lazy("days compared"))
    seconds = models.FloatField()
    differences = models.JSONField(default=list)
    wrong = models.JSONField(default=list)
    wrong_count = models.IntegerField(default=0, verbose_name=gettext_lazy("entries that differ"))
    epoch = models.ForeignKey(FeedEpoch, on_delete=models.PROTECT, related_name="+", db_index=False)
    xid = models.CharField(max_length=20, help_text=gettext_lazy("The feed's watermark: entries after it were not compared."))
    row_id = models.BigIntegerField()

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["tenant", "-id"], name="parity_of_tenant")]

    def __str__(self) -> str:
        if self.ok:
            return said("equal at {at:%Y-%m-%d %H:%M}", at=self.at)
        return said("different at {at:%Y-%m-%d %H:%M}", at=self.at)


class ParityDay(models.Model):
    """What the last comparison said of one business day."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    business_date = models.DateField()
    ok = models.BooleanField()
    entries = models.BigIntegerField()
    at = models.DateTimeField()

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-business_date"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "business_date"], name="parity_once_a_day")]

    def __str__(self) -> str:
        return f"{self.business_date:%Y-%m-%d}"


class ClosedDays(models.Model):
    """Up to which posting day nothing can be posted any more: those days are summed up in ClickHouse, once."""

    tenant = models.OneToOneField(Tenant, on_delete=models.PROTECT)
    through = models.DateField()
    closed_at = models.DateTimeField()

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        verbose_name_plural = gettext_lazy("closed days")

    def __str__(self) -> str:
        return f"{self.through:%Y-%m-%d}"


class Resync(models.Model):
    """A tenant's rows in ClickHouse built anew from the ledger, month by month of business dates; resumable.

    `months` are those still to do, as yyyymm. `streams`: only these tables, each whole; without any it is the entries of the days,
    and where there are no days either, everything.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    customer = TenantForeignKey(Customer, null=True, related_name="+")
    since = models.DateField(null=True, help_text=gettext_lazy("First business day; empty: from the beginning."))
    until = models.DateField(null=True, help_text=gettext_lazy("Last business day; empty: to the end."))
    streams = ArrayField(models.CharField(max_length=10), default=list, verbose_name=gettext_lazy("tables"))
    state = models.CharField(max_length=8, choices=RunState.choices, default=RunState.WAITING)
    reason = models.CharField(max_length=500)
    asked_by = models.CharField(max_length=254)
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    months = ArrayField(models.IntegerField(), null=True)
    months_done = models.IntegerField(default=0)
    rows = models.BigIntegerField(default=0, verbose_name=gettext_lazy("rows written"))
    way = models.CharField(max_length=4, blank=True, help_text=gettext_lazy("pull: by ClickHouse itself; copy: through us."))
    seconds = models.FloatField(default=0)
    ended_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=500, blank=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "-id"], name="resync_of_tenant"),
            models.Index(fields=["state"], condition=models.Q(state__in=["waiting", "running"]), name="resync_open"),
        ]

    def __str__(self) -> str:
        if self.streams:
            return ", ".join(self.streams)
        if self.since is None and self.until is None:
            return said("everything")
        since, until = (f"{day:%Y-%m-%d}" if day else "" for day in (self.since, self.until))
        return f"{since} – {until}"
