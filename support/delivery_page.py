"""One delivery on one screen: what came, what was understood, what failed with both figures, and what can be decided about it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.dateformat import format as formatted
from django.utils.translation import gettext as _

from integrations import wondersoft
from integrations.decisions import MOVES, Decision, Move, bill_type_of, offered
from integrations.documents import Document, hide_mobiles, read_json
from integrations.models import Bill, Delivery, DeliveryState, Discrepancy
from integrations.trace import Stop, trace
from loyalty.models import mask_mobile
from loyalty.money import minor_digits
from tenants.errors import DomainError
from tenants.models import Tenant

#: Fields of a bill in the order in which people read it; the rest follows.
ORDER = (
    "bill_type", "bill_no", "version", "bill_date", "store_code", "till_code", "cashier", "customer", "original", "return_type",
    "gross_amount", "discount_amount", "net_amount", "tax_amount", "round_off", "payable_amount", "redemption", "items", "tenders",
)  # fmt: skip
RAW_MAX = 20_000
#: A number of more digits is shown as it was sent: 1e999999 has a million of them.
DIGITS_SHOWN = 30


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of two documents, as text; `same`: nothing to look at."""

    path: str
    booked: str
    sent: str

    @property
    def same(self) -> bool:
        return self.booked == self.sent


@dataclass(frozen=True, slots=True)
class Page:
    """What the template shows."""

    delivery: Delivery
    bill_type: str
    understood: Document | None
    raw: str
    moves: list[tuple[Decision, Move]]
    masked: str
    figures: tuple[str, str] | None = None
    path: str = ""
    differences: list[Difference] = field(default_factory=list)
    booked: Bill | None = None
    suggestions: list[Mapping[str, Any]] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    discrepancies: list[Discrepancy] = field(default_factory=list)
    repeats: int = 0
    for_vendor: str = ""
    #: Of the booked bill of a conflict, its figures are shown, since its message is kept no more.
    first_gone: bool = False
    hash: str = ""


def load(tenant: Tenant, delivery: Delivery) -> Page:
    body = bytes(delivery.body)
    booked: Bill | None = delivery.bill
    is_conflict = delivery.state == DeliveryState.CONFLICT
    details = delivery.details
    first = booked.deliveries.filter(state=DeliveryState.APPLIED).first() if is_conflict and booked else None
    figures = (str(details["expected"]), str(details["found"])) if {"expected", "found"} <= details.keys() else None
    return Page(
        delivery=delivery,
        bill_type=bill_type_of(delivery),
        understood=_understood(tenant, body),
        raw=shown_body(body, but=delivery.bill_no),
        moves=[(decision, MOVES[decision]) for decision in offered(delivery, bill_type_of(delivery))],
        masked=mask_mobile(delivery.mobile) if delivery.mobile else "",
        figures=figures,
        path=str(details.get("path", "")),
        differences=_differences(booked, first, body) if booked and first else [],
        first_gone=first is not None and first.body_gone_at is not None,
        booked=booked,
        suggestions=[
            {**each, "day": date.fromisoformat(each["date"]), "net": Decimal(each["net_amount"])}
            for each in details.get("suggestions", [])
        ],
        stops=trace(booked) if booked and delivery.state == DeliveryState.APPLIED else [],
        discrepancies=list(booked.discrepancies.all()) if booked and delivery.state == DeliveryState.APPLIED else [],
        repeats=Delivery.objects.filter(tenant=tenant, first=delivery).count(),
        for_vendor=_for_vendor(tenant, delivery, figures),
        hash=bytes(delivery.body_hash).hex(),
    )


def _understood(tenant: Tenant, body: bytes) -> Document | None:
    try:
        return wondersoft.document(read_json(body), minor_digits=minor_digits(tenant.currency), lenient=tenant.lenient_numbers)
    except DomainError:
        return None


def shown_body(body: bytes, *, but: str = "") -> str:
    """The body as text, its long numbers hidden, `but` the bill's own."""
    try:
        text = hide_mobiles(json.dumps(_masked(read_json(body)), indent=2, ensure_ascii=False, default=str), but=but)
    except (DomainError, RecursionError):
        return _("{count} bytes that are not a bill").format(count=len(body))
    if len(text) <= RAW_MAX:
        return text
    return f"{text[:RAW_MAX]}\n… " + _("{count:,} more characters").format(count=len(text) - RAW_MAX)


def _masked(value: Any, name: str = "") -> Any:
    """Numbers of people, however they are written: with spaces, dashes, as an integer."""
    if isinstance(value, dict):
        return {key: _masked(each, str(key)) for key, each in value.items()}
    if isinstance(value, list):
        return [_masked(each, name) for each in value]
    return mask_mobile(str(value)) if value and _is_number_of_person(name) else value


def _is_number_of_person(name: str) -> bool:
    return any(word in name.lower() for word in ("mobile", "phone", "contact"))


def _differences(booked: Bill, first: Delivery, body: bytes) -> list[Difference]:
    """Both documents field by field, those that differ first. Where the first one's message is kept no more: what was booked of it."""
    try:
        after = dict(_flat(read_json(body)))
        if first.body_gone_at is not None:
            before = dict(_flat(_booked(booked)))
            after = {path: text for path, text in after.items() if path in before}
        else:
            before = dict(_flat(read_json(bytes(first.body))))
    except (DomainError, RecursionError):
        return []
    rows = [Difference(path, before.get(path, "–"), after.get(path, "–")) for path in dict.fromkeys([*before, *after])]
    return sorted(rows, key=lambda row: row.same)


def _booked(bill: Bill) -> dict[str, Any]:
    """The figures of a booked bill by the names that they have in its document."""
    amounts = {
        name: getattr(bill, name) for name in ("gross_amount", "discount_amount", "net_amount", "tax_amount", "payable_amount")
    }
    lines = [
        {"line_no": each.line_no, "item_code": each.item_code, "qty": each.qty, "amount": each.amount}
        for each in bill.lines.order_by("line_no")
    ]
    head = {"bill_type": bill.bill_type, "bill_no": bill.bill_no, "version": bill.version, "till_code": bill.till_code}
    return {**head, **amounts, "items": lines}


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        known = [name for name in ORDER if name in value] if not path else []
        for name in [*known, *(name for name in value if name not in known)]:
            yield from _flat(value[name], f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for place, each in enumerate(value, start=1):
            yield from _flat(each, f"{path} {place}")
    else:
        text = _text(value)
        yield path, mask_mobile(text) if text and _is_number_of_person(path) else text


def _text(value: Any) -> str:
    if isinstance(value, Decimal) and abs(value.adjusted()) < DIGITS_SHOWN:
        return f"{value.normalize():f}"
    return "" if value is None else str(value)


def _for_vendor(tenant: Tenant, delivery: Delivery, figures: tuple[str, str] | None) -> str:
    """What to write to the POS vendor about it."""
    if delivery.state not in (DeliveryState.QUARANTINED, DeliveryState.CONFLICT):
        return ""
    number, store = delivery.bill_no or _("(no number)"), delivery.store_code or _("(no store)")
    received = formatted(delivery.received_at.astimezone(tenant.zone), "d M Y H:i")
    lines = [
        _("Bill {bill_no} of store {store} cannot be booked.").format(bill_no=number, store=store),
        _("Received {at}, receipt {receipt}.").format(at=received, receipt=delivery.receipt),
        _("Check: {check}. {message}").format(check=delivery.check_name, message=delivery.message),
    ]
    if figures:
        expected = _("At {path}: expected {expected}, found {found}.")
        lines.append(expected.format(path=delivery.details.get("path", ""), expected=figures[0], found=figures[1]))
    return "\n".join(lines)
