"""Tank's own passwords for registries: a file in Docker's form, root's alone, that the puller reads first.

Written whole or not at all. What is in it is never printed, logged, or answered to anybody (S37).
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tank.errors import Failed
from tank.host import files

NAME = "auth.json"


class Logins:
    """The passwords in one file. Methods block, for a moment. They raise Failed when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, host: str, username: str, password: str) -> None:
        """Keep a password, in place of the one before."""
        auths = self._read()
        auths[host] = {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}
        self._write(auths)

    def forget(self, host: str) -> bool:
        """Forget a password; False when there was none."""
        auths = self._read()
        if auths.pop(host, None) is None:
            return False
        self._write(auths)
        return True

    def _read(self) -> dict[str, Any]:
        try:
            body = json.loads(files.read(self._path) or b"{}")
            return dict(body.get("auths", {}))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not what it should be"
            raise Failed(f"cannot read {self._path}: {why}") from None  # the text of the cause may quote the file

    def _write(self, auths: dict[str, Any]) -> None:
        try:
            files.write_durably(self._path, json.dumps({"auths": auths}, indent=1).encode(), 0o600)
        except OSError as error:
            raise Failed(f"cannot write {self._path}: {error.strerror}") from error
