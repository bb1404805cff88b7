"""What is sent to ClickHouse: one description of each stream, of which its table there and the statements here are made.

Delivery is at least once: every read is FINAL. `version` grows with the feed's epoch and the row's transaction.
"""

from dataclasses import dataclass

#: No row without the business it is about.
NAMED = "CONSTRAINT business_named CHECK business_id <> ''"
#: What was posted on some days is found without reading the others.
POSTED = "INDEX posted posted_at TYPE minmax GRANULARITY 1"


@dataclass(frozen=True, slots=True)
class Column:
    """`nothing`: what stands in ClickHouse for NULL, as SQL; empty: the column is never NULL, or may be NULL there, too."""

    name: str
    type: str
    nothing: str = ""

    def value(self, row: str = "") -> str:
        """As SQL; `row`: the name of the table's row, with its dot."""
        return f"coalesce({row}{self.name}, {self.nothing})" if self.nothing else f"{row}{self.name}"


@dataclass(frozen=True, slots=True)
class Stream:
    """`source`: the table of the ledger's database. `columns`: what stands between whose row it is and when it was written.

    `partition` and `order` of the table in ClickHouse. `groups` and `sums`: what a comparison counts rows by, and adds up.
    """

    name: str
    source: str
    columns: tuple[Column, ...]
    order: str
    partition: str = "tenant_id"
    extra: str = ""
    groups: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()

    @property
    def column_names(self) -> tuple[str, ...]:
        return ("id", "tenant_id", "business_id", *(column.name for column in self.columns), "xid", "version")

    @property
    def table(self) -> str:
        columns = ", ".join(f"{column.name} {column.type}" for column in self.columns)
        partition = f"PARTITION BY {self.partition}" if self.partition else ""
        return f"""
            CREATE TABLE IF NOT EXISTS {self.name} (
                id UInt64, tenant_id UInt64, business_id String, {columns}, xid UInt64, version UInt64{self.extra}, {NAMED}
            ) ENGINE = ReplacingMergeTree(version) {partition} ORDER BY ({self.order})
        """

    @property
    def rows(self) -> str:
        """The rows of the ledger's database, in the order of `column_names`, but for the version."""
        values = ", ".join(column.value("r.") for column in self.columns)
        return f"""
            SELECT r.id, r.tenant_id, t.business_id, {values}, r.xid::text::bigint
            FROM {self.source} r JOIN tenants_tenant t ON t.id = r.tenant_id
        """  # noqa: S608 - our own names


def _columns(text: str) -> tuple[Column, ...]:
    """A line for each: name, type, and after `or` what stands for NULL."""
    found = []
    for line in text.strip().splitlines():
        name, rest = line.split(maxsplit=1)
        kind, _, nothing = rest.partition(" or ")
        found.append(Column(name, kind.strip(), nothing.strip()))
    return tuple(found)


ENTRIES = Stream(
    "entries",
    "loyalty_entry",
    _columns("""
        customer_id   UInt64
        operation     UInt64
        seq           UInt16
        kind          LowCardinality(String)
        of_kind       LowCardinality(String) or ''
        pending       Int64
        available     Int64
        held          Int64
        owed          Int64
        reason        String
        actor_kind    LowCardinality(String)
        actor_name    String
        occurred_at   DateTime64(6, 'UTC')
        business_date Date32
        posted_at     DateTime64(6, 'UTC')
        store_id      UInt64 or 0
        bill_id       UInt64 or 0
        hold_id       UInt64 or 0
        job_id        UInt64 or 0
    """),
    order="tenant_id, business_date, id",
    partition="toYYYYMM(business_date)",
    extra=f", {POSTED}",
)
CUSTOMERS = Stream(
    "customers",
    "loyalty_customer",
    _columns("""
        mobile    String
        name      String
        email     String
        tier      LowCardinality(String)
        status    LowCardinality(String)
        joined_on Nullable(Date32)
    """),
    order="tenant_id, id",
    partition="",
    groups=("tier", "status"),
)
#: As it was understood and booked; no lines. A correction is a row of its own, and the old one gets `superseded_at`.
BILLS = Stream(
    "bills",
    "integrations_bill",
    _columns("""
        store_id        UInt64
        customer_id     UInt64 or 0
        parent_id       UInt64 or 0
        bill_class      LowCardinality(String)
        bill_type       LowCardinality(String)
        bill_no         String
        till_code       String
        business_date   Date32
        billed_at       DateTime64(6, 'UTC')
        gross_amount    Decimal(18, 4)
        discount_amount Decimal(18, 4)
        net_amount      Decimal(18, 4)
        tax_amount      Decimal(18, 4)
        payable_amount  Decimal(18, 4)
        mode            LowCardinality(String)
        redeemed_points Int64
        redeemed_amount Decimal(18, 4)
        earned_points   Int64
        hold_id         UInt64 or 0
        cancelled_by_id UInt64 or 0
        superseded_at   Nullable(DateTime64(6, 'UTC'))
        posted_at       DateTime64(6, 'UTC')
    """),
    order="tenant_id, id",
    groups=("business_date", "bill_class"),
    sums=("redeemed_points", "earned_points", "cancelled_by_id"),
)
HOLDS = Stream(
    "holds",
    "loyalty_hold",
    _columns("""
        customer_id  UInt64
        store_id     UInt64 or 0
        reference    String
        bill_no      String
        points       Int64
        at           DateTime64(6, 'UTC')
        expires_at   DateTime64(6, 'UTC')
        state        LowCardinality(String)
        ended_at     Nullable(DateTime64(6, 'UTC'))
        bill_id      UInt64 or 0
        late_bill_id UInt64 or 0
        late_points  Int64
    """),
    order="tenant_id, id",
    groups=("state",),
    sums=("points", "late_points", "bill_id"),
)
#: What came in and what became of it. Neither the body nor whose number it names: analytics needs neither.
DELIVERIES = Stream(
    "deliveries",
    "integrations_delivery",
    _columns("""
        receipt      String
        source       LowCardinality(String)
        state        LowCardinality(String)
        check_name   LowCardinality(String)
        attempts     UInt32
        received_at  DateTime64(6, 'UTC')
        processed_at Nullable(DateTime64(6, 'UTC'))
        bill_no      String
        store_code   LowCardinality(String)
        bill_id      UInt64 or 0
        first_id     UInt64 or 0
    """),
    order="tenant_id, id",
    groups=("state", "check_name"),
    sums=("attempts", "bill_id"),
)
STREAMS = {stream.name: stream for stream in (ENTRIES, CUSTOMERS, BILLS, HOLDS, DELIVERIES)}

#: Asked of the entries each time, so that it cannot be another story than theirs: what each customer had at the end of each day on which
#: something moved.
BALANCES_BY_DAY = """
    CREATE VIEW IF NOT EXISTS balances_by_day AS
    SELECT tenant_id, business_id, customer_id, business_date, entries,
           sum(moved_pending) OVER w AS pending, sum(moved_available) OVER w AS available, sum(moved_held) OVER w AS held,
           sum(moved_owed) OVER w AS owed, available + held - owed AS closing
    FROM (
        SELECT tenant_id, business_id, customer_id, business_date, count() AS entries, sum(pending) AS moved_pending,
               sum(available) AS moved_available, sum(held) AS moved_held, sum(owed) AS moved_owed
        FROM entries FINAL GROUP BY tenant_id, business_id, customer_id, business_date
    )
    WINDOW w AS (PARTITION BY tenant_id, customer_id ORDER BY business_date)
"""
