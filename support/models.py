"""What the desk keeps: limits and requests for a second person, cases and notes, contacts, saved views."""

from typing import Any, ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_scopes import ScopedManager

from integrations.models import Incident
from loyalty.models import Customer
from support.bulk.models import BulkJob as BulkJob
from support.bulk.models import BulkSettings as BulkSettings
from support.bulk.models import JobBlock as JobBlock
from support.bulk.models import JobRow as JobRow
from support.diagnosis import OWNERS
from tenants.fields import TenantForeignKey
from tenants.masking import hide_numbers
from tenants.models import Role, Tenant, User

TOPICS = [(each.value, words) for each, words in OWNERS.items()]


class PointsLimit(models.Model):
    """How many points somebody of a role gives or takes by hand, alone. Above it a second person approves."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    role = models.CharField(max_length=12, choices=Role.choices)
    an_act = models.BigIntegerField(
        gettext_lazy("points at a time"), null=True, blank=True, validators=[MinValueValidator(0)],
        help_text=gettext_lazy("Empty: no limit. 0: always a second person."),
    )  # fmt: skip
    a_day = models.BigIntegerField(
        gettext_lazy("points a day"), null=True, blank=True, validators=[MinValueValidator(0)],
        help_text=gettext_lazy("Of one person, given and taken together."),
    )  # fmt: skip

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["role"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "role"], name="one_limit_a_role")]

    def __str__(self) -> str:
        return _("limit of the {role}").format(role=self.get_role_display())


class DayOfWork(models.Model):
    """How many points a person has given and taken by hand on a day. Its row is locked by each such act: two at once cannot both be the last."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    day = models.DateField()
    points = models.BigIntegerField(default=0)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "user", "day"], name="one_row_a_day_of_work")]

    def __str__(self) -> str:
        return _("{who} on {day}: {points}").format(who=self.user, day=self.day, points=self.points)


class Outcome(models.TextChoices):
    MADE_GOOD = "made_good", gettext_lazy("made good here")
    EXPLAINED = "explained", gettext_lazy("explained, nothing was wrong")
    HANDED_OVER = "handed_over", gettext_lazy("handed over to somebody else")
    GOODWILL = "goodwill", gettext_lazy("points as a gesture")
    NOT_FOUND = "not_found", gettext_lazy("no cause found")


class Case(models.Model):
    """A customer's complaint, from the first call to its outcome."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    customer = TenantForeignKey(Customer, related_name="cases")
    title = models.CharField(max_length=120)
    topic = models.CharField(max_length=12, blank=True, choices=TOPICS)
    incident = TenantForeignKey(Incident, null=True, blank=True, related_name="cases")
    key = models.CharField(
        max_length=300, db_collation="C", help_text=gettext_lazy("Of the form that opened it: pressing twice opens one.")
    )
    opened_by = models.CharField(max_length=254)
    opened_by_ident = models.CharField(max_length=32)
    opened_at = models.DateTimeField(db_default=Now(), editable=False)
    closed_by = models.CharField(max_length=254, blank=True)
    closed_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=12, blank=True, choices=Outcome.choices)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "id"], name="case_wall"),
            models.UniqueConstraint(fields=["tenant", "key"], name="case_once_a_key"),
            models.CheckConstraint(
                condition=models.Q(closed_at=None, outcome="") | (models.Q(closed_at__isnull=False) & ~models.Q(outcome="")),
                name="case_closed_with_outcome",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "customer", "-id"], name="case_of_customer"),
            models.Index(fields=["tenant", "-id"], condition=models.Q(closed_at=None), name="case_open"),
        ]

    def __str__(self) -> str:
        return hide_numbers(self.title)


class RequestState(models.TextChoices):
    ASKED = "asked", gettext_lazy("waits for a second person")
    APPROVED = "approved", gettext_lazy("approved, not done")
    DONE = "done", gettext_lazy("approved and done")
    REFUSED = "refused", gettext_lazy("refused")
    WITHDRAWN = "withdrawn", gettext_lazy("withdrawn")


#: Somebody still has to do something about these.
OPEN_REQUESTS = (RequestState.ASKED, RequestState.APPROVED)
#: Approved is not done: what was approved is looked at again when it is done (CASES 81).
TRANSITIONS: dict[RequestState, set[RequestState]] = {
    RequestState.ASKED: {RequestState.APPROVED, RequestState.REFUSED, RequestState.WITHDRAWN},
    RequestState.APPROVED: {RequestState.DONE, RequestState.WITHDRAWN},
    RequestState.DONE: set(),
    RequestState.REFUSED: set(),
    RequestState.WITHDRAWN: set(),
}


class ApprovalRequest(models.Model):
    """An act that somebody may not do alone: one person asks, another decides, and then it is done as it was asked."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    customer = TenantForeignKey(Customer, related_name="requests")
    verb = models.CharField(max_length=24)
    content = models.JSONField(help_text=gettext_lazy("What is to be done, as the verb takes it."))
    words = models.CharField(max_length=300, help_text=gettext_lazy("The same for people."))
    because = models.CharField(max_length=300, help_text=gettext_lazy("Why it needs a second person."))
    points = models.BigIntegerField(default=0)
    before = models.JSONField(help_text=gettext_lazy("The balance when it was asked."))
    reason = models.CharField(max_length=500)
    key = models.CharField(max_length=300, db_collation="C")
    state = models.CharField(max_length=12, choices=RequestState.choices, default=RequestState.ASKED)
    asked_by = models.CharField(max_length=254)
    asked_by_ident = models.CharField(max_length=32)
    asked_by_user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", db_index=False)
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    decided_by = models.CharField(max_length=254, blank=True)
    decided_by_ident = models.CharField(max_length=32, blank=True)
    decided_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=500, blank=True, help_text=gettext_lazy("Why it was decided so."))
    failure = models.CharField(max_length=500, blank=True, help_text=gettext_lazy("Why it could not be done, though approved."))
    case = TenantForeignKey(Case, null=True, related_name="requests")
    operation = models.BigIntegerField(null=True)
    done_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = gettext_lazy("request")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "key"], name="request_once_a_key"),
            models.CheckConstraint(condition=models.Q(state__in=RequestState.values), name="request_state_known"),
            models.CheckConstraint(
                condition=models.Q(state__in=["asked", "withdrawn"])
                | (~models.Q(decided_by_ident="") & ~models.Q(decided_by_ident=models.F("asked_by_ident"))),
                name="request_by_two_people",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "-id"], condition=models.Q(state__in=["asked", "approved"]), name="request_waiting"),
            models.Index(fields=["tenant", "customer", "-id"], name="request_of_customer"),
            models.Index(
                fields=["tenant", "operation"], condition=models.Q(operation__isnull=False), name="request_of_operation"
            ),
        ]

    def __str__(self) -> str:
        return self.words


class NoteKind(models.TextChoices):
    NOTE = "note", gettext_lazy("note")
    OPENED = "opened", gettext_lazy("case opened")
    LINKED = "linked", gettext_lazy("linked")
    CLOSED = "closed", gettext_lazy("case closed")
    REOPENED = "reopened", gettext_lazy("case opened again")


class Note(models.Model):
    """What somebody wrote about a customer or a case. Added to, never changed."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    customer = TenantForeignKey(Customer, related_name="notes")
    case = TenantForeignKey(Case, null=True, related_name="notes")
    kind = models.CharField(max_length=8, choices=NoteKind.choices, default=NoteKind.NOTE)
    text = models.CharField(max_length=2000)
    #: What it points at: an entry, a bill, a redemption, a message, an incident.
    link_kind = models.CharField(max_length=16, blank=True)
    link_id = models.BigIntegerField(null=True)
    link_name = models.CharField(max_length=120, blank=True)
    author = models.CharField(max_length=254)
    author_ident = models.CharField(max_length=32)
    #: Where what it links to is looked at; a page sets it.
    address = ""
    at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "customer", "-id"], name="note_of_customer"),
            models.Index(fields=["tenant", "case", "-id"], condition=models.Q(case__isnull=False), name="note_of_case"),
        ]

    def __str__(self) -> str:
        return self.text[:60]


class TopicContact(models.Model):
    """Whom an agent turns to about a topic: who keeps the POS, the CRM, the dashboards, the campaigns."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    topic = models.CharField(max_length=12, choices=TOPICS)
    name = models.CharField(max_length=120)
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=40, blank=True)
    hint = models.CharField(gettext_lazy("when and how"), max_length=200, blank=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["topic"]
        verbose_name = gettext_lazy("contact")
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "topic"], name="one_contact_a_topic")]

    def __str__(self) -> str:
        return ", ".join(part for part in (self.name, self.email, self.phone, self.hint) if part)


class Erasure(models.Model):
    """A customer who is to be forgotten. Their row is masked at once; everything else that named them, by the worker."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    customer = TenantForeignKey(Customer, related_name="erasures")
    #: Whose number, name and address are looked for; emptied when all is masked.
    sought = models.JSONField(default=dict)
    reason = models.CharField(max_length=500)
    asked_by = models.CharField(max_length=254)
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)
    masked = models.JSONField(default=dict, help_text=gettext_lazy("How many rows of which kind."))

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "customer"], name="erased_once")]

    def __str__(self) -> str:
        return f"customer {self.customer_id}"


class SavedView(models.Model):
    """A filter of the activity log, or of bulk jobs, under a name: for oneself, or for everybody of the brand."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", db_index=False)
    page = models.CharField(
        max_length=16, default="activity", help_text=gettext_lazy("Whose filters they are: the activity log's, or bulk jobs'.")
    )
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000)
    for_all = models.BooleanField(gettext_lazy("for everybody"), default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "owner", "page", "name"], name="saved_view_once_a_page")
        ]

    def __str__(self) -> str:
        return self.name


class Measurement(models.Model):
    """What the worker counted last over the whole house: one row, of no brand. Numbers only."""

    at = models.DateTimeField()
    figures = models.JSONField()

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"


class Alarm(models.Model):
    """A trouble of a brand that goes on, or went on, and how often its contact was told. One is open for a code at a time."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    code = models.CharField(max_length=16)
    since = models.DateTimeField()
    count = models.BigIntegerField(default=0, help_text=gettext_lazy("How many it concerns."))
    told_at = models.DateTimeField(null=True)
    times_told = models.PositiveIntegerField(default=0)
    quiet_since = models.DateTimeField(null=True, help_text=gettext_lazy("Since when it seems to be over."))
    ended_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "code"], condition=models.Q(ended_at=None), name="one_open_alarm_a_code"),
        ]

    def __str__(self) -> str:
        return self.code
