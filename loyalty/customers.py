"""Who the customer is: one mobile number, in any spelling, leads to one person of one tenant."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

import phonenumbers
from django.db import connection, transaction

from loyalty.models import Customer, CustomerAlias, CustomerStatus
from tenants.errors import DomainError
from tenants.models import Tenant
from tenants.saying import said

#: What people and machines put between digits.
SEPARATORS = re.compile(r"[\s().\-\u00a0\u2010-\u2015]+")
EXPONENT = re.compile(r"\d+\.?\d*[eE]\+?\d+\Z")
#: No spelling of a number is longer; and no pattern is tried on anything longer.
LENGTH_MAX = 40
E164 = re.compile(r"\+[1-9]\d{6,14}\Z")

FIND = """
    SELECT id, mobile FROM loyalty_customer WHERE tenant_id = %(tenant)s AND mobile = ANY(%(mobiles)s) AND status <> 'merged'
    UNION ALL
    SELECT customer_id, mobile FROM loyalty_customeralias
    WHERE tenant_id = %(tenant)s AND mobile = ANY(%(mobiles)s) AND valid_until IS NULL
"""
SURVIVOR = """
    WITH RECURSIVE chain (id, next) AS (
        SELECT id, merged_into_id FROM loyalty_customer WHERE tenant_id = %(tenant)s AND id = %(customer)s
        UNION SELECT c.id, c.merged_into_id FROM loyalty_customer c JOIN chain ON c.id = chain.next WHERE c.tenant_id = %(tenant)s
    ) SELECT id FROM chain WHERE next IS NULL
"""
FAMILIES = """
    WITH RECURSIVE family (id, head) AS (
        SELECT id, id FROM unnest(%(customers)s::bigint[]) AS c (id)
        UNION SELECT c.id, f.head FROM loyalty_customer c JOIN family f ON c.merged_into_id = f.id WHERE c.tenant_id = %(tenant)s
    ) SELECT id, head FROM family
"""
INSERT_STUBS = """
    INSERT INTO loyalty_customer (tenant_id, mobile, name, email, tier, status, joined_on)
    SELECT %s, rows.*  FROM (SELECT mobile, name, email, '' AS tier, 'active' AS status, joined_on
        FROM unnest(%s::text[], %s::text[], %s::text[], %s::date[]) AS rows (mobile, name, email, joined_on) ORDER BY mobile) rows
    ON CONFLICT DO NOTHING RETURNING id
"""
INSERT_BALANCES = """
    INSERT INTO loyalty_balance (customer_id, tenant_id, pending, available, held, owed, entries)
    SELECT id, %s, 0, 0, 0, 0, 0 FROM unnest(%s::bigint[]) AS rows (id) ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Stub:
    """A customer first seen on a bill."""

    mobile: str
    joined_on: date
    name: str = ""
    email: str = ""


@lru_cache(maxsize=20_000)
def normalised_mobile(text: str, *, region: str) -> str:
    """E.164 of a number as people spell it: `9840012345`, `098400 12345`, `+91 98400-12345` (CASES 42).

    Raises: DomainError `mobile_invalid`, with what is wrong and an example.
    """
    cleaned = SEPARATORS.sub("", text)
    if len(cleaned) > LENGTH_MAX:
        raise DomainError(
            "mobile_invalid",
            said("This is too long for a mobile number. Send digits, for example {number}.", number=_example(region)),
        )
    if EXPONENT.match(cleaned):
        raise DomainError(
            "mobile_invalid",
            said(
                "The mobile is a number that a spreadsheet has shortened; its last digits are lost. Send the full number as text."
            ),
        )
    plus, digits = cleaned.startswith("+"), cleaned.removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
        raise DomainError(
            "mobile_invalid", said("This is not a mobile number. Send digits, for example {number}.", number=_example(region))
        )
    if digits.startswith("00"):
        plus, digits = True, digits[2:]
    try:
        number = phonenumbers.parse(("+" if plus else "") + digits, None if plus else region)
    except phonenumbers.NumberParseException:
        number = None
    result = f"+{number.country_code}{number.national_number}" if number else ""
    mobile = phonenumbers.PhoneNumberType.MOBILE
    if number is None or not phonenumbers.is_possible_number_for_type(number, mobile) or not E164.match(result):
        raise DomainError(
            "mobile_invalid",
            said(
                "The mobile has the wrong number of digits for a mobile number here. Send it like {number}.",
                number=_example(region),
            ),
        )
    return result


def _example(region: str) -> str:
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    return phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164) if example else "+919840012345"


def find(tenant: Tenant, mobiles: Iterable[str]) -> dict[str, int]:
    """-> customer id by E.164 mobile, through aliases; unknown numbers are left out. One query."""
    with connection.cursor() as cursor:
        cursor.execute(FIND, {"tenant": tenant.pk, "mobiles": list(set(mobiles))})
        return {mobile: customer_id for customer_id, mobile in cursor.fetchall()}


def find_or_create(tenant: Tenant, stubs: Mapping[str, Stub]) -> dict[str, int]:
    """-> customer id by mobile; unknown numbers become customers, with their balance row. Retries and races are harmless."""
    known = find(tenant, stubs)
    missing = [stub for mobile, stub in sorted(stubs.items()) if mobile not in known]
    if not missing:
        return known
    with transaction.atomic(), connection.cursor() as cursor:
        columns = zip(*((stub.mobile, stub.name, stub.email, stub.joined_on) for stub in missing), strict=True)
        cursor.execute(INSERT_STUBS, [tenant.pk, *(list(column) for column in columns)])
        cursor.execute(INSERT_BALANCES, [tenant.pk, [row[0] for row in cursor.fetchall()]])
    return find(tenant, stubs)


def open_balances(tenant: Tenant, customer_ids: Collection[int]) -> None:
    """Every customer has a balance row, from the first moment; who has one keeps it."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT_BALANCES, [tenant.pk, list(customer_ids)])


def survivor(tenant: Tenant, customer_id: int) -> int:
    """Whom the customer's points belong to now: themselves, or whoever they were merged into, however often."""
    with connection.cursor() as cursor:
        cursor.execute(SURVIVOR, {"tenant": tenant.pk, "customer": customer_id})
        return int(cursor.fetchone()[0])


def families(tenant: Tenant, customer_ids: Collection[int]) -> dict[int, int]:
    """-> by customer id, whose history it is: each of these customers, and everybody who was merged into them."""
    with connection.cursor() as cursor:
        cursor.execute(FAMILIES, {"tenant": tenant.pk, "customers": list(customer_ids)})
        return dict(cursor.fetchall())


def numbers_of(tenant: Tenant, customer_ids: Collection[int]) -> set[str]:
    """Every number that leads, or led, to one of them; stand-ins included."""
    rows = Customer.objects.filter(tenant=tenant, pk__in=customer_ids).values_list("mobile", flat=True)
    return {*rows, *CustomerAlias.objects.filter(tenant=tenant, customer__in=customer_ids).values_list("mobile", flat=True)}


def is_erased(tenant: Tenant, customer_ids: Collection[int]) -> bool:
    """Whether any of them has been forgotten."""
    return bool(Customer.objects.filter(tenant=tenant, pk__in=customer_ids, status=CustomerStatus.ERASED).exists())


def find_or_stub(tenant: Tenant, mobile: str, *, now: datetime) -> int:
    """The customer's id; an unknown number becomes a customer. Raises: DomainError `mobile_invalid`."""
    normalised = normalised_mobile(mobile, region=tenant.region)
    return find_or_create(tenant, {normalised: Stub(normalised, now.astimezone(tenant.zone).date())})[normalised]


def the_one(tenant: Tenant, mobile: str) -> int:
    """The customer's id. Raises: DomainError `mobile_invalid`, `unknown_customer`."""
    normalised = normalised_mobile(mobile, region=tenant.region)
    customer_id = find(tenant, [normalised]).get(normalised)
    if customer_id is None:
        raise DomainError(
            "unknown_customer", said("No customer of this programme has this number. Check it, or send a bill first.")
        )
    return customer_id
