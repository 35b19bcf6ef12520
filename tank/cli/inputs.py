"""What `tank secret` and `tank config` have in common. Values come from files and standard input, never from arguments:
those every user of the machine can read (S37)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tank.cli.text import age, line, print_as, size, table, tell
from tank.client.wire import Endpoint, endpoint, quote
from tank.errors import Failed, InvalidSpec, NotFound

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    Verb = Callable[[Endpoint, argparse.Namespace], int]

INTERMIXED = True  # flags may stand between the verb and the names


def arguments(parser: argparse.ArgumentParser, verbs: tuple[str, ...], words: str) -> None:
    """The verb and what it takes."""
    parser.add_argument("verb", metavar="|".join(verbs), choices=verbs)
    parser.add_argument("words", metavar=words, nargs="*")
    parser.add_argument(
        "--from-file",
        action="append",
        metavar="KEY=PATH",
        help="set: the value of a key, '-' being standard input; may stand several times. Without it, standard input "
        "is the one key that is called as the whole",
    )
    parser.add_argument("--force", action="store_true", help="delete: also what a pod needs; what runs keeps it")


def run(kind: str, options: argparse.Namespace, more: Mapping[str, Verb]) -> int:
    """Do it."""
    shared: dict[str, Verb] = {
        "set": lambda daemon, given: _set(kind, daemon, given),
        "list": lambda daemon, given: _list(kind, daemon, given),
        "delete": lambda daemon, given: _delete(kind, daemon, given),
    }
    return {**shared, **more}[options.verb](endpoint(options.host), options)


def path(kind: str, name: str) -> str:
    """Of one of them."""
    return f"/v1/{kind}s/{quote(name)}"


def take(kind: str, options: argparse.Namespace, least: int, most: int) -> list[str]:
    """The words behind the verb. Raises InvalidSpec when there are too few or too many."""
    words: list[str] = options.words
    if not least <= len(words) <= most:
        wanted = "no name" if most == 0 else "a name" if most == 1 else "names"
        raise InvalidSpec((), f"tank {kind} {options.verb}: expected {wanted}, found {len(words)}")
    return words


def _set(kind: str, daemon: Endpoint, options: argparse.Namespace) -> int:
    import base64
    import json

    [name] = take(kind, options, 1, 1)
    found = dict(map(_from_file, options.from_file)) if options.from_file else {name: _typed(kind)}
    if options.from_file and len(found) != len(options.from_file):
        raise InvalidSpec((), f"tank {kind} set: a key stands twice")
    data = {key: base64.b64encode(value).decode() for key, value in found.items()}
    answer = daemon.json("PUT", path(kind, name), body=json.dumps({"data": data}).encode())
    if options.output in ("json", "yaml"):
        print_as(options.output, answer)
    else:
        print(line(answer["name"]))
    if users := answer["used_by"]:
        tell(f"used by {', '.join(users)}")
    return 0


def _from_file(said: str) -> tuple[str, bytes]:
    key, equals, file = said.partition("=")
    if not (key and equals and file):
        raise InvalidSpec((), "--from-file takes KEY=PATH")
    if file == "-":
        return key, sys.stdin.buffer.read()
    try:
        with open(file, "rb") as opened:
            return key, opened.read()
    except OSError as error:
        raise (NotFound if isinstance(error, FileNotFoundError) else Failed)(
            f"cannot read {file}: {error.strerror}"
        ) from error


def _typed(kind: str) -> bytes:
    """Standard input, every byte of it; at a terminal a secret is typed without being seen."""
    if kind == "secret" and sys.stdin.isatty():
        from getpass import getpass

        return getpass("value: ").encode()
    value = sys.stdin.buffer.read()
    if value.endswith(b"\n") and value.count(b"\n") == 1:
        tell("the value ends with a line end, which is part of it (printf %s makes none)")
    return value


def _list(kind: str, daemon: Endpoint, options: argparse.Namespace) -> int:
    take(kind, options, 0, 0)
    found = daemon.json("GET", f"/v1/{kind}s")
    if options.output in ("json", "yaml"):
        print_as(options.output, found)
    elif options.output == "name":
        sys.stdout.write("".join(f"{line(each['name'])}\n" for each in found))
    else:
        print(render(found, wide=options.output == "wide"))
    return 0


def render(found: list[dict[str, Any]], *, wide: bool = False) -> str:
    """The table. A pod that a rollback holds at an earlier version stands in brackets."""
    head = ["NAME", "KEYS", "SIZE", "CHANGED", "USED BY"] + (["VERSION"] if wide else [])
    return table([head, *(_row(each, wide) for each in found)])


def _row(each: dict[str, Any], wide: bool) -> list[object]:
    users = [f"({pod})" if pod in each["held_by"] else pod for pod in each["used_by"]]
    row = [each["name"], len(each["keys"]), size(sum(each["keys"].values())), age(each["at"]), ", ".join(users) or "-"]
    return row + ([each["version"]] if wide else [])


def _delete(kind: str, daemon: Endpoint, options: argparse.Namespace) -> int:
    for name in take(kind, options, 1, 100):
        daemon.json("DELETE", path(kind, name), {"force": options.force})
        print(line(name))
    return 0
