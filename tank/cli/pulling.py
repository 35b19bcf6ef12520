"""A pull at the terminal: a bar that is rewritten in place; elsewhere nothing until it is done."""

from __future__ import annotations

import os
import sys
from typing import Any

from tank.cli.text import line, size, tell
from tank.client.wire import Endpoint
from tank.errors import Unavailable

WIDTH = 30  # characters of the bar
_BACK = "\r\x1b[K"


def pull(daemon: Endpoint, reference: str, policy: str) -> dict[str, Any]:
    """Bring one image; the answer is the image. Raises Failed, Unavailable."""
    live = sys.stderr.isatty()
    try:
        for each in daemon.lines("/v1/images/pull", {"reference": reference, "policy": policy}, method="POST"):
            if "image" in each:
                return _brought(each, live)
            if live:
                _draw(bar(each["progress"]))
    finally:
        if live:
            _draw("")
    raise Unavailable("the daemon closed the connection before the image was here")


def _brought(last: dict[str, Any], live: bool) -> dict[str, Any]:
    if "warning" in last:
        if live:
            _draw("")
        tell(f"warning: {last['warning']}")
    found: dict[str, Any] = last["image"]
    return found


def bar(progress: dict[str, Any]) -> str:
    """How far it is, on one line."""
    total, done = progress["total"], progress["done"]
    if not total:
        return f"{progress['reference']}: asking the registry"
    filled = round(WIDTH * min(1.0, done / total))
    whole = sum(each["done"] >= each["total"] for each in progress["layers"])
    layers = f"{whole} of {len(progress['layers'])} layers"
    return f"[{'#' * filled}{'.' * (WIDTH - filled)}] {size(done)} of {size(total)}, {layers}  {progress['reference']}"


def _draw(text: str) -> None:
    columns = os.get_terminal_size(sys.stderr.fileno()).columns
    sys.stderr.write(_BACK + line(text)[: max(20, columns - 1)])
    sys.stderr.flush()
