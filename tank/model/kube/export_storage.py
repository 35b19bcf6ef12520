"""A volume of Tank's as one of Kubernetes'."""

from __future__ import annotations

from typing import Any

from tank.model.inputs import ConfigFiles, SecretFiles
from tank.model.pod import Empty, HostPath, ImageVolume, Managed, Source, Tmpfs, Volume

_KINDS = {
    "directory": "Directory",
    "file": "File",
    "socket": "Socket",
    "directory_or_create": "DirectoryOrCreate",
    "file_or_create": "FileOrCreate",
    None: "",
}
_PULL = {"always": "Always", "if_missing": "IfNotPresent", "never": "Never", "prefer_fresh": "Always"}


def volume(value: Volume) -> dict[str, Any]:
    """The volume; one that Tank manages is a claim of its name."""
    return {"name": value.name, **_source(value.name, value.source)}


def _source(name: str, source: Source) -> dict[str, Any]:
    match source:
        case Managed():
            return {"persistentVolumeClaim": {"claimName": name}}
        case HostPath(path=path, kind=kind):
            return {"hostPath": {"path": path, "type": _KINDS[kind]}}
        case Tmpfs(size=size):
            return {"emptyDir": {"medium": "Memory"} | ({} if size is None else {"sizeLimit": str(size)})}
        case ImageVolume(image=image, pull=pull):
            return {"image": {"reference": image, "pullPolicy": _PULL[pull]}}
        case SecretFiles():
            return {"secret": {"secretName": source.name, **_files(source)}}
        case ConfigFiles():
            return {"configMap": {"name": source.name, **_files(source)}}
        case Empty():  # pragma: no branch (there is no other)
            return {"emptyDir": {}}


def _files(source: SecretFiles | ConfigFiles) -> dict[str, Any]:
    items = [{"key": key, "path": path} for key, path in source.keys.items()]
    found: dict[str, Any] = {"defaultMode": int(source.mode, 8)}
    return found | ({"items": items} if items else {}) | ({"optional": True} if source.optional else {})
