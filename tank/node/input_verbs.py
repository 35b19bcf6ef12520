"""The verbs of secrets and configs: what the API calls. Values go in; of secrets none ever comes out (S37)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from tank.errors import Failed, InvalidSpec, NotFound, Problem
from tank.host.threads import in_thread
from tank.model import input_words
from tank.model.facts import Now
from tank.model.faults import Refused
from tank.model.stored import InputStatus, InputVersion, StoredInput
from tank.model.uses import CONFIG, SECRET, kind_of, named, needed, words
from tank.node.inputs import read
from tank.store import seal
from tank.store.base import Contents, Store
from tank.store.seal import KeyFile, Seal

LARGEST = 2**20  # bytes of all values of one secret or config
MOST_KEYS = 1000
MISSING, WRONG, LOST = "SecretKeyMissing", "SecretKeyWrong", "InputsLost"


class InputVerbs:
    """Secrets and configs of this machine. What is wrong with the key stands in the node's `conditions`."""

    def __init__(
        self, store: Store, key_file: KeyFile, now: Callable[[], Now], conditions: dict[str, str] | None = None
    ) -> None:
        self._store, self._key_file, self._now = store, key_file, now
        self._conditions = conditions if conditions is not None else {}
        self._setting = asyncio.Lock()  # so that one key is made, not two
        self.relieve: Callable[[], None] = lambda: None  # makes room on a full disk (R29)

    async def set(self, kind: str, name: str, data: Mapping[str, bytes]) -> InputStatus:
        """It holds these keys and no others from now on. Raises InvalidSpec; Failed when the key is missing."""
        _check(name, data)
        self.relieve()
        key = f"{kind}/{name}"
        async with self._setting:
            version, body = await (self._sealed(key, data) if kind == SECRET else in_thread(_plain, key, data))
            sizes = {each: len(data[each]) for each in sorted(data)}
            made = replace(version, sizes=sizes, at=self._now().wall)
            await self._store.set_input(key, made, body)
        await self.look()
        return await self.get(kind, name, values=False)

    async def list(self, kind: str) -> list[InputStatus]:
        """All of a kind by name, without values."""
        contents = await self._store.read()
        found = [each for each in contents.inputs.values() if kind_of(each.key) == kind and each.version]
        return sorted((_status(each, contents) for each in found), key=lambda each: each.name)

    async def get(self, kind: str, name: str, *, values: bool = True) -> InputStatus:
        """One of them; of a config also its values. Raises NotFound; Failed when what is stored is damaged."""
        contents, key = await self._store.read(), f"{kind}/{name}"
        stored = contents.inputs.get(key)
        if stored is None or stored.present is None:
            raise NotFound(f"there is no {words(key)}")
        status = _status(stored, contents)
        if kind == CONFIG and values:
            return replace(status, data=await read(self._store, self._key_file, key, stored.present))
        return status

    async def delete(self, kind: str, name: str, *, force: bool = False) -> None:
        """It is no more. What runs keeps what it has. Raises NotFound; Conflict when a pod needs it, unless forced."""
        await self._store.delete_input(f"{kind}/{name}", force=force)
        await self.look()

    async def look(self, *, lost: bool = False) -> None:
        """What is wrong with them is said among the machine's conditions. `lost`: the database was lost."""
        contents = await self._store.read()
        if lost or LOST in self._conditions:
            self._tell_lost(contents)
        await self._tell_key(_present_secrets(contents))

    def _tell_lost(self, contents: Contents) -> None:
        wanted = frozenset[str]().union(*(needed(each.spec) for each in contents.pods.values()))
        here = {key for key, each in contents.inputs.items() if each.version}
        self._conditions.pop(LOST, None)
        if gone := ", ".join(sorted(words(key) for key in wanted - here)):
            text = f"lost with the database, set them again: {gone}; what runs keeps what it was given"
            self._conditions[LOST] = text

    async def _tell_key(self, sealed: Mapping[str, str]) -> None:
        for condition in (MISSING, WRONG):
            self._conditions.pop(condition, None)
        if not sealed:
            return
        try:
            found = await in_thread(self._key_file.read)
        except Failed as error:
            self._conditions[WRONG] = str(error)
            return
        if found is None:
            self._conditions[MISSING] = f"no secret can be read: put {self._key_file.path} back"
        elif others := sorted(words(key) for key, mark in sealed.items() if mark != found.mark):
            text = f"{self._key_file.path} is not the key of {', '.join(others)}: put theirs back, or set them again"
            self._conditions[WRONG] = text

    async def _sealed(self, key: str, data: Mapping[str, bytes]) -> tuple[InputVersion, bytes]:
        others = bool(_present_secrets(await self._store.read()))
        return await in_thread(_seal, self._key_file, key, data, others)


def _seal(key_file: KeyFile, key: str, data: Mapping[str, bytes], others: bool) -> tuple[InputVersion, bytes]:
    body = seal.encoded(data)
    with_key = key_file.read() or _made(key_file, others)
    version = with_key.version(key, body)
    made = InputVersion(version=version, sizes={}, at=0.0, sealed=with_key.mark)
    return made, with_key.sealed(key, version, body)


def _made(key_file: KeyFile, others: bool) -> Seal:
    if others:  # a new key would make it look as if all were well, until the old one is put back over it
        raise Failed(
            f"cannot encrypt: the key {key_file.path} is missing; put it back, or delete every secret to begin anew"
        )
    return key_file.make()


def _plain(key: str, data: Mapping[str, bytes]) -> tuple[InputVersion, bytes]:
    body = seal.encoded(data)
    return InputVersion(version=seal.plain_version(key, body), sizes={}, at=0.0), body


def _present_secrets(contents: Contents) -> dict[str, str]:
    """The mark of the key of each secret that there is."""
    found = {key: each.present for key, each in contents.inputs.items() if kind_of(key) == SECRET}
    return {key: present.sealed for key, present in found.items() if present is not None}


def _check(name: str, data: Mapping[str, bytes]) -> None:
    """Raises InvalidSpec with every fault. It never quotes a value."""
    problems = [*_refusals("name", input_words.input_name, name)]
    for key in data:
        problems += _refusals("key", input_words.input_key, key)
    if len(data) > MOST_KEYS:
        problems.append(Problem("", f"at most {MOST_KEYS} keys"))
    if sum(map(len, data.values())) > LARGEST:
        problems.append(Problem("", "the values are larger than 1 MiB together"))
    if problems:
        raise InvalidSpec(problems)


def _refusals(path: str, word: Callable[[str], str], text: str) -> list[Problem]:
    try:
        word(text)
    except Refused as refused:
        return [Problem(path, refused.message, refused.suggestion)]
    return []


def _status(stored: StoredInput, contents: Contents) -> InputStatus:
    present = stored.present
    assert present is not None
    users = {name: pod for name, pod in contents.pods.items() if stored.key in named(pod.spec)}
    return InputStatus(
        name=stored.key.partition("/")[2],
        version=present.version,
        keys=dict(present.sizes),
        created_at=stored.created_at,
        at=present.at,
        used_by=tuple(sorted(users)),
        held_by=tuple(sorted(name for name, pod in users.items() if stored.key in pod.pins)),
    )
