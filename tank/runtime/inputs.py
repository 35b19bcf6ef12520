"""Files of secrets and configs: in memory, once for all containers of a pod, and changed at one stroke (C10).

Below the volume's directory lies each generation of the files in a directory of its own, named by what it holds;
`..data` points to the present one and every path of the spec to its place below `..data`:

    ..3f2a…/app.conf      ..data -> ..3f2a…      app.conf -> ..data/app.conf

A new generation is written whole beside the old one; the rename of `..data` is the change. So whoever resolves
`..data` once reads files of one generation, and the one before is kept until the next change, so that he may finish.
Where the mount of a container shows a part (`sub_path`), it shows the file that was there when it was made.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from tank.config import Settings
from tank.errors import Failed, Waiting
from tank.host import files, mounts
from tank.host.threads import in_thread
from tank.model.inputs import ConfigFiles, SecretFiles
from tank.model.launch import Launch
from tank.model.pod import Pod
from tank.model.uses import files_key, words

REASON = "CreateContainerConfigError"
_DATA = "..data"
_UNFINISHED = ("..new-", "..link-")
_SIZE = 256 * 2**20  # bytes for all volumes of a pod: 64 of the largest in four generations
_INODES = 200_000
Values = Mapping[str, Mapping[str, bytes]]
Source = SecretFiles | ConfigFiles


def place(settings: Settings, uid: str, volume: str) -> Path:
    """The directory that containers mount."""
    return _top(settings, uid) / volume


def _top(settings: Settings, uid: str) -> Path:
    return settings.pod_run_dir(uid) / "inputs"


class Inputs:
    """The files of every pod of this machine. One thread at a time writes them: containers are made side by side."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._filling = asyncio.Lock()

    async def fill(self, uid: str, pod: Pod, inputs: Values, names: Iterable[str]) -> None:
        """The volumes `names` of the pod show `inputs`; what is shown already stays untouched. Raises Failed."""
        sources = {name: source for name in names if (source := source_of(pod, name)) is not None}
        if sources:
            async with self._filling:
                await in_thread(fill, self._settings, uid, sources, inputs)


def source_of(pod: Pod, volume: str) -> Source | None:
    """What the volume shows, if that is a secret or config."""
    found = pod.volume(volume)
    return found.source if found is not None and isinstance(found.source, SecretFiles | ConfigFiles) else None


def check(launch: Launch) -> None:
    """Whether there is what the container cannot do without as files. Raises Waiting."""
    for mount in launch.container.mounts:
        source = source_of(launch.pod, mount.volume)
        if source is None or source.optional:
            continue
        what, held = f"cannot mount {mount.volume}", launch.inputs.get(files_key(source))
        if held is None:
            raise Waiting(REASON, f"{what}: there is no {words(files_key(source))}")
        if absent := sorted(source.keys.keys() - held.keys()):
            raise Waiting(REASON, f"{what}: {words(files_key(source))} has no key {absent[0]!r}")


def fill(settings: Settings, uid: str, sources: Mapping[str, Source], inputs: Values) -> None:
    """Show each source under its volume's name. Blocks. Raises Failed."""
    top = _top(settings, uid)
    try:
        _mount(top)
        for name, source in sources.items():
            _show(top / name, source, inputs.get(files_key(source)))
    except OSError as error:
        raise Failed(f"cannot write the files of volumes {', '.join(sources)}: {error.strerror}") from error


def _mount(top: Path) -> None:
    """One file system in memory for all of the pod, never swapped out where the kernel can be told so."""
    files.make_directory(top)
    if not mounts.is_mounted(top):
        mounts.tmpfs(top, size=_SIZE, mode=0o755, noexec=False, inodes=_INODES, noswap=True)


def _show(volume: Path, source: Source, held: Mapping[str, bytes] | None) -> None:
    """What is gone, or lacks a key that is needed, leaves what is shown as it is."""
    files.make_directory(volume, 0o755)
    lacks = held is None or (not source.optional and source.keys.keys() - held.keys())
    if lacks and (volume / _DATA).is_symlink():
        return
    wanted = _wanted(source, held or {})
    generation = f"..{_name(source, wanted)}"
    if not (volume / generation).is_dir():
        _write(volume, generation, source, wanted)
    before = os.readlink(volume / _DATA) if (volume / _DATA).is_symlink() else ""
    if before != generation:
        _point(volume, _DATA, generation)
    heads = {path.partition("/")[0] for path in wanted}
    for head in heads:
        if not (volume / head).is_symlink():
            _point(volume, head, f"{_DATA}/{head}")
    _clear(volume, heads, {generation, before} if before != generation else None)


def _wanted(source: Source, held: Mapping[str, bytes]) -> dict[str, bytes]:
    """Each file by its path: the keys that the spec chose, else all."""
    if not source.keys:
        return dict(held)
    return {path: held[key] for key, path in source.keys.items() if key in held}


def _name(source: Source, wanted: Mapping[str, bytes]) -> str:
    """The same for the same files with the same owner and mode."""
    told = hashlib.sha256(f"{source.mode} {source.owner} {source.group}".encode())
    for path in sorted(wanted):
        told.update(f"\0{path}\0{len(wanted[path])}\0".encode())
        told.update(wanted[path])
    return told.hexdigest()[:20]


def _write(volume: Path, generation: str, source: Source, wanted: Mapping[str, bytes]) -> None:
    """The whole generation under another name; then under its own."""
    unfinished = volume / f"..new-{secrets.token_hex(4)}"
    files.make_directory(unfinished, 0o755)
    for path, value in wanted.items():
        files.make_directory((unfinished / path).parent, 0o755)
        _write_file(unfinished / path, value, source)
    unfinished.rename(volume / generation)


def _write_file(path: Path, value: bytes, source: Source) -> None:
    with files.opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600) as fd:
        view = memoryview(value)
        while view:
            view = view[os.write(fd, view) :]
        if source.owner is not None or source.group is not None:
            os.fchown(fd, *(-1 if each is None else each for each in (source.owner, source.group)))
        os.fchmod(fd, int(source.mode, 8))  # after the owner, which takes set-id bits away


def _point(volume: Path, name: str, target: str) -> None:
    """`name` is a link to `target`, at one stroke."""
    temporary = volume / f"..link-{secrets.token_hex(4)}"
    os.symlink(target, temporary)
    temporary.replace(volume / name)


def _clear(volume: Path, heads: set[str], generations: set[str] | None) -> None:
    """Links to files that are no more, generations but these (None: all stay), and what a crash left half made."""
    for name in files.names(volume):
        old = generations is not None and name not in generations
        if name == _DATA or name in heads or (name.startswith("..") and not old and not name.startswith(_UNFINISHED)):
            continue
        if (volume / name).is_symlink():
            with suppress(FileNotFoundError):
                (volume / name).unlink()
        else:
            files.remove_tree(volume / name)
