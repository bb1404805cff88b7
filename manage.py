#!/usr/bin/env python
"""Django's command line, with the embedded engines started for commands that need them and nothing else configured."""

import os
import sys

from config import stopping
from config.engines import Failure, running

#: These need no engine, or start and supervise the engines themselves.
WITHOUT_ENGINES = {"up", "demo", "help", "--help", "-h", "--version", "version", "check", "collectstatic", "compilemessages"}


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line  # after the engines have set their addresses

    if sys.argv[1:2] in (["up"], ["demo"]):
        stopping.listen()
    try:
        if len(sys.argv) < 2 or sys.argv[1] in WITHOUT_ENGINES or "--help" in sys.argv:
            execute_from_command_line(sys.argv)
            return 0
        with running():
            execute_from_command_line(sys.argv)
    except Failure as failure:
        print(f"pointdesk: {failure}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, stopping.Stopped):
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
