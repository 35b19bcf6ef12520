"""Looking: from the records, the runtime, the network and the image store to one pod's facts.

What is seen for the first time is written down before anything is decided by it: an exit file is copied into
the record, a start that a killed daemon could not note is noted, and after a reboot every wait is restarted.
A driver that cannot tell raises, and the caller skips the pod: unknown is never absence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from tank.config import Settings
from tank.host import clock
from tank.model import reference as references
from tank.model.desired import Desired
from tank.model.facts import ContainerFact, ImageFact, ImageState, Now, PodFacts, RuntimeFact, SandboxFact
from tank.model.pod import Container, Network, Pod, Rootfs
from tank.model.record import Attempt, ContainerRecord
from tank.model.wanted import WantedImage, all_wanted, before_key, wanted_by
from tank.node.care import Care
from tank.node.drivers import Images, Inputs, Net, Runtime
from tank.node.inputs import NoInputs
from tank.node.records import Records
from tank.plan import settling
from tank.plan.digests import trouble_digest
from tank.plan.steps import Action


class Look(Enum):
    """How closely to look.

    BRIEF leaves out sandbox and network, which is enough for a status. KEEP also writes down what is seen for the
    first time: it is for the pod's own pass only, so that a record has one writer.
    """

    BRIEF = "brief"
    WHOLE = "whole"
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a pass works with: the drivers and the records of this machine."""

    settings: Settings
    installation: str
    runtime: Runtime
    images: Images
    net: Net
    records: Records
    now: Callable[[], Now] = clock.now  # tests hold it
    inputs: Inputs = field(default_factory=NoInputs)
    care: Care = field(default_factory=Care)

    def namespace(self, uid: str) -> Path:
        """The pinned network namespace of the pod."""
        return self.settings.pod_run_dir(uid) / "ns" / "net"


def pinned(reference: str, digest: str) -> str:
    """The reference that names exactly this manifest in the same repository."""
    return str(references.parse(reference).at(digest))


def remembered(machine: Machine, uid: str) -> PodFacts:
    """What the records alone tell of a pod."""
    containers = {name: ContainerFact(record=each) for name, each in machine.records.containers(uid).items()}
    return PodFacts(uid=uid, record=machine.records.pod(uid), containers=containers)


async def observe(
    machine: Machine,
    uid: str,
    desired: Desired | None,
    now: Now,
    *,
    blocked: str = "",
    flying: frozenset[str] = frozenset(),
    look: Look = Look.WHOLE,
) -> PodFacts:
    """Everything known of one pod. `flying` names the containers whose image is being fetched."""
    record = machine.records.pod(uid)
    spec = desired.spec if desired else (record.spec if record else None)
    seen = await machine.runtime.observe(uid)
    containers = _settle(machine, uid, spec, seen, now)
    if look is Look.KEEP:
        for fact in containers.values():
            await machine.records.save_container(uid, fact.record)
    sandbox = await _sandbox(machine, uid, spec, brief=look is Look.BRIEF) if spec else None
    return PodFacts(
        uid=uid,
        record=machine.records.pod(uid),
        sandbox=sandbox,
        containers=containers,
        images=await _images(machine, desired, containers, flying) if desired else {},
        blocked=blocked,
        inputs=await machine.inputs.facts(desired) if desired else {},
    )


def _settle(
    machine: Machine, uid: str, spec: Pod | None, seen: Mapping[str, RuntimeFact], now: Now
) -> dict[str, ContainerFact]:
    records = dict(machine.records.containers(uid))
    for name in seen.keys() - records.keys():
        records[name] = _adopted(name, seen[name], spec, now)
    facts = {}
    for name, before in records.items():
        found = seen.get(name)
        backoff = spec.backoff if spec else Pod.model_fields["backoff"].default
        after = settling.settled(before, found, now, backoff)
        told = machine.care.told(uid, after)
        after = settling.cared_mark(after, told.health, told.hooked, now)
        facts[name] = replace(told, record=after, runtime=found)
    return facts


def _adopted(name: str, seen: RuntimeFact, spec: Pod | None, now: Now) -> ContainerRecord:
    """A record for what bears our mark and has none: its digest fits no spec, so it will be replaced or dropped."""
    container = (spec.container(name) if spec else None) or Container(name=name, image=Rootfs(rootfs="/"))
    attempt = Attempt(
        number=seen.attempt,
        boot_id=now.boot_id,
        spec=container,
        digest="",
        tuning="",
        revision=0,
        created_at=now.wall,
        pid=seen.pid,
        start_time=seen.start_time,
    )
    return ContainerRecord(name=name, attempt=attempt, last_number=seen.attempt)


async def _sandbox(machine: Machine, uid: str, spec: Pod, *, brief: bool) -> SandboxFact | None:
    record = machine.records.pod(uid)
    ready = bool(record and record.network_ready)
    if brief:
        return SandboxFact(pins={}, network_ready=ready) if record and record.sandbox_digest else None
    pins = await machine.runtime.observe_sandbox(uid, spec)
    if pins is None:
        return None
    drift: tuple[str, ...] = ()
    if ready and all(pins.values()) and isinstance(spec.network, Network):
        drift = tuple(await machine.net.observe(uid, spec, machine.namespace(uid)))
    return SandboxFact(pins=pins, network_ready=ready, drift=drift, repairs=machine.settings.repair)


async def _images(
    machine: Machine, desired: Desired, containers: Mapping[str, ContainerFact], flying: frozenset[str]
) -> dict[str, ImageFact]:
    """Of each image that the spec asks for, by its key; a rootfs is always here."""
    found = {
        each.name: ImageFact(state=ImageState.READY, digest="")
        for each in desired.spec.everyone
        if isinstance(each.image, Rootfs)
    }
    for key, wanted in all_wanted(desired.spec).items():
        digest = desired.pins.get(key) or _meanwhile(desired, key, containers, machine.now())
        fact = await _image(machine, wanted, digest, containers.get(key))
        if fact.state is ImageState.ABSENT and key in flying:
            fact = replace(fact, state=ImageState.PULLING)
        found[key] = fact
    return found


def _meanwhile(desired: Desired, key: str, containers: Mapping[str, ContainerFact], now: Now) -> str | None:
    """The digest from before a pull that was asked for and fails: what has died comes back with that (C6)."""
    users = wanted_by(desired.spec, key)
    facts = {each.name: containers[each.name] for each in users if each.name in containers}
    if any(fact.runtime is not None and fact.runtime.alive for fact in facts.values()):
        return None
    pairs = ((trouble_digest(desired, each), facts[each.name].record.trouble) for each in users if each.name in facts)
    failed = any(
        trouble is not None
        and (trouble.action, trouble.digest, trouble.boot_id) == (Action.RESOLVE.value, digest, now.boot_id)
        for digest, trouble in pairs
    )
    return desired.pins.get(before_key(key)) if failed else None


async def _image(machine: Machine, wanted: WantedImage, digest: str | None, fact: ContainerFact | None) -> ImageFact:
    """READY: it is here, pinned, and let in. A container that lives has its image; nobody looks for it again."""
    attempt = fact.record.attempt if fact else None
    runs = (wanted.reference, digest)
    if attempt is not None and attempt.image and isinstance(attempt.spec.image, str):
        runs = (attempt.spec.image, attempt.image)
    trust = machine.images.verdict(runs[0], runs[1]).text if runs[1] else ""
    if not digest or not machine.images.verdict(wanted.reference, digest).admitted:
        return ImageFact(state=ImageState.ABSENT, trust=trust)
    alive = bool(fact and fact.runtime and fact.runtime.alive)
    if (attempt and attempt.image == digest and alive) or await machine.images.find(pinned(wanted.reference, digest)):
        return ImageFact(state=ImageState.READY, digest=digest, trust=trust)
    return ImageFact(state=ImageState.ABSENT, trust=trust)
