"""What is written on the pod and its containers, before and after each deed.

Pure: old record in, new record out. The executor writes these values down, the preview applies them to facts;
so what `tank plan` foresees is what will be done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tank.model.desired import Desired
from tank.model.facts import Now
from tank.model.pod import Container, Network, Pod
from tank.model.record import Attempt, ContainerRecord, PodRecord, Stop
from tank.model.wanted import before_key, wanted_images
from tank.plan.activity import active_so_far, afresh
from tank.plan.aims import WITHDRAWN, fits
from tank.plan.claims import held_words, words
from tank.plan.digests import attempt_digest, sandbox_of, tuning_of
from tank.plan.order import runs_again
from tank.plan.steps import Action, Step


def pod_mark(
    record: PodRecord | None,
    desired: Desired,
    installation: str,
    now: Now,
    held: tuple[str, ...] | None = None,
) -> PodRecord:
    """The pod's mark with the present spec and revision; the sandbox's part stays as it was made.

    `held` are the claims from now on. None: what it held and what the spec claims, for what was made from the
    earlier spec may live on.
    """
    fresh = record or PodRecord(
        uid=desired.uid,
        name=desired.name,
        installation=installation,
        revision=0,
        spec=desired.spec,
        sandbox_digest="",
        boot_id=now.boot_id,
        created_at=desired.created_at,
    )
    trouble = fresh.trouble if fresh.revision == desired.revision else None
    fresh = afresh(fresh, now) if record is None or runs_again(record, desired) else active_so_far(fresh, now)
    if held is None:
        held = tuple(sorted({*words(desired.spec), *(held_words(record) if record else ())}))
    return replace(
        fresh,
        revision=desired.revision,
        spec=desired.spec,
        pins=dict(desired.pins),
        restarts=dict(desired.restarts),
        pulls=dict(desired.pulls),
        held=held,
        trouble=trouble,
        deleting=False,
    )


def has_nics(pod: Pod) -> bool:
    """Whether there are interfaces to configure; loopback comes with the sandbox."""
    return isinstance(pod.network, Network) and bool(pod.network.nics)


def sandbox_mark(record: PodRecord, desired: Desired, now: Now) -> PodRecord:
    """A new sandbox is about to be made; with interfaces, its network is not ready until they are configured.

    The counters and pins of the hour come along, which saves a fresh pod a mark of its own for them. Its number is
    new, so that every init container runs again (C4).
    """
    return replace(
        active_so_far(record, now),
        sandbox_digest=sandbox_of(desired.spec),
        sandbox=record.sandbox + 1,
        network_ready=not has_nics(desired.spec),
        addresses=(),
        pins=dict(desired.pins),
        restarts=dict(desired.restarts),
        pulls=dict(desired.pulls),
    )


def attempt_mark(
    record: ContainerRecord | None,
    desired: Desired,
    container: Container,
    image: str,
    now: Now,
    *,
    sandbox: int = 0,
    inputs: Mapping[str, str] | None = None,
) -> ContainerRecord:
    """A new attempt is about to be made in the sandbox of this number, with these versions of secrets and configs.

    Counters move before the deed and never go back (R11). A sidecar that runs again while others are being stopped
    takes over the deadline (C4).
    """
    before = record or ContainerRecord(name=container.name)
    asked = desired.restarts.get(container.name, 0)
    ended = bool(before.exits) and before.exits[-1].attempt == before.last_number
    digest = attempt_digest(desired.spec, container)
    clear = asked != before.cleared or before.failures_digest != digest
    attempt = Attempt(
        number=before.last_number + 1,
        boot_id=now.boot_id,
        spec=container,
        digest=digest,
        tuning=tuning_of(container),
        revision=desired.revision,
        restarts=asked,
        pulls=_pulled(before, desired, container),
        image=image,
        created_at=now.wall,
        stop=_inherited(before),
        sandbox=sandbox,
        inputs=dict(inputs or {}),
    )
    return replace(
        before,
        attempt=attempt,
        last_number=attempt.number,
        restart_count=before.restart_count + ended,
        failures=0 if clear else before.failures,
        failures_digest=digest,
        cleared=asked,
    )


def _pulled(before: ContainerRecord, desired: Desired, container: Container) -> int:
    """How many of the pulls that were asked for it has. With an image from before one, no more than its predecessor."""
    if any(before_key(each.key) in desired.pins for each in wanted_images(desired.spec, container)):
        return before.attempt.pulls if before.attempt else 0
    return desired.pulls.get(container.name, 0)


def _inherited(before: ContainerRecord) -> Stop | None:
    stop = before.attempt.stop if before.attempt else None
    return stop if stop is not None and stop.until == "turn" else None


def created_mark(record: ContainerRecord, pid: int, start_time: int) -> ContainerRecord:
    """The process is there, parked. What kept it from being made is over; until now it counted on."""
    assert record.attempt is not None
    return replace(record, attempt=replace(record.attempt, pid=pid, start_time=start_time), trouble=None)


def started_mark(record: ContainerRecord, boot: float, wall: float) -> ContainerRecord:
    """It was let go."""
    assert record.attempt is not None
    return replace(record, attempt=replace(record.attempt, started_at=wall, started_boot=boot))


def stop_mark(record: ContainerRecord, step: Step, now: Now, *, signalled: bool) -> ContainerRecord:
    """It was asked to end, as a STOP says; the deadline may get nearer, never farther (C3.5), for the same aim.

    Once the signal is out, whatever kept it from being sent is over.
    """
    assert record.attempt is not None
    before, aim = record.attempt.stop, step.aim
    stop = Stop(deadline=now.boot + step.grace, boot_id=now.boot_id, grace=step.grace)
    if before is not None and fits(before, aim, now):
        nearer = stop.deadline < before.deadline
        stop = replace(before, deadline=stop.deadline, grace=stop.grace) if nearer else before
    stop = replace(stop, aim=aim, until=step.until, signalled=signalled or stop.signalled)
    over = signalled and record.trouble is not None and record.trouble.action == Action.STOP.value
    trouble = None if over else record.trouble
    return replace(record, attempt=replace(record.attempt, stop=stop), trouble=trouble)


def signalled(record: ContainerRecord, aim: str, now: Now) -> bool:
    """Whether the signal of a stop for this aim is out."""
    stop = record.attempt.stop if record.attempt else None
    return fits(stop, aim, now) and stop.signalled


def tuned_mark(record: ContainerRecord, container: Container) -> ContainerRecord:
    """It runs under these limits. What kept them from being set is over."""
    assert record.attempt is not None
    over = record.trouble is not None and record.trouble.action == Action.TUNE.value
    attempt = replace(record.attempt, tuning=tuning_of(container))
    return replace(record, attempt=attempt, trouble=None if over else record.trouble)


def unstopped_mark(record: ContainerRecord, now: Now) -> ContainerRecord:
    """The stop was taken back. Until its deadline an end is still its doing; later it is the program's own."""
    stop = record.attempt.stop if record.attempt else None
    if record.attempt is None or stop is None:
        return record
    doing = stop.boot_id == now.boot_id and now.boot < stop.deadline and stop.until != "turn"
    left = replace(stop, aim=WITHDRAWN) if doing else None
    return replace(record, attempt=replace(record.attempt, stop=left))


def unstarted_mark(record: ContainerRecord) -> ContainerRecord:
    """The attempt ended before its first instruction: it is no run, and no crash."""
    return replace(record, attempt=None)


def reacted_mark(record: ContainerRecord, versions: Mapping[str, str]) -> ContainerRecord:
    """Its files are of these versions, and its program knows."""
    assert record.attempt is not None
    return replace(record, attempt=replace(record.attempt, inputs=dict(versions)))


def failed_mark(record: PodRecord, reason: str) -> PodRecord:
    """The pod has failed for good, whatever its containers did; a restart or a changed spec runs it again (C17)."""
    return replace(record, failed=reason)


def desired_of(record: PodRecord) -> Desired:
    """What was desired when the record was last written."""
    return Desired(
        name=record.name,
        uid=record.uid,
        revision=record.revision,
        spec=record.spec,
        created_at=record.created_at,
        restarts=record.restarts,
        pulls=record.pulls,
        pins=record.pins,
    )
