"""Named points at which a test can make the process die as by kill -9, to prove that nothing is lost or doubled."""

import os
from pathlib import Path


def point(name: str) -> None:
    """Does nothing, but where `CRASH_AT` in the environment names this point, or the file that `CRASH_FILE` names does, once: the process ends
    here, hard."""
    if os.environ.get("CRASH_AT") == name or ("CRASH_FILE" in os.environ and _is_next(name)):
        os._exit(137)


def _is_next(name: str) -> bool:
    """Whether the file names this point; whoever takes the file away is the one that dies."""
    file = Path(os.environ["CRASH_FILE"])
    try:
        if file.read_text() != name:
            return False
        file.unlink()
    except FileNotFoundError:
        return False
    return True
