"""`tank stats [NAME]`: what the interfaces of pods have carried."""

from __future__ import annotations

import sys

from tank.cli.text import line, print_as, size, table
from tank.client.wire import endpoint, quote

TYPE_CHECKING = False  # true for a type checker
if TYPE_CHECKING:
    import argparse
    from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    """The pod."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="all with a network of their own, if left out")


def run(options: argparse.Namespace) -> int:
    """Print a line for each interface."""
    daemon, name = endpoint(options.host), options.name
    found = daemon.json("GET", f"/v1/pods/{quote(name)}/stats" if name is not None else "/v1/stats")
    if options.output in ("json", "yaml"):
        print_as(options.output, found)
        return 0
    pods: list[dict[str, Any]] = [found] if name is not None else found
    if options.output == "name":
        sys.stdout.write("".join(f"{line(each['pod'])}\n" for each in pods))
    else:
        print(render(pods, exact=options.output == "wide"))
    return 0


def render(pods: list[dict[str, Any]], *, exact: bool = False) -> str:
    """The table. `exact`: bytes to the last one."""
    head = ["POD", "NIC"]
    for way in ("RX", "TX"):
        head += [way, "PACKETS", "ERRORS", "DROPPED"]
    return table([head, *(_row(pod, nic, exact) for pod in pods for nic in pod["nics"])])


def _row(pod: dict[str, Any], nic: dict[str, Any], exact: bool) -> list[object]:
    row: list[object] = [pod["pod"], nic["name"]]
    for way in ("rx", "tx"):
        count = nic[f"{way}_bytes"]
        row += [count if exact else size(count), *(nic[f"{way}_{what}"] for what in ("packets", "errors", "dropped"))]
    return row
