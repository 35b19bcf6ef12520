"""Images that other tools make, in the forms that they have: what we unpack is what Podman unpacks, file by file."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tank.config import Settings
from tank.image.load import load
from tank.image.pull import ImageStore
from tests import archives, forms, images
from tests.archives import LINK, directory, member, symlink
from tests.registry import Registry
from tests.system.test_image_files import loaded, run, seen, without_root
from tests.trees import Node, tree

pytestmark = pytest.mark.system

LOWER = archives.archive(
    directory(b"etc", mtime=1_000),
    member(b"etc/conf", data=b"old", mtime=2_000, uid=3, gid=4),
    directory(b"usr", mode=0o2751, mtime=3_000),
    member(b"usr/large", data=bytes(range(256)) * 500, mtime=4_000, mode=0o4755),
    member(b"usr/empty", mtime=5_000),
    member(b"usr/again", LINK, link=b"usr/large", mtime=4_000, mode=0o4755),  # with its file's looks, as tools write it
    symlink(b"usr/link", b"../etc/conf", mtime=6_000),
    member(b"usr/fine", data=b"x" * 60_001, pax={b"mtime": b"7000.123456789", b"SCHILY.xattr.user.note": b"kept"}),
    member(b"usr/" + b"long" * 40, data=b"a long name", mtime=8_000),
)
UPPER = archives.archive(
    directory(b"etc", mtime=9_000),
    member(b"etc/.wh.conf"),
    member(b"etc/new", data=b"new" * 20_000, mtime=10_000),
    directory(b"usr", mode=0o755, mtime=11_000),
    directory(b"usr/empty", mtime=12_000),
    member(b"usr/empty/inside", data=b"a directory in a file's place", mtime=13_000),
)
CHANGES = """
    set -e
    rm -r /www; rm /etc/group; mkdir /etc/group; echo x >>/etc/passwd
    mkdir /own; echo hello >/own/file; chown 7:8 /own/file; chmod 4711 /own/file
    ln /own/file /own/hard; ln -s file /own/soft; mkfifo /own/pipe
    mkdir -m 1777 /own/tmp; mkdir -m 2775 /own/group; touch -d '2001-02-03 04:05:06' /own/file
"""
FORMS = {"eStargz": forms.estargz, "zstd:chunked": forms.zstd_chunked}


class Podman:
    """Podman with a storage of its own, which merges layers by copying them."""

    def __init__(self, directory: Path) -> None:
        where = ["--root", directory / "root", "--runroot", directory / "run", "--tmpdir", directory / "tmp"]
        how = [
            "--storage-driver",
            "vfs",
            "--cgroup-manager",
            "cgroupfs",
            "--runtime",
            "crun",
            "--events-backend",
            "file",
        ]
        self._argv = ["podman", *map(str, where), *how]

    def __call__(self, *arguments: object) -> str:
        """Its output."""
        return subprocess.run(
            [*self._argv, *map(str, arguments)], check=True, capture_output=True, text=True
        ).stdout.strip()

    def unpacked(self, image: str) -> dict[str, Node]:
        """The merged tree of an image that it has."""
        return without_root(tree(Path(self("image", "mount", image))))


@pytest.fixture
def podman(short_tmp: Path) -> Iterator[Podman]:
    """Its containers, images and mounts are gone in the end."""
    made = Podman(short_tmp)
    yield made
    for verb in (["rm", "--all", "--force", "--time", "0"], ["image", "unmount", "--all"], ["rmi", "--all", "--force"]):
        with contextlib.suppress(subprocess.CalledProcessError):
            made(*verb)


@pytest.mark.parametrize("form", FORMS)
async def test_a_form_for_lazy_pulling_is_read_as_what_it_is(
    form: str, store: ImageStore, podman: Podman, tmp_path: Path
) -> None:
    layout = forms.layout(tmp_path / "layout", [FORMS[form](LOWER), FORMS[form](UPPER)])
    ours = seen(await loaded(store, layout), tmp_path / "merged")

    assert ours == podman.unpacked(podman("pull", "--quiet", f"oci:{layout}:it"))
    plain = images.layout(tmp_path / "plain", [LOWER, UPPER], {})
    extra = {"stargz.index.json", ".no.prefetch.landmark"}
    assert {name: node for name, node in ours.items() if name not in extra} == seen(
        await loaded(store, plain), tmp_path / "merged-plain"
    )


@pytest.mark.parametrize("form", FORMS)
async def test_it_goes_through_a_registry_too(form: str, registry: Registry, tmp_path: Path) -> None:
    layout = forms.layout(tmp_path / "layout", [FORMS[form](LOWER), FORMS[form](UPPER)])
    pushed = registry.push(Path(f"{layout}:it"), f"forms/{form.replace(':', '-').lower()}:1")
    one, other = (ImageStore(Settings(data_dir=tmp_path / name, image_reserve=0)) for name in ("pulled", "loaded"))
    await one.open()
    await other.open()
    try:
        pulled = await one.resolve(pushed, "if_missing", None)
        brought = await loaded(other, layout)
        assert [each.name for each in pulled.layers] == [each.name for each in brought.layers]
    finally:
        await one.close()
        await other.close()


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci-dir"])
async def test_what_podman_saves_is_read(form: str, store: ImageStore, podman: Podman, tmp_path: Path) -> None:
    layout = forms.layout(tmp_path / "layout", [forms.gzipped(LOWER), forms.gzipped(UPPER)])
    out = tmp_path / "out"
    podman("tag", podman("pull", "--quiet", f"oci:{layout}:it"), "localhost/team/it:1")
    podman("save", "--quiet", "--format", form, "--output", out, "localhost/team/it:1")

    names = await load(store, out)

    assert names == ("localhost/team/it:1",)
    image = await store.find(names[0])
    assert image is not None
    assert seen(image, tmp_path / "merged") == podman.unpacked("localhost/team/it:1")


async def test_several_images_that_podman_saves_at_once_are_read(
    store: ImageStore, podman: Podman, tmp_path: Path
) -> None:
    names = []
    for number, layers in enumerate(([LOWER], [LOWER, UPPER])):
        layout = forms.layout(tmp_path / f"layout-{number}", [forms.gzipped(each) for each in layers])
        names.append(f"localhost/team/it:{number}")
        podman("tag", podman("pull", "--quiet", f"oci:{layout}:it"), names[-1])
    podman("save", "--quiet", "--multi-image-archive", "--output", tmp_path / "both.tar", *names)

    assert set(await load(store, tmp_path / "both.tar")) == set(names)
    for number, name in enumerate(names):
        image = await store.find(name)
        assert image is not None
        assert seen(image, tmp_path / f"merged-{number}") == podman.unpacked(name)


async def test_what_podman_commits_is_read(store: ImageStore, podman: Podman, tmp_path: Path) -> None:
    run("skopeo", "copy", "--quiet", f"oci:{images.busybox(tmp_path / 'base')}", f"oci:{tmp_path / 'named'}:base")
    base = podman("pull", "--quiet", f"oci:{tmp_path / 'named'}:base")
    limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--cgroups", "disabled", "--network", "none"]
    podman("run", "--name", "work", *limits, base, "sh", "-c", CHANGES)
    podman("commit", "--quiet", "--format", "oci", "work", "localhost/it:1")
    out = tmp_path / "out"
    podman("push", "--quiet", "localhost/it:1", f"oci:{out}:it")

    image = await loaded(store, out)

    assert len(image.layers) == 2
    assert seen(image, tmp_path / "merged") == podman.unpacked("localhost/it:1")
