"""Customers, programmes and the tables of the ledger. Only `loyalty.ledger` writes the latter."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now, Reverse, Upper
from django.utils.translation import gettext_lazy
from django_scopes import ScopedManager

from loyalty.bonus import SUBJECTS, Operator, Subject
from loyalty.state import Bucket, HoldState, Kind
from tenants.fields import TenantForeignKey
from tenants.models import ACTOR_KINDS, SealBlock, SealLimit, Store, Tenant
from tenants.saying import said

KINDS = [(kind.value, kind.value) for kind in Kind]
HOLD_STATES = [
    (HoldState.ACTIVE.value, gettext_lazy("active")),
    (HoldState.CAPTURED.value, gettext_lazy("captured")),
    (HoldState.PARTLY_CAPTURED.value, gettext_lazy("partly captured")),
    (HoldState.RELEASED.value, gettext_lazy("released")),
    (HoldState.EXPIRED.value, gettext_lazy("expired")),
]


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


class Seal(SealBlock):
    """Of the ledger."""

    class Meta(SealBlock.Meta):
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "number"], name="seal_number_once")]


class AuditStep(models.Model):
    """One question of a named audit that was asked, so that the audit can go on where it stopped."""

    run = models.CharField(max_length=60)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False)
    step = models.CharField(max_length=60)
    violations = models.BigIntegerField()
    rows = models.JSONField(default=list)
    asked_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "run", "step"], name="audit_step_once")]

    def __str__(self) -> str:
        return f"{self.run}: {self.step}"


class SealBound(SealLimit):
    """Of the ledger."""


def held_since(hold: Hold, *, now: datetime) -> int:
    """Whole days that a hold has been open."""
    return max(0, (now - hold.at).days)
