"""What an operator of the cache reads and presses."""

import re
import shlex
from pathlib import Path
from typing import Any

import grpc
import pytest

from plumbline.cache.v1 import cache_service_pb2 as pb
from plumbline.common.v1.answer_pb2 import ReleaseRef
from plumbline.generation.v1.generation_service_pb2 import Cost

README = Path(__file__).parents[3] / "README.md"
SCOPE_KEY = "ab" * 32


@pytest.fixture
def stats() -> pb.GetStatsResponse:
    """Three of four questions were answered from memory, in one scope."""
    saved = pb.Saving(prompt_tokens=5100, completion_tokens=120, costs=[Cost(currency_code="EUR", amount=0.06)])
    saved.time.FromMilliseconds(4500)
    scope = pb.ScopeStats(
        release=ReleaseRef(application_id="default", release_id="r1"),
        groups=["sales", "shop"],
        language="en",
        exact_hit_count=2,
        semantic_hit_count=1,
        miss_counts={"not_found": 1},
        admitted_count=1,
        refused_counts={"not_passed": 2},
        saved=saved,
        scope_key=SCOPE_KEY,
    )
    counted = pb.GetStatsResponse(
        entry_count=1,
        exact_hit_count=2,
        semantic_hit_count=1,
        miss_count=1,
        admitted_count=1,
        refused_count=2,
        saved=saved,
        scopes=[scope],
        target_false_hit_rate=0.03,
    )
    counted.since_time.FromJsonString("2026-01-01T08:30:00Z")
    return counted


def test_stats_say_what_was_saved_and_that_its_quality_is_not_known(
    plumbline: Any, platform: Any, stats: pb.GetStatsResponse
) -> None:
    platform.stats = stats
    shown = plumbline("cache", "stats").stdout
    assert "2026-01-01 08:30 UTC" in shown
    assert "3 of 4 (75%): 2 exact, 1 near" in shown
    assert "5,220 tokens, 4.5 s, 0.060000 EUR" in shown
    assert "not known: none was audited yet" in shown
    assert "refused because        not passed 2" in shown
    assert "sales, shop" in shown


def test_stats_show_what_audits_found_and_the_scope_that_is_off(
    plumbline: Any, platform: Any, stats: pb.GetStatsResponse
) -> None:
    rate = pb.FalseHitRate(audited_count=20, false_count=5, low=0.112, high=0.469)
    audited = pb.AuditedScope(scope_key=SCOPE_KEY, false_hit_rate=rate, switched_off=True)
    stats.MergeFrom(pb.GetStatsResponse(false_hit_rate=rate, audited_scopes=[audited]))
    platform.stats = stats
    shown = plumbline("cache", "stats").stdout
    assert "5 of 20 audited (11.2% to 46.9% with 95 %); 3.0% are allowed" in shown
    assert "11.2% to 46.9%, off" in shown


def test_a_cache_that_was_asked_nothing_has_nothing_to_divide_by(plumbline: Any) -> None:
    assert "answered from memory   0 of 0: 0 exact, 0 near" in plumbline("cache", "stats").stdout


def test_top_lists_questions_with_what_a_hit_saves_and_counts_the_hidden(plumbline: Any) -> None:
    shown = plumbline("cache", "top", "--by", "saved").stdout
    for words in (
        "1,740 tokens, 1.5 s, 0.020000 EUR",
        "Order 2?",
        "2026-01-08",
        "entry-1",
        "2 entries of other groups",
    ):
        assert words in shown
    [listed] = plumbline.json("cache", "top", "--by", "newest")
    assert listed["entries"][0]["question"] == "Order 3?"


def test_explain_names_the_check_that_failed(plumbline: Any) -> None:
    shown = plumbline("cache", "explain", "What does the lamp cost?").stdout
    assert "not answered from memory: nobody in this scope asked it" in shown
    assert "0.970  What does the desk cost?" in shown
    assert "words                FAILED  some that matter differ" in shown
    assert "entries of sales" in shown


def test_a_release_is_named_with_its_application(plumbline: Any) -> None:
    [told] = plumbline.json("cache", "explain", "Why?", "--application", "shop", "--release", "r2")
    assert told["release"] == {"application_id": "shop", "release_id": "r2"}
    refused = plumbline("cache", "explain", "Why?", "--release", "r2")
    assert refused.exit_code == 1
    assert "both --application and --release" in refused.stderr


def test_invalidate_asks_before_it_drops(plumbline: Any, platform: Any) -> None:
    kept = plumbline("cache", "invalidate", "--document", "prices.md", typed="n\n")
    assert kept.exit_code == 1
    assert "Drop every entry that rests on prices.md?" in kept.stderr
    assert platform.invalidated == []
    dropped = plumbline("cache", "invalidate", "--document", "prices.md", typed="y\n")
    assert "3 entries dropped" in dropped.stdout
    assert [request.document_id for request in platform.invalidated] == ["prices.md"]


@pytest.mark.parametrize(
    ("options", "request_sent"),
    [
        (["--all"], pb.InvalidateEntriesRequest(all=True)),
        (["--entry", "e1"], pb.InvalidateEntriesRequest(entry_id="e1")),
        (["--erase", "staff.md"], pb.InvalidateEntriesRequest(erased_document_id="staff.md")),
        (["--question", "Why?"], pb.InvalidateEntriesRequest(question="Why?")),
        (["--application", "shop"], pb.InvalidateEntriesRequest(application_id="shop")),
        (
            ["--application", "shop", "--release", "r2"],
            pb.InvalidateEntriesRequest(release=ReleaseRef(application_id="shop", release_id="r2")),
        ),
    ],
)
def test_with_yes_it_drops_at_once(
    plumbline: Any, platform: Any, options: list[str], request_sent: pb.InvalidateEntriesRequest
) -> None:
    assert plumbline.json("cache", "invalidate", *options, "--yes") == [
        {"invalidated_count": 3, "invalidation_id": "i1"}
    ]
    assert platform.invalidated == [request_sent]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "one of --document"),
        (["--all", "--entry", "e1"], "one of --document"),
        (["--release", "r2"], "name the --application"),
    ],
)
def test_what_is_dropped_is_said_in_one_way(plumbline: Any, platform: Any, options: list[str], words: str) -> None:
    refused = plumbline("cache", "invalidate", *options, "--yes")
    assert refused.exit_code == 1
    assert words in refused.stderr
    assert platform.invalidated == []


@pytest.mark.parametrize(
    "command", [["stats"], ["top"], ["explain", "Why?"], ["invalidate", "--all", "--yes"], ["warm"]]
)
def test_a_cache_that_refuses_says_what_to_do(plumbline: Any, platform: Any, command: list[str]) -> None:
    platform.code, platform.details = grpc.StatusCode.PERMISSION_DENIED, "needs the scope cache.read"
    refused = plumbline("cache", *command)
    assert refused.exit_code == 1
    assert "cache: needs the scope cache.read: use a token that has it" in refused.stderr


def test_warm_counts_what_came_in_and_says_when_it_was_cut_short(plumbline: Any) -> None:
    whole = plumbline("cache", "warm").stdout
    assert "9 answers looked at: 4 taken in, 3 were there; refused: not passed 2" in whole
    assert "run it again" not in whole
    assert "run it again" in plumbline("cache", "warm", "--seconds", "5").stdout


@pytest.mark.parametrize("line", re.findall(r"^plumbline cache [^#\n]+", README.read_text(encoding="utf-8"), re.M))
def test_the_examples_of_the_readme_run(plumbline: Any, line: str) -> None:
    assert plumbline(*shlex.split(line)[1:]).exit_code == 0
