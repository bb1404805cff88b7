"""Bills and deliveries go to ClickHouse, too: by the transaction that last wrote them."""

from django.db import migrations

FEED_ORDER = "".join(
    f"""
    ALTER TABLE integrations_{name} ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
    CREATE INDEX {name}_feed ON integrations_{name} (xid, id);
    CREATE TRIGGER stamp_xid BEFORE UPDATE ON integrations_{name} FOR EACH ROW EXECUTE FUNCTION stamp_xid();
    """
    for name in ("bill", "delivery")
)
UNDO = "".join(
    f"DROP TRIGGER stamp_xid ON integrations_{name}; ALTER TABLE integrations_{name} DROP COLUMN xid;"
    for name in ("bill", "delivery")
)


class Migration(migrations.Migration):
    dependencies = [("integrations", "0010_analytics"), ("loyalty", "0010_feed_of_holds")]

    operations = [migrations.RunSQL(FEED_ORDER, UNDO)]
