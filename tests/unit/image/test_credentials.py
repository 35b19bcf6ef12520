"""Which credential fits which repository, from whose file, and that none of them ever shows."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tank.image.challenge import Challenge, parse
from tank.image.credentials import Credential, files, find
from tank.model import reference
from tank.model.registry_fields import Registry


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def written(path: Path, auths: object, **more: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"auths": auths, **more}))
    return path


def users(text: str, *paths: Path, configured: Registry | None = None) -> list[str]:
    return [each.username for each in find(reference.parse(text), configured, paths).candidates]


def test_the_longest_prefix_is_tried_first_and_all_that_fit_are_tried(tmp_path: Path) -> None:
    auths = {
        "r.example.org": auth("host", "1"),
        "r.example.org/team/app": auth("app", "2"),
        "r.example.org/team": auth("team", "3"),
        "r.example.org/other": auth("other", "4"),
        "example.org": auth("parent", "5"),
        "r.example.org/team/ap": auth("half", "6"),
    }
    path = written(tmp_path / "auth.json", auths)

    assert users("r.example.org/team/app:1", path) == ["app", "team", "host"]
    assert users("r.example.org/team/apple:1", path) == ["team", "host"]
    assert users("r.example.org:5000/team/app", path) == []


@pytest.mark.parametrize(
    "key",
    [
        "https://index.docker.io/v1/",
        "index.docker.io",
        "docker.io",
        "https://registry-1.docker.io",
        "https://index.docker.io/v2/",
        "docker.io/library/nginx",
    ],
)
def test_docker_hub_is_known_by_all_its_names(key: str, tmp_path: Path) -> None:
    assert users("nginx:1.27", written(tmp_path / "config.json", {key: auth("me", "x")})) == ["me"]


def test_of_two_files_the_first_is_tried_first(tmp_path: Path) -> None:
    one = written(tmp_path / "1", {"r.example.org": auth("one", "x")})
    two = written(tmp_path / "2", {"r.example.org": auth("two", "x"), "r.example.org/a": auth("deep", "x")})

    assert users("r.example.org/a", one, two) == ["deep", "one", "two"]


def test_the_settings_come_before_every_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    configured = Registry(username="configured", password_file=tmp_path / "password")
    path = written(tmp_path / "auth.json", {"r.example.org": auth("file", "x")})
    found = find(reference.parse("r.example.org/a"), configured, [path])

    assert [each.username for each in found.candidates] == ["configured", "file"]
    assert found.candidates[0].password == "secret"


def test_the_files_of_podman_and_docker_are_looked_for_where_they_are() -> None:
    environment = {
        "HOME": "/home/me",
        "XDG_RUNTIME_DIR": "/run/user/7",
        "DOCKER_CONFIG": "/docker",
        "REGISTRY_AUTH_FILE": "/auth",
    }

    assert [str(path) for path in files(environment)] == [
        "/auth",
        "/run/user/7/containers/auth.json",
        "/run/containers/0/auth.json",
        "/home/me/.config/containers/auth.json",
        "/docker/config.json",
    ]
    assert str(files({"HOME": "/home/me"})[-1]) == "/home/me/.docker/config.json"


def test_tokens_and_plain_pairs_are_read(tmp_path: Path) -> None:
    auths = {
        "a.org": {"identitytoken": "refresh", "auth": auth("me", "")["auth"]},
        "b.org": {"registrytoken": "ready"},
        "c.org": {"username": "me", "password": "p:w"},
        "d.org": auth("me", "p:w"),
    }
    path = written(tmp_path / "auth.json", auths)

    def only(text: str) -> Credential:
        [found] = find(reference.parse(text), None, [path]).candidates
        return found

    assert (only("a.org/x").identity, only("a.org/x").basic) == ("refresh", "")
    assert only("b.org/x").bearer == "ready"
    assert only("c.org/x").password == only("d.org/x").password == "p:w"


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"auths": []}', '{"auths": {"r.example.org": 7}}', '{"auths": {"r.example.org": {"auth": "!"}}}'],
)
def test_a_damaged_file_gives_no_credential_and_no_crash(content: str, tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text(content)

    assert users("r.example.org/a", tmp_path / "auth.json") == []


def test_a_helper_is_named_and_not_run(tmp_path: Path) -> None:
    store = written(tmp_path / "1", {}, credsStore="secretservice")
    per_host = written(tmp_path / "2", {}, credHelpers={"r.example.org": "ecr-login", "other.org": "x"})
    notes = find(reference.parse("r.example.org/a"), None, [store, per_host]).notes

    assert ["'secretservice'" in notes[0], "'ecr-login'" in notes[1]] == [True, True]


def test_an_unreadable_password_file_is_a_note_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"\xffsecret")
    found = find(reference.parse("r.example.org/a"), Registry(username="me", password_file=tmp_path / "password"), [])

    assert (found.candidates, "secret" in "".join(found.notes)) == ((), False)
    assert find(reference.parse("r.example.org/a"), Registry(username="me", password_file=tmp_path / "no"), []).notes


def test_a_credential_shows_no_secret() -> None:
    credential = Credential(username="me", password="secret1", identity="secret2", bearer="secret3", origin="file")

    assert "secret" not in repr(credential)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (
            ['Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull"'],
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:a:pull",
                    },
                )
            ],
        ),
        (['Basic realm="a \\"b\\", c"'], [Challenge("basic", {"realm": 'a "b", c'})]),
        (["Basic realm=x"], [Challenge("basic", {"realm": "x"})]),
        (['BASIC Realm="x"'], [Challenge("basic", {"realm": "x"})]),
        (["Negotiate"], [Challenge("negotiate", {})]),
        (
            ['Negotiate, Basic realm="x", Bearer realm="y"'],
            [Challenge("negotiate", {}), Challenge("basic", {"realm": "x"}), Challenge("bearer", {"realm": "y"})],
        ),
        (
            ['Basic realm="x"', 'Bearer realm="y"'],
            [Challenge("basic", {"realm": "x"}), Challenge("bearer", {"realm": "y"})],
        ),
        (['Bearer realm="a",realm="b"'], [Challenge("bearer", {"realm": "a"})]),
        ([""], []),
        (['"'], []),
    ],
)
def test_challenges_are_read(headers: list[str], found: list[Challenge]) -> None:
    assert list(parse(headers)) == found
