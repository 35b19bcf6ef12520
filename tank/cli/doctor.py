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
    from collections.abc import Iterator, Sequence

    from tank.ops.doctor import Finding

CURES = {
    "DiskPressure": "make room; `tank df` says what takes it, `tank image prune --all` removes images",
    "ImageUnreadable": "`tank image pull` that image, or restart its pod",
}


def add(parser: argparse.ArgumentParser) -> None:
    """Where the daemon keeps its things."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="the daemon's tank.toml (or TANK_CONFIG)")


def run(options: argparse.Namespace) -> int:
    """Print every finding; 1 when one of them is a failure."""
    import asyncio

    from tank.config import load
    from tank.ops import network
    from tank.ops.doctor import Verdict, examine

    wanted = load(options.config, os.environ)
    found = asyncio.run(examine(wanted.data_dir, wanted.run_dir))
    uplink = wanted.uplink or network.default_uplink()
    found += asyncio.run(network.examine(uplink, wanted.pools, repair=wanted.repair))
    found += about_daemon(options.host)
    if options.output in ("json", "yaml"):
        print_as(options.output, [_plain(each) for each in found])
    else:
        print("\n".join(_lines(found)))
    return int(any(each.verdict is Verdict.FAIL for each in found))


def about_daemon(host: str | None) -> Iterator[Finding]:
    """Whether a daemon answers, and what it says of itself. None is no failure: it may not be started yet."""
    from tank.ops.doctor import Finding, Verdict

    try:
        info = endpoint(host, timeout=5).json("GET", "/v1/info")
    except TankError as error:
        yield Finding("daemon", Verdict.WARN, error.message, "systemctl start tank, or: tank serve")
        return
    yield Finding("daemon", Verdict.OK, f"version {info.get('version')} answers")
    for each in info.get("conditions", ()):
        yield Finding("daemon", Verdict.WARN, f"{each['type']}: {each['message']}", CURES.get(each["type"], ""))


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
