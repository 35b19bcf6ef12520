"""`tank apply -f …`: create or replace pods, all or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tank.cli import documents, plan
from tank.cli.durations import duration
from tank.cli.text import line, print_as, tone
from tank.client.wire import endpoint
from tank.errors import Conflict

if TYPE_CHECKING:
    import argparse
    from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    """The documents, and how to go about it."""
    plan.add(parser)
    parser.add_argument("--wait", action="store_true", help="until every pod is ready or has succeeded")
    parser.add_argument("--timeout", type=duration, default=300.0, metavar="D", help="of --wait (5m)")
    parser.add_argument("--dry-run", action="store_true", help="print the plan, change nothing")
    parser.add_argument("--plan", metavar="TOKEN", help="only if the plan is still the one with this token")


def run(options: argparse.Namespace) -> int:
    """Apply, and wait if asked to."""
    if options.dry_run:
        return plan.run(options)
    daemon, read = endpoint(options.host), documents.Documents(options.files)
    try:
        query = {"plan": options.plan, "prune": plan.pruned(options), "losses": True}
        answered = read.send(daemon, "/v1/apply", query)
    except Conflict as error:
        if preview := getattr(error, "preview", None):
            plan.show(preview, options)
        raise
    documents.tell_losses(answered)
    found = answered["pods"]
    if options.output is None:
        for each in answered["inputs"]:
            print(f"{line(each)} stored", flush=True)
    if not options.wait:
        return show(found, options)
    from tank.cli.progress import wait

    if options.output is None:
        show(found, options)
    settled = wait(daemon, [pod["name"] for pod in found], "settled", options.timeout, color=options.color)
    return 0 if options.output is None else show(settled, options)


def show(pods: list[dict[str, Any]], options: argparse.Namespace, deed: str = "applied") -> int:
    """Say what was taken on."""
    if options.output in ("json", "yaml"):
        print_as(options.output, pods)
        return 0
    for pod in pods:
        name = line(pod["name"])
        bold = tone(name, "bold", options.color)
        print(name if options.output == "name" else f"{bold} {deed}, revision {pod['revision']}", flush=True)
    return 0
