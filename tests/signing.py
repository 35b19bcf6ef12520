"""Signatures of images in the very forms that cosign pushes, made with `cryptography` and pushed to a registry."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
ARTIFACT = "application/vnd.dev.cosign.artifact.sig.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE = "https://sigstore.dev/cosign/sign/v1"
IN_TOTO = "application/vnd.in-toto+json"

Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def p256() -> ec.EllipticCurvePrivateKey:
    """What `cosign generate-key-pair` makes."""
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: Private) -> bytes:
    """cosign.pub."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form)


def sign(key: Private, data: bytes) -> bytes:
    """As each kind of key signs."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(hashes.SHA256()))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(data)


def payload(digest: str, **changed: Any) -> bytes:
    """A simple-signing payload."""
    critical = {
        "identity": {"docker-reference": "registry.example.org/team/app"},
        "image": {"docker-manifest-digest": digest},
        "type": "cosign container image signature",
    }
    return json.dumps({"critical": {**critical, **changed}, "optional": None}).encode()


def bundle(key: Private, digest: str, *, predicate: str = PREDICATE, kind: str = IN_TOTO) -> bytes:
    """A sigstore bundle with a DSSE envelope around an in-toto statement."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": digest.removeprefix("sha256:")}}],
        "predicateType": predicate,
        "predicate": {},
    }
    body = json.dumps(statement).encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(body), body)
    signature = base64.b64encode(sign(key, signed)).decode()
    envelope = {
        "payload": base64.b64encode(body).decode(),
        "payloadType": kind,
        "signatures": [{"sig": signature, "keyid": ""}],
    }
    hint = base64.b64encode(hashlib.sha256(pem(key)).digest()).decode()
    material = {"publicKey": {"hint": hint}, "tlogEntries": [], "timestampVerificationData": {}}
    return json.dumps({"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": envelope}).encode()


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository of a plain registry, spoken to directly. `address` is host:port."""

    address: str
    name: str

    def request(self, method: str, path: str, body: bytes = b"", kind: str = "") -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of the answer."""
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            headers = {"Content-Type": kind, "Accept": f"{OCI_MANIFEST}, {OCI_INDEX}"} if kind else {}
            url = path if path.startswith("http") else f"/v2/{self.name}/{path}"
            connection.request(method, url.removeprefix(f"http://{self.address}"), body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())
        finally:
            connection.close()

    def digest(self, tag: str) -> str:
        """What a tag means."""
        status, body, _ = self.request("GET", f"manifests/{tag}", kind="application/json")
        assert status == 200, body
        return digest_of(body)

    def blob(self, kind: str, data: bytes, **more: Any) -> dict[str, Any]:
        """Push a blob; its descriptor."""
        status, body, headers = self.request("POST", "blobs/uploads/")
        assert status == 202, body
        where, digest = headers["Location"], digest_of(data)
        url = f"{where}{'&' if '?' in where else '?'}digest={digest}"
        status, body, _ = self.request("PUT", url, data, "application/octet-stream")
        assert status == 201, body
        return {"mediaType": kind, "digest": digest, "size": len(data), **more}

    def manifest(self, body: dict[str, Any], tag: str | None = None) -> dict[str, Any]:
        """Push a manifest or index, under a tag or its digest; its descriptor."""
        data = json.dumps(body).encode()
        status, said, _ = self.request("PUT", f"manifests/{tag or digest_of(data)}", data, body["mediaType"])
        assert status == 201, said
        return {"mediaType": body["mediaType"], "digest": digest_of(data), "size": len(data)}

    def attach(self, digest: str, *signatures: tuple[bytes, bytes]) -> None:
        """Payloads with their signatures under the tag `sha256-….sig`, as cosign 1 and 2 do."""
        self.manifest(self._simple(signatures, CONFIG), f"{digest.replace(':', '-')}.sig")

    def refer(self, digest: str, *signatures: tuple[bytes, bytes]) -> None:
        """The same as a referrer of the image, as cosign 2 does with `--registry-referrers-mode=oci-1-1`."""
        self._index(
            digest, {**self.manifest({**self._simple(signatures, ARTIFACT), "subject": _subject(digest)})}, ARTIFACT
        )

    def refer_bundle(self, digest: str, data: bytes, kind: str = BUNDLE) -> None:
        """A bundle as a referrer of the image, as cosign 3 does."""
        body = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": kind,
            "config": self.blob("application/vnd.oci.empty.v1+json", b"{}"),
            "layers": [self.blob(BUNDLE, data)],
            "subject": _subject(digest),
            "annotations": {
                "dev.sigstore.bundle.content": "dsse-envelope",
                "dev.sigstore.bundle.predicateType": PREDICATE,
            },
        }
        self._index(digest, self.manifest(body), kind)

    def _simple(self, signatures: tuple[tuple[bytes, bytes], ...], config: str) -> dict[str, Any]:
        annotation = "dev.cosignproject.cosign/signature"
        layers = [
            self.blob(SIMPLE, signed, annotations={annotation: base64.b64encode(signature).decode()})
            for signed, signature in signatures
        ]
        settings = json.dumps(
            {"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}
        )
        return {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.blob(config, settings.encode()),
            "layers": layers,
        }

    def _index(self, digest: str, referrer: dict[str, Any], kind: str) -> None:
        """A registry of distribution 1.0 has no referrers API: clients keep an index under a tag."""
        tag = digest.replace(":", "-")
        status, body, _ = self.request("GET", f"manifests/{tag}", kind="application/json")
        before = json.loads(body)["manifests"] if status == 200 else []
        found = [*before, {**referrer, "artifactType": kind}]
        self.manifest({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}, tag)


CONFIG = "application/vnd.oci.image.config.v1+json"


def _subject(digest: str) -> dict[str, Any]:
    return {"mediaType": OCI_MANIFEST, "digest": digest, "size": 1}


def digest_of(data: bytes) -> str:
    """By which data is addressed."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def write_key(key: Private, path: Path) -> Path:
    """The public half in a file."""
    path.write_bytes(pem(key))
    return path
