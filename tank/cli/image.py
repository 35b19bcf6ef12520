"""`tank image VERB`: what is here and who uses it; pulling, removing, archives, passwords of registries."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from tank.cli.opening import opened
from tank.cli.text import age, line, print_as, size, table, tell
from tank.client import archives, image_calls
from tank.client.wire import Endpoint, endpoint
from tank.errors import InvalidSpec

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

WHO = "REFERENCE"
INTERMIXED = True  # flags may stand between the verb and the names
_PIECE = 256 * 1024


def add(parser: argparse.ArgumentParser) -> None:
    """The verb and what it takes."""
    verbs = "|".join(_VERBS)
    parser.add_argument("verb", metavar=verbs, choices=tuple(_VERBS))
    parser.add_argument("names", metavar=WHO, nargs="*", help="images, or a registry; see 'tank help image'")
    parser.add_argument("--all", action="store_true", help="prune: all that no pod needs, also with a name")
    parser.add_argument("--policy", choices=("always", "if_missing", "prefer_fresh"), default="always", help="pull")
    parser.add_argument("-f", "--file", metavar="FILE", help="load, save: FILE or oci:PATH; else a stream")
    parser.add_argument("--format", choices=("oci", "docker"), default="oci", help="save: of the archive")
    parser.add_argument("-u", "--username", metavar="USER", help="login: who; asked for otherwise")
    parser.add_argument("--password-stdin", action="store_true", help="login: read the password from standard input")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    return _VERBS[options.verb](endpoint(options.host), options)


def _list(daemon: Endpoint, options: argparse.Namespace) -> int:
    _take(options, 0)
    found = daemon.json("GET", "/v1/images")
    if options.output in ("json", "yaml"):
        print_as(options.output, found)
    elif options.output == "name":
        sys.stdout.write("".join(f"{line(_name(each))}\n" for each in found))
    else:
        print(render(found, wide=options.output == "wide"))
    return 0


def render(images: list[dict[str, Any]], *, wide: bool = False) -> str:
    """The table of images. Who needs one only for a rollback stands in brackets."""
    head = ["REFERENCE", "DIGEST", "SIZE", "DISK", "USED", "USED BY"] + (["UNIQUE"] if wide else [])
    return table([head, *(row for each in images for row in _rows(each, wide))])


def _rows(each: dict[str, Any], wide: bool) -> list[list[object]]:
    users = [*each["used_by"], *(f"({pod})" for pod in each["previous_of"] if pod not in each["used_by"])]
    digest = each["digest"] if wide else each["digest"][:19]
    rest = [digest, size(each["size"]), size(each["disk"]), age(each["used_at"]), ", ".join(users) or "-"]
    rest += [size(each["unique"])] if wide else []
    return [[name, *rest] for name in each["references"] or ["-"]]


def _name(each: dict[str, Any]) -> str:
    return str(each["references"][0] if each["references"] else each["digest"])


def _inspect(daemon: Endpoint, options: argparse.Namespace) -> int:
    [name] = _take(options, 1)
    print_as("json" if options.output == "json" else "yaml", daemon.json("GET", "/v1/images/inspect", _of(name)))
    return 0


def _pull(daemon: Endpoint, options: argparse.Namespace) -> int:
    from tank.cli.pulling import pull

    for name in _take(options, 1, most=100):
        image = pull(daemon, name, options.policy)
        if options.output in ("json", "yaml"):
            print_as(options.output, image)
        else:
            print(line(image["digest"]))
    return 0


def _delete(daemon: Endpoint, options: argparse.Namespace) -> int:
    for name in _take(options, 1, most=100):
        _tell_removed(daemon.json("DELETE", "/v1/images", _of(name)))
    return 0


def _prune(daemon: Endpoint, options: argparse.Namespace) -> int:
    _take(options, 0)
    _tell_removed(daemon.json("POST", "/v1/images/prune", {"all": options.all}))
    return 0


def _tell_removed(found: dict[str, Any]) -> None:
    for each in (*found["references"], *found["images"]):
        print(f"removed {line(each)}")
    if found["freed"]:
        tell(f"{size(found['freed'])} become free")


def _load(daemon: Endpoint, options: argparse.Namespace) -> int:
    _take(options, 0)
    place, name = archives.located(options.file or "-")
    if os.path.isdir(place):
        with archives.reading(place) as pieces:
            found = daemon.upload("/v1/images/load", image_calls.named(name), pieces)
    else:
        with opened(place, "rb") as file:
            pieces = iter(lambda: file.read(_PIECE), b"")
            found = daemon.upload("/v1/images/load", image_calls.named(name), pieces)
    for each in found:
        print(f"loaded {line(_name(each))}")
    return 0


def _save(daemon: Endpoint, options: argparse.Namespace) -> int:
    names = _take(options, 1, most=100)
    if not options.file and sys.stdout.isatty():
        raise InvalidSpec((), "tank image save: an archive is nothing for a terminal; say -f FILE")
    query = {"reference": names, "format": options.format}
    with daemon.open("GET", "/v1/images/save", query, timeout=None) as answer, opened(options.file, "wb") as file:
        for piece in answer.chunks():
            file.write(piece)
    return 0


def _tag(daemon: Endpoint, options: argparse.Namespace) -> int:
    name, target = _take(options, 2)
    daemon.json("POST", "/v1/images/tag", {**_of(name), "target": target})
    return 0


def _login(daemon: Endpoint, options: argparse.Namespace) -> int:
    import json

    [registry] = _take(options, 1)
    username, password = _who(registry, options.username, options.password_stdin)
    said = {"registry": registry, "username": username, "password": password}
    daemon.json("POST", "/v1/images/login", body=json.dumps(said).encode())
    tell(f"{registry} takes the password, and it is kept")
    return 0


def _who(registry: str, username: str | None, from_stdin: bool) -> tuple[str, str]:
    """User and password: from a pipe the password alone, or typed, the password without being seen."""
    if from_stdin:
        if not username:
            raise InvalidSpec((), "--password-stdin needs -u USER: standard input is the password and nothing else")
        return username, sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise InvalidSpec((), "a password is typed at a terminal; from a pipe it comes with -u USER --password-stdin")
    from getpass import getpass

    try:
        return username or input(f"user of {line(registry)}: "), getpass("password: ")
    except EOFError as error:
        raise InvalidSpec((), "cannot log in: the input ended before user and password") from error


def _logout(daemon: Endpoint, options: argparse.Namespace) -> int:
    [registry] = _take(options, 1)
    daemon.json("POST", "/v1/images/logout", {"registry": registry})
    return 0


def _of(name: str) -> dict[str, object]:
    return {"reference": name}


def _take(options: argparse.Namespace, count: int, *, most: int = 0) -> list[str]:
    """The names behind the verb. Raises InvalidSpec when there are too few or too many."""
    names: list[str] = options.names
    if not count <= len(names) <= max(count, most):
        wanted = ("no name", f"one {WHO}", "two names")[count] + (" or more" if most else "")
        raise InvalidSpec((), f"tank image {options.verb}: expected {wanted}, found {len(names)}")
    return names


_VERBS: dict[str, Callable[[Endpoint, argparse.Namespace], int]] = {
    "pull": _pull,
    "list": _list,
    "inspect": _inspect,
    "delete": _delete,
    "prune": _prune,
    "load": _load,
    "save": _save,
    "tag": _tag,
    "login": _login,
    "logout": _logout,
}
