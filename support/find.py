"""One box finds a customer: number in any spelling, its last digits, name, e-mail, bill number, hold reference.

Every way uses an index, also under row-level security.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from integrations.models import Bill, Delivery
from loyalty import customers
from loyalty.models import Balance, Customer, Hold
from tenants.errors import DomainError
from tenants.models import Tenant

HITS_MAX = 12
#: Of a filter: more people than this have one name nowhere.
EVERYBODY_MAX = 20_000
DIGITS = re.compile(r"[\d\s()+.\-]+\Z")
LAST_DIGITS = """
    SELECT id FROM loyalty_customer WHERE tenant_id = %s AND mobile_reversed ^@ %s AND status <> 'merged' ORDER BY id DESC LIMIT %s
"""
BY_WORDS = "SELECT search_customers(%s, %s)"


@dataclass(frozen=True, slots=True)
class Hit:
    """A customer, and by what they were found."""

    customer: Customer
    balance: Balance
    why: str


def find(tenant: Tenant, text: str) -> list[Hit]:
    """The customers that `text` leads to, best first, at most 12."""
    text = text.strip()[:120].replace("\0", "")
    if len(text) < 2:
        return []
    found: dict[int, str] = {}
    for why, ids in _ways(tenant, text):
        for customer_id in ids:
            found.setdefault(customer_id, why)
        if len(found) >= HITS_MAX:
            break
    ids = list(found)[:HITS_MAX]
    rows = {
        balance.customer_id: balance
        for balance in Balance.objects.filter(tenant=tenant, customer_id__in=ids).select_related("customer")
    }
    return [Hit(rows[customer_id].customer, rows[customer_id], found[customer_id]) for customer_id in ids if customer_id in rows]


def everybody(tenant: Tenant, text: str) -> set[int]:
    """Whomever `text` may mean, and those who were merged into them: for a filter, which must leave nobody out."""
    text = text.strip()[:120].replace("\0", "")
    ids = {pk for _why, found in _ways(tenant, text, most=EVERYBODY_MAX) for pk in found} if len(text) >= 2 else set()
    return set(customers.families(tenant, ids)) if ids else set()


def _ways(tenant: Tenant, text: str, *, most: int = HITS_MAX) -> Iterable[tuple[str, list[int]]]:
    digits = re.sub(r"\D", "", text)
    if DIGITS.match(text) and digits:
        try:
            mobile = customers.normalised_mobile(text, region=tenant.region)
            yield _("mobile number"), list(customers.find(tenant, [mobile]).values())
        except DomainError:
            pass
        if 4 <= len(digits) <= 15:
            yield _("last digits"), _ids(LAST_DIGITS, [tenant.pk, digits[::-1], most])
    bills = Bill.objects.filter(tenant=tenant, bill_no=text, customer__isnull=False)
    yield _("bill number"), list(bills.values_list("customer_id", flat=True)[:most])
    holds = Hold.objects.filter(tenant=tenant)
    yield _("blocked for bill"), list(holds.filter(bill_no=text).values_list("customer_id", flat=True)[:most])
    yield _("redemption reference"), list(holds.filter(reference=text).values_list("customer_id", flat=True)[:most])
    waiting = Delivery.objects.filter(tenant=tenant, bill_no=text).exclude(mobile="").values_list("mobile", flat=True)[:most]
    yield _("bill in the inbox"), list(customers.find(tenant, waiting).values())
    if len(text) >= 3 and not DIGITS.match(text):
        yield _("name or e-mail"), _ids(BY_WORDS, [text, most])


def _ids(statement: str, parameters: list[Any]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [row[0] for row in cursor.fetchall()]
