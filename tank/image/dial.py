"""HTTP to one registry and to the hosts that it names, with each connection's address checked (S26) and timed (R57).

Three kinds of connection. HOME: to the registry, over TLS, wherever it is; PLAIN: to a registry on this machine,
without TLS; AWAY: to hosts that a redirect or a token realm named. The check is made where the socket is opened, on
the very address, so that no name can resolve to one thing for the check and to another for the connection.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from tank.errors import PullFailed
from tank.image.address import Reach, may_connect, reach
from tank.image.network_faults import FOREIGN, explained, is_not_tls
from tank.image.refusal import refused
from tank.model.registry_fields import Registry

_READ_AHEAD = 2**20
_LONGEST_HEADER = 32_768  # signed URLs of object stores are long


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a registry may take, in seconds, and the bytes a second it must bring over each `window`.

    All the waiting for a blob may take `longest`, and as long again as what has come takes at `pace`: less than that is
    no download, and what has come is kept for the next try.
    """

    connect: float = 5.0
    resolve: float = 10.0
    silence: float = 15.0  # before the first byte and between any two
    document: float = 60.0  # for the whole of a manifest, configuration or token
    floor: float = 1024.0
    window: float = 30.0
    pace: float = 16_384.0
    longest: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom we trust beside the system's authorities, and who we are where a registry asks for a certificate."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @classmethod
    def of(cls, configured: Registry | None) -> Identity:
        """As the settings have it."""
        return cls(ca=configured.ca, cert=configured.cert, key=configured.key) if configured else cls()

    def stamp(self) -> tuple[object, ...]:
        """What differs once one of the files has been replaced. Costs a stat for each."""
        return tuple(_stamp(each) for each in (self.ca, self.cert, self.key) if each is not None)


class Kind(Enum):
    """What a connection is for."""

    HOME = "home"
    PLAIN = "plain"
    AWAY = "away"


class Dialer:
    """Sessions to one registry's hosts, made when first needed. `home` is where the registry was found to be."""

    def __init__(self, identity: Identity, patience: Patience, resolver: AbstractResolver | None = None) -> None:
        self.home: set[Reach] = set()
        self._identity, self._patience, self._resolver = identity, patience, resolver
        self._sessions: dict[Kind, aiohttp.ClientSession] = {}
        self._tls: dict[Kind, tuple[object, ssl.SSLContext]] = {}  # and what its files were like

    async def get(self, kind: Kind, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """The answer to a GET, whatever its status; a redirect is not followed. Raises PullFailed."""
        return await self._ask(kind, "GET", url, headers, None)

    async def post(
        self, kind: Kind, url: str, headers: Mapping[str, str], form: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """The answer to a POST of a form. Raises PullFailed."""
        return await self._ask(kind, "POST", url, headers, form)

    async def speaks_tls(self, url: str) -> bool:
        """Whether there is TLS at `url`. Raises PullFailed on no answer, and on a certificate not trusted."""
        session, tls = self._session(Kind.HOME), await self._context(Kind.HOME)
        try:
            async with (
                asyncio.timeout(self._patience.document),
                session.get(_target(url), allow_redirects=False, ssl=tls),
            ):
                return True
        except FOREIGN as error:
            if is_not_tls(error):
                return False
            raise explained(error, URL(url).host or "") from error

    async def _ask(
        self, kind: Kind, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> aiohttp.ClientResponse:
        session, tls = self._session(kind), await self._context(kind)
        target = _target(url)
        try:
            async with asyncio.timeout(self._patience.document):  # a head may drip, too
                return await session.request(method, target, headers=headers, data=form, allow_redirects=False, ssl=tls)
        except FOREIGN as error:
            raise explained(error, target.host or "") from error

    def _session(self, kind: Kind) -> aiohttp.ClientSession:
        if kind not in self._sessions:
            self._sessions[kind] = self._made(kind)
        return self._sessions[kind]

    async def _context(self, kind: Kind) -> ssl.SSLContext:
        """As the files are now: certificates are renewed while we run. A connection keeps those it began with.

        Files that are replaced one after the other do not fit for a moment: until they do, those that did count.
        """
        # Our certificate is shown to the registry alone, like our password.
        identity = self._identity if kind is Kind.HOME else Identity(ca=self._identity.ca)
        stamp, held = identity.stamp(), self._tls.get(kind)
        if held is None or held[0] != stamp:
            try:
                held = self._tls[kind] = stamp, await asyncio.to_thread(_context, identity)
            except PullFailed:
                if held is None:
                    raise
        return held[1]

    def _made(self, kind: Kind) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0, resolver=self._resolver, socket_factory=lambda found: self._socket(kind, found)
        )
        return aiohttp.ClientSession(
            connector=connector,
            connector_owner=True,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"User-Agent": "tank", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(
                total=None,
                connect=self._patience.connect + self._patience.resolve,
                sock_connect=self._patience.connect,
                sock_read=self._patience.silence,
            ),
            read_bufsize=_READ_AHEAD,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
        )

    def _socket(self, kind: Kind, found: aiohttp.AddrInfoType) -> socket.socket:
        """The gate through which every connection goes."""
        family, type_, protocol, _, address = found
        place = reach(ipaddress.ip_address(str(address[0]).partition("%")[0]))
        if kind is Kind.HOME or (kind is Kind.PLAIN and place is Reach.LOOPBACK):
            self.home.add(place)
        elif kind is Kind.PLAIN or not may_connect(place, self.home):
            raise PermissionError(errno.EACCES, "address not allowed")
        return socket.socket(family, type_, protocol)

    async def close(self) -> None:
        """End every connection."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()


def _target(url: str) -> URL:
    """The URL as it is, nothing quoted anew: object stores sign it. Raises PullFailed."""
    try:
        return URL(url, encoded=True)
    except ValueError as error:
        raise refused("cannot pull image: the registry leads to a URL that cannot be asked for") from error


def _context(identity: Identity) -> ssl.SSLContext:
    """The system's authorities, a private one beside them, and our own certificate. Raises PullFailed."""
    context = ssl.create_default_context()
    ca, cert, key = identity.ca, identity.cert, identity.key
    if ca is not None:
        with _reading(f"the certificate authority {ca}", "it holds no certificate"):
            context.load_verify_locations(ca)
    if cert is not None:
        with _reading(f"the client certificate {cert} with its key {key}", "they are no pair in PEM"):
            context.load_cert_chain(cert, key, password=_no_password)
    return context


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _no_password() -> str:
    """OpenSSL would ask a terminal for the password of an encrypted key."""
    return ""


@contextmanager
def _reading(what: str, fault: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ssl.SSLError) as error:
        why = fault if isinstance(error, ssl.SSLError) else error.strerror
        raise refused(f"cannot pull image: cannot read {what}: {why}") from error
