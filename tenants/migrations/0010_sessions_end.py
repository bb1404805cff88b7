from django.db import migrations

#: A person is deactivated by a page, a console, a statement over many: the database itself ends their sessions, so that none of them is
#: good again should the person come back. The count never falls, though somebody saves what they read before.
SESSIONS_END = """
    CREATE FUNCTION end_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.factors_changed = greatest(NEW.factors_changed, OLD.factors_changed) + (OLD.is_active AND NOT NEW.is_active)::int;
        RETURN NEW;
    END $$;
    CREATE TRIGGER end_sessions BEFORE UPDATE ON tenants_user FOR EACH ROW
        WHEN (OLD.is_active AND NOT NEW.is_active OR NEW.factors_changed < OLD.factors_changed) EXECUTE FUNCTION end_sessions();
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0009_read_whole")]
    operations = [migrations.RunSQL(SESSIONS_END, "DROP FUNCTION end_sessions CASCADE")]
