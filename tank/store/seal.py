"""Secrets at rest: AES-256-GCM under one key in a file, and what makes a version of a content.

The values are bound to the name and version they were stored under, so that no body can be put in another's place.
The version of a secret is a keyed digest: it tells equal contents apart from others, and nobody can guess a short
password by it, though it stands in records and answers. A config's is a plain digest, and checks its body.

The file holds 64 hex digits or 32 bytes. It is read anew each time: whoever puts a lost key back has mended all.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tank.errors import Failed
from tank.host import files
from tank.model.uses import words

CREDENTIAL = "tank.secret.key"  # what systemd is told to call it: LoadCredentialEncrypted=tank.secret.key
_MAGIC = b"tank-sealed-1\n"
_NONCE, _KEY = 12, 32


def encoded(data: Mapping[str, bytes]) -> bytes:
    """Keys and values as one text, the same for the same content."""
    plain = {key: base64.b64encode(data[key]).decode() for key in sorted(data)}
    return json.dumps(plain, separators=(",", ":")).encode()


def decoded(body: bytes) -> dict[str, bytes]:
    """What `encoded` was given. Raises ValueError."""
    return {key: base64.b64decode(value, validate=True) for key, value in json.loads(body).items()}


def plain_version(key: str, body: bytes) -> str:
    """The version of a config."""
    return hashlib.sha256(f"{key}\n".encode() + body).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Seal:
    """One key. `mark` tells it from others and says nothing of it."""

    key: bytes

    def __repr__(self) -> str:
        return f"Seal({self.mark})"

    @property
    def mark(self) -> str:
        return self._derived(b"mark")[:4].hex()

    def version(self, key: str, body: bytes) -> str:
        """The version of a secret."""
        return hmac.digest(self._derived(b"version"), f"{key}\n".encode() + body, "sha256").hex()[:16]

    def sealed(self, key: str, version: str, body: bytes) -> bytes:
        """`body`, encrypted."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 30 ms that only secrets cost

        nonce = secrets.token_bytes(_NONCE)
        return _MAGIC + nonce + AESGCM(self.key).encrypt(nonce, body, _bound(key, version))

    def opened(self, key: str, version: str, body: bytes) -> bytes:
        """What `sealed` was given. Raises Failed when it is not that, or was sealed with another key."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, rest = body[len(_MAGIC) : len(_MAGIC) + _NONCE], body[len(_MAGIC) + _NONCE :]
        try:
            if not body.startswith(_MAGIC):
                raise ValueError("no sealed body")
            return AESGCM(self.key).decrypt(nonce, rest, _bound(key, version))
        except (InvalidTag, ValueError) as error:
            raise Failed(f"cannot read {words(key)}: what is stored is damaged, or of another key") from error

    def _derived(self, purpose: bytes) -> bytes:
        return hmac.digest(self.key, b"tank " + purpose, "sha256")


def _bound(key: str, version: str) -> bytes:
    return f"{key} {version}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """Where the key lies. `made`: Tank makes it when it is first needed; else it is given and never made."""

    path: Path
    made: bool = True

    def read(self) -> Seal | None:
        """The key; None when there is no such file. Raises Failed when that is no key, or is not kept private."""
        try:
            raw = files.read(self.path)
            if raw is None:
                return None
            shared = self.path.stat().st_mode & 0o077
            if shared and self.made:
                self.path.chmod(0o600)
        except OSError as error:
            raise Failed(f"cannot read the key of secrets {self.path}: {error.strerror}") from error
        if shared & 0o007 and not self.made:
            raise Failed(f"cannot use the key of secrets {self.path}: everybody may read it (chmod 600)")
        return Seal(_parsed(self.path, raw))

    def make(self) -> Seal:
        """A new key, on the disk before it is used. Raises Failed."""
        if not self.made:
            raise Failed(f"cannot encrypt: there is no key at {self.path}; it is given from outside and never made")
        key = secrets.token_bytes(_KEY)
        try:
            files.write_durably(self.path, key.hex().encode() + b"\n")
        except OSError as error:
            raise Failed(f"cannot make the key of secrets {self.path}: {error.strerror}") from error
        return Seal(key)


def key_file(data_dir: Path, stated: Path | None, environ: Mapping[str, str] = os.environ) -> KeyFile:
    """The file that the settings name; else systemd's credential, where it gave one; else Tank's own."""
    if stated is not None:
        return KeyFile(path=stated, made=False)
    given = Path(environ["CREDENTIALS_DIRECTORY"]) / CREDENTIAL if environ.get("CREDENTIALS_DIRECTORY") else None
    if given is not None and given.exists():
        return KeyFile(path=given, made=False)
    return KeyFile(path=data_dir / "secret.key")


def _parsed(path: Path, raw: bytes) -> bytes:
    try:
        key = raw if len(raw) == _KEY else binascii.unhexlify(raw.strip())
    except ValueError:
        key = b""
    if len(key) != _KEY:
        raise Failed(f"cannot use the key of secrets {path}: expected 64 hex digits or {_KEY} bytes")
    return key
