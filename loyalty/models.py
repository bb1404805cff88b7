"""Customers, programmes and the tables of the ledger. Only `loyalty.ledger` writes the latter."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now, Reverse, Upper
from django_scopes import ScopedManager

from loyalty.account import Bucket as LotBucket
from loyalty.account import HoldState, Kind
from tenants.actors import ActorKind
from tenants.fields import TenantForeignKey
from tenants.models import Store, Tenant

KINDS = [(kind.value, kind.value) for kind in Kind]
HOLD_STATES = [(state.value, state.value.replace("_", " ")) for state in HoldState]


class CustomerStatus(models.TextChoices):
    ACTIVE = "active", "active"
    BLOCKED = "blocked", "blocked"
    MERGED = "merged", "merged into another customer"
    ERASED = "erased", "erased"


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
    status = models.CharField(max_length=8, choices=CustomerStatus.choices, default=CustomerStatus.ACTIVE)
    joined_on = models.DateField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "mobile"], name="customer_mobile_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="customer_wall"),
            models.CheckConstraint(condition=models.Q(mobile__regex=r"^\+[1-9][0-9]{6,14}$"), name="customer_mobile_e164"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "mobile_reversed"], name="customer_by_last_digits"),
            GinIndex(OpClass(Upper("name"), name="gin_trgm_ops"), name="customer_by_name"),
            GinIndex(OpClass(Upper("email"), name="gin_trgm_ops"), name="customer_by_email"),
        ]

    def __str__(self) -> str:
        return self.name or self.masked_mobile

    @property
    def masked_mobile(self) -> str:
        return mask_mobile(self.mobile)


def mask_mobile(mobile: str) -> str:
    """`+919840012345` -> `+91 98•••••345`: enough to recognise, not enough to call."""
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
        verbose_name_plural = "customer aliases"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "mobile"], condition=models.Q(valid_until=None), name="one_live_alias_a_mobile"
            ),
        ]

    def __str__(self) -> str:
        return mask_mobile(self.mobile)


class ProgrammeKind(models.TextChoices):
    PURCHASE_AMOUNT = "purchase_amount", "points for what is spent"
    VISIT_COUNT = "visit_count", "one point a visit"


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
        max_digits=18, decimal_places=4, validators=[MinValueValidator(Decimal("0.0001"))], help_text="Spend for one point."
    )
    point_value = models.DecimalField(
        max_digits=18, decimal_places=4, validators=[MinValueValidator(Decimal("0.0001"))], help_text="Worth of one point."
    )
    hold_days = models.PositiveIntegerField(default=100)
    validity_days = models.PositiveIntegerField(default=365, help_text="0: points never expire.")
    pending_days = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["programme", "-effective_from", "-version"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "programme", "version"], name="programme_version_once"),
            models.CheckConstraint(condition=models.Q(earn_per__gt=0, point_value__gt=0), name="programme_rates_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.programme} v{self.version}"


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
        return f"{self.store} follows {self.programme}"


class Balance(models.Model):
    """The four buckets of a customer: the sum of their entries, cached. Its row lock is the customer's lock."""

    customer = models.OneToOneField(Customer, on_delete=models.PROTECT, primary_key=True, db_constraint=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    pending = models.BigIntegerField(default=0)
    available = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    owed = models.BigIntegerField(default=0)
    entries = models.BigIntegerField(default=0, help_text="How many entries the sums are of.")
    last_activity_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(pending__gte=0, available__gte=0, held__gte=0, owed__gte=0),
                name="balance_buckets_not_negative",
            ),
            models.CheckConstraint(condition=models.Q(owed=0) | models.Q(available=0), name="balance_owes_or_has"),
        ]

    def __str__(self) -> str:
        return f"{self.closing}"

    @property
    def closing(self) -> int:
        return self.available + self.held - self.owed


class Hold(models.Model):
    """Points reserved at the till. People call it a soft block; the desk says "blocked"."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    customer = TenantForeignKey(Customer, related_name="holds")
    store = TenantForeignKey(Store, null=True, related_name="holds")
    reference = models.CharField(max_length=64)
    bill_no = models.CharField(max_length=120, blank=True)
    points = models.BigIntegerField()
    rate = models.DecimalField(max_digits=18, decimal_places=4, help_text="What a point was worth at the till.")
    at = models.DateTimeField()
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=16, choices=HOLD_STATES, default=HoldState.ACTIVE.value)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=254, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)
    #: Ids of bills. The tables of bills belong to `integrations`, which adds the composite foreign keys.
    bill_id = models.BigIntegerField(null=True)
    late_bill_id = models.BigIntegerField(null=True)
    late_points = models.BigIntegerField(default=0)
    fingerprint = models.BigIntegerField(help_text="Of the request, so that a retry is told from another request.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "reference"], name="hold_reference_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="hold_wall"),
            models.CheckConstraint(condition=models.Q(points__gt=0), name="hold_points_positive"),
            models.CheckConstraint(condition=models.Q(state__in=[state.value for state in HoldState]), name="hold_state_known"),
            models.CheckConstraint(
                condition=models.Q(state="active", ended_at=None)
                | (~models.Q(state="active") & models.Q(ended_at__isnull=False)),
                name="hold_ended_has_time",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "customer", "-id"], name="hold_of_customer"),
            models.Index(fields=["tenant", "expires_at"], condition=models.Q(state="active"), name="hold_to_expire"),
            models.Index(fields=["tenant", "store", "bill_no"], condition=~models.Q(bill_no=""), name="hold_by_bill_no"),
        ]

    def __str__(self) -> str:
        return self.reference


class Entry(models.Model):
    """One immutable row of the ledger: four signed deltas. A balance is the sum of its entries.

    The database adds `xid` (the transaction that wrote the row), by which the feed to ClickHouse reads in commit-safe order.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    customer = TenantForeignKey(Customer, related_name="entries")
    operation = models.BigIntegerField(help_text="One business act: the id of its first entry.")
    seq = models.SmallIntegerField(help_text="Place within the operation, from 0.")
    kind = models.CharField(max_length=8, choices=KINDS)
    of_kind = models.CharField(max_length=8, choices=KINDS, null=True)  # noqa: DJ001 - null: not of another kind
    pending = models.BigIntegerField(default=0)
    available = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    owed = models.BigIntegerField(default=0)
    reason = models.CharField(max_length=500)
    actor_kind = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in ActorKind])
    actor_id = models.BigIntegerField(null=True)
    actor_name = models.CharField(max_length=254)
    occurred_at = models.DateTimeField()
    business_date = models.DateField()
    posted_at = models.DateTimeField(db_default=Now(), editable=False)
    store = TenantForeignKey(Store, null=True, related_name="+")
    bill_id = models.BigIntegerField(null=True)
    hold = TenantForeignKey(Hold, null=True, related_name="entries")
    job_id = models.BigIntegerField(null=True)
    snapshot = models.JSONField(null=True)
    key = models.CharField(max_length=300, db_collation="C")
    fingerprint = models.BigIntegerField(help_text="Of the request's content: the same key with other content is refused.")

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        verbose_name_plural = "entries"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "key", "seq"], name="entry_key_once"),
            models.CheckConstraint(condition=models.Q(kind__in=[kind.value for kind in Kind]), name="entry_kind_known"),
            models.CheckConstraint(
                condition=models.Q(kind="extend", pending=0, available=0, held=0, owed=0)
                | (~models.Q(kind="extend") & ~models.Q(pending=0, available=0, held=0, owed=0)),
                name="entry_not_empty",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=["debt", "reversal"], of_kind__isnull=False)
                | (~models.Q(kind__in=["debt", "reversal"]) & models.Q(of_kind=None)),
                name="entry_of_kind",
            ),
            models.CheckConstraint(
                condition=models.Q(owed__lte=0) | models.Q(kind__in=["debt", "reversal", "merge"]), name="entry_debt_kinds"
            ),
            models.CheckConstraint(condition=~models.Q(reason="") & ~models.Q(actor_name=""), name="entry_explained"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "customer", "-id"], name="entry_of_customer"),
            models.Index(fields=["tenant", "hold"], condition=models.Q(hold__isnull=False), name="entry_of_hold"),
            models.Index(fields=["tenant", "bill_id"], condition=models.Q(bill_id__isnull=False), name="entry_of_bill"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pending or self.available or self.held or self.owed:+d}"


class Lot(models.Model):
    """Points granted at one time. Its key is its granting entry's; the buckets cache the sums of its EntryLots."""

    entry = models.OneToOneField(Entry, on_delete=models.PROTECT, primary_key=True, db_constraint=False, related_name="lot")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    customer = TenantForeignKey(Customer, related_name="lots")
    granted_on = models.DateField()
    activates_on = models.DateField(null=True)
    expires_on = models.DateField(null=True, help_text="The first day on which the points can no longer be spent.")
    granted = models.BigIntegerField()
    pending = models.BigIntegerField(default=0)
    available = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    remaining = models.GeneratedField(
        expression=models.F("pending") + models.F("available") + models.F("held"),
        output_field=models.BigIntegerField(), db_persist=True,
    )  # fmt: skip
    #: A column of its own, so that spending a part of a lot touches no indexed value.
    spent = models.GeneratedField(
        expression=models.ExpressionWrapper(models.Q(pending=0, available=0, held=0), output_field=models.BooleanField()),
        output_field=models.BooleanField(),
        db_persist=True,
    )

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(pending__gte=0, available__gte=0, held__gte=0, granted__gt=0), name="lot_buckets_not_negative"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "customer"], condition=models.Q(spent=False), name="lot_unspent_of_customer"),
            models.Index(fields=["tenant", "expires_on"], condition=models.Q(spent=False), name="lot_to_expire"),
        ]

    def __str__(self) -> str:
        return f"{self.granted} points of {self.granted_on}"


class EntryLot(models.Model):
    """One movement of a lot's points by an entry: into (+) or out of (-) a bucket. `debt`: the debt entry an offset paid."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="movements")
    lot = models.ForeignKey(Lot, on_delete=models.PROTECT, related_name="movements")
    bucket = models.CharField(max_length=9, choices=[(bucket.value, bucket.value) for bucket in LotBucket])
    delta = models.BigIntegerField()
    debt = models.ForeignKey(Entry, on_delete=models.PROTECT, null=True, related_name="paid_by", db_index=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=~models.Q(delta=0), name="movement_not_empty"),
            models.CheckConstraint(
                condition=models.Q(debt=None) | models.Q(bucket="available"), name="movement_offset_is_available"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["debt"], condition=models.Q(debt__isnull=False), name="movement_of_debt")]

    def __str__(self) -> str:
        return f"{self.delta:+d} {self.bucket}"


def held_since(hold: Hold, *, now: datetime) -> int:
    """Whole days that a hold has been open."""
    return max(0, (now - hold.at).days)
