"""What is needed, and what is only remembered."""

from __future__ import annotations

from pathlib import Path

from tank.config import Settings
from tank.model.pod import Container, Pod
from tank.node import needs
from tank.node.records import Records
from tank.store.base import Put
from tank.store.memory import MemoryStore

UID = "0123456789ab"


async def test_every_revision_is_remembered_and_only_the_last_two_are_needed(tmp_path: Path) -> None:
    store, digests = MemoryStore(), [f"sha256:{each}" for each in (64 * "a", 64 * "b", 64 * "c")]
    for place, digest in enumerate(digests):
        spec = Pod(name="web", containers=(Container(name="app", image=f"docker.io/library/x:{place}"),))
        await store.put([Put(spec=spec, uid=UID, pins={"app": digest})], 1.0)

    found = await needs.gather(store, Records(Settings(data_dir=tmp_path / "data", run_dir=tmp_path / "run")))

    assert found.digests({}) == frozenset(digests[1:])
    assert found.remembered == set(digests)
