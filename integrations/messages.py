"""What customers are told, and how it gets out.

A message is written in the transaction of what it is about, once for each act and way; a worker sends it later. An e-mail keeps its
Message-ID and a webhook its `webhook-id` over all tries, so that a receiver can tell a second copy.
"""

import json
import re
import secrets
import time
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formataddr
from smtplib import SMTPException, SMTPRecipientsRefused
from typing import Any

import structlog
from anymail.exceptions import AnymailError
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import Q
from django_scopes import scope, scopes_disabled
from standardwebhooks.webhooks import Webhook

from integrations import bell, outbound
from integrations.models import Channel, Message, MessageSettings, MessageState
from loyalty.ledger import BY_HAND, KeyReused
from loyalty.models import Customer, CustomerStatus, Entry
from loyalty.operations import Posted
from tenants import audit
from tenants.actors import Actor
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.saying import said

log = structlog.get_logger("pointdesk.messages")
TASK = "integrations.tasks.send_messages"
#: After so long nobody who took a message still has it: it is tried again.
LEASE = timedelta(minutes=5)
#: How long after each try the next one comes; after the last it is given up.
WAITS = tuple(timedelta(minutes=each) for each in (1, 5, 30, 120, 360, 720, 1440))
AT_A_TIME = 50
#: So long a run waits for the receiver of one brand.
SECONDS_A_RUN = 30.0
#: What a mail server or a provider that takes no mail raises.
NOT_TAKEN = (SMTPException, AnymailError, OSError)
NAMES = re.compile(r"\{(name|points|available|brand)\}")
#: Keeps a customer's name from writing headers.
_BREAKS = re.compile(r"[\r\n\0]+")


def points_issued(tenant: Tenant, posted: Posted, *, actor: Actor, now: datetime) -> None:
    """The moment "points were issued", inside its transaction; nothing where the brand has it off, and once for each issue (CASES 91)."""
    if posted.repeated or not posted.operation:
        return
    if (wanted := wanted_when_issued(tenant)) is None:
        return
    entry = Entry.objects.get(tenant=tenant, pk=posted.operation)
    given = Given(entry.customer_id, posted.operation, entry.lot.granted, posted.available, posted.closing)
    _tell_of_issues(tenant, [given], actor=actor, now=now, wanted=wanted)


@dataclass(frozen=True, slots=True)
class Given:
    """Points that a customer was given by an operation, and their balance after it."""

    customer_id: int
    operation: int
    points: int
    available: int
    closing: int


def points_given(tenant: Tenant, given: Sequence[Given], *, actor: Actor, now: datetime) -> None:
    """The moment "points were issued" for many customers, inside the transaction, once for each operation (CASES 91)."""
    if (wanted := wanted_when_issued(tenant)) is not None:
        _tell_of_issues(tenant, given, actor=actor, now=now, wanted=wanted)


def wanted_when_issued(tenant: Tenant) -> MessageSettings | None:
    """How customers are told of issued points; None: the brand has that moment off."""
    found: MessageSettings | None = MessageSettings.objects.filter(tenant=tenant).first()
    return found if found is not None and (found.email_when_issued or found.webhook_when_issued) else None


def _tell_of_issues(tenant: Tenant, given: Sequence[Given], *, actor: Actor, now: datetime, wanted: MessageSettings) -> None:
    people = Customer.objects.filter(tenant=tenant).in_bulk([each.customer_id for each in given])
    _keep(
        [row for each in given for row in _of_issue(tenant, people[each.customer_id], each, actor=actor, now=now, wanted=wanted)]
    )


def _keep(rows: list[Message]) -> list[Message]:
    """Write them; a worker hears of it when the transaction ends."""
    made: list[Message] = Message.objects.bulk_create(rows, batch_size=1000)
    if made:
        transaction.on_commit(lambda: bell.send(TASK))
    return made


def _of_issue(
    tenant: Tenant, customer: Customer, given: Given, *, actor: Actor, now: datetime, wanted: MessageSettings
) -> list[Message]:
    words = {"name": customer.name, "points": f"{given.points:,}", "available": f"{given.available:,}", "brand": tenant.name}
    content = {
        "type": "points.issued", "points": given.points, "available": given.available, "closing": given.closing, "operation": given.operation,
        "mobile": customer.mobile, "name": customer.name,
    }  # fmt: skip
    channels = [Channel.EMAIL] if wanted.email_when_issued else []
    if wanted.webhook_when_issued:
        channels.append(Channel.WEBHOOK)
    return _rows(
        tenant, customer, channels, key=f"issued:{given.operation}", subject=filled(wanted.subject, words),
        body=filled(wanted.body, words), content=content, operation=given.operation, actor=actor, now=now, wanted=wanted,
    )  # fmt: skip


def mail_is_set() -> bool:
    """Whether there is anybody to give mail to."""
    return bool(settings.EMAIL_HOST) or not settings.EMAIL_BACKEND.endswith("smtp.EmailBackend")


def filled(template: str, words: Mapping[str, str]) -> str:
    """The names of a template replaced, once: a customer called `{points}` stays that."""
    return NAMES.sub(lambda found: words[found[1]], str(template))  # the text that a brand begins with is lazy


def ways_to(customer: Customer, wanted: MessageSettings | None) -> list[Channel]:
    """By which ways this customer can be written to."""
    if not customer.takes_messages or customer.status not in (CustomerStatus.ACTIVE, CustomerStatus.BLOCKED):
        return []
    ways = [Channel.EMAIL] if _is_address(customer.email) else []
    return [*ways, Channel.WEBHOOK] if wanted is not None and wanted.webhook_url else ways


def _is_address(email: str) -> bool:
    """One address: what tills send as an e-mail is whatever somebody typed."""
    try:
        validate_email(email)
    except ValidationError:
        return False
    return True


def write(
    tenant: Tenant, customer: Customer, *, channel: Channel, subject: str, body: str, actor: Actor, key: str, now: datetime
) -> tuple[Message, bool]:
    """A message of a person to a customer; -> (it, whether this call wrote it). The same key writes it once.

    Raises: DomainError `no_way` (they take none, or there is no address), `text_empty`; KeyReused.
    """
    subject, body = subject.strip(), body.strip()
    if not (subject and body):
        raise DomainError("text_empty", said("Write a subject and a text."))
    wanted = MessageSettings.objects.filter(tenant=tenant).first()
    if channel not in ways_to(customer, wanted):
        raise DomainError(
            "no_way",
            said("This customer cannot be written to in this way: they take no messages, or there is no address. Call them."),
        )
    content = {"type": "message.written", "mobile": customer.mobile, "name": customer.name, "subject": subject, "text": body}
    try:
        with transaction.atomic():
            rows = _rows(
                tenant, customer, [channel], key=f"{BY_HAND}{key}", subject=subject, body=body, content=content, operation=None,
                actor=actor, now=now, wanted=wanted,
            )  # fmt: skip
            (made,) = _keep(rows)
            audit.record(
                tenant, actor=actor, action="write_message", target=made, after={"customer": customer.pk, "by": channel.value}
            )
    except IntegrityError:
        found: Message = Message.objects.get(tenant=tenant, key=f"{BY_HAND}{key}", channel=channel)
        if (found.customer_id, found.body) != (customer.pk, body[:4000]):
            raise KeyReused(key) from None
        return found, False
    return made, True


def _rows(
    tenant: Tenant,
    customer: Customer,
    channels: Iterable[Channel],
    *,
    key: str,
    subject: str,
    body: str,
    content: dict[str, Any],
    operation: int | None,
    actor: Actor,
    now: datetime,
    wanted: MessageSettings | None,
) -> list[Message]:
    """The messages of those ways that lead to the customer, not written yet."""
    ways = ways_to(customer, wanted)
    return [
        Message(
            tenant=tenant, customer=customer, channel=channel, operation=operation, key=key, subject=_BREAKS.sub(" ", subject)[:200],
            body=body[:4000], content=content if channel == Channel.WEBHOOK else {}, created_by=actor.name,
            due_at=quiet_until(wanted, tenant, now=now) if channel == Channel.EMAIL else now,
        )
        for channel in channels
        if channel in ways
    ]  # fmt: skip


def quiet_until(wanted: MessageSettings | None, tenant: Tenant, *, now: datetime) -> datetime:
    """When an e-mail may go out: now, or at the end of the quiet hours that it is in."""
    if wanted is None or wanted.quiet_from is None or wanted.quiet_until is None or wanted.quiet_from == wanted.quiet_until:
        return now
    here = now.astimezone(tenant.zone)
    begins, ends, clock = wanted.quiet_from, wanted.quiet_until, here.time()
    over_midnight = begins > ends
    if not (clock >= begins or clock < ends if over_midnight else begins <= clock < ends):
        return now
    day = here.date() + timedelta(days=1) if over_midnight and clock >= begins else here.date()
    return datetime.combine(day, ends, tzinfo=tenant.zone).astimezone(UTC)


def send_due(*, now: datetime) -> Counter[str]:
    """Send what is due, of all brands, until nothing is. -> how many were sent, put off, given up."""
    done: Counter[str] = Counter()
    deaf: set[tuple[int, str]] = set()
    took: defaultdict[tuple[int, str], float] = defaultdict(float)
    while rows := _take(now=now):
        for row in rows:
            way, began = (row.tenant_id, row.channel), time.monotonic()
            with scope(tenant=row.tenant):
                became = _put_off(row, now=now) if way in deaf else _send(row, now=now)
            done[became] += 1
            took[way] += time.monotonic() - began
            if became == MessageState.WAITING or took[way] > SECONDS_A_RUN:
                deaf.add(way)  # one that does not answer, or slowly, costs its own brand a minute, and the others little
    return done


def _put_off(row: Message, *, now: datetime) -> str:
    """Not tried: the one before it was not taken."""
    row.state, row.due_at, row.attempts = MessageState.WAITING, now + WAITS[0], row.attempts - 1
    row.save(update_fields=["state", "due_at", "attempts"])
    return "put_off"


def _take(*, now: datetime) -> list[Message]:
    """Some that are due, marked as taken before anything is sent: a worker that is killed leaves them to the next after a while."""
    with scopes_disabled(), transaction.atomic():
        due = Message.objects.filter(
            Q(state=MessageState.WAITING) | Q(state=MessageState.SENDING), due_at__lte=now, tenant__is_active=True
        )
        rows = list(due.select_for_update(skip_locked=True, of=["self"]).select_related("tenant").order_by("due_at")[:AT_A_TIME])
        for row in rows:
            row.state, row.attempts, row.due_at = MessageState.SENDING, row.attempts + 1, now + LEASE
        Message.objects.bulk_update(rows, ["state", "attempts", "due_at"])
    return rows


def _send(row: Message, *, now: datetime) -> str:
    """-> what became of it."""
    wanted = MessageSettings.objects.filter(tenant=row.tenant).first()
    customer = Customer.objects.get(tenant=row.tenant, pk=row.customer_id)
    if row.channel not in ways_to(customer, wanted):
        return _end(row, said("They take no messages any more, or the address is gone."), for_good=True, now=now)
    if row.channel == Channel.EMAIL and (later := quiet_until(wanted, row.tenant, now=now)) > now:
        row.state, row.due_at, row.attempts = MessageState.WAITING, later, row.attempts - 1
        row.save(update_fields=["state", "due_at", "attempts"])
        return "quiet"
    try:
        trouble, for_good = _by_mail(row, customer) if row.channel == Channel.EMAIL else _by_webhook(row, wanted, now=now)
    except NOT_TAKEN as problem:
        trouble, for_good = said("Not taken ({problem}).", problem=type(problem).__name__), False
    except Exception as problem:  # one that nobody foresaw holds up no other
        log.exception("message not sent", message=row.pk)
        trouble, for_good = said("Could not be made ({problem}).", problem=type(problem).__name__), True
    return _end(row, trouble, for_good=for_good, now=now)


def _by_mail(row: Message, customer: Customer) -> tuple[str, bool]:
    """-> (what went wrong, whether trying again is useless)."""
    if not mail_is_set():
        return said("No mail server is set (EMAIL_HOST)."), False
    ident = f"<message-{row.tenant_id}-{row.pk}@pointdesk>"
    try:
        sender = formataddr((row.tenant.name, settings.DEFAULT_FROM_EMAIL))
        EmailMessage(row.subject, row.body, sender, [customer.email], headers={"Message-ID": ident}).send()
    except SMTPRecipientsRefused as refused:
        codes = [code for code, _ in refused.recipients.values()]
        return said("The mail server refuses this address."), all(code >= 500 for code in codes)
    return "", False


def _by_webhook(row: Message, wanted: MessageSettings | None, *, now: datetime) -> tuple[str, bool]:
    if wanted is None or not wanted.webhook_secret:
        return said("The webhook has no secret. Save the settings once more."), False
    kind = str(row.content.get("type", ""))
    data = {name: value for name, value in row.content.items() if name != "type"}
    body = json.dumps({"type": kind, "timestamp": row.created_at.isoformat(), "data": data})
    ident, at = f"msg_{row.tenant_id}_{row.pk}", datetime.now(UTC)
    headers = {
        "Content-Type": "application/json", "webhook-id": ident, "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(wanted.webhook_secret).sign(ident, at, body),
    }  # fmt: skip
    try:
        status = outbound.post(wanted.webhook_url, body.encode(), headers=headers)
    except outbound.NotReached as problem:
        return str(problem), False
    except DomainError as refusal:
        return refusal.sentence, False
    if 200 <= status < 300:
        return "", False
    return said("Answered {status}.", status=status), status == 410  # gone, for good


def _end(row: Message, trouble: str, *, for_good: bool, now: datetime) -> str:
    row.trouble = trouble[:300]
    if not trouble:
        row.state, row.sent_at = MessageState.SENT, now
    elif for_good or row.attempts > len(WAITS):
        row.state = MessageState.GIVEN_UP
    else:
        row.state, row.due_at = MessageState.WAITING, now + WAITS[row.attempts - 1]
    row.save(update_fields=["state", "sent_at", "trouble", "due_at"])
    if trouble:
        log.warning("message not sent", message=row.pk, tenant=row.tenant.slug, channel=row.channel, state=row.state)
    return str(row.state)


def send_again(tenant: Tenant, message_id: int, *, actor: Actor, now: datetime) -> Message:
    """One that was given up gets its tries anew. Raises: DomainError `message_unknown`, `message_not_given_up`."""
    with transaction.atomic():
        row: Message | None = Message.objects.select_for_update().filter(tenant=tenant, pk=message_id).first()
        if row is None:
            raise DomainError("message_unknown", said("There is no such message. Choose it from the customer's page."))
        if row.state != MessageState.GIVEN_UP:
            raise DomainError(
                "message_not_given_up",
                said("This message was not given up ({state}). Nothing was changed.", state=row.get_state_display()),
            )
        row.state, row.attempts, row.due_at, row.trouble = MessageState.WAITING, 0, now, ""
        row.save(update_fields=["state", "attempts", "due_at", "trouble"])
        audit.record(tenant, actor=actor, action="send_message_again", target=row)
        transaction.on_commit(lambda: bell.send(TASK))
    return row


def new_secret() -> str:
    """What webhooks are signed with."""
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode()
