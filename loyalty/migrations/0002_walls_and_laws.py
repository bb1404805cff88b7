"""What the ledger's tables promise in the database itself: append-only, walled, readable in commit-safe order."""

from django.db import migrations

from tenants.walls import BuildWalls

APPEND_ONLY = "".join(
    f"""
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change();
    CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    """
    for table in ("loyalty_entry", "loyalty_entrylot")
)

#: The feed reads rows below the oldest running transaction, in this order: a late commit is never skipped.
FEED_ORDER = """
    ALTER TABLE loyalty_entry ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
    CREATE INDEX entry_feed ON loyalty_entry (xid, id);
    ALTER TABLE loyalty_customer ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
    CREATE INDEX customer_feed ON loyalty_customer (xid, id);
    CREATE FUNCTION stamp_xid() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.xid = pg_current_xact_id();
        RETURN NEW;
    END $$;
    CREATE TRIGGER stamp_xid BEFORE UPDATE ON loyalty_customer FOR EACH ROW EXECUTE FUNCTION stamp_xid();
"""

BALANCE_WALL = """
    ALTER TABLE loyalty_balance ADD CONSTRAINT loyalty_balance_customer_id_wall FOREIGN KEY (tenant_id, customer_id)
        REFERENCES loyalty_customer (tenant_id, id) DEFERRABLE INITIALLY DEFERRED;
"""

#: Under row-level security only leakproof operators reach an index, and LIKE is none. This one function looks past the
#: policy, filters by `app.tenants` itself, and returns nothing but ids.
SEARCH = """
    CREATE FUNCTION search_customers(words text, at_most integer) RETURNS SETOF bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
        SELECT id FROM loyalty_customer
        WHERE tenant_id = ANY ((SELECT string_to_array(NULLIF(current_setting('app.tenants', true), ''), ','))::bigint[])
          AND (upper(name) LIKE '%' || upper(replace(replace(replace(words, '\\', '\\\\'), '%', '\\%'), '_', '\\_')) || '%'
               OR upper(email) LIKE '%' || upper(replace(replace(replace(words, '\\', '\\\\'), '%', '\\%'), '_', '\\_')) || '%')
        ORDER BY id DESC LIMIT least(at_most, 50)
    $$;
    REVOKE ALL ON FUNCTION search_customers(text, integer) FROM public;
    GRANT EXECUTE ON FUNCTION search_customers(text, integer) TO web;
"""


class Migration(migrations.Migration):
    dependencies = [("loyalty", "0001_initial"), ("tenants", "0002_walls")]

    operations = [
        migrations.RunSQL(APPEND_ONLY, migrations.RunSQL.noop),
        migrations.RunSQL(FEED_ORDER, migrations.RunSQL.noop),
        migrations.RunSQL(BALANCE_WALL, migrations.RunSQL.noop),
        migrations.RunSQL(SEARCH, "DROP FUNCTION search_customers(text, integer)"),
        BuildWalls(),
    ]
