"""What bodies of bills say, by themselves: read, checked against themselves, and for those that wait, ahead of time. No database."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from integrations import wondersoft
from integrations.documents import Document, Figures, check_sums, read_json
from loyalty.money import minor_digits
from tenants.errors import DomainError
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class Understood:
    """Each of the three, or why a body is refused from there on; asked for one that is refused, it raises. `summed`: the document, its sums
    checked."""

    body: bytes
    its_raw: dict[str, Any] | DomainError
    its_document: Document | DomainError | None = None
    its_summed: Document | DomainError | None = None
    figures: Figures | None = None

    @property
    def raw(self) -> dict[str, Any]:
        """Raises: MalformedJSON."""
        return _said(self.its_raw)

    @property
    def document(self) -> Document:
        """Raises: CheckFailed."""
        return _said(self.its_document)

    @property
    def summed(self) -> Document:
        """Raises: CheckFailed."""
        return _said(self.its_summed)


def _said[T](value: T | DomainError | None) -> T:
    if isinstance(value, DomainError):
        raise value
    assert value is not None, "what comes before was refused"
    return value


def understand(body: bytes, *, tenant: Tenant) -> Understood:
    """`tenant`: by whose currency and leniency. What is wrong with the body stands in the answer."""
    digits = minor_digits(tenant.currency)
    raw: dict[str, Any] | None = None
    document: Document | None = None
    try:
        raw = read_json(body)
        document = wondersoft.document(raw, minor_digits=digits, lenient=tenant.lenient_numbers)
        return Understood(body, raw, document, check_sums(document, minor_digits=digits), document.figures())
    except DomainError as refusal:
        if raw is None:
            return Understood(body, refusal)
        return Understood(body, raw, refusal) if document is None else Understood(body, raw, document, refusal)


#: Read in about a tenth of a second, however long each is.
BYTES_AHEAD = 1 << 20


class Ahead:
    """Bodies that come next are noted, read while there is time, and given out once."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._next: list[tuple[int, bytes]] = []
        self._read: dict[int, Understood] = {}

    def note(self, bodies: Iterable[tuple[int, bytes]]) -> None:
        """As many as are read in a moment: customers of the batch under way wait as long."""
        self._next, left = [], BYTES_AHEAD
        for delivery_id, body in bodies:
            left -= len(body)
            if left < 0:
                break
            self._next.append((delivery_id, body))

    def read(self) -> None:
        """Now is the time. What cannot be read for a reason that nobody foresaw is left to its own batch, which says so; what was read and
        not asked for is forgotten."""
        self._read.clear()
        while self._next:
            delivery_id, body = self._next.pop()
            with suppress(Exception):
                self._read[delivery_id] = understand(body, tenant=self._tenant)

    def of(self, delivery_id: int, body: bytes) -> Understood:
        known = self._read.pop(delivery_id, None)
        return known if known is not None and known.body == body else understand(body, tenant=self._tenant)
