"""Holds go to ClickHouse, too: by the transaction that last wrote them."""

from django.db import migrations

FEED_ORDER = """
    ALTER TABLE loyalty_hold ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
    CREATE INDEX hold_feed ON loyalty_hold (xid, id);
    CREATE TRIGGER stamp_xid BEFORE UPDATE ON loyalty_hold FOR EACH ROW EXECUTE FUNCTION stamp_xid();
"""
UNDO = "DROP TRIGGER stamp_xid ON loyalty_hold; ALTER TABLE loyalty_hold DROP COLUMN xid"


class Migration(migrations.Migration):
    dependencies = [("loyalty", "0009_entries_by_day")]

    operations = [migrations.RunSQL(FEED_ORDER, UNDO)]
