from typing import Any

from django.core.management.base import CommandParser
from django_scopes import scope

from loyalty import customers
from loyalty.models import Customer
from support.api import diagnosed
from support.diagnosis import Reporter
from tenants.commands import JsonCommand, tenant_of


class Command(JsonCommand):
    help = "Why a customer's points are what they are: every finding, as the desk shows it."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("slug", help="the tenant")
        parser.add_argument("mobile", help="in any spelling")
        parser.add_argument("--reported-by", choices=[each.value for each in Reporter], default=Reporter.CUSTOMER.value)
        parser.add_argument("--bill", default="", help="the number of a bill that somebody asks about")

    def work(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_of(options["slug"])
        with scope(tenant=tenant):
            customer = Customer.objects.get(tenant=tenant, pk=customers.the_one(tenant, options["mobile"]))
            return diagnosed(tenant, customer, reported_by=Reporter(options["reported_by"]), bill_no=options["bill"])

    def in_words(self, result: Any) -> str:
        if not result["findings"]:
            return str(result["all_right"]["sentence"])
        return "\n".join(f"{each['code']}: {each['sentence']}" for each in result["findings"])
