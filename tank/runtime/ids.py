"""Ids of a pod's own (`users: auto`): a range that no other pod of this machine has, kept from before its first use.

A range is written down in the pod's durable directory and is the pod's until that goes. Ranges come from those numbers
that nobody else gives out: beyond the containers of systemd and the subordinate ids of users (0x70000000 and up).
Several installations begin at different places, since none knows of the others.
"""

from __future__ import annotations

import os
import platform
import threading
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tank.config import Settings
from tank.errors import Failed
from tank.host import files, trees, userns
from tank.host.cgroup import Groups
from tank.host.threads import in_thread
from tank.host.userns import COUNT, Range
from tank.model.launch import Launch
from tank.model.pod import HostPath, Pod, Rootfs
from tank.runtime import places

FILE = "users"
_END = 2**31 - 2 * COUNT  # beyond it ids are negative numbers to some programs
_SINCE = (5, 19)  # Linux: layers of an overlay may show other ids
_giving = threading.Lock()


def of(settings: Settings, uid: str) -> Range | None:
    """The range that the pod has been given. Raises Failed, OSError."""
    text = (files.read(_file(settings, uid)) or b"").strip()
    if not text:
        return None
    if not text.isdigit():
        raise Failed(f"cannot read {_file(settings, uid)}: it holds no number")
    return Range(int(text))


def give(settings: Settings, installation: str, uid: str) -> Range:
    """The pod's range, written down before it is used. Raises Failed, OSError."""
    with _giving:
        found = of(settings, uid)
        if found is None:
            found = Range(_free(settings, installation))
            files.make_directory(settings.pod_dir(uid))
            files.write_durably(_file(settings, uid), str(found.base).encode())
        return found


def _free(settings: Settings, installation: str) -> int:
    taken = {held.base for uid in files.names(settings.data_dir / "pods") if (held := of(settings, uid)) is not None}
    slots = (_END - settings.users_base) // COUNT
    start = zlib.crc32(installation.encode())
    for step in range(slots):
        base = settings.users_base + (start + step) % slots * COUNT
        if base not in taken:
            return base
    raise Failed(f"cannot give ids of its own: all {slots} ranges from {settings.users_base} on are taken")


def _file(settings: Settings, uid: str) -> Path:
    return settings.pod_dir(uid) / FILE


def mappings(ids: Range | None) -> Mapping[str, Any]:
    """What the OCI configuration says of them, below `linux`."""
    if ids is None:
        return {}
    line = [{"containerID": 0, "hostID": ids.base, "size": COUNT}]
    return {"uidMappings": line, "gidMappings": line}


def open_way(settings: Settings, uid: str, ids: Range) -> None:
    """The pod's root, which is nobody on the host, gets as far as its own directory, and nobody else any further.

    The runtime looks for the root from inside. Raises OSError.
    """
    for path in (settings.run_dir, settings.run_dir / "pods"):
        path.chmod(path.stat().st_mode & 0o7777 | 0o001)
    top = settings.pod_run_dir(uid)
    os.chown(top, 0, ids.base)
    top.chmod(0o710)


def open_groups(groups: Groups, name: str) -> None:
    """The control group can be looked into from inside: the kernel shows it there only to who gets as far.

    Of version 2 alone, in which groups are mounted as themselves. Raises OSError.
    """
    if groups.hierarchies.v2 is None or not groups.hierarchies.controllers:
        return
    directory = groups.hierarchies.v2 / groups.path(name).lstrip("/")
    directory.mkdir(parents=True, exist_ok=True)
    for each in (directory, directory.parent, directory.parent.parent):
        each.chmod(0o755)


def exposed(launch: Launch) -> tuple[str, ...]:
    """Paths of the host where a program that the container's root makes set-uid would have the host's power (S38)."""
    if launch.pod.users != "auto":
        return ()
    found = (launch.pod.volume(each.volume) for each in launch.container.mounts if not each.read_only)
    paths = [each.source.path for each in found if each is not None and isinstance(each.source, HostPath)]
    return tuple(dict.fromkeys(path for path in paths if _gives_power(path)))


def _gives_power(path: str) -> bool:
    try:
        return not os.statvfs(path).f_flag & os.ST_NOSUID
    except OSError:  # not made yet
        return True


async def refusal(pod: Pod, settings: Settings) -> str:
    """Why the pod cannot have ids of its own on this machine; empty when it can, or wants none."""
    if pod.users != "auto":
        return ""
    try:
        async with userns.born(Range(settings.users_base), ()) as pid:
            with files.opened(f"/proc/{pid}/ns/user", os.O_RDONLY) as users:
                return await in_thread(_refusal, pod, settings, users)
    except (Failed, OSError) as error:
        return f"users: auto: {error}"


def _refusal(pod: Pod, settings: Settings, users: int) -> str:
    release = tuple(int(each) for each in platform.release().split("-")[0].split(".")[:2] if each.isdigit())
    if release < _SINCE:
        return f"users: auto needs Linux {_SINCE[0]}.{_SINCE[1]}, and this is {platform.release()}"
    said = (trees.can_map(path, users, recursive=below) for path, below in _places(pod, settings))
    why = next(filter(None, said), "")
    return f"users: auto: ids cannot be mapped on {why}" if why else ""


def _places(pod: Pod, settings: Settings) -> Iterator[tuple[Path, bool]]:
    """One place on each file system that the pod uses, and whether with all that is mounted below.

    What is not there yet is tried when it is.
    """
    yield settings.data_dir, False
    if any(volume.source.type in ("tmpfs", "secret", "config") for volume in pod.volumes):
        yield places.exits(settings), False  # a tmpfs as well
    for container in pod.everyone:
        if isinstance(container.image, Rootfs) and os.path.isdir(container.image.rootfs):
            yield Path(container.image.rootfs), False
    for volume in pod.volumes:
        if isinstance(volume.source, HostPath) and os.path.exists(volume.source.path):
            yield Path(volume.source.path), True
