"""Two sides held against each other, and incidents of no store."""

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import tenants.fields
from tenants.walls import BuildWalls


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0011_feed_of_bills"),
        ("tenants", "0004_staff_numbers"),
    ]

    operations = [
        migrations.CreateModel(
            name="ReconciliationPolicy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80, verbose_name="name")),
                (
                    "left",
                    models.CharField(
                        choices=[
                            ("pos", "POS day-ends"),
                            ("erp", "ERP orders"),
                            ("ledger", "the ledger"),
                            ("clickhouse", "ClickHouse"),
                            ("crm", "CRM balances"),
                        ],
                        max_length=10,
                        verbose_name="one side",
                    ),
                ),
                (
                    "right",
                    models.CharField(
                        choices=[
                            ("pos", "POS day-ends"),
                            ("erp", "ERP orders"),
                            ("ledger", "the ledger"),
                            ("clickhouse", "ClickHouse"),
                            ("crm", "CRM balances"),
                        ],
                        max_length=10,
                        verbose_name="other side",
                    ),
                ),
                (
                    "first_day",
                    models.PositiveSmallIntegerField(
                        default=7,
                        help_text="The first business day that is compared.",
                        validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(400)],
                        verbose_name="from, days ago",
                    ),
                ),
                (
                    "last_day",
                    models.PositiveSmallIntegerField(
                        default=1,
                        help_text="The last one; balances are taken as they were at its end. 1: yesterday.",
                        validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(400)],
                        verbose_name="to, days ago",
                    ),
                ),
                (
                    "tolerance",
                    models.DecimalField(
                        decimal_places=4,
                        default=0,
                        help_text="So much may differ on a row: money between sales, points between balances.",
                        max_digits=18,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="tolerance",
                    ),
                ),
                (
                    "hour",
                    models.PositiveSmallIntegerField(
                        default=6,
                        help_text="When it runs each day, by the brand's clock.",
                        validators=[django.core.validators.MaxValueValidator(23)],
                        verbose_name="at, o'clock",
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="runs every day")),
            ],
            options={
                "verbose_name": "reconciliation policy",
                "verbose_name_plural": "reconciliation policies",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="ReconciliationRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("asked_by", models.CharField(max_length=254)),
                ("by_itself", models.BooleanField(default=False)),
                ("asked_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "waiting"), ("running", "running"), ("done", "done"), ("failed", "failed")],
                        default="waiting",
                        max_length=8,
                    ),
                ),
                ("since", models.DateField()),
                ("until", models.DateField()),
                ("as_of", models.DateTimeField()),
                ("ok", models.BooleanField(null=True, verbose_name="agrees")),
                ("left_rows", models.BigIntegerField(default=0)),
                ("right_rows", models.BigIntegerField(default=0)),
                ("left_sum", models.DecimalField(decimal_places=4, default=0, max_digits=24)),
                ("right_sum", models.DecimalField(decimal_places=4, default=0, max_digits=24)),
                ("agreed", models.BigIntegerField(default=0)),
                ("different", models.BigIntegerField(default=0)),
                ("left_only", models.BigIntegerField(default=0)),
                ("right_only", models.BigIntegerField(default=0)),
                ("untold", models.BigIntegerField(default=0)),
                ("rows", models.JSONField(default=list)),
                ("pattern", models.CharField(blank=True, max_length=10)),
                ("handoff", models.PositiveSmallIntegerField(default=0)),
                ("seconds", models.FloatField(default=0)),
                ("ended_at", models.DateTimeField(null=True)),
                ("note", models.CharField(blank=True, max_length=500)),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.RemoveConstraint(
            model_name="incident",
            name="one_open_incident_a_store",
        ),
        migrations.AlterField(
            model_name="incident",
            name="kind",
            field=models.CharField(
                choices=[
                    ("mode_drift", "points shown in another way than this store's setting"),
                    ("no_completion", "blocked points whose bills do not come"),
                    ("refused", "bills set aside by one check"),
                    ("drift", "two sides that do not agree"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="incident",
            name="store",
            field=tenants.fields.TenantForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="incidents", to="tenants.store"
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.UniqueConstraint(
                condition=models.Q(("closed_at", None)),
                fields=("tenant", "kind", "store", "cause"),
                name="one_open_incident_a_store",
                nulls_distinct=False,
            ),
        ),
        migrations.AddField(
            model_name="reconciliationpolicy",
            name="tenant",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="tenants.tenant"),
        ),
        migrations.AddField(
            model_name="reconciliationrun",
            name="policy",
            field=tenants.fields.TenantForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="runs", to="integrations.reconciliationpolicy"
            ),
        ),
        migrations.AddField(
            model_name="reconciliationrun",
            name="tenant",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="tenants.tenant"),
        ),
        migrations.AddConstraint(
            model_name="reconciliationpolicy",
            constraint=models.UniqueConstraint(fields=("tenant", "name"), name="policy_name_once"),
        ),
        migrations.AddConstraint(
            model_name="reconciliationpolicy",
            constraint=models.UniqueConstraint(fields=("tenant", "id"), name="policy_wall"),
        ),
        migrations.AddConstraint(
            model_name="reconciliationpolicy",
            constraint=models.CheckConstraint(
                condition=models.Q(("left", models.F("right")), _negated=True), name="policy_two_sides"
            ),
        ),
        migrations.AddConstraint(
            model_name="reconciliationpolicy",
            constraint=models.CheckConstraint(
                condition=models.Q(("first_day__gte", models.F("last_day"))), name="policy_days_in_order"
            ),
        ),
        migrations.AddIndex(
            model_name="reconciliationrun",
            index=models.Index(fields=["tenant", "policy", "-id"], name="run_of_policy"),
        ),
        migrations.AddIndex(
            model_name="reconciliationrun",
            index=models.Index(condition=models.Q(("state__in", ["waiting", "running"])), fields=["state"], name="run_to_do"),
        ),
        BuildWalls(),
    ]
