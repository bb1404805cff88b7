"""The admin's frame: our start page, search, Customer 360 and its dialogs live at its addresses."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, path
from unfold.sites import UnfoldAdminSite

from support import activity_views, bill_views, incident_views, missing_views, replay_views, views
from tenants.access import Access
from tenants.errors import DomainError

type Page = Callable[..., HttpResponseBase]


class DeskSite(UnfoldAdminSite):
    """Open to people who work for a tenant; everything else asks them to sign in."""

    site_title = "Pointdesk"
    site_header = "Pointdesk"
    index_title = "Start"

    def has_permission(self, request: HttpRequest) -> bool:
        access: Access | None = getattr(request, "access", None)
        return access is not None and bool(super().has_permission(request))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().each_context(request), "access": getattr(request, "access", None)}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return self._page(views.start)(request)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        pages: list[URLPattern | URLResolver] = [
            path("find/", self._page(views.search), name="find"),
            path("find/suggest/", self._page(views.suggest), name="suggest"),
            path("customers/<int:pk>/", self._page(views.customer360), name="customer360"),
            path("customers/<int:pk>/dashboard/", self._page(views.dashboard), name="customer_dashboard"),
            path("customers/<int:pk>/findings/", self._page(views.more_findings), name="customer_findings"),
            path("customers/<int:pk>/mobile/", self._page(views.reveal), name="reveal_mobile"),
            path("customers/<int:pk>/issue/", self._page(views.issue), name="issue_points"),
            path("customers/<int:pk>/adjust/", self._page(views.adjust), name="adjust_points"),
            path("customers/<int:pk>/reset/", self._page(views.reset), name="reset_points"),
            path("entries/<int:pk>/undo/", self._page(views.undo), name="undo"),
            path("holds/<int:pk>/unblock/", self._page(views.unblock), name="unblock"),
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
            path("incidents/<int:pk>/close/", self._page(incident_views.close_incident), name="close_incident"),
            path("missing/", self._page(missing_views.missing_bills), name="missing_bills"),
            path("missing/ask/", self._page(missing_views.ask_missing), name="ask_missing"),
            path("files/<int:pk>/", self._page(missing_views.file_import), name="file_import"),
            path("requests/<int:pk>/", self._page(missing_views.repush_request), name="repush_request"),
            path("requests/<int:pk>/csv/", self._page(missing_views.repush_csv), name="repush_csv"),
            path("activity/", self._page(activity_views.log), name="activity"),
            path("activity.csv", self._page(activity_views.export), {"kind": "csv"}, name="activity_csv"),
            path("activity.xlsx", self._page(activity_views.export), {"kind": "xlsx"}, name="activity_xlsx"),
            path("simulator/", self._page(views.simulator), name="simulator"),
            path("tenant/", self._page(views.switch_tenant), name="switch_tenant"),
        ]
        stock: list[URLPattern | URLResolver] = super().get_urls()
        return pages + stock

    def _page(self, view: Page) -> Page:
        def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            request.desk_site = self  # type: ignore[attr-defined]
            try:
                return view(request, *args, **kwargs)
            except DomainError as refusal:
                if refusal.code == "forbidden":
                    raise PermissionDenied(refusal.sentence) from refusal
                raise

        wrapped: Page = self.admin_view(page)
        return wrapped
