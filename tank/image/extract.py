"""Writing a layer's members into an empty directory, whose confines the process cannot leave (S01, S02).

Every name is created anew in an open parent (`O_EXCL|O_NOFOLLOW`), what was there goes first: the last of a layer
wins. Owners, then modes, then attributes: changing the owner clears set-id bits and capabilities. What is made belongs
to root and has its mode from the first moment (`tank.host.confine`), so that most files are dressed already; until a
directory comes whose set-group-id bit is inherited. Times of directories come last (`tank.image.times`). Device nodes
are made, inert where roots are nodev; character device 0:0 is dropped, as the overlay would read it as a whiteout.
What is counted is refused beyond `Bounds` (S03), what is written at the floor of the disk (R29, R30).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from typing import NamedTuple

from tank.image import names, tarball
from tank.image.headroom import STEP, Floor, Headroom
from tank.image.names import Meaning, Name
from tank.image.refusal import no_room, refused, shown
from tank.image.stream import Reader
from tank.image.tarball import Entry
from tank.image.times import Times
from tank.image.tree import Tree, is_whiteout

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TYPES = {
    tarball.CHARACTER: stat.S_IFCHR,
    tarball.BLOCK_DEVICE: stat.S_IFBLK,
    tarball.FIFO: stat.S_IFIFO,
}
MOST_ENTRIES = 2_000_000
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class Bounds(NamedTuple):
    """What one layer may take: bytes of the uncompressed stream, and members. What stays free: bytes and inodes."""

    stream: int
    entries: int
    kept: int = 0
    kept_inodes: int = 0


class Extractor:
    """Fills one directory. `run` once."""

    def __init__(self, root: int, bounds: Bounds) -> None:
        self.tree = Tree(root)
        self.entries, self._announced = 0, 0
        self._bounds, self._times = bounds, Times()
        self._headroom = Headroom(root, Floor(bounds.kept, bounds.kept_inodes))
        self._inherits = False  # whether a new file's group may be that of its directory

    def run(self, members: Iterable[Entry], reader: Reader) -> None:
        """Write every member. Raises PullFailed, and OSError with the member's name for what the kernel refuses."""
        root = self.tree.root
        _forget_access_lists(root)
        os.chown(root, 0, 0)
        os.chmod(root, 0o755)  # noqa: S103 - what a root has when the layer says nothing
        self._times.remember(b"", 0)
        for path, mtime in self.tree.adopt():
            self._times.remember(path, mtime)
            self._inherits = True
        mask = os.umask(0)
        try:
            self._members(members, reader)
        finally:
            os.umask(mask)
        self.tree.uproot()
        self.tree.forget()
        self._times.set(self.tree)

    def _members(self, members: Iterable[Entry], reader: Reader) -> None:
        for entry in members:
            self._count(entry)
            try:
                self._member(entry, reader)
            except OSError as error:
                raise _explained(error, entry.name) from error

    def _count(self, entry: Entry) -> None:
        self.entries += 1
        if self.entries > self._bounds.entries:
            raise refused(f"cannot unpack layer: it has more than {self._bounds.entries} files")
        self._announced += entry.size
        if self._announced > self._bounds.stream:
            raise refused(f"cannot unpack layer: it holds more than {self._bounds.stream} bytes")
        self._take(entry.size, 1)

    def _take(self, size: int, inodes: int = 0) -> None:
        """To be called before anything is written. Raises PullFailed."""
        if fault := self._headroom.take(size, inodes):
            raise no_room(f"cannot unpack layer: {fault}")

    def _member(self, entry: Entry, reader: Reader) -> None:
        name = names.meant(entry.name)
        match name.meaning:
            case Meaning.FILE:
                self._create(name, entry, reader)
            case Meaning.ROOT:
                self._root(entry)
            case Meaning.WHITEOUT | Meaning.OPAQUE:
                self._whiteout(name, entry)
            case Meaning.NOTHING:
                pass

    def _root(self, entry: Entry) -> None:
        if entry.kind != tarball.DIRECTORY:
            raise refused("cannot unpack layer: its root is not a directory")
        self._dress(self.tree.root, entry)
        self._inherits = self._inherits or bool(entry.mode & stat.S_ISGID)
        self._times.remember(b"", entry.mtime)

    def _whiteout(self, name: Name, entry: Entry) -> None:
        # AUFS, where the convention comes from, made them hard links; anything else is no whiteout (S04).
        if entry.kind not in (tarball.FILE, tarball.LINK):
            raise refused(f"cannot unpack layer: the whiteout {shown(entry.name)} is not a plain file")
        parent = self.tree.directory(name.parent)
        if name.meaning is Meaning.OPAQUE:
            self.tree.mark_opaque(name.parent)
        else:
            self.tree.hide(name.path, parent, name.base)

    def _create(self, name: Name, entry: Entry, reader: Reader) -> None:
        parent = self.tree.directory(name.parent)
        if entry.kind == tarball.FILE:
            self._file(name, parent, entry, reader)
        elif entry.kind == tarball.DIRECTORY:
            self._directory(name, parent, entry)
        elif entry.kind == tarball.SYMLINK:
            self._symlink(name, parent, entry)
        elif entry.kind == tarball.LINK:
            self._link(name, entry)
        else:
            self._special(name, parent, entry)

    def _file(self, name: Name, parent: int, entry: Entry, reader: Reader) -> None:
        dressed = self._is_plain(entry)
        mode = entry.mode if dressed else 0o600
        try:
            file = os.open(name.base, _NEW_FILE, mode, dir_fd=parent)
        except FileExistsError:
            self.tree.vacate(name.path, parent, name.base)
            file = os.open(name.base, _NEW_FILE, mode, dir_fd=parent)
        try:
            if entry.sparse is None:
                self._pour(file, reader, entry.size)
            else:
                for offset, length in entry.sparse.pieces:
                    os.lseek(file, offset, os.SEEK_SET)
                    self._pour(file, reader, length)
                os.ftruncate(file, entry.sparse.size)
            if not dressed:
                self._dress(file, entry)
            os.utime(file, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(file)

    def _pour(self, file: int, reader: Reader, count: int) -> None:
        """The bytes of one piece. A large one was not taken as a whole: others write as long as it is written."""
        for chunk in reader.chunks(count):
            if count > STEP:
                self._take(len(chunk))
            done = os.write(file, chunk)
            while done < len(chunk):
                done += os.write(file, chunk[done:])

    def _is_plain(self, entry: Entry) -> bool:
        """Whether what is made of it needs no more than its mode: it is root's, without attributes and special bits."""
        return not (entry.uid or entry.gid or entry.mode > 0o777 or entry.xattrs or self._inherits)

    def _directory(self, name: Name, parent: int, entry: Entry) -> None:
        path, dressed = name.path, self._is_plain(entry)
        try:
            os.mkdir(name.base, entry.mode if dressed else 0o700, dir_fd=parent)
        except FileExistsError:
            dressed = False
            found = os.stat(name.base, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                self.tree.vacate(path, parent, name.base)
                os.mkdir(name.base, 0o700, dir_fd=parent)
                if is_whiteout(found):
                    self.tree.mark_opaque(path)
            self.tree.implicit.pop(path, None)
        if not dressed:
            self._dress_directory(name, parent, entry)
        self._inherits = self._inherits or bool(entry.mode & stat.S_ISGID)
        self._times.remember(path, entry.mtime)

    def _dress_directory(self, name: Name, parent: int, entry: Entry) -> None:
        if entry.xattrs:
            inner = os.open(name.base, _OPEN_DIRECTORY, dir_fd=parent)
            try:
                self._dress(inner, entry)
            finally:
                os.close(inner)
        else:
            os.chown(name.base, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
            os.chmod(name.base, entry.mode, dir_fd=parent)

    def _dress(self, descriptor: int, entry: Entry) -> None:
        os.fchown(descriptor, entry.uid, entry.gid)
        os.fchmod(descriptor, entry.mode)
        for key, value in entry.xattrs:
            try:
                os.setxattr(descriptor, key, value)
            except OSError as error:
                # A user attribute is a note; a capability is the file's power to do its work.
                if error.errno != errno.ENOTSUP or not key.startswith(b"user."):
                    raise

    def _symlink(self, name: Name, parent: int, entry: Entry) -> None:
        try:
            os.symlink(entry.link, name.base, dir_fd=parent)
        except FileExistsError:
            self.tree.vacate(name.path, parent, name.base)
            os.symlink(entry.link, name.base, dir_fd=parent)
        if entry.uid or entry.gid or self._inherits:
            os.chown(name.base, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        os.utime(name.base, ns=(entry.mtime, entry.mtime), dir_fd=parent, follow_symlinks=False)

    def _link(self, name: Name, entry: Entry) -> None:
        target = self._target(entry.link)
        if target.path == name.path:
            return  # a name linked to itself is there already, or was never anything
        source = os.dup(self.tree.directory(target.parent))  # the next call may close it
        try:
            parent = self.tree.directory(name.parent)
            try:
                os.link(target.base, name.base, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
            except FileExistsError:
                self._replace_by_link(target, source, name, parent)
        finally:
            os.close(source)

    def _target(self, link: bytes) -> Name:
        """What a hard link of an archive names."""
        return names.linked(link)

    def _replace_by_link(self, target: Name, source: int, name: Name, parent: int) -> None:
        old = os.stat(name.base, dir_fd=parent, follow_symlinks=False)
        new = os.stat(target.base, dir_fd=source, follow_symlinks=False)
        if (old.st_dev, old.st_ino) == (new.st_dev, new.st_ino):
            return
        self.tree.vacate(name.path, parent, name.base)
        os.link(target.base, name.base, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)

    def _special(self, name: Name, parent: int, entry: Entry) -> None:
        major, minor = entry.device
        if entry.kind == tarball.CHARACTER and (major, minor) == (0, 0):
            return
        if not (0 <= major < 2**12 and 0 <= minor < 2**20):
            raise refused(f"cannot unpack layer: {shown(entry.name)} is a device of impossible number")
        mode, device = _TYPES[entry.kind] | 0o600, os.makedev(major, minor)
        try:
            os.mknod(name.base, mode, device, dir_fd=parent)
        except FileExistsError:
            self.tree.vacate(name.path, parent, name.base)
            os.mknod(name.base, mode, device, dir_fd=parent)
        os.chown(name.base, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        os.chmod(name.base, entry.mode, dir_fd=parent)  # never a link: it was made just now
        os.utime(name.base, ns=(entry.mtime, entry.mtime), dir_fd=parent, follow_symlinks=False)


def _forget_access_lists(root: int) -> None:
    """A directory of the daemon may have some, and would hand them on to every file."""
    for name in ("system.posix_acl_default", "system.posix_acl_access"):
        try:
            os.removexattr(root, name)
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                raise


def _explained(error: OSError, name: bytes) -> Exception:
    if error.errno in _NO_SPACE:
        return no_room(f"cannot unpack layer: {shown(name)}: no space is left on the disk")
    return refused(f"cannot unpack layer: {shown(name)}: {error.strerror}")
