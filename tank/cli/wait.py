"""`tank wait NAME --for …`: come back when the pod is so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tank.cli.durations import duration
from tank.cli.text import line, print_as
from tank.client.wire import endpoint

if TYPE_CHECKING:
    import argparse

STATES = ("ready", "running", "succeeded", "failed", "gone")


def add(parser: argparse.ArgumentParser) -> None:
    """Which, for what, for how long."""
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--for", dest="wanted", choices=STATES, required=True, help="what to wait for")
    parser.add_argument("--timeout", type=duration, default=300.0, metavar="D", help="how long (5m)")


def run(options: argparse.Namespace) -> int:
    """Wait: 1 when it cannot come to that any more, or not in time."""
    from tank.cli.progress import wait

    [found] = wait(endpoint(options.host), [options.name], options.wanted, options.timeout, color=options.color)
    if options.output in ("json", "yaml"):
        print_as(options.output, found)
    else:
        print(line(found["name"]) + ("" if options.output == "name" else f" is {options.wanted}"))
    return 0
