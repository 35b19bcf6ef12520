"""`tank diff NAME [REV]`: what changed in the spec since a revision. Exit 0: nothing, 1: something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tank.cli.durations import whole
from tank.cli.text import line, print_as, tell, tone
from tank.client.wire import endpoint, quote
from tank.errors import NotFound
from tank.model.differences import differences

if TYPE_CHECKING:
    import argparse

DIFFERS = 1


def add(parser: argparse.ArgumentParser) -> None:
    """Which, since when."""
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("revision", metavar="REV", nargs="?", type=whole, help="else the one before the current")


def run(options: argparse.Namespace) -> int:
    """Print every field that differs between that revision and the current one."""
    history = endpoint(options.host).json("GET", f"/v1/pods/{quote(options.name)}/history")
    new, old = history[0], _earlier(history, options)
    found = differences(old["spec"], new["spec"])
    if options.output in ("json", "yaml"):
        print_as(options.output, [{"path": path, "before": before, "after": after} for path, before, after in found])
    elif found:
        print(f"--- {line(options.name)} revision {old['revision']}")
        print(f"+++ {line(options.name)} revision {new['revision']}")
        for path, before, after in found:
            _print("-", path, before, "red", options.color)
            _print("+", path, after, "green", options.color)
    else:
        tell(f"revision {old['revision']} is the same")
    return DIFFERS if found else 0


def _earlier(history: list[dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    if options.revision is None and len(history) > 1:
        return history[1]
    for each in history:
        if each["revision"] == options.revision:
            return each
    what = "earlier revision" if options.revision is None else f"revision {options.revision}"
    raise NotFound(f"pod {options.name} has no {what}")


def _print(sign: str, path: str, value: Any, shade: str, color: bool) -> None:
    if value is not None:
        import json

        text = value if isinstance(value, str) else json.dumps(value)
        print(tone(f"{sign} {line(path)}: {line(text)}", shade, color))
