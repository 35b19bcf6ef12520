"""Volumes and where containers mount them (C10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tank.model.faults import BAD
from tank.model.kube.files import CONFIG, PROJECTED, SECRET, config, projected, secret
from tank.model.kube.nouns import FLAG, MAPPING, TEXT, Kept, Never, Noun, Used, chosen, items, one_of
from tank.model.kube.places import Draft, Place
from tank.model.kube.quantities import MODE, SIZE

PULL = one_of({"Always": "always", "IfNotPresent": "if_missing", "Never": "never"})
_ELSEWHERE = "storage of a cloud or a network is not mounted by Tank"
_MOUNT_IT = "mount it on the host and use hostPath"
_CLOUD = """awsElasticBlockStore azureDisk azureFile cephfs cinder fc flexVolume flocker gcePersistentDisk glusterfs
    iscsi nfs photonPersistentDisk portworxVolume quobyte rbd scaleIO storageos vsphereVolume"""
_HOST_KINDS = {
    "": None,
    "Directory": "directory",
    "DirectoryOrCreate": "directory_or_create",
    "File": "file",
    "FileOrCreate": "file_or_create",
    "Socket": "socket",
    "CharDevice": BAD,
    "BlockDevice": BAD,
}

SOURCES: dict[str, Used | Never] = {
    "emptyDir": Used(MAPPING, "`empty`; `tmpfs` for medium Memory"),
    "hostPath": Used(MAPPING, "`host` with `kind`"),
    "configMap": Used(MAPPING, "`config`"),
    "secret": Used(MAPPING, "`secret`"),
    "projected": Used(MAPPING, "`config` or `secret`, when it has one source"),
    "image": Used(MAPPING, "`image`"),
    "persistentVolumeClaim": Used(MAPPING, "`managed`, by the claim's name"),
    "ephemeral": Used(MAPPING, "`empty`"),
    "downwardAPI": Never("files of facts about the pod are not supported", suggestion="variables can hold them"),
    "csi": Never("drivers of storage are not supported", unless=(), suggestion=_MOUNT_IT),
    "gitRepo": Never(
        "volumes of a repository are not supported", unless=(), suggestion="clone it in an init container"
    ),
    **{name: Never(_ELSEWHERE, unless=(), suggestion=_MOUNT_IT) for name in _CLOUD.split()},
}
VOLUME = Noun("a volume", {"name": Used(TEXT, "`volumes[].name`", required=True), **SOURCES})
MEDIUM = one_of({"Memory": True, "": False})
EMPTY = Noun(
    "an emptyDir",
    {
        "medium": Used(MEDIUM, "Memory: `tmpfs`"),
        "sizeLimit": Used(SIZE, "`tmpfs.size`"),
        "mode": Used(MODE, "`mode`; 0777 without it, as there"),
    },
)
HOST = Noun("a hostPath", {"path": Used(TEXT, "`host`", required=True), "type": Used(one_of(_HOST_KINDS), "`kind`")})
CLAIM = Noun(
    "a claim",
    {"claimName": Used(TEXT, "the name of the volume", required=True), "readOnly": Used(FLAG, "`mounts[].read_only`")},
)
IMAGE = Noun(
    "an image",
    {"reference": Kept("image", doc="`image`"), "pullPolicy": Kept("pull", PULL, "`pull`")},
)
MOUNT = Noun(
    "a mount",
    {
        "name": Used(TEXT, "`mounts[].volume`", required=True),
        "mountPath": Kept("path", doc="`mounts[].path`"),
        "readOnly": Kept("read_only", FLAG, "`mounts[].read_only`"),
        "subPath": Used(TEXT, "`mounts[].sub_path`"),
        "subPathExpr": Used(TEXT, "`mounts[].sub_path`, without variables"),
        "mountPropagation": Kept(
            "propagation",
            one_of({"None": "private", "HostToContainer": "slave", "Bidirectional": "shared"}),
            "`mounts[].propagation`",
        ),
        "recursiveReadOnly": Used(
            one_of({"Disabled": "", "IfPossible": "", "Enabled": "Enabled"}), "Enabled is refused"
        ),
    },
)
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"  # what a cluster adds to every pod


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """The pod's volumes. `named`: Kubernetes' name to ours; `fs_group`: who may write in them."""

    named: dict[str, str] = field(default_factory=dict)
    claims: set[str] = field(default_factory=set)
    read_only: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    fs_group: int | None = None


def volumes(value: Any, place: Place, draft: Draft, fs_group: int | None) -> Storage:
    """Write the pod's volumes; answers how containers find them."""
    storage = Storage(fs_group=fs_group)
    for each, here in items(value, place):
        found = VOLUME.read(each, here)
        name = found.get("name", "")
        if name.startswith("kube-api-access-") and "projected" in found:
            storage.dropped.add(name)
            here.lose("there is no Kubernetes to speak to, so it needs no token for it")
            continue
        given = [source for source in SOURCES if source in each and each[source] is not None]
        kind = chosen(found, tuple(SOURCES), here, "a volume") if given else "emptyDir"
        if kind is not None and (not given or kind in found):
            _SOURCE[kind](found.get(kind, {}), here.at(kind), draft, storage, name)
        else:  # refused: something stands in for it, so that its mounts are not refused as well
            _volume(draft, here.at("name"), storage, name).put("source", {"empty": {}}, here)
    return storage


def _volume(draft: Draft, place: Place, storage: Storage, name: str) -> Draft:
    volume = draft.append("volumes", place.above())
    if name:
        volume.put("name", name, place.above().at("name"))
    storage.named.setdefault(name, name)
    return volume


def _group(volume: Draft, place: Place, storage: Storage, mode: str | None) -> None:
    """The group of fsGroup can write in the volume, and what is made in there is the group's."""
    if storage.fs_group is not None:
        volume.put("group", storage.fs_group, place)
        mode = f"{int(mode or '0755', 8) | 0o2770:04o}"
    if mode is not None:
        volume.put("mode", mode, place)


def _empty(value: Any, place: Place, draft: Draft, storage: Storage, name: str) -> None:
    found = EMPTY.read(value, place)
    volume = _volume(draft, place, storage, name)
    size, mode = found.get("sizeLimit"), found.get("mode")
    if not found.get("medium"):
        volume.put("source", {"empty": {}}, place)
        _group(volume, place, storage, mode or "0777")
        if size:
            place.at("sizeLimit").lose("it is not held to a size: nobody is evicted for what it writes")
        return
    volume.put("source", {"tmpfs": {"size": size} if size else {}}, place)
    if mode and int(mode, 8) != 0o1777:
        place.at("mode").lose("memory is for everybody to write in: its mode is 1777")


def _host(value: Any, place: Place, draft: Draft, storage: Storage, name: str) -> None:
    found = HOST.read(value, place)
    kind = found.get("type")
    if value.get("type") in ("CharDevice", "BlockDevice"):
        place.at("type").refuse("a device is no volume", "see devices in the spec's reference")
    source = _volume(draft, place, storage, name).below("source", place)
    source.put("host", found.get("path", "/"), place.at("path"))
    if kind:
        source.put("kind", kind, place.at("type"))


def _claim(value: Any, place: Place, draft: Draft, storage: Storage, name: str) -> None:
    """A managed volume outlives pods as a claim does. Two volumes of one claim are one."""
    found = CLAIM.read(value, place)
    here, claim = place.at("claimName"), found.get("claimName", name)
    if found.get("readOnly"):
        storage.read_only.add(name)
    if claim not in storage.claims:
        storage.claims.add(claim)
        volume = _volume(draft, place, storage, claim)
        volume.put("name", claim, here)
        volume.put("source", "managed", place)
        _group(volume, place, storage, None)
        here.lose(
            f"Tank's own volume '{claim}' takes its place, made empty on first use; its size and class mean nothing"
        )
    storage.named[name] = claim


def _ephemeral(value: Any, place: Place, draft: Draft, storage: Storage, name: str) -> None:
    volume = _volume(draft, place, storage, name)
    volume.put("source", {"empty": {}}, place)
    _group(volume, place, storage, None)
    place.lose("an empty directory takes its place; its size and class mean nothing")


def _image(value: Any, place: Place, draft: Draft, storage: Storage, name: str) -> None:
    source = _volume(draft, place, storage, name).below("source", place)
    if "image" not in IMAGE.read(value, place, source) and "image" not in source.fields:
        place.at("reference").spot.fault("an image needs this field")


def _files(read: Callable[..., None]) -> Callable[..., None]:
    def write(value: Any, place: Place, draft: Draft, storage: Storage, name: str) -> None:
        volume = _volume(draft, place, storage, name)
        read(value, place, volume.below("source", place), storage.fs_group)

    return write


_SOURCE: Mapping[str, Callable[[Any, Place, Draft, Storage, str], None]] = {
    "emptyDir": _empty,
    "hostPath": _host,
    "persistentVolumeClaim": _claim,
    "ephemeral": _ephemeral,
    "image": _image,
    "configMap": _files(config),
    "secret": _files(secret),
    "projected": _files(projected),
}
NOUNS = (VOLUME, EMPTY, HOST, CLAIM, IMAGE, CONFIG, SECRET, PROJECTED, MOUNT)


def mounts(value: Any, place: Place, draft: Draft, storage: Storage) -> None:
    """`volumeMounts` of a container."""
    for each, here in items(value, place):
        if each.get("mountPath") == _ACCOUNT or each.get("name") in [*storage.dropped]:  # it may be of any type yet
            continue
        mount = draft.append("mounts", here)
        found = MOUNT.read(each, here, mount)
        name = found.get("name", "")
        mount.put("volume", storage.named.get(name, name), here.at("name"))
        if name in storage.read_only:
            mount.put("read_only", True, here)
        if found.get("recursiveReadOnly"):
            here.at("recursiveReadOnly").refuse("mounts below it cannot be made read-only")
        _sub_path(found, here, mount)


def _sub_path(found: Mapping[str, Any], place: Place, mount: Draft) -> None:
    path, expression = found.get("subPath"), found.get("subPathExpr")
    if path and expression:
        place.spot.fault("a mount has either subPath or subPathExpr")
    elif expression and "$(" in expression:
        place.at("subPathExpr").refuse("variables in the path of a volume are not supported")
    elif path or expression:
        mount.put("sub_path", path or expression, place.at("subPath" if path else "subPathExpr"))
