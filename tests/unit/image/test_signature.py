"""Signatures as cosign makes them, genuine and not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tank.errors import PullFailed
from tank.image import signature
from tank.image.signature import Key
from tests import signing

IMAGE = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
KEY = signing.p256()
SHORT = rsa.generate_private_key(65537, 1024)  # noqa: S505 - too short, which is the point


def signed(data: bytes, key: signing.Private = KEY) -> str:
    return base64.b64encode(signing.sign(key, data)).decode()


@pytest.mark.parametrize(
    "key",
    [signing.p256(), ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)],
    ids=["p256", "ed25519", "rsa"],
)
def test_a_genuine_signature_is_one(key: signing.Private) -> None:
    data = signing.payload(IMAGE)

    Key(signing.pem(key)).check(signature.simple(data, signed(data, key)), IMAGE)
    Key(signing.pem(key)).check(signature.bundle(signing.bundle(key, IMAGE)), IMAGE)


def test_a_signature_of_another_image_is_none() -> None:
    data = signing.payload(OTHER)

    for claim in (signature.simple(data, signed(data)), signature.bundle(signing.bundle(KEY, OTHER))):
        with pytest.raises(PullFailed, match="of another image") as error:
            Key(signing.pem(KEY)).check(claim, IMAGE)
        assert error.value.reason == "SignatureValidationFailed"


def test_a_signature_of_another_key_is_none() -> None:
    data = signing.payload(IMAGE)
    stranger = Key(signing.pem(signing.p256()))

    for claim in (signature.simple(data, signed(data)), signature.bundle(signing.bundle(KEY, IMAGE))):
        with pytest.raises(PullFailed, match="another key, or altered"):
            stranger.check(claim, IMAGE)


def test_every_altered_byte_of_what_was_signed_is_noticed() -> None:
    data = signing.payload(IMAGE)
    whole, key = signed(data), Key(signing.pem(KEY))
    altered = 0
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(PullFailed):
            key.check(signature.simple(changed, whole), IMAGE)
        altered += 1

    assert altered == len(data)


def envelope(**fields: object) -> bytes:
    body = json.loads(signing.bundle(KEY, IMAGE))
    body["dsseEnvelope"] |= fields
    return json.dumps(body).encode()


MALFORMED: dict[str, Callable[[], object]] = {
    "no JSON": lambda: signature.simple(b"x", signed(b"x")),
    "a list": lambda: signature.simple(b"[]", signed(b"[]")),
    "another type": lambda: signature.simple(d := signing.payload(IMAGE, type="atomic blob"), signed(d)),
    "no image": lambda: Key(signing.pem(KEY)).check(
        signature.simple(d := signing.payload(IMAGE, image={}), signed(d)), IMAGE
    ),
    "an image that is a number": lambda: signature.simple(d := signing.payload(IMAGE, image=5), signed(d)),
    "no base64": lambda: signature.simple(signing.payload(IMAGE), "!!!"),
    "an empty signature": lambda: Key(signing.pem(KEY)).check(signature.simple(signing.payload(IMAGE), ""), IMAGE),
    "a key twice": lambda: signature.simple(b'{"critical":{},"critical":{}}', ""),
    "a bundle without an envelope": lambda: signature.bundle(b"{}"),
    "a bundle of another payload type": lambda: signature.bundle(envelope(payloadType="text/plain")),
    "a bundle without signatures": lambda: signature.bundle(envelope(signatures=[])),
    "a bundle with two signatures": lambda: signature.bundle(envelope(signatures=[{"sig": ""}, {"sig": ""}])),
    "a bundle whose payload is no statement": lambda: signature.bundle(envelope(payload="e30=")),
    "a bundle whose payload is no JSON": lambda: signature.bundle(envelope(payload="eA==")),
    "an attestation": lambda: signature.bundle(signing.bundle(KEY, IMAGE, predicate="https://slsa.dev/provenance/v1")),
    "no key": lambda: Key(b"").check(signature.bundle(signing.bundle(KEY, IMAGE)), IMAGE),
    "a private key": lambda: Key(b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n").check(
        signature.bundle(signing.bundle(KEY, IMAGE)), IMAGE
    ),
    "a short RSA key": lambda: Key(signing.pem(SHORT)).check(signature.bundle(signing.bundle(KEY, IMAGE)), IMAGE),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_no_signature_is_refused(case: str) -> None:
    with pytest.raises(PullFailed):
        MALFORMED[case]()


def test_a_key_of_another_curve_signs_too() -> None:
    key = ec.generate_private_key(ec.SECP384R1())

    Key(signing.pem(key)).check(signature.bundle(signing.bundle(key, IMAGE)), IMAGE)
