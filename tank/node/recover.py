"""What happens once, before the loop begins: pods taken back after a lost database, and boot seeds."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from tank.config import Settings
from tank.errors import InvalidSpec, TankError
from tank.host import clock
from tank.model.digest import digest
from tank.model.dump import dump_pod
from tank.model.parse import Defaults, Format, parse_documents, parse_pod
from tank.model.pod import Pod
from tank.model.record import PodRecord
from tank.node.records import Records
from tank.node.service import Node
from tank.plan.marks import desired_of
from tank.store.base import Store

SUFFIXES: dict[str, Format] = {".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json"}

log = logging.getLogger("tank.node")


async def take_back(store: Store, records: Records) -> tuple[str, ...]:
    """With a new database beside marked pods, declare them again from their own records (R12, R28).

    Nothing is stopped for want of a database. Returns the names; empty when there was nothing to take back.
    """
    contents = await store.read()
    if not contents.fresh:
        return ()
    newest: dict[str, PodRecord] = {}
    for record in sorted(records.pods().values(), key=lambda each: each.revision):
        if not record.deleting:
            newest[record.name] = record
    # Also with nothing to take back: only then is the store fresh no longer, at this start and at later ones.
    await store.adopt([desired_of(record) for record in newest.values()], clock.now().wall)
    return tuple(sorted(newest))


async def sow(node: Node, store: Store, settings: Settings) -> list[str]:
    """Apply each boot seed once, if no pod of its name exists. Returns what is wrong with any of them, in words.

    A pod that was deleted by hand stays deleted until its seed changes.
    """
    faults: list[str] = []
    for pod in _seeds(settings, faults):
        mark = digest(dump_pod(pod))
        try:
            if await store.seeded(pod.name, mark):
                continue
            if pod.name not in (await store.read()).pods:
                await node.apply([pod], expected={pod.name: 0}, origin="seed")
            await store.mark_seeded(pod.name, mark)
        except TankError as error:
            faults.append(f"seed {pod.name}: {error}")
    for fault in faults:
        log.warning("%s", fault)
    return faults


def _seeds(settings: Settings, faults: list[str]) -> Iterable[Pod]:
    defaults = Defaults(grace=settings.default_grace, users=settings.default_users)
    for index, written in enumerate(settings.seeds):
        try:
            yield parse_pod(written, defaults)
        except InvalidSpec as error:
            faults.append(f"[[pods]] number {index + 1}: {error}")
    paths = sorted(settings.seeds_dir.glob("*")) if settings.seeds_dir.is_dir() else []
    for path in paths:
        if path.suffix in SUFFIXES:
            yield from _file(path, defaults, faults)


def _file(path: Path, defaults: Defaults, faults: list[str]) -> Iterable[Pod]:
    try:
        return parse_documents(path.read_bytes(), SUFFIXES[path.suffix], source=str(path), defaults=defaults)
    except (InvalidSpec, OSError) as error:
        faults.append(str(error))
        return ()
