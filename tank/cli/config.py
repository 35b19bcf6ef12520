"""`tank config VERB`: what containers are given and anybody may see."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tank.cli import inputs
from tank.cli.text import print_as
from tank.errors import NotFound

if TYPE_CHECKING:
    import argparse

    from tank.client.wire import Endpoint

INTERMIXED = inputs.INTERMIXED
KIND = "config"


def add(parser: argparse.ArgumentParser) -> None:
    """The verb and what it takes."""
    inputs.arguments(parser, ("set", "list", "get", "delete"), "NAME")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    return inputs.run(KIND, options, {"get": _get})


def _get(daemon: Endpoint, options: argparse.Namespace) -> int:
    """One value as it is, byte by byte; without a key, all of them as YAML."""
    import base64

    name, *keys = inputs.take(KIND, options, 1, 2)
    found = daemon.json("GET", inputs.path(KIND, name))
    if options.output in ("json", "yaml") and not keys:
        print_as(options.output, found)
        return 0
    values = {key: base64.b64decode(value) for key, value in found["data"].items()}
    if not keys:
        print_as("yaml", {key: value.decode(errors="replace") for key, value in values.items()})
        return 0
    if keys[0] not in values:
        raise NotFound(f"config {name} has no key {keys[0]!r}")
    sys.stdout.buffer.write(values[keys[0]])
    sys.stdout.buffer.flush()
    return 0
