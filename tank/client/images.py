"""`client.images`: the images of a daemon, blocking. `tank.aio.Client` has the same, awaited."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tank.client import archives, image_calls
from tank.client.wire import Endpoint
from tank.errors import Unavailable

if TYPE_CHECKING:
    from tank.model.images import ImageDetail, ImageStatus, Removed


class Images:
    """The images of one daemon. References are as in a spec; a digest, or its first six digits or more, do as well."""

    def __init__(self, daemon: Endpoint, do: Callable[[Any], Any], stream: Callable[[Any], Iterator[Any]]) -> None:
        """`do` sends a call and reads its answer; `stream` one that is answered in lines."""
        self._daemon, self._do, self._stream = daemon, do, stream

    def list(self) -> list[ImageStatus]:
        """Every image, with the pods that use it."""
        found: list[ImageStatus] = self._do(image_calls.list_())
        return found

    def inspect(self, reference: str) -> ImageDetail:
        """All of one image. Raises NotFound."""
        found: ImageDetail = self._do(image_calls.inspect(reference))
        return found

    def pull(self, reference: str, *, policy: str = "always") -> ImageStatus:
        """Bring an image; `if_missing` asks no registry for one that is here. Raises Failed."""
        for line in self._stream(image_calls.pull(reference, policy)):
            found = image_calls.pulled(line)
            if found is not None:
                return found
        raise Unavailable("the daemon closed the connection before the image was here")

    def delete(self, reference: str) -> Removed:
        """Remove a name, and the image with its last one. Raises NotFound; Conflict when a pod needs it."""
        found: Removed = self._do(image_calls.delete(reference))
        return found

    def prune(self, *, everything: bool = False) -> Removed:
        """Remove images without a name that no pod needs, or with `everything` all that no pod needs."""
        found: Removed = self._do(image_calls.prune(everything))
        return found

    def tag(self, reference: str, target: str) -> ImageStatus:
        """Give an image one more name. Raises NotFound."""
        found: ImageStatus = self._do(image_calls.tag(reference, target))
        return found

    def load(self, path: str | Path) -> Sequence[ImageStatus]:
        """Take in the images of an archive: OCI, `docker save` or `podman save`, compressed or not. Raises Failed.

        A directory of the same form does as well, and `oci:PATH[:NAME]` or `docker-archive:PATH[:NAME]`.
        """
        place, name = archives.located(str(path))
        with archives.reading(place) as pieces:
            return image_calls.statuses(self._daemon.upload("/v1/images/load", image_calls.named(name), pieces))

    def save(self, references: Sequence[str], path: str | Path, *, format: str = "oci") -> None:  # noqa: A002
        """Write an archive of images, `oci` or `docker`. Raises NotFound, Failed."""
        query = {"reference": [*references], "format": format}
        with self._daemon.open("GET", "/v1/images/save", query, timeout=None) as answer, Path(path).open("wb") as file:
            for piece in answer.chunks():
                file.write(piece)

    def login(self, registry: str, username: str, password: str) -> None:
        """Keep a password of a registry, once the registry has taken it. Raises Denied."""
        self._do(image_calls.login(registry, username, password))

    def logout(self, registry: str) -> None:
        """Forget it. Raises NotFound."""
        self._do(image_calls.logout(registry))
