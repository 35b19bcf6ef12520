"""`tank uninstall`: removes the system service, never data; refused while there are pods."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tank.client.wire import endpoint
from tank.errors import Denied, Unavailable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add(parser: argparse.ArgumentParser) -> None:
    """Where the data is; the configuration says it otherwise."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="the daemon's tank.toml (or TANK_CONFIG)")


def run(options: argparse.Namespace) -> int:
    """Ask the daemon for pods, or look for their traces when there is none; then remove."""
    import asyncio

    from tank.config import load
    from tank.ops import install, uninstall

    if os.geteuid() != 0:
        raise Denied("cannot uninstall: only root may")
    settings = load(options.config, os.environ)
    data_dir = settings.data_dir
    uninstall.refuse_while(_pods(options.host, data_dir), data_dir)
    done = asyncio.run(uninstall.uninstall(install.this_machine(), data_dir, settings.run_dir))
    print("\n".join(done), file=sys.stderr)
    return 0


def _pods(host: str | None, data_dir: Path) -> Sequence[str]:
    """The pods that the daemon knows; else what is left of pods on this machine."""
    from tank.ops import uninstall

    try:
        return [str(status["name"]) for status in endpoint(host, timeout=5).json("GET", "/v1/pods")]
    except Unavailable:
        return uninstall.traces(data_dir)
