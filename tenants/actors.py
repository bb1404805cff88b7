"""Who did it. Every change names an actor; there is no default."""

from dataclasses import dataclass
from enum import StrEnum

from tenants.errors import DomainError
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

        Raises: DomainError `own_request`.
        """
        if self.ident == ident or (not ident and self.name == asked_by):
            raise DomainError("own_request", said("You asked for this yourself. Somebody else has to decide."))


SYSTEM = Actor(ActorKind.SYSTEM, None, "Pointdesk")
