"""Boot seeds: create-if-absent, once for each content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tank.config import Settings
from tank.node.recover import sow
from tests.loop import harness
from tests.loop.harness import IMAGE, Daemon

SEED = f"name: seeded\ncontainers:\n- {{name: app, image: {IMAGE}}}\n"


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return harness.new(tmp_path)


def settings(tmp_path: Path, text: str = SEED) -> Settings:
    directory = tmp_path / "pods.d"
    directory.mkdir(exist_ok=True)
    (directory / "seeded.yaml").write_text(text)
    return Settings(seeds_dir=directory, default_grace=7.0)


async def test_a_seed_is_applied_with_the_defaults_of_the_machine(daemon: Daemon, tmp_path: Path) -> None:
    assert await sow(daemon.node, daemon.store, settings(tmp_path)) == []
    assert (await daemon.node.get("seeded")).spec.grace == 7.0


async def test_a_seeded_pod_that_was_deleted_by_hand_stays_deleted_until_its_file_changes(
    daemon: Daemon, tmp_path: Path
) -> None:
    await sow(daemon.node, daemon.store, settings(tmp_path))
    await daemon.node.delete("seeded")
    await sow(daemon.node, daemon.store, settings(tmp_path))
    assert (await daemon.store.read()).pods == {}
    await sow(daemon.node, daemon.store, settings(tmp_path, SEED + "labels: {a: b}\n"))
    assert set((await daemon.store.read()).pods) == {"seeded"}


async def test_a_seed_never_replaces_what_is_there(daemon: Daemon, tmp_path: Path) -> None:
    await daemon.node.apply([harness.pod("seeded")])
    before = await daemon.node.get("seeded")
    await sow(daemon.node, daemon.store, settings(tmp_path))
    assert await daemon.node.get("seeded") == before


async def test_a_faulty_seed_is_said_and_hinders_no_other(daemon: Daemon, tmp_path: Path) -> None:
    made = settings(tmp_path)
    (made.seeds_dir / "bad.yaml").write_text("name: Bad Name\n")
    also: dict[str, object] = {"name": "inline", "containers": [{"name": "app", "image": IMAGE}]}
    faults = await sow(daemon.node, daemon.store, replace(made, seeds=(also,)))
    assert len(faults) == 1
    assert "bad.yaml" in faults[0]
    assert set((await daemon.store.read()).pods) == {"seeded", "inline"}
