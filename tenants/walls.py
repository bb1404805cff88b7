"""The second wall: row-level security for the role `web`, and composite foreign keys, built by migrations.

The first wall (django-scopes) makes a query without a tenant raise. This one holds when the first is missing: a web
process sees only rows whose tenant_id stands in `app.tenants`, which the request's middleware sets for its transaction.
"""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.apps.registry import Apps
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.signals import connection_created
from django.db.migrations.operations.base import Operation

from tenants.fields import TenantForeignKey

WEB_ROLE = "web"

#: Tables that the web role may read whole: they decide whose request it is. It writes rows of its tenants there, as everywhere. A test
#: keeps this list true.
READ_WHOLE = {"tenants_tenant", "tenants_membership", "tenants_apikey"}

#: Written once, never changed: the web role may add rows and read them.
APPEND_ONLY = (
    "loyalty_entry", "loyalty_entrylot", "loyalty_bonusevaluation", "loyalty_seal", "tenants_auditevent", "tenants_auditseal",
    "support_note",
)  # fmt: skip

#: The web role may change rows, but never remove one.
KEPT = (
    "integrations_billissue", "integrations_billclaim", "integrations_replay", "integrations_replayrow", "integrations_dayend",
    "integrations_erporder", "integrations_crmbalance", "integrations_repushrequest", "integrations_repushline", "integrations_poschange",
    "integrations_delivery", "integrations_bill", "integrations_billline", "integrations_discrepancy", "integrations_incident",
    "integrations_returnedpart", "integrations_fileimport", "integrations_message", "integrations_messagesettings",
    "integrations_parityrun", "integrations_parityday", "integrations_closeddays", "integrations_resync",
    "integrations_reconciliationpolicy", "integrations_reconciliationrun",
    "support_erasure", "support_pointslimit", "support_dayofwork", "support_approvalrequest", "support_case",
    "support_bulkjob", "support_jobrow", "support_bulksettings", "support_alarm", "support_measurement",
    "loyalty_customer", "loyalty_balance", "loyalty_lot", "loyalty_hold",
    "loyalty_customermerge", "loyalty_numbermove", "loyalty_bonus", "tenants_tenant", "tenants_store", "tenants_apikey",
)  # fmt: skip

#: The worker's alone: who seals is not who serves requests.
SEALS = ("loyalty_seal", "tenants_auditseal", "loyalty_sealbound", "tenants_auditsealbound")
#: What the web role says of an event; its number and its transaction are the database's to say.
EVENT_COLUMNS = (
    "tenant_id", "at", "actor_kind", "actor_id", "actor_name", "action", "object_type", "object_id", "reason", "before", "after", "address",
    "request_id",
)  # fmt: skip

#: The tenants this transaction may see. A sub-select, so that it is worked out once a query and not once a row.
POLICY = "tenant_id = ANY ((SELECT string_to_array(NULLIF(current_setting('app.tenants', true), ''), ','))::bigint[])"


class BuildWalls(Operation):
    """Last operation of an app's schema migrations: policies and composite keys for whatever lacks them. Repeatable."""

    reversible = True
    reduces_to_sql = True
    atomic = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Changes only the database."""

    def database_forwards(self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any) -> None:
        for model in tenant_models(to_state.apps, app_label):
            table = model._meta.db_table
            schema_editor.execute(read_whole_sql(table) if table in READ_WHOLE else _policy_sql(table))
            for field in model._meta.local_fields:
                if isinstance(field, TenantForeignKey):
                    schema_editor.execute(composite_key(table, column=field.column, target=field.related_model._meta.db_table))

    def database_backwards(self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any) -> None:
        """The tables go, and their walls with them."""

    def describe(self) -> str:
        return "Row-level security and composite foreign keys"


def tenant_models(registry: Apps, app_label: str | None = None) -> Iterator[type[models.Model]]:
    for model in registry.get_models():
        if app_label in (None, model._meta.app_label) and any(field.name == "tenant" for field in model._meta.local_fields):
            yield model


def _policy_sql(table: str) -> str:
    policy = POLICY.replace("tenant_id", "id", 1) if table == "tenants_tenant" else POLICY
    return f"""
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
        DROP POLICY IF EXISTS tenant_wall ON {table};
        CREATE POLICY tenant_wall ON {table} FOR ALL TO {WEB_ROLE} USING ({policy}) WITH CHECK ({policy});
    """


def read_whole_sql(table: str) -> str:
    """Every row is read, and those of the transaction's tenants are written."""
    return f"""
        {_policy_sql(table)}
        DROP POLICY IF EXISTS read_whole ON {table};
        CREATE POLICY read_whole ON {table} FOR SELECT TO {WEB_ROLE} USING (true);
    """


def composite_key_name(table: str, column: str) -> str:
    return f"{table}_{column}_wall"[:63]


def composite_key(table: str, *, column: str, target: str) -> str:
    """SQL that adds the key where it is missing: `(tenant_id, column)` must be a row of the same tenant."""
    name = composite_key_name(table, column)
    return f"""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = '{table}'::regclass AND conname = '{name}') THEN
                ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY (tenant_id, {column})
                    REFERENCES {target} (tenant_id, id) DEFERRABLE INITIALLY DEFERRED;
            END IF;
        END $$;
    """


MAKE_WEB_ROLE = f"""
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{WEB_ROLE}') THEN
            CREATE ROLE {WEB_ROLE} NOLOGIN;
            EXECUTE format('GRANT {WEB_ROLE} TO %I', current_user);
        END IF;
    EXCEPTION WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'The role {WEB_ROLE} is missing and % may not make it.', current_user
            USING HINT = format('As a superuser run: CREATE ROLE {WEB_ROLE} NOLOGIN; GRANT {WEB_ROLE} TO %I;', current_user);
    END $$;
"""


def grant_to_web(using: str = DEFAULT_DB_ALIAS) -> None:
    """After every migrate: the web role may use all tables, but can neither change history nor touch the schema."""
    with connections[using].cursor() as cursor:
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {WEB_ROLE}")
        cursor.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {WEB_ROLE}")
        cursor.execute(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {WEB_ROLE}")
        cursor.execute(f"REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM {WEB_ROLE}")
        for table in KEPT:
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [table])
            if cursor.fetchone()[0]:
                cursor.execute(f"REVOKE DELETE, TRUNCATE ON {table} FROM {WEB_ROLE}")
        for table in APPEND_ONLY:
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [table])
            if cursor.fetchone()[0]:
                cursor.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM {WEB_ROLE}")
        for table in SEALS:
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [table])
            if cursor.fetchone()[0]:
                cursor.execute(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {table} FROM {WEB_ROLE}")
        cursor.execute("SELECT to_regclass('tenants_auditevent') IS NOT NULL")
        if cursor.fetchone()[0]:
            cursor.execute(f"REVOKE INSERT ON tenants_auditevent FROM {WEB_ROLE}")
            cursor.execute(f"GRANT INSERT ({', '.join(EVENT_COLUMNS)}) ON tenants_auditevent TO {WEB_ROLE}")


def missing() -> list[str]:
    """Tables of tenants' rows that have no policy, or where it is switched off."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid WHERE p.polname = 'tenant_wall' AND c.relrowsecurity"
        )
        walled = {row[0] for row in cursor.fetchall()}
    return sorted(({model._meta.db_table for model in tenant_models(apps)} | READ_WHOLE) - walled)


#: Who acts and who has logged in. -> name, whether it is the login, whether no wall holds it, whether it can become somebody whom none holds.
WHO = """
    WITH owners AS (SELECT DISTINCT relowner FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace)
    SELECT r.rolname, kind.is_login, r.rolsuper OR r.rolbypassrls OR r.oid IN (SELECT relowner FROM owners),
        r.rolcreaterole OR EXISTS (
            SELECT FROM pg_roles o WHERE (o.rolsuper OR o.rolbypassrls OR o.oid IN (SELECT relowner FROM owners))
                AND pg_has_role(r.oid, o.oid, 'MEMBER'))
    FROM (VALUES (current_user::text, false), (session_user::text, true)) kind (name, is_login) JOIN pg_roles r ON r.rolname = kind.name
"""


class WallsMissing(RuntimeError):
    """The web process could see past the walls, so it does not serve."""


def refuse_to_serve_without_walls() -> None:
    """Called when a web process starts; from then on every new connection is checked too.

    An unreachable database is not a hole: requests answer 503 until it is back, and its first connection is checked.

    Raises: WallsMissing.
    """
    if settings.PROCESS != "web":
        raise WallsMissing("This process serves requests but did not start as `web`. Serve config.wsgi:application.")
    connection_created.connect(_check_connection)
    try:
        connection.ensure_connection()
    except OperationalError:
        return
    finally:
        connection.close()


def _check_connection(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Raises: WallsMissing, when this connection's role is one that row-level security does not hold."""
    with connection.cursor() as cursor:
        cursor.execute(WHO)
        rows = cursor.fetchall()
    for name, is_login, unheld, leaves in rows:
        if not is_login and unheld:
            raise WallsMissing(
                f"Requests would run as {name}, which row-level security does not hold. See docs/runbook.md, roles."
            )
        if is_login and settings.WEB_HAS_ITS_LOGIN and (unheld or leaves):
            raise WallsMissing(
                f"WEB_DATABASE_URL logs in as {name}, from which there is a way past the walls. See docs/runbook.md, roles."
            )
