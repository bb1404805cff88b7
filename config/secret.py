"""A secret key for machines where nobody set one: made once, kept beside the data, readable only for us."""

import os
import secrets
from pathlib import Path


def local_secret_key(data_dir: Path) -> str:
    file = data_dir / "secret_key"
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text()
    key = secrets.token_urlsafe(48)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(key)
    return key
