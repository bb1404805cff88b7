"""The bonus rules of a tenant against one batch of purchases: what is known of the customers, and the evaluations that are kept."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import connection

from loyalty import customers
from loyalty.bonus import Campaign, Judgement, Person, judge
from loyalty.earning import Purchase, SoFar
from loyalty.models import Bonus, CohortMember, Customer
from loyalty.programmes import campaign_of
from tenants.models import Tenant
from tenants.setwise import insert, insert_sql

#: What these customers earned, by day and store, less what was undone of it whenever that was; an undoing that was itself undone undid
#: nothing. And with how many bills something of it stands.
LOAD_EARNED = """
    SELECT customer_id, business_date, store_id, sum(net)::bigint, count(*) FILTER (WHERE net > 0) FROM (
        SELECT e.customer_id, e.business_date, e.store_id, e.pending + e.available - e.owed + coalesce((
            SELECT sum(CASE WHEN u.kind = 'debt' THEN -u.owed ELSE u.pending + u.available - least(u.owed, 0) END)
            FROM (
                SELECT x.kind, x.pending, x.available, x.owed FROM loyalty_entry x WHERE x.of_entry_id = e.id AND x.kind <> 'merge'
                UNION ALL
                SELECT y.kind, y.pending, y.available, y.owed FROM loyalty_entry x JOIN loyalty_entry y ON y.of_entry_id = x.id
                WHERE x.of_entry_id = e.id AND y.kind <> 'merge'
            ) u
        ), 0) AS net
        FROM loyalty_entry e
        WHERE e.tenant_id = %s AND e.customer_id = ANY(%s) AND e.kind = 'earn' AND coalesce(e.bill_id <> ALL(%s), true)
    ) earned GROUP BY 1, 2, 3
"""
#: How often these customers got each bonus and kept it.
LOAD_AWARDS = """
    SELECT e.customer_id, (e.snapshot->>'bonus_id')::bigint, count(*) FROM loyalty_entry e
    WHERE e.tenant_id = %s AND e.customer_id = ANY(%s) AND e.kind = 'bonus' AND e.snapshot ? 'bonus_id'
      AND coalesce(e.bill_id <> ALL(%s), true)
      AND NOT EXISTS (SELECT FROM loyalty_entry r WHERE r.of_entry_id = e.id AND r.kind = 'reversal')
    GROUP BY 1, 2
"""
INSERT_EVALUATIONS = insert_sql(
    "loyalty_bonusevaluation",
    {
        "tenant_id": "bigint", "bonus_id": "bigint", "customer_id": "bigint", "bill_id": "bigint", "operation_key": "text",
        "business_date": "date", "awarded": "boolean", "points": "bigint", "conditions": "jsonb",
    },
)  # fmt: skip


class History:
    """What customers had earned before, kept up to date while a batch is booked. Load it under the customers' locks.

    `without_bills`: booked bills that are about to be booked anew, so that their own points do not count as earlier ones.
    """

    def __init__(self, tenant: Tenant, customer_ids: Collection[int], *, without_bills: Collection[int] = ()) -> None:
        self._of: dict[int, list[tuple[date, int | None, int, int]]] = defaultdict(list)
        if customer_ids:
            who = customers.families(tenant, customer_ids)
            with connection.cursor() as cursor:
                cursor.execute(LOAD_EARNED, [tenant.pk, list(who), list(without_bills)])
                for customer_id, *row in cursor.fetchall():
                    self._of[who[customer_id]].append(tuple(row))

    def so_far(self, customer_id: int, *, on: date, store_id: int | None) -> SoFar:
        so_far = SoFar()
        for day, store, points, bills in self._of[customer_id]:
            so_far.earlier += bills
            if (day.year, day.month) == (on.year, on.month):
                so_far.month += points
            if day == on:
                so_far.day += points
                so_far.visited = so_far.visited or (store == store_id and bills > 0)
        return so_far

    def add(self, customer_id: int, *, on: date, store_id: int | None, points: int) -> None:
        self._of[customer_id].append((on, store_id, points, 1))


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A judgement on its way into the table."""

    customer_id: int
    bill_id: int | None
    operation_key: str
    business_date: date
    judgement: Judgement


class CampaignBook:
    """The live bonus rules of a tenant, of some days only where that is all that matters.

    `about` loads what they may ask of some customers.
    """

    def __init__(self, tenant: Tenant, *, days: tuple[date, date] | None = None) -> None:
        self.tenant = tenant
        rows = Bonus.objects.filter(tenant=tenant, is_active=True).select_related("cohort").prefetch_related("conditions")
        if days is not None:
            rows = rows.filter(starts_on__lte=days[1], ends_on__gte=days[0])
        self._bonuses = {row.pk: row for row in rows}
        self.campaigns = [campaign_of(row, row.conditions.all()) for row in self._bonuses.values()]
        self._customers: dict[int, Customer] = {}
        self._members: dict[int, list[tuple[int, date, date | None]]] = defaultdict(list)
        self._awards: dict[int, Counter[int]] = defaultdict(Counter)

    def concerning(self, purchase: Purchase) -> list[Campaign]:
        return [each for each in self.campaigns if each.concerns(purchase)]

    def about(self, customer_ids: Collection[int], *, without_bills: Collection[int] = ()) -> None:
        """Load tiers, dates, cohorts and earlier awards of these customers. Call it under their locks."""
        ids = [each for each in customer_ids if each not in self._customers]
        if not (ids and self.campaigns):
            return
        self._customers |= {row.pk: row for row in Customer.objects.filter(tenant=self.tenant, pk__in=ids)}
        cohorts = {each.cohort_id for each in self.campaigns if each.cohort_id is not None}
        for member in CohortMember.objects.filter(tenant=self.tenant, cohort__in=cohorts, customer__in=ids):
            self._members[member.customer_id].append((member.cohort_id, member.valid_from, member.valid_until))
        who = customers.families(self.tenant, ids)
        with connection.cursor() as cursor:
            cursor.execute(LOAD_AWARDS, [self.tenant.pk, list(who), list(without_bills)])
            for customer_id, bonus_id, count in cursor.fetchall():
                self._awards[who[customer_id]][bonus_id] += count

    def judge(
        self, purchase: Purchase, *, customer_id: int, so_far: SoFar, earns: int, among: Iterable[Campaign] | None = None
    ) -> list[Judgement]:
        """Every bonus rule of the bill's day and store; with `among`, these instead."""
        live = self.concerning(purchase) if among is None else among
        return [judge(each, purchase, person=self._person(customer_id, purchase.on), so_far=so_far, earns=earns) for each in live]

    def awarded(self, customer_id: int, bonus_id: int) -> None:
        self._awards[customer_id][bonus_id] += 1

    def not_awarded(self, customer_id: int, bonus_id: int) -> None:
        """The bill was refused after all."""
        self._awards[customer_id][bonus_id] -= 1

    def _person(self, customer_id: int, on: date) -> Person:
        row = self._customers.get(customer_id)
        if row is None:
            return Person()
        listed = {cohort for cohort, since, until in self._members[customer_id] if since <= on and (until is None or on < until)}
        filtered = {
            bonus.cohort_id for bonus in self._bonuses.values() if bonus.cohort and bonus.cohort.is_filter and _fits(bonus, row)
        }
        return Person(row.tier, row.joined_on, frozenset(listed | filtered), self._awards[customer_id])


def _fits(bonus: Bonus, customer: Customer) -> bool:
    """Whether the saved filter of the bonus's cohort finds the customer."""
    cohort = bonus.cohort
    assert cohort is not None
    if cohort.tiers and customer.tier not in cohort.tiers:
        return False
    joined = customer.joined_on or date.min
    return (cohort.joined_from or date.min) <= joined <= (cohort.joined_until or date.max)


def keep(tenant: Tenant, evaluated: Iterable[Evaluated]) -> None:
    """Write evaluations; they are never changed."""
    rows: list[tuple[Any, ...]] = [
        (
            tenant.pk, each.judgement.campaign.id, each.customer_id, each.bill_id, each.operation_key, each.business_date,
            each.judgement.awarded, each.judgement.points, json.dumps([judged.as_dict() for judged in each.judgement.conditions]),
        )
        for each in evaluated
    ]  # fmt: skip
    with connection.cursor() as cursor:
        insert(cursor, INSERT_EVALUATIONS, rows)


def put_on_list(tenant: Tenant, cohort_id: int, mobiles: Collection[str], *, valid_from: date) -> tuple[int, list[str]]:
    """Add customers to a cohort by mobile (E.164). -> (how many are new on the list, numbers nobody has)."""
    known = customers.find(tenant, mobiles)
    there = set(
        CohortMember.objects.filter(tenant=tenant, cohort=cohort_id, valid_until=None).values_list("customer_id", flat=True)
    )
    fresh = [
        CohortMember(tenant=tenant, cohort_id=cohort_id, customer_id=customer_id, valid_from=valid_from)
        for customer_id in sorted(set(known.values()) - there)
    ]
    CohortMember.objects.bulk_create(fresh, batch_size=1000, ignore_conflicts=True)
    return len(fresh), sorted(set(mobiles) - known.keys())
