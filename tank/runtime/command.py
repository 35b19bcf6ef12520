"""What a container runs and with which environment: C7 and C8, as functions of values. Pure.

An error names a variable, a secret and a key, and never quotes a value (S37).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from tank.errors import Waiting
from tank.model.downward import Capacity, fact
from tank.model.faults import Refused
from tank.model.image import ImageConfig
from tank.model.inputs import EnvFrom, EnvSource
from tank.model.launch import Launch
from tank.model.pod import Container, EnvVar
from tank.model.uses import chosen, given_key, words
from tank.model.words import env_name

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
REASON = "CreateContainerConfigError"

_REFERENCE = re.compile(r"\$\$|\$\(([^()]*)\)")


def expand(text: str, known: Mapping[str, str]) -> str:
    """`$(NAME)` by its value, `$$` by `$`; an unknown name stays as it is (C7). No shell."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        return "$" if name is None else known.get(name, match.group(0))

    return _REFERENCE.sub(value, text)


def own_environment(launch: Launch, capacity: Capacity) -> dict[str, str]:
    """The spec's variables: those of `env_from` in order, then `env` in order, the last of a name winning (C7).

    A written value may use those before it, never the image's; a value from elsewhere is not expanded. Raises Waiting
    when a secret or config, or a key of one, is missing and not optional.
    """
    known: dict[str, str] = {}
    for source in launch.container.env_from:
        known.update(_usable(source, _held(launch, given_key(source), source.optional, "env_from")))
    for each in launch.container.env:
        value = expand(each.value or "", known) if each.source is None else _found(each, each.source, launch, capacity)
        if value is not None:
            known[each.name] = value
    return known


def unusable(launch: Launch) -> tuple[str, ...]:
    """The keys that `env_from` passes over, in words: what no variable can be called, or is no text (C7)."""
    told = []
    for source in launch.container.env_from:
        key = given_key(source)
        held = launch.inputs.get(key, {})
        taken = {name.removeprefix(source.prefix) for name, _ in _usable(source, held)}
        told += [f"{name!r} of {words(key)}" for name in sorted(held.keys() - taken)]
    return tuple(told)


def _held(launch: Launch, key: str, optional: bool, what: str) -> Mapping[str, bytes]:
    found = launch.inputs.get(key)
    if found is None and not optional:
        raise Waiting(REASON, f"cannot set {what}: there is no {words(key)}")
    return found or {}


def _usable(source: EnvFrom, held: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    for key in sorted(held):
        value = _text(held[key])
        if value is not None and _is_name(f"{source.prefix}{key}"):
            yield f"{source.prefix}{key}", value


def _found(variable: EnvVar, source: EnvSource, launch: Launch, capacity: Capacity) -> str | None:
    """The value of one variable from elsewhere; None: it is left out."""
    wanted = chosen(source)
    if wanted is None:
        return fact(source, launch, capacity)
    key = given_key(source)
    held = _held(launch, key, wanted.optional, variable.name)
    if wanted.key not in held:
        if wanted.optional:
            return None
        raise Waiting(REASON, f"cannot set {variable.name}: {words(key)} has no key {wanted.key!r}")
    value = _text(held[wanted.key])
    if value is None:
        raise Waiting(REASON, f"cannot set {variable.name}: key {wanted.key!r} of {words(key)} is no text")
    return value


def _text(value: bytes) -> str | None:
    """As a variable can hold it: UTF-8 without a zero byte."""
    try:
        return None if b"\0" in value else value.decode()
    except UnicodeDecodeError:
        return None


def _is_name(text: str) -> bool:
    try:
        return bool(env_name(text))
    except Refused:
        return False


def arguments(container: Container, image: ImageConfig, own: Mapping[str, str]) -> tuple[str, ...]:
    """The argument vector by C8's table, `own` being the spec's variables. Empty: there is nothing to run."""
    command = tuple(expand(each, own) for each in container.command)
    args = tuple(expand(each, own) for each in container.args)
    if command:
        return command + args
    return image.entrypoint + (args or image.cmd)


def environment(
    container: Container, image: ImageConfig, own: Mapping[str, str], *, hostname: str, home: str
) -> dict[str, str]:
    """The whole environment: Tank's, then the image's, then the spec's, each over the one before (C7)."""
    base = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname}
    if container.tty:
        base["TERM"] = "xterm"
    merged = base | dict(image.env) | dict(own)
    return merged if "HOME" in merged else merged | {"HOME": home}


def size(arguments: Iterable[str], environment: Mapping[str, str]) -> int:
    """Bytes that exec must carry over: strings, their ends, and a pointer each."""
    strings = (*arguments, *(f"{name}={value}" for name, value in environment.items()))
    return sum(len(each.encode(errors="surrogateescape")) + 9 for each in strings)
