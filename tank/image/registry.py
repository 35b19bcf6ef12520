"""A client of one registry: manifests, small documents and blobs (OCI distribution 1.1, Docker registry v2).

Nothing is believed but digests: what is asked for by digest is compared with it, whatever headers say (S27). A blob
is handed on while it is hashed; who takes it must not count it before `Blob.complete`. A connection that breaks in
the middle of a blob is taken up again where it broke. Authorization goes to the registry's own origin and nowhere
else (S25). Every failure is a `PullFailed` whose words hold no secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

import aiohttp

from tank.errors import PullFailed
from tank.image import address, challenge, credentials, document, manifest, paging
from tank.image.address import Origin
from tank.image.credentials import Credential
from tank.image.dial import Dialer, Identity, Kind, Patience
from tank.image.download import Blob
from tank.image.login import Login, unexpected
from tank.image.manifest import Descriptor
from tank.image.network_faults import FOREIGN, explained
from tank.image.refusal import FAILED, Forbidden, Missing, Unranged, refused, shown
from tank.image.source import LAYERS_AT_ONCE, Download, Served, Witness
from tank.model.reference import Reference
from tank.model.registry import DEFAULT_REGISTRY
from tank.model.registry_fields import Registry

_HUB = "registry-1.docker.io"
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_WITHOUT_REFERRERS = (400, 404, 405, 406)  # what registries that do not know of them say


@dataclass(slots=True)
class _Access:
    """How one repository lets us in, once it has."""

    header: str = field(default="", repr=False)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class RegistryClient:
    """One registry host (`reference.registry`). Connections are made when first needed."""

    def __init__(
        self, host: str, configured: Registry | None, files: Sequence[Path], patience: Patience | None = None
    ) -> None:
        self.slots = asyncio.Semaphore(LAYERS_AT_ONCE)  # of this host alone: a slow one delays no other (R57)
        self._host, self._configured, self._files = host, configured, files
        self._patience = patience or Patience()
        self._dialer = Dialer(Identity.of(configured), self._patience)
        self._origin: Origin | None = None
        self._finding = asyncio.Lock()
        self._access: dict[str, _Access] = {}

    async def close(self) -> None:
        """End every connection."""
        await self._dialer.close()

    async def lets_in(self, credential: Credential) -> bool:
        """Whether the registry takes the credential, or asks for none. Raises PullFailed when it cannot be asked."""
        origin = await self._found()
        url = f"{origin}/v2/"
        response, _ = await self._follow(origin, url, {}, "")
        try:
            if response.status == 401:
                challenges = challenge.parse(response.headers.getall("WWW-Authenticate", ()))
                seconds = self._patience.document
                login = Login(dialer=self._dialer, origin=origin, repository="", seconds=seconds)
                header = await login.header(challenges, credential)
                if header is None:
                    return False
                response.close()
                response, _ = await self._follow(origin, url, {}, header)
            if response.status not in (200, 401, 403):
                raise unexpected(response, self._host)
            return response.status == 200
        finally:
            response.close()

    def forget(self) -> None:
        """Let go of what we were let in with: credentials have changed. Requests under way go on."""
        self._access.clear()

    async def manifest(self, reference: Reference, target: str) -> Served:
        """The manifest or index for a tag or digest. Raises PullFailed."""
        accept = {"Accept": ", ".join(manifest.ACCEPTED)}
        async with self._answer(reference, f"manifests/{target}", accept) as response:
            data = await self._small(response, document.LARGEST)
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        digest = manifest.digest_of(data)
        if target.startswith("sha256:") and target != digest:
            raise refused(f"cannot pull image: {self._host} served another manifest than {target}")
        if not media_type:
            raise refused(f"cannot pull image: {self._host} does not say what the manifest is")
        return Served(data=data, media_type=media_type, digest=digest)

    async def referrers(self, reference: Reference, digest: str) -> Sequence[bytes]:
        """Indexes of what refers to a manifest, a page each; none when the registry cannot say. Raises PullFailed."""
        accept, pages, path = {"Accept": manifest.OCI_INDEX}, list[bytes](), f"referrers/{digest}"
        with suppress(Missing):
            while path and len(pages) < paging.MOST_PAGES:
                async with self._answer(reference, path, accept, absent=_WITHOUT_REFERRERS) as response:
                    if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() != manifest.OCI_INDEX:
                        break
                    pages.append(await self._small(response, document.LARGEST))
                    query = paging.next_query(response.headers.getall("Link", ()))
                path = f"referrers/{digest}?{query}" if query else ""
        return pages

    async def document(self, reference: Reference, wanted: Descriptor) -> bytes:
        """A small blob, whole and checked. Raises PullFailed."""
        blob = self.blob(reference, wanted)
        try:
            async with asyncio.timeout(self._patience.document), aclosing(blob.pieces()) as pieces:
                return b"".join([piece async for piece in pieces])
        except TimeoutError as error:
            raise explained(error, self._host) from error

    def blob(self, reference: Reference, wanted: Descriptor) -> Blob:
        """A blob to be streamed."""
        path = f"blobs/{wanted.digest}"
        return Blob(lambda headers: self._answer(reference, path, headers), wanted, self._host, self._patience)

    def witnesses(self, reference: Reference) -> Sequence[Witness]:
        """The registry itself."""
        return ((self, reference),)

    def downloads(self, reference: Reference, wanted: Descriptor) -> Sequence[Download]:
        """The one way to have a blob here, with as many others as its host may be asked for at once."""
        return (Download(self.slots, lambda: self.blob(reference, wanted)),)

    async def _small(self, response: aiohttp.ClientResponse, most: int) -> bytes:
        data = bytearray()
        try:
            async with asyncio.timeout(self._patience.document):
                async for piece in response.content.iter_any():
                    data += piece
                    if len(data) > most:
                        raise refused(f"cannot pull image: {self._host} sends more than {most} bytes")
        except FOREIGN as error:
            raise explained(error, self._host) from error
        return bytes(data)

    @asynccontextmanager
    async def _answer(
        self, reference: Reference, path: str, headers: Mapping[str, str], *, absent: Collection[int] = (404,)
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The successful answer for a path of the repository, let go of at the end. Raises PullFailed.

        `absent`: the statuses that mean that there is no such thing.
        """
        origin = await self._found()
        url = f"{origin}/v2/{reference.repository}/{path}"
        try:
            response = await self._let_in(reference, origin, url, headers)
            try:
                if response.status in absent:
                    what = shown(path.partition("/")[2])
                    raise Missing(FAILED, f"cannot pull image: {self._host} has no {what} in {reference.repository}")
                if response.status not in (200, 206):
                    raise await self._denial(reference, response)
                yield response
            finally:
                response.close()
        except Missing:
            raise
        except PullFailed:
            self._doubt(origin)
            raise

    def _doubt(self, origin: Origin) -> None:
        """What listens on this machine may have been starting, or be another by now: TLS is tried again."""
        if origin.scheme == "http" and self._origin == origin:
            self._origin = None

    async def _found(self) -> Origin:
        """Where the registry is. On this machine TLS is tried first, then plain HTTP; elsewhere it is TLS."""
        async with self._finding:
            if self._origin is None:
                host = _HUB if self._host == DEFAULT_REGISTRY else self._host
                secure = address.origin_of(f"https://{host}", "the registry")
                known = self._configured
                plain_is_allowed = address.is_loopback(secure.host) and not (known and (known.ca or known.cert))
                if plain_is_allowed and not await self._dialer.speaks_tls(f"{secure}/v2/"):
                    self._origin = address.origin_of(f"http://{host}", "the registry")
                else:
                    self._origin = secure
            return self._origin

    async def _let_in(
        self, reference: Reference, origin: Origin, url: str, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """The answer to a request, after a login where the registry wants one."""
        access = self._access.setdefault(reference.repository, _Access())
        tried = access.header
        response, at_home = await self._follow(origin, url, headers, tried)
        if response.status != 401 or not at_home:
            return response
        async with access.lock:  # several layers at once need one login
            if access.header != tried:
                response.close()
                response, at_home = await self._follow(origin, url, headers, access.header)
                if response.status != 401 or not at_home:
                    return response
            return await self._log_in(reference, access, response, (origin, url, headers))

    async def _log_in(
        self,
        reference: Reference,
        access: _Access,
        response: aiohttp.ClientResponse,
        request: tuple[Origin, str, Mapping[str, str]],
    ) -> aiohttp.ClientResponse:
        """Try each credential in turn, or none at all if there is none; answers the first success or last refusal."""
        origin, url, headers = request
        challenges = challenge.parse(response.headers.getall("WWW-Authenticate", ()))
        login = Login(
            dialer=self._dialer,
            origin=origin,
            repository=reference.repository,
            seconds=self._patience.document,
        )
        for credential in (await self.known(reference)).candidates or (None,):
            header = await login.header(challenges, credential)
            if header is None:
                continue
            response.close()
            response, _ = await self._follow(origin, url, headers, header)
            if response.status not in (401, 403):
                access.header = header
                break
        return response

    async def known(self, reference: Reference) -> credentials.Found:
        """The credentials on this machine that fit the repository."""
        return await asyncio.to_thread(credentials.find, reference, self._configured, self._files)

    async def _follow(
        self, origin: Origin, url: str, headers: Mapping[str, str], authorization: str
    ) -> tuple[aiohttp.ClientResponse, bool]:
        """The answer at the end of all redirects, and whether it is the registry's own.

        Once led away from its origin, nothing more is authorized, not even on the way back.
        """
        at_home, kind = True, Kind.PLAIN if origin.scheme == "http" else Kind.HOME
        for _ in range(_MOST_REDIRECTS + 1):
            sent = {**headers, "Authorization": authorization} if at_home and authorization else headers
            response = await self._dialer.get(kind, url, sent)
            location = response.headers.get("Location", "")
            if response.status not in _REDIRECTS or not location:
                return response, at_home
            response.close()
            url, target = _led(url, location, origin)
            at_home = at_home and target == origin
            kind = kind if at_home else _kind_away(origin, target)
        raise refused(f"cannot pull image: {origin} redirects without end")

    async def _denial(self, reference: Reference, response: aiohttp.ClientResponse) -> PullFailed:
        """Why there is no answer, in words that help and tell nothing."""
        who = response.url.host or self._host
        if response.status in (401, 403):
            why = await self._why_not(reference)
            return Forbidden(FAILED, f"cannot pull image: {who} does not let us read {why}")
        if response.status == 416:
            return Unranged(FAILED, f"cannot pull image: {who} does not have the rest of a blob (HTTP 416)")
        return unexpected(response, who)

    async def _why_not(self, reference: Reference) -> str:
        found = await self.known(reference)
        origins = ", ".join(dict.fromkeys(each.origin for each in found.candidates))
        reason = f"the credentials of {origins} are not accepted" if origins else "no credentials are known"
        return "; ".join((f"{reference.repository}: {reason}", *found.notes))


def _led(url: str, location: str, origin: Origin) -> tuple[str, Origin]:
    """Where a redirect leads. Raises PullFailed when it is no URL."""
    try:
        joined = urljoin(url, location)
    except ValueError as error:
        raise refused(f"cannot pull image: a redirect of {origin} is not a URL") from error
    return joined, address.origin_of(joined, f"a redirect of {origin}")


def _kind_away(origin: Origin, target: Origin) -> Kind:
    """Where a redirect leads: never from TLS to plain, and in plain only within this machine."""
    if target.scheme == "https":
        return Kind.AWAY
    if origin.scheme == "http" and address.is_loopback(target.host):
        return Kind.PLAIN
    raise refused(f"cannot pull image: {origin} redirects to {target}, which is without TLS")
