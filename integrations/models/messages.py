"""What customers are told, and how."""

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy
from django_scopes import ScopedManager

from loyalty.models import Customer
from tenants.fields import TenantForeignKey
from tenants.models import Tenant
from tenants.saying import said


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
