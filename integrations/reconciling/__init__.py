"""Two sides of the same facts held against each other: what the POS, the ERP, the ledger, ClickHouse and the CRM say."""
