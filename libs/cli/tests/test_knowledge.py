"""`docs`, `sources` and `fact` against servers that speak the contract."""

from typing import Any

import pytest

from plumbline.retrieval.v1 import retrieval_service_pb2 as pb


def test_documents_are_listed_over_all_pages(plumbline: Any, platform: Any) -> None:
    platform.documents |= {name: pb.Document() for name in ("b.md", "a.md", "c.md")}
    lines = plumbline("docs", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["document", "a.md", "b.md", "c.md"]
    assert "stale" in lines[1]
    assert [document["document_id"] for document in plumbline.json("docs", "list")] == ["a.md", "b.md", "c.md"]


def test_a_document_shows_its_history_and_its_copies(plumbline: Any) -> None:
    shown = plumbline("docs", "show", "lamps/aurora.md").stdout
    assert "copy.md" in shown
    assert "footer.md (97%)" in shown
    assert "rejected" in shown
    assert "no text" in shown
    [told] = plumbline.json("docs", "show", "x")
    assert told["history"][0]["version"] == "7"
    assert told["near_duplicates"] == [{"document_id": "footer.md", "similarity": 0.97}]


def test_a_search_shows_passages_and_how_likely_they_hold_the_answer(plumbline: Any, platform: Any) -> None:
    arguments = ("--source", "wiki", "--trust", "high", "--language", "en", "--count", "3", "--diversity", "0.5")
    result = plumbline("docs", "search", "lamp price", *arguments)
    assert "1. Aurora" in result.stdout
    assert "support 0.91, index g1" in result.stderr
    [request] = platform.searches
    assert (request.page_size, request.diversity) == (3, 0.5)
    assert request.filter == pb.SearchFilter(source_ids=["wiki"], languages=["en"], minimum_trust=pb.TRUST_LEVEL_HIGH)
    assert "nothing fits" in plumbline("docs", "search", "nothing").stderr


def test_a_source_is_registered_listed_and_confirmed(plumbline: Any, platform: Any) -> None:
    put = plumbline(
        "sources", "put", "wiki", "--owner", "anna", "--trust", "high", "--refresh", "12h", "--retention", "30d"
    )
    assert put.stdout == "registered  wiki\n"
    [source] = platform.sources
    assert (source.trust, source.refresh_interval.seconds, source.retention.seconds) == (
        pb.TRUST_LEVEL_HIGH,
        43_200,
        2_592_000,
    )
    assert "12:00:00" in plumbline("sources", "list").stdout
    assert plumbline.json("sources", "list")[0]["owner"] == "anna"
    assert "as of 2027-01-15 08:00:00" in plumbline("sources", "confirm", "wiki").stdout


@pytest.mark.parametrize("length", ["12", "h", "1.5h", "12 hours"])
def test_a_length_of_time_that_cannot_be_read_is_a_mistake(plumbline: Any, length: str) -> None:
    result = plumbline("sources", "put", "wiki", "--refresh", length)
    assert (result.exit_code, "write 30m, 12h or 7d" in result.stderr) == (1, True)


def test_a_fact_is_recorded_and_taken_back(plumbline: Any, platform: Any) -> None:
    assert plumbline("fact", "Aurora lamp", "price", "49", "--unit", "EUR").stdout.startswith("recorded  facts/lamp")
    assert plumbline("fact", "Aurora lamp", "price", "--retract").stdout.startswith("taken back")
    assert [(fact.value, fact.unit, fact.retracted) for fact in platform.facts] == [
        ("49", "EUR", False),
        ("", "", True),
    ]
