"""`tank export NAME --kube`: a pod as a Kubernetes Pod, and on standard error what Kubernetes will not read of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tank.cli import documents
from tank.cli.text import print_as
from tank.client.wire import endpoint, quote

if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """The pod, and as what."""
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--kube", action="store_true", required=True, help="as a Kubernetes Pod")


def run(options: argparse.Namespace) -> int:
    """Print the document."""
    found = endpoint(options.host).json("GET", f"/v1/pods/{quote(options.name)}/kube")
    documents.tell_losses(found)
    print_as("json" if options.output == "json" else "yaml", found["document"])
    return 0
