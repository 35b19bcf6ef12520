"""A pod's sandbox: pinned namespaces, one `/dev/shm`, the `/etc` files, volumes in memory. No process (decision 5),
but for a PID namespace that the containers share (`tank.runtime.holder`).

Its pins are what every container of the pod joins. A volume in memory is none: it is made for the first container
that mounts it, as the volumes on disk are.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tank.config import Settings
from tank.errors import Failed
from tank.host import files, mounts, resolver, userns
from tank.host.cgroup import Groups
from tank.host.netns import Namespaces, pinned
from tank.host.threads import in_thread
from tank.host.userns import Range
from tank.model import etcfiles
from tank.model.leased import RESOLVER, loaded
from tank.model.pod import Container, Pod, Tmpfs
from tank.runtime import ids, sysctls, volumes
from tank.runtime.holder import Holders

SHM_SIZE = 64 * 2**20
HOLDER = "holder"  # the pin that is a process: its PID namespace dies with it, and cannot be pinned again
_ETC = ("hosts", "hostname", "resolv.conf")


@dataclass(frozen=True, slots=True)
class Users:
    """Ids of a pod's own, and a descriptor of the namespace that has them."""

    ids: Range
    namespace: int


@dataclass(frozen=True, slots=True)
class Sandboxes:
    """Makes, looks at and removes the sandboxes of one installation. Every method may be repeated."""

    settings: Settings
    namespaces: Namespaces
    groups: Groups
    holders: Holders
    installation: str

    def namespace_paths(self, uid: str, pod: Pod) -> dict[str, str]:
        """The pins that a container joins, by the runtime's word for their kind."""
        top = self.settings.pod_run_dir(uid) / "ns"
        kinds = {"ipc": "ipc", "uts": "uts"} | ({} if pod.network == "host" else {"network": "net"})
        kinds |= {"pid": "pid"} if pod.share_pid else {}
        kinds |= {"user": "user"} if pod.users == "auto" else {}
        return {kind: str(top / name) for kind, name in kinds.items()}

    @contextmanager
    def users(self, uid: str, pod: Pod) -> Iterator[Users | None]:
        """The ids that the pod has of its own; None: it uses the host's. Raises OSError."""
        given = ids.of(self.settings, uid) if pod.users == "auto" else None
        if given is None:
            yield None
            return
        ids.open_way(self.settings, uid, given)
        with files.opened(self.settings.pod_run_dir(uid) / "ns" / "user", os.O_RDONLY) as fd:
            yield Users(given, fd)

    def shm(self, uid: str) -> Path:
        """What all containers of the pod see as /dev/shm."""
        return self.settings.pod_run_dir(uid) / "shm"

    def etc(self, uid: str) -> Path:
        """The directory of the three files that containers see in /etc."""
        return self.settings.pod_run_dir(uid) / "etc"

    async def make(self, uid: str, pod: Pod) -> None:
        """The directory first, as the mark. Raises Failed."""
        top = self.settings.pod_run_dir(uid)
        try:
            files.make_directory(top)
            hostname = etcfiles.pod_hostname(pod)
            own_network = pod.network != "host"
            make = partial(
                self.namespaces.make, top / "ns", net=own_network, hostname=hostname, settings=sysctls.wanted(pod)
            )
            given = await self._ids(uid, pod)
            if given is None or all(pinned(top / "ns" / kind) for kind in _own(pod)):
                await make()
            else:
                await self._make_inside(top / "ns", given, pod, make)
            await self._make_holder(uid, pod, given)
            self._make_shm(uid, given)
            self.refresh(uid, pod)
        except OSError as error:
            raise Failed(f"cannot make the sandbox {uid}: {error.strerror}") from error

    async def _ids(self, uid: str, pod: Pod) -> Range | None:
        """The pod's own ids, and a way for them to its directory; None: it uses the host's."""
        if pod.users != "auto":
            return None
        found = await in_thread(ids.give, self.settings, self.installation, uid)
        ids.open_way(self.settings, uid, found)
        return found

    async def _make_inside(self, directory: Path, given: Range, pod: Pod, make: Callable[..., Awaitable[None]]) -> None:
        """All namespaces anew, the others inside that of users, whose root they obey."""
        await self.namespaces.remove(directory)
        async with userns.born(given, tuple(kind for kind in _own(pod) if kind != "user")) as pid:
            await make(source=pid)
            await self.namespaces.repin(directory, pid, ("user",))

    async def _make_holder(self, uid: str, pod: Pod, given: Range | None) -> None:
        """The PID namespace that all containers share, held by a process of its own."""
        if pod.share_pid:
            joined = {kind: path for kind, path in self.namespace_paths(uid, pod).items() if kind != "pid"}
            pid = await self.holders.make(uid, joined, ids.mappings(given))
            await self.namespaces.repin(self.settings.pod_run_dir(uid) / "ns", pid, ("pid",))

    def _make_shm(self, uid: str, given: Range | None) -> None:
        shm = self.shm(uid)
        files.make_directory(shm)
        if not mounts.is_mounted(shm):
            mounts.tmpfs(shm, size=SHM_SIZE, mode=0o1777, noexec=True)
        if given is not None:
            os.chown(shm, given.base, given.base)

    def make_memory(self, uid: str, pod: Pod, container: Container) -> None:
        """The volumes in memory that the container mounts, each of the size that the spec says now. Raises Failed.

        Made on first use and on the loop, as the pod's containers share them and are created side by side.
        """
        wanted = {mount.volume for mount in container.mounts}
        for volume in pod.volumes:
            if isinstance(volume.source, Tmpfs) and volume.name in wanted:
                volumes.make_tmpfs(self.settings, uid, volume)

    def refresh(self, uid: str, pod: Pod, addresses: Iterable[str] = ()) -> None:
        """Write the /etc files, in place: they are mounted in containers that run. Raises OSError."""
        files.make_directory(self.etc(uid), 0o755)
        texts = {
            "hosts": etcfiles.pod_hosts(pod, resolver.hosts_text(), addresses),
            "hostname": etcfiles.hostname_file(pod),
            "resolv.conf": self._resolv_conf(uid, pod),
        }
        for name, text in texts.items():
            if files.read(self.etc(uid) / name) != text.encode():
                files.rewrite(self.etc(uid) / name, text.encode(), 0o644)

    def _resolv_conf(self, uid: str, pod: Pod) -> str:
        if pod.network == "host":
            return resolver.resolv_conf_text()
        host = resolver.read(servers=self.settings.dns)
        naming, pools, told = self.settings.naming, self.settings.pools, self.settings.pod_run_dir(uid) / RESOLVER
        leased = loaded(files.read(told))
        return etcfiles.pod_resolv_conf(pod, etcfiles.resolver_of(pod, host, naming, pools, leased))

    async def repin(self, uid: str, pod: Pod, pid: int) -> None:
        """Every pin stands again: a namespace's from the living process `pid`, the others made anew. Raises Failed.

        What still has a lost shm mounted keeps it, and shares it with none that is started from now on.
        """
        top = self.settings.pod_run_dir(uid)
        try:
            files.make_directory(top)
            await self.namespaces.repin(top / "ns", pid, _kinds(pod))
            self._make_shm(uid, await self._ids(uid, pod))
            self.refresh(uid, pod)
        except OSError as error:
            raise Failed(f"cannot repair the sandbox {uid}: {error.strerror}") from error
        pins = self.observe(uid, pod) or {}
        if lost := [name for name in pins if not pins[name]]:
            raise Failed(f"cannot repair the sandbox {uid}: still gone: {', '.join(lost)}")

    def observe(self, uid: str, pod: Pod) -> Mapping[str, bool] | None:
        """Each pin that the pod wants and whether it stands; None: there is no sandbox."""
        top = self.settings.pod_run_dir(uid)
        if not top.is_dir():
            return None
        pins = {name: pinned(top / "ns" / name) for name in _kinds(pod)}
        if pod.share_pid:
            pins[HOLDER] = self.holders.pid(uid) is not None
        pins["shm"] = mounts.is_mounted(self.shm(uid))
        pins["etc"] = all((self.etc(uid) / name).is_file() for name in _ETC)
        return pins

    async def remove(self, uid: str) -> None:
        """Everything volatile but containers, which must be gone: a mount that is left is taken off. Raises Failed."""
        top = self.settings.pod_run_dir(uid)
        await self.holders.remove(uid)
        await self.namespaces.remove(top / "ns")
        await in_thread(_clear, top)
        await self.groups.remove(uid)
        self.groups.remove_root()


def _kinds(pod: Pod) -> tuple[str, ...]:
    """The namespaces that are the pod's own."""
    return (*_own(pod), "pid") if pod.share_pid else _own(pod)


def _own(pod: Pod) -> tuple[str, ...]:
    """Those that stand without a process."""
    own = ("ipc", "uts") if pod.network == "host" else ("net", "ipc", "uts")
    return ("user", *own) if pod.users == "auto" else own


def _clear(top: Path) -> None:
    try:
        mounts.unmount_below(top)
        files.remove_tree(top)
    except OSError as error:
        raise Failed(f"cannot remove {top}: {error.strerror}") from error
