"""`make train-guards`: learns from public and own texts, writes the detector's file, tells what it then finds."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

import plumbline_guards
from plumbline_guards.detector import OPERATING_POINT
from plumbline_guards.injection import MODEL_FILE, InjectionDetector
from plumbline_guards.training.data import Data, halves
from plumbline_guards.training.recipe import train

MEASURED: Final = 500


def main(folder: Path) -> None:
    """*folder* holds the public data."""
    data = Data(folder)
    path = Path(plumbline_guards.__path__[0]) / MODEL_FILE
    train(data).save(path)
    _report(data, InjectionDetector.load())


def _report(data: Data, detector: InjectionDetector) -> None:
    table = Table("texts", "count", "taken for attacks", title=f"{MODEL_FILE}, on what it did not learn from")
    questions = {
        "ordinary questions: CLAPNQ": halves(data.clapnq_questions())[1],
        "ordinary questions: MedQuAD": halves(data.medquad_questions())[1][:MEASURED],
        "ordinary questions: QQP": data.qqp_questions()[:MEASURED],
        "harmless, with trigger words: NotInject": data.not_inject(),
    }
    documents = {
        "clean mails": halves(data.mails())[1],
        "passages: mtrag": halves(data.mtrag_passages())[1][:MEASURED],
    }
    for name, texts in questions.items():
        table.add_row(name, str(len(texts)), _share(detector.scores(texts)))
    for name, texts in documents.items():
        table.add_row(name, str(len(texts)), _share(detector.document_scores(texts)))
    Console(width=100).print(table)


def _share(scores: Sequence[float]) -> str:
    return f"{sum(score >= OPERATING_POINT for score in scores) / len(scores):.3f}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
