"""The admin's frame: our start page, search, Customer 360 and its dialogs live at its addresses."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.translation import gettext_lazy
from unfold.sites import UnfoldAdminSite

from support import (
    act_views,
    activity_views,
    audit_views,
    bill_views,
    case_views,
    erase_views,
    house_views,
    incident_views,
    missing_views,
    reconcile_views,
    replay_views,
    request_views,
    saved_views,
    settings_views,
    staff_views,
    views,
)
from support.bulk import pages
from support.reports import pages as report_pages
from tenants.access import Access
from tenants.errors import DomainError

type Page = Callable[..., HttpResponseBase]


class DeskSite(UnfoldAdminSite):
    """Open to people who work for a tenant; everything else asks them to sign in."""

    site_title = "Pointdesk"
    site_header = "Pointdesk"
    index_title = gettext_lazy("Start")

    def has_permission(self, request: HttpRequest) -> bool:
        access: Access | None = getattr(request, "access", None)
        return access is not None and bool(super().has_permission(request))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().each_context(request), "access": getattr(request, "access", None)}

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """There is one door, and it asks for the second factor."""
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """There is one page for it, which counts wrong ones."""
        return redirect("account_change_password")

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return self._page(views.start)(request)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        stock: list[URLPattern | URLResolver] = super().get_urls()
        return [*self._customer_urls(), *self._bill_urls(), *self._work_urls(), *self._report_urls(), *stock]

    def _customer_urls(self) -> list[URLPattern]:
        """Looking a customer up, and what is done there."""
        return [
            path("find/", self._page(views.search), name="find"),
            path("find/suggest/", self._page(views.suggest), name="suggest"),
            path("customers/<int:pk>/", self._page(views.customer360), name="customer360"),
            path("customers/<int:pk>/dashboard/", self._page(views.dashboard), name="customer_dashboard"),
            path("customers/<int:pk>/findings/", self._page(views.more_findings), name="customer_findings"),
            path("customers/<int:pk>/chart/", self._page(views.chart), name="balance_chart"),
            path("customers/<int:pk>/mobile/", self._page(views.reveal), name="reveal_mobile"),
            path("customers/<int:pk>/issue/", self._page(act_views.issue), name="issue_points"),
            path("customers/<int:pk>/adjust/", self._page(act_views.adjust), name="adjust_points"),
            path("customers/<int:pk>/reset/", self._page(act_views.reset), name="reset_points"),
            path("customers/<int:pk>/merge/", self._page(act_views.merge), name="merge_customer"),
            path("customers/<int:pk>/number/", self._page(act_views.change_mobile), name="change_mobile"),
            path("customers/<int:pk>/number-moved/", self._page(request_views.ask_number_move), name="ask_number_move"),
            path("customers/<int:pk>/unblock/", self._page(act_views.unblock_all), name="unblock_all"),
            path("customers/<int:pk>/erase/", self._page(erase_views.erase), name="erase_customer"),
            path("customers/<int:pk>/note/", self._page(case_views.write_note), name="write_note"),
            path("customers/<int:pk>/case/", self._page(case_views.open_case), name="open_case"),
            path("customers/<int:pk>/message/", self._page(case_views.write_message), name="write_message"),
            path("customers/<int:pk>/messages/", self._page(case_views.take_messages), name="take_messages"),
            path("messages/<int:pk>/again/", self._page(case_views.send_again), name="send_again"),
            path("cases/<int:pk>/", self._page(case_views.case), name="case"),
            path("cases/<int:pk>/note/", self._page(case_views.note_in_case), name="note_in_case"),
            path("cases/<int:pk>/close/", self._page(case_views.close_case), name="close_case"),
            path("cases/<int:pk>/reopen/", self._page(case_views.reopen_case), name="reopen_case"),
            path("merges/<int:pk>/undo/", self._page(act_views.unmerge), name="unmerge"),
            path("evaluations/<int:pk>/award/", self._page(act_views.award), name="award_bonus"),
            path("approvals/", self._page(request_views.queue), name="requests"),
            path("approvals/<int:pk>/", self._page(request_views.request_page), name="request"),
            path("numbers/<int:pk>/", self._page(request_views.number_move), name="number_move"),
            path("entries/<int:pk>/undo/", self._page(act_views.undo), name="undo"),
            path("holds/<int:pk>/unblock/", self._page(act_views.unblock), name="unblock"),
        ]

    def _bill_urls(self) -> list[URLPattern]:
        """Bills, deliveries, incidents and what is missing."""
        return [
            path("queue/", self._page(bill_views.queue_now), name="queue"),
            path("deliveries/<int:pk>/", self._page(bill_views.delivery), name="delivery"),
            path("deliveries/<int:pk>/ask/", self._page(missing_views.ask_vendor), name="ask_vendor"),
            path("deliveries/<int:pk>/<slug:decision>/", self._page(bill_views.decide_delivery), name="decide_delivery"),
            path("bills/<int:pk>/claim/", self._page(bill_views.claim), name="claim_bill"),
            path("claims/<int:pk>/", self._page(bill_views.settle_claim), name="settle_claim"),
            path("replays/new/", self._page(replay_views.new_replay), name="new_replay"),
            path("replays/<int:pk>/", self._page(replay_views.show_replay), name="replay"),
            path("replays/<int:pk>/<slug:act>/", self._page(replay_views.act_on_replay), name="act_on_replay"),
            path("bills/<int:pk>/reverse/", self._page(bill_views.reverse_bill), name="reverse_bill"),
            path("incidents/<int:pk>/", self._page(incident_views.incident), name="incident"),
            path("incidents/<int:pk>/mode/", self._page(incident_views.set_mode), name="set_mode"),
            path("incidents/<int:pk>/unblock/", self._page(act_views.unblock_incident), name="unblock_incident"),
            path("incidents/<int:pk>/close/", self._page(incident_views.close_incident), name="close_incident"),
            path("missing/", self._page(missing_views.missing_bills), name="missing_bills"),
            path("missing/ask/", self._page(missing_views.ask_missing), name="ask_missing"),
            path("files/<int:pk>/", self._page(missing_views.file_import), name="file_import"),
            path("requests/<int:pk>/", self._page(missing_views.repush_request), name="repush_request"),
            path("requests/<int:pk>/csv/", self._page(missing_views.repush_csv), name="repush_csv"),
        ]

    def _work_urls(self) -> list[URLPattern]:
        """The log and bulk jobs."""
        return [
            path("activity/", self._page(activity_views.log), name="activity"),
            path("activity/views/", self._page(saved_views.save_view), name="save_view"),
            path("activity/views/<int:pk>/forget/", self._page(saved_views.forget_view), name="forget_view"),
            path("activity.csv", self._page(activity_views.export), {"kind": "csv"}, name="activity_csv"),
            path("activity.xlsx", self._page(activity_views.export), {"kind": "xlsx"}, name="activity_xlsx"),
            path("jobs/new/", self._page(pages.new_job), name="new_job"),
            path("jobs/template/<slug:type>.csv", self._page(pages.template), name="job_template"),
            path("jobs/<int:pk>/", self._page(pages.show), name="job"),
            path("jobs/<int:pk>/<slug:kind>.csv", self._page(pages.file), name="job_file"),
            path("jobs/<int:pk>/<slug:act>/", self._page(pages.act_on), name="act_on_job"),
        ]

    def _report_urls(self) -> list[URLPattern]:
        """Reports, comparisons, settings."""
        return [
            path("reconciliation/<int:pk>/", self._page(reconcile_views.reconciliation), name="reconciliation"),
            path("reconciliation/<int:pk>/run/", self._page(reconcile_views.run_now), name="reconcile_now"),
            path("reconciliation/<int:pk>/rows.csv", self._page(reconcile_views.rows_csv), name="reconciliation_csv"),
            path("points/", self._page(report_pages.points), name="points_report"),
            path("liability/", self._page(report_pages.show), name="liability"),
            path("liability/flags/", self._page(report_pages.flags), name="liability_flags"),
            path("liability.csv", self._page(report_pages.export), {"kind": "csv"}, name="liability_csv"),
            path("liability.xlsx", self._page(report_pages.export), {"kind": "xlsx"}, name="liability_xlsx"),
            path("audit/", self._page(audit_views.log), name="audit_trail"),
            path("audit/<int:pk>/", self._page(audit_views.event), name="audit_event"),
            path("audit/file/", self._page(audit_views.file), name="audit_file"),
            path("audit.csv", self._page(audit_views.export), {"kind": "csv"}, name="audit_csv"),
            path("audit.xlsx", self._page(audit_views.export), {"kind": "xlsx"}, name="audit_xlsx"),
            path("staff/", self._page(staff_views.everybody), name="staff"),
            path("staff/<int:pk>/", self._page(staff_views.person), name="staff_person"),
            path("staff/days/<int:pk>/", self._page(audit_views.day), name="staff_day"),
            path("keys/", self._page(staff_views.keys), name="api_keys"),
            path("keys/<int:pk>/revoke/", self._page(staff_views.revoke_key), name="revoke_key"),
            path("security/", self._page(staff_views.security), name="security"),
            path("house/", self._page(house_views.house), name="house"),
            path("parity/now/", self._page(report_pages.compare_now), name="compare_now"),
            path("parity/<int:pk>/", self._page(report_pages.parity_run), name="parity_run"),
            path("parity/<int:pk>/mend/", self._page(report_pages.mend), name="mend_parity"),
            path("messages/", self._page(settings_views.message_settings), name="message_settings"),
            path("simulator/", self._page(views.simulator), name="simulator"),
            path("tenant/", self._page(views.switch_tenant), name="switch_tenant"),
        ]

    def _page(self, view: Page) -> Page:
        def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            request.desk_site = self  # type: ignore[attr-defined]
            try:
                return view(request, *args, **kwargs)
            except DomainError as refusal:
                if refusal.code == "forbidden":
                    raise PermissionDenied(refusal.sentence) from refusal
                return views.refused(request, refusal)

        wrapped: Page = self.admin_view(page)
        return wrapped
