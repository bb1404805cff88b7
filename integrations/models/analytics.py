"""How far ClickHouse has come, and whether it agrees."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy
from django_scopes import ScopedManager

from loyalty.models import Customer
from tenants.fields import TenantForeignKey
from tenants.models import Tenant
from tenants.saying import said


class RunState(models.TextChoices):
    """Of what a worker does: a reconciliation, a resync."""

    WAITING = "waiting", gettext_lazy("waiting")
    RUNNING = "running", gettext_lazy("running")
    DONE = "done", gettext_lazy("done")
    FAILED = "failed", gettext_lazy("failed")


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
