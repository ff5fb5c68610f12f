"""What audits change for the next lookup."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import structlog
from structlog.testing import capture_logs

from plumbline_cache.domain.audit import Audit, Level, Outcome, enough
from plumbline_cache.domain.lookup import Tier
from plumbline_cache.handlers.audits import AuditLedger
from plumbline_kit.testing import FakeClock

TARGET = 0.03


class Audited:
    """A ledger, and audits one a second."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.ledger = AuditLedger(TARGET, self.clock)
        self._number = 0

    def add(
        self,
        times: int = 1,
        outcome: Outcome = Outcome.SAME,
        *,
        scope: str = "scope",
        tenant: str = "acme",
        tier: Tier = Tier.SEMANTIC,
        similarity: float = 0.97,
    ) -> None:
        for _ in range(times):
            self._number += 1
            time = self.clock.now() + timedelta(seconds=self._number)
            self.ledger.add(Audit(time, str(self._number), scope, tenant, tier, "entry", similarity, outcome))

    def is_off(self, scope: str = "scope", tenant: str = "acme") -> bool:
        return self.ledger.ruling(scope, tenant).off


@pytest.fixture
def audited() -> Audited:
    return Audited()


@pytest.fixture
def logs() -> Iterator[list[structlog.typing.EventDict]]:
    with capture_logs() as lines:
        yield lines


def test_wrong_hits_switch_the_tier_off_for_their_scope_and_say_so(
    audited: Audited, logs: list[structlog.typing.EventDict]
) -> None:
    audited.add(10)
    audited.add(10, Outcome.DIFFERENT)
    assert audited.is_off()
    [line] = logs
    assert (line["event"], line["scope_key"], line["level"]) == ("semantic_tier_switched_off", "scope", "scope")
    assert line["high"] > TARGET


def test_a_scope_with_few_audits_follows_its_tenant(audited: Audited) -> None:
    audited.add(20, Outcome.DIFFERENT, scope="one", tenant="acme")
    assert audited.is_off("another", "acme")
    assert audited.ledger.ruling("another", "acme").level is Level.TENANT
    audited.add(enough(TARGET), scope="another", tenant="acme")
    assert not audited.is_off("another", "acme")


def test_no_tenant_alone_switches_the_tier_off_for_others(audited: Audited) -> None:
    audited.add(300, Outcome.DIFFERENT, scope="one", tenant="acme")
    assert not audited.is_off("any", "globex")


def test_where_hits_of_several_tenants_are_wrong_those_with_few_audits_follow(audited: Audited) -> None:
    for tenant in ("acme", "initech", "umbrella"):
        audited.add(50, Outcome.DIFFERENT, scope=f"scope of {tenant}", tenant=tenant)
    assert audited.is_off("any", "globex")
    assert audited.ledger.ruling("any", "globex").level is Level.RELEASE
    audited.add(enough(TARGET), scope="any", tenant="globex")
    assert not audited.is_off("any", "globex")


def test_exact_hits_never_switch_the_semantic_tier(audited: Audited) -> None:
    audited.add(50, Outcome.DIFFERENT, tier=Tier.EXACT)
    assert not audited.is_off()
    assert audited.ledger.hits_of("acme", Tier.EXACT).false == 50
    assert audited.ledger.scopes_of("acme") == []


def test_an_entry_keeps_its_distance_to_a_question_that_it_answered_wrongly(audited: Audited) -> None:
    audited.add(outcome=Outcome.DIFFERENT, similarity=0.98)
    audited.add(outcome=Outcome.DIFFERENT, similarity=0.96)
    audited.add(outcome=Outcome.SAME, similarity=0.99)
    assert 0.98 < audited.ledger.false_up_to("entry") < 0.99
    assert audited.ledger.false_up_to("another") < -1


def test_scopes_are_those_of_the_tenant(audited: Audited) -> None:
    audited.add(3, scope="b")
    audited.add(2, Outcome.UNDECIDED, scope="a")
    audited.add(1, scope="c", tenant="globex")
    found = [(one.scope_key, one.hits.audited, one.hits.undecided) for one in audited.ledger.scopes_of("acme")]
    assert found == [("a", 2, 2), ("b", 3, 0)]


def test_the_scopes_audited_last_are_remembered_and_a_forgotten_one_follows_its_tenant(audited: Audited) -> None:
    audited.ledger = AuditLedger(TARGET, audited.clock, scopes=3)
    for number in range(5):
        audited.add(12, Outcome.DIFFERENT, scope=f"scope-{number}")
    assert [one.scope_key for one in audited.ledger.scopes_of("acme")] == ["scope-2", "scope-3", "scope-4"]
    assert audited.is_off("scope-0")
