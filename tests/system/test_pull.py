"""Pulling from a real registry: every policy, form and kind of login, compared with what another tool unpacks."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tank.config import Settings
from tank.errors import PullFailed
from tank.image.manifest import digest_of
from tank.image.pull import ImageStore
from tank.model.image import Image
from tank.model.registry_fields import Registry as RegistrySettings
from tests import archives, images, registry
from tests.archives import archive, directory, hardlink, member, symlink
from tests.registry import Registry
from tests.trees import Node, tree

pytestmark = pytest.mark.system


@asynccontextmanager
async def store(
    directory: Path, home: Path | None = None, registries: dict[str, RegistrySettings] | None = None
) -> AsyncIterator[ImageStore]:
    """An image store with its data in `directory`."""
    made = ImageStore(
        Settings(data_dir=directory, registries=registries or {}), environment={"HOME": str(home or "/nonexistent")}
    )
    await made.open()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[ImageStore]:
    """A store with nothing in it."""
    async with store(tmp_path / "data") as made:
        yield made


def scratch(directory: Path) -> list[Path]:
    return list((directory / "images" / "scratch").iterdir())


# What an image is made of


HONEST = [
    archive(
        directory(b"etc", mode=0o755, mtime=1_000_000_000),
        member(b"etc/keep", data=b"keep", mtime=1_000_000_001),
        member(b"etc/gone", data=b"gone"),
        directory(b"opaque", mode=0o755),
        member(b"opaque/hidden", data=b"hidden"),
        directory(b"bin", mode=0o755, mtime=5),
        member(b"bin/su", data=b"su" * 1000, mode=0o4755, uid=0, mtime=6),
        hardlink(b"bin/su2", b"bin/su"),
        symlink(b"sh", b"bin/sh", uid=7, gid=8, mtime=9),
        member(b"owned", uid=1000, gid=2000, mode=0o640, mtime=3),
        member(b"noted", mtime=4, pax={b"SCHILY.xattr.user.note": b"text", b"mtime": b"4.000000001"}),
        directory(b"becomes-file", mode=0o755),
        member(b"becomes-file/inner"),
        member(b"becomes-directory"),
        member("ünïcode".encode(), data=b"u", mtime=8),
        directory(b"tmp", mode=0o1777, mtime=2),
    ),
    archive(
        directory(b"etc", mode=0o700, uid=3, mtime=1_000_000_005),
        member(b"etc/.wh.gone"),
        directory(b"opaque", mode=0o750, mtime=6),
        member(b"opaque/.wh..wh..opq"),
        member(b"opaque/shown", data=b"shown", mtime=7),
        member(b"becomes-file", data=b"file", mtime=3),
        directory(b"becomes-directory", mode=0o711, mtime=3),
        member(b"becomes-directory/inner", mtime=2),
        member(b"bin/su", data=b"new", mode=0o755, mtime=7),
        directory(b"bin", mode=0o755, mtime=11),
    ),
    archive(archives.symlink(b"top", b"etc/keep", mtime=1), member(b"big", data=bytes(range(256)) * 20_000, mtime=1)),
]


def merged(image: Image, mount: Path) -> dict[str, Node]:
    """The layers as a container sees them: through the overlay, read only."""
    mount.mkdir()
    lower = ":".join(str(path) for path in reversed((mount.parent / "floor", *image.layers)))
    (mount.parent / "floor").mkdir()
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"ro,lowerdir={lower}", mount], check=True)
    try:
        return tree(mount)
    finally:
        subprocess.run(["umount", mount], check=True)


def implicit(data: Path) -> set[str]:
    """Directories that some layer uses without saying anything of them."""
    records = (data / "images" / "layers").glob("*.json")
    return {name for path in records for name in json.loads(path.read_text())["implicit"]}


def as_umoci_unpacks(layout: Path, bundle: Path) -> dict[str, Node]:
    """The same image by another hand."""
    subprocess.run(["umoci", "unpack", "--image", f"{layout}:1", bundle], check=True, capture_output=True)
    return tree(bundle / "rootfs")


def comparable(found: dict[str, Node]) -> dict[str, Node]:
    """Without what must differ: umoci's own mark, the root itself, the link count that layers divide."""

    def plain(node: Node) -> Node:
        xattrs = tuple(pair for pair in node.xattrs if not pair[0].startswith(("user.umoci", "trusted.overlay")))
        return node._replace(xattrs=xattrs, links=1)

    return {name: plain(node) for name, node in found.items() if name != "."}


def tagged(layout: Path) -> Path:
    """The layout with its one image named `1`, as umoci wants it."""
    path = layout / "index.json"
    index = json.loads(path.read_text())
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    path.write_text(json.dumps(index))
    return layout


async def test_the_merged_tree_is_the_one_that_umoci_unpacks(
    here: ImageStore, registry: Registry, tmp_path: Path
) -> None:
    layout = tagged(images.layout(tmp_path / "layout", HONEST, {"Cmd": ["true"]}))
    subprocess.run(
        [
            "skopeo",
            "copy",
            "--quiet",
            "--dest-tls-verify=false",
            f"oci:{layout}:1",
            f"docker://{registry.address}/honest:1",
        ],
        check=True,
    )
    image = await here.resolve(f"{registry.address}/honest:1", "if_missing", None)

    assert comparable(merged(image, tmp_path / "mount")) == comparable(as_umoci_unpacks(layout, tmp_path / "bundle"))


async def test_a_real_debian_is_the_one_that_umoci_unpacks(here: ImageStore, debian: str, tmp_path: Path) -> None:
    copy = tmp_path / "layout"
    subprocess.run(
        ["skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{debian}", f"oci:{copy}:1"], check=True
    )
    image = await here.resolve(debian, "if_missing", None)
    ours = comparable(merged(image, tmp_path / "mount"))
    theirs = comparable(as_umoci_unpacks(copy, tmp_path / "bundle"))
    for name in implicit(tmp_path / "data"):  # umoci has there the time of what it put into them
        ours[name], theirs[name] = (each[name]._replace(mtime=0) for each in (ours, theirs))

    different = {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}
    assert {name: (ours.get(name), theirs.get(name)) for name in different} == {}


async def test_an_image_built_by_buildah_is_pulled(here: ImageStore, registry: Registry, tmp_path: Path) -> None:
    reference = f"{registry.address}/buildah:1"
    root = ["--root", str(tmp_path / "store"), "--runroot", str(tmp_path / "run"), "--storage-driver", "vfs"]
    buildah = ["buildah", *root]
    work = subprocess.run([*buildah, "from", "scratch"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run([*buildah, "copy", work, "/bin/busybox", "/bin/busybox"], check=True, capture_output=True)
    subprocess.run([*buildah, "config", "--cmd", "/bin/busybox", "--env", "A=b", work], check=True)
    subprocess.run(
        [*buildah, "commit", "--quiet", "--format", "docker", work, "made:1"], check=True, capture_output=True
    )
    subprocess.run(
        [*buildah, "push", "--quiet", "--tls-verify=false", "made:1", f"docker://{reference}"],
        check=True,
        capture_output=True,
    )
    image = await here.resolve(reference, "if_missing", None)

    assert (image.layers[0] / "bin/busybox").read_bytes() == Path("/bin/busybox").read_bytes()
    assert ("A", "b") in image.config.env


@pytest.mark.parametrize(
    "options", [["--dest-compress-format", "zstd"], ["--dest-compress-format", "gzip"], ["--dest-decompress"]]
)
async def test_every_compression_unpacks_to_the_same(
    options: list[str], here: ImageStore, registry: Registry, tmp_path: Path
) -> None:
    layout, again = images.layout(tmp_path / "layout", HONEST, {}), tmp_path / "again"
    compress = [] if "--dest-decompress" in options else ["--dest-compress"]
    subprocess.run(["skopeo", "copy", "--quiet", *compress, *options, f"oci:{layout}", f"dir:{again}"], check=True)
    reference = f"{registry.address}/form:{options[-1].strip('-')}"
    subprocess.run(
        [
            "skopeo",
            "copy",
            "--quiet",
            "--format",
            "oci",
            "--dest-tls-verify=false",
            f"dir:{again}",
            f"docker://{reference}",
        ],
        check=True,
    )
    image = await here.resolve(reference, "if_missing", None)

    assert (image.layers[0] / "etc/keep").read_text() == "keep"
    assert len(image.layers) == 3


def index_of(address: str, name: str, *platforms: tuple[str, str]) -> str:
    """An index that names an image of the registry for each (architecture, tag)."""
    manifests = []
    for architecture, tag in platforms:
        raw = subprocess.run(
            ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{address}/{name}:{tag}"],
            check=True,
            capture_output=True,
        ).stdout
        body = json.loads(raw)
        manifests.append(
            {
                "mediaType": body["mediaType"],
                "digest": digest_of(raw),
                "size": len(raw),
                "platform": {"os": "linux", "architecture": architecture},
            }
        )
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
    return json.dumps(index)


def put_manifest(address: str, name: str, tag: str, body: str) -> None:
    connection = http.client.HTTPConnection(address)
    connection.request("PUT", f"/v2/{name}/manifests/{tag}", body, {"Content-Type": json.loads(body)["mediaType"]})
    answer = connection.getresponse()
    assert answer.status == 201, answer.read()
    connection.close()


async def test_an_index_gives_the_image_for_this_machine(here: ImageStore, registry: Registry, tmp_path: Path) -> None:
    registry.push(images.busybox(tmp_path / "right", Cmd=["right"]), "multi:right")
    registry.push(images.busybox(tmp_path / "wrong", Cmd=["wrong"]), "multi:wrong")
    body = index_of(registry.address, "multi", ("s390x", "wrong"), (images.ARCHITECTURE, "right"))
    put_manifest(registry.address, "multi", "all", body)
    image = await here.resolve(f"{registry.address}/multi:all", "if_missing", None)
    pinned = f"{registry.address}/multi@{digest_of(body.encode())}"

    assert image.config.cmd == ("right",)
    assert await here.find(f"{registry.address}/multi@{image.digest}") == image
    assert await here.resolve(pinned, "if_missing", None) == image
    assert await here.find(pinned) == image


async def test_an_index_within_an_index_gives_the_image_for_this_machine(
    here: ImageStore, registry: Registry, tmp_path: Path
) -> None:
    inner = []
    for architecture, word in (("s390x", "wrong"), (images.ARCHITECTURE, "right")):
        registry.push(images.busybox(tmp_path / word, Cmd=[word]), f"nested:{word}")
        body = index_of(registry.address, "nested", (architecture, word))
        put_manifest(registry.address, "nested", f"index-{word}", body)
        inner.append((architecture, f"index-{word}"))
    put_manifest(registry.address, "nested", "all", index_of(registry.address, "nested", *inner))
    image = await here.resolve(f"{registry.address}/nested:all", "if_missing", None)

    assert image.config.cmd == ("right",)
    assert await here.find(f"{registry.address}/nested:all") == image


async def test_an_index_without_this_machine_says_what_there_is(
    here: ImageStore, registry: Registry, tmp_path: Path
) -> None:
    registry.push(images.busybox(tmp_path / "wrong"), "foreign:wrong")
    put_manifest(registry.address, "foreign", "all", index_of(registry.address, "foreign", ("s390x", "wrong")))

    with pytest.raises(PullFailed, match="linux/s390x"):
        await here.resolve(f"{registry.address}/foreign:all", "if_missing", None)


async def test_a_private_registry_wants_its_authority_and_its_password(
    private_registry: Registry, tmp_path: Path
) -> None:
    reference = private_registry.push(images.busybox(tmp_path / "layout"), "secret:1")
    trusting = {private_registry.address: RegistrySettings(ca=private_registry.ca)}
    private_registry.log_in(tmp_path / "home")

    async with store(tmp_path / "untrusting", tmp_path / "home") as untrusting:
        with pytest.raises(PullFailed, match="not trusted"):
            await untrusting.resolve(reference, "if_missing", None)
    async with store(tmp_path / "nobody", registries=trusting) as nobody:
        with pytest.raises(PullFailed, match="no credentials"):
            await nobody.resolve(reference, "if_missing", None)
    async with store(tmp_path / "known", tmp_path / "home", trusting) as known:
        assert (await known.resolve(reference, "if_missing", None)).config.cmd == ("sh",)


# Policies


@pytest.fixture
def moving(registry: Registry, tmp_path: Path) -> Callable[[str], str]:
    """Makes a tag mean an image whose command is the given word."""

    def move(word: str) -> str:
        return registry.push(
            images.layout(tmp_path / word, [archive(member(word.encode()))], {"Cmd": [word]}), "moving:1"
        )

    return move


@pytest.mark.parametrize(
    ("policy", "word"), [("if_missing", "old"), ("never", "old"), ("always", "new"), ("prefer_fresh", "new")]
)
async def test_a_tag_that_has_moved_is_seen_by_who_asks(
    policy: str, word: str, here: ImageStore, moving: Callable[[str], str]
) -> None:
    reference = moving("old")
    old = await here.resolve(reference, "if_missing", None)
    moving("new")

    assert (await here.resolve(reference, policy, None)).config.cmd == (word,)
    assert (await here.resolve(reference, "always", old.digest)).config.cmd == ("old",)


async def test_an_image_that_is_missing_and_never_pulled_is_refused_at_once(here: ImageStore) -> None:
    with pytest.raises(PullFailed) as caught:
        await here.resolve("127.0.0.1:1/missing:1", "never", None)

    assert caught.value.reason == "ErrImageNeverPull"


@pytest.mark.parametrize("reference", ["", "a/UPPER", "a b", "x@sha256:12", "http://example.org/x", "x:" + "y" * 200])
async def test_what_is_no_reference_is_told_as_such(reference: str, here: ImageStore) -> None:
    with pytest.raises(PullFailed) as caught:
        await here.resolve(reference, "if_missing", None)

    assert caught.value.reason == "InvalidImageName"


async def test_with_the_registry_down_the_policies_differ(tmp_path: Path) -> None:
    async with store(tmp_path / "data") as here:
        with registry.plain(tmp_path / "registry") as running:
            reference = running.push(images.busybox(tmp_path / "layout"), "app:1")
            image = await here.resolve(reference, "always", None)

        assert await here.find(reference) == image
        for policy in ("if_missing", "never", "prefer_fresh"):
            assert await here.resolve(reference, policy, None) == image
        assert "connection refused" in (here.fallback(reference) or "")
        assert await here.resolve(reference, "always", image.digest) == image
        with pytest.raises(PullFailed, match="connection refused"):
            await here.resolve(reference, "always", None)
    async with store(tmp_path / "data") as again:
        assert await again.find(reference) == image


async def test_a_digest_that_is_not_there_is_told(here: ImageStore, busybox: str) -> None:
    with pytest.raises(PullFailed, match="has no"):
        await here.resolve(busybox, "if_missing", f"sha256:{'0' * 64}")


# Together and apart


async def test_many_who_want_the_same_share_one_flight(here: ImageStore, debian: str) -> None:
    seen = []
    tasks = [asyncio.create_task(here.resolve(debian, "if_missing", None)) for _ in range(10)]
    await asyncio.sleep(0)
    assert here.pulling(debian)
    async for progress in here.follow(debian):
        seen.append((progress.done, progress.total, len(progress.layers)))
    found = await asyncio.gather(*tasks)

    assert all(image == found[0] for image in found)
    assert (here.pulling(debian), here.progress(debian)) == (False, None)
    assert seen == sorted(seen)
    assert seen[-1][2] == 2


async def test_one_who_gives_up_does_not_end_the_pull_of_another(here: ImageStore, debian: str) -> None:
    one, other = (asyncio.create_task(here.resolve(debian, "if_missing", None)) for _ in range(2))
    await begun(here, debian)
    one.cancel()

    assert (await other).layers
    assert one.cancelled()


async def begun(here: ImageStore, reference: str) -> None:
    """Wait until bytes of a layer have come."""
    async for progress in here.follow(reference):
        if progress.done:
            return


async def test_when_all_give_up_nothing_is_left(here: ImageStore, debian: str, tmp_path: Path) -> None:
    tasks = [asyncio.create_task(here.resolve(debian, "if_missing", None)) for _ in range(3)]
    await begun(here, debian)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert (scratch(tmp_path / "data"), here.pulling(debian)) == ([], False)
    assert await here.find(debian) is None
    assert (await here.resolve(debian, "if_missing", None)).layers


async def test_two_images_with_a_common_layer_get_it_once(here: ImageStore, registry: Registry, tmp_path: Path) -> None:
    base = archive(member(b"base", data=b"b" * 100_000))
    tops = [archive(member(name)) for name in (b"one", b"two")]
    references = [
        registry.push(images.layout(tmp_path / name, [base, top], {}), f"{name}:1")
        for name, top in zip(("one", "two"), tops, strict=True)
    ]
    one, two = await asyncio.gather(*(here.resolve(each, "if_missing", None) for each in references))

    assert one.layers[0] == two.layers[0]
    assert one.layers[1] != two.layers[1]


async def test_a_failed_layer_leaves_the_whole_ones_and_nothing_else(
    here: ImageStore, registry: Registry, tmp_path: Path
) -> None:
    good, evil = archive(member(b"good")), archive(member(b"../evil"))
    reference = registry.push(images.layout(tmp_path / "layout", [good, evil], {}), "evil:1")

    with pytest.raises(PullFailed, match="lead out"):
        await here.resolve(reference, "if_missing", None)
    assert (await here.find(reference), scratch(tmp_path / "data")) == (None, [])


async def test_a_layer_that_is_not_what_the_configuration_names_is_refused(
    here: ImageStore, registry: Registry, tmp_path: Path
) -> None:
    layout = images.layout(tmp_path / "layout", [archive(member(b"real"))], {})
    claimed = images.layout(tmp_path / "other", [archive(member(b"other"))], {})
    lie = swapped_config(layout, claimed)
    reference = registry.push(lie, "lie:1")

    with pytest.raises(PullFailed, match="unpacks to"):
        await here.resolve(reference, "if_missing", None)
    assert list((tmp_path / "data/images/layers").iterdir()) == []


def swapped_config(layout: Path, other: Path) -> Path:
    """The image of `layout` with the configuration, and so the diff ids, of `other`."""
    blobs = layout / "blobs" / "sha256"

    def manifest(of: Path) -> dict[str, object]:
        [entry] = json.loads((of / "index.json").read_text())["manifests"]
        found: dict[str, object] = json.loads((of / "blobs/sha256" / entry["digest"][7:]).read_text())
        return found

    config = manifest(other)["config"]
    assert isinstance(config, dict)
    (blobs / config["digest"][7:]).write_bytes((other / "blobs/sha256" / config["digest"][7:]).read_bytes())
    body = {**manifest(layout), "config": config}
    index = {"schemaVersion": 2, "manifests": [images.blob(blobs, images.MANIFEST, json.dumps(body).encode())]}
    (layout / "index.json").write_text(json.dumps(index))
    return layout


async def test_finding_costs_nothing_that_is_felt(here: ImageStore, registry: Registry, tmp_path: Path) -> None:
    layers = [archive(member(b"%d" % number)) for number in range(127)]
    reference = registry.push(images.layout(tmp_path / "layout", layers, {}), "many:1")
    image = await here.resolve(reference, "if_missing", None)

    assert len(image.layers) == 127
    assert await here.find(reference) == image


async def test_a_directory_without_an_entry_looks_as_in_the_layer_below(
    here: ImageStore, registry: Registry, tmp_path: Path
) -> None:
    base = archive(
        directory(b"tmp", mode=0o1777, mtime=3),
        directory(b"log", uid=1, gid=2, mode=0o750, mtime=4),
        symlink(b"link", b"log"),
        member(b"file"),
        directory(b"gone", mode=0o700),
    )
    middle = archive(member(b".wh.gone"), member(b"tmp/middle"))
    top = archive(*(member(name + b"/new") for name in (b"tmp", b"log", b"link", b"file", b"gone", b"fresh")))
    reference = registry.push(images.layout(tmp_path / "layout", [base, middle, top], {}), "looks:1")
    image = await here.resolve(reference, "if_missing", None)

    found = {name: node[1:5] for name, node in tree(image.layers[2]).items() if node.kind == "directory"}
    plain = (0o755, 0, 0, 0)
    assert found == {
        ".": plain,
        "tmp": (0o1777, 0, 0, 3 * 10**9),
        "log": (0o750, 1, 2, 4 * 10**9),
        "file": plain,
        "gone": plain,
        "fresh": plain,
    }
