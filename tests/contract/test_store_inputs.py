"""What every store promises of secrets and configs, asked of each implementation alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path

import pytest

from tank.errors import Conflict, NotFound
from tank.model.desired import Desired
from tank.model.pod import Pod
from tank.model.stored import InputVersion
from tank.store.base import Put, Store
from tank.store.decide import KEPT_REVISIONS
from tank.store.memory import MemoryStore
from tank.store.sqlite import SqliteStore

APP = "config/app"


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else await SqliteStore.open(tmp_path / "store.db")
    yield made
    await made.close()


def pod(name: str = "web", *, optional: bool = False, **labels: str) -> Pod:
    source = {"config": {"name": "app", "key": "mode", "optional": optional}}
    container = {"name": "main", "image": "x:1", "env": [{"name": "MODE", "source": source}]}
    return Pod.model_validate({"name": name, "containers": [container], "labels": labels})


_uids = iter(range(1, 1_000_000))


async def put(store: Store, spec: Pod, pins: Mapping[str, str] | None = None) -> Desired:
    (stored,) = await store.put([Put(spec=spec, uid=f"{next(_uids):012x}", pins=pins)], 1.0)
    return stored


async def set_to(store: Store, version: str, key: str = APP, at: float = 5.0) -> None:
    made = InputVersion(version=version, sizes={"mode": len(version)}, at=at)
    await store.set_input(key, made, version.encode())


async def versions(store: Store, key: str = APP) -> set[str]:
    return set((await store.read()).inputs[key].versions)


async def test_what_was_set_is_read(store: Store) -> None:
    await set_to(store, "v1")

    found = (await store.read()).inputs[APP]
    assert (found.version, found.created_at, found.versions["v1"].sizes) == ("v1", 5.0, {"mode": 2})
    assert await store.input_body(APP, "v1") == b"v1"


async def test_bytes_are_kept_as_they_are(store: Store) -> None:
    body = bytes(range(256)) * 4096

    await store.set_input("secret/db", InputVersion(version="v", sizes={"k": len(body)}, at=1.0, sealed="s"), body)

    assert await store.input_body("secret/db", "v") == body


async def test_the_same_version_again_changes_nothing(store: Store) -> None:
    await set_to(store, "v1")
    before = await store.read()

    await set_to(store, "v1", at=9.0)

    assert await store.read() == before


async def test_a_version_that_nobody_names_goes_with_its_successor(store: Store) -> None:
    await set_to(store, "v1")
    await set_to(store, "v2", at=6.0)

    found = (await store.read()).inputs[APP]
    assert (found.version, set(found.versions), found.created_at) == ("v2", {"v2"}, 5.0)
    with pytest.raises(NotFound, match="config app"):
        await store.input_body(APP, "v1")


async def test_every_pod_that_names_it_is_told(store: Store) -> None:
    await put(store, pod("a"))
    await put(store, pod("b"))
    await put(store, Pod.model_validate({"name": "c", "containers": [{"name": "main", "image": "x:1"}]}))
    since = (await store.read()).revision

    await set_to(store, "v1")
    await put(store, pod("end"))

    heard = []
    async with aclosing(store.watch(since)) as watch:
        async for change in watch:
            heard.append((change.name, change.revision - since))
            if change.name == "end":
                break
    assert heard == [("a", 1), ("b", 2), ("end", 3)]


async def test_a_change_that_no_pod_hears_of_is_counted_too(store: Store) -> None:
    before = (await store.read()).revision

    await set_to(store, "v1")

    assert (await store.read()).revision == before + 1


async def test_a_revision_remembers_what_was_in_force_and_keeps_it(store: Store) -> None:
    await set_to(store, "v1")
    await put(store, pod())

    await set_to(store, "v2")
    await put(store, pod(tier="front"))

    second, first = await store.history("web")
    assert (first.pins, second.pins) == ({APP: "v1"}, {APP: "v2"})
    assert await versions(store) == {"v1", "v2"}
    assert await store.input_body(APP, "v1") == b"v1"


async def test_a_revision_that_waited_for_it_remembers_the_first(store: Store) -> None:
    await put(store, pod())

    await set_to(store, "v1")
    await set_to(store, "v2")

    (only,) = await store.history("web")
    assert only.pins == {APP: "v1"}


async def test_a_rollback_holds_the_pod_at_its_version(store: Store) -> None:
    await set_to(store, "v1")
    await put(store, pod())
    await set_to(store, "v2")
    await put(store, pod(tier="front"))
    first = (await store.history("web"))[1]

    held = await put(store, first.spec, first.pins)

    assert held.pins == {APP: "v1"}
    assert (await store.history("web"))[0].pins == {APP: "v1"}


async def test_a_pod_is_not_held_at_what_is_present_or_gone(store: Store) -> None:
    await set_to(store, "v1")
    await put(store, pod())

    again = await put(store, pod(tier="front"), {APP: "v1"})
    lost = await put(store, pod(tier="back"), {APP: "nothing", "main": "sha256:a", "config/other": "v1"})

    assert (again.pins, lost.pins) == ({}, {"main": "sha256:a"})


@pytest.mark.parametrize("version", ["v2", "v3"])
async def test_setting_it_ends_what_held_a_pod(store: Store, version: str) -> None:
    await set_to(store, "v1")
    await put(store, pod())
    await set_to(store, "v2")
    await put(store, pod(tier="front"), {APP: "v1"})

    await set_to(store, version)

    assert (await store.get("web")).pins == {}
    assert (await store.read()).inputs[APP].version == version


async def test_another_spec_ends_it_as_well(store: Store) -> None:
    await set_to(store, "v1")
    await put(store, pod())
    await set_to(store, "v2")
    await put(store, pod(tier="front"), {APP: "v1"})

    assert (await put(store, pod(tier="back"))).pins == {}


async def test_what_a_pod_needs_is_not_deleted(store: Store) -> None:
    await set_to(store, "v1")
    await put(store, pod("web"))
    await put(store, pod("api"))

    with pytest.raises(Conflict, match="api, web"):
        await store.delete_input(APP, force=False)

    assert (await store.read()).inputs[APP].version == "v1"


async def test_an_optional_use_is_no_need(store: Store) -> None:
    await set_to(store, "v1")
    await put(store, pod(optional=True))

    await store.delete_input(APP, force=False)

    assert (await store.read()).inputs[APP].present is None


async def test_deleted_by_force_it_is_kept_for_a_rollback(store: Store) -> None:
    await set_to(store, "v1")
    await put(store, pod())

    await store.delete_input(APP, force=True)

    found = (await store.read()).inputs[APP]
    assert (found.version, set(found.versions)) == ("", {"v1"})
    with pytest.raises(NotFound):
        await store.delete_input(APP, force=True)


async def test_deleted_and_not_remembered_it_is_gone(store: Store) -> None:
    await set_to(store, "v1")

    await store.delete_input(APP, force=False)

    assert APP not in (await store.read()).inputs
    with pytest.raises(NotFound):
        await store.input_body(APP, "v1")


async def test_what_came_again_is_new(store: Store) -> None:
    await set_to(store, "v1", at=1.0)
    await store.delete_input(APP, force=False)

    await set_to(store, "v2", at=8.0)

    assert (await store.read()).inputs[APP].created_at == 8.0


async def test_a_forgotten_revision_keeps_nothing(store: Store) -> None:
    await set_to(store, "v1")
    await put(store, pod())
    await set_to(store, "v2")
    for number in range(KEPT_REVISIONS):
        await put(store, pod(n=str(number)))

    await set_to(store, "v3")

    assert await versions(store) == {"v2", "v3"}
