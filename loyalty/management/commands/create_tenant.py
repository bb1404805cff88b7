import argparse
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction
from django.utils import timezone
from django_scopes import scope

from loyalty.programmes import create_programme
from tenants import signing, staff
from tenants.actors import SYSTEM
from tenants.commands import JsonCommand
from tenants.errors import DomainError
from tenants.models import BillScope, RedemptionMode
from tenants.saying import said


class Command(JsonCommand):
    help = "Set up a tenant with its default programme."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("slug")
        parser.add_argument("--name", default="")
        parser.add_argument("--timezone", default="Asia/Kolkata")
        parser.add_argument("--currency", default="INR")
        parser.add_argument("--region", default="IN")
        parser.add_argument("--business-id", default="")
        parser.add_argument("--earn-per", default="100", help="spend for one point")
        parser.add_argument("--point-value", default="1.00", help="worth of one point")
        parser.add_argument("--hold-days", type=int, default=100)
        parser.add_argument("--negative", action=argparse.BooleanOptionalAction, default=False)
        parser.add_argument("--mode", choices=RedemptionMode.values, default=RedemptionMode.PAYMENT.value)
        parser.add_argument("--programme", choices=["purchase_amount", "visit_count"], default="purchase_amount")
        parser.add_argument("--validity-days", type=int, default=365, help="0: never expire")
        parser.add_argument("--pending-days", type=int, default=0)
        parser.add_argument("--date-window-days", type=int, default=400, help="0: any age")
        parser.add_argument("--bill-scope", choices=BillScope.values, default=BillScope.STORE.value)
        parser.add_argument("--require-hold", action="store_true")
        parser.add_argument("--auto-stores", action="store_true")
        parser.add_argument("--signatures", action="store_true")

    def work(self, **options: Any) -> dict[str, Any]:
        slug = options["slug"]
        with transaction.atomic():
            tenant = staff.create_tenant(
                actor=SYSTEM,
                slug=slug,
                name=options["name"] or slug.replace("-", " ").title(),
                business_id=options["business_id"] or slug,
                timezone=options["timezone"],
                currency=options["currency"].upper(),
                region=options["region"].upper(),
                negative_allowed=options["negative"],
                default_mode=options["mode"],
                date_window_days=options["date_window_days"],
                bill_scope=options["bill_scope"],
                require_hold=options["require_hold"],
                auto_stores=options["auto_stores"],
                signatures_required=options["signatures"],
            )
            signed = (
                {"signing_secret": signing.rotate(tenant, actor=SYSTEM, now=timezone.now()).secret}
                if options["signatures"]
                else {}
            )
            with scope(tenant=tenant):
                create_programme(
                    tenant,
                    name=f"{tenant.name} points",
                    earn_per=_amount(options["earn_per"], "--earn-per"),
                    point_value=_amount(options["point_value"], "--point-value"),
                    hold_days=options["hold_days"],
                    validity_days=options["validity_days"],
                    pending_days=options["pending_days"],
                    kind=options["programme"],
                )
        return {"slug": tenant.slug, "name": tenant.name, "business_id": tenant.business_id, **signed}


def _amount(text: str, option: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation as problem:
        raise DomainError("bad_value", said("{option}: {text!r} is no amount.", option=option, text=text)) from problem
    if not (amount.is_finite() and amount > 0):
        raise DomainError("bad_value", said("{option} must be greater than 0.", option=option))
    return amount
