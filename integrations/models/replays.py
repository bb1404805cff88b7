"""Deliveries processed anew, and files of rows."""

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy
from django_scopes import ScopedManager

from integrations.models.bills import Delivery, DeliveryState
from tenants.fields import TenantForeignKey
from tenants.models import Tenant
from tenants.saying import said


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
    left_out = models.PositiveIntegerField(
        default=0, db_default=0, help_text=gettext_lazy("Booked bills that fit, whose messages are kept no more.")
    )
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
