"""Whose data it is, who may act on it, and what they did."""

import secrets
import zoneinfo
from datetime import date, datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import phonenumbers
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy
from django_scopes import ScopedManager

from tenants.actors import Actor, ActorKind
from tenants.fields import TenantForeignKey
from tenants.saying import said

CODE = RegexValidator(
    r"\A[A-Za-z0-9._:-]{1,64}\Z", gettext_lazy("Use 1 to 64 letters, digits, dots, colons, dashes or underscores.")
)
SLUG = RegexValidator(
    r"\A[a-z0-9][a-z0-9-]{0,62}\Z", gettext_lazy("Use lower-case letters, digits and dashes; begin with a letter or digit.")
)

#: Days. Returns, corrections and claims read messages; shorter would be felt every day.
MESSAGES_KEPT_MIN, MESSAGES_KEPT_MAX = 90, 36_500
ACTOR_KINDS = [
    (ActorKind.PERSON.value, gettext_lazy("person")),
    (ActorKind.KEY.value, gettext_lazy("key")),
    (ActorKind.JOB.value, gettext_lazy("job")),
    (ActorKind.SYSTEM.value, gettext_lazy("system")),
]


#: PostgreSQL takes these for abbreviations of a fixed offset, and other engines for places with a summer time.
NO_PLACES = frozenset({"CET", "EET", "MET", "WET"})


def validate_timezone(name: str) -> None:
    if name in NO_PLACES:
        raise ValidationError(
            said("{name!r} means a fixed offset to the database. Use a place, such as Europe/Paris.", name=name)
        )
    if name not in zoneinfo.available_timezones():
        raise ValidationError(said("{name!r} is not a time zone. Use a name such as Asia/Kolkata.", name=name))


def validate_region(code: str) -> None:
    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise ValidationError(said("{code!r} is not a country of mobile numbers. Use a code such as IN or US.", code=code))


class BillScope(models.TextChoices):
    STORE = "store", gettext_lazy("a bill number is unique in its store")
    TILL = "till", gettext_lazy("a bill number is unique at its till")


class BillPeriod(models.TextChoices):
    INDIAN_YEAR = "indian_year", gettext_lazy("April to March")
    CALENDAR_YEAR = "calendar_year", gettext_lazy("January to December")
    NONE = "none", gettext_lazy("never reused")


class RedemptionMode(models.TextChoices):
    PAYMENT = "payment", gettext_lazy("points pay like a tender")
    DISCOUNT = "discount", gettext_lazy("points are a discount on each item")


class Tenant(models.Model):
    """A retail brand. Its balance and negative-balance policy are here; how points are earned is its programme's."""

    slug = models.CharField(max_length=63, unique=True, validators=[SLUG])
    name = models.CharField(max_length=120)
    business_id = models.CharField(max_length=64, unique=True, validators=[CODE])
    timezone = models.CharField(max_length=64, validators=[validate_timezone])
    currency = models.CharField(max_length=3)
    region = models.CharField(
        max_length=2,
        validators=[validate_region],
        help_text=gettext_lazy("Country of mobile numbers written without a country code."),
    )
    negative_allowed = models.BooleanField(default=False)
    date_window_days = models.PositiveIntegerField(default=400, help_text=gettext_lazy("0 accepts bills of any age."))
    bill_scope = models.CharField(max_length=8, choices=BillScope.choices, default=BillScope.STORE)
    bill_period = models.CharField(max_length=16, choices=BillPeriod.choices, default=BillPeriod.INDIAN_YEAR)
    default_mode = models.CharField(
        max_length=8, choices=RedemptionMode.choices, default=RedemptionMode.PAYMENT, help_text=gettext_lazy("Of new stores.")
    )
    require_hold = models.BooleanField(default=False)
    auto_stores = models.BooleanField(default=False)
    lenient_numbers = models.BooleanField(
        default=False,
        help_text=gettext_lazy("Read 1,23,456.50 and empty amounts on bills; each such reading is flagged on the bill."),
    )
    signatures_required = models.BooleanField(
        default=False, help_text=gettext_lazy("Deliveries of bills must be signed (Standard Webhooks).")
    )
    claim_days = models.PositiveIntegerField(
        default=30, help_text=gettext_lazy("How long a walk-in bill can be claimed by a customer.")
    )
    bonus_reevaluated = models.BooleanField(
        default=True,
        help_text=gettext_lazy(
            "After a return a bonus is judged again on what is kept: all of it stays, or none. Off: taken back in proportion."
        ),
    )
    agents_need_second_factor = models.BooleanField(
        default=False, db_default=False, help_text=gettext_lazy("Agents sign in with a second factor, as everybody else does.")
    )
    audit_email = models.EmailField(
        blank=True,
        db_default="",
        help_text=gettext_lazy(
            "Once a day the heads of the chains go there: whoever keeps them can tell a past that was rewritten."
        ),
    )
    messages_kept_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(MESSAGES_KEPT_MIN), MaxValueValidator(MESSAGES_KEPT_MAX)],
        help_text=gettext_lazy(
            "How many days the messages of bills are kept as they were sent, once they are settled. Empty: for ever."
        ),
    )
    messages_gone_until = models.DateTimeField(
        null=True, editable=False, help_text=gettext_lazy("What was settled before has been gone through.")
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


class Store(models.Model):
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    code = models.CharField(max_length=64, validators=[CODE])
    name = models.CharField(max_length=120, blank=True)
    timezone = models.CharField(
        max_length=64, blank=True, validators=[validate_timezone], help_text=gettext_lazy("Empty: the tenant's.")
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["code"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "code"], name="store_code_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="store_wall"),
        ]

    def __str__(self) -> str:
        return self.name or self.code

    def timezone_or(self, tenant: Tenant) -> ZoneInfo:
        """The store's own zone, else its tenant's."""
        return ZoneInfo(self.timezone) if self.timezone else tenant.zone


class StoreMode(models.Model):
    """From this date on, this store's bills show points as a payment or as a discount."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    store = TenantForeignKey(Store, related_name="modes")
    mode = models.CharField(max_length=8, choices=RedemptionMode.choices)
    effective_from = models.DateField(default=date(2000, 1, 1))

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["effective_from"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "store", "effective_from"], name="one_mode_a_day"),
        ]

    def __str__(self) -> str:
        return said("{mode} from {day}", mode=self.mode, day=self.effective_from)


class StoreAlias(models.Model):
    """Another code under which a POS sends this store's bills."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    code = models.CharField(max_length=64, validators=[CODE])
    store = TenantForeignKey(Store, related_name="aliases")

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        verbose_name_plural = gettext_lazy("store aliases")
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "code"], name="alias_code_once")]

    def __str__(self) -> str:
        return self.code


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())


#: Django's own, so that sessions of before this existed stay good.
SESSION_SALT = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in by e-mail. What they may do is in their memberships; a superuser is the platform admin."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    is_staff = models.BooleanField(default=True)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(auto_now_add=True)
    factors_changed = models.PositiveIntegerField(
        default=0, db_default=0, editable=False, help_text=gettext_lazy("How often; sessions of before are no longer good.")
    )

    must_change_password = models.BooleanField(
        default=False,
        db_default=False,
        help_text=gettext_lazy("Somebody else made it: they choose their own before anything else."),
    )

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return str(self)

    def get_full_name(self) -> str:
        return str(self)

    def as_actor(self) -> Actor:
        return Actor(ActorKind.PERSON, self.pk, str(self))

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Sessions end when the password changes, when a second factor is added or taken away, and when the person is deactivated (by the
        database, in migration 0010) or leaves the last brand they work for."""
        what = f"{self.password} {self.factors_changed}" if self.factors_changed else self.password
        return salted_hmac(SESSION_SALT, what, secret=secret, algorithm="sha256").hexdigest()


class Role(models.TextChoices):
    AGENT = "agent", gettext_lazy("agent")
    MERCHANT = "merchant", gettext_lazy("merchant")
    INTEGRATOR = "integrator", gettext_lazy("integrator")
    AUDITOR = "auditor", gettext_lazy("auditor")
    ADMIN = "admin", gettext_lazy("tenant admin")


class Membership(models.Model):
    """This user works for this tenant in this role."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role.choices)
    mobile = models.CharField(
        max_length=16, blank=True, db_default="", db_collation="C",
        help_text=gettext_lazy(
            "Their own number as a customer: nobody gives points to themselves, and to a colleague only with a second person."
        ),
    )  # fmt: skip
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "user"], name="one_role_a_tenant")]

    def __str__(self) -> str:
        return f"{self.user}: {self.role}"


class Scope(models.TextChoices):
    POS = "pos", gettext_lazy("send bills, place and release holds")
    ERP = "erp", gettext_lazy("send orders")
    CRM = "crm", gettext_lazy("send balances")
    SUPPORT = "support", gettext_lazy("issue and adjust points")
    SUPPORT_DEBT = "support:debt", gettext_lazy("clear debt")
    READ = "read", gettext_lazy("read balances, entries and deliveries")


class ApiKey(models.Model):
    """A key of one tenant. Only its hash is kept; `prefix` finds the row."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT)
    name = models.CharField(max_length=120)
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    scopes = ArrayField(models.CharField(max_length=16, choices=Scope.choices))
    created_at = models.DateTimeField(auto_now_add=True)
    calls_a_minute = models.PositiveIntegerField(default=6000, help_text=gettext_lazy("More are answered 429."))
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        verbose_name = gettext_lazy("API key")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def usable(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def as_actor(self) -> Actor:
        return Actor(ActorKind.KEY, self.pk, self.name)


class SigningSecret(models.Model):
    """What a tenant's POS signs its deliveries with. Kept as it is: a signature is checked with the secret itself."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="signing_secrets")
    secret = models.CharField(max_length=80, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    def __str__(self) -> str:
        return said("secret of {at}", at=f"{self.created_at:%Y-%m-%d %H:%M}")


class AuditEvent(models.Model):
    """What was done, by whom, to whom, why and from where. Written in the transaction of the change, never changed. The database keeps one
    column more: `xid`, the transaction."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    at = models.DateTimeField(auto_now_add=True)
    actor_kind = models.CharField(max_length=8, choices=ACTOR_KINDS)
    actor_id = models.BigIntegerField(null=True)
    actor_name = models.CharField(max_length=254)
    action = models.CharField(max_length=64)
    object_type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=64)
    reason = models.CharField(max_length=500, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    address = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=64, blank=True)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "-id"], name="audit_newest"),
            models.Index(fields=["tenant", "object_type", "object_id"], name="audit_of_object"),
            models.Index(fields=["tenant", "at"], name="audit_of_time"),
            models.Index(fields=["tenant", "actor_id", "at"], name="audit_of_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"


class SealBlock(models.Model):
    """A block of a tamper-evidence chain: one tenant's rows up to an id, each with its hash, bound to the block before."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False)
    number = models.PositiveIntegerField()
    content = models.PositiveSmallIntegerField(default=1, help_text=gettext_lazy("Which of its chain's `hashes` they are of."))
    after_id = models.BigIntegerField(help_text=gettext_lazy("Rows with a greater id,"))
    up_to_id = models.BigIntegerField(help_text=gettext_lazy("up to this one."))
    row_ids = ArrayField(models.BigIntegerField())
    hashes = models.BinaryField(help_text=gettext_lazy("16 bytes a row, in the order of row_ids."))
    digest = models.BinaryField(help_text=gettext_lazy("SHA-256 over the digest before, the ids and the hashes."))
    sealed_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[Any] = ScopedManager(tenant="tenant")

    class Meta:
        abstract = True
        ordering: ClassVar = ["tenant", "number"]

    def __str__(self) -> str:
        return said("block {number}", number=self.number)


class SealLimit(models.Model):
    """Ids up to here were taken when it was noted; once every transaction of that moment has ended, they can be sealed."""

    up_to_id = models.BigIntegerField()
    system = models.CharField(
        max_length=40, help_text=gettext_lazy("The database cluster's identifier: after a restore another one.")
    )
    transaction = models.CharField(max_length=24, help_text=gettext_lazy("Transactions from this one on began later."))
    noted_at = models.DateTimeField()

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return said("up to {row}", row=self.up_to_id)


class AuditSeal(SealBlock):
    """Of the audit trail."""

    class Meta(SealBlock.Meta):
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "number"], name="audit_seal_number_once")]


class AuditSealBound(SealLimit):
    """Of the audit trail."""


class ScheduledRun(models.Model):
    """One run of a job of the timetable. Runs of a job that had nothing to do share a row (`idle_runs`)."""

    job = models.CharField(max_length=64)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    done = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    idle_runs = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    process = models.CharField(max_length=120)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["job", "-id"], name="run_newest_of_job")]

    def __str__(self) -> str:
        return said("{job} at {at}", job=self.job, at=f"{self.started_at:%Y-%m-%d %H:%M:%S}")

    @property
    def took_seconds(self) -> float | None:
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None


class Heartbeat(models.Model):
    """A worker that lives writes here; "the process is up" proves nothing."""

    process = models.CharField(max_length=120, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.process


def new_key_parts() -> tuple[str, str]:
    """-> (prefix, secret) of a fresh API key; the whole key is `pd_<prefix>_<secret>`."""
    alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
    return "".join(secrets.choice(alphabet) for _ in range(10)), secrets.token_urlsafe(32)
