"""An authenticator in software: what a browser and a security key would answer, as dishonest as a test wants it."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Authenticator:
    """One passkey. `counter` is what it says next; `knows_owner` whether it checked a PIN or a finger."""

    def __init__(self, origin: str, *, counter: int = 1, knows_owner: bool = True) -> None:
        self.origin, self.counter, self.knows_owner = origin, counter, knows_owner
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(32)
        self.handle = b""

    def create(self, begun: dict[str, Any], **client: Any) -> dict[str, Any]:
        """The answer to a registration, in the short form."""
        self.handle = base64.urlsafe_b64decode(begun["options"]["user"]["id"] + "==")
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(public)
        data = self._data(begun["rpId"], 0x40) + attested
        return {
            "clientDataJSON": b64(self._client("webauthn.create", begun["challenge"], client)),
            "attestationObject": b64(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
        }

    def get(self, begun: dict[str, Any], **client: Any) -> dict[str, Any]:
        """The answer to a login, in the short form."""
        data = self._data(client.pop("rp_id", begun["rpId"]), 0)
        said = self._client("webauthn.get", begun["challenge"], client)
        signature = self.key.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(SHA256()))
        return {
            "credentialId": b64(self.id),
            "authenticatorData": b64(data),
            "clientDataJSON": b64(said),
            "signature": b64(signature),
        }

    def _data(self, rp_id: str, flags: int) -> bytes:
        flags |= 0x01 | (0x04 if self.knows_owner else 0)
        count, self.counter = self.counter, self.counter + 1 if self.counter else 0
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + count.to_bytes(4, "big")

    def _client(self, kind: str, challenge: str, changed: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False} | changed
        return json.dumps(said).encode()
