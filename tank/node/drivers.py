"""What the loop needs of the machine, as protocols. The real drivers and `tank.testing`'s fakes satisfy them.

Every method may be repeated: done already is success. A method that cannot tell raises, and the pod is
skipped and tried again: unknown is never absence.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tank.model.desired import Desired
from tank.model.facts import Input, RuntimeFact
from tank.model.health import Hook, Probe
from tank.model.image import Image, Verdict
from tank.model.launch import Answer, Created, Given, Launch, Target
from tank.model.pod import Container, Limits, Pod
from tank.model.pools import Wired, Wiring
from tank.model.record import Address
from tank.model.stats import NicStats

if TYPE_CHECKING:
    from tank.runtime.logs import LogLine
    from tank.runtime.session import ExecRequest, Session

__all__ = ["Answer", "Created", "Given", "Images", "Inputs", "Launch", "Net", "Runtime", "Target"]


class Runtime(Protocol):
    """Sandboxes and containers: crun, conmon, overlay, namespaces, control groups."""

    async def uids(self) -> frozenset[str]:
        """Every pod uid of which anything of ours is left: run directories, control groups, durable directories."""

    async def make_sandbox(self, uid: str, pod: Pod) -> None:
        """Control group, pinned namespaces (net unless host, ipc, uts with the host name), shm, /etc files."""

    async def refresh_sandbox(self, uid: str, pod: Pod, addresses: tuple[Address, ...] = ()) -> None:
        """Rewrite hosts, hostname and resolv.conf in place. `addresses`: those that the pod has by now."""

    async def repin_sandbox(self, uid: str, pod: Pod, pid: int) -> None:
        """Every pin stands again: a lost namespace's from the living process `pid`, the others made anew."""

    async def observe_sandbox(self, uid: str, pod: Pod) -> Mapping[str, bool] | None:
        """Each wanted pin and whether it stands; None when there is no sandbox at all."""

    async def remove_sandbox(self, uid: str) -> None:
        """Everything volatile of the pod; kills what is left in its control group."""

    async def forget(self, uid: str) -> None:
        """The pod's durable directory: logs, writable layers, empty volumes. Managed volumes stay."""

    async def observe(self, uid: str) -> Mapping[str, RuntimeFact]:
        """Each container name of which anything is left, its newest attempt."""

    async def unsupported(self, pod: Pod) -> str:
        """What of the pod this machine cannot do, and why, whatever happens later; empty when it can do all."""

    async def check(self, launch: Launch) -> None:
        """Whether `create` could succeed: host paths, rootfs, helper programs. Changes nothing. Raises Waiting."""

    async def create(self, launch: Launch) -> Created:
        """Prepare root, bundle, mounts and create the container, parked. Raises StartFailed, Waiting, Failed."""

    async def start(self, uid: str, container: str, attempt: int) -> None:
        """Let it run its first instruction. Raises StartFailed."""

    async def signal(self, uid: str, container: str, attempt: int, signal: str) -> bool:
        """Send `signal` (SIGTERM …) to the first process; false when that can never see it. Gone is success."""

    async def kill(self, uid: str, container: str, attempt: int) -> None:
        """SIGKILL everything in its control group and wait until it is empty. Raises Failed when it will not die."""

    async def discard(self, uid: str, container: str, attempt: int) -> None:
        """Remove what is left of an ended attempt: runtime state, bundle, root, group, exit file. Not its log."""

    async def tune(self, uid: str, container: str, attempt: int, limits: Limits) -> None:
        """Change the limits of the running container (C12)."""

    async def probe(self, target: Target, probe: Probe) -> Answer:
        """Ask one question of the running container, within its timeout (C2). Never raises TankError: see Answer."""

    async def hook(self, target: Target, hook: Hook, limit: float) -> Answer:
        """Run one hook of the running container, for `limit` seconds at most (C3)."""

    async def refill(self, uid: str, pod: Pod, inputs: Mapping[str, Mapping[str, bytes]]) -> None:
        """Every file of secrets and configs in the pod as it should be now, changed at one stroke (C10)."""

    def stop_signal(self, container: Container, image: Image | None) -> str:
        """The signal that asks this container to stop: the spec's, else the image's, else SIGTERM (C3.3)."""

    def logs(
        self, uid: str, container: str, *, tail: int | None, since: float | None, previous: bool, follow: bool
    ) -> AsyncIterator[LogLine]:
        """The container's output, oldest first. `since` is wall clock."""

    async def rotate_logs(self) -> None:
        """Rotate every log that grew beyond its size (R31). Called now and then."""

    async def exec(self, uid: str, container: Container, pod: Pod, attempt: int, request: ExecRequest) -> Session:
        """Run a program in the running container. Raises StartFailed, Failed."""

    async def attach(self, uid: str, container: str, attempt: int) -> Session:
        """Join the streams of the container's own program. Raises Failed."""

    def watch(self, nudge: Callable[[str], None]) -> None:
        """Call `nudge(uid)` when an exit file appears, a process ends or a pin goes. A hint only."""

    async def close(self) -> None:
        """Let go of watches and descriptors. Nothing that runs is touched."""


class Images(Protocol):
    """Images by reference and digest."""

    async def find(self, reference: str) -> Image | None:
        """The whole image that is here for a reference or for `repository@digest`; asks no registry."""

    def verdict(self, reference: str, digest: str) -> Verdict:
        """What the rules of trust say of an image that is here, by what is on record; asks no registry."""

    def pulling(self, reference: str) -> bool:
        """Whether a flight for this reference is under way."""

    def progress_text(self, reference: str) -> str:
        """How far the flight for this reference is, in words; empty when there is none."""

    async def resolve(self, reference: str, policy: str, digest: str | None) -> Image:
        """Have the image here, whole, by the pull policy; with `digest`, exactly that manifest. Raises PullFailed."""


class Net(Protocol):
    """Interfaces in a pinned network namespace."""

    async def configure(self, uid: str, pod: Pod, namespace: Path) -> tuple[Address, ...]:
        """Make every interface, address and route as the pod says, and remove ours that it does not. Raises Waiting."""

    async def observe(self, uid: str, pod: Pod, namespace: Path) -> Sequence[str]:
        """What differs from the spec, in words; empty when all is as it should be."""

    async def counters(self, uid: str, pod: Pod, namespace: Path) -> Sequence[NicStats]:
        """What each interface of the pod has carried, in the order of the spec; those that are not there left out."""

    async def release(self, uid: str, pod: Pod, namespace: Path) -> None:
        """Take the pod's interfaces away, so that its addresses are free at once."""

    async def vacate(self, uid: str, pod: Pod | None, namespace: Path) -> None:
        """Let go of a namespace that is about to go with all in it; of what pools gave, what it wants stays its own."""

    async def refusal(self, pod: Pod) -> str:
        """What of the pod's network this machine cannot do, and why; empty when they can do all."""

    def wired(self, uid: str, pod: Pod, addresses: tuple[Address, ...], *, ready: bool) -> Wired:
        """The pod as the rest of the machine's network sees it."""

    async def wire(self, wiring: Wiring) -> Sequence[str]:
        """Host tables, bridges and fences as `wiring` says, whole. Answers in words what others had changed; what
        is so still, where nothing is to be repaired."""

    def suspect(self, *, fences: bool = False) -> None:
        """What stands, with `fences` also in the pods, may have been changed by others: the next `wire` looks."""

    def watch_wiring(self, nudge: Callable[[], None]) -> None:
        """Call `nudge()` when something of it may have gone or changed: rules flushed, a link removed. A hint only."""

    def watch(self, uid: str, namespace: Path, nudge: Callable[[], None]) -> None:
        """Call `nudge()` when a link, address or route in that namespace changes. A hint only."""

    def unwatch(self, uid: str) -> None:
        """Let go of the namespace."""

    async def close(self) -> None:
        """Let go of every socket."""


class Inputs(Protocol):
    """Secrets and configs for the pods of this machine."""

    async def facts(self, desired: Desired) -> Mapping[str, Input]:
        """Each one that the spec names, by `secret/NAME`: the version the pod is to run with, and its keys."""

    async def give(self, desired: Desired, container: Container) -> Given:
        """Those that the container uses, with their values; absent ones left out. Raises Waiting: unreadable."""

    async def files(self, desired: Desired) -> Given:
        """Those that volumes of the pod show. Raises Waiting."""
