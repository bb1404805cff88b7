"""Whom a job is about: by filter, all, by hand or from a list; frozen in blocks with their balances, and counted for the preview.

One temporary table holds the choice while the preview is worked out; what a customer's row says there is what is frozen.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from integrations.models import Incident, IncidentKind
from loyalty.ledger import UNWRITABLE
from loyalty.models import Cohort
from loyalty.programmes import RuleBook
from loyalty.state import POINTS_MAX
from support.bulk.models import BulkJob, JobType
from support.bulk.types import KINDS
from tenants import stores
from tenants.errors import DomainError
from tenants.models import Tenant

#: Customers of one block. A worker settles a part of one at a time.
BLOCK = 10_000
#: How many of the largest, of the sample and of the skipped a preview lists.
LARGEST, SAMPLE, SKIPPED = 10, 20, 100
#: A preview of a million customers takes seconds; it may take longer than a page.
SECONDS_MAX = 120

FROM_FILTER = """
    SELECT c.id AS customer_id, NULL::bigint AS points, NULL::text AS reason, NULL::integer AS line, NULL::bigint AS undoes,
        NULL::bigint AS moved
    FROM loyalty_customer c JOIN loyalty_balance b ON b.tenant_id = c.tenant_id AND b.customer_id = c.id
    WHERE c.tenant_id = %(tenant)s AND c.status NOT IN ('merged', 'erased') {filters}
"""
FROM_IDS = """
    SELECT DISTINCT c.id AS customer_id, NULL::bigint AS points, NULL::text AS reason, NULL::integer AS line, NULL::bigint AS undoes,
        NULL::bigint AS moved
    FROM loyalty_customer c WHERE c.tenant_id = %(tenant)s AND c.id = ANY(%(ids)s)
"""
#: Lines of a list, read before: the first of each customer. Or the customers of a preview, which is worked out once more.
FROM_LINES = """
    SELECT DISTINCT ON (r.customer_id) r.customer_id, r.points, nullif(r.reason, '') AS reason, r.line, NULL::bigint AS undoes,
        NULL::bigint AS moved
    FROM support_jobblock k, unnest(k.customers, k.points, k.reasons, k.lines) AS r (customer_id, points, reason, line)
    WHERE k.tenant_id = %(tenant)s AND k.id = ANY(%(blocks)s) ORDER BY r.customer_id, r.line
"""
#: What a job has posted, by whom it belongs to now.
FROM_JOB = """
    SELECT coalesce(s.id, r.customer_id) AS customer_id, NULL::bigint AS points, NULL::text AS reason, NULL::integer AS line,
        r.operation AS undoes, r.moved
    FROM support_jobblock k
    CROSS JOIN LATERAL unnest(k.customers, k.operations, k.moved) AS r (customer_id, operation, moved)
    LEFT JOIN LATERAL (
        WITH RECURSIVE chain (id, next) AS (
            SELECT x.id, x.merged_into_id FROM loyalty_customer x WHERE x.tenant_id = %(tenant)s AND x.id = r.customer_id
            UNION SELECT y.id, y.merged_into_id FROM loyalty_customer y JOIN chain ON y.id = chain.next WHERE y.tenant_id = %(tenant)s
        ) SELECT id FROM chain WHERE next IS NULL
    ) s ON {merged}
    WHERE k.tenant_id = %(tenant)s AND k.job_id = %(of_job)s AND k.number >= 0 AND r.operation <> 0
"""
CHOOSE = """
    CREATE TEMP TABLE job_choice ON COMMIT DROP AS
    WITH ch AS ({chosen})
    SELECT row_number() OVER (ORDER BY ch.customer_id, ch.undoes) - 1 AS place, ch.customer_id, ch.points, ch.reason, ch.line, ch.undoes,
        b.entries AS version, b.available, b.owed, {delta} AS delta,
        CASE WHEN c.status = 'merged' THEN 'customer_merged' WHEN c.status = 'erased' THEN 'customer_erased'
            WHEN c.status = 'blocked' AND %(heeds_blocked)s THEN 'customer_blocked'
            WHEN ch.customer_id = ANY(%(own)s) THEN 'own_number' WHEN ch.customer_id = ANY(%(staff)s) THEN 'colleague_number' {code} END AS code
    FROM ch
    JOIN loyalty_balance b ON b.tenant_id = %(tenant)s AND b.customer_id = ch.customer_id
    JOIN loyalty_customer c ON c.tenant_id = %(tenant)s AND c.id = ch.customer_id
    {joins}
"""
FREEZE = """
    INSERT INTO support_jobblock (tenant_id, job_id, number, customers, versions, available, owed, points, reasons, lines, undoes, size,
        settled, operations, moved, done, skipped, failed, changed, sum)
    SELECT %(tenant)s, %(job)s, place / %(block)s, array_agg(customer_id), array_agg(version), array_agg(available), array_agg(owed),
        CASE WHEN count(points) > 0 THEN array_agg(coalesce(points, 0)) ELSE '{}' END,
        CASE WHEN count(reason) > 0 THEN array_agg(coalesce(reason, '')) ELSE '{}' END,
        CASE WHEN count(line) > 0 THEN array_agg(coalesce(line, 0)) ELSE '{}' END,
        CASE WHEN count(undoes) > 0 THEN array_agg(undoes) ELSE '{}' END,
        count(*), 0, '{}', '{}', 0, 0, 0, 0, 0
    FROM (SELECT * FROM job_choice ORDER BY place) chosen GROUP BY place / %(block)s
"""
TOTALS = "SELECT count(*), count(*) FILTER (WHERE code IS NULL), coalesce(sum(delta) FILTER (WHERE code IS NULL), 0)::bigint FROM job_choice"
BY_REASON = "SELECT code, count(*) FROM job_choice WHERE code IS NOT NULL GROUP BY code ORDER BY 2 DESC"
GIVEN_AND_TAKEN = "SELECT coalesce(sum(abs(delta)), 0)::bigint FROM job_choice WHERE code IS NULL"
_FIGURES = "customer_id, available, owed, delta, code FROM job_choice"
LARGEST_ROWS = f"SELECT {_FIGURES} WHERE code IS NULL ORDER BY abs(delta) DESC, available DESC, customer_id LIMIT %s"
SAMPLE_ROWS = f"""
    SELECT {_FIGURES} WHERE code IS NULL AND place %% greatest(1, (SELECT count(*) FROM job_choice) / %s) = 0 ORDER BY place LIMIT %s
"""  # noqa: S608 - a constant
SKIPPED_ROWS = f"SELECT {_FIGURES} WHERE code IS NOT NULL ORDER BY place LIMIT %s"
#: Customers to whom a number of somebody who works here leads or led, and whoever they were merged into since.
STAFF = """
    WITH RECURSIVE named (id, user_id) AS (
        SELECT c.id, m.user_id FROM tenants_membership m JOIN loyalty_customer c ON c.tenant_id = m.tenant_id AND c.mobile = m.mobile
        WHERE m.tenant_id = %(tenant)s AND m.mobile <> ''
        UNION SELECT a.customer_id, m.user_id FROM tenants_membership m
        JOIN loyalty_customeralias a ON a.tenant_id = m.tenant_id AND a.mobile = m.mobile WHERE m.tenant_id = %(tenant)s AND m.mobile <> ''
    ), chain (id, user_id) AS (
        SELECT id, user_id FROM named
        UNION SELECT c.merged_into_id, chain.user_id FROM chain JOIN loyalty_customer c ON c.id = chain.id
        WHERE c.tenant_id = %(tenant)s AND c.merged_into_id IS NOT NULL
    ) SELECT id, user_id FROM chain
"""


def staff_customers(tenant: Tenant) -> dict[int, int]:
    """-> by customer id, whose points these are of the people who work here: as `limits.staff_behind` tells of one, for all at once."""
    with connection.cursor() as cursor:
        cursor.execute(STAFF, {"tenant": tenant.pk})
        return dict(cursor.fetchall())


# Filters: what each adds, and how its value is read


def _whole(tenant: Tenant, name: str, value: Any) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,15}", text) or abs(int(text)) > POINTS_MAX:
        raise _bad(name, _("{name} is a whole number.").format(name=name))
    return int(text)


def _days(tenant: Tenant, name: str, value: Any) -> int:
    days = _whole(tenant, name, value)
    if not 0 <= days <= 36500:
        raise _bad(name, _("{name} is a number of days.").format(name=name))
    return days


def _date(tenant: Tenant, name: str, value: Any) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise _bad(name, _("{name} is a day, like 2026-05-03.").format(name=name)) from None


def _begin(tenant: Tenant, name: str, value: Any) -> datetime:
    """Of the day, in the tenant's zone."""
    day = _date(tenant, name, value)
    if not 1 < day.year < 9999:  # at the very ends of the calendar no zone can be reckoned with
        raise _bad(name, _("{name} is a day, like 2026-05-03.").format(name=name))
    return datetime.combine(day, time.min, tzinfo=tenant.zone).astimezone(UTC)


def _end(tenant: Tenant, name: str, value: Any) -> datetime:
    day = _date(tenant, name, value)
    return _begin(tenant, name, min(day, date.max - timedelta(days=1)) + timedelta(days=1))


def _texts(tenant: Tenant, name: str, value: Any) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not all(
        isinstance(each, str) and len(each) <= 120 and not UNWRITABLE.search(each) for each in values
    ):
        raise _bad(name, _("{name} is a text, or a list of texts.").format(name=name))
    return [each.strip() for each in values]


def _store(tenant: Tenant, name: str, value: Any) -> int:
    found = stores.find(tenant, str(value)[:64].replace("\0", ""))
    if found is None:
        raise DomainError("store_unknown", _("No store has this code. Choose one from the list of stores."), path=name)
    return int(found.pk)


def _cohort(tenant: Tenant, name: str, value: Any) -> int:
    wanted = UNWRITABLE.sub("", str(value)[:120])
    rows = Cohort.objects.filter(tenant=tenant)
    found = rows.filter(name=wanted).first() or (
        rows.filter(pk=int(wanted)).first() if wanted.isdecimal() and len(wanted) < 19 else None
    )
    if found is None:
        raise _bad(name, _("There is no such cohort. Choose one from the list of cohorts."))
    return int(found.pk)


def _incident(tenant: Tenant, name: str, value: Any) -> int:
    row = Incident.objects.filter(tenant=tenant, pk=_whole(tenant, name, value)).first()
    if row is None:
        raise DomainError("incident_unknown", _("There is no such incident. Choose it from the list."), path=name)
    return int(row.pk)


def _bad(name: str, sentence: str) -> DomainError:
    return DomainError("bad_value", sentence, path=f"filter.{name}")


type Reader = Callable[[Tenant, str, Any], Any]
#: Since when a customer must have been a member of a list, or what a saved filter asks.
_IN_COHORT = """
    AND (EXISTS (SELECT FROM loyalty_cohortmember m WHERE m.tenant_id = c.tenant_id AND m.cohort_id = %(cohort)s AND m.customer_id = c.id
            AND m.valid_from <= %(today)s AND (m.valid_until IS NULL OR m.valid_until > %(today)s))
        OR EXISTS (SELECT FROM loyalty_cohort g WHERE g.tenant_id = c.tenant_id AND g.id = %(cohort)s
            AND (g.tiers <> '{}' OR g.joined_from IS NOT NULL OR g.joined_until IS NOT NULL)
            AND (g.tiers = '{}' OR c.tier = ANY(g.tiers))
            AND (g.joined_from IS NULL OR c.joined_on >= g.joined_from) AND (g.joined_until IS NULL OR c.joined_on <= g.joined_until)))
"""
#: Those whose points are blocked at its store without a bill, or whose bills show it.
_IN_INCIDENT = """
    AND EXISTS (SELECT FROM integrations_incident i WHERE i.tenant_id = c.tenant_id AND i.id = %(incident)s AND CASE i.kind
        WHEN 'no_completion' THEN EXISTS (SELECT FROM loyalty_hold h WHERE h.tenant_id = c.tenant_id AND h.customer_id = c.id
            AND h.state = 'active' AND h.store_id = i.store_id)
        ELSE EXISTS (SELECT FROM integrations_discrepancy x JOIN integrations_bill t ON t.tenant_id = x.tenant_id AND t.id = x.bill_id
            WHERE x.tenant_id = c.tenant_id AND x.incident_id = i.id AND t.customer_id = c.id) END)
"""
_HOLDS_OLDER = """
    AND b.held > 0 AND EXISTS (SELECT FROM loyalty_hold h WHERE h.tenant_id = c.tenant_id AND h.customer_id = c.id AND h.state = 'active'
        AND h.at <= %(now)s - make_interval(days => %(holds_older_than)s))
"""
FILTERS: dict[str, tuple[Reader, str]] = {
    "tier": (_texts, "AND c.tier = ANY(%(tier)s)"),
    **{
        f"{bucket}_{end}": (_whole, f"AND {column} {sign} %({bucket}_{end})s")
        for bucket, column in (
            ("available", "b.available"), ("held", "b.held"), ("owed", "b.owed"), ("pending", "b.pending"),
            ("closing", "(b.available + b.held - b.owed)"),
        )
        for end, sign in (("min", ">="), ("max", "<="))
    },
    "active_from": (_begin, "AND b.last_activity_at >= %(active_from)s"),
    "active_until": (_end, "AND coalesce(b.last_activity_at, c.created_at) < %(active_until)s"),
    "tier_changed_from": (_begin, "AND c.tier_changed_at >= %(tier_changed_from)s"),
    "tier_changed_until": (_end, "AND c.tier_changed_at < %(tier_changed_until)s"),
    "joined_from": (_date, "AND c.joined_on >= %(joined_from)s"),
    "joined_until": (_date, "AND c.joined_on <= %(joined_until)s"),
    "store": (
        _store,
        "AND EXISTS (SELECT FROM integrations_bill t WHERE t.tenant_id = c.tenant_id AND t.customer_id = c.id AND t.store_id = %(store)s"
        " AND t.superseded_at IS NULL)",
    ),
    "cohort": (_cohort, _IN_COHORT),
    "incident": (_incident, _IN_INCIDENT),
    "holds_older_than": (_days, _HOLDS_OLDER),
}  # fmt: skip


@dataclass(slots=True)
class Choice:
    """The statement that finds customers, its values, and what of it a job keeps for people (`said`)."""

    sql: str
    values: dict[str, Any] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)
    is_all: bool = False


def of_filter(tenant: Tenant, wanted: Mapping[str, Any], *, type: str, now: datetime) -> Choice:
    """Customers that fit every filter. Raises: DomainError `bad_value`, `store_unknown`, `incident_unknown`."""
    given = {name: value for name, value in wanted.items() if value not in (None, "", [])}
    unknown = sorted(set(given) - set(FILTERS))
    if unknown or not given:
        raise DomainError(
            "bad_value",
            _("Say which customers: {names}, or all.").format(names=", ".join(FILTERS)),
            path="filter." + UNWRITABLE.sub("", (unknown or [""])[0][:40]),
        )
    values: dict[str, Any] = {name: FILTERS[name][0](tenant, name, value) for name, value in given.items()}
    conditions = [FILTERS[name][1] for name in values]
    said: dict[str, Any] = {name: value if isinstance(value, int | str | list) else str(value) for name, value in given.items()}
    if type == JobType.RELEASE_HOLDS and "store" in values:  # whose points are blocked there, and those points
        conditions = [FILTERS[name][1] for name in values if name != "store"]
        conditions.append(
            "AND b.held > 0 AND EXISTS (SELECT FROM loyalty_hold h WHERE h.tenant_id = c.tenant_id AND h.customer_id = c.id"
            " AND h.state = 'active' AND h.store_id = %(store)s)"
        )
        said["hold_store_id"] = values["store"]
    if type == JobType.RELEASE_HOLDS and "incident" in values:
        incident = Incident.objects.get(tenant=tenant, pk=values["incident"])
        if incident.kind == IncidentKind.NO_COMPLETION:
            said["hold_store_id"] = incident.store_id
    return Choice(FROM_FILTER.format(filters="\n".join(conditions)), values, {"filter": said})


def of_all(tenant: Tenant) -> Choice:
    return Choice(FROM_FILTER.format(filters=""), {}, {"all": True}, is_all=True)


def of_ids(ids: list[int], *, said: dict[str, Any]) -> Choice:
    """Customers by id; another tenant's are nobody."""
    return Choice(FROM_IDS, {"ids": ids}, said)


def of_blocks(job: BulkJob) -> Choice:
    """The customers that stand in its blocks now, with what a file said of each."""
    return Choice(FROM_LINES, {"blocks": list(job.blocks.values_list("pk", flat=True))}, job.select)


def of_job(job: BulkJob) -> Choice:
    """Everybody to whom a job has posted something."""
    assert job.of_job_id is not None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM loyalty_customer WHERE tenant_id = %s AND merged_into_id IS NOT NULL)", [job.tenant_id]
        )
        (merged,) = cursor.fetchone()
    return Choice(FROM_JOB.format(merged="true" if merged else "false"), {"of_job": job.of_job_id}, {"job": job.of_job_id})


def freeze(job: BulkJob, choice: Choice, *, now: datetime) -> None:
    """Find the customers, freeze them with their balances in blocks, and work out the preview. The job's figures are set, and not saved.

    Inside the caller's transaction.
    """
    tenant, today = job.tenant, now.astimezone(job.tenant.zone).date()
    with connection.cursor() as cursor:
        values = _choose(cursor, job, choice, now=now)
        cursor.execute(FREEZE, values)
        job.chosen, job.count, job.sum, turnover = _totals(cursor)
        cursor.execute(BY_REASON)
        skips = dict(cursor.fetchall())
        cursor.execute(LARGEST_ROWS, [LARGEST])
        largest = [_figures(*row) for row in cursor.fetchall()]
        cursor.execute(SAMPLE_ROWS, [SAMPLE, SAMPLE])
        sample = [_figures(*row) for row in cursor.fetchall()]
        cursor.execute(SKIPPED_ROWS, [SKIPPED])
        skipped = [_figures(*row) for row in cursor.fetchall()]
        cursor.execute("DROP TABLE job_choice")
    job.preview = {
        **job.preview, "skips": skips, "turnover": turnover, "largest": largest, "sample": sample, "skipped": skipped,
        "worth": str(_worth(tenant, job.sum, today)) if job.type != JobType.EXTEND else "0", "as_of": now.isoformat(),
    }  # fmt: skip


def figures_now(job: BulkJob, *, now: datetime) -> tuple[int, int]:
    """What the frozen choice comes to by today's balances: (customers it changes, points given and taken)."""
    with connection.cursor() as cursor:
        _choose(cursor, job, of_blocks(job), now=now)
        _chosen, count, _sum, turnover = _totals(cursor)
        cursor.execute("DROP TABLE job_choice")
    return count, turnover


def _choose(cursor: Any, job: BulkJob, choice: Choice, *, now: datetime) -> dict[str, Any]:
    """Fill the temporary table. -> the values of its statements."""
    tenant, kind = job.tenant, KINDS[job.type]
    staff = staff_customers(tenant)
    own = [customer for customer, user in staff.items() if job.asked_by_kind == "person" and user == job.asked_by_id]
    wanted = choice.said.get("filter") or {}
    days = wanted.get("holds_older_than")
    values: dict[str, Any] = {
        "points": job.points, "debt": job.allow_debt and tenant.negative_allowed, "clear": job.clear_debt, "until": job.until,
        "today": now.astimezone(tenant.zone).date(), "spent": job.spent, "negative": tenant.negative_allowed,
        "heeds_blocked": kind.heeds_blocked, "own": own, "staff": [customer for customer in staff if customer not in own], "now": now,
        "block": BLOCK, "held_before": now - timedelta(days=int(days)) if days is not None else None,
        "hold_store": wanted.get("hold_store_id"), **choice.values, "tenant": tenant.pk, "job": job.pk,
    }  # fmt: skip
    joins = kind.joins_of_all or kind.joins if choice.is_all else kind.joins
    cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{SECONDS_MAX}s"])
    # Nothing is known of a filter's rows beforehand; what is chosen may be everybody.
    cursor.execute("SET LOCAL enable_nestloop = off" if choice.is_all else "SELECT 1")
    cursor.execute(CHOOSE.format(chosen=choice.sql, delta=kind.delta, code=kind.code, joins=joins), values)
    cursor.execute("SET LOCAL enable_nestloop = on")
    return values


def _totals(cursor: Any) -> tuple[int, int, int, int]:
    cursor.execute(TOTALS)
    chosen, count, total = cursor.fetchone()
    cursor.execute(GIVEN_AND_TAKEN)
    (turnover,) = cursor.fetchone()
    return chosen, count, total, int(turnover)


def _figures(customer_id: int, available: int, owed: int, delta: int | None, code: str | None) -> dict[str, Any]:
    return {"customer": customer_id, "before": available - owed, "delta": delta or 0, "code": code or ""}


def _worth(tenant: Tenant, points: int, today: date) -> Decimal:
    """In currency, at the default rule's value of a point."""
    try:
        return points * RuleBook(tenant).rule(store_id=None, on=today).point_value
    except DomainError:
        return Decimal(0)
