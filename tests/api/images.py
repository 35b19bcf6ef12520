"""Images in memory for the tests of the faces: one store that holds names, and a disk with one stray."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tank.errors import Conflict, Denied, NotFound, PullFailed
from tank.model.images import DiskUsage, ImageDetail, ImageStatus, LayerStatus, Owner, Removed

DIGEST = "sha256:" + "0123456789abcdef" * 4


def image(name: str) -> ImageStatus:
    """An image of this name, which the pod web uses if it is nginx."""
    users = ("web",) if name.startswith("nginx") else ()
    return ImageStatus(
        digest=DIGEST, references=(name,), size=31_400_000, disk=80_000_000, unique=4_100,
        used_at="2026-01-02T03:04:05Z", used_by=users, previous_of=("old",),
    )  # fmt: skip


@dataclass
class FakeImages:
    """What the API calls of images. `logins` are kept in plain sight."""

    held: dict[str, ImageStatus] = field(default_factory=lambda: {"nginx:1.27": image("nginx:1.27")})
    logins: dict[str, str] = field(default_factory=dict)
    loaded: bytes = b""  # the last archive

    async def list(self) -> Sequence[ImageStatus]:
        return [*self.held.values()]

    def _one(self, name: str) -> ImageStatus:
        if name not in self.held:
            raise NotFound(f"no image is called {name}")
        return self.held[name]

    async def inspect(self, name: str) -> ImageDetail:
        layer = LayerStatus(name="ab" * 32, size=1, entries=2, shared=False)
        return ImageDetail(image=self._one(name), layers=(layer,), platform="linux/amd64", config={"cmd": ["sh"]})

    async def pull(self, reference: str, policy: str) -> AsyncIterator[dict[str, Any]]:
        if reference == "nope":
            raise PullFailed("ErrImagePull", "there is no nope")
        layers = [{"digest": DIGEST, "done": 1, "total": 2}]
        yield {"progress": {"reference": reference, "done": 1, "total": 2, "layers": layers}}
        self.held[reference] = image(reference)
        stale = {"warning": f"{reference} is taken as it is here: nobody answers"} if policy == "prefer_fresh" else {}
        yield {"image": self.held[reference], **stale}

    async def delete(self, name: str) -> Removed:
        if self._one(name).used_by:
            raise Conflict(f"cannot delete {name}: pod web needs it")
        del self.held[name]
        return Removed(references=(name,), images=(DIGEST,), freed=4_100)

    async def prune(self, *, everything: bool) -> Removed:
        return Removed(images=(DIGEST,) if everything else ())

    async def tag(self, name: str, target: str) -> ImageStatus:
        self.held[target] = self._one(name)
        return self.held[target]

    async def login(self, registry: str, username: str, password: str) -> None:
        if password != "right":
            raise Denied(f"{registry} does not take this user and password")
        self.logins[registry] = username

    async def logout(self, registry: str) -> None:
        if self.logins.pop(registry, None) is None:
            raise NotFound(f"tank keeps no password for {registry}")

    async def load(self, source: AsyncIterator[bytes], name: str = "") -> Sequence[ImageStatus]:
        self.loaded = b"".join([piece async for piece in source])
        name = name or (self.loaded.decode("ascii", "replace") or "empty")[:20]
        self.held[name] = image(name)
        return [self.held[name]]

    async def save(self, names: Sequence[str], format: str) -> AsyncGenerator[bytes, None]:  # noqa: A002
        for name in names:
            yield self._one(name).references[0].encode()


class FakeDisk:
    """A disk with one image, and something that is nobody's."""

    async def usage(self) -> DiskUsage:
        owners = (
            Owner(kind="image", name="nginx:1.27", size=80_000_000, inodes=12),
            Owner(kind="volume", name="data", size=4_096, inodes=1),
        )
        return DiskUsage(
            path="/data", used=80_008_192, unowned=4_096, strays=("stray",), owners=owners,
            disk_total=10**9, disk_free=5 * 10**8, inodes_total=1000, inodes_free=900,
        )  # fmt: skip
