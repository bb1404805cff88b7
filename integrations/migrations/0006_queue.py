from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Bills are taken while these are built: the inbox is the largest table there is."""

    atomic = False
    dependencies = [("integrations", "0005_incidents_and_files")]

    operations = [
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(fields=["tenant", "processed_at"], name="delivery_by_end"),
        ),
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state__in", ["waiting_parent", "quarantined", "conflict"])),
                fields=["tenant", "state", "store_code", "received_at"],
                name="delivery_for_people",
            ),
        ),
    ]
