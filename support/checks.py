"""The table of checks: each reads the facts of one customer and gives findings, or none. Pure: no database, no clock."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta

from integrations.gathering import PATIENCE
from integrations.models import Delivery, DeliveryState, DiscrepancyKind
from loyalty.models import Hold, held_since
from loyalty.money import written
from loyalty.state import Kind
from support.diagnosis import Evidence, Finding, Handoff, Owner, Pattern, Remedy
from support.facts import Asked, BillFact, Change, Facts, Judged, Owned, Told
from tenants.masking import hide_numbers

#: A logged POS change so long before a fault may be its cause.
CHANGE_WITHIN = timedelta(days=7)
#: Two redemptions of the same points within this time are probably one; a bill that spent them without one may be a day apart.
TWICE_WITHIN, SPENT_WITHIN = timedelta(minutes=30), timedelta(days=1)
#: A bill comes so long after the ERP's order.
ORDER_PATIENCE = timedelta(hours=24)
#: What the CRM shows is old after this.
STALE_AFTER = timedelta(hours=24)
WAITING = "One of your bills needs a check by our team. We will tell you when it is done."

type Check = Callable[[Facts], Iterator[Finding]]


def _day(facts: Facts, moment: datetime | date) -> str:
    day = moment.astimezone(facts.picture.tenant.zone) if isinstance(moment, datetime) else moment
    return f"{day.day} {day:%b}" if day.year == facts.picture.now.year else f"{day.day} {day:%b %Y}"


def _points(count: int) -> str:
    return f"{count:,} point{'' if count == 1 else 's'}"


def _changes(facts: Facts, store_id: int | None, at: datetime) -> tuple[Evidence, ...]:
    """What was changed at the store's POS shortly before."""
    near: list[Change] = [
        each
        for each in facts.changes
        if each.store_id in (None, store_id) and at - CHANGE_WITHIN <= each.at <= at + timedelta(days=1)
    ]
    return tuple(Evidence("pos_change", each.what, each.id, f"logged for {_day(facts, each.at)}") for each in near[:3])


def blocked_points(facts: Facts) -> Iterator[Finding]:
    """`0 points but closing 400` means that 400 are blocked."""
    picture = facts.picture
    balance = picture.balance
    awaited = {each.hold_id: each for each in facts.awaited}
    habits = {habit.store_id: habit for habit in facts.habits}
    for number, hold in enumerate(picture.active_holds):
        days = held_since(hold, now=picture.now)
        place = f" at {hold.store}" if hold.store else ""
        since = "today" if days == 0 else f"{days} day{'s' if days != 1 else ''} ago"
        begun = f"{hold.points:,} points are blocked by a redemption{place} on {hold.at.astimezone(picture.tenant.zone):%d %b} ({since})"
        explains = f" That is why {balance.available:,} are available and the closing balance is {balance.closing:,}."
        explains = explains if number == 0 else ""
        evidence: list[Evidence] = [Evidence("hold", hold.reference, hold.pk)]
        remedy = Remedy("unblock", f"Unblock {hold.points:,}", hold.pk)
        if picture.now - hold.at < PATIENCE:
            yield Finding(
                "blocked_points", f"{begun}, less than two hours old: its bill is still expected.{explains}",
                "A payment at the store is being confirmed; that takes a moment.", Handoff.NONE, Pattern.LOWER, Owner.POS,
                tuple(evidence), remedy,
            )  # fmt: skip
            continue
        handoff, say = (
            Handoff.ERP_TO_CONNECTOR,
            "Your points are safe; a payment at the store is still being confirmed. I am freeing them now.",
        )
        told, more = f"whose bill {hold.bill_no} has not arrived." if hold.bill_no else "whose bill has not arrived.", ""
        stuck = next((each for each in picture.unsettled if hold.bill_no and _is_of(each, hold)), None)
        order = awaited.get(hold.pk)
        if stuck is not None:
            told = f"whose bill {hold.bill_no} is here, but not booked."
            handoff, say = Handoff.CONNECTOR_TO_LOYALTY, "Your points are safe; the bill of that payment is being checked."
            evidence.append(Evidence("delivery", stuck.receipt, stuck.pk, stuck.get_state_display()))
            remedy = Remedy("open_delivery", "Look at the bill", stuck.pk)
        elif order is not None:
            more = (
                " The ERP has the bill."
                if order.state == "confirmed"
                else " The ERP has voided the bill: the sale was called off."
            )
            handoff = handoff if order.state == "confirmed" else Handoff.STORE_TO_ERP
            evidence.append(Evidence("order", order.order_no, order.id, f"{order.state} at the ERP"))
        elif hold.bill_no and facts.erp_speaks:
            more, handoff = " The ERP has not got the bill either.", Handoff.STORE_TO_ERP
        habit = habits.get(hold.store_id or 0)
        if habit and habit.freed >= 5 and not stuck:
            more += f" For {habit.came} of the last {habit.freed} that this store left open, the bill came later."
        shared = next((each for each in facts.incidents if each.store_id == hold.store_id), None)
        if shared is not None and not stuck:
            evidence.append(Evidence("incident", str(shared.id), shared.id, f"{shared.customers:,} customers of this store"))
        evidence += _changes(facts, hold.store_id, hold.at)
        yield Finding(
            "blocked_points", f"{begun} {told}{explains}{more}", say, handoff, Pattern.LOWER, Owner.POS, tuple(evidence), remedy
        )  # fmt: skip


def _is_of(delivery: Delivery, hold: Hold) -> bool:
    """Whether a message is about the bill that a hold names, as far as its store's own code tells."""
    return delivery.bill_no == hold.bill_no and (hold.store is None or delivery.store_code == hold.store.code)


def redeemed_twice(facts: Facts) -> Iterator[Finding]:
    """Points blocked for a purchase that a bill has paid with points without that redemption."""
    holds = facts.picture.active_holds
    for hold in holds:
        twin = _bill_like(facts, hold)
        other = next((each for each in holds if each.pk < hold.pk and _alike(each, hold)), None)
        if twin is not None:
            what, seen = f"bill {twin.bill_no} spent {_points(twin.redeemed)} without it", Evidence("bill", twin.bill_no, twin.id)
        elif other is not None:
            what, seen = f"{other.reference} blocks the same again", Evidence("hold", other.reference, other.pk)
        else:
            continue
        yield Finding(
            "redeemed_twice",
            f"The redemption {hold.reference} of {_points(hold.points)} looks like one that was made twice: {what}.",
            "A payment with points was started twice at the till. I am giving the second one back.",
            Handoff.STORE_TO_ERP, Pattern.LOWER, Owner.POS,
            (Evidence("hold", hold.reference, hold.pk), seen), Remedy("unblock", f"Unblock {hold.points:,}", hold.pk),
        )  # fmt: skip


def _bill_like(facts: Facts, hold: Hold) -> BillFact | None:
    """A bill that spent just these points beside the hold: without any, or at nearly the same time by another one."""
    for bill in facts.bills:
        same = bill.redeemed == hold.points and bill.store_id == hold.store_id and bill.hold_id != hold.pk
        within = TWICE_WITHIN if bill.hold_id else SPENT_WITHIN
        if same and not bill.cancelled and hold.bill_no in ("", bill.bill_no) and abs(bill.at - hold.at) <= within:
            return bill
    return None


def _alike(one: Hold, other: Hold) -> bool:
    """Started twice: soon after each other, and not for two bills."""
    two_bills = one.bill_no and other.bill_no and one.bill_no != other.bill_no
    return (
        not two_bills and one.points == other.points and one.store_id == other.store_id and abs(one.at - other.at) <= TWICE_WITHIN
    )


def negative(facts: Facts) -> Iterator[Finding]:
    """Why points are owed: by a return, by somebody's deduction, by a sale that spent what was not there."""
    owed = facts.picture.balance.owed
    if not owed:
        return
    begun = f"The balance is negative: {_points(owed)} are owed"
    rest = "The next points earned pay that first."
    for debt in facts.debts[:1]:
        about = f" Bill {debt.bill_no} of {_day(facts, debt.at)}." if debt.bill_no else ""
        seen = [Evidence("entry", str(debt.id), debt.id, f"{debt.unpaid:,} owed since {_day(facts, debt.at)}")]
        if debt.bill_no:
            seen.append(Evidence("bill", debt.bill_no, debt.bill_id))
        match debt.of_kind:
            case Kind.ROLLBACK:
                code, why = "negative_by_return", "because a return took back points that had been spent."
                say = "A return took back points that you had already used. Your next purchases make up for it."
            case Kind.ADJUST | Kind.RESET:
                code, why = (
                    "negative_by_deduction",
                    f"because {debt.actor_name} deducted more than there was: “{hide_numbers(debt.reason)}”.",
                )
                say = "Our team corrected your balance, and more was taken than was there. I will have that checked."
            case Kind.REDEEM | Kind.CAPTURE:
                code, why = "negative_by_redemption", "because a sale spent points that were not there."
                say = "A purchase used more points than you had. Your next purchases make up for it."
            case _:
                code, why = "negative", "because points were taken back that had been spent."
                say = "Points were corrected after you had used them. Your next purchases make up for it."
        yield Finding(
            code, f"{begun}, {why}{about} {rest}", say, Handoff.NONE, Pattern.LOWER,
            Owner.POS if code == "negative_by_redemption" else Owner.LEDGER, tuple(seen),
        )  # fmt: skip
        return
    yield Finding(
        "negative", f"{begun}. {rest}", "Your next purchases make up for points that were corrected.", pattern=Pattern.LOWER
    )


#: A bill's discrepancy as a finding: code, words after the message, what to say, handoff, pattern, owner.
TOLD: dict[str, tuple[str, str, str, Handoff, Pattern, Owner]] = {
    DiscrepancyKind.LATE_COMPLETION: (
        "completed_after_unblock", "It spent them again, from what was available then.",
        "The store confirmed a payment with points after we had freed them, so they were used for that bill.",
        Handoff.STORE_TO_ERP, Pattern.LOWER, Owner.POS,
    ),
    DiscrepancyKind.NO_HOLD: (
        "spent_without_block", "Check that the customer made this purchase.", "The store used points for a bill without reserving them first.",
        Handoff.STORE_TO_ERP, Pattern.LOWER, Owner.POS,
    ),
    DiscrepancyKind.MORE_THAN_HELD: (
        "spent_more_than_blocked", "", "The store used more points than it had reserved.", Handoff.STORE_TO_ERP, Pattern.LOWER, Owner.POS,
    ),
    DiscrepancyKind.HOLD_TAKEN: (
        "redeemed_twice", "One of the two bills took the points for nothing.",
        "One payment with points was used for two bills. I will have it checked.",
        Handoff.STORE_TO_ERP, Pattern.LOWER, Owner.POS,
    ),
    DiscrepancyKind.NEAR_DUPLICATE: (
        "booked_twice", "Probably one sale was sent under two numbers.", "One of your purchases seems to have been counted twice. We check it.",
        Handoff.ERP_TO_CONNECTOR, Pattern.HIGHER, Owner.POS,
    ),
    DiscrepancyKind.ISSUED_MORE: (
        "issued_and_billed", "", "You were given points for a bill before it came; they stay.", Handoff.NONE, Pattern.HIGHER, Owner.LEDGER,
    ),
    DiscrepancyKind.SHORT: (
        "return_short", "The customer keeps them.", "A return could not take all its points back; nothing is missing.",
        Handoff.NONE, Pattern.HIGHER, Owner.LEDGER,
    ),
    DiscrepancyKind.MODE_DRIFT: (
        "mode_drift", "The points are right; a report that goes by the setting shows 0 spent for such bills.",
        "Your points are right. Only a report of the store shows them in the wrong column.",
        Handoff.CONNECTOR_TO_LOYALTY, Pattern.NONE, Owner.POS,
    ),
}  # fmt: skip


def told_of_bills(facts: Facts) -> Iterator[Finding]:
    """What was noticed while bills were booked. The same trouble on several bills is told once, of the newest."""
    seen: set[str] = set()
    for each in facts.told:
        row = TOLD.get(each.kind)
        if row is None or row[0] in seen or _over(facts, each):
            continue
        code, more, say, handoff, pattern, owner = row
        seen.add(code)
        evidence = [Evidence("bill", each.bill_no, each.bill_id)]
        if each.incident_id and each.shared:
            evidence.append(Evidence("incident", str(each.incident_id), each.incident_id, "open for this store"))
        remedy = Remedy("open_bill", "Look at the bill", each.bill_id) if code in ("booked_twice", "redeemed_twice") else None
        if each.incident_id and each.shared:
            remedy = Remedy("open_incident", "Open the incident", each.incident_id)
        yield Finding(
            code, f"Bill {each.bill_no}: {each.message} {more}".strip(), say, handoff, pattern, owner,
            (*evidence, *_changes(facts, each.store_id, each.at)), remedy,
            explains=code in ("issued_and_billed", "return_short") or (code == "mode_drift" and not each.shared),
        )  # fmt: skip


def _over(facts: Facts, told: Told) -> bool:
    return told.at < facts.picture.now - timedelta(days=60)


def unsettled_bills(facts: Facts) -> Iterator[Finding]:
    """Bills of this customer that reached us and are not in the balance."""
    for delivery in facts.picture.unsettled:
        number = delivery.bill_no or "without a number"
        match DeliveryState(delivery.state):
            case DeliveryState.CONFLICT:
                told, pattern = f"Bill {number} came a second time with other content; the first one counts.", Pattern.NONE
            case DeliveryState.WAITING_PARENT:
                told, pattern = (
                    f"Bill {number} waits for {delivery.waits_for or 'the sale it belongs to'}, which has not come.",
                    Pattern.HIGHER,
                )
            case _:
                told, pattern = f"Bill {number} is set aside: {delivery.message}", Pattern.LOWER
        yield Finding(
            f"bill_{delivery.state}", told, WAITING, Handoff.CONNECTOR_TO_LOYALTY, pattern, Owner.POS,
            (Evidence("delivery", delivery.receipt, delivery.pk, delivery.check_name),),
            Remedy("open_delivery", "Look at the bill", delivery.pk),
        )  # fmt: skip


def orders_without_bill(facts: Facts) -> Iterator[Finding]:
    """The ERP has a sale, and no message of it ever came; or it has voided one that still counts here."""
    tenant = facts.picture.tenant
    for order in facts.orders:
        seen = (Evidence("order", order.order_no, order.id, f"{order.state} at the ERP"),)
        about = f"{written(order.amount, currency=tenant.currency)} at {order.store} on {_day(facts, order.at)}"
        if order.state == "confirmed" and not order.here and order.at < facts.picture.now - ORDER_PATIENCE:
            yield Finding(
                "bill_missing",
                f"Bill {order.bill_no} ({about}) is in the ERP and never arrived here: it has earned nothing yet.",
                "The store's bill has not reached us yet. We ask for it, and your points follow.",
                Handoff.ERP_TO_CONNECTOR, Pattern.LOWER, Owner.POS, seen,
                Remedy("ask_repush", "Ask for the bill", None, bill_no=order.bill_no, store=order.store_code),
            )  # fmt: skip
        elif order.state == "voided" and order.bill_id is not None and not order.confirmed:
            yield Finding(
                "return_missing",
                f"Bill {order.bill_no} ({about}) was voided in the ERP, and its return or cancellation never came: its points still count.",
                "A purchase was taken back at the store; its points will follow.",
                Handoff.ERP_TO_CONNECTOR, Pattern.HIGHER, Owner.POS, (*seen, Evidence("bill", order.bill_no, order.bill_id)),
                Remedy("reverse_bill", "Reverse the bill", order.bill_id),
            )  # fmt: skip


def crm_differs(facts: Facts) -> Iterator[Finding]:
    """The CRM shows another figure: an old one of ours, or one that was never ours."""
    shown, balance, now = facts.shown, facts.picture.balance, facts.picture.now
    if shown is None or shown.points in (balance.closing, balance.available):
        return
    writer = hide_numbers(shown.written_by) or "the CRM"
    seen = (Evidence("crm", f"{shown.points:,}", None, f"as of {_day(facts, shown.as_of)}, by {writer}"),)
    say = "The app shows an older figure. Your points here are right; it catches up."
    if shown.was_ours:
        old = now - shown.as_of > STALE_AFTER
        yield Finding(
            "crm_stale",
            f"The CRM shows {_points(shown.points)}, an earlier figure of ours; here it is {balance.closing:,} now.",
            say, Handoff.LOYALTY_TO_REPORTS, Pattern.CRM_ONLY, Owner.CRM, seen, explains=not old,
        )  # fmt: skip
        return
    yield Finding(
        "crm_overwritten",
        f"The CRM shows {_points(shown.points)}; the ledger had {shown.closing_then:,} at that time."
        f" {hide_numbers(shown.written_by) or 'Somebody'} has written another figure there.",
        "Your points here are right; the app shows a figure that is not ours. We have it corrected.",
        Handoff.LOYALTY_TO_REPORTS, Pattern.CRM_ONLY, Owner.CRM, seen,
    )  # fmt: skip


def dashboard_differs(facts: Facts) -> Iterator[Finding]:
    """The ledger is right, and the dashboards are behind or different; only where they were asked."""
    said, balance = facts.dashboard, facts.picture.balance
    if said is None or (said.closing, said.entries) == (balance.closing, balance.entries):
        return
    say = "Your points are right. Our report catches up in a moment."
    as_of = f" It was equal on {_day(facts, said.lag.as_of)}." if said.lag.as_of else ""
    handoff, owner = Handoff.LOYALTY_TO_REPORTS, Owner.ANALYTICS
    if said.closing is None:
        told = f"The dashboards cannot be asked now: ClickHouse is away.{as_of} The figures here come from the ledger."
        yield Finding("dashboard_away", told, say, handoff, Pattern.NONE, owner, explains=True)
    elif said.lag.entries:
        behind = f"{said.lag.entries:,} entries behind; they catch up by themselves."
        told = f"The dashboards show {said.closing:,} for this customer and are {behind}"
        yield Finding("dashboard_behind", told, say, handoff, Pattern.NONE, owner, explains=True)
    else:
        ours = f"the ledger {balance.closing:,} in {balance.entries:,}"
        told = f"The dashboards show {said.closing:,} in {said.entries:,} entries, {ours}: they differ."
        yield Finding("dashboard_differs", told, say, handoff, Pattern.NONE, owner)


def earned_nothing(facts: Facts) -> Iterator[Finding]:
    """Why bills of late earned no point; only where that was worked out."""
    for each in facts.unearned:
        told = f"Bill {each.bill_no} of {_day(facts, each.at)} earned no points: {each.why}."
        yield Finding(
            "earned_nothing", told, f"That purchase earned no points: {each.why}.", pattern=Pattern.LOWER, owner=Owner.MARKETING,
            evidence=(Evidence("bill", each.bill_no, each.bill_id),), explains=True,
        )  # fmt: skip


def asked_bill(facts: Facts) -> Iterator[Finding]:
    """The bill of whose number the customer asks."""
    asked = facts.asked
    if asked is None:
        return
    if asked.bill is not None:
        yield from _asked_and_booked(facts, asked, asked.bill)
    elif asked.delivery_id:
        told = f"Bill {asked.bill_no} is here and not booked ({asked.delivery_state}): {asked.message or 'it has just come'}"
        yield Finding(
            "bill_not_booked", told, WAITING, Handoff.CONNECTOR_TO_LOYALTY, Pattern.LOWER, Owner.POS,
            (Evidence("delivery", asked.bill_no, asked.delivery_id, asked.delivery_state),),
            Remedy("open_delivery", "Look at the bill", asked.delivery_id), answers=True,
        )  # fmt: skip
    else:
        yield _asked_and_not_here(facts, asked)


def _asked_and_booked(facts: Facts, asked: Asked, bill: BillFact) -> Iterator[Finding]:
    number = asked.bill_no
    seen = (Evidence("bill", bill.bill_no, bill.id),)
    if asked.owner == Owned.THEIRS:
        where = f"on {_day(facts, bill.at)} at {bill.store}"
        if bill.cancelled or bill.came_back:
            what = "was cancelled" if bill.cancelled else "came back whole"
            told = f"Bill {number} was booked {where} and {what}: its points were taken back."
            yield Finding(
                "bill_gone",
                told,
                f"That purchase {what}, and its points with it.",
                evidence=seen,
                explains=True,
                answers=True,
            )
            return
        told = f"Bill {number} is booked: {bill.earned:+,} points earned, {bill.redeemed:,} spent, {where}."
        say = f"That bill is in your points: {bill.earned:,} were earned."
        yield Finding("bill_booked", told, say, evidence=seen, explains=True, answers=True)
        yield from _bonuses_not_awarded(asked.judged, answers=True)
    elif asked.owner == Owned.NOBODYS and (bill.cancelled or bill.came_back or bill.bill_type != "SALE"):
        told = f"Bill {number} of {_day(facts, bill.at)} at {bill.store} names no customer, and nothing of it can be claimed."
        yield Finding(
            "bill_gone",
            told,
            "That purchase was taken back; there are no points in it.",
            evidence=seen,
            explains=True,
            answers=True,
        )
    elif asked.owner == Owned.NOBODYS:
        told = f"Bill {number} of {_day(facts, bill.at)} at {bill.store} is booked without a customer: nobody got points for it."
        yield Finding(
            "bill_of_nobody", told, "The store did not note your number on that bill. I am asking for it to be put to your account.",
            Handoff.STORE_TO_ERP, Pattern.LOWER, Owner.POS, seen, Remedy("claim_bill", "Claim it for this customer", bill.id),
            answers=True,
        )  # fmt: skip
    else:
        yield Finding(
            "bill_of_another", f"Bill {number} is booked for another customer. Check the number and the store on the receipt.",
            "That bill was noted under another number. May I see the receipt?", Handoff.STORE_TO_ERP, Pattern.LOWER, Owner.POS, seen,
            answers=True,
        )  # fmt: skip


def _asked_and_not_here(facts: Facts, asked: Asked) -> Finding:
    number = asked.bill_no
    if asked.order is not None and asked.order.state == "voided":
        told = f"Bill {number} never arrived here, and the ERP has voided it ({asked.order.order_no}): nothing is missing."
        evidence = (Evidence("order", asked.order.order_no, asked.order.id, "voided at the ERP"),)
        return Finding(
            "bill_gone", told, "That purchase was called off at the store.", evidence=evidence, explains=True, answers=True
        )
    say = "The store's bill has not reached us yet. We ask for it, and your points follow."
    around = [each for each in (asked.before, asked.after) if each is not None]
    told = f"Bill {number} never arrived here."
    if len(around) == 2:
        told += (
            f" The numbers around it did: {around[0].bill_no} of {_day(facts, around[0].at)} and {around[1].bill_no} of"
            f" {_day(facts, around[1].at)}, at {around[0].store}."
        )
        if asked.silent:
            told += f" On {' and '.join(_day(facts, day) for day in asked.silent)} that store sent nothing at all."
    elif asked.order is None:
        told += " No number near it is known: check it with the receipt."
    beside = [Evidence("bill", each.bill_no, each.id, "next to it") for each in around]
    if asked.order is not None:
        told += f" The ERP has it ({asked.order.order_no}, {asked.order.state})."
        beside.insert(0, Evidence("order", asked.order.order_no, asked.order.id))
    remedy = Remedy("ask_repush", "Ask for the bill", None, bill_no=number, store=asked.store_code) if asked.store_code else None
    handoff = Handoff.ERP_TO_CONNECTOR if asked.order or not facts.erp_speaks else Handoff.STORE_TO_ERP
    return Finding("bill_not_received", told, say, handoff, Pattern.LOWER, Owner.POS, tuple(beside), remedy, answers=True)


def coming_points(facts: Facts) -> Iterator[Finding]:
    if facts.coming:
        first = facts.coming[0]
        told = f"{_points(facts.picture.balance.pending)} are pending; {first.points:,} of them become available on {_day(facts, first.on)}."
        say = f"Your new points can be used from {_day(facts, first.on)} on."
        yield Finding("pending_points", told, say, pattern=Pattern.LOWER, explains=True)


def expired_points(facts: Facts) -> Iterator[Finding]:
    for each in facts.expired[:1]:
        told = f"{_points(each.points)} expired on {_day(facts, each.on)}."
        say = f"Points that were not used in time ended on {_day(facts, each.on)}."
        yield Finding(
            "points_expired",
            told,
            say,
            pattern=Pattern.LOWER,
            evidence=(Evidence("entry", str(each.id), each.id),),
            explains=True,
        )


def bonus_missed(facts: Facts) -> Iterator[Finding]:
    """A bonus for this customer that the last bills failed to get by one condition only."""
    yield from _bonuses_not_awarded(facts.judged)


def _bonuses_not_awarded(judged: Iterable[Judged], *, answers: bool = False) -> Iterator[Finding]:
    for each in judged:
        told = f"The bonus “{each.bonus}” was not awarded for bill {each.bill_no}. It asks: {each.asked}. Found: {each.found}."
        yield Finding(
            "bonus_not_awarded", told, f"That bonus has a condition which this purchase did not meet: {each.asked}.",
            pattern=Pattern.LOWER, owner=Owner.MARKETING, evidence=(Evidence("evaluation", each.bonus, each.id),), explains=True,
            answers=answers,
        )  # fmt: skip


def changed_identity(facts: Facts) -> Iterator[Finding]:
    for each in facts.merged[:1]:
        told = f"{each.name or 'Another customer'} was merged into this one on {_day(facts, each.at)}; their points and bills stand here."
        yield Finding("merged", told, "Your two accounts are one now, with the points of both.", explains=True)
    since = facts.picture.now - timedelta(days=60)
    aliases = [each for each in facts.picture.aliases if each.valid_until is None and each.valid_from > since]
    if aliases and not facts.merged:
        told = f"The number changed on {_day(facts, aliases[0].valid_from)}; bills under the old one still come to this customer."
        yield Finding("number_changed", told, "Your old number still leads to your points.", explains=True)


#: In the order in which an agent would look.
CHECKS: tuple[Check, ...] = (
    asked_bill, blocked_points, redeemed_twice, negative, told_of_bills, unsettled_bills, orders_without_bill, crm_differs, dashboard_differs,
    earned_nothing, coming_points, expired_points, bonus_missed, changed_identity,
)  # fmt: skip


def findings(facts: Facts) -> list[Finding]:
    """Everything that every check finds."""
    return [finding for check in CHECKS for finding in check(facts)]
