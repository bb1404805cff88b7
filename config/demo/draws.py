"""Every choice of the demo is a draw by hash: it depends on the seed, its kind and its own key, never on order or subset."""

import hashlib
from collections.abc import Sequence

SPAN = 1 << 64


def draw(kind: str, *, seed: str, key: object) -> int:
    """A number below SPAN, the same for the same three words."""
    return int.from_bytes(hashlib.sha256(f"{seed}|{kind}|{key}".encode()).digest()[:8])


def happens(kind: str, *, seed: str, key: object, per_mille: int) -> bool:
    return draw(kind, seed=seed, key=key) * 1000 < per_mille * SPAN


def pick[T](options: Sequence[T], *, kind: str, seed: str, key: object) -> T:
    return options[draw(kind, seed=seed, key=key) % len(options)]
