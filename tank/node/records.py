"""The records on disk: `pod.json` and `containers/<name>.json` under `<data_dir>/pods/<uid>/`.

The only writer of those files. What was written is also kept in memory, so that a pass reads no file it wrote
itself; the files are what counts, and a new daemon begins by reading them all. A file that cannot be understood
is set aside, never deleted: what it described is then found by its marks and replaced.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from tank.config import Settings
from tank.host import files
from tank.model.record import ContainerRecord, PodRecord

_T = TypeVar("_T")
_POD = TypeAdapter(PodRecord)
_CONTAINER = TypeAdapter(ContainerRecord)


class Records:
    """Every record of this machine, by pod uid."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pods: dict[str, PodRecord] = {}
        self._containers: dict[str, dict[str, ContainerRecord]] = {}
        self.damaged: list[Path] = []

    def load(self) -> None:
        """Read every record. Raises OSError when the directory cannot be read: unknown is never absence."""
        top = self._settings.data_dir / "pods"
        top.mkdir(parents=True, exist_ok=True, mode=0o700)
        for entry in sorted(top.iterdir()):
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

    def pod(self, uid: str) -> PodRecord | None:
        """The pod's record."""
        return self._pods.get(uid)

    def containers(self, uid: str) -> Mapping[str, ContainerRecord]:
        """The records of the pod's containers, by name."""
        return self._containers.get(uid, {})

    def save_pod(self, record: PodRecord) -> None:
        """Write the pod's record, durably. Raises OSError; then nothing has changed."""
        if self._pods.get(record.uid) == record:
            return
        top = self._settings.pod_dir(record.uid)
        self._make(top)
        files.write_durably(top / "pod.json", _POD.dump_json(record))
        self._pods[record.uid] = record

    def save_container(self, uid: str, record: ContainerRecord) -> None:
        """Write a container's record, durably. Raises OSError; then nothing has changed."""
        held = self._containers.setdefault(uid, {})
        if held.get(record.name) == record:
            return
        top = self._settings.pod_dir(uid) / "containers"
        self._make(top)
        files.write_durably(top / f"{record.name}.json", _CONTAINER.dump_json(record))
        held[record.name] = record

    def drop_container(self, uid: str, name: str) -> None:
        """Forget a container. Repeatable."""
        (self._settings.pod_dir(uid) / "containers" / f"{name}.json").unlink(missing_ok=True)
        self._containers.get(uid, {}).pop(name, None)

    def forget(self, uid: str) -> None:
        """Forget the pod: its record goes last, so that a crash in between finds it again. Repeatable."""
        top = self._settings.pod_dir(uid)
        for path in (*sorted((top / "containers").glob("*")), *sorted(top.glob("*pod.json*"))):
            path.unlink(missing_ok=True)
        for directory in (top / "containers", top):
            with contextlib.suppress(FileNotFoundError):
                directory.rmdir()
        self._containers.pop(uid, None)
        self._pods.pop(uid, None)

    def _make(self, directory: Path) -> None:
        if directory.is_dir():
            return
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for made in (directory.parent, directory.parent.parent):
            descriptor = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
