from django.urls import path, re_path

from integrations.api.balances import CustomerBalance, CustomerEntries
from integrations.api.bills import Bills, BillsBatch, OneBill, OneDelivery
from integrations.api.calls import DocsPage, OpenSchema
from integrations.api.holds import Holds, OneHold, ReleaseHold
from integrations.api.http import nothing_here
from integrations.api.points import Adjustments, Issues
from integrations.api.witnesses import CrmBalances, DayEnds, ErpOrders

app_name = "api"
urlpatterns = [
    path("bills", Bills.as_view(), name="bills"),
    path("bills/batch", BillsBatch.as_view(), name="bills-batch"),
    path("bills/<path:bill_no>", OneBill.as_view(), name="bill"),
    path("day-ends", DayEnds.as_view(), name="day-ends"),
    path("erp/orders", ErpOrders.as_view(), name="erp-orders"),
    path("crm/balances", CrmBalances.as_view(), name="crm-balances"),
    path("deliveries/<str:receipt>", OneDelivery.as_view(), name="delivery"),
    path("holds", Holds.as_view(), name="holds"),
    path("holds/<str:reference>", OneHold.as_view(), name="hold"),
    path("holds/<str:reference>/release", ReleaseHold.as_view(), name="hold-release"),
    path("adjustments", Adjustments.as_view(), name="adjustments"),
    path("issues", Issues.as_view(), name="issues"),
    path("customers/<str:mobile>/balance", CustomerBalance.as_view(), name="balance"),
    path("customers/<str:mobile>/entries", CustomerEntries.as_view(), name="entries"),
    path("schema", OpenSchema.as_view(), name="schema"),
    path("docs", DocsPage.as_view(), name="docs"),
    re_path(r"", nothing_here, name="nothing"),
]
