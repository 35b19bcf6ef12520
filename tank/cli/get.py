"""`tank get NAME`: the desired spec, as it may be applied again."""

from __future__ import annotations

from tank.cli.text import line, print_as
from tank.client.wire import endpoint, quote

TYPE_CHECKING = False  # true for a type checker
if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """The pod."""
    parser.add_argument("name", metavar="NAME")


def run(options: argparse.Namespace) -> int:
    """Print the spec, as YAML unless asked otherwise."""
    desired = endpoint(options.host).json("GET", f"/v1/pods/{quote(options.name)}")
    if options.output == "name":
        print(line(desired["name"]))
    else:
        print_as("json" if options.output == "json" else "yaml", desired["spec"])
    return 0
