"""`tank secret VERB`: what containers are given and nobody is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tank.cli import inputs
from tank.cli.text import print_as

if TYPE_CHECKING:
    import argparse

    from tank.client.wire import Endpoint

INTERMIXED = inputs.INTERMIXED
KIND = "secret"


def add(parser: argparse.ArgumentParser) -> None:
    """The verb and what it takes."""
    inputs.arguments(parser, ("set", "list", "inspect", "delete"), "NAME")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    return inputs.run(KIND, options, {"inspect": _inspect})


def _inspect(daemon: Endpoint, options: argparse.Namespace) -> int:
    """Keys and sizes, and who uses it: there is no way to see a value."""
    [name] = inputs.take(KIND, options, 1, 1)
    print_as("json" if options.output == "json" else "yaml", daemon.json("GET", inputs.path(KIND, name)))
    return 0
