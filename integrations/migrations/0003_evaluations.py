"""The evaluations of bonus rules name the bill they judged."""

from django.db import migrations

from tenants.walls import composite_key


class Migration(migrations.Migration):
    dependencies = [("integrations", "0002_walls"), ("loyalty", "0003_whole_ledger")]

    operations = [
        migrations.RunSQL(
            composite_key("loyalty_bonusevaluation", column="bill_id", target="integrations_bill"), migrations.RunSQL.noop
        ),
    ]
