"""Settings of a house in which a real fault was planted, to prove that a bad day finds it. `PLANTED` names it."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS as THEIRS

INSTALLED_APPS = [*THEIRS, "tests.bad_day.planting.Planting"]
