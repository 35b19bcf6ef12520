"""A GET request from inside the pod, judged by its status (C2).

200-399 is success. A redirect to the same host is followed, up to ten times; one to another host is a success with
a warning, and is not followed: who answers there says nothing of this container. Certificates are not checked, no
proxy is asked, and of the body 10 KiB are read and thrown away.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from tank.model.health import HttpAction
from tank.model.launch import Answer, Target
from tank.runtime.asking import Place, port_of, resolve, words

AGENT = "tank-probe"
MOST_REDIRECTS = 10
_BODY = 10 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)
_FOREVER = aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None)  # who asks keeps the time


async def ask_http(place: Place, target: Target, action: HttpAction) -> Answer:
    """Ask, and follow where that is allowed. Raises OSError, Failed."""
    address = await resolve(target, action.host)
    url = _first(action, action.host or address, port_of(target, action.port))
    for _ in range(MOST_REDIRECTS + 1):
        try:
            status, location = await _get(place, address, url, action.headers)
        except aiohttp.ClientError as error:
            return Answer(good=False, message=f"GET {url}: {_words(error)}")
        onward = _onward(url, status, location)
        if onward is None:
            return _judged(url, status)
        if onward.host != url.host or onward.scheme not in ("http", "https"):
            return Answer(good=True, message=f"GET {url}: a redirect to {onward} was not followed: it is another host")
        url = onward
    return Answer(good=False, message=f"GET {url}: more than {MOST_REDIRECTS} redirects")


def _first(action: HttpAction, host: str, port: int) -> URL:
    named = f"[{host}]" if ":" in host and not host.startswith("[") else host
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    return URL(f"{action.scheme}://{named}:{port}{path}", encoded=True)


def _onward(url: URL, status: int, location: str) -> URL | None:
    """Where the answer sends us; None: it is the answer."""
    if status not in _REDIRECTS or not location:
        return None
    try:
        return url.join(URL(location))
    except ValueError:
        return None


def _judged(url: URL, status: int) -> Answer:
    if 200 <= status < 400:
        return Answer(good=True)
    return Answer(good=False, message=f"GET {url}: status {status}")


async def _get(place: Place, address: str, url: URL, headers: Mapping[str, str]) -> tuple[int, str]:
    """Status, and where it sends us."""
    with await place.open(address) as opened:
        connector = aiohttp.TCPConnector(
            resolver=_Here(address), socket_factory=lambda _: opened, force_close=True, use_dns_cache=False, ssl=False
        )
        own = {"User-Agent": AGENT, "Accept": "*/*"}
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=_FOREVER,
                headers=own,
                auto_decompress=False,
                skip_auto_headers=("Accept-Encoding",),
            ) as session,
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            await response.content.read(_BODY)
            return response.status, response.headers.get("Location", "")


class _Here(AbstractResolver):
    """Every name is at the one address that was found for it."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        known = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        return [
            ResolveResult(
                hostname=host, host=self._address, port=port, family=known, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        """Nothing to let go of."""


def _words(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return words(error.os_error)
    return str(error) or type(error).__name__
