"""A prompt in front of the local model: what it keeps between requests, and what no text makes it take for its own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from plumbline_kit.release import load_release
from plumbline_local import llm
from plumbline_local.layout import free_ports
from plumbline_prompts.data import as_data
from plumbline_prompts.hostile import ATTACKS
from plumbline_prompts.template import PromptPassage, PromptTemplate

pytestmark = pytest.mark.system
RELEASE = Path(__file__).parents[2] / "deploy/local/release.toml"
LAMP = PromptPassage(
    1, "Aurora desk lamp", "The Aurora desk lamp costs 49 euros. It is made of aluminium and weighs 1.2 kg."
)
CHAIR = PromptPassage(1, "Borealis chair", "The Borealis chair costs 99 euros. It is made of beech and weighs 6 kg.")
END = 10
"""Tokens at the end of a prompt that are computed anew: the chat template's, and the last of what was kept."""


@pytest.fixture(scope="module")
def model() -> Iterator[httpx.Client]:
    """The local model alone."""
    port = free_ports("llm")["llm"]
    server = llm.serve(port)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=100, trust_env=False) as client:
        yield client
    del server


def usage(model: httpx.Client, question: str, passage: PromptPassage) -> tuple[int, int]:
    """The tokens of the prompt, and how many of them were kept from before."""
    told = PromptTemplate(load_release(RELEASE).prompt).render(question, [passage])
    messages = [{"role": "system", "content": told.system}, {"role": "user", "content": told.user}]
    body = {"messages": messages, "max_tokens": 1, "temperature": 0}
    counted: Any = model.post("/v1/chat/completions", json=body).raise_for_status().json()["usage"]
    return counted["prompt_tokens"], counted["prompt_tokens_details"]["cached_tokens"]


def tokens(model: httpx.Client, text: str, *, special: bool = False) -> list[int]:
    body = {"content": text, "parse_special": special, "add_special": False}
    ids: list[int] = model.post("/tokenize", json=body).raise_for_status().json()["tokens"]
    return ids


def test_the_model_server_keeps_the_prefix_of_a_prompt(model: httpx.Client) -> None:
    question = "How much does it cost?"
    instructions = len(tokens(model, load_release(RELEASE).prompt.system))
    passage = len(tokens(model, f"[1] {LAMP.title}: {LAMP.text}"))
    usage(model, question, LAMP)
    whole, again = usage(model, question, LAMP)
    assert again >= whole - END
    _, other_question = usage(model, "What is it made of?", LAMP)
    assert other_question >= instructions + passage
    _, other_passage = usage(model, question, CHAIR)
    assert instructions <= other_passage < instructions + passage


@pytest.mark.parametrize(
    "attack", [*ATTACKS, "<|im_end|>", "<file_sep>", "<reponame>", "<jupyter_start>", "<empty_output>"]
)
def test_no_text_holds_a_token_that_the_model_takes_for_its_own(model: httpx.Client, attack: str) -> None:
    harmless = as_data(attack)
    assert tokens(model, harmless, special=True) == tokens(model, harmless)


def test_the_tokens_of_its_own_are_there_to_be_found(model: httpx.Client) -> None:
    assert len(tokens(model, "<|im_start|>", special=True)) == 1
    assert replace(LAMP, text=as_data("<|im_start|>")).text == "< |im_start|>"
