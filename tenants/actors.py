"""Who did it. Every change names an actor; there is no default."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

import structlog

from tenants.errors import NotAllowed
from tenants.saying import said


class ActorKind(StrEnum):
    PERSON = "person"
    KEY = "key"
    JOB = "job"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """`id` is the user's, key's or job's id; `name` is what people read in the timeline, frozen at the time of the act."""

    kind: ActorKind
    id: int | None
    name: str

    @property
    def ident(self) -> str:
        """Tells actors apart, also where two have one name."""
        return f"{self.kind.value}:{self.id or 0}"

    def refuse_own(self, asked_by: str, *, ident: str) -> None:
        """Two people: who asked does not decide (CASES 80). `ident` is empty where it was asked before such were kept.

        Raises: NotAllowed `own_request`.
        """
        if self.ident == ident or (not ident and self.name == asked_by):
            raise NotAllowed("own_request", said("You asked for this yourself. Somebody else has to decide."))


#: Who acts in the request that is being served: for what the database itself writes into the trail.
ACTING: ContextVar[Actor | None] = ContextVar("acting", default=None)


@contextmanager
def acting_as(actor: Actor | None) -> Iterator[None]:
    token = ACTING.set(actor)
    try:
        yield
    finally:
        ACTING.reset(token)


SYSTEM = Actor(ActorKind.SYSTEM, None, "Pointdesk")


def as_told(actor: Actor | None) -> str:
    """Who acts, from where and in which request, as the database's own functions of `tenants.trail` read it; empty: nobody in particular."""
    if actor is None:
        return ""
    context = structlog.contextvars.get_contextvars()
    told = {"kind": actor.kind.value, "id": actor.id, "name": actor.name, "address": context.get("address")}
    return json.dumps(told | {"request_id": context.get("request_id", "")})
