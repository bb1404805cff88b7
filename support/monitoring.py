"""What is behind, and since when: measured by the worker, which sees every brand, and told by /metrics, a page and a mail.

A web process sees one brand and may not count the others'; so it shows what the worker last measured, and how long ago that was.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import formataddr

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django_scopes import scope, scopes_disabled
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from integrations.analytics import feed
from integrations.messages import NOT_TAKEN, mail_is_set
from support.models import Alarm, Measurement, TopicContact
from tenants import clock
from tenants.models import Heartbeat, ScheduledRun, Tenant

log = structlog.get_logger("pointdesk.monitoring")
#: Older than this, what was measured says that nobody measures.
STALE = timedelta(minutes=2)
#: When an alarm that goes on is told again; then once a day.
REPEATED = (timedelta(0), timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
#: So long a trouble must be away before its alarm is over: one that comes and goes is one alarm.
QUIET = timedelta(minutes=10)
HOUSE = """
    SELECT (SELECT jsonb_object_agg(state, jsonb_build_array(n, extract(epoch FROM %(now)s - oldest)::bigint)) FROM (
                SELECT state, count(*) AS n, min(received_at) AS oldest FROM integrations_delivery
                WHERE state IN ('received', 'waiting_parent', 'quarantined', 'conflict') GROUP BY 1) inbox),
           (SELECT count(*) FROM loyalty_hold WHERE state = 'active' AND expires_at < %(now)s - interval '5 minutes'),
           (SELECT count(*) FROM loyalty_hold WHERE state = 'active' AND expires_at < %(now)s),
           (SELECT count(*) FROM support_bulkjob WHERE state = 'running'),
           (SELECT count(*) FROM integrations_resync WHERE state IN ('waiting', 'running')),
           (SELECT count(DISTINCT tenant_id) FROM integrations_parityday WHERE NOT ok),
           (SELECT extract(epoch FROM %(now)s - min(at))::bigint FROM (
                SELECT max(at) AS at FROM integrations_parityrun WHERE whole GROUP BY tenant_id) whole),
           (SELECT count(*) FROM integrations_message WHERE state = 'waiting')
"""
#: Of each brand: the code of an alarm, and since when.
TROUBLES = """
    SELECT 'parity', tenant_id, min(at), (SELECT count(*) FROM integrations_parityday d WHERE d.tenant_id = r.tenant_id AND NOT d.ok)
        FROM integrations_parityrun r WHERE NOT ok AND NOT EXISTS (
            SELECT FROM integrations_parityrun l WHERE l.tenant_id = r.tenant_id AND l.id > r.id AND l.ok)
        GROUP BY tenant_id HAVING min(at) < %(now)s - interval '20 minutes'
    UNION ALL
    SELECT 'inbox', tenant_id, min(received_at), count(*) FROM integrations_delivery
        WHERE state = 'received' AND received_at < %(now)s - interval '10 minutes' GROUP BY tenant_id
    UNION ALL
    SELECT 'holds', tenant_id, min(expires_at), count(*) FROM loyalty_hold
        WHERE state = 'active' AND expires_at < %(now)s - interval '15 minutes' GROUP BY tenant_id
    UNION ALL
    SELECT 'resync', tenant_id, min(ended_at), count(*) FROM integrations_resync r WHERE state = 'failed' AND NOT EXISTS (
        SELECT FROM integrations_resync l WHERE l.tenant_id = r.tenant_id AND l.id > r.id AND l.state = 'done') AND NOT EXISTS (
        SELECT FROM integrations_parityrun p WHERE p.tenant_id = r.tenant_id AND p.at > r.ended_at AND p.whole AND p.ok) GROUP BY tenant_id
    UNION ALL
    SELECT 'compare', tenant_id, min(ended_at), count(DISTINCT policy_id) FROM integrations_reconciliationrun r
        WHERE state = 'failed' AND EXISTS (SELECT FROM integrations_reconciliationpolicy p WHERE p.id = r.policy_id AND p.is_active)
        AND NOT EXISTS (SELECT FROM integrations_reconciliationrun l WHERE l.policy_id = r.policy_id AND l.id > r.id AND l.state = 'done')
        GROUP BY tenant_id
    UNION ALL
    SELECT 'feed', t.id, %(late_since)s::timestamptz, %(late)s::bigint FROM tenants_tenant t
        WHERE t.is_active AND %(late_since)s::timestamptz < %(now)s - interval '10 minutes'
    UNION ALL
    SELECT 'seals', t.id, limits.since, 1 FROM tenants_tenant t, (
        SELECT min(noted_at) AS since FROM (SELECT noted_at FROM loyalty_sealbound UNION ALL SELECT noted_at FROM tenants_auditsealbound) noted
    ) limits WHERE t.is_active AND limits.since < %(now)s - interval '1 hour'
    UNION ALL
    SELECT 'clock', t.id, %(now)s, abs(%(ahead)s) FROM tenants_tenant t WHERE t.is_active AND abs(%(ahead)s) > %(apart)s
"""
#: code -> (topic of the contact who is told, what it is).
ALARMS = {
    "parity": ("analytics", gettext_lazy("The dashboards differ from the ledger")),
    "inbox": ("POS", gettext_lazy("Bills wait to be processed")),
    "holds": ("ledger", gettext_lazy("Blocked points are not freed on their date")),
    "resync": ("analytics", gettext_lazy("Building the dashboards anew failed")),
    "compare": ("POS", gettext_lazy("A reconciliation could not be made")),
    "feed": ("analytics", gettext_lazy("The dashboards are behind")),
    "clock": ("ledger", gettext_lazy("The clock of a worker and the database's are apart")),
    "seals": ("ledger", gettext_lazy("The chains are not sealed: a transaction stays open, perhaps of another application")),
}


def measure(*, now: datetime) -> Measurement:
    """Count everything once, and keep it; by the owner, who sees every brand."""
    with connection.cursor() as cursor:
        cursor.execute(HOUSE, {"now": now})
        inbox, overdue, due, jobs, resyncs, different, oldest_whole, messages = cursor.fetchone()
    lag = feed.lag()
    figures = {
        "inbox": json.loads(inbox or "{}"), "holds_overdue": overdue, "holds_due": due, "jobs_running": jobs, "resyncs_open": resyncs,
        "tenants_different": different, "parity_age_seconds": oldest_whole, "messages_waiting": messages, "feed_behind": lag.entries,
        "feed_age_seconds": int((now - lag.since).total_seconds()) if lag.since else 0, "feed_rows_behind": feed.rows_behind(),
        "clock_ahead_seconds": round(clock.ahead().total_seconds()),
    }  # fmt: skip
    row: Measurement = Measurement.objects.update_or_create(pk=1, defaults={"at": now, "figures": figures})[0]
    return row


def metrics(*, now: datetime, engines: dict[str, bool]) -> bytes:
    """In Prometheus' text format: what was measured last, and the engines as they are (without PostgreSQL nothing else). No brand is named."""
    registry = CollectorRegistry()

    def gauge(name: str, told: str, values: Iterable[tuple[dict[str, str], float]]) -> None:
        pairs = list(values)
        made = Gauge(f"pointdesk_{name}", told, sorted({key for labels, _ in pairs for key in labels}), registry=registry)
        for labels, value in pairs:
            (made.labels(**labels) if labels else made).set(value)

    gauge("up", "1 where the engine answers", [({"engine": name}, float(up)) for name, up in engines.items()])
    if not engines["postgresql"]:
        return generate_latest(registry)
    found = Measurement.objects.filter(pk=1).first()
    gauge(
        "measured_age_seconds",
        "Since the worker measured last; -1: never",
        [({}, (now - found.at).total_seconds() if found else -1.0)],
    )
    if found is not None:
        inbox: dict[str, list[int]] = found.figures["inbox"]
        if inbox:
            gauge("inbox", "Deliveries that wait, by state", [({"state": state}, counted[0]) for state, counted in inbox.items()])
            gauge(
                "inbox_oldest_seconds",
                "Age of the oldest by state",
                [({"state": state}, counted[1]) for state, counted in inbox.items()],
            )
        if rows := found.figures.get("feed_rows_behind"):
            gauge(
                "feed_rows_behind",
                "Rows that ClickHouse lacks, by stream, counted up to 10,000",
                [({"stream": name}, n) for name, n in rows.items()],
            )
        for name, told in NUMBERS.items():
            if (value := found.figures.get(name)) is not None:
                gauge(name, told, [({}, float(value))])
    beat = Heartbeat.objects.order_by("-at").first()
    gauge(
        "heartbeat_age_seconds",
        "Since beat, broker and worker were last seen alive; -1: never",
        [({}, (now - beat.at).total_seconds() if beat else -1.0)],
    )
    return generate_latest(registry)


NUMBERS = {
    "holds_due": "Holds whose date has passed and that still block points",
    "holds_overdue": "Of these, for more than five minutes",
    "jobs_running": "Bulk jobs that run",
    "resyncs_open": "Resyncs that wait or run",
    "tenants_different": "Brands with days on which ClickHouse differed when last compared",
    "parity_age_seconds": "Since the brand compared longest ago was compared whole",
    "messages_waiting": "Messages to customers that wait to be sent",
    "feed_behind": "Entries that ClickHouse has not got yet, counted up to 10,000",
    "feed_age_seconds": "Age of the oldest of them",
    "clock_ahead_seconds": "By which the worker's clock is ahead of the database's",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line of the operator's page. `since`: when it began to be so."""

    ok: bool
    text: str
    since: datetime | None = None


def sentences(*, now: datetime, engines: dict[str, bool]) -> list[Sentence]:
    """In words: what is behind, what is not, and since when; trouble first."""
    found = [_engine(name, up) for name, up in engines.items()]
    beat = Heartbeat.objects.order_by("-at").first()
    alive = beat is not None and now - beat.at < STALE
    found.append(
        Sentence(
            alive,
            _("Worker and timetable are alive.") if alive else _("No worker has been heard: nothing is processed."),
            beat.at if beat else None,
        )
    )
    row = Measurement.objects.filter(pk=1).first()
    if row is None or now - row.at > STALE:
        found.append(
            Sentence(False, _("Nothing was measured lately: the lines below are old or missing."), row.at if row else None)
        )
    if row is not None:
        found += [say(row) for say in MEASURED]
    failing = (
        ScheduledRun.objects.filter(started_at__gt=now - timedelta(hours=1), failed__gt=0)
        .order_by()
        .values_list("job", flat=True)
        .distinct()
    )
    if names := ", ".join(sorted(failing)):
        found.append(Sentence(False, _("Had trouble within the last hour: {jobs}. See Scheduled runs.").format(jobs=names)))
    return sorted(found, key=lambda each: each.ok)


def _engine(name: str, up: bool) -> Sentence:
    return Sentence(up, (_("{engine} answers.") if up else _("{engine} does not answer.")).format(engine=name))


def _age(row: Measurement, seconds: int | None) -> datetime | None:
    return row.at - timedelta(seconds=seconds) if seconds else None


def _inbox(row: Measurement) -> Sentence:
    count, seconds = row.figures["inbox"].get("received", (0, 0))
    if not count:
        return Sentence(True, _("Every bill that came has been processed."))
    told = ngettext("{count} bill waits to be processed.", "{count} bills wait to be processed.", count).format(
        count=f"{count:,}"
    )
    return Sentence(seconds < 60, told, _age(row, seconds))


def _people(row: Measurement) -> Sentence:
    counts = {state: counted[0] for state, counted in row.figures["inbox"].items() if state != "received"}
    oldest = max((counted[1] for state, counted in row.figures["inbox"].items() if state != "received"), default=0)
    told = _("Set aside for people: {quarantined} quarantined, {conflict} in conflict, {waiting} waiting for their sale.")
    text = told.format(
        quarantined=counts.get("quarantined", 0), conflict=counts.get("conflict", 0), waiting=counts.get("waiting_parent", 0)
    )
    return Sentence(True, text, _age(row, oldest))


def _feed(row: Measurement) -> Sentence:
    count, seconds = row.figures["feed_behind"], row.figures["feed_age_seconds"]
    if not count:
        return Sentence(True, _("ClickHouse has every entry."))
    told = ngettext("{count} entry is on its way to ClickHouse.", "{count} entries are on their way to ClickHouse.", count)
    return Sentence(seconds < 30, told.format(count=f"{count:,}"), _age(row, seconds))


def _parity(row: Measurement) -> Sentence:
    count = row.figures["tenants_different"]
    if row.figures["parity_age_seconds"] is None:
        return Sentence(False, _("ClickHouse has not been compared with the ledger yet."))
    if not count:
        return Sentence(
            True,
            _("ClickHouse agreed with the ledger when last compared; the longest ago:"),
            _age(row, row.figures["parity_age_seconds"]),
        )
    told = ngettext(
        "ClickHouse differs from the ledger for {count} brand.", "ClickHouse differs from the ledger for {count} brands.", count
    )
    return Sentence(False, told.format(count=count))


def _holds(row: Measurement) -> Sentence:
    count = row.figures["holds_overdue"]
    if not count:
        return Sentence(True, _("Blocked points are freed on their date."))
    told = ngettext(
        "{count} redemption should have been unblocked already.", "{count} redemptions should have been unblocked already.", count
    )
    return Sentence(False, told.format(count=f"{count:,}"))


def _clock(row: Measurement) -> Sentence:
    seconds = row.figures.get("clock_ahead_seconds", 0)
    if abs(seconds) <= clock.APART_MAX.total_seconds():
        return Sentence(True, _("The worker's clock is the database's."))
    told = (
        _("The worker's clock is {time} ahead of the database's. Set it right.")
        if seconds > 0
        else _("The worker's clock is {time} behind the database's. Set it right.")
    )
    return Sentence(False, told.format(time=timedelta(seconds=abs(seconds))))


MEASURED: tuple[Callable[[Measurement], Sentence], ...] = (_inbox, _feed, _parity, _holds, _clock, _people)


# Alarms


def watch(*, now: datetime) -> int:
    """Open an alarm for each trouble, close those that are over, tell whom they concern; -> mails sent.

    An alarm that goes on is told again after an hour, six hours, a day, and then daily; its end is told once.
    """
    lag = feed.lag()
    with connection.cursor() as cursor:
        asked = {"ahead": round(clock.ahead().total_seconds()), "apart": round(clock.APART_MAX.total_seconds())}
        cursor.execute(TROUBLES, {"now": now, "late_since": lag.since, "late": lag.entries, **asked})
        troubles = {(row[1], row[0]): (row[2], row[3]) for row in cursor.fetchall()}
    sent = 0
    with scopes_disabled():
        Alarm.objects.filter(tenant__is_active=False, ended_at=None).update(ended_at=now)
    for tenant in Tenant.objects.filter(is_active=True):
        with scope(tenant=tenant):
            mine = {code: found for (tenant_id, code), found in troubles.items() if tenant_id == tenant.pk}
            for code, (since, count) in mine.items():
                Alarm.objects.get_or_create(tenant=tenant, code=code, ended_at=None, defaults={"since": since, "count": count})
            for alarm in Alarm.objects.filter(tenant=tenant, ended_at=None):
                sent += _follow(tenant, alarm, mine.get(alarm.code), now=now)
    return sent


def _follow(tenant: Tenant, alarm: Alarm, found: tuple[datetime, int] | None, *, now: datetime) -> int:
    """Told when it is due; over when it has been quiet for a while, and whoever heard of it has heard that, too. -> mails sent."""
    sent = 0
    if found is not None:
        alarm.quiet_since, alarm.count = None, found[1]
        sent = _tell(tenant, alarm, now=now) if _is_due(alarm, now) else 0
    elif alarm.quiet_since is None:
        alarm.quiet_since = now
    elif now - alarm.quiet_since >= QUIET:
        sent = _tell(tenant, alarm, now=now, over=True) if alarm.times_told else 0
        alarm.ended_at = alarm.quiet_since if sent or not alarm.times_told else None
    alarm.save(update_fields=["ended_at", "quiet_since", "count", "told_at", "times_told"])
    return sent


def _is_due(alarm: Alarm, now: datetime) -> bool:
    if alarm.told_at is None:
        return True
    step = REPEATED[min(alarm.times_told, len(REPEATED) - 1)]
    return bool(now - alarm.told_at >= step)


def _tell(tenant: Tenant, alarm: Alarm, *, now: datetime, over: bool = False) -> int:
    """To the contact of the topic, if there is one with an address."""
    topic, title = ALARMS[alarm.code]
    contact = TopicContact.objects.filter(tenant=tenant, topic=topic).exclude(email="").first()
    if contact is None or not mail_is_set():
        return 0
    since = alarm.since.astimezone(tenant.zone)
    if over:
        subject, body = (
            _("Over: {title}").format(title=title),
            _("It began on {since:%d %b %Y at %H:%M} and is over.").format(since=since),
        )
    else:
        subject, body = (
            str(title),
            _("Since {since:%d %b %Y, %H:%M}. Concerned: {count}.").format(since=since, count=f"{alarm.count:,}"),
        )
    mail = EmailMessage(" ".join(subject.split()), body, formataddr((tenant.name, settings.DEFAULT_FROM_EMAIL)), [contact.email])
    try:
        mail.send()
    except NOT_TAKEN as problem:
        log.warning("alarm not mailed", alarm=alarm.pk, error=type(problem).__name__)
        return 0
    alarm.told_at, alarm.times_told = now, alarm.times_told + 1
    return 1
