"""The content store: whole or absent, and damage is absence."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tank.host.openat import remove_tree
from tank.image import manifest
from tank.image.blobs import Blobs, LayerRecord
from tank.image.manifest import digest_of
from tank.image.shelf import Shelf, key
from tank.model import reference

LAYERS = [f"sha256:{letter * 64}" for letter in "abcd"]
RECORD = LayerRecord(size=10, entries=1)


@pytest.fixture
def blobs(tmp_path: Path) -> Iterator[Blobs]:
    store = Blobs(tmp_path / "images")
    store.prepare()
    yield store
    store.close()


def file(blobs: Blobs, digest: str) -> Path:
    return blobs.root / "blobs" / "sha256" / digest.removeprefix("sha256:")


def test_bytes_are_found_by_their_digest(blobs: Blobs) -> None:
    digest = blobs.write(b"hello")

    assert (digest, blobs.read(digest), blobs.read(LAYERS[0])) == (digest_of(b"hello"), b"hello", None)


@pytest.mark.parametrize("damage", [b"", b"hell", b"hellO"])
def test_damaged_bytes_are_absent_and_are_mended_by_writing_again(blobs: Blobs, damage: bytes) -> None:
    digest = blobs.write(b"hello")
    file(blobs, digest).write_bytes(damage)
    assert blobs.read(digest) is None
    blobs.write(b"hello")

    assert blobs.read(digest) == b"hello"


@pytest.mark.parametrize("digest", ["sha256:../../x", "", "x", "sha256:" + "a" * 63, "sha512:" + "a" * 64])
def test_what_is_no_digest_never_reaches_the_disk(blobs: Blobs, digest: str) -> None:
    for method in (blobs.read, blobs.layer, blobs.layer_record):
        with pytest.raises(ValueError, match="not a digest"):
            method(digest)


def test_everything_is_closed_to_others(blobs: Blobs) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (blobs.root, blobs.layers, blobs.scratch, blobs.stage())}

    assert modes == {0o700}


def test_leftovers_are_what_lies_in_the_scratch_directory(blobs: Blobs) -> None:
    blobs.write(b"hello")
    stage = blobs.stage()

    again = Blobs(blobs.root)
    assert again.prepare() == (stage,)
    again.close()


def test_what_is_known_of_a_layer_goes_where_the_layer_itself_is_not(blobs: Blobs) -> None:
    kept(blobs, LAYERS[0])
    kept(blobs, LAYERS[1]).rename(blobs.unfinished())
    blobs.prepare()

    assert {path.name for path in blobs.layers.iterdir()} == {"a" * 64, f"{'a' * 64}.json"}


def kept(blobs: Blobs, diff_id: str, record: LayerRecord = RECORD) -> Path:
    stage = blobs.stage()
    (stage / "file").write_text(diff_id)
    blobs.name_layer(stage, record, (), diff_id)
    found = blobs.layer(diff_id)
    assert found is not None
    return found


def test_a_kept_layer_has_its_name_and_its_record(blobs: Blobs) -> None:
    record = LayerRecord(size=3, entries=4, opaque_root=True, implicit=("a\udcff",))
    path = kept(blobs, LAYERS[0], record)

    assert ((path / "file").read_text(), blobs.layer_record(LAYERS[0])) == (LAYERS[0], record)
    assert list(blobs.scratch.iterdir()) == []


def test_a_layer_that_came_twice_is_kept_once(blobs: Blobs) -> None:
    kept(blobs, LAYERS[0])
    again = blobs.stage()
    blobs.name_layer(again, RECORD, (), LAYERS[0])

    assert (blobs.layers / ("a" * 64) / "file").read_text() == LAYERS[0]
    assert list(blobs.scratch.iterdir()) == [again]


def test_a_reference_means_what_it_was_told_last(blobs: Blobs) -> None:
    blobs.remember("docker.io/library/nginx:1", LAYERS[0])
    blobs.remember("docker.io/library/nginx:1", LAYERS[1])

    assert blobs.recall("docker.io/library/nginx:1") == LAYERS[1]
    assert blobs.recall("docker.io/library/nginx:2") is None


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b"{}", b'{"reference": "other", "digest": "x"}', b'{"reference": "a:1", "digest": "../x"}']
)
def test_a_damaged_record_means_nothing(blobs: Blobs, damage: bytes) -> None:
    blobs.remember("a:1", LAYERS[0])
    [path] = (blobs.root / "references").iterdir()
    path.write_bytes(damage)

    assert blobs.recall("a:1") is None


def stored(blobs: Blobs, *diff_ids: str) -> str:
    """Manifest and configuration of an image with these layers; the digest of the manifest."""
    config = json.dumps({"config": {"Cmd": ["sh"]}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": 5}
    body = {
        "schemaVersion": 2,
        "mediaType": manifest.OCI_MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": blobs.write(config),
            "size": len(config),
        },
        "layers": [{**layer, "digest": digest} for digest in diff_ids],
    }
    return blobs.write(json.dumps(body).encode())


NGINX = reference.parse("nginx:1")


def test_an_image_is_found_by_tag_and_by_digest_with_its_layers_from_the_bottom_up(blobs: Blobs) -> None:
    digest = stored(blobs, *LAYERS[:2])
    paths = tuple(kept(blobs, each) for each in LAYERS[:2])
    blobs.remember(key(NGINX), digest)
    found = Shelf(blobs).find(NGINX)

    assert found is not None
    assert (found.digest, found.layers, found.config.cmd) == (digest, paths, ("sh",))
    assert Shelf(blobs).find(NGINX.at(digest)) == found
    assert Shelf(blobs).find(reference.parse("nginx:2")) is None


def test_an_image_without_one_of_its_layers_is_not_here_until_it_comes(blobs: Blobs) -> None:
    shelf, digest = Shelf(blobs), stored(blobs, *LAYERS[:2])
    kept(blobs, LAYERS[0])
    assert shelf.image(digest) is None
    top = kept(blobs, LAYERS[1])
    assert shelf.image(digest) is not None
    remove_tree(top)

    assert shelf.image(digest) is None


def test_an_image_with_a_damaged_document_is_not_here(blobs: Blobs) -> None:
    digest = stored(blobs, LAYERS[0])
    kept(blobs, LAYERS[0])
    file(blobs, digest).write_bytes(b"")

    assert Shelf(blobs).image(digest) is None


def test_a_layer_that_comes_twice_is_stacked_once_at_its_topmost_place(blobs: Blobs) -> None:
    a, b, c = (kept(blobs, each) for each in LAYERS[:3])
    digest = stored(blobs, LAYERS[0], LAYERS[1], LAYERS[0], LAYERS[2], LAYERS[1])
    found = Shelf(blobs).image(digest)

    assert found is not None
    assert found.layers == (a, c, b)


def test_nothing_shows_below_a_layer_whose_root_is_opaque(blobs: Blobs) -> None:
    kept(blobs, LAYERS[0])
    middle = kept(blobs, LAYERS[1], LayerRecord(size=1, entries=1, opaque_root=True))
    top = kept(blobs, LAYERS[2])
    found = Shelf(blobs).image(stored(blobs, *LAYERS[:3]))

    assert found is not None
    assert found.layers == (middle, top)


def test_a_tree_of_any_depth_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "deep"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(1500):  # far beyond PATH_MAX and the interpreter's stack
        os.mkdir("d", dir_fd=here)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    (top / "link").symlink_to(tmp_path)
    for number in range(1, 40):  # names that removal itself might want to use
        (top / f".lifted.{number}" / "full").mkdir(parents=True)
    remove_tree(top)
    remove_tree(top)

    assert list(tmp_path.iterdir()) == []
