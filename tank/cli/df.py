"""`tank df`: who takes how much of the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tank.cli.text import print_as, size, table, tell
from tank.client.wire import endpoint

if TYPE_CHECKING:
    import argparse

_TOTALS = ("image", "layers", "packed", "volume", "root", "logs", "store", "scratch", "reserve")
_WORDS = {
    "image": "images",
    "layers": "layers of several images",
    "packed": "layers as they came",
    "volume": "volumes",
    "root": "writable layers",
    "logs": "logs",
    "store": "records and database",
    "scratch": "unfinished",
    "reserve": "reserve",
}


def add(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own."""


def run(options: argparse.Namespace) -> int:
    """Print it: a line for each kind, with `-o wide` one for each owner."""
    found = endpoint(options.host).json("GET", "/v1/df")
    if options.output in ("json", "yaml"):
        print_as(options.output, found)
        return 0
    print(render(found, wide=options.output == "wide"))
    if found["strays"]:
        tell(f"of nobody, below {found['path']}: {', '.join(found['strays'])}")
    return 0


def render(found: dict[str, Any], *, wide: bool) -> str:
    """The table."""
    owners = found["owners"]
    if wide:
        rows = [[_WORDS.get(each["kind"], each["kind"]), each["name"] or "-", *_amounts([each])] for each in owners]
        head, rest = ["WHAT", "OF", "SIZE", "FILES"], ["-"]
    else:
        kinds = [(kind, [each for each in owners if each["kind"] == kind]) for kind in _TOTALS]
        rows = [[_WORDS[kind], *_amounts(each)] for kind, each in kinds if each]
        head, rest = ["WHAT", "SIZE", "FILES"], []
    rows.append(["unowned", *rest, size(found["unowned"]), "-"])
    free = f"{size(found['disk_free'])} of {size(found['disk_total'])} are free"
    inodes = f", {found['inodes_free']} of {found['inodes_total']} inodes" if found["inodes_total"] else ""
    return f"{table([head, *rows])}\n\n{size(found['used'])} below {found['path']}; {free}{inodes}"


def _amounts(owners: list[dict[str, Any]]) -> list[object]:
    return [size(sum(each["size"] for each in owners)), sum(each["inodes"] for each in owners)]
