from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class LoyaltyConfig(AppConfig):
    name = "loyalty"
    verbose_name = gettext_lazy("Loyalty")
