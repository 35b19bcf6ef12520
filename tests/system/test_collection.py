"""Collection beside pulls and starts: whatever is removed again and again, who needs an image has it (R38).

Pods come and go with images that share a layer, while everything without a user is pruned without a pause and the
water marks want an empty disk; every image looks as if nobody had used it for hours.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tank.client import Client
from tank.errors import Conflict, Failed
from tests import images
from tests.daemon import Daemon
from tests.registry import Registry

pytestmark = pytest.mark.system
SECONDS = 12.0
PODS, VARIANTS = 3, 2


def pod(name: str, image: str) -> dict[str, object]:
    return {"name": name, "grace": 0, "containers": [{"name": "app", "image": image, "command": ["sleep", "999"]}]}


@pytest.fixture(scope="module")
def pushed(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Images upon one base, each with a layer of its own; one more than pods ask for."""
    program = Path(shutil.which("busybox") or "/bin/busybox").read_bytes()
    base = images.layer({"bin/busybox": program, "bin/sleep": "busybox"}, ("bin", "dev", "proc", "sys"))
    found = []
    for number in range(PODS * VARIANTS + 1):
        own = images.layer({f"own/{each}": b"%d" % number * 500 for each in range(60)}, ("own",))
        layout = images.layout(tmp_path_factory.mktemp("layout"), [base, own], {"Env": [images.PATH]})
        found.append(registry.push(layout, f"collected:{number}"))
    return found


class Traffic:
    """What goes on at once, each in a thread, until the time is over. The first failure ends all of it."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon, self.rounds = daemon, Counter[str]()
        self._deadline = time.monotonic() + SECONDS
        self._broken = threading.Event()

    def again(self, what: str, deed: Callable[[Client, int], None]) -> None:
        client = self.daemon.client
        try:
            while time.monotonic() < self._deadline and not self._broken.is_set():
                deed(client, self.rounds[what])
                self.rounds[what] += 1
        except BaseException:
            self._broken.set()
            raise

    def run(self, deeds: dict[str, Callable[[Client, int], None]]) -> None:
        with ThreadPoolExecutor(len(deeds)) as threads:
            running = [threads.submit(self.again, what, deed) for what, deed in deeds.items()]
        for each in running:
            each.result()


def come_and_go(name: str, variants: list[str]) -> Callable[[Client, int], None]:
    """A pod that starts with one image, changes to another, and goes."""

    def deed(client: Client, number: int) -> None:
        for place in range(len(variants)):
            client.apply(pod(name, variants[(number + place) % len(variants)]), wait=True, timeout=30)
        client.delete(name, grace=0)
        client.wait(name, "gone", timeout=30)

    return deed


def age(documents: Path) -> None:
    """Nothing was used within the last hours."""
    for path in documents.iterdir():
        with suppress(FileNotFoundError):
            os.utime(path, (time.time() - 9000,) * 2)


@pytest.mark.timeout(180)
def test_who_needs_an_image_has_it_whatever_is_collected(daemon: Daemon, pushed: list[str]) -> None:
    daemon.end()
    daemon.config = "[images]\nhigh = 1\nlow = 0\n"
    daemon.start()
    *variants, lone = pushed
    standing = variants[0]
    daemon.client.apply(pod("standing", standing), wait=True, timeout=60)
    before = daemon.client.status("standing").containers[0].pid
    removed = Counter[str]()

    def prune(client: Client, _: int) -> None:
        age(daemon.data / "images/blobs/sha256")
        removed.update(client.images.prune(everything=True).images)

    def pull(client: Client, _: int) -> None:
        with suppress(Conflict):
            try:
                client.images.pull(lone)
            except Failed as error:
                assert "was removed at once" in str(error)  # noqa: PT017 - a prune came between the pull and its answer

    def look(client: Client, _: int) -> None:
        usage = client.df()
        assert (usage.unowned, usage.strays) == (0, ())
        assert standing in {name for each in client.images.list() for name in each.references}
        time.sleep(0.1)

    traffic = Traffic(daemon)
    pods = {
        f"p{each}": come_and_go(f"p{each}", variants[each * VARIANTS : (each + 1) * VARIANTS]) for each in range(PODS)
    }
    traffic.run({**pods, "prune": prune, "pull": pull, "look": look})
    print(f"{dict(traffic.rounds)}, {removed.total()} removals of {len(removed)} images")

    assert all(traffic.rounds[each] >= 2 for each in (*pods, "prune", "pull", "look"))
    assert len(removed) >= len(pods)
    container = daemon.client.status("standing").containers[0]
    assert (container.pid, container.restarts) == (before, 0)
    assert not [each for each in daemon.client.events() if each.reason in ("ErrImagePull", "ImagePullBackOff")]
