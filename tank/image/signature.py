"""Signatures as cosign makes them with a key pair, read and verified. Pure but for the cryptography it loads.

Two forms. *Simple signing*: a small JSON payload that names the digest of the image, signed as it is; the signature
stands beside it. *Bundle*: a DSSE envelope around an in-toto statement whose subject is the image; here the type
of the statement counts too, since the same key also signs attestations, which say nothing of who let an image out.
What was signed must name the very digest that is asked for: a genuine signature of another image is none. Who it
was signed as (`docker-reference`) is not looked at, as cosign does not: an image may be copied to another registry.

`cryptography` is loaded when the first signature is verified, and never where no rule asks for one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tank.errors import PullFailed
from tank.image import document
from tank.image.document import Object
from tank.image.refusal import UNSIGNED, shown

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
ANNOTATION = "dev.cosignproject.cosign/signature"
BUNDLE = "application/vnd.dev.sigstore.bundle"  # .v0.3+json, and those to come
_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/"
_SIGNED = "https://sigstore.dev/cosign/sign/v1"
_SIMPLE_TYPES = ("cosign container image signature", "atomic container signature")
_LEAST_RSA = 2048  # bits


def unsigned(message: str) -> PullFailed:
    """The refusal of an image whose signature is missing or wrong."""
    return PullFailed(UNSIGNED, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a signature says: `signed` are the very bytes under `signature`, `digests` the images they name."""

    signed: bytes
    signature: bytes
    digests: frozenset[str]


def simple(payload: bytes, signature: str) -> Claim:
    """The claim of a simple-signing payload with its signature in base64. Raises PullFailed."""
    body = document.parsed(payload, "signature")
    critical = document.mapping(body, "critical")
    kind = document.text(critical, "type")
    if kind not in _SIMPLE_TYPES:
        raise unsigned(f"it is of type {shown(kind)}")
    digest = document.text(document.mapping(critical, "image"), "docker-manifest-digest")
    return Claim(signed=payload, signature=_decoded(signature), digests=frozenset({digest}))


def bundle(data: bytes) -> Claim:
    """The claim of a sigstore bundle. Raises PullFailed."""
    envelope = document.mapping(document.parsed(data, "signature bundle"), "dsseEnvelope")
    kind, payload = document.text(envelope, "payloadType"), _decoded(document.text(envelope, "payload"))
    if kind != _PAYLOAD:
        raise unsigned(f"its envelope holds {shown(kind)}")
    signatures = document.items(envelope, "signatures")
    if len(signatures) != 1 or not isinstance(signatures[0], dict):
        raise unsigned("its envelope has not exactly one signature")
    statement = document.parsed(payload, "signed statement")
    return Claim(
        signed=_authenticated(kind, payload),
        signature=_decoded(document.text(signatures[0], "sig")),
        digests=_subjects(statement),
    )


def _authenticated(kind: str, payload: bytes) -> bytes:
    """What a DSSE signature is over: type and payload, each with its length."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def _subjects(statement: Object) -> frozenset[str]:
    if not document.text(statement, "_type").startswith(_STATEMENT):
        raise unsigned("what is signed is no statement")
    kind = document.text(statement, "predicateType")
    if kind != _SIGNED:
        raise unsigned(f"it is an attestation of type {shown(kind)}, which lets no image in")
    subjects = [each for each in document.items(statement, "subject") if isinstance(each, dict)]
    return frozenset(f"sha256:{document.text(document.mapping(each, 'digest'), 'sha256')}" for each in subjects)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise unsigned("it is not in base64") from error


@dataclass(frozen=True, slots=True)
class Key:
    """A public key in PEM. `mark` tells one file content from another."""

    pem: bytes

    @property
    def mark(self) -> str:
        return hashlib.sha256(self.pem.strip()).hexdigest()

    def check(self, claim: Claim, digest: str) -> None:
        """Raises PullFailed unless this key signed exactly that digest. Loads cryptography; call it in a thread."""
        if digest not in claim.digests:
            raise unsigned(f"it is of another image: {', '.join(shown(each) for each in sorted(claim.digests))}")
        if not _verifies(self._loaded(), claim):
            raise unsigned("it was made with another key, or altered")

    def _loaded(self) -> PublicKeyTypes:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            return load_pem_public_key(self.pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise unsigned("the key is not a public key in PEM") from error


def _verifies(key: PublicKeyTypes, claim: Claim) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

    try:
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(claim.signature, claim.signed, ec.ECDSA(hashes.SHA256()))
            case ed25519.Ed25519PublicKey():
                key.verify(claim.signature, claim.signed)
            case rsa.RSAPublicKey() if key.key_size >= _LEAST_RSA:
                key.verify(claim.signature, claim.signed, padding.PKCS1v15(), hashes.SHA256())
            case _:
                raise unsigned("the key is of a kind that signs no images: ECDSA, Ed25519 or RSA of 2048 bits")
    except InvalidSignature:
        return False
    return True
