"""`tank network VERB`: pools of addresses with what is handed out of them, and who reaches whom."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tank.cli.text import line, print_as, table, tell
from tank.client.wire import Endpoint, endpoint, quote
from tank.errors import InvalidSpec

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

WHO = "NAME"
INTERMIXED = True  # flags may stand between the verb and the names


def add(parser: argparse.ArgumentParser) -> None:
    """The verb and what it takes."""
    parser.add_argument("verb", metavar="|".join(_VERBS), choices=tuple(_VERBS))
    parser.add_argument("names", metavar=WHO, nargs="*", help="inspect: a pool; check: a pod, else all; list: none")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    return _VERBS[options.verb](endpoint(options.host), options)


def _list(daemon: Endpoint, options: argparse.Namespace) -> int:
    _take(options, 0, 0)
    found = daemon.json("GET", "/v1/networks")
    if options.output in ("json", "yaml"):
        print_as(options.output, found)
    elif options.output == "name":
        sys.stdout.write("".join(f"{line(each['name'])}\n" for each in found))
    else:
        print(render(found, wide=options.output == "wide"))
    for each in found:
        for fault in each["faults"]:
            tell(f"{each['name']}: {fault}")
    return 0


def render(networks: list[dict[str, Any]], *, wide: bool = False) -> str:
    """The table of pools."""
    head = ["NAME", "MODE", "PARENT", "SUBNET", "USED", "FREE", "STATE", "PODS"] + (["GATEWAY"] if wide else [])
    return table([head, *(_row(each, wide) for each in networks)])


def _row(each: dict[str, Any], wide: bool) -> list[object]:
    free = "many" if each["free"] is None and each["subnets"] else each["free"]
    pods = ", ".join(each["pods"]) if wide else len(each["pods"])
    more = [_or_dash(each["gateways"])] if wide else []
    known = [each["name"], each["mode"], each["parent"], _or_dash(each["subnets"])]
    return [*known, each["used"], "-" if free is None else free, each["state"], pods or ("-" if wide else 0), *more]


def _or_dash(words: list[str]) -> str:
    return ", ".join(words) or "-"


def _inspect(daemon: Endpoint, options: argparse.Namespace) -> int:
    [name] = _take(options, 1, 1)
    print_as("json" if options.output == "json" else "yaml", daemon.json("GET", f"/v1/networks/{quote(name)}"))
    return 0


def _check(daemon: Endpoint, options: argparse.Namespace) -> int:
    """1 when something does not get through that should, or something does that should not."""
    names = _take(options, 0, 1)
    query = {"pod": names[0]} if names else {}
    found = daemon.json("POST", "/v1/networks/check", query, timeout=None)
    if options.output in ("json", "yaml"):
        print_as(options.output, found)
    elif found:
        print(reached(found))
    else:
        tell("no pod has a network of its own: there is nothing to try")
    return 0 if all(each["good"] for each in found) else 1


def reached(found: list[dict[str, Any]]) -> str:
    """The table of what was tried."""
    rows = [["POD", "FROM", "TO", "WHAT", "RESULT", "VERDICT"]]
    for each in found:
        result = each["state"] + (f" ({each['message']})" if each["message"] else "")
        verdict = "-" if each["wanted"] is None else "ok" if each["good"] else "WRONG"
        if each["wanted"] is False:
            verdict += ", to be closed"
        rows.append([each["pod"], each["source"], each["target"], each["what"], result, verdict])
    return table(rows)


def _take(options: argparse.Namespace, least: int, most: int) -> list[str]:
    """The names behind the verb. Raises InvalidSpec when there are too few or too many."""
    names: list[str] = options.names
    if not least <= len(names) <= most or not all(names):
        wanted = "no name" if not most else "one name" if least else "at most one name"
        raise InvalidSpec((), f"tank network {options.verb}: expected {wanted}, found {len(names)}")
    return names


_VERBS: dict[str, Callable[[Endpoint, argparse.Namespace], int]] = {
    "list": _list,
    "inspect": _inspect,
    "check": _check,
}
