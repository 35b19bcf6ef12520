"""`tank volume VERB`: managed volumes, who uses them, archives of them. The only command that removes data."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tank.cli.opening import opened
from tank.cli.text import line, print_as, size, table, tell
from tank.client.wire import Endpoint, endpoint, quote
from tank.errors import InvalidSpec

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

WHO = "VOLUME"
INTERMIXED = True  # flags may stand between the verb and the names
_PIECE = 256 * 1024


def add(parser: argparse.ArgumentParser) -> None:
    """The verb and what it takes."""
    parser.add_argument("verb", metavar="|".join(_VERBS), choices=tuple(_VERBS))
    parser.add_argument("names", metavar=WHO, nargs="*", help="volumes; list takes none")
    parser.add_argument("-f", "--file", metavar="FILE", help="export, import: the archive; else a standard stream")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    return _VERBS[options.verb](endpoint(options.host), options)


def _list(daemon: Endpoint, options: argparse.Namespace) -> int:
    _take(options, 0)
    found = daemon.json("GET", "/v1/volumes", timeout=None)
    if options.output in ("json", "yaml"):
        print_as(options.output, found)
    elif options.output == "name":
        sys.stdout.write("".join(f"{line(each['name'])}\n" for each in found))
    else:
        print(render(found, wide=options.output == "wide"))
    return 0


def render(volumes: list[dict[str, Any]], *, wide: bool = False) -> str:
    """The table of volumes. Who still has one mounted and names it no more stands in brackets."""
    head = ["NAME", "SIZE", "FILES", "USED BY"] + (["OWNER", "MODE", "PATH"] if wide else [])
    return table([head, *(_row(each, wide) for each in volumes)])


def _row(each: dict[str, Any], wide: bool) -> list[object]:
    users = [*each["used_by"], *(f"({pod})" for pod in each["mounted_by"] if pod not in each["used_by"])]
    more = [f"{each['owner']}:{each['group']}", each["mode"], each["path"]] if wide else []
    return [each["name"], size(each["size"]), each["entries"], ", ".join(users) or "-", *more]


def _inspect(daemon: Endpoint, options: argparse.Namespace) -> int:
    [name] = _take(options, 1)
    print_as("json" if options.output == "json" else "yaml", daemon.json("GET", _path(name), timeout=None))
    return 0


def _delete(daemon: Endpoint, options: argparse.Namespace) -> int:
    for name in _take(options, 1, most=100):
        found = daemon.json("DELETE", _path(name), timeout=None)
        print(f"removed {line(name)}")
        tell(f"{size(found['size'])} become free")
    return 0


def _export(daemon: Endpoint, options: argparse.Namespace) -> int:
    [name] = _take(options, 1)
    if not options.file and sys.stdout.isatty():
        raise InvalidSpec((), "tank volume export: an archive is nothing for a terminal; say -f FILE")
    with daemon.open("GET", f"{_path(name)}/export", timeout=None) as answer, opened(options.file, "wb") as file:
        for piece in answer.chunks():
            file.write(piece)
    return 0


def _import(daemon: Endpoint, options: argparse.Namespace) -> int:
    [name] = _take(options, 1)
    with opened(options.file, "rb") as file:
        found = daemon.upload(f"{_path(name)}/import", {}, iter(lambda: file.read(_PIECE), b""))
    print(f"imported {line(found['name'])}")
    return 0


def _path(name: str) -> str:
    return f"/v1/volumes/{quote(name)}"


def _take(options: argparse.Namespace, count: int, *, most: int = 0) -> list[str]:
    """The names behind the verb. Raises InvalidSpec when there are too few or too many."""
    names: list[str] = options.names
    if not count <= len(names) <= max(count, most):
        wanted = ("no name", f"one {WHO}")[count] + (" or more" if most else "")
        raise InvalidSpec((), f"tank volume {options.verb}: expected {wanted}, found {len(names)}")
    if any(not name for name in names):
        raise InvalidSpec((), f"tank volume {options.verb}: a name cannot be empty")
    return names


_VERBS: dict[str, Callable[[Endpoint, argparse.Namespace], int]] = {
    "list": _list,
    "inspect": _inspect,
    "delete": _delete,
    "export": _export,
    "import": _import,
}
