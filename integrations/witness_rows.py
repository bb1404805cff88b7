"""One row of a witness as it comes, by API or by file: what it must say, and what it becomes."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from integrations.api.forms import Body, Mobile, SignedPoints
from integrations.documents import Amount, Code, Moment, Points, ShortCode, Text
from integrations.witnesses import DayTotals, Order, Shown
from tenants.saying import said


def _date(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(said("is not a date such as 2025-03-31")) from None


class DayEndRow(Body):
    store_code: ShortCode
    business_date: Annotated[date, BeforeValidator(_date)]
    bills: Points
    returns: Points = 0
    net_amount: Amount
    loyalty_amount: Amount = Decimal(0)
    first_bill_no: Text | None = None
    last_bill_no: Text | None = None

    def value(self) -> DayTotals:
        return DayTotals(
            self.store_code, self.business_date, self.bills, self.returns, self.net_amount, self.loyalty_amount,
            self.first_bill_no or "", self.last_bill_no or "",
        )  # fmt: skip


class OrderRow(Body):
    order_no: Code
    store_code: ShortCode
    bill_no: Text | None = None
    mobile: Mobile | None = None
    amount: Amount
    state: Literal["confirmed", "voided"]
    at: Moment

    def value(self) -> Order:
        return Order(self.order_no, self.store_code, self.bill_no or "", self.mobile or "", self.amount, self.state, self.at)


class ShownRow(Body):
    mobile: Mobile
    points: SignedPoints
    as_of: Moment
    written_by: Text | None = None

    def value(self) -> Shown:
        return Shown(self.mobile, self.points, self.as_of, self.written_by or "")
