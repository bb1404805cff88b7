"""Ctrl-C and SIGTERM are never lost: an exception raised by a signal may vanish in a destructor or a callback; that it came does not."""

import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Somebody wants us to end. No `except Exception` on the way takes it for a trouble of its own."""


class _Asked:
    ever = False


def listen() -> None:
    """From now on a signal raises Stopped, and is remembered."""
    for each in SIGNALS:
        signal.signal(each, _ask)


def ignore() -> None:
    """While we end already."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def check() -> None:
    """Raises: Stopped, also when it was raised before and got lost."""
    if _Asked.ever:
        raise Stopped


def _ask(signum: int, frame: FrameType | None) -> None:
    _Asked.ever = True
    raise Stopped
