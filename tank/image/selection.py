"""From a reference to the one manifest that this machine can run, with its configuration.

A tag or digest may name a manifest, an index, or an index of indexes (two levels, S28). What is on the disk by its
digest is not asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass

from tank.errors import PullFailed
from tank.image import manifest
from tank.image.blobs import Blobs
from tank.image.manifest import Configuration, Index, Manifest
from tank.image.platform import Platform
from tank.image.refusal import refused, unsuitable
from tank.image.source import Source
from tank.model.reference import Reference

_MOST_TRIED = 8  # nested indexes and manifests without a platform that are looked into


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The chosen manifest and its configuration, as bytes to keep and as values.

    `chain`: the digests that led here, of the index or indexes first, of the manifest itself last.
    """

    digest: str
    chain: tuple[str, ...]
    documents: tuple[bytes, bytes]
    manifest: Manifest
    configuration: Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The search for one image. `accepted`: what the machine runs, best first."""

    client: Source
    blobs: Blobs
    reference: Reference
    accepted: tuple[Platform, ...]

    async def run(self) -> Selected:
        """The image that `reference` means here and now. Raises PullFailed."""
        return await self._select(self.reference.target, ())

    async def _select(self, target: str, above: tuple[str, ...]) -> Selected:
        data, found = await self._read(target)
        chain = (*above, manifest.digest_of(data))
        if isinstance(found, Manifest):
            return await self._whole(data, found, chain)
        if len(above) >= manifest.MOST_DEPTH:
            raise refused("cannot use image: its indexes are nested too deep")
        return await self._choose(found, chain)

    async def _read(self, target: str) -> tuple[bytes, Manifest | Index]:
        data = self.blobs.read(target) if target.startswith("sha256:") else None
        if data is not None:
            return data, manifest.parse(data, "")
        served = await self.client.manifest(self.reference, target)
        return served.data, manifest.parse(served.data, served.media_type)

    async def _choose(self, index: Index, chain: tuple[str, ...]) -> Selected:
        """A manifest's platform is taken at its word; what names none, and indexes, are looked into one by one."""
        failure: PullFailed | None = None
        for choice in index.choices(self.accepted)[:_MOST_TRIED]:
            try:
                return await self._select(choice.digest, chain)
            except PullFailed as error:
                if choice.platform is not None and not choice.nested:
                    raise
                failure = failure or error
        what = f"{self.reference} is not for {self.accepted[0]}, but for: {index.platforms()}"
        raise failure or unsuitable(f"cannot use image: {what}")

    async def _whole(self, data: bytes, found: Manifest, chain: tuple[str, ...]) -> Selected:
        config = self.blobs.read(found.config.digest)
        if config is None:
            config = await self.client.document(self.reference, found.config)
        configuration = manifest.parse_config(config, len(found.layers))
        manifest.check_platform(configuration, self.accepted)
        return Selected(
            digest=chain[-1],
            chain=chain,
            documents=(config, data),
            manifest=found,
            configuration=configuration,
        )
