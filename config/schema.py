"""A new database begins with one file, which holds what the migrations make. One by one they take half a minute, because after each step
Django draws every model anew; the file takes less than a second. A database that has tables goes by the migrations alone."""

import re
from pathlib import Path

from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

from config import databases
from tenants.errors import DomainError
from tenants.saying import said
from tenants.walls import MAKE_WEB_ROLE

FILE = Path(__file__).with_name("schema.sql")
#: Whose words the file is in. An older PostgreSQL may not read them, and goes by the migrations.
WRITTEN_BY = 18
#: Nothing is there, and what is made will be in `public`, as the file says; so will be what pg_trgm brings.
EMPTY = """
    SELECT current_schema() = 'public' AND to_regclass('django_migrations') IS NULL
        AND NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('public'))
        AND NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm' AND extnamespace <> to_regnamespace('public'))
"""
#: Any number: two that begin the same database wait for one another.
BEGINNING = 7_400_301
#: For this transaction: every name in the file has its schema, and functions come before the tables that they read.
SETTINGS = "SET LOCAL search_path = ''; SET LOCAL check_function_bodies = false;"
#: A function's body is the function's.
BODY = r"(?P<body>\$(?P<tag>\w*)\$[\s\S]*?\$(?P=tag)\$)"
#: What pg_dump says around the schema, and what web may do with tables, which every `migrate` grants at its end.
AROUND = (
    r"^--\n-- .*\n--\n|^COMMENT ON EXTENSION .*;\n|^-- .*\n|^--\n|^SET .*;\n|^SELECT pg_catalog\.set_config.*;\n|^\\\w+ .*\n"
    r"|^(?:GRANT|REVOKE) .* ON (?:TABLE|SEQUENCE|SCHEMA) .*;\n"
)


def begin(using: str = DEFAULT_DB_ALIAS, *, text: str = "") -> bool:
    """Make an empty database what all migrations of the file (or of `text`) would have made of it; leave another one as it is.

    -> whether it was empty, and PostgreSQL reads the file.
    """
    if _version(using) < WRITTEN_BY:
        return False
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [BEGINNING])
        cursor.execute(EMPTY)
        (empty,) = cursor.fetchone()
        if empty:
            cursor.execute(MAKE_WEB_ROLE)
            cursor.execute(SETTINGS)
            cursor.execute(text or FILE.read_text())
        return bool(empty)


def of_migrations() -> str:
    """What the file has to say: run every migration in a database beside, and write down what came of it. Written down twice: PostgreSQL
    reads `IN ('a', 'b')` of its own writing in other words, of which it then makes no others.

    Raises: DomainError `wrong_version`, `tool_failed`.
    """
    if _version(DEFAULT_DB_ALIAS) != WRITTEN_BY:
        raise DomainError(
            "wrong_version", said("The file is written by PostgreSQL {version}. Run this there.", version=WRITTEN_BY)
        )
    with databases.beside("schema_") as name, databases.connected_to(name):
        call_command("migrate", one_by_one=True, verbosity=0)
        text = of_database()
    with databases.beside("schema_") as name, databases.connected_to(name):
        begin(text=text)
        return of_database()


def of_database() -> str:
    """The schema of the database that Django is connected to, in the words of the file, and the migrations that it has.

    Raises: DomainError `tool_failed`.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT format('    (%L, %L, now())', app, name) FROM django_migrations ORDER BY app, name")
        applied = ",\n".join(row[0] for row in cursor.fetchall())
    schema = databases.run("pg_dump", "--schema-only", "--no-owner", databases.named(str(connection.settings_dict["NAME"])))
    schema = _outside_bodies(r"\n{2,}", "\n\n", _outside_bodies(AROUND, "", schema)).strip()
    return f"{schema}\n\nINSERT INTO public.django_migrations (app, name, applied) VALUES\n{applied};\n"


def _outside_bodies(pattern: str, new: str, text: str) -> str:
    return re.sub(f"{BODY}|{pattern}", lambda found: found["body"] or new, text, flags=re.MULTILINE)


def _version(using: str) -> int:
    version: int = connections[using].pg_version  # type: ignore[attr-defined]
    return version // 10_000
