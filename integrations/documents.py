"""A bill as a document: read from JSON exactly, checked against itself. Pure: no database, no clock.

A failed check raises `CheckFailed` with the check's name, both figures and the path in the document (docs/api.md).
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from loyalty.ledger import content_hash
from tenants.errors import DomainError
from tenants.masking import hide_numbers
from tenants.models import RedemptionMode
from tenants.saying import said

NUMBER = re.compile(r"-?[0-9]{1,14}(\.[0-9]{1,4})?\Z")
GROUPED = re.compile(r"-?\d{1,3}(,\d{2,3})+(\.\d{1,4})?\Z")
DECIMAL_COMMA = re.compile(r"-?\d{1,14},\d{1,2}\Z")
#: Control characters and lone surrogates: no till means them, and PostgreSQL cannot keep them.
UNWRITABLE = re.compile("[\x00-\x1f\ud800-\udfff]")
REFERENCE = r"^[A-Za-z0-9._:-]{1,64}$"
#: Totals, lines and tenders of a bill, each amount as one text whatever its zeros.
type Figures = tuple[list[str], list[tuple[Any, ...]], list[tuple[str, str]]]
LOYALTY_TENDER = "LOYALTY_POINTS"
AMOUNT_MAX = Decimal(10) ** 13


def hide_mobiles(text: str, *, but: str = "") -> str:
    """A text in which nobody finds a mobile: the inbox is for documents, Customer 360 for people.

    `but`: the bill's own number, where it cannot be taken for a mobile.
    """
    if not any(sign.isalpha() for sign in but):
        return hide_numbers(text)
    return but.join(hide_numbers(part) for part in text.split(but))


class CheckFailed(DomainError):
    """A bill fails a named check; `details` hold the path and the figures."""


class MalformedJSON(DomainError):
    """The body is no JSON object."""


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _refuse_doubled_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return result


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_refuse_doubled_names)
_SPACE = re.compile(r"[ \t\r\n]*")


def _malformed(problem: Exception) -> MalformedJSON:
    told = "nested too deeply" if isinstance(problem, RecursionError) else str(problem)[:200].encode("ascii", "replace").decode()
    return MalformedJSON(
        "malformed_json",
        said("The body is not valid JSON in UTF-8. Nothing was booked. Correct it and send it again."),
        problem=told,
    )


def read_json(body: bytes) -> dict[str, Any]:
    """The object in a body; numbers are read from their text, never through binary floats.

    Raises: MalformedJSON, for anything that is not one UTF-8 JSON object.
    """
    try:
        value = _DECODER.decode(body.decode())
    except (ValueError, ArithmeticError, RecursionError) as problem:
        raise _malformed(problem) from None
    if not isinstance(value, dict):
        raise MalformedJSON("malformed_json", said("The body must be one JSON object: { ... }."))
    return value


def read_batch(body: bytes) -> tuple[dict[str, Any], list[tuple[bytes, Any]]]:
    """-> (envelope without its bills, each bill as its own bytes and its value). Each bill is kept as it was sent.

    Raises: MalformedJSON.
    """
    try:
        return _read_batch(body.decode())
    except (ValueError, ArithmeticError, RecursionError, IndexError) as problem:
        raise _malformed(problem) from None


def _read_batch(text: str) -> tuple[dict[str, Any], list[tuple[bytes, Any]]]:
    def skip(place: int) -> int:
        found = _SPACE.match(text, place)
        return found.end() if found else place

    def expect(sign: str, place: int) -> int:
        if text[place : place + 1] != sign:
            raise ValueError(f"expected {sign} at character {place}")
        return skip(place + 1)

    envelope: dict[str, Any] = {}
    bills: list[tuple[bytes, Any]] = []
    place = expect("{", skip(0))
    while text[place] != "}":
        name, place = _DECODER.raw_decode(text, place)
        place = expect(":", skip(place))
        if name == "bills" and text[place] == "[" and "bills" not in envelope:
            envelope[name] = True
            place = skip(place + 1)
            while text[place] != "]":
                value, end = _DECODER.raw_decode(text, place)
                bills.append((text[place:end].encode(), value))
                place = skip(end)
                place = place if text[place] == "]" else expect(",", place)
            place += 1
        elif not isinstance(name, str) or name in envelope:
            raise ValueError("a name stands twice in one object")
        else:
            envelope[name], place = _DECODER.raw_decode(text, place)
        place = skip(place)
        place = place if text[place] == "}" else expect(",", place)
    if skip(place + 1) != len(text):
        raise ValueError("text after the end")
    return envelope, bills


# Numbers and texts as the contract writes them


def _decimal(value: Any, info: ValidationInfo) -> Decimal:
    if type(value) is str and NUMBER.match(value):  # as nearly all of them are
        return Decimal(value)
    lenient: list[str] | None = (info.context or {}).get("lenient")
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise ValueError(said("is not a number"))
    if isinstance(value, Decimal) and (not value.is_finite() or abs(value.adjusted()) > 20):
        raise ValueError(said("is out of range"))  # and is never written out: 1e999999999 has a thousand million digits
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    if NUMBER.match(text):
        return Decimal(text)
    if lenient is not None:
        stripped = text.strip()
        if stripped == "":
            lenient.append(f"{info.field_name}: empty read as 0")
            return Decimal(0)
        if DECIMAL_COMMA.match(stripped):
            plain = stripped.replace(",", ".")
        elif GROUPED.match(stripped):
            plain = stripped.replace(",", "")
        else:
            plain = stripped
        if NUMBER.match(plain):
            lenient.append(f"{info.field_name}: {stripped} read as {plain}")
            return Decimal(plain)
    raise ValueError(said("is not a plain number such as 1234.50 (no grouping, dot for decimals, at most 4 decimals)"))


def _amount(value: Any, info: ValidationInfo) -> Decimal:
    number = _decimal(value, info)
    if number < 0:
        raise ValueError(said("is negative; the direction is in the type"))
    return number


def _points(value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not re.fullmatch(r"[0-9]{1,12}", text):
        raise ValueError(said("is not a whole number of points"))
    return int(text)


def _clean_text(value: str) -> str:
    if UNWRITABLE.search(value):
        raise ValueError(said("holds control characters"))
    return value.strip()


def _text_of(value: Any) -> Any:
    """Codes are often sent as bare numbers."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _moment(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError(said("is not an ISO 8601 time"))
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(said("is not an ISO 8601 time such as 2025-03-31T23:52:10+05:30")) from None
    if not 1990 <= moment.year <= 2200 or len(value) < 16:
        raise ValueError(said("is not an ISO 8601 date and time between 1990 and 2200"))
    return moment


Signed = Annotated[Decimal, PlainValidator(_decimal)]
Amount = Annotated[Decimal, PlainValidator(_amount)]
Points = Annotated[int, PlainValidator(_points)]
Text = Annotated[str, BeforeValidator(_text_of), AfterValidator(_clean_text), Field(max_length=120)]
ShortText = Annotated[str, BeforeValidator(_text_of), AfterValidator(_clean_text), Field(max_length=64)]
Code = Annotated[str, BeforeValidator(_text_of), AfterValidator(_clean_text), Field(min_length=1, max_length=120)]
ShortCode = Annotated[str, BeforeValidator(_text_of), AfterValidator(_clean_text), Field(min_length=1, max_length=64)]
Reference = Annotated[str, BeforeValidator(_text_of), Field(pattern=REFERENCE)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
LineType = Literal["SALE", "RETURN"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, values: Any) -> Any:
        if not isinstance(values, dict) or None not in values.values():
            return values
        return {name: value for name, value in values.items() if value is not None}


class Person(_Part):
    mobile: Annotated[str, BeforeValidator(_text_of), Field(max_length=60)] | None = None
    name: Text | None = None
    email: Text | None = None


class Redemption(_Part):
    reference: Reference | None = None
    points: Points | None = None
    amount: Amount | None = None


class Original(_Part):
    bill_no: Code
    store_code: ShortCode | None = None
    bill_date: Moment | None = None
    till_code: Text | None = None


class Item(_Part):
    line_no: Annotated[int, BeforeValidator(_points), Field(le=10**6)] | None = None
    line_type: LineType = "SALE"
    item_code: Text | None = None
    department: Text | None = None
    qty: Amount | None = None
    rate: Amount | None = None
    value: Amount | None = None
    discount: Amount | None = None
    amount: Amount | None = None
    tax_amount: Amount = Decimal(0)
    loyalty_discount: Amount | None = None
    loyalty_points: Points | None = None
    original_line_no: Annotated[int, BeforeValidator(_points), Field(le=10**6)] | None = None
    original: Original | None = None


class Tender(_Part):
    mode: ShortCode
    amount: Amount
    reference: Text | None = None


class Form(_Part):
    """The shape of a bill; what is required is required of every type but for items and net of a CANCEL."""

    bill_type: Literal["SALE", "RETURN", "EXCHANGE", "CANCEL"]
    bill_no: Code
    bill_date: Moment
    store_code: ShortCode
    bill_uid: Text | None = None
    business_id: Text | None = None
    version: Annotated[int, BeforeValidator(_points), Field(ge=1, le=10**6)] = 1
    till_code: ShortText | None = None
    cashier: Text | None = None
    customer: Person | None = None
    loyalty_mode: Literal["PAYMENT", "DISCOUNT"] | None = None
    tax_inclusive: bool = False
    gross_amount: Signed | None = None
    discount_amount: Signed | None = None
    net_amount: Signed | None = None
    tax_amount: Signed | None = None
    round_off: Signed = Decimal(0)
    payable_amount: Signed | None = None
    redemption: Redemption | None = None
    items: Annotated[list[Item], Field(max_length=100_000)] = []
    tenders: list[Tender] | None = None
    original: Original | None = None
    return_type: Literal["FULL", "LINE_ITEM", "AMOUNT"] | None = None


# The bill as the rest of the house sees it


class Line(NamedTuple):
    line_no: int
    line_type: str
    item_code: str
    department: str
    qty: Decimal
    value: Decimal
    discount: Decimal
    amount: Decimal
    tax_amount: Decimal
    loyalty_discount: Decimal
    loyalty_points: int
    #: Of a returned line: which line of which bill it was, where the document says so.
    original_line_no: int | None = None
    original: Original | None = None
    qty_sent: bool = True


@dataclass(frozen=True, slots=True)
class Spend:
    """Points that the bill redeems. `points` is None where the bill names only an amount: the rate decides."""

    mode: RedemptionMode
    reference: str
    points: int | None
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Document:
    """One bill, complete and consistent with itself. Amounts in the currency's units; `billed_at` may lack a zone."""

    bill_type: str
    bill_no: str
    version: int
    billed_at: datetime
    store_code: str
    till_code: str
    cashier: str
    bill_uid: str
    mobile: str
    name: str
    email: str
    gross: Decimal
    discount: Decimal
    net: Decimal
    tax: Decimal
    payable: Decimal
    lines: tuple[Line, ...]
    tenders: tuple[tuple[str, Decimal], ...]
    spend: Spend | None
    original: Original | None
    return_type: str = ""
    flags: tuple[str, ...] = field(default=())

    def signed(self, name: str) -> Decimal:
        return _signed(self.bill_type, self.lines, name)

    @property
    def returned(self) -> tuple[Line, ...]:
        """Lines that come back: of a RETURN all, whatever their own type says."""
        return self.lines if self.bill_type == "RETURN" else tuple(line for line in self.lines if line.line_type == "RETURN")

    @property
    def sold(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.line_type == "SALE") if self.bill_type in ("SALE", "EXCHANGE") else ()

    def figures(self) -> Figures:
        """What of its content needs nothing but the bill."""
        return (
            [_same(number) for number in (self.gross, self.discount, self.net, self.tax, self.payable)],
            [
                (line.line_no, line.line_type, line.item_code, line.department, line.loyalty_points,
                 *(_same(number) for number in (line.qty, line.value, line.discount, line.amount, line.tax_amount, line.loyalty_discount)))
                for line in sorted(self.lines, key=lambda line: line.line_no)
            ],
            sorted((mode, _same(amount)) for mode, amount in self.tenders),
        )  # fmt: skip

    def content(
        self, *, billed_at: datetime, mobile: str, store_of: Callable[[str], str] = str, figures: Figures | None = None
    ) -> int:
        """The fingerprint of what the bill says, with its time and number as resolved. `figures`: its own, where they are known.

        Without bill_uid, names, cashier, references of tenders, version, unknown fields, and the store's code: the store
        stands in the natural key, after its aliases (`store_of`: a store's own code, of whatever code names it).
        """

        def named(original: Original | None) -> tuple[Any, ...] | None:
            if original is None:
                return None
            at = original.bill_date
            at = at.replace(tzinfo=billed_at.tzinfo) if at and at.tzinfo is None else at
            store = store_of(original.store_code) if original.store_code else None
            return original.bill_no, store, at.timestamp() if at else None, original.till_code

        numbers, lines, tenders = figures or self.figures()
        of_returns = [
            (line.line_no, line.original_line_no, named(line.original))
            for line in sorted(self.lines, key=lambda line: line.line_no)
            if line.original_line_no is not None or line.original
        ]
        return content_hash(
            self.bill_type, self.bill_no, billed_at.timestamp(), self.till_code, mobile,
            *numbers, lines, tenders,
            (self.spend.reference, self.spend.points, _same(self.spend.amount)) if self.spend else None,
            named(self.original),
            *([self.return_type, of_returns] if self.return_type or of_returns else []),
        )  # fmt: skip


def _same(number: Decimal) -> str:
    """`9.00`, `9.0` and `9` are one amount, and so are `0` and `-0`, which are equal but do not look it."""
    text = str(number)
    if "E" in text:
        return f"{number.normalize() + 0:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def read_bill(raw: Mapping[str, Any], *, minor_digits: int, lenient: bool = False) -> Document:
    """The bill in a JSON object. `minor_digits`: decimals of the tenant's currency. Raises: CheckFailed."""
    readings: list[str] = []
    try:
        form = Form.model_validate(raw, context={"lenient": readings if lenient else None})
    except ValidationError as problem:
        raise _named(problem) from None
    if form.bill_type != "CANCEL":
        _require(form.net_amount, "net_amount")
        _require(form.items or None, "items")
    _check_minor_unit(form, minor_digits)
    if form.bill_type == "SALE" and (form.net_amount or 0) < 0:
        raise CheckFailed(
            "bad_value", said("net_amount: {amount} is negative on a SALE.", amount=form.net_amount), path="net_amount"
        )
    if form.bill_type == "SALE" and any(item.line_type == "RETURN" for item in form.items):
        raise CheckFailed("bad_value", said("items: a SALE holds returned lines. Send it as an EXCHANGE."), path="items")
    if form.bill_type == "EXCHANGE" and len({item.line_type for item in form.items}) < 2:
        raise CheckFailed(
            "bad_value",
            said("items: an EXCHANGE holds sold lines and returned lines (line_type SALE and RETURN)."),
            path="items",
        )
    if form.bill_type != "EXCHANGE":
        for path in ("gross_amount", "discount_amount"):
            if (getattr(form, path) or 0) < 0:
                raise CheckFailed(
                    "bad_value",
                    said("{path}: {amount} is negative; the direction is in the type.", path=path, amount=getattr(form, path)),
                    path=path,
                )
    # Goods that points had paid whole come back for nothing; an amount of nothing is a slip.
    least = Decimal("0.0001") if form.return_type == "AMOUNT" else Decimal(0)
    if form.bill_type == "RETURN" and (form.net_amount or Decimal(0)) < least:
        raise CheckFailed(
            "bad_value",
            said("net_amount: {amount} is not above 0 on a RETURN by amount, or below 0.", amount=form.net_amount),
            path="net_amount",
        )
    document = _document(form)
    if max(document.gross, document.discount, abs(document.net), abs(document.tax), abs(document.payable)) >= AMOUNT_MAX:
        raise CheckFailed("bad_value", said("An amount of the bill is {limit} or more.", limit=AMOUNT_MAX), path="net_amount")
    if readings:
        document = replace(document, flags=(*document.flags, "lenient_number"))
    return document


def _named(problem: ValidationError) -> CheckFailed:
    """The first thing that is wrong, by name and path."""
    error = problem.errors(include_url=False, include_context=False)[0]
    path = ".".join(str(step) for step in error["loc"])
    if error["type"] == "missing":
        return CheckFailed(
            "required_field", said("The field {path} is missing. Send the bill again with it.", path=path), path=path
        )
    message = error["msg"].removeprefix("Value error, ")
    shown = repr(error["input"])[:80] if isinstance(error["input"], (str, int, Decimal)) else type(error["input"]).__name__
    shown = shown.encode("ascii", "backslashreplace").decode().replace("\\x00", "")
    return CheckFailed("bad_value", said("{path}: {found} {problem}.", path=path, found=shown, problem=message)[:480], path=path)


def _require(value: object, path: str) -> None:
    if value is None:
        raise CheckFailed(
            "required_field", said("The field {path} is missing. Send the bill again with it.", path=path), path=path
        )


_LINE_AMOUNTS = ("value", "discount", "amount", "tax_amount", "loyalty_discount")


def _check_minor_unit(form: Form, digits: int) -> None:
    """Money finer than the currency's minor unit is a mistake of the sender (JPY 0, INR 2, KWD 3 decimals)."""
    unit = Decimal(1).scaleb(-digits)
    parts: list[tuple[str, Any, tuple[str, ...]]] = [
        ("", form, ("net_amount", "gross_amount", "discount_amount", "tax_amount", "payable_amount")),
        *((f"items.{index}.", item, _LINE_AMOUNTS) for index, item in enumerate(form.items)),
        *((f"tenders.{index}.", tender, ("amount",)) for index, tender in enumerate(form.tenders or [])),
    ]
    for where, part, names in parts:
        for name in names:
            number = getattr(part, name)
            if number is not None and not unit.same_quantum(number) and number % unit:
                path = f"{where}{name}"
                told = said(
                    "{path}: {number} is finer than the currency's {digits} decimals.", path=path, number=number, digits=digits
                )
                raise CheckFailed("bad_value", told, path=path)


def _document(form: Form) -> Document:
    lines = tuple(_line(index, item) for index, item in enumerate(form.items))
    if len({line.line_no for line in lines}) != len(lines):
        raise CheckFailed("bad_value", said("items: two lines have the same line_no."), path="items")
    tax = form.tax_amount if form.tax_amount is not None else sum((line.tax_amount for line in lines), Decimal(0))
    net = form.net_amount or Decimal(0)
    derived = net + form.round_off + (Decimal(0) if form.tax_inclusive else tax)
    person = form.customer or Person()
    return Document(
        bill_type=form.bill_type,
        bill_no=form.bill_no,
        version=form.version,
        billed_at=form.bill_date,
        store_code=form.store_code,
        till_code=form.till_code or "",
        cashier=form.cashier or "",
        bill_uid=form.bill_uid or "",
        mobile=person.mobile or "",
        name=person.name or "",
        email=(person.email or "") if "@" in (person.email or "") else "",
        gross=form.gross_amount if form.gross_amount is not None else _signed(form.bill_type, lines, "value"),
        discount=form.discount_amount if form.discount_amount is not None else _signed(form.bill_type, lines, "discount"),
        net=net,
        tax=tax,
        payable=form.payable_amount if form.payable_amount is not None else derived,
        lines=lines,
        tenders=tuple((tender.mode.upper(), tender.amount) for tender in form.tenders or ()),
        spend=_spend(form, lines) if form.bill_type in ("SALE", "EXCHANGE") else _given_back(form),
        original=form.original,
        return_type=(form.return_type or "LINE_ITEM") if form.bill_type == "RETURN" else "",
        flags=() if form.payable_amount is None or form.payable_amount == derived else (f"payable_expected:{derived}",),
    )


def _signed(bill_type: str, lines: tuple[Line, ...], name: str) -> Decimal:
    """The sum of an amount over the lines; on an exchange, what comes back counts against what is sold."""
    back = "RETURN" if bill_type == "EXCHANGE" else ""
    return sum((-getattr(line, name) if line.line_type == back else getattr(line, name) for line in lines), Decimal(0))


def _line(index: int, item: Item) -> Line:
    value, discount, amount = item.value, item.discount, item.amount
    if amount is None and value is None:
        raise CheckFailed(
            "required_field",
            said("The field {path} is missing. Send the bill again with it.", path=f"items.{index}.amount"),
            path=f"items.{index}.amount",
        )
    if amount is None and value is not None:
        amount = value - (discount or Decimal(0))
    if value is None and amount is not None:
        value = amount + (discount or Decimal(0))
    assert amount is not None and value is not None
    if discount is None:
        discount = value - amount
    if amount < 0 or discount < 0:
        raise CheckFailed(
            "line_amount",
            said(
                "{path}: the discount {discount} does not fit the value {value}.",
                path=f"items.{index}",
                discount=discount,
                value=value,
            ),
            path=f"items.{index}.amount",
        )
    return Line(
        line_no=item.line_no if item.line_no is not None else index + 1,
        line_type=item.line_type,
        item_code=item.item_code or "",
        department=item.department or "",
        qty=item.qty if item.qty is not None else Decimal(1),
        qty_sent=item.qty is not None,
        value=value,
        discount=discount,
        amount=amount,
        tax_amount=item.tax_amount,
        loyalty_discount=item.loyalty_discount or Decimal(0),
        loyalty_points=item.loyalty_points or 0,
        original_line_no=item.original_line_no,
        original=item.original,
    )


def _spend(form: Form, lines: tuple[Line, ...]) -> Spend | None:
    """How the bill redeems points: its mode is read off its shape (CASES 51-53)."""
    tenders = [tender for tender in form.tenders or [] if tender.mode.upper() == LOYALTY_TENDER and tender.amount]
    lines = tuple(line for line in lines if line.line_type == "SALE")
    split_points = sum(line.loyalty_points for line in lines)
    split_amount = sum((line.loyalty_discount for line in lines), Decimal(0))
    split = bool(split_points or split_amount)
    told = (
        form.redemption
        if form.redemption and (form.redemption.points is not None or form.redemption.amount is not None)
        else None
    )
    named = told if told and (told.points or told.amount or tenders or split) else None
    reference = (form.redemption.reference if form.redemption else None) or ""
    if tenders and split:
        raise CheckFailed(
            "both_modes", said("The bill shows points as a payment and as a discount on its items. Send one of the two."),
            path="items", tender=str(sum(tender.amount for tender in tenders)), split=str(split_amount),
        )  # fmt: skip
    if tenders:
        return _paid(tenders, named, reference)
    if split:
        return _discounted(lines, named, reference, split_points, split_amount)
    if named is None:
        return None
    raise CheckFailed(
        "split_missing",
        said(
            "The bill redeems {points} worth {amount}, but neither a {tender} tender nor its items show them."
            " Send loyalty_discount and loyalty_points on each item.",
            points=named.points or said("points"), amount=named.amount, tender=LOYALTY_TENDER,
        ),
        path="items", expected=str(named.amount), found="0",
    )  # fmt: skip


def _given_back(form: Form) -> Spend | None:
    """A tender of points on a return says how much of the redemption comes back, whatever the share of the goods."""
    amounts = [tender.amount for tender in form.tenders or [] if tender.mode.upper() == LOYALTY_TENDER]
    return Spend(RedemptionMode.PAYMENT, "", None, sum(amounts, Decimal(0))) if amounts else None


def _paid(tenders: list[Tender], named: Redemption | None, reference: str) -> Spend:
    amount = sum((tender.amount for tender in tenders), Decimal(0))
    references = {tender.reference for tender in tenders if tender.reference}
    if named and named.amount is not None and named.amount != amount:
        raise CheckFailed(
            "redemption_mismatch",
            said("The tender of points is {paid}, the redemption says {named}.", paid=amount, named=named.amount),
            path="tenders", tender=str(amount), redemption=str(named.amount),
        )  # fmt: skip
    if reference and references - {reference}:
        raise CheckFailed(
            "redemption_mismatch",
            said("The tender names {references}, the redemption {reference}.", references=", ".join(sorted(references)), reference=reference),
            path="redemption.reference",
        )  # fmt: skip
    if not reference and len(references) == 1:
        candidate = references.pop()
        reference = candidate if re.match(REFERENCE, candidate) else ""
    return Spend(RedemptionMode.PAYMENT, reference, named.points if named else None, amount)


def _discounted(lines: tuple[Line, ...], named: Redemption | None, reference: str, points: int, amount: Decimal) -> Spend:
    for index, line in enumerate(lines):
        if line.loyalty_discount > line.discount:
            raise CheckFailed(
                "split_sum",
                said(
                    "{path}: points paid {paid} of a discount of {discount}.",
                    path=f"items.{index}", paid=line.loyalty_discount, discount=line.discount,
                ),
                path=f"items.{index}.loyalty_discount", expected=str(line.discount), found=str(line.loyalty_discount),
            )  # fmt: skip
    if named and named.points is not None and named.points != points:
        raise CheckFailed(
            "split_sum", said("The items share out {points} points, the redemption says {named}.", points=points, named=named.points),
            path="redemption.points", expected=str(named.points), found=str(points),
        )  # fmt: skip
    expected = named.amount if named and named.amount is not None else amount
    return Spend(RedemptionMode.DISCOUNT, reference, points, expected)


def check_sums(document: Document, *, minor_digits: int) -> Document:
    """The document, its totals made exact where they were off by no more than one minor unit a line (CASES 51).

    Raises: CheckFailed `line_amount`, `sum_of_values`, `sum_of_amounts`, `split_sum`, `sum_of_tenders`.
    """
    tolerance = Decimal(len(document.lines)).scaleb(-minor_digits)
    sale = [line for line in document.lines if line.line_type == "SALE"]
    signed = document.bill_type == "EXCHANGE"  # what the customer gets back is paid out in positive tenders
    flags = [flag for flag in document.flags if not flag.startswith("payable_expected:")]
    unit = Decimal(1).scaleb(-minor_digits)
    for index, line in enumerate(document.lines):
        off = line.value - line.discount - line.amount
        if off and abs(off) <= unit:
            flags.append("line_amount_adjusted")
        elif off:
            raise CheckFailed(
                "line_amount",
                said(
                    "{path}: {value} less {discount} is {left}, not {amount}.",
                    path=f"items.{index}", value=line.value, discount=line.discount, left=line.value - line.discount, amount=line.amount,
                ),
                path=f"items.{index}.amount", expected=str(line.value - line.discount), found=str(line.amount),
            )  # fmt: skip
    lines = tuple(_whole(line) for line in document.lines)
    if document.bill_type != "CANCEL":
        _agree("sum_of_values", "gross_amount", document.gross, document.signed("value"), tolerance, flags)
        off = _agree("sum_of_amounts", "net_amount", document.net, _signed(document.bill_type, lines, "amount"), tolerance, flags)
        if off:
            lines = _adjusted(lines, amount=off)
    if document.spend and document.spend.mode == RedemptionMode.DISCOUNT:
        split = sum((line.loyalty_discount for line in sale), Decimal(0))
        off = _agree("split_sum", "redemption.amount", document.spend.amount, split, tolerance, flags)
        if off:
            lines = _adjusted(lines, loyalty_discount=off)
    for flag in document.flags if document.bill_type != "CANCEL" else ():
        if flag.startswith("payable_expected:"):
            expected = Decimal(flag.partition(":")[2])
            _agree("sum_of_tenders", "payable_amount", document.payable, expected, tolerance, flags)
    if document.tenders and document.bill_type != "CANCEL":
        paid = sum((amount for _, amount in document.tenders), Decimal(0))
        _agree("sum_of_tenders", "payable_amount", abs(document.payable) if signed else document.payable, paid, tolerance, flags)
    told = tuple(dict.fromkeys(flags))
    return document if lines == document.lines and told == document.flags else replace(document, lines=lines, flags=told)


def _whole(line: Line) -> Line:
    """The line, its value exactly what its amount and discount are."""
    value = line.amount + line.discount
    return line if line.value == value else line._replace(value=value)


def _agree(check: str, path: str, stated: Decimal, summed: Decimal, tolerance: Decimal, flags: list[str]) -> Decimal:
    """-> stated minus summed where that is small enough to mend; then the bill is flagged. Raises: CheckFailed."""
    off = stated - summed
    if abs(off) > tolerance:
        raise CheckFailed(
            check,
            said(
                "{path} is {stated}, but its parts sum to {summed}. Correct the bill at the till's system and send it again.",
                path=path, stated=stated, summed=summed,
            ),
            path=path, expected=str(stated), found=str(summed),
        )  # fmt: skip
    if off:
        flags.append(f"{check}_adjusted")
    return off


def _adjusted(lines: tuple[Line, ...], **changes: Decimal) -> tuple[Line, ...]:
    """The largest line takes the difference; on an exchange, the largest that is sold."""
    name, off = next(iter(changes.items()))
    sold = [index for index, line in enumerate(lines) if line.line_type == "SALE"]
    largest = max(sold or range(len(lines)), key=lambda index: (getattr(lines[index], name), -index))
    line = lines[largest]
    changed = {name: max(getattr(line, name) + off, Decimal(0))}
    if name == "amount":
        changed["value"] = changed["amount"] + line.discount
    return (*lines[:largest], line._replace(**changed), *lines[largest + 1 :])
