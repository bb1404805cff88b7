"""A bill checked against itself: every named check, with both figures and the path."""

from decimal import Decimal
from typing import Any

import pytest

from integrations.documents import CheckFailed, MalformedJSON, check_sums, read_batch, read_bill, read_json
from tenants.models import RedemptionMode
from tests.builders import bill, discounted, paid_with_points


def read(document: dict[str, Any], **options: Any) -> Any:
    return check_sums(read_bill(document, minor_digits=options.pop("minor_digits", 2), **options), minor_digits=2)


def refusal(document: dict[str, Any], **options: Any) -> CheckFailed:
    with pytest.raises(CheckFailed) as caught:
        read(document, **options)
    return caught.value


@pytest.mark.parametrize("field", ["bill_type", "bill_no", "bill_date", "store_code", "items", "net_amount"])
def test_a_missing_field_is_named(field: str) -> None:
    document = bill()
    del document[field]
    found = refusal(document)
    assert (found.code, found.details["path"]) == ("required_field", field)


@pytest.mark.parametrize("field", ["bill_type", "bill_no", "bill_date", "store_code", "net_amount"])
def test_null_is_as_good_as_missing(field: str) -> None:
    assert refusal(bill() | {field: None}).code == "required_field"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"bill_type": "GIFT"}, "bill_type"),
        ({"bill_date": "yesterday"}, "bill_date"),
        ({"bill_date": "2026-01-01"}, "bill_date"),
        ({"bill_date": "0000-01-01T00:00:00"}, "bill_date"),
        ({"bill_date": 20260101}, "bill_date"),
        ({"net_amount": "1,000.00"}, "net_amount"),
        ({"net_amount": "1e3"}, "net_amount"),
        ({"net_amount": "NaN"}, "net_amount"),
        ({"net_amount": True}, "net_amount"),
        ({"net_amount": "1000.001"}, "net_amount"),
        ({"net_amount": "9" * 40}, "net_amount"),
        ({"bill_no": ""}, "bill_no"),
        ({"bill_no": "a\x00b"}, "bill_no"),
        ({"bill_no": "a\ud800b"}, "bill_no"),
        ({"bill_no": "x" * 121}, "bill_no"),
        ({"items": "none"}, "items"),
        ({"items": [{"amount": "-5.00"}]}, "items.0.amount"),
        ({"items": [{"amount": "5.00", "loyalty_points": 1.5}]}, "items.0.loyalty_points"),
        ({"redemption": {"reference": "has space", "points": 5}}, "redemption.reference"),
        ({"version": 0}, "version"),
        ({"net_amount": "-0.01"}, "net_amount"),
        ({"net_amount": "१०००"}, "net_amount"),
        ({"net_amount": Decimal("1e999999999")}, "net_amount"),
        ({"till_code": "x" * 65}, "till_code"),
        ({"items": [{"line_no": 10**7, "amount": "5.00"}]}, "items.0.line_no"),
        ({"items": [{"line_type": "RETURN", "amount": "1000.00"}]}, "items"),
    ],
)
def test_a_bad_value_is_named_with_its_path(change: dict[str, Any], path: str) -> None:
    found = refusal(bill() | change)
    assert (found.code, found.details["path"]) == ("bad_value", path)
    assert "\x00" not in found.sentence


@pytest.mark.parametrize("written", ["1000.00", "1000", 1000, Decimal("1000.0")])
def test_amounts_may_be_texts_or_numbers(written: Any) -> None:
    assert read(bill(net_amount=written)).net == Decimal(1000)


def test_numbers_are_read_from_their_text_and_not_through_floats() -> None:
    assert read_json(b'{"a": 0.1, "b": 12345678901234.5678}') == {"a": Decimal("0.1"), "b": Decimal("12345678901234.5678")}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"1",
        b"{",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"a":' + b"[" * 20000,
        b'{"a":1e9999999999999999999}',
    ],
)
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedJSON):
        read_json(body)


@pytest.mark.case(43)
@pytest.mark.parametrize(
    ("written", "amount"), [("1,23,456.50", "123456.50"), ("1,000.00", "1000"), ("12,50", "12.50"), (" 7.00 ", "7")]
)
def test_a_lenient_tenant_reads_grouped_numbers_and_keeps_that_it_did(written: str, amount: str) -> None:
    document = bill(net=amount) | {"net_amount": written}
    assert refusal(document).code == "bad_value"
    lenient = read(document, lenient=True)
    assert (lenient.net, lenient.flags) == (Decimal(amount), ("lenient_number",))


@pytest.mark.case(43)
def test_an_empty_amount_is_0_for_a_lenient_tenant_only() -> None:
    assert refusal(bill(tax_amount="")).code == "bad_value"
    assert read(bill(tax_amount=""), lenient=True).tax == 0


def two_lines(**fields: Any) -> dict[str, Any]:
    items = [
        {"line_no": 1, "value": "600.00", "discount": "60.00", "amount": "540.00"},
        {"line_no": 2, "value": "400.00", "amount": "400.00"},
    ]
    return bill(net="940.00", items=items) | fields


@pytest.mark.parametrize(
    ("change", "check", "expected", "found"),
    [
        ({"gross_amount": "1100.00"}, "sum_of_values", "1100.00", "1000.00"),
        ({"net_amount": "950.00"}, "sum_of_amounts", "950.00", "940.00"),
        ({"payable_amount": "1000.00", "tenders": [{"mode": "CASH", "amount": "900.00"}]}, "sum_of_tenders", "1000.00", "940.00"),
        ({"tenders": [{"mode": "CASH", "amount": "900.00"}]}, "sum_of_tenders", "940.00", "900.00"),
    ],
)
def test_sums_that_do_not_add_up_are_named_with_both_figures(
    change: dict[str, Any], check: str, expected: str, found: str
) -> None:
    caught = refusal(two_lines(**change))
    assert (caught.code, caught.details["expected"], caught.details["found"]) == (check, expected, found)


def test_a_line_whose_discount_does_not_fit_is_named() -> None:
    document = bill(items=[{"value": "1000.00", "discount": "100.00", "amount": "950.00"}], net="950.00")
    assert refusal(document).code == "line_amount"


def test_within_one_minor_unit_a_line_the_largest_line_is_adjusted_and_flagged() -> None:
    document = read(two_lines(net_amount="940.02"))
    assert [line.amount for line in document.lines] == [Decimal("540.02"), Decimal("400.00")]
    assert "sum_of_amounts_adjusted" in document.flags


def test_tax_and_round_off_make_the_payable_amount() -> None:
    paid = [{"mode": "UPI", "amount": "987.00"}]
    document = two_lines(tax_amount="47.00", round_off="0.00", payable_amount="987.00", tenders=paid)
    assert read(document).payable == Decimal("987.00")


def test_included_tax_is_not_added_again() -> None:
    paid = [{"mode": "UPI", "amount": "940.00"}]
    assert read(two_lines(tax_amount="47.00", tax_inclusive=True, payable_amount="940.00", tenders=paid)).payable == Decimal(
        "940.00"
    )


def test_payment_mode_is_read_off_the_tender() -> None:
    spend = read(paid_with_points("A1", 100, reference="SB-1")).spend
    assert (spend.mode, spend.reference, spend.amount) == (RedemptionMode.PAYMENT, "SB-1", Decimal("100.00"))


def test_discount_mode_is_read_off_the_items() -> None:
    spend = read(discounted("A1", 60, 40, reference="SB-1")).spend
    assert (spend.mode, spend.reference, spend.points, spend.amount) == (RedemptionMode.DISCOUNT, "SB-1", 100, Decimal("100.00"))


def test_a_bill_in_both_modes_is_refused() -> None:
    document = discounted("A1", 60, 40) | {"tenders": [{"mode": "LOYALTY_POINTS", "amount": "100.00"}]}
    assert refusal(document).code == "both_modes"


@pytest.mark.case(52)
def test_points_without_a_split_are_quarantined_and_never_counted_as_0() -> None:
    found = refusal(bill(redemption={"points": 100, "amount": "100.00"}))
    assert (found.code, found.details["expected"], found.details["found"]) == ("split_missing", "100.00", "0")


@pytest.mark.case(52)
def test_a_split_that_is_off_is_quarantined_with_the_two_sums() -> None:
    document = discounted("A1", 60, 40)
    document["redemption"]["amount"] = "105.00"
    found = refusal(document)
    assert (found.code, found.details["expected"], found.details["found"]) == ("split_sum", "105.00", "100.00")


@pytest.mark.case(51)
def test_a_split_off_by_a_paisa_a_line_is_mended_on_the_largest_line() -> None:
    document = discounted("A1", 60, 40)
    document["items"][0]["loyalty_discount"] = "59.99"
    mended = read(document)
    assert [line.loyalty_discount for line in mended.lines] == [Decimal("60.00"), Decimal("40.00")]
    assert "split_sum_adjusted" in mended.flags


@pytest.mark.parametrize(
    "redemption", [{"points": 90, "amount": "90.00"}, {"points": 100, "amount": "100.00", "reference": "SB-2"}]
)
def test_a_tender_that_disagrees_with_the_redemption_is_refused(redemption: dict[str, Any]) -> None:
    document = paid_with_points("A1", 100, reference="SB-1") | {"redemption": redemption}
    assert refusal(document).code == "redemption_mismatch"


def test_the_fingerprint_sees_amounts_and_not_names() -> None:
    def print_of(document: dict[str, Any]) -> int:
        read_one = read_bill(document, minor_digits=2)
        return int(read_one.content(billed_at=read_one.billed_at, mobile="+919840012345"))

    document = two_lines()
    same = document | {
        "cashier": "E7",
        "bill_uid": "x",
        "unknown": 1,
        "net_amount": "940.0",
        "gross_amount": "1000",
        "version": 2,
    }
    assert print_of(document) == print_of(same)
    assert print_of(document) == print_of(document | {"items": list(reversed(document["items"]))})
    assert print_of(document) != print_of(two_lines(tax_amount="1.00"))


def test_each_bill_of_a_batch_keeps_its_own_bytes() -> None:
    first, second = b'{"bill_no" :  "A1", "n": 1.50}', '{"bill_no":"Ä2"}'.encode()
    envelope, bills = read_batch(b' {"repush": "May", "bills": [' + first + b" , " + second + b'], "x": [1]} ')
    assert (envelope["repush"], [raw for raw, _ in bills]) == ("May", [first, second])
    assert bills[0][1]["n"] == Decimal("1.50")


@pytest.mark.parametrize(
    "body",
    [
        b'{"bills": [',
        b'{"bills": [{}]',
        b"{",
        b"",
        b'{"bills": []} x',
        b'{"bills": [], "bills": []}',
        b"[]",
        b'{[]:1,"bills":[]}',
        b"{{}:1}",
    ],
)
def test_a_broken_batch_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedJSON):
        read_batch(body)


def test_a_line_off_by_one_minor_unit_is_mended_and_flagged() -> None:
    document = read(bill(items=[{"value": "10.00", "discount": "3.33", "amount": "6.66"}], net="6.66"))
    assert (document.lines[0].value, document.flags) == (Decimal("9.99"), ("line_amount_adjusted",))
