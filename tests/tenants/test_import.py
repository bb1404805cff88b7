"""Imports stay behind the walls: another tenant's ids, or a tenant column, are row errors and change nothing."""

import pytest
import tablib
from django_scopes import scope, scopes_disabled

from tenants.access import walls_around
from tenants.actors import SYSTEM
from tenants.admin import StoreResource
from tenants.models import AuditEvent, Store, Tenant
from tenants.spreadsheets import plain, safe


def load(tenant: Tenant, *rows: tuple[str, ...], headers: tuple[str, ...] = ("code", "name")) -> object:
    return StoreResource(tenant=tenant, actor=SYSTEM).import_data(tablib.Dataset(*rows, headers=headers), dry_run=False)


def test_a_store_is_updated_by_its_code_or_added(kulfi: Tenant) -> None:
    result = load(kulfi, ("K1", "Anna Nagar East"), ("K7", "Adyar"))
    assert not result.has_errors()  # type: ignore[attr-defined]
    assert dict(Store.objects.values_list("code", "name")) == {"K1": "Anna Nagar East", "K2": "T. Nagar", "K7": "Adyar"}


@pytest.mark.parametrize("column", ["tenant", "tenant_id", "id", "ID", "pk"])
def test_a_column_that_reaches_over_the_wall_is_a_row_error(kulfi: Tenant, liberty: Tenant, column: str) -> None:
    with scopes_disabled():
        theirs = Store.objects.filter(tenant=liberty, code="K1").get()
    value = str(theirs.pk if column.lower() in ("id", "pk") else liberty.pk)
    result = load(kulfi, ("K1", "Taken over", value), headers=("code", "name", column))
    assert result.has_errors()  # type: ignore[attr-defined]
    with scopes_disabled():
        assert not Store.objects.filter(name="Taken over").exists()


def test_a_code_of_another_tenant_is_only_a_code(kulfi: Tenant, liberty: Tenant) -> None:
    load(kulfi, ("K1", "Ours"))
    with scope(tenant=liberty):
        assert Store.objects.get(code="K1").name == "Anna Nagar"


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "＝1", "＋1", "－1", "＠x"])
@pytest.mark.case(106)
def test_no_formula_leaves_the_house(value: str) -> None:
    assert safe(value) == f"'{value}"


@pytest.mark.case(106)
def test_an_export_holds_only_own_stores_and_no_formula(kulfi: Tenant, liberty: Tenant) -> None:
    Store.objects.filter(code="K1").update(name="=HYPERLINK(1)")
    exported = StoreResource(tenant=kulfi, actor=SYSTEM).export().csv
    assert "'=HYPERLINK(1)" in exported
    assert exported.count("\n") == 3


def test_an_imported_store_has_a_mode_and_leaves_its_trace(kulfi: Tenant) -> None:
    load(kulfi, ("K7", "Adyar"))
    assert Store.objects.get(code="K7").modes.get().mode == "payment"
    assert AuditEvent.objects.filter(action="import_store").count() == 1


def test_an_import_works_as_the_role_web(kulfi: Tenant) -> None:
    with walls_around([kulfi]):
        load(kulfi, ("K7", "Adyar"))
    assert Store.objects.get(code="K7").name == "Adyar"


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        " =1+1",
        "\u200b=1+1",
        "\ufeff@SUM(1)",
        "x;=1+1",
        "a; -2;+3",
        "\tx",
        "＝1",
        "﹦1",
        "⁼1",
        "plain; text",
        "a=1",
    ],
)
def test_what_may_begin_a_formula_is_quoted_and_read_back_as_it_was(text: str) -> None:
    """Also where cells are parted by semicolons, and behind what nobody sees."""
    quoted = safe(text)
    for cell in quoted.split(";"):
        assert not cell.lstrip(" \u200b\ufeff").startswith(("=", "+", "-", "@", "\t", "＝", "﹦", "⁼")), cell
    assert plain(quoted) == text
