"""`tank schema`: the JSON Schema of pod files, for editors. It needs no daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tank.cli.text import print_as

if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """No flags of its own."""


def run(options: argparse.Namespace) -> int:
    """Print it."""
    from tank.model.schema import json_schema

    print_as("yaml" if options.output == "yaml" else "json", json_schema())
    return 0
