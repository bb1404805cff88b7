from django.db import migrations


class Migration(migrations.Migration):
    """Entries come in the order of days, nearly: blocks tell which days they hold. A comparison of a few days reads those, not the ledger."""

    dependencies = [("loyalty", "0008_tier_changes")]
    operations = [
        migrations.RunSQL(
            "CREATE INDEX entry_by_day ON loyalty_entry USING brin (business_date) WITH (pages_per_range = 32, autosummarize = on)",
            "DROP INDEX entry_by_day",
        )
    ]
