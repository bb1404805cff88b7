"""Deliveries booked again, one or a million: chosen and counted, tried without effect, then run in chunks at a bounded rate.

A bill that is booked is reversed by link and booked anew; a conflict is accepted as a correction; a quarantined or waiting one is tried again.
Nothing is deleted, no customer is told anything. Each chunk is one transaction with its rows' outcomes, so a killed run goes on where
it was; a customer's deliveries are always in one chunk, so that a dry run, chunk by chunk, sees what the run will see.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone
from django_scopes import scope

from integrations import inbox, retention
from integrations.booking import Batch
from integrations.models import DeliveryState, Replay, ReplayState
from integrations.posting import Outcome, Shop, Taken
from loyalty.ledger import checked_reason, retried
from tenants import audit, clock, crash, stores
from tenants.actors import Actor, ActorKind
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.runs import alone
from tenants.saying import said
from tenants.setwise import columns_of

log = structlog.get_logger("pointdesk.replay")
CHUNK = 250
#: Customers whose balances a dry run lists; the totals are of all.
SHOWN = 1000
#: Somebody has asked for work on it.
AT_WORK = (ReplayState.TRYING, ReplayState.RUNNING)
STATES = (DeliveryState.APPLIED, DeliveryState.CONFLICT, DeliveryState.QUARANTINED, DeliveryState.WAITING_PARENT)

CHOOSE = """
    INSERT INTO integrations_replayrow (tenant_id, replay_id, place, delivery_id, "group", state_before, outcome, check_name, message)
    SELECT %(tenant)s, %(replay)s, row_number() OVER (ORDER BY first_id, grp, id), id, grp, state, '', '', '' FROM (
        SELECT d.id, d.state, coalesce(nullif(d.mobile, ''), c.mobile, d.receipt) AS grp,
               min(d.id) OVER (PARTITION BY coalesce(nullif(d.mobile, ''), c.mobile, d.receipt)) AS first_id
        FROM integrations_delivery d
        LEFT JOIN integrations_bill b ON b.tenant_id = d.tenant_id AND b.id = d.bill_id
        LEFT JOIN loyalty_customer c ON c.tenant_id = d.tenant_id AND c.id = b.customer_id
        WHERE {fitting} AND d.body_gone_at IS NULL
    ) chosen
"""
FITTING = """
    d.tenant_id = %(tenant)s AND d.state = ANY(%(states)s) AND (d.state <> 'applied' OR b.superseded_at IS NULL AND b.bill_type <> 'CANCEL')
    {filters}
"""
#: Booked bills that fit and have nothing left to be booked from.
LEFT_OUT = """
    SELECT count(*) FROM integrations_delivery d LEFT JOIN integrations_bill b ON b.tenant_id = d.tenant_id AND b.id = d.bill_id
    WHERE {fitting} AND d.body_gone_at IS NOT NULL
"""
#: What each filter adds, and how its value is read.
FILTERS: dict[str, str] = {
    "ids": "AND d.id = ANY(%(ids)s)",
    "repush": "AND d.repush = %(repush)s",
    "check": "AND d.check_name = %(check)s",
    "store": "AND d.store_code = ANY(%(store)s)",
    "received_from": "AND d.received_at >= %(received_from)s",
    "received_until": "AND d.received_at < %(received_until)s",
    "billed_from": "AND b.business_date >= %(billed_from)s",
    "billed_until": "AND b.business_date <= %(billed_until)s",
    "discrepancy": "AND EXISTS (SELECT FROM integrations_discrepancy x WHERE x.tenant_id = d.tenant_id AND x.bill_id = d.bill_id"
    " AND x.kind = %(discrepancy)s)",
    "incident": "AND EXISTS (SELECT FROM integrations_discrepancy x WHERE x.tenant_id = d.tenant_id AND x.bill_id = d.bill_id"
    " AND x.incident_id = %(incident)s)",
}
#: What the latest deliveries offer to choose by.
OFFERS = """
    WITH late AS (
        SELECT repush, check_name, store_code FROM integrations_delivery WHERE tenant_id = %s ORDER BY id DESC LIMIT 20000
    )
    SELECT 'repush', repush, count(*) FROM late WHERE repush <> '' GROUP BY repush
    UNION ALL SELECT 'check', check_name, count(*) FROM late WHERE check_name <> '' GROUP BY check_name
    UNION ALL SELECT 'store', store_code, count(*) FROM late WHERE store_code <> '' GROUP BY store_code
    ORDER BY 1, 3 DESC, 2
"""
NEXT_ROWS = """
    WITH next AS (
        SELECT place, "group" FROM integrations_replayrow
        WHERE tenant_id = %(tenant)s AND replay_id = %(replay)s AND place > %(after)s ORDER BY place LIMIT %(chunk)s
    ), last AS (SELECT place, "group" FROM next ORDER BY place DESC LIMIT 1)
    SELECT r.place, r.delivery_id, r.state_before FROM integrations_replayrow r, last
    WHERE r.tenant_id = %(tenant)s AND r.replay_id = %(replay)s AND r.place > %(after)s
      AND (r.place <= last.place OR r."group" = last."group") ORDER BY r.place
"""
TAKE = """
    SELECT d.id, d.body, d.decided, d.state, b.posted_at, d.bill_id, d.body_gone_at, d.bill_no FROM integrations_delivery d
    LEFT JOIN integrations_bill b ON b.tenant_id = d.tenant_id AND b.id = d.bill_id
    WHERE d.tenant_id = %s AND d.id = ANY(%s) ORDER BY d.id FOR UPDATE OF d
"""
#: What the entries of this transaction did, by customer.
EFFECT = """
    SELECT c.id, c.name, c.mobile, b.pending, b.available, b.held, b.owed, e.pending, e.available, e.held, e.owed FROM (
        SELECT customer_id, sum(pending)::bigint AS pending, sum(available)::bigint AS available, sum(held)::bigint AS held,
               sum(owed)::bigint AS owed
        FROM loyalty_entry WHERE tenant_id = %s AND id > %s AND xid = pg_current_xact_id() GROUP BY customer_id
    ) e JOIN loyalty_balance b ON b.customer_id = e.customer_id JOIN loyalty_customer c ON c.id = e.customer_id ORDER BY c.id
"""
SETTLE_ROWS = """
    UPDATE integrations_replayrow SET outcome = new.outcome, check_name = new.check_name, message = new.message
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[]) AS new (delivery_id, outcome, check_name, message)
    WHERE tenant_id = %s AND replay_id = %s AND integrations_replayrow.delivery_id = new.delivery_id
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one delivery. State `kept`: a booked bill that could not be booked anew and stands as it was."""

    delivery_id: int
    state: str
    check: str = ""
    message: str = ""


def offers(tenant: Tenant) -> dict[str, list[tuple[str, int]]]:
    """-> by filter, what of it there is among the latest 20,000 deliveries, most of them first, with how many."""
    found: dict[str, list[tuple[str, int]]] = {"repush": [], "check": [], "store": []}
    with connection.cursor() as cursor:
        cursor.execute(OFFERS, [tenant.pk])
        for name, value, count in cursor.fetchall():
            found[name].append((value, count))
    return found


def choose(tenant: Tenant, *, filters: dict[str, Any], reason: str, actor: Actor, per_second: int = 500) -> Replay:
    """Count what is to be booked again. `filters`: `states` and any of FILTERS; `all` alone chooses everything that may be.

    Raises: DomainError `reason_length`, `bad_value` (an unknown filter, or none), `nothing_chosen`.
    """
    reason = checked_reason(reason)
    values, conditions, states = _conditions(tenant, filters)
    with transaction.atomic():
        replay: Replay = Replay.objects.create(
            tenant=tenant, filters=filters, reason=reason, actor_kind=actor.kind.value, actor_id=actor.id, actor_name=actor.name,
            per_second=per_second,
        )  # fmt: skip
        with connection.cursor() as cursor:
            fitting = FITTING.format(filters="\n".join(conditions))
            asked = values | {"tenant": tenant.pk, "replay": replay.pk, "states": states}
            cursor.execute(CHOOSE.format(fitting=fitting), asked)
            replay.total = cursor.rowcount
            cursor.execute(LEFT_OUT.format(fitting=fitting), asked)
            (replay.left_out,) = cursor.fetchone()
        if not replay.total:
            transaction.set_rollback(True)
            raise _nothing_chosen(replay.left_out)
        replay.save(update_fields=["total", "left_out"])
        audit.record(
            tenant, actor=actor, action="choose_replay", target=replay, reason=reason,
            after={"deliveries": replay.total, "left_out": replay.left_out},
        )  # fmt: skip
    return replay


def _nothing_chosen(left_out: int) -> DomainError:
    if left_out:
        told = said(
            "The messages of all {count} bills that fit are kept no more. Have the POS send them once more.", count=left_out
        )
        return DomainError("nothing_chosen", told, left_out=left_out)
    return DomainError("nothing_chosen", said("No delivery fits these filters. Choose others."))


def _conditions(tenant: Tenant, filters: dict[str, Any]) -> tuple[dict[str, Any], list[str], list[str]]:
    unknown = sorted(set(filters) - set(FILTERS) - {"states", "all"})
    if unknown or not filters:
        raise DomainError(
            "bad_value",
            said("Say which deliveries: {filters}, or all.", filters=", ".join(["states", *FILTERS])),
            path=(unknown or [""])[0],
        )
    states = [str(each) for each in filters.get("states") or STATES]
    if set(states) - {each.value for each in STATES}:
        told = said("States that can be booked again: {states}.", states=", ".join(STATES))
        raise DomainError("bad_value", told, path="states")
    values = {name: value for name, value in filters.items() if name in FILTERS and value not in (None, "", [])}
    if "store" in values:
        store = stores.find(tenant, str(values["store"]))
        codes = [code for code, found in stores.by_code(tenant).items() if store is not None and found.pk == store.pk]
        values["store"] = [*codes, str(values["store"])]
    return values, [FILTERS[name] for name in values], states


def try_it(replay: Replay, *, now: datetime) -> Replay:
    """The dry run: every chunk is booked and rolled back. What it found stands in `effect`.

    Raises: DomainError `replay_state`.
    """
    _begin(replay, {ReplayState.CHOSEN, ReplayState.TRIED, ReplayState.TRYING}, ReplayState.TRYING)
    tenant = replay.tenant
    customers: list[dict[str, Any]] = []
    totals: Counter[str] = Counter()
    refused: list[dict[str, Any]] = []
    outcomes: Counter[str] = Counter()
    with scope(tenant=tenant):
        for rows in _chunks(replay):
            if _state_of(replay) != ReplayState.TRYING:
                return replay
            parts = list(
                _in_parts(
                    rows, lambda part: _try_chunk(replay, part, now=now), lambda row, problem: ([], [_failed(row, problem)])
                )
            )
            effect = [each for found, _ in parts for each in found]
            results = [each for _, found in parts for each in found]
            outcomes.update(result.state for result in results)
            for result in results:
                if result.state != DeliveryState.APPLIED and len(refused) < SHOWN:
                    refused.append(
                        {"delivery": result.delivery_id, "state": result.state, "check": result.check, "message": result.message}
                    )
            totals["touched"] += len(effect)
            for each in effect:
                if each["before"] == each["after"]:
                    continue
                totals.update(
                    {name: each["after"][name] - each["before"][name] for name in ("pending", "available", "held", "owed")}
                )
                totals["customers"] += 1
                if len(customers) < SHOWN:
                    customers.append(each)
    effect_of_all = {"customers": customers, "totals": dict(totals), "outcomes": dict(outcomes), "refused": refused}
    with scope(tenant=tenant):
        mine = Replay.objects.filter(tenant=tenant, pk=replay.pk, state=ReplayState.TRYING)  # else it was cancelled meanwhile
        mine.update(effect=effect_of_all, state=ReplayState.TRIED, tried_at=timezone.now())
        replay.refresh_from_db()
    return replay


def _try_chunk(replay: Replay, rows: "Sequence[_Row]", *, now: datetime) -> tuple[list[dict[str, Any]], list[Result]]:
    def attempt() -> tuple[list[dict[str, Any]], list[Result]]:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT coalesce(max(id), 0) FROM loyalty_entry")
                (last,) = cursor.fetchone()
                results = _book(replay, rows, now=now, cursor=cursor)
                cursor.execute(EFFECT, [replay.tenant_id, last])
                effect = [_shown(row) for row in cursor.fetchall()]
            transaction.set_rollback(True)
        return effect, results

    return retried(attempt)


def _shown(row: tuple[Any, ...]) -> dict[str, Any]:
    customer_id, name, mobile, *numbers = row
    names = ("pending", "available", "held", "owed")
    after = dict(zip(names, numbers[:4], strict=True))
    before = {each: after[each] - delta for each, delta in zip(names, numbers[4:], strict=True)}
    return {"customer": customer_id, "name": name, "mobile": mobile[-4:], "before": before, "after": after}


def run(replay: Replay, *, clock: Callable[[], datetime] = timezone.now, sleep: Callable[[float], None] = time.sleep) -> Replay:
    """Book what was chosen, chunk by chunk, until done or cancelled. Called again after a crash, it goes on where it was.

    Raises: DomainError `replay_state`, when it has not been tried.
    """
    _begin(replay, {ReplayState.TRIED, ReplayState.RUNNING}, ReplayState.RUNNING)
    tenant = replay.tenant
    with scope(tenant=tenant):
        for rows in _chunks(replay, undone=True):
            began = time.monotonic()
            if _state_of(replay) != ReplayState.RUNNING:
                break
            for _ in _in_parts(
                rows,
                lambda part: retried(lambda: _run_chunk(replay, part, now=clock())),
                lambda row, problem: _give_up(replay, row, problem),
            ):
                pass
            if replay.per_second:
                sleep(max(0.0, len(rows) / replay.per_second - (time.monotonic() - began)))
        with transaction.atomic():
            locked: Replay = Replay.objects.select_for_update().get(pk=replay.pk)
            if locked.state == ReplayState.RUNNING:
                locked.state, locked.finished_at = ReplayState.DONE, clock()
                locked.save(update_fields=["state", "finished_at"])
                audit.record(
                    tenant, actor=_actor(replay), action="run_replay", target=replay, reason=replay.reason, after=locked.counts
                )
        replay.refresh_from_db()
    return replay


def _run_chunk(replay: Replay, rows: "Sequence[_Row]", *, now: datetime) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        locked: Replay = Replay.objects.select_for_update().get(pk=replay.pk)
        if locked.state == ReplayState.RUNNING:  # else it was cancelled a moment ago
            _write(cursor, locked, _book(replay, rows, now=now, cursor=cursor))
            crash.point("replay_before_commit")
    crash.point("replay_after_commit")


def _give_up(replay: Replay, row: "_Row", problem: Exception) -> None:
    """One row that nobody foresaw stops nobody else: it is reported, and stands as it was."""
    with transaction.atomic(), connection.cursor() as cursor:
        locked: Replay = Replay.objects.select_for_update().get(pk=replay.pk)
        if locked.state == ReplayState.RUNNING:
            _write(cursor, locked, [_failed(row, problem)])


def _write(cursor: Any, locked: Replay, results: Sequence[Result]) -> None:
    written = [(each.delivery_id, each.state, each.check, each.message) for each in results]
    cursor.execute(SETTLE_ROWS, [*columns_of(written), locked.tenant_id, locked.pk])
    locked.counts = dict(Counter(locked.counts) + Counter(each.state for each in results))
    locked.done += len(results)
    locked.save(update_fields=["counts", "done"])


def _failed(row: "_Row", problem: Exception) -> Result:
    log.error("replay row failed", delivery=row.delivery_id, error=type(problem).__name__)
    told = said("Processing failed ({problem}). It stands as it was.", problem=type(problem).__name__)
    return Result(row.delivery_id, "failed", message=told)


def _in_parts[R](
    rows: "Sequence[_Row]", do: "Callable[[Sequence[_Row]], R]", give_up: "Callable[[_Row, Exception], R]"
) -> Iterator[R]:
    """The whole chunk; where that fails for a reason that nobody foresaw, row by row. An engine that is away is no such reason."""
    try:
        done = do(rows)
    except (OperationalError, InterfaceError):
        raise
    except Exception as problem:
        # Its type only: what PostgreSQL says of a failing row holds the row.
        log.error("replay chunk failed", rows=len(rows), error=type(problem).__name__)
        if len(rows) > 1:
            for row in rows:
                yield from _in_parts([row], do, give_up)
            return
        done = give_up(rows[0], problem)
    yield done


def _state_of(replay: Replay) -> str:
    return str(Replay.objects.values_list("state", flat=True).get(pk=replay.pk))


def work_on(replay: Replay, *, now: datetime) -> bool:
    """Do what the replay's state asks for, unless another worker is at it. -> whether we did."""
    with scope(tenant=replay.tenant), alone(f"replay {replay.pk}") as ours:
        if not ours:
            return False
        replay.refresh_from_db()  # while we waited, another worker may have done it
        if replay.state == ReplayState.TRYING:
            try_it(replay, now=now)
        elif replay.state == ReplayState.RUNNING:
            run(replay, clock=clock.now)
    return True


def ask(replay: Replay, state: ReplayState, *, actor: Actor) -> None:
    """Somebody pressed Try or Run: the worker finds it by its state. Raises: DomainError `replay_state`."""
    allowed = {ReplayState.TRYING: {ReplayState.CHOSEN, ReplayState.TRIED}, ReplayState.RUNNING: {ReplayState.TRIED}}
    with transaction.atomic():
        _begin(replay, allowed[state], state)
        if state is ReplayState.RUNNING:  # whoever presses Run does it
            replay.actor_kind, replay.actor_id, replay.actor_name = actor.kind.value, actor.id, actor.name
            replay.save(update_fields=["actor_kind", "actor_id", "actor_name"])
        audit.record(
            replay.tenant, actor=actor, action="ask_replay", target=replay, reason=replay.reason, after={"state": state.value}
        )


def cancel(replay: Replay, *, actor: Actor, now: datetime) -> Replay:
    """Stop before the next chunk; what is done stays. Raises: DomainError `replay_state`."""
    with transaction.atomic():
        locked: Replay = Replay.objects.select_for_update().get(tenant=replay.tenant, pk=replay.pk)
        if locked.state in (ReplayState.DONE, ReplayState.CANCELLED):
            told = said("This replay is {state} already. Nothing was changed.", state=locked.get_state_display())
            raise DomainError("replay_state", told)
        locked.state, locked.finished_at = ReplayState.CANCELLED, now
        locked.save(update_fields=["state", "finished_at"])
        audit.record(
            locked.tenant,
            actor=actor,
            action="cancel_replay",
            target=locked,
            reason=said("Cancelled"),
            after={"done": locked.done},
        )
    return locked


def _begin(replay: Replay, allowed: set[ReplayState], state: ReplayState) -> None:
    with scope(tenant=replay.tenant), transaction.atomic():
        locked: Replay = Replay.objects.select_for_update().get(tenant=replay.tenant, pk=replay.pk)
        if locked.state not in {each.value for each in allowed}:
            raise DomainError(
                "replay_state",
                said("This replay is {state}. Try it without effect first, then run it, once.", state=locked.get_state_display()),
                state=locked.state,
            )  # fmt: skip
        replay.state = state
        if state is ReplayState.RUNNING and replay.started_at is None:
            replay.started_at = timezone.now()
        replay.save(update_fields=["state", "started_at"])


@dataclass(frozen=True, slots=True)
class _Row:
    place: int
    delivery_id: int
    state_before: str


def _chunks(replay: Replay, *, undone: bool = False) -> Iterator[list[_Row]]:
    """Chunks of whole customers, in order; `undone`: from the first row that has no outcome."""
    after = 0
    if undone:
        first = replay.rows.filter(outcome="").order_by("place").values_list("place", flat=True).first()
        if first is None:
            return
        after = first - 1
    chunk = min(CHUNK, replay.per_second) or CHUNK  # a second's worth at most, so that slow is slow
    while True:
        with connection.cursor() as cursor:
            cursor.execute(NEXT_ROWS, {"tenant": replay.tenant_id, "replay": replay.pk, "after": after, "chunk": chunk})
            rows = [_Row(*row) for row in cursor.fetchall()]
        if not rows:
            return
        yield rows
        after = rows[-1].place


def _book(replay: Replay, rows: Sequence[_Row], *, now: datetime, cursor: Any) -> list[Result]:
    """Book the deliveries of these rows as they are now; -> what became of each."""
    tenant = replay.tenant
    inbox.wait_for(cursor, tenant)
    cursor.execute(TAKE, [tenant.pk, [row.delivery_id for row in rows]])
    taken: list[Taken] = []
    before: dict[int, str] = {}
    done: list[Result] = []
    for delivery_id, body, decided, state, posted_at, bill_id, gone_at, bill_no in cursor.fetchall():
        before[delivery_id] = state
        if state not in {each.value for each in STATES}:
            done.append(Result(delivery_id, state, message=said("It has changed since it was chosen.")))
        elif state == DeliveryState.APPLIED and posted_at and replay.created_at < posted_at:
            done.append(
                Result(
                    delivery_id,
                    state,
                    message=said("It was booked anew together with the bill it is about, or by somebody else."),
                )
            )
        elif gone_at is not None:
            done.append(Result(delivery_id, "kept", retention.GONE, retention.told_gone(bill_no)))
        else:
            taken.append(Taken(delivery_id, bytes(body), inbox.decided(decided) | _meanwhile(state), bill_id))
    # Bills in the order in which they came, whatever the order of the chunk's customers.
    reason = said("Replay {number}: {reason}", number=replay.pk, reason=replay.reason)[:500]
    batch = Batch(Shop(tenant, now=now, actor=_actor(replay), reason=reason))
    outcomes = batch.run(taken)
    asked = {each.id for each in taken}
    for delivery_id in batch.followed:  # undone already: nothing of it stands
        before[delivery_id] = ""
    settled = [each for each in outcomes if not _stands(each, before.get(each.id, ""))]
    inbox.settle(cursor, tenant, [each for each in settled if each.state is not DeliveryState.RECEIVED], now=now)
    return done + [_result(each, before[each.id]) for each in outcomes if each.id in asked]


def _meanwhile(state: str) -> dict[str, Any]:
    return {DeliveryState.APPLIED: {"anew": True}, DeliveryState.CONFLICT: {"correction": True}}.get(DeliveryState(state), {})


def _stands(outcome: Outcome, before: str) -> bool:
    """A booked bill that could not be booked anew stands as it was, and so does its delivery."""
    return before == DeliveryState.APPLIED and outcome.state is not DeliveryState.APPLIED


def _result(outcome: Outcome, before: str) -> Result:
    if outcome.state is DeliveryState.RECEIVED:
        return Result(
            outcome.id,
            before,
            message=said("Another delivery of the same bill was booked just before. Replay this one after it."),
        )
    state = "kept" if _stands(outcome, before) else outcome.state.value
    return Result(outcome.id, state, outcome.check, outcome.message)


def _actor(replay: Replay) -> Actor:
    return Actor(ActorKind(replay.actor_kind), replay.actor_id, replay.actor_name)
