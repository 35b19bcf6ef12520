"""`tank import FILE…`: Kubernetes documents as Tank's own, and on standard error what is lost. Changes nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tank.cli import documents
from tank.cli.text import print_as, tell
from tank.cli.yamltext import yaml
from tank.client.wire import endpoint

if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """The documents."""
    parser.add_argument("files", nargs="+", metavar="FILE|DIR|URL|-", help="Kubernetes documents in YAML or JSON")


def run(options: argparse.Namespace) -> int:
    """Print the specs, as YAML documents unless asked otherwise."""
    found = documents.Documents(options.files).send(endpoint(options.host), "/v1/import", {})
    documents.tell_losses(found)
    for each in found["inputs"]:
        kind, _, name = each.partition("/")
        tell(f"{kind} {name}: not printed; 'tank apply -f' of the document stores it")
    if options.output == "json":
        print_as("json", found["pods"])
    elif options.output == "name":
        sys.stdout.write("".join(f"{pod['name']}\n" for pod in found["pods"]))
    else:
        sys.stdout.write("---\n".join(yaml(pod) for pod in found["pods"]))
    return 0
