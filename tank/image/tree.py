"""The directories of a layer that is being unpacked: finding, making and clearing them.

Paths are resolved as after chroot into the root: a symbolic link made by the same layer is followed and ends
inside. Where a parent has no entry of its own yet it is made, also behind a link whose target is not there yet, and
noted in `implicit`. What stands there from the beginning is the skeleton of the layers below (`tank.image.chain`):
its links lead on, and go in the end unless the layer replaced them. A whiteout that meets a directory of its own layer
becomes "opaque": whiteouts hide only what lies below (OCI). Opaque marks need a privilege that the unpacker has given
up: they are noted in `opaque`.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator

from tank.host import openat
from tank.image.refusal import refused, shown

_KEPT_OPEN = 256
_MOST_NOTED = 16 * 2**20  # bytes of paths; an honest layer has some kilobytes
_MOST_SEARCHED = 50_000_000
_MOST_LINKS = 40  # as the kernel's own limit
_WHITEOUT = os.makedev(0, 0)


class Tree:
    """The root descriptor, and descriptors of the directories used last."""

    def __init__(self, root: int) -> None:
        self.root = root
        self.implicit: dict[bytes, None] = {}
        self.opaque: dict[bytes, None] = {}
        self.vacated = False  # whether anything that was made has been removed again
        self._noted, self._searched = 0, 0
        self._open: dict[bytes, int] = {}
        self._planted: dict[bytes, int] = {}  # links of the skeleton, held open so that no other file gets their inode

    def adopt(self) -> Iterator[tuple[bytes, int]]:
        """Look at the skeleton, if there is one: each of its directories and when it was changed (nanoseconds)."""
        for path, folders, files, directory in os.fwalk(b".", dir_fd=self.root):
            for base in (*folders, *files):
                name = os.path.join(path, base)[2:]
                found = os.stat(base, dir_fd=directory, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    yield name, found.st_mtime_ns
                    continue
                if len(self._planted) >= _KEPT_OPEN:
                    raise refused("cannot unpack layer: too many of its directories are links in the layers below")
                self._planted[name] = os.open(base, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)

    def uproot(self) -> None:
        """Remove what is left of the links of the skeleton."""
        for path, link in self._planted.items():
            parent, _, base = path.rpartition(b"/")
            above = self.existing(parent)
            found = None if above is None else _look(above, base)
            if found is not None and found.st_ino == os.fstat(link).st_ino:
                os.unlink(base, dir_fd=above)
            os.close(link)
        self._planted.clear()

    def directory(self, path: bytes) -> int:
        """A descriptor, valid until the next call, for the directory `path`, made if it is not there."""
        found = self._open.get(path)
        if found is None:
            if len(self._open) >= _KEPT_OPEN:
                self.forget()
            found = self._open[path] = self._opened(path)
        return found

    def _opened(self, path: bytes) -> int:
        try:
            return openat.open_below(self.root, path)
        except (FileNotFoundError, NotADirectoryError):
            return openat.open_below(self.root, self._made(path))

    def forget(self) -> None:
        """Close what is kept open: some directory was replaced."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def existing(self, path: bytes) -> int | None:
        """The same, but nothing is made: None when there is no such directory (any more)."""
        found = self._open.get(path)
        if found is None:
            try:
                found = openat.open_below(self.root, path)
            except (FileNotFoundError, NotADirectoryError):
                return None
            if len(self._open) >= _KEPT_OPEN:
                self.forget()
            self._open[path] = found
        return found

    def vacate(self, path: bytes, parent: int, base: bytes) -> None:
        """Remove whatever is at `base` in `parent`, which is `path` from the root. The last of a layer wins."""
        self._close_all_but_above(path)
        self.vacated = True
        try:
            os.unlink(base, dir_fd=parent)
        except IsADirectoryError:
            self._drop_marks(path)
            inner = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                openat.empty(inner)
            finally:
                os.close(inner)
            os.rmdir(base, dir_fd=parent)

    def _close_all_but_above(self, path: bytes) -> None:
        """A descriptor may stand for `path` under any name, since links lead there; its parents are in use."""
        for each in [each for each in self._open if each and not path.startswith(each + b"/")]:
            os.close(self._open.pop(each))

    def _drop_marks(self, path: bytes) -> None:
        self._searched += len(self.opaque) + len(self.implicit)
        if self._searched > _MOST_SEARCHED:
            raise refused("cannot unpack layer: it replaces its own directories too often")
        for marks in (self.opaque, self.implicit):
            for each in [each for each in marks if each == path or each.startswith(path + b"/")]:
                del marks[each]

    def hide(self, path: bytes, parent: int, base: bytes) -> None:
        """A whiteout at `path`; over a directory of this layer, that becomes opaque; a file hides by itself."""
        try:
            os.mknod(base, stat.S_IFCHR, _WHITEOUT, dir_fd=parent)
        except FileExistsError:
            found = os.stat(base, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                self.mark_opaque(path)
            elif any(found.st_ino == os.fstat(link).st_ino for link in self._planted.values()):
                self.vacate(path, parent, base)
                self.hide(path, parent, base)
        else:
            os.chown(base, 0, 0, dir_fd=parent, follow_symlinks=False)
            os.utime(base, ns=(0, 0), dir_fd=parent, follow_symlinks=False)  # the same layer, the same tree

    def mark_opaque(self, path: bytes) -> None:
        """Nothing of the layers below shows in the directory `path`."""
        self._note(self.opaque, self._made(path) if self._planted else path)

    def _note(self, marks: dict[bytes, None], path: bytes) -> None:
        if path not in marks:
            self._noted += len(path) + 64
            if self._noted > _MOST_NOTED:
                raise refused("cannot unpack layer: it has too many directories without entry or opaque ones")
            marks[path] = None

    def _made(self, path: bytes) -> bytes:
        """The path without links of the directory `path`, each missing part made. Raises PullFailed.

        Only this process writes here, so a look followed by a deed is no race.
        """
        todo, done, links = deque(path.split(b"/")), list[bytes](), 0
        while todo:
            part = todo.popleft()
            if part in (b"", b".", b".."):
                done = done[:-1] if part == b".." else done
                continue
            target = self._stepped(done, part)
            if target is None:
                done.append(part)
                continue
            links += 1
            if links > _MOST_LINKS:
                raise refused(f"cannot unpack layer: too many symbolic links on the way to {shown(path)}")
            done = [] if target.startswith(b"/") else done
            todo.extendleft(reversed(target.split(b"/")))
        return b"/".join(done)

    def _stepped(self, above: list[bytes], part: bytes) -> bytes | None:
        """Make sure of one directory: None when it stands, or the target of the link that is there."""
        path = b"/".join([*above, part])
        parent = openat.open_below(self.root, b"/".join(above))
        try:
            found = _look(parent, part)
            if found is None:
                self._make(path, parent, part)
            elif stat.S_ISLNK(found.st_mode):
                return os.readlink(part, dir_fd=parent)
            elif is_whiteout(found):
                self.vacate(path, parent, part)
                self._make(path, parent, part)
                self.mark_opaque(path)
            elif not stat.S_ISDIR(found.st_mode):
                raise refused(f"cannot unpack layer: {shown(path)} is not a directory")
        finally:
            os.close(parent)
        return None

    def _make(self, path: bytes, parent: int, base: bytes) -> None:
        os.mkdir(base, 0o755, dir_fd=parent)
        os.chown(base, 0, 0, dir_fd=parent, follow_symlinks=False)
        os.chmod(base, 0o755, dir_fd=parent)  # noqa: S103 - and without a set-group-id bit from above
        self._note(self.implicit, path)


def is_whiteout(found: os.stat_result) -> bool:
    """Character device 0:0. Only whiteouts are: the extractor drops such devices of archives."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == _WHITEOUT


def _look(parent: int, base: bytes) -> os.stat_result | None:
    try:
        return os.stat(base, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
