"""Files that hold more than images for this machine, or less than they pretend to."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tank.errors import PullFailed
from tank.image.load import load
from tank.image.pull import ImageStore
from tests import archives, images

pytestmark = pytest.mark.system

NAME = "io.containerd.image.name"
EMPTY = "application/vnd.oci.empty.v1+json"
COSIGN = "application/vnd.dev.cosign.simplesigning.v1+json"


def put(layout: Path, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    return images.blob(layout / "blobs/sha256", kind, json.dumps(body).encode())


def foreign(layout: Path) -> dict[str, Any]:
    """An image for another machine, told by its configuration alone."""
    body = {"architecture": "s390x", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    config = put(layout, images.CONFIG, body)
    return put(
        layout, images.MANIFEST, {"schemaVersion": 2, "mediaType": images.MANIFEST, "config": config, "layers": []}
    )


def artifact(layout: Path) -> dict[str, Any]:
    """What refers to an image, as OCI 1.1 has it."""
    blob = put(layout, EMPTY, {})
    body = {"schemaVersion": 2, "mediaType": images.MANIFEST, "artifactType": "application/spdx+json", "config": blob}
    return put(layout, images.MANIFEST, {**body, "layers": [blob]})


def signature(layout: Path) -> dict[str, Any]:
    """What `cosign save` puts beside an image."""
    config = {"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{'a' * 64}"]}}
    body = {"schemaVersion": 2, "mediaType": images.MANIFEST, "config": put(layout, images.CONFIG, config)}
    return put(layout, images.MANIFEST, {**body, "layers": [put(layout, COSIGN, {"critical": {}})]})


def nested(layout: Path) -> dict[str, Any]:
    """An index with nothing for this machine."""
    inner = foreign(layout) | {"platform": {"os": "linux", "architecture": "s390x"}}
    kind = "application/vnd.oci.image.index.v1+json"
    return put(layout, kind, {"schemaVersion": 2, "mediaType": kind, "manifests": [inner]})


OTHERS = {"for another machine": foreign, "an artifact": artifact, "a signature": signature, "an index": nested}


def indexed(layout: Path, *entries: dict[str, Any]) -> Path:
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return layout


def entries(layout: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((layout / "index.json").read_text())["manifests"]
    return found


@pytest.mark.parametrize("case", OTHERS)
async def test_what_is_nothing_for_this_machine_is_left_out_and_said(
    case: str, store: ImageStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layout = images.busybox(tmp_path / "layout")
    [image] = entries(layout)
    named = image | {"annotations": {NAME: "localhost/it:1"}}
    indexed(layout, OTHERS[case](layout) | {"annotations": {NAME: "localhost/other:1"}}, named)
    with caplog.at_level(logging.INFO, "tank.image"):
        assert await load(store, layout) == ("localhost/it:1",)

    assert [each.message for each in caplog.records if each.message.startswith("not loaded: cannot use image")]
    assert await store.find("localhost/other:1") is None


@pytest.mark.parametrize("case", OTHERS)
async def test_alone_it_is_refused(case: str, store: ImageStore, tmp_path: Path) -> None:
    layout = images.busybox(tmp_path / "layout")

    with pytest.raises(PullFailed, match="cannot use image"):
        await load(store, indexed(layout, OTHERS[case](layout)))


async def test_more_images_than_are_taken_at_once_are_refused_and_not_cut(store: ImageStore, tmp_path: Path) -> None:
    layout = images.busybox(tmp_path / "layout")
    [image] = entries(layout)
    many = [image | {"digest": f"sha256:{number:064x}"} for number in range(101)]

    with pytest.raises(PullFailed, match="101, more than 100"):
        await load(store, indexed(layout, *many))


def saved(layers: list[str], *members: bytes) -> bytes:
    """A Docker archive whose layers are what the members make of these names."""
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": [f"sha256:{'a' * 64}"] * len(layers)}}).encode()
    listing = json.dumps([{"Config": "c.json", "RepoTags": ["localhost/it:1"], "Layers": layers}]).encode()
    return archives.archive(
        archives.member(b"c.json", data=config), archives.member(b"manifest.json", data=listing), *members
    )


def hole(name: bytes, size: int) -> bytes:
    """A file of so many bytes that are none."""
    records = {b"GNU.sparse.size": b"%d" % size, b"GNU.sparse.name": name, b"GNU.sparse.map": b"%d,0" % size}
    return archives.member(name, pax=records)


async def test_a_layer_of_nothing_but_a_hole_is_not_read_to_its_end(store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "it.tar").write_bytes(saved(["l.tar"], hole(b"l.tar", 2**43)))

    with pytest.raises(PullFailed, match="more bytes than the files they are in"):
        await load(store, tmp_path / "it.tar")


async def test_a_layer_in_a_directory_is_not_longer_than_the_disk(store: ImageStore, tmp_path: Path) -> None:
    layout = tmp_path / "it"
    layout.mkdir()
    (layout / "manifest.json").write_text('[{"Config": "c.json", "RepoTags": ["localhost/it:1"], "Layers": ["l.tar"]}]')
    (layout / "c.json").write_text("{}")
    with (layout / "l.tar").open("wb") as file:
        file.truncate(2**43)

    with pytest.raises(PullFailed, match="more bytes than"):
        await load(store, layout)


async def test_a_layer_under_many_names_is_read_once(store: ImageStore, tmp_path: Path) -> None:
    layer = archives.archive(archives.member(b"f", data=bytes(500_000)))
    names = [f"l{number}.tar" for number in range(400)]
    links = (archives.hardlink(name.encode(), b"l0.tar") for name in names[1:])
    (tmp_path / "it.tar").write_bytes(saved(names, archives.member(b"l0.tar", data=layer), *links))

    with pytest.raises(PullFailed, match="unpacks to"):  # all was read: the archive names them wrongly
        await load(store, tmp_path / "it.tar")
