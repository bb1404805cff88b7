"""The look of the desk: its name, its colours, its sidebar in the words of the people who use it."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy


def _when(act: str) -> Any:
    def allowed(request: HttpRequest) -> bool:
        access = getattr(request, "access", None)
        return access is not None and act in access.acts

    return allowed


def _page(title: Any, icon: str, name: str, act: str, *, badge: str = "") -> dict[str, Any]:
    page = {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}"), "permission": _when(act)}
    return {**page, "badge": badge} if badge else page


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Pointdesk",
    "SITE_HEADER": "Pointdesk",
    "SITE_SYMBOL": "loyalty",
    "SITE_URL": "/admin/",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("support/mark.svg")}],
    "STYLES": [lambda request: static("support/desk.css")],
    "SCRIPTS": [lambda request: static("support/desk.js")],
    "COLORS": {
        "primary": {
            "50": "oklch(97.5% .012 195)",
            "100": "oklch(94% .03 195)",
            "200": "oklch(88% .055 196)",
            "300": "oklch(80% .08 197)",
            "400": "oklch(68% .095 199)",
            "500": "oklch(56% .095 201)",
            "600": "oklch(46.5% .085 203)",
            "700": "oklch(39.5% .072 205)",
            "800": "oklch(33.5% .058 207)",
            "900": "oklch(28.5% .045 209)",
            "950": "oklch(21% .035 211)",
        },
    },
    "COMMAND": {"search_models": False, "show_history": False},
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {
                "title": gettext_lazy("Desk"),
                "items": [
                    _page(gettext_lazy("Start"), "home", "index", "view_customers"),
                    _page(gettext_lazy("Customers"), "group", "loyalty_customer_changelist", "view_customers"),
                    _page(gettext_lazy("Approvals"), "approval", "requests", "view_customers", badge="support.badges.approvals"),
                    _page(gettext_lazy("Cases"), "folder_open", "support_case_changelist", "view_customers"),
                    _page(gettext_lazy("Activity log"), "list_alt", "activity", "view_customers"),
                    _page(gettext_lazy("Bulk jobs"), "dynamic_feed", "support_bulkjob_changelist", "view_customers"),
                    _page(gettext_lazy("Blocked points"), "lock_clock", "loyalty_hold_changelist", "view_customers"),
                ],
            },
            {
                "title": gettext_lazy("Bills"),
                "items": [
                    _page(gettext_lazy("Inbox"), "inbox", "integrations_delivery_changelist", "view_inbox"),
                    _page(gettext_lazy("Queue"), "speed", "queue", "view_inbox"),
                    _page(gettext_lazy("Bills"), "receipt_long", "integrations_bill_changelist", "view_inbox"),
                    _page(gettext_lazy("Missing bills"), "troubleshoot", "missing_bills", "view_inbox"),
                    _page(gettext_lazy("Replays"), "replay", "integrations_replay_changelist", "view_inbox"),
                    _page(gettext_lazy("Claims"), "how_to_reg", "integrations_billclaim_changelist", "view_inbox"),
                    _page(gettext_lazy("Incidents"), "crisis_alert", "integrations_incident_changelist", "view_inbox"),
                    _page(gettext_lazy("Discrepancies"), "rule", "integrations_discrepancy_changelist", "view_inbox"),
                    _page(gettext_lazy("Day-ends"), "event_available", "integrations_dayend_changelist", "view_inbox"),
                    _page(gettext_lazy("ERP orders"), "shopping_cart", "integrations_erporder_changelist", "view_inbox"),
                    _page(gettext_lazy("CRM balances"), "contacts", "integrations_crmbalance_changelist", "view_inbox"),
                    _page(gettext_lazy("Long files"), "upload_file", "integrations_fileimport_changelist", "view_inbox"),
                    _page(gettext_lazy("POS changes"), "build", "integrations_poschange_changelist", "view_inbox"),
                ],
            },
            {
                "title": gettext_lazy("Reports"),
                "items": [
                    _page(gettext_lazy("Liability"), "account_balance", "liability", "view_reports"),
                    _page(gettext_lazy("Points"), "swap_vert", "points_report", "view_reports"),
                    _page(
                        gettext_lazy("Reconciliation"),
                        "compare_arrows",
                        "integrations_reconciliationpolicy_changelist",
                        "view_reports",
                    ),
                    _page(gettext_lazy("Parity"), "balance", "integrations_parityrun_changelist", "view_runs"),
                    _page(gettext_lazy("Resyncs"), "sync", "integrations_resync_changelist", "view_runs"),
                ],
            },
            {
                "title": gettext_lazy("Set-up"),
                "items": [
                    _page(gettext_lazy("Programme"), "percent", "loyalty_programme_changelist", "view_rules"),
                    _page(gettext_lazy("Stores' programmes"), "signpost", "loyalty_storeprogramme_changelist", "view_rules"),
                    _page(gettext_lazy("Bonus rules"), "redeem", "loyalty_bonus_changelist", "view_rules"),
                    _page(gettext_lazy("Cohorts"), "groups", "loyalty_cohort_changelist", "view_rules"),
                    _page(gettext_lazy("Simulator"), "science", "simulator", "view_rules"),
                    _page(gettext_lazy("Stores"), "storefront", "tenants_store_changelist", "view_inbox"),
                    _page(gettext_lazy("Contacts"), "contact_phone", "support_topiccontact_changelist", "view_customers"),
                    _page(gettext_lazy("Messages"), "mail", "message_settings", "manage_staff"),
                    _page(gettext_lazy("Staff"), "badge", "staff", "manage_staff"),
                    _page(gettext_lazy("Security"), "shield", "security", "manage_staff"),
                    _page(gettext_lazy("Limits"), "speed", "support_pointslimit_changelist", "manage_staff"),
                    _page(gettext_lazy("Bulk limits"), "speed", "support_bulksettings_changelist", "manage_staff"),
                    _page(gettext_lazy("API keys"), "key", "api_keys", "manage_staff"),
                    _page(gettext_lazy("House"), "monitor_heart", "house", "view_runs"),
                    _page(gettext_lazy("Scheduled runs"), "schedule", "tenants_scheduledrun_changelist", "view_runs"),
                    _page(gettext_lazy("Audit"), "policy", "audit_trail", "view_audit"),
                ],
            },
        ],
    },
}
