"""Settings of a house whose worker's clock can be put wrong (`CLOCK_FILE`), and in which a fault may be planted (`PLANTED` names it), to prove
that a bad day finds it."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS as THEIRS

INSTALLED_APPS = [*THEIRS, "tests.bad_day.planting.Planting"]
