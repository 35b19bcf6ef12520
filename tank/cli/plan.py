"""`tank plan -f …`: what apply would do, step by step, and what it would interrupt."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tank.cli import documents
from tank.cli.text import line, print_as, table, tell
from tank.client.wire import endpoint
from tank.errors import InvalidSpec

if TYPE_CHECKING:
    import argparse

CHANGES = 10
_TONES = {"none": "", "live": "green", "container_restart": "yellow", "pod_restart": "yellow", "data": "red"}


def add(parser: argparse.ArgumentParser) -> None:
    """The documents, and what else would be pruned."""
    documents.add(parser)
    parser.add_argument("--prune", action="store_true", help="with -l: also delete matching pods that are not in them")
    parser.add_argument("-l", "--selector", metavar="SEL", help="which pods --prune may delete")


def run(options: argparse.Namespace) -> int:
    """Print the plan: 0 for nothing to do, 10 for changes."""
    read = documents.Documents(options.files)
    found = read.send(endpoint(options.host), "/v1/plan", {"prune": pruned(options)})
    show(found, options)
    return CHANGES if found["steps"] else 0


def pruned(options: argparse.Namespace) -> str | None:
    """The selector of --prune. Raises InvalidSpec when one is there without the other."""
    if options.prune != bool(options.selector):
        raise InvalidSpec((), "--prune and -l SEL go together: --prune -l app=web")
    selector: str | None = options.selector
    return selector


def show(found: dict[str, Any], options: argparse.Namespace) -> None:
    """Print a plan as the output flag says."""
    steps = found["steps"]
    if options.output in ("json", "yaml"):
        print_as(options.output, found)
    elif options.output == "name":
        sys.stdout.write("".join(f"{line(name)}\n" for name in dict.fromkeys(each["pod"] for each in steps)))
    elif steps:
        rows = [[each["pod"], each["impact"], each["container"] or "-", each["action"], each["why"]] for each in steps]
        tones = [_TONES.get(each["impact"], "red") for each in steps]
        print(table([["POD", "IMPACT", "CONTAINER", "ACTION", "WHY"], *rows], tones, options.color))
        tell(f"to do exactly this: tank apply --plan {found['token']} …")
    else:
        tell("nothing to do")
