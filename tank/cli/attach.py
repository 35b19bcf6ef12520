"""`tank attach NAME`: this terminal becomes the container's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tank.cli.main import report
from tank.cli.text import tell
from tank.errors import TankError

if TYPE_CHECKING:
    import argparse

TANK_FAILED = 125


def add(parser: argparse.ArgumentParser) -> None:
    """Where, and the way out."""
    parser.add_argument("-c", "--container", metavar="C", help="this container; else the first")
    parser.add_argument(
        "--detach-keys", default="ctrl-p,ctrl-q", metavar="KEYS", help="leave it running (ctrl-p,ctrl-q)"
    )
    parser.add_argument("name", metavar="NAME")


def run(options: argparse.Namespace) -> int:
    """Attached until it ends, with its exit code, or until the detach keys, with 0."""
    from tank.client import sessions
    from tank.client.wire import endpoint

    try:
        code = sessions.attach(endpoint(options.host), options.name, options.container, options.detach_keys)
    except TankError as error:
        report(error)
        return TANK_FAILED
    if code is None:
        tell(f"detached from {options.name}; it runs on")
    return code or 0
