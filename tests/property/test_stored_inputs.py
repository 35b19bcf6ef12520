"""Secrets and configs under any writes: what may be wanted again is kept, nothing else is, and both stores agree."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tank.errors import Conflict, NotFound
from tank.model.pod import Pod
from tank.model.stored import InputVersion
from tank.store.base import Put, Store
from tank.store.memory import MemoryStore
from tank.store.sqlite import SqliteStore

KEYS = ("config/a", "secret/b")
NAMES = ("web", "api")
Deed = tuple[str, str, int]

deeds = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from(KEYS), st.integers(1, 3)),
        st.tuples(st.sampled_from(["delete", "force"]), st.sampled_from(KEYS), st.just(0)),
        st.tuples(st.sampled_from(["apply", "back"]), st.sampled_from(NAMES), st.integers(1, 4)),
        st.tuples(st.just("gone"), st.sampled_from(NAMES), st.just(0)),
    ),
    max_size=25,
)


def spec(name: str, number: int) -> Pod:
    """Odd ones name both, even ones one alone; all are different."""
    whole = [{"config": "a", "optional": number == 3}]
    variables = [{"name": "V", "source": {"secret": {"name": "b", "key": "k"}}}] if number % 2 else []
    container = {"name": "app", "image": "x:1", "env": variables, "env_from": whole}
    return Pod.model_validate({"name": name, "labels": {"n": str(number)}, "containers": [container]})


async def do(store: Store, deed: Deed, serial: int) -> None:
    what, whom, number = deed
    try:
        if what == "set":
            version = InputVersion(version=f"v{number}", sizes={"k": number}, at=float(serial))
            await store.set_input(whom, version, f"{whom} v{number}".encode())
        elif what in ("delete", "force"):
            await store.delete_input(whom, force=what == "force")
        elif what == "apply":
            await store.put([Put(spec=spec(whom, number), uid=f"{serial:012x}")], float(serial))
        elif what == "back":
            earlier = await store.history(whom)
            found = earlier[min(number, len(earlier)) - 1] if earlier else None
            if found is not None:
                await store.put([Put(spec=found.spec, uid=f"{serial:012x}", pins=found.pins)], float(serial))
        else:
            await store.delete(whom, None, float(serial))
    except (NotFound, Conflict):
        return


async def check(store: Store) -> None:
    contents = await store.read()
    remembered = {(key, pin) for name in NAMES for each in await store.history(name) for key, pin in each.pins.items()}
    held = {(key, pin) for pod in contents.pods.values() for key, pin in pod.pins.items()}
    for key, stored in contents.inputs.items():
        assert stored.versions
        assert stored.version in stored.versions or not stored.version
        for version in stored.versions:
            assert await store.input_body(key, version) == f"{key} {version}".encode()
            assert version == stored.version or (key, version) in remembered | held
    for key, pin in held:
        assert pin in contents.inputs[key].versions
        assert pin != contents.inputs[key].version


async def run(stores: Sequence[Store], sequence: Sequence[Deed]) -> None:
    for serial, deed in enumerate(sequence, 1):
        for store in stores:
            await do(store, deed, serial)
            await check(store)
    first, *others = [await store.read() for store in stores]
    assert all(each == first for each in others)
    for store in stores:
        await store.close()


@given(deeds)
def test_what_may_be_wanted_again_is_kept_and_nothing_else(sequence: list[Deed]) -> None:
    asyncio.run(run([MemoryStore()], sequence))


@given(deeds)
@settings(max_examples=20, deadline=None)
def test_both_stores_agree(sequence: list[Deed]) -> None:
    async def both() -> None:
        with tempfile.TemporaryDirectory() as top:
            await run([MemoryStore(), await SqliteStore.open(Path(top) / "store.db")], sequence)

    asyncio.run(both())
