"""Who calls: verifies JSON Web Tokens against the issuer's key set."""

import asyncio
import hashlib
import http.client
import json
import urllib.request
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final, Protocol

import jwt
import structlog

from plumbline_kit.clock import Clock
from plumbline_kit.errors import PermissionDenied, Unauthenticated, Unavailable
from plumbline_kit.identity import Identity
from plumbline_kit.settings import ServiceSettings

log = structlog.get_logger()

ALGORITHMS: Final = ("RS256", "ES256")
LEEWAY_SECONDS: Final = 30
REFRESH_SECONDS: Final = 30.0
FETCH_SECONDS: Final = 3.0
RETRY_SECONDS: Final = 1.0
OLD_SECONDS: Final = 300.0
"""A key that its issuer withdraws is refused after this long and `REMEMBER_SECONDS`, if the issuer can be reached."""
LARGEST_KEY_SET: Final = 1_000_000
REMEMBERED_TOKENS: Final = 4096
REMEMBER_SECONDS: Final = 60.0


class KeySource(Protocol):
    """Where the issuer's keys come from."""

    async def keys(self, *, unknown: str | None = None) -> jwt.PyJWKSet:
        """The key set; read again if *unknown* is a key id that the last one lacked. Raises `Unavailable`."""
        ...


class FileKeys:
    """A JWKS file, read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, jwt.PyJWKSet] | None = None

    async def keys(self, *, unknown: str | None = None) -> jwt.PyJWKSet:
        """See `KeySource`."""
        try:
            changed = self._path.stat().st_mtime_ns
            if self._read is None or self._read[0] != changed:
                self._read = changed, _parse(self._path.read_bytes())
        except OSError as error:
            raise Unavailable(f"the key set {self._path} cannot be read: {error.strerror}") from error
        return self._read[1]


class UrlKeys:
    """A JWKS at a URL, fetched at first use, when it is old, and for an unknown key at most every 30 seconds.

    Only those wait for a fetch who need a key that is not there; a set that cannot be renewed stays in use.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._set: jwt.PyJWKSet | None = None
        self._problem = f"the key set {url} has not been fetched yet"
        self._tried = float("-inf")
        self._lock = asyncio.Lock()

    async def keys(self, *, unknown: str | None = None) -> jwt.PyJWKSet:
        """See `KeySource`."""
        needs_more = self._set is None or unknown is not None
        if self._is_due(unknown) or (needs_more and self._lock.locked()):
            async with self._lock:
                if self._is_due(unknown):  # nobody fetched while this one waited
                    await self._renew()
        if self._set is None:
            raise Unavailable(self._problem)
        return self._set

    def _is_due(self, unknown: str | None) -> bool:
        age = self._clock.monotonic() - self._tried
        if self._set is None:
            return age >= RETRY_SECONDS
        return age >= (OLD_SECONDS if unknown is None else REFRESH_SECONDS)

    async def _renew(self) -> None:
        self._tried = self._clock.monotonic()
        try:
            self._set = await asyncio.to_thread(self._fetch)
        except Unavailable as error:
            self._problem = str(error)
            log.warning("key_set_not_renewed", reason=self._problem)

    def _fetch(self) -> jwt.PyJWKSet:
        try:
            with urllib.request.urlopen(self._url, timeout=FETCH_SECONDS) as reply:
                return _parse(reply.read(LARGEST_KEY_SET))
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"the key set {self._url} cannot be fetched: {error}") from error


def _parse(content: bytes) -> jwt.PyJWKSet:
    try:
        return jwt.PyJWKSet.from_dict(json.loads(content))
    except (ValueError, AttributeError, jwt.PyJWTError) as error:  # AttributeError: JSON, but no object
        raise Unavailable(f"the key set is not a JWKS: {error}") from error


class TokenVerifier:
    """Turns a token into an identity. What was verified is remembered for a minute."""

    def __init__(
        self, keys: KeySource, *, issuer: str, audience: str, clock: Clock, remembered: int = REMEMBERED_TOKENS
    ) -> None:
        self._keys = keys
        self._most_remembered = remembered
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._remembered: OrderedDict[bytes, tuple[float, Identity]] = OrderedDict()

    @classmethod
    def from_settings(cls, settings: ServiceSettings, clock: Clock) -> "TokenVerifier":
        """A verifier of the issuer that *settings* name."""
        place = settings.auth_jwks
        keys = UrlKeys(place, clock) if place.startswith(("http://", "https://")) else FileKeys(Path(place))
        return cls(keys, issuer=settings.auth_issuer, audience=settings.auth_audience, clock=clock)

    async def verify(self, token: str) -> Identity:
        """The caller that *token* speaks for. Raises `Unauthenticated`, or `Unavailable` without a key set."""
        digest = hashlib.sha256(token.encode()).digest()
        known = self._remembered.get(digest)
        if known is not None and self._clock.now().timestamp() < known[0]:
            return known[1]
        claims = await self._claims(token)
        identity = _identity(claims)
        now = self._clock.now().timestamp()
        self._remember(digest, min(float(claims["exp"]) + LEEWAY_SECONDS, now + REMEMBER_SECONDS), identity)
        return identity

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            return self._decode(token, await self._key(token))
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("the token has expired") from error
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the token is not valid: {error}") from error

    async def _key(self, token: str) -> jwt.PyJWK:
        key_id = jwt.get_unverified_header(token).get("kid")
        for unknown in (None, key_id or ""):
            found = (await self._keys.keys(unknown=unknown)).keys
            matching = [key for key in found if key_id in (key.key_id, None)]
            if len(matching) == 1:
                return matching[0]
        raise Unauthenticated("the token names no key of its issuer")

    def _decode(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            issuer=self._issuer,
            audience=self._audience,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
        return claims

    def _remember(self, digest: bytes, until: float, identity: Identity) -> None:
        self._remembered[digest] = until, identity
        if len(self._remembered) > self._most_remembered:
            self._remembered.popitem(last=False)


def _identity(claims: dict[str, Any]) -> Identity:
    tenant, groups = claims.get("tenant"), claims.get("groups", [])
    if not isinstance(tenant, str) or not tenant or "/" in tenant:
        raise Unauthenticated("the token names no tenant")
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise Unauthenticated("the token's groups are not a list of names")
    scopes = frozenset(str(claims.get("scope", "")).split())
    return Identity(tenant, str(claims["sub"]), tuple(sorted(set(groups))), scopes)


def require_scope(identity: Identity, wanted: str) -> None:
    """Raise `PermissionDenied` unless the token holds *wanted*, or one of several as in "ask|documents.read"."""
    if identity.scopes.isdisjoint(wanted.split("|")):
        raise PermissionDenied(f"the token lacks the scope {' or '.join(wanted.split('|'))}")
