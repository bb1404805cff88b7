from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """A B-tree instead of the BRIN: PostgreSQL's BRIN loses rows that a long statement writes while ranges are summed up (docs/decisions.md)."""

    atomic = False  # so that nobody waits meanwhile

    dependencies = [("loyalty", "0010_feed_of_holds")]
    operations = [
        AddIndexConcurrently("entry", models.Index(fields=["tenant", "business_date"], name="entry_of_day")),
        migrations.RunSQL(
            "DROP INDEX CONCURRENTLY IF EXISTS entry_by_day",
            "CREATE INDEX entry_by_day ON loyalty_entry USING brin (business_date) WITH (pages_per_range = 32, autosummarize = on)",
        ),
    ]
