"""From indexes within indexes to the one image that this machine runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tank.errors import PullFailed
from tank.image import manifest, platform
from tank.image.blobs import Blobs
from tank.image.manifest import Descriptor
from tank.image.refusal import refused
from tank.image.selection import Selection
from tank.image.source import Download, Served, Witness
from tank.model import reference as references
from tank.model.reference import Reference

REFERENCE = references.parse("example.org/it:1")
CONFIG = "application/vnd.oci.image.config.v1+json"


class Shelf:
    """Documents that are made as they are needed: a `Source`. `asked` are the manifests that were wanted."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.top, self.asked = "", list[str]()

    def put(self, body: dict[str, Any]) -> dict[str, Any]:
        data = json.dumps(body).encode()
        digest = manifest.digest_of(data)
        self.documents[digest] = data
        return {"mediaType": body.get("mediaType", CONFIG), "digest": digest, "size": len(data)}

    def image(self, architecture: str, named: bool = True) -> dict[str, Any]:
        """The descriptor of one, with its platform if it is `named`."""
        where = {"os": "linux", "architecture": architecture}
        config = self.put(where | {"rootfs": {"type": "layers", "diff_ids": []}})
        body = {"schemaVersion": 2, "mediaType": manifest.OCI_MANIFEST, "config": config, "layers": []}
        return self.put(body) | ({"platform": where} if named else {})

    def index(self, *manifests: dict[str, Any], architecture: str = "") -> dict[str, Any]:
        where = {"platform": {"os": "linux", "architecture": architecture}} if architecture else {}
        body = {"schemaVersion": 2, "mediaType": manifest.OCI_INDEX, "manifests": manifests}
        return self.put(body) | where

    async def manifest(self, reference: Reference, target: str) -> Served:
        digest = self.top if target == "1" else target
        self.asked.append(digest)
        if digest not in self.documents:
            raise refused("cannot pull image: there is no such manifest")
        data = self.documents[digest]
        return Served(data=data, media_type=json.loads(data)["mediaType"], digest=digest)

    async def document(self, reference: Reference, wanted: Descriptor) -> bytes:
        return self.documents[wanted.digest]

    def witnesses(self, reference: Reference) -> tuple[Witness, ...]:
        return ()

    def downloads(self, reference: Reference, wanted: Descriptor) -> tuple[Download, ...]:
        return ()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


async def chosen(shelf: Shelf, blobs: Blobs, top: dict[str, Any]) -> str:
    shelf.top = top["digest"]
    search = Selection(client=shelf, blobs=blobs, reference=REFERENCE, accepted=platform.accepted("x86_64"))
    return (await search.run()).configuration.platform.architecture


async def test_an_index_within_an_index_is_chosen_by_the_platform_that_it_is_named_with(
    shelf: Shelf, blobs: Blobs
) -> None:
    inner = {each: shelf.index(shelf.image(each), architecture=each) for each in ("arm64", "amd64", "s390x")}

    assert await chosen(shelf, blobs, shelf.index(*inner.values())) == "amd64"
    assert inner["arm64"]["digest"] not in shelf.asked


async def test_an_index_that_does_not_hold_what_it_is_named_with_ends_no_search(shelf: Shelf, blobs: Blobs) -> None:
    wrong = shelf.index(shelf.image("arm64"), architecture="amd64")
    missing = {**wrong, "digest": f"sha256:{'0' * 64}"}

    assert await chosen(shelf, blobs, shelf.index(wrong, missing, shelf.index(shelf.image("amd64")))) == "amd64"


async def test_a_manifest_comes_before_an_index_of_the_same_platform(shelf: Shelf, blobs: Blobs) -> None:
    inner = shelf.index(shelf.image("amd64"), architecture="amd64")

    assert await chosen(shelf, blobs, shelf.index(inner, shelf.image("amd64"))) == "amd64"
    assert inner["digest"] not in shelf.asked


@pytest.mark.parametrize("architecture", ["arm64", ""])
async def test_without_any_for_this_machine_it_says_so(architecture: str, shelf: Shelf, blobs: Blobs) -> None:
    with pytest.raises(PullFailed, match=r"not for linux/amd64, but for: linux/arm64"):
        await chosen(shelf, blobs, shelf.index(shelf.index(shelf.image("arm64"), architecture=architecture)))


async def test_indexes_three_deep_are_refused(shelf: Shelf, blobs: Blobs) -> None:
    inner = shelf.index(shelf.image("amd64"), architecture="amd64")
    for _ in range(2):
        inner = shelf.index(inner, architecture="amd64")

    with pytest.raises(PullFailed, match="nested too deep"):
        await chosen(shelf, blobs, inner)
