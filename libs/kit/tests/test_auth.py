"""TokenVerifier: which tokens speak for whom, and where keys come from."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from plumbline_kit.auth import FileKeys, TokenVerifier, UrlKeys, require_scope
from plumbline_kit.clock import SystemClock
from plumbline_kit.errors import PermissionDenied, Unauthenticated, Unavailable
from plumbline_kit.identity import Identity
from plumbline_kit.testing import FakeClock, test_settings, token

ISSUER, AUDIENCE = "issuer", "plumbline"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())


def public(key: Any, key_id: str | None = None, **more: str) -> dict[str, Any]:
    """*key* as an issuer publishes it."""
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    name = {"kid": key_id} if key_id else {}
    return json.loads(algorithm.to_jwk(key.public_key())) | name | more


def write_keys(path: Path, *keys: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"keys": list(keys)}))
    return path


def signed(key: Any = EC_KEY, key_id: str | None = "ec", algorithm: str = "ES256", **claims: Any) -> str:
    """A token that is right but for what *claims* change; None leaves a claim out."""
    now = time.time()
    right = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 600, "tenant": "acme"}
    chosen = {name: value for name, value in (right | claims).items() if value is not None}
    return jwt.encode(chosen, key, algorithm=algorithm, headers={"kid": key_id} if key_id else {})


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return write_keys(tmp_path / "jwks.json", public(EC_KEY, "ec"), public(RSA_KEY, "rsa"))


@pytest.fixture
def verifier(keys: Path) -> TokenVerifier:
    return TokenVerifier(FileKeys(keys), issuer=ISSUER, audience=AUDIENCE, clock=SystemClock())


@pytest.mark.parametrize(("key", "name", "algorithm"), [(EC_KEY, "ec", "ES256"), (RSA_KEY, "rsa", "RS256")])
async def test_a_token_speaks_for_its_tenant_groups_and_scopes(
    verifier: TokenVerifier, key: Any, name: str, algorithm: str
) -> None:
    identity = await verifier.verify(signed(key, name, algorithm, groups=["b", "a", "b"], scope="ask evaluate"))
    assert identity == Identity("acme", "ada", ("a", "b"), frozenset({"ask", "evaluate"}))


def without_signature() -> str:
    return jwt.encode(
        {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": time.time() + 600, "tenant": "acme"}, None, "none"
    )


def with_public_key_as_secret() -> str:
    """The classic: an HMAC over the public key, which a careless verifier takes for the secret."""
    pem = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    claims, header = signed(RSA_KEY, "rsa", "RS256").split(".")[1], {"alg": "HS256", "typ": "JWT", "kid": "rsa"}
    head = jwt.utils.base64url_encode(json.dumps(header).encode()).decode()
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(f"{head}.{claims}".encode(), pem)
    return f"{head}.{claims}.{jwt.utils.base64url_encode(mac).decode()}"


def with_changed_claims() -> str:
    head, _, signature = signed().split(".")
    claims = jwt.utils.base64url_encode(
        json.dumps(
            {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": time.time() + 600, "tenant": "globex"}
        ).encode()
    ).decode()
    return f"{head}.{claims}.{signature}"


REFUSED = {
    "garbled": lambda: "garbage",
    "empty": lambda: "",
    "dots": lambda: "..",
    "expired": lambda: signed(exp=time.time() - 31),
    "not yet valid": lambda: signed(nbf=time.time() + 60),
    "without expiry": lambda: signed(exp=None),
    "wrong issuer": lambda: signed(iss="somebody"),
    "without issuer": lambda: signed(iss=None),
    "wrong audience": lambda: signed(aud="somebody"),
    "without audience": lambda: signed(aud=None),
    "without subject": lambda: signed(sub=None),
    "alg none": without_signature,
    "HS256 with the public key": with_public_key_as_secret,
    "changed claims": with_changed_claims,
    "unknown key id": lambda: signed(OTHER_KEY, "other"),
    "another key under a known id": lambda: signed(OTHER_KEY, "ec"),
    "no key id where there are several keys": lambda: signed(key_id=None),
    "algorithm beyond the allowed": lambda: signed(RSA_KEY, "rsa", "PS256"),
    "without tenant": lambda: signed(tenant=None),
    "empty tenant": lambda: signed(tenant=""),
    "tenant that would fake a key": lambda: signed(tenant="acme/globex"),
    "tenant that is no text": lambda: signed(tenant=["acme"]),
    "groups that are no list": lambda: signed(groups="admins"),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
async def test_a_token_that_is_not_right_is_refused(verifier: TokenVerifier, make: Any) -> None:
    with pytest.raises(Unauthenticated):
        await verifier.verify(make())


async def test_clocks_may_differ_a_little(verifier: TokenVerifier) -> None:
    assert (await verifier.verify(signed(exp=time.time() - 20))).tenant == "acme"


async def test_a_lone_key_needs_no_id(tmp_path: Path) -> None:
    keys = FileKeys(write_keys(tmp_path / "jwks.json", public(EC_KEY)))
    verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE, clock=SystemClock())
    assert (await verifier.verify(signed(key_id=None))).tenant == "acme"


async def test_a_key_file_is_read_again_when_it_changes(keys: Path, verifier: TokenVerifier) -> None:
    await verifier.verify(signed())
    write_keys(keys, public(OTHER_KEY, "other"))
    assert (await verifier.verify(signed(OTHER_KEY, "other"))).tenant == "acme"
    with pytest.raises(Unauthenticated):
        await verifier.verify(signed(scope="not remembered"))


@pytest.mark.parametrize("content", [None, b"{", b"[]", b'{"keys": []}', b'{"keys": 3}', b"\xff\xfe"])
async def test_a_key_file_that_cannot_be_read_is_not_the_callers_fault(
    keys: Path, verifier: TokenVerifier, content: bytes | None
) -> None:
    replace(keys, content)
    with pytest.raises(Unavailable):
        await verifier.verify(signed())


async def test_a_verified_token_is_remembered_for_a_minute(keys: Path) -> None:
    verifier, clock = remembering(keys)
    bearer = signed()
    await verifier.verify(bearer)
    replace(keys, None)
    assert (await verifier.verify(bearer)).tenant == "acme"
    clock.advance(61)
    with pytest.raises(Unavailable):
        await verifier.verify(bearer)


async def test_a_token_is_not_remembered_beyond_its_expiry(keys: Path) -> None:
    verifier, clock = remembering(keys)
    bearer = signed(exp=time.time() + 5)
    await verifier.verify(bearer)
    replace(keys, None)
    clock.advance(34)
    assert (await verifier.verify(bearer)).tenant == "acme"
    clock.advance(2)
    with pytest.raises(Unavailable):
        await verifier.verify(bearer)


async def test_only_the_newest_tokens_are_remembered(keys: Path) -> None:
    verifier, _ = remembering(keys, remembered=2)
    bearers = [signed(sub=name) for name in "abc"]
    for bearer in bearers:
        await verifier.verify(bearer)
    replace(keys, None)
    assert [(await verifier.verify(bearer)).subject for bearer in bearers[1:]] == ["b", "c"]
    with pytest.raises(Unavailable):
        await verifier.verify(bearers[0])


def remembering(keys: Path, **options: int) -> tuple[TokenVerifier, FakeClock]:
    """A verifier that has only its memory once *keys* are gone."""
    clock = FakeClock(datetime.now(UTC))
    return TokenVerifier(FileKeys(keys), issuer=ISSUER, audience=AUDIENCE, clock=clock, **options), clock


def replace(path: Path, content: bytes | None) -> None:
    path.unlink()
    if content is not None:
        path.write_bytes(content)


class Issuer:
    """A key set behind HTTP, as slow and as broken as a test wants it."""

    def __init__(self) -> None:
        self.keys = [public(EC_KEY, "ec")]
        self.status = 200
        self.fetches = 0
        self.gate = threading.Event()
        self.gate.set()
        self.url = ""


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serving() as running:
        yield running


@contextmanager
def serving() -> Iterator[Issuer]:
    issuer = Issuer()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.fetches += 1
            issuer.gate.wait(5)
            self.send_response(issuer.status)
            self.end_headers()
            self.wfile.write(json.dumps({"keys": issuer.keys}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    issuer.url = f"http://127.0.0.1:{server.server_port}/jwks.json"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield issuer
    finally:
        issuer.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()


def by_url(issuer: Issuer) -> tuple[TokenVerifier, FakeClock]:
    clock = FakeClock()
    return TokenVerifier(UrlKeys(issuer.url, clock), issuer=ISSUER, audience=AUDIENCE, clock=clock), clock


async def test_keys_are_fetched_once_for_many_callers(issuer: Issuer) -> None:
    verifier, _ = by_url(issuer)
    await asyncio.gather(*(verifier.verify(signed(sub=str(number))) for number in range(20)))
    assert issuer.fetches == 1


async def test_an_unknown_key_is_looked_for_at_most_every_thirty_seconds(issuer: Issuer) -> None:
    verifier, clock = by_url(issuer)
    await verifier.verify(signed())
    issuer.keys.append(public(OTHER_KEY, "other"))
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await verifier.verify(signed(OTHER_KEY, "other"))
    assert issuer.fetches == 1
    clock.advance(30)
    assert (await verifier.verify(signed(OTHER_KEY, "other"))).tenant == "acme"
    assert issuer.fetches == 2


async def test_an_issuer_that_is_away_is_not_the_callers_fault_and_not_asked_all_the_time(issuer: Issuer) -> None:
    verifier, clock = by_url(issuer)
    issuer.status = 503
    for _ in range(5):
        with pytest.raises(Unavailable, match="503"):
            await verifier.verify(signed())
    assert issuer.fetches == 1
    issuer.status = 200
    clock.advance(1)
    assert (await verifier.verify(signed())).tenant == "acme"


async def test_known_keys_go_on_working_while_the_issuer_is_away(issuer: Issuer) -> None:
    verifier, clock = by_url(issuer)
    await verifier.verify(signed())
    issuer.status = 500
    clock.advance(3600)
    assert (await verifier.verify(signed())).tenant == "acme"
    assert issuer.fetches == 2


async def test_a_withdrawn_key_is_forgotten(issuer: Issuer) -> None:
    verifier, clock = by_url(issuer)
    bearer = signed()
    await verifier.verify(bearer)
    issuer.keys = [public(OTHER_KEY, "other")]
    clock.advance(300)
    with pytest.raises(Unauthenticated):
        await verifier.verify(bearer)


async def test_a_slow_issuer_holds_up_only_those_who_need_a_new_key(issuer: Issuer) -> None:
    verifier, clock = by_url(issuer)
    await verifier.verify(signed())
    issuer.gate.clear()
    issuer.keys.append(public(OTHER_KEY, "other"))
    clock.advance(30)
    new = [asyncio.create_task(verifier.verify(signed(OTHER_KEY, "other", sub=str(n)))) for n in range(2)]
    await asyncio.sleep(0)
    known = await asyncio.wait_for(verifier.verify(signed(sub="known")), 2)
    assert (known.subject, [task.done() for task in new]) == ("known", [False, False])
    issuer.gate.set()
    assert [identity.subject for identity in await asyncio.gather(*new)] == ["0", "1"]


async def test_settings_say_where_the_keys_are(issuer: Issuer) -> None:
    settings = test_settings("cache", auth_jwks=issuer.url, auth_issuer=ISSUER)
    assert (await TokenVerifier.from_settings(settings, SystemClock()).verify(signed())).tenant == "acme"
    local = TokenVerifier.from_settings(test_settings("cache"), SystemClock())
    assert (await local.verify(token(tenant="globex"))).tenant == "globex"


def test_a_scope_may_be_one_of_several() -> None:
    identity = Identity("acme", "ada", scopes=frozenset({"ask"}))
    require_scope(identity, "ask")
    require_scope(identity, "documents.read|ask")
    with pytest.raises(PermissionDenied, match=r"documents\.read or documents\.write"):
        require_scope(identity, "documents.read|documents.write")
