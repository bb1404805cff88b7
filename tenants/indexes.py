"""Indexes of tables that shops write meanwhile, also of tables that are partitioned by tenant (docs/scale.md)."""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Index, Model

PARTITIONS = """
    SELECT n.nspname, c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE i.inhparent = %s::regclass AND i.inhparent IN (SELECT oid FROM pg_class WHERE relkind = 'p') ORDER BY c.relname
"""


class AddIndexOnline(AddIndexConcurrently):
    """Nobody waits: PostgreSQL builds no index of a partitioned table that way, so each partition gets its own and the table takes them over.

    Run again after it broke off, it goes on: what is whole stays, what is half done is built anew.
    """

    def database_forwards(self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        parts = [] if schema_editor.collect_sql else _partitions(schema_editor, model)
        for schema, part in parts:
            name = _name(self.index, part)
            if not _is_there(schema_editor, f'"{schema}"."{name}"'):
                built = self.index.create_sql(model, schema_editor, concurrently=True)
                parts_of_statement: dict[str, Any] = built.parts
                parts_of_statement |= {"table": f'"{schema}"."{part}"', "name": f'"{name}"'}
                schema_editor.execute(built)
        if not schema_editor.collect_sql and _is_there(schema_editor, f'"{self.index.name}"'):
            return
        if parts:
            schema_editor.execute(self.index.create_sql(model, schema_editor))
        else:
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if not schema_editor.collect_sql and _partitions(schema_editor, model):
            schema_editor.remove_index(model, self.index)
        else:
            super().database_backwards(app_label, schema_editor, from_state, to_state)


def _partitions(schema_editor: BaseDatabaseSchemaEditor, model: type[Model]) -> list[tuple[str, str]]:
    """-> schema and name of each; none where the table is whole."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(PARTITIONS, [model._meta.db_table])
        return list(cursor.fetchall())


def _is_there(schema_editor: BaseDatabaseSchemaEditor, name: str) -> bool:
    """Whether the index is whole; the remains of one that broke off are taken away."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [name])
        row = cursor.fetchone()
        if row and not row[0]:
            cursor.execute(f"DROP INDEX CONCURRENTLY {name}")
        return bool(row and row[0])


def _name(index: Index, part: str) -> str:
    """As `partition_by_tenant` names them: with the number of the partition."""
    return f"{index.name}_{part.rpartition('_')[2]}"
