"""`tank list`: the pods as a table, once or as they change."""

from __future__ import annotations

import sys

from tank.cli.text import age, line, phase_tone, print_as, table
from tank.client.wire import Endpoint, endpoint

TYPE_CHECKING = False  # true for a type checker
if TYPE_CHECKING:
    import argparse
    from typing import Any

HEAD = ["NAME", "STATUS", "READY", "RESTARTS", "AGE", "ADDRESSES", "IMAGE"]
WIDE = ["UID", "REVISION", "DIGEST", "PRIVILEGED"]
_TOP, _ERASE = "\x1b[H", "\x1b[J"


def add(parser: argparse.ArgumentParser) -> None:
    """The selector, and whether to go on."""
    parser.add_argument("-l", "--selector", metavar="SEL", help="only pods whose labels match: a=b,c!=d,e,!f")
    parser.add_argument("-w", "--watch", action="store_true", help="go on showing changes")


def run(options: argparse.Namespace) -> int:
    """Print the pods."""
    daemon = endpoint(options.host)
    if options.watch:
        return watch(daemon, options)
    show(daemon.json("GET", "/v1/pods", {"l": options.selector}), options)
    return 0


def show(pods: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Print statuses as the output flag says."""
    if options.output in ("json", "yaml"):
        print_as(options.output, pods)
    elif options.output == "name":
        sys.stdout.write("".join(f"{line(pod['name'])}\n" for pod in pods))
    else:
        print(render(pods, options.output == "wide", options.color))


def render(pods: list[dict[str, Any]], wide: bool = False, color: bool = False) -> str:
    """The table of pods."""
    rows = [row(pod, wide) for pod in pods]
    tones = [phase_tone(pod["phase"], pod.get("ready", False)) for pod in pods]
    return table([HEAD + WIDE if wide else HEAD, *rows], tones, color)


def row(pod: dict[str, Any], wide: bool = False) -> list[object]:
    """One pod's cells. What counts as ready are its containers and its sidecars; inits that are done do not."""
    containers = pod.get("containers") or []
    serving = [*(each for each in pod.get("init") or [] if each.get("sidecar")), *containers]
    ready = sum(1 for each in serving if each.get("ready"))
    restarts = sum(each.get("restarts", 0) for each in [*(pod.get("init") or []), *containers])
    addresses = ",".join(str(each["ip"]).partition("/")[0] for each in pod.get("addresses") or []) or "-"
    images = [each.get("image") or "-" for each in containers]
    image = ",".join(images) if wide or len(images) < 2 else f"{images[0]} +{len(images) - 1}"
    cells: list[object] = [pod["name"], pod.get("reason") or pod["phase"], f"{ready}/{len(serving)}", restarts]
    cells += [age(pod.get("created_at")), addresses, image]
    if wide:
        digests = ",".join((each.get("image_digest") or "-")[:19] for each in containers)
        everyone = [*(pod.get("init") or []), *containers]
        privileged = ",".join(each["name"] for each in everyone if each.get("privileged")) or "-"
        cells += [pod.get("uid", ""), pod.get("revision", ""), digests, privileged]
    return cells


def watch(daemon: Endpoint, options: argparse.Namespace) -> int:
    """Redraw on a terminal, with each heartbeat too, since ages grow; elsewhere, a line for each change."""
    pods: dict[str, dict[str, Any]] = {}
    redraw = sys.stdout.isatty() and options.output in (None, "table", "wide")
    if redraw:
        sys.stdout.write(_TOP + _ERASE)
    for change in daemon.lines("/v1/pods", {"l": options.selector, "watch": True}, heartbeats=redraw):
        if change and "gone" in change:
            pods.pop(change["gone"], None)
        elif change:
            pods[change["status"]["name"]] = change["status"]
        if redraw:
            _redraw([pods[name] for name in sorted(pods)], options)
        else:
            _print_change(change, options)
        sys.stdout.flush()
    return 0


def _redraw(pods: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """From the top, line over line, so that nothing flickers."""
    text = render(pods, options.output == "wide", options.color).replace("\n", "\x1b[K\n")
    sys.stdout.write(f"{_TOP}{text}\x1b[K\n{_ERASE}")


def _print_change(change: dict[str, Any], options: argparse.Namespace) -> None:
    if options.output in ("json", "yaml"):
        import json

        print(json.dumps(change))
    elif "gone" in change:
        print(f"{line(change['gone'])}  gone")
    elif options.output == "name":
        print(line(change["status"]["name"]))
    else:
        print("  ".join(line(cell) for cell in row(change["status"], options.output == "wide")))
