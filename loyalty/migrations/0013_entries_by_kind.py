from django.db import migrations, models

from tenants.indexes import AddIndexOnline


class Migration(migrations.Migration):
    """For whoever looks for what is rare: the adjustments among twenty million earnings."""

    atomic = False  # so that nobody waits meanwhile

    dependencies = [("loyalty", "0012_trail")]
    operations = [
        AddIndexOnline(
            "entry",
            models.Index(condition=~models.Q(kind="earn"), fields=["tenant", "kind", "-id"], name="entry_by_kind"),
        ),
    ]
