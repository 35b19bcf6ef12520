"""Which secrets and configs a pod names, and what each of its containers does with them (C7, C10).

Each goes by one key, `secret/NAME` or `config/NAME`: in the store, in facts, in records, in pins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tank.model.inputs import ConfigFiles, EnvFrom, EnvSource, KeyOf, Reaction, SecretFiles
from tank.model.pod import Container, Pod, Volume

SECRET, CONFIG = "secret", "config"
KINDS = (SECRET, CONFIG)
_RESTART = Reaction(restart=True)
_NOTHING = Reaction()


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One use of a secret or config by a container.

    `needs`: the keys it cannot do without; `optional`: it can do without the whole thing, and then without the keys.
    `files`: the volume that holds them; empty: variables. `reaction`: what follows a change.
    """

    key: str
    needs: frozenset[str] = frozenset()
    optional: bool = False
    files: str = ""
    reaction: Reaction = _NOTHING


def kind_of(key: str) -> str:
    """`secret` or `config`."""
    return key.partition("/")[0]


def words(key: str) -> str:
    """`secret db`: a key as people read it."""
    return key.replace("/", " ", 1)


def uses(pod: Pod, container: Container) -> tuple[Use, ...]:
    """What the container does with secrets and configs: its variables first, then its files."""
    return (*_variables(container), *_mounted(pod, container))


def named(pod: Pod) -> frozenset[str]:
    """Every secret and config that the pod names, those of volumes that nobody mounts included."""
    used = {use.key for container in pod.everyone for use in uses(pod, container)}
    return frozenset(used | {each.key for volume in pod.volumes for each in _files(volume)})


def needed(pod: Pod) -> frozenset[str]:
    """Those of them that some container cannot start without."""
    return frozenset(use.key for each in pod.everyone for use in uses(pod, each) if not use.optional)


def given_key(source: EnvSource | EnvFrom) -> str:
    """The key of what a variable comes from; empty for a field of the pod."""
    if isinstance(source, EnvFrom):
        return f"{SECRET}/{source.secret}" if source.secret is not None else f"{CONFIG}/{source.config}"
    if source.secret is not None:
        return f"{SECRET}/{source.secret.name}"
    return f"{CONFIG}/{source.config.name}" if source.config is not None else ""


def chosen(source: EnvSource) -> KeyOf | None:
    """Which key of a secret or config it takes."""
    return source.secret or source.config


def files_key(source: SecretFiles | ConfigFiles) -> str:
    """The key of what a volume shows."""
    return f"{source.type}/{source.name}"


def _variables(container: Container) -> Iterator[Use]:
    for each in container.env_from:
        yield Use(key=given_key(each), optional=each.optional, reaction=_after(each.on_change))
    for variable in container.env:
        wanted = chosen(variable.source) if variable.source is not None else None
        if variable.source is not None and wanted is not None:
            yield Use(
                key=given_key(variable.source),
                needs=frozenset({wanted.key}),
                optional=wanted.optional,
                reaction=_after(variable.source.on_change),
            )


def _after(on_change: str) -> Reaction:
    return _RESTART if on_change == "restart" else _NOTHING


def _mounted(pod: Pod, container: Container) -> Iterator[Use]:
    for name in dict.fromkeys(mount.volume for mount in container.mounts):
        volume = pod.volume(name)
        yield from _files(volume) if volume is not None else ()


def _files(volume: Volume) -> Iterator[Use]:
    source = volume.source
    if isinstance(source, SecretFiles | ConfigFiles):
        yield Use(
            key=files_key(source),
            needs=frozenset(source.keys),
            optional=source.optional,
            files=volume.name,
            reaction=source.on_change,
        )
