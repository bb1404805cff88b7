from importlib import import_module

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class DeskAdminConfig(AdminConfig):
    """The admin with our site: Customer 360 and its pages live in the same frame."""

    default_site = "support.site.DeskSite"


class ConfigConfig(AppConfig):
    """An app only for its commands (`up`, `demo`, `bench`): they set the whole house in motion."""

    name = "config"
    label = "pointdesk_config"

    def ready(self) -> None:
        import_module("config.celery")  # so that every process rings the bell at our broker
