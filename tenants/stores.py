"""Which store a code means: its own code, or an alias that a vendor has used for it (CASES 26)."""

from tenants.models import Store, StoreAlias, Tenant


def find(tenant: Tenant, code: str) -> Store | None:
    """A store's own code comes before another one's alias. A text that no code can be finds nothing."""
    if not code.isprintable():
        return None
    store: Store | None = Store.objects.filter(tenant=tenant, code=code).first()
    if store is not None:
        return store
    alias = StoreAlias.objects.filter(tenant=tenant, code=code).select_related("store").first()
    return alias.store if alias else None


def by_code(tenant: Tenant) -> dict[str, Store]:
    """All codes at once, for a batch; two queries."""
    stores = {store.pk: store for store in Store.objects.filter(tenant=tenant)}
    codes = {store.code: store for store in stores.values()}
    for alias in StoreAlias.objects.filter(tenant=tenant):
        codes.setdefault(alias.code, stores[alias.store_id])
    return codes
