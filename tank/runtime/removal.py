"""Taking away what containers and pods leave in the file system. Blocks; every function may be repeated."""

from __future__ import annotations

from pathlib import Path

from tank.errors import Failed
from tank.host import files, mounts, quota
from tank.runtime import logfiles, placing
from tank.runtime.places import Attempt


def remove(attempt: Attempt) -> None:
    """Root, writable layer, runtime state, exit file of an attempt. Raises Failed."""
    try:
        mounts.unmount(attempt.rootfs)
        placing.displace(attempt)
        quota.release(attempt.writable)
        files.remove_tree(attempt.writable)
        files.remove_tree(attempt.state)
        files.remove(attempt.exit)
    except OSError as error:
        raise Failed(f"cannot remove what is left of {attempt.id}: {error.strerror}") from error


def clear_earlier(attempt: Attempt) -> None:
    """Writable layers of earlier attempts, which a reboot parted from their bundles, and logs beyond those kept."""
    top = attempt.writable.parent
    for name in filter(str.isdigit, files.names(top)):
        if not Attempt(
            settings=attempt.settings, uid=attempt.uid, container=attempt.container, number=int(name)
        ).bundle.exists():
            quota.release(top / name)
            files.remove_tree(top / name)
    logfiles.prune(attempt.log.parent)


def forget(top: Path) -> None:
    """A pod's durable directory is gone. Its record, which is the mark of the rest, goes last. Raises Failed."""
    try:
        for name in sorted(files.names(top), key=lambda each: each == "pod.json"):
            files.remove_tree(top / name)
        files.remove_tree(top)
        if top.parent.is_dir():
            files.sync_directory(top.parent)
    except OSError as error:
        raise Failed(f"cannot remove {top}: {error.strerror}") from error
