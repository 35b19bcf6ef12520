"""Images from files and into files, made and read by tools that are not ours; and layers on top of others."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tank.config import Settings
from tank.errors import PullFailed
from tank.image.load import load
from tank.image.pull import ImageStore
from tank.image.save import Format, save
from tank.model.image import Image
from tank.model.registry_fields import Registry as Configured
from tests import archives, images, registry
from tests.trees import Node, tree

pytestmark = pytest.mark.system

LOWER = archives.archive(
    archives.directory(b"usr", mode=0o755, mtime=1_000),
    archives.directory(b"usr/lib", mode=0o751, mtime=2_000),
    archives.member(b"usr/lib/old", data=b"old", mtime=5),
    archives.symlink(b"lib", b"usr/lib", mtime=6),
    archives.symlink(b"deep", b"/lib", mtime=6),
    archives.directory(b"tmp", mode=0o1777, uid=3, gid=4, mtime=3_000),
    archives.symlink(b"was", b"usr", mtime=7),
)
UPPER = archives.archive(
    archives.member(b"lib/new", data=b"new", mtime=8),
    archives.member(b"deep/inner/file", data=b"deep", mtime=9),
    archives.member(b"lib/.wh.old"),
    archives.member(b"tmp/note", data=b"note", mtime=10),
    archives.directory(b"was", mode=0o700, mtime=11),
    archives.member(b"was/replaced", data=b"", mtime=12),
)


@pytest.fixture
def layered(tmp_path: Path) -> Path:
    """A layout whose upper layer has no entries for its directories."""
    return images.layout(tmp_path / "layered", [LOWER, UPPER], {"Cmd": ["sh"]})


def run(*argv: object) -> None:
    subprocess.run(list(map(str, argv)), check=True, capture_output=True)


@contextlib.contextmanager
def merged(image: Image, directory: Path) -> Iterator[Path]:
    """The layers under one another, as a container sees them."""
    if len(image.layers) == 1:
        yield image.layers[0]
        return
    directory.mkdir()
    stack = ":".join(str(each) for each in reversed(image.layers))
    run("mount", "-t", "overlay", "overlay", "-o", f"ro,lowerdir={stack}", directory)
    try:
        yield directory
    finally:
        run("umount", directory)


def seen(image: Image, directory: Path) -> dict[str, Node]:
    with merged(image, directory) as root:
        return without_root(tree(root))


def without_root(found: dict[str, Node]) -> dict[str, Node]:
    """The root itself is the writable layer's, which a container gets when it is made."""
    del found["."]
    return found


def unpacked_by_umoci(layout: Path, directory: Path) -> dict[str, Node]:
    names = [path.name for path in layout.iterdir()]
    assert "index.json" in names
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "it"}
    (layout / "index.json").write_text(json.dumps(index))
    run("umoci", "raw", "unpack", "--image", f"{layout}:it", directory)
    return without_root(tree(directory))


async def loaded(store: ImageStore, source: Path) -> Image:
    (name,) = await load(store, source)
    found = await store.find(f"localhost/loaded@{name}" if name.startswith("sha256:") else name)
    assert found is not None
    return found


async def saved(store: ImageStore, target: Path, kind: Format) -> None:
    with target.open("wb") as file:
        async for piece in save(store, ["localhost/it:1"], format=kind):
            file.write(piece)


async def test_a_file_behind_a_link_of_a_lower_layer_lands_where_the_link_points(
    store: ImageStore, layered: Path, tmp_path: Path
) -> None:
    found = seen(await loaded(store, layered), tmp_path / "merged")

    assert (found["lib"].kind, found["deep"].kind, found["was"].kind) == ("link", "link", "directory")
    assert {"usr/lib/new", "usr/lib/inner/file", "was/replaced"} <= set(found)
    assert "usr/lib/old" not in found
    assert (found["tmp"].mode, found["tmp"].uid, found["tmp"].gid) == (0o1777, 3, 4)


async def test_the_tree_is_the_one_that_umoci_unpacks(store: ImageStore, layered: Path, tmp_path: Path) -> None:
    ours = seen(await loaded(store, layered), tmp_path / "merged")

    theirs = unpacked_by_umoci(layered, tmp_path / "umoci")
    for name in (
        "usr/lib",
        "usr/lib/inner",
    ):  # it changes times where it makes a directory that nobody has an entry for
        ours[name], theirs[name] = ours[name]._replace(mtime=0), theirs[name]._replace(mtime=0)

    assert ours == theirs


async def test_the_same_layer_on_other_layers_is_another_one(store: ImageStore, tmp_path: Path) -> None:
    plain = archives.archive(archives.directory(b"lib", mode=0o700, mtime=1))
    one = await loaded(store, images.layout(tmp_path / "one", [LOWER, UPPER], {}))
    two = await loaded(store, images.layout(tmp_path / "two", [plain, UPPER], {}))

    assert one.layers[1] != two.layers[1]
    assert seen(two, tmp_path / "merged")["lib"].kind == "directory"


async def test_a_layer_that_says_everything_is_shared(store: ImageStore, tmp_path: Path) -> None:
    whole = archives.archive(archives.directory(b"lib"), archives.member(b"lib/x", data=b"x"))
    one = await loaded(store, images.layout(tmp_path / "one", [LOWER, whole], {}))
    two = await loaded(store, images.layout(tmp_path / "two", [UPPER, whole], {}))

    assert one.layers[1] == two.layers[1]


async def test_a_directory_that_is_emptied_without_an_entry_looks_as_below_in_each_image(
    store: ImageStore, tmp_path: Path
) -> None:
    emptied = archives.archive(
        archives.member(b"tmp/.wh..wh..opq"), archives.member(b"tmp/new", data=b"new", mtime=9), archives.member(b"x")
    )
    for number, mode in enumerate((0o1777, 0o700, 0o2750)):
        base = archives.archive(
            archives.directory(b"tmp", mode=mode, uid=number, gid=7, mtime=3), archives.member(b"tmp/old", mtime=4)
        )
        layout = images.layout(tmp_path / f"layout-{number}", [base, emptied], {})
        ours = seen(await loaded(store, layout), tmp_path / f"merged-{number}")
        theirs = unpacked_by_umoci(layout, tmp_path / f"umoci-{number}")

        assert ours["tmp"].mtime == 3 * 10**9
        assert ours == theirs | {"tmp": theirs["tmp"]._replace(mtime=3 * 10**9)}  # it changes the time


SOURCES = {
    "an OCI archive": ["oci-archive:{out}.tar:localhost/it:1"],
    "a Docker archive": ["docker-archive:{out}.tar:localhost/it:1"],
    "an OCI layout": ["oci:{out}"],
    "an OCI layout with zstd": ["--dest-compress-format", "zstd", "--dest-compress", "oci:{out}"],
    "an OCI archive with Docker's manifest": ["--format", "oci", "oci-archive:{out}.tar:localhost/it:1"],
}


@pytest.mark.parametrize("case", SOURCES)
async def test_what_skopeo_writes_is_read(case: str, store: ImageStore, tmp_path: Path) -> None:
    layout = images.busybox(tmp_path / "busybox")
    out = tmp_path / "out"
    *options, target = [each.format(out=out) for each in SOURCES[case]]
    run("skopeo", "copy", "--quiet", *options, f"oci:{layout}", target)
    theirs = unpacked_by_umoci(layout, tmp_path / "umoci")

    image = await loaded(store, out if out.exists() else out.with_suffix(".tar"))

    assert seen(image, tmp_path / "merged") == theirs


async def test_what_buildah_builds_is_read(store: ImageStore, tmp_path: Path) -> None:
    storage = ["--root", tmp_path / "root", "--runroot", tmp_path / "runroot", "--storage-driver", "vfs"]
    (tmp_path / "tree/app").mkdir(parents=True)
    (tmp_path / "tree/app/file").write_text("hello")
    (tmp_path / "tree/app/file").chmod(0o4755)
    (tmp_path / "tree/app/link").symlink_to("file")
    out = tmp_path / "built"
    run("skopeo", "copy", "--quiet", f"oci:{images.busybox(tmp_path / 'base')}", f"oci:{tmp_path / 'named'}:base")
    run("buildah", *storage, "from", "--name", "work", f"oci:{tmp_path / 'named'}:base")
    run("buildah", *storage, "copy", "--chown", "7:8", "work", tmp_path / "tree", "/opt")
    run("buildah", *storage, "commit", "--quiet", "work", f"oci:{out}")
    run("buildah", *storage, "rm", "work")

    image = await loaded(store, out)

    assert len(image.layers) == 2
    assert seen(image, tmp_path / "merged") == unpacked_by_umoci(out, tmp_path / "umoci")


async def test_a_compressed_archive_is_read_from_a_stream(store: ImageStore, tmp_path: Path) -> None:
    archive = tmp_path / "it.tar"
    run(
        "skopeo", "copy", "--quiet", f"oci:{images.busybox(tmp_path / 'b')}", f"docker-archive:{archive}:localhost/it:1"
    )
    run("gzip", archive)

    async def pieces() -> AsyncIterator[bytes]:
        yield archive.with_suffix(".tar.gz").read_bytes()

    assert await load(store, pieces()) == ("localhost/it:1",)


@pytest.mark.parametrize("kind", ["oci", "docker"])
async def test_what_is_saved_is_read_by_skopeo_and_by_us(kind: str, store: ImageStore, tmp_path: Path) -> None:
    archive, out = tmp_path / "first.tar", tmp_path / "saved.tar"
    run("skopeo", "copy", "--quiet", f"oci:{images.busybox(tmp_path / 'b')}", f"oci-archive:{archive}:localhost/it:1")
    first = await loaded(store, archive)

    await saved(store, out, "oci" if kind == "oci" else "docker")
    run("skopeo", "copy", "--quiet", f"{kind}-archive:{out}", f"oci:{tmp_path / 'back'}:it")
    second = await loaded(store, out)

    assert second.layers == first.layers
    assert (second.digest == first.digest) is (kind == "oci")


async def test_what_is_saved_twice_is_the_same(store: ImageStore, tmp_path: Path) -> None:
    archive = tmp_path / "first.tar"
    run("skopeo", "copy", "--quiet", f"oci:{images.busybox(tmp_path / 'b')}", f"oci-archive:{archive}:localhost/it:1")
    await load(store, archive)

    for number in (1, 2):
        await saved(store, tmp_path / f"{number}.tar", "oci")

    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


@pytest.mark.parametrize("target", ["/etc/shadow", "../../outside", "manifest.json"])
async def test_links_in_an_archive_lead_nowhere_else(target: str, store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("secret")
    listing = json.dumps([{"Config": "config.json", "RepoTags": None, "Layers": []}]).encode()
    data = archives.archive(
        archives.member(b"manifest.json", data=listing), archives.symlink(b"config.json", target.encode())
    )
    file = tmp_path / "evil.tar"
    file.write_bytes(data)

    with pytest.raises(PullFailed, match=r"not in the archive|not a JSON object|cannot read"):
        await load(store, file)


@pytest.mark.parametrize("data", [b"", b"no archive", archives.archive(archives.member(b"x", data=b"y"))])
async def test_what_is_no_image_is_refused_and_leaves_nothing(data: bytes, store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(data)

    with pytest.raises(PullFailed):
        await load(store, tmp_path / "x.tar")

    assert list((tmp_path / "data/images/scratch").iterdir()) == []


@pytest.mark.parametrize(("count", "fits"), [(1, True), (500, True), (501, False)])
async def test_five_hundred_layers_are_taken_and_one_more_is_not(
    count: int, fits: bool, store: ImageStore, tmp_path: Path
) -> None:
    layers = [archives.archive(archives.member(b"file%d" % each, data=b"x")) for each in range(count)]
    layout = images.layout(tmp_path / "many", layers, {})

    if fits:
        assert len((await loaded(store, layout)).layers) == count
    else:
        with pytest.raises(PullFailed, match="501 layers, more than 500"):
            await load(store, layout)


async def test_an_empty_layer_is_one(store: ImageStore, tmp_path: Path) -> None:
    image = await loaded(store, images.layout(tmp_path / "empty", [LOWER, archives.archive()], {}))

    assert len(image.layers) == 2


@pytest.mark.parametrize("damaged", [False, True])
async def test_a_part_is_taken_up_and_a_damaged_one_costs_nothing_but_time(
    damaged: bool, store: ImageStore, tmp_path: Path
) -> None:
    layout = images.busybox(tmp_path / "b")
    whole = max((layout / "blobs/sha256").iterdir(), key=lambda each: each.stat().st_size)
    part = tmp_path / "data/images/parts" / whole.name
    half = whole.read_bytes()[: whole.stat().st_size // 2]
    part.write_bytes(bytes(len(half)) if damaged else half)
    with registry.plain(tmp_path / "registry") as made:
        reference = made.push(layout, "it:1")

        image = await store.resolve(reference, "if_missing", None)

    assert len(image.layers) == 1
    assert (tmp_path / "data/images/packed" / whole.name).read_bytes() == whole.read_bytes()
    assert list((tmp_path / "data/images/parts").iterdir()) == []


async def test_a_mirror_is_asked_first_and_a_dead_one_is_passed_over(tmp_path: Path) -> None:
    layout = images.busybox(tmp_path / "b")
    dead = f"127.0.0.1:{registry.free_port()}"
    with registry.plain(tmp_path / "registry") as mirror:
        mirror.push(layout, "proxy/team/it:1")
        nobody = f"127.0.0.1:{registry.free_port()}"
        hosts = {nobody: Configured(mirrors=(dead, f"{mirror.address}/proxy"))}
        store = ImageStore(Settings(data_dir=tmp_path / "data", registries=hosts, image_reserve=0))
        await store.open()
        try:
            image = await store.resolve(f"{nobody}/team/it:1", "if_missing", None)
        finally:
            await store.close()

    assert len(image.layers) == 1


async def test_a_disk_that_takes_no_copy_of_a_layer_takes_the_layer(store: ImageStore, tmp_path: Path) -> None:
    files = {f"f{number}": os.urandom(20_000) for number in range(60)}
    layout = images.layout(tmp_path / "many", [images.layer(files, ())], {})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))  # of any one file
    try:
        image = await loaded(store, layout)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert {each.name: each.read_bytes() for each in image.layers[0].iterdir()} == files
    assert [*(tmp_path / "data/images/packed").iterdir(), *(tmp_path / "data/images/parts").iterdir()] == []
