"""What comes back of a bill: which lines, how much of the whole, and so how many points. Pure: no database, no clock.

Every return works towards a cumulative target, so three thirds give exactly the whole, in any order (docs/bills.md).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction

from integrations.documents import CheckFailed, Line
from integrations.models import ReturnType
from tenants.saying import said

NOTHING, WHOLE = Fraction(0), Fraction(1)
QUANTITY = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class SoldLine:
    """A line of the original bill. `earns`: whether the rule of its day let it earn."""

    line_no: int
    item_code: str
    department: str
    qty: Decimal
    amount: Decimal
    earns: bool = True
    loyalty_points: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """So much of a line came back; without `line_no`, an amount of the whole bill."""

    line_no: int | None
    qty: Decimal
    amount: Decimal


@dataclass(slots=True)
class Sold:
    """The original, with what came back of it so far. `unit`: one minor unit of the currency."""

    bill_no: str
    lines: Sequence[SoldLine]
    unit: Decimal
    parts: list[Part] = field(default_factory=list)

    @property
    def tolerance(self) -> Decimal:
        return self.unit * len(self.lines)

    @property
    def by_amount(self) -> Decimal:
        """What came back as an amount of the whole."""
        return sum((part.amount for part in self.parts if part.line_no is None), Decimal(0))

    def back(self, line: SoldLine) -> tuple[Decimal, Decimal]:
        """(quantity, amount) that came back of a line."""
        parts = [part for part in self.parts if part.line_no == line.line_no]
        return sum((part.qty for part in parts), Decimal(0)), sum((part.amount for part in parts), Decimal(0))

    def left(self, line: SoldLine) -> tuple[Decimal, Decimal]:
        qty, amount = self.back(line)
        return max(line.qty - qty, Decimal(0)), max(line.amount - amount, Decimal(0))

    def line_share(self, line: SoldLine) -> Fraction:
        """How much of a line came back, by amount; each part may be off by a minor unit."""
        parts = [part.amount for part in self.parts if part.line_no == line.line_no]
        if not parts:
            return NOTHING
        back = sum(parts, Decimal(0))
        return WHOLE if back + self.unit * len(parts) >= line.amount else Fraction(back) / Fraction(line.amount)

    def share(self, *, earning: bool = False) -> Fraction:
        """How much of the bill came back, by amount; `earning`: of the lines that earned. An amount of the whole is of all lines alike."""
        if self.complete:
            return WHOLE
        if self.by_amount:
            return Fraction(self.by_amount) / Fraction(self.whole)
        lines = [line for line in self.lines if line.earns or not earning]
        net = sum((Fraction(line.amount) for line in lines), NOTHING)
        returned = sum((self.line_share(line) * Fraction(line.amount) for line in lines), NOTHING)
        return returned / net if net else NOTHING

    @property
    def whole(self) -> Decimal:
        return sum((line.amount for line in self.lines), Decimal(0))

    @property
    def left_of_all(self) -> Decimal:
        return self.whole - sum((part.amount for part in self.parts), Decimal(0))

    @property
    def complete(self) -> bool:
        """Everything came back; each part may be off by a minor unit."""
        if self.by_amount or not self.whole:
            return bool(self.parts) and self.left_of_all <= self.unit * len(self.parts)
        return all(self.line_share(line) == WHOLE for line in self.lines if line.amount)

    def kept(self) -> tuple[SoldLine, ...]:
        """The lines less what came back of them."""
        if self.complete:
            return ()
        share = Fraction(self.by_amount) / Fraction(self.whole) if self.whole else NOTHING
        kept = []
        for line in self.lines:
            qty, amount = self.left(line)
            left = (Fraction(amount) - share * Fraction(line.amount)) if self.line_share(line) < WHOLE else NOTHING
            if left > 0:
                kept.append(
                    SoldLine(
                        line.line_no,
                        line.item_code,
                        line.department,
                        qty,
                        _money(left, self.unit),
                        line.earns,
                        line.loyalty_points,
                    )
                )
        return tuple(kept)


def _money(amount: Fraction, unit: Decimal) -> Decimal:
    """Down to the currency's minor unit."""
    return (amount / Fraction(unit)).__floor__() * unit


def target(points: int, share: Fraction) -> int:
    """How many of these points are to be undone when this share came back."""
    return points if share >= WHOLE else int(points * share)


def target_by_lines(sold: Sold) -> int:
    """Redeemed points that are to come back where each line says what points paid of it: by the share of its quantity."""
    total = 0
    for line in sold.lines:
        qty, _ = sold.back(line)
        share = sold.line_share(line)
        if share < WHOLE and line.qty:
            share = min(Fraction(qty) / Fraction(line.qty), WHOLE)
        total += target(line.loyalty_points, share)
    return total


def understand(sold: Sold, lines: Sequence[Line], *, return_type: str, amount: Decimal) -> list[Part]:
    """Which parts of the original these returned lines are, and that so much was left of them.

    Raises: CheckFailed `over_return`, `return_kinds_mixed`, `sum_of_amounts` (a full return of another amount than is left).
    """
    kinds = {part.line_no is None for part in sold.parts}
    if return_type == ReturnType.FULL:
        return _everything(sold, amount=amount)
    if (return_type == ReturnType.AMOUNT) in {not kind for kind in kinds}:
        if return_type == ReturnType.AMOUNT:
            told = said(
                "Bill {bill_no} had lines returned before, now an amount: nobody can say what is left. Correct one of the two.",
                bill_no=sold.bill_no,
            )
        else:
            told = said(
                "Bill {bill_no} had an amount returned before, now lines: nobody can say what is left. Correct one of the two.",
                bill_no=sold.bill_no,
            )
        raise CheckFailed("return_kinds_mixed", told, path="return_type")
    if return_type == ReturnType.AMOUNT:
        return _amount(sold, amount=amount)
    return _lines(sold, lines)


def _everything(sold: Sold, *, amount: Decimal) -> list[Part]:
    left = sold.left_of_all
    if amount > left + sold.tolerance or sold.complete:
        raise _too_much(sold, path="net_amount", left=max(left, Decimal(0)), asked=amount)
    if amount < left - sold.tolerance:
        raise CheckFailed(
            "sum_of_amounts",
            said(
                "A full return of bill {bill_no} is {left}, this one says {amount}. Send it as LINE_ITEM, or correct its amount.",
                bill_no=sold.bill_no, left=left, amount=amount,
            ),
            path="net_amount", expected=str(left), found=str(amount),
        )  # fmt: skip
    if sold.by_amount:
        return [Part(None, Decimal(0), left)]
    return [Part(line.line_no, *sold.left(line)) for line in sold.lines if sold.line_share(line) < WHOLE]


def _amount(sold: Sold, *, amount: Decimal) -> list[Part]:
    left = sold.left_of_all
    if amount > left + sold.tolerance or left <= 0:
        raise _too_much(sold, path="net_amount", left=max(left, Decimal(0)), asked=amount)
    return [Part(None, Decimal(0), min(amount, left))]


def _lines(sold: Sold, lines: Sequence[Line]) -> list[Part]:
    parts: list[Part] = []
    taken: dict[int, tuple[Decimal, Decimal]] = defaultdict(lambda: (Decimal(0), Decimal(0)))
    for index, line in enumerate(lines):
        original = _match(sold, line, taken, index=index)
        qty_left, amount_left = sold.left(original)
        qty, amount = taken[original.line_no]
        pieces = line.qty if line.qty_sent else _pieces(original, line.amount)
        if qty + pieces > qty_left or amount + line.amount > amount_left + sold.unit:
            raise CheckFailed(
                "over_return",
                said(
                    "Of line {line_no} of bill {bill_no} {pieces} pieces worth {left} are left; this return takes {taken} worth {amount}.",
                    line_no=original.line_no, bill_no=sold.bill_no, pieces=max(qty_left - qty, Decimal(0)),
                    left=max(amount_left - amount, Decimal(0)), taken=pieces, amount=line.amount,
                ),
                path=f"items.{index}", expected=str(max(amount_left - amount, Decimal(0))), found=str(line.amount),
            )  # fmt: skip
        taken[original.line_no] = (qty + pieces, amount + line.amount)
        parts.append(Part(original.line_no, pieces, line.amount))
    return parts


def _pieces(original: SoldLine, amount: Decimal) -> Decimal:
    """How many pieces a returned amount stands for, where the document does not say."""
    if not original.amount:
        return original.qty
    return min(original.qty * amount / original.amount, original.qty).quantize(QUANTITY, rounding=ROUND_DOWN)


def _match(sold: Sold, line: Line, taken: dict[int, tuple[Decimal, Decimal]], *, index: int) -> SoldLine:
    """By the number of the line, else by the item: first the line of which enough is left."""
    if line.original_line_no is not None:
        found = [each for each in sold.lines if each.line_no == line.original_line_no]
    else:
        same = [each for each in sold.lines if each.item_code == line.item_code]

        def enough(each: SoldLine) -> bool:
            qty, amount = sold.left(each)
            pieces = line.qty if line.qty_sent else Decimal(0)
            return qty - taken[each.line_no][0] >= pieces and amount + sold.unit - taken[each.line_no][1] >= line.amount

        found = sorted(same, key=lambda each: not enough(each))
    if not found:
        if line.original_line_no is not None:
            told = said(
                "Bill {bill_no} has no line {line_no}. Correct the return at the till's system and send it again.",
                bill_no=sold.bill_no, line_no=line.original_line_no,
            )  # fmt: skip
        else:
            told = said(
                "Bill {bill_no} has no item {item}. Correct the return at the till's system and send it again.",
                bill_no=sold.bill_no, item=line.item_code or said("(no code)"),
            )  # fmt: skip
        raise CheckFailed("over_return", told, path=f"items.{index}", expected="0", found=str(line.qty))
    return found[0]


def _too_much(sold: Sold, *, path: str, left: Decimal, asked: Decimal) -> CheckFailed:
    return CheckFailed(
        "over_return",
        said("Of bill {bill_no} {left} is left; this return takes {asked}.", bill_no=sold.bill_no, left=left, asked=asked),
        path=path,
        expected=str(left),
        found=str(asked),
    )
