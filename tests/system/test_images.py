"""Images of a whole daemon: pulled, listed with their users, removed only when nobody needs them, every byte owned."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tank.errors import Conflict, Denied, Failed, NotFound
from tests import images
from tests import registry as registries
from tests.daemon import Daemon
from tests.registry import PASSWORD, USERNAME, Registry
from tests.waiting import wait_for

pytestmark = pytest.mark.system


def sleeper(image: str, **fields: object) -> dict[str, object]:
    return {"name": "web", "grace": 0, "containers": [{"name": "app", "image": image, "command": ["sleep", "99"]}]} | (
        fields
    )


def variant(registry: Registry, directory: Path, name: str) -> str:
    """The busybox layer under another configuration: another image."""
    return registry.push(images.busybox(directory / name, Labels={"variant": name}), f"variant:{name}")


def test_an_image_is_pulled_listed_tagged_and_deleted(daemon: Daemon, busybox: str) -> None:
    client = daemon.client
    pulled = client.images.pull(busybox)
    assert (pulled.references, pulled.used_by) == ((busybox,), ())
    assert [each.digest for each in client.images.list()] == [pulled.digest]
    assert client.images.inspect(pulled.digest[7:19]).image.digest == pulled.digest
    client.images.tag(busybox, "mine:1")
    assert client.images.delete("mine:1").images == ()
    assert client.images.delete(busybox).images == (pulled.digest,)
    assert client.images.list() == []
    with pytest.raises(NotFound):
        client.images.delete(busybox)


def test_what_a_pod_or_its_previous_revision_needs_stays(
    daemon: Daemon, registry: Registry, busybox: str, short_tmp: Path
) -> None:
    other = variant(registry, short_tmp, "b")
    client = daemon.client
    client.apply(sleeper(busybox), wait=True, timeout=60)
    client.apply(sleeper(other), wait=True, timeout=60)
    listed = {each.references[0].partition("/")[2]: each for each in client.images.list()}
    assert listed["variant:b"].used_by == ("web",)
    assert listed["busybox:1"].previous_of == ("web",)
    for each in (busybox, other):
        with pytest.raises(Conflict, match="web"):
            client.images.delete(each)
    assert client.images.prune(everything=True).images == ()
    client.rollback("web")
    assert client.wait("web", "ready", timeout=60).containers[0].image == busybox
    client.delete("web", grace=0)
    client.wait("web", "gone", timeout=30)
    assert len(client.images.prune(everything=True).images) == 2
    assert client.images.list() == []


def test_a_running_image_that_cannot_be_read_is_told_of(
    daemon: Daemon, registry: Registry, busybox: str, short_tmp: Path
) -> None:
    client = daemon.client
    client.apply(sleeper(busybox), wait=True, timeout=60)
    other = client.images.pull(variant(registry, short_tmp, "other"))
    digest = client.images.inspect(busybox).image.digest
    (daemon.data / "images" / "blobs" / "sha256" / digest[7:]).unlink()
    with pytest.raises(Conflict, match=f"runs on the image {digest}, which cannot be read"):
        client.images.prune(everything=True)
    wait_for(lambda: "ImageUnreadable" in str(client.info()["conditions"]), 20, "the condition")
    client.images.pull(busybox)
    wait_for(lambda: client.info()["conditions"] == [], 20, "the end of the condition")
    assert client.images.prune(everything=True).images == (other.digest,)


def test_every_byte_has_an_owner_and_a_stray_is_shown(daemon: Daemon, busybox: str) -> None:
    volume = {"name": "data"}
    containers: list[dict[str, object]] = [
        {"name": "app", "image": busybox, "command": ["sh", "-c", "echo hello; echo > /x; sleep 99"]}
    ]
    containers[0]["mounts"] = [{"volume": "data", "path": "/data"}]
    daemon.client.apply({"name": "web", "grace": 0, "volumes": [volume], "containers": containers}, wait=True)
    usage = daemon.client.df()
    assert (usage.unowned, usage.strays) == (0, ())
    owners = {(each.kind, each.name) for each in usage.owners}
    assert {("image", busybox), ("volume", "data"), ("root", "web/app"), ("logs", "web/app"), ("store", "")} <= owners
    (daemon.data / "stray").mkdir()
    (daemon.data / "images" / "layers" / "foreign").write_bytes(b"x" * 10_000)
    (daemon.data / "pods" / "0123456789ab").mkdir()
    shown = daemon.json("df")
    assert shown["unowned"] >= 12_288
    assert set(shown["strays"]) == {"stray", "images/layers/foreign", "pods/0123456789ab"}
    (daemon.data / "stray").rmdir()
    (daemon.data / "pods" / "0123456789ab").rmdir()
    (daemon.data / "images" / "layers" / "foreign").unlink()
    printed = daemon.tank("df")
    assert printed.returncode == 0
    assert b"unowned" in printed.stdout


def test_a_login_is_verified_kept_closely_and_used(
    daemon: Daemon, private_registry: Registry, short_tmp: Path, tmp_path: Path
) -> None:
    image = private_registry.push(images.busybox(short_tmp / "busybox"), "secret/login:1")
    daemon.end()
    daemon.config = f'[registries."{private_registry.address}"]\nca = "{private_registry.ca}"\n'
    daemon.extra["HOME"] = str(tmp_path)
    daemon.start()
    with pytest.raises(Failed, match="credentials"):
        daemon.client.images.pull(image)
    with pytest.raises(Denied):
        daemon.client.images.login(private_registry.address, USERNAME, "wrong")
    done = daemon.tank(
        "image", "login", private_registry.address, "-u", USERNAME, "--password-stdin", stdin=PASSWORD.encode()
    )
    assert done.returncode == 0, done.stderr
    assert (daemon.data / "auth.json").stat().st_mode & 0o777 == 0o600
    assert daemon.client.images.pull(image).references == (image,)
    assert PASSWORD not in daemon.log
    assert PASSWORD not in str(daemon.client.info())
    assert daemon.client.df().unowned == 0
    daemon.client.images.logout(private_registry.address)
    daemon.client.images.delete(image)
    with pytest.raises(Failed, match="credentials"):
        daemon.client.images.pull(image)


def test_the_command_line_of_images(daemon: Daemon, busybox: str) -> None:
    done = daemon.tank("image", "pull", busybox)
    assert (done.returncode, done.stdout[:7]) == (0, b"sha256:"), done.stderr
    assert daemon.tank("image", "list", "-o", "name").stdout.decode() == f"{busybox}\n"
    assert busybox.encode() in daemon.tank("image", "list").stdout
    assert daemon.json("image", "inspect", busybox)["config"]["cmd"] == ["sh"]
    daemon.client.apply(sleeper(busybox), wait=True, timeout=60)
    refused = daemon.tank("image", "delete", busybox)
    assert (refused.returncode, b"pod web needs it" in refused.stderr) == (4, True)
    assert daemon.tank("image", "pull", "127.0.0.1:1/nope:1").returncode == 1
    assert daemon.tank("image", "inspect", "nope").returncode == 3


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_an_image_goes_into_a_file_and_comes_back(daemon: Daemon, busybox: str, short_tmp: Path, kind: str) -> None:
    client = daemon.client
    digest = client.images.pull(busybox).digest
    client.images.save([busybox], short_tmp / "image.tar", format=kind)
    printed = daemon.tank("image", "save", "--format", kind, busybox)
    assert printed.returncode == 0, printed.stderr.decode()
    assert printed.stdout == (short_tmp / "image.tar").read_bytes()
    client.images.delete(busybox)
    done = daemon.tank("image", "load", "-f", str(short_tmp / "image.tar"))
    assert done.stdout.decode() == f"loaded {busybox}\n", done.stderr
    assert kind == "docker" or client.images.list()[0].digest == digest
    client.apply(sleeper(busybox) | {"name": "loaded"}, wait=True, timeout=60)
    assert daemon.tank("image", "load", stdin=b"no archive").returncode == 1
    assert client.df().unowned == 0


def test_what_other_tools_wrote_is_found_by_their_words(daemon: Daemon, short_tmp: Path) -> None:
    layout, both, archive = images.busybox(short_tmp / "image"), short_tmp / "both", short_tmp / "d.tar"
    other = images.layout(short_tmp / "other", [images.layer({"f": b"x"}, ())], {})
    for source, target in (
        (layout, f"oci:{both}:one"),
        (other, f"oci:{both}:two"),
        (layout, f"docker-archive:{archive}:app:1"),
    ):
        subprocess.run(["skopeo", "copy", "--quiet", f"oci:{source}", target], check=True)

    said = [
        daemon.tank("image", "load", "-f", text).stdout.decode().split()[1:]
        for text in (f"oci:{both}:two", f"docker-archive:{archive}:app:1", str(both))
    ]

    two, app, all_ = said[0], said[1], said[2]
    assert (len(two), app, len(daemon.client.images.list())) == (1, ["docker.io/library/app:1"], 3)
    assert two[0] in all_
    missing = daemon.tank("image", "load", "-f", f"oci:{both}:three")
    assert (missing.returncode, b"there is none called 'three'" in missing.stderr) == (1, True)
    daemon.client.apply(sleeper("app:1") | {"name": "loaded"}, wait=True, timeout=60)


def test_a_pull_that_was_asked_for_and_fails_leaves_no_pod_down(daemon: Daemon, short_tmp: Path) -> None:
    with registries.plain(short_tmp / "registry", registries.free_port()) as running:
        image = running.push(images.busybox(short_tmp / "image"), "app:1")
        daemon.client.apply(sleeper(image), wait=True, timeout=60)
    before = daemon.client.status("web").containers[0]
    daemon.client.restart("web", pull=True)
    wait_for(lambda: "connect" in daemon.client.status("web").message, what="the failure", seconds=30)
    assert before.pid is not None
    assert daemon.client.status("web").containers[0].pid == before.pid
    daemon.end()
    os.kill(before.pid, signal.SIGKILL)  # as a crash while the daemon is away, or a reboot
    daemon.start()

    wait_for(lambda: daemon.client.status("web").ready, what="the container", seconds=60)
    after = daemon.client.status("web").containers[0]
    assert (after.image_digest, after.pid != before.pid) == (before.image_digest, True)


def test_removal_goes_on_after_a_kill(daemon: Daemon, busybox: str) -> None:
    daemon.client.images.pull(busybox)
    daemon.client.images.delete(busybox)
    daemon.kill()
    daemon.start()
    scratch = daemon.data / "images" / "scratch"
    wait_for(lambda: not list(scratch.iterdir()), 20, "an empty scratch directory")
    assert list((daemon.data / "images" / "layers").iterdir()) == []
    assert daemon.client.df().unowned == 0
