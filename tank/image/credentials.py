"""Who we are to a registry: from `tank.toml`, Podman's and Docker's own files.

A file maps prefixes of references to secrets. The longest prefix wins, then the file that comes first; every
match is a candidate, tried in order (C6). A secret is read when it is needed and never kept, printed or put into
a message. Programs that other tools would ask for secrets ("credential helpers") are not run; that one would be
needed is said when the registry refuses us.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tank.model import registry
from tank.model.reference import Reference
from tank.model.registry_fields import Registry

_LARGEST_FILE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One way to be known. `identity` is an OAuth2 refresh token, `bearer` a ready token; `origin` is for messages."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)
    bearer: str = field(default="", repr=False)
    origin: str = ""

    @property
    def basic(self) -> str:
        """The value of an Authorization header; empty when there is no user and password."""
        if not (self.username and self.password):
            return ""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that must not show, in each form in which it travels."""
        forms = (self.password, self.identity, self.bearer, self.basic.removeprefix("Basic "))
        return tuple(each for each in forms if each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The credentials for one repository, best first, and notes on what could not be used."""

    candidates: tuple[Credential, ...] = ()
    notes: tuple[str, ...] = ()


def files(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where Podman and Docker keep credentials, first wins."""
    home = Path(environment.get("HOME") or "/root")
    runtime = environment.get("XDG_RUNTIME_DIR")
    docker = environment.get("DOCKER_CONFIG")
    named = environment.get("REGISTRY_AUTH_FILE")
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    return (
        *((Path(named),) if named else ()),
        *((Path(runtime) / "containers/auth.json",) if runtime else ()),
        Path("/run/containers/0/auth.json"),
        config / "containers/auth.json",
        (Path(docker) if docker else home / ".docker") / "config.json",
    )


def find(reference: Reference, configured: Registry | None, paths: Sequence[Path]) -> Found:
    """Every credential that fits the repository. Reads files; what is unreadable becomes a note."""
    notes: list[str] = []
    candidates = [*_of_settings(configured, notes)]
    matches: list[tuple[int, Credential]] = []
    for path in dict.fromkeys(paths):
        matches.extend(_of_file(path, reference, notes))
    matches.sort(key=lambda match: -match[0])  # stable: of equal prefixes, the first file's
    candidates.extend(credential for _, credential in matches)
    return Found(candidates=tuple(candidates), notes=tuple(notes))


def _of_settings(configured: Registry | None, notes: list[str]) -> Iterator[Credential]:
    if configured is None or configured.username is None or configured.password_file is None:
        return
    try:
        password = _read(configured.password_file).decode().rstrip("\r\n")
    except (OSError, ValueError) as error:
        notes.append(f"cannot read {configured.password_file}: {_why(error)}")
        return
    yield Credential(username=configured.username, password=password, origin=str(configured.password_file))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise ValueError("it is too large")
    return data


def _why(error: Exception) -> str:
    """Never the text of a decoding error: it quotes the file."""
    return (error.strerror or "unreadable") if isinstance(error, OSError) else "it is not what it should be"


def _of_file(path: Path, reference: Reference, notes: list[str]) -> Iterator[tuple[int, Credential]]:
    try:
        body = json.loads(_read(path))
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError, RecursionError) as error:
        notes.append(f"cannot read {path}: {_why(error) if isinstance(error, OSError) else 'it is not JSON'}")
        return
    auths = body.get("auths") if isinstance(body, dict) else None
    found = False
    for prefix, entry in (auths if isinstance(auths, dict) else {}).items():
        length = _match(prefix, reference)
        credential = _credential(entry, str(path)) if length and isinstance(entry, dict) else None
        if credential is not None:
            found = True
            yield length, credential
    if not found and (helper := _helper(body, reference)):
        notes.append(f"{path} leaves them to the helper '{helper}', which tank does not run")


def _match(prefix: str, reference: Reference) -> int:
    """The length of the part of `registry/repository` that `prefix` covers, in whole components; 0 for none."""
    plain = prefix.partition("://")[2] or prefix
    host, _, path = plain.strip("/").partition("/")
    try:
        host = registry.canonical(host)
    except ValueError:
        return 0
    if path in ("v1", "v2"):  # Docker writes https://index.docker.io/v1/
        path = ""
    covered = f"{host}/{path}".rstrip("/")
    return len(covered) if f"{reference.name}/".startswith(f"{covered}/") else 0


def _credential(entry: Mapping[str, object], origin: str) -> Credential | None:
    def value(key: str) -> str:
        found = entry.get(key)
        return found if isinstance(found, str) else ""

    username, password = value("username"), value("password")
    if value("auth"):
        try:
            pair = base64.b64decode(value("auth"), validate=True).decode().rstrip("\0")
        except (binascii.Error, ValueError):
            return None
        username, _, password = pair.partition(":")
    identity, bearer = value("identitytoken"), value("registrytoken")
    if not (identity or bearer or (username and password)):
        return None
    return Credential(username=username, password=password, identity=identity, bearer=bearer, origin=origin)


def _helper(body: Mapping[str, object], reference: Reference) -> str:
    """The helper that would know, if there is one."""
    per_host = body.get("credHelpers") if isinstance(body, dict) else None
    for prefix, name in (per_host if isinstance(per_host, dict) else {}).items():
        if _match(prefix, reference) and isinstance(name, str):
            return name
    store = body.get("credsStore") if isinstance(body, dict) else None
    return store if isinstance(store, str) else ""
