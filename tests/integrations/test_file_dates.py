"""Dates in files, as spreadsheets and people write them: on the import page as in the worker."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from integrations.models import DayEnd, ErpOrder
from tenants.models import Tenant
from tests.tenants.test_uploads import xlsx

AT = datetime(2026, 11, 20, 4, 30, tzinfo=UTC)
DAYS = ("store", "business_date", "bills", "returns", "net_amount")
ORDERS = ("order_no", "store", "amount", "state", "at")


def imported(client: Client, model: str, body: bytes) -> Any:
    """Previewed, and confirmed."""
    page = reverse(f"admin:integrations_{model}_import")
    file = SimpleUploadedFile("list.csv", body)
    answer: Any = client.post(page, {"import_file": file, "format": "0"})
    confirm = answer.context["confirm_form"]
    return client.post(reverse(f"admin:integrations_{model}_process_import"), confirm.initial)


@pytest.mark.parametrize("day", [date(2026, 11, 20), datetime(2026, 11, 20), "2026-11-20"])
def test_a_day_of_a_workbook(as_alice: Client, kulfi: Tenant, day: Any) -> None:
    assert imported(as_alice, "dayend", xlsx(DAYS, ("K1", day, 10, 0, 1000.5))).status_code == 302
    assert DayEnd.objects.get().business_date == date(2026, 11, 20)


@pytest.mark.parametrize(
    "at", [datetime(2026, 11, 20, 10, 0), "2026-11-20T10:00:00+05:30", "2026-11-20T04:30:00Z", "2026-11-20 10:00:00"]
)
@pytest.mark.parametrize("kind", ["xlsx", "csv"])
def test_an_instant_of_a_file(as_alice: Client, kulfi: Tenant, at: Any, kind: str) -> None:
    row = ("SO1", "K1", 100.5, "confirmed", at)
    text = f"{','.join(ORDERS)}\n{','.join(str(cell) for cell in row)}\n".encode()
    assert imported(as_alice, "erporder", xlsx(ORDERS, row) if kind == "xlsx" else text).status_code == 302
    assert ErpOrder.objects.get().at == AT
