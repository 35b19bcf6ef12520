"""`[[trust]]` of the configuration: which images are let in, as rules in the order of the file.

A rule fits by registry and repository, as `tank.model.reference` writes them whole: `docker.io/library/nginx`, or
`docker.io/nginx` for short. `*` stands for anything, slashes included, and a rule fits all that lies below its
match: `ghcr.io/acme` fits `ghcr.io/acme/team/api` and not `ghcr.io/acmeevil/api`. In the host `*` ends at the slash, so
that no repository passes for a host. It fits however the host is written, since both sides have its one spelling
(`tank.model.registry`). The first rule that fits decides; an image that none fits is accepted, unless a last rule `*`
says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tank.model import registry
from tank.model.container_fields import PATH
from tank.model.faults import BAD, Refused, Spot, quoted
from tank.model.grammar import Field, Record, choice, text
from tank.model.reference import Reference

_HOSTS = re.compile(r"[A-Za-z0-9.:*\[\]-]*\*[A-Za-z0-9.:*\[\]-]*", re.ASCII)  # many at once
_REPOSITORY = re.compile(r"[a-z0-9._/*-]+", re.ASCII)
_LIBRARY = "docker.io/library/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What is done with the images that fit `match`. `policy`: accept, reject or signed."""

    match: str
    policy: str
    key: Path | None = None  # for signed: the public key, in PEM

    def fits(self, reference: Reference) -> bool:
        """Whether this rule speaks of the image."""
        name = reference.name
        long = f"{registry.with_port(reference.registry)}/{reference.repository}"
        pattern = _pattern(self.match)
        return any(pattern.fullmatch(each) for each in (name, long, name.replace(_LIBRARY, "docker.io/", 1)))


def _pattern(match: str) -> re.Pattern[str]:
    host, slash, rest = match.rstrip("/").partition("/")
    return re.compile(f"{_stars(host, '[^/]*')}{slash}{_stars(rest, '.*')}(/.*)?", re.DOTALL)


def _stars(text: str, anything: str) -> str:
    return anything.join(re.escape(part) for part in text.split("*"))


def rule_for(rules: Sequence[Trust], reference: Reference) -> Trust | None:
    """The rule that decides; None: nothing speaks of this image, and it is accepted."""
    return next((each for each in rules if each.fits(reference)), None)


def _match(value: str) -> str:
    """A pattern that begins with the registry, so that none is meant that it does not fit."""
    host, slash, rest = value.partition("/")
    if not slash or _REPOSITORY.fullmatch(rest):
        if _HOSTS.fullmatch(host):
            return re.sub(r":0+(?=[0-9]+$)", ":", host.lower()) + slash + rest
        if registry.is_host(host):
            return registry.canonical(host) + slash + rest
    hint = "such as 'ghcr.io/acme/*'; Docker Hub's begin with docker.io/"
    raise Refused(f"{quoted(value)} is not a registry and a repository", hint)


TRUST = Record(
    "a trust rule",
    {
        "match": Field(
            text(_match), "Registry and repository; * is anything, and all that lies below fits.", required=True
        ),
        "policy": Field(choice("accept", "reject", "signed"), "What is done with these images.", required=True),
        "key": Field(PATH, "For signed: the public key that their signatures must fit, in PEM."),
    },
    foreign={"registry": "match", "repository": "match", "type": "policy", "keyPath": "key", "key_path": "key"},
)


def rules(draft: Sequence[Any], spot: Spot) -> tuple[Trust, ...]:
    """The rules that were read; what they say together is checked here."""
    found: list[Trust] = []
    for index, each in enumerate(draft):
        if each is BAD or "match" not in each or "policy" not in each:
            continue
        has_key = "key" in each or spot.at(index, "key").faulty
        if (each["policy"] == "signed") != has_key:
            spot.at(index).fault("policy signed needs a key, and no other policy has one")
        key = Path(each["key"]) if "key" in each else None
        found.append(Trust(match=each["match"], policy=each["policy"], key=key))
    return tuple(found)
