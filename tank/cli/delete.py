"""`tank delete NAME…`: the loop takes the pods down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tank.cli.durations import duration
from tank.cli.main import report
from tank.cli.text import line, print_as
from tank.client.wire import endpoint, quote
from tank.errors import TankError

if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Which, and how."""
    parser.add_argument("names", metavar="NAME", nargs="+")
    parser.add_argument("--wait", action="store_true", help="until they are gone")
    parser.add_argument("--timeout", type=duration, default=300.0, metavar="D", help="of --wait (5m)")
    parser.add_argument(
        "--grace", type=duration, metavar="D", help="between stop signal and kill, instead of the spec's"
    )


def run(options: argparse.Namespace) -> int:
    """Delete each; one that fails keeps no other from it, and the first failure is the exit code."""
    daemon, done, code = endpoint(options.host), [], 0
    for name in dict.fromkeys(options.names):
        try:
            done.append(daemon.json("DELETE", f"/v1/pods/{quote(name)}", {"grace": options.grace}))
        except TankError as error:
            report(error)
            code = code or error.exit_code
    if options.output in ("json", "yaml"):
        print_as(options.output, done)
    if options.wait and done:
        from tank.cli.progress import wait

        names = [pod["name"] for pod in done]
        wait(daemon, names, "gone", options.timeout, color=options.color)
    if options.output not in ("json", "yaml"):
        said = "" if options.output == "name" else " deleted" if options.wait else " is being deleted"
        for pod in done:
            print(f"{line(pod['name'])}{said}")
    return code
