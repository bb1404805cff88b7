"""A bulk job, the customers it froze, and those of them of whom something is to be told."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy
from django_scopes import ScopedManager

from loyalty.models import Bonus, Customer
from tenants.actors import Actor, ActorKind
from tenants.fields import TenantForeignKey
from tenants.models import Tenant


class JobType(models.TextChoices):
    """What a job does. To set is not to add: nothing is inferred (CASES 88)."""

    ADJUST = "adjust", gettext_lazy("add or remove points")
    SET = "set", gettext_lazy("set the balance")
    RESET = "reset", gettext_lazy("reset to zero")
    AWARD = "award", gettext_lazy("award a bonus")
    RELEASE_HOLDS = "release_holds", gettext_lazy("free blocked points")
    EXPIRE = "expire", gettext_lazy("let points expire now")
    EXTEND = "extend", gettext_lazy("extend the expiry")
    UNDO = "undo", gettext_lazy("undo of a job")


class JobState(models.TextChoices):
    READING = "reading", gettext_lazy("the file is being read")
    PREVIEW = "preview", gettext_lazy("preview, nothing is done")
    WAITING = "waiting", gettext_lazy("waits for a second person")
    RUNNING = "running", gettext_lazy("running")
    PAUSED = "paused", gettext_lazy("paused")
    DONE = "done", gettext_lazy("done")
    CANCELLED = "cancelled", gettext_lazy("cancelled")
    REFUSED = "refused", gettext_lazy("refused")


TRANSITIONS: dict[JobState, set[JobState]] = {
    JobState.READING: {JobState.PREVIEW, JobState.REFUSED, JobState.CANCELLED},
    JobState.PREVIEW: {JobState.WAITING, JobState.RUNNING, JobState.CANCELLED},
    JobState.WAITING: {JobState.RUNNING, JobState.REFUSED, JobState.CANCELLED},
    JobState.RUNNING: {JobState.PAUSED, JobState.DONE, JobState.CANCELLED},
    JobState.PAUSED: {JobState.RUNNING, JobState.CANCELLED},
    JobState.DONE: set(),
    JobState.CANCELLED: set(),
    JobState.REFUSED: set(),
}
#: Nothing more happens to these by themselves.
ENDED = (JobState.DONE, JobState.CANCELLED, JobState.REFUSED)


class Spent(models.TextChoices):
    """What an undo does where the points were spent meanwhile (CASES 87)."""

    LEAVE = "leave", gettext_lazy("leave it as it is, and list it")
    TAKE = "take", gettext_lazy("take what is there")
    DEBT = "debt", gettext_lazy("take it and let the rest be owed")


class BulkJob(models.Model):
    """One act on many customers, from its preview to its undo."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    type = models.CharField(max_length=16, choices=JobType.choices)
    state = models.CharField(max_length=12, choices=JobState.choices, default=JobState.PREVIEW)
    select = models.JSONField(help_text=gettext_lazy("Whom it is about: a filter, all, or how a list came."))
    points = models.BigIntegerField(null=True, help_text=gettext_lazy("For each customer; null where each row has its own."))
    bonus = TenantForeignKey(Bonus, null=True, related_name="jobs")
    until = models.DateField(
        null=True, help_text=gettext_lazy("The new expiry date, or which points expire: those that would until this day.")
    )
    allow_debt = models.BooleanField(default=False)
    clear_debt = models.BooleanField(default=False)
    dry_run = models.BooleanField(
        default=False, help_text=gettext_lazy("Everything is worked out, and nothing is written to the ledger.")
    )
    notify = models.BooleanField(default=False, help_text=gettext_lazy("Customers are told of points that they were given."))
    of_job = TenantForeignKey("self", null=True, related_name="undone_by")
    spent = models.CharField(max_length=8, blank=True, choices=Spent.choices)
    reason = models.CharField(max_length=500, blank=True)
    phrase = models.CharField(max_length=300, blank=True, help_text=gettext_lazy("What has to be typed before it runs."))
    key = models.CharField(
        max_length=300, db_collation="C", help_text=gettext_lazy("Of the form or request that made it: twice is once.")
    )
    fingerprint = models.BigIntegerField()
    file_name = models.CharField(max_length=200, blank=True)
    file_hash = models.CharField(max_length=64, blank=True)
    body = models.BinaryField(default=b"", help_text=gettext_lazy("The file, until it is read."))
    last_line = models.IntegerField(default=0, help_text=gettext_lazy("Of the file, so far as it is read."))
    lines_refused = models.IntegerField(default=0, help_text=gettext_lazy("Of the file or list: about no customer."))
    chosen = models.IntegerField(default=0, help_text=gettext_lazy("Customers it is about."))
    count = models.IntegerField(default=0, help_text=gettext_lazy("Of these, those whom it would change, as the preview says."))
    sum = models.BigIntegerField(default=0, help_text=gettext_lazy("The points that it would move, as the preview says."))
    preview = models.JSONField(
        default=dict, help_text=gettext_lazy("Skips by reason, the largest, a sample, warnings; customers by id.")
    )
    because = models.CharField(max_length=300, blank=True, help_text=gettext_lazy("Why it needs a second person."))
    rows_per_second = models.IntegerField(
        default=0, validators=[MinValueValidator(0)], help_text=gettext_lazy("0: as fast as it goes.")
    )
    asked_by = models.CharField(max_length=254)
    asked_by_kind = models.CharField(max_length=8)
    asked_by_id = models.BigIntegerField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=254, blank=True)
    decided_by_kind = models.CharField(max_length=8, blank=True)
    decided_by_id = models.BigIntegerField(null=True)
    decided_at = models.DateTimeField(null=True)
    run_by = models.CharField(
        max_length=254, blank=True, help_text=gettext_lazy("In whose name it runs: who confirmed, or resumed it.")
    )
    run_by_kind = models.CharField(max_length=8, blank=True)
    run_by_id = models.BigIntegerField(null=True)
    message = models.CharField(
        max_length=500, blank=True, help_text=gettext_lazy("Why it stopped, was refused, or what went wrong.")
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    going_since = models.DateTimeField(null=True, help_text=gettext_lazy("The last start or resume; the rate is told from here."))
    done_before = models.IntegerField(default=0, help_text=gettext_lazy("Customers settled before that."))
    finished_at = models.DateTimeField(null=True)
    mailed_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = gettext_lazy("bulk job")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "id"], name="bulk_job_wall"),
            models.UniqueConstraint(fields=["tenant", "key"], name="bulk_job_once_a_key"),
            models.UniqueConstraint(
                fields=["tenant", "of_job"],
                condition=models.Q(type="undo", dry_run=False) & ~models.Q(state__in=["preview", "cancelled", "refused"]),
                name="bulk_job_undone_once",
            ),
            models.CheckConstraint(condition=models.Q(state__in=JobState.values), name="bulk_job_state_known"),
            models.CheckConstraint(
                condition=models.Q(decided_by="")
                | ~models.Q(decided_by_kind=models.F("asked_by_kind"), decided_by_id=models.F("asked_by_id")),
                name="bulk_job_by_two_people",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "-id"], name="bulk_job_of_tenant"),
            models.Index(fields=["tenant", "file_hash"], condition=~models.Q(file_hash=""), name="bulk_job_of_file"),
            models.Index(
                fields=["id"], condition=models.Q(state__in=["reading", "preview", "waiting", "running"]), name="bulk_job_at_work"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_type_display()} ({self.pk})"

    @property
    def asker(self) -> Actor:
        return Actor(ActorKind(self.asked_by_kind), self.asked_by_id, self.asked_by)

    @property
    def runner(self) -> Actor:
        return Actor(ActorKind(self.run_by_kind), self.run_by_id, self.run_by)

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED


class JobBlock(models.Model):
    """Some thousand customers of a job, as they were when they were frozen, and what became of each.

    Arrays go together by place: customer `customers[i]` had `versions[i]` entries and `available[i]` points, and got `operations[i]` (0: nothing
    was posted), which moved `moved[i]` points. The first `settled` of them have an outcome. A row a customer would cost as much as the entry.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    job = TenantForeignKey(BulkJob, related_name="blocks")
    number = models.IntegerField(help_text=gettext_lazy("Below 0: lines of a file that is still being read."))
    customers = ArrayField(models.BigIntegerField())
    versions = ArrayField(models.BigIntegerField(), default=list)
    available = ArrayField(models.BigIntegerField(), default=list)
    owed = ArrayField(models.BigIntegerField(), default=list)
    points = ArrayField(models.BigIntegerField(), default=list, help_text=gettext_lazy("Of each customer; empty: the job's."))
    reasons = ArrayField(
        models.CharField(max_length=500), default=list, help_text=gettext_lazy("Of each customer; empty: the job's alone.")
    )
    lines = ArrayField(models.IntegerField(), default=list, help_text=gettext_lazy("Of the file."))
    undoes = ArrayField(
        models.BigIntegerField(), default=list, help_text=gettext_lazy("Of an undo: the operation that is undone.")
    )
    size = models.IntegerField()
    settled = models.IntegerField(default=0)
    operations = ArrayField(models.BigIntegerField(), default=list)
    moved = ArrayField(models.BigIntegerField(), default=list)
    done = models.IntegerField(default=0)
    skipped = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    changed = models.IntegerField(default=0, help_text=gettext_lazy("Done, though the balance had changed since it was frozen."))
    sum = models.BigIntegerField(default=0)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "job", "number"], name="job_block_once"),
            models.CheckConstraint(
                condition=models.Q(settled=models.F("done") + models.F("skipped") + models.F("failed"))
                & models.Q(settled__lte=models.F("size")),
                name="job_block_adds_up",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.job_id}/{self.number}"


class Outcome(models.TextChoices):
    REFUSED = "refused", gettext_lazy("not read")
    SKIPPED = "skipped", gettext_lazy("skipped")
    FAILED = "failed", gettext_lazy("failed")
    CHANGED = "changed", gettext_lazy("done, changed since the preview")
    SHORT = "short", gettext_lazy("done in part")


class JobRow(models.Model):
    """A customer, or a line of a file, of whom more is to be told than that it is done."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    job = TenantForeignKey(BulkJob, related_name="rows")
    customer = TenantForeignKey(Customer, null=True, related_name="job_rows")
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    code = models.CharField(max_length=40)
    sentence = models.CharField(max_length=500)
    points = models.BigIntegerField(null=True)
    line = models.IntegerField(null=True)
    mobile = models.CharField(
        max_length=16, blank=True, db_collation="C", help_text=gettext_lazy("Of a refused line, where it can be read.")
    )
    given = models.JSONField(default=dict, help_text=gettext_lazy("The cells of a refused line, to be mended and sent again."))

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "job", "id"], name="job_row_of_job"),
            models.Index(fields=["tenant", "customer"], condition=models.Q(customer__isnull=False), name="job_row_of_customer"),
            models.Index(fields=["tenant", "mobile"], condition=~models.Q(mobile=""), name="job_row_of_mobile"),
        ]

    def __str__(self) -> str:
        return self.sentence[:60]


class BulkSettings(models.Model):
    """What a brand lets one person do alone, and how fast jobs go."""

    tenant = models.OneToOneField(Tenant, on_delete=models.PROTECT)
    customers_alone = models.IntegerField(
        gettext_lazy("customers at a time"), null=True, blank=True, validators=[MinValueValidator(0)],
        help_text=gettext_lazy("More need a second person. Empty: no limit. 0: always."),
    )  # fmt: skip
    points_alone = models.BigIntegerField(
        gettext_lazy("points at a time"), null=True, blank=True, validators=[MinValueValidator(0)],
        help_text=gettext_lazy("Given and taken together. More need a second person. Empty: no limit. 0: always."),
    )  # fmt: skip
    rows_per_second = models.IntegerField(
        gettext_lazy("customers a second"), default=0, validators=[MinValueValidator(0)],
        help_text=gettext_lazy("How fast jobs go at most. 0: as fast as they can."),
    )  # fmt: skip

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        verbose_name = verbose_name_plural = gettext_lazy("bulk job settings")

    def __str__(self) -> str:
        return str(self.tenant)
