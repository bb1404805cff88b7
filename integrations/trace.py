"""Where a bill has been: at the till, received, booked, in analytics, in the CRM; and where it stopped."""

from dataclasses import dataclass
from datetime import datetime

from integrations.analytics import feed
from integrations.models import Bill, CrmBalance, Delivery
from loyalty.models import Entry
from tenants.saying import said


@dataclass(frozen=True, slots=True)
class Stop:
    """`at`: None, when the bill is not known to have come so far. `lag_seconds`: since the stop before."""

    name: str
    label: str
    at: datetime | None
    lag_seconds: int | None = None
    note: str = ""


def trace(bill: Bill) -> list[Stop]:
    """The five stops, in order."""
    first = Delivery.objects.filter(tenant=bill.tenant_id, bill=bill).order_by("id").defer("body").first()
    received = first.received_at if first else None
    in_analytics, note = _in_analytics(bill)
    crm = (
        CrmBalance.objects.filter(tenant=bill.tenant_id, customer=bill.customer_id, as_of__gte=bill.posted_at)
        .order_by("as_of")
        .first()
        if bill.customer_id
        else None
    )
    moments = [
        ("pos", said("At the till"), bill.billed_at, ""),
        ("received", said("Received"), received, "" if received else said("not by a delivery")),
        ("booked", said("Booked"), bill.posted_at, ""),
        ("analytics", said("In analytics"), in_analytics, note),
        ("crm", said("In the CRM"), crm.as_of if crm else None, "" if crm else said("the CRM has not said anything since")),
    ]
    stops: list[Stop] = []
    before: datetime | None = None
    for name, label, at, remark in moments:
        lag = int((at - before).total_seconds()) if at and before else None
        stops.append(Stop(name, label, at, lag, remark))
        before = at or before
    return stops


def stopped_at(stops: list[Stop]) -> str:
    """The first stop that the bill has not reached; empty: it reached all."""
    return next((stop.name for stop in stops if stop.at is None), "")


def _in_analytics(bill: Bill) -> tuple[datetime | None, str]:
    """When the feed had sent its entries at the latest."""
    last = Entry.objects.filter(tenant=bill.tenant_id, bill_id=bill.pk).order_by("-id").values_list("id", flat=True).first()
    if last is None:
        return None, said("the bill moved no points, so there is nothing to send")
    epoch = feed.present_epoch()
    if epoch is None:
        return None, said("the feed has not run yet")
    if not feed.has_sent(epoch, last):
        if epoch.moved_at is None:
            return None, said("the feed has sent nothing yet")
        return None, said("the feed has come to {at:%d %b %H:%M}", at=epoch.moved_at)
    moved = [moment for moment in (epoch.moved_at, epoch.checked_at) if moment and moment >= bill.posted_at]
    return min(moved, default=bill.posted_at), ""
