"""Parts of volumes: whatever lies in a volume, and whatever changes meanwhile, nothing outside is opened (S17)."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tank.errors import Waiting
from tank.host import reach
from tank.runtime import subpath

OUTSIDE = {
    "an absolute link to a directory": ("ln", "/etc"),
    "an absolute link to a file": ("ln", "/etc/passwd"),
    "an absolute link to the root": ("ln", "/"),
    "an absolute link to the volume itself": ("ln", "{volume}"),
    "an absolute link back into the volume": ("ln", "{volume}/inner"),
    "a link to the directory above": ("ln", ".."),
    "a link far above": ("ln", "../../../../../../../../etc"),
    "a link above that comes back": ("ln", "../v/inner"),
    "a link through a directory and out": ("ln", "inner/../../secret"),
    "a link to the neighbour": ("ln", "../secret"),
    "a link to a process's root": ("ln", "/proc/self/root"),
    "a link to a descriptor": ("ln", "/proc/self/fd/0"),
    "a link to the working directory": ("ln", "/proc/self/cwd"),
    "a link to itself": ("ln", "x"),
    "a link to a link that leaves": ("ln", "out"),
    "a link that dangles outside": ("ln", "../missing"),
    "a pipe": ("fifo", ""),
}
PATHS = [
    "/etc", "..", "../secret", "inner/../../secret", "inner/..", "./..", "x/../..", "inner/../inner", "\0", "a\0b",
    "out/file", "out", "chain/file", "up/secret", "up/v/inner", "up/missing", "deep/up/secret",
]  # fmt: skip


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A volume beside something that is none of its business."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/file").write_text("secret")
    made = tmp_path / "v"
    (made / "inner").mkdir(parents=True)
    (made / "deep").mkdir()
    (made / "inner/file").write_text("inner")
    (made / "out").symlink_to("../secret")
    (made / "chain").symlink_to("out")
    (made / "up").symlink_to("..")
    (made / "deep/up").symlink_to("../..")
    return made


@contextmanager
def opened(volume: Path, path: str, *, make: bool = True) -> Iterator[Path]:
    """Where the part lies that was opened."""
    root = os.open(volume, os.O_PATH | os.O_DIRECTORY)
    try:
        fd = subpath.opened(root, "v", path, make=make)
        try:
            yield reach.path_of(fd)
        finally:
            os.close(fd)
    finally:
        os.close(root)


@pytest.mark.parametrize("case", OUTSIDE)
def test_what_a_workload_has_put_in_a_volume_leads_nowhere(volume: Path, case: str) -> None:
    kind, target = OUTSIDE[case]
    if kind == "fifo":
        os.mkfifo(volume / "x")
    else:
        (volume / "x").symlink_to(target.format(volume=volume))
    with pytest.raises(Waiting), opened(volume, "x"):
        pass
    with pytest.raises(Waiting), opened(volume, "x/file"):
        pass
    assert sorted(os.listdir(volume.parent)) == ["secret", "v"]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_leaves_is_refused(volume: Path, path: str) -> None:
    with pytest.raises(Waiting), opened(volume, path):
        pass
    assert sorted(os.listdir(volume.parent)) == ["secret", "v"]
    assert os.listdir(volume.parent / "secret") == ["file"]


@pytest.mark.parametrize(
    ("link", "path", "found"),
    [
        ("inner", "x", "inner"),
        ("inner", "x/file", "inner/file"),
        ("./inner/../inner/file", "x", "inner/file"),
        ("y", "x/new", "y/new"),
    ],
)
def test_links_that_stay_inside_are_followed(volume: Path, link: str, path: str, found: str) -> None:
    (volume / "y").mkdir()
    (volume / "x").symlink_to(link)
    with opened(volume, path) as where:
        assert where == volume / found


def test_a_socket_is_a_part_too(volume: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(volume, os.O_RDONLY)
        made.bind(f"/proc/self/fd/{here}/sock")
        os.close(here)
    with opened(volume, "sock") as where:
        assert where == volume / "sock"


@pytest.mark.parametrize("path", ["new", "a/b/c", "inner/a//b/", "./n"])
def test_what_is_missing_is_made_like_the_root_of_the_volume(volume: Path, path: str) -> None:
    volume.chmod(0o2750)
    with opened(volume, path) as where:
        assert stat.S_IMODE(where.stat().st_mode) == 0o2750
        assert where.is_relative_to(volume)


def test_where_nothing_may_be_made_a_missing_part_is_waited_for(volume: Path) -> None:
    with pytest.raises(Waiting, match="No such file"), opened(volume, "new", make=False):
        pass
    assert not (volume / "new").exists()


def test_a_look_changes_nothing_and_complains_only_of_what_leaves(volume: Path) -> None:
    root = os.open(volume, os.O_PATH | os.O_DIRECTORY)
    try:
        subpath.check(root, "v", "new/er")
        subpath.check(root, "v", "inner")
        with pytest.raises(Waiting):
            subpath.check(root, "v", "out")
    finally:
        os.close(root)
    assert not (volume / "new").exists()


def _swapped_link(volume: Path) -> Callable[[], None]:
    """`p/q` is a directory at one moment and a link out of the volume at the next."""
    (volume / "p/q").mkdir(parents=True)
    (volume / "trap").symlink_to("../../secret")

    def swap() -> None:
        shutil.rmtree(volume / "kept", ignore_errors=True)
        for old, new in (("p/q", "kept"), ("trap", "p/q"), ("p/q", "trap"), ("kept", "p/q")):
            with suppress(OSError):  # it has been made anew meanwhile
                os.rename(volume / old, volume / new)

    return swap


def _moved_parent(volume: Path) -> Callable[[], None]:
    """The directory that the path goes through is moved up and down, so that `..` means another each time."""
    (volume / "p/q").mkdir(parents=True)
    (volume / "p/link").symlink_to("q/../../p/q")

    def swap() -> None:
        for old, new in (("p/q", "q"), ("q", "p/q")):
            with suppress(OSError):
                os.rename(volume / old, volume / new)

    return swap


def _vanishing(volume: Path) -> Callable[[], None]:
    """A directory that is made is replaced by a link out at once."""
    (volume / "p").mkdir()

    def swap() -> None:
        with suppress(OSError):
            os.rmdir(volume / "p/q/r")
            os.rmdir(volume / "p/q")
            os.symlink("../../secret", volume / "p/q")
            os.unlink(volume / "p/q")

    return swap


@pytest.mark.parametrize(
    ("race", "path"),
    [
        (_swapped_link, "p/q"),
        (_swapped_link, "p/q/file"),
        (_swapped_link, "p/q/r"),
        (_moved_parent, "p/link"),
        (_moved_parent, "p/q/../q"),
        (_vanishing, "p/q/r"),
    ],
)
def test_a_swap_between_look_and_opening_never_leads_out(
    volume: Path, race: Callable[[Path], Callable[[], None]], path: str
) -> None:
    swap, stop = race(volume), threading.Event()

    def racer() -> None:
        while not stop.is_set():
            swap()

    thread = threading.Thread(target=racer)
    thread.start()
    try:
        for _ in range(1500):
            try:
                with opened(volume, path) as where:
                    assert where.is_relative_to(volume)
            except Waiting:
                continue
    finally:
        stop.set()
        thread.join()
    assert os.listdir(volume.parent / "secret") == ["file"]
    assert sorted(os.listdir(volume.parent)) == ["secret", "v"]
