"""`tank events [NAME]`: what happened, oldest first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tank.cli.text import line, tone
from tank.client.wire import endpoint

if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Of which pod, and whether to go on."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on with new events")
    parser.add_argument("name", metavar="NAME", nargs="?")


def run(options: argparse.Namespace) -> int:
    """Print events."""
    for each in endpoint(options.host).lines("/v1/events", {"pod": options.name, "follow": options.follow}):
        if options.output in ("json", "yaml"):
            import json

            print(json.dumps(each))
        else:
            print(render(each, options.color))
        if options.follow:
            sys.stdout.flush()
    return 0


def render(each: dict[str, Any], color: bool = False) -> str:
    """One event on one line."""
    subject = each["pod"] + (f"/{each['container']}" if each.get("container") else "")
    count = f" (x{each['count']})" if each.get("count", 1) > 1 else ""
    kind = tone(line(each["type"]).ljust(7), "yellow" if each["type"] == "Warning" else "", color)
    when = str(each["last"])[:19].replace("T", " ")
    return f"{line(when)}  {kind}  {line(subject)}  {line(each['reason'])}: {line(each['message'])}{count}"
