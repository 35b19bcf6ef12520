"""Images are let in by rule: signed with the right key, in whatever way it is attached, or not at all."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tank.config import Settings
from tank.errors import PullFailed
from tank.image import shelf
from tank.image.load import load
from tank.image.pull import ImageStore
from tank.model import reference as references
from tank.model.image import Image
from tank.model.registry_fields import Registry as Configured
from tank.model.trust import Trust
from tests import images, registry, signing
from tests.daemon import Daemon
from tests.registry import Registry
from tests.signing import Repository
from tests.waiting import wait_for

pytestmark = pytest.mark.system

KEY, STRANGER = signing.p256(), signing.p256()
OTHER = "sha256:" + "b" * 64


def signed(digest: str, key: signing.Private = KEY) -> tuple[bytes, bytes]:
    data = signing.payload(digest)
    return data, signing.sign(key, data)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small image."""
    files = {f"f{number}": b"x" * number for number in range(5)}
    return images.layout(tmp_path_factory.mktemp("layout"), [images.layer(files, ("d",))], {"Cmd": ["/f1"]})


@pytest.fixture
def pushed(registry: Registry, layout: Path, tmp_path: Path) -> tuple[Repository, str]:
    """The image in a repository of the test's own, and its digest."""
    repository = Repository(registry.address, f"trust/{tmp_path.name.lower().replace('_', '-')}")
    registry.push(layout, f"{repository.name}:1")
    return repository, repository.digest("1")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """cosign.pub."""
    return signing.write_key(KEY, tmp_path / "cosign.pub")


@asynccontextmanager
async def store(directory: Path, *rules: Trust, **mirrors: tuple[str, ...]) -> AsyncIterator[ImageStore]:
    """`mirrors`: of hosts."""
    hosts = {host: Configured(mirrors=there) for host, there in mirrors.items()}
    settings = Settings(data_dir=directory / "data", run_dir=directory / "run", trust=rules, registries=hosts)
    opened = ImageStore(settings, environment={})
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


def unpacked(directory: Path) -> list[str]:
    return [each.name for each in (directory / "data/images/layers").iterdir()]


async def pull(found: ImageStore, repository: Repository, policy: str = "if_missing") -> Image:
    return await found.resolve(f"{repository.address}/{repository.name}:1", policy, None)


def behind_an_attestation(there: Repository, digest: str) -> None:
    there.refer_bundle(digest, signing.bundle(KEY, digest, predicate="https://slsa.dev/provenance/v1"))
    there.refer_bundle(digest, signing.bundle(KEY, digest))


def beside_another(there: Repository, digest: str) -> None:
    there.attach(digest, signed(digest, STRANGER))
    there.refer_bundle(digest, signing.bundle(KEY, digest))


GENUINE: dict[str, Callable[[Repository, str], object]] = {
    "attached": lambda there, digest: there.attach(digest, signed(digest)),
    "attached, behind one of another key": lambda there, digest: there.attach(
        digest, signed(digest, STRANGER), signed(digest)
    ),
    "attached, behind one that cannot be read": lambda there, digest: there.attach(
        digest, (b"x", b"y"), signed(digest)
    ),
    "referrer": lambda there, digest: there.refer(digest, signed(digest)),
    "bundle": lambda there, digest: there.refer_bundle(digest, signing.bundle(KEY, digest)),
    "bundle, behind an attestation": behind_an_attestation,
    "bundle, beside an attached one of another key": beside_another,
}


@pytest.mark.parametrize("case", GENUINE)
async def test_a_signed_image_is_let_in(case: str, pushed: tuple[Repository, str], key: Path, tmp_path: Path) -> None:
    repository, digest = pushed
    GENUINE[case](repository, digest)
    rule = Trust(match=repository.address, policy="signed", key=key)
    async with store(tmp_path, rule) as found:
        image = await pull(found, repository)

        assert image.digest == digest
        assert found.verdict(f"{repository.address}/{repository.name}:1", digest).text == f"signed with {key}"


REFUSED: dict[str, tuple[Callable[[Repository, str], None], str]] = {
    "nothing": (lambda there, digest: None, "it has no signature"),
    "another key": (lambda there, digest: there.attach(digest, signed(digest, STRANGER)), "another key, or altered"),
    "another image": (lambda there, digest: there.attach(digest, signed(OTHER)), "of another image"),
    "another image's bundle": (
        lambda there, digest: there.refer_bundle(digest, signing.bundle(KEY, OTHER)),
        "of another image",
    ),
    "another key's bundle": (
        lambda there, digest: there.refer_bundle(digest, signing.bundle(STRANGER, digest)),
        "another key, or altered",
    ),
    "an attestation": (
        lambda there, digest: there.refer_bundle(digest, signing.bundle(KEY, digest, predicate="https://x.example/v1")),
        "it is an attestation",
    ),
    "an altered payload": (
        lambda there, digest: there.attach(digest, (signing.payload(digest) + b" ", signed(digest)[1])),
        "another key, or altered",
    ),
    "a referrer of another kind": (
        lambda there, digest: there.refer_bundle(digest, signing.bundle(KEY, digest), "application/spdx+json"),
        "it has no signature",
    ),
    "no signature but its text": (lambda there, digest: there.attach(digest, (b"not json", b"x")), "none is valid"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_not_signed_is_refused_before_a_layer_is_fetched(
    case: str, pushed: tuple[Repository, str], key: Path, tmp_path: Path
) -> None:
    repository, digest = pushed
    attach, why = REFUSED[case]
    attach(repository, digest)
    async with store(tmp_path, Trust(match=repository.address, policy="signed", key=key)) as found:
        with pytest.raises(PullFailed, match=why) as error:
            await pull(found, repository)

        assert error.value.reason == "SignatureValidationFailed"
        assert unpacked(tmp_path) == []


def sign_index(repository: Repository, digest: str) -> None:
    """The tag becomes an index, and that alone is signed, as `cosign sign` does without --recursive."""
    platform = {"os": "linux", "architecture": images.ARCHITECTURE}
    size = len(repository.request("GET", "manifests/1", kind="application/json")[1])
    child = {"mediaType": signing.OCI_MANIFEST, "digest": digest, "size": size, "platform": platform}
    index = repository.manifest({"schemaVersion": 2, "mediaType": signing.OCI_INDEX, "manifests": [child]}, "1")
    repository.attach(index["digest"], signed(index["digest"]))


async def test_a_rollback_finds_the_signature_of_the_index_after_the_image_has_gone(
    pushed: tuple[Repository, str], key: Path, tmp_path: Path
) -> None:
    repository, digest = pushed
    sign_index(repository, digest)
    pinned, later = f"{repository.address}/{repository.name}@{digest}", time.time() + 1000
    async with store(tmp_path, Trust(match="*", policy="signed", key=key)) as found:
        await pull(found, repository)
        for remembered in ({digest}, set[str]()):
            found.keeper.remove(await found.keeper.look(), [digest], asked=True)
            found.gate.sweep(remembered, later)
            if remembered:
                assert (await found.resolve(pinned, "if_missing", digest)).digest == digest
        with pytest.raises(PullFailed, match="it has no signature"):  # nobody knows its index any more
            await found.resolve(pinned, "if_missing", digest)


async def test_a_signature_of_the_index_is_one_of_what_it_names(
    pushed: tuple[Repository, str], key: Path, tmp_path: Path
) -> None:
    repository, digest = pushed
    sign_index(repository, digest)
    rule = Trust(match="*", policy="signed", key=key)

    async with store(tmp_path) as found:  # pulled when nobody asked for signatures
        assert (await pull(found, repository)).digest == digest
    async with store(tmp_path, rule) as found:  # how its index was called is on record
        pinned = f"{repository.address}/{repository.name}@{digest}"
        assert not found.verdict(pinned, digest).admitted
        assert (await found.resolve(pinned, "if_missing", digest)).digest == digest


async def test_an_image_that_is_here_is_let_in_once_it_is_signed_and_then_without_its_registry(
    layout: Path, key: Path, tmp_path: Path
) -> None:
    rule, port = Trust(match="*", policy="signed", key=key), registry.free_port()
    with registry.plain(tmp_path / "registry", port) as running:
        repository = Repository(running.address, "late")
        running.push(layout, "late:1")
        digest = repository.digest("1")
        async with store(tmp_path) as found:
            await pull(found, repository)
        async with store(tmp_path, rule) as found:
            for policy in ("if_missing", "prefer_fresh", "never"):
                with pytest.raises(PullFailed) as error:
                    await pull(found, repository, policy)
                assert error.value.reason == "SignatureValidationFailed"
            assert await found.find(f"{running.address}/late:1") is not None
            repository.attach(digest, signed(digest))
            assert (await pull(found, repository)).digest == digest
    async with store(tmp_path, rule) as found:  # a new daemon, and nobody answers
        assert (await pull(found, repository, "prefer_fresh")).digest == digest
        signing.write_key(STRANGER, key)
        with pytest.raises(PullFailed):
            await pull(found, repository)


async def test_a_signature_counts_where_a_mirror_has_it_and_its_registry_is_down(
    pushed: tuple[Repository, str], key: Path, tmp_path: Path
) -> None:
    repository, digest = pushed
    nobody = f"127.0.0.1:{registry.free_port()}"
    rule, name = Trust(match=nobody, policy="signed", key=key), f"{nobody}/{repository.name}:1"
    async with store(tmp_path, rule, **{nobody: (repository.address,)}) as found:
        with pytest.raises(PullFailed, match="cannot connect"):  # nobody can say that there is none
            await found.resolve(name, "always", None)
        repository.refer_bundle(digest, signing.bundle(KEY, digest))
        assert (await found.resolve(name, "always", None)).digest == digest


async def test_a_signature_counts_where_a_mirror_has_copied_the_image_without_it(
    pushed: tuple[Repository, str], registry: Registry, layout: Path, key: Path, tmp_path: Path
) -> None:
    repository, digest = pushed
    registry.push(layout, f"copies/{repository.name}:1")
    copy = Repository(registry.address, f"copies/{repository.name}")
    copy.attach(digest, signed(digest, STRANGER))
    repository.attach(digest, signed(digest))
    rule = Trust(match="*", policy="signed", key=key)
    async with store(tmp_path, rule, **{registry.address: (f"{registry.address}/copies",)}) as found:
        assert (await pull(found, repository)).digest == digest


async def test_a_name_that_is_given_here_lets_nothing_in(
    pushed: tuple[Repository, str], layout: Path, key: Path, tmp_path: Path
) -> None:
    repository, digest = pushed
    rule, name = Trust(match="*", policy="signed", key=key), f"{repository.address}/{repository.name}:1"
    other = f"{repository.address}/{repository.name}/other:1"
    async with store(tmp_path, rule) as found:
        assert await load(found, layout) == (digest,)
        for each in (name, other):
            found.keeper.remember(shelf.key(references.parse(each)), digest)
        for policy in ("if_missing", "prefer_fresh", "never"):
            with pytest.raises(PullFailed) as error:
                await found.resolve(name, policy, None)
            assert error.value.reason == "SignatureValidationFailed"

        repository.attach(digest, signed(digest))
        assert (await found.resolve(name, "if_missing", None)).digest == digest
        with pytest.raises(PullFailed) as error:  # the signature was found in another repository
            await found.resolve(other, "never", None)
        assert error.value.reason == "SignatureValidationFailed"


async def test_what_is_rejected_is_not_even_asked_for(tmp_path: Path) -> None:
    async with store(tmp_path, Trust(match="127.0.0.1:1", policy="reject")) as found:
        with pytest.raises(PullFailed, match=r"the trust rule '127.0.0.1:1' rejects 127.0.0.1:1/x") as error:
            await found.resolve("127.0.0.1:1/x:1", "always", None)

        assert error.value.reason == "ErrImagePull"


async def test_a_key_that_is_not_there_lets_nothing_in(pushed: tuple[Repository, str], tmp_path: Path) -> None:
    repository, digest = pushed
    repository.attach(digest, signed(digest))
    async with store(tmp_path, Trust(match="*", policy="signed", key=tmp_path / "none.pub")) as found:
        with pytest.raises(PullFailed, match=r"none\.pub cannot be read"):
            await pull(found, repository)


async def test_a_registry_that_sends_garbage_for_signatures_is_told_and_not_more(
    pushed: tuple[Repository, str], key: Path, tmp_path: Path
) -> None:
    repository, digest = pushed
    body = {"schemaVersion": 2, "mediaType": signing.OCI_MANIFEST, "config": repository.blob("x", b"{}"), "layers": []}
    garbage = base64.b64encode(b"x" * 100).decode()
    layer = repository.blob(
        signing.SIMPLE, signing.payload(digest), annotations={"dev.cosignproject.cosign/signature": garbage}
    )
    repository.manifest({**body, "layers": [layer] * 200}, f"{digest.replace(':', '-')}.sig")
    async with store(tmp_path, Trust(match="*", policy="signed", key=key)) as found:
        with pytest.raises(PullFailed, match=r"of 64 signature\(s\) none is valid"):
            await pull(found, repository)


def web(image: str) -> dict[str, object]:
    container = {"name": "app", "image": image, "command": ["sleep", "1000"]}
    return {"name": "web", "grace": 0, "backoff": {"initial": 0.1, "max": 0.2}, "containers": [container]}


def container(daemon: Daemon) -> dict[str, object]:
    found: dict[str, object] = daemon.json("status", "web")["containers"][0]
    return found


def test_the_verdict_is_shown_and_a_rule_that_comes_later_stops_nothing_that_runs(
    daemon: Daemon, registry: Registry, short_tmp: Path
) -> None:
    repository = Repository(registry.address, f"trust/{short_tmp.name}")
    image = registry.push(images.busybox(short_tmp / "image"), f"{repository.name}:1")
    repository.attach(repository.digest("1"), signed(repository.digest("1")))
    path = signing.write_key(KEY, short_tmp / "cosign.pub")
    daemon.end()
    daemon.config = f'[[trust]]\nmatch = "{registry.address}"\npolicy = "signed"\nkey = "{path}"\n'
    daemon.start()
    daemon.client.apply(web(image), wait=True, timeout=60)
    assert container(daemon)["image_trust"] == f"signed with {path}"
    assert f"signed with {path}" in daemon.tank("status", "web").stdout.decode()
    pid = container(daemon)["pid"]

    daemon.end()
    daemon.config = f'[[trust]]\nmatch = "{registry.address}"\npolicy = "reject"\n'
    daemon.start()
    assert daemon.client.status("web").ready
    assert container(daemon)["pid"] == pid
    assert "rejects" in str(container(daemon)["image_trust"])

    daemon.client.restart("web")  # asked for, and refused: the old one runs on
    wait_for(lambda: "rejects" in daemon.json("status", "web")["message"], what="the refusal", seconds=10)
    assert container(daemon)["pid"] == pid

    daemon.client.delete("web", grace=0)
    daemon.client.wait("web", "gone", timeout=30)
    daemon.client.apply(web(image))  # all of it is here, and it is not started
    wait_for(
        lambda: container(daemon)["reason"] in ("ErrImagePull", "ImagePullBackOff"), what="the refusal", seconds=10
    )
    assert "rejects" in str(container(daemon)["message"])
    assert container(daemon)["pid"] is None


def test_an_unsigned_image_waits_with_its_reason_and_starts_once_it_is_signed(
    daemon: Daemon, registry: Registry, short_tmp: Path
) -> None:
    repository = Repository(registry.address, f"trust/{short_tmp.name}-late")
    image = registry.push(images.busybox(short_tmp / "image"), f"{repository.name}:1")
    path = signing.write_key(KEY, short_tmp / "cosign.pub")
    daemon.end()
    daemon.config = f'[[trust]]\nmatch = "*"\npolicy = "signed"\nkey = "{path}"\n'
    daemon.start()
    daemon.client.apply(web(image))
    wait_for(lambda: container(daemon)["reason"] == "SignatureValidationFailed", what="the refusal", seconds=20)
    assert "it has no signature" in str(container(daemon)["message"])
    repository.attach(repository.digest("1"), signed(repository.digest("1")))
    daemon.client.restart("web")

    assert daemon.client.wait("web", "ready", timeout=60).ready
