"""`tank history NAME`: every applied revision."""

from __future__ import annotations

import sys

from tank.cli.text import age, print_as, table
from tank.client.wire import endpoint, quote

TYPE_CHECKING = False  # true for a type checker
if TYPE_CHECKING:
    import argparse
    from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    """The pod."""
    parser.add_argument("name", metavar="NAME")


def run(options: argparse.Namespace) -> int:
    """Print the revisions, newest first."""
    found = endpoint(options.host).json("GET", f"/v1/pods/{quote(options.name)}/history")
    if options.output in ("json", "yaml"):
        print_as(options.output, found)
    elif options.output == "name":
        sys.stdout.write("".join(f"{each['revision']}\n" for each in found))
    else:
        print(table([["REVISION", "AGE", "ORIGIN", "UID", "IMAGES"], *map(_row, found)]))
    return 0


def _row(each: dict[str, Any]) -> list[object]:
    images = ",".join(_image(container["image"]) for container in each["spec"]["containers"])
    return [each["revision"], age(each["at"]), each["origin"], each["uid"], images]


def _image(image: Any) -> str:
    return str(image.get("rootfs")) if isinstance(image, dict) else str(image)
