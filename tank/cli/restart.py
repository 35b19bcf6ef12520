"""`tank restart NAME`: a new attempt now, back-off forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tank.cli.durations import duration
from tank.cli.text import line, print_as
from tank.client.wire import endpoint, quote

if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Which, and how."""
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("-c", "--container", metavar="C", help="only this one")
    parser.add_argument("--pull", action="store_true", help="resolve the image anew")
    parser.add_argument("--wait", action="store_true", help="until the pod is ready or has succeeded")
    parser.add_argument("--timeout", type=duration, default=300.0, metavar="D", help="of --wait (5m)")


def run(options: argparse.Namespace) -> int:
    """Ask for it, and wait if asked to."""
    daemon = endpoint(options.host)
    query = {"container": options.container, "pull": options.pull}
    found = daemon.json("POST", f"/v1/pods/{quote(options.name)}/restart", query)
    if options.wait:
        from tank.cli.progress import wait

        [found] = wait(daemon, [found["name"]], "settled", options.timeout, color=options.color)
    if options.output in ("json", "yaml"):
        print_as(options.output, found)
    else:
        said = "" if options.output == "name" else " restarted" if options.wait else " is being restarted"
        print(f"{line(found['name'])}{said}")
    return 0
