"""What the gate looks at before it lets an image in, and how long."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tank.errors import PullFailed
from tank.image.blobs import Blobs
from tank.image.gate import Gate
from tank.image.manifest import OCI_MANIFEST, Descriptor
from tank.image.refusal import FAILED, Missing
from tank.image.source import Download, Served, Witness
from tank.model import reference as references
from tank.model.reference import Reference
from tank.model.trust import Trust
from tests import signing

IMAGE = references.parse("registry.example/app:1")
DIGEST = "sha256:" + "a" * 64


@dataclass
class Place:
    """A registry with signatures: documents by digest or tag, pages of referrers. `silent`: it never answers."""

    documents: dict[str, bytes] = field(default_factory=dict)
    pages: list[bytes] = field(default_factory=list)
    silent: bool = False
    meanwhile: Callable[[], None] = lambda: None  # happens while it is asked

    def keep(self, body: bytes) -> str:
        digest = signing.digest_of(body)
        self.documents[digest] = body
        return digest

    async def manifest(self, reference: Reference, target: str) -> Served:
        if self.silent:
            await asyncio.Event().wait()
        if target not in self.documents:
            raise Missing(FAILED, f"there is no {target}")
        return Served(data=self.documents[target], media_type=OCI_MANIFEST, digest=target)

    async def referrers(self, reference: Reference, digest: str) -> Sequence[bytes]:
        self.meanwhile()
        return self.pages

    async def document(self, reference: Reference, wanted: Descriptor) -> bytes:
        return self.documents[wanted.digest]

    def witnesses(self, reference: Reference) -> Sequence[Witness]:
        return ((self, reference),)

    def downloads(self, reference: Reference, wanted: Descriptor) -> Sequence[Download]:
        raise AssertionError("nothing is fetched before it is let in")


@pytest.fixture
def gate(blobs: Blobs, tmp_path: Path) -> Gate:
    key = signing.write_key(KEY, tmp_path / "cosign.pub")
    return Gate([Trust(match="*", policy="signed", key=key)], blobs, patience=0.2)


KEY, STRANGER = signing.p256(), signing.p256()


def layer(place: Place, key: signing.Private) -> dict[str, object]:
    body = signing.bundle(key, DIGEST)
    return {"mediaType": signing.BUNDLE, "digest": place.keep(body), "size": len(body)}


def artifact(place: Place, *layers: dict[str, object]) -> str:
    return place.keep(json.dumps({"schemaVersion": 2, "layers": layers}).encode())


def page(*digests: str) -> bytes:
    found = [{"digest": each, "size": 1, "artifactType": signing.BUNDLE} for each in digests]
    return json.dumps({"schemaVersion": 2, "manifests": found}).encode()


async def test_a_referrer_with_an_odd_digest_voids_no_other(gate: Gate) -> None:
    place = Place()
    place.pages = [page("sha512:" + "b" * 128, artifact(place, layer(place, KEY)))]

    await gate.admit(place, IMAGE, (DIGEST,))

    assert gate.verdict(IMAGE, DIGEST).admitted


async def test_the_signature_may_stand_on_the_second_page(gate: Gate) -> None:
    place = Place()
    place.pages = [page(artifact(place, layer(place, STRANGER))), page(artifact(place, layer(place, KEY)))]

    await gate.admit(place, IMAGE, (DIGEST,))

    assert gate.verdict(IMAGE, DIGEST).admitted


async def test_of_many_signatures_the_newest_are_looked_at(gate: Gate) -> None:
    place = Place()
    attached = [*(layer(place, STRANGER) for _ in range(100)), layer(place, KEY)]
    place.documents[DIGEST.replace(":", "-") + ".sig"] = json.dumps({"layers": attached}).encode()

    await gate.admit(place, IMAGE, (DIGEST,))

    assert gate.verdict(IMAGE, DIGEST).admitted


async def test_a_place_that_hands_over_no_signatures_is_given_up(gate: Gate) -> None:
    with pytest.raises(PullFailed, match=r"did not come within 0\.2 seconds"):
        await gate.admit(Place(silent=True), IMAGE, (DIGEST,))


@pytest.mark.parametrize("swept", ["while the registry is asked", "just afterwards"])
async def test_a_receipt_that_a_pull_relies_on_is_not_swept(gate: Gate, blobs: Blobs, swept: str) -> None:
    place = Place()
    place.pages = [page(artifact(place, layer(place, KEY)))]
    await gate.admit(place, IMAGE, (DIGEST,))
    [receipt] = blobs.trust.iterdir()
    os.utime(receipt, (1, 1))

    if swept == "while the registry is asked":
        place.meanwhile = lambda: gate.sweep((), time.time())
    await gate.admit(place, IMAGE, (DIGEST,))
    gate.sweep((), time.time())

    assert gate.verdict(IMAGE, DIGEST).admitted
