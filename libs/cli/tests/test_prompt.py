"""`prompt` on files, and against a model server that obeys; `models` against a server that speaks the contract."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from plumbline_cli.trying import wilson
from plumbline_kit.testing.llm import FakeLLM
from plumbline_prompts.file import PromptFile
from plumbline_prompts.lint import lint

ROOT = Path(__file__).parents[3]
LOCAL = ROOT / "deploy/local/prompts/answer.toml"
PAGE = (ROOT / "docs/prompts.md").read_text(encoding="utf-8")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """The example of the page on prompts."""
    found = re.search(r"```toml\n(.*?)```\n\n##", PAGE, re.DOTALL)
    assert found
    path = tmp_path / "page.toml"
    path.write_text(found[1], encoding="utf-8")
    return path


def without_tokens(path: Path) -> Path:
    """The prompt without what needs the encoder's tokenizer."""
    changed = path.parent / "uncounted.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    changed.write_text("\n".join(line for line in lines if "max_tokens" not in line), encoding="utf-8")
    return changed


def test_the_prompt_of_the_page_is_a_good_one(page: Path) -> None:
    assert lint(PromptFile.load(page), None) == []


def test_every_finding_stands_on_the_page() -> None:
    source = (ROOT / "libs/prompts/src/plumbline_prompts/lint.py").read_text(encoding="utf-8")
    codes = set(re.findall(r'Finding\(\s*"([a-z-]+)"', source)) - {"needless-allowance"}
    assert len(codes) > 15
    assert [code for code in sorted(codes) if f"`{code}`" not in PAGE] == []


def test_a_good_prompt_passes_and_a_bad_one_is_told_with_its_line(plumbline: Any, page: Path) -> None:
    assert plumbline("prompt", "lint", page).exit_code == 0
    page.write_text(page.read_text(encoding="utf-8").replace("{{ question }}", "{{ query }}"), encoding="utf-8")
    result = plumbline("prompt", "lint", page)
    assert result.exit_code == 1
    assert f"{page}:18: error unknown-variable: query is neither given nor declared" in result.stdout
    codes = [finding["code"] for finding in plumbline.json("prompt", "lint", page)]
    assert codes == ["unused-variable", "unknown-variable"]


def test_warnings_fail_only_when_asked_to(plumbline: Any, page: Path) -> None:
    page.write_text(
        page.read_text(encoding="utf-8").replace("You answer", "Since 2026-01-01 you answer"), encoding="utf-8"
    )
    assert plumbline("prompt", "lint", page).exit_code == 0
    assert plumbline("prompt", "lint", page, "--strict").exit_code == 1


def test_a_file_that_is_no_prompt_is_a_sentence(plumbline: Any, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("system = 3", encoding="utf-8")
    result = plumbline("prompt", "lint", tmp_path / "x.toml")
    assert result.exit_code == 1
    assert "x.toml: system: Input should be a valid string; template: Field required" in result.stderr


def test_a_release_is_no_prompt_and_the_sentence_is_whole(plumbline: Any) -> None:
    result = plumbline("prompt", "lint", LOCAL.parents[1] / "release.toml")
    assert result.stderr.endswith("a release names its prompt's file under [prompt]\n")


def test_an_example_is_rendered_as_the_model_gets_it(plumbline: Any, page: Path) -> None:
    result = plumbline("prompt", "render", page)
    assert "staff of Brindlewick" in result.stdout
    assert "[1] Aurora desk lamp (as of 2026-05-31, trust high)" in result.stdout
    [shown] = plumbline.json("prompt", "render", page, "--set", "firm=Tidewater", "--example", "not in the passages")
    assert "staff of Tidewater" in shown["system"]
    assert shown["user"].endswith("Question: Who designed the Aurora desk lamp?")
    assert shown["user"][shown["prefix"]["same_passages"] :] == "Who designed the Aurora desk lamp?"
    assert shown["user"][: shown["prefix"]["any_passages"]] == "<passage>\n[1] "


def test_other_values_are_rendered_from_a_file(plumbline: Any, page: Path, tmp_path: Path) -> None:
    values = {"question": "Why?", "passages": [{"title": "T", "text": "x"}], "variables": {"firm": "F"}}
    (tmp_path / "v.json").write_text(json.dumps(values), encoding="utf-8")
    [shown] = plumbline.json("prompt", "render", page, "--vars", tmp_path / "v.json")
    assert shown["user"] == "<passage>\n[1] T\nx\n</passage>\n\nQuestion: Why?"
    (tmp_path / "v.json").write_text('{"questions": "Why?"}', encoding="utf-8")
    assert "questions" in plumbline("prompt", "render", page, "--vars", tmp_path / "v.json").stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["render", "--example", "none"], "there is no example none; there are price, not in the passages"),
        (["render", "--set", "town=Turin"], "it has no variable town"),
        (["test", "--endpoint", "http://127.0.0.1:9/v1"], "--endpoint and --model go together"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(plumbline: Any, page: Path, arguments: list[str], sentence: str) -> None:
    result = plumbline("prompt", arguments[0], page, *arguments[1:])
    assert result.exit_code == 1
    assert sentence in result.stderr


def test_messages_are_tested_without_a_model_and_hostile_texts_put_in(plumbline: Any, page: Path) -> None:
    outcomes = plumbline.json("prompt", "test", without_tokens(page))
    assert [(one["kind"], one["passed"]) for one in outcomes] == [("data", True)] * 2 + [("prompt", True)]
    result = plumbline("prompt", "test", without_tokens(page))
    assert result.exit_code == 0
    assert "2 tests of answers were not run" in result.stderr


def test_tokens_that_cannot_be_counted_are_no_passed_test(plumbline: Any, page: Path) -> None:
    result = plumbline("prompt", "test", page)  # the state folder of these tests has no encoder
    assert result.exit_code == 1
    assert "`plumbline up` builds it" in result.stderr


def test_a_prompt_without_tests_has_not_passed(plumbline: Any, page: Path) -> None:
    bare = page.read_text(encoding="utf-8").partition("[[examples]]")[0]
    page.write_text(bare, encoding="utf-8")
    result = plumbline("prompt", "test", page)
    assert (result.exit_code, "nothing is tested" in result.stderr) == (1, True)


async def test_answers_are_judged_and_their_rate_has_an_interval(plumbline: Any, page: Path) -> None:
    replies = iter(["It costs 49 euros [1]."] * 4 + ["It costs 49 euros."] + ["I do not know."] * 5)
    async with FakeLLM(script=lambda _: next(replies)) as llm:
        asked = ("--endpoint", llm.base_url, "--model", "small", "--repeats", "5", "--temperature", "0.7")
        outcomes = await asyncio.to_thread(plumbline.json, "prompt", "test", without_tokens(page), *asked)
    told, refused = [one for one in outcomes if one["kind"] == "answer"]
    assert (told["passed"], told["right"], told["failures"]) == (True, 4, ["does not cite 1"])
    assert (refused["passed"], refused["right"]) == (True, 5)
    assert told["low"] == pytest.approx(0.376, abs=1e-3)  # Wilson's interval of 4 in 5
    assert [request["seed"] for request in llm.requests] == [1, 2, 3, 4, 5] * 2
    assert {request["temperature"] for request in llm.requests} == {0.7}


async def test_wrong_answers_fail_and_are_shown(plumbline: Any, page: Path) -> None:
    async with FakeLLM(script=lambda _: "It costs 59 euros.") as llm:
        asked = ("--endpoint", llm.base_url, "--model", "small")
        result = await asyncio.to_thread(plumbline, "prompt", "test", without_tokens(page), *asked)
    assert result.exit_code == 1
    assert "2 of 5 failed" in result.stderr
    assert "It costs 59 euros." in result.stdout.replace("\n", " ")


@pytest.mark.parametrize("how", [{"status": 500}, {"drop_after": 0}, {"status": 404}])
async def test_a_model_that_does_not_answer_is_a_sentence(plumbline: Any, page: Path, how: dict[str, int]) -> None:
    async with FakeLLM() as llm:
        url, how = (llm.base_url, how) if how != {"drop_after": 0} else ("http://127.0.0.1:9/v1", {})
        with llm.failing(**how):
            asked = ("--endpoint", url, "--model", "small")
            result = await asyncio.to_thread(plumbline, "prompt", "test", without_tokens(page), *asked)
    assert result.exit_code == 1
    assert "gave no chat completion" in result.stderr


def test_two_prompts_are_compared(plumbline: Any, page: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(page.read_text(encoding="utf-8").replace("Question:", "Q:"), encoding="utf-8")
    result = plumbline("prompt", "diff", page, other)
    assert result.exit_code == 0
    assert "-Question: How much does the Aurora desk lamp cost?" in result.stdout
    assert "+Q: {{ question }}" in result.stdout
    [change] = plumbline.json("prompt", "diff", page, other)
    assert change["versions"][0] != change["versions"][1]
    assert [example["name"] for example in change["examples"]] == ["price", "not in the passages"]
    assert "in both" in plumbline("prompt", "diff", page, page).stdout


def test_the_prompts_of_a_folder_are_listed(plumbline: Any) -> None:
    [row] = plumbline.json("prompt", "list", LOCAL.parent)
    assert (row["file"], row["version"]) == (str(LOCAL), PromptFile.load(LOCAL).settings().version)
    assert (row["errors"], row["warnings"]) == (0, 0)
    assert str(LOCAL) in plumbline("prompt", "list", LOCAL.parent).stdout


def test_intervals_are_wilsons() -> None:
    assert wilson(9, 10) == pytest.approx((0.596, 0.982), abs=1e-3)


def test_models_are_listed(plumbline: Any) -> None:
    lines = plumbline("models").stdout.splitlines()
    assert lines[1].split() == ["own", "small", "weight", "1", "no", "bound", "0", "1", "of", "4", "open"]
    assert "next" in lines[2].split()
    assert "0.15 in, 0.6 out EUR" in lines[2]
    assert lines[3] == "7,000 of 10,000 tokens left until 2026-01-02 00:00 UTC, 500 held for answers under way"
    *endpoints, budget = plumbline.json("models")
    assert [each["name"] for each in endpoints] == ["own", "spare"]
    assert budget["budget"]["used_tokens"] == "2500"
