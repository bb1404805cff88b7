"""Row-level security, composite foreign keys, and a trail that nobody can change."""

from django.db import migrations

from tenants.walls import MAKE_WEB_ROLE, BuildWalls

#: One function for every table whose rows are written once: audit events here, the ledger in `loyalty`.
APPEND_ONLY_FUNCTION = """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only: % refused. Post a correction instead.', TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'restrict_violation';
    END $$;
"""
TRIGGER = """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON tenants_auditevent FOR EACH ROW EXECUTE FUNCTION refuse_change();
    CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON tenants_auditevent FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]

    operations = [
        migrations.RunSQL(MAKE_WEB_ROLE, migrations.RunSQL.noop),
        migrations.RunSQL(APPEND_ONLY_FUNCTION, "DROP FUNCTION refuse_change() CASCADE"),
        migrations.RunSQL(TRIGGER, migrations.RunSQL.noop),
        BuildWalls(),
    ]
