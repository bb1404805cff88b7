"""The table of checks: each reads the facts of one customer and gives findings, or none. Pure: no database, no clock."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta

from django.utils.dateformat import format as formatted
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, ngettext

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
WAITING = gettext_lazy("One of your bills needs a check by our team. We will tell you when it is done.")

type Check = Callable[[Facts], Iterator[Finding]]


def _day(facts: Facts, moment: datetime | date) -> str:
    day = moment.astimezone(facts.picture.tenant.zone) if isinstance(moment, datetime) else moment
    return formatted(day, "j M" if day.year == facts.picture.now.year else "j M Y")


def _points(count: int) -> str:
    return ngettext("{points:,} point", "{points:,} points", count).format(points=count)


def _changes(facts: Facts, store_id: int | None, at: datetime) -> tuple[Evidence, ...]:
    """What was changed at the store's POS shortly before."""
    near: list[Change] = [
        each
        for each in facts.changes
        if each.store_id in (None, store_id) and at - CHANGE_WITHIN <= each.at <= at + timedelta(days=1)
    ]
    return tuple(
        Evidence("pos_change", each.what, each.id, _("logged for {day}").format(day=_day(facts, each.at))) for each in near[:3]
    )


def _at_the_erp(state: str) -> str:
    return _("voided at the ERP") if state == "voided" else _("confirmed at the ERP")


def blocked_points(facts: Facts) -> Iterator[Finding]:
    """`0 points but closing 400` means that 400 are blocked."""
    picture = facts.picture
    balance = picture.balance
    awaited = {each.hold_id: each for each in facts.awaited}
    habits = {habit.store_id: habit for habit in facts.habits}
    for number, hold in enumerate(picture.active_holds):
        begun = _begun(facts, hold)
        explains = _("That is why {available:,} are available and the closing balance is {closing:,}.")
        explains = " " + explains.format(available=balance.available, closing=balance.closing) if number == 0 else ""
        evidence: list[Evidence] = [Evidence("hold", hold.reference, hold.pk)]
        remedy = _unblock(hold)
        if picture.now - hold.at < PATIENCE:
            yield Finding(
                "blocked_points", _("{begun}, less than two hours old: its bill is still expected.").format(begun=begun) + explains,
                _("A payment at the store is being confirmed; that takes a moment."), Handoff.NONE, Pattern.LOWER, Owner.POS,
                tuple(evidence), remedy,
            )  # fmt: skip
            continue
        handoff, say = (
            Handoff.ERP_TO_CONNECTOR,
            _("Your points are safe; a payment at the store is still being confirmed. I am freeing them now."),
        )
        told, more = _("whose bill {bill_no} has not arrived.") if hold.bill_no else _("whose bill has not arrived."), ""
        stuck = next((each for each in picture.unsettled if hold.bill_no and _is_of(each, hold)), None)
        order = awaited.get(hold.pk)
        if stuck is not None:
            told = _("whose bill {bill_no} is here, but not booked.")
            handoff, say = Handoff.CONNECTOR_TO_LOYALTY, _("Your points are safe; the bill of that payment is being checked.")
            evidence.append(Evidence("delivery", stuck.receipt, stuck.pk, stuck.get_state_display()))
            remedy = Remedy("open_delivery", _("Look at the bill"), stuck.pk)
        elif order is not None:
            more = " " + (
                _("The ERP has the bill.")
                if order.state == "confirmed"
                else _("The ERP has voided the bill: the sale was called off.")
            )
            handoff = handoff if order.state == "confirmed" else Handoff.STORE_TO_ERP
            evidence.append(Evidence("order", order.order_no, order.id, _at_the_erp(order.state)))
        elif hold.bill_no and facts.erp_speaks:
            more, handoff = " " + _("The ERP has not got the bill either."), Handoff.STORE_TO_ERP
        habit = habits.get(hold.store_id or 0)
        if habit and habit.freed >= 5 and not stuck:
            often = _("For {came} of the last {freed} that this store left open, the bill came later.")
            more += " " + often.format(came=habit.came, freed=habit.freed)
        shared = next((each for each in facts.incidents if each.store_id == hold.store_id), None)
        if shared is not None and not stuck:
            note = _("{customers:,} customers of this store").format(customers=shared.customers)
            evidence.append(Evidence("incident", str(shared.id), shared.id, note))
        evidence += _changes(facts, hold.store_id, hold.at)
        yield Finding(
            "blocked_points", f"{begun} {told.format(bill_no=hold.bill_no)}{explains}{more}", say, handoff, Pattern.LOWER, Owner.POS,
            tuple(evidence), remedy,
        )  # fmt: skip


def _begun(facts: Facts, hold: Hold) -> str:
    """How the sentence about a hold begins: how many, where and since when."""
    days = held_since(hold, now=facts.picture.now)
    since = ngettext("{days} day ago", "{days} days ago", days).format(days=days) if days else _("today")
    told = (
        _("{points:,} points are blocked by a redemption at {store} on {day} ({since})")
        if hold.store
        else _("{points:,} points are blocked by a redemption on {day} ({since})")
    )
    day = formatted(hold.at.astimezone(facts.picture.tenant.zone), "d M")
    return told.format(points=hold.points, store=hold.store, day=day, since=since)


def _unblock(hold: Hold) -> Remedy:
    return Remedy("unblock", _("Unblock {points:,}").format(points=hold.points), hold.pk)


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
            what = _("bill {bill_no} spent {points} without it").format(bill_no=twin.bill_no, points=_points(twin.redeemed))
            seen = Evidence("bill", twin.bill_no, twin.id)
        elif other is not None:
            what = _("{reference} blocks the same again").format(reference=other.reference)
            seen = Evidence("hold", other.reference, other.pk)
        else:
            continue
        told = _("The redemption {reference} of {points} looks like one that was made twice: {what}.")
        yield Finding(
            "redeemed_twice", told.format(reference=hold.reference, points=_points(hold.points), what=what),
            _("A payment with points was started twice at the till. I am giving the second one back."),
            Handoff.STORE_TO_ERP, Pattern.LOWER, Owner.POS, (Evidence("hold", hold.reference, hold.pk), seen), _unblock(hold),
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
    begun = _("The balance is negative: {points} are owed").format(points=_points(owed))
    rest, about = _("The next points earned pay that first."), ""
    for debt in facts.debts[:1]:
        day = _day(facts, debt.at)
        seen = [Evidence("entry", str(debt.id), debt.id, _("{points:,} owed since {day}").format(points=debt.unpaid, day=day))]
        if debt.bill_no:
            about = " " + _("Bill {bill_no} of {day}.").format(bill_no=debt.bill_no, day=day)
            seen.append(Evidence("bill", debt.bill_no, debt.bill_id))
        match debt.of_kind:
            case Kind.ROLLBACK:
                code, why = "negative_by_return", _("because a return took back points that had been spent.")
                say = _("A return took back points that you had already used. Your next purchases make up for it.")
            case Kind.ADJUST | Kind.RESET:
                code, why = "negative_by_deduction", _("because {who} deducted more than there was: “{reason}”.")
                why = why.format(who=debt.actor_name, reason=hide_numbers(debt.reason))
                say = _("Our team corrected your balance, and more was taken than was there. I will have that checked.")
            case Kind.REDEEM | Kind.CAPTURE:
                code, why = "negative_by_redemption", _("because a sale spent points that were not there.")
                say = _("A purchase used more points than you had. Your next purchases make up for it.")
            case _:
                code, why = "negative", _("because points were taken back that had been spent.")
                say = _("Points were corrected after you had used them. Your next purchases make up for it.")
        yield Finding(
            code, f"{begun}, {why}{about} {rest}", say, Handoff.NONE, Pattern.LOWER,
            Owner.POS if code == "negative_by_redemption" else Owner.LEDGER, tuple(seen),
        )  # fmt: skip
        return
    yield Finding(
        "negative", f"{begun}. {rest}", _("Your next purchases make up for points that were corrected."), pattern=Pattern.LOWER
    )


#: A bill's discrepancy as a finding: code, words after the message, what to say, handoff, pattern, owner.
TOLD: dict[str, tuple[str, str, str, Handoff, Pattern, Owner]] = {
    DiscrepancyKind.LATE_COMPLETION: (
        "completed_after_unblock", gettext_noop("It spent them again, from what was available then."),
        gettext_noop("The store confirmed a payment with points after we had freed them, so they were used for that bill."),
        Handoff.STORE_TO_ERP, Pattern.LOWER, Owner.POS,
    ),
    DiscrepancyKind.NO_HOLD: (
        "spent_without_block", gettext_noop("Check that the customer made this purchase."),
        gettext_noop("The store used points for a bill without reserving them first."),
        Handoff.STORE_TO_ERP, Pattern.LOWER, Owner.POS,
    ),
    DiscrepancyKind.MORE_THAN_HELD: (
        "spent_more_than_blocked", "", gettext_noop("The store used more points than it had reserved."),
        Handoff.STORE_TO_ERP, Pattern.LOWER, Owner.POS,
    ),
    DiscrepancyKind.HOLD_TAKEN: (
        "redeemed_twice", gettext_noop("One of the two bills took the points for nothing."),
        gettext_noop("One payment with points was used for two bills. I will have it checked."),
        Handoff.STORE_TO_ERP, Pattern.LOWER, Owner.POS,
    ),
    DiscrepancyKind.NEAR_DUPLICATE: (
        "booked_twice", gettext_noop("Probably one sale was sent under two numbers."),
        gettext_noop("One of your purchases seems to have been counted twice. We check it."),
        Handoff.ERP_TO_CONNECTOR, Pattern.HIGHER, Owner.POS,
    ),
    DiscrepancyKind.ISSUED_MORE: (
        "issued_and_billed", "", gettext_noop("You were given points for a bill before it came; they stay."),
        Handoff.NONE, Pattern.HIGHER, Owner.LEDGER,
    ),
    DiscrepancyKind.SHORT: (
        "return_short", gettext_noop("The customer keeps them."),
        gettext_noop("A return could not take all its points back; nothing is missing."),
        Handoff.NONE, Pattern.HIGHER, Owner.LEDGER,
    ),
    DiscrepancyKind.MODE_DRIFT: (
        "mode_drift", gettext_noop("The points are right; a report that goes by the setting shows 0 spent for such bills."),
        gettext_noop("Your points are right. Only a report of the store shows them in the wrong column."),
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
            evidence.append(Evidence("incident", str(each.incident_id), each.incident_id, _("open for this store")))
        remedy = Remedy("open_bill", _("Look at the bill"), each.bill_id) if code in ("booked_twice", "redeemed_twice") else None
        if each.incident_id and each.shared:
            remedy = Remedy("open_incident", _("Open the incident"), each.incident_id)
        told = _("Bill {bill_no}: {message}").format(bill_no=each.bill_no, message=each.message)
        yield Finding(
            code, f"{told} {_(more)}".strip(), _(say), handoff, pattern, owner,
            (*evidence, *_changes(facts, each.store_id, each.at)), remedy,
            explains=code in ("issued_and_billed", "return_short") or (code == "mode_drift" and not each.shared),
        )  # fmt: skip


def _over(facts: Facts, told: Told) -> bool:
    return told.at < facts.picture.now - timedelta(days=60)


def unsettled_bills(facts: Facts) -> Iterator[Finding]:
    """Bills of this customer that reached us and are not in the balance."""
    for delivery in facts.picture.unsettled:
        number = delivery.bill_no or _("without a number")
        awaited = delivery.waits_for or _("the sale it belongs to")
        match DeliveryState(delivery.state):
            case DeliveryState.CONFLICT:
                told, pattern = _("Bill {bill_no} came a second time with other content; the first one counts."), Pattern.NONE
            case DeliveryState.WAITING_PARENT:
                told, pattern = _("Bill {bill_no} waits for {awaited}, which has not come."), Pattern.HIGHER
            case _:
                told, pattern = _("Bill {bill_no} is set aside: {message}"), Pattern.LOWER
        told = told.format(bill_no=number, awaited=awaited, message=delivery.message)
        yield Finding(
            f"bill_{delivery.state}", told, str(WAITING), Handoff.CONNECTOR_TO_LOYALTY, pattern, Owner.POS,
            (Evidence("delivery", delivery.receipt, delivery.pk, delivery.check_name),),
            Remedy("open_delivery", _("Look at the bill"), delivery.pk),
        )  # fmt: skip


def orders_without_bill(facts: Facts) -> Iterator[Finding]:
    """The ERP has a sale, and no message of it ever came; or it has voided one that still counts here."""
    tenant = facts.picture.tenant
    for order in facts.orders:
        seen = (Evidence("order", order.order_no, order.id, _at_the_erp(order.state)),)
        about = _("{amount} at {store} on {day}").format(
            amount=written(order.amount, currency=tenant.currency), store=order.store, day=_day(facts, order.at)
        )
        if order.state == "confirmed" and not order.here and order.at < facts.picture.now - ORDER_PATIENCE:
            told = _("Bill {bill_no} ({about}) is in the ERP and never arrived here: it has earned nothing yet.")
            yield Finding(
                "bill_missing", told.format(bill_no=order.bill_no, about=about),
                _("The store's bill has not reached us yet. We ask for it, and your points follow."),
                Handoff.ERP_TO_CONNECTOR, Pattern.LOWER, Owner.POS, seen,
                Remedy("ask_repush", _("Ask for the bill"), None, bill_no=order.bill_no, store=order.store_code),
            )  # fmt: skip
        elif order.state == "voided" and order.bill_id is not None and not order.confirmed:
            told = _(
                "Bill {bill_no} ({about}) was voided in the ERP, and its return or cancellation never came: its points still count."
            )
            yield Finding(
                "return_missing", told.format(bill_no=order.bill_no, about=about),
                _("A purchase was taken back at the store; its points will follow."),
                Handoff.ERP_TO_CONNECTOR, Pattern.HIGHER, Owner.POS, (*seen, Evidence("bill", order.bill_no, order.bill_id)),
                Remedy("reverse_bill", _("Reverse the bill"), order.bill_id),
            )  # fmt: skip


def crm_differs(facts: Facts) -> Iterator[Finding]:
    """The CRM shows another figure: an old one of ours, or one that was never ours."""
    shown, balance, now = facts.shown, facts.picture.balance, facts.picture.now
    if shown is None or shown.points in (balance.closing, balance.available):
        return
    writer = hide_numbers(shown.written_by)
    note = _("as of {day}, by {writer}").format(day=_day(facts, shown.as_of), writer=writer or _("the CRM"))
    seen = (Evidence("crm", f"{shown.points:,}", None, note),)
    if shown.was_ours:
        old = now - shown.as_of > STALE_AFTER
        told = _("The CRM shows {points}, an earlier figure of ours; here it is {closing:,} now.")
        yield Finding(
            "crm_stale", told.format(points=_points(shown.points), closing=balance.closing),
            _("The app shows an older figure. Your points here are right; it catches up."),
            Handoff.LOYALTY_TO_REPORTS, Pattern.CRM_ONLY, Owner.CRM, seen, explains=not old,
        )  # fmt: skip
        return
    told = _("The CRM shows {points}; the ledger had {closing:,} at that time. {writer} has written another figure there.")
    yield Finding(
        "crm_overwritten", told.format(points=_points(shown.points), closing=shown.closing_then, writer=writer or _("Somebody")),
        _("Your points here are right; the app shows a figure that is not ours. We have it corrected."),
        Handoff.LOYALTY_TO_REPORTS, Pattern.CRM_ONLY, Owner.CRM, seen,
    )  # fmt: skip


def dashboard_differs(facts: Facts) -> Iterator[Finding]:
    """The ledger is right, and the dashboards are behind or different; only where they were asked."""
    said, balance = facts.dashboard, facts.picture.balance
    if said is None or (said.closing, said.entries) == (balance.closing, balance.entries):
        return
    say = _("Your points are right. Our report catches up in a moment.")
    handoff, owner = Handoff.LOYALTY_TO_REPORTS, Owner.ANALYTICS
    if said.closing is None:
        told = [_("The dashboards cannot be asked now: ClickHouse is away."), _("The figures here come from the ledger.")]
        if said.lag.as_of:
            told.insert(1, _("It was equal on {day}.").format(day=_day(facts, said.lag.as_of)))
        yield Finding("dashboard_away", " ".join(told), say, handoff, Pattern.NONE, owner, explains=True)
    elif said.lag.entries:
        behind = _(
            "The dashboards show {closing:,} for this customer and are {entries:,} entries behind; they catch up by themselves."
        )
        sentence = behind.format(closing=said.closing, entries=said.lag.entries)
        yield Finding("dashboard_behind", sentence, say, handoff, Pattern.NONE, owner, explains=True)
    else:
        differs = _(
            "The dashboards show {closing:,} in {entries:,} entries, the ledger {our_closing:,} in {our_entries:,}: they differ."
        )
        sentence = differs.format(
            closing=said.closing, entries=said.entries, our_closing=balance.closing, our_entries=balance.entries
        )
        yield Finding("dashboard_differs", sentence, say, handoff, Pattern.NONE, owner)


def earned_nothing(facts: Facts) -> Iterator[Finding]:
    """Why bills of late earned no point; only where that was worked out."""
    for each in facts.unearned:
        told = _("Bill {bill_no} of {day} earned no points: {why}.")
        yield Finding(
            "earned_nothing", told.format(bill_no=each.bill_no, day=_day(facts, each.at), why=each.why),
            _("That purchase earned no points: {why}.").format(why=each.why), pattern=Pattern.LOWER, owner=Owner.MARKETING,
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
        message = asked.message or _("it has just come")
        told = _("Bill {bill_no} is here and not booked ({state}): {message}")
        yield Finding(
            "bill_not_booked", told.format(bill_no=asked.bill_no, state=asked.delivery_state, message=message), str(WAITING),
            Handoff.CONNECTOR_TO_LOYALTY, Pattern.LOWER, Owner.POS,
            (Evidence("delivery", asked.bill_no, asked.delivery_id, asked.delivery_state),),
            Remedy("open_delivery", _("Look at the bill"), asked.delivery_id), answers=True,
        )  # fmt: skip
    else:
        yield _asked_and_not_here(facts, asked)


def _asked_and_booked(facts: Facts, asked: Asked, bill: BillFact) -> Iterator[Finding]:
    about = {"bill_no": asked.bill_no, "day": _day(facts, bill.at), "store": bill.store}
    seen = (Evidence("bill", bill.bill_no, bill.id),)
    if asked.owner == Owned.THEIRS and (bill.cancelled or bill.came_back):
        if bill.cancelled:
            told = _("Bill {bill_no} was booked on {day} at {store} and was cancelled: its points were taken back.")
            say = _("That purchase was cancelled, and its points with it.")
        else:
            told = _("Bill {bill_no} was booked on {day} at {store} and came back whole: its points were taken back.")
            say = _("That purchase came back whole, and its points with it.")
        yield Finding("bill_gone", told.format(**about), say, evidence=seen, explains=True, answers=True)
    elif asked.owner == Owned.THEIRS:
        told = _("Bill {bill_no} is booked: {earned:+,} points earned, {redeemed:,} spent, on {day} at {store}.")
        told = told.format(**about, earned=bill.earned, redeemed=bill.redeemed)
        say = _("That bill is in your points: {earned:,} were earned.").format(earned=bill.earned)
        yield Finding("bill_booked", told, say, evidence=seen, explains=True, answers=True)
        yield from _bonuses_not_awarded(asked.judged, answers=True)
    elif asked.owner == Owned.NOBODYS and (bill.cancelled or bill.came_back or bill.bill_type != "SALE"):
        told = _("Bill {bill_no} of {day} at {store} names no customer, and nothing of it can be claimed.").format(**about)
        say = _("That purchase was taken back; there are no points in it.")
        yield Finding("bill_gone", told, say, evidence=seen, explains=True, answers=True)
    elif asked.owner == Owned.NOBODYS:
        told = _("Bill {bill_no} of {day} at {store} is booked without a customer: nobody got points for it.").format(**about)
        yield Finding(
            "bill_of_nobody", told, _("The store did not note your number on that bill. I am asking for it to be put to your account."),
            Handoff.STORE_TO_ERP, Pattern.LOWER, Owner.POS, seen, Remedy("claim_bill", _("Claim it for this customer"), bill.id),
            answers=True,
        )  # fmt: skip
    else:
        told = _("Bill {bill_no} is booked for another customer. Check the number and the store on the receipt.").format(**about)
        yield Finding(
            "bill_of_another", told, _("That bill was noted under another number. May I see the receipt?"),
            Handoff.STORE_TO_ERP, Pattern.LOWER, Owner.POS, seen, answers=True,
        )  # fmt: skip


def _asked_and_not_here(facts: Facts, asked: Asked) -> Finding:
    number, order = asked.bill_no, asked.order
    if order is not None and order.state == "voided":
        gone = _("Bill {bill_no} never arrived here, and the ERP has voided it ({order_no}): nothing is missing.")
        return Finding(
            "bill_gone", gone.format(bill_no=number, order_no=order.order_no), _("That purchase was called off at the store."),
            evidence=(Evidence("order", order.order_no, order.id, _at_the_erp(order.state)),), explains=True, answers=True,
        )  # fmt: skip
    say = _("The store's bill has not reached us yet. We ask for it, and your points follow.")
    around = [each for each in (asked.before, asked.after) if each is not None]
    told = [_("Bill {bill_no} never arrived here.").format(bill_no=number)]
    if len(around) == 2:
        told += _around(facts, around[0], around[1], silent=asked.silent)
    elif order is None:
        told.append(_("No number near it is known: check it with the receipt."))
    beside = [Evidence("bill", each.bill_no, each.id, _("next to it")) for each in around]
    if order is not None:
        told.append(_("The ERP has it ({order_no}, confirmed).").format(order_no=order.order_no))
        beside.insert(0, Evidence("order", order.order_no, order.id))
    remedy = (
        Remedy("ask_repush", _("Ask for the bill"), None, bill_no=number, store=asked.store_code) if asked.store_code else None
    )
    handoff = Handoff.ERP_TO_CONNECTOR if order or not facts.erp_speaks else Handoff.STORE_TO_ERP
    return Finding(
        "bill_not_received", " ".join(told), say, handoff, Pattern.LOWER, Owner.POS, tuple(beside), remedy, answers=True
    )


def _around(facts: Facts, before: BillFact, after: BillFact, *, silent: Iterable[date]) -> Iterator[str]:
    """What the neighbours of a number tell."""
    yield _("The numbers around it did: {before} of {day_before} and {after} of {day_after}, at {store}.").format(
        before=before.bill_no, day_before=_day(facts, before.at), after=after.bill_no, day_after=_day(facts, after.at), store=before.store
    )  # fmt: skip
    if days := _(" and ").join(_day(facts, day) for day in silent):
        yield _("On {days} that store sent nothing at all.").format(days=days)


def coming_points(facts: Facts) -> Iterator[Finding]:
    if facts.coming:
        first = facts.coming[0]
        day = _day(facts, first.on)
        told = _("{points} are pending; {coming:,} of them become available on {day}.")
        told = told.format(points=_points(facts.picture.balance.pending), coming=first.points, day=day)
        say = _("Your new points can be used from {day} on.").format(day=day)
        yield Finding("pending_points", told, say, pattern=Pattern.LOWER, explains=True)


def expired_points(facts: Facts) -> Iterator[Finding]:
    for each in facts.expired[:1]:
        told = _("{points} expired on {day}.").format(points=_points(each.points), day=_day(facts, each.on))
        say = _("Points that were not used in time ended on {day}.").format(day=_day(facts, each.on))
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
        told = _("The bonus “{bonus}” was not awarded for bill {bill_no}. It asks: {asked}. Found: {found}.")
        yield Finding(
            "bonus_not_awarded", told.format(bonus=each.bonus, bill_no=each.bill_no, asked=each.asked, found=each.found),
            _("That bonus has a condition which this purchase did not meet: {asked}.").format(asked=each.asked),
            pattern=Pattern.LOWER, owner=Owner.MARKETING, evidence=(Evidence("evaluation", each.bonus, each.id),), explains=True,
            answers=answers,
        )  # fmt: skip


def changed_identity(facts: Facts) -> Iterator[Finding]:
    for each in facts.merged[:1]:
        told = _("{who} was merged into this one on {day}; their points and bills stand here.")
        told = told.format(who=each.name or _("Another customer"), day=_day(facts, each.at))
        yield Finding("merged", told, _("Your two accounts are one now, with the points of both."), explains=True)
    since = facts.picture.now - timedelta(days=60)
    aliases = [each for each in facts.picture.aliases if each.valid_until is None and each.valid_from > since]
    if aliases and not facts.merged:
        told = _("The number changed on {day}; bills under the old one still come to this customer.")
        told = told.format(day=_day(facts, aliases[0].valid_from))
        yield Finding("number_changed", told, _("Your old number still leads to your points."), explains=True)


#: In the order in which an agent would look.
CHECKS: tuple[Check, ...] = (
    asked_bill, blocked_points, redeemed_twice, negative, told_of_bills, unsettled_bills, orders_without_bill, crm_differs, dashboard_differs,
    earned_nothing, coming_points, expired_points, bonus_missed, changed_identity,
)  # fmt: skip


def findings(facts: Facts) -> list[Finding]:
    """Everything that every check finds."""
    return [finding for check in CHECKS for finding in check(facts)]
