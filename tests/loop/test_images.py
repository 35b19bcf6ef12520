"""The loop and the images of a pod: volumes that are images, and rules of trust that come later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tank.errors import Unsupported
from tank.model.image import Image
from tank.model.parse import parse_pod
from tank.model.pod import Pod
from tests.loop import harness
from tests.loop.harness import IMAGE, Daemon

DATA = "registry.example/data:1"
DIGEST = "sha256:" + "2" * 64


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    made = harness.new(tmp_path)
    made.world.registry[DATA] = Image(digest=DIGEST)
    return made


def pod(**fields: Any) -> Pod:
    containers = [{"name": name, "image": IMAGE, "mounts": ["data:/data"]} for name in ("a", "b")]
    volumes = [{"name": "data", "source": {"image": DATA}}]
    return parse_pod({"name": "web", "containers": containers, "volumes": volumes, **fields})


async def test_an_image_that_is_a_volume_is_pulled_once_pinned_and_kept_by_other_changes(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()

    assert (await daemon.node.status("web")).ready
    assert (await daemon.node.get("web")).pins["volume:data"] == DIGEST
    assert daemon.world.deeds.count(f"pull {DATA}") == 1
    await daemon.node.apply([pod(labels={"new": "label"})])
    assert (await daemon.node.get("web")).pins["volume:data"] == DIGEST


async def test_a_volume_that_cannot_be_pulled_keeps_its_users_waiting(daemon: Daemon) -> None:
    del daemon.world.registry[DATA]
    await daemon.node.apply([pod()])
    await daemon.settle()

    found = (await daemon.node.status("web")).containers
    assert {each.reason for each in found} <= {"ErrImagePull", "ImagePullBackOff"}
    assert daemon.world.processes == {}
    daemon.world.registry[DATA] = Image(digest=DIGEST)
    await daemon.pass_time(400)
    assert (await daemon.node.status("web")).ready


async def test_a_rule_that_comes_later_stops_nothing_and_starts_nothing(daemon: Daemon) -> None:
    await daemon.node.apply([harness.pod()])
    await daemon.settle()
    before = {key: replace(process) for key, process in daemon.world.processes.items()}
    daemon.world.distrusted["sha256:" + "1" * 64] = "nobody signed it"
    await daemon.settle()
    await daemon.node.restart("web")
    await daemon.settle()

    status = await daemon.node.status("web")
    assert daemon.world.processes == before
    assert (status.ready, status.containers[0].image_trust) == (True, "nobody signed it")
    assert status.reason == "SignatureValidationFailed"
    daemon.world.exit((await daemon.node.get("web")).uid, "app", 1)
    await daemon.settle()
    await daemon.pass_time(400)
    assert not any(process.alive for process in daemon.world.processes.values())
    assert (await daemon.node.status("web")).containers[0].reason == "SignatureValidationFailed"
    daemon.world.distrusted.clear()
    await daemon.pass_time(400)
    assert (await daemon.node.status("web")).ready


async def test_what_the_machine_cannot_do_is_refused_at_apply(daemon: Daemon) -> None:
    daemon.world.lacks = "no quotas here"
    with pytest.raises(Unsupported, match="pod web: no quotas here"):
        await daemon.node.apply([pod()])
    with pytest.raises(Unsupported):
        await daemon.node.plan([pod()])

    assert await daemon.node.list() == []


async def test_an_image_that_is_not_fresh_starts_with_a_warning_c6(daemon: Daemon) -> None:
    asked = [{"name": "app", "image": IMAGE, "pull": "prefer_fresh"}]
    await daemon.node.apply([harness.pod(containers=asked)])
    await daemon.settle()
    del daemon.world.registry[IMAGE]
    await daemon.node.apply([harness.pod("other", containers=asked)])
    await daemon.settle()
    await daemon.report.flush()

    assert (await daemon.node.status("other")).ready
    told = [(each.pod, each.reason, each.message) for each in await daemon.store.events() if each.type == "Warning"]
    assert told == [("other", "NotFresh", f"{IMAGE} is taken as it is here: there is no registry")]


async def test_while_a_pull_that_was_asked_for_fails_what_dies_comes_back_as_it_was_c6(daemon: Daemon) -> None:
    await daemon.node.apply([harness.pod()])
    await daemon.settle()
    image = daemon.world.registry.pop(IMAGE)
    uid = (await daemon.node.get("web")).uid
    await daemon.node.restart("web", pull=True)
    await daemon.settle()
    assert (daemon.world.processes[uid, "app"].attempt, (await daemon.node.status("web")).ready) == (1, True)

    daemon.world.exit(uid, "app", 1)
    await daemon.settle()
    assert (daemon.world.processes[uid, "app"].attempt, daemon.world.processes[uid, "app"].alive) == (2, True)
    assert (await daemon.node.status("web")).containers[0].image_digest == image.digest

    asked = daemon.world.deeds.count(f"pull {IMAGE}")
    daemon.world.registry[IMAGE] = Image(digest="sha256:" + "5" * 64)
    daemon.world.exit(uid, "app", 1)  # the next start asks the registry first, as the restart wanted
    await daemon.settle()
    await daemon.pass_time(400)
    assert daemon.world.deeds.count(f"pull {IMAGE}") == asked + 1
    assert (await daemon.node.status("web")).containers[0].image_digest == "sha256:" + "5" * 64
    assert (await daemon.node.get("web")).pins == {"app": "sha256:" + "5" * 64}


async def test_after_a_reboot_too_c6(daemon: Daemon) -> None:
    await daemon.node.apply([harness.pod()])
    await daemon.settle()
    image = daemon.world.registry.pop(IMAGE)
    await daemon.node.restart("web", pull=True)
    await daemon.settle()
    daemon.world.reboot()
    after = harness.again(daemon)
    await after.settle()
    await after.pass_time(60)

    assert (await after.node.status("web")).ready
    assert (await after.node.status("web")).containers[0].image_digest == image.digest
