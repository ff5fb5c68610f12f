"""For tests: time that obeys, tokens of an issuer in the process, settings that disturb nobody, and patience."""

import asyncio
import inspect
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from plumbline_kit.auth import FileKeys, TokenVerifier
from plumbline_kit.clock import Clock, SystemClock
from plumbline_kit.settings import Env, ServiceSettings

T = TypeVar("T")

ISSUER: Final = "test-issuer"
AUDIENCE: Final = "plumbline"
ALL_SCOPES: Final = "ask documents.read documents.write cache.read cache.write evaluate index.write"


async def eventually(check: Callable[[], Awaitable[T | None] | T | None], *, seconds: float = 10.0) -> T:
    """What *check* returns once that is true in the sense of `if`. Raises `AssertionError` when it is not in time."""
    until = time.monotonic() + seconds
    while True:
        result = check()
        found = await result if inspect.isawaitable(result) else result
        if found:
            return found
        if time.monotonic() > until:
            raise AssertionError(f"{getattr(check, '__qualname__', check)} was not true within {seconds} s")
        await asyncio.sleep(0.02)


class FakeClock:
    """A clock that goes only when somebody sleeps on it or tells it to."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._passed = 0.0
        self._stepped = 0.0

    def now(self) -> datetime:
        """The start, what has passed since, and what it was set by."""
        return self._start + timedelta(seconds=self._passed + self._stepped)

    def monotonic(self) -> float:
        """Seconds that have passed."""
        return self._passed

    async def sleep(self, seconds: float) -> None:
        """Let *seconds* pass at once, and others run."""
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self._passed += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forward, or back. No time passes."""
        self._stepped += seconds


@cache
def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def _jwks() -> Path:
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(_key().public_key()))
    path = Path(tempfile.mkdtemp(prefix="plumbline-test-")) / "jwks.json"
    path.write_text(json.dumps({"keys": [public | {"kid": "test", "alg": "ES256", "use": "sig"}]}), encoding="utf-8")
    return path


def token(tenant: str = "acme", groups: Sequence[str] = (), scopes: str = ALL_SCOPES, *, seconds: float = 3600) -> str:
    """A token of the issuer that `make_verifier` and `test_settings` trust."""
    now = time.time()
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "tester", "iat": now, "exp": now + seconds}
    own = {"tenant": tenant, "groups": list(groups), "scope": scopes}
    return jwt.encode(claims | own, _key(), algorithm="ES256", headers={"kid": "test"})


def make_verifier(clock: Clock | None = None) -> TokenVerifier:
    """A verifier that trusts `token`."""
    return TokenVerifier(FileKeys(_jwks()), issuer=ISSUER, audience=AUDIENCE, clock=clock or SystemClock())


def test_settings(name: str, **overrides: object) -> ServiceSettings:
    """Settings on a free port, without export, that trust `token`."""
    settings = ServiceSettings.from_env(Env({}), name)
    own = {"port": 0, "auth_jwks": str(_jwks()), "auth_issuer": ISSUER, "auth_audience": AUDIENCE, "drain_seconds": 2.0}
    return replace(settings, **(own | overrides))  # type: ignore[arg-type]  # a mistaken name fails at once


test_settings.__test__ = False  # type: ignore[attr-defined]  # its name is no test's
