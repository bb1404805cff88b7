"""Customers, the rules of their points, and the tables of the ledger. Only `loyalty.ledger` writes the latter."""

from loyalty.models.bonuses import Bonus, BonusCondition, BonusEvaluation, Cohort, CohortMember
from loyalty.models.customers import NO_NUMBER, Customer, CustomerAlias, CustomerMerge, CustomerStatus, NumberMove, mask_mobile
from loyalty.models.ledger import Balance, EmptyOperation, Entry, EntryLot, Hold, Lot, held_since
from loyalty.models.programmes import Multiplier, Programme, ProgrammeKind, ProgrammeVersion, Rounding, StoreProgramme
from loyalty.models.seals import AuditStep, Seal, SealBound

__all__ = [
    "NO_NUMBER",
    "AuditStep",
    "Balance",
    "Bonus",
    "BonusCondition",
    "BonusEvaluation",
    "Cohort",
    "CohortMember",
    "Customer",
    "CustomerAlias",
    "CustomerMerge",
    "CustomerStatus",
    "EmptyOperation",
    "Entry",
    "EntryLot",
    "Hold",
    "Lot",
    "Multiplier",
    "NumberMove",
    "Programme",
    "ProgrammeKind",
    "ProgrammeVersion",
    "Rounding",
    "Seal",
    "SealBound",
    "StoreProgramme",
    "held_since",
    "mask_mobile",
]
