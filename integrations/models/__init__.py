"""What came in (deliveries), what it meant (bills), what needs a person (discrepancies, incidents), and the feed out."""

from integrations.models.analytics import ClosedDays, FeedEpoch, ParityDay, ParityRun, Resync, RunState
from integrations.models.bills import (
    Bill,
    BillClaim,
    BillClass,
    BillIssue,
    BillLine,
    Delivery,
    DeliveryState,
    ReturnedPart,
    ReturnType,
    Source,
)
from integrations.models.incidents import Discrepancy, DiscrepancyKind, Incident, IncidentKind
from integrations.models.messages import Channel, Message, MessageSettings, MessageState
from integrations.models.reconciling import Handoff, ReconciliationPolicy, ReconciliationRun, Side
from integrations.models.replays import FileImport, FileKind, FileState, Replay, ReplayRow, ReplayState
from integrations.models.witnesses import CrmBalance, DayEnd, ErpOrder, MissingKind, PosChange, RepushLine, RepushRequest

__all__ = [
    "Bill",
    "BillClaim",
    "BillClass",
    "BillIssue",
    "BillLine",
    "Channel",
    "ClosedDays",
    "CrmBalance",
    "DayEnd",
    "Delivery",
    "DeliveryState",
    "Discrepancy",
    "DiscrepancyKind",
    "ErpOrder",
    "FeedEpoch",
    "FileImport",
    "FileKind",
    "FileState",
    "Handoff",
    "Incident",
    "IncidentKind",
    "Message",
    "MessageSettings",
    "MessageState",
    "MissingKind",
    "ParityDay",
    "ParityRun",
    "PosChange",
    "ReconciliationPolicy",
    "ReconciliationRun",
    "Replay",
    "ReplayRow",
    "ReplayState",
    "RepushLine",
    "RepushRequest",
    "Resync",
    "ReturnType",
    "ReturnedPart",
    "RunState",
    "Side",
    "Source",
]
