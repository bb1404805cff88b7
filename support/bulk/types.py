"""What each type of job does to one account, and how the same is told beforehand for a million by one statement.

The statement is for the preview: it counts. What is done is decided by the account's own verbs, under its lock.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from loyalty.account import Account, Effect
from loyalty.netting import Missing
from loyalty.operations import standing
from loyalty.past import Whole
from loyalty.programmes import RuleBook
from loyalty.state import HoldState, Kind, Lot, Terms
from support.bulk.models import BulkJob, JobType, Spent
from tenants.access import Act
from tenants.errors import DomainError

#: Why a customer is skipped, for people. `{points}` and the like are filled where the figures are known.
SKIPS: dict[str, object] = {
    "would_go_negative": gettext_lazy("Fewer points are available than would be removed."),
    "nothing_to_do": gettext_lazy("The balance is so already."),
    "no_holds": gettext_lazy("No points are blocked, or none of those that were chosen."),
    "nothing_to_expire": gettext_lazy("No available points would expire by then."),
    "nothing_to_extend": gettext_lazy("No points would expire before the new date."),
    "customer_merged": gettext_lazy("The customer was merged into another one. The points are there."),
    "customer_blocked": gettext_lazy("The customer is blocked. Nothing is changed while that is so."),
    "customer_erased": gettext_lazy("The customer was erased."),
    "own_number": gettext_lazy("It is the number of whoever started the job. Nobody changes their own points."),
    "colleague_number": gettext_lazy("The number belongs to somebody who works here. Do it alone, at their page."),
    "points_spent": gettext_lazy("Some of the points were spent meanwhile, so they were left as they are."),
    "negative_off": gettext_lazy("Points were spent meanwhile, and negative balances are not allowed here."),
    "nothing_to_undo": gettext_lazy("Nothing of it is left to undo."),
    "unknown_customer": gettext_lazy("There is no customer of this programme with this number."),
    "duplicate": gettext_lazy("The same customer stands in the list already; the first line counts."),
    "failed": gettext_lazy("It could not be worked out. The balance is as it was; ask us to look at it."),
}


#: Types that are told how many points: they give some, and need a rule for that.
TAKES_POINTS = (JobType.ADJUST, JobType.SET, JobType.AWARD)


def skip(code: str) -> DomainError:
    """A customer to whom the job does nothing, with why."""
    return DomainError(code, str(SKIPS[code]))


@dataclass(frozen=True, slots=True)
class Plan:
    """A job with what all its customers share, worked out once a chunk."""

    job: BulkJob
    today: date
    now: datetime
    #: Of what is granted; None for jobs that grant nothing, which need no rule.
    granting: Terms | None
    #: Only these blocked points are freed.
    held_since_before: datetime | None = None
    store_id: int | None = None

    @classmethod
    def of(cls, job: BulkJob, *, now: datetime) -> "Plan":
        today = now.astimezone(job.tenant.zone).date()
        terms = RuleBook(job.tenant).rule(store_id=None, on=today).terms(today) if job.type in TAKES_POINTS else None
        wanted = job.select.get("filter") or {}
        days = wanted.get("holds_older_than")
        before = now - timedelta(days=int(days)) if days is not None else None
        return cls(job, today, now, terms, before, wanted.get("hold_store_id"))

    @property
    def terms(self) -> Terms:
        assert self.granting is not None
        return self.granting


@dataclass(slots=True)
class Told:
    """What is to be told of a customer beside the points that moved.

    `short`: points of an undo that were not there any more. `points`: what the job counts, where no points moved.
    """

    short: int = 0
    points: int | None = None


type Verb = Callable[[Account, int, Plan, Whole | None], Told | None]


def _adjust(account: Account, points: int, plan: Plan, whole: Whole | None) -> None:
    if -points > account.available and not (plan.job.allow_debt and account.negative_allowed):
        raise skip("would_go_negative")
    account.adjust(points, terms=plan.terms, today=plan.today, allow_debt=plan.job.allow_debt)


def _set(account: Account, points: int, plan: Plan, whole: Whole | None) -> None:
    """What is owed is paid first: afterwards exactly so many are available."""
    delta = points - account.available + account.owed
    if not delta:
        raise skip("nothing_to_do")
    account.adjust(delta, terms=replace(plan.terms, activates_on=None), today=plan.today)


def _reset(account: Account, points: int, plan: Plan, whole: Whole | None) -> None:
    if not account.reset(today=plan.today, clear_debt=plan.job.clear_debt):
        raise skip("nothing_to_do")


def _award(account: Account, points: int, plan: Plan, whole: Whole | None) -> None:
    bonus = plan.job.bonus
    snapshot = {
        "bonus": bonus.name if bonus else "",
        "bonus_id": bonus.pk if bonus else None,
        "points": points,
        "job": plan.job.pk,
    }
    account.grant(points, kind=Kind.BONUS, terms=plan.terms, today=plan.today, snapshot=snapshot)


def _release(account: Account, points: int, plan: Plan, whole: Whole | None) -> Told:
    freed = [
        hold
        for hold in account.holds
        if hold.state is HoldState.ACTIVE
        and (plan.held_since_before is None or hold.at <= plan.held_since_before)
        and (plan.store_id is None or hold.store_id == plan.store_id)
    ]
    if not freed:
        raise skip("no_holds")
    for hold in freed:
        account.release(hold, today=plan.today)
    return Told(points=sum(hold.points for hold in freed))  # also what lapsed of them, and expires at once


def _expire(account: Account, points: int, plan: Plan, whole: Whole | None) -> None:
    lots = [lot for lot in account.lots if lot.available and _expires_by(lot, plan.job.until)]
    if not lots:
        raise skip("nothing_to_expire")
    account.expire(lots)


def _expires_by(lot: Lot, day: date | None) -> bool:
    return day is None or (lot.expires_on is not None and lot.expires_on <= day)


def _extend(account: Account, points: int, plan: Plan, whole: Whole | None) -> Told:
    until = plan.job.until
    assert until is not None
    lots = [
        lot
        for lot in account.lots
        if lot.pending + lot.available + lot.held and lot.expires_on is not None and plan.today < lot.expires_on < until
    ]
    if not lots:
        raise skip("nothing_to_extend")
    account.extend(lots, until=until, today=plan.today)
    return Told(points=sum(lot.pending + lot.available + lot.held for lot in lots))


def _undo(account: Account, points: int, plan: Plan, whole: Whole | None) -> Told:
    """A row is spent when fewer points are available than it had been given, what lapsed of them aside (CASES 87; vectors 7b, 7c)."""
    if whole is None:
        raise skip("nothing_to_undo")
    effects = standing(whole)
    missing = sum(effect.standing for effect in effects if effect.credit) - account.available - _still_pending(effects)
    if missing > 0 and plan.job.spent == Spent.LEAVE:
        raise skip("points_spent")
    if missing > 0 and plan.job.spent == Spent.DEBT and not account.negative_allowed:
        raise skip("negative_off")
    take = Missing.OWE if plan.job.spent == Spent.DEBT else Missing.LEAVE
    settled = account.reverse(effects, today=plan.today, missing=take)
    if not settled.entries:
        raise skip("points_spent")
    back = [
        entry for entry in settled.entries if entry.kind is not Kind.EXPIRE
    ]  # what comes back may have lapsed, and expires at once
    return Told(settled.short, sum(entry.pending + entry.available - entry.owed for entry in back))


def _still_pending(effects: Collection[Effect]) -> int:
    lots = {id(lot): lot for effect in effects if effect.credit for lot, _, _ in effect.parts}
    return sum(lot.pending for lot in lots.values())


@dataclass(frozen=True, slots=True)
class JobKind:
    """One type of job. `delta` and `code` are SQL over `ch` (the choice), `b` (balance) and `c` (customer), for the preview."""

    act: Act
    do: Verb
    delta: str
    code: str = ""
    joins: str = ""
    #: Instead, where it is about everybody.
    joins_of_all: str = ""
    #: Whether it needs the lots of a customer; one that only gives does not.
    spends: Callable[[BulkJob], bool] = lambda job: True
    #: Whether blocked customers are left alone.
    heeds_blocked: bool = True


GIVEN = "coalesce(ch.points, %(points)s)"
HOLDS = """
    LEFT JOIN LATERAL (SELECT sum(h.points)::bigint AS points FROM loyalty_hold h
        WHERE h.tenant_id = %(tenant)s AND h.customer_id = ch.customer_id AND h.state = 'active' AND b.held > 0
          AND (%(held_before)s::timestamptz IS NULL OR h.at <= %(held_before)s)
          AND (%(hold_store)s::bigint IS NULL OR h.store_id = %(hold_store)s)
    ) of_holds ON true
"""
_OF_LOTS = """
        SELECT {customer} sum(l.available) FILTER (WHERE %(until)s::date IS NULL OR l.expires_on <= %(until)s)::bigint AS ending,
            sum(l.remaining) FILTER (WHERE l.expires_on > %(today)s AND l.expires_on < %(until)s)::bigint AS extended
        FROM loyalty_lot l WHERE l.tenant_id = %(tenant)s AND NOT l.spent
"""
#: For some customers each is looked up; for everybody all lots are read once.
LOTS = f"LEFT JOIN LATERAL ({_OF_LOTS.format(customer='')} AND l.customer_id = ch.customer_id) of_lots ON true"
LOTS_OF_ALL = f"LEFT JOIN ({_OF_LOTS.format(customer='l.customer_id,')} GROUP BY l.customer_id) of_lots ON of_lots.customer_id = ch.customer_id"
#: What an undo would take: of a grant, what was not undone and has not lapsed; of everything else, what it had moved.
UNDONE = """
    LEFT JOIN loyalty_lot l ON l.tenant_id = %(tenant)s AND l.entry_id = ch.undoes AND ch.moved > 0
    LEFT JOIN LATERAL (
        SELECT -coalesce(sum(m.delta), 0)::bigint AS points FROM loyalty_entrylot m JOIN loyalty_entry e ON e.id = m.entry_id
        WHERE l.remaining < l.granted AND m.lot_id = l.entry_id AND e.kind = 'expire'
    ) lapsed ON true
"""
#: Of what a grant gave: what can still be taken back; and what is there to take.
STANDING, THERE = "(ch.moved - coalesce(lapsed.points, 0))", "(b.available + coalesce(l.pending, 0))"
KINDS: dict[str, JobKind] = {
    JobType.ADJUST: JobKind(
        Act.ADJUST_POINTS, _adjust, GIVEN,
        f"WHEN {GIVEN} < 0 AND -{GIVEN} > b.available AND NOT %(debt)s THEN 'would_go_negative'",
        spends=lambda job: job.points is None or job.points < 0,
    ),
    JobType.SET: JobKind(
        Act.ADJUST_POINTS, _set, f"{GIVEN} - b.available + b.owed", f"WHEN {GIVEN} = b.available - b.owed THEN 'nothing_to_do'"
    ),
    JobType.RESET: JobKind(
        Act.RESET_POINTS, _reset, "-b.available + CASE WHEN %(clear)s THEN b.owed ELSE 0 END",
        "WHEN b.available = 0 AND NOT (%(clear)s AND b.owed > 0) THEN 'nothing_to_do'",
    ),
    JobType.AWARD: JobKind(Act.ISSUE_POINTS, _award, GIVEN, spends=lambda job: False),
    JobType.RELEASE_HOLDS: JobKind(
        Act.RELEASE_HOLDS, _release, "of_holds.points", "WHEN of_holds.points IS NULL THEN 'no_holds'", HOLDS
    ),
    JobType.EXPIRE: JobKind(
        Act.ADJUST_POINTS, _expire, "-of_lots.ending", "WHEN coalesce(of_lots.ending, 0) = 0 THEN 'nothing_to_expire'", LOTS, LOTS_OF_ALL
    ),
    JobType.EXTEND: JobKind(
        Act.ADJUST_POINTS, _extend, "of_lots.extended", "WHEN coalesce(of_lots.extended, 0) = 0 THEN 'nothing_to_extend'", LOTS, LOTS_OF_ALL
    ),
    JobType.UNDO: JobKind(
        Act.ADJUST_POINTS, _undo,
        f"CASE WHEN l.entry_id IS NULL THEN -ch.moved WHEN %(spent)s = 'debt' THEN -{STANDING} ELSE -least({STANDING}, {THERE}) END",
        "WHEN EXISTS (SELECT FROM loyalty_entry x WHERE x.of_entry_id = ch.undoes AND x.kind = 'reversal') THEN 'nothing_to_undo'"
        f" WHEN l.entry_id IS NOT NULL AND {STANDING} = 0 THEN 'nothing_to_undo'"
        f" WHEN l.entry_id IS NOT NULL AND {THERE} < {STANDING} AND %(spent)s = 'leave' THEN 'points_spent'"
        f" WHEN l.entry_id IS NOT NULL AND {THERE} = 0 AND {STANDING} > 0 AND %(spent)s = 'take' THEN 'points_spent'"
        f" WHEN l.entry_id IS NOT NULL AND {THERE} < {STANDING} AND %(spent)s = 'debt' AND NOT %(negative)s THEN 'negative_off'",
        UNDONE, heeds_blocked=False,
    ),
}  # fmt: skip


def needed_act(job: BulkJob) -> Act:
    """What whoever runs it must be allowed beside running jobs."""
    empties = (job.type == JobType.EXPIRE and job.until is None) or (job.type == JobType.SET and job.points == 0)
    if job.clear_debt or empties:  # whatever it is called
        return Act.RESET_POINTS
    if job.type == JobType.UNDO and job.of_job is not None:
        return needed_act(job.of_job) if job.of_job.type == JobType.RESET else Act.ADJUST_POINTS
    return KINDS[job.type].act


def words_of(job: BulkJob) -> str:
    """What it does, for people."""
    points = job.points
    match job.type:
        case JobType.ADJUST if points is None:
            return _("Add or remove points, each row its own")
        case JobType.ADJUST if points and points < 0:
            return _("Remove {points:,} points").format(points=-points)
        case JobType.ADJUST:
            return _("Add {points:,} points").format(points=points)
        case JobType.SET if points is None:
            return _("Set the balance, each row its own")
        case JobType.SET:
            return _("Set the balance to {points:,}").format(points=points)
        case JobType.AWARD if job.bonus is not None and points is not None:
            return _("Award {bonus}: {points:,} points").format(bonus=job.bonus, points=points)
        case JobType.AWARD if points is not None:
            return _("Award a bonus of {points:,} points").format(points=points)
        case JobType.EXPIRE if job.until is not None:
            return _("Let expire now what would expire until {day:%d %b %Y}").format(day=job.until)
        case JobType.EXTEND if job.until is not None:
            return _("Extend the expiry to {day:%d %b %Y}").format(day=job.until)
        case JobType.UNDO:
            return _("Undo of job {number}").format(number=job.of_job_id)
    return str(job.get_type_display()).capitalize()
