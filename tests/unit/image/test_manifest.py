"""Manifests, indexes and configurations: what is read, and the ways in which they lie (S27, S28)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tank.errors import PullFailed
from tank.image import manifest, platform
from tank.image.manifest import Index, Manifest, parse, parse_config
from tank.image.platform import Platform
from tank.model.image import ImageConfig

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"


def pointer(kind: str = f"{OCI_LAYER}+gzip", digest: str = A, size: object = 10, **more: object) -> dict[str, object]:
    return {"mediaType": kind, "digest": digest, "size": size, **more}


def image(**changes: object) -> dict[str, object]:
    body = {
        "schemaVersion": 2,
        "mediaType": manifest.OCI_MANIFEST,
        "config": pointer(OCI_CONFIG, C, 7),
        "layers": [pointer()],
    }
    return {key: value for key, value in {**body, **changes}.items() if value is not ...}


def index(*manifests: dict[str, object], **changes: object) -> dict[str, object]:
    return {"schemaVersion": 2, "mediaType": manifest.OCI_INDEX, "manifests": list(manifests), **changes}


def built(
    architecture: str, variant: str = "", digest: str = A, os: str = "linux", **more: object
) -> dict[str, object]:
    where = {"os": os, "architecture": architecture} | ({"variant": variant} if variant else {})
    return pointer(manifest.OCI_MANIFEST, digest, platform=where, **more)


def coded(body: object) -> bytes:
    return json.dumps(body).encode()


def read_image(body: dict[str, object], served_as: str = manifest.OCI_MANIFEST) -> Manifest:
    found = parse(coded(body), served_as)
    assert isinstance(found, Manifest)
    return found


def read_index(body: dict[str, object], served_as: str = manifest.OCI_INDEX) -> Index:
    found = parse(coded(body), served_as)
    assert isinstance(found, Index)
    return found


@pytest.mark.parametrize("suffix", ["", "+gzip", "+zstd"])
def test_an_oci_manifest_is_read(suffix: str) -> None:
    found = read_image(image(layers=[pointer(OCI_LAYER + suffix, A, 1), pointer(OCI_LAYER + suffix, B, 2)]))

    assert ([layer.digest for layer in found.layers], found.config.digest, found.size) == ([A, B], C, 10)


@pytest.mark.parametrize("suffix", ["", ".gzip", ".zstd"])
def test_a_docker_manifest_is_read(suffix: str) -> None:
    body = image(
        mediaType=manifest.DOCKER_MANIFEST,
        config=pointer(DOCKER_CONFIG, C),
        layers=[pointer(DOCKER_LAYER + suffix, A)],
    )

    assert read_image(body, manifest.DOCKER_MANIFEST).layers[0].digest == A


def test_an_oci_body_may_leave_its_type_out() -> None:
    assert read_image(image(mediaType=...)).layers[0].digest == A
    assert read_image(image(mediaType=...), "").layers[0].digest == A
    assert len(read_index({"schemaVersion": 2, "manifests": [built("amd64")]}, "").manifests) == 1


def test_an_image_without_layers_is_an_image() -> None:
    assert read_image(image(layers=[])).layers == ()


def test_urls_of_a_layer_are_not_followed() -> None:
    assert read_image(image(layers=[pointer(urls=["http://evil.example/layer"])])).layers[0].digest == A


BAD_DIGESTS = [
    "",
    "sha256:",
    "sha256:" + "a" * 63,
    "sha256:" + "a" * 65,
    "sha256:" + "A" * 64,
    "sha256:" + "g" * 64,
    "sha512:" + "a" * 128,
    "md5:" + "a" * 32,
    "a" * 64,
    "sha256:../../../../etc/passwd",
    "sha256:" + "a" * 63 + "/",
    "sha256:" + "a" * 64 + "\n",
    " sha256:" + "a" * 64,
    None,
    7,
]


@pytest.mark.parametrize("digest", BAD_DIGESTS)
@pytest.mark.parametrize("place", ["config", "layers"])
def test_what_is_no_digest_never_becomes_a_file_name(digest: Any, place: str) -> None:
    bad = pointer(OCI_CONFIG if place == "config" else f"{OCI_LAYER}+gzip", digest)
    body = image(config=bad) if place == "config" else image(layers=[bad])

    with pytest.raises(PullFailed, match=r"digest|text"):
        parse(coded(body), manifest.OCI_MANIFEST)


REFUSED: dict[str, tuple[object, str, str]] = {
    "served as something else": (image(), manifest.DOCKER_MANIFEST, "calls itself"),
    "an index served as a manifest": (index(), manifest.OCI_MANIFEST, "calls itself"),
    "a manifest that is an index": (image(manifests=[]), manifest.OCI_MANIFEST, "at the same time"),
    "an index that is a manifest": (index(layers=[]), manifest.OCI_INDEX, "at the same time"),
    "an index with a config": (index(config=pointer()), manifest.OCI_INDEX, "at the same time"),
    "a web page": (image(mediaType=...), "text/html", "not the type"),
    "plain json": (image(mediaType=...), "application/json", "not the type"),
    "schema 1": ({"schemaVersion": 1}, manifest.DOCKER_MANIFEST, "schema 1"),
    "schema 1, signed": ({}, "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"),
    "no schema version": (image(schemaVersion=...), manifest.OCI_MANIFEST, "schema version"),
    "schema version as text": (image(schemaVersion="2"), manifest.OCI_MANIFEST, "schema version"),
    "a helm chart": (
        image(config=pointer("application/vnd.cncf.helm.config.v1+json")),
        manifest.OCI_MANIFEST,
        "no container image",
    ),
    "a foreign layer": (
        image(layers=[pointer(f"{DOCKER_LAYER[:-8]}foreign.diff.tar.gzip")]),
        manifest.OCI_MANIFEST,
        "foreign",
    ),
    "a nondistributable layer": (
        image(layers=[pointer("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")]),
        manifest.OCI_MANIFEST,
        "foreign",
    ),
    "an encrypted layer": (image(layers=[pointer(f"{OCI_LAYER}+gzip+encrypted")]), manifest.OCI_MANIFEST, "of type"),
    "501 layers": (image(layers=[pointer()] * 501), manifest.OCI_MANIFEST, "501 layers"),
    "no config": (image(config=...), manifest.OCI_MANIFEST, "descriptor"),
    "a config of 5 MiB": (image(config=pointer(OCI_CONFIG, C, 5 * 2**20)), manifest.OCI_MANIFEST, "larger"),
    "layers as an object": (image(layers={}), manifest.OCI_MANIFEST, "not a list"),
    "a layer as text": (image(layers=["x"]), manifest.OCI_MANIFEST, "descriptor"),
    "a negative size": (image(layers=[pointer(size=-1)]), manifest.OCI_MANIFEST, "size"),
    "a size as text": (image(layers=[pointer(size="1")]), manifest.OCI_MANIFEST, "size"),
    "a size that is true": (image(layers=[pointer(size=True)]), manifest.OCI_MANIFEST, "size"),
    "a size with a point": (image(layers=[pointer(size=1.0)]), manifest.OCI_MANIFEST, "size"),
    "a size beyond 63 bits": (image(layers=[pointer(size=2**63)]), manifest.OCI_MANIFEST, "size"),
    "a list": ([], manifest.OCI_MANIFEST, "not a JSON object"),
    "a media type that is a list": (image(mediaType=[]), manifest.OCI_MANIFEST, "not a text"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_manifest_that_is_not_what_it_should_be_is_refused(case: str) -> None:
    body, served_as, words = REFUSED[case]

    with pytest.raises(PullFailed, match=words):
        parse(coded(body), served_as)


DOCUMENTS = {
    "too large": b'{"a":"' + b"x" * 2**22 + b'"}',
    "not JSON": b"<html>",
    "empty": b"",
    "not UTF-8": b'{"a":"\xff"}',
    "a key twice": b'{"schemaVersion":2,"schemaVersion":2}',
    "not a number": b'{"a":NaN}',
    "a huge number": b'{"a":' + b"9" * 5000 + b"}",
    "deep lists": b'{"a":' + b"[" * 65 + b"]" * 65 + b"}",
    "very deep lists": b"[" * 100_000,
    "a text without end, full of quotes": b'{"a":"' + b'\\"' * 2_000_000,  # in no time, and not in hours
    "deep objects": b'{"a":' * 65 + b"1" + b"}" * 65,
    "a UTF-16 mark": "\ufeff{}".encode("utf-16"),
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_a_document_beyond_the_bounds_is_refused(case: str) -> None:
    with pytest.raises(PullFailed, match="cannot read manifest"):
        parse(DOCUMENTS[case], manifest.OCI_MANIFEST)


def test_brackets_in_a_text_are_no_nesting() -> None:
    assert read_image(image(annotations={"a": '[{"\\' * 500})).size == 17


AMD64 = platform.accepted("x86_64")
ARM64 = platform.accepted("aarch64")
ARMV7 = platform.accepted("armv7l")
ARMV6 = platform.accepted("armv6l")

CHOICES = [
    ("x86_64", [built("arm64", "v8", A), built("amd64", "", B)], B),
    ("x86_64", [built("386", "", A), built("amd64", "", B)], B),
    ("x86_64", [built("386", "", A)], A),
    ("x86_64", [built("amd64", "v3", A), built("amd64", "v1", B)], B),
    ("x86_64", [built("amd64", "v2", A)], None),
    ("x86_64", [built("amd64", "", A), built("amd64", "", B)], A),
    ("x86_64", [built("x86_64", "", A)], A),
    ("x86_64", [built("amd64", "", A, os="windows"), built("amd64", "", B)], B),
    ("x86_64", [built("amd64", "", A, os="windows")], None),
    ("x86_64", [built("unknown", "", A, os="unknown"), built("amd64", "", B)], B),
    ("x86_64", [built("amd64", "", A, annotations={"vnd.docker.reference.type": "attestation-manifest"})], None),
    ("x86_64", [pointer(manifest.OCI_MANIFEST, A), built("amd64", "", B)], B),
    ("x86_64", [pointer(manifest.OCI_MANIFEST, A)], A),
    ("x86_64", [pointer(manifest.OCI_INDEX, A), built("amd64", "", B)], B),
    ("x86_64", [pointer(manifest.OCI_INDEX, A)], A),
    ("x86_64", [pointer("application/vnd.example.artifact", A)], None),
    ("aarch64", [built("arm", "v7", A), built("arm64", "", B)], B),
    ("aarch64", [built("arm64", "v8", A)], A),
    ("aarch64", [built("arm64", "8", A)], A),
    ("aarch64", [built("arm", "v6", A), built("arm", "v7", B)], B),
    ("aarch64", [built("amd64", "", A)], None),
    ("armv7l", [built("arm", "v5", A), built("arm", "v6", B), built("arm64", "v8", C)], B),
    ("armv7l", [built("arm", "", A)], A),
    ("armv6l", [built("arm", "v7", A), built("arm", "v6", B)], B),
    ("armv6l", [built("arm", "v7", A)], None),
    ("riscv64", [built("riscv64", "", A)], A),
]


@pytest.mark.parametrize(("machine", "manifests", "chosen"), CHOICES)
def test_the_image_for_the_machine_is_chosen(
    machine: str, manifests: list[dict[str, object]], chosen: str | None
) -> None:
    choices = read_index(index(*manifests)).choices(platform.accepted(machine))

    assert (choices[0].digest if choices else None) == chosen


def config(**changes: object) -> bytes:
    body = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [A]}}
    return coded({**body, **changes})


def test_a_configuration_says_how_to_run() -> None:
    run = {
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": ["true"],
        "Env": ["PATH=/bin", "A=b=c", "E=", "N", "=x", "PATH=/usr/bin"],
        "WorkingDir": "/srv",
        "User": "1:2",
        "StopSignal": "SIGINT",
        "Labels": {"run.oci.handler": "wasm"},
        "Volumes": {"/data": {}},
        "ExposedPorts": {"80/tcp": {}},
    }

    assert parse_config(config(config=run), 1).config == ImageConfig(
        entrypoint=("/bin/sh", "-c"),
        cmd=("true",),
        env=(("PATH", "/usr/bin"), ("A", "b=c"), ("E", ""), ("N", "")),
        working_dir="/srv",
        user="1:2",
        stop_signal="SIGINT",
        labels=(("run.oci.handler", "wasm"),),
        volumes=("/data",),
    )


@pytest.mark.parametrize("run", [None, {}, dict.fromkeys(["Entrypoint", "Cmd", "Env", "Labels", "Volumes", "User"])])
def test_a_configuration_may_say_nothing(run: object) -> None:
    assert parse_config(config(config=run), 1).config == ImageConfig()


@pytest.mark.parametrize(
    ("changes", "layers", "words"),
    [
        ({}, 2, "2 layers, but 1"),
        ({"rootfs": {"type": "layers", "diff_ids": [A, A]}}, 1, "1 layers, but 2"),
        ({"rootfs": {"type": "other", "diff_ids": [A]}}, 1, "not made of layers"),
        ({"rootfs": {"diff_ids": ["sha256:../x"]}}, 1, "digest"),
        ({"rootfs": None}, 1, "1 layers, but 0"),
        ({"config": []}, 1, "not an object"),
        ({"config": {"Cmd": "true"}}, 1, "not a list"),
        ({"config": {"Cmd": [1]}}, 1, "not a text"),
        ({"config": {"Env": ["A=\0"]}}, 1, "not a text"),
        ({"config": {"User": "\ud800"}}, 1, "not a text"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(changes: dict[str, object], layers: int, words: str) -> None:
    with pytest.raises(PullFailed, match=words):
        parse_config(config(**changes), layers)


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        (Platform("linux", "amd64"), AMD64),
        (Platform("linux", "amd64", "v2"), AMD64),
        (Platform("", ""), AMD64),
        (Platform("linux", "386"), AMD64),
        (Platform("linux", "arm64"), ARM64),
        (Platform("linux", "arm", "v7"), ARMV7),
        (Platform("linux", "arm"), ARMV6),
    ],
)
def test_an_image_for_the_machine_is_taken(where: Platform, wanted: tuple[Platform, ...]) -> None:
    found = parse_config(config(os=where.os, architecture=where.architecture, variant=where.variant), 1)

    manifest.check_platform(found, wanted)


@pytest.mark.parametrize(
    "where", [Platform("linux", "arm64"), Platform("windows", "amd64"), Platform("linux", "s390x")]
)
def test_an_image_for_another_machine_is_refused(where: Platform) -> None:
    found = parse_config(config(os=where.os, architecture=where.architecture), 1)

    with pytest.raises(PullFailed, match="this machine is linux/amd64"):
        manifest.check_platform(found, AMD64)
