"""`tank doctor`: whether this machine can run pods, and the cure for what it lacks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tank.cli.text import print_as
from tank.client.wire import endpoint
from tank.errors import TankError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from tank.ops.doctor import Finding


def add(parser: argparse.ArgumentParser) -> None:
    """Where the daemon keeps its things."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="the daemon's tank.toml (or TANK_CONFIG)")


def run(options: argparse.Namespace) -> int:
    """Print every finding; 1 when one of them is a failure."""
    import asyncio

    from tank.config import load
    from tank.ops.doctor import Verdict, examine

    wanted = load(options.config, os.environ)
    found = asyncio.run(examine(wanted.data_dir, wanted.run_dir))
    found.append(_daemon(options.host))
    if options.output in ("json", "yaml"):
        print_as(options.output, [_plain(each) for each in found])
    else:
        print("\n".join(_lines(found)))
    return int(any(each.verdict is Verdict.FAIL for each in found))


def _daemon(host: str | None) -> Finding:
    """Whether a daemon answers. None is no failure: it may not be started yet."""
    from tank.ops.doctor import Finding, Verdict

    try:
        version = endpoint(host, timeout=5).json("GET", "/v1/info").get("version")
    except TankError as error:
        return Finding("daemon", Verdict.WARN, error.message, "systemctl start tank, or: tank serve")
    return Finding("daemon", Verdict.OK, f"version {version} answers")


def _lines(found: Sequence[Finding]) -> list[str]:
    width = max(len(each.check) for each in found)
    lines = []
    for each in found:
        lines.append(f"{each.verdict:<5} {each.check:<{width}}  {each.message}")
        if each.cure:
            lines.append(f"{'':<5} {'':<{width}}  cure: {each.cure}")
    return lines


def _plain(each: Finding) -> dict[str, str]:
    return {"check": each.check, "verdict": each.verdict, "message": each.message, "cure": each.cure}
