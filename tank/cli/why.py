"""`tank why NAME`: one causal answer."""

from __future__ import annotations

from tank.cli.text import line, print_as
from tank.client.wire import endpoint, quote

TYPE_CHECKING = False  # true for a type checker
if TYPE_CHECKING:
    import argparse
    from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    """The pod."""
    parser.add_argument("name", metavar="NAME")


def run(options: argparse.Namespace) -> int:
    """Print the answer."""
    found = endpoint(options.host).json("GET", f"/v1/pods/{quote(options.name)}/why")
    if options.output in ("json", "yaml"):
        print_as(options.output, found)
    else:
        print(render(found))
    return 0


def render(found: dict[str, Any]) -> str:
    """What it is, the evidence, and what comes next."""
    lines = [f"{line(found['name'])}: {line(found['summary'])}"]
    lines += [f"  because {line(each)}" for each in found.get("because", ())]
    if found.get("next"):
        at = f" (at {line(found['at'])})" if found.get("at") else ""
        lines.append(f"  next: {line(found['next'])}{at}")
    return "\n".join(lines)
