"""Making the bundle of one attempt: its directory, volumes, root, and `config.json`.

Blocking work of a few milliseconds, for a thread. What it leaves when it fails, whoever called it discards.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tank.config import Settings
from tank.errors import Failed, StartFailed, Waiting
from tank.host import files, machine, mounts, quota, reach
from tank.host.userns import COUNT
from tank.model import etcfiles
from tank.model.image import ImageConfig
from tank.model.launch import Launch
from tank.model.pod import Pod, Rootfs
from tank.runtime import (
    capabilities,
    command,
    devices,
    hostpath,
    ids,
    inputs,
    kept,
    ocispec,
    placing,
    profile,
    removal,
    rootfs,
    seccomp,
    termination,
    volumes,
)
from tank.runtime.ocispec import Bind, Setup
from tank.runtime.places import Attempt
from tank.runtime.sandbox import Sandboxes, Users

LARGEST_ARGUMENTS = 2**20  # bytes of arguments and environment together (S29)
_CONFIG_ERROR = "CreateContainerConfigError"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the machine offers, found out once."""

    capabilities: tuple[str, ...]
    reaper: Path | None
    swap_accounting: bool
    controllers: frozenset[str]  # of control groups of version 2
    most_files: int
    filters: seccomp.Compiled


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle that is ready. `unknown`: the filter that the runtime is going to compile, to be learned from it.

    `doubt`: why the program probably cannot be run; it may still lie in a volume, which is not mounted yet.
    """

    unknown: seccomp.Filter | None
    doubt: StartFailed | None


def check(launch: Launch, settings: Settings, host: Host) -> None:
    """Whether what `make` needs of the machine is there. Changes nothing. Raises Waiting."""
    for mount in launch.container.mounts:
        if (volume := launch.pod.volume(mount.volume)) is not None:
            volumes.check(settings, launch.uid, volume, mount)
    placing.check(settings, launch)
    inputs.check(launch)
    command.own_environment(launch, machine.capacity())
    _layers(launch, settings)
    tuple(_reaper(launch, host))
    _check_capabilities(launch, host)
    _check_size_limit(launch, settings)
    _filter(launch, host)
    devices.give(launch.container)


def unsupported(pod: Pod, settings: Settings) -> str:
    """What this machine cannot do of all that the pod asks for, in words; empty when it can do everything."""
    limited = [each.name for each in pod.everyone if each.size is not None]
    why = quota.refusal(settings.data_dir) if limited else ""
    return f"containers {', '.join(limited)}: size cannot be limited: {why}" if why else ""


def _check_size_limit(launch: Launch, settings: Settings) -> None:
    if launch.container.size is not None and (why := quota.refusal(settings.data_dir)):
        raise Waiting(_CONFIG_ERROR, f"cannot limit the size of the root: {why}")


def make(launch: Launch, attempt: Attempt, sandboxes: Sandboxes, host: Host) -> Made:
    """Make it. Raises Waiting, StartFailed, Failed."""
    removal.clear_earlier(attempt)
    files.make_directory(attempt.bundle, 0o711)  # the mark of all that follows
    inputs.check(launch)
    _check_size_limit(launch, sandboxes.settings)
    try:
        with sandboxes.users(launch.uid, launch.pod) as users:
            return _made(launch, attempt, sandboxes, host, users)
    except OSError as error:
        raise Failed(f"cannot prepare {attempt.id}: {error.filename or ''}: {error.strerror}") from error


def _made(launch: Launch, attempt: Attempt, sandboxes: Sandboxes, host: Host, users: Users | None) -> Made:
    seen_as = users.namespace if users is not None else None
    placing.mount_images(launch, attempt, seen_as)
    binds = placing.binds(sandboxes.settings, launch, attempt, seen_as)
    _mount_root(launch, attempt, users)
    termination.make(attempt.message)
    kept.write(attempt, launch.container)
    files.make_directory(attempt.log.parent)
    wanted = _filter(launch, host)
    compiled = host.filters.find(wanted) if wanted is not None else None
    setup, doubt = _setup(launch, attempt, sandboxes, host, binds, users=users)
    setup = replace(
        devices.added(setup, devices.give(launch.container)),
        seccomp=wanted.profile if wanted is not None else None,
        annotations={seccomp.ANNOTATION: compiled} if compiled is not None else {},
    )
    if users is not None:
        ids.open_groups(sandboxes.groups, attempt.group)
        setup = _of_users(setup, attempt, users)
    files.write(attempt.config, json.dumps(ocispec.config(setup)).encode())
    return Made(wanted if compiled is None else None, doubt)


def _of_users(setup: Setup, attempt: Attempt, users: Users) -> Setup:
    """With ids of its own. Raises Waiting when it is to run as one that it has not, OSError."""
    wanted = (setup.identity.uid, setup.identity.gid, *setup.identity.groups)
    if missing := [each for each in wanted if not users.ids.holds(each)]:
        raise Waiting(_CONFIG_ERROR, f"cannot run with id {missing[0]}: with users: auto ids end at {COUNT - 1}")
    message = [each for each in setup.volumes if each.source == str(attempt.message)]
    placed = tuple(placing.files_placed((*setup.files, *message), attempt, users.namespace))
    count = len(setup.files)
    volumes = (*(each for each in setup.volumes if each not in message), *placed[count:])
    return replace(setup, files=placed[:count], volumes=volumes, mappings=ids.mappings(users.ids))


def _mount_root(launch: Launch, attempt: Attempt, users: Users | None) -> None:
    """An overlay of its own for each attempt; nothing written in one is ever seen by another."""
    if mounts.is_mounted(attempt.rootfs):  # the same upper twice is undefined (R35)
        raise Failed(f"cannot mount the root of {attempt.id}: it is mounted already")
    upper, work = attempt.writable / "upper", attempt.writable / "work"
    if launch.container.size is not None:
        files.make_directory(attempt.writable)
        quota.limit(attempt.writable, launch.container.size)
    for directory, mode in ((attempt.rootfs, 0o755), (upper, 0o755), (work, 0o700)):
        files.make_directory(directory.parent)
        directory.mkdir()
        directory.chmod(mode)
    layers = _layers(launch, attempt.settings)
    files_of_top = layers[-1].stat()
    upper.chmod(stat.S_IMODE(files_of_top.st_mode))
    base = users.ids.base if users is not None else 0
    os.chown(upper, base + files_of_top.st_uid, base + files_of_top.st_gid)
    os.chown(work, base, base)
    with placing.layers_for(layers, attempt, users.namespace if users is not None else None) as seen:
        mounts.overlay(seen, upper, work, attempt.rootfs, flags=("volatile",))


def _layers(launch: Launch, settings: Settings) -> tuple[Path, ...]:
    source = launch.container.image
    if isinstance(source, Rootfs):
        return (_rootfs(Path(source.rootfs), settings),)
    if launch.image is None or not launch.image.layers:
        raise Waiting(_CONFIG_ERROR, f"cannot run {source}: its image has no layers here")
    return launch.image.layers


def _rootfs(path: Path, settings: Settings) -> Path:
    """A directory of the host as the root. One that shows Tank's own would show its secrets (S20)."""
    if not path.is_dir():
        raise Waiting(_CONFIG_ERROR, f"cannot use {path} as the root: there is no such directory")
    with files.opened(path, os.O_PATH | os.O_DIRECTORY) as fd:
        hostpath.guard(settings, fd, f"cannot use {path} as the root: it")
        return reach.path_of(fd)


def _setup(
    launch: Launch,
    attempt: Attempt,
    sandboxes: Sandboxes,
    host: Host,
    binds: tuple[Bind, ...],
    *,
    users: Users | None,
) -> tuple[Setup, StartFailed | None]:
    container, image = launch.container, launch.image.config if launch.image else ImageConfig()
    cwd = rootfs.working_directory(container.working_dir or image.working_dir or "/")
    own = command.own_environment(launch, machine.capacity())
    arguments = command.arguments(container, image, own)
    if not arguments:
        raise Waiting(_CONFIG_ERROR, "cannot start: neither the spec nor the image says what to run")
    with rootfs.Root(attempt.rootfs) as root:
        root.check()
        identity = root.identity(container.user or image.user, container.groups)
        if container.security.non_root and identity.uid == 0:
            asked = "the spec" if container.user else "the image"
            raise Waiting(_CONFIG_ERROR, f"cannot start: {asked} says user 0, and non_root refuses it")
        environment = command.environment(
            container, image, own, hostname=etcfiles.pod_hostname(launch.pod), home=identity.home
        )
        _check_size(arguments, environment)
        doubt = _doubt(root, arguments[0], environment, cwd)
        if doubt is not None and not binds:
            raise doubt
        if not _covered(cwd, binds):
            root.make_directory(cwd, identity, users.ids.base if users is not None else 0)
    _check_capabilities(launch, host)
    security = container.security
    setup = Setup(
        root=str(attempt.rootfs),
        arguments=arguments,
        environment=environment,
        cwd=cwd,
        identity=identity,
        capabilities=capabilities.held(security, host.capabilities),
        cgroup=sandboxes.groups.path(attempt.group),
        namespaces=sandboxes.namespace_paths(launch.uid, launch.pod),
        limits=container.limits,
        rlimits=container.ulimits,
        files=(*_etc_files(launch, sandboxes), *_reaper(launch, host)),
        volumes=(*binds, *termination.bind(attempt.message, container)),
        shm=str(sandboxes.shm(launch.uid)),
        tty=container.tty,
        read_only_root=security.read_only_root,
        no_new_privileges=security.no_new_privileges,
        privileged=security.privileged,
        unmask=security.unmask,
        reaper=container.reaper,
        swap_accounting=host.swap_accounting,
        controllers=host.controllers,
        oom_group=container.oom == "group",
        most_files=host.most_files,
    )
    return setup, doubt


def _check_capabilities(launch: Launch, host: Host) -> None:
    if missing := set(launch.container.security.cap_add) - {"ALL", *host.capabilities}:
        raise Waiting(_CONFIG_ERROR, f"cannot give {', '.join(sorted(missing))}: this machine has no such capability")


def _check_size(arguments: tuple[str, ...], environment: Mapping[str, str]) -> None:
    if command.size(arguments, environment) > LARGEST_ARGUMENTS:
        raise Waiting(_CONFIG_ERROR, "cannot start: arguments and environment exceed 1 MiB together")


def _doubt(root: rootfs.Root, program: str, environment: Mapping[str, str], cwd: str) -> StartFailed | None:
    try:
        root.program(program, environment, cwd)
    except StartFailed as error:
        return error
    return None


def _covered(path: str, binds: tuple[Bind, ...]) -> bool:
    return any(f"{path}/".startswith(f"{each.path.rstrip('/')}/") for each in binds)


def _etc_files(launch: Launch, sandboxes: Sandboxes) -> Iterator[Bind]:
    """A volume that the spec mounts at one of these paths wins."""
    taken = {each.path for each in launch.container.mounts}
    for name in ("hosts", "hostname", "resolv.conf"):
        if f"/etc/{name}" not in taken:
            yield Bind(source=str(sandboxes.etc(launch.uid) / name), path=f"/etc/{name}")


def _reaper(launch: Launch, host: Host) -> Iterator[Bind]:
    if not launch.container.reaper:
        return
    if host.reaper is None:
        raise Waiting(_CONFIG_ERROR, "cannot start with a reaper: catatonit is not installed on this machine")
    yield Bind(source=str(host.reaper), path=ocispec.INIT, read_only=True)


def _filter(launch: Launch, host: Host) -> seccomp.Filter | None:
    security = launch.container.security
    if security.privileged or security.seccomp == "unconfined":
        return None
    held = capabilities.held(security, host.capabilities)
    return seccomp.default(held) if security.seccomp == "default" else profile.load(security.seccomp, held)
