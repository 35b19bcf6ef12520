"""Pulls, collection, deletion, starts, kills of the daemon, in any order: nothing that is needed ever goes.

A machine of small images that share layers, on a real directory. Each rule is one step between which others may come:
a pull is stages, and a collection looks first and acts later, on what it saw.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tank.image import inventory
from tank.image.bin import Bin
from tank.image.blobs import Blobs, LayerRecord
from tank.image.claims import LEASE, Claims
from tank.image.inventory import Inventory
from tank.image.keeper import Keeper
from tank.image.shelf import Shelf

NAMES = st.sampled_from("pqrs")
LAYERS = {"p": "ab", "q": "bc", "r": "cd", "s": "abcd"}  # what each image is made of


def diff_id(layer: str) -> str:
    return "sha256:" + hashlib.sha256(layer.encode()).hexdigest()


def documents(name: str) -> tuple[bytes, bytes]:
    diff_ids = [diff_id(each) for each in LAYERS[name]]
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}, "author": name}
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": "sha256:" + hashlib.sha256(config).hexdigest(),
            "size": len(config),
        },
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": each, "size": 1} for each in diff_ids
        ],
    }
    return config, json.dumps(manifest).encode()


DIGESTS = {name: "sha256:" + hashlib.sha256(documents(name)[1]).hexdigest() for name in LAYERS}


class Heap(Bin):
    """What is taken aside stays there: when it is removed makes no difference to anybody."""

    def put(self, paths: Iterable[Path]) -> None:
        list(paths)


class Collection(RuleBasedStateMachine):
    """The world of the test. `declared` and `running` are the rows: images that pods need."""

    @initialize()
    def begin(self) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="collection-"))
        self.clock = 1000.0
        self.declared: set[str] = set()
        self.found: set[str] = set()  # looked up by a start that has not written its row yet
        self.seen: Inventory | None = None
        self.blobs = Blobs(self.top / "images")
        self.restart()

    def teardown(self) -> None:
        self.blobs.close()
        shutil.rmtree(self.top, ignore_errors=True)

    @rule()
    def restart(self) -> None:
        """The daemon is killed: what it held in memory is gone, and so are the pulls and looks under way."""
        self.blobs.close()
        self.blobs = Blobs(self.top / "images")
        for each in self.blobs.prepare():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        self.claims = Claims(lambda: self.clock)
        self.keeper = Keeper(self.blobs, self.claims, lambda: self.clock, Heap(lambda: False))
        self.shelf = Shelf(self.blobs)
        self.pulls: dict[str, Iterator[None]] = {}
        self.found.clear()
        self.seen = None

    # A pull, step by step, as `ImageStore` makes it

    def pulling(self, name: str) -> Iterator[None]:
        self.claims.begin(name, DIGESTS[name], (diff_id(each)[7:] for each in LAYERS[name]))
        yield
        for each in LAYERS[name]:
            if self.blobs.layer(diff_id(each)) is None:
                stage = self.blobs.stage()
                (stage / each).write_text(each)
                yield
                self.blobs.name_layer(stage, LayerRecord(size=1, entries=1), (), diff_id(each))
                self.date(self.blobs.layers / f"{diff_id(each)[7:]}.json")
            yield
        for data in documents(name):
            self.date(self.blobs.documents / self.blobs.write(data)[7:])
            yield
        assert self.shelf.image(DIGESTS[name]) is not None, "an image is not whole after its pull"
        self.blobs.remember(f"test/{name}:1", DIGESTS[name])
        self.date(self.blobs.documents / DIGESTS[name][7:])
        self.look_up(name)
        self.claims.end(name)

    def date(self, path: Path) -> None:
        os.utime(path, (self.clock, self.clock))

    @rule(name=NAMES)
    def pull(self, name: str) -> None:
        self.pulls.setdefault(name, self.pulling(name))

    @precondition(lambda self: self.pulls)
    @rule(choice=st.integers(0, 3), steps=st.integers(1, 20))
    def go_on(self, choice: int, steps: int) -> None:
        name = sorted(self.pulls)[choice % len(self.pulls)]
        for _ in range(steps):
            try:
                next(self.pulls[name])
            except StopIteration:
                del self.pulls[name]
                return

    @precondition(lambda self: self.pulls)
    @rule(choice=st.integers(0, 3))
    def break_off(self, choice: int) -> None:
        name = sorted(self.pulls)[choice % len(self.pulls)]
        self.pulls.pop(name).close()  # type: ignore[attr-defined]
        self.claims.end(name)

    # Pods

    def look_up(self, name: str) -> bool:
        image = self.shelf.image(DIGESTS[name])
        content = self.shelf.content(DIGESTS[name])
        if image is None or content is None:
            return False
        self.claims.lease(image.digest, content.claimed)
        return True

    @rule(name=NAMES)
    def start(self, name: str) -> None:
        """A start looks the image up; its row comes a moment later."""
        if self.look_up(name):
            self.found.add(name)

    @precondition(lambda self: self.found)
    @rule()
    def write_row(self) -> None:
        name = sorted(self.found)[0]
        self.found.discard(name)
        self.declared.add(name)

    @precondition(lambda self: self.declared)
    @rule()
    def remove_pod(self) -> None:
        self.declared.discard(min(self.declared))

    @rule(seconds=st.sampled_from([1.0, 50.0, LEASE + 1, 5000.0]))
    def wait(self, seconds: float) -> None:
        if self.found and seconds >= LEASE:
            return  # a start does not take that long
        self.clock += seconds

    # Collection

    @rule()
    def look(self) -> None:
        found = inventory.take(self.blobs)
        self.seen = replace(found, generation=self.claims.generation)

    @precondition(lambda self: self.seen)
    @rule(everything=st.booleans())
    def collect(self, everything: bool) -> None:
        """The look may be old; the rows are read again in the same step, as the node does."""
        assert self.seen is not None
        seen = self.seen
        needed = frozenset(DIGESTS[each] for each in self.declared)
        if not self.keeper.unread(seen, needed):
            self.keeper.sweep(seen, needed)
            doomed = [each.digest for each in seen.images if each.digest not in needed]
            self.keeper.remove(seen, doomed if everything else doomed[:1])
        self.seen = None

    @invariant()
    def what_is_needed_is_whole(self) -> None:
        for name in getattr(self, "declared", set()) | getattr(self, "found", set()):
            assert Shelf(self.blobs).image(DIGESTS[name]) is not None, f"{name} was needed"


TestCollection = Collection.TestCase
TestCollection.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
