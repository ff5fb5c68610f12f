import stat

import pytest

from plumbline_kit.auth import TokenVerifier
from plumbline_kit.clock import SystemClock
from plumbline_kit.errors import Unauthenticated
from plumbline_kit.settings import Env, ServiceSettings
from plumbline_local.environment import service_environment
from plumbline_local.issuer import SCOPES, issue, mint_token
from plumbline_local.layout import Layout


def verifier(layout: Layout) -> TokenVerifier:
    """As a service of *layout* makes it from its environment."""
    settings = ServiceSettings.from_env(Env(service_environment(layout, "gateway")), "gateway")
    return TokenVerifier.from_settings(settings, SystemClock())


async def test_the_developers_token_opens_everything_of_the_demo_tenant(own_layout: Layout) -> None:
    issue(own_layout)

    identity = await verifier(own_layout).verify((own_layout.auth / "token").read_text(encoding="ascii"))

    assert identity.tenant == "demo"
    assert identity.scopes == frozenset(SCOPES.split())


async def test_a_renewed_token_leaves_the_old_one_valid(own_layout: Layout) -> None:
    issue(own_layout)
    old = mint_token(own_layout, tenant="acme", groups=("staff",))
    issue(own_layout)

    identity = await verifier(own_layout).verify(old)

    assert (identity.tenant, identity.groups) == ("acme", ("staff",))


async def test_an_expired_token_is_refused(own_layout: Layout) -> None:
    with pytest.raises(Unauthenticated, match="expired"):
        await verifier(own_layout).verify(mint_token(own_layout, seconds=-60))


async def test_another_layouts_token_is_refused(own_layout: Layout, layout: Layout) -> None:
    mint_token(own_layout)
    with pytest.raises(Unauthenticated):
        await verifier(own_layout).verify(mint_token(layout))


def test_only_the_owner_can_read_what_the_issuer_wrote(own_layout: Layout) -> None:
    issue(own_layout)

    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in own_layout.auth.iterdir()}
    assert modes == dict.fromkeys(("key.pem", "jwks.json", "token"), 0o600)
