import json
import sys
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils import timezone
from django_scopes import scope

from integrations.models import ReconciliationPolicy, Side
from loyalty import customers
from loyalty.models import Customer
from support import approvals, cases
from support.models import BulkSettings, PointsLimit, TopicContact
from support.verbs import Wish
from tenants import access as gate
from tenants.commands import tenant_of
from tenants.models import Tenant, User

#: Of Kulfi House: an agent gives so much alone, and these are asked about what nobody at the desk can mend.
LIMITS = {"agent": (500, 2000), "merchant": (5000, 50_000)}
CONTACTS = {
    "POS": ("Store systems", "pos@kulfi.example", "Name the store, the till and the bill"),
    "CRM": ("CRM team", "crm@kulfi.example", "The nightly batch runs at 2:00"),
    "analytics": ("Reporting", "reports@kulfi.example", ""),
    "marketing": ("Campaigns", "campaigns@kulfi.example", ""),
}
#: What is held against each other every night: name, both sides, and how many days back.
POLICIES = (
    ("ERP orders and bills", Side.ERP, Side.LEDGER, 7),
    ("Balances in the CRM", Side.LEDGER, Side.CRM, 30),
    ("Balances on the dashboards", Side.LEDGER, Side.CLICKHOUSE, 1),
)


class Command(BaseCommand):
    help = "What the demo's people have done so far, from its stories on stdin. `make demo` calls it."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("release_expired_holds", stdout=sys.stderr)
        tenant = tenant_of("kulfi-house")
        stories = json.load(sys.stdin)["kulfi-house"]
        with scope(tenant=tenant):
            for role, (an_act, a_day) in LIMITS.items():
                PointsLimit.objects.get_or_create(tenant=tenant, role=role, defaults={"an_act": an_act, "a_day": a_day})
            BulkSettings.objects.get_or_create(tenant=tenant, defaults={"customers_alone": 1000, "points_alone": 50_000})
            for topic, (name, email, hint) in CONTACTS.items():
                TopicContact.objects.get_or_create(
                    tenant=tenant, topic=topic, defaults={"name": name, "email": email, "hint": hint}
                )
            for name, left, right, days in POLICIES:
                ReconciliationPolicy.objects.get_or_create(
                    tenant=tenant, name=name, defaults={"left": left, "right": right, "first_day": days, "hour": 0}
                )
            _what_bob_did(tenant, {story["title"]: story["mobile"] for story in stories})


def _what_bob_did(tenant: Tenant, by_title: dict[str, str]) -> None:
    """A case with its note, a gesture, and one that is above his limit and waits for Alice."""
    access = gate.of_person(User.objects.get(email="bob@kulfi.example"), wanted_tenant_id=tenant.pk)
    if access is None:
        return
    now = timezone.now()
    if mobile := by_title.get("Shopped, but no points came"):
        customer = Customer.objects.get(tenant=tenant, pk=customers.the_one(tenant, mobile))
        case = cases.open_case(
            customer, title="Points of a purchase are missing", topic="POS", key="demo", access=access,
            text="Has the receipt in hand and wants the points of that day.",
        )  # fmt: skip
        cases.write_note(customer, "Promised to call back by Friday.", access=access, case=case)
    if mobile := by_title.get("Points that came days late"):
        customer = Customer.objects.get(tenant=tenant, pk=customers.the_one(tenant, mobile))
        for points, reason in ((50, "Waited a week for the points"), (1500, "Spoiled wedding order, agreed with the store")):
            approvals.do_or_ask(Wish("issue", customer, {"points": points}, reason, f"demo:{points}", access, now))
