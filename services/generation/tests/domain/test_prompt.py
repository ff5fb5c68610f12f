"""What the model is told of the packed passages."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from plumbline_generation.domain.answer import Passage, Provenance
from plumbline_generation.domain.prompt import Prompt, PromptWriter
from plumbline_generation.testing import a_passage, words
from plumbline_kit.release import PromptSettings, Release

ROOMY = 10_000


def writer(release: Release, template: str = "", order: str = "best_first") -> PromptWriter:
    prompt = PromptSettings(release.prompt.system, template or release.prompt.template)
    model = replace(release.model, context_tokens=ROOMY, passage_order=order)
    return PromptWriter(replace(release, prompt=prompt, model=model), words)


def prompt(release: Release, text: str, question: str = "How much?", title: str = "Lamp") -> Prompt:
    own = writer(release)
    return own.write(question, own.pack([a_passage(text, title)]))


def test_passages_come_numbered_and_the_question_last(release: Release) -> None:
    told = prompt(release, "It costs 49 euros.")
    assert told.system == release.prompt.system.strip()
    assert told.user == "[1] Lamp: It costs 49 euros.\n\nQuestion: How much?"


def test_a_heading_that_repeats_the_title_is_told_once(release: Release) -> None:
    assert prompt(release, "# Lamp\n\nIt is red.").user.startswith("[1] Lamp: It is red.")


def test_a_sentence_that_begins_with_the_title_stays_whole(release: Release) -> None:
    assert "Lamp: Lamp bulbs are sold apart." in prompt(release, "Lamp bulbs are sold apart.").user


def test_a_template_may_tell_date_trust_and_section(release: Release) -> None:
    template = "{% for p in passages %}{{ p.title }} | {{ p.section }} | {{ p.date }} | {{ p.trust }}{% endfor %}"
    provenance = Provenance(("Prices", "In 2026"), as_of=datetime(2026, 5, 31, 23, tzinfo=UTC), trust=3)
    own = writer(release, template)
    told = own.write("Why?", own.pack([replace(a_passage(), provenance=provenance)]))
    assert told.user == "Aurora desk lamp | Prices > In 2026 | 2026-05-31 | high"


def test_what_nobody_knows_of_a_passage_is_empty(release: Release) -> None:
    own = writer(release, "{% for p in passages %}<{{ p.section }}{{ p.date }}{{ p.trust }}>{% endfor %}")
    assert own.write("Why?", own.pack([a_passage()])).user == "<>"


@pytest.mark.parametrize(("order", "places"), [("best_first", "1 2 3 4 5"), ("best_at_ends", "1 3 5 4 2")])
def test_a_passage_keeps_the_number_of_its_source_wherever_it_stands(release: Release, order: str, places: str) -> None:
    found = [a_passage(f"Fact {n} stands alone.", f"T{n}", f"d{n}") for n in range(1, 6)]
    own = writer(release, "{% for p in passages %}{{ p.number }}={{ p.text }} {% endfor %}", order)
    packed = own.pack(found)
    told = own.write("Why?", packed).user.split(" ")
    assert [part.split("=")[0] for part in told if "=" in part] == places.split()
    for number, source in enumerate(packed.sources, start=1):
        assert f"{number}={source.text}" in own.write("Why?", packed).user


def test_an_unknown_order_is_refused_at_once(release: Release) -> None:
    with pytest.raises(ValueError, match="worst_first"):
        writer(release, order="worst_first")


def test_the_prompt_is_counted_with_what_the_template_puts_around_a_passage(release: Release) -> None:
    found: list[Passage] = [a_passage("One two three.", "Lamp", "a"), a_passage("Four five.", "Chair", "b")]
    counted = writer(release).count("How much?", found)
    assert counted.user == len(words("[1] Lamp: One two three. [2] Chair: Four five. Question: How much?"))
    assert [block.tokens for block in counted.blocks] == [5, 4]
    assert counted.system == len(release.prompt.system.split())
