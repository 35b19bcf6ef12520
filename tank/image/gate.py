"""The gate through which every image goes: the rules of trust, the receipts on the disk, the registry's signatures.

    trust/<hex>   a receipt, as JSON; named by the digest of `repository@digest`

An image is let in before its first layer is fetched. Where no rule asks for a signature nothing is read and nothing
asked.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from tank.errors import PullFailed
from tank.host import openat
from tank.image import trust
from tank.image.blobs import Blobs
from tank.image.collect import MIN_AGE
from tank.image.flights import uninterrupted
from tank.image.manifest import digest_of
from tank.image.referrers import Search
from tank.image.refusal import refused
from tank.image.signature import Key, unsigned
from tank.image.source import Source, Witness
from tank.image.trust import Receipt
from tank.model.image import Verdict
from tank.model.reference import DIGEST, Reference
from tank.model.trust import Trust


class Gate:
    """The rules of one daemon over its images."""

    def __init__(self, rules: Sequence[Trust], blobs: Blobs, patience: float = 120.0) -> None:
        """`patience`: seconds in which one place must have handed over the signatures of an image (R57)."""
        self._rules, self._blobs, self._patience = tuple(rules), blobs, patience
        self._writing = threading.Lock()  # a receipt that is written anew is not swept as the old one

    def verdict(self, reference: Reference, digest: str) -> Verdict:
        """What the rules say of an image that is here, by what is on record. A few stats, and no registry."""
        if not self._rules:
            return trust.ACCEPTED
        path, mark = trust.key_for(self._rules, reference), ""
        if path is not None:
            try:
                mark = _key(path).mark
            except PullFailed as error:
                return Verdict(admitted=False, text=error.message, reason=error.reason)
        return trust.verdict(self._rules, reference, self._receipt(reference, digest), mark)

    def check_rejected(self, reference: Reference) -> None:
        """Raises PullFailed when the image is not to be had at all."""
        if why := trust.rejected(self._rules, reference):
            raise refused(f"cannot use image: {why}")

    async def admit(self, client: Source, reference: Reference, chain: Sequence[str]) -> None:
        """Let the image in whose manifests are `chain`, top first, or raise PullFailed."""
        self.check_rejected(reference)
        known = self._receipt(reference, chain[-1]) or Receipt(chain=tuple(chain[-1:]))
        receipt = known.reached(chain)
        path = trust.key_for(self._rules, reference)
        if path is not None:
            key = await asyncio.to_thread(_key, path)
            await self._verify(client, reference, key, path, receipt.chain)
            receipt = receipt.signed(key.mark)
        # Without a key there may be nothing that the image does not say itself. With one it is written anew, as it may
        # be: the receipt that was read has perhaps been swept while the registry was asked, or is old enough to be.
        if path is not None or receipt != known:
            await uninterrupted(asyncio.to_thread(self._keep, reference, receipt))

    async def _verify(self, client: Source, reference: Reference, key: Key, path: Path, chain: Sequence[str]) -> None:
        faults: list[str] = []
        witnesses = client.witnesses(reference)
        for place, witness in enumerate(witnesses, 1):
            try:
                async with asyncio.timeout(self._patience):
                    if await _vouches(witness, key, chain, faults):
                        return
            except (PullFailed, TimeoutError) as error:
                if place < len(witnesses):
                    continue
                if isinstance(error, PullFailed):
                    raise
                why = f"its signatures did not come within {self._patience:g} seconds"
                raise refused(f"cannot use image: {reference}: {why}") from error
        why = f"of {len(faults)} signature(s) none is valid: {faults[0]}" if faults else "it has no signature"
        raise unsigned(f"cannot use image: {reference} is not signed with {path}: {why}")

    def sweep(self, remembered: Collection[str], now: float) -> None:
        """Receipts go once their image has gone and no revision remembers its digest. `now`: wall clock. Blocks.

        A rollback has nothing but that digest to pull by, and it does not lead to the index that was signed.
        """
        for path in self._blobs.trust.iterdir():
            with suppress(OSError, ValueError, TypeError, KeyError), self._writing:
                digest = str(json.loads(path.read_bytes())["image"]).rpartition("@")[2]
                old = now - path.stat().st_mtime >= MIN_AGE  # else its image may be on the way
                if old and digest not in remembered and self._blobs.read(digest) is None:
                    path.unlink()

    def _receipt(self, reference: Reference, digest: str) -> Receipt | None:
        try:
            body = json.loads(self._path(reference, digest).read_bytes())
            chain, keys = tuple(map(str, body["chain"])), tuple(map(str, body["keys"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None
        genuine = body.get("image") == f"{reference.name}@{digest}" and all(map(DIGEST.fullmatch, chain))
        return Receipt(chain=chain, keys=keys) if genuine else None

    def _keep(self, reference: Reference, receipt: Receipt) -> None:
        digest = receipt.chain[-1]
        body = {"image": f"{reference.name}@{digest}", "chain": receipt.chain, "keys": receipt.keys}
        with self._writing:
            openat.write_durably(self._path(reference, digest), json.dumps(body).encode(), self._blobs.unfinished())

    def _path(self, reference: Reference, digest: str) -> Path:
        name = digest_of(f"{reference.name}@{digest}".encode()).removeprefix("sha256:")
        return self._blobs.trust / name


async def _vouches(witness: Witness, key: Key, chain: Sequence[str], faults: list[str]) -> bool:
    """Whether there is a signature of one of `chain` with the key; `faults` are those that are none."""
    client, there = witness
    for digest in chain:
        search = Search(client=client, reference=there, digest=digest, damaged=faults)
        async for claim in search.claims():
            try:
                await asyncio.to_thread(key.check, claim, digest)
            except PullFailed as error:
                faults.append(error.message)
            else:
                return True
    return False


def _key(path: Path) -> Key:
    try:
        return Key(path.read_bytes())
    except OSError as error:
        raise unsigned(f"cannot use image: the key {path} cannot be read: {error.strerror}") from error
