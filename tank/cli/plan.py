"""`tank plan -f …`: which fields change, what apply would do step by step, and what it would interrupt."""

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
LONGEST = 48  # characters of a value that a row has room for; -o json has all of it
_TONES = {"none": "", "live": "green", "container_restart": "yellow", "pod_restart": "yellow", "data": "red"}


def add(parser: argparse.ArgumentParser) -> None:
    """The documents, and what else would be pruned."""
    documents.add(parser)
    parser.add_argument("--prune", action="store_true", help="with -l: also delete matching pods that are not in them")
    parser.add_argument("-l", "--selector", metavar="SEL", help="which pods --prune may delete")


def run(options: argparse.Namespace) -> int:
    """Print the plan: 0 for nothing to do, 10 for changes."""
    read = documents.Documents(options.files)
    found = read.send(endpoint(options.host), "/v1/plan", {"prune": pruned(options), "losses": True})
    documents.tell_losses(found)
    show(found, options)
    return CHANGES if found["steps"] or found.get("changes") else 0


def pruned(options: argparse.Namespace) -> str | None:
    """The selector of --prune. Raises InvalidSpec when one is there without the other."""
    if options.prune != bool(options.selector):
        raise InvalidSpec((), "--prune and -l SEL go together: --prune -l app=web")
    selector: str | None = options.selector
    return selector


def show(found: dict[str, Any], options: argparse.Namespace) -> None:
    """Print a plan as the output flag says."""
    steps, changes = found["steps"], found.get("changes", [])
    if options.output in ("json", "yaml"):
        print_as(options.output, found)
    elif options.output == "name":
        names = [each["pod"] for each in [*changes, *steps]]
        sys.stdout.write("".join(f"{line(name)}\n" for name in dict.fromkeys(names)))
    elif steps or changes:
        _show_changes(changes, options)
        _show_steps(steps, options)
        tell(f"to do exactly this: tank apply --plan {found['token']} …")
    else:
        tell("nothing to do")


def _show_changes(changes: list[dict[str, Any]], options: argparse.Namespace) -> None:
    rows = [[each["pod"], each["impact"], each["path"], f"{_from(each)} → {_to(each)}"] for each in changes]
    if rows:
        print(table([["POD", "COST", "FIELD", "CHANGE"], *rows], _tones(changes), options.color), end="\n\n")


def _show_steps(steps: list[dict[str, Any]], options: argparse.Namespace) -> None:
    rows = [[each["pod"], each["impact"], each["container"] or "-", each["action"], each["why"]] for each in steps]
    if rows:
        print(table([["POD", "IMPACT", "CONTAINER", "ACTION", "WHY"], *rows], _tones(steps), options.color))


def _tones(rows: list[dict[str, Any]]) -> list[str]:
    return [_TONES.get(each["impact"], "red") for each in rows]


def _from(change: dict[str, Any]) -> str:
    return "-" if change.get("before") is None else _brief(change["before"])


def _to(change: dict[str, Any]) -> str:
    return "-" if change.get("after") is None else _brief(change["after"])


def _brief(value: Any) -> str:
    """The value on one line: words as they are, anything else as JSON, cut where it is long."""
    import json

    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
