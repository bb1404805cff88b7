from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands import migrate

from config import schema

#: Whoever asks for one of these wants the migrations themselves.
BY_NAME = ("one_by_one", "app_label", "plan", "check_unapplied", "fake", "fake_initial", "prune")


class Command(migrate.Command):
    help = (
        "Updates the database schema. An empty database begins with config/schema.sql, which says what the migrations in it make."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--one-by-one", action="store_true", help="Run every migration, also on an empty database.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not any(options[name] for name in BY_NAME):
            begun = schema.begin(options["database"])
            if begun and options["verbosity"]:
                self.stdout.write(f"The database was empty and has the schema of {schema.FILE.name} now.")
        super().handle(*args, **options)
