"""A directory tree as a value: names, types, modes, owners, times, links, attributes and contents of all below it."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import NamedTuple


class Node(NamedTuple):
    """One file. `content` is a digest, a link's target or a device's number; `links` counts names in the tree."""

    kind: str
    mode: int
    uid: int
    gid: int
    mtime: int
    content: str
    links: int
    xattrs: tuple[tuple[str, bytes], ...]


def tree(root: Path) -> dict[str, Node]:
    """Every file below `root`, and `.` for itself, by path."""
    found = {".": node(root)}
    for directory, folders, files in os.walk(os.fsencode(root)):
        for name in (*folders, *files):
            path = os.path.join(directory, name)
            found[os.fsdecode(os.path.relpath(path, os.fsencode(root)))] = node(Path(os.fsdecode(path)))
    return found


def node(path: Path) -> Node:
    """One file, its links not followed."""
    info = path.lstat()
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFCHR: "char"}
    kinds |= {stat.S_IFBLK: "block", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}
    kind = kinds[stat.S_IFMT(info.st_mode)]
    content = ""
    if kind == "file":
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    elif kind == "link":
        content = os.readlink(path)
    elif kind in ("char", "block"):
        content = f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}"
    names = os.listxattr(path, follow_symlinks=False)
    return Node(
        kind=kind,
        mode=stat.S_IMODE(info.st_mode),
        uid=info.st_uid,
        gid=info.st_gid,
        mtime=info.st_mtime_ns,
        content=content,
        links=1 if kind == "directory" else info.st_nlink,
        xattrs=tuple(sorted((name, os.getxattr(path, name, follow_symlinks=False)) for name in names)),
    )
