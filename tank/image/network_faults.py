"""What can go wrong between here and a registry, in words for a person. Foreign errors end here."""

from __future__ import annotations

import errno
import os
import ssl

import aiohttp

from tank.errors import PullFailed
from tank.image.refusal import refused, shown

# ValueError is what aiohttp says of a URL or header that cannot be sent.
FOREIGN = (aiohttp.ClientError, TimeoutError, OSError, ValueError)
_BROKEN = (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, OSError)


def is_not_tls(error: Exception) -> bool:
    """Whether the other side failed to speak TLS at all, rather than to be trusted."""
    if isinstance(error, ssl.SSLCertVerificationError | aiohttp.ClientConnectorCertificateError):
        return False
    if isinstance(error, ssl.SSLError | aiohttp.ServerDisconnectedError):
        return True
    return isinstance(error, OSError) and error.errno == errno.ECONNRESET


def explained(error: Exception, host: str) -> PullFailed:
    """The error to raise for a foreign one that was met with `host`."""
    return refused(f"cannot pull image: {_words(error, shown(host)[1:-1])}")


def _words(error: Exception, host: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        inner = getattr(error, "certificate_error", error)
        why = getattr(inner, "verify_message", "") or "it is not for this host"
        return f"the certificate of {host} is not trusted: {why}"
    if isinstance(error, ssl.SSLError):
        return f"{host} does not answer in TLS"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the host {host} is not known"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"cannot connect to {host}: no answer in time"
    if isinstance(error, TimeoutError):
        return f"{host} is silent for too long"
    if isinstance(error, aiohttp.ClientConnectorError):
        return _unconnected(error.os_error.errno or 0, host)
    if isinstance(error, _BROKEN):
        return f"{host} broke off the connection"
    return f"{host} does not answer in proper HTTP"


def _unconnected(number: int, host: str) -> str:
    if number == errno.EACCES:  # said by the gate in tank.image.dial
        return f"the registry leads to {host}, an address to which it may not lead"
    return f"cannot connect to {host}: {os.strerror(number).lower() if number else 'no address answers'}"
