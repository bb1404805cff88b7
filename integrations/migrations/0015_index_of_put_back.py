"""Messages that were put back, found when they are due again."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("integrations", "0014_messages_kept")]

    operations = [
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(body_back_at__isnull=False), fields=["tenant", "body_back_at"], name="delivery_put_back"
            ),
        ),
    ]
