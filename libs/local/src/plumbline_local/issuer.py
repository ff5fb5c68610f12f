"""The local token issuer: a key, the key set that services verify with, and a developer's token."""

import json
import time
from collections.abc import Sequence
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from jwt.algorithms import ECAlgorithm

from plumbline_local.layout import Layout, write_private
from plumbline_local.locks import locked

ISSUER: Final = "plumbline-local"
AUDIENCE: Final = "plumbline"
KEY_ID: Final = "local-1"
DEVELOPER_TENANT: Final = "demo"
SCOPES: Final = "ask documents.read documents.write cache.read cache.write evaluate index.write"
DEVELOPER_SECONDS: Final = 30 * 24 * 3600


def issue(layout: Layout) -> None:
    """Make the key and its key set where they are missing, and a fresh developer's token (`auth/token`)."""
    write_private(layout.auth / "token", mint_token(layout))


def ensure_key(layout: Layout) -> None:
    """Make the key and its key set where they are missing; tokens that were given out stay valid."""
    with locked(layout.lock("key")):
        if not (layout.auth / "jwks.json").exists():
            _make_key(layout)


def _make_key(layout: Layout) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    keys = {"keys": [{**public, "kid": KEY_ID, "alg": "ES256", "use": "sig"}]}
    write_private(layout.auth / "key.pem", pem)
    write_private(layout.auth / "jwks.json", json.dumps(keys, indent=2))


def mint_token(
    layout: Layout,
    *,
    tenant: str = DEVELOPER_TENANT,
    groups: Sequence[str] = (),
    scopes: str = SCOPES,
    seconds: float = DEVELOPER_SECONDS,
    subject: str = "developer",
) -> str:
    """A token of the local issuer; *scopes* are separated by spaces. A negative *seconds* makes an expired one."""
    ensure_key(layout)
    key = (layout.auth / "key.pem").read_bytes()
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + int(seconds)}
    claims |= {"tenant": tenant, "groups": list(groups), "scope": scopes}
    return jwt.encode(claims, key, algorithm="ES256", headers={"kid": KEY_ID})
