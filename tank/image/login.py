"""Being let in by a registry: from its challenge and a credential to an Authorization header.

Basic sends user and password to the registry itself. Bearer asks a token service for a token that allows to read one
repository; credentials go there only if the service belongs to the same host or owner, over TLS (S25), and its
address is checked like that of any host that we did not choose (S26). Without a credential both sides are anonymous.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

import aiohttp
from yarl import URL

from tank.errors import PullFailed
from tank.image import address, document
from tank.image.address import Origin
from tank.image.challenge import Challenge
from tank.image.credentials import Credential
from tank.image.dial import Dialer, Kind
from tank.image.network_faults import FOREIGN, explained
from tank.image.refusal import refused, shown

_CLIENT = "tank"
_LARGEST = 2**20
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to be let in to read `repository` of the registry at `origin`."""

    dialer: Dialer
    origin: Origin
    repository: str
    seconds: float  # for one answer of the token service

    async def header(self, challenges: tuple[Challenge, ...], credential: Credential | None) -> str | None:
        """The Authorization header for one credential (None: anonymous); None when it is not enough.

        Raises PullFailed when the token service cannot be asked, or must not be.
        """
        offered = {each.scheme: each for each in reversed(challenges)}  # of two alike the first
        if "bearer" in offered:
            token = await self._token(offered["bearer"], credential)
            return f"Bearer {token}" if token else None
        if "basic" in offered:
            return credential.basic or None if credential else None
        names = ", ".join(sorted(offered)) or "none"
        raise refused(f"cannot pull image: {self.origin} wants a login of unknown kind: {shown(names)}")

    async def _token(self, challenge: Challenge, credential: Credential | None) -> str | None:
        if credential is not None and credential.bearer:
            return credential.bearer
        realm = challenge.parameters.get("realm", "")
        target = address.origin_of(realm, f"the token service of {self.origin}")
        self._check(target, credential)
        scope = f"repository:{self.repository}:pull" if self.repository else ""  # none: merely to be known
        query = {"service": challenge.parameters.get("service", ""), "scope": scope}
        query = {key: value for key, value in query.items() if value}
        response = await self._ask(realm, self._kind(target), query, credential)
        try:
            async with asyncio.timeout(self.seconds):
                return await self._read(response, target)
        except FOREIGN as error:
            raise explained(error, target.host) from error
        finally:
            response.close()

    def _check(self, target: Origin, credential: Credential | None) -> None:
        plain = target.scheme == "http"
        if plain and not (self.origin.scheme == "http" and address.is_loopback(target.host)):
            raise refused(f"cannot pull image: the token service {target} of {self.origin} is without TLS")
        if credential is not None and not address.may_send_credentials(self.origin, target):
            raise refused(
                f"cannot pull image: {self.origin} wants the credentials sent to {target}, which is not its own"
            )

    def _kind(self, target: Origin) -> Kind:
        if target.scheme == "http":
            return Kind.PLAIN
        return Kind.HOME if target.host == self.origin.host else Kind.AWAY

    async def _ask(
        self, realm: str, kind: Kind, query: dict[str, str], credential: Credential | None
    ) -> aiohttp.ClientResponse:
        if credential is not None and credential.identity:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": credential.identity,
                "client_id": _CLIENT,
                **query,
            }
            return await self.dialer.post(kind, realm, {}, form)
        headers = {"Authorization": credential.basic} if credential and credential.basic else {}
        return await self.dialer.get(kind, str(URL(realm, encoded=True).update_query(query)), headers)

    async def _read(self, response: aiohttp.ClientResponse, target: Origin) -> str | None:
        if response.status in (401, 403):
            return None
        if response.status != 200:
            raise unexpected(response, f"the token service {target}")
        data = await response.content.read(_LARGEST)
        while len(data) < _LARGEST and (more := await response.content.read(_LARGEST)):
            data += more
        body = document.parsed(data, f"the answer of the token service {target}")
        token = document.text(body, "token") or document.text(body, "access_token")
        if _TOKEN.fullmatch(token) is None:
            raise refused(f"cannot pull image: the token service {target} gave no token")
        return token


def unexpected(response: aiohttp.ClientResponse, who: str) -> PullFailed:
    """The refusal for a status that is no success; a wait that was asked for is passed on."""
    wait = retry_after(response.headers.get("Retry-After", ""))
    if response.status == 429:
        return refused(f"cannot pull image: {who} says there were too many requests", retry_after=wait)
    if response.status >= 500:
        return refused(f"cannot pull image: {who} is in trouble (HTTP {response.status})", retry_after=wait)
    return refused(f"cannot pull image: {who} answers HTTP {response.status}")


_LONGEST_WAIT = 3600.0


def retry_after(value: str) -> float | None:
    """Seconds to wait, at most an hour; None when the header is missing or a date (R58: no wall clock decides)."""
    return min(float(value), _LONGEST_WAIT) if re.fullmatch(r"[0-9]{1,9}", value.strip()) else None
