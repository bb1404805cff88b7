import os
import sys
from typing import Any

from django.core.management.base import BaseCommand

from config.processes import Processes


class Command(BaseCommand):
    help = "Start the engines, web, worker and beat, and stay until Ctrl-C. Without demo data."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            processes = Processes(port=int(os.environ.get("PORT", "8000")), say=self._say)
            sys.exit(processes.run(when_up=lambda: None))
        except RuntimeError as failure:
            self.stderr.write(f"pointdesk: {failure}")
            sys.exit(2)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
