import json
import sys
from datetime import date
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django_scopes import scope

from loyalty import campaigns, customers
from loyalty.bonus import Condition, Operator, Subject
from loyalty.customers import Stub
from loyalty.models import Cohort
from loyalty.programmes import create_bonus
from tenants import staff
from tenants.actors import SYSTEM
from tenants.commands import tenant_of
from tenants.models import RedemptionMode, Scope, Tenant

DEMO_SCOPES = (Scope.POS.value, Scope.READ.value, Scope.ERP.value, Scope.CRM.value)


class Command(BaseCommand):
    help = "Make the demo's tenants from a plan on stdin; prints their API keys as JSON. `make demo` calls it."

    def handle(self, *args: Any, **options: Any) -> None:
        keys = {}
        for plan in json.load(sys.stdin):
            call_command("create_tenant", plan["slug"], *plan["options"], stdout=sys.stderr)
            tenant = tenant_of(plan["slug"])
            for code, name, mode in plan["stores"]:
                staff.create_store(tenant, code=code, name=name, mode=RedemptionMode(mode), actor=SYSTEM)
            for email, name, role in plan["staff"]:
                staff.create_staff(tenant, email=email, name=name, role=role, password=plan["password"], actor=SYSTEM)
            with scope(tenant=tenant):
                _make_bonuses(tenant, plan)
            made = staff.create_api_key(tenant, scopes=list(DEMO_SCOPES), name="Demo tills", actor=SYSTEM)
            keys[tenant.slug] = made.key
        self.stdout.write(json.dumps(keys))


def _make_bonuses(tenant: Tenant, plan: dict[str, Any]) -> None:
    """The people whom campaigns target must be there before their first bill; the rules, before the bills they judge."""
    stubs = {
        mobile: Stub(mobile, date.fromisoformat(each["joined_on"]), each.get("name", ""), each.get("email", ""))
        for mobile, each in plan["people"].items()
    }
    customers.find_or_create(tenant, stubs)
    for each in plan["bonuses"]:
        cohort = Cohort.objects.create(tenant=tenant, name=f"List of {each['name']}")
        campaigns.put_on_list(tenant, cohort.pk, each["mobiles"], valid_from=date.fromisoformat(each["starts_on"]))
        condition = Condition(Subject(each["subject"]), Operator.AT_LEAST, each["wanted"], tuple(each["items"]))
        create_bonus(
            tenant, name=each["name"], starts_on=date.fromisoformat(each["starts_on"]), ends_on=date.fromisoformat(each["ends_on"]),
            conditions=[condition] if each["items"] else [], cohort=cohort, points=each["points"],
        )  # fmt: skip
