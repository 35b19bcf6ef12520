"""Secrets at rest: what is encrypted, with which key, and what is said when that is not the one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tank.errors import Failed
from tank.store import seal
from tank.store.seal import KeyFile, Seal

KEY, OTHER = Seal(b"k" * 32), Seal(b"o" * 32)
CANARY = b"canary-40cc"


@given(st.dictionaries(st.text(max_size=8), st.binary(max_size=40), max_size=5))
def test_what_was_encoded_is_decoded(data: dict[str, bytes]) -> None:
    assert seal.decoded(seal.encoded(data)) == data


def test_a_sealed_body_is_opened_again_and_shows_nothing() -> None:
    body = KEY.sealed("secret/db", "v1", CANARY)

    assert CANARY not in body
    assert KEY.opened("secret/db", "v1", body) == CANARY
    assert KEY.sealed("secret/db", "v1", CANARY) != body


@pytest.mark.parametrize(
    ("key", "place", "change"),
    [
        (OTHER, ("secret/db", "v1"), lambda body: body),
        (KEY, ("secret/other", "v1"), lambda body: body),
        (KEY, ("secret/db", "v2"), lambda body: body),
        (KEY, ("secret/db", "v1"), lambda body: body[:-1]),
        (KEY, ("secret/db", "v1"), lambda body: body[:20] + b"\0" + body[21:]),
        (KEY, ("secret/db", "v1"), lambda body: CANARY),
        (KEY, ("secret/db", "v1"), lambda body: b""),
    ],
)
def test_what_was_not_sealed_so_is_refused_and_not_quoted(key: Seal, place: tuple[str, str], change: object) -> None:
    body = change(KEY.sealed("secret/db", "v1", CANARY))  # type: ignore[operator]

    with pytest.raises(Failed, match=f"secret {place[0][7:]}") as caught:
        key.opened(*place, body)

    assert CANARY.decode() not in str(caught.value)


def test_versions_follow_the_content_and_the_key() -> None:
    assert KEY.version("secret/a", b"x") == KEY.version("secret/a", b"x")
    found = {KEY.version("secret/a", b"x"), KEY.version("secret/a", b"y"), KEY.version("secret/b", b"x")}
    assert len(found | {OTHER.version("secret/a", b"x"), seal.plain_version("secret/a", b"x")}) == 5


def test_a_key_is_not_printed() -> None:
    assert "kkkk" not in repr(KEY)
    assert KEY.mark != OTHER.mark


def test_the_own_key_is_made_private_and_read_again(tmp_path: Path) -> None:
    file = seal.key_file(tmp_path, None, {})

    assert (file.path, file.read()) == (tmp_path / "secret.key", None)
    made = file.make()
    assert (file.path.stat().st_mode & 0o777, file.read()) == (0o600, made)
    assert seal.key_file(tmp_path, None, {}).read() == made


def test_the_own_key_that_others_may_read_is_made_private(tmp_path: Path) -> None:
    file = seal.key_file(tmp_path, None, {})
    made = file.make()
    file.path.chmod(0o644)

    assert (file.read(), file.path.stat().st_mode & 0o777) == (made, 0o600)


def test_a_given_key_comes_first_then_systemds(tmp_path: Path) -> None:
    (tmp_path / seal.CREDENTIAL).write_bytes(b"k" * 32)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}

    assert seal.key_file(tmp_path, tmp_path / "mine", environ).path == tmp_path / "mine"
    assert seal.key_file(tmp_path, None, environ).path == tmp_path / seal.CREDENTIAL
    assert seal.key_file(tmp_path, None, {"CREDENTIALS_DIRECTORY": "/none"}).path == tmp_path / "secret.key"


@pytest.mark.parametrize("text", [b"k" * 32, b"6b" * 32, b"6B" * 32 + b"\n"])
def test_a_key_is_bytes_or_digits(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "key").write_bytes(text)
    (tmp_path / "key").chmod(0o400)

    assert KeyFile(path=tmp_path / "key", made=False).read() == KEY


@pytest.mark.parametrize("text", [b"", b"short", b"6b" * 31, b"zz" * 32])
def test_what_is_no_key_is_said_and_not_quoted(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "key").write_bytes(text)
    (tmp_path / "key").chmod(0o400)

    with pytest.raises(Failed, match="expected 64 hex digits or 32 bytes"):
        KeyFile(path=tmp_path / "key", made=False).read()


def test_a_given_key_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"k" * 32)
    (tmp_path / "key").chmod(0o644)

    with pytest.raises(Failed, match="chmod 600"):
        KeyFile(path=tmp_path / "key", made=False).read()


def test_a_given_key_is_never_made(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="given from outside"):
        KeyFile(path=tmp_path / "key", made=False).make()
