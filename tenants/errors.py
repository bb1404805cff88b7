"""One kind of refusal for the whole house."""

from contextvars import ContextVar
from typing import Any


class DomainError(Exception):
    """Something was refused and nothing was changed.

    `code` is stable and for machines, `sentence` is for people and says what to do next, `details` hold the figures.
    Each kind of edge (HTTP, admin, command) translates it once.
    """

    def __init__(self, code: str, sentence: str, **details: Any) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.details = details

    def __repr__(self) -> str:
        return f"DomainError({self.code!r}, {self.sentence!r})"


class NotAllowed(DomainError):
    """Somebody tried what they may not do. Kept in the trail, also where it ends as a sentence above a form (`tenants.refusals`)."""

    def __init__(self, code: str, sentence: str, **details: Any) -> None:
        super().__init__(code, sentence, **details)
        noted = NOTED.get()
        if noted is not None:
            noted.append(self)


#: What was refused in the request that is being served.
NOTED: ContextVar[list[NotAllowed] | None] = ContextVar("noted", default=None)
