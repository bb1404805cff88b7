import os
import sys
from typing import Any

from django.core.management.base import BaseCommand

from config.demo.load import load_demo
from config.processes import Processes


class Command(BaseCommand):
    help = "Start everything with two demo tenants, print the logins, stay until Ctrl-C."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        size = os.environ.get("DEMO", "")
        if size not in ("", "small", "full"):
            self.stderr.write(f"pointdesk: DEMO={size} is not known. Leave DEMO unset for the shipped data, or say DEMO=full.")
            sys.exit(2)
        os.environ.setdefault("SECOND_FACTOR", "0")  # whoever tries it out has no phone of Alice's
        try:
            processes = Processes(port=int(os.environ.get("PORT", "8000")), say=self._say)
            sys.exit(processes.run(when_up=lambda: load_demo(processes.address, say=self._say, full=size == "full")))
        except RuntimeError as failure:
            self.stderr.write(f"pointdesk: {failure}")
            sys.exit(2)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
