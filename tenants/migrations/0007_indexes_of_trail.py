from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # so that nobody waits meanwhile

    dependencies = [("tenants", "0006_trail")]
    operations = [
        AddIndexConcurrently("auditevent", models.Index(fields=["tenant", "at"], name="audit_of_time")),
        AddIndexConcurrently("auditevent", models.Index(fields=["tenant", "actor_id", "at"], name="audit_of_actor")),
        migrations.RunSQL(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_of_transaction ON tenants_auditevent (tenant_id, xid)",
            "DROP INDEX CONCURRENTLY IF EXISTS audit_of_transaction",
        ),
    ]
