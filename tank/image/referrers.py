"""Where the signatures of an image lie in its registry. Three places, asked one after the other:

1. the tag `sha256-<hex>.sig` beside it: a manifest whose layers are simple-signing payloads (cosign 1 and 2);
2. the referrers of its manifest (OCI distribution 1.1): artifacts of the same form, and sigstore bundles (cosign 3);
3. where a registry knows no referrers: the index under the tag `sha256-<hex>`, which clients keep in their place.

What is found is a candidate and nothing more: the digest of each blob is checked by the client, the rest by
`tank.image.signature`. How many are looked at is bounded, so that a registry cannot make a pull endless (S28).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from tank.errors import PullFailed
from tank.image import document, manifest, signature
from tank.image.document import Object
from tank.image.manifest import Descriptor
from tank.image.refusal import Missing
from tank.image.signature import Claim
from tank.image.source import Vouching
from tank.model.reference import Reference

T = TypeVar("T")
MOST_ARTIFACTS = 64  # that one image's signatures may be spread over
MOST_SIGNATURES = 64  # in one artifact, of the newest
_LARGEST = 2**20  # bytes of one payload or bundle
_ARTIFACT = "application/vnd.dev.cosign.artifact.sig.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The search for signatures of one manifest. `damaged`: why candidates could not be read."""

    client: Vouching
    reference: Reference
    digest: str
    damaged: list[str]

    async def claims(self) -> AsyncIterator[Claim]:
        """Every readable candidate. Raises PullFailed when the registry cannot be asked."""
        tag = self.digest.replace(":", "-")
        attached = await self._manifest(f"{tag}.sig")
        if attached is not None:
            async for claim in self._artifact(attached):
                yield claim
        for each in await self._referrers(tag):
            found = await self._manifest(each)
            if found is not None:
                async for claim in self._artifact(found):
                    yield claim

    async def _manifest(self, target: str) -> Object | None:
        try:
            served = await self.client.manifest(self.reference, target)
        except Missing:
            return None
        return self._readable(lambda: document.parsed(served.data, "signature manifest"))

    def _readable(self, read: Callable[[], T]) -> T | None:
        """What cannot be read is no signature; others may be."""
        try:
            return read()
        except PullFailed as error:
            self.damaged.append(error.message)
            return None

    async def _referrers(self, tag: str) -> list[str]:
        """The digests of those that may be signatures, by their type."""
        pages = await self.client.referrers(self.reference, self.digest)
        read = [self._readable(partial(document.parsed, each, "list of referrers")) for each in pages]
        bodies = [each for each in read if each is not None] or [await self._manifest(tag) or {}]
        return [digest for body in bodies for digest in self._signing(body)][:MOST_ARTIFACTS]

    def _signing(self, index: Object) -> list[str]:
        """The digests of those in an index that may be signatures, each for itself: one that is odd voids no other."""
        each = self._readable(lambda: document.items(index, "manifests")) or ()
        found = [self._readable(partial(_signer, one)) for one in each if isinstance(one, dict)]
        return [digest for digest in found if digest]

    async def _artifact(self, body: Object) -> AsyncIterator[Claim]:
        """The newest first: cosign adds at the end."""
        layers = self._readable(lambda: document.items(body, "layers")) or ()
        for layer in reversed(layers[-MOST_SIGNATURES:]):
            claim = await self._claim(layer) if isinstance(layer, dict) else None
            if claim is not None:
                yield claim

    async def _claim(self, layer: Object) -> Claim | None:
        """What a layer says, if it is a signature that can be read."""
        wanted = self._readable(lambda: _descriptor(layer))
        if wanted is None:
            return None
        try:
            data = await self.client.document(self.reference, wanted)
        except Missing as error:
            self.damaged.append(error.message)
            return None
        return self._readable(lambda: _read(wanted.media_type, layer, data))


def _read(kind: str, layer: Object, data: bytes) -> Claim:
    if kind != signature.SIMPLE:
        return signature.bundle(data)
    annotations = document.mapping(layer, "annotations")
    return signature.simple(data, document.text(annotations, signature.ANNOTATION))


def _signer(entry: Object) -> str:
    """The digest of an entry that may be a signature, else nothing."""
    return manifest.digest(entry, "digest") if _may_sign(document.text(entry, "artifactType")) else ""


def _descriptor(layer: Object) -> Descriptor | None:
    kind = document.text(layer, "mediaType")
    if kind != signature.SIMPLE and not kind.startswith(signature.BUNDLE):
        return None
    size = document.count(layer, "size")
    if size > _LARGEST:
        raise signature.unsigned(f"it is larger than {_LARGEST} bytes")
    return Descriptor(media_type=kind, digest=manifest.digest(layer, "digest"), size=size)


def _may_sign(kind: str) -> bool:
    return kind in ("", _ARTIFACT, signature.SIMPLE) or kind.startswith(signature.BUNDLE)
