"""`[registries."HOST"]` of the configuration: how one registry is spoken to. By the one spelling of its host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tank.model import registry
from tank.model.container_fields import PATH
from tank.model.faults import BAD, Refused, Spot, quoted
from tank.model.grammar import Field, ListOf, MapOf, Record, Scalar, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """How to talk to one registry host. `cert` and `key`: who we are to it, in PEM (mutual TLS)."""

    mirrors: tuple[str, ...] = ()  # host, and what stands in front of the repository there; asked in this order
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    username: str | None = None
    password_file: Path | None = None


def registries(draft: Mapping[str, Any], spot: Spot) -> dict[str, Registry] | None:
    """The registries that were read; what their fields say together is checked here."""
    found: dict[str, Registry] = {}
    for host, each in draft.items():
        name = _spelt(host)
        if each is BAD or name is None:
            continue
        if name in found:
            spot.at(host).fault(f"{quoted(name)} is given twice", key=True)
        if ("username" in each) != ("password_file" in each):
            spot.at(host).fault("username and password_file belong together")
        if ("cert" in each) != ("key" in each):
            spot.at(host).fault("cert and key belong together")
        paths = {key: Path(value) for key, value in each.items() if key not in ("username", "mirrors")}
        mirrors = tuple(value for value in each.get("mirrors", ()) if value is not BAD)
        found[name] = Registry(username=each.get("username"), mirrors=mirrors, **paths)
    return found or None


def _host(value: str) -> str:
    """As written: what is at fault below it is told where it stands."""
    registry.canonical(value)
    return value


def _spelt(host: str) -> str | None:
    """Its one spelling; None for what is no host, which has been told."""
    try:
        return registry.canonical(host)
    except Refused:
        return None


def _mirror(value: str) -> str:
    if value.startswith("http://"):
        hint = "write a loopback host without its scheme: that it has no TLS is found out"
        raise Refused(f"{quoted(value)}: plain HTTP is spoken to this machine alone", hint)
    plain = value.removeprefix("https://")
    host, slash, prefix = (plain if plain == value else plain.rstrip("/")).partition("/")
    if slash and not re.fullmatch(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*", prefix):
        raise Refused(f"{quoted(prefix)} cannot stand in front of a repository's name")
    return registry.canonical(host) + slash + prefix


_REGISTRY = Record(
    "a registry",
    {
        "mirrors": Field(ListOf(text(_mirror)), "Hosts to ask first, each as [https://]host[:port][/prefix]."),
        "ca": Field(PATH, "Certificates to trust for this host."),
        "cert": Field(PATH, "Our own certificate for this host. With key."),
        "key": Field(PATH, "Its private key."),
        "username": Field(Scalar((str,), str, {"type": "string"}), "With password_file."),
        "password_file": Field(PATH, "A file that holds the password."),
    },
    foreign={"password": "password_file", "user": "username", "ca_file": "ca"},
)
REGISTRIES = MapOf(_host, _REGISTRY)
