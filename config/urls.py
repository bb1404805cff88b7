"""Every address of the house."""

from django.contrib import admin
from django.contrib.staticfiles.storage import staticfiles_storage
from django.urls import include, path
from django.views.generic import RedirectView

from integrations import health
from support import house_views
from support.api import Activity, CustomerDiagnosis
from support.bulk.api import BulkJobRows, BulkJobs, BulkJobStep, OneBulkJob
from support.reports.api import Liability

urlpatterns = [
    path("", RedirectView.as_view(url="/admin/"), name="home"),
    path("favicon.ico", RedirectView.as_view(url=staticfiles_storage.url("support/mark.svg")), name="favicon"),
    path("live", health.live, name="live"),
    path("ready", health.ready, name="ready"),
    path("status", health.status, name="status"),
    path("metrics", house_views.metrics, name="metrics"),
    path("api/v1/activity", Activity.as_view(), name="activity"),
    path("api/v1/reports/liability", Liability.as_view(), name="liability"),
    path("api/v1/customers/<str:mobile>/diagnosis", CustomerDiagnosis.as_view(), name="diagnosis"),
    path("api/v1/bulk-jobs", BulkJobs.as_view(), name="bulk-jobs"),
    path("api/v1/bulk-jobs/<int:pk>", OneBulkJob.as_view(), name="bulk-job"),
    path("api/v1/bulk-jobs/<int:pk>/rows", BulkJobRows.as_view(), name="bulk-job-rows"),
    path("api/v1/bulk-jobs/<int:pk>/<slug:step>", BulkJobStep.as_view(), name="bulk-job-step"),
    path("api/v1/", include("integrations.api.urls")),
    path("accounts/", include("tenants.account_urls")),
    path("admin/", admin.site.urls),
]
