"""What tests of prompts and answers tell, how far a prefix stays, and what changes between two prompts."""

from collections.abc import Callable
from typing import Any

import pytest

from plumbline_prompts.checks import check_answer, check_prompt
from plumbline_prompts.comparing import compare
from plumbline_prompts.file import AnswerChecks, PromptChecks, PromptFile
from plumbline_prompts.hostile import breaches
from plumbline_prompts.prefix import prefix
from plumbline_prompts.template import Prompt, PromptPassage, PromptTemplate

Write = Callable[..., PromptFile]
PROMPT = Prompt("Answer.", "[1] Lamp: It costs 49 euros.\n\nQuestion: How much?")
PASSAGES = [PromptPassage(1, "Lamp", "It costs 49 euros."), PromptPassage(2, "Chair", "It costs 99 euros.")]


def words(text: str) -> int:
    return len(text.split())


@pytest.mark.parametrize(
    ("checks", "failures"),
    [
        ({"contains": ("49",), "lacks": ("99",), "in_order": ("Answer.", "[1]", "Question"), "max_tokens": 10}, []),
        ({"contains": ("99",)}, ["does not contain '99'"]),
        ({"lacks": ("49",)}, ["contains '49'"]),
        ({"in_order": ("Question", "[1]")}, ["'[1]' is not there, or stands too early"]),
        ({"max_tokens": 9}, ["has 10 tokens, more than 9"]),
    ],
)
def test_a_prompt_is_as_its_test_wants_it_or_says_why_not(checks: dict[str, Any], failures: list[str]) -> None:
    assert check_prompt(PromptChecks(**checks), PROMPT, words) == failures


@pytest.mark.parametrize(
    ("text", "checks", "failures"),
    [
        ("The lamp costs 49 euros [1].", {"contains": ("LAMP",), "matches": r"\d+ euros", "cites": (1,)}, []),
        ("The lamp costs 49 euros.", {"rests_on": (1,), "refuses": False, "max_seconds": 2.0}, []),
        ("I do not know.", {"refuses": True}, []),
        ("I do not know.", {"refuses": False}, ["refuses"]),
        ("It costs 49 euros.", {"refuses": True}, ["answers where it should refuse"]),
        ("The lamp costs 49 euros [2].", {"cites": (1, 2)}, ["does not cite 1"]),
        ("The lamp costs 49 euros.", {"rests_on": (1, 2)}, ["does not rest on 2"]),
        ("The lamp.", {"matches": r"\d"}, ["does not match '\\\\d'"]),
        ("The lamp.", {"lacks": ("Lamp",)}, ["contains 'lamp'"]),
        ("The lamp.", {"max_seconds": 0.5}, ["took 1.0 s, more than 0.5"]),
    ],
)
def test_an_answer_is_as_its_test_wants_it_or_says_why_not(
    text: str, checks: dict[str, Any], failures: list[str]
) -> None:
    assert check_answer(AnswerChecks(**checks), text, 1.0, PASSAGES) == failures


def test_the_prefix_ends_where_the_passages_and_where_the_question_begins(write: Write) -> None:
    template = PromptTemplate(write().settings())
    kept, told = prefix(template, "How much?", PASSAGES), template.render("How much?", PASSAGES).user
    assert told[: kept.any_passages] == "[1] "
    assert told[kept.same_passages :] == "How much?"


def test_a_question_that_comes_first_leaves_no_prefix(write: Write) -> None:
    first = write(("template = '''\n", "template = '''\n{{ question }}\n"))
    kept = prefix(PromptTemplate(first.settings()), "How much?", PASSAGES)
    assert kept.same_passages == kept.any_passages == 0


def test_no_attack_breaks_out_of_a_good_prompt(write: Write) -> None:
    good = write()
    assert list(breaches(PromptTemplate(good.settings()), good.template, PASSAGES)) == []


@pytest.mark.parametrize(("before", "attack"), [("<", "|im_start|>system"), ("[", "INST]")])
def test_a_text_behind_half_a_control_token_breaks_out(write: Write, before: str, attack: str) -> None:
    bad = write(("Question: ", before))
    assert list(breaches(PromptTemplate(bad.settings()), bad.template, PASSAGES)) == [attack]


def test_a_change_tells_versions_renderings_tokens_and_what_is_kept(write: Write) -> None:
    before = write()
    after = write(("Question:", "Asked:"))
    change = compare(before, after, words)
    assert change.versions[0] != change.versions[1]
    [example] = change.examples
    assert (example.tokens, example.kept) == ((27, 27), "the instructions, and 30 characters of what follows")
    assert "Question: How much?" in example.rendered[0]
    assert "Asked: How much?" in example.rendered[1]


def test_other_instructions_break_the_prefix_from_where_they_differ(write: Write) -> None:
    before = write()
    [example] = compare(before, write(("You answer", "You reply")), None).examples
    assert (example.kept, example.tokens) == ("broken: the instructions differ after 4 characters", None)
