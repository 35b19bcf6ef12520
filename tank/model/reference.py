"""Image references: `nginx:1.27`, `ghcr.io/acme/api@sha256:…`, `127.0.0.1:5000/x:1`.

The grammar is the one of Docker's distribution project. The first component is a registry only if it has a dot
or a colon, is `localhost`, or has a capital letter; anything else is a repository of docker.io, and a single
component there belongs to `library`. A registry has one spelling (`tank.model.registry`). Digests are `sha256:` and
64 lower-case hex digits, nothing else (S27). `parse` raises ValueError (`faults.Refused`): the caller knows where the
reference stood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tank.model import registry as registries
from tank.model.faults import Refused, quoted
from tank.model.registry import DEFAULT_REGISTRY

DEFAULT_TAG = "latest"
LONGEST_NAME = 255
_LONGEST = 4096  # of the whole text, however it spells its registry

DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
# Neither a port nor a tag follows. No two ways to read the same text, else a long one would take its square.
_FILES = re.compile(r"(oci|oci-archive|docker-archive|dir):(?:[./]|[0-9]*[^/0-9][^/]*/)", re.ASCII)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reference:
    """Which image, from which registry. `tag` and `digest` are None where the text had none."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        """The whole reference, nothing left to a default but the tag."""
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def target(self) -> str:
        """What to ask the registry for: the digest, else the tag, else `latest`."""
        return self.digest or self.tag or DEFAULT_TAG

    @property
    def default_pull(self) -> Literal["always", "if_missing"]:
        """The pull policy of a spec that names none (C6): a tag that is meant to move is asked for each time."""
        return "always" if self.digest is None and self.target == DEFAULT_TAG else "if_missing"

    def at(self, digest: str) -> Reference:
        """The same repository at exactly this digest. Raises ValueError."""
        return Reference(self.registry, self.repository, None, checked_digest(digest))

    def familiar(self) -> str:
        """The shortest text that means the same: `nginx:1.27` for docker.io/library/nginx:1.27."""
        text = str(self)
        for prefix in (f"{DEFAULT_REGISTRY}/library/", f"{DEFAULT_REGISTRY}/"):
            short = text.removeprefix(prefix)
            if short != text and _spells(short, self):
                return short
        return text


def checked_digest(digest: str) -> str:
    """The digest itself, once it is known to be safe as a file name (S27). Raises ValueError."""
    if DIGEST.fullmatch(digest) is None:
        raise Refused(f"{quoted(digest)} is not a digest of the form sha256: and 64 lower-case hex digits")
    return digest


def _spells(text: str, reference: Reference) -> bool:
    try:
        return parse(text) == reference
    except ValueError:
        return False


def parse(text: str) -> Reference:
    """The reference that `text` spells. Raises ValueError with a message that says which part is at fault."""
    if not text:
        raise Refused("an image reference cannot be empty")
    if len(text) > _LONGEST:  # what is below looks at the text several times
        raise Refused(f"an image reference has at most {_LONGEST} characters")
    if files := _FILES.match(text):
        hint = f"take it in with 'tank image load -f {text}', and use its name; 'tank image tag' gives it one"
        if files[1] == "dir":
            hint = "copy it to an OCI layout with skopeo, and take that in with 'tank image load -f oci:PATH'"
        raise Refused("an image in files is not a reference that a registry knows", hint)
    name, at, digest = text.partition("@")
    if at:
        checked_digest(digest)
    name, tag = _split_tag(name)
    registry, repository = _split_registry(name)
    _check_repository(repository, text)
    reference = Reference(registry, repository, tag, digest or None)
    if len(reference.name) > LONGEST_NAME:
        raise Refused(f"an image name has at most {LONGEST_NAME} characters")
    return reference


def _split_tag(name: str) -> tuple[str, str | None]:
    """A colon after the last slash starts the tag; one before it belongs to a port."""
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return name, None
    if _TAG.fullmatch(tag) is None:
        raise Refused(f"{quoted(tag)} is not a tag: letters, digits, '_', '.' and '-', at most 128")
    return head, tag


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not registries.is_host(first):
        return DEFAULT_REGISTRY, name if slash else f"library/{name}"
    registry = registries.canonical(first)
    if registry == DEFAULT_REGISTRY and "/" not in rest:
        rest = f"library/{rest}"
    return registry, rest


def _check_repository(repository: str, text: str) -> None:
    for component in repository.removeprefix("library/").split("/"):
        if _COMPONENT.fullmatch(component) is None:
            hint = f"did you mean '{text.lower()}'?" if _COMPONENT.fullmatch(component.lower()) else ""
            wanted = "lower-case letters and digits, joined by '.', '_', '__' or '-'"
            raise Refused(f"{quoted(component)} cannot be part of an image's name: {wanted}", hint)
    if re.fullmatch(r"library/[0-9a-f]{64}", repository):
        raise Refused("64 hex digits are an image id, not a name")
