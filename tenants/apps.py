from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.db.models.signals import post_migrate
from django.utils.translation import gettext, gettext_lazy, ngettext

from tenants import saying


def _after_migrate(sender: AppConfig, using: str, **kwargs: Any) -> None:
    from tenants import trail, walls  # after the apps are loaded

    walls.grant_to_web(using)
    trail.watch(using)


def _web_has_its_login(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    if settings.WEB_HAS_ITS_LOGIN:
        return []
    told = "Web processes log in as the owner of the database: who runs SQL of their own in one can take the walls down."
    hint = "Make a login for them and set WEB_DATABASE_URL (docs/runbook.md, roles)."
    return [checks.Warning(told, hint=hint, id="pointdesk.W001")]


class TenantsConfig(AppConfig):
    name = "tenants"
    verbose_name = gettext_lazy("Staff and keys")

    def ready(self) -> None:
        from tenants import second_factor as second_factor  # its receivers

        checks.register(_web_has_its_login, checks.Tags.security, deploy=True)
        post_migrate.connect(_after_migrate, sender=self)
        saying.speak_through(gettext, ngettext)
