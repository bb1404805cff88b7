"""The tables of the ledger. Only `loyalty.ledger` writes them."""

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy
from django_scopes import ScopedManager

from loyalty.models.customers import Customer
from loyalty.state import Bucket, HoldState, Kind
from tenants.fields import TenantForeignKey
from tenants.models import ACTOR_KINDS, Store, Tenant
from tenants.saying import said

KINDS = [(kind.value, kind.value) for kind in Kind]
HOLD_STATES = [
    (HoldState.ACTIVE.value, gettext_lazy("active")),
    (HoldState.CAPTURED.value, gettext_lazy("captured")),
    (HoldState.PARTLY_CAPTURED.value, gettext_lazy("partly captured")),
    (HoldState.RELEASED.value, gettext_lazy("released")),
    (HoldState.EXPIRED.value, gettext_lazy("expired")),
]


class Balance(models.Model):
    """The four buckets of a customer: the sum of their entries, cached. Its row lock is the customer's lock."""

    customer = models.OneToOneField(Customer, on_delete=models.PROTECT, primary_key=True, db_constraint=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    pending = models.BigIntegerField(default=0)
    available = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    owed = models.BigIntegerField(default=0)
    entries = models.BigIntegerField(default=0, help_text=gettext_lazy("How many entries the sums are of."))
    #: Of what the customer did: bills and redemptions, not what staff, jobs or the calendar did to the balance.
    last_activity_at = models.DateTimeField(null=True)
    moved_to = models.BigIntegerField(null=True, help_text=gettext_lazy("The customer that this one was merged into."))

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
    rate = models.DecimalField(max_digits=18, decimal_places=4, help_text=gettext_lazy("What a point was worth at the till."))
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
    fingerprint = models.BigIntegerField(help_text=gettext_lazy("Of the request, so that a retry is told from another request."))
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
            models.Index(
                fields=["tenant", "store", "-id"],
                condition=models.Q(state__in=["released", "expired"]),
                name="hold_freed_at_store",
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class Entry(models.Model):
    """One immutable row of the ledger: four signed deltas. A balance is the sum of its entries.

    The database adds `xid` (the transaction that wrote the row), by which the feed to ClickHouse reads in commit-safe order.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    customer = TenantForeignKey(Customer, related_name="entries")
    operation = models.BigIntegerField(help_text=gettext_lazy("One business act: the id of its first entry."))
    seq = models.SmallIntegerField(help_text=gettext_lazy("Place within the operation, from 0."))
    kind = models.CharField(max_length=8, choices=KINDS)
    of_kind = models.CharField(max_length=8, choices=KINDS, null=True)  # noqa: DJ001 - null: not of another kind
    of_entry = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="undone_by", db_index=False,
        help_text=gettext_lazy("The entry that this one undoes, in whole or in part, or carries over to another customer."),
    )  # fmt: skip
    pending = models.BigIntegerField(default=0)
    available = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    owed = models.BigIntegerField(default=0)
    reason = models.CharField(max_length=500)
    actor_kind = models.CharField(max_length=8, choices=ACTOR_KINDS)
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
    fingerprint = models.BigIntegerField(
        help_text=gettext_lazy("Of the request's content: the same key with other content is refused.")
    )

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        verbose_name_plural = gettext_lazy("entries")
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "key", "seq"], name="entry_key_once"),
            models.CheckConstraint(condition=models.Q(kind__in=[kind.value for kind in Kind]), name="entry_kind_known"),
            models.CheckConstraint(
                condition=models.Q(models.Q(kind="extend") | models.Q(of_kind="extend"), pending=0, available=0, held=0, owed=0)
                | (~models.Q(kind="extend") & ~models.Q(pending=0, available=0, held=0, owed=0)),
                name="entry_not_empty",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=["debt", "reversal"], of_kind__isnull=False)
                | (~models.Q(kind__in=["debt", "reversal"]) & models.Q(of_kind=None)),
                name="entry_of_kind",
            ),
            models.CheckConstraint(
                condition=models.Q(owed__lte=0) | models.Q(kind__in=["debt", "merge"]), name="entry_debt_kinds"
            ),
            models.CheckConstraint(condition=~models.Q(reason="") & ~models.Q(actor_name=""), name="entry_explained"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "customer", "-id"], name="entry_of_customer"),
            models.Index(fields=["tenant", "-id"], name="entry_of_tenant"),
            models.Index(fields=["tenant", "business_date"], name="entry_of_day"),
            models.Index(fields=["tenant", "kind", "-id"], condition=~models.Q(kind="earn"), name="entry_by_kind"),
            models.Index(fields=["tenant", "-posted_at"], condition=models.Q(actor_kind="person"), name="entry_by_hand"),
            models.Index(fields=["tenant", "hold"], condition=models.Q(hold__isnull=False), name="entry_of_hold"),
            models.Index(fields=["tenant", "bill_id"], condition=models.Q(bill_id__isnull=False), name="entry_of_bill"),
            models.Index(fields=["of_entry"], condition=models.Q(of_entry__isnull=False), name="entry_undone_by"),
            models.Index(fields=["tenant", "customer"], condition=models.Q(owed__gt=0), name="entry_of_debt"),
            models.Index(
                fields=["tenant", "customer"],
                condition=models.Q(kind="extend") | models.Q(of_kind="extend"),
                name="entry_of_extension",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pending or self.available or self.held or self.owed:+d}"


class EmptyOperation(models.Model):
    """A request that found nothing to do. Its key is remembered all the same: the retry must find nothing to do either."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    key = models.CharField(max_length=300, db_collation="C")
    fingerprint = models.BigIntegerField()
    pending = models.BigIntegerField()
    available = models.BigIntegerField()
    held = models.BigIntegerField()
    owed = models.BigIntegerField()
    posted_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "key"], name="empty_operation_once")]

    def __str__(self) -> str:
        return self.key


class Lot(models.Model):
    """Points granted at one time. Its key is its granting entry's; the buckets cache the sums of its EntryLots."""

    entry = models.OneToOneField(Entry, on_delete=models.PROTECT, primary_key=True, db_constraint=False, related_name="lot")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    customer = TenantForeignKey(Customer, related_name="lots")
    granted_on = models.DateField()
    activates_on = models.DateField(null=True)
    expires_on = models.DateField(null=True, help_text=gettext_lazy("The first day on which the points can no longer be spent."))
    granted_until = models.DateField(
        null=True, help_text=gettext_lazy("The same day as it was granted; an extension moves only the other one.")
    )
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
        return said("{points} points of {day}", points=self.granted, day=self.granted_on)


class EntryLot(models.Model):
    """One movement of a lot's points by an entry: into (+) or out of (-) a bucket.

    `debt`: the debt entry that was paid (-), or whose payment came back to the lot (+). Without a lot, in the bucket `owed`: paid by no
    points at all.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="movements")
    lot = models.ForeignKey(Lot, on_delete=models.PROTECT, null=True, related_name="movements")
    bucket = models.CharField(max_length=9, choices=[(bucket.value, bucket.value) for bucket in Bucket])
    delta = models.BigIntegerField()
    debt = models.ForeignKey(Entry, on_delete=models.PROTECT, null=True, related_name="paid_by", db_index=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=~models.Q(delta=0), name="movement_not_empty"),
            models.CheckConstraint(
                condition=models.Q(debt=None) | models.Q(bucket__in=["available", "owed"]), name="movement_offset_is_available"
            ),
            models.CheckConstraint(
                condition=models.Q(bucket="owed", lot=None, debt__isnull=False)
                | (~models.Q(bucket="owed") & models.Q(lot__isnull=False)),
                name="movement_without_lot_is_of_a_debt",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["debt"], condition=models.Q(debt__isnull=False), name="movement_of_debt")]

    def __str__(self) -> str:
        return f"{self.delta:+d} {self.bucket}"


def held_since(hold: Hold, *, now: datetime) -> int:
    """Whole days that a hold has been open."""
    return max(0, (now - hold.at).days)
