"""What a customer has, and every entry that made it so."""

from typing import Any

import django_filters
from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.api.forms import iso
from integrations.api.holds import shown
from integrations.api.view import View
from integrations.models import Bill
from loyalty import customers, money
from loyalty.models import Balance, Entry, EntryLot, Hold
from loyalty.programmes import RuleBook
from loyalty.state import HoldState, Kind


class CustomerBalance(View):
    scopes = {"GET": ("pos", "read", "support")}

    def get(self, request: Request, mobile: str) -> Response:
        tenant, now = self.access.tenant, timezone.now()
        customer_id = customers.the_one(tenant, mobile)
        balance: Balance = Balance.objects.select_related("customer").get(tenant=tenant, customer_id=customer_id)
        digits = money.minor_digits(tenant.currency)
        rule = RuleBook(tenant).rule(store_id=None, on=now.astimezone(tenant.zone).date())
        active = Hold.objects.filter(tenant=tenant, customer_id=customer_id, state=HoldState.ACTIVE.value).order_by("at")
        return Response(
            {
                "mobile": balance.customer.mobile,
                "customer_id": customer_id,
                "pending": balance.pending,
                "available": balance.available,
                "held": balance.held,
                "owed": balance.owed,
                "closing": balance.closing,
                "redeemable_value": str(money.worth(balance.available, rate=rule.point_value, minor_digits=digits)),
                "as_of": iso(now),
                "holds": [shown(hold, digits=digits) for hold in active],
            }
        )


class EntryFilter(django_filters.FilterSet):
    """`from` and `to` are business dates, both included; `actor` is part of the actor's name."""

    kind = django_filters.MultipleChoiceFilter(choices=[(kind.value, kind.value) for kind in Kind])
    store = django_filters.CharFilter(field_name="store__code")
    actor = django_filters.CharFilter(field_name="actor_name", lookup_expr="icontains")

    class Meta:
        model = Entry
        fields: tuple[str, ...] = ()


EntryFilter.base_filters["from"] = django_filters.DateFilter(field_name="business_date", lookup_expr="gte")
EntryFilter.base_filters["to"] = django_filters.DateFilter(field_name="business_date", lookup_expr="lte")


class NewestFirst(CursorPagination):
    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, OverflowError) as problem:  # a cursor somebody made up
            raise NotFound from problem


class CustomerEntries(View):
    scopes = {"GET": ("read", "support")}

    def get(self, request: Request, mobile: str) -> Response:
        tenant = self.access.tenant
        customer_id = customers.the_one(tenant, mobile)
        filters = EntryFilter(request.query_params, queryset=entries_of(tenant.pk, customer_id))
        if not filters.is_valid():
            raise ValidationError(filters.errors)
        pages = NewestFirst()
        page: list[Entry] = pages.paginate_queryset(filters.qs, request, view=self) or []
        numbers = dict(
            Bill.objects.filter(tenant=tenant, pk__in=[entry.bill_id for entry in page if entry.bill_id]).values_list(
                "pk", "bill_no"
            )
        )
        results = [shown_entry(entry, numbers) for entry in page]
        return Response({"results": results, "next": pages.get_next_link(), "previous": pages.get_previous_link()})


def entries_of(tenant_id: int, customer_id: int) -> QuerySet[Entry]:
    return _with_lots(tenant_id, Entry.objects.filter(tenant_id=tenant_id, customer_id=customer_id))


def entries_of_bill(tenant_id: int, bill_id: int) -> QuerySet[Entry]:
    return _with_lots(tenant_id, Entry.objects.filter(tenant_id=tenant_id, bill_id=bill_id).order_by("id"))


def _with_lots(tenant_id: int, entries: QuerySet[Entry]) -> QuerySet[Entry]:
    movements = EntryLot.objects.filter(tenant_id=tenant_id).select_related("lot").order_by("id")
    return entries.select_related("store", "hold").prefetch_related(Prefetch("movements", movements))


def shown_entry(entry: Entry, numbers: dict[int, str]) -> dict[str, Any]:
    return {
        "id": entry.pk,
        "operation": entry.operation,
        "kind": entry.kind,
        "of_kind": entry.of_kind,
        "pending": entry.pending,
        "available": entry.available,
        "held": entry.held,
        "owed": entry.owed,
        "reason": entry.reason,
        "actor": entry.actor_name,
        "occurred_at": iso(entry.occurred_at),
        "business_date": entry.business_date.isoformat(),
        "posted_at": iso(entry.posted_at),
        "store_code": entry.store.code if entry.store else None,
        "bill_no": numbers.get(entry.bill_id) if entry.bill_id else None,
        "hold": entry.hold.reference if entry.hold else None,
        "lots": [
            {
                "lot": move.lot_id,
                "points": move.delta,
                "bucket": move.bucket,
                "expires_on": move.lot.expires_on.isoformat() if move.lot.expires_on else None,
            }
            for move in entry.movements.all()
            if move.lot
        ],
    }
