from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext, gettext_lazy, ngettext

from tenants import saying


def _after_migrate(sender: AppConfig, using: str, **kwargs: Any) -> None:
    from tenants import trail, walls  # after the apps are loaded

    walls.grant_to_web(using)
    trail.watch(using)


class TenantsConfig(AppConfig):
    name = "tenants"
    verbose_name = gettext_lazy("Staff and keys")

    def ready(self) -> None:
        from tenants import second_factor as second_factor  # its receivers

        post_migrate.connect(_after_migrate, sender=self)
        saying.speak_through(gettext, ngettext)
