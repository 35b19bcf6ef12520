"""What the clients ask about images, as values (see `tank.client.calls`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tank.client.calls import Call
from tank.client.values import read
from tank.model.images import DiskUsage, ImageDetail, ImageStatus, LayerStatus, Owner, Removed


def list_() -> Call[list[ImageStatus]]:
    """Every image."""
    return Call(path="/v1/images", decode=statuses)


def statuses(body: Any) -> list[ImageStatus]:
    """A list of images."""
    return [_status(each) for each in body]


def named(name: str) -> dict[str, object]:
    """What is said beside an archive: the one of its images that is wanted, if not all are."""
    return {"name": name} if name else {}


def inspect(reference: str) -> Call[ImageDetail]:
    """All of one image."""
    return Call(path="/v1/images/inspect", query={"reference": reference}, decode=_detail)


def pull(reference: str, policy: str) -> Call[Mapping[str, Any]]:
    """Bring an image: a line each."""
    query = {"reference": reference, "policy": policy}
    return Call(method="POST", path="/v1/images/pull", query=query, decode=lambda body: body)


def pulled(line: Mapping[str, Any]) -> ImageStatus | None:
    """The image that a line of a pull ends with; None while it goes on."""
    return _status(line["image"]) if "image" in line else None


def delete(reference: str) -> Call[Removed]:
    """Remove a name, and the image with its last one."""
    return Call(method="DELETE", path="/v1/images", query={"reference": reference}, decode=_removed)


def prune(everything: bool) -> Call[Removed]:
    """Remove what no pod needs."""
    return Call(method="POST", path="/v1/images/prune", query={"all": everything}, decode=_removed)


def tag(reference: str, target: str) -> Call[ImageStatus]:
    """One more name."""
    query = {"reference": reference, "target": target}
    return Call(method="POST", path="/v1/images/tag", query=query, decode=_status)


def login(registry: str, username: str, password: str) -> Call[None]:
    """Keep a password. It travels in the body, which nobody logs."""
    body = json.dumps({"registry": registry, "username": username, "password": password}).encode()
    return Call(method="POST", path="/v1/images/login", body=body, decode=_nothing)


def logout(registry: str) -> Call[None]:
    """Forget it."""
    return Call(method="POST", path="/v1/images/logout", query={"registry": registry}, decode=_nothing)


def df() -> Call[DiskUsage]:
    """The owner of every byte."""
    return Call(path="/v1/df", decode=_usage)


def _nothing(_body: Any) -> None:
    """An answer that says no more than that it was done."""


def _status(body: Mapping[str, Any]) -> ImageStatus:
    return read(ImageStatus, body, **_tuples(body, "references", "used_by", "previous_of"))


def _removed(body: Mapping[str, Any]) -> Removed:
    return read(Removed, body, **_tuples(body, "references", "images"))


def _detail(body: Mapping[str, Any]) -> ImageDetail:
    layers = tuple(read(LayerStatus, each) for each in body.get("layers", ()))
    return read(ImageDetail, body, image=_status(body["image"]), layers=layers)


def _usage(body: Mapping[str, Any]) -> DiskUsage:
    owners = tuple(read(Owner, each) for each in body.get("owners", ()))
    return read(DiskUsage, body, owners=owners, **_tuples(body, "strays"))


def _tuples(body: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: tuple(body.get(name, ())) for name in names}
