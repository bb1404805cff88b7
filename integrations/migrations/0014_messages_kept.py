"""Bodies of messages go after as long as the brand says."""

from django.db import migrations, models

#: What nobody could read was settled when it came.
SETTLED_AT_ONCE = """
    UPDATE integrations_delivery SET processed_at = received_at WHERE state = 'rejected' AND processed_at IS NULL
"""


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0013_resync_of_streams"),
        ("tenants", "0008_messages_kept"),
    ]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="body_gone_at",
            field=models.DateTimeField(
                help_text="It was kept for as long as the brand says; the body is empty since.", null=True
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="body_back_at",
            field=models.DateTimeField(help_text="The very message was sent again after that.", null=True),
        ),
        migrations.AddField(
            model_name="replay",
            name="left_out",
            field=models.PositiveIntegerField(
                db_default=0, default=0, help_text="Booked bills that fit, whose messages are kept no more."
            ),
        ),
        migrations.RunSQL(SETTLED_AT_ONCE, migrations.RunSQL.noop),
    ]
