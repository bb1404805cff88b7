"""The simulator's page: a bill, booked or typed in, against any rule version. Nothing is written."""

import json
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations import posting, wondersoft
from integrations.documents import Document, check_sums, read_json
from integrations.models import Bill
from loyalty import customers
from loyalty.earning import Purchase, PurchaseLine
from loyalty.models import ProgrammeVersion
from loyalty.money import minor_digits
from loyalty.programmes import rule_of
from loyalty.simulator import Simulated, simulate
from tenants import stores
from tenants.errors import DomainError
from tenants.models import RedemptionMode, Store, Tenant

EXAMPLE = {
    "bill_type": "SALE",
    "bill_no": "TRY-1",
    "bill_date": "",
    "store_code": "",
    "net_amount": "900.00",
    "items": [
        {"line_no": 1, "item_code": "A1", "department": "ICE CREAM", "qty": "1", "amount": "540.00"},
        {"line_no": 2, "item_code": "B7", "department": "CAKES", "qty": "2", "amount": "360.00"},
    ],
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is simulated: a purchase of perhaps a known customer, and the booked bill it came from, if one."""

    purchase: Purchase
    store: Store
    customer_id: int | None
    bill: Bill | None = None


class SimulatorForm(forms.Form):
    """Either a booked bill's number or a document. `version`: a rule version instead of the one in force."""

    bill_no = forms.CharField(required=False, max_length=120, label=gettext_lazy("Number of a booked bill"))
    document = forms.CharField(
        required=False,
        label=gettext_lazy("Or a bill typed in"),
        widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false", "class": "pd-mono"}),
    )
    mobile = forms.CharField(required=False, max_length=60, label=gettext_lazy("Customer's mobile"))

    def __init__(self, *args: Any, tenant: Tenant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tenant = tenant
        versions = ProgrammeVersion.objects.filter(tenant=tenant).select_related("programme").order_by("programme", "-version")
        self.fields["version"] = forms.ModelChoiceField(
            queryset=versions,
            required=False,
            label=gettext_lazy("Rule"),
            empty_label=gettext_lazy("the one in force on the bill's day"),
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if bool(cleaned.get("bill_no", "").strip()) is bool(cleaned.get("document", "").strip()):
            raise forms.ValidationError(_("Give either the number of a booked bill or a document, one of the two."))
        return cleaned


def example(tenant: Tenant) -> str:
    """A document to begin with, of today and the tenant's first store."""
    store = Store.objects.filter(tenant=tenant).order_by("code").first()
    now = timezone.now().astimezone(tenant.zone).replace(microsecond=0)
    return json.dumps(EXAMPLE | {"bill_date": now.isoformat(), "store_code": store.code if store else ""}, indent=1)


def run(tenant: Tenant, cleaned: dict[str, Any]) -> tuple[Asked, Simulated]:
    """Raises: DomainError, when the bill cannot be read or found, or no rule is in force."""
    asked = (
        _numbered(tenant, cleaned["bill_no"].strip()) if cleaned["bill_no"].strip() else _of_document(tenant, cleaned["document"])
    )
    customer_id = customers.the_one(tenant, cleaned["mobile"]) if cleaned["mobile"].strip() else asked.customer_id
    version: ProgrammeVersion | None = cleaned["version"]
    simulated = simulate(
        tenant, asked.purchase, store_id=asked.store.pk, customer_id=customer_id, rule=rule_of(version) if version else None,
        without_bills=[asked.bill.pk] if asked.bill else [],
    )  # fmt: skip
    return asked, simulated


def _numbered(tenant: Tenant, bill_no: str) -> Asked:
    bill: Bill | None = (
        Bill.objects.filter(tenant=tenant, bill_no=bill_no, bill_class="sale")
        .select_related("store", "tenant")
        .order_by("-billed_at")
        .first()
    )
    if bill is None:
        raise DomainError(
            "bill_unknown",
            _("No booked bill has the number {bill_no}. Check it, or paste its document below.").format(bill_no=bill_no),
        )
    return of_bill(bill)


def of_bill(bill: Bill) -> Asked:
    """A booked sale as a purchase."""
    tenant = bill.tenant
    paid = bill.redeemed_amount if bill.mode == RedemptionMode.PAYMENT else bill.redeemed_amount * 0
    lines = tuple(
        PurchaseLine(line.item_code, line.department, line.qty, line.amount)
        for line in bill.lines.all()
        if line.line_type == "SALE"
    )
    purchase = Purchase(bill.billed_at.astimezone(bill.store.timezone_or(tenant)), bill.store.code, bill.net_amount, paid, lines)
    return Asked(purchase, bill.store, bill.customer_id, bill)


def _of_document(tenant: Tenant, text: str) -> Asked:
    digits = minor_digits(tenant.currency)
    document: Document = wondersoft.document(read_json(text.encode()), minor_digits=digits, lenient=tenant.lenient_numbers)
    if document.bill_type != "SALE":
        raise DomainError("bad_value", _("The simulator takes sales. Change bill_type to SALE."), path="bill_type")
    document = check_sums(document, minor_digits=digits)
    store = stores.find(tenant, document.store_code)
    if store is None:
        told = _("No store has the code {code!r}. Use one of yours.").format(code=document.store_code)
        raise DomainError("store_unknown", told, path="store_code")
    at = document.billed_at
    at = at if at.tzinfo else at.replace(tzinfo=store.timezone_or(tenant))
    mobile = customers.normalised_mobile(document.mobile, region=tenant.region) if document.mobile.strip() else ""
    customer_id = customers.find(tenant, [mobile]).get(mobile) if mobile else None
    return Asked(posting.purchase_of(document, store=store, at=at, tenant=tenant), store, customer_id)
