from typing import Any

from config import schema
from tenants.commands import JsonCommand


class Command(JsonCommand):
    help = (
        "Write config/schema.sql anew, after a migration was added: what all migrations make, with which a new database begins."
    )

    def work(self, **options: Any) -> dict[str, Any]:
        text = schema.of_migrations()
        changed = not schema.FILE.exists() or schema.FILE.read_text() != text
        schema.FILE.write_text(text)
        return {"file": schema.FILE.name, "lines": text.count("\n"), "changed": changed}
