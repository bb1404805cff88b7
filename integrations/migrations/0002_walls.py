"""The walls of this app's tables, and the ledger's keys to bills: `loyalty` knows a bill only by its id."""

from django.db import migrations

from tenants.walls import BuildWalls, composite_key

LEDGER_TO_BILLS = "".join(
    composite_key(table, column=column, target="integrations_bill")
    for table, column in (("loyalty_entry", "bill_id"), ("loyalty_hold", "bill_id"), ("loyalty_hold", "late_bill_id"))
)


class Migration(migrations.Migration):
    dependencies = [("integrations", "0001_initial"), ("loyalty", "0002_walls_and_laws")]

    operations = [BuildWalls(), migrations.RunSQL(LEDGER_TO_BILLS, migrations.RunSQL.noop)]
