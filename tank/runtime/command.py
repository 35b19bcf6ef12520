"""What a container runs and with which environment: C7 and C8, as functions of values. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tank.model.image import ImageConfig
from tank.model.pod import Container

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_REFERENCE = re.compile(r"\$\$|\$\(([^()]*)\)")


def expand(text: str, known: Mapping[str, str]) -> str:
    """`$(NAME)` by its value, `$$` by `$`; an unknown name stays as it is (C7). No shell."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        return "$" if name is None else known.get(name, match.group(0))

    return _REFERENCE.sub(value, text)


def own_environment(container: Container) -> dict[str, str]:
    """The spec's variables in order; each may use those before it, never the image's (C7)."""
    known: dict[str, str] = {}
    for each in container.env:
        known[each.name] = expand(each.value or "", known)
    return known


def arguments(container: Container, image: ImageConfig) -> tuple[str, ...]:
    """The argument vector by C8's table. Empty: there is nothing to run."""
    known = own_environment(container)
    command = tuple(expand(each, known) for each in container.command)
    args = tuple(expand(each, known) for each in container.args)
    if command:
        return command + args
    return image.entrypoint + (args or image.cmd)


def environment(container: Container, image: ImageConfig, *, hostname: str, home: str) -> dict[str, str]:
    """The whole environment: Tank's, then the image's, then the spec's, each over the one before (C7)."""
    base = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname}
    if container.tty:
        base["TERM"] = "xterm"
    merged = base | dict(image.env) | own_environment(container)
    return merged if "HOME" in merged else merged | {"HOME": home}


def size(arguments: Iterable[str], environment: Mapping[str, str]) -> int:
    """Bytes that exec must carry over: strings, their ends, and a pointer each."""
    strings = (*arguments, *(f"{name}={value}" for name, value in environment.items()))
    return sum(len(each.encode(errors="surrogateescape")) + 9 for each in strings)
