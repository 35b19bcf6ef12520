"""`tank info`: about the daemon and its machine."""

from __future__ import annotations

from tank.cli.text import line, print_as
from tank.client.wire import endpoint

TYPE_CHECKING = False  # true for a type checker
if TYPE_CHECKING:
    import argparse
    from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    """No flags of its own."""


def run(options: argparse.Namespace) -> int:
    """Print it, a line for each fact."""
    daemon = endpoint(options.host)
    found = daemon.json("GET", "/v1/info")
    if options.output in ("json", "yaml"):
        print_as(options.output, found)
        return 0
    facts = {"host": daemon.url, **found}
    width = max(len(name) for name in facts) + 1
    for name, value in facts.items():
        print(f"{line(name) + ':':<{width}} {line(_text(value))}")
    return 0


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(_text(each) for each in value) or "-"
    return "-" if value in (None, "") else str(value)
