"""Signals by name. Pure but for the names themselves, which are this machine's."""

from __future__ import annotations

import re
import signal

from tank.errors import Failed
from tank.model.image import Image
from tank.model.pod import Container

_REALTIME = re.compile(r"SIGRT(MIN|MAX)([+-][0-9]{1,2})?")


def number(name: str) -> int:
    """The number of `SIGTERM`, `TERM`, `15` or `SIGRTMIN+3`. Raises Failed for what is none."""
    canonical = name.upper() if name.upper().startswith("SIG") else f"SIG{name.upper()}"
    if name.isdigit() and 0 < int(name) < signal.NSIG:
        return int(name)
    if (found := signal.Signals.__members__.get(canonical)) is not None:
        return int(found)
    if match := _REALTIME.fullmatch(canonical):
        base = signal.SIGRTMIN if match[1] == "MIN" else signal.SIGRTMAX
        value = int(base) + int(match[2] or 0)
        if signal.SIGRTMIN <= value <= signal.SIGRTMAX:
            return value
    raise Failed(f"cannot send {name!r}: there is no such signal")


def stop_signal(container: Container, image: Image | None) -> str:
    """The spec's, else the image's where it makes sense, else SIGTERM (C3.3)."""
    if container.stop_signal:
        return container.stop_signal
    stated = image.config.stop_signal if image else ""
    try:
        number(stated)
    except Failed:
        return "SIGTERM"
    return stated
