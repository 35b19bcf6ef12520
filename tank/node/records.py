"""The records on disk: `pod.json` and `containers/<name>.json` under `<data_dir>/pods/<uid>/`.

The only writer of those files: on one thread of its own, one write after the other, so that the loop waits for no
disk. What was written is then kept in memory, changed on the loop only, so that a pass reads no file it wrote itself;
the files are what counts, and a new daemon begins by reading them all. A file that cannot be understood is set
aside, never deleted: what it described is then found by its marks and replaced.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from tank.config import Settings
from tank.host import files
from tank.host.threads import run_on
from tank.model.record import ContainerRecord, PodRecord

_T = TypeVar("_T")
_POD = TypeAdapter(PodRecord)
_CONTAINER = TypeAdapter(ContainerRecord)


class Records:
    """Every record of this machine, by pod uid."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pods: dict[str, PodRecord] = {}
        self._coming: dict[str, str] = {}  # names by uid, of those whose record is being written
        self._containers: dict[str, dict[str, ContainerRecord]] = {}
        self._writer = ThreadPoolExecutor(1, "records")
        self.damaged: list[Path] = []

    def load(self) -> None:
        """Read every record. Raises OSError when the directory cannot be read: unknown is never absence."""
        top = self._settings.data_dir / "pods"
        top.mkdir(parents=True, exist_ok=True, mode=0o700)
        for entry in sorted(each for each in top.iterdir() if each.is_dir()):
            self.damaged += sorted(entry.rglob("*.json.damaged"))
            pod = self._read(entry / "pod.json", _POD)
            if pod is not None:
                self._pods[entry.name] = pod
            found = {}
            for path in sorted((entry / "containers").glob("*.json")):
                container = self._read(path, _CONTAINER)
                if container is not None:
                    found[container.name] = container
            self._containers[entry.name] = found

    def _read(self, path: Path, kind: TypeAdapter[_T]) -> _T | None:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return kind.validate_json(data)
        except ValidationError:
            aside = path.with_name(path.name + ".damaged")
            path.replace(aside)
            self.damaged.append(aside)
            return None

    def pods(self) -> Mapping[str, PodRecord]:
        """Every pod on record, by uid."""
        return self._pods

    def names(self) -> dict[str, str]:
        """What each pod is called, by uid, also of those whose first record is being written."""
        return self._coming | {uid: record.name for uid, record in self._pods.items()}

    def pod(self, uid: str) -> PodRecord | None:
        """The pod's record."""
        return self._pods.get(uid)

    def containers(self, uid: str) -> Mapping[str, ContainerRecord]:
        """The records of the pod's containers, by name."""
        return self._containers.get(uid, {})

    def is_damaged(self, uid: str) -> bool:
        """Whether its record could not be read, now or by an earlier daemon: then it is not swept for want of one."""
        return any(uid in path.parts for path in self.damaged)

    async def save_pod(self, record: PodRecord) -> None:
        """Write the pod's record, durably. Raises OSError; then nothing has changed."""
        if self._pods.get(record.uid) != record:
            self._coming[record.uid] = record.name
            try:
                await self._write(self._settings.pod_dir(record.uid) / "pod.json", _POD.dump_json(record))
            finally:
                self._coming.pop(record.uid, None)
            self._pods[record.uid] = record

    async def save_container(self, uid: str, record: ContainerRecord) -> None:
        """Write a container's record, durably. Raises OSError; then nothing has changed."""
        if self.containers(uid).get(record.name) != record:
            path = self._settings.pod_dir(uid) / "containers" / f"{record.name}.json"
            await self._write(path, _CONTAINER.dump_json(record))
            self._containers.setdefault(uid, {})[record.name] = record

    async def drop_container(self, uid: str, name: str) -> None:
        """Forget a container. Repeatable."""
        path = self._settings.pod_dir(uid) / "containers" / f"{name}.json"
        await run_on(self._writer, lambda: path.unlink(missing_ok=True))
        self._containers.get(uid, {}).pop(name, None)

    async def forget(self, uid: str) -> None:
        """Forget the pod: its record goes last, so that a crash in between finds it again. Repeatable."""
        await run_on(self._writer, lambda: _forget(self._settings.pod_dir(uid)))
        self.damaged = [path for path in self.damaged if uid not in path.parts]
        self._containers.pop(uid, None)
        self._pods.pop(uid, None)

    def close(self) -> None:
        """Finish what is being written. Repeatable."""
        self._writer.shutdown()

    async def _write(self, path: Path, data: bytes) -> None:
        def write() -> None:
            _make(path.parent)
            files.write_durably(path, data)

        await run_on(self._writer, write)


def _forget(top: Path) -> None:
    for path in (*sorted((top / "containers").glob("*")), *sorted(top.glob("*pod.json*"))):
        path.unlink(missing_ok=True)
    for directory in (top / "containers", top):
        with contextlib.suppress(FileNotFoundError):
            directory.rmdir()


def _make(directory: Path) -> None:
    if directory.is_dir():
        return
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for made in (directory.parent, directory.parent.parent):
        descriptor = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
