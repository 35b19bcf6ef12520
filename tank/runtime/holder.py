"""The first process of a PID namespace that all containers of a pod share (`share_pid`): catatonit, which only reaps.

A PID namespace ends with its first process, and takes everybody in it along. So that one must outlive each container:
it is a container of its own, with an empty root and no rights, under its own monitor in the pod's group. It is a part
of the sandbox: made with it, lost with it, removed with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tank.config import Settings
from tank.errors import Failed
from tank.host import files, mounts, watch
from tank.host.cgroup import Groups
from tank.host.watch import Watcher
from tank.runtime import ocispec, places
from tank.runtime.conmon import Conmon, Request
from tank.runtime.crun import Crun

NAME = "_holder"  # no container can be called that
_KILL_SECONDS = 10.0
_INIT = "/init"
_LOG_SIZE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """Makes, looks at and removes the holders of one installation. Every method may be repeated."""

    settings: Settings
    crun: Crun
    conmon: Conmon
    groups: Groups
    watcher: Watcher
    program: Path | None  # catatonit

    async def make(self, uid: str, namespaces: Mapping[str, str], users: Mapping[str, Any]) -> int:
        """The pid of the holder, in the pod's other namespaces. One that lives is kept. Raises Failed.

        `users`: what the configuration says of the pod's user namespace.
        """
        pid = self.pid(uid)
        if pid is not None:
            return pid
        if self.program is None:
            raise Failed("cannot share processes: catatonit is not installed on this machine")
        await self.remove(uid)
        bundle = self._bundle(uid)
        files.make_directory(bundle)  # the mark of all that follows
        files.make_directory(bundle / "root/dev", 0o755)
        (bundle / "root/init").touch()
        files.write(bundle / "config.json", json.dumps(self._config(uid, namespaces, users)).encode())
        await self.conmon.create(self._request(uid, bundle), self.watcher)
        await self.crun.start(_id(uid))
        pid = self.pid(uid)
        if pid is None:
            raise Failed(f"cannot make the sandbox {uid}: the first of its processes died at once")
        return pid

    def pid(self, uid: str) -> int | None:
        """The living holder; None: there is none, or it never came to its first instruction."""
        state = self.crun.state(_id(uid))
        if state is None or not state.started or watch.start_time_of(state.pid) != state.start_time:
            return None
        return state.pid

    async def remove(self, uid: str) -> None:
        """Nothing is left of it. All who share its namespace end too. Raises Failed."""
        for group in (self._group(uid), self._monitor_group(uid)):
            await self.groups.kill(group, seconds=_KILL_SECONDS)
        files.remove_tree(places.states(self.settings) / _id(uid))
        files.remove(places.exits(self.settings) / _id(uid))
        mounts.unmount_below(self._bundle(uid))
        files.remove_tree(self._bundle(uid))

    def _bundle(self, uid: str) -> Path:
        return self.settings.pod_run_dir(uid) / "holder"

    def _group(self, uid: str) -> str:
        return f"{uid}/{NAME}"

    def _monitor_group(self, uid: str) -> str:
        return f"{uid}/{places.MONITORS}/{NAME}"

    def _request(self, uid: str, bundle: Path) -> Request:
        return Request(
            id=_id(uid),
            bundle=bundle,
            runtime=self.crun.binary,
            runtime_arguments=self.crun.global_arguments,
            groups=self.groups.make(self._monitor_group(uid)),
            sync=bundle / "sync",
            pidfile=bundle / "pidfile",
            monitor_pidfile=bundle / "conmon.pid",
            exits=places.exits(self.settings),
            log=bundle / "log",
            log_size=_LOG_SIZE,
            scratch=places.scratch(self.settings),
            tty=False,
            stdin=False,
        )

    def _config(self, uid: str, namespaces: Mapping[str, str], users: Mapping[str, Any]) -> dict[str, Any]:
        own = [{"type": kind} for kind in ("pid", "mount", "cgroup")]
        joined = [{"type": kind, "path": path} for kind, path in namespaces.items()]
        init = {"type": "bind", "source": str(self.program), "options": ["bind", "ro", "nosuid", "nodev"]}
        dev = {"type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "noexec", "mode=755", "size=64k"]}
        return {
            "ociVersion": ocispec.VERSION,
            "root": {"path": str(self._bundle(uid) / "root"), "readonly": True},
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": [_INIT, "-P"],
                "env": [],
                "cwd": "/",
                "capabilities": {},
                "noNewPrivileges": True,
                "oomScoreAdj": 0,
            },
            "mounts": [{"destination": "/dev", **dev}, {"destination": _INIT, **init}],  # a runtime makes nodes in /dev
            "linux": {
                "cgroupsPath": self.groups.path(self._group(uid)),
                "namespaces": own + joined,
                "resources": {"devices": [{"allow": False, "access": "rwm"}]},
                "rootfsPropagation": "private",
                **users,
            },
        }


def _id(uid: str) -> str:
    return f"{uid}.{NAME}"
