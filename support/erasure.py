"""A person who wants to be forgotten: their row at once, and then, by the worker, whatever else named them (CASES 98).

The ledger is not touched: entries, lots and balances go on under a customer without name and number. Bills stay, the messages they came in are
kept without the person. The audit trail names rows and never a number; reasons that people typed stay there and in the ledger, which nobody can
change. Every step may be done again.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import QueryDict
from django.utils.translation import gettext as _
from django_scopes import scope, scopes_disabled

from integrations import bell
from integrations.analytics import clickhouse
from integrations.models import Bill, BillClaim, CrmBalance, Delivery, DeliveryState, ErpOrder, Message, Replay, ReplayRow
from loyalty import customers, identity
from loyalty.models import Customer, CustomerAlias, CustomerMerge, NumberMove
from support import limits
from support.bulk.models import BulkJob, JobBlock, JobRow, JobState
from support.models import OPEN_REQUESTS, ApprovalRequest, Case, Erasure, Note, RequestState, SavedView
from tenants import audit
from tenants.access import Access, Act
from tenants.actors import SYSTEM
from tenants.models import Tenant

log = structlog.get_logger("pointdesk.erasure")
TASK = "support.tasks.finish_erasures"
GONE = "(erased)"
CHUNK = 500
#: Where the customer of a bill document begins.
PERSON = re.compile(r'"customer"\s*:\s*')
#: Shorter words would be found in what has nothing to do with the person.
WORD_MIN = 4
IN_CLICKHOUSE = "ALTER TABLE customers DELETE WHERE tenant_id = {tenant:UInt64} AND id IN {ids:Array(UInt64)} AND NOT startsWith(mobile, '+999')"


def erase(customer: Customer, *, access: Access, reason: str, now: datetime) -> bool:
    """Forget them; -> whether this call did. Cannot be undone.

    Raises: DomainError `forbidden`, `own_number`, and as `identity.erase`.
    """
    access.require(Act.ERASE_CUSTOMERS)
    limits.refuse_own_number(customer, access=access)
    with transaction.atomic():
        _end_what_waits(customer, access=access, now=now)  # before the customer: whoever decides a request locks in this order
        family = Customer.objects.filter(tenant=access.tenant, pk__in=customers.families(access.tenant, [customer.pk]))
        words = {word for row in family.values_list("name", "email") for word in row if len(word) >= WORD_MIN}
        numbers = identity.erase(access.tenant, customer.pk, reason=reason, actor=access.actor, now=now)
        if not numbers and Erasure.objects.filter(tenant=access.tenant, customer=customer).exists():
            return False
        Erasure.objects.create(
            tenant=access.tenant, customer=customer, sought={"numbers": numbers, "words": sorted(words)}, reason=reason.strip(),
            asked_by=access.actor.name, asked_at=now,
        )  # fmt: skip
        transaction.on_commit(lambda: bell.send(TASK))
    return True


def _end_what_waits(customer: Customer, *, access: Access, now: datetime) -> None:
    """Requests, claims and moves of numbers that somebody would decide about nobody."""
    tenant, by = access.tenant, f"erasure:{customer.pk}"  # nobody who can have asked
    ended = {"decided_at": now, "approved": False, "decided_by": SYSTEM.name, "decided_by_ident": by}
    family = customers.families(tenant, [customer.pk])
    rows = (
        ApprovalRequest.objects.select_for_update()
        .filter(tenant=tenant, customer__in=family, state__in=OPEN_REQUESTS)
        .order_by("pk")
    )
    for row in rows:
        row.state, row.note = RequestState.WITHDRAWN, str(_("The customer was erased."))
        row.save(update_fields=["state", "note"])
        audit.record(tenant, actor=access.actor, action="withdrawn_request", target=row, reason=row.note)
    numbers = Customer.objects.filter(tenant=tenant, pk__in=family).values("mobile")
    aliases = CustomerAlias.objects.filter(tenant=tenant, customer__in=family, valid_until=None).values("mobile")
    BillClaim.objects.filter(Q(mobile__in=numbers) | Q(mobile__in=aliases), tenant=tenant, decided_at=None).update(**ended)
    NumberMove.objects.filter(tenant=tenant, old_owner__in=family, decided_at=None).update(**ended)


def finish_all(*, now: datetime) -> Counter[str]:
    """Whatever was asked for and is not done. As the owner: no web process may change a note."""
    done: Counter[str] = Counter()
    with scopes_disabled():
        waiting = list(Erasure.objects.filter(finished_at=None, tenant__is_active=True).select_related("tenant").order_by("id"))
    for row in waiting:
        with scope(tenant=row.tenant):
            try:
                _finish(row, now=now)
                done["done"] += 1
            except Exception as problem:  # ClickHouse is away, or what nobody foresaw: it is tried again, and stops no other
                log.warning("not erased everywhere yet", erasure=row.pk, error=type(problem).__name__)
                done["waiting"] += 1
    return done


class _StillRead(Exception):
    """A list that was uploaded before is being read; what it says of them is masked afterwards."""


def _finish(row: Erasure, *, now: datetime) -> None:
    """All of it, as often as it takes. Raises: one of `clickhouse.Away`, `_StillRead`."""
    tenant: Tenant = row.tenant
    if BulkJob.objects.filter(tenant=tenant, state=JobState.READING, created_at__lte=row.asked_at).exists():
        raise _StillRead
    family = sorted(customers.families(tenant, [row.customer_id]))
    sought, hide = row.sought.get("numbers", []), _Hider(row.sought.get("numbers", []), row.sought.get("words", []))
    somebody_s = customers.find(tenant, sought)  # a number that is a stranger's by now names the stranger
    numbers = [each for each in sought if each not in somebody_s]
    of_family = Q(old_owner__in=family) | Q(new_owner__in=family)
    masked: dict[str, int] = {
        "messages_in": _deliveries(tenant, family, numbers, hide, until=row.asked_at),
        "orders": ErpOrder.objects.filter(tenant=tenant, mobile__in=numbers, seen_at__lte=row.asked_at).update(mobile=""),
        "crm": _crm(tenant, family, numbers),
        "claims": _reworded(
            BillClaim.objects.filter(tenant=tenant, mobile__in=numbers, decided_at__lte=row.asked_at), hide, row.customer_id
        ),
        "moves": _reworded(NumberMove.objects.filter(of_family | Q(mobile__in=numbers), tenant=tenant), hide, row.customer_id),
        "aliases": _aliases(tenant, numbers),
        "merges": _reworded(CustomerMerge.objects.filter(tenant=tenant, into__in=family), hide, row.customer_id),
        "messages_out": Message.objects.filter(tenant=tenant, customer__in=family).update(subject=GONE, body=GONE, content={}),
        "notes": Note.objects.filter(tenant=tenant, customer__in=family).update(text=GONE, link_name=""),
        "cases": Case.objects.filter(tenant=tenant, customer__in=family).update(title=GONE),
        "requests": _requests(tenant, family, hide),
        "replays": _replays(tenant, family),
        "jobs": _jobs(tenant, family, numbers, hide),
        "views": _views(tenant, hide),
    }
    with clickhouse.connected() as client:  # the masked row comes by the feed; what it was before must not stay below it
        clickhouse.make_tables(client)
        client.command(IN_CLICKHOUSE, parameters={"tenant": tenant.pk, "ids": family}, settings={"mutations_sync": 1})
    with transaction.atomic():
        row.masked, row.sought, row.finished_at = masked, {}, now
        row.save(update_fields=["masked", "sought", "finished_at"])
        audit.record(tenant, actor=SYSTEM, action="finish_erasure", target=row, reason="Masked whatever named them", after=masked)


class _Hider:
    """Takes the person's numbers out of a text, and their name and addresses where it is free text."""

    def __init__(self, numbers: Iterable[str], words: Iterable[str]) -> None:
        self.digits = sorted({number.lstrip("+")[-10:] for number in numbers})
        said = [rf"(?<!\w){re.escape(word)}(?!\w)" for word in sorted(words, key=len)[::-1]]
        self._numbers = _any_of(rf"\+?\d{{0,3}}[\s-]?{each}" for each in self.digits)
        self._words = _any_of(said)

    def text(self, text: str) -> str:
        """Of what people wrote."""
        text = self._numbers.sub(GONE, text) if self._numbers and text else text
        return self._words.sub(GONE, text) if self._words and text else text

    def values(self, value: Any) -> Any:
        """Of JSON: its numbers, which may stand as numbers; names are words of any language, so keys and texts stay."""
        match value:
            case str():
                return self._numbers.sub(GONE, value) if self._numbers else value
            case dict():
                return {name: self.values(each) for name, each in value.items()}
            case list():
                return [self.values(each) for each in value]
            case int() if any(each in str(value) for each in self.digits):
                return None
        return value

    def body(self, body: bytes) -> bytes:
        """Of a message: the whole customer, whatever is in it, and the numbers wherever else they stand. Every other byte stays."""
        text = body.decode(errors="surrogateescape")
        begins = PERSON.search(text)
        if begins is not None:
            try:
                _person, end = json.JSONDecoder().raw_decode(text, begins.end())
            except ValueError:  # it breaks off within the person: what follows is no document anyhow
                end = len(text)
            text = f'{text[: begins.end()]}{{"mobile": "{GONE}"}}{text[end:]}'
        if self._numbers:
            text = self._numbers.sub(lambda found: "9" * len(found[0]), text)
        return text.encode(errors="surrogateescape")


def _any_of(parts: Iterable[str]) -> re.Pattern[str] | None:
    joined = "|".join(parts)
    return re.compile(joined, re.IGNORECASE) if joined else None


def _deliveries(tenant: Tenant, family: list[int], numbers: list[str], hide: _Hider, *, until: datetime) -> int:
    """Their hash stays, so that the same message is still known. Messages that nobody could read are searched whole."""
    bills = Bill.objects.filter(tenant=tenant, customer__in=family).values("pk")
    ids = set(Delivery.objects.filter(tenant=tenant, bill__in=bills).values_list("pk", flat=True))
    ids |= set(Delivery.objects.filter(tenant=tenant, mobile__in=numbers, received_at__lte=until).values_list("pk", flat=True))
    unread = Delivery.objects.filter(tenant=tenant, state=DeliveryState.REJECTED, received_at__lte=until, mobile="")
    wanted = [each.encode() for each in _Hider(numbers, ()).digits]
    ids |= {pk for pk, body in unread.values_list("pk", "body").iterator(CHUNK) if any(each in bytes(body) for each in wanted)}
    ordered = sorted(ids)
    for place in range(0, len(ordered), CHUNK):
        with transaction.atomic():
            rows = list(Delivery.objects.select_for_update().filter(tenant=tenant, pk__in=ordered[place : place + CHUNK]))
            for row in rows:
                row.body, row.mobile = hide.body(bytes(row.body)), ""
                row.message, row.details, row.decided = hide.text(row.message), hide.values(row.details), hide.values(row.decided)
            Delivery.objects.bulk_update(rows, ["body", "mobile", "message", "details", "decided"])
            ReplayRow.objects.filter(tenant=tenant, delivery__in=rows, group__in=numbers).update(group=GONE, message="")
    return len(ordered)


def _crm(tenant: Tenant, family: list[int], numbers: list[str]) -> int:
    """What the CRM said of them stays; each row under a stand-in of its own, because two may have said it at the same time."""
    theirs = Q(customer__in=family) | Q(customer=None, mobile__in=numbers)
    rows = list(CrmBalance.objects.filter(theirs, tenant=tenant))
    for row in rows:
        row.mobile = identity.stand_in(row.pk)
    CrmBalance.objects.bulk_update(rows, ["mobile"], batch_size=CHUNK)
    return len(rows)


def _reworded(rows: QuerySet[Any], hide: _Hider, customer_id: int) -> int:
    """Without the number, and without what somebody wrote of the person as a reason."""
    for row in rows:
        row.reason = hide.text(row.reason)
        numbered = hasattr(row, "mobile")
        if numbered:
            row.mobile = identity.stand_in(customer_id)
        row.save(update_fields=["reason", "mobile"] if numbered else ["reason"])
    return len(rows)


def _aliases(tenant: Tenant, numbers: list[str]) -> int:
    """Whoever had the number before them keeps that they had one."""
    rows = list(CustomerAlias.objects.filter(tenant=tenant, mobile__in=numbers).exclude(valid_until=None))
    for row in rows:
        row.mobile = identity.stand_in(row.customer_id)
    CustomerAlias.objects.bulk_update(rows, ["mobile"])
    return len(rows)


def _jobs(tenant: Tenant, family: list[int], numbers: list[str], hide: _Hider) -> int:
    """Lines of lists that were about them, also those that led to nobody. Blocks and previews know customers by id alone."""
    of_them = Q(customer__in=family) | Q(mobile__in=numbers)
    for digits in hide.digits:
        of_them |= Q(said__contains=digits)
    rows = list(JobRow.objects.annotate(said=Cast("given", TextField())).filter(of_them, tenant=tenant))
    for row in rows:
        row.mobile, row.given, row.sentence = "", {}, hide.text(row.sentence)
    JobRow.objects.bulk_update(rows, ["mobile", "given", "sentence"], batch_size=CHUNK)
    for block in JobBlock.objects.filter(tenant=tenant, customers__overlap=family).exclude(reasons=[]):
        block.reasons = [
            GONE if customer in family else why for customer, why in zip(block.customers, block.reasons, strict=True)
        ]
        block.save(update_fields=["reasons"])
    return len(rows)


def _views(tenant: Tenant, hide: _Hider) -> int:
    """Saved filters that look for them."""
    found = []
    for view in SavedView.objects.filter(tenant=tenant):
        sought = QueryDict(view.query).getlist("customer")
        if any(hide.text(text) != text for text in sought):
            found.append(view.pk)
    SavedView.objects.filter(tenant=tenant, pk__in=found).delete()
    return len(found)


def _requests(tenant: Tenant, family: list[int], hide: _Hider) -> int:
    """Of them, and to merge somebody into them."""
    rows = ApprovalRequest.objects.filter(Q(customer__in=family) | Q(verb="merge", content__into__in=family), tenant=tenant)
    for row in rows:
        row.words, row.reason, row.note = GONE, hide.text(row.reason), hide.text(row.note)
        row.content = {**row.content, **{name: GONE for name in ("name", "what") if name in row.content}}
        if "mobile" in row.content:
            row.content["mobile"] = identity.stand_in(row.customer_id)
        row.save(update_fields=["words", "content", "reason", "note"])
    return len(rows)


def _replays(tenant: Tenant, family: list[int]) -> int:
    """Dry runs tell balances by customer, with their names."""
    changed = 0
    for replay in Replay.objects.filter(tenant=tenant).exclude(effect={}):
        found = [each for each in replay.effect.get("customers", []) if each.get("customer") in family]
        for each in found:
            each.update(name=GONE, mobile="")
        if found:
            replay.save(update_fields=["effect"])
            changed += 1
    return changed
