"""What somebody may not do alone: more points than their role's limit, at a time or a day, and anything to a colleague's number."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Model, Sum
from django.utils.translation import gettext as _

from loyalty import customers
from loyalty.models import Customer, Entry
from support.models import DayOfWork, PointsLimit
from tenants import access as gate
from tenants import audit
from tenants.access import Access, Act
from tenants.errors import DomainError, NotAllowed
from tenants.models import Membership, Tenant, User


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many points a person may still give or take alone; None: as many as they like."""

    an_act: int | None
    a_day: int | None
    used: int

    @property
    def left(self) -> int | None:
        """Today."""
        return None if self.a_day is None else max(0, self.a_day - self.used)

    @property
    def most(self) -> int | None:
        """With the next act."""
        return min((each for each in (self.an_act, self.left) if each is not None), default=None)

    def above(self, points: int) -> str:
        """Why so many need a second person; empty: they do not."""
        if self.an_act is not None and points > self.an_act:
            told = _("{points:,} points at a time are above the limit of {limit:,}.")
            return told.format(points=points, limit=self.an_act)
        if self.left is not None and points > self.left:
            told = _("{points:,} points are more than the {left:,} that are left of today's {limit:,}.")
            return told.format(points=points, left=self.left, limit=self.a_day)
        return ""


def allowance(access: Access, *, now: datetime, lock: bool = False) -> Allowance:
    """Of the person whose request it is. `lock`: nobody else counts for them until the transaction ends."""
    tenant = access.tenant
    day = now.astimezone(tenant.zone).date()
    rows = DayOfWork.objects.filter(tenant=tenant, user=access.actor.id, day=day)
    if lock:
        DayOfWork.objects.bulk_create([DayOfWork(tenant=tenant, user_id=access.actor.id or 0, day=day)], ignore_conflicts=True)
        rows = rows.select_for_update(no_key=True)
    used = next(iter(rows.values_list("points", flat=True)), 0)
    limit = PointsLimit.objects.filter(tenant=tenant, role=access.role_key).first()
    return Allowance(limit.an_act if limit else None, limit.a_day if limit else None, used)


def count(access: Access, points: int, *, now: datetime) -> None:
    """Add to what the person has given and taken today. Its row is locked by `allowance` before."""
    day = now.astimezone(access.tenant.zone).date()
    row = DayOfWork.objects.get(tenant=access.tenant, user=access.actor.id, day=day)
    row.points += points
    row.save(update_fields=["points"])


def above_own(because: str) -> NotAllowed:
    """Whoever lets something be done is bound by their own limit."""
    above = _("This is above your own limit too: {because} Somebody else has to approve it.")
    return NotAllowed("above_own_limit", above.format(because=because))


def moved_by(tenant: Tenant, operation: int) -> int:
    """The points that an operation gave or took."""
    entries = Entry.objects.filter(tenant=tenant, operation=operation)
    moved = entries.aggregate(points=Sum(F("pending") + F("available") + F("held") - F("owed"), default=0))
    return abs(int(moved["points"]))


def refuse_own_number(customer: Customer, *, access: Access, also: Iterable[str] = ()) -> None:
    """Nobody touches their own points; that they tried is kept (CASES 80). `also`: other numbers that the act is about.

    Raises: DomainError `own_number`.
    """
    if access.actor.id in staff_behind(customer, also=also):
        _refuse_own(customer, access=access)


def _refuse_own(target: Model, *, access: Access) -> None:
    audit.record(
        access.tenant, actor=access.actor, action="refused_own_number", target=target, reason="Tried to change their own points"
    )
    raise DomainError("own_number", _("This is your own number. Somebody else has to do it, and that you tried is kept."))


def refuse_own_mobile(mobile: str, *, target: Model, access: Access) -> None:
    """The same where a number is named and no customer. Raises: DomainError `own_number`, `mobile_invalid`."""
    number = customers.normalised_mobile(mobile, region=access.tenant.region)
    owner = customers.find(access.tenant, [number]).get(number)
    if owner is not None:
        refuse_own_number(Customer.objects.get(tenant=access.tenant, pk=owner), access=access, also=[number])
    elif Membership.objects.filter(tenant=access.tenant, user=access.actor.id, mobile=number).exists():
        _refuse_own(target, access=access)


def refuse_colleague(customer: Customer, *, access: Access) -> None:
    """Where there is no request to make, a colleague's points are for who may approve. Raises: NotAllowed `colleague_number`."""
    if not access.may(Act.APPROVE) and staff_behind(customer):
        raise NotAllowed(
            "colleague_number", _("The number belongs to somebody who works here. Ask somebody who may approve to do it.")
        )


def staff_behind(customer: Customer, *, also: Iterable[str] = ()) -> set[int]:
    """The people of the brand to whom one of these numbers belongs: the customer's, now or before, and those of who was merged into them."""
    family = customers.families(customer.tenant, [customers.survivor(customer.tenant, customer.pk)])
    numbers = {*customers.numbers_of(customer.tenant, [customer.pk, *family]), *also}
    found = Membership.objects.filter(tenant=customer.tenant_id, mobile__in=numbers).exclude(mobile="")
    return set(found.values_list("user_id", flat=True))


def access_again(tenant: Tenant, user: User) -> Access | None:
    """What the person may do in this tenant now; None: nothing any more."""
    found = gate.of_person(user, wanted_tenant_id=tenant.pk)
    return found if found is not None and found.tenant.pk == tenant.pk else None
