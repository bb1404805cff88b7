"""Foreign keys that cannot point at another tenant's row."""

from typing import Any

from django.db import models


class TenantForeignKey(models.ForeignKey[Any, Any]):
    """A foreign key kept by the database as `(tenant_id, x_id) -> (tenant_id, id)`.

    Django's own constraint is off; `tenants.walls.BuildWalls` adds the composite one at the end of an app's migrations.
    The target needs a unique constraint over (tenant, id). It brings no index: hot tables name theirs, led by the tenant.
    """

    def __init__(self, to: Any, on_delete: Any = models.PROTECT, **kwargs: Any) -> None:
        kwargs["db_constraint"] = False
        kwargs.setdefault("db_index", False)
        super().__init__(to, on_delete=on_delete, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("db_constraint", None)
        kwargs.pop("db_index", None)
        return name, path, args, kwargs
