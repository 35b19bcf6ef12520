"""Mounts: overlays, binds, tmpfs, and what is mounted now.

An overlay is prepared detached and attached as the last step, so that a crash before it leaves nothing
(E.d). Layers are given one by one (`lowerdir+`, 500 at most, R37); a kernel without that gets mount(2), with
layers named by short `/proc/self/fd/N` paths, since its options end at 4096 bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tank.errors import Failed
from tank.host import openat, syscalls, trees

_LONGEST_VALUE = 255  # of an fsconfig string
_LONGEST_OPTIONS = 4095  # of mount(2)
_NO_XDEV = 0x01  # openat2: fails with EXDEV at a mount


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo. `options` are the mount's own, `super_options` the file system's.

    `root`: which part of the file system it shows. `peers`: `shared:N`, `master:N` and the like.
    """

    target: str
    kind: str
    source: str
    device: str
    options: str
    super_options: str
    id: int = 0
    root: str = "/"
    peers: tuple[str, ...] = ()


def overlay(layers: Sequence[Path], upper: Path, work: Path, target: Path, *, flags: Sequence[str] = ()) -> None:
    """Mount `layers` (lowest first) below the writable `upper` at `target`, devices disabled. Raises Failed.

    `flags` are overlay options without a value, `volatile` for one: no sync on unmount, and so only ever for
    an upper directory that is fresh and thrown away afterwards (R36).
    """
    try:
        if takes_layers_one_by_one():
            _overlay_by_configuration(layers, upper, work, target, flags)
        else:
            _overlay_by_options(layers, upper, work, target, flags)
    except OSError as error:
        raise Failed(f"cannot mount the root at {target}: {error.strerror}") from error


def _overlay_by_configuration(
    layers: Sequence[Path], upper: Path, work: Path, target: Path, flags: Sequence[str]
) -> None:
    with _descriptors([each for each in (*layers, upper, work) if _is_long(each)]) as short, _context() as fd:
        syscalls.fsconfig(fd, syscalls.FSCONFIG_SET_STRING, "source", "tank")
        for layer in reversed(layers):
            syscalls.fsconfig(fd, syscalls.FSCONFIG_SET_STRING, "lowerdir+", short.get(layer, str(layer)))
        syscalls.fsconfig(fd, syscalls.FSCONFIG_SET_STRING, "upperdir", short.get(upper, str(upper)))
        syscalls.fsconfig(fd, syscalls.FSCONFIG_SET_STRING, "workdir", short.get(work, str(work)))
        for flag in flags:
            syscalls.fsconfig(fd, syscalls.FSCONFIG_SET_FLAG, flag)
        syscalls.fsconfig(fd, syscalls.FSCONFIG_CMD_CREATE)
        _attach(fd, target, syscalls.MOUNT_ATTR_NODEV)


def read_only(layers: Sequence[Path], empty: Path, target: Path) -> None:
    """Mount `layers` (lowest first) at `target`, never to be written. Raises Failed.

    `empty` is an empty directory: an overlay of one layer alone, without a place to write, is none.
    """
    lowers = tuple(reversed(layers)) if len(layers) > 1 else (*layers, empty)
    try:
        if takes_layers_one_by_one():
            with _descriptors([each for each in lowers if _is_long(each)]) as short, _context() as fd:
                syscalls.fsconfig(fd, syscalls.FSCONFIG_SET_STRING, "source", "tank")
                for layer in lowers:
                    syscalls.fsconfig(fd, syscalls.FSCONFIG_SET_STRING, "lowerdir+", short.get(layer, str(layer)))
                syscalls.fsconfig(fd, syscalls.FSCONFIG_CMD_CREATE)
                _attach(fd, target, syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_RDONLY)
        else:
            with _descriptors(lowers) as short:
                lower = ":".join(short[layer] for layer in lowers)
                flags = syscalls.MS_NODEV | syscalls.MS_RDONLY
                syscalls.mount("tank", str(target), "overlay", flags, _fitting(f"lowerdir={lower}", len(layers)))
    except OSError as error:
        raise Failed(f"cannot mount the image at {target}: {error.strerror}") from error


def _attach(fd: int, target: Path, attributes: int) -> None:
    mounted = syscalls.fsmount(fd, attributes)
    try:
        syscalls.move_mount(mounted, str(target))
    finally:
        os.close(mounted)


@contextmanager
def _context() -> Iterator[int]:
    """An overlay under configuration. The kernel's own words, which wait on the descriptor, explain a failure."""
    fd = syscalls.fsopen("overlay")
    try:
        yield fd
    except OSError as error:
        said = b""
        with suppress(OSError):
            said = os.read(fd, 4096)
        if said:
            raise Failed(f"cannot mount an overlay: {said.decode(errors='replace').strip()}") from error
        raise
    finally:
        os.close(fd)


def _overlay_by_options(layers: Sequence[Path], upper: Path, work: Path, target: Path, flags: Sequence[str]) -> None:
    with _descriptors([*layers, upper, work]) as short:
        lower = ":".join(short[layer] for layer in reversed(layers))
        options = ",".join([f"lowerdir={lower}", f"upperdir={short[upper]}", f"workdir={short[work]}", *flags])
        syscalls.mount("tank", str(target), "overlay", syscalls.MS_NODEV, _fitting(options, len(layers)))


def _fitting(options: str, layers: int) -> str:
    if len(options) > _LONGEST_OPTIONS:
        raise Failed(f"cannot mount {layers} layers: this kernel takes fewer")
    return options


@contextmanager
def _descriptors(paths: Sequence[Path]) -> Iterator[dict[Path, str]]:
    """Short names of directories, good while the block lasts."""
    fds: dict[Path, int] = {}
    try:
        for path in paths:
            fds[path] = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        yield {path: f"/proc/self/fd/{fd}" for path, fd in fds.items()}
    finally:
        for fd in fds.values():
            os.close(fd)


def _is_long(path: Path) -> bool:
    return len(os.fsencode(path)) > _LONGEST_VALUE


@cache
def takes_layers_one_by_one() -> bool:
    """Whether this kernel does (6.8 and later; 6.1 does not). Asked by trying, once. Raises OSError: no overlayfs.

    Before 6.5 every option is taken as it comes, and refused when all are there: one that takes nonsense
    has not said anything by taking `lowerdir+`.
    """
    fd = syscalls.fsopen("overlay")
    try:
        return _takes(fd, "lowerdir+") and not _takes(fd, "no-such-option")
    finally:
        os.close(fd)


def _takes(fd: int, option: str) -> bool:
    try:
        syscalls.fsconfig(fd, syscalls.FSCONFIG_SET_STRING, option, "/")
    except OSError:
        return False
    return True


def bind(source: Path, target: Path) -> None:
    """`source` is to be seen at `target` too. Raises OSError."""
    syscalls.mount(str(source), str(target), "", syscalls.MS_BIND)


def tmpfs(
    target: Path, *, size: int | None, mode: int, noexec: bool, inodes: int | None = None, noswap: bool = False
) -> None:
    """Memory at `target`: at most `size` bytes (None: half of the machine's). Raises OSError.

    `noswap`: it never goes to the disk, where the kernel knows that (6.4 and later).
    """
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | (syscalls.MS_NOEXEC if noexec else 0)
    options = [f"mode={mode:o}"]
    options += [f"size={size}"] if size is not None else []
    options += [f"nr_inodes={inodes}"] if inodes is not None else []
    if noswap:
        with suppress(OSError):
            syscalls.mount("tank", str(target), "tmpfs", flags, ",".join([*options, "noswap"]))
            return
    syscalls.mount("tank", str(target), "tmpfs", flags, ",".join(options))


def resize_tmpfs(target: Path, size: int | None) -> None:
    """The memory at `target`, mounted with `exec`, may hold `size` bytes from now on (None: half of the machine's).

    Raises OSError, for one when it holds more already.
    """
    flags = syscalls.MS_REMOUNT | syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("tank", str(target), "tmpfs", flags, f"size={size if size is not None else '50%'}")


def make_private(path: Path) -> None:
    """What is mounted below `path` spreads to no other mount namespace (R34). `path` becomes a mount."""
    if not is_mounted(path):
        bind(path, path)
    syscalls.mount("", str(path), "", syscalls.MS_PRIVATE)


def unmount(path: Path) -> None:
    """Nothing is mounted at `path`, however many mounts lay on top of each other. Raises OSError.

    What is mounted below goes along; where it is shared with the host's own mounts, those stay.
    """
    while True:
        trees.part(path)
        try:
            syscalls.umount(path, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            if error.errno == 22:  # EINVAL: not a mount
                return
            raise


def is_mounted(path: Path) -> bool:
    """Whether `path` itself is a mount point, a bind of the same file system included."""
    try:
        fd = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        flags = os.O_PATH | os.O_NOFOLLOW
        os.close(openat.openat2(fd, os.fsencode(path.name), flags, resolve=_NO_XDEV))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno == 18:  # EXDEV
            return True
        raise
    finally:
        os.close(fd)
    return False


_OPTIONS = {0x2: "nosuid", 0x4: "nodev", 0x8: "noexec", 0x400: "noatime", 0x800: "nodiratime"}  # statvfs(3)


def options(path: Path) -> tuple[str, ...]:
    """What the mount at `path` does not do, in the words of mount(8). Raises OSError."""
    flags = os.statvfs(path).f_flag
    return tuple(word for flag, word in _OPTIONS.items() if flags & flag)


def mounts(below: Path | None = None) -> tuple[Mount, ...]:
    """What is mounted now, at or below a path, in the order in which it was mounted."""
    lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    found = (_parse(line) for line in lines)
    prefix = f"{below}/" if below is not None else ""
    return tuple(each for each in found if f"{each.target}/".startswith(prefix))


def unmount_below(path: Path) -> None:
    """Nothing is mounted at or below `path`. Raises OSError."""
    for each in reversed(mounts(path)):
        unmount(Path(each.target))


def _parse(line: str) -> Mount:
    """proc_pid_mountinfo(5): fields, optional fields up to `-`, type, source, options of the file system."""
    left, _, right = line.partition(" - ")
    fields, tail = left.split(" "), right.split(" ")
    return Mount(
        target=_unescape(fields[4]),
        kind=tail[0],
        source=_unescape(tail[1]),
        device=fields[2],
        options=fields[5],
        super_options=tail[2] if len(tail) > 2 else "",
        id=int(fields[0]),
        root=_unescape(fields[3]),
        peers=tuple(fields[6:]),
    )


def _unescape(text: str) -> str:
    for octal, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(octal, plain)
    return text
