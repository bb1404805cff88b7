"""ClickHouse: what is fed to it, whether it agrees with the ledger, and how it is built anew."""
