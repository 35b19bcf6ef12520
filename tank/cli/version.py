"""`tank version`: this program's version, and the daemon's when one answers."""

from __future__ import annotations

import tank
from tank.cli.text import print_as
from tank.client.wire import endpoint
from tank.errors import TankError

TYPE_CHECKING = False  # true for a type checker
if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """No flags of its own."""


def run(options: argparse.Namespace) -> int:
    """Print both versions; that no daemon answers is no failure."""
    versions = {"client": tank.__version__, "daemon": _daemon(options.host)}
    if options.output in ("json", "yaml"):
        print_as(options.output, versions)
        return 0
    print(f"tank {versions['client']}")
    if versions["daemon"]:
        print(f"daemon {versions['daemon']}")
    return 0


def _daemon(host: str | None) -> str | None:
    try:
        version = endpoint(host, timeout=2).json("GET", "/v1/info").get("version")
    except TankError:
        return None
    return str(version) if version else None
