"""Facts for the planner's tests, built by saying only what matters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tank.model.desired import Desired
from tank.model.facts import ContainerFact, ImageFact, ImageState, Now, PodFacts, RuntimeFact, SandboxFact
from tank.model.parse import parse_pod
from tank.model.pod import Backoff, Pod
from tank.model.record import ContainerRecord, PodRecord
from tank.plan import marks, settling
from tank.plan.restart import counted

UID = "0123456789ab"
DIGEST = "sha256:" + "a" * 64
NOW = Now(boot=5000.0, boot_id="boot-1", wall=1_800_000_000.0)


def a_pod(**more: Any) -> Pod:
    return parse_pod({"name": "web", "containers": [{"name": "app", "image": "nginx:1.27"}]} | more)


def wanted(pod: Pod | None = None, **more: Any) -> Desired:
    spec = pod or a_pod()
    fields: dict[str, Any] = {"name": spec.name, "uid": UID, "revision": 7, "created_at": NOW.wall - 100}
    fields["pins"] = {each.name: DIGEST for each in spec.everyone}
    return Desired(spec=spec, **fields | more)


def created(desired: Desired, name: str = "app", now: Now = NOW) -> ContainerFact:
    container = desired.spec.container(name)
    assert container is not None
    record = marks.created_mark(marks.attempt_mark(None, desired, container, DIGEST, now), 42, 4242)
    runtime = RuntimeFact(attempt=1, pid=42, start_time=4242, alive=True, monitored=True)
    return ContainerFact(record=record, runtime=runtime)


def running(desired: Desired, name: str = "app", since: float = 100.0) -> ContainerFact:
    fact = created(desired, name)
    record = marks.started_mark(fact.record, NOW.boot - since, NOW.wall - since)
    assert fact.runtime is not None
    return ContainerFact(record=record, runtime=replace(fact.runtime, started=True))


def ended(
    desired: Desired, name: str = "app", *, code: int | None = 1, crashes: int = 1, ago: float = 0.0
) -> ContainerFact:
    record = running(desired, name).record
    end = settling.ended(record, code, "Error", NOW, finished=NOW.boot - ago)
    record = counted(record, end, desired.spec.backoff)
    return ContainerFact(record=replace(record, failures=crashes))


def lost(desired: Desired, name: str = "app") -> ContainerFact:
    return ContainerFact(record=running(desired, name).record)


def situation(desired: Desired | None, *facts: ContainerFact, **more: Any) -> PodFacts:
    made_for = desired or wanted()
    record = marks.sandbox_mark(marks.pod_mark(None, made_for, "abcdef", NOW), made_for, NOW)
    fields: dict[str, Any] = {
        "uid": UID,
        "record": replace(record, network_ready=True),
        "sandbox": SandboxFact(pins={"net": True, "ipc": True, "uts": True}, network_ready=True),
        "containers": {fact.record.name: fact for fact in facts},
        "images": {each.name: ImageFact(state=ImageState.READY, digest=DIGEST) for each in made_for.spec.everyone},
    }
    return PodFacts(**fields | more)


def nothing(desired: Desired, state: ImageState = ImageState.READY) -> PodFacts:
    images = {each.name: ImageFact(state=state) for each in desired.spec.everyone}
    return PodFacts(uid=desired.uid, images=images)


__all__ = ["Backoff", "ContainerRecord", "PodRecord"]
