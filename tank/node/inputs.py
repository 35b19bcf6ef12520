"""Secrets and configs for those who make containers: from the store, decrypted, at the version the pod is to have.

Values are read when they are needed and kept nowhere. An error names the secret and never quotes it (S37).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tank.errors import Failed, NotFound, Waiting
from tank.host.threads import in_thread
from tank.model.desired import Desired
from tank.model.facts import Input
from tank.model.launch import Given
from tank.model.pod import Container
from tank.model.stored import InputVersion
from tank.model.uses import SECRET, kind_of, named, uses, words
from tank.store import seal
from tank.store.base import Contents, Store
from tank.store.seal import KeyFile

REASON = "CreateContainerConfigError"


class NoInputs:
    """A machine without secrets and configs."""

    async def facts(self, desired: Desired) -> Mapping[str, Input]:
        """None of those that the spec names is there."""
        return dict.fromkeys(named(desired.spec), Input())

    async def give(self, desired: Desired, container: Container) -> Given:
        """Nothing."""
        return Given()

    async def files(self, desired: Desired) -> Given:
        """Nothing."""
        return Given()


class StoredInputs:
    """`tank.node.drivers.Inputs` over a store and the file of its key."""

    def __init__(self, store: Store, key_file: KeyFile) -> None:
        self._store, self._key_file = store, key_file

    async def facts(self, desired: Desired) -> Mapping[str, Input]:
        """The version in force of each that the spec names: the one a rollback holds the pod at, else the present."""
        contents, found = await self._store.read(), {}
        for key in named(desired.spec):
            version = _in_force(contents, desired, key)
            found[key] = Input(version=version.version, keys=frozenset(version.sizes)) if version else Input()
        return found

    async def give(self, desired: Desired, container: Container) -> Given:
        """What the container uses, variables and files; what is not there is left out. Raises Waiting."""
        return await self._given(desired, {use.key for use in uses(desired.spec, container)})

    async def files(self, desired: Desired) -> Given:
        """What volumes of the pod show to any of its containers. Raises Waiting."""
        wanted = (use for each in desired.spec.everyone for use in uses(desired.spec, each))
        return await self._given(desired, {use.key for use in wanted if use.files})

    async def _given(self, desired: Desired, keys: Iterable[str]) -> Given:
        contents = await self._store.read()
        values: dict[str, Mapping[str, bytes]] = {}
        versions: dict[str, str] = {}
        for key in sorted(keys):
            version = _in_force(contents, desired, key)
            if version is not None:
                values[key] = await self._waiting_for(key, version)
                versions[key] = version.version
        return Given(values=values, versions=versions)

    async def _waiting_for(self, key: str, version: InputVersion) -> Mapping[str, bytes]:
        try:
            return await read(self._store, self._key_file, key, version)
        except (Failed, NotFound) as error:
            raise Waiting(REASON, str(error)) from error


async def read(store: Store, key_file: KeyFile, key: str, version: InputVersion) -> dict[str, bytes]:
    """The values of one version. Raises Failed when they are damaged or cannot be decrypted; NotFound."""
    body = await store.input_body(key, version.version)
    return await in_thread(_opened, key_file, key, version, body)


def _opened(key_file: KeyFile, key: str, version: InputVersion, body: bytes) -> dict[str, bytes]:
    if kind_of(key) == SECRET:
        body = _unsealed(key_file, key, version, body)
    elif seal.plain_version(key, body) != version.version:
        raise Failed(f"cannot read {words(key)}: what is stored is damaged; set it again")
    try:
        return seal.decoded(body)
    except (ValueError, AttributeError, TypeError) as error:
        raise Failed(f"cannot read {words(key)}: what is stored is damaged; set it again") from error


def _unsealed(key_file: KeyFile, key: str, version: InputVersion, body: bytes) -> bytes:
    found = key_file.read()
    if found is None:
        raise Failed(f"cannot read {words(key)}: its key is missing: put {key_file.path} back")
    if found.mark != version.sealed:
        raise Failed(f"cannot read {words(key)}: it was encrypted with another key than the one in {key_file.path}")
    return found.opened(key, version.version, body)


def _in_force(contents: Contents, desired: Desired, key: str) -> InputVersion | None:
    stored = contents.inputs.get(key)
    if stored is None:
        return None
    return stored.versions.get(desired.pins.get(key) or stored.version)
