"""Manifests, indexes and configurations of images (OCI image specification 1.1, Docker schema 2), checked.

Every document is what its media type says or is refused: a type in the body that differs from the one it was
served with, a manifest that is also an index, a layer that lives at somebody else's URL (S25, S27). Numbers are bounded
(S28). Pure: bytes in, frozen values out; digests are compared by whoever has the bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from tank.image import document, platform
from tank.image.document import Object
from tank.image.platform import Platform
from tank.image.refusal import refused, shown, unsuitable
from tank.model.image import ImageConfig
from tank.model.reference import DIGEST

MOST_LAYERS = 500  # what one overlay takes (R37)
MOST_DEPTH = 2  # an index may hold an index, no more

_OCI = "application/vnd.oci.image."
_DOCKER = "application/vnd.docker."
OCI_MANIFEST, OCI_INDEX = f"{_OCI}manifest.v1+json", f"{_OCI}index.v1+json"
DOCKER_MANIFEST = f"{_DOCKER}distribution.manifest.v2+json"
DOCKER_LIST = f"{_DOCKER}distribution.manifest.list.v2+json"
ACCEPTED = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST)
_INDEXES = (OCI_INDEX, DOCKER_LIST)
_SCHEMA_1 = tuple(f"{_DOCKER}distribution.manifest.v1+{each}" for each in ("json", "prettyjws"))
_CONFIGS = (f"{_OCI}config.v1+json", f"{_DOCKER}container.image.v1+json")
_LAYERS = frozenset(
    {f"{_OCI}layer.v1.tar{each}" for each in ("", "+gzip", "+zstd")}
    | {f"{_DOCKER}image.rootfs.diff.tar{each}" for each in ("", ".gzip", ".zstd")}
)
_FOREIGN = ("foreign", "nondistributable")
_ATTESTATION = "vnd.docker.reference.type"


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A pointer to content: what it is, its digest and its exact length in bytes."""

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None

    @property
    def nested(self) -> bool:
        """Whether it leads to an index."""
        return self.media_type in _INDEXES


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One image for one platform. `layers` lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def size(self) -> int:
        """Compressed bytes of configuration and layers."""
        return self.config.size + sum(layer.size for layer in self.layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The same image for several platforms. What is no image (attestations) is left out."""

    manifests: tuple[Descriptor, ...]

    def choices(self, wanted: tuple[Platform, ...]) -> tuple[Descriptor, ...]:
        """What may hold the image for this machine, best first: its own platform, then what names none.

        Where one is as good as the other, a manifest comes before an index, which has to be looked into.
        """
        ranked = [((_rank(each, wanted), each.nested), each) for each in self.manifests]
        return tuple(each for place, each in sorted(ranked, key=lambda pair: pair[0]) if place[0] < _NEVER)

    def platforms(self) -> str:
        """What there is, for a message."""
        named = {str(each.platform) for each in self.manifests if each.platform is not None}
        return ", ".join(sorted(named)[:20]) or "none named"


_UNNAMED, _NEVER = 1000, 1001


def _rank(each: Descriptor, wanted: tuple[Platform, ...]) -> int:
    if each.platform is None:
        return _UNNAMED
    found = platform.rank(each.platform, wanted)
    return _NEVER if found is None else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The configuration document: how to run, which layers (digests of their uncompressed tar), for which platform."""

    config: ImageConfig
    diff_ids: tuple[str, ...]
    platform: Platform


def digest_of(data: bytes) -> str:
    """The digest by which `data` is addressed."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def digest(source: Object, key: str) -> str:
    """A digest in the only form that is ever used as a file name. Raises PullFailed."""
    found = document.text(source, key)
    if DIGEST.fullmatch(found) is None:
        raise refused(f"cannot read image: {shown(found)} is not a sha256 digest")
    return found


def parse(data: bytes, media_type: str) -> Manifest | Index:
    """The manifest or index that was served as `media_type` ("" when that is not known). Raises PullFailed."""
    body = document.parsed(data, "manifest")
    stated = document.text(body, "mediaType")
    if media_type in _SCHEMA_1 or stated in _SCHEMA_1 or body.get("schemaVersion") == 1:
        raise refused("cannot use image: it is in Docker's old schema 1; push it again with a current tool")
    kind = media_type or stated or _guessed(body)
    if stated and stated != kind:
        raise refused(f"cannot use image: it was served as {shown(kind)} and calls itself {shown(stated)}")
    if kind not in ACCEPTED:
        raise unsuitable(f"cannot use image: {shown(kind)} is not the type of an image manifest")
    if body.get("schemaVersion") != 2:
        raise refused("cannot use image: its manifest is not of schema version 2")
    if kind in _INDEXES:
        return _index(body)
    return _manifest(body)


def _guessed(body: Object) -> str:
    """OCI allows a body without its type. Stored documents have no header that says it."""
    return OCI_INDEX if "manifests" in body else OCI_MANIFEST


def _index(body: Object) -> Index:
    if "layers" in body or "config" in body:
        raise refused("cannot use image: its index is a manifest at the same time")
    found = [_descriptor(each) for each in document.items(body, "manifests") if not _is_attestation(each)]
    return Index(manifests=tuple(each for each in found if each.media_type in ACCEPTED))


def _is_attestation(each: object) -> bool:
    if not isinstance(each, dict):
        return False
    if _ATTESTATION in document.mapping(each, "annotations"):
        return True
    found = document.mapping(each, "platform")
    return (found.get("os"), found.get("architecture")) == ("unknown", "unknown")


def _manifest(body: Object) -> Manifest:
    if "manifests" in body:
        raise refused("cannot use image: its manifest is an index at the same time")
    config = _descriptor(body.get("config"))
    if config.media_type not in _CONFIGS:
        raise unsuitable(f"cannot use image: it holds {shown(config.media_type)}, which is no container image")
    layers = document.items(body, "layers")
    if len(layers) > MOST_LAYERS:
        raise refused(f"cannot use image: it has {len(layers)} layers, more than {MOST_LAYERS}")
    if config.size > document.LARGEST:
        raise refused(f"cannot use image: its configuration is larger than {document.LARGEST} bytes")
    return Manifest(config=config, layers=tuple(_layer(each) for each in layers))


def _layer(body: object) -> Descriptor:
    found = _descriptor(body)
    if any(word in found.media_type for word in _FOREIGN):
        raise refused("cannot use image: it has a foreign layer, which no registry may hand on")
    if found.media_type not in _LAYERS:
        raise unsuitable(f"cannot use image: a layer is of type {shown(found.media_type)}")
    return found


def _descriptor(body: object) -> Descriptor:
    if not isinstance(body, dict):
        raise refused("cannot read image: a descriptor is missing or not an object")
    where = document.mapping(body, "platform")
    return Descriptor(
        media_type=document.text(body, "mediaType"),
        digest=digest(body, "digest"),
        size=document.count(body, "size"),
        platform=_platform(where) if where else None,
    )


def _platform(body: Object) -> Platform:
    os, architecture, variant = (document.text(body, key) for key in ("os", "architecture", "variant"))
    return Platform(os, architecture, variant)


def parse_config(data: bytes, layers: int) -> Configuration:
    """The configuration of an image with so many layers. Raises PullFailed."""
    body = document.parsed(data, "image configuration")
    rootfs = document.mapping(body, "rootfs")
    if rootfs.get("type", "layers") != "layers":
        raise refused("cannot use image: its root is not made of layers")
    diff_ids = tuple(digest({"diff_ids": each}, "diff_ids") for each in document.items(rootfs, "diff_ids"))
    if len(diff_ids) != layers:
        raise refused(f"cannot use image: {layers} layers, but {len(diff_ids)} in its configuration")
    return Configuration(
        config=_run_config(document.mapping(body, "config")), diff_ids=diff_ids, platform=_platform(body)
    )


def _run_config(body: Object) -> ImageConfig:
    labels = document.mapping(body, "Labels")
    return ImageConfig(
        entrypoint=document.texts(body, "Entrypoint"),
        cmd=document.texts(body, "Cmd"),
        env=_environment(document.texts(body, "Env")),
        working_dir=document.text(body, "WorkingDir"),
        user=document.text(body, "User"),
        stop_signal=document.text(body, "StopSignal"),
        labels=tuple((key, document.text(labels, key)) for key in labels),
        volumes=tuple(document.mapping(body, "Volumes")),
    )


def _environment(entries: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """`NAME=value`; the last of a name wins (C7). What has no name is nothing."""
    pairs = (entry.partition("=") for entry in entries)
    return tuple({name: value for name, _, value in pairs if name}.items())


def check_platform(found: Configuration, wanted: tuple[Platform, ...]) -> None:
    """Refuse what this machine cannot run. An image that says nothing is taken at its word."""
    where = found.platform
    if (where.os or where.architecture) and platform.rank(where, wanted) is None and not _same(where, wanted):
        raise unsuitable(f"cannot use image: it is for {shown(str(where))}, this machine is {wanted[0]}")


def _same(where: Platform, wanted: tuple[Platform, ...]) -> bool:
    """Builders rarely know the variant: a whole image of the right architecture is not refused for it."""
    normal = where.normal()
    return normal.os in ("", "linux") and normal.architecture in {each.architecture for each in wanted}
