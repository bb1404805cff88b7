import json
import sys
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from tenants import staff
from tenants.actors import SYSTEM
from tenants.commands import tenant_of
from tenants.models import RedemptionMode, Scope


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
            made = staff.create_api_key(tenant, scopes=[Scope.POS.value, Scope.READ.value], name="Demo tills", actor=SYSTEM)
            keys[tenant.slug] = made.key
        self.stdout.write(json.dumps(keys))
