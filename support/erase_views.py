"""The dialog in which a customer is forgotten."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from loyalty.models import Balance, Customer
from support import erasure
from support.forms import EraseForm, ReasonForm
from support.views import dialog
from tenants import access as gate
from tenants.access import Act
from tenants.admin_base import access_of
from tenants.errors import DomainError


def erase(request: HttpRequest, pk: int) -> HttpResponse:
    """Typed out, with a reason; nothing brings it back."""
    access = access_of(request)
    access.require(Act.ERASE_CUSTOMERS)
    customer = gate.get(Customer, pk, access=access)
    form = EraseForm(request.POST or None, initial={"token": ReasonForm.new_token()})
    if request.method == "POST" and form.is_valid():
        try:
            made = erasure.erase(customer, access=access, reason=form.cleaned_data["reason"], now=timezone.now())
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
        else:
            told = _("The person is forgotten here; what else named them follows within minutes.")
            messages.success(request, told if made else _("This customer was erased already."))
            return redirect("admin:customer360", customer.pk)
    balance = Balance.objects.get(tenant=access.tenant, customer=customer)
    return dialog(request, "support/erase.html", title=_("Erase a customer"), form=form, customer=customer, before=balance)
