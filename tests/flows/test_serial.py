"""Real threads, real commits: some serial order of the acts explains what everybody was told.

Accepted acts stand in the order of their entries; replayed one by one on a fresh account of the core they must give, each, the balance
that its caller was given. A refused act must have been refused by a balance that existed while it ran.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from django_scopes import scope

from loyalty import holds, operations
from loyalty.account import Account, Effect
from loyalty.models import Customer, Entry, Hold
from loyalty.operations import Buckets, buckets_of
from loyalty.state import Hold as CoreHold
from loyalty.state import Terms
from tenants.actors import SYSTEM
from tenants.errors import DomainError
from tenants.models import Store, Tenant
from tests import builders

THREADS, ACTS = 4, 25


@dataclass
class Act:
    """What one thread did, when it began and ended (by a common count), and what it was told."""

    kind: str
    points: int = 0
    target: int = 0
    began: int = 0
    ended: int = 0
    operation: int = 0
    after: Buckets | None = None
    refusal: DomainError | None = None


@dataclass
class Log:
    """A clock all threads share, the acts, and what can be acted on."""

    acts: list[Act] = field(default_factory=list)
    holds: list[int] = field(default_factory=list)
    adjustments: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ticks: int = 0

    def tick(self) -> int:
        with self.lock:
            self.ticks += 1
            return self.ticks


class Threads:
    """Four agents at once on one customer."""

    def __init__(self, tenant: Tenant, meera: Customer, *, seed: int) -> None:
        self.tenant, self.meera, self.log, self.seed = tenant, meera, Log(), seed
        self.store = Store.objects.get(tenant=tenant, code="K1")

    def run(self) -> Log:
        workers = [threading.Thread(target=self._work, args=(number,)) for number in range(THREADS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return self.log

    def _work(self, number: int) -> None:
        chance = random.Random(f"{self.seed}:{number}")
        with scope(tenant=self.tenant):
            for place in range(ACTS):
                kind = chance.choice(["add", "add", "remove", "remove", "hold", "hold", "release", "reverse", "reset"])
                act = Act(kind, chance.randint(1, 40), began=self.log.tick())
                try:
                    self._do(act, f"{number}-{place}", chance)
                except DomainError as refusal:
                    act.refusal = refusal
                act.ended = self.log.tick()
                self.log.acts.append(act)
        connection.close()

    def _do(self, act: Act, key: str, chance: random.Random) -> None:
        common: dict[str, Any] = {"reason": "at once", "actor": SYSTEM, "now": timezone.now()}
        match act.kind:
            case "add" | "remove":
                points = act.points if act.kind == "add" else -act.points
                posted = operations.adjust(self.tenant, self.meera.pk, points=points, key=key, **common)
                act.operation, act.after = posted.operation, posted.after
                self.log.adjustments.append(posted.operation)
            case "reset":
                if chance.random() < 0.2:
                    posted = operations.reset(self.tenant, self.meera.pk, key=key, **common)
                    act.operation, act.after = posted.operation, posted.after
            case "hold":
                common.pop("reason")
                placed = holds.place_hold(
                    self.tenant, self.meera.pk, points=act.points, reference=f"SB-{self.seed}-{key}", store=self.store, bill_no="", at=None,
                    **common,
                )  # fmt: skip
                act.target = placed.hold.pk
                self.log.holds.append(placed.hold.pk)
            case "release" if self.log.holds:
                act.target = chance.choice(self.log.holds)
                holds.release_hold(self.tenant, act.target, **common)
            case "reverse" if self.log.adjustments:
                act.target = chance.choice(self.log.adjustments)
                posted = operations.reverse(self.tenant, act.target, **common)
                act.operation, act.after = posted.operation, posted.after if not posted.repeated else None


class Replay:
    """The same acts on the core alone, in the order of the entries."""

    def __init__(self, today: date) -> None:
        self.account = Account(1)
        self.today = today
        self.terms = Terms(today, None)
        self.holds: dict[int, CoreHold] = {}
        self.effects: dict[int, list[Effect]] = {}

    def apply(self, kind: str, entry: Entry, of: Callable[[], int]) -> Buckets:
        begin = len(self.account.entries)
        match kind:
            case "adjust":
                self.account.adjust(entry.available, terms=self.terms, today=self.today)
            case "reset":
                self.account.reset(today=self.today)
            case "hold":
                assert entry.hold is not None
                held = CoreHold(entry.hold.reference, entry.hold.points, entry.hold.rate, entry.hold.at, entry.hold.expires_at)
                self.account.hold(held, today=self.today)
                self.holds[entry.hold.pk] = held
            case "release":
                assert entry.hold_id is not None
                self.account.release(self.holds[entry.hold_id], today=self.today)
            case "reversal":
                self.account.reverse(self.effects[of()], today=self.today)
        for made in self.account.entries[begin:]:
            made.id = made.id or entry.pk
        found = [Effect.of(made, lots=self.account.lots) for made in self.account.entries[begin:]]
        self.effects[entry.operation] = [effect for effect in found if effect]
        return buckets_of(self.account)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_some_serial_order_explains_what_everybody_was_told(committed: Tenant, seed: int) -> None:
    meera = builders.customer(committed)
    log = Threads(committed, meera, seed=seed).run()
    told = {act.operation: act for act in log.acts if act.operation and act.after is not None}
    replay = Replay(timezone.now().astimezone(committed.zone).date())
    states = [(0, 0, Buckets(0, 0, 0, 0))]  # (began, ended, after) of whatever made each balance
    firsts = Entry.objects.filter(tenant=committed, seq=0).select_related("hold", "of_entry").order_by("id")
    for entry in firsts:
        after = replay.apply(entry.kind, entry, lambda entry=entry: entry.of_entry.operation if entry.of_entry else 0)  # type: ignore[misc]
        act = told.get(entry.operation)
        if act is not None:
            assert act.after == after, f"{act.kind} was told {act.after}, the serial order gives {after}"
        states.append((act.began if act else 0, act.ended if act else log.ticks, after))
    assert buckets_of(replay.account) == Buckets(*builders.balance(meera))
    refused = [act for act in log.acts if act.refusal and act.refusal.code == "insufficient_points"]
    for act in refused:
        assert act.refusal is not None
        assert any(
            _explains(state, act) for state in zip(states, [*states[1:], (log.ticks, log.ticks, states[-1][2])], strict=True)
        )
    assert len(log.acts) == THREADS * ACTS
    assert refused, "a storm without a refusal proves little"


def _explains(state: tuple[tuple[int, int, Buckets], tuple[int, int, Buckets]], act: Act) -> bool:
    """A balance with just so many available points existed between the act's beginning and its end."""
    (began, _, after), (_, next_ended, _) = state
    assert act.refusal is not None
    return after.available == act.refusal.details["available"] and began <= act.ended and next_ended >= act.began


def test_no_hold_of_the_storm_ended_twice(committed: Tenant) -> None:
    meera = builders.customer(committed)
    Threads(committed, meera, seed=9).run()
    for hold in Hold.objects.filter(tenant=committed).exclude(state="active"):
        assert Entry.objects.filter(hold=hold, kind="release").count() == 1
