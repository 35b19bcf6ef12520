"""`tank serve`: the daemon in the foreground, its log on standard error."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Where its settings are."""
    parser.add_argument("--config", metavar="FILE", help="the settings (/etc/tank/tank.toml, or TANK_CONFIG)")
    parser.add_argument("--data-dir", metavar="DIR", help="what outlives a reboot (/var/lib/tank, or TANK_DATA_DIR)")
    parser.add_argument("--run-dir", metavar="DIR", help="socket and runtime state (/run/tank, or TANK_RUN_DIR)")


def run(options: argparse.Namespace) -> int:
    """Run until SIGTERM; the pods run on."""
    from pathlib import Path

    from tank import daemon
    from tank.config import load

    config, data_dir, run_dir = (
        Path(value).absolute() if value else None for value in (options.config, options.data_dir, options.run_dir)
    )
    return daemon.main(load(config, os.environ, data_dir=data_dir, run_dir=run_dir))
