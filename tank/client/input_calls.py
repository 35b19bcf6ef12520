"""What the clients ask about secrets and configs, as values (see `tank.client.calls`). `kind`: secret or config."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from tank.client.calls import Call
from tank.client.values import read
from tank.client.wire import quote
from tank.errors import InvalidSpec, Problem
from tank.model.stored import InputStatus

Values = Mapping[str, bytes | str]


def path(kind: str, name: str = "") -> str:
    """Of all of a kind, or of one."""
    return f"/v1/{kind}s" + (f"/{quote(name)}" if name else "")


def set_(kind: str, name: str, data: Values) -> Call[InputStatus]:
    """Create or replace it. The values travel in the body, which nobody logs. Raises InvalidSpec."""
    return Call(method="PUT", path=path(kind, name), body=body(data), decode=_status)


def list_(kind: str) -> Call[list[InputStatus]]:
    """All of a kind, without values."""
    return Call(path=path(kind), decode=lambda found: [_status(each) for each in found])


def get(kind: str, name: str) -> Call[InputStatus]:
    """One of them; a config with its values."""
    return Call(path=path(kind, name), decode=_status)


def delete(kind: str, name: str, *, force: bool = False) -> Call[None]:
    """It is no more."""
    return Call(method="DELETE", path=path(kind, name), query={"force": force}, decode=_nothing)


def body(data: Values) -> bytes:
    """Values as they are sent; a text is its UTF-8. Raises InvalidSpec, which quotes keys alone."""
    return json.dumps(
        {"data": {key: base64.b64encode(_bytes(key, value)).decode() for key, value in data.items()}}
    ).encode()


def _bytes(key: object, value: object) -> bytes:
    if not isinstance(key, str) or not isinstance(value, str | bytes):
        raise InvalidSpec([Problem(str(key), f"expected bytes or text, found {type(value).__name__}")])
    try:
        return value.encode() if isinstance(value, str) else value
    except UnicodeEncodeError:
        raise InvalidSpec([Problem(key, "is no UTF-8: give it as bytes")]) from None


def _status(found: Mapping[str, Any]) -> InputStatus:
    known: dict[str, Any] = {name: tuple(found.get(name, ())) for name in ("used_by", "held_by")}
    if found.get("data") is not None:
        known["data"] = {key: base64.b64decode(value) for key, value in found["data"].items()}
    return read(InputStatus, found, **known)


def _nothing(_body: Any) -> None:
    """An answer that says no more than that it was done."""
