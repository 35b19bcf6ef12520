"""`tank rollback NAME [--to REV]`: apply an earlier revision again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tank.cli import apply
from tank.cli.durations import whole
from tank.client.wire import endpoint, quote

if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Which, and how far back."""
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--to", type=whole, metavar="REV", help="the revision; else the one before the current")


def run(options: argparse.Namespace) -> int:
    """Ask for it; it becomes a revision of its own."""
    path = f"/v1/pods/{quote(options.name)}/rollback"
    return apply.show([endpoint(options.host).json("POST", path, {"to": options.to})], options, "rolled back")
