"""Reports over a tenant's whole ledger: the liability, and what it is made of."""
