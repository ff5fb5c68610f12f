"""Support against labelled answers: where people or a construction say what is grounded."""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from plumbline_models.support import assess

Row = tuple[str, str, bool]  # answer, what it may rest on, whether it is ungrounded


@pytest.fixture(scope="module")
def data() -> Path:
    folder = Path(os.environ.get("PLUMBLINE_DATA", "../shared/data"))  # noqa: TID251  # a test's own setting
    if not (folder / "groundedness").is_dir():
        pytest.skip("not run: no data folder")
    return folder / "groundedness"


def halueval(file: Path) -> Iterator[Row]:
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        source = f"{row['knowledge']} {row['question']}"
        yield row["right_answer"], source, False
        yield row["hallucinated_answer"], source, True


def begin(file: Path) -> Iterator[Row]:
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield row["response"] or "", row["knowledge"] or "", not row["begin_label"].lower().startswith("fully")


def auroc(rows: Iterator[Row]) -> float:
    """How often an ungrounded answer has less support than a grounded one; ties count half."""
    scored = [(assess(answer, source).score, ungrounded) for answer, source, ungrounded in rows]
    bad = np.array([score for score, ungrounded in scored if ungrounded])[:, None]
    good = np.array([score for score, ungrounded in scored if not ungrounded])[None, :]
    return float((bad < good).mean() + (bad == good).mean() / 2)


@pytest.mark.parametrize("name", ["qa_one-turn_data", "qa_multi-turn_data"])
def test_support_separates_invented_answers(data: Path, name: str) -> None:
    assert auroc(halueval(data / "halueval" / f"{name}.json")) >= 0.80


@pytest.mark.parametrize("name", ["begin_dev_cmu", "begin_dev_tc", "begin_dev_wow", "begin_test_wow"])
def test_support_separates_unsupported_replies(data: Path, name: str) -> None:
    assert auroc(begin(data / "begin" / f"{name}.tsv")) >= 0.88
