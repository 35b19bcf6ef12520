"""What one attempt is made with: its images as they are pinned, its secrets and configs, and the pod's addresses."""

from __future__ import annotations

from tank.errors import Waiting
from tank.host import machine as this_machine
from tank.model.desired import Desired
from tank.model.image import Image
from tank.model.launch import Launch
from tank.model.pod import Container
from tank.model.wanted import before_key, volume_key, wanted_images
from tank.node.observe import Machine, pinned


async def launch_for(machine: Machine, desired: Desired, container: Container, attempt: int) -> Launch:
    """Everything that `create` and `check` are given.

    Raises Waiting when an image is not here or not admitted, or a secret cannot be read.
    """
    given = await machine.inputs.give(desired, container)
    images, record = await _images(machine, desired, container), machine.records.pod(desired.uid)
    volumes = {each.volume: images[key] for each in container.mounts if (key := volume_key(each.volume)) in images}
    return Launch(
        uid=desired.uid,
        pod=desired.spec,
        container=container,
        attempt=attempt,
        image=images.get(container.name),
        addresses=record.addresses if record else (),
        volumes=volumes,
        inputs=given.values,
        versions=given.versions,
        node=this_machine.name(),
        host_ip=this_machine.address(),
    )


async def _images(machine: Machine, desired: Desired, container: Container) -> dict[str, Image]:
    """The images that the container needs, by their keys; those not pinned left out."""
    images, found = machine.images, {}
    for wanted in wanted_images(desired.spec, container):
        digest = desired.pins.get(wanted.key) or desired.pins.get(before_key(wanted.key))
        if digest is None:
            continue
        verdict = images.verdict(wanted.reference, digest)
        if not verdict.admitted:
            raise Waiting(verdict.reason, f"cannot use image {digest}: {verdict.text}")
        image = await images.find(pinned(wanted.reference, digest))
        if image is None:
            raise Waiting("ErrImagePull", f"image {digest} is not here any more")
        found[wanted.key] = image
    return found


def progress_of(machine: Machine, desired: Desired | None) -> dict[str, str]:
    """How far the pulls of each container are, in words; those that pull nothing are left out."""
    told: dict[str, str] = {}
    if desired is not None:
        for container in desired.spec.everyone:
            texts = (machine.images.progress_text(each.reference) for each in wanted_images(desired.spec, container))
            told[container.name] = "; ".join(text for text in texts if text)
    return {name: text for name, text in told.items() if text}
