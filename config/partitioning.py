"""The hot tables as partitions by tenant, made of a loaded database in one transaction. Nothing in the application changes.

What a partitioned table asks for is there already: unique constraints and foreign keys that begin with the tenant. Primary keys get the
tenant in front, and so do the few foreign keys and unique constraints that name an id alone.
"""

from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

#: The tables that grow with every bill; the others stay small, or are of the installation.
HOT = (
    "loyalty_customer", "loyalty_balance", "loyalty_hold", "loyalty_entry", "loyalty_entrylot", "loyalty_lot",
    "integrations_bill", "integrations_billline", "integrations_delivery",
)  # fmt: skip
#: After a restore the feed reads these by id alone, over all tenants.
FED = ("loyalty_entry", "loyalty_customer", "loyalty_hold", "integrations_bill", "integrations_delivery")
SCHEMA = "partitions"
KEYS = """
    SELECT conname, conrelid::regclass::text, confrelid::regclass::text,
           (SELECT array_agg(attname::text ORDER BY place) FROM unnest(conkey) WITH ORDINALITY k (number, place)
            JOIN pg_attribute ON attrelid = conrelid AND attnum = number),
           (SELECT array_agg(attname::text ORDER BY place) FROM unnest(confkey) WITH ORDINALITY k (number, place)
            JOIN pg_attribute ON attrelid = confrelid AND attnum = number),
           condeferrable, condeferred
    FROM pg_constraint WHERE contype = 'f' AND (conrelid = ANY(%(hot)s::regclass[]) OR confrelid = ANY(%(hot)s::regclass[])) ORDER BY conname
"""
CONSTRAINTS = """
    SELECT conname, contype, pg_get_constraintdef(oid),
           (SELECT array_agg(attname::text ORDER BY place) FROM unnest(conkey) WITH ORDINALITY k (number, place)
            JOIN pg_attribute ON attrelid = conrelid AND attnum = number)
    FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN ('p', 'u', 'c') ORDER BY conname
"""
INDEXES = """
    SELECT pg_get_indexdef(indexrelid) FROM pg_index i WHERE indrelid = %s::regclass
    AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u')) ORDER BY indexrelid
"""
TRIGGERS = "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal ORDER BY tgname"
POLICIES = (
    "SELECT policyname, cmd, roles::text[], qual, with_check FROM pg_policies WHERE schemaname = 'public' AND tablename = %s"
)
ARRAYS = """
    SELECT quote_ident(attname), format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND format_type(atttypid, atttypmod) LIKE '%%[]'
"""
COLUMNS = """
    SELECT quote_ident(attname) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""
#: So that a plan names the index that people know, with the number of its partition.
PARTS_OF_INDEXES = f"""
    SELECT i.inhrelid::regclass::text, p.relname || substring(t.relname FROM '_[0-9]+$') FROM pg_index o
    JOIN pg_class p ON p.oid = o.indexrelid JOIN pg_inherits i ON i.inhparent = o.indexrelid JOIN pg_index c ON c.indexrelid = i.inhrelid
    JOIN pg_class t ON t.oid = c.indrelid WHERE o.indrelid = %s::regclass AND t.relnamespace = '{SCHEMA}'::regnamespace
"""
GRANTS = """
    SELECT grantee::regrole::text, string_agg(privilege_type, ', ' ORDER BY privilege_type) FROM pg_class, aclexplode(relacl)
    WHERE oid = %s::regclass AND grantee <> relowner AND grantee <> 0 GROUP BY 1
"""
IDENTITY = """
    SELECT attname, pg_get_serial_sequence(%s, attname) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attidentity <> '' AND NOT attisdropped
"""


@dataclass(slots=True)
class _Table:
    """What stands around a table's rows, as statements that build it again."""

    name: str
    constraints: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    triggers: list[str] = field(default_factory=list)
    policies: list[str] = field(default_factory=list)
    grants: list[str] = field(default_factory=list)
    identity: list[str] = field(default_factory=list)


def is_partitioned() -> bool:
    return bool(_rows("SELECT FROM pg_class WHERE oid = %s::regclass AND relkind = 'p'", [HOT[0]]))


def partition(*, parts: int) -> dict[str, int]:
    """Every hot table by a hash of its tenant, in so many partitions; -> rows by table. All or nothing.

    Raises: ValueError where it has been done.
    """
    if is_partitioned():
        raise ValueError("The tables are partitioned already.")
    moved = {}
    with transaction.atomic():
        _do("SET LOCAL statement_timeout = 0; SET CONSTRAINTS ALL IMMEDIATE")
        _do(f"LOCK TABLE {', '.join(HOT)} IN ACCESS EXCLUSIVE MODE")
        _do(f"CREATE SCHEMA {SCHEMA}")
        keys = _rows(KEYS, {"hot": list(HOT)})
        tables = [_described(name) for name in HOT]
        for name, table, *_ in keys:
            _do(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        for each in tables:
            moved[each.name] = _move(each, parts=parts)
        for key in keys:
            _do(_key(*key))
        for name in FED:
            _do(f"CREATE INDEX {name}_by_id ON {name} (id)")
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(HOT)}")
    return moved


def _described(name: str) -> _Table:
    table = _Table(name)
    for constraint, kind, definition, columns in _rows(CONSTRAINTS, [name]):
        if kind == "c":
            table.constraints.append(f"ALTER TABLE {name} ADD CONSTRAINT {constraint} {definition}")
        elif kind == "p":
            table.constraints.append(f"ALTER TABLE {name} ADD CONSTRAINT {constraint} PRIMARY KEY ({_led(columns)})")
        else:
            deferrable = definition.partition(")")[2]
            table.constraints.append(f"ALTER TABLE {name} ADD CONSTRAINT {constraint} UNIQUE ({_led(columns)}){deferrable}")
    table.indexes = [row[0] for row in _rows(INDEXES, [name])]
    table.triggers = [row[0] for row in _rows(TRIGGERS, [name])]
    for policy, command, roles, using, check in _rows(POLICIES, [name]):
        words = f"CREATE POLICY {policy} ON {name} FOR {command} TO {', '.join(roles)}"
        table.policies.append(words + (f" USING ({using})" if using else "") + (f" WITH CHECK ({check})" if check else ""))
    table.grants = [f"GRANT {acts} ON {name} TO {role}" for role, acts in _rows(GRANTS, [name])]
    for column, sequence in _rows(IDENTITY, [name, name]):
        plain = sequence.removeprefix("public.")
        ((last, called),) = _rows(f"SELECT last_value, is_called FROM {sequence}", [])
        table.identity.append(
            f"ALTER TABLE {name} ALTER {column} ADD GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME {plain} START {last + int(called)})"
        )
        table.grants += [f"GRANT {acts} ON SEQUENCE {plain} TO {role}" for role, acts in _rows(GRANTS, [sequence])]
    return table


def _led(columns: list[str]) -> str:
    """With the tenant in front."""
    return ", ".join(
        columns if columns[0] == "tenant_id" else ["tenant_id", *(column for column in columns if column != "tenant_id")]
    )


def _move(table: _Table, *, parts: int) -> int:
    """Its rows into partitions, and all that stood around it."""
    name = table.name
    _do(f"ALTER TABLE {name} RENAME TO {name}_whole")
    _do(f"CREATE TABLE {name} (LIKE {name}_whole INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMMENTS)"
        " PARTITION BY HASH (tenant_id)")  # fmt: skip
    for column, its_type in _rows(ARRAYS, [name]):  # LIKE forgets how many dimensions they have, and ClickHouse asks for it
        _do(f"ALTER TABLE {name} ALTER COLUMN {column} TYPE {its_type}")
    for place in range(parts):
        _do(f"CREATE TABLE {SCHEMA}.{name}_{place} PARTITION OF {name} FOR VALUES WITH (MODULUS {parts}, REMAINDER {place})")
    with connection.cursor() as cursor:
        columns = ", ".join(row[0] for row in _rows(COLUMNS, [name]))
        cursor.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {name}_whole")
        moved = int(cursor.rowcount)
    _do(f"DROP TABLE {name}_whole")
    for statement in (
        *table.identity,
        *table.constraints,
        *table.indexes,
        *table.triggers,
        *table.grants,
    ):
        _do(statement)
    for part, index in _rows(PARTS_OF_INDEXES, [name]):
        _do(f"ALTER INDEX {part} RENAME TO {index}")
    if table.policies:  # the web role reaches the partitions by their table alone: it may not use their schema
        _do(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
        for statement in table.policies:
            _do(statement)
    return moved


def _key(name: str, table: str, target: str, columns: list[str], targets: list[str], deferrable: bool, deferred: bool) -> str:
    """A foreign key as it was; one to a hot table names the tenant."""
    if target in HOT and "tenant_id" not in columns:
        columns, targets = ["tenant_id", *columns], ["tenant_id", *targets]
    when = "DEFERRABLE INITIALLY DEFERRED" if deferred else "DEFERRABLE" if deferrable else ""
    return f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({', '.join(columns)}) REFERENCES {target} ({', '.join(targets)}) {when}"


def _rows(statement: str, values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _do(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
