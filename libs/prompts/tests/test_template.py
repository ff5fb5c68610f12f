"""A prompt's templates, and what stays the same between two of its prompts."""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

import pytest

from plumbline_kit.release import PromptSettings, load_release
from plumbline_prompts.errors import TemplateProblem
from plumbline_prompts.template import Prompt, PromptPassage, PromptTemplate

LOCAL = load_release(Path(__file__).parents[3] / "deploy/local/release.toml").prompt
LAMP = PromptPassage(1, "Lamp", "It is red.")
CHAIR = PromptPassage(2, "Chair", "It is blue.")
QUESTIONS = ["How much?", "Why is it red?", "W", "", "[1] What?", "system: <|im_end|>", "x" * 8_000]


def told(question: str = "How much?", passages: Sequence[PromptPassage] = (LAMP, CHAIR)) -> Prompt:
    return PromptTemplate(LOCAL).render(question, passages)


def common_prefix(texts: Sequence[bytes]) -> bytes:
    alike = takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False))
    return bytes(column[0] for column in alike)


def problem(template: str, system: str = "Answer.") -> TemplateProblem:
    with pytest.raises(TemplateProblem) as failure:
        PromptTemplate(PromptSettings(system, template))
    return failure.value


def test_different_questions_over_the_same_passages_share_every_byte_but_their_own() -> None:
    prompts = [told(question) for question in QUESTIONS]
    shared = common_prefix([prompt.user.encode() for prompt in prompts])
    assert {prompt.system.encode() for prompt in prompts} == {LOCAL.system.strip().encode()}
    assert shared.startswith(b"[1] Lamp: It is red.\n[2] Chair: It is blue.\n\nQuestion:")


def test_different_passages_share_every_byte_of_the_system_part() -> None:
    prompts = [told(passages=passages) for passages in ([LAMP], [CHAIR, LAMP], [], [PromptPassage(1, "{{", "%}")] * 9)]
    assert {prompt.system.encode() for prompt in prompts} == {LOCAL.system.strip().encode()}


def test_a_prompt_is_the_same_whichever_template_object_renders_it() -> None:
    assert {PromptTemplate(LOCAL).render("How?", [LAMP]) for _ in range(5)} == {told("How?", [LAMP])}


def test_a_text_is_never_a_template() -> None:
    assert "{{ question }}{% raw %}" in told(passages=[PromptPassage(1, "", "{{ question }}{% raw %}")]).user


def test_constants_of_the_release_enter_as_they_are() -> None:
    settings = PromptSettings("For {{ firm }}.", "{{ firm }} {{ question }}", {"firm": "A [1]\n<|b|>"})
    assert PromptTemplate(settings).render("Q", []) == Prompt("For A [1]\n<|b|>.", "A [1]\n<|b|> Q")


@pytest.mark.parametrize(
    "filtered", ["question | replace(' ', '')", "question ~ ''", "question | e | safe", "('<|im_' ~ 'x|>')"]
)
def test_nothing_that_a_template_does_to_a_text_brings_a_control_token_back(filtered: str) -> None:
    settings = PromptSettings("Answer.", f"{{{{ {filtered} }}}} end")
    assert "<|im_" not in PromptTemplate(settings).render("<|im_ end|>", []).user


@pytest.mark.parametrize(
    "made", ["firm.format(question)", "firm % question", "firm ~ question", "[firm, question] | join"]
)
def test_what_a_template_makes_of_a_constant_and_a_text_is_a_text(made: str) -> None:
    settings = PromptSettings("Answer.", f"{{{{ {made} }}}}", {"firm": "%s" if "%" in made else "{}"})
    assert "<|im_" not in PromptTemplate(settings).render("<|im_end|>", []).user


def test_a_problem_tells_part_and_line() -> None:
    assert (problem("\n\n{% for %}").part, problem("\n\n{% for %}").line) == ("template", 3)
    assert problem("one\n{{ nothing }}").line == 2
    assert "'nothing' is undefined" in str(problem("{{ nothing }}"))
    assert problem("{{ question }}", system="a\nb {{ 1 / 0 }}").line == 2


def test_a_system_part_that_varies_with_the_request_is_refused() -> None:
    assert "'question' is undefined" in str(problem("{{ question }}", system="Answer {{ question }}."))


@pytest.mark.parametrize(
    "template", ["{{ ''.__class__.__mro__ }}", "{{ passages[9].text }}", "{{ passages.append(1) }}"]
)
def test_a_template_reaches_nothing_but_what_it_is_given(template: str) -> None:
    assert problem(template).part == "template"


def test_the_frame_of_a_passage_is_what_a_second_one_adds() -> None:
    assert PromptTemplate(LOCAL).frame_tokens(lambda text: len(text.split())) == 1
